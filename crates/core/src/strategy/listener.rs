//! A strategy on a market's events as they come: makes its series, waits until an instant is whole, then asks.

use super::{RunnerFailure, StrategyRun, StrategySignal};
use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::series::{HeardEvent, SeriesFeed};

/// One strategy and what it makes of the market's events.
#[derive(Debug)]
pub struct Listener {
    run: StrategyRun,
    feed: SeriesFeed,
    /// Events of its main series that are in its view, of an instant of which more may come.
    asks: Vec<MarketEvent>,
    at: Timestamp,
    heard: Vec<HeardEvent>,
    asked: u64,
}

impl Listener {
    /// Lets `run` hear what `feed` makes of the market's events.
    pub fn new(run: StrategyRun, feed: SeriesFeed) -> Self {
        let at = Timestamp::from_nanos(i64::MIN);
        Self { run, feed, asks: Vec::new(), at, heard: Vec::new(), asked: 0 }
    }

    /// What it asks once an instant is whole.
    pub fn run(&self) -> &StrategyRun {
        &self.run
    }

    /// The strategy, to be started, stopped, rung or told of an end.
    pub fn run_mut(&mut self) -> &mut StrategyRun {
        &mut self.run
    }

    /// What it hears.
    pub fn feed(&self) -> &SeriesFeed {
        &self.feed
    }

    /// Events of its main series since it was warmed.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// The two for a run over history that makes its series of all events.
    pub fn into_parts(self) -> (StrategyRun, SeriesFeed) {
        (self.run, self.feed)
    }

    /// Takes events that came together. The strategy is asked once the instant that they belong to is whole: all series
    /// that may end then are there, or something later came.
    ///
    /// # Errors
    /// It failed on one of them, and what it wanted on that one is dropped; all are in its view.
    pub fn hear(
        &mut self,
        events: &[MarketEvent],
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        let mut failed = Ok(());
        let mut heard = std::mem::take(&mut self.heard);
        for event in events {
            self.feed.push(event, &mut heard);
        }
        // Of one instant all go into the view before anybody is asked, whatever the order in which they came.
        heard.sort_by_key(|(_, event)| event.known_at());
        for (is_main, event) in heard.drain(..) {
            failed = failed.and(self.show(is_main, event, strategy_signals));
        }
        self.heard = heard;
        if !self.asks.is_empty() && !self.feed.awaits_more(self.at) {
            failed = failed.and(self.evaluate(strategy_signals));
        }
        failed
    }

    /// Since when it waits for the rest of an instant; none when it waits for nothing.
    pub fn waits_since(&self) -> Option<Timestamp> {
        (!self.asks.is_empty()).then_some(self.at)
    }

    /// Ends the bars whose span was over at `now`, and asks about what waited for others of their instant until then.
    ///
    /// # Errors
    /// As [`Listener::hear`].
    pub fn close_until(
        &mut self,
        now: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        let mut failed = Ok(());
        let mut heard = std::mem::take(&mut self.heard);
        self.feed.close_until(now, &mut heard);
        heard.sort_by_key(|(_, event)| event.known_at());
        for (is_main, event) in heard.drain(..) {
            failed = failed.and(self.show(is_main, event, strategy_signals));
        }
        self.heard = heard;
        if self.waits_since().is_some_and(|since| since <= now) {
            failed = failed.and(self.evaluate(strategy_signals));
        }
        failed
    }

    /// Shows it what happened before it started, in order of time; nothing that it wants is sent, but the positions that
    /// it wants at the end are remembered until [`StrategyRun::end_quiet`]. Says how many events of its main series it saw.
    ///
    /// # Errors
    /// It failed; the rest is shown all the same.
    pub fn warm(&mut self, events: impl IntoIterator<Item = MarketEvent>) -> Result<u64, RunnerFailure> {
        self.run.set_quiet(true);
        let (mut failed, mut strategy_signals) = (Ok(()), Vec::new());
        let mut instant: Vec<MarketEvent> = Vec::new();
        for event in events {
            if instant.first().is_some_and(|first| first.known_at() != event.known_at()) {
                failed = failed.and(self.hear(&instant, &mut strategy_signals));
                instant.clear();
            }
            instant.push(event);
        }
        failed = failed.and(self.hear(&instant, &mut strategy_signals));
        failed = failed.and(self.evaluate(&mut strategy_signals));
        let asked = std::mem::take(&mut self.asked);
        failed.map(|()| asked)
    }

    fn show(
        &mut self,
        is_main: bool,
        event: MarketEvent,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        let at = event.known_at();
        let mut asked = Ok(());
        if at > self.at {
            if !self.asks.is_empty() {
                asked = self.evaluate(strategy_signals);
            }
            asked = asked.and(self.run.ring_schedules(at, strategy_signals));
        }
        self.at = self.at.max(at);
        if self.run.show(&event) && is_main {
            self.asked += 1;
            self.asks.push(event);
        }
        asked
    }

    fn evaluate(&mut self, strategy_signals: &mut Vec<StrategySignal>) -> Result<(), RunnerFailure> {
        let asked = self.run.evaluate(&mut self.asks, strategy_signals);
        self.asks.clear();
        asked
    }
}
