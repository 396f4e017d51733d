//! The windows of all symbols, shared by many threads: a lock per symbol, so that none waits for another.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::window::Window;
use super::{Placement, Tick, TickError, WindowLimits};
use crate::clock::{Clock, Timestamp};
use crate::market::Trade;
use crate::symbol::Symbol;

/// The windows of all symbols.
pub struct TickStore {
    limits: WindowLimits,
    clock: Arc<dyn Clock>,
    series: RwLock<HashMap<Symbol, Arc<SymbolWindow>>>,
}

/// One symbol's window; who holds it pays no look-up per tick.
#[derive(Debug)]
pub struct SymbolWindow(Mutex<StoreState>);

#[derive(Debug)]
struct StoreState {
    window: Window,
    /// Dropped with the next tick.
    waiting: Vec<Sender<Infallible>>,
}

impl TickStore {
    /// An empty store whose windows all have these limits.
    pub fn new(limits: WindowLimits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock, series: RwLock::default() }
    }

    /// Takes a tick, stamped with the clock's time when it has none.
    ///
    /// # Errors
    /// See [`Window::push`].
    pub fn push(&self, tick: Tick) -> Result<Placement, TickError> {
        let now = self.clock.now();
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = series.get(&tick.symbol) {
            return series.push(now, tick.to_trade(now));
        }
        drop(series);
        self.series(tick.symbol).push(now, tick.to_trade(now))
    }

    /// The window of `symbol`, made when there is none yet.
    pub fn series(&self, symbol: Symbol) -> Arc<SymbolWindow> {
        if let Some(series) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&symbol) {
            return Arc::clone(series);
        }
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(symbol).or_insert_with(|| Arc::new(SymbolWindow::new(self.limits))))
    }

    /// What `symbol`'s window holds now; the store goes on meanwhile. Empty for an unknown symbol.
    pub fn snapshot(&self, symbol: Symbol) -> Window {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&symbol).cloned();
        known.map_or_else(|| Window::new(self.limits), |series| series.snapshot(self.clock.now()))
    }

    /// All symbols that were ever asked for or ticked, in order.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<_> =
            self.series.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        symbols.sort_unstable();
        symbols
    }

    /// The clock that stamps and evicts.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What every window keeps and refuses.
    pub fn limits(&self) -> &WindowLimits {
        &self.limits
    }
}

impl fmt::Debug for TickStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TickStore").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl SymbolWindow {
    fn new(limits: WindowLimits) -> Self {
        Self(Mutex::new(StoreState { window: Window::new(limits), waiting: Vec::new() }))
    }

    /// Takes a tick at the time `now`.
    ///
    /// # Errors
    /// See [`Window::push`].
    pub fn push(&self, now: Timestamp, trade: Trade) -> Result<Placement, TickError> {
        let mut state = self.state();
        let placement = state.window.push(now, trade)?;
        if !state.waiting.is_empty() && !state.window.is_empty() {
            state.waiting.clear();
        }
        Ok(placement)
    }

    /// Looks at the window as of `now`; writers of this symbol wait meanwhile, so look briefly.
    pub fn read<Answer>(&self, now: Timestamp, look: impl FnOnce(&Window) -> Answer) -> Answer {
        let mut state = self.state();
        state.window.move_on(now);
        look(&state.window)
    }

    /// The window as of `now`, to be looked at for as long as one likes.
    pub fn snapshot(&self, now: Timestamp) -> Window {
        self.read(now, Window::clone)
    }

    /// Disconnects as soon as there is a tick; nothing is ever sent.
    pub fn first_tick(&self) -> Receiver<Infallible> {
        let (waiting, first) = bounded(1);
        let mut state = self.state();
        if state.window.is_empty() {
            state.waiting.push(waiting);
        }
        first
    }

    fn state(&self) -> MutexGuard<'_, StoreState> {
        // Who panicked only looked: a window is whole whenever its lock is released.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::TryRecvError;

    use super::*;
    use crate::clock::ManualClock;

    fn store() -> TickStore {
        let clock = ManualClock::new(Timestamp::from_secs(1_000));
        TickStore::new(WindowLimits::new(Duration::from_mins(1)), Arc::new(clock))
    }

    #[test]
    fn a_tick_without_a_time_gets_the_clocks() {
        let (store, symbol) = (store(), "NVDA".parse().unwrap());
        store.push(Tick::new(symbol, 1.5)).unwrap();
        assert_eq!(store.snapshot(symbol).last().unwrap().at, Timestamp::from_secs(1_000));
    }

    #[test]
    fn a_symbol_whose_window_is_held_does_not_hold_up_another() {
        let (store, held, free) = (store(), "F".parse().unwrap(), "BRK.B".parse().unwrap());
        let series = store.series(held);
        series.read(Timestamp::from_secs(1_000), |_| {
            // A thread of its own: were it to wait, joining it would never end.
            std::thread::scope(|scope| {
                let writer =
                    scope.spawn(|| store.push(Tick::new(free, 1.0)).map(|_| store.snapshot(free).len()));
                assert_eq!(writer.join().unwrap(), Ok(1));
            });
        });
        assert_eq!(store.symbols(), [free, held]);
    }

    #[test]
    fn many_writers_and_readers_lose_nothing() {
        let store = store();
        let symbols: Vec<Symbol> =
            ["F", "GOOGL", "BTC/USD"].iter().map(|text| text.parse().unwrap()).collect();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (store, symbols) = (&store, &symbols);
                scope.spawn(move || {
                    for number in 0..3_000 {
                        let at =
                            Timestamp::from_secs(1_000) - Duration::from_millis((number * 7 + writer) % 900);
                        store
                            .push(Tick::new(symbols[usize::try_from(number).unwrap() % 3], 1.0).at(at))
                            .unwrap();
                        if number % 100 == 0 {
                            let window = store.snapshot(symbols[0]);
                            assert!(window.all().iter().map(|tick| tick.at).is_sorted());
                        }
                    }
                });
            }
        });
        for symbol in symbols {
            assert_eq!(store.snapshot(symbol).len(), 4_000);
        }
    }

    #[test]
    fn the_first_tick_wakes_who_waits_for_it() {
        let (store, symbol) = (store(), "F".parse().unwrap());
        let first = store.series(symbol).first_tick();
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        store.push(Tick::new(symbol, -1.0)).unwrap_err();
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty), "a refused tick is none");
        store.push(Tick::new(symbol, 1.0)).unwrap();
        assert_eq!(first.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(store.series(symbol).first_tick().try_recv(), Err(TryRecvError::Disconnected));
    }
}
