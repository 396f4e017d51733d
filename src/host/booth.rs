//! One strategy's place of work: its thread shows it events, sends its signals and tells it of its fills.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select};

use super::outbox::post;
use super::{Outbox, Status, Switch, lock};
use crate::clock::{Clock, Timestamp};
use crate::market::MarketEvent;
use crate::order::OrderType;
use crate::outcome::Outcome;
use crate::strategy::{Fill, Runner, RunnerFailure, Wish, usable_price};
use crate::symbol::Symbol;
use crate::target::{Ask, Sizing, Targets};

pub(super) struct Booth {
    runner: Runner,
    sizing: Sizing,
    targets: Targets,
    status: Arc<Mutex<Status>>,
    clock: Arc<dyn Clock>,
    outbox: Outbox,
    /// When the last signal was made, and how many were made then.
    last_signal: (Timestamp, u32),
}

/// An event further ahead of our clock is a fault of its source: shown, it would empty the strategy's windows.
const FUTURE_MAX: Duration = Duration::from_mins(1);

impl Booth {
    pub(super) fn new(
        runner: Runner,
        sizing: Sizing,
        status: Arc<Mutex<Status>>,
        clock: Arc<dyn Clock>,
        outbox: Outbox,
    ) -> Self {
        let last_signal = (Timestamp::default(), 0);
        Self { runner, sizing, targets: Targets::default(), status, clock, outbox, last_signal }
    }

    /// Works until the feed is closed.
    pub(super) fn work(
        mut self,
        events: &Receiver<MarketEvent>,
        settled: &Receiver<Outcome>,
        switches: &Receiver<Switch>,
    ) {
        loop {
            self.ask_timer();
            let timer = self.runner.next_timer().map_or_else(never, |due| after(due.since(self.clock.now())));
            select! {
                recv(events) -> event => match event {
                    Ok(event) => self.ask(&event),
                    Err(_) => return,
                },
                recv(settled) -> outcome => match outcome {
                    Ok(outcome) => self.tell(&outcome),
                    Err(_) => return,
                },
                recv(switches) -> switch => match switch {
                    Ok(switch) => self.heed(&switch),
                    Err(_) => return,
                },
                recv(timer) -> _ => {}
            }
        }
    }

    fn ask(&mut self, event: &MarketEvent) {
        let now = self.clock.now();
        if event.known_at() > now + FUTURE_MAX {
            tracing::warn!(strategy = self.runner.name(), %now, ?event, "an event from the future is not shown");
            return;
        }
        lock(&self.status).events += 1;
        let wishes = self.runner.on_event(event).map(Iterator::collect);
        self.follow(wishes, event.known_at());
    }

    fn ask_timer(&mut self) {
        let now = self.clock.now();
        let wishes = self.runner.on_timer(now).map(Iterator::collect);
        self.follow(wishes, now);
    }

    /// What became of a signal: the position moves, a flip takes its second step, the strategy hears of its fill.
    fn tell(&mut self, outcome: &Outcome) {
        lock(&self.status).settled += 1;
        let goes_on = self.targets.settled(&outcome.signal, outcome.filled.unwrap_or_default());
        let now = self.clock.now();
        let (symbol, side, filled) =
            (outcome.symbol, outcome.side, outcome.filled.filter(|filled| filled.is_positive()));
        if let (Some(symbol), Some(side), Some(quantity), Some(price)) =
            (symbol, side, filled, outcome.average_price)
        {
            let at = outcome.final_at.unwrap_or(now);
            let wishes =
                self.runner.on_fill(&Fill { at, symbol, side, quantity, price }).map(Iterator::collect);
            self.follow(wishes, at);
        }
        if let Some(symbol) = symbol.filter(|_| goes_on && self.runner.is_active()) {
            let ask = self.targets.step(symbol);
            self.send(symbol, ask, Vec::new(), now);
        }
    }

    fn heed(&mut self, switch: &Switch) {
        let answer = if switch.active {
            self.runner.start().map_err(|error| error.to_string())
        } else {
            self.runner.stop();
            Ok(())
        };
        lock(&self.status).active = self.runner.is_active();
        let _ = switch.answer.send(answer); // Whoever asked may have gone.
    }

    fn follow(&mut self, wishes: Result<Vec<Wish>, RunnerFailure>, at: Timestamp) {
        match wishes {
            Ok(wishes) => wishes.into_iter().for_each(|wish| self.grant(&wish, at)),
            Err(failure) => {
                tracing::error!(%failure, "a strategy failed");
                let mut status = lock(&self.status);
                status.failures = self.runner.failures();
                status.active = self.runner.is_active();
                status.last_failure = Some(failure.to_string());
            }
        }
    }

    fn grant(&mut self, wish: &Wish, at: Timestamp) {
        match wish {
            Wish::Signal { symbol, strength } => {
                // Not the event's: a strategy may speak of another symbol than it was just shown.
                let latest = self.runner.view().latest(*symbol).and_then(usable_price);
                let price = latest.unwrap_or(f64::NAN);
                let ask = self.targets.ask(&self.sizing, *symbol, *strength, price);
                self.send(*symbol, ask, vec![("strength", strength.get().to_string())], at);
            }
            Wish::Order { symbol, side, quantity, order_type, .. } => {
                let limit = match order_type {
                    OrderType::Market => None,
                    OrderType::Limit(limit) => Some(("limit", limit.to_string())),
                };
                self.send(*symbol, Ask::Shares(*side, *quantity), limit.into_iter().collect(), at);
            }
            // Live orders are immediate-or-cancel, so none rests that could be cancelled.
            Wish::CancelAll => {}
        }
    }

    fn send(&mut self, symbol: Symbol, ask: Ask, mut fields: Vec<(&'static str, String)>, at: Timestamp) {
        let (side, shares) = match ask {
            Ask::Nothing => return,
            Ask::DeskSized(side) => (side, None),
            Ask::Shares(side, shares) => (side, Some(shares)),
        };
        let number = if self.last_signal.0 == at { self.last_signal.1 + 1 } else { 0 };
        self.last_signal = (at, number);
        fields.push(("ticker", symbol.to_string()));
        fields.push(("direction", side.as_str()[..1].to_owned()));
        fields.extend(shares.map(|shares| ("qty", shares.to_string())));
        // Made of name, time and number, so that the same events make the same signals.
        fields.push(("id", format!("{}-{}-{number}", self.runner.name(), at.nanos())));
        fields.push(("strategy", self.runner.name().to_owned()));
        match post(&mut self.outbox, &fields) {
            Ok(id) => {
                lock(&self.status).signals += 1;
                if let Some(shares) = shares {
                    self.targets.sent(id, symbol, side, shares);
                }
            }
            Err(error) => {
                tracing::warn!(strategy = self.runner.name(), error, "a strategy's signal could not be sent");
                lock(&self.status).unsent += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::market::Trade;
    use crate::signal::EntryId;
    use crate::strategy::{Every, Script, WrittenParams};

    /// A booth with a script, sized $1000, and what it sends as `ticker qty`.
    fn booth(source: &str, symbols: &[Symbol]) -> (Booth, Arc<Mutex<Vec<String>>>) {
        let script = Script::compile("x_strategy.rhai", source).unwrap();
        let strategy = script.make(&WrittenParams::default(), symbols).unwrap();
        let runner = Runner::new("x", strategy, symbols, Every::Event);
        let sizing = Sizing { rule: "$1000".parse().unwrap(), is_target: true, capital: None, short: false };
        let sent = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&sent);
        let outbox: Outbox = Box::new(move |fields| {
            let of =
                |name| fields.iter().find(|(field, _)| *field == name).map_or("all", |(_, value)| *value);
            let mut sent = to.lock().unwrap();
            sent.push(format!("{} {}", of("ticker"), of("qty")));
            Ok(EntryId::new(&format!("{}-0", sent.len())))
        });
        (Booth::new(runner, sizing, Arc::default(), Arc::new(ManualClock::default()), outbox), sent)
    }

    fn trade(symbol: Symbol, second: i64, price: f64) -> MarketEvent {
        MarketEvent::Trade { symbol, trade: Trade { at: Timestamp::from_secs(second), price, size: 1.0 } }
    }

    #[test]
    fn a_signal_for_another_symbol_than_the_events_is_sized_with_its_own_price() {
        let [spy, f] = ["SPY", "F"].map(|name| name.parse().unwrap());
        let other = "fn on_event(event) { signal(if event.symbol == \"F\" { \"SPY\" } else { \"F\" }, 1); }";
        let (mut booth, sent) = booth(other, &[spy, f]);
        for event in [trade(spy, 1, 500.0), trade(f, 2, 10.0), trade(spy, 3, 250.0)] {
            booth.ask(&event);
        }
        // Of F nothing was seen at first, so the desk sizes it.
        assert_eq!(*sent.lock().unwrap(), ["F all", "SPY 2", "F 100"]);
    }

    #[test]
    fn an_event_from_the_future_does_not_empty_the_window() {
        let nvda = "NVDA".parse().unwrap();
        let third = "fn horizon() { \"1h\" } fn on_event(e) { if count(e.symbol, \"1h\") == 3 { signal(e.symbol, 1); } }";
        let (mut booth, sent) = booth(third, &[nvda]);
        for event in
            [trade(nvda, 1, 50.0), trade(nvda, 2, 50.0), trade(nvda, 100_000, 1.0), trade(nvda, 3, 50.0)]
        {
            booth.ask(&event);
        }
        assert_eq!(*sent.lock().unwrap(), ["NVDA 20"]);
    }
}
