//! The gate per symbol: orders of one side run side by side, the opposite side waits, the stream's order is kept.
//!
//! A buy and a sell of one symbol must neither overtake each other nor meet at the broker, which refuses wash trades.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::order::Side;
use crate::symbol::Symbol;

/// Keeps the order of the stream per symbol.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    waiting: HashMap<Symbol, VecDeque<(u64, Side)>>,
}

/// A place in the line of one symbol. Dropping it lets the others move up, whatever happened to its holder.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    symbol: Symbol,
    side: Side,
    number: u64,
}

impl Gate {
    /// Takes the last place in the symbol's line. Called by the one thread that reads the stream, in its order.
    pub fn line_up(&self, symbol: Symbol, side: Side) -> Place {
        let mut lines = self.lines();
        let number = lines.next;
        lines.next += 1;
        lines.waiting.entry(symbol).or_default().push_back((number, side));
        Place { gate: self.clone(), symbol, side, number }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits at most `span` until nobody of the opposite side stands in front; true when the way is free.
    pub fn wait(&self, span: Duration) -> bool {
        let lines = self.gate.lines();
        let (_lines, timeout) = self
            .gate
            .0
            .moved
            .wait_timeout_while(lines, span, |lines| !self.is_free(lines))
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    fn is_free(&self, lines: &Lines) -> bool {
        let Some(line) = lines.waiting.get(&self.symbol) else { return true };
        line.iter().take_while(|(number, _)| *number < self.number).all(|(_, side)| *side == self.side)
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

    const NO_TIME: Duration = Duration::ZERO;

    fn nvda() -> Symbol {
        "NVDA".parse().unwrap()
    }

    #[test]
    fn the_same_side_runs_in_parallel_and_the_opposite_side_waits_in_order() {
        let gate = Gate::default();
        let buy = gate.line_up(nvda(), Side::Buy);
        let another_buy = gate.line_up(nvda(), Side::Buy);
        let sell = gate.line_up(nvda(), Side::Sell);
        let late_buy = gate.line_up(nvda(), Side::Buy);
        assert!(buy.wait(NO_TIME) && another_buy.wait(NO_TIME));
        assert!(!sell.wait(NO_TIME) && !late_buy.wait(NO_TIME));
        drop(buy);
        assert!(!sell.wait(NO_TIME));
        drop(another_buy);
        assert!(sell.wait(NO_TIME) && !late_buy.wait(NO_TIME));
        drop(sell);
        assert!(late_buy.wait(NO_TIME));
    }

    #[test]
    fn symbols_do_not_wait_for_each_other() {
        let gate = Gate::default();
        let _buy = gate.line_up(nvda(), Side::Buy);
        assert!(gate.line_up("SPY".parse().unwrap(), Side::Sell).wait(NO_TIME));
    }

    #[test]
    fn a_holder_that_panics_leaves_its_place() {
        let gate = Gate::default();
        let buy = gate.line_up(nvda(), Side::Buy);
        let sell = gate.line_up(nvda(), Side::Sell);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| sell.wait(Duration::from_mins(1)));
            let died = scope.spawn(move || {
                let _held = buy;
                panic!("on purpose");
            });
            assert!(died.join().is_err());
            assert!(waiter.join().unwrap());
        });
    }
}
