//! One strategy of a run, the same live and over history: what it hears, when it is asked, and the signals of its intents.

use std::sync::Arc;

use super::{Intent, OrderEnd, Runner, RunnerFailure, Strength};
use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::order::{OrderType, TimeInForce};
use crate::signal::{EntryId, Signal, Wanted};
use crate::symbol::Symbol;
use crate::units::{Price, Quantity};

/// What a strategy wants, with what makes it the same signal in every process.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategySignal {
    /// In what.
    pub symbol: Symbol,
    /// An order, a position, or a strength.
    pub wanted: Wanted,
    /// The worst price, where it says so.
    pub limit: Option<Price>,
    /// How long an order may rest.
    pub time_in_force: TimeInForce,
    /// The time of the event that it came of.
    pub at: Timestamp,
    /// Its number among those of that time, from 0.
    pub number: u32,
}

/// One strategy of a run.
#[derive(Debug)]
pub struct StrategyRun {
    runner: Runner,
    name: Arc<str>,
    /// The same strength is the same number of shares, whatever prices do, so that saying it again changes nothing.
    is_fixed: bool,
    /// Whether its strengths are positions.
    is_target: bool,
    /// Its last words, one for each symbol; few.
    said: Vec<LastIntent>,
    /// Until then it watches and sends nothing.
    quiet_until: Option<Timestamp>,
    last: (Timestamp, u32),
    repeats: u64,
    refused: u64,
    intents: Vec<Intent>,
}

#[derive(Debug)]
struct LastIntent {
    symbol: Symbol,
    /// Its last word, and when it was said.
    strength: Strength,
    at: Timestamp,
    /// The last word that was sent and is not missed for good.
    sent: Option<Strength>,
    /// Until then all that it said is known to its book.
    known_until: Timestamp,
    /// It came to want it while it was quiet.
    is_due: bool,
}

/// What a book knows of a strategy's intents in one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Remembered {
    /// The last strength that it asked for.
    pub strength: Strength,
    /// The time of the event that it came of.
    pub at: Timestamp,
    /// Whether a part of it is missing for good.
    pub is_missed: bool,
}

/// The producer's id of the signal that a strategy gave `number`th, from 0, at the time `at` of an event.
pub fn signal_id(strategy: &str, at: Timestamp, number: u32) -> String {
    format!("{strategy}-{}-{number}", at.nanos())
}

impl StrategySignal {
    /// The producer's id of the signal: the same events give the same ids.
    pub fn id(&self, strategy: &str) -> String {
        signal_id(strategy, self.at, self.number)
    }

    /// The time of the signal that has this id; none where no strategy made it.
    pub fn time_of(id: &str) -> Option<Timestamp> {
        id.rsplit('-').nth(1)?.parse().ok().map(Timestamp::from_nanos)
    }

    /// This as the signal of entry `id`; over history the entry's id is all the identity that it needs.
    pub fn signal(
        &self,
        strategy: &Arc<str>,
        id: EntryId,
        producer_id: Option<Arc<str>>,
        now: Timestamp,
    ) -> Signal {
        Signal {
            id,
            producer_id,
            symbol: self.symbol,
            wanted: self.wanted,
            limit: self.limit,
            time_in_force: self.time_in_force,
            strategy: Arc::clone(strategy),
            is_own: true,
            time_to_live: None,
            sent_at: now,
            step: None,
            redelivered: false,
        }
    }
}

impl StrategyRun {
    /// `is_target`: its strengths are positions; `is_fixed`: of a number of shares that does not depend on prices.
    pub fn new(runner: Runner, is_target: bool, is_fixed: bool) -> Self {
        Self {
            name: runner.name().into(),
            runner,
            is_fixed: is_fixed && is_target,
            is_target,
            said: Vec::new(),
            quiet_until: None,
            last: (Timestamp::from_nanos(i64::MIN), 0),
            repeats: 0,
            refused: 0,
            intents: Vec::new(),
        }
    }

    /// Lets it watch until `at` before anything that it wants is sent: how it is warmed. Positions that it wants by then
    /// are sent once with the first event after it, those of its own orders are gone.
    #[must_use]
    pub fn quiet_until(mut self, at: Timestamp) -> Self {
        self.quiet_until = Some(at);
        self
    }

    /// Lets it watch and sends nothing, until [`StrategyRun::end_quiet`].
    pub fn set_quiet(&mut self, is_quiet: bool) {
        self.quiet_until = is_quiet.then_some(Timestamp::MAX);
    }

    /// The strategy in its runner.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// The strategy in its runner, to be started, stopped or told what its book holds.
    pub fn runner_mut(&mut self) -> &mut Runner {
        &mut self.runner
    }

    /// Its name in the manifest.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Intents that changed nothing: it is where it wants to be, or on its way there.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Intents that cannot be followed: to cancel orders, of which none rests.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What its book holds, and what it knows that the strategy wants already: saying it again changes nothing, and what it
    /// says while it is warmed with events of before counts no more.
    pub fn restore(&mut self, symbol: Symbol, held: Quantity, remembered: Option<Remembered>) {
        self.runner.hold(symbol, held);
        if let Some(Remembered { strength, at, is_missed }) = remembered {
            let sent = (!is_missed).then_some(strength);
            self.said.push(LastIntent { symbol, strength, at, sent, known_until: at, is_due: false });
        }
    }

    /// Puts an event into its view without asking it; false when it is not meant for it, or shows nothing usable.
    #[inline]
    pub fn show(&mut self, event: &MarketEvent) -> bool {
        self.runner.observe(event)
    }

    /// Asks it about an event of its main series that is in its view; its signals are appended to `strategy_signals`.
    ///
    /// # Errors
    /// It failed, and what it wanted is dropped.
    #[inline]
    pub fn evaluate(
        &mut self,
        event: &MarketEvent,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        if !self.runner.take_event(event)? && self.quiet_until.is_none() {
            return Ok(());
        }
        self.intents.extend(self.runner.drain());
        self.follow(event.known_at(), strategy_signals);
        Ok(())
    }

    /// Tells it that its interval has passed, if it has.
    ///
    /// # Errors
    /// As [`StrategyRun::evaluate`].
    pub fn ring(
        &mut self,
        now: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        self.intents.extend(self.runner.on_timer(now)?);
        self.follow(now, strategy_signals);
        Ok(())
    }

    /// Tells it how one of its signals ended.
    ///
    /// # Errors
    /// As [`StrategyRun::evaluate`].
    pub fn on_order_end(
        &mut self,
        end: &OrderEnd,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        if end.outcome.is_some_and(|outcome| outcome.leaves_missing() && !end.goes_on)
            && let Some(said) = self.said.iter_mut().find(|said| said.symbol == end.symbol)
        {
            said.sent = None; // What was missed for good is asked for again when it is wanted again.
        }
        self.intents.extend(self.runner.on_order_end(end)?);
        self.follow(end.at, strategy_signals);
        Ok(())
    }

    /// It was quiet until now: the positions that it came to want are sent, each once.
    pub fn end_quiet(&mut self, strategy_signals: &mut Vec<StrategySignal>) {
        self.quiet_until = None;
        for place in 0..self.said.len() {
            let LastIntent { symbol, strength, at, is_due, .. } = self.said[place];
            // Those that it wants again are sent for that.
            let is_renewed = self
                .intents
                .iter()
                .any(|intent| matches!(intent, Intent::Signal { symbol: own, .. } if *own == symbol));
            self.said[place].is_due = false;
            if is_due && !is_renewed {
                self.said[place].sent = Some(strength);
                // By the time of its event, so that it is the same signal as one that was sent before a crash.
                let strategy_signal =
                    self.strategy_signal(symbol, Wanted::Strength(strength), None, TimeInForce::Ioc, at);
                strategy_signals.push(strategy_signal);
            }
        }
    }

    fn follow(&mut self, at: Timestamp, strategy_signals: &mut Vec<StrategySignal>) {
        let is_quiet = self.quiet_until.is_some_and(|until| at <= until);
        if !is_quiet && self.quiet_until.is_some() {
            self.end_quiet(strategy_signals);
        }
        let mut intents = std::mem::take(&mut self.intents);
        for intent in intents.drain(..) {
            match intent {
                Intent::Signal { symbol, strength } => {
                    self.say(symbol, strength, is_quiet, at, strategy_signals);
                }
                Intent::Order { .. } | Intent::CancelAll if is_quiet => {}
                Intent::Order { symbol, side, quantity, order_type, time_in_force } => {
                    let limit = match order_type {
                        OrderType::Market => None,
                        OrderType::Limit(limit) => Some(limit),
                    };
                    let wanted = Wanted::Order { side, quantity: Some(quantity), strength: None };
                    let strategy_signal = self.strategy_signal(symbol, wanted, limit, time_in_force, at);
                    strategy_signals.push(strategy_signal);
                }
                Intent::CancelAll => {
                    if self.refused == 0 {
                        tracing::warn!(
                            strategy = &*self.name,
                            "cancel_all is refused: no order rests until standing orders exist"
                        );
                    }
                    self.refused += 1;
                }
            }
        }
        self.intents = intents; // Reused, so that an event costs no allocation.
    }

    fn say(
        &mut self,
        symbol: Symbol,
        strength: Strength,
        is_quiet: bool,
        at: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) {
        if is_quiet && !self.is_target {
            return;
        }
        let place = self.said.iter().position(|said| said.symbol == symbol).unwrap_or_else(|| {
            let known_until = Timestamp::from_nanos(i64::MIN);
            self.said.push(LastIntent { symbol, strength, at, sent: None, known_until, is_due: false });
            self.said.len() - 1
        });
        let said = &mut self.said[place];
        if is_quiet && at <= said.known_until {
            return;
        }
        if said.strength != strength {
            (said.strength, said.at) = (strength, at);
        }
        if is_quiet {
            said.is_due = said.sent != Some(strength);
            return;
        }
        if self.is_fixed && said.sent == Some(strength) {
            self.repeats += 1;
            return;
        }
        said.sent = Some(strength);
        let strategy_signal =
            self.strategy_signal(symbol, Wanted::Strength(strength), None, TimeInForce::Ioc, at);
        strategy_signals.push(strategy_signal);
    }

    fn strategy_signal(
        &mut self,
        symbol: Symbol,
        wanted: Wanted,
        limit: Option<Price>,
        time_in_force: TimeInForce,
        at: Timestamp,
    ) -> StrategySignal {
        let number = if self.last.0 == at { self.last.1 + 1 } else { 0 };
        self.last = (at, number);
        StrategySignal { symbol, wanted, limit, time_in_force, at, number }
    }
}
