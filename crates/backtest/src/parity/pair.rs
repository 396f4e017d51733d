//! Which order of the replay is which order of the session, and in what they differ. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::order::{ComparedOrder, LiveSide, same_price};
use bot_core::symbol::Symbol;

/// One signal, as far as each side has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pair {
    /// Both have it: the place of the session's order, and the replay's.
    Both(usize, Box<ComparedOrder>),
    /// The session alone has it.
    Live(usize),
    /// The replay alone has it.
    Replay(Box<ComparedOrder>),
}

/// In what two sides of a pair differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparedField {
    /// One side has no such signal.
    Signal,
    /// Buy or sell, or how sure.
    Intent,
    /// An order, or why there is none.
    Decision,
    /// Shares ordered.
    Quantity,
    /// The limit.
    Limit,
    /// How it ended.
    Outcome,
    /// Shares filled.
    Filled,
    /// The mean price.
    Price,
}

impl ComparedField {
    /// A stable word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            ComparedField::Signal => "signal",
            ComparedField::Intent => "intent",
            ComparedField::Decision => "decision",
            ComparedField::Quantity => "quantity",
            ComparedField::Limit => "limit",
            ComparedField::Outcome => "outcome",
            ComparedField::Filled => "filled",
            ComparedField::Price => "price",
        }
    }
}

impl fmt::Display for ComparedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Second steps of a flip, and signals of timers, are called by the wall clock: they are found by their neighbourhood.
const NEIGHBOURHOOD: Duration = Duration::from_secs(5);

type PairKey = (String, String, Symbol);

/// What makes a signal the same one: its identity and which step of it it is.
fn key(order: &ComparedOrder) -> PairKey {
    (order.strategy.clone(), order.id.clone(), order.symbol)
}

/// Pairs all orders; first by what they are, then what is left of each strategy, symbol and side in order of time.
/// `spans` are the strategies' intervals, where they have one.
pub(super) fn pair(
    live: &[LiveSide],
    replay: Vec<ComparedOrder>,
    spans: &HashMap<String, Duration>,
) -> Vec<Pair> {
    let keys: HashSet<PairKey> = live.iter().map(|live| key(&live.order)).collect();
    let mut by_key: HashMap<PairKey, Vec<ComparedOrder>> = HashMap::new();
    let mut left: HashMap<(String, Symbol, &str), Vec<ComparedOrder>> = HashMap::new();
    for order in replay.into_iter().rev() {
        let own = key(&order);
        if keys.contains(&own) {
            by_key.entry(own).or_default().push(order); // The latest first.
        } else {
            let key = (order.strategy.clone(), order.symbol, order.side.as_str());
            left.entry(key).or_default().push(order);
        }
    }
    let mut pairs = Vec::with_capacity(live.len());
    for (place, LiveSide { order, .. }) in live.iter().enumerate() {
        if let Some(found) = by_key.get_mut(&key(order)).and_then(Vec::pop) {
            pairs.push(Pair::Both(place, Box::new(found)));
            continue;
        }
        let key = (order.strategy.clone(), order.symbol, order.side.as_str());
        let near = spans.get(&order.strategy).copied().unwrap_or_default().max(NEIGHBOURHOOD);
        let found = left.get_mut(&key).and_then(|left| {
            let (from, to) = (order.at - near, order.at + near);
            let near = left.iter().enumerate().filter(|(_, other)| other.at >= from && other.at <= to);
            let apart = |other: &ComparedOrder| other.at.nanos().abs_diff(order.at.nanos());
            let (place, _) = near.min_by_key(|(_, other)| apart(other))?;
            Some(left.remove(place))
        });
        pairs.push(found.map_or(Pair::Live(place), |found| Pair::Both(place, Box::new(found))));
    }
    let left = left.into_values().chain(by_key.into_values()).flatten();
    pairs.extend(left.map(|order| Pair::Replay(Box::new(order))));
    pairs.sort_by_cached_key(|pair| {
        let order = pair.any(live);
        (order.at, order.strategy.clone(), order.id.clone())
    });
    pairs
}

impl Pair {
    /// The place of the session's order, where there is one.
    pub(super) fn place(&self) -> Option<usize> {
        match self {
            Pair::Both(place, _) | Pair::Live(place) => Some(*place),
            Pair::Replay(_) => None,
        }
    }

    /// The session's side, where there is one.
    pub(super) fn live<'a>(&self, live: &'a [LiveSide]) -> Option<&'a LiveSide> {
        match self {
            Pair::Both(place, _) | Pair::Live(place) => live.get(*place),
            Pair::Replay(_) => None,
        }
    }

    /// The replay's side, where there is one.
    pub(super) fn replay(&self) -> Option<&ComparedOrder> {
        match self {
            Pair::Both(_, order) | Pair::Replay(order) => Some(order),
            Pair::Live(_) => None,
        }
    }

    /// The session's side or, where it has none, the replay's.
    pub(super) fn any<'a>(&'a self, live: &'a [LiveSide]) -> &'a ComparedOrder {
        match self {
            Pair::Both(place, _) | Pair::Live(place) => &live[*place].order,
            Pair::Replay(order) => order,
        }
    }

    /// In what the sides differ; nothing when they are the same.
    pub(super) fn differences(&self, live: &[LiveSide]) -> Vec<ComparedField> {
        match self {
            Pair::Both(place, replay) => differences(&live[*place].order, replay),
            Pair::Live(_) | Pair::Replay(_) => vec![ComparedField::Signal],
        }
    }
}

fn differences(live: &ComparedOrder, replay: &ComparedOrder) -> Vec<ComparedField> {
    let mut fields = Vec::new();
    let mut check = |field, same: bool| {
        if !same {
            fields.push(field);
        }
    };
    // Signals from elsewhere are fed in as orders, without their strength.
    let is_own = !live.strategy.is_empty();
    check(ComparedField::Intent, live.goes_as(replay) && (!is_own || live.strength == replay.strength));
    check(ComparedField::Decision, live.decision() == replay.decision());
    if live.is_order && replay.is_order {
        check(ComparedField::Quantity, live.quantity == replay.quantity);
        check(ComparedField::Limit, same_price(live.limit, replay.limit));
        check(ComparedField::Outcome, live.outcome == replay.outcome);
        check(ComparedField::Filled, live.filled == replay.filled);
    }
    if live.filled.is_positive() && replay.filled.is_positive() {
        check(ComparedField::Price, same_price(live.price, replay.price));
    }
    fields
}
