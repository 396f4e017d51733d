//! From wishes to transactions: each strategy's targets, the one desk, orders to the connector, fills into the books.
//!
//! The way of a signal is the pool's: the desk decides, an order task lives the order's life, and only its end is recorded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::board::{Prices, Slot};
use super::book::Book;
use super::connector::{Connector, Met, MetEnd, working};
use super::record::{FillRecord, Record, StrategyRecord, Transaction};
use super::run::{FOR_EVER, StrategySetup};
use crate::clock::Timestamp;
use crate::desk::{Desk, MarketView, Statement};
use crate::manifest::Combine;
use crate::market::{MarketEvent, SessionClock};
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderStatus, OrderType, Side};
use crate::outcome::OutcomeKind;
use crate::reply::Reply;
use crate::signal::{EntryId, Signal};
use crate::strategy::{Fill, Runner, RunnerFailure, Strength, Wish};
use crate::symbol::Symbol;
use crate::target::{self, Ask, Sizing, Targets};
use crate::task::{Ending, OrderTask, Patience, Step};
use crate::units::{Money, Price, Quantity, Weight};

pub(super) struct Portfolio {
    pub(super) desk: Desk,
    pub(super) connector: Connector,
    pub(super) prices: Prices,
    /// True when fills moved positions since somebody looked.
    pub(super) moved: bool,
    seats: Vec<Seat>,
    /// One for each seat; where wishes are combined, one more that the orders belong to.
    owners: Vec<Owner>,
    combine: Combine,
    open: Vec<Option<Open>>,
    free: Vec<usize>,
    todo: VecDeque<Todo>,
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

/// An order on its way.
struct Open {
    task: OrderTask,
    signal: EntryId,
    owner: usize,
    transaction: usize,
    slot: Slot,
}

/// What is to be done at this instant.
enum Todo {
    Grant(usize, Wish),
    /// The next step to where an owner wants to be.
    Step(usize, Symbol),
}

/// Where a signal comes from and what it wants.
struct Plan {
    owner: usize,
    symbol: Symbol,
    side: Side,
    /// None: the desk sizes it.
    shares: Option<Quantity>,
    strength: Option<f64>,
    limit: Option<Price>,
}

/// More orders of one instant are a strategy that never comes to rest.
const TODO_MAX: usize = 10_000;

/// Over history the market is open whenever it shows a price.
const OPEN: SessionClock =
    SessionClock { is_open: true, next_open: Timestamp::MAX, next_close: Timestamp::MAX };

/// An order waits for its market as long as it takes, and is then told of it.
const PATIENCE: Patience = Patience {
    poll_after: FOR_EVER,
    cancel_after: FOR_EVER,
    pause_min: FOR_EVER,
    pause_max: FOR_EVER,
    look_for: FOR_EVER,
    deliveries_max: 1,
};

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
            moved: false,
            seats: strategies.into_iter().map(seat).collect(),
            owners,
            combine,
            open: Vec::new(),
            free: Vec::new(),
            todo: VecDeque::new(),
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

    /// The earliest instant at which a strategy's interval has passed.
    pub(super) fn next_timer(&self) -> Timestamp {
        self.next_timer
    }

    /// Rings every timer that is due until `at`, each at its own instant.
    #[cold]
    pub(super) fn ring(&mut self, at: Timestamp) {
        for place in 0..self.seats.len() {
            let mut due = self.seats[place].runner.next_timer().unwrap_or(at);
            while due <= at {
                let wishes = self.seats[place].runner.on_timer(due).map(|wishes| self.wishes.extend(wishes));
                self.follow(place, wishes, due);
                match self.seats[place].runner.next_timer() {
                    Some(next) if next > due => due = next,
                    Some(_) | None => break,
                }
            }
        }
        let timers = self.seats.iter().filter_map(|seat| seat.runner.next_timer());
        self.next_timer = timers.min().unwrap_or(Timestamp::MAX);
    }

    /// Shows a strategy an event of a source that it may look at.
    pub(super) fn show(&mut self, place: usize, event: &MarketEvent) {
        self.seats[place].runner.see(event);
    }

    /// Shows a strategy an event of its main source and does what it wishes.
    #[inline]
    pub(super) fn ask(&mut self, place: usize, event: &MarketEvent, at: Timestamp) {
        self.owners[place].record.events += 1;
        let wishes = self.seats[place].runner.on_event(event).map(|wishes| self.wishes.extend(wishes));
        if wishes.is_err() || !self.wishes.is_empty() {
            self.follow(place, wishes, at);
        }
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
            self.wishes.clear();
            tracing::error!(%failure, at = %now, "a strategy failed");
            self.owners[place].record.last_failure = Some(failure.to_string());
            return;
        }
        self.todo.extend(self.wishes.drain(..).map(|wish| Todo::Grant(place, wish)));
        self.work(now);
    }

    /// Does what is to be done, and what follows from it at this instant.
    fn work(&mut self, now: Timestamp) {
        let mut done = 0;
        while let Some(todo) = self.todo.pop_front() {
            done += 1;
            if done > TODO_MAX {
                tracing::error!(at = %now, "more than {TODO_MAX} orders at one instant: the rest is dropped");
                self.todo.clear();
                return;
            }
            match todo {
                Todo::Grant(place, wish) => self.grant(place, &wish, now),
                Todo::Step(owner, symbol) => {
                    let ask = self.owners[owner].targets.step(symbol);
                    self.place(owner, symbol, ask, None, None, now);
                }
            }
        }
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
        self.send(&Plan { owner, symbol, side, shares, strength, limit }, now);
    }

    /// One signal from beginning to end, or until its order waits for the market.
    fn send(&mut self, plan: &Plan, now: Timestamp) {
        let number = self.transactions.len();
        let Some((signal, id)) = self.ids(number, plan, now) else { return };
        if let Some(shares) = plan.shares {
            self.owners[plan.owner].targets.sent(signal.id.clone(), plan.symbol, plan.side, shares);
        }
        self.transactions.push(self.transaction(plan, now));
        let stale_at = self.desk.rules().limits.stale_at(&signal);
        let mut task = OrderTask::new(id.clone(), 1, stale_at, PATIENCE, now);
        loop {
            match task.next(now) {
                Step::Decide => {
                    let market = MarketView { board: &self.prices, session: OPEN };
                    task.decided(self.desk.decide(&signal, &id, market, now), now);
                }
                Step::Submit(request) => {
                    let Some(slot) = self.prices.slot(plan.symbol) else { return };
                    let transaction = &mut self.transactions[number];
                    transaction.is_order = true;
                    transaction.quantity = request.quantity;
                    transaction.limit = match request.order_type {
                        OrderType::Market => None,
                        OrderType::Limit(limit) => Some(limit),
                    };
                    let order = OrderReport {
                        client_order_id: id.clone(),
                        order_id: OrderId::shared(id.text()),
                        symbol: plan.symbol,
                        side: plan.side,
                        quantity: request.quantity,
                        status: OrderStatus::New,
                        filled: Quantity::ZERO,
                        average_price: None,
                        submitted_at: Some(now),
                    };
                    task.on(Reply::Report(order), now);
                    let order_type = request.order_type;
                    let quantity = request.quantity;
                    let open = Open { task, signal: signal.id, owner: plan.owner, transaction: number, slot };
                    let key = self.keep(open);
                    let met = self.connector.submit(slot, working(key, plan.side, order_type, quantity), now);
                    if let Some(met) = met {
                        self.end_order(&met, now);
                    }
                    return;
                }
                Step::Done(Ending::Outcome { kind, reason }) => {
                    self.end_signal(number, plan.owner, &signal.id, kind, reason, now);
                    return;
                }
                // A new signal is neither looked up nor waited for, and poison is for redelivered ones.
                Step::Query | Step::Cancel(_) | Step::Wait(_) | Step::Done(Ending::Poison(_)) => return,
            }
        }
    }

    fn end_order(&mut self, met: &Met, now: Timestamp) {
        let Some(mut open) = self.open[met.key].take() else { return };
        self.free.push(met.key);
        let Some(mut report) = open.task.report().cloned() else { return };
        let mut unpaid = None;
        match met.end {
            MetEnd::Filled { quantity, price, fee } => {
                report.status =
                    if quantity == report.quantity { OrderStatus::Filled } else { OrderStatus::Canceled };
                report.filled = quantity;
                report.average_price = Some(price);
                self.desk.charge(fee);
                self.moved = true;
                let owner = &mut self.owners[open.owner];
                owner.book.fill(open.slot, report.side, quantity, price, fee);
                let transaction = &mut self.transactions[open.transaction];
                transaction.filled = quantity;
                transaction.total = price * quantity;
                transaction.fees = fee;
                let place = u32::try_from(open.transaction).unwrap_or(u32::MAX);
                self.fills.push(FillRecord { transaction: place, at: met.at, quantity, price, fee });
            }
            MetEnd::Canceled => report.status = OrderStatus::Canceled,
            MetEnd::Unpaid { missing } => {
                report.status = OrderStatus::Rejected;
                unpaid = Some(missing);
            }
        }
        let (symbol, side, filled, price) = (report.symbol, report.side, report.filled, report.average_price);
        open.task.on(Reply::Report(report), now);
        if let Some(report) = open.task.report() {
            self.desk.apply(&open.signal, report);
        }
        let Step::Done(Ending::Outcome { kind, reason }) = open.task.next(now) else { return };
        let reason = match unpaid {
            Some(missing) => {
                format!("insufficient_buying_power: the account was {} dollars short", missing.cents())
            }
            None => reason,
        };
        self.end_signal(open.transaction, open.owner, &open.signal, kind, reason, met.at);
        if let (Some(price), true, Some(seat)) = (price, filled.is_positive(), self.seats.get_mut(open.owner))
        {
            let fill = Fill { at: met.at, symbol, side, quantity: filled, price };
            let told = seat.runner.on_fill(&fill).map(|wishes| self.wishes.extend(wishes));
            match told {
                Ok(()) => {
                    let owner = open.owner;
                    self.todo.extend(self.wishes.drain(..).map(|wish| Todo::Grant(owner, wish)));
                }
                Err(failure) => {
                    tracing::error!(%failure, at = %now, "a strategy failed");
                    self.owners[open.owner].record.last_failure = Some(failure.to_string());
                }
            }
        }
    }

    fn end_signal(
        &mut self,
        number: usize,
        owner: usize,
        signal: &EntryId,
        kind: OutcomeKind,
        reason: String,
        at: Timestamp,
    ) {
        self.desk.release(signal);
        let transaction = &mut self.transactions[number];
        transaction.final_at = at;
        transaction.outcome = kind;
        transaction.reason = reason;
        if self.owners[owner].targets.settled(signal, transaction.filled) {
            self.todo.push_back(Todo::Step(owner, transaction.symbol));
        }
    }

    fn keep(&mut self, open: Open) -> usize {
        let Some(place) = self.free.pop() else {
            self.open.push(Some(open));
            return self.open.len() - 1;
        };
        self.open[place] = Some(open);
        place
    }

    /// A signal with its ids: in-process ones are numbers, as repeatable as the run.
    fn ids(&mut self, number: usize, plan: &Plan, now: Timestamp) -> Option<(Signal, ClientOrderId)> {
        use std::fmt::Write;
        self.id.clear();
        write!(self.id, "bt-{number}").ok()?;
        let text: Arc<str> = self.id.as_str().into();
        let id = ClientOrderId::shared(Arc::clone(&text)).ok()?;
        let signal = Signal {
            id: EntryId::shared(text),
            producer_id: None,
            symbol: plan.symbol,
            side: plan.side,
            quantity: plan.shares,
            limit: plan.limit,
            strategy: String::new(),
            strength: plan.strength,
            time_to_live: None,
            sent_at: now,
            redelivered: false,
        };
        Some((signal, id))
    }

    fn transaction(&self, plan: &Plan, now: Timestamp) -> Transaction {
        let slot = self.prices.slot(plan.symbol);
        Transaction {
            strategy: u16::try_from(plan.owner).unwrap_or(u16::MAX),
            symbol: plan.symbol,
            side: plan.side,
            signal: plan.strength,
            at: now,
            price_seen: slot.map_or(f64::NAN, |slot| self.prices.side(slot, plan.side == Side::Buy)),
            quantity: plan.shares.unwrap_or_default(),
            limit: plan.limit,
            is_order: false,
            final_at: now,
            filled: Quantity::ZERO,
            total: Money::ZERO,
            fees: Money::ZERO,
            outcome: OutcomeKind::Unfilled,
            reason: String::new(),
        }
    }
}
