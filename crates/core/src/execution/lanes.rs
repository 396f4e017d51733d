//! Lanes: within a symbol the stream's order is kept and opposite sides go one after the other; no symbol waits for another.
//!
//! A buy and a sell of one symbol must neither overtake each other nor meet at the broker, which refuses wash trades. What
//! may go is taken by symbol in turn, so one symbol's flood holds up nobody. A lane holds so many signals at most; of those
//! beyond it only the ids are kept, to be read again when it is their turn. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::table::OrderKey;
use crate::clock::Timestamp;
use crate::order::Side;
use crate::signal::StreamPlace;
use crate::symbol::Symbol;

/// What a signal claims of its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its side; none for a target, of which nobody knows the side before it is its turn: it goes alone.
    pub side: Option<Side>,
    /// Whose target it is, where it is a strategy's.
    pub target_of: Option<Arc<str>>,
    /// Whether it follows from a target before it, so that it replaces none.
    pub is_step: bool,
}

/// The bounds of lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanesConfig {
    /// Whether opposite sides of a symbol wait for each other: where the broker refuses that they meet.
    pub sides_wait: bool,
    /// So many signals wait in one lane at most.
    pub waiting_max: usize,
    /// So many ids are kept of signals beyond that, over all lanes.
    pub deferred_max: usize,
}

/// A signal that was read from the stream and left there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferred {
    /// Where it is.
    pub place: StreamPlace,
    /// How often it was delivered.
    pub deliveries: u64,
    /// When it was read first.
    pub received_at: Timestamp,
}

/// All lanes.
#[derive(Debug)]
pub struct Lanes {
    config: LanesConfig,
    by_symbol: BTreeMap<Symbol, Lane>,
    /// Symbols whose first waiting signal may go, each once, whose turn is next first.
    turns: VecDeque<Symbol>,
    deferred: usize,
}

#[derive(Debug, Default)]
struct Lane {
    /// How many are on their way, and their side; none while a target is.
    active: usize,
    side: Option<Side>,
    waiting: VecDeque<(OrderKey, Claim)>,
    /// Read from the stream and left there, the oldest first.
    deferred: VecDeque<Deferred>,
    has_turn: bool,
}

impl Lanes {
    /// Empty ones.
    pub fn new(config: LanesConfig) -> Self {
        Self { config, by_symbol: BTreeMap::new(), turns: VecDeque::new(), deferred: 0 }
    }

    /// Whether a signal of this symbol finds room; when it does not, its id is kept by [`Lanes::defer`].
    pub fn has_room(&self, symbol: Symbol) -> bool {
        self.by_symbol
            .get(&symbol)
            .is_none_or(|lane| lane.deferred.is_empty() && lane.waiting.len() < self.config.waiting_max)
    }

    /// Keeps the id of a signal that finds no room.
    pub fn defer(&mut self, symbol: Symbol, signal: Deferred) {
        self.by_symbol.entry(symbol).or_default().deferred.push_back(signal);
        self.deferred += 1;
    }

    /// Whether no more ids can be kept: then nothing more is to be read.
    pub fn is_full(&self) -> bool {
        self.deferred >= self.config.deferred_max
    }

    /// How many ids are kept of signals that were left in the stream.
    pub fn deferred(&self) -> usize {
        self.deferred
    }

    /// Whether [`Lanes::recall`] finds something.
    pub fn has_room_for_deferred(&self) -> bool {
        let half = self.config.waiting_max / 2;
        self.deferred > 0 && self.by_symbol.values().any(|lane| lane.is_to_be_filled(half))
    }

    /// The oldest ids of a lane that has run half empty, so many as fit in: they are to be read again and pushed.
    pub fn recall(&mut self) -> Option<(Symbol, Vec<Deferred>)> {
        if self.deferred == 0 {
            return None;
        }
        let half = self.config.waiting_max / 2;
        let (symbol, lane) = self.by_symbol.iter_mut().find(|(_, lane)| lane.is_to_be_filled(half))?;
        let room = (self.config.waiting_max - lane.waiting.len()).min(lane.deferred.len());
        self.deferred -= room;
        Some((*symbol, lane.deferred.drain(..room).collect()))
    }

    /// Puts back what could not be read again.
    pub fn put_back(&mut self, symbol: Symbol, signals: &[Deferred]) {
        self.deferred += signals.len();
        let lane = self.by_symbol.entry(symbol).or_default();
        for signal in signals.iter().rev() {
            lane.deferred.push_front(*signal);
        }
    }

    /// Puts a signal at the end of its lane; says which targets of the same strategy wait before it: it replaces them.
    pub fn push(&mut self, symbol: Symbol, order: OrderKey, claim: Claim) -> Vec<OrderKey> {
        let sides_wait = self.config.sides_wait;
        let lane = self.by_symbol.entry(symbol).or_default();
        let mut replaced = Vec::new();
        if let (Some(owner), false) = (&claim.target_of, claim.is_step) {
            let own = lane.waiting.iter().filter(|(_, other)| other.target_of.as_ref() == Some(owner));
            replaced.extend(own.map(|(waiting, _)| *waiting));
        }
        lane.waiting.push_back((order, claim));
        lane.give_turn(symbol, sides_wait, &mut self.turns);
        replaced
    }

    /// The next signal that may go, by symbol in turn; it is on its way until [`Lanes::leave`].
    pub fn take(&mut self) -> Option<OrderKey> {
        loop {
            let symbol = self.turns.pop_front()?;
            let Some(lane) = self.by_symbol.get_mut(&symbol) else { continue };
            lane.has_turn = false;
            if !lane.may_go(self.config.sides_wait) {
                continue;
            }
            let Some((order, claim)) = lane.waiting.pop_front() else { continue };
            lane.active += 1;
            lane.side = claim.side;
            lane.give_turn(symbol, self.config.sides_wait, &mut self.turns);
            return Some(order);
        }
    }

    /// Whether something may go.
    pub fn is_ready(&self) -> bool {
        !self.turns.is_empty()
    }

    /// A signal that was on its way has its end.
    pub fn leave(&mut self, symbol: Symbol) {
        let Some(lane) = self.by_symbol.get_mut(&symbol) else { return };
        lane.active = lane.active.saturating_sub(1);
        lane.give_turn(symbol, self.config.sides_wait, &mut self.turns);
        self.forget_empty(symbol);
    }

    /// A signal that waits has its end.
    pub fn withdraw(&mut self, symbol: Symbol, order: OrderKey) {
        let Some(lane) = self.by_symbol.get_mut(&symbol) else { return };
        lane.waiting.retain(|(waiting, _)| *waiting != order);
        lane.give_turn(symbol, self.config.sides_wait, &mut self.turns);
        self.forget_empty(symbol);
    }

    fn forget_empty(&mut self, symbol: Symbol) {
        let is_empty = |lane: &Lane| lane.active == 0 && lane.waiting.is_empty() && lane.deferred.is_empty();
        if self.by_symbol.get(&symbol).is_some_and(|lane| is_empty(lane) && !lane.has_turn) {
            self.by_symbol.remove(&symbol);
        }
    }
}

impl Lane {
    fn is_to_be_filled(&self, half: usize) -> bool {
        !self.deferred.is_empty() && self.waiting.len() <= half
    }

    /// Whether nobody of the opposite side is on the way before the first that waits.
    fn may_go(&self, sides_wait: bool) -> bool {
        let Some((_, claim)) = self.waiting.front() else { return false };
        !sides_wait || self.active == 0 || (claim.side.is_some() && claim.side == self.side)
    }

    fn give_turn(&mut self, symbol: Symbol, sides_wait: bool, turns: &mut VecDeque<Symbol>) {
        if !self.has_turn && self.may_go(sides_wait) {
            self.has_turn = true;
            turns.push_back(symbol);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Side::{Buy, Sell};

    const CONFIG: LanesConfig = LanesConfig { sides_wait: true, waiting_max: 4, deferred_max: 1_000 };

    fn symbol(text: &str) -> Symbol {
        text.parse().unwrap()
    }

    fn of(side: Side) -> Claim {
        Claim { side: Some(side), target_of: None, is_step: false }
    }

    fn target(owner: &str, is_step: bool) -> Claim {
        Claim { side: None, target_of: Some(owner.into()), is_step }
    }

    fn key(number: u32) -> OrderKey {
        OrderKey::of(number)
    }

    fn take_all(lanes: &mut Lanes) -> Vec<OrderKey> {
        std::iter::from_fn(|| lanes.take()).collect()
    }

    #[test]
    fn the_same_side_goes_together_and_the_opposite_side_waits_in_order() {
        let mut lanes = Lanes::new(CONFIG);
        let nvda = symbol("NVDA");
        for (number, side) in [(1, Buy), (2, Buy), (3, Sell), (4, Buy)] {
            lanes.push(nvda, key(number), of(side));
        }
        assert_eq!(take_all(&mut lanes), [key(1), key(2)]);
        lanes.leave(nvda);
        assert_eq!(lanes.take(), None);
        lanes.leave(nvda);
        assert_eq!(take_all(&mut lanes), [key(3)]);
        lanes.leave(nvda);
        assert_eq!(take_all(&mut lanes), [key(4)]);
    }

    #[test]
    fn a_target_goes_alone_and_a_newer_one_of_its_strategy_replaces_those_that_wait() {
        let mut lanes = Lanes::new(CONFIG);
        let nvda = symbol("NVDA");
        lanes.push(nvda, key(1), of(Buy));
        assert_eq!(lanes.take(), Some(key(1)));
        assert_eq!(lanes.push(nvda, key(2), target("a", false)), []);
        assert_eq!(lanes.push(nvda, key(3), target("b", false)), []);
        assert_eq!(lanes.push(nvda, key(4), target("a", true)), [], "a step replaces nothing");
        assert_eq!(lanes.push(nvda, key(5), target("a", false)), [key(2), key(4)]);
        lanes.withdraw(nvda, key(2));
        lanes.withdraw(nvda, key(4));
        assert_eq!(lanes.take(), None);
        lanes.leave(nvda);
        assert_eq!(take_all(&mut lanes), [key(3)]);
        lanes.leave(nvda);
        assert_eq!(take_all(&mut lanes), [key(5)]);
    }

    #[test]
    fn symbols_take_turns_and_do_not_wait_for_each_other() {
        let mut lanes = Lanes::new(LanesConfig { waiting_max: 100, ..CONFIG });
        for number in 0..10 {
            lanes.push(symbol("NVDA"), key(number), of(Buy));
        }
        lanes.push(symbol("SPY"), key(10), of(Sell));
        lanes.push(symbol("AAPL"), key(11), of(Sell));
        let taken: Vec<_> = take_all(&mut lanes);
        assert_eq!(taken[..4], [key(0), key(10), key(11), key(1)]);
        assert_eq!(taken.len(), 12);
    }

    #[test]
    fn a_lane_is_bounded_and_what_is_beyond_is_recalled_in_order() {
        let mut lanes = Lanes::new(CONFIG);
        let nvda = symbol("NVDA");
        for number in 0..10_u32 {
            if lanes.has_room(nvda) {
                lanes.push(nvda, key(number), of(Buy));
            } else {
                lanes.defer(
                    nvda,
                    Deferred {
                        place: (u64::from(number), 0),
                        deliveries: 1,
                        received_at: Timestamp::default(),
                    },
                );
            }
        }
        assert_eq!((lanes.deferred(), lanes.recall()), (6, None), "the lane is full");
        assert!(!lanes.has_room_for_deferred());
        for expected in 0..3 {
            assert_eq!(lanes.take(), Some(key(expected)));
        }
        assert!(!lanes.has_room(nvda), "older ones come first");
        assert!(lanes.has_room_for_deferred());
        let (_, signals) = lanes.recall().unwrap();
        assert_eq!(signals.iter().map(|signal| signal.place.0).collect::<Vec<_>>(), [4, 5, 6]);
        lanes.put_back(nvda, &signals);
        assert_eq!(lanes.recall().unwrap().1, signals);
        assert_eq!(lanes.deferred(), 3);
    }

    #[test]
    fn where_sides_may_meet_nobody_waits() {
        let mut lanes = Lanes::new(LanesConfig { sides_wait: false, ..CONFIG });
        for (number, side) in [(1, Buy), (2, Sell), (3, Buy)] {
            lanes.push(symbol("NVDA"), key(number), of(side));
        }
        assert_eq!(take_all(&mut lanes), [key(1), key(2), key(3)]);
    }

    proptest! {
        /// Whatever comes and ends in whatever order: opposite sides are never on the way together, the stream's order is
        /// kept within a symbol, and all go in the end.
        #[test]
        fn lanes_keep_the_streams_order_and_lose_nobody(
            steps in prop::collection::vec((0..3_usize, 0..3_u8, any::<bool>()), 1..120)
        ) {
            let symbols = ["NVDA", "SPY", "AAPL"].map(symbol);
            let mut lanes = Lanes::new(LanesConfig { waiting_max: 1_000, ..CONFIG });
            let mut claims: Vec<(usize, Option<Side>)> = Vec::new();
            let mut on_way: Vec<(OrderKey, usize)> = Vec::new();
            let mut taken: [Vec<OrderKey>; 3] = Default::default();
            let mut go = |lanes: &mut Lanes, on_way: &mut Vec<(OrderKey, usize)>, claims: &[(usize, Option<Side>)]| {
                while let Some(order) = lanes.take() {
                    let (place, side) = claims[order.place()];
                    for (other, _) in on_way.iter().filter(|(_, at)| *at == place) {
                        let other = claims[other.place()].1;
                        assert!(side.is_some() && side == other, "opposite sides meet");
                    }
                    taken[place].push(order);
                    on_way.push((order, place));
                }
            };
            for (place, claim, ends) in steps {
                let side = [Some(Buy), Some(Sell), None][usize::from(claim)];
                let order = key(u32::try_from(claims.len()).unwrap());
                claims.push((place, side));
                lanes.push(symbols[place], order, Claim { side, target_of: None, is_step: false });
                go(&mut lanes, &mut on_way, &claims);
                if ends && !on_way.is_empty() {
                    let (_, place) = on_way.remove(on_way.len() / 2);
                    lanes.leave(symbols[place]);
                    go(&mut lanes, &mut on_way, &claims);
                }
            }
            while let Some((_, place)) = on_way.pop() {
                lanes.leave(symbols[place]);
                go(&mut lanes, &mut on_way, &claims);
            }
            prop_assert!(lanes.by_symbol.is_empty());
            prop_assert!(taken.iter().all(|taken| taken.is_sorted()));
            prop_assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), claims.len());
        }
    }
}
