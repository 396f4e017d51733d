//! Why an order came out otherwise than in the session: one reason from a closed list, worked out from the data. Pure.

use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::order::{ComparedOrder, LiveSide, same_price};
use super::shown::{Evidence, QuotesShown};
use bot_core::order::Side;
use bot_core::outcome::OutcomeKind;

/// The closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The live order met the market at another instant, at which it showed another price or other orders were in flight.
    Latency,
    /// The desk decided on another quote than the recorded one.
    QuoteMoved,
    /// The displayed size was not what the order met.
    SizeDepth,
    /// The broker filled inside the displayed spread.
    Improvement,
    /// The signal was too old when its turn came.
    StaleSignal,
    /// The quote was too old when the desk decided.
    StaleQuote,
    /// The session was closed by the broker's clock.
    Session,
    /// The limit of orders in a minute was reached.
    RateLimit,
    /// The recording lacks events or outcomes.
    MissingData,
    /// It began before the recording did.
    StartedLate,
    /// The session, or the recording, ended before it was done.
    Ended,
    /// The strategy is asked by the wall clock.
    Timer,
    /// Cash, shares or a strategy's position differed because of an earlier difference.
    Account,
    /// The broker refused it, or did not answer.
    Broker,
    /// None of these.
    Unexplained,
}

/// What is known when an order is looked at: what came before it, and what the recording lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Before {
    /// An earlier order filled otherwise, so that cash or shares differ.
    pub account: bool,
    /// An earlier signal of the same strategy came out otherwise.
    pub strategy: bool,
    /// Another live order was in flight when this one was decided on.
    pub in_flight: bool,
    /// A live order of the same strategy was in flight when the strategy spoke.
    pub strategy_in_flight: bool,
    /// The market's stream was not connected: polled prices were recorded.
    pub polled: bool,
    /// Events of the market were not recorded.
    pub events_lost: bool,
    /// The strategy was not shown all events.
    pub strategy_missed: bool,
    /// Outcomes were not recorded.
    pub outcomes_lost: bool,
    /// The session took no more signals then.
    pub ended: bool,
    /// The recording ended before the order did.
    pub unrecorded: bool,
    /// The strategy has a timer.
    pub timer: bool,
}

impl Reason {
    /// All, in the order in which they are listed to people.
    pub const ALL: [Reason; 15] = [
        Reason::Latency,
        Reason::QuoteMoved,
        Reason::SizeDepth,
        Reason::Improvement,
        Reason::StaleSignal,
        Reason::StaleQuote,
        Reason::Session,
        Reason::RateLimit,
        Reason::MissingData,
        Reason::StartedLate,
        Reason::Ended,
        Reason::Timer,
        Reason::Account,
        Reason::Broker,
        Reason::Unexplained,
    ];

    /// A stable word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Latency => "latency",
            Reason::QuoteMoved => "quote_moved",
            Reason::SizeDepth => "size_depth",
            Reason::Improvement => "improvement",
            Reason::StaleSignal => "stale_signal",
            Reason::StaleQuote => "stale_quote",
            Reason::Session => "session",
            Reason::RateLimit => "rate_limit",
            Reason::MissingData => "missing_data",
            Reason::StartedLate => "started_late",
            Reason::Ended => "ended",
            Reason::Timer => "timer",
            Reason::Account => "account",
            Reason::Broker => "broker",
            Reason::Unexplained => "unexplained",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An older quote than this stands for a hole in the recording, in seconds.
const HOLE_SECS: u64 = 5;
/// How far the money of two sizes by different prices may be apart, as a fraction: equity is marked at the mid.
const SIZE_TOLERANCE: f64 = 0.01;

/// A signal that the replay lacks.
pub(super) fn only_live(live: &LiveSide, before: Before) -> Reason {
    if live.order.strategy.is_empty() {
        return Reason::Unexplained; // All signals from elsewhere are fed in.
    }
    of_presence(before)
}

/// A signal that the session lacks.
pub(super) fn only_replay(before: Before) -> Reason {
    if before.ended {
        return Reason::Ended;
    }
    if before.outcomes_lost {
        return Reason::MissingData;
    }
    of_presence(before)
}

/// A signal that both have, with another end.
pub(super) fn of_both(
    live: &LiveSide,
    replay: &ComparedOrder,
    evidence: &Evidence,
    before: Before,
) -> Reason {
    if live.redelivered {
        return Reason::StartedLate;
    }
    if live.order.symbol != replay.symbol {
        return Reason::Unexplained;
    }
    if !live.order.strategy.is_empty() && live.order.strength != replay.strength {
        return of_presence(before);
    }
    if !live.order.goes_as(replay) {
        // The same strength goes another way from another position.
        let is_strength = !live.order.strategy.is_empty() && live.order.strength.is_some();
        return if is_strength { of_account(live, replay, before) } else { Reason::Unexplained };
    }
    match (live.order.is_order, replay.is_order) {
        (false, _) => of_refusal(live, replay, evidence, before),
        (true, false) => of_replayed_refusal(live, replay, evidence, before),
        (true, true) => of_orders(live, replay, evidence, before),
    }
}

fn of_presence(before: Before) -> Reason {
    match before {
        Before { events_lost: true, .. } | Before { strategy_missed: true, .. } => Reason::MissingData,
        Before { timer: true, .. } => Reason::Timer,
        Before { strategy: true, .. } => Reason::Account,
        Before { strategy_in_flight: true, .. } => Reason::Latency,
        Before { .. } => Reason::Unexplained,
    }
}

/// The session had no order.
fn of_refusal(live: &LiveSide, replay: &ComparedOrder, evidence: &Evidence, before: Before) -> Reason {
    match live.order.outcome {
        OutcomeKind::Expired => return Reason::StaleSignal,
        OutcomeKind::ExpiredUnconfirmed | OutcomeKind::Rejected => return Reason::Broker,
        OutcomeKind::Lost => return Reason::MissingData,
        OutcomeKind::Refused | OutcomeKind::Skipped => {}
        OutcomeKind::Filled | OutcomeKind::PartlyFilled | OutcomeKind::Unfilled => {
            return Reason::Unexplained; // Nothing of the kind ends without an order.
        }
    }
    match live.order.code() {
        "session_closed" => Reason::Session,
        "stale_quote" => Reason::StaleQuote,
        code => of_code(code, live, replay, evidence, before),
    }
}

/// The replay had no order.
fn of_replayed_refusal(
    live: &LiveSide,
    replay: &ComparedOrder,
    evidence: &Evidence,
    before: Before,
) -> Reason {
    match replay.code() {
        "no_quote" if evidence.decision.quotes == 0 => Reason::StartedLate,
        "no_quote" => Reason::MissingData,
        code => of_code(code, live, replay, evidence, before),
    }
}

/// One side was refused: what the refusal depends on.
fn of_code(
    code: &str,
    live: &LiveSide,
    replay: &ComparedOrder,
    evidence: &Evidence,
    before: Before,
) -> Reason {
    match code {
        "order_rate" => Reason::RateLimit,
        "superseded" => Reason::Latency,
        "no_quote" | "bad_quote" | "wide_spread" | "limit_too_low"
            if saw_another_quote(live, replay) || evidence.decision.unusable > 0 =>
        {
            Reason::QuoteMoved
        }
        "not_in_profit"
        | "at_target"
        | "cannot_pay"
        | "crossed"
        | "nothing_to_sell"
        | "insufficient_cash"
        | "insufficient_shares"
        | "zero_crossing"
        | "order_quantity"
        | "order_notional"
        | "position_notional"
        | "fractional_quantity"
        | "fractional_short"
        | "notional_min" => of_account(live, replay, before),
        _ => Reason::Unexplained,
    }
}

/// Money and shares decided.
fn of_account(live: &LiveSide, replay: &ComparedOrder, before: Before) -> Reason {
    if before.account || before.strategy {
        Reason::Account
    } else if before.in_flight || before.strategy_in_flight {
        Reason::Latency
    } else if saw_another_quote(live, replay) {
        Reason::QuoteMoved
    } else {
        Reason::Unexplained
    }
}

fn of_orders(live: &LiveSide, replay: &ComparedOrder, evidence: &Evidence, before: Before) -> Reason {
    if !is_sound(live) {
        return Reason::Unexplained;
    }
    match (live.order.outcome, replay.outcome) {
        (OutcomeKind::Rejected | OutcomeKind::ExpiredUnconfirmed, _) => return Reason::Broker,
        (_, OutcomeKind::Rejected) => return if before.account { Reason::Account } else { Reason::Broker },
        _ => {}
    }
    if replay.code() == "open_at_end" {
        return Reason::Ended;
    }
    if live.order.quantity != replay.quantity {
        return of_quantity(live, replay, before);
    }
    if !same_price(live.order.limit, replay.limit) {
        let moved = live.signal.limit.is_none() && saw_another_quote(live, replay);
        return if moved { Reason::QuoteMoved } else { Reason::Unexplained };
    }
    of_fill(live, replay, evidence, before)
}

/// Whether the session's own figures hold together.
fn is_sound(live: &LiveSide) -> bool {
    let order = &live.order;
    let is_whole = order.filled == order.quantity;
    let fits = match order.outcome {
        OutcomeKind::Filled => is_whole,
        OutcomeKind::PartlyFilled => order.filled.is_positive() && order.filled < order.quantity,
        OutcomeKind::Unfilled => order.filled.is_zero(),
        OutcomeKind::Rejected
        | OutcomeKind::Refused
        | OutcomeKind::Skipped
        | OutcomeKind::Expired
        | OutcomeKind::ExpiredUnconfirmed
        | OutcomeKind::Lost => true,
    };
    let as_asked = live.asked().is_none_or(|asked| asked == order.quantity);
    let within_limit = match (order.limit, order.price, order.side) {
        (Some(limit), Some(price), Side::Buy) => price.get() <= limit.get(),
        (Some(limit), Some(price), Side::Sell) => price.get() >= limit.get(),
        (None, ..) | (_, None, _) => true,
    };
    fits && as_asked && within_limit
}

fn of_quantity(live: &LiveSide, replay: &ComparedOrder, before: Before) -> Reason {
    if before.account || before.strategy {
        return Reason::Account;
    }
    if live.asked().is_none()
        && let (Some(seen), Some(replayed)) = (live.order.price_seen, replay.price_seen)
    {
        let (one, other) = (live.order.quantity.to_f64() * seen, replay.quantity.to_f64() * replayed);
        let most = seen.max(replayed) + SIZE_TOLERANCE * one.max(other);
        if saw_another_quote(live, replay) && (one - other).abs() <= most {
            return Reason::QuoteMoved;
        }
    }
    if before.in_flight || before.strategy_in_flight { Reason::Latency } else { Reason::Unexplained }
}

/// The same order met another market.
fn of_fill(live: &LiveSide, replay: &ComparedOrder, evidence: &Evidence, before: Before) -> Reason {
    let (shown, side) = (&evidence.fill, live.order.side);
    if shown.quotes == 0 {
        return if evidence.decision.quotes == 0 { Reason::StartedLate } else { Reason::MissingData };
    }
    let Some(price) = live.order.price else { return of_nothing_filled(live, shown) };
    let (low, high) = shown.own(side);
    if !is_within(price.get(), low, high) {
        let is_hole = shown.quotes == 1 && shown.age.is_some_and(|age| age.as_secs() >= HOLE_SECS);
        return if is_within(price.get(), shown.bid.0, shown.ask.1) {
            Reason::Improvement
        } else if live.order.filled.to_f64() > shown.size(side).0 && is_worse(price.get(), (low, high), side)
        {
            Reason::SizeDepth
        } else if before.events_lost || before.polled || is_hole {
            Reason::MissingData
        } else if before.unrecorded {
            Reason::Ended
        } else {
            Reason::Unexplained
        };
    }
    if !same_price(live.order.price, replay.price) {
        return Reason::Latency;
    }
    Reason::SizeDepth
}

fn of_nothing_filled(live: &LiveSide, shown: &QuotesShown) -> Reason {
    let (low, high) = shown.own(live.order.side);
    match (live.order.limit, live.order.side) {
        (Some(limit), Side::Buy) if high > limit.to_f64() => Reason::Latency,
        (Some(limit), Side::Sell) if low < limit.to_f64() => Reason::Latency,
        (Some(_) | None, Side::Buy | Side::Sell) => Reason::SizeDepth,
    }
}

fn saw_another_quote(live: &LiveSide, replay: &ComparedOrder) -> bool {
    match (live.order.price_seen, replay.price_seen) {
        (Some(one), Some(other)) => (one - other).abs() > f64::EPSILON * one.abs(),
        (None, Some(_)) | (Some(_), None) => true,
        (None, None) => false,
    }
}

fn is_within(price: Decimal, low: f64, high: f64) -> bool {
    let bound = |seen: f64| Decimal::from_f64(seen).unwrap_or_default().round_dp(6);
    bound(low) <= price.round_dp(4) + HALF_TICK && price.round_dp(4) - HALF_TICK <= bound(high)
}

/// Prices are rounded to it by brokers.
const HALF_TICK: Decimal = Decimal::from_parts(5, 0, 0, false, 5);
/// An order that is larger than what is displayed pays so much more at the most, as a fraction.
const DEPTH_MAX: f64 = 0.005;

/// Somewhat worse than displayed, for the one who trades.
fn is_worse(price: Decimal, (low, high): (f64, f64), side: Side) -> bool {
    let bound = |seen: f64| Decimal::from_f64(seen).unwrap_or_default();
    match side {
        Side::Buy => price > bound(high) && price <= bound(high * (1.0 + DEPTH_MAX)),
        Side::Sell => price < bound(low) && price >= bound(low * (1.0 - DEPTH_MAX)),
    }
}

#[cfg(test)]
mod tests;
