//! The one gate between a plan and an order: only [`judge`] can make an [`Approved`]. Pure.

use std::time::Duration;

use rust_decimal::Decimal;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::instrument::{Instrument, InstrumentError};
use crate::margin::Margin;
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

/// The code of [`Refusal::SessionClosed`].
pub const SESSION_CLOSED: &str = "session_closed";

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
    #[error("limit must be 0.0001 to 9.2e9, was {0}")]
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
    #[error("sell must be at most the available {available}, was {was}")]
    InsufficientShares { was: Quantity, available: Quantity },
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    #[error("one order must not turn a position of {held} round, quantity was {was}")]
    ZeroCrossing { held: Quantity, was: Quantity },
    #[error("{0} is at its target")]
    AtTarget(Symbol),
    #[error("nothing to buy: one lot of {symbol} at {price} costs more than there is for it")]
    CannotPay { symbol: Symbol, price: Price },
    #[error("{0} is at its target: opposite intents of strategies were netted")]
    Crossed(Symbol),
    #[error("a newer target of {0} is wanted")]
    Superseded(Symbol),
    #[error("a position below 0 must be allowed by risk.short, {0} may not be sold short")]
    NoShort(Symbol),
    #[error("time in force must be ioc until standing orders exist, was {0}")]
    StandingOrder(&'static str),
    #[error("a signal of a strategy's own book must be of a strategy of this run, was of \"{0}\"")]
    NotRunHere(String),
    #[error("nothing to sell: no whole lot of {0} is available")]
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
            Refusal::SessionClosed { .. } => SESSION_CLOSED,
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
            Refusal::Instrument(error) => error.code(),
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
            | Refusal::Instrument(_)
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
pub struct BidAsk {
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
) -> Result<BidAsk, Refusal> {
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
    let bid = Price::from_f64(quote.bid).map_err(bad_quote)?;
    // A last price stands for both sides.
    let is_one_price = quote.ask.to_bits() == quote.bid.to_bits();
    let ask = if is_one_price { bid } else { Price::from_f64(quote.ask).map_err(bad_quote)? };
    let firm = BidAsk { bid, ask };
    if ask < bid {
        return Err(Refusal::BadQuote { bid: firm.bid.to_string(), ask: firm.ask.to_string() });
    }
    if !is_one_price && quote.spread_bps() > limits.spread_max.to_f64() {
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
    /// What it is an order of.
    pub instrument: Instrument,
}

/// What the books say at the moment of the judgement, orders in flight included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    /// What positions require of the equity.
    pub margin: Margin,
    /// Equity that nothing requires yet: in a cash account the cash that a buy may use.
    pub available_cash: Money,
    /// Shares that a sell may use.
    pub available_shares: Quantity,
    /// Shares sold short that a buy may cover.
    pub short_shares: Quantity,
    /// Shares held, negative when short.
    pub held: Quantity,
    /// Orders approved in the last 60 seconds.
    pub orders_last_minute: u32,
}

impl AccountState {
    /// Shares of a position that an order of `side` may close.
    pub fn closes(&self, side: Side) -> Quantity {
        match side {
            Side::Buy => self.short_shares,
            Side::Sell => self.available_shares,
        }
    }

    /// Whether the account can carry what such an order leaves behind; it can where the order only closes a position.
    pub fn carries(&self, side: Side, quantity: Quantity, price: Price) -> bool {
        let closes = self.closes(side).min(quantity);
        if closes == quantity {
            return true;
        }
        // What is closed first frees as much as the same shares need that open.
        self.margin.required(price * (quantity - closes - closes)) <= self.available_cash
    }

    /// The most whole lots of an order that the account can carry.
    pub fn most(&self, instrument: &Instrument, side: Side, quantity: Quantity, price: Price) -> Quantity {
        if self.carries(side, quantity, price) {
            return quantity;
        }
        let (_, available) = self.need(side, quantity, price);
        let opens = self.margin.buying_power(available.max(Money::ZERO)).buys(price);
        instrument.floor_lot(self.closes(side).min(quantity) + opens).min(quantity)
    }

    /// What the part of an order requires that opens a position, and what there is for it: what is closed first is free then.
    fn need(&self, side: Side, quantity: Quantity, price: Price) -> (Money, Money) {
        let closes = self.closes(side).min(quantity);
        let required = |shares: Quantity| self.margin.required(price * shares);
        let freed = if closes.is_zero() { Money::ZERO } else { required(closes) };
        (required(quantity - closes), self.available_cash + freed)
    }
}

/// A plan that passed the gate, with what must be set aside for it. Nothing else can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    request: OrderRequest,
    hold: Hold,
}

/// What an order sets aside while it is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    side: Side,
    quantity: Quantity,
    closes: Quantity,
    price: Price,
    margin: Margin,
}

impl Approved {
    /// The order to send.
    pub fn request(&self) -> &OrderRequest {
        &self.request
    }

    /// What is to be set aside for it.
    pub fn hold(&self) -> Hold {
        self.hold
    }
}

impl Hold {
    /// Cash that nobody else may spend while so many of the order's shares have filled. What closes a position fills first.
    pub fn cash(&self, filled: Quantity) -> Money {
        if filled >= self.quantity {
            return Money::ZERO;
        }
        let closes = (self.closes - filled).max(Quantity::ZERO);
        // What closes frees as much as the same shares need that open.
        let opens = self.quantity - filled - closes - closes;
        if opens.is_positive() { self.margin.required(self.price * opens) } else { Money::ZERO }
    }

    /// Shares that nobody else may sell while so many of the order's shares have filled.
    pub fn shares(&self, filled: Quantity) -> Quantity {
        match self.side {
            Side::Buy => Quantity::ZERO,
            Side::Sell => (self.closes - filled).max(Quantity::ZERO),
        }
    }

    /// The order is of another number of shares: it is sized with the price at which it fills, or reduced there.
    pub(crate) fn resize(&mut self, quantity: Quantity) {
        self.quantity = quantity;
    }
}

/// Approves a plan or says why not.
///
/// # Errors
/// The first limit that the plan breaks.
pub fn judge(plan: Plan, account_state: &AccountState, limits: &Limits) -> Result<Approved, Refusal> {
    let OrderRequest { quantity, side, symbol, .. } = plan.request;
    if !quantity.is_positive() {
        return Err(match side {
            Side::Buy => Refusal::AtTarget(symbol),
            Side::Sell => Refusal::NothingToSell(symbol),
        });
    }
    let price = worst_price(plan.request.order_type, side, plan.price);
    let notional = price * quantity;
    plan.instrument.check(quantity, notional)?;
    check_order(quantity, notional, account_state, limits)?;
    check_position(&plan, price, account_state, limits)?;
    let closes = account_state.closes(side).min(quantity);
    if side == Side::Sell && closes < quantity && !may_short(&plan, limits) {
        return Err(Refusal::InsufficientShares { was: quantity, available: account_state.available_shares });
    }
    if !account_state.carries(side, quantity, price) {
        let (cost, available) = account_state.need(side, quantity, price);
        return Err(Refusal::InsufficientCash { cost, available });
    }
    let hold = Hold { side, quantity, closes, price, margin: account_state.margin };
    Ok(Approved { request: plan.request, hold })
}

fn may_short(plan: &Plan, limits: &Limits) -> bool {
    limits.short && plan.instrument.shorting
}

/// The price that a limit order cannot be worse than; the quote's `price` for a market order.
pub fn worst_price(order_type: OrderType, side: Side, price: Price) -> Price {
    match (order_type, side) {
        (OrderType::Market, _) => price,
        (OrderType::Limit(limit), Side::Buy) => limit,
        (OrderType::Limit(limit), Side::Sell) => limit.max(price),
    }
}

fn check_order(
    quantity: Quantity,
    notional: Money,
    account_state: &AccountState,
    limits: &Limits,
) -> Result<(), Refusal> {
    if let Some(max) = limits.order_quantity_max.filter(|max| quantity > *max) {
        return Err(Refusal::OrderQuantity { was: quantity, max });
    }
    if let Some(max) = limits.order_notional_max.filter(|max| notional > *max) {
        return Err(Refusal::OrderNotional { was: notional, max });
    }
    match limits.orders_per_minute_max {
        Some(max) if account_state.orders_last_minute >= max => Err(Refusal::OrderRate { max }),
        Some(_) | None => Ok(()),
    }
}

fn check_position(
    plan: &Plan,
    price: Price,
    account_state: &AccountState,
    limits: &Limits,
) -> Result<(), Refusal> {
    let quantity = plan.request.quantity;
    let after = match plan.request.side {
        Side::Buy => account_state.held + quantity,
        Side::Sell => account_state.held - quantity,
    };
    let sells_beyond_short = plan.request.side == Side::Sell && !may_short(plan, limits);
    let held = account_state.held;
    let turns = held.is_positive() && after.is_negative() || held.is_negative() && after.is_positive();
    if turns && !sells_beyond_short && !limits.flip_in_one {
        return Err(Refusal::ZeroCrossing { held, was: quantity });
    }
    if !sells_beyond_short {
        plan.instrument.check_position(after)?;
    }
    let grows = after.abs() > held.abs();
    let notional = price * after.abs();
    match limits.position_notional_max {
        Some(max) if grows && notional > max => Err(Refusal::PositionNotional { was: notional, max }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
