//! One strategy at work: its thread shows it events, sends its signals and tells it how they ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use super::signal_sender::post;
use super::{KeptState, SignalSender, Status, SwitchRequest, lock};
use crate::activity::Activity;
use crate::clock::{Alarm, Clock, Timestamp};
use crate::market::MarketEvent;
use crate::signal::EntryId;
use crate::strategy::{Listener, OrderEnd, RunnerFailure, StrategySignal};

pub(super) struct StrategyThread {
    listener: Listener,
    status: Arc<Mutex<Status>>,
    /// What it keeps over a restart.
    state: KeptState,
    clock: Arc<dyn Clock>,
    sender: SignalSender,
    strategy_signals: Vec<StrategySignal>,
    batch: Vec<MarketEvent>,
    /// When it is to stop waiting for the rest of an instant.
    wait_until: Option<Timestamp>,
}

/// An event further ahead of our clock is a fault of its source: shown, it would empty the strategy's windows.
const FUTURE_MAX: Duration = Duration::from_mins(1);
/// How long a strategy waits for bars of other series that end at the same instant, and for the last minute of a bar.
const GRACE: Duration = Duration::from_secs(1);
/// Events that are taken together at the most.
const BATCH_LEN_MAX: usize = 256;

impl StrategyThread {
    pub(super) fn new(
        listener: Listener,
        (status, state): (Arc<Mutex<Status>>, KeptState),
        clock: Arc<dyn Clock>,
        sender: SignalSender,
    ) -> Self {
        Self {
            listener,
            status,
            state,
            clock,
            sender,
            strategy_signals: Vec::new(),
            batch: Vec::new(),
            wait_until: None,
        }
    }

    /// Works until the feed is closed. Tells `activity` when an event or an end has been dealt with.
    pub(super) fn work(
        mut self,
        events: &Receiver<MarketEvent>,
        ends: &Receiver<OrderEnd>,
        switches: &Receiver<SwitchRequest>,
        activity: &Activity,
    ) {
        // What it came to want while it was warmed is wanted now.
        self.listener.run_mut().end_quiet(&mut self.strategy_signals);
        self.send();
        let mut alarm = self.next_alarm();
        loop {
            let dealt_with = select! {
                recv(events) -> event => match event {
                    Ok(event) => {
                        self.batch.push(event);
                        self.batch.extend(events.try_iter().take(BATCH_LEN_MAX - 1));
                        self.hear()
                    }
                    Err(_) => return,
                },
                recv(ends) -> end => match end {
                    Ok(end) => { self.tell(&end); 1 }
                    Err(_) => return,
                },
                recv(switches) -> switch => match switch {
                    Ok(switch) => { self.switch(&switch); 0 }
                    Err(_) => return,
                },
                recv(*alarm) -> _ => 0,
            };
            alarm = self.next_alarm();
            self.keep_state();
            (0..dealt_with).for_each(|_| activity.end());
        }
    }

    /// What goes off when something is to be done next; what is to be done now is done before.
    fn next_alarm(&mut self) -> Alarm {
        let now = self.clock.now();
        let rung = self.listener.run_mut().ring(now, &mut self.strategy_signals);
        self.follow(rung);
        // What was known at the instant of a schedule may come a little later.
        let called = self.listener.run_mut().ring_schedules(now - GRACE, &mut self.strategy_signals);
        self.follow(called);
        let is_over = self.wait_until.is_some_and(|until| until <= now);
        let ends = self.listener.feed().open_until().map(|end| end + GRACE);
        if is_over || ends.is_some_and(|end| end <= now) {
            let closed = self.listener.close_until(now - GRACE, &mut self.strategy_signals);
            self.follow(closed);
        }
        self.wait_until = match (self.listener.waits_since(), self.wait_until) {
            (None, _) => None,
            (Some(_), Some(until)) if !is_over => Some(until),
            (Some(since), _) => Some(since.max(now) + GRACE),
        };
        let ends = self.listener.feed().open_until().map(|end| end.max(now) + GRACE);
        let runner = self.listener.run().runner();
        let schedule = runner.next_schedule().map(|due| due + GRACE + Duration::from_nanos(1));
        self.clock.alarm(
            [self.wait_until, ends, runner.next_timer(), schedule]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(Timestamp::MAX),
        )
    }

    /// Shows what is in the batch; says how much that was.
    fn hear(&mut self) -> usize {
        let (now, count) = (self.clock.now(), self.batch.len());
        let name = self.listener.run().name();
        self.batch.retain(|event| {
            let is_sane = event.known_at() <= now + FUTURE_MAX;
            if !is_sane {
                tracing::warn!(strategy = &**name, %now, ?event, "an event from the future is not shown");
            }
            is_sane
        });
        let heard = self.listener.hear(&self.batch, &mut self.strategy_signals);
        self.batch.clear();
        lock(&self.status).events = self.listener.asked();
        self.follow(heard);
        count
    }

    fn tell(&mut self, end: &OrderEnd) {
        let told = self.listener.run_mut().on_order(end, &mut self.strategy_signals);
        lock(&self.status).settled += u64::from(end.outcome.is_some());
        self.follow(told);
    }

    fn keep_state(&self) {
        let Some(now) = self.listener.run().state() else { return };
        let mut kept = lock(&self.state);
        if kept.as_deref() != Some(&now) {
            *kept = Some(now.into());
        }
    }

    fn switch(&mut self, switch: &SwitchRequest) {
        let runner = self.listener.run_mut().runner_mut();
        let answer = if switch.active {
            runner.start().map_err(|error| error.to_string())
        } else {
            runner.stop();
            Ok(())
        };
        lock(&self.status).active = runner.is_active();
        let _ = switch.answer.send(answer); // Whoever asked may have gone.
    }

    fn follow(&mut self, done: Result<(), RunnerFailure>) {
        if let Err(failure) = done {
            tracing::error!(%failure, "a strategy failed");
            let runner = self.listener.run().runner();
            let mut status = lock(&self.status);
            status.failures = runner.failures();
            status.active = runner.is_active();
            status.last_failure = Some(failure.to_string());
        }
        self.send();
    }

    /// Sends what it wants, each under an id made of name, time and number, so that the same events make the same signals.
    fn send(&mut self) {
        if self.strategy_signals.is_empty() {
            return;
        }
        let name = Arc::clone(self.listener.run().name());
        for strategy_signal in self.strategy_signals.drain(..) {
            let (id, symbol) = (strategy_signal.id(&name).into(), strategy_signal.symbol);
            let signal = strategy_signal.signal(&name, EntryId::new(""), Some(id), self.clock.now());
            match post(&mut self.sender, &signal.fields(), &*self.clock) {
                Ok(_) => lock(&self.status).signals += 1,
                Err(error) => {
                    tracing::warn!(strategy = &*name, error, "a strategy's signal could not be sent");
                    lock(&self.status).unsent += 1;
                    self.listener.run_mut().note_unsent(symbol);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::market::Trade;
    use crate::series::{Series, SeriesFeed};
    use crate::strategy::{Every, Runner, StrategyRun, WrittenParams};
    use crate::symbol::Symbol;
    use bot_script::Script;

    #[test]
    fn an_event_from_the_future_does_not_empty_the_window() {
        let nvda: Symbol = "NVDA".parse().unwrap();
        let third = "fn horizon() { \"1h\" } fn on_event(e) { if count(e.symbol, \"1h\") == 3 { signal(e.symbol, 1); } }";
        let script = Script::compile("x_strategy.rhai", third).unwrap();
        let strategy = script.make(&WrittenParams::default(), &[nvda]).unwrap();
        let run = StrategyRun::new(Runner::new("x", strategy, &[nvda], Every::Event), true, true);
        let listener = Listener::new(run, SeriesFeed::new(vec![Series::Trades(nvda)], Vec::new()));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&sent);
        let sender: SignalSender = Box::new(move |fields| {
            let text = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
            to.lock().unwrap().push(text.join(" "));
            Ok(EntryId::new("1-0"))
        });
        let mut thread =
            StrategyThread::new(listener, Default::default(), Arc::new(ManualClock::default()), sender);
        for (second, price) in [(1, 50.0), (2, 50.0), (100_000, 1.0), (3, 50.0)] {
            let trade = Trade { at: Timestamp::from_secs(second), price, size: 1.0 };
            thread.batch.push(MarketEvent::Trade { symbol: nvda, trade });
        }
        assert_eq!(thread.hear(), 4);
        assert_eq!(*sent.lock().unwrap(), ["ticker=NVDA strength=1 id=x-3000000000-0 strategy=x book=own"]);
    }
}
