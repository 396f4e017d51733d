//! `bot`: turns trading signals into orders, one signal, exactly one order.
//!
//! The modules stand in layers; a module uses only what stands above it (kept by `tests/tidy.rs`).

// Values
pub mod units;
pub mod symbol;
pub mod clock;
pub mod duration;

// Nouns
pub mod market;
pub mod calendar;
pub mod order;
pub mod signal;
pub mod outcome;
pub mod position;
pub mod account;
pub mod reply;

// Decisions: pure, no I/O, time is an argument
pub mod ticks;
pub mod strategy;
pub mod sizing;
pub mod target;
pub mod risk;
pub mod task;
pub mod desk;

// Outside doors
pub mod broker;
pub mod inbox;
pub mod history;
pub mod data;
pub mod exchange;

// Running
pub mod manifest;
pub mod state_dir;
pub mod feed;
pub mod prices;
pub mod gate;
pub mod shared_desk;
pub mod pool;
pub mod live;
pub mod host;
pub mod control;
pub mod engine;
pub mod backtest;
pub mod stats;
pub mod parity;
pub mod sweep;
pub mod cli;
