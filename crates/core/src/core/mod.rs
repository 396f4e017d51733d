//! The core: decides over everything that happens to one account. Events in, actions out; no thread, no I/O, no clock.
//!
//! It owns the books (the account's and the strategies'), the table of all orders that are not final, the lanes, the limits
//! and the trading state. The live pool drives it from its threads, a backtest from history, and tests by hand: the same
//! events at the same times give the same actions. Every event is legal at any time; what makes no sense changes nothing.

mod event;
mod overload;
mod parked;
mod record;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::clock::Timestamp;
use crate::desk::Desk;
use crate::execution::table::Stage;
use crate::execution::{
    Lanes, LanesConfig, Order, OrderKey, OrderTable, OrderTask, TaskEnd, TaskStep, Timeouts,
};
use crate::order::OrderReport;
use crate::outcome::OutcomeKind;
use crate::reply::Reply;
use crate::risk::Refusal;
use crate::signal::EntryId;
use crate::units::Quantity;

pub use event::{Action, Arrival, Event, InFlight, Notice, OrderEnded, Told};
pub use overload::Overload;
pub use record::OrderRecord;

use overload::Arrivals;

/// All decisions over one account.
#[derive(Debug)]
pub struct Core {
    desk: Desk,
    orders: OrderTable,
    /// None over history, where each signal is decided on when it comes.
    lanes: Option<Lanes>,
    timeouts: Timeouts,
    state: TradingState,
    /// Parked orders that somebody is to take up again, in the order in which that came.
    resumed: VecDeque<OrderKey>,
    /// Somebody found an order that the account's books do not know.
    must_reread: bool,
    /// Counts everything that changes the books.
    version: u64,
    arrivals: Arrivals,
}

/// Whether new orders are decided on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TradingState {
    /// They are.
    #[default]
    Active,
    /// Not now: the books are read, and no order is to change them meanwhile. What is under way goes on.
    Reading,
}

impl Core {
    /// A core that works by lanes: a driver takes what may go with [`Core::take`].
    pub fn with_lanes(desk: Desk, lanes: LanesConfig, timeouts: Timeouts) -> Self {
        Self {
            lanes: Some(Lanes::new(lanes)),
            orders: OrderTable::indexed(),
            ..Self::without_lanes(desk, timeouts)
        }
    }

    /// A core that decides on each signal when it comes; its driver names the orders that it reports on.
    pub fn without_lanes(desk: Desk, timeouts: Timeouts) -> Self {
        Self {
            desk,
            orders: OrderTable::default(),
            lanes: None,
            timeouts,
            state: TradingState::Active,
            resumed: VecDeque::new(),
            must_reread: false,
            version: 0,
            arrivals: Arrivals::default(),
        }
    }

    /// Takes one event; what is to be done is appended to `out`.
    pub fn on(&mut self, event: Event<'_>, now: Timestamp, out: &mut Vec<Action>) {
        match event {
            Event::Signal(arrival) => self.arrive(arrival, now, out),
            Event::Turn { order: key, market } => {
                if self.state == TradingState::Reading {
                    return self.put_off(key);
                }
                let Some(order) = self.orders.get_mut(key) else { return };
                if order.task.awaits_decision() {
                    self.version += 1;
                    let seen = market.latest_prices.snapshot(order.signal.symbol);
                    order.decided = Some((now, seen.as_ref().and_then(|seen| seen.quote)));
                    let decision = if order.is_superseded {
                        Err(Refusal::Superseded(order.signal.symbol))
                    } else {
                        self.desk.decide(&order.signal, &order.client_order_id, seen.as_ref(), market, now)
                    };
                    order.task.decided(decision, now, &self.timeouts);
                }
                self.go_on(key, now, out);
            }
            Event::Reply { order: key, reply } => {
                let Some(order) = self.orders.get_mut(key) else { return };
                order.stage = order.stage.idle();
                self.version += 1;
                order.task.on(reply, now, &self.timeouts);
                if let Some(heard) = order.heard.take() {
                    order.task.on(Reply::Report(*heard), now, &self.timeouts);
                }
                book(&mut self.desk, order, now);
                self.go_on(key, now, out);
            }
            Event::Report(report) => {
                for key in self.orders.of_id(&report.client_order_id) {
                    self.hear(key, report.clone(), now, out);
                }
            }
            Event::Fee { order, fee } => {
                self.desk.book_fee(fee);
                if let Some(order) = self.orders.get_mut(order) {
                    order.fee += fee;
                }
            }
            Event::Remark { order, remark } => {
                if let Some(order) = self.orders.get_mut(order) {
                    order.remark = Some(remark);
                }
            }
            Event::Due { order } => self.go_on(order, now, out),
            Event::Failed { order, cause } => self.fail(order, cause, now, out),
            Event::Timer => self.ring(now, out),
        }
    }

    /// The next order that somebody may take up, symbols in turn; whoever takes it follows it until it is over or parked.
    pub fn take(&mut self) -> Option<OrderKey> {
        if self.state == TradingState::Reading {
            return None;
        }
        let key = loop {
            match self.resumed.pop_front() {
                // It may be over by now, or may have been taken up for an earlier reason.
                Some(key)
                    if self.orders.get(key).is_some_and(|order| order.stage == Stage::Parked(false)) =>
                {
                    break key;
                }
                Some(_) => {}
                None => break self.lanes.as_mut()?.take()?,
            }
        };
        self.orders.set_deadline(key, None);
        self.orders.get_mut(key)?.stage = Stage::Followed(false);
        Some(key)
    }

    /// Whether [`Core::take`] finds something.
    pub fn is_ready(&self) -> bool {
        let may_go = !self.resumed.is_empty() || self.lanes.as_ref().is_some_and(Lanes::is_ready);
        self.state == TradingState::Active && may_go
    }

    /// When [`Event::Timer`] is wanted next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.orders.next_deadline()
    }

    /// The lanes, to defer signals that find no room and to recall them.
    pub fn lanes_mut(&mut self) -> Option<&mut Lanes> {
        self.lanes.as_mut()
    }

    /// An order was of so many shares at its fill; says whether that is what it is of now.
    pub fn resize(&mut self, order: OrderKey, quantity: Quantity, now: Timestamp) -> bool {
        let Self { desk, orders, .. } = self;
        orders.get(order).is_some_and(|order| desk.resize(&order.signal, quantity, now))
    }

    /// All orders that are not final.
    pub fn orders(&self) -> &OrderTable {
        &self.orders
    }

    /// The books.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The books, to be restored, valued or given room.
    pub fn desk_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// Whether new orders are decided on.
    pub fn state(&self) -> TradingState {
        self.state
    }

    /// Says whether new orders are decided on from now on.
    pub fn set_state(&mut self, state: TradingState) {
        self.state = state;
    }

    /// Grows with everything that may change the books.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether an order was found that the account's books do not know, so that they must be read again.
    pub fn must_reread(&self) -> bool {
        self.must_reread
    }

    /// The account's books were read again.
    pub fn was_reread(&mut self) {
        self.must_reread = false;
    }

    /// How fast signals came and orders went, and how many signals grew too old while they waited here.
    pub fn overload(&self) -> Overload {
        self.arrivals.overload()
    }

    /// The orders that a list request is to look for: sent, or perhaps sent, and not known to be final.
    pub fn in_flight(&self) -> Option<InFlight> {
        let sent = |(_, order): &(OrderKey, &Order)| order.task.may_be_at_broker();
        let mut orders = self.orders.iter().filter(sent).peekable();
        orders.peek()?;
        let mut found = InFlight::default();
        for (_, order) in orders {
            let known = order.task.report().and_then(|report| report.submitted_at);
            let submitted = known.or(order.task.submitted_at()).unwrap_or(order.received_at);
            found.submitted = found.submitted.min(submitted);
            found.ids.insert(order.client_order_id.clone());
        }
        Some(found)
    }

    /// Ends everything that is not final without an end: the signals stay pending for the next process. Says how many, and
    /// names those whose orders may be at the broker.
    pub fn give_up(&mut self) -> (u64, Vec<EntryId>) {
        let keys: Vec<OrderKey> = self.orders.iter().map(|(key, _)| key).collect();
        let deferred = self.lanes.as_ref().map_or(0, Lanes::deferred);
        let mut sent = Vec::new();
        for key in &keys {
            let Some(order) = self.orders.remove(*key) else { continue };
            self.version += 1;
            self.must_reread |= is_unknown_to_books(&order);
            self.desk.drop_signal(&order.signal.id);
            if order.task.may_be_at_broker() {
                sent.push(order.signal.id);
            }
        }
        self.lanes = None;
        self.resumed.clear();
        (u64::try_from(keys.len() + deferred).unwrap_or(u64::MAX), sent)
    }

    /// Takes out an order that has no end, and the record of it as it stands.
    pub fn take_open(&mut self, order: OrderKey, reason: String, now: Timestamp) -> Option<OrderRecord> {
        let open = self.orders.remove(order)?;
        Some(OrderRecord::of(order, open, (OutcomeKind::Unfilled, reason), now))
    }

    fn arrive(&mut self, arrival: Arrival, now: Timestamp, out: &mut Vec<Action>) {
        let Arrival { entry, signal, client_order_id, claim, received_at } = arrival;
        let stale_at = self.desk.rules().limits.stale_at(&signal);
        let deliveries = entry.as_ref().map_or(1, |entry| entry.deliveries);
        let task =
            OrderTask::new(client_order_id.clone(), deliveries, (received_at, stale_at), &self.timeouts, now);
        let symbol = signal.symbol;
        let mut order = Order::new(task, signal, client_order_id, received_at);
        order.entry = entry;
        let Some(lanes) = &mut self.lanes else {
            order.stage = Stage::Followed(false);
            let key = self.orders.insert(order);
            return self.go_on(key, now, out);
        };
        self.arrivals.came(now);
        let key = self.orders.insert(order);
        if deliveries <= 1 {
            self.orders.set_deadline(key, Some(stale_at + std::time::Duration::from_nanos(1)));
        }
        for replaced in lanes.push(symbol, key, claim) {
            let Some(order) = self.orders.get_mut(replaced) else { continue };
            order.is_superseded = true;
            if order.task.may_be_at_broker() {
                continue; // Its order is looked for first.
            }
            if let Some(lanes) = &mut self.lanes {
                lanes.withdraw(symbol, replaced);
            }
            let refusal = Refusal::Superseded(symbol);
            let reason = format!("{}: {refusal}", refusal.code());
            self.end(replaced, TaskEnd::Outcome { kind: refusal.outcome(), reason }, now, out);
        }
    }

    /// News that came by itself.
    fn hear(&mut self, key: OrderKey, report: OrderReport, now: Timestamp, out: &mut Vec<Action>) {
        let Some(order) = self.orders.get_mut(key) else { return };
        match order.stage {
            // It may be of an earlier process; who takes the order up looks for it first.
            Stage::Waiting => return,
            // Whether the order is of this request or of an earlier one is told by the answer.
            Stage::Followed(true) | Stage::Parked(true) => {
                let news = match order.heard.as_deref() {
                    Some(heard) => heard.advanced_by(&report),
                    None => Some(report),
                };
                if let Some(news) = news {
                    order.heard = Some(Box::new(news));
                }
                return;
            }
            Stage::Followed(false) | Stage::Parked(false) if !order.task.may_be_at_broker() => return,
            Stage::Followed(false) | Stage::Parked(false) => {}
        }
        self.version += 1;
        order.task.on(Reply::Report(report), now, &self.timeouts);
        book(&mut self.desk, order, now);
        match (order.task.is_over(), order.stage) {
            (_, Stage::Parked(_)) => self.go_on_later(key, now, out),
            (true, Stage::Followed(_) | Stage::Waiting) => self.go_on(key, now, out),
            (false, Stage::Followed(_) | Stage::Waiting) => {}
        }
    }

    /// Says what is to be done next for an order that somebody follows.
    fn go_on(&mut self, key: OrderKey, now: Timestamp, out: &mut Vec<Action>) {
        let Some(order) = self.orders.get_mut(key) else { return };
        match order.stage {
            Stage::Followed(false) => {}
            Stage::Parked(false) => return self.go_on_later(key, now, out),
            Stage::Waiting | Stage::Followed(true) | Stage::Parked(true) => return,
        }
        match order.task.next(now, &self.timeouts) {
            TaskStep::Decide => out.push(Action::Decide { order: key }),
            TaskStep::Submit(request) => {
                order.stage = Stage::Followed(true);
                self.arrivals.sent(now);
                out.push(Action::Submit { order: key, request });
            }
            TaskStep::Query => {
                order.stage = Stage::Followed(true);
                out.push(Action::Query { order: key, id: order.client_order_id.clone() });
            }
            TaskStep::Cancel(id) => {
                order.stage = Stage::Followed(true);
                out.push(Action::Cancel { order: key, id });
            }
            TaskStep::Wait(until) => {
                let since = order.task.submitted_at().unwrap_or(order.received_at);
                let park_at = since + self.timeouts.park_after;
                if now < park_at {
                    return out.push(Action::Wait { order: key, until: until.min(park_at) });
                }
                order.stage = Stage::Parked(false);
                order.tell_at = since + self.timeouts.tell_after;
                out.push(Action::Park { order: key });
                self.go_on_later(key, now, out);
            }
            TaskStep::Done(ending) => self.end(key, ending, now, out),
        }
    }

    /// Decisions wait: whoever followed the order is free, and it comes back when they are made again.
    fn put_off(&mut self, key: OrderKey) {
        if let Some(order) = self.orders.get_mut(key) {
            order.stage = Stage::Parked(false);
            self.resumed.push_back(key);
        }
    }

    /// Whoever worked on an order failed. What was not sent is refused; what may have been sent is looked for, never sent
    /// again, and given up when that fails too.
    fn fail(&mut self, key: OrderKey, cause: &str, now: Timestamp, out: &mut Vec<Action>) {
        let Some(order) = self.orders.get_mut(key) else { return };
        order.stage = order.stage.idle();
        let is_first = !std::mem::replace(&mut order.has_failed, true);
        let ending = if order.task.is_over() {
            return self.go_on(key, now, out);
        } else if !order.task.may_be_at_broker() {
            let refusal = Refusal::Internal(cause.to_owned());
            let reason = format!("{}: {refusal}", refusal.code());
            TaskEnd::Outcome { kind: OutcomeKind::Refused, reason }
        } else if is_first {
            order.task.look_only(now, &self.timeouts);
            return self.go_on(key, now, out);
        } else {
            // Left pending it would be held by this process, which is not given it again.
            let reason = format!("internal_error: {cause}; the order may have been sent");
            TaskEnd::Outcome { kind: OutcomeKind::ExpiredUnconfirmed, reason }
        };
        self.end(key, ending, now, out);
    }

    fn end(&mut self, key: OrderKey, ending: TaskEnd, now: Timestamp, out: &mut Vec<Action>) {
        let Some(order) = self.orders.remove(key) else { return };
        self.version += 1;
        self.must_reread |= is_unknown_to_books(&order);
        if let (Some(lanes), false) = (&mut self.lanes, order.stage == Stage::Waiting) {
            lanes.leave(order.signal.symbol);
        }
        let (kind, reason) = match ending {
            TaskEnd::Outcome { kind, reason } => (kind, reason),
            TaskEnd::Poison(reason) => {
                self.desk.drop_signal(&order.signal.id);
                return out.push(Action::DeadLetter { order, reason });
            }
        };
        let reason = match &order.remark {
            Some(remark) if remark.stands_alone || reason.is_empty() => remark.text.to_string(),
            Some(remark) => format!("{}, {reason}", remark.text),
            None => reason,
        };
        if kind == OutcomeKind::Expired && self.lanes.is_some() {
            out.extend(self.arrivals.expired(&order, now).map(Action::Notice));
        }
        let ended = self.desk.end(&order.signal, (kind, &reason), order.task.report(), order.fee, now);
        let portfolio = self.desk.portfolio();
        let mut told = ended.told(portfolio, portfolio.place(&order.signal.strategy), (kind, &reason));
        // Mostly there is one at most.
        let told = Told { first: told.next(), others: told.collect() };
        let record = OrderRecord::of(key, order, (kind, reason), now);
        out.push(Action::Ended(Box::new(OrderEnded { record, ended, told })));
    }
}

/// Books what the order's last report brought. One that was there before is in the account already.
fn book(desk: &mut Desk, order: &mut Order, now: Timestamp) {
    if let Some(report) = order.task.report().filter(|_| !order.task.is_adopted()) {
        desk.apply(&order.signal.id, report);
        order.fills.note(report, now);
    }
}

/// Whether the account's books cannot have what the order filled.
fn is_unknown_to_books(order: &Order) -> bool {
    let has_no_price = |report: &OrderReport| report.filled.is_positive() && report.average_price.is_none();
    order.has_failed || order.task.is_adopted() || order.task.report().is_some_and(has_no_price)
}
