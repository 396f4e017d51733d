//! One strategy at work, safely: what it may see, its rhythm, its failures, its panics. What it does wrong hurts only itself.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use thiserror::Error;

use super::{Every, Intent, Intents, OrderEnd, Past, Strategy, StrategyError, View};
use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::symbol::Symbol;
use crate::units::Quantity;

/// After so many failures a strategy is not asked any more, unless it is told otherwise.
pub const FAILURES_MAX: u32 = 3;

/// One strategy with its name and its rhythm.
pub struct Runner {
    name: String,
    /// What it listens to and trades; empty for everything.
    symbols: Vec<Symbol>,
    /// What it may look at beside that, and never trades.
    looked_at: Vec<Symbol>,
    strategy: Box<dyn Strategy>,
    past: Past,
    every: Every,
    failures_max: u32,
    failures: u32,
    is_broken: bool,
    is_active: bool,
    seen: u64,
    event_due: Option<Timestamp>,
    timer_due: Option<Timestamp>,
    intents: Intents,
}

/// A strategy failed, by name.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("strategy \"{strategy}\" failed: {error}{}", if *.is_stopped { "; it is stopped" } else { "" })]
pub struct RunnerFailure {
    /// Whose failure it is.
    pub strategy: String,
    /// What it was.
    pub error: StrategyError,
    /// True when it is not asked any more.
    pub is_stopped: bool,
}

/// A strategy that was stopped for its failures does not go on; it must be made again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("strategy \"{0}\" was stopped for its failures and must be made again")]
pub struct BrokenError(String);

impl Runner {
    /// Runs `strategy` on the events of `symbols` (none: of all symbols).
    pub fn new(name: &str, strategy: Box<dyn Strategy>, symbols: &[Symbol], every: Every) -> Self {
        Self {
            name: name.to_owned(),
            symbols: symbols.to_vec(),
            looked_at: Vec::new(),
            past: Past::new(strategy.horizon()),
            strategy,
            every,
            failures_max: FAILURES_MAX,
            failures: 0,
            is_broken: false,
            is_active: true,
            seen: 0,
            event_due: None,
            timer_due: None,
            intents: Intents::default(),
        }
    }

    /// Stops it after `count` failures; 0 lets it fail for ever. A panic stops it at once in any case.
    #[must_use]
    pub fn with_failures_max(mut self, count: u32) -> Self {
        self.failures_max = count;
        self
    }

    /// Lets it look at more symbols than it trades.
    #[must_use]
    pub fn looking_at(mut self, symbols: &[Symbol]) -> Self {
        self.looked_at = symbols.to_vec();
        self
    }

    /// Bars of this timeframe answer for their symbol, where its main series is of bars.
    #[must_use]
    pub fn on_bars_of(mut self, timeframe: Option<Duration>) -> Self {
        self.past.set_main(timeframe);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is asked at all: it was started, and not stopped for its failures.
    pub fn is_active(&self) -> bool {
        self.is_active && !self.is_broken
    }

    /// Whether it was stopped for its failures.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// How often it failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Asks it again from the next event on. It was not asked in between, but its view has no hole.
    ///
    /// # Errors
    /// It was stopped for its failures.
    pub fn start(&mut self) -> Result<(), BrokenError> {
        if self.is_broken {
            return Err(BrokenError(self.name.clone()));
        }
        self.is_active = true;
        Ok(())
    }

    /// Does not ask it any more.
    pub fn stop(&mut self) {
        self.is_active = false;
    }

    /// What it would see now.
    pub fn view(&self) -> View<'_> {
        self.past.view()
    }

    /// Puts an event into its view; false when it is not meant for it, or shows nothing usable.
    ///
    /// Prices of other symbols and events without a usable price are neither put in nor shown nor counted.
    #[inline]
    pub fn observe(&mut self, event: &MarketEvent) -> bool {
        let symbol = event.symbol();
        let is_meant = self.listens_to(symbol)
            || matches!(event, MarketEvent::Number { .. })
            || self.looked_at.contains(&symbol);
        is_meant && !self.is_broken && self.past.observe(event)
    }

    /// Asks it about an event that is in its view, when its rhythm says so, and takes its intents.
    ///
    /// # Errors
    /// It failed, and all that it wanted on this event is dropped.
    pub fn evaluate(
        &mut self,
        event: &MarketEvent,
    ) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        self.take_event(event)?;
        Ok(self.intents.drain())
    }

    /// [`Runner::evaluate`] without taking its intents; true when it has some.
    #[inline]
    pub(super) fn take_event(&mut self, event: &MarketEvent) -> Result<bool, RunnerFailure> {
        if self.is_active() {
            self.seen += 1;
            if self.is_due(event.known_at()) {
                let now = self.past.now();
                self.guarded(now, |strategy, view, intents| strategy.on_event(event, view, intents))?;
            }
        }
        Ok(!self.intents.is_empty())
    }

    /// Takes its intents.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Intent> + '_ {
        self.intents.drain()
    }

    /// [`Runner::observe`] and then [`Runner::evaluate`], for who shows one event at a time.
    ///
    /// # Errors
    /// As [`Runner::evaluate`].
    pub fn on_event(
        &mut self,
        event: &MarketEvent,
    ) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        if self.observe(event) {
            self.take_event(event)?;
        }
        Ok(self.intents.drain())
    }

    /// When [`Runner::on_timer`] wants to be called next; none without an interval, or before its first call.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timer_due
    }

    /// Tells it that its interval has passed, if it has; the first call starts the interval.
    ///
    /// Spans that were missed are one call, and the next one falls where it would have fallen anyway.
    ///
    /// # Errors
    /// As [`Runner::on_event`].
    pub fn on_timer(&mut self, now: Timestamp) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        if let (true, Every::Span(span)) = (self.is_active(), self.every) {
            let was_started = self.timer_due.is_some();
            if step(&mut self.timer_due, span, now) && was_started {
                self.guarded(now, |strategy, view, intents| strategy.on_timer(now, view, intents))?;
            }
        }
        Ok(self.intents.drain())
    }

    /// Calls its timer now, whatever its rhythm.
    ///
    /// # Errors
    /// As [`Runner::on_event`].
    pub fn ring(&mut self, now: Timestamp) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        if self.is_active() {
            self.guarded(now, |strategy, view, intents| strategy.on_timer(now, view, intents))?;
        }
        Ok(self.intents.drain())
    }

    /// Tells it how one of its signals ended, its fill first.
    ///
    /// # Errors
    /// As [`Runner::evaluate`].
    pub fn on_order_end(
        &mut self,
        end: &OrderEnd,
    ) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        self.past.hold(end.symbol, end.position);
        if self.is_active() {
            self.guarded(end.at, |strategy, view, intents| {
                if let Some(fill) = &end.fill {
                    strategy.on_fill(fill, view, intents)?;
                }
                if end.outcome.is_some() { strategy.on_order_end(end, view, intents) } else { Ok(()) }
            })?;
        }
        Ok(self.intents.drain())
    }

    /// What its book holds at the start.
    pub fn hold(&mut self, symbol: Symbol, shares: Quantity) {
        self.past.hold(symbol, shares);
    }

    fn listens_to(&self, symbol: Symbol) -> bool {
        self.symbols.is_empty() || self.symbols.contains(&symbol)
    }

    #[inline]
    fn is_due(&mut self, now: Timestamp) -> bool {
        match self.every {
            Every::Event | Every::Count { .. } => self.every.is_due_at_event(self.seen),
            Every::Span(span) => step(&mut self.event_due, span, now),
        }
    }

    fn guarded(
        &mut self,
        now: Timestamp,
        ask: impl FnOnce(&mut dyn Strategy, &View<'_>, &mut Intents) -> Result<(), StrategyError>,
    ) -> Result<(), RunnerFailure> {
        self.intents.0.clear(); // A caller that did not take them all has lost them.
        let (strategy, intents, view) = (&mut *self.strategy, &mut self.intents, self.past.view_at(now));
        // After a panic the strategy is never called again, so nobody sees what it left half done.
        let error = match catch(|| ask(strategy, &view, intents)) {
            Ok(Ok(())) if self.intents.is_empty() => return Ok(()),
            Ok(Ok(())) => match self.unwanted() {
                None => return Ok(()),
                Some(error) => error,
            },
            Ok(Err(error)) => error,
            Err(text) => {
                self.is_broken = true;
                StrategyError::failed(format_args!("it panicked: {text}"))
            }
        };
        self.intents.0.clear();
        self.failures = self.failures.saturating_add(1);
        self.is_broken |= self.failures_max > 0 && self.failures >= self.failures_max;
        Err(RunnerFailure { strategy: self.name.clone(), error, is_stopped: self.is_broken })
    }

    /// The first of its intents that it may not have.
    fn unwanted(&self) -> Option<StrategyError> {
        self.intents.0.iter().find_map(|intent| {
            let symbol = match intent {
                Intent::Signal { symbol, .. } => symbol,
                Intent::Order { symbol, quantity, .. } if quantity.is_positive() => symbol,
                Intent::Order { quantity, .. } => {
                    return Some(StrategyError::failed(format_args!(
                        "order must be above 0 shares, was {quantity}"
                    )));
                }
                Intent::CancelAll => return None,
            };
            (!self.listens_to(*symbol)).then(|| {
                let own: Vec<&str> = self.symbols.iter().map(Symbol::as_str).collect();
                StrategyError::failed(format_args!("symbol must be one of {}, was {symbol}", own.join(", ")))
            })
        })
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}

/// Whether `due` has come (none: at once); moves it on to the first instant of its grid after `now`.
fn step(due: &mut Option<Timestamp>, span: Duration, now: Timestamp) -> bool {
    let start = due.unwrap_or(now);
    if now < start {
        return false;
    }
    let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).max(1);
    let into = now.nanos().saturating_sub(start.nanos()) % span;
    *due = Some(Timestamp::from_nanos(now.nanos().saturating_add(span - into)));
    true
}

/// Runs code that somebody else wrote; an error is the text of its panic. What it left half done must not be used again.
pub fn catch<Answer>(run: impl FnOnce() -> Answer) -> Result<Answer, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("without a text").to_owned()
    })
}

#[cfg(test)]
mod tests;
