//! One strategy of a run, the same live and over history: what it hears, when it is asked, and the signals of its intents.

use std::sync::Arc;
use std::time::Duration;

use super::bar_slice;
use super::last_intent::LastIntent;
use super::refusals::Refusals;
use super::waiting_buys::{KeptRun, WaitingBuys, WeightTarget};
use super::{Intent, OrderEnd, Remembered, Runner, RunnerFailure, StrategySignal, Tag};
use crate::clock::Timestamp;
use crate::instrument::Instruments;
use crate::market::MarketEvent;
use crate::order::OrderType;
use crate::position::Position;
use crate::signal::{TargetWeight, Wanted};
use crate::sizing::SizeRule;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// What a schedule asks for is of the instant after its own.
const AFTER: Duration = Duration::from_nanos(1);

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
    /// Whether something that it came to want while it was quiet is not sent yet.
    has_due: bool,
    last: (Timestamp, u32),
    repeats: u64,
    refused: u64,
    intents: Vec<Intent>,
    /// What is bought once what is sold before it is sold.
    buys: WaitingBuys,
    answered: Refusals,
    /// Lots of what it trades.
    instruments: Instruments,
    kept_state: Option<Arc<str>>,
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
            has_due: false,
            last: (Timestamp::from_nanos(i64::MIN), 0),
            repeats: 0,
            refused: 0,
            intents: Vec::new(),
            buys: WaitingBuys::default(),
            answered: Refusals::default(),
            instruments: Instruments::default(),
            kept_state: None,
        }
    }

    /// The same over instruments that are not all what their kind says.
    #[must_use]
    pub fn with_instruments(mut self, instruments: Instruments) -> Self {
        self.instruments = instruments;
        self
    }

    /// Lets it watch until `at` before anything that it wants is sent: how it is warmed. Positions that it wants by then
    /// are sent once with the first event after it, those of its own orders are gone.
    #[must_use]
    pub fn quiet_until(mut self, at: Timestamp) -> Self {
        self.quiet_until = Some(at);
        self.runner.set_warming_up(true);
        self
    }

    /// Lets it watch and sends nothing, until [`StrategyRun::end_quiet`].
    pub fn set_quiet(&mut self, is_quiet: bool) {
        self.quiet_until = is_quiet.then_some(Timestamp::MAX);
        self.runner.set_warming_up(is_quiet);
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

    /// What its book holds, since when, and what it knows that the strategy wants already: saying it again changes nothing,
    /// and what it says while it is warmed with events of before counts no more.
    pub fn restore(
        &mut self,
        symbol: Symbol,
        held: Position,
        opened_at: Option<Timestamp>,
        remembered: Option<Remembered>,
    ) {
        self.runner.hold_since(symbol, held, opened_at);
        if let Some(Remembered { strength, at, is_missed }) = remembered {
            let wanted = strength.map(Wanted::Strength);
            let sent = wanted.filter(|_| !is_missed);
            self.said.push(LastIntent { wanted, sent, known_until: at, ..LastIntent::new(symbol, at) });
        }
    }

    /// What of the strategy's state was kept with its book; it takes that up when it was warmed.
    pub fn keep_state(&mut self, state: Option<Arc<str>>) {
        self.kept_state = state;
    }

    /// What its book has at the start.
    pub fn set_cash(&mut self, cash: Money) {
        self.runner.set_cash(cash);
    }

    /// A signal in `symbol` could not be sent.
    pub fn note_unsent(&mut self, symbol: Symbol) {
        self.runner.note_end(symbol, true);
    }

    /// Puts an event into its view without asking it; false when it is not meant for it, or shows nothing usable.
    #[inline]
    pub fn show(&mut self, event: &MarketEvent) -> bool {
        self.runner.observe(event)
    }

    /// Asks it about events of its main series that are in its view, bars of one instant and timeframe together; its
    /// signals are appended to `strategy_signals`.
    ///
    /// # Errors
    /// It failed, and what it wanted then is dropped.
    #[inline]
    pub fn evaluate(
        &mut self,
        events: &mut [MarketEvent],
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        let mut failed = Ok(());
        for together in events.chunk_by_mut(bar_slice::is_together) {
            together.sort_by_key(MarketEvent::symbol); // Stable, whatever the order in which they came.
            failed = failed.and(self.ask(together, strategy_signals));
        }
        failed
    }

    /// [`StrategyRun::evaluate`] of events that it is asked about in one call.
    ///
    /// # Errors
    /// It failed, and what it wanted then is dropped.
    #[inline]
    pub fn ask(
        &mut self,
        events: &[MarketEvent],
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        let has_intents = self.runner.take_events(events)?;
        if (has_intents || self.quiet_until.is_some() || self.has_due)
            && let Some(event) = events.first()
        {
            self.intents.extend(self.runner.drain());
            self.follow(event.known_at(), strategy_signals);
        }
        Ok(())
    }

    /// Tells it of its schedules that come before `now`.
    ///
    /// # Errors
    /// As [`StrategyRun::evaluate`]; the others are told all the same.
    pub fn ring_schedules(
        &mut self,
        now: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        let mut failed = Ok(());
        loop {
            match self.runner.take_schedule(now) {
                Ok(None) => return failed,
                Ok(Some(due)) => {
                    self.intents.extend(self.runner.drain());
                    // What it wants is of an instant of its own, behind that of the events that it saw.
                    self.follow(due + AFTER, strategy_signals);
                }
                Err(failure) => failed = failed.and(Err(failure)),
            }
        }
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
    pub fn on_order(
        &mut self,
        end: &OrderEnd,
        strategy_signals: &mut Vec<StrategySignal>,
    ) -> Result<(), RunnerFailure> {
        if end.outcome.is_some_and(|outcome| outcome.leaves_missing() && !end.goes_on)
            && let Some(said) = self.said.iter_mut().find(|said| said.symbol == end.symbol)
        {
            said.sent = None; // What was missed for good is asked for again when it is wanted again.
        }
        let is_over = end.outcome.is_some() && !end.goes_on;
        self.runner.note_end(end.symbol, is_over);
        let told = self.runner.on_order(end).map(|intents| self.intents.extend(intents));
        if !self.answered.may_be_answered(end) && !self.intents.is_empty() {
            tracing::warn!(
                strategy = &*self.name,
                reason = end.reason,
                "a refusal is answered too often: not followed"
            );
            self.repeats += u64::try_from(self.intents.drain(..).count()).unwrap_or(u64::MAX);
        }
        self.follow(end.at, strategy_signals);
        if is_over && let Some(buys) = self.buys.sold(end.symbol) {
            self.say_weights(buys, false, end.at, strategy_signals);
        }
        told
    }

    /// It was quiet until now: the positions that it came to want are sent, each once.
    pub fn end_quiet(&mut self, strategy_signals: &mut Vec<StrategySignal>) {
        self.quiet_until = None;
        self.runner.set_warming_up(false);
        let kept = self.kept_state.take().and_then(|text| serde_json::from_str::<KeptRun>(&text).ok());
        let kept = kept.unwrap_or_default();
        if let Some(state) = &kept.state {
            self.runner.restore_state(state);
        }
        self.send_due(strategy_signals);
        // What it waited for is over, or comes again: these are of an instant of their own.
        let (at, buys) = (self.runner.view().now() + AFTER * 2, kept.buys());
        self.buys.is_used |= !buys.is_empty();
        self.say_weights(buys, false, at, strategy_signals);
    }

    /// What of it outlives a restart, as text; none where nothing ever did.
    pub fn state(&self) -> Option<String> {
        let own = self.runner.state();
        let is_kept = own.is_some() || self.buys.is_used;
        is_kept.then(|| serde_json::to_string(&KeptRun::new(own, &self.buys)).unwrap_or_default())
    }

    /// Sends what it came to want while it was quiet in symbols that are warm, what it wants again excepted.
    fn send_due(&mut self, strategy_signals: &mut Vec<StrategySignal>) {
        self.has_due = false;
        let mut weights = Vec::new();
        for said in &mut self.said {
            if !std::mem::take(&mut said.is_due) {
                continue;
            }
            if !self.runner.is_warm(said.symbol) {
                (said.is_due, self.has_due) = (true, true);
                continue;
            }
            if self.intents.iter().any(|intent| intent.places(said.symbol)) {
                continue; // It is sent for that.
            }
            match said.wanted {
                Some(Wanted::Weight(weight)) => {
                    weights.push(WeightTarget { symbol: said.symbol, weight, tag: said.tag.clone() });
                }
                Some(wanted) => {
                    said.sent = Some(wanted);
                    // By the time of its event, so that it is the same signal as one that was sent before a crash.
                    let (tag, id) = (said.tag.clone(), (said.at, said.number));
                    self.runner.note_sent(said.symbol);
                    strategy_signals.push(StrategySignal::of(said.symbol, wanted, tag, id));
                }
                None => {}
            }
        }
        let (sells, buys) = self.split(weights);
        self.buys.wait(&sells, &buys);
        let now = if sells.is_empty() { buys } else { sells };
        for WeightTarget { symbol, weight, tag } in now {
            if let Some(said) = self.said.iter_mut().find(|said| said.symbol == symbol) {
                let wanted = Wanted::Weight(weight);
                said.sent = Some(wanted);
                self.runner.note_sent(symbol);
                strategy_signals.push(StrategySignal::of(symbol, wanted, tag, (said.at, said.number)));
            }
        }
    }

    fn follow(&mut self, at: Timestamp, strategy_signals: &mut Vec<StrategySignal>) {
        let is_quiet = self.quiet_until.is_some_and(|until| at <= until);
        if !is_quiet && self.quiet_until.is_some() {
            self.end_quiet(strategy_signals);
        } else if !is_quiet && self.has_due {
            self.send_due(strategy_signals);
        }
        let mut intents = std::mem::take(&mut self.intents);
        for intent in intents.drain(..) {
            match intent {
                Intent::Signal { symbol, strength, tag } => {
                    self.say((symbol, Wanted::Strength(strength), tag), is_quiet, at, strategy_signals);
                }
                Intent::Weight { symbol, weight, tag } => {
                    self.say((symbol, Wanted::Weight(weight), tag), is_quiet, at, strategy_signals);
                }
                Intent::Holdings { weights, tag } => {
                    let target = |(symbol, weight)| WeightTarget { symbol, weight, tag: tag.clone() };
                    let weights = weights.into_iter().map(target).collect();
                    self.set_holdings(weights, tag.as_ref(), is_quiet, at, strategy_signals);
                }
                Intent::Order { symbol, side, size, order_type, time_in_force, tag } => {
                    if is_quiet || !self.runner.is_warm(symbol) {
                        // An order moves away from what was wanted before it.
                        let overtaken = |said: &&mut LastIntent| said.symbol == symbol;
                        self.said.iter_mut().filter(overtaken).for_each(|said| said.is_due = false);
                        continue;
                    }
                    let limit = match order_type {
                        OrderType::Market => None,
                        OrderType::Limit(limit) => Some(limit),
                    };
                    let wanted =
                        Wanted::Order { side, quantity: Some(self.shares(symbol, size, at)), strength: None };
                    let id = self.next_number(at);
                    let signal = StrategySignal::of(symbol, wanted, tag, id);
                    self.runner.note_sent(symbol);
                    strategy_signals.push(StrategySignal { limit, time_in_force, ..signal });
                }
                Intent::CancelAll if is_quiet => {}
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

    /// The weights, and 0 for whatever else its book holds: what is sold at once, what is bought when that is done.
    fn set_holdings(
        &mut self,
        mut weights: Vec<WeightTarget>,
        tag: Option<&Tag>,
        is_quiet: bool,
        at: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) {
        let held: Vec<Symbol> = self.runner.view_now(at).holdings().map(|held| held.symbol).collect();
        let others = held.into_iter().filter(|symbol| weights.iter().all(|named| named.symbol != *symbol));
        let close = |symbol| WeightTarget { symbol, weight: TargetWeight::ZERO, tag: tag.cloned() };
        let others: Vec<_> = others.map(close).collect();
        weights.extend(others);
        weights.sort_by_key(|target| target.symbol); // Whatever map they come from.
        if is_quiet {
            // Whatever was wanted before is wanted no more.
            let gone = |said: &&mut LastIntent| weights.iter().all(|named| named.symbol != said.symbol);
            self.said.iter_mut().filter(gone).for_each(|said| said.is_due = false);
        }
        let (sells, buys) = self.split(weights);
        self.buys.wait(if is_quiet { &[] } else { &sells }, &buys);
        self.say_weights(sells, is_quiet, at, strategy_signals);
        if !self.buys.is_waiting() {
            self.say_weights(buys, is_quiet, at, strategy_signals);
        }
    }

    fn say_weights(
        &mut self,
        weights: Vec<WeightTarget>,
        is_quiet: bool,
        at: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) {
        for WeightTarget { symbol, weight, tag } in weights {
            self.say((symbol, Wanted::Weight(weight), tag), is_quiet, at, strategy_signals);
        }
    }

    /// Which of them sell, or only buy back what is short, and which do not: those need the money of the others.
    fn split(&self, weights: Vec<WeightTarget>) -> (Vec<WeightTarget>, Vec<WeightTarget>) {
        let view = self.runner.view();
        let equity = view.equity();
        weights.into_iter().partition(|WeightTarget { symbol, weight, .. }| {
            let price = view.latest(*symbol).map_or(0.0, MarketEvent::price);
            let held = view.position(*symbol).to_f64() * price;
            weight.get() * equity < held || held < 0.0 && weight.get() <= 0.0
        })
    }

    /// Shares of an order that speaks of dollars or of the book's equity, at the latest price.
    fn shares(&self, symbol: Symbol, size: SizeRule, at: Timestamp) -> Quantity {
        let view = self.runner.view_now(at);
        let price = view.latest(symbol).and_then(|event| Price::from_f64(event.price()).ok());
        if let SizeRule::Shares(shares) = size {
            return shares;
        }
        self.instruments.of(symbol).floor_lot(size.buys(view.equity(), price))
    }

    fn say(
        &mut self,
        (symbol, wanted, tag): (Symbol, Wanted, Option<Tag>),
        is_quiet: bool,
        at: Timestamp,
        strategy_signals: &mut Vec<StrategySignal>,
    ) {
        let is_quiet = is_quiet || !self.runner.is_warm(symbol);
        let is_strength = matches!(wanted, Wanted::Strength(_));
        if is_quiet && is_strength && !self.is_target {
            return;
        }
        let place = self.said.iter().position(|said| said.symbol == symbol).unwrap_or_else(|| {
            self.said.push(LastIntent::new(symbol, at));
            self.said.len() - 1
        });
        let is_known = is_quiet && at <= self.said[place].known_until;
        let is_repeated = is_strength && self.is_fixed && !is_known && {
            let said = &self.said[place];
            (if is_quiet { said.wanted } else { said.sent }) == Some(wanted)
        };
        let id = if is_repeated { (at, 0) } else { self.next_number(at) };
        let said = &mut self.said[place];
        if is_known {
            return;
        }
        if said.wanted != Some(wanted) {
            said.wanted = Some(wanted);
            (said.at, said.number) = id;
            said.tag.clone_from(&tag);
        }
        if is_quiet {
            said.is_due = said.sent != Some(wanted);
            self.has_due |= said.is_due;
            return;
        }
        if is_repeated {
            self.repeats += 1;
            return;
        }
        said.sent = Some(wanted);
        self.runner.note_sent(symbol);
        strategy_signals.push(StrategySignal::of(symbol, wanted, tag, id));
    }

    /// The next number of this time.
    fn next_number(&mut self, at: Timestamp) -> (Timestamp, u32) {
        let number = if self.last.0 == at { self.last.1 + 1 } else { 0 };
        self.last = (at, number);
        self.last
    }
}

#[cfg(test)]
mod tests;
