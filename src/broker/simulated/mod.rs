//! The simulated broker: one account at a small market, deterministic for a seed and a series of requests.
//!
//! [`Core`] is pure and synchronous: time is an argument, randomness is seeded. The paper exchange serves it over HTTP,
//! [`SimulatedVenue`] gives it to the pool in-process. A backtest drives the same [`matching`] and the same
//! [`margin_account`] with prices of its own.
//!
//! The account is a cash account unless told otherwise ([`crate::margin`]): buying power is what it may add to its exposure,
//! less what open orders hold (shares still to fill, at their limit or at the ask seen when the order came).

mod account;
mod admission;
mod config;
mod core;
mod listing;
pub mod margin_account;
pub mod matching;
mod order;
pub mod prices;
mod queries;
mod refusal;
mod tape;
mod terms;
mod venue;

pub use account::{AccountView, PositionView};
pub use config::{Config, Hours, Prices};
pub use core::{Core, Submitted};
pub use listing::Asset;
pub use order::{Amount, Event, EventKind, FillDetail, PaperOrder, Request};
pub use queries::{Filter, Which};
pub use refusal::Refusal;
pub use tape::Timeframe;
pub use terms::{Fees, FillModel, OnShortCash, SizeAt, Terms};
pub use venue::{SimulatedBroker, SimulatedVenue};

#[cfg(test)]
mod tests;
