//! The record of one order's life, from its signal to its end: written once, when it is over. What goes to the outcomes
//! stream, into files and reports, and what is held against a replay is made of it.

use crate::clock::Timestamp;
use crate::execution::{Fills, Order, OrderKey};
use crate::market::Quote;
use crate::order::{ClientOrderId, OrderReport, OrderRequest};
use crate::outcome::OutcomeKind;
use crate::risk::Approved;
use crate::signal::Signal;
use crate::units::Money;

/// One order's life.
#[derive(Debug)]
pub struct OrderRecord {
    /// The key that it had among the orders that were not final.
    pub key: OrderKey,
    /// How it ended.
    pub kind: OutcomeKind,
    /// Why, `code: text`, empty where the kind says all.
    pub reason: String,
    /// When that was known.
    pub ended_at: Timestamp,
    order: Box<Order>,
}

impl OrderRecord {
    /// The record of an order that ended so.
    pub fn of(
        key: OrderKey,
        order: Box<Order>,
        (kind, reason): (OutcomeKind, String),
        ended_at: Timestamp,
    ) -> Self {
        Self { key, kind, reason, ended_at, order }
    }

    /// What asked for it, as it was read.
    pub fn signal(&self) -> &Signal {
        &self.order.signal
    }

    /// The same, when nothing else is wanted any more.
    pub fn into_signal(self) -> Signal {
        self.order.signal
    }

    /// When the signal reached this process.
    pub fn received_at(&self) -> Timestamp {
        self.order.received_at
    }

    /// When it was decided on, and the quote that was seen then; none where it never came to that.
    pub fn decided(&self) -> Option<(Timestamp, Option<Quote>)> {
        self.order.decided
    }

    /// The id that the order has, or would have, at the broker.
    pub fn client_order_id(&self) -> &ClientOrderId {
        &self.order.client_order_id
    }

    /// The order as it was approved.
    pub fn request(&self) -> Option<&OrderRequest> {
        self.order.task.approved().map(Approved::request)
    }

    /// When it was first sent.
    pub fn submitted_at(&self) -> Option<Timestamp> {
        self.order.task.submitted_at()
    }

    /// How often it was sent, with the same id.
    pub fn sends(&self) -> u32 {
        self.order.task.sends()
    }

    /// The broker's last word of it.
    pub fn report(&self) -> Option<&OrderReport> {
        self.order.task.report()
    }

    /// Whether the order was there before this process sent anything: then the account had its fills already.
    pub fn is_adopted(&self) -> bool {
        self.order.task.is_adopted()
    }

    /// What it filled, in order; of an order that was there before, nothing.
    pub fn fills(&self) -> &Fills {
        &self.order.fills
    }

    /// Fees taken for that, US dollars.
    pub fn fees(&self) -> Money {
        self.order.fee
    }
}
