//! What the core is told, and what it wants done.

use std::collections::HashSet;
use std::time::Duration;

use super::overload::Overload;
use super::record::OrderRecord;
use crate::clock::Timestamp;
use crate::desk::MarketView;
use crate::execution::{Claim, Order, OrderKey, Remark};
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus};
use crate::portfolio::Ended;
use crate::reply::Reply;
use crate::signal::{Entry, EntryId, Signal};
use crate::strategy::OrderEnd;
use crate::units::Money;

/// Something that happened.
#[allow(clippy::large_enum_variant, reason = "it is handed over once and kept nowhere")]
pub enum Event<'a> {
    /// A signal came: into its lane.
    Signal(Arrival),
    /// Somebody has taken the order, and this is what the market shows: decide now.
    Turn {
        /// Which one.
        order: OrderKey,
        /// What the market shows.
        market: MarketView<'a>,
    },
    /// The answer to an action.
    Reply {
        /// To whose.
        order: OrderKey,
        /// What was answered.
        reply: Reply,
    },
    /// News of an order that came by itself.
    Report(OrderReport),
    /// The broker took a fee for an order's fill.
    Fee {
        /// For which one.
        order: OrderKey,
        /// US dollars.
        fee: Money,
    },
    /// What the end of an order is to say beside what its status says.
    Remark {
        /// Of which one.
        order: OrderKey,
        /// What.
        remark: Remark,
    },
    /// Whoever follows the order has waited, or has just taken it: what now?
    Due {
        /// Which one.
        order: OrderKey,
    },
    /// Whoever worked on the order panicked.
    Failed {
        /// On which one.
        order: OrderKey,
        /// The panic's text.
        cause: &'a str,
    },
    /// A deadline has come.
    Timer,
}

/// A signal that came.
#[derive(Debug)]
pub struct Arrival {
    /// The stream's entry as read, where it came from one.
    pub entry: Option<Entry>,
    /// What it says.
    pub signal: Signal,
    /// The one id of its order.
    pub client_order_id: ClientOrderId,
    /// What it claims of its lane.
    pub claim: Claim,
    /// When it reached this process.
    pub received_at: Timestamp,
}

/// Something to be done.
#[derive(Debug)]
pub enum Action {
    /// Look at the market and come back with a [`Event::Turn`].
    Decide {
        /// For which order.
        order: OrderKey,
    },
    /// Send it, and come back with the answer.
    Submit {
        /// Which one.
        order: OrderKey,
        /// As it is sent.
        request: OrderRequest,
    },
    /// Look it up by its client order id, and come back with the answer.
    Query {
        /// Which one.
        order: OrderKey,
        /// Its id.
        id: ClientOrderId,
    },
    /// Ask for it to be cancelled, and come back with the answer.
    Cancel {
        /// Which one.
        order: OrderKey,
        /// The broker's name of it.
        id: OrderId,
    },
    /// Wait to be woken, until then at most, and come back with a [`Event::Due`].
    Wait {
        /// For which one.
        order: OrderKey,
        /// Until when.
        until: Timestamp,
    },
    /// It takes long: whoever follows it is free.
    Park {
        /// Which one.
        order: OrderKey,
    },
    /// A signal has its end.
    Ended(Box<OrderEnded>),
    /// A signal was delivered too often and there is no order: its entry goes to the dead letters.
    DeadLetter {
        /// What is known of it.
        order: Box<Order>,
        /// Why.
        reason: String,
    },
    /// Something that people should know.
    Notice(Notice),
}

impl Action {
    /// The order that whoever follows it is to do something for; none for what is over or is told.
    pub fn order(&self) -> Option<OrderKey> {
        match self {
            Self::Decide { order }
            | Self::Submit { order, .. }
            | Self::Query { order, .. }
            | Self::Cancel { order, .. }
            | Self::Wait { order, .. }
            | Self::Park { order } => Some(*order),
            Self::Ended(_) | Self::DeadLetter { .. } | Self::Notice(_) => None,
        }
    }
}

/// A signal's end, and what follows from it.
#[derive(Debug)]
pub struct OrderEnded {
    /// The order's whole life.
    pub record: OrderRecord,
    /// What it changed in the strategies' books, and the step that follows.
    pub ended: Ended,
    /// What each strategy, by its place, is told of it.
    pub told: Told,
}

/// What strategies, by their places, are told of one end.
#[derive(Debug)]
pub struct Told {
    /// Mostly there is one at most.
    pub first: Option<(usize, OrderEnd)>,
    /// The rest.
    pub others: Vec<(usize, OrderEnd)>,
}

impl IntoIterator for Told {
    type Item = (usize, OrderEnd);
    type IntoIter = std::iter::Chain<std::option::IntoIter<Self::Item>, std::vec::IntoIter<Self::Item>>;
    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// An order that should have ended long ago.
    NotFinal {
        /// Of which signal.
        signal: EntryId,
        /// Which one.
        id: ClientOrderId,
        /// The broker's last word of it.
        status: Option<OrderStatus>,
        /// For how long.
        worked: Duration,
    },
    /// Signals come faster than orders can be sent, and grow too old.
    Overload(Overload),
}

/// The orders that a list request is to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// When the oldest was submitted, by the broker's clock where it is known.
    pub submitted: Timestamp,
    /// Which ones.
    pub ids: HashSet<ClientOrderId>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { submitted: Timestamp::MAX, ids: HashSet::new() }
    }
}
