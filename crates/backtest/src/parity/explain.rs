//! Goes through all pairs in order of time and gives each difference its reason: what came before matters. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Difference;
use super::flights::LiveFlights;
use super::order::{ComparedOrder, LiveSide};
use super::pair::{ComparedField, Pair};
use super::reason::{self, Reason};
use super::shown::Evidence;
use bot_core::clock::Timestamp;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};
use bot_data::history::session::{Recorded, SessionEnd};

/// What the session had, and what the market showed.
pub(super) struct Sides<'a> {
    pub(super) live: &'a [LiveSide],
    /// One for each.
    pub(super) evidence: &'a [Evidence],
    /// The last price of each symbol.
    pub(super) marks: HashMap<Symbol, f64>,
}

pub(super) fn explain(
    pairs: &[Pair],
    sides: &Sides<'_>,
    recorded: &Recorded,
    spans: &HashMap<String, Duration>,
    last: Timestamp,
) -> Vec<Difference> {
    let Sides { live, evidence, .. } = *sides;
    let end = recorded.end.as_ref();
    let over = end.map_or(last - UNFLUSHED, |end| end.intake_ended_at - GRACE);
    let missed = end.map(|end| &end.strategies_missed);
    let mut before = reason::Before {
        events_lost: end.is_some_and(|end| end.events_lost > 0),
        outcomes_lost: end.is_some_and(|end| end.outcomes_lost > 0 || end.left_pending > 0),
        ..reason::Before::default()
    };
    let mut changed: HashSet<&str> = HashSet::new();
    let mut differences = Vec::new();
    let flights = LiveFlights::of(live, pairs);
    for pair in pairs {
        let fields = pair.differences(live);
        if fields.is_empty() {
            continue;
        }
        let order = pair.any(live);
        before.strategy = !order.strategy.is_empty() && changed.contains(order.strategy.as_str());
        before.strategy_missed = missed.is_some_and(|missed| missed.contains_key(&order.strategy));
        before.timer = spans.contains_key(&order.strategy);
        before.ended = order.at >= over;
        before.unrecorded = pair.place().is_some_and(|place| live[place].final_at > last);
        before.strategy_in_flight = flights.of_strategy(order, pair.place(), live);
        let streamed = |end: &SessionEnd| {
            pair.place().is_none_or(|place| is_streamed(end, &live[place], &evidence[place]))
        };
        before.polled = end.is_some_and(|end| !streamed(end));
        let reason = match pair {
            Pair::Both(place, replay) => {
                before.in_flight = flights.besides(*place, live);
                reason::of_both(&live[*place], replay, &evidence[*place], before)
            }
            Pair::Live(place) => reason::only_live(&live[*place], before),
            Pair::Replay(_) => reason::only_replay(before),
        };
        let moved = (cash(pair, live), shares(pair, live));
        before.account |= moved != (Money::ZERO, Quantity::ZERO);
        if fields.iter().any(|field| moves(*field)) {
            changed.insert(&order.strategy);
        }
        differences.push(difference(pair, sides, fields, reason));
    }
    differences
}

/// Whether a strategy may go on otherwise after such a difference.
fn moves(field: ComparedField) -> bool {
    match field {
        ComparedField::Signal
        | ComparedField::Intent
        | ComparedField::Quantity
        | ComparedField::Filled
        | ComparedField::Price => true,
        ComparedField::Decision | ComparedField::Limit | ComparedField::Outcome => false,
    }
}

/// Whether the stream was recorded all the while the order was on its way, and told the quote that was in force before.
fn is_streamed(end: &SessionEnd, live: &LiveSide, evidence: &Evidence) -> bool {
    let Some(age) = evidence.decision.age else { return false };
    let shown_at = live.order.at - age;
    end.streamed.iter().any(|(from, to)| *from <= shown_at && to.is_none_or(|to| live.final_at <= to))
}

/// How long before its end a session may miss a signal: it is on its way through the stream.
const GRACE: Duration = Duration::from_secs(1);
/// What a session that crashed may have lost.
const UNFLUSHED: Duration = Duration::from_secs(3);

fn difference(pair: &Pair, sides: &Sides<'_>, fields: Vec<ComparedField>, reason: Reason) -> Difference {
    let live = sides.live;
    let (ours, theirs) = (pair.live(live).map(|live| live.order.clone()), pair.replay().cloned());
    let prices = (ours.as_ref().and_then(|order| order.price), theirs.as_ref().and_then(|order| order.price));
    let price_bps = match prices {
        (Some(one), Some(other)) => Some((one.price().to_f64() / other.price().to_f64() - 1.0) * 10_000.0),
        (None, _) | (_, None) => None,
    };
    let mark = sides.marks.get(&pair.any(live).symbol).and_then(|mark| Price::from_f64(*mark).ok());
    let worth = mark.map_or(Money::ZERO, |mark| mark * shares(pair, live));
    Difference { live: ours, replay: theirs, fields, reason, price_bps, money: cash(pair, live) + worth }
}

/// Cash that the session has more than the replay, for this signal.
pub(super) fn cash(pair: &Pair, live: &[LiveSide]) -> Money {
    let ours = pair.live(live).map_or(Money::ZERO, |live| live.order.cash());
    ours - pair.replay().map_or(Money::ZERO, ComparedOrder::cash)
}

/// Shares that the session has more than the replay, for this signal.
pub(super) fn shares(pair: &Pair, live: &[LiveSide]) -> Quantity {
    let ours = pair.live(live).map_or(Quantity::ZERO, |live| live.order.shares());
    ours - pair.replay().map_or(Quantity::ZERO, ComparedOrder::shares)
}
