//! Where a trader sits: one evaluation with everything that can go wrong in it, and when the next one is due.
//! The live engine and time travel run traders through here, so they run them alike.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, error, warn};

use super::EngineError;
use super::order::TradeOrder;
use super::trader::{News, OnFailure, TraderReport, TraderSetup, TraderState, TraderStatus};
use crate::clock::Timestamp;
use crate::strategy::runner::catch;
use crate::symbol::Symbol;
use crate::ticks::Span;

/// Makes the trader of a symbol.
pub(super) type NewTrader = Arc<dyn Fn(Symbol) -> TraderSetup + Send + Sync>;

/// Takes the news of all traders, on the thread where they happen.
pub type Reporter = Arc<dyn Fn(&TraderReport) + Send + Sync>;

/// A trader at work.
pub(super) struct TraderRunner {
    symbol: Symbol,
    setup: TraderSetup,
    new_trader: NewTrader,
    reporter: Reporter,
    status: SharedStatus,
    failures_in_row: u32,
}

/// What came of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The order that left.
    pub(super) order: Option<TradeOrder>,
    /// True when the trader will not be evaluated any more.
    pub(super) ended: bool,
}

/// A trader's status, read from outside while it works.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedStatus(Arc<Mutex<TraderStatus>>);

impl TraderRunner {
    /// # Errors
    /// An interval of 0, and a panic of `new_trader`.
    pub(super) fn new(
        symbol: Symbol,
        new_trader: &NewTrader,
        reporter: &Reporter,
    ) -> Result<Self, EngineError> {
        let setup = catch(|| new_trader(symbol)).map_err(|text| EngineError::NewTrader { symbol, text })?;
        if setup.eval_interval.is_zero() {
            return Err(EngineError::Interval { symbol, was: setup.eval_interval });
        }
        Ok(Self {
            symbol,
            setup,
            new_trader: Arc::clone(new_trader),
            reporter: Arc::clone(reporter),
            status: SharedStatus::default(),
            failures_in_row: 0,
        })
    }

    pub(super) fn status(&self) -> SharedStatus {
        self.status.clone()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.setup.name.as_deref()
    }

    pub(super) fn eval_interval(&self) -> Duration {
        self.setup.eval_interval
    }

    /// Evaluates once. An order leaves only while `may_leave`; nothing the trader does gets past here but that order.
    pub(super) fn evaluate(
        &mut self,
        now: Timestamp,
        window: Span<'_>,
        may_leave: impl Fn() -> bool,
    ) -> Turn {
        let Some(last) = window.last() else { return Turn::default() };
        {
            let mut status = self.status.lock();
            status.state = TraderState::Evaluating(now);
            status.evaluations += 1;
        }
        let trader = &mut self.setup.trader;
        let turn = match catch(|| trader.evaluate(now, window)) {
            Ok(Ok(None)) => self.succeed(None),
            Ok(Ok(Some(order))) => self.let_out(order, now, last.price, may_leave),
            Ok(Err(error)) => self.fail(now, News::Failed(error)),
            Err(text) => self.fail(now, News::Panicked(text)),
        };
        self.status.lock().state = if turn.ended { TraderState::Ended } else { TraderState::Resting };
        turn
    }

    /// Says in log, status and report that the trader is gone for a reason that is not its own failure.
    pub(super) fn report(&self, at: Timestamp, news: News) {
        let report = TraderReport { at, symbol: self.symbol, name: self.setup.name.clone(), news };
        announce(&self.reporter, &report);
    }

    fn let_out(
        &mut self,
        order: TradeOrder,
        now: Timestamp,
        price: f64,
        may_leave: impl Fn() -> bool,
    ) -> Turn {
        if let Err(fault) = order.check(self.symbol, now, price) {
            self.status.lock().orders_refused += 1;
            self.report(now, News::OrderRefused(order, fault));
            return self.succeed(None);
        }
        if !may_leave() {
            debug!(symbol = %self.symbol, "an order was decided after the trader's stop and is dropped");
            return self.succeed(None);
        }
        self.status.lock().orders += 1;
        let callback = &mut self.setup.callback;
        match catch(|| callback(order)) {
            Ok(()) => self.succeed(Some(order)),
            Err(text) => Turn { order: Some(order), ..self.fail(now, News::Panicked(text)) },
        }
    }

    fn succeed(&mut self, order: Option<TradeOrder>) -> Turn {
        self.failures_in_row = 0;
        Turn { order, ended: false }
    }

    fn fail(&mut self, now: Timestamp, news: News) -> Turn {
        self.failures_in_row += 1;
        self.note_failure(now, news);
        let restarts = match self.setup.on_failure {
            OnFailure::Stop => 0,
            OnFailure::Restart { times } => times,
        };
        let ended = self.failures_in_row > restarts || !self.replace(now);
        let news = if ended { News::Ended } else { News::Restarted(self.failures_in_row) };
        self.report(now, news);
        Turn { order: None, ended }
    }

    /// Puts a new trader in the place of one that failed: nobody knows what state that one is in.
    fn replace(&mut self, now: Timestamp) -> bool {
        let (new_trader, symbol) = (Arc::clone(&self.new_trader), self.symbol);
        match catch(|| new_trader(symbol)) {
            Ok(setup) => {
                let (interval, old) = (self.setup.eval_interval, std::mem::replace(&mut self.setup, setup));
                self.setup.eval_interval = interval;
                if let Err(text) = catch(|| drop(old)) {
                    self.note_failure(now, News::Panicked(text));
                }
                true
            }
            Err(text) => {
                self.note_failure(now, News::Panicked(text));
                false
            }
        }
    }

    fn note_failure(&self, now: Timestamp, news: News) {
        {
            let mut status = self.status.lock();
            status.failures += 1;
            status.last_failure = match &news {
                News::Failed(error) => Some(error.to_string()),
                News::Panicked(text) => Some(format!("panicked: {text}")),
                News::OrderRefused(..) | News::Restarted(_) | News::Ended | News::Abandoned(_) => None,
            };
        }
        self.report(now, news);
    }
}

impl SharedStatus {
    pub(super) fn lock(&self) -> MutexGuard<'_, TraderStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs a report and hands it on.
pub(super) fn announce(reporter: &Reporter, report: &TraderReport) {
    match report.news {
        News::OrderRefused(..) | News::Restarted(_) => warn!("{report}"),
        News::Failed(_) | News::Panicked(_) | News::Ended | News::Abandoned(_) => error!("{report}"),
    }
    if let Err(text) = catch(|| reporter(report)) {
        error!("the receiver of trader reports panicked: {text}");
    }
}

/// The next due time after `now` on the grid of `due` and `interval`: no drift, and what was missed is not made up for.
/// When the clock was set back by more than an interval, the grid starts again.
pub(super) fn next_due(due: Timestamp, interval: Duration, now: Timestamp) -> Timestamp {
    if due > now + interval {
        return now + interval;
    }
    let passed = now.since(due).as_nanos() / interval.as_nanos().max(1) + 1;
    let step = interval.as_nanos().saturating_mul(passed);
    due + Duration::from_nanos(u64::try_from(step).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now_ms: i64, expected_ms: i64) {
        let due =
            next_due(Timestamp::from_secs(1_000), Duration::from_secs(5), Timestamp::from_millis(now_ms));
        assert_eq!(due, Timestamp::from_millis(expected_ms));
    }

    #[test]
    fn evaluations_do_not_drift_and_are_not_made_up_for() {
        check(1_000_000, 1_005_000);
        check(1_000_300, 1_005_000);
        check(1_004_999, 1_005_000);
        check(1_005_000, 1_010_000);
        check(1_017_000, 1_020_000);
    }

    #[test]
    fn a_clock_set_back_does_not_silence_a_trader() {
        check(100_000, 105_000);
    }
}
