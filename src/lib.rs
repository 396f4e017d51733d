//! `bot`: turns trading signals into orders, one signal, exactly one order.
//!
//! This crate is the pool that trades live, the connection to Alpaca and the command line. What it stands on are crates of their
//! own, named here so that a program needs this one only.
//!
//! A program of one's own registers its strategies and then is `bot`, with `bot::cli::main()` as the end of its `main`:
//!
//! ```rust
//! use bot::market::MarketEvent;
//! use bot::strategy::{self, Intents, Kind, Strategy, StrategyError, View, usable_price};
//!
//! /// Long at the first price.
//! struct Long;
//!
//! impl Strategy for Long {
//!     fn on_event(&mut self, event: &MarketEvent, view: &View<'_>, intents: &mut Intents) -> Result<(), StrategyError> {
//!         if usable_price(event).is_some() && view.position(event.symbol()).is_zero() {
//!             intents.signal(event.symbol(), 1.0)?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! strategy::register(Kind::new("long", "Long at the first price.", Vec::new(), |_params, _symbols| Ok(Box::new(Long))))?;
//! let manifest = bot::manifest::Manifest::parse("run.toml", "[[strategy]]\nname = \"one\"\nkind = \"long\"\n")?;
//! assert_eq!(manifest.strategies.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use bot_backtest as backtest;
pub use bot_backtest::{parity, stats, sweep};
pub use bot_core::{
    account, activity, bars, calendar, clock, condition, core, desk, duration, execution, indicators,
    instrument, margin, market, order, outcome, portfolio, position, reply, risk, series, signal, sizing,
    spelling, stop, strategy, symbol, ticks, units,
};
pub use bot_data as data;
pub use bot_data::{history, tabular};
#[cfg(feature = "exchange")]
pub use bot_exchange as exchange;
pub use bot_manifest as manifest;
pub use bot_manifest::spec;
pub use bot_script as script;

// Outside doors
pub mod broker;
pub mod download;
pub mod inbox;

// Running
pub mod state_dir;
pub mod feed;
pub mod prices;
pub mod settlement;
pub mod shared_core;
pub mod workers;
pub mod strategy_threads;
pub mod control;
pub mod live;
pub mod engine;
pub mod cli;

/// The examples of `CONTRIBUTING.md`, so that they stay true.
#[cfg(doctest)]
#[doc = include_str!("../CONTRIBUTING.md")]
mod contributing {}

/// The Rust of `docs/strategies.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/strategies.md")]
mod strategies {}
