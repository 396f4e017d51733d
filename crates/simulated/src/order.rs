//! Orders as the simulated broker keeps them, and the events of their lives.

use std::sync::Arc;

use uuid::Uuid;

use super::matching::Working;
use bot_core::clock::Timestamp;
use bot_core::order::{OrderStatus, OrderType, Phase, Side, TimeInForce};
use bot_core::symbol::Symbol;
use bot_core::units::{AveragePrice, Money, Price, Quantity};

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Shares.
    Quantity(Quantity),
    /// Dollars; turned into shares when the order is received.
    Notional(Money),
}

/// One order as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The client's name of it, unique for good; made by the broker when absent.
    pub client_order_id: Option<Arc<str>>,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How much.
    pub amount: Amount,
    /// At what price.
    pub order_type: OrderType,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Kept and shown; the simulated market knows regular sessions only.
    pub extended_hours: bool,
}

/// One order and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperOrder {
    /// The place in the order of arrival, from 0.
    pub number: usize,
    /// The broker's name of it.
    pub id: Uuid,
    /// The client's name of it.
    pub client_order_id: Arc<str>,
    /// What.
    pub symbol: Symbol,
    /// The broker's name of the asset.
    pub asset_id: Uuid,
    /// Which way.
    pub side: Side,
    /// How much was asked for.
    pub amount: Amount,
    /// The same in shares.
    pub quantity: Quantity,
    /// At what price.
    pub order_type: OrderType,
    /// How long.
    pub time_in_force: TimeInForce,
    /// As asked for.
    pub extended_hours: bool,
    /// Whether it opened or closed a position when it was received, such as `buy_to_open`.
    pub strategy_signal: &'static str,
    /// Where it stands.
    pub status: OrderStatus,
    /// Shares filled so far.
    pub filled: Quantity,
    /// Money that the filled shares moved.
    pub paid: Money,
    /// When it was received; no two orders share an instant.
    pub submitted_at: Timestamp,
    /// When anything last changed.
    pub updated_at: Timestamp,
    /// When the last share was filled.
    pub filled_at: Option<Timestamp>,
    /// When its owner asked for its end.
    pub cancel_requested_at: Option<Timestamp>,
    /// When it was cancelled.
    pub canceled_at: Option<Timestamp>,
    /// When it expired.
    pub expired_at: Option<Timestamp>,
    /// When it will expire unless something else ends it.
    pub expires_at: Timestamp,
    /// What one share of it holds of the buying power.
    pub(super) hold_price: Option<Price>,
}

impl PaperOrder {
    /// Shares still to fill.
    pub fn remaining(&self) -> Quantity {
        self.quantity - self.filled
    }

    /// Mean price of the filled shares.
    pub fn average_price(&self) -> Option<AveragePrice> {
        AveragePrice::of(self.paid, self.filled)
    }

    /// Whether more may happen.
    pub fn is_open(&self) -> bool {
        match self.status.phase() {
            Phase::Working => true,
            Phase::Final => false,
        }
    }

    pub(super) fn working(&self) -> Working {
        Working {
            key: self.number,
            side: self.side,
            order_type: self.order_type,
            remaining: self.remaining(),
        }
    }
}

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderEventKind {
    /// Received.
    PendingNew,
    /// Working.
    New,
    /// Some shares were filled.
    PartialFill,
    /// The last shares were filled.
    Fill,
    /// Cancelled, by its owner or by its time in force.
    Canceled,
    /// Ran out of time.
    Expired,
}

impl OrderEventKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderEventKind::PendingNew => "pending_new",
            OrderEventKind::New => "new",
            OrderEventKind::PartialFill => "partial_fill",
            OrderEventKind::Fill => "fill",
            OrderEventKind::Canceled => "canceled",
            OrderEventKind::Expired => "expired",
        }
    }
}

/// One fill as its event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillDetail {
    /// US dollars per share of this execution.
    pub price: Price,
    /// Shares of this execution.
    pub quantity: Quantity,
    /// Shares held after it, negative when short.
    pub position: Quantity,
}

/// One step of an order's life, in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// Unique and rising: milliseconds since 1970 above 80 other bits, as in a ULID.
    pub id: u128,
    /// Accepted, filled, cancelled, and so on, in the words of the order stream.
    pub kind: OrderEventKind,
    /// When.
    pub at: Timestamp,
    /// The order as it stood right after.
    pub order: PaperOrder,
    /// The execution's name; absent where there was none.
    pub execution_id: Option<Uuid>,
    /// For fills.
    pub fill: Option<FillDetail>,
}
