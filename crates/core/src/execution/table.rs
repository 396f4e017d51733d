//! The table of all orders that are not final: by key, and by the client order id that reports name. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::task::OrderTask;
use crate::clock::Timestamp;
use crate::market::Quote;
use crate::order::{ClientOrderId, OrderReport};
use crate::signal::{Entry, Signal};
use crate::units::{Money, Quantity};

/// The name of one order in the table. Its place is given again once the order is over, the whole key is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    place: u32,
    /// How many orders had the place before.
    generation: u32,
}

/// One signal's order, from the signal's arrival to its end.
#[derive(Debug)]
pub struct Order {
    /// Its life at the broker.
    pub task: OrderTask,
    /// What asked for it.
    pub signal: Signal,
    /// The id that it has at the broker, for good.
    pub client_order_id: ClientOrderId,
    /// The stream's entry as read, where it came from one.
    pub entry: Option<Entry>,
    /// When the signal reached this process.
    pub received_at: Timestamp,
    /// When it was decided on, and the quote that was seen then.
    pub decided: Option<(Timestamp, Option<Quote>)>,
    /// Who has it.
    pub stage: Stage,
    /// What was heard of it while a request was not answered; seldom, so it takes no room.
    pub heard: Option<Box<OrderReport>>,
    /// What its end is to say beside what its status says.
    pub remark: Option<Remark>,
    /// What it filled, as far as it is booked.
    pub fills: Fills,
    /// Fees taken for its fills.
    pub fee: Money,
    /// Whether a newer target of its strategy has come since.
    pub is_superseded: bool,
    /// Whether whoever worked on it failed.
    pub has_failed: bool,
    /// When it is told of next, while it works.
    pub(crate) tell_at: Timestamp,
    /// When its stage ends by itself: see [`OrderTable::set_deadline`].
    deadline: Option<Timestamp>,
}

/// Shares that changed hands at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderFill {
    /// When it was known.
    pub at: Timestamp,
    /// How many, above 0.
    pub quantity: Quantity,
    /// Money that changed hands for them, without fees.
    pub money: Money,
}

/// What an order filled, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fills {
    /// Mostly there is one at most.
    first: Option<OrderFill>,
    others: Vec<OrderFill>,
}

impl Fills {
    /// Notes what a report says that is not known yet; reports are cumulative.
    pub fn note(&mut self, report: &OrderReport, now: Timestamp) {
        let Some(price) = report.average_price.filter(|_| report.filled.is_positive()) else { return };
        let Some(first) = &self.first else {
            self.first = Some(OrderFill { at: now, quantity: report.filled, money: price * report.filled });
            return;
        };
        let known = |sum: Quantity, fill: &OrderFill| sum + fill.quantity;
        let more = report.filled - self.others.iter().fold(first.quantity, known);
        if more.is_positive() {
            let paid = self.others.iter().fold(first.money, |sum, fill| sum + fill.money);
            self.others.push(OrderFill { at: now, quantity: more, money: price * report.filled - paid });
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &OrderFill> {
        self.first.iter().chain(&self.others)
    }
}

/// What the end of an order is to say.
#[derive(Debug, Clone)]
pub struct Remark {
    /// `code: text`.
    pub text: Arc<str>,
    /// Whether it stands in the place of what its status says, or before it.
    pub stands_alone: bool,
}

/// Who has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits in its lane.
    Waiting,
    /// Somebody follows it; true while an I/O of theirs is not answered.
    Followed(bool),
    /// Nobody waits for it: its deadline or news wake it. True while an I/O is not answered.
    Parked(bool),
}

/// All orders that are not final.
#[derive(Debug, Default)]
pub struct OrderTable {
    orders: Vec<(u32, Option<Box<Order>>)>,
    free: Vec<u32>,
    /// Where reports come by client order id; two signals of one producer's id have the same one.
    by_id: Option<HashMap<ClientOrderId, Vec<OrderKey>>>,
    deadlines: BTreeSet<(Timestamp, OrderKey)>,
}

impl OrderKey {
    /// Its place in an array beside the table; the places in use are small numbers.
    pub fn place(self) -> usize {
        self.place as usize
    }

    #[cfg(test)]
    pub(crate) fn of(place: u32) -> Self {
        Self { place, generation: 0 }
    }
}

impl Stage {
    /// The same with no I/O to be answered.
    #[must_use]
    pub fn idle(self) -> Self {
        match self {
            Self::Waiting => Self::Waiting,
            Self::Followed(_) => Self::Followed(false),
            Self::Parked(_) => Self::Parked(false),
        }
    }
}

impl Order {
    /// A signal that has just come. It stays where it is in memory until its end: it is large.
    pub fn new(
        task: OrderTask,
        signal: Signal,
        client_order_id: ClientOrderId,
        received_at: Timestamp,
    ) -> Box<Self> {
        Box::new(Self {
            task,
            signal,
            client_order_id,
            entry: None,
            received_at,
            decided: None,
            stage: Stage::Waiting,
            heard: None,
            remark: None,
            fills: Fills::default(),
            fee: Money::ZERO,
            is_superseded: false,
            has_failed: false,
            tell_at: Timestamp::MAX,
            deadline: None,
        })
    }
}

impl OrderTable {
    /// An empty one in which orders are found by their client order ids.
    pub fn indexed() -> Self {
        Self { by_id: Some(HashMap::new()), ..Self::default() }
    }

    /// Takes an order in.
    pub fn insert(&mut self, order: Box<Order>) -> OrderKey {
        let place = self.free.pop().unwrap_or_else(|| {
            self.orders.push((0, None));
            u32::try_from(self.orders.len() - 1).unwrap_or(u32::MAX)
        });
        let (generation, free) = &mut self.orders[place as usize];
        let key = OrderKey { place, generation: *generation };
        if let Some(by_id) = &mut self.by_id {
            by_id.entry(order.client_order_id.clone()).or_default().push(key);
        }
        *free = Some(order);
        key
    }

    /// One order.
    #[inline]
    pub fn get(&self, key: OrderKey) -> Option<&Order> {
        self.orders.get(key.place()).filter(|(generation, _)| *generation == key.generation)?.1.as_deref()
    }

    /// One order, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: OrderKey) -> Option<&mut Order> {
        self.orders
            .get_mut(key.place())
            .filter(|(generation, _)| *generation == key.generation)?
            .1
            .as_deref_mut()
    }

    /// Takes an order out that is over.
    pub fn remove(&mut self, key: OrderKey) -> Option<Box<Order>> {
        let (generation, order) = self.orders.get_mut(key.place())?;
        let order = order.take_if(|_| *generation == key.generation)?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.place);
        if let Some(at) = order.deadline {
            self.deadlines.remove(&(at, key));
        }
        if let Some(by_id) = &mut self.by_id
            && let Some(keys) = by_id.get_mut(&order.client_order_id)
        {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                by_id.remove(&order.client_order_id);
            }
        }
        Some(order)
    }

    /// The orders of a client order id, the oldest first: one, or more where a producer sent an id twice.
    pub fn of_id(&self, id: &ClientOrderId) -> Vec<OrderKey> {
        self.by_id.as_ref().and_then(|by_id| by_id.get(id)).cloned().unwrap_or_default()
    }

    /// All orders, by key.
    pub fn iter(&self) -> impl Iterator<Item = (OrderKey, &Order)> {
        let key = |place, generation| OrderKey { place, generation };
        let orders = (0..).zip(&self.orders);
        orders.filter_map(move |(place, (generation, order))| {
            Some((key(place, *generation), order.as_deref()?))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.orders.len() - self.free.len()
    }

    /// Whether all are over.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says when an order is to be looked at whatever happens; none for never.
    pub fn set_deadline(&mut self, key: OrderKey, at: Option<Timestamp>) {
        let Some(order) = self.get_mut(key) else { return };
        let before = std::mem::replace(&mut order.deadline, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.deadlines.remove(&(before, key));
        }
        self.deadlines.extend(at.map(|at| (at, key)));
    }

    /// The first deadline there is.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes the first order whose deadline has come; it has none then.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<OrderKey> {
        let (at, key) = self.deadlines.first().copied().filter(|(at, _)| *at <= now)?;
        self.deadlines.remove(&(at, key));
        self.get_mut(key)?.deadline = None;
        Some(key)
    }
}
