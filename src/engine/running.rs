//! A live trader's thread: waits for the first tick, evaluates, rests, and ends when it is told to.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select};

use super::EngineError;
use super::trader::{News, TraderState, TraderStatus};
use super::trader_runner::{SharedStatus, TraderRunner, next_due};
use crate::clock::{Alarm, Clock, Timestamp, recv_until};
use crate::strategy::runner::catch;
use crate::symbol::Symbol;
use crate::ticks::SymbolWindow;

/// A trader's thread, seen from the engine.
pub(super) struct TraderThread {
    stopped: Arc<AtomicBool>,
    /// Dropped to wake it.
    wake: Option<Sender<Infallible>>,
    /// Disconnects when the thread is done with the trader.
    done: Receiver<Infallible>,
    thread: JoinHandle<()>,
    status: SharedStatus,
    name: Option<String>,
}

impl TraderThread {
    pub(super) fn start(
        symbol: Symbol,
        runner: TraderRunner,
        series: Arc<SymbolWindow>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let (wake, stop) = bounded(1);
        let (working, done) = bounded(1);
        let stopped = Arc::new(AtomicBool::new(false));
        let (status, name) = (runner.status(), runner.name().map(str::to_owned));
        let life = Life { runner, series, clock, stop, stopped: Arc::clone(&stopped) };
        let thread_name = name.clone().unwrap_or_else(|| format!("trader-{symbol}")).replace('\0', "");
        let thread = std::thread::Builder::new()
            .name(thread_name)
            .spawn(move || {
                life.live();
                drop::<Sender<Infallible>>(working);
            })
            .map_err(|error| EngineError::Thread { symbol, text: error.to_string() })?;
        Ok(Self { stopped, wake: Some(wake), done, thread, status, name })
    }

    /// From here on no order leaves, and a resting trader wakes to end.
    pub(super) fn ask_to_end(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake = None;
    }

    /// Waits for the end until the grace is over; true when it has ended.
    pub(super) fn wait(&self, grace: &mut Grace) -> bool {
        // A trader that stops itself cannot be waited for: it ends as soon as it returns.
        if self.thread.thread().id() == std::thread::current().id() {
            return true;
        }
        if !grace.is_over {
            select! {
                recv(self.done) -> _ => return true,
                recv(*grace.timer) -> _ => grace.is_over = true,
            }
        }
        self.done.try_recv() == Err(TryRecvError::Disconnected)
    }

    pub(super) fn status(&self) -> TraderStatus {
        self.status.lock().clone()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// A time that any number of waits may use up together.
pub(super) struct Grace {
    timer: Alarm,
    is_over: bool,
}

impl Grace {
    pub(super) fn new(clock: &dyn Clock, span: Duration) -> Self {
        Self { timer: clock.alarm(clock.now() + span), is_over: false }
    }
}

/// What the thread holds.
struct Life {
    runner: TraderRunner,
    series: Arc<SymbolWindow>,
    clock: Arc<dyn Clock>,
    stop: Receiver<Infallible>,
    stopped: Arc<AtomicBool>,
}

impl Life {
    fn live(mut self) {
        if let Err(text) = catch(|| self.work()) {
            self.status_ended();
            self.runner.report(self.clock.now(), News::Panicked(text));
            self.runner.report(self.clock.now(), News::Ended);
        }
        // A trader may panic even while it is dropped.
        let _ = catch(move || drop(self));
    }

    fn work(&mut self) {
        if !self.await_first_tick() {
            return;
        }
        let mut due = self.clock.now();
        while self.rest_until(due) {
            let now = self.clock.now();
            let window = self.series.snapshot(now);
            let stopped = &self.stopped;
            if self.runner.evaluate(now, window.all(), || !stopped.load(Ordering::SeqCst)).ended {
                return;
            }
            due = next_due(due, self.runner.eval_interval(), self.clock.now());
        }
    }

    /// False when the trader was stopped first.
    fn await_first_tick(&self) -> bool {
        let first = self.series.first_tick();
        select! {
            recv(first) -> _ => !self.stopped.load(Ordering::SeqCst),
            recv(self.stop) -> _ => false,
        }
    }

    /// Waits until the clock shows `due`; false when the trader was stopped meanwhile.
    fn rest_until(&self, due: Timestamp) -> bool {
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return false;
            }
            let now = self.clock.now();
            let interval = self.runner.eval_interval();
            // A clock that was set back by more than an interval must not silence the trader.
            if now >= due || due > now + interval {
                return true;
            }
            match recv_until(&*self.clock, &self.stop, due) {
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(never) => match never {},
            }
        }
    }

    fn status_ended(&self) {
        self.runner.status().lock().state = TraderState::Ended;
    }
}
