//! One strategy at work, safely: what it may see, its rhythm, its failures, its panics. What it does wrong hurts only itself.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use thiserror::Error;

use super::every::{in_session, step};
use super::plots::{PlotLog, PlotPoint, PlotRoom};
use super::{BarSlice, Every, Intent, Intents, OrderEnd, Past, Schedule, Strategy, StrategyError, View};
use crate::clock::Timestamp;
use crate::instrument::Calendar;
use crate::market::MarketEvent;
use crate::position::Position;
use crate::symbol::Symbol;
use crate::units::Money;

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
    /// Whether its timer rings while its market is closed too.
    rings_always: bool,
    /// When each of its schedules comes next; none before time is known.
    schedules_due: Vec<Option<Timestamp>>,
    intents: Intents,
    plotted: PlotLog,
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
        let needs = strategy.needs();
        let schedules_due = vec![None; needs.schedules.len()];
        let mut past = Past::new(needs);
        past.heard = symbols.to_vec();
        name.clone_into(&mut past.strategy);
        Self {
            name: name.to_owned(),
            symbols: symbols.to_vec(),
            looked_at: Vec::new(),
            schedules_due,
            past,
            rings_always: true,
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
            plotted: PlotLog::default(),
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
        if !self.past.heard.is_empty() {
            self.past.heard.extend_from_slice(symbols);
        }
        self
    }

    /// Bars of this timeframe answer for their symbol, where its main series is of bars.
    #[must_use]
    pub fn on_bars_of(mut self, timeframe: Option<Duration>) -> Self {
        self.past.set_main(timeframe);
        self
    }

    /// What it trades is traded by this calendar; its timer rings while that is open, or always.
    #[must_use]
    pub fn by_calendar(mut self, calendar: Calendar, rings_always: bool) -> Self {
        self.past.calendar = calendar;
        self.rings_always = rings_always;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A symbol that its indicators need and that it does not hear of; none where it hears of all.
    pub fn unheard(&self) -> Option<Symbol> {
        let heard = &self.past.heard;
        let needed = self.past.indicators().iter().flat_map(|named| named.indicator.symbols());
        needed.into_iter().find(|symbol| !heard.is_empty() && !heard.contains(symbol))
    }

    /// What of its state outlives a restart.
    pub fn state(&self) -> Option<String> {
        if self.is_broken { None } else { self.strategy.state() }
    }

    /// Gives it the state of a life before this one; one that it cannot take is told of and left out.
    pub(super) fn restore_state(&mut self, state: &str) {
        let strategy = &mut self.strategy;
        let restored = catch(|| strategy.restore_state(state).map_err(|error| error.to_string()));
        if let Err(error) | Ok(Err(error)) = restored {
            tracing::error!(
                strategy = self.name,
                error,
                "the state that was kept cannot be taken up: it begins anew"
            );
        }
    }

    /// What its calls took of what they may take, in words.
    pub fn used(&self) -> Option<String> {
        self.strategy.used()
    }

    /// Whether it is asked at all: it was started, and not stopped for its failures.
    pub fn is_active(&self) -> bool {
        self.is_active && !self.is_broken
    }

    /// Whether it was stopped for its failures.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Keeps what it plots from now on, while there is `room`.
    pub fn keep_plots(&mut self, room: PlotRoom) {
        self.plotted.keep(room);
    }

    /// The names under which it plotted, and what was kept of it, each in order.
    pub fn plotted(&self) -> (&[String], &[PlotPoint]) {
        (self.intents.plots.names(), self.plotted.points())
    }

    /// How many points it plotted, those counted that were not kept.
    pub fn plot_count(&self) -> u64 {
        self.plotted.count()
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
        self.take_events(std::slice::from_ref(event))?;
        Ok(self.intents.drain())
    }

    /// [`Runner::evaluate`] of events that it is asked about together, without taking its intents; true when it has some.
    #[inline]
    pub(super) fn take_events(&mut self, events: &[MarketEvent]) -> Result<bool, RunnerFailure> {
        if let (true, Some(first)) = (self.is_active(), events.first())
            && self.is_due(first.known_at(), events.len())
        {
            let now = self.past.now();
            self.past.advance_indicators();
            self.guarded(now, |strategy, view, intents| match first {
                MarketEvent::Bar { .. } => strategy.on_bar(&BarSlice::new(events), view, intents),
                MarketEvent::Quote { symbol, quote } => strategy.on_quote(*symbol, quote, view, intents),
                MarketEvent::Trade { symbol, trade } => strategy.on_trade(*symbol, trade, view, intents),
                MarketEvent::Number { symbol, number } => strategy.on_number(*symbol, number, view, intents),
            })?;
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
            self.take_events(std::slice::from_ref(event))?;
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
            if step(&mut self.timer_due, span, now) {
                if !self.rings_always {
                    self.timer_due = self.timer_due.map(|due| in_session(due, span, self.past.calendar));
                }
                if was_started {
                    self.guarded(now, |strategy, view, intents| strategy.on_timer(now, view, intents))?;
                }
            }
        }
        Ok(self.intents.drain())
    }

    /// When the first of its schedules comes; none without one, or before [`Runner::on_schedule`] was called.
    pub fn next_schedule(&self) -> Option<Timestamp> {
        self.schedules_due.iter().flatten().min().copied()
    }

    /// Tells it that its schedules have come that come before `now`, the first one first, and of one instant in their
    /// order; those that were missed for longer than one turn are one call. The first call starts them.
    ///
    /// # Errors
    /// As [`Runner::on_event`].
    pub fn on_schedule(
        &mut self,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        self.take_schedule(now)?;
        Ok(self.intents.drain())
    }

    /// [`Runner::on_schedule`] for the first of them that is due; says when that was, without taking its intents.
    pub(super) fn take_schedule(&mut self, now: Timestamp) -> Result<Option<Timestamp>, RunnerFailure> {
        let calendar = self.past.calendar;
        for place in 0..self.schedules_due.len() {
            if self.schedules_due[place].is_none() {
                self.schedules_due[place] = Some(self.schedule(place).next_after(now, calendar));
            }
        }
        let due = self.schedules_due.iter().flatten().enumerate().min_by_key(|(_, due)| **due);
        let Some((place, due)) = due.map(|(place, due)| (place, *due)).filter(|(_, due)| *due < now) else {
            return Ok(None);
        };
        let schedule = self.schedule(place).clone();
        self.schedules_due[place] = Some(schedule.next_after(due, calendar));
        if self.is_active() {
            self.past.advance_indicators();
            self.guarded(due, |strategy, view, intents| strategy.on_schedule(&schedule, view, intents))?;
        }
        Ok(Some(due))
    }

    fn schedule(&self, place: usize) -> &Schedule {
        &self.past.needs.schedules[place]
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
    pub fn on_order(&mut self, end: &OrderEnd) -> Result<impl Iterator<Item = Intent> + '_, RunnerFailure> {
        self.past.hold(end.symbol, end.position, end.cash);
        if self.is_active() {
            self.guarded(end.at, |strategy, view, intents| {
                if let Some(fill) = &end.fill {
                    strategy.on_fill(fill, view, intents)?;
                }
                if end.outcome.is_some() { strategy.on_order(end, view, intents) } else { Ok(()) }
            })?;
        }
        Ok(self.intents.drain())
    }

    /// What its book holds of `symbol` at the start, and since when: before that it is shown to be flat.
    pub fn hold_since(&mut self, symbol: Symbol, position: Position, opened_at: Option<Timestamp>) {
        self.past.hold_since(symbol, position, opened_at);
    }

    /// What its book holds of `symbol` at the start, and its cash.
    pub fn hold(&mut self, symbol: Symbol, position: Position, cash: Money) {
        self.past.hold(symbol, position, cash);
    }

    /// What its book has at the start.
    pub fn set_cash(&mut self, cash: Money) {
        self.past.set_cash(cash);
    }

    /// Whether so many events were seen of `symbol` as it needs before anything that it wants in it is sent.
    #[inline]
    pub(super) fn is_warm(&self, symbol: Symbol) -> bool {
        self.past.is_warm(symbol)
    }

    /// An order that it asked for left.
    pub(super) fn note_sent(&mut self, symbol: Symbol) {
        self.past.note_sent(symbol);
    }

    /// Something came of one of them; whether it is over.
    pub(super) fn note_end(&mut self, symbol: Symbol, is_over: bool) {
        if is_over {
            self.past.note_over(symbol);
        }
    }

    pub(super) fn set_warming_up(&mut self, is_warming_up: bool) {
        self.past.set_warming_up(is_warming_up);
    }

    /// What it would see at `now`.
    pub(super) fn view_now(&self, now: Timestamp) -> View<'_> {
        self.past.view_at(now)
    }

    fn listens_to(&self, symbol: Symbol) -> bool {
        self.symbols.is_empty() || self.symbols.contains(&symbol)
    }

    /// Whether it is asked about the next `count` events, which came together at `now`.
    #[inline]
    fn is_due(&mut self, now: Timestamp, count: usize) -> bool {
        let before = self.seen;
        self.seen += u64::try_from(count).unwrap_or(u64::MAX);
        match self.every {
            Every::Event => true,
            Every::Count { .. } => (before + 1..=self.seen).any(|number| self.every.is_due_at_event(number)),
            Every::Span(span) => step(&mut self.event_due, span, now),
        }
    }

    fn guarded(
        &mut self,
        now: Timestamp,
        ask: impl FnOnce(&mut dyn Strategy, &View<'_>, &mut Intents) -> Result<(), StrategyError>,
    ) -> Result<(), RunnerFailure> {
        self.intents.clear(); // A caller that did not take them all has lost them.
        let (strategy, intents, view) = (&mut *self.strategy, &mut self.intents, self.past.view_at(now));
        // After a panic the strategy is never called again, so nobody sees what it left half done.
        let error = match catch(|| ask(strategy, &view, intents)) {
            Ok(Ok(())) if self.intents.is_empty() => return Ok(()),
            Ok(Ok(())) => match self.intents.unwanted(&self.symbols) {
                None => {
                    let at = view.now();
                    self.take_plots(at);
                    return Ok(());
                }
                Some(error) => error,
            },
            Ok(Err(error)) => error,
            Err(text) => {
                self.is_broken = true;
                StrategyError::failed(format_args!("it panicked: {text}"))
            }
        };
        self.intents.clear();
        self.failures = self.failures.saturating_add(1);
        self.is_broken |= self.failures_max > 0 && self.failures >= self.failures_max;
        Err(RunnerFailure { strategy: self.name.clone(), error, is_stopped: self.is_broken })
    }

    /// Keeps what the call plotted, unless it is warming up.
    fn take_plots(&mut self, at: Timestamp) {
        if self.intents.plots.is_empty() {
            return;
        }
        if self.past.is_warming_up() {
            self.intents.plots.clear();
        } else {
            self.plotted.take(&mut self.intents.plots, at);
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
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
