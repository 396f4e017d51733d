//! The tick store: per symbol a rolling window of ticks in memory, and what can be asked of it.
//!
//! A window keeps a tick while it is at most one horizon old (exactly one horizon counts as kept) and, where a number
//! is set, while no more than that many newer ones are there. Ticks of one instant are all kept, in the order of their
//! arrival; a late tick is put in its place. A tick further ahead of the clock than [`WindowLimits::future_max`] is refused,
//! and a window moves on by the clock, never by a tick, so that no tick can wipe it.

mod block;
#[cfg(test)]
mod model;
mod sealed;
mod span;
mod store;
mod window;

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::market::Trade;
use crate::symbol::Symbol;

pub use span::{Bars, Span};
pub use store::{SymbolWindow, TickStore};
pub use window::Window;

/// Above this a price is an error of the feed; it also keeps every sum finite.
const PRICE_MAX: f64 = 1e15;

/// One observation as a feed delivers it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// Of what.
    pub symbol: Symbol,
    /// US dollars.
    pub price: f64,
    /// When it was observed; the store's clock stamps a tick without.
    #[serde(default, rename = "timestamp", skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Shares; 0 when unknown.
    #[serde(default)]
    pub size: f64,
}

impl Tick {
    /// A tick that the store's clock will stamp.
    pub fn new(symbol: Symbol, price: f64) -> Self {
        Self { symbol, price, at: None, size: 0.0 }
    }

    /// The same, observed `at`.
    #[must_use]
    pub fn at(self, at: Timestamp) -> Self {
        Self { at: Some(at), ..self }
    }

    /// The same, of so many shares.
    #[must_use]
    pub fn size(self, size: f64) -> Self {
        Self { size, ..self }
    }

    /// As the window keeps it, stamped with `now` when it has no time of its own.
    pub fn to_trade(self, now: Timestamp) -> Trade {
        Trade { at: self.at.unwrap_or(now), price: self.price, size: self.size }
    }
}

/// How much a window keeps and what it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// Older ticks leave; one that is exactly so old stays.
    pub horizon: Duration,
    /// At most so many ticks stay, the newest ones.
    pub count_max: Option<NonZeroUsize>,
    /// A tick further ahead of the clock is refused.
    pub future_max: Duration,
    /// Keeps the sizes too, 8 bytes more per tick; without them there is no volume and no vwap.
    pub with_sizes: bool,
}

impl WindowLimits {
    /// A horizon, no limit of number, at most 5 s ahead of the clock, without sizes.
    pub fn new(horizon: Duration) -> Self {
        Self { horizon, count_max: None, future_max: Duration::from_secs(5), with_sizes: false }
    }

    /// Whether a window would take this tick.
    ///
    /// # Errors
    /// The rule it breaks; such a tick changes nothing.
    #[inline]
    pub fn check(&self, now: Timestamp, trade: &Trade) -> Result<(), TickError> {
        if !(trade.price > 0.0 && trade.price <= PRICE_MAX) {
            return Err(TickError::Price(trade.price));
        }
        if !(trade.size >= 0.0 && trade.size <= PRICE_MAX) {
            return Err(TickError::Size(trade.size));
        }
        // Most ticks are no later than the clock: they need no sum.
        if trade.at > now && trade.at > now + self.future_max {
            return Err(TickError::Future { at: trade.at, now, most: self.future_max });
        }
        Ok(())
    }
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It is the newest.
    Newest,
    /// It came late and was put in its place.
    Earlier,
    /// It came too late: the window has moved on, and it was not kept.
    Expired,
}

/// Why a tick is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum TickError {
    /// Not a price.
    #[error("price must be above 0 and at most 1e15, was {0:?}")]
    Price(f64),
    /// Not a size.
    #[error("size must be from 0 to 1e15, was {0:?}")]
    Size(f64),
    /// It would come from the future.
    #[error("tick time must be at most {most:?} ahead of the clock at {now}, was {at}")]
    Future {
        /// The tick's time.
        at: Timestamp,
        /// The clock's.
        now: Timestamp,
        /// What is allowed.
        most: Duration,
    },
}
