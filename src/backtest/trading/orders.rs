//! The life of one signal: the desk decides, an order task lives the order's life, and only its end is recorded.

use std::fmt::Write;
use std::sync::Arc;

use super::{Due, Trading};
use crate::backtest::board::Slot;
use crate::backtest::connector::{Met, MetEnd, working};
use crate::backtest::record::{FillRecord, Transaction};
use crate::backtest::run::FOR_EVER;
use crate::clock::Timestamp;
use crate::desk::MarketView;
use crate::market::SessionClock;
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus, OrderType, Side};
use crate::outcome::OutcomeKind;
use crate::portfolio::Combine;
use crate::reply::Reply;
use crate::signal::{EntryId, Signal, Step};
use crate::strategy::{Intent, OrderEnd};
use crate::task::{Ending, OrderTask, Patience, Step as TaskStep};
use crate::units::{Money, Quantity};

/// Whose signal it is, and of which intent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) place: usize,
    /// The time of the intent and its number then.
    pub(super) at: Timestamp,
    pub(super) number: u32,
}

/// A signal on its way.
pub(super) struct Open {
    task: OrderTask,
    signal: Signal,
    made: Made,
    pub(super) transaction: usize,
    slot: Slot,
    fee: Money,
}

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

impl Trading {
    /// A strategy's intent as a signal.
    pub(super) fn send_intent(&mut self, place: usize, intent: &Intent, now: Timestamp) {
        let Some(id) = self.entry_id() else { return };
        let signal = intent.signal(self.runs[place].name(), id, None, now);
        self.send(signal, Made { place, at: intent.at, number: intent.number }, now);
    }

    /// One signal from beginning to end, or until its order waits for the market.
    pub(super) fn send(&mut self, signal: Signal, made: Made, now: Timestamp) {
        let Ok(id) = ClientOrderId::shared(signal.id.shared_text()) else { return };
        let slot = self.list(signal.symbol); // It may be a symbol that no source told of yet.
        let transaction = self.transactions.len();
        self.transactions.push(self.transaction(&signal, made, slot, now));
        let stale_at = self.desk.rules().limits.stale_at(&signal);
        let task = OrderTask::new(id.clone(), 1, stale_at, PATIENCE, now);
        let key = self.keep(Open { task, signal, made, transaction, slot, fee: Money::ZERO });
        loop {
            let Some(open) = &mut self.open[key] else { return };
            match open.task.next(now) {
                TaskStep::Decide => {
                    let market = MarketView { board: &self.prices, session: OPEN };
                    open.task.decided(self.desk.decide(&open.signal, &id, market, now), now);
                }
                TaskStep::Submit(request) => {
                    self.submit(key, &request, now);
                    return;
                }
                TaskStep::Done(Ending::Outcome { kind, reason }) => {
                    self.end_signal(key, kind, reason, now, now);
                    return;
                }
                // A new signal is neither looked up nor waited for, and poison is for redelivered ones.
                TaskStep::Query
                | TaskStep::Cancel(_)
                | TaskStep::Wait(_)
                | TaskStep::Done(Ending::Poison(_)) => return,
            }
        }
    }

    fn submit(&mut self, key: usize, request: &OrderRequest, now: Timestamp) {
        let Some(open) = &mut self.open[key] else { return };
        let transaction = &mut self.transactions[open.transaction];
        transaction.is_order = true;
        transaction.side = request.side;
        transaction.price_seen = self.prices.side(open.slot, request.side == Side::Buy);
        transaction.quantity = request.quantity;
        transaction.limit = match request.order_type {
            OrderType::Market => None,
            OrderType::Limit(limit) => Some(limit),
        };
        let taken = OrderReport {
            client_order_id: request.client_order_id.clone(),
            order_id: OrderId::shared(request.client_order_id.text()),
            symbol: request.symbol,
            side: request.side,
            quantity: request.quantity,
            status: OrderStatus::New,
            filled: Quantity::ZERO,
            average_price: None,
            submitted_at: Some(now),
        };
        open.task.on(Reply::Report(taken), now);
        let order = working(key, request.side, request.order_type, request.quantity);
        if let Some(met) = self.connector.submit(open.slot, order, now) {
            self.end_order(&met, now);
        }
    }

    /// Takes what became of an order at the market.
    pub(super) fn end_order(&mut self, met: &Met, now: Timestamp) {
        let Some(open) = &mut self.open[met.key] else { return };
        let Some(mut report) = open.task.report().cloned() else { return };
        let mut unpaid = None;
        match met.end {
            MetEnd::Filled { quantity, price, fee } => {
                let is_whole = quantity == report.quantity;
                report.status = if is_whole { OrderStatus::Filled } else { OrderStatus::Canceled };
                report.filled = quantity;
                report.average_price = Some(price);
                self.desk.charge(fee);
                open.fee = fee;
                self.moved.push(open.slot);
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
        open.task.on(Reply::Report(report), now);
        if let Some(report) = open.task.report() {
            self.desk.apply(&open.signal.id, report);
        }
        let TaskStep::Done(Ending::Outcome { kind, reason }) = open.task.next(now) else { return };
        let reason = match unpaid {
            Some(missing) => {
                format!("insufficient_buying_power: the account was {} dollars short", missing.cents())
            }
            None => reason,
        };
        self.end_signal(met.key, kind, reason, met.at, now);
    }

    fn end_signal(&mut self, key: usize, kind: OutcomeKind, reason: String, at: Timestamp, now: Timestamp) {
        let Some(Open { task, signal, made, transaction, fee, .. }) = &self.open[key] else { return };
        let (made, transaction) = (*made, *transaction);
        let ended = self.desk.end(signal, (kind, &reason), task.report(), *fee, at);
        let next = ended.next.as_ref().map(|step| (signal.clone(), step.clone()));
        self.open[key] = None;
        self.free.push(key);
        if let Some((signal, step)) = next {
            self.follow_with(signal, made, step, now);
        }
        let mut told = ended.told(self.desk.portfolio(), Some(made.place), (kind, &reason));
        // Mostly there is one.
        let (first, others) = (told.next(), told.collect::<Vec<_>>());
        for (place, end) in first.into_iter().chain(others) {
            self.tell(place, &end, now);
        }
        let transaction = &mut self.transactions[transaction];
        transaction.final_at = at;
        transaction.outcome = kind;
        transaction.reason = reason;
    }

    /// The step that follows from a signal, now or when it is due.
    fn follow_with(&mut self, signal: Signal, made: Made, step: Step, now: Timestamp) {
        let Some(id) = self.entry_id() else { return };
        let due = step.due;
        let next = Signal { id, step: Some(Box::new(step)), sent_at: due.max(now), ..signal };
        if due <= now {
            self.due.push_back(Due::Step(Box::new((next, made))));
            return;
        }
        self.wait(due, next, made);
    }

    /// Tells a strategy of an end or a fill; what it wants then is done after what is to be done already.
    fn tell(&mut self, place: usize, end: &OrderEnd, now: Timestamp) {
        let Some(run) = self.runs.get_mut(place) else { return };
        match run.on_order_end(end, &mut self.intents) {
            Ok(()) => self.due.extend(self.intents.drain(..).map(|intent| Due::Intent(place, intent))),
            Err(failure) => {
                self.intents.clear();
                self.note_failure(place, &failure, now);
            }
        }
    }

    fn keep(&mut self, open: Open) -> usize {
        let Some(key) = self.free.pop() else {
            self.open.push(Some(open));
            return self.open.len() - 1;
        };
        self.open[key] = Some(open);
        key
    }

    /// In-process ids are numbers, as repeatable as the run.
    pub(super) fn entry_id(&mut self) -> Option<EntryId> {
        self.id.clear();
        write!(self.id, "bt-{}", self.ids).ok()?;
        self.ids += 1;
        let text: Arc<str> = self.id.as_str().into();
        Some(EntryId::shared(text))
    }

    fn transaction(&self, signal: &Signal, made: Made, slot: Slot, now: Timestamp) -> Transaction {
        let side = signal.wanted.side().unwrap_or(Side::Buy);
        // Where wishes are combined the record after the strategies owns their orders.
        let owner = match self.desk.portfolio().combine() {
            Combine::Net if made.place < self.runs.len() => self.runs.len(),
            Combine::Separate | Combine::Net => made.place,
        };
        let place = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
        Transaction {
            strategy: place(owner),
            by: place(made.place),
            symbol: signal.symbol,
            side,
            signal: signal.wanted.strength(),
            at: now,
            made_at: made.at,
            number: made.number,
            step: signal.step.as_ref().map_or(0, |step| step.number),
            price_seen: self.prices.side(slot, side == Side::Buy),
            quantity: signal.wanted.quantity().unwrap_or_default(),
            limit: signal.limit,
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
