//! The desk over history: an event queue in time order, strategies, a simulated broker, and a record of all that happened.
//!
//! ```rust
//! use bot_backtest::{run, stats, wiring};
//! use bot_manifest::Manifest;
//!
//! let manifest = Manifest::parse("run.toml", r#"
//! [broker]
//! kind = "simulated"
//!
//! [data.nvda]
//! kind = "generator"
//! rows = 1000
//! seed = 7
//!
//! [[strategy]]
//! name = "hold"
//! kind = "buy_and_hold"
//! size = { rule = "50sh", mode = "target" }
//! "#)?;
//! let setup = wiring::wire(&manifest, &mut bot_data::open)?;
//! let record = run(setup, &mut |_progress| true)?;
//! let statistics = stats::compute(&record, &stats::StatisticsOptions::default());
//! assert_eq!((statistics.headline.events, statistics.headline.fills), (1000, 1));
//! assert!(statistics.integrity.ok); // The books are what the fills say.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod latest_prices;
mod levels;
pub mod connector;
mod marks;
pub mod parity;
pub mod record;
pub mod run;
pub mod setup;
pub mod stats;
pub mod sweep;
mod trading;
pub mod metered;
pub mod wiring;

pub use run::{Progress, run};
pub use setup::{Hears, Setup, StrategySetup};

#[cfg(test)]
mod tests;
pub(crate) use trading::ELSEWHERE;
