//! The engine: ticks in, one trader per symbol, orders out. [`Engine`] runs live, [`TestEngine`] travels in time;
//! both run the same traders over the same store.
//!
//! Every trader has a thread of its own and judges a snapshot, so one that fails, panics, blocks or loops for ever
//! hurts neither its neighbours nor the feed. [`TraderStrategy`] runs them in `bot run` and `bot backtest` instead, like any strategy.

mod as_strategy;
mod order;
mod order_forwarder;
mod running;
mod trader_runner;
mod trader;
mod travel;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

pub use as_strategy::TraderStrategy;
pub use order::{OrderFault, TradeDirection, TradeOrder};
pub use order_forwarder::{OrderForwardError, OrderForwarder};
use running::{Grace, TraderThread};
pub use trader::{
    News, OnFailure, Trader, TraderError, TraderReport, TraderSetup, TraderState, TraderStatus,
};
pub use trader_runner::Reporter;
use trader_runner::{NewTrader, TraderRunner, announce};
pub use travel::TestEngine;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::symbol::Symbol;
use crate::ticks::{Placement, Tick, TickError, TickStore, Window, WindowLimits};

/// Keeps ticks and runs traders, live.
pub struct Engine {
    store: Arc<TickStore>,
    clock: Arc<dyn Clock>,
    new_trader: NewTrader,
    reporter: Reporter,
    stop_grace: Duration,
    running: Mutex<HashMap<Symbol, TraderThread>>,
}

/// What an engine can be told beyond its horizon.
#[derive(Clone)]
pub struct EngineOptions {
    /// What the windows keep and refuse.
    pub limits: WindowLimits,
    /// Stamps ticks and times evaluations.
    pub clock: Arc<dyn Clock>,
    /// How long a stop waits for a trader that is being evaluated before it is left behind.
    pub stop_grace: Duration,
    /// Takes the traders' news; they are logged in any case.
    pub reporter: Reporter,
}

impl EngineOptions {
    /// The machine's clock, one second of grace, news to the log only.
    pub fn new(horizon: Duration) -> Self {
        Self {
            limits: WindowLimits::new(horizon),
            clock: Arc::new(SystemClock),
            stop_grace: Duration::from_secs(1),
            reporter: Arc::new(|_| {}),
        }
    }
}

impl Engine {
    /// An engine that keeps ticks for `horizon` and makes its traders with `new_trader`.
    pub fn new(
        horizon: Duration,
        new_trader: impl Fn(Symbol) -> TraderSetup + Send + Sync + 'static,
    ) -> Self {
        Self::with_options(EngineOptions::new(horizon), new_trader)
    }

    /// The same with options.
    pub fn with_options(
        options: EngineOptions,
        new_trader: impl Fn(Symbol) -> TraderSetup + Send + Sync + 'static,
    ) -> Self {
        let EngineOptions { limits, clock, stop_grace, reporter } = options;
        Self {
            store: Arc::new(TickStore::new(limits, Arc::clone(&clock))),
            clock,
            new_trader: Arc::new(new_trader),
            reporter,
            stop_grace,
            running: Mutex::default(),
        }
    }

    /// Takes a tick, whether or not a trader runs for its symbol; never waits for a trader.
    ///
    /// # Errors
    /// A bad price or size and a time too far ahead are refused and change nothing.
    pub fn tick(&self, tick: Tick) -> Result<Placement, TickError> {
        self.store.push(tick)
    }

    /// Starts the trader of `symbol`: evaluated at once, or with the first tick, and then at its interval.
    ///
    /// # Errors
    /// One runs already, it wants an interval of 0, `new_trader` panics, or no thread can be had: nothing is started.
    pub fn start(&self, symbol: Symbol) -> Result<(), EngineError> {
        refuse_second(&self.running(), symbol)?;
        // Not under the lock: this runs foreign code.
        let runner = TraderRunner::new(symbol, &self.new_trader, &self.reporter)?;
        let mut running = self.running();
        refuse_second(&running, symbol)?;
        let started =
            TraderThread::start(symbol, runner, self.store.series(symbol), Arc::clone(&self.clock))?;
        running.insert(symbol, started);
        Ok(())
    }

    /// Stops the trader of `symbol`. No order of it leaves any more once this returns, and `start` may be called again.
    ///
    /// # Errors
    /// None runs; or it did not come back from an evaluation within the grace and was left behind.
    pub fn stop(&self, symbol: Symbol) -> Result<(), EngineError> {
        let mut running = self.running().remove(&symbol).ok_or(EngineError::NotRunning(symbol))?;
        running.ask_to_end();
        if running.wait(&mut Grace::new(&*self.clock, self.stop_grace)) {
            Ok(())
        } else {
            Err(self.leave_behind(symbol, &running))
        }
    }

    /// Stops all traders, waiting for at most one grace; gives those that were left behind. Dropping does the same.
    pub fn shutdown(&self) -> Vec<Symbol> {
        let mut running: Vec<_> = self.running().drain().collect();
        running.sort_unstable_by_key(|(symbol, _)| *symbol);
        for (_, running) in &mut running {
            running.ask_to_end();
        }
        let mut grace = Grace::new(&*self.clock, self.stop_grace);
        let mut left_behind = Vec::new();
        for (symbol, running) in running {
            if !running.wait(&mut grace) {
                self.leave_behind(symbol, &running);
                left_behind.push(symbol);
            }
        }
        left_behind
    }

    /// What the trader of `symbol` is doing, from its start to its stop.
    pub fn status(&self, symbol: Symbol) -> Option<TraderStatus> {
        self.running().get(&symbol).map(TraderThread::status)
    }

    /// The symbols with a trader, in order, also those whose trader has ended by itself.
    pub fn traders(&self) -> Vec<Symbol> {
        let mut symbols: Vec<_> = self.running().keys().copied().collect();
        symbols.sort_unstable();
        symbols
    }

    /// What is known of `symbol` now.
    pub fn window(&self, symbol: Symbol) -> Window {
        self.store.snapshot(symbol)
    }

    /// The ticks, to be written by feeds and read by others.
    pub fn store(&self) -> &Arc<TickStore> {
        &self.store
    }

    fn leave_behind(&self, symbol: Symbol, running: &TraderThread) -> EngineError {
        let news = News::Abandoned(self.stop_grace);
        let name = running.name().map(str::to_owned);
        announce(&self.reporter, &TraderReport { at: self.clock.now(), symbol, name, news });
        EngineError::Abandoned { symbol, grace: self.stop_grace }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Symbol, TraderThread>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse_second(running: &HashMap<Symbol, TraderThread>, symbol: Symbol) -> Result<(), EngineError> {
    let alive = running.get(&symbol).is_some_and(|running| running.status().state != TraderState::Ended);
    if alive { Err(EngineError::Running(symbol)) } else { Ok(()) }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("traders", &self.traders()).finish_non_exhaustive()
    }
}

/// Why an engine did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum EngineError {
    /// A second trader would double its orders.
    #[error("trader must not be started twice, {0} has one already")]
    Running(Symbol),
    /// There is nothing to stop.
    #[error("trader must be started before it is stopped, {0} has none")]
    NotRunning(Symbol),
    /// It would be evaluated without end.
    #[error("eval_interval must be above 0, was {was:?} for {symbol}")]
    Interval {
        /// Whose trader.
        symbol: Symbol,
        /// What it wanted.
        was: Duration,
    },
    /// The user's function panicked.
    #[error("new_trader must give a trader for {symbol}, panicked: {text}")]
    NewTrader {
        /// For whom.
        symbol: Symbol,
        /// The panic's text.
        text: String,
    },
    /// The machine gives no thread.
    #[error("start the thread of the trader of {symbol}: {text}")]
    Thread {
        /// Whose trader.
        symbol: Symbol,
        /// What the machine says.
        text: String,
    },
    /// It is still in its evaluation; its thread is left behind and no order of it will leave.
    #[error("trader of {symbol} must end within {grace:?} of its stop, was left behind")]
    Abandoned {
        /// Whose trader.
        symbol: Symbol,
        /// How long it was waited for.
        grace: Duration,
    },
    /// A refused tick of time travel.
    #[error(transparent)]
    Tick(#[from] TickError),
    /// A refused tick among many: those before it were taken, it and those after it were not.
    #[error("tick {number}: {source}")]
    TickOfMany {
        /// Counted from 1.
        number: usize,
        /// The rule it breaks.
        source: TickError,
    },
    /// Nothing would ever be evaluated.
    #[error("eval_every must be above 0, was 0")]
    EvalEvery,
    /// Time travel goes forward.
    #[error("time to advance to must be at or after {now}, was {was}")]
    Backwards {
        /// Where the clock stands.
        now: Timestamp,
        /// Where it should have gone.
        was: Timestamp,
    },
}
