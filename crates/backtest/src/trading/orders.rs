//! The life of one signal: the desk decides, an order task lives the order's life, and only its end is recorded.

use std::fmt::Write;
use std::sync::Arc;

use super::{Due, Trading};
use crate::connector::{ExecutionEnd, ExecutionReport, working};
use crate::latest_prices::Slot;
use crate::record::{FillRecord, OrderSummary};
use crate::setup::FOR_EVER;
use bot_core::clock::Timestamp;
use bot_core::core::{Action, Arrival, Core, Event, OrderEnded, OrderRecord};
use bot_core::desk::MarketView;
use bot_core::execution::{Claim, OrderKey, Remark, Timeouts};
use bot_core::market::SessionClock;
use bot_core::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus, OrderType, Side};
use bot_core::portfolio::Combine;
use bot_core::reply::{Rejection, Reply};
use bot_core::risk::Approved;
use bot_core::signal::{EntryId, Signal, Step};
use bot_core::strategy::{OrderEnd, StrategySignal};
use bot_core::units::{Money, Price, Quantity};
use bot_simulated::Fees;

/// Whose signal it is, and of which signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignalOrigin {
    pub(super) place: usize,
    /// The time of the signal and its number then.
    pub(super) at: Timestamp,
    pub(super) number: u32,
}

/// A signal on its way, beside what the core knows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenSignal {
    pub(super) order: OrderKey,
    made: SignalOrigin,
    pub(super) record: usize,
    slot: Slot,
    /// It liquidates a position.
    is_forced: bool,
}

/// Over history the market is open whenever it shows a price.
const OPEN: SessionClock =
    SessionClock { is_open: true, next_open: Timestamp::MAX, next_close: Timestamp::MAX };

/// An order waits for its market as long as it takes: the answer to its submission is its end.
pub(super) const TIMEOUTS: Timeouts = Timeouts {
    poll_after: FOR_EVER,
    poll_max: FOR_EVER,
    cancel_after: FOR_EVER,
    cancel_day_after: FOR_EVER,
    pause_min: FOR_EVER,
    pause_max: FOR_EVER,
    look_for: FOR_EVER,
    park_after: FOR_EVER,
    tell_after: FOR_EVER,
    deliveries_max: 1,
};

impl Trading {
    /// A strategy's signal as a signal.
    pub(super) fn send_intent(&mut self, place: usize, strategy_signal: &StrategySignal, now: Timestamp) {
        let Some(id) = self.entry_id() else { return };
        let signal = strategy_signal.signal(self.runs[place].name(), id, None, now);
        self.send(
            signal,
            SignalOrigin { place, at: strategy_signal.at, number: strategy_signal.number },
            now,
        );
    }

    /// One signal from beginning to end, or until its order waits for the market.
    pub(super) fn send(&mut self, signal: Signal, made: SignalOrigin, now: Timestamp) {
        let Ok(client_order_id) = ClientOrderId::shared(signal.id.shared_text()) else { return };
        let slot = self.list(signal.symbol); // It may be a symbol that no source told of yet.
        let record = self.orders.len();
        self.orders.push(None);
        self.arriving = Some((made, record, slot));
        let claim = Claim { side: None, target_of: None, is_step: false };
        let arrival = Arrival { entry: None, signal, client_order_id, claim, received_at: now };
        self.step(Event::Signal(arrival), now, now);
    }

    /// Tells the core of an event at `at`, and does what it wants done by `now`.
    fn step(&mut self, event: Event<'_>, at: Timestamp, now: Timestamp) {
        self.core.on(event, at, &mut self.actions);
        while let Some(action) = self.actions.pop() {
            match action {
                Action::Decide { order } => self.decide(order, now),
                Action::Submit { order, request } => self.submit(order, &request, now),
                Action::Ended(ended) => self.end_signal(*ended, now),
                // A new signal is neither looked up nor waited for, and poison is for redelivered ones.
                Action::Query { .. }
                | Action::Cancel { .. }
                | Action::Wait { .. }
                | Action::Park { .. }
                | Action::DeadLetter { .. }
                | Action::Notice(_) => {}
            }
        }
    }

    fn decide(&mut self, order: OrderKey, now: Timestamp) {
        if let Some((made, record, slot)) = self.arriving.take() {
            let place = order.place();
            self.open.resize(self.open.len().max(place + 1), None);
            let is_forced = self.liquidating.is_some();
            self.open[place] = Some(OpenSignal { order, made, record, slot, is_forced });
            if let Some(text) = self.liquidating.clone() {
                let remark = Remark { text, stands_alone: false };
                self.core.on(Event::Remark { order, remark }, now, &mut self.actions);
            }
        }
        let own = self.core.orders().get(order).map(|order| order.signal.symbol);
        while let Some(moved) = self.prices.next_moved() {
            // The price of what is decided on is looked at in any case.
            if Some(moved) != own {
                self.core.desk_mut().moved(moved, &self.prices);
            }
        }
        let market = MarketView { latest_prices: &self.prices, session: OPEN, version: None };
        self.core.on(Event::Turn { order, market }, now, &mut self.actions);
    }

    fn submit(&mut self, order: OrderKey, request: &OrderRequest, now: Timestamp) {
        let Some(open) = self.open[order.place()] else { return };
        let order = working(order.place(), request.side, request.order_type, request.quantity);
        let Self { connector, core, open: orders, sized_at_fill, .. } = self;
        let size_of = &mut |key, price| size_at_fill(*sized_at_fill, core, orders, key, price);
        let execution = if open.is_forced {
            connector.liquidate(open.slot, order, now)
        } else {
            connector.submit(open.slot, order, now, size_of)
        };
        if let Some(execution) = execution {
            self.end_order(&execution, now);
        }
    }
    /// Takes what became of an order at the market.
    pub(super) fn end_order(&mut self, execution: &ExecutionReport, now: Timestamp) {
        let Some(open) = self.open[execution.key] else { return };
        let Some(task) = self.core.orders().get(open.order).map(|order| &order.task) else { return };
        let Some(request) = task.approved().map(Approved::request) else { return };
        let (filled, average_price) = match execution.end {
            ExecutionEnd::Filled { quantity, price, .. } => (quantity, Some(price.into())),
            ExecutionEnd::Canceled | ExecutionEnd::Unpaid { .. } => (Quantity::ZERO, None),
        };
        let mut report = OrderReport {
            client_order_id: request.client_order_id.clone(),
            order_id: OrderId::shared(request.client_order_id.text()),
            symbol: request.symbol,
            side: request.side,
            quantity: request.quantity,
            status: OrderStatus::Canceled,
            filled,
            average_price,
            submitted_at: task.submitted_at(),
        };
        let is_other = execution.quantity != report.quantity;
        if is_other
            && self.core.resize(open.order, execution.quantity, execution.at)
            && execution.quantity.is_positive()
        {
            report.quantity = execution.quantity;
        }
        if report.filled == report.quantity {
            report.status = OrderStatus::Filled;
        }
        let remark = match (&self.liquidating, execution.is_reduced) {
            (_, true) => Some(
                format!("reduced: the account could carry {} shares at the fill", execution.quantity).into(),
            ),
            (Some(called), false) if !open.is_forced => Some(Arc::clone(called)),
            (Some(_) | None, false) => None,
        };
        if let Some(text) = remark {
            let remark = Remark { text, stands_alone: true };
            self.core.on(Event::Remark { order: open.order, remark }, execution.at, &mut self.actions);
        }
        let reply = match execution.end {
            ExecutionEnd::Filled { fee, .. } => {
                self.moved.push(open.slot);
                self.core.on(Event::Fee { order: open.order, fee }, execution.at, &mut self.actions);
                Reply::Report(report)
            }
            ExecutionEnd::Canceled => Reply::Report(report),
            ExecutionEnd::Unpaid { missing } => Reply::Rejected(Rejection::without_http(format!(
                "insufficient_buying_power: the account was {} dollars short",
                missing.cents()
            ))),
        };
        self.step(Event::Reply { order: open.order, reply }, execution.at, now);
    }

    fn end_signal(&mut self, ended: OrderEnded, now: Timestamp) {
        let OrderEnded { record, ended, told } = ended;
        let Some(open) = self.open[record.key.place()].take() else { return };
        self.note(&open, &record);
        if let Some(step) = ended.next {
            self.follow_with(record.into_signal(), open.made, step, now);
        }
        for (place, end) in told {
            self.tell(place, &end, now);
        }
    }

    /// Keeps the record of an order's life, in the form of a run's many.
    pub(super) fn note(&mut self, open: &OpenSignal, order: &OrderRecord) {
        let place = u32::try_from(open.record).unwrap_or(u32::MAX);
        if let Some(report) = order.report()
            && let Some(price) = report.average_price
        {
            for fill in order.fills().iter() {
                let (at, quantity, fee) = (fill.at, fill.quantity, order.fees());
                self.fills.push(FillRecord { order: place, at, quantity, price: price.price(), fee });
            }
        }
        // Where intents are combined the record after the strategies owns their orders.
        let owner = match self.core.desk().portfolio().combine() {
            Combine::Net if open.made.place < self.runs.len() => self.runs.len(),
            Combine::Separate | Combine::Net => open.made.place,
        };
        self.orders[open.record] = Some(OrderSummary::of(order, owner, open.made));
    }

    /// The step that follows from a signal, now or when it is due.
    fn follow_with(&mut self, signal: Signal, made: SignalOrigin, step: Step, now: Timestamp) {
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
        match run.on_order(end, &mut self.strategy_signals) {
            Ok(()) => self.due.extend(
                self.strategy_signals
                    .drain(..)
                    .map(|strategy_signal| Due::StrategySignal(place, strategy_signal)),
            ),
            Err(failure) => {
                self.strategy_signals.clear();
                self.note_failure(place, &failure, now);
            }
        }
    }

    /// In-process ids are numbers, as repeatable as the run.
    pub(super) fn entry_id(&mut self) -> Option<EntryId> {
        self.id.clear();
        write!(self.id, "bt-{}", self.ids).ok()?;
        self.ids += 1;
        let text: Arc<str> = self.id.as_str().into();
        Some(EntryId::shared(text))
    }
}

impl OrderSummary {
    /// An order's life as a run keeps it: `owner` is the place of whose order it is.
    fn of(order: &OrderRecord, owner: usize, made: SignalOrigin) -> Self {
        let (signal, report) = (order.signal(), order.report());
        let is_order = order.submitted_at().is_some();
        let sent = order.request().filter(|_| is_order);
        let side = sent.map(|request| request.side).or(signal.wanted.side()).unwrap_or(Side::Buy);
        let seen = order.decided().and_then(|(_, quote)| quote);
        let (filled, price) =
            report.map_or((Quantity::ZERO, None), |report| (report.filled, report.average_price));
        let place = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
        Self {
            strategy: place(owner),
            by: place(made.place),
            symbol: signal.symbol,
            side,
            wanted: signal.wanted,
            at: order.received_at(),
            made_at: made.at,
            number: made.number,
            step: signal.step.as_ref().map_or(0, |step| step.number),
            price_seen: seen.map_or(f64::NAN, |quote| if side == Side::Buy { quote.ask } else { quote.bid }),
            quantity: match (report.filter(|report| report.filled.is_positive()), sent) {
                (Some(report), _) => report.quantity,
                (None, Some(request)) => request.quantity,
                (None, None) => signal.wanted.quantity().unwrap_or_default(),
            },
            limit: sent.map_or(signal.limit, |request| match request.order_type {
                OrderType::Market => None,
                OrderType::Limit(limit) => Some(limit),
            }),
            is_order,
            final_at: order.ended_at,
            filled,
            total: price.map_or(Money::ZERO, |price| price * filled),
            fees: order.fees(),
            outcome: order.kind,
            reason: order.reason.clone(),
            tag: signal.tag.clone(),
        }
    }
}

/// The shares of an order of a part of the equity that fills at `price`.
pub(super) fn size_at_fill(
    fees: Option<Fees>,
    core: &Core,
    open: &[Option<OpenSignal>],
    key: usize,
    price: Price,
) -> Option<Quantity> {
    let (fees, open) = (fees?, open.get(key)?.as_ref()?);
    let signal = &core.orders().get(open.order)?.signal;
    core.desk().size_at_fill(signal, price, &|side, quantity| fees.of(side, quantity, price * quantity))
}
