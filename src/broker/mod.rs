//! The door to a broker: one trait for workers, one for the place they connect to, answers classified by proof.

pub mod alpaca;
pub mod simulated;

use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::market::{Bar, SessionClock, Snapshot};
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// What the broker answered to a submit, a query or a cancel. Only a report or a rejection proves anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The order exists and stands so.
    Report(OrderReport),
    /// Proof that the request was not accepted; for a cancel: too late or unknown.
    Rejected(Rejection),
    /// Proof that the request was not accepted for now: send the same again, not before `until`.
    RateLimited {
        /// The earliest time to try again.
        until: Timestamp,
    },
    /// An order with this client order id exists already.
    Duplicate,
    /// The broker does not know the order (yet): no proof that it never will.
    NotFound,
    /// The cancel was taken; whether it wins is told by the next report.
    CancelAccepted,
    /// No proof either way: time-out, lost connection, 5xx, unreadable body.
    Unknown(String),
}

/// A refusal in the broker's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (http {status}, code {})", code.map_or("none".to_owned(), |code| code.to_string()))]
pub struct Rejection {
    /// HTTP status or the like.
    pub status: u16,
    /// The broker's own code, where it sends one.
    pub code: Option<u64>,
    /// The broker's text, kept for the outcome.
    pub message: String,
}

/// Why a read failed, named by what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokerError {
    /// Try again later: nobody answered, or the answer was 5xx, 429 or unreadable.
    #[error("broker is unreachable: {0}")]
    Unreachable(String),
    /// Give up: the keys are missing or refused.
    #[error("broker refused the credentials: {0}")]
    Credentials(String),
    /// Give up: the request itself is refused.
    #[error("broker refused the request: {0}")]
    Refused(Rejection),
}

/// One holding, as the broker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// What.
    pub symbol: Symbol,
    /// Shares, negative when short.
    pub quantity: Quantity,
    /// Shares not held for open orders.
    pub available: Quantity,
    /// Mean entry price; `None` when the broker gives none.
    pub average_price: Option<Price>,
}

/// Money and holdings, as the broker sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The broker's name of the account.
    pub id: String,
    /// Settled and unsettled cash.
    pub cash: Money,
    /// What new orders may cost.
    pub buying_power: Money,
    /// Cash plus the market value of all holdings.
    pub equity: Money,
    /// Why the account may not trade, if so.
    pub blocked: Option<String>,
    /// All holdings.
    pub holdings: Vec<Holding>,
}

/// All that is read at start-up, in one go.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Money and holdings.
    pub account: Account,
    /// Orders that still work, of whoever placed them.
    pub open_orders: Vec<OrderReport>,
    /// Whether the market is open.
    pub session: SessionClock,
    /// Latest prices; symbols without any are missing.
    pub snapshots: Vec<Snapshot>,
    /// Daily bars per symbol, oldest first; empty where there are none.
    pub daily_bars: Vec<(Symbol, Vec<Bar>)>,
}

/// One worker's connection to a broker. Calls block; `&mut` because nobody else uses the connection meanwhile.
pub trait Broker: Send {
    /// Sends an order. Safe to repeat with the same `client_order_id`, for good.
    fn submit(&mut self, order: &OrderRequest) -> Reply;

    /// Looks an order up by our id.
    fn query(&mut self, id: &ClientOrderId) -> Reply;

    /// Asks for an order to be cancelled.
    fn cancel(&mut self, id: &OrderId) -> Reply;

    /// Waits at most `span` for news of an order that this connection submitted or queried.
    fn wait(&mut self, id: &ClientOrderId, span: Duration) -> Option<OrderReport>;

    /// Says that nobody waits for this order any more.
    fn forget(&mut self, id: &ClientOrderId);

    /// Reads money and holdings.
    fn account(&mut self) -> Result<Account, BrokerError>;

    /// Reads the broker's session clock.
    fn session(&mut self) -> Result<SessionClock, BrokerError>;

    /// Reads the latest quote and trade of all symbols in one request.
    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError>;

    /// Reads all that start-up needs, in parallel; `daily_bars` is how many days of bars, 0 for none.
    fn survey(&mut self, symbols: &[Symbol], daily_bars: usize) -> Result<Survey, BrokerError>;
}

/// A broker account that several workers connect to.
pub trait Venue: Sync {
    /// What a worker gets.
    type Broker: Broker;

    /// A name for people and for ids, such as `alpaca-paper`; it tells environments apart.
    fn environment(&self) -> &str;

    /// A connection of a worker's own.
    fn connect(&self) -> Result<Self::Broker, BrokerError>;

    /// Watches the orders in flight for all workers until `stop` resolves (its sender is dropped). Runs on a thread of its own.
    fn track(&self, stop: oneshot::Receiver<()>);
}
