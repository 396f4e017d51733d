//! What the market shows: quotes, trades, bars. Prices seen are `f64`.

mod row;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::symbol::Symbol;

pub use row::{Row, RowKind};

/// The best bid and ask; 0 stands for "nobody quotes this side".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// When the market showed it.
    pub at: Timestamp,
    /// US dollars.
    pub bid: f64,
    /// Shares.
    pub bid_size: f64,
    /// US dollars.
    pub ask: f64,
    /// Shares.
    pub ask_size: f64,
}

impl Quote {
    /// Half-way between bid and ask.
    pub fn mid(&self) -> f64 {
        f64::midpoint(self.bid, self.ask)
    }

    /// Ask less bid, in basis points of the mid; negative when crossed.
    pub fn spread_bps(&self) -> f64 {
        (self.ask - self.bid) / self.mid() * 10_000.0
    }
}

/// One print on the tape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// When it happened.
    pub at: Timestamp,
    /// US dollars.
    pub price: f64,
    /// Shares.
    pub size: f64,
}

/// A plain number with a time, such as a news score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// When it was known.
    pub at: Timestamp,
    /// Any finite number.
    pub value: f64,
}

/// Open, high, low, close and volume of one span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The span's start.
    pub at: Timestamp,
    /// First price, US dollars.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Shares.
    pub volume: f64,
}

/// What is known of one symbol now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// Whose prices these are.
    pub symbol: Symbol,
    /// The latest quote, where there is one.
    pub quote: Option<Quote>,
    /// The latest trade, where there is one.
    pub trade: Option<Trade>,
    /// When we read it: a quiet market's quote may be old though it was read just now.
    pub read_at: Timestamp,
}

/// The latest prices of all symbols.
pub trait LatestPrices {
    /// What is known of `symbol` now.
    fn snapshot(&self, symbol: Symbol) -> Option<Snapshot>;
}

impl<S: BuildHasher> LatestPrices for HashMap<Symbol, Snapshot, S> {
    fn snapshot(&self, symbol: Symbol) -> Option<Snapshot> {
        self.get(&symbol).copied()
    }
}

/// Whether orders can be executed now, by the broker's own clock; by default there is no session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionClock {
    /// True in the regular session.
    pub is_open: bool,
    /// When the next session opens.
    pub next_open: Timestamp,
    /// When this session (or the next one) closes.
    pub next_close: Timestamp,
}

impl SessionClock {
    /// A market that never closes.
    pub const ALWAYS: Self = Self { is_open: true, next_open: Timestamp::MAX, next_close: Timestamp::MAX };

    /// Whether the session is open at `now`, also when `now` has passed a boundary since the clock was read.
    pub fn is_open_at(&self, now: Timestamp) -> bool {
        if self.is_open { now < self.next_close } else { now >= self.next_open && now < self.next_close }
    }
}

/// One thing that happened in the market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MarketEvent {
    /// A new best bid and ask.
    Quote {
        /// Of what.
        symbol: Symbol,
        /// The quote.
        quote: Quote,
    },
    /// A print on the tape: a tick.
    Trade {
        /// Of what.
        symbol: Symbol,
        /// The print.
        trade: Trade,
    },
    /// A span that is over.
    Bar {
        /// Of what.
        symbol: Symbol,
        /// The bar; its `at` is the span's start.
        bar: Bar,
        /// How long the span was.
        span: Duration,
    },
    /// A number that is no price.
    Number {
        /// The name of the series.
        symbol: Symbol,
        /// The number.
        number: Number,
    },
}

impl MarketEvent {
    /// Of what.
    pub fn symbol(&self) -> Symbol {
        match self {
            MarketEvent::Quote { symbol, .. }
            | MarketEvent::Trade { symbol, .. }
            | MarketEvent::Bar { symbol, .. }
            | MarketEvent::Number { symbol, .. } => *symbol,
        }
    }

    /// Whether it is a quote.
    pub fn is_quote(&self) -> bool {
        match self {
            MarketEvent::Quote { .. } => true,
            MarketEvent::Trade { .. } | MarketEvent::Bar { .. } | MarketEvent::Number { .. } => false,
        }
    }

    /// When it was known: a bar is known at its end.
    pub fn known_at(&self) -> Timestamp {
        match self {
            MarketEvent::Quote { quote, .. } => quote.at,
            MarketEvent::Trade { trade, .. } => trade.at,
            MarketEvent::Bar { bar, span, .. } => bar.at + *span,
            MarketEvent::Number { number, .. } => number.at,
        }
    }

    /// The price it shows: a quote's mid, a print's price, a bar's close; a number itself.
    pub fn price(&self) -> f64 {
        match self {
            MarketEvent::Quote { quote, .. } => quote.mid(),
            MarketEvent::Trade { trade, .. } => trade.price,
            MarketEvent::Bar { bar, .. } => bar.close,
            MarketEvent::Number { number, .. } => number.value,
        }
    }
}
