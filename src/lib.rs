//! `bot`: turns trading signals into orders, one signal, exactly one order.
//!
//! The modules stand in layers; a module uses only what stands above it (kept by `tests/tidy.rs`).

// Values
pub mod units;
pub mod symbol;
pub mod clock;
pub mod condition;
pub mod activity;
pub mod stop;
pub mod duration;
pub mod spelling;

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

// Outside doors
pub mod tabular;
pub mod broker;
pub mod inbox;
pub mod history;
pub mod data;
pub mod exchange;

// Running
pub mod manifest;
pub mod spec;
pub mod state_dir;
pub mod feed;
pub mod prices;
pub mod settlement;
pub mod shared_core;
pub mod workers;
pub mod host;
pub mod control;
pub mod live;
pub mod engine;
pub mod backtest;
pub mod stats;
pub mod parity;
pub mod sweep;
pub mod cli;
