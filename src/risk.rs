//! The one gate between a plan and an order: only [`judge`] can make an [`Approved`]. Pure.

use std::time::Duration;

use rust_decimal::Decimal;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::market::{SessionClock, Snapshot};
use crate::order::{OrderRequest, OrderType, Side};
use crate::outcome::OutcomeKind;
use crate::signal::Signal;
use crate::symbol::Symbol;
use crate::units::{BasisPoints, Money, Price, Quantity};

/// What may be traded at the most. `None` is off; ages, spread and session are always checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Older signals are not traded.
    pub signal_age_max: Duration,
    /// Older quotes are not traded on.
    pub quote_age_max: Duration,
    /// Wider spreads are not traded on.
    pub spread_max: BasisPoints,
    /// Whether shares may be sold that are not held.
    pub short: bool,
    /// Whether one order may turn a long position short or a short one long: Alpaca refuses such orders.
    pub flip_in_one: bool,
    /// Shares per order.
    pub order_quantity_max: Option<Quantity>,
    /// Dollars per order.
    pub order_notional_max: Option<Money>,
    /// Dollars in one symbol, long or short, the order included.
    pub position_notional_max: Option<Money>,
    /// Orders in any 60 seconds.
    pub orders_per_minute_max: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signal_age_max: Duration::from_secs(5),
            quote_age_max: Duration::from_secs(5),
            spread_max: BasisPoints::whole(100),
            short: false,
            flip_in_one: false,
            order_quantity_max: None,
            order_notional_max: None,
            position_notional_max: None,
            orders_per_minute_max: None,
        }
    }
}

impl Limits {
    /// From when on a signal may not be sent any more: the shorter of our limit and its own time to live.
    pub fn stale_at(&self, signal: &Signal) -> Timestamp {
        signal.sent_at + signal.time_to_live.map_or(self.signal_age_max, |own| own.min(self.signal_age_max))
    }
}

/// Why there is no order. Every refusal becomes an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text says it")]
pub enum Refusal {
    #[error("signal age must be at most {max_ms} ms, was {age_ms} ms")]
    StaleSignal { age_ms: u128, max_ms: u128 },
    #[error("session must be open, next opens at {next_open}")]
    SessionClosed { next_open: Timestamp },
    #[error("a quote is needed, {0} has none")]
    NoQuote(Symbol),
    #[error("quote age must be at most {max_ms} ms, was {age_ms} ms")]
    StaleQuote { age_ms: u128, max_ms: u128 },
    #[error("bid and ask must be above 0 and not crossed, were {bid} and {ask}")]
    BadQuote { bid: String, ask: String },
    #[error("spread must be at most {max_bps} bps, was {bps}")]
    WideSpread { bps: String, max_bps: String },
    #[error("limit must be at least 0.0001, was {0}")]
    LimitTooLow(Decimal),
    #[error("order quantity must be at most {max}, was {was}")]
    OrderQuantity { was: Quantity, max: Quantity },
    #[error("order notional must be at most {max}, was {was}")]
    OrderNotional { was: Money, max: Money },
    #[error("position notional must be at most {max}, would be {was}")]
    PositionNotional { was: Money, max: Money },
    #[error("orders in 60 seconds must be at most {max}")]
    OrderRate { max: u32 },
    #[error("order must cost at most the available cash {available}, was {cost}")]
    InsufficientCash { cost: Money, available: Money },
    #[error("sell must be at most the available {available} shares, was {was}")]
    InsufficientShares { was: Quantity, available: Quantity },
    #[error("quantity must be whole shares for an immediate-or-cancel order, was {0}")]
    FractionalQuantity(Quantity),
    #[error("one order must not turn a position of {held} round, quantity was {was}")]
    ZeroCrossing { held: Quantity, was: Quantity },
    #[error("{0} is at its target")]
    AtTarget(Symbol),
    #[error("nothing to buy: one share of {symbol} costs {price}, which is more than there is for it")]
    CannotPay { symbol: Symbol, price: Price },
    #[error("{0} is at its target: opposite wishes of strategies met within the house")]
    Crossed(Symbol),
    #[error("a newer target of {0} is wanted")]
    Superseded(Symbol),
    #[error("a position below 0 must be allowed by risk.short, {0} may not be sold short")]
    NoShort(Symbol),
    #[error("time in force must be ioc until standing orders exist, was {0}")]
    StandingOrder(&'static str),
    #[error("a signal of a strategy's own book must be of a strategy of this run, was of \"{0}\"")]
    NotRunHere(String),
    #[error("nothing to sell: no whole share of {0} is available")]
    NothingToSell(Symbol),
    #[error("not in profit: bid {bid} is not above the mean entry price {entry}")]
    NotInProfit { bid: Price, entry: String },
    #[error("internal error: {0}")]
    Internal(String),
}

impl Refusal {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::StaleSignal { .. } => "stale_signal",
            Refusal::SessionClosed { .. } => "session_closed",
            Refusal::NoQuote(_) => "no_quote",
            Refusal::StaleQuote { .. } => "stale_quote",
            Refusal::BadQuote { .. } => "bad_quote",
            Refusal::WideSpread { .. } => "wide_spread",
            Refusal::LimitTooLow(_) => "limit_too_low",
            Refusal::OrderQuantity { .. } => "order_quantity",
            Refusal::OrderNotional { .. } => "order_notional",
            Refusal::PositionNotional { .. } => "position_notional",
            Refusal::OrderRate { .. } => "order_rate",
            Refusal::InsufficientCash { .. } => "insufficient_cash",
            Refusal::InsufficientShares { .. } => "insufficient_shares",
            Refusal::FractionalQuantity(_) => "fractional_quantity",
            Refusal::ZeroCrossing { .. } => "zero_crossing",
            Refusal::AtTarget(_) => "at_target",
            Refusal::CannotPay { .. } => "cannot_pay",
            Refusal::Crossed(_) => "crossed",
            Refusal::Superseded(_) => "superseded",
            Refusal::NoShort(_) => "no_short",
            Refusal::StandingOrder(_) => "standing_order",
            Refusal::NotRunHere(_) => "not_run_here",
            Refusal::NothingToSell(_) => "nothing_to_sell",
            Refusal::NotInProfit { .. } => "not_in_profit",
            Refusal::Internal(_) => "internal_error",
        }
    }

    /// What becomes of the signal.
    pub fn outcome(&self) -> OutcomeKind {
        match self {
            Refusal::StaleSignal { .. } => OutcomeKind::Expired,
            Refusal::AtTarget(_)
            | Refusal::CannotPay { .. }
            | Refusal::Crossed(_)
            | Refusal::Superseded(_)
            | Refusal::NothingToSell(_)
            | Refusal::NotInProfit { .. } => OutcomeKind::Skipped,
            Refusal::SessionClosed { .. }
            | Refusal::NoQuote(_)
            | Refusal::StaleQuote { .. }
            | Refusal::BadQuote { .. }
            | Refusal::WideSpread { .. }
            | Refusal::LimitTooLow(_)
            | Refusal::OrderQuantity { .. }
            | Refusal::OrderNotional { .. }
            | Refusal::PositionNotional { .. }
            | Refusal::OrderRate { .. }
            | Refusal::InsufficientCash { .. }
            | Refusal::InsufficientShares { .. }
            | Refusal::FractionalQuantity(_)
            | Refusal::ZeroCrossing { .. }
            | Refusal::NoShort(_)
            | Refusal::StandingOrder(_)
            | Refusal::NotRunHere(_)
            | Refusal::Internal(_) => OutcomeKind::Refused,
        }
    }
}

/// A bid and an ask that are fit to trade on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirmQuote {
    /// What a seller gets.
    pub bid: Price,
    /// What a buyer pays.
    pub ask: Price,
}

/// Checks all that does not depend on the books: the signal's age, the session, the quote.
///
/// # Errors
/// The first check that fails.
pub fn check_market(
    signal: &Signal,
    snapshot: Option<&Snapshot>,
    session: SessionClock,
    limits: &Limits,
    now: Timestamp,
) -> Result<FirmQuote, Refusal> {
    let stale_at = limits.stale_at(signal);
    if now > stale_at {
        let (age_ms, max_ms) =
            (now.since(signal.sent_at).as_millis(), stale_at.since(signal.sent_at).as_millis());
        return Err(Refusal::StaleSignal { age_ms, max_ms });
    }
    if !session.is_open_at(now) {
        return Err(Refusal::SessionClosed { next_open: session.next_open });
    }
    let no_quote = || Refusal::NoQuote(signal.symbol);
    let snapshot = snapshot.ok_or_else(no_quote)?;
    let quote = snapshot.quote.ok_or_else(no_quote)?;
    let age = now.since(quote.at).max(now.since(snapshot.read_at));
    if age > limits.quote_age_max {
        return Err(Refusal::StaleQuote {
            age_ms: age.as_millis(),
            max_ms: limits.quote_age_max.as_millis(),
        });
    }
    let bad_quote = |_| Refusal::BadQuote { bid: quote.bid.to_string(), ask: quote.ask.to_string() };
    let bid = Price::from_seen(quote.bid).map_err(bad_quote)?;
    // A last price stands for both sides.
    let is_one_price = quote.ask.to_bits() == quote.bid.to_bits();
    let ask = if is_one_price { bid } else { Price::from_seen(quote.ask).map_err(bad_quote)? };
    let firm = FirmQuote { bid, ask };
    if ask < bid {
        return Err(Refusal::BadQuote { bid: firm.bid.to_string(), ask: firm.ask.to_string() });
    }
    if !is_one_price && quote.spread_bps() > limits.spread_max.to_seen() {
        let bps = format!("{:.1}", quote.spread_bps());
        return Err(Refusal::WideSpread { bps, max_bps: limits.spread_max.to_string() });
    }
    Ok(firm)
}

/// An order that somebody would like to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The order as it would be sent.
    pub request: OrderRequest,
    /// What one share costs or brings by the quote.
    pub price: Price,
}

/// What the books say at the moment of the judgement, orders in flight included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Cash that a buy may use.
    pub available_cash: Money,
    /// Shares that a sell may use.
    pub available_shares: Quantity,
    /// Shares held, negative when short.
    pub held: Quantity,
    /// Orders approved in the last 60 seconds.
    pub orders_last_minute: u32,
}

/// A plan that passed the gate, with what must be set aside for it. Nothing else can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    request: OrderRequest,
    reserved_cash: Money,
    reserved_shares: Quantity,
}

impl Approved {
    /// The order to send.
    pub fn request(&self) -> &OrderRequest {
        &self.request
    }

    /// Cash that nobody else may spend while the order is in flight.
    pub fn reserved_cash(&self) -> Money {
        self.reserved_cash
    }

    /// Shares that nobody else may sell while the order is in flight.
    pub fn reserved_shares(&self) -> Quantity {
        self.reserved_shares
    }
}

/// Approves a plan or says why not.
///
/// # Errors
/// The first limit that the plan breaks.
pub fn judge(plan: Plan, standing: &Standing, limits: &Limits) -> Result<Approved, Refusal> {
    let OrderRequest { quantity, side, symbol, .. } = plan.request;
    if quantity.whole() != quantity {
        return Err(Refusal::FractionalQuantity(quantity));
    }
    if !quantity.is_positive() {
        return Err(match side {
            Side::Buy => Refusal::AtTarget(symbol),
            Side::Sell => Refusal::NothingToSell(symbol),
        });
    }
    let price = worst_price(&plan);
    let notional = price * quantity;
    check_order(quantity, notional, standing, limits)?;
    check_position(&plan, price, standing, limits)?;
    let covered_by_shares = side == Side::Sell && quantity <= standing.available_shares;
    if covered_by_shares {
        return Ok(approve(plan, Money::ZERO, quantity));
    }
    if side == Side::Sell && !limits.short {
        return Err(Refusal::InsufficientShares { was: quantity, available: standing.available_shares });
    }
    // A short sale's worth is set aside too, so that N workers cannot sell short N times the account.
    let shares = if side == Side::Sell { standing.available_shares } else { Quantity::ZERO };
    let cost = price * (quantity - shares);
    if cost > standing.available_cash {
        return Err(Refusal::InsufficientCash { cost, available: standing.available_cash });
    }
    Ok(approve(plan, cost, shares))
}

fn approve(plan: Plan, reserved_cash: Money, reserved_shares: Quantity) -> Approved {
    Approved { request: plan.request, reserved_cash, reserved_shares }
}

/// The price that a limit order cannot be worse than; the quote for a market order.
fn worst_price(plan: &Plan) -> Price {
    match (plan.request.order_type, plan.request.side) {
        (OrderType::Market, _) => plan.price,
        (OrderType::Limit(limit), Side::Buy) => limit,
        (OrderType::Limit(limit), Side::Sell) => limit.max(plan.price),
    }
}

fn check_order(
    quantity: Quantity,
    notional: Money,
    standing: &Standing,
    limits: &Limits,
) -> Result<(), Refusal> {
    if let Some(max) = limits.order_quantity_max.filter(|max| quantity > *max) {
        return Err(Refusal::OrderQuantity { was: quantity, max });
    }
    if let Some(max) = limits.order_notional_max.filter(|max| notional > *max) {
        return Err(Refusal::OrderNotional { was: notional, max });
    }
    match limits.orders_per_minute_max {
        Some(max) if standing.orders_last_minute >= max => Err(Refusal::OrderRate { max }),
        Some(_) | None => Ok(()),
    }
}

fn check_position(plan: &Plan, price: Price, standing: &Standing, limits: &Limits) -> Result<(), Refusal> {
    let quantity = plan.request.quantity;
    let after = match plan.request.side {
        Side::Buy => standing.held + quantity,
        Side::Sell => standing.held - quantity,
    };
    let (before, after_number) = (standing.held.get(), after.get());
    let sells_beyond_short = plan.request.side == Side::Sell && !limits.short;
    let turns = !before.is_zero()
        && !after_number.is_zero()
        && before.is_sign_negative() != after_number.is_sign_negative();
    if turns && !sells_beyond_short && !limits.flip_in_one {
        return Err(Refusal::ZeroCrossing { held: standing.held, was: quantity });
    }
    let grows = after.abs() > standing.held.abs();
    let notional = price * after.abs();
    match limits.position_notional_max {
        Some(max) if grows && notional > max => Err(Refusal::PositionNotional { was: notional, max }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Quote;
    use crate::order::TimeInForce;
    use crate::signal::Wanted;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn signal() -> Signal {
        Signal::plain(1, Wanted::Order { side: Side::Buy, quantity: None, strength: None }, NOW)
    }

    fn open() -> SessionClock {
        let later = NOW + Duration::from_hours(1);
        SessionClock { is_open: true, next_open: later + Duration::from_hours(17), next_close: later }
    }

    fn snapshot(bid: f64, ask: f64, at: Timestamp) -> Snapshot {
        let quote = Quote { at, bid, bid_size: 100.0, ask, ask_size: 100.0 };
        Snapshot { symbol: "NVDA".parse().unwrap(), quote: Some(quote), trade: None, read_at: at }
    }

    #[track_caller]
    fn check(signal: &Signal, snapshot: Option<Snapshot>, session: SessionClock, expected: &str) {
        let found = check_market(signal, snapshot.as_ref(), session, &Limits::default(), NOW);
        assert_eq!(found.map_or_else(|refusal| refusal.code(), |_| "ok"), expected);
    }

    #[test]
    fn a_quote_that_is_not_fit_to_trade_on_is_refused_with_a_reason() {
        check(&signal(), Some(snapshot(100.0, 100.1, NOW)), open(), "ok");
        check(&signal(), None, open(), "no_quote");
        check(&signal(), Some(snapshot(0.0, 100.1, NOW)), open(), "bad_quote");
        check(&signal(), Some(snapshot(100.0, 0.0, NOW)), open(), "bad_quote");
        check(&signal(), Some(snapshot(f64::NAN, 100.0, NOW)), open(), "bad_quote");
        check(&signal(), Some(snapshot(100.2, 100.1, NOW)), open(), "bad_quote");
        check(&signal(), Some(snapshot(100.0, 102.0, NOW)), open(), "wide_spread");
        check(&signal(), Some(snapshot(100.0, 100.1, NOW - Duration::from_secs(6))), open(), "stale_quote");
        check(&signal(), Some(Snapshot { quote: None, ..snapshot(1.0, 1.0, NOW) }), open(), "no_quote");
        let unread = Snapshot { read_at: NOW - Duration::from_secs(9), ..snapshot(100.0, 100.1, NOW) };
        check(&signal(), Some(unread), open(), "stale_quote");
    }

    #[test]
    fn a_stale_signal_and_a_closed_session_are_refused() {
        let fine = Some(snapshot(100.0, 100.1, NOW));
        let old = Signal { sent_at: NOW - Duration::from_millis(5_001), ..signal() };
        check(&old, fine, open(), "stale_signal");
        let short_lived = Signal {
            sent_at: NOW - Duration::from_millis(200),
            time_to_live: Some(Duration::from_millis(100)),
            ..signal()
        };
        check(&short_lived, fine, open(), "stale_signal");
        let closed = SessionClock { is_open: false, next_open: NOW + Duration::from_secs(5), ..open() };
        check(&signal(), fine, closed, "session_closed");
        // The clock was read before the opening and nobody has read it since.
        check(&signal(), fine, SessionClock { next_open: NOW, ..closed }, "ok");
    }

    fn plan(side: Side, quantity: &str) -> Plan {
        let request = OrderRequest {
            client_order_id: "bot-x".parse().unwrap(),
            symbol: "NVDA".parse().unwrap(),
            side,
            quantity: quantity.parse().unwrap(),
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Ioc,
        };
        Plan { request, price: "100".parse().unwrap() }
    }

    fn standing(cash: &str, held: &str, orders_last_minute: u32) -> Standing {
        let held: Quantity = held.parse().unwrap();
        Standing {
            available_cash: cash.parse().unwrap(),
            available_shares: held.max(Quantity::ZERO),
            held,
            orders_last_minute,
        }
    }

    #[track_caller]
    fn check_judge(plan: Plan, standing: &Standing, limits: &Limits, expected: &str) {
        let found = judge(plan, standing, limits);
        assert_eq!(found.map_or_else(|refusal| refusal.code(), |_| "ok"), expected);
    }

    #[test]
    fn every_limit_refuses_what_breaks_it_and_passes_what_meets_it() {
        use Side::{Buy, Sell};
        let limits = Limits {
            order_quantity_max: Some("10".parse().unwrap()),
            order_notional_max: Some("900".parse().unwrap()),
            position_notional_max: Some("1200".parse().unwrap()),
            orders_per_minute_max: Some(3),
            ..Limits::default()
        };
        check_judge(plan(Buy, "9"), &standing("5000", "0", 2), &limits, "ok");
        check_judge(plan(Buy, "11"), &standing("5000", "0", 0), &limits, "order_quantity");
        check_judge(plan(Buy, "10"), &standing("5000", "0", 0), &limits, "order_notional");
        check_judge(plan(Buy, "9"), &standing("5000", "4", 0), &limits, "position_notional");
        check_judge(plan(Sell, "4"), &standing("0", "50", 0), &limits, "ok");
        check_judge(plan(Buy, "9"), &standing("5000", "0", 3), &limits, "order_rate");
        check_judge(plan(Buy, "9"), &standing("899.99", "0", 0), &limits, "insufficient_cash");
        check_judge(plan(Sell, "5"), &standing("0", "4", 0), &limits, "insufficient_shares");
        check_judge(plan(Buy, "0"), &standing("5000", "0", 0), &limits, "at_target");
        check_judge(plan(Sell, "0"), &standing("0", "0.5", 0), &limits, "nothing_to_sell");
        check_judge(plan(Buy, "1.5"), &standing("5000", "0", 0), &limits, "fractional_quantity");
    }

    #[test]
    fn one_order_never_turns_a_position_round() {
        let limits = Limits { short: true, ..Limits::default() };
        check_judge(plan(Side::Sell, "5"), &standing("5000", "4", 0), &limits, "zero_crossing");
        check_judge(plan(Side::Buy, "5"), &standing("5000", "-4", 0), &limits, "zero_crossing");
        check_judge(plan(Side::Sell, "5"), &standing("5000", "0", 0), &limits, "ok");
        check_judge(plan(Side::Buy, "4"), &standing("5000", "-4", 0), &limits, "ok");
    }
}
