//! The gate per symbol: orders of one side run side by side, the opposite side and targets wait, the stream's order is kept.
//!
//! A buy and a sell of one symbol must neither overtake each other nor meet at the broker, which refuses wash trades.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Timestamp};
use crate::condition::Condition;
use crate::order::Side;
use crate::symbol::Symbol;

/// Keeps the order of the stream per symbol.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    moved: Condition,
}

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    waiting: HashMap<Symbol, VecDeque<(u64, Claim)>>,
}

/// What a signal claims of its symbol's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its side; none for a target, of which nobody knows the side before it is its turn: it goes alone.
    pub side: Option<Side>,
    /// Whose target it is, where it is a strategy's.
    pub target_of: Option<Arc<str>>,
    /// Whether it follows from a target before it, so that it replaces none.
    pub is_step: bool,
}

/// A place in the line of one symbol. Dropping it lets the others move up, whatever happened to its holder.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    symbol: Symbol,
    claim: Claim,
    number: u64,
}

impl Gate {
    /// Takes the last place in the symbol's line. Called by the one thread that reads the stream, in its order.
    pub fn line_up(&self, symbol: Symbol, claim: Claim) -> Place {
        let mut lines = self.lines();
        let number = lines.next;
        lines.next += 1;
        lines.waiting.entry(symbol).or_default().push_back((number, claim.clone()));
        Place { gate: self.clone(), symbol, claim, number }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until nobody of the opposite side stands in front, or the clock shows `at`; true when the way is free.
    pub fn wait_until(&self, clock: &dyn Clock, at: Timestamp) -> bool {
        let look = || self.is_free(&self.gate.lines()).then_some(());
        self.gate.0.moved.wait_until(clock, at, look).is_some()
    }

    /// Whether a newer target of the same strategy waits behind it.
    pub fn is_superseded(&self) -> bool {
        let Some(owner) = &self.claim.target_of else { return false };
        let lines = self.gate.lines();
        let behind = |(number, claim): &(u64, Claim)| {
            *number > self.number && !claim.is_step && claim.target_of.as_ref() == Some(owner)
        };
        lines.waiting.get(&self.symbol).is_some_and(|line| line.iter().any(behind))
    }

    fn is_free(&self, lines: &Lines) -> bool {
        let Some(line) = lines.waiting.get(&self.symbol) else { return true };
        let mut before = line.iter().take_while(|(number, _)| *number < self.number);
        match self.claim.side {
            Some(side) => before.all(|(_, other)| other.side == Some(side)),
            None => before.next().is_none(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.gate.lines();
        if let Some(line) = lines.waiting.get_mut(&self.symbol) {
            line.retain(|(number, _)| *number != self.number);
        }
        drop(lines);
        self.gate.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    impl Place {
        fn is_first(&self) -> bool {
            self.wait_until(&ManualClock::default(), Timestamp::default())
        }
    }

    fn claim(side: Side) -> Claim {
        Claim { side: Some(side), target_of: None, is_step: false }
    }

    fn nvda() -> Symbol {
        "NVDA".parse().unwrap()
    }

    #[test]
    fn the_same_side_runs_in_parallel_and_the_opposite_side_waits_in_order() {
        let gate = Gate::default();
        let buy = gate.line_up(nvda(), claim(Side::Buy));
        let another_buy = gate.line_up(nvda(), claim(Side::Buy));
        let sell = gate.line_up(nvda(), claim(Side::Sell));
        let late_buy = gate.line_up(nvda(), claim(Side::Buy));
        assert!(buy.is_first() && another_buy.is_first());
        assert!(!sell.is_first() && !late_buy.is_first());
        drop(buy);
        assert!(!sell.is_first());
        drop(another_buy);
        assert!(sell.is_first() && !late_buy.is_first());
        drop(sell);
        assert!(late_buy.is_first());
    }

    #[test]
    fn a_target_goes_alone_and_a_newer_one_of_its_strategy_replaces_it() {
        let gate = Gate::default();
        let target = |of: &str, is_step| Claim { side: None, target_of: Some(of.into()), is_step };
        let buy = gate.line_up(nvda(), claim(Side::Buy));
        let first = gate.line_up(nvda(), target("a", false));
        let other = gate.line_up(nvda(), target("b", false));
        assert!(!first.is_first() && !first.is_superseded());
        let step = gate.line_up(nvda(), target("a", true));
        assert!(!first.is_superseded(), "a step replaces nothing");
        let second = gate.line_up(nvda(), target("a", false));
        assert!(first.is_superseded() && step.is_superseded() && !other.is_superseded());
        drop(buy);
        assert!(first.is_first() && !other.is_first());
        drop((first, other, step));
        assert!(second.is_first() && !second.is_superseded());
    }

    #[test]
    fn symbols_do_not_wait_for_each_other() {
        let gate = Gate::default();
        let _buy = gate.line_up(nvda(), claim(Side::Buy));
        assert!(gate.line_up("SPY".parse().unwrap(), claim(Side::Sell)).is_first());
    }

    #[test]
    fn a_holder_that_panics_leaves_its_place() {
        let gate = Gate::default();
        let buy = gate.line_up(nvda(), claim(Side::Buy));
        let sell = gate.line_up(nvda(), claim(Side::Sell));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| sell.wait_until(&ManualClock::default(), Timestamp::MAX));
            let died = scope.spawn(move || {
                let _held = buy;
                panic!("on purpose");
            });
            assert!(died.join().is_err());
            assert!(waiter.join().unwrap());
        });
    }
}
