//! Brokers: traits for order entry, the account and market data, and for the account that all connections are to.

use std::time::Duration;

use thiserror::Error;

use crate::clock::Timestamp;
use crate::core::InFlight;
use crate::market::{Bar, MarketEvent, SessionClock, Snapshot};
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest};
use crate::stop::Stop;
use crate::symbol::Symbol;

pub use crate::account::{Account, Holding};
pub use crate::reply::{Rejection, Reply};

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

/// All that is read at start-up, in one go.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerSnapshot {
    /// Cash, buying power and equity in US dollars, and the shares of each position.
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

/// So many minute bars are read in one go, at most: some ten years of regular sessions.
pub const MINUTE_BARS_MAX: usize = 1_000_000;

/// How long a minute bar is: known at its start and so much.
pub const MINUTE: Duration = Duration::from_mins(1);

/// Sends, looks up and cancels orders. Calls block; `&mut` because nobody else uses the connection meanwhile.
pub trait OrderEntry {
    /// Sends an order. Safe to repeat with the same `client_order_id`, for good.
    fn submit(&mut self, order: &OrderRequest) -> Reply;

    /// Looks an order up by our id.
    fn query(&mut self, id: &ClientOrderId) -> Reply;

    /// Asks for an order to be cancelled.
    fn cancel(&mut self, id: &OrderId) -> Reply;
}

/// Reads an account and its orders.
pub trait AccountReader {
    /// Reads money and holdings.
    fn account(&mut self) -> Result<Account, BrokerError>;

    /// Orders that still work, of whoever placed them.
    fn open_orders(&mut self) -> Result<Vec<OrderReport>, BrokerError>;

    /// Our orders (by the prefix of their client order id, whatever became of them) that were submitted at `since` or later;
    /// the oldest comes first.
    ///
    /// # Errors
    /// The list cannot be read to its end: no part of it is returned.
    fn orders_since(&mut self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError>;
}

/// Reads prices and sessions.
pub trait MarketData {
    /// Reads the broker's session clock.
    fn session(&mut self) -> Result<SessionClock, BrokerError>;

    /// Reads the latest quote and trade of all symbols in one request.
    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError>;

    /// Reads the last `days` daily bars of each symbol, oldest first; none where there are none.
    fn daily_bars(&mut self, symbols: &[Symbol], days: usize)
    -> Result<Vec<(Symbol, Vec<Bar>)>, BrokerError>;

    /// Reads the bars of one minute that were known from `from` until before `to`, and by now: oldest first, prices
    /// adjusted for splits, of the feed that the market data stream is of. A minute without a trade has none.
    ///
    /// # Errors
    /// Besides those of every read, more than [`MINUTE_BARS_MAX`] bars are refused. What was read by then is lost.
    fn minute_bars(
        &mut self,
        symbol: Symbol,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Bar>, BrokerError>;
}

/// One connection to a broker, for one thread.
pub trait Broker: OrderEntry + AccountReader + MarketData + Send {
    /// Reads all that start-up needs; `daily_bars` is how many days of bars, 0 for none.
    ///
    /// # Errors
    /// The first read that fails.
    fn broker_snapshot(
        &mut self,
        symbols: &[Symbol],
        daily_bars: usize,
    ) -> Result<BrokerSnapshot, BrokerError> {
        Ok(BrokerSnapshot {
            account: self.account()?,
            open_orders: self.open_orders()?,
            session: self.session()?,
            snapshots: self.snapshots(symbols)?,
            daily_bars: self.daily_bars(symbols, daily_bars)?,
        })
    }
}

/// Who follows orders: asked for those in flight, and told what is heard of them.
pub trait OrderNews: Sync {
    /// The orders that are at the broker as far as is known; none when there are none.
    fn in_flight(&self) -> Option<InFlight>;

    /// An order stands so.
    fn report(&self, report: OrderReport);
}

/// Why more than [`MINUTE_BARS_MAX`] bars are not read.
pub fn too_many_bars(symbol: Symbol) -> BrokerError {
    let message = format!("minute bars of {symbol} must be at most {MINUTE_BARS_MAX} at once, were more");
    BrokerError::Refused(Rejection { status: 200, code: None, message })
}

/// A broker account that several workers connect to.
pub trait Venue: Sync {
    /// What a worker gets.
    type Broker: Broker;

    /// A name for people and for ids, such as `alpaca-paper`; it tells environments apart.
    fn environment(&self) -> &str;

    /// A connection of a worker's own.
    fn connect(&self) -> Result<Self::Broker, BrokerError>;

    /// Tells of the orders in flight until `stop` is requested. Runs on a thread of its own.
    fn track(&self, orders: &dyn OrderNews, stop: &Stop);

    /// Tells market data as it happens until `stop` is requested. Runs on a thread of its own, and returns at once where
    /// there is no stream: then the polled prices are all there is.
    fn watch(&self, _watch: &MarketWatch<'_>, _stop: &Stop, _tell: &mut dyn FnMut(MarketNews)) {}
}

/// What a market data stream is asked for.
pub struct MarketWatch<'a> {
    /// Whose quotes, trades and minute bars.
    pub symbols: &'a [Symbol],
    /// Whether the market is open now: silence means something then.
    pub is_open: &'a dyn Fn() -> bool,
}

/// What a market data stream tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MarketNews {
    /// Events come from now on; what happened before is not replayed.
    Connected,
    /// No events come; it is tried again.
    Lost,
    /// A bar, quote or trade as the stream sent it.
    Event(MarketEvent),
}
