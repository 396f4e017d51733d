//! What decides over orders: values, strategies, books, risk and the order table. Pure: no runtime, no HTTP, no files.
//!
//! The modules stand in layers; a module uses only what stands above it. Prices seen in a market are `f64`; prices of orders,
//! quantities and money are exact ([`units`]), so that a size decision gives the same shares on every machine:
//!
//! ```rust
//! use bot_core::instrument::Instrument;
//! use bot_core::portfolio::Sizing;
//! use bot_core::signal::Strength;
//! use bot_core::units::{Money, Price};
//!
//! let sizing = Sizing {
//!     rule: "10%".parse()?, // of the book's equity, at full strength
//!     is_target: true,
//!     short: false,
//!     position_max: None,
//!     within_equity: false,
//!     weights: Vec::new(),
//! };
//! let nvda = Instrument::of("NVDA".parse()?);
//! let (equity, price) = (Money::whole(100_000), Price::whole(180));
//! assert_eq!(sizing.full(&nvda, equity, price).to_string(), "55");
//! assert_eq!(sizing.target(&nvda, Strength::new(0.5)?, equity, price).to_string(), "27");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Values
pub mod units;
pub mod symbol;
pub mod clock;
pub mod condition;
pub mod activity;
pub mod stop;
pub mod duration;
pub mod spelling;
pub mod label;

// Nouns
pub mod market;
pub mod calendar;
pub mod order;
pub mod instrument;
pub mod signal;
pub mod outcome;
pub mod position;
pub mod account;
pub mod reply;

// Decisions: pure, no I/O, time is an argument
pub mod bars;
pub mod indicators;
pub mod ticks;
pub mod series;
pub mod strategy;
pub mod margin;
pub mod sizing;
pub mod risk;
pub mod portfolio;
pub mod execution;
pub mod desk;
pub mod core;

// What drivers of the core talk to
pub mod broker;
