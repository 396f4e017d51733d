//! One strategy's place of work: its thread shows it events, sends its signals and tells it of its fills.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select};

use super::{Outbox, Status, Switch, lock};
use crate::clock::{Clock, Timestamp};
use crate::market::MarketEvent;
use crate::order::{OrderType, Side};
use crate::outcome::Outcome;
use crate::signal::EntryId;
use crate::strategy::{Fill, Runner, RunnerFailure, Wish};
use crate::symbol::Symbol;
use crate::target::{Ask, Sizing, Targets};
use crate::units::Quantity;

pub(super) struct Booth {
    runner: Runner,
    sizing: Sizing,
    targets: Targets,
    status: Arc<Mutex<Status>>,
    clock: Arc<dyn Clock>,
    outbox: Outbox,
    /// The last price seen of each symbol would do; strategies speak of what they were just shown.
    last_price: f64,
    /// When the last signal was made, and how many were made then.
    last_signal: (Timestamp, u32),
}

/// How often one signal is sent: its id is its own, so it is the same signal however often it arrives.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Booth {
    pub(super) fn new(
        runner: Runner,
        sizing: Sizing,
        status: Arc<Mutex<Status>>,
        clock: Arc<dyn Clock>,
        outbox: Outbox,
    ) -> Self {
        let last_signal = (Timestamp::default(), 0);
        Self {
            runner,
            sizing,
            targets: Targets::default(),
            status,
            clock,
            outbox,
            last_price: f64::NAN,
            last_signal,
        }
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
        lock(&self.status).events += 1;
        self.last_price = event.price();
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
                let ask = self.targets.ask(&self.sizing, *symbol, *strength, self.last_price);
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
        if let Some(id) = self.post(&fields) {
            self.note(id, symbol, side, shares);
        }
    }

    fn note(&mut self, id: EntryId, symbol: Symbol, side: Side, shares: Option<Quantity>) {
        lock(&self.status).signals += 1;
        if let Some(shares) = shares {
            self.targets.sent(id, symbol, side, shares);
        }
    }

    fn post(&mut self, fields: &[(&'static str, String)]) -> Option<EntryId> {
        let borrowed: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for attempt in 1..=TRIES {
            match (self.outbox)(&borrowed) {
                Ok(id) => return Some(id),
                Err(error) if attempt == TRIES => {
                    tracing::warn!(
                        strategy = self.runner.name(),
                        error,
                        "a strategy's signal could not be sent"
                    );
                }
                Err(_) => std::thread::sleep(TRY_AGAIN_AFTER),
            }
        }
        lock(&self.status).unsent += 1;
        None
    }
}
