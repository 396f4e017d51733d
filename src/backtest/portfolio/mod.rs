//! From wishes to transactions: each strategy's targets, the one desk, orders to the connector, fills into the books.
//!
//! The way of a signal is the pool's: the desk decides, an order task lives the order's life, and only its end is recorded.

mod orders;

use std::collections::{BTreeMap, VecDeque};

use super::board::{Prices, Slot};
use super::book::Book;
use super::connector::{Connector, Met};
use super::record::{FillRecord, Record, StrategyRecord, Transaction};
use super::run::StrategySetup;
use crate::account::Holding;
use crate::clock::Timestamp;
use crate::desk::{Desk, Statement};
use crate::manifest::Combine;
use crate::market::MarketEvent;
use crate::order::OrderType;
use crate::strategy::{Runner, RunnerFailure, Strength, Wish};
use crate::symbol::Symbol;
use crate::target::{self, Ask, Sizing, Targets};
use crate::units::{Money, Price, Quantity, Weight};

use orders::{Open, Plan};

pub(super) struct Portfolio {
    pub(super) desk: Desk,
    pub(super) connector: Connector,
    pub(super) prices: Prices,
    /// Whose positions fills moved since somebody looked.
    pub(super) moved: Vec<Slot>,
    seats: Vec<Seat>,
    /// One for each seat; where wishes are combined, one more that the orders belong to.
    owners: Vec<Owner>,
    combine: Combine,
    open: Vec<Option<Open>>,
    free: Vec<usize>,
    errands: VecDeque<Errand>,
    wishes: Vec<Wish>,
    transactions: Vec<Transaction>,
    fills: Vec<FillRecord>,
    next_timer: Timestamp,
    id: String,
}

/// A strategy at its place.
struct Seat {
    runner: Runner,
    sizing: Sizing,
    weight: Weight,
    /// What it wants to hold, where wishes are combined.
    wants: BTreeMap<Symbol, Quantity>,
}

/// Whose orders and fills these are.
struct Owner {
    targets: Targets,
    book: Book,
    record: StrategyRecord,
}

/// What is to be done at this instant.
enum Errand {
    Grant(usize, Wish),
    /// The next step to where an owner wants to be.
    Step(usize, Symbol),
}

/// More orders of one instant are a strategy that never comes to rest.
const ERRANDS_MAX: usize = 10_000;

impl Portfolio {
    pub(super) fn new(
        desk: Desk,
        connector: Connector,
        strategies: Vec<StrategySetup>,
        combine: Combine,
        cash: Money,
    ) -> Self {
        let flips = desk.rules().limits.flip_in_one;
        let owner = |name: &str, capital: Money| Owner {
            targets: Targets::default().flipping_in_one(flips),
            book: Book::new(capital),
            record: StrategyRecord { name: name.to_owned(), capital, ..StrategyRecord::default() },
        };
        let mut owners: Vec<Owner> =
            strategies.iter().map(|setup| owner(setup.runner.name(), setup.capital)).collect();
        if combine == Combine::Net {
            owners.push(owner("net", cash));
        }
        let seat = |setup: StrategySetup| Seat {
            runner: setup.runner,
            sizing: setup.sizing,
            weight: setup.weight,
            wants: BTreeMap::new(),
        };
        Self {
            desk,
            connector,
            prices: Prices::default(),
            moved: Vec::new(),
            seats: strategies.into_iter().map(seat).collect(),
            owners,
            combine,
            open: Vec::new(),
            free: Vec::new(),
            errands: VecDeque::new(),
            wishes: Vec::new(),
            transactions: Vec::new(),
            fills: Vec::new(),
            next_timer: Timestamp::from_nanos(i64::MIN),
            id: String::new(),
        }
    }

    /// Gives a symbol its slot.
    pub(super) fn list(&mut self, symbol: Symbol) -> Slot {
        let slots = self.prices.len();
        let slot = self.prices.list(symbol);
        if self.prices.len() > slots {
            self.connector.list(symbol);
            self.owners.iter_mut().for_each(|owner| owner.book.list());
        }
        slot
    }

    /// Puts what is held at the start into the account; no strategy's book has it.
    pub(super) fn hold(&mut self, holdings: &[Holding]) {
        for held in holdings {
            let slot = self.list(held.symbol);
            self.connector.hold(slot, held.quantity);
            self.moved.push(slot);
        }
    }

    /// The earliest instant at which a strategy's interval has passed.
    pub(super) fn next_timer(&self) -> Timestamp {
        self.next_timer
    }

    /// Rings every timer that is due until `at`, each at its own instant and all in the order of time.
    #[cold]
    pub(super) fn ring(&mut self, at: Timestamp) {
        for place in 0..self.seats.len() {
            if self.seats[place].runner.next_timer().is_none() {
                self.ring_one(place, at); // It begins its interval.
            }
        }
        while let Some((due, place)) = self.first_timer().filter(|(due, _)| *due <= at) {
            self.ring_one(place, due);
        }
        self.next_timer = self.first_timer().map_or(Timestamp::MAX, |(due, _)| due);
    }

    fn ring_one(&mut self, place: usize, at: Timestamp) {
        let wishes = self.seats[place].runner.on_timer(at).map(|wishes| self.wishes.extend(wishes));
        self.follow(place, wishes, at);
    }

    /// The next timer and whose it is; at one instant the first strategy comes first.
    fn first_timer(&self) -> Option<(Timestamp, usize)> {
        let active = self.seats.iter().enumerate().filter(|(_, seat)| seat.runner.is_active());
        active.filter_map(|(place, seat)| Some((seat.runner.next_timer()?, place))).min()
    }

    /// Shows a strategy an event of a source that it may look at.
    pub(super) fn show(&mut self, place: usize, event: &MarketEvent) {
        self.seats[place].runner.see(event);
    }

    /// Shows a strategy an event of its main source and does what it wishes.
    #[inline]
    pub(super) fn ask(&mut self, place: usize, event: &MarketEvent, at: Timestamp) {
        self.owners[place].record.events += 1;
        let wishes = match self.seats[place].runner.on_event(event) {
            Ok(wishes) if wishes.size_hint().0 == 0 => return,
            Ok(wishes) => {
                self.wishes.extend(wishes);
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        self.follow(place, wishes, at);
    }

    /// Takes what became of an order at the market.
    pub(super) fn settle(&mut self, met: &Met, now: Timestamp) {
        self.end_order(met, now);
        self.work(now);
    }

    /// Money and positions at the last prices.
    pub(super) fn statement(&mut self) -> Statement {
        self.desk.see(&self.prices);
        self.desk.statement()
    }

    /// Notes what each book is worth now.
    pub(super) fn mark_books(&mut self) {
        for owner in &mut self.owners {
            owner.record.equity.push(owner.book.equity(&self.prices));
        }
    }

    /// Hands over what was recorded.
    pub(super) fn write(mut self, record: Record) -> Record {
        for (seat, owner) in self.seats.iter().zip(&mut self.owners) {
            owner.record.failures = seat.runner.failures();
        }
        for open in self.open.iter().flatten() {
            self.transactions[open.transaction].reason =
                "open_at_end: the data ended before the order met a price".into();
        }
        Record {
            symbols: self.prices.symbols(),
            strategies: self.owners.into_iter().map(|owner| owner.record).collect(),
            transactions: self.transactions,
            fills: self.fills,
            ..record
        }
    }

    fn follow(&mut self, place: usize, wishes: Result<(), RunnerFailure>, now: Timestamp) {
        if let Err(failure) = wishes {
            self.note_failure(place, &failure, now);
            return;
        }
        self.errands.extend(self.wishes.drain(..).map(|wish| Errand::Grant(place, wish)));
        self.work(now);
    }

    fn note_failure(&mut self, place: usize, failure: &RunnerFailure, now: Timestamp) {
        tracing::error!(%failure, at = %now, "a strategy failed");
        self.owners[place].record.last_failure = Some(failure.to_string());
    }

    /// Does what is to be done, and what follows from it at this instant.
    fn work(&mut self, now: Timestamp) {
        let mut done = 0;
        while let Some(errand) = self.errands.pop_front() {
            done += 1;
            if done > ERRANDS_MAX {
                self.stop_short(&errand, now);
                return;
            }
            match errand {
                Errand::Grant(place, wish) => self.grant(place, &wish, now),
                Errand::Step(owner, symbol) => {
                    let ask = self.owners[owner].targets.step(symbol);
                    self.place(owner, symbol, ask, None, None, now);
                }
            }
        }
    }

    /// Drops what is still to be done at this instant.
    #[cold]
    fn stop_short(&mut self, errand: &Errand, now: Timestamp) {
        self.errands.clear();
        let (Errand::Grant(owner, _) | Errand::Step(owner, _)) = errand;
        let record = &mut self.owners[*owner].record;
        let text = format!(
            "strategy \"{}\" asked for more than {ERRANDS_MAX} orders at one instant: the rest is dropped",
            record.name
        );
        tracing::error!(at = %now, "{text}");
        record.last_failure = Some(text);
    }

    fn grant(&mut self, place: usize, wish: &Wish, now: Timestamp) {
        match *wish {
            Wish::Signal { symbol, strength } => {
                self.owners[place].record.signals += 1;
                let (owner, ask) = self.size(place, symbol, strength);
                self.place(owner, symbol, ask, Some(strength.get()), None, now);
            }
            Wish::Order { symbol, side, quantity, order_type, .. } => {
                self.owners[place].record.signals += 1;
                let limit = match order_type {
                    OrderType::Market => None,
                    OrderType::Limit(limit) => Some(limit),
                };
                self.place(place, symbol, Ask::Shares(side, quantity), None, limit, now);
            }
            // Every order is immediate-or-cancel, as it is live, so none rests that could be cancelled.
            Wish::CancelAll => {}
        }
    }

    /// Who sends how much.
    fn size(&mut self, place: usize, symbol: Symbol, strength: Strength) -> (usize, Ask) {
        let price = self.prices.slot(symbol).map_or(f64::NAN, |slot| self.prices.price(slot));
        let seats = self.seats.len();
        let seat = &mut self.seats[place];
        match self.combine {
            Combine::Separate => {
                (place, self.owners[place].targets.ask(&seat.sizing, symbol, strength, price))
            }
            Combine::Net => {
                let wanted = target::target(&seat.sizing, strength, price).unwrap_or_default();
                seat.wants.insert(symbol, wanted);
                let sum: Quantity = self
                    .seats
                    .iter()
                    .filter_map(|seat| seat.wants.get(&symbol).map(|wanted| *wanted * seat.weight))
                    .sum();
                (seats, self.owners[seats].targets.want(symbol, sum.whole()))
            }
        }
    }

    fn place(
        &mut self,
        owner: usize,
        symbol: Symbol,
        ask: Ask,
        strength: Option<f64>,
        limit: Option<Price>,
        now: Timestamp,
    ) {
        let (side, shares) = match ask {
            Ask::Nothing => {
                self.owners[owner].record.idle += u64::from(strength.is_some());
                return;
            }
            Ask::DeskSized(side) => (side, None),
            Ask::Shares(side, shares) => (side, Some(shares)),
        };
        let slot = self.list(symbol); // It may be a symbol that no source told of yet.
        self.send(&Plan { owner, symbol, slot, side, shares, strength, limit }, now);
    }
}
