//! The simulated broker: one account at a small market, deterministic for a seed and a series of requests.
//!
//! [`Core`] is pure and synchronous: time is an argument, randomness is seeded. The paper exchange serves it over HTTP,
//! [`SimulatedVenue`] gives it to the pool in-process, and [`matching`] alone is what a backtest matches with.
//!
//! The account is a cash account with a multiplier of 1 unless told otherwise: buying power is cash less what open buys
//! hold (shares still to fill, at their limit or at the ask seen when the order came).

mod account;
mod admission;
pub mod bar_file;
mod config;
mod core;
mod listing;
pub mod matching;
mod order;
pub mod prices;
mod queries;
mod refusal;
mod tape;
mod terms;
mod venue;
pub mod wallet;

pub use account::{AccountView, PositionView};
pub use config::{Config, Hours, Prices};
pub use core::{Core, Submitted};
pub use listing::Asset;
pub use order::{Amount, Event, EventKind, FillDetail, PaperOrder, Request};
pub use queries::{Filter, Which};
pub use refusal::Refusal;
pub use tape::Timeframe;
pub use terms::{Fees, FillModel, Terms};
pub use venue::{SimulatedBroker, SimulatedVenue};

#[cfg(test)]
mod tests;
