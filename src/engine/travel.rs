//! Time travel: the same traders and the same store on a clock that the ticks, or the caller, move. One thread, no
//! sleeping: the same ticks give the same orders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::EngineError;
use super::order::TradeOrder;
use super::trader::{TraderReport, TraderSetup, TraderStatus};
use super::trader_runner::{NewTrader, Reporter, TraderRunner, next_due};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::symbol::Symbol;
use crate::ticks::{SymbolWindow, Tick, TickError, TickStore, Window, WindowLimits};

/// How far one tick may move the clock unless told otherwise: longer than any pause of an exchange.
const GAP_MAX: Duration = Duration::from_hours(7 * 24);

/// An engine on a manual clock.
///
/// The clock starts in 1970; the first tick, or the first advance, may move it anywhere. Later ticks move it forward
/// by at most [`WindowLimits::future_max`] (7 days unless told otherwise): what lies further ahead is refused.
/// A trader that never comes back from an evaluation hangs the caller: there is only one thread.
pub struct TestEngine {
    store: TickStore,
    clock: Arc<ManualClock>,
    clock_is_set: bool,
    limits: WindowLimits,
    new_trader: NewTrader,
    reporter: Reporter,
    reports: Arc<Mutex<Vec<TraderReport>>>,
    runners: BTreeMap<Symbol, Seated>,
    /// The next evaluation of every trader that is past its first tick.
    agenda: BTreeSet<(Timestamp, Symbol)>,
}

struct Seated {
    runner: TraderRunner,
    series: Arc<SymbolWindow>,
    due: Option<Timestamp>,
    ended: bool,
}

impl TestEngine {
    /// An engine that keeps ticks for `horizon` and makes its traders with `new_trader`.
    pub fn new(
        horizon: Duration,
        new_trader: impl Fn(Symbol) -> TraderSetup + Send + Sync + 'static,
    ) -> Self {
        Self::with_limits(WindowLimits { future_max: GAP_MAX, ..WindowLimits::new(horizon) }, new_trader)
    }

    /// The same with limits; their `future_max` says how far one tick may move the clock.
    pub fn with_limits(
        limits: WindowLimits,
        new_trader: impl Fn(Symbol) -> TraderSetup + Send + Sync + 'static,
    ) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let reports = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&reports);
        let reporter = move |report: &TraderReport| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(report.clone());
        };
        Self {
            store: TickStore::new(limits, store_clock),
            clock,
            clock_is_set: false,
            limits,
            new_trader: Arc::new(new_trader),
            reporter: Arc::new(reporter),
            reports,
            runners: BTreeMap::new(),
            agenda: BTreeSet::new(),
        }
    }

    /// Where the clock stands.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Starts the trader of `symbol`: evaluated at once, or with the first tick, and then at its interval.
    /// Gives the orders that left, as all of these do; they went to the callback as well.
    ///
    /// # Errors
    /// One runs already, it wants an interval of 0, or `new_trader` panics: nothing is started.
    pub fn start(&mut self, symbol: Symbol) -> Result<Vec<TradeOrder>, EngineError> {
        if self.runners.get(&symbol).is_some_and(|seated| !seated.ended) {
            return Err(EngineError::Running(symbol));
        }
        let runner = TraderRunner::new(symbol, &self.new_trader, &self.reporter)?;
        let series = self.store.series(symbol);
        self.runners.insert(symbol, Seated { runner, series, due: None, ended: false });
        let mut orders = Vec::new();
        self.begin(symbol, &mut orders);
        Ok(orders)
    }

    /// Stops the trader of `symbol`; `start` may be called again.
    ///
    /// # Errors
    /// None was started.
    pub fn stop(&mut self, symbol: Symbol) -> Result<(), EngineError> {
        let seated = self.runners.remove(&symbol).ok_or(EngineError::NotRunning(symbol))?;
        if let Some(due) = seated.due {
            self.agenda.remove(&(due, symbol));
        }
        Ok(())
    }

    /// Takes a tick by time: what was due before it is evaluated first, then the clock moves to it. What is due at its
    /// own instant is evaluated when time goes on, so that it sees all ticks of that instant.
    ///
    /// # Errors
    /// A bad price or size and a time too far ahead are refused and change nothing.
    pub fn tick(&mut self, tick: Tick) -> Result<Vec<TradeOrder>, EngineError> {
        self.admit(tick)?;
        let mut orders = Vec::new();
        if let Some(at) = tick.at {
            self.evaluate_due(at, false, &mut orders);
        }
        self.keep(tick)?;
        self.begin(tick.symbol, &mut orders);
        Ok(orders)
    }

    /// Takes ticks by count: all started traders are evaluated, in the order of their symbols, on tick number `skip`
    /// and every `eval_every` ticks from there (on `eval_every`, when `skip` is 0), counted from 1 in each call.
    /// Intervals are left aside; those that pass meanwhile are not made up for.
    ///
    /// # Errors
    /// An `eval_every` of 0, before anything happens; and the first tick that is refused, with its number.
    pub fn tick_many(
        &mut self,
        ticks: impl IntoIterator<Item = Tick>,
        eval_every: usize,
        skip: usize,
    ) -> Result<Vec<TradeOrder>, EngineError> {
        if eval_every == 0 {
            return Err(EngineError::EvalEvery);
        }
        let mut orders = Vec::new();
        let taken = self.count(ticks, eval_every, skip, &mut orders);
        // Who has not had its turn is evaluated by time from here on.
        for (symbol, seated) in &mut self.runners {
            seated.schedule(*symbol, self.clock.now(), &mut self.agenda);
        }
        taken.map(|()| orders)
    }

    /// Moves the clock to `to`, evaluating all that is due until then, `to` included, in the order of time and symbol.
    ///
    /// # Errors
    /// `to` lies before the clock.
    pub fn advance_to(&mut self, to: Timestamp) -> Result<Vec<TradeOrder>, EngineError> {
        if to < self.now() && self.clock_is_set {
            return Err(EngineError::Backwards { now: self.now(), was: to });
        }
        let mut orders = Vec::new();
        self.evaluate_due(to, true, &mut orders);
        self.clock.set(to);
        self.clock_is_set = true;
        Ok(orders)
    }

    /// Moves the clock by `span`.
    ///
    /// # Errors
    /// As [`TestEngine::advance_to`], which never happens for a span.
    pub fn advance_by(&mut self, span: Duration) -> Result<Vec<TradeOrder>, EngineError> {
        self.advance_to(self.now() + span)
    }

    /// What the trader of `symbol` is doing, from its start to its stop.
    pub fn status(&self, symbol: Symbol) -> Option<TraderStatus> {
        self.runners.get(&symbol).map(|seated| seated.runner.status().lock().clone())
    }

    /// All news of the traders so far.
    pub fn reports(&self) -> Vec<TraderReport> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of `symbol` now.
    pub fn window(&self, symbol: Symbol) -> Window {
        self.store.snapshot(symbol)
    }

    fn count(
        &mut self,
        ticks: impl IntoIterator<Item = Tick>,
        eval_every: usize,
        skip: usize,
        orders: &mut Vec<TradeOrder>,
    ) -> Result<(), EngineError> {
        let mut left = if skip == 0 { eval_every } else { skip };
        for (index, tick) in ticks.into_iter().enumerate() {
            self.admit(tick)
                .and_then(|()| self.keep(tick))
                .map_err(|source| EngineError::TickOfMany { number: index + 1, source })?;
            left -= 1;
            if left == 0 {
                left = eval_every;
                let now = self.now();
                for (symbol, seated) in &mut self.runners {
                    seated.evaluate(*symbol, now, &mut self.agenda, orders);
                }
            }
        }
        Ok(())
    }

    /// Refuses what the store would refuse, before the clock moves.
    fn admit(&self, tick: Tick) -> Result<(), TickError> {
        let now = self.now();
        let trade = tick.to_trade(now);
        self.limits.check(if self.clock_is_set { now } else { trade.at }, &trade)
    }

    fn keep(&mut self, tick: Tick) -> Result<(), TickError> {
        if let Some(at) = tick.at
            && (at > self.now() || !self.clock_is_set)
        {
            self.clock.set(at);
            self.clock_is_set = true;
        }
        self.store.push(tick).map(drop)
    }

    /// Evaluates the trader of `symbol` at once when it waits for a tick and there is one.
    fn begin(&mut self, symbol: Symbol, orders: &mut Vec<TradeOrder>) {
        let now = self.now();
        if let Some(seated) = self.runners.get_mut(&symbol)
            && seated.due.is_none()
        {
            seated.evaluate(symbol, now, &mut self.agenda, orders);
        }
    }

    /// Evaluates what is due before `end`, or at it too; the clock shows each its due time.
    fn evaluate_due(&mut self, end: Timestamp, inclusive: bool, orders: &mut Vec<TradeOrder>) {
        let begun = self.now();
        while let Some(&(due, symbol)) = self.agenda.first()
            && (due < end || (inclusive && due == end))
        {
            self.agenda.pop_first();
            let Some(seated) = self.runners.get_mut(&symbol) else { continue };
            let evaluated = due >= begun && {
                self.clock.set(due);
                seated.evaluate(symbol, due, &mut self.agenda, orders)
            };
            if seated.ended {
                continue;
            }
            let interval = seated.runner.eval_interval();
            let next = if evaluated {
                next_due(due, interval, due)
            } else if due < begun {
                next_due(due, interval, begun - Duration::from_nanos(1)) // Counted ticks have passed it by.
            } else {
                // Without ticks nothing can happen until `end`.
                next_due(due, interval, due.max(end - Duration::from_nanos(1)))
            };
            if next <= due {
                continue; // The end of time.
            }
            seated.due = Some(next);
            self.agenda.insert((next, symbol));
        }
    }
}

impl Seated {
    /// Evaluates unless there is nothing to see; true when it did. The first time puts the trader on the agenda.
    fn evaluate(
        &mut self,
        symbol: Symbol,
        now: Timestamp,
        agenda: &mut BTreeSet<(Timestamp, Symbol)>,
        orders: &mut Vec<TradeOrder>,
    ) -> bool {
        if self.ended {
            return false;
        }
        let runner = &mut self.runner;
        let Some(turn) = self
            .series
            .read(now, |window| (!window.is_empty()).then(|| runner.evaluate(now, window.all(), || true)))
        else {
            return false;
        };
        orders.extend(turn.order);
        self.ended = turn.ended;
        if let Some(due) = self.due.take_if(|_| turn.ended) {
            agenda.remove(&(due, symbol));
        }
        self.schedule(symbol, now, agenda);
        true
    }

    /// Puts a trader that is past its first tick on the agenda.
    fn schedule(&mut self, symbol: Symbol, now: Timestamp, agenda: &mut BTreeSet<(Timestamp, Symbol)>) {
        if self.due.is_none() && !self.ended && !self.series.read(now, Window::is_empty) {
            let due = next_due(now, self.runner.eval_interval(), now);
            self.due = Some(due);
            agenda.insert((due, symbol));
        }
    }
}

impl fmt::Debug for TestEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traders: Vec<_> = self.runners.keys().collect();
        f.debug_struct("TestEngine")
            .field("now", &self.now())
            .field("traders", &traders)
            .finish_non_exhaustive()
    }
}
