//! Which order of the replay is which order of the session, and in what they differ. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::order::{Live, Order, same_price};
use bot_core::symbol::Symbol;

/// One signal, as far as each side has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pair {
    /// Both have it: the place of the session's order, and the replay's.
    Both(usize, Box<Order>),
    /// The session alone has it.
    Live(usize),
    /// The replay alone has it.
    Replay(Box<Order>),
}

/// In what two sides of a pair differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
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

impl Field {
    /// A stable word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Signal => "signal",
            Field::Intent => "wish",
            Field::Decision => "decision",
            Field::Quantity => "quantity",
            Field::Limit => "limit",
            Field::Outcome => "outcome",
            Field::Filled => "filled",
            Field::Price => "price",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Second steps of a flip, and signals of timers, are called by the wall clock: they are found by their neighbourhood.
const NEIGHBOURHOOD: Duration = Duration::from_secs(5);

type Key = (String, String, Symbol);

/// What makes a signal the same one: its identity and which step of it it is.
fn key(order: &Order) -> Key {
    (order.strategy.clone(), order.id.clone(), order.symbol)
}

/// Pairs all orders; first by what they are, then what is left of each strategy, symbol and side in order of time.
/// `spans` are the strategies' intervals, where they have one.
pub(super) fn pair(live: &[Live], replay: Vec<Order>, spans: &HashMap<String, Duration>) -> Vec<Pair> {
    let keys: HashSet<Key> = live.iter().map(|live| key(&live.order)).collect();
    let mut by_key: HashMap<Key, Vec<Order>> = HashMap::new();
    let mut left: HashMap<(String, Symbol, &str), Vec<Order>> = HashMap::new();
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
    for (place, Live { order, .. }) in live.iter().enumerate() {
        if let Some(found) = by_key.get_mut(&key(order)).and_then(Vec::pop) {
            pairs.push(Pair::Both(place, Box::new(found)));
            continue;
        }
        let key = (order.strategy.clone(), order.symbol, order.side.as_str());
        let near = spans.get(&order.strategy).copied().unwrap_or_default().max(NEIGHBOURHOOD);
        let found = left.get_mut(&key).and_then(|left| {
            let (from, to) = (order.at - near, order.at + near);
            let near = left.iter().enumerate().filter(|(_, other)| other.at >= from && other.at <= to);
            let apart = |other: &Order| other.at.nanos().abs_diff(order.at.nanos());
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
    pub(super) fn live<'a>(&self, live: &'a [Live]) -> Option<&'a Live> {
        match self {
            Pair::Both(place, _) | Pair::Live(place) => live.get(*place),
            Pair::Replay(_) => None,
        }
    }

    /// The replay's side, where there is one.
    pub(super) fn replay(&self) -> Option<&Order> {
        match self {
            Pair::Both(_, order) | Pair::Replay(order) => Some(order),
            Pair::Live(_) => None,
        }
    }

    /// The session's side or, where it has none, the replay's.
    pub(super) fn any<'a>(&'a self, live: &'a [Live]) -> &'a Order {
        match self {
            Pair::Both(place, _) | Pair::Live(place) => &live[*place].order,
            Pair::Replay(order) => order,
        }
    }

    /// In what the sides differ; nothing when they are the same.
    pub(super) fn differences(&self, live: &[Live]) -> Vec<Field> {
        match self {
            Pair::Both(place, replay) => differences(&live[*place].order, replay),
            Pair::Live(_) | Pair::Replay(_) => vec![Field::Signal],
        }
    }
}

fn differences(live: &Order, replay: &Order) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut check = |field, same: bool| {
        if !same {
            fields.push(field);
        }
    };
    // Signals from elsewhere are fed in as orders, without their strength.
    let is_own = !live.strategy.is_empty();
    check(Field::Intent, live.goes_as(replay) && (!is_own || live.strength == replay.strength));
    check(Field::Decision, live.decision() == replay.decision());
    if live.is_order && replay.is_order {
        check(Field::Quantity, live.quantity == replay.quantity);
        check(Field::Limit, same_price(live.limit, replay.limit));
        check(Field::Outcome, live.outcome == replay.outcome);
        check(Field::Filled, live.filled == replay.filled);
    }
    if live.filled.is_positive() && replay.filled.is_positive() {
        check(Field::Price, same_price(live.price, replay.price));
    }
    fields
}
