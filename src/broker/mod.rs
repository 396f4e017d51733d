//! Brokers: Alpaca, and what serves any broker that is asked over a network.

pub mod alpaca;
mod budget;
mod tracker;

pub use bot_core::broker::*;
pub use bot_simulated as simulated;
pub use budget::ReportedLimit;
