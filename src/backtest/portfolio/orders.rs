//! The life of one signal: the desk decides, an order task lives the order's life, and only its end is recorded.

use std::fmt::Write;
use std::sync::Arc;

use super::{Errand, Portfolio};
use crate::backtest::board::Slot;
use crate::backtest::connector::{Met, MetEnd, working};
use crate::backtest::record::{FillRecord, Transaction};
use crate::backtest::run::FOR_EVER;
use crate::clock::Timestamp;
use crate::desk::MarketView;
use crate::market::SessionClock;
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus, OrderType, Side};
use crate::outcome::OutcomeKind;
use crate::reply::Reply;
use crate::signal::{EntryId, Signal};
use crate::strategy::Fill;
use crate::symbol::Symbol;
use crate::task::{Ending, OrderTask, Patience, Step};
use crate::units::{Money, Price, Quantity};

/// Where a signal comes from and what it wants.
pub(super) struct Plan {
    pub(super) owner: usize,
    pub(super) symbol: Symbol,
    pub(super) slot: Slot,
    pub(super) side: Side,
    /// None: the desk sizes it.
    pub(super) shares: Option<Quantity>,
    pub(super) strength: Option<f64>,
    pub(super) limit: Option<Price>,
}

/// A signal on its way.
pub(super) struct Open {
    task: OrderTask,
    signal: EntryId,
    owner: usize,
    pub(super) transaction: usize,
    slot: Slot,
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

impl Portfolio {
    /// One signal from beginning to end, or until its order waits for the market.
    pub(super) fn send(&mut self, plan: &Plan, now: Timestamp) {
        let transaction = self.transactions.len();
        let Some((signal, id)) = self.signal(transaction, plan, now) else { return };
        if let Some(shares) = plan.shares {
            self.owners[plan.owner].targets.sent(signal.id.clone(), plan.symbol, plan.side, shares);
        }
        self.transactions.push(self.transaction(plan, now));
        let stale_at = self.desk.rules().limits.stale_at(&signal);
        let task = OrderTask::new(id.clone(), 1, stale_at, PATIENCE, now);
        let (owner, slot) = (plan.owner, plan.slot);
        // What the desk sizes, it sizes as the strategy says where each signal is one order of that size.
        let own = self.seats.get(owner).filter(|seat| !seat.sizing.is_target).map(|seat| seat.sizing.rule);
        let size = own.unwrap_or(self.desk.rules().size);
        let key = self.keep(Open { task, signal: signal.id.clone(), owner, transaction, slot });
        loop {
            let Some(open) = &mut self.open[key] else { return };
            match open.task.next(now) {
                Step::Decide => {
                    let market = MarketView { board: &self.prices, session: OPEN };
                    open.task.decided(self.desk.decide_by(size, &signal, &id, market, now), now);
                }
                Step::Submit(request) => {
                    self.submit(key, &request, now);
                    return;
                }
                Step::Done(Ending::Outcome { kind, reason }) => {
                    self.end_signal(key, kind, reason, now);
                    return;
                }
                // A new signal is neither looked up nor waited for, and poison is for redelivered ones.
                Step::Query | Step::Cancel(_) | Step::Wait(_) | Step::Done(Ending::Poison(_)) => return,
            }
        }
    }

    fn submit(&mut self, key: usize, request: &OrderRequest, now: Timestamp) {
        let Some(open) = &mut self.open[key] else { return };
        let transaction = &mut self.transactions[open.transaction];
        transaction.is_order = true;
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
                self.moved.push(open.slot);
                self.owners[open.owner].book.fill(open.slot, report.side, quantity, price, fee);
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
        let owner = open.owner;
        let Step::Done(Ending::Outcome { kind, reason }) = open.task.next(now) else { return };
        let reason = match unpaid {
            Some(missing) => {
                format!("insufficient_buying_power: the account was {} dollars short", missing.cents())
            }
            None => reason,
        };
        self.end_signal(met.key, kind, reason, met.at);
        if let (Some(price), true) = (price, filled.is_positive()) {
            self.tell(owner, &Fill { at: met.at, symbol, side, quantity: filled, price }, now);
        }
    }

    /// Tells a strategy of its fill; fills of combined wishes belong to none.
    fn tell(&mut self, owner: usize, fill: &Fill, now: Timestamp) {
        let Some(seat) = self.seats.get_mut(owner) else { return };
        let errands = &mut self.errands;
        let told = seat
            .runner
            .on_fill(fill)
            .map(|wishes| errands.extend(wishes.map(|wish| Errand::Grant(owner, wish))));
        if let Err(failure) = told {
            self.note_failure(owner, &failure, now);
        }
    }

    fn end_signal(&mut self, key: usize, kind: OutcomeKind, reason: String, at: Timestamp) {
        let Some(open) = self.open[key].take() else { return };
        self.free.push(key);
        self.desk.release(&open.signal);
        let transaction = &mut self.transactions[open.transaction];
        transaction.final_at = at;
        transaction.outcome = kind;
        transaction.reason = reason;
        if self.owners[open.owner].targets.settled(&open.signal, transaction.filled) {
            self.errands.push_back(Errand::Step(open.owner, transaction.symbol));
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

    /// A signal with its ids: in-process ones are numbers, as repeatable as the run.
    fn signal(&mut self, number: usize, plan: &Plan, now: Timestamp) -> Option<(Signal, ClientOrderId)> {
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
        Transaction {
            strategy: u16::try_from(plan.owner).unwrap_or(u16::MAX),
            symbol: plan.symbol,
            side: plan.side,
            signal: plan.strength,
            at: now,
            price_seen: self.prices.side(plan.slot, plan.side == Side::Buy),
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
