//! Promises of the whole, kept over real parts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic"
)]

mod alpaca;
mod backtest;
mod data;
mod differential;
mod download;
mod engine;
mod examples_strategies;
mod exchange;
mod feed;
mod faults;
mod fractions;
mod inbox;
mod kill_target;
mod live;
mod manifest;
mod numbers;
mod parity;
mod pool;
mod redis_server;
mod run_strategies;
mod signals;
mod stats;
mod strategy;
mod strategy_data;
mod sweep;
mod test_bed;
