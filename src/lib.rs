//! `bot`: turns trading signals into orders, one signal, exactly one order.
//!
//! The modules stand in layers; a module uses only what stands above it (kept by `tests/tidy.rs`).

// Values
pub mod units;
pub mod symbol;
pub mod clock;
pub mod condition;
pub mod activity;
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
pub mod bars;
pub mod ticks;
pub mod series;
pub mod strategy;
pub mod sizing;
pub mod risk;
pub mod portfolio;
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
pub mod spec;
pub mod state_dir;
pub mod stop;
pub mod feed;
pub mod prices;
pub mod gate;
pub mod shared_desk;
pub mod pool;
pub mod host;
pub mod control;
pub mod live;
pub mod engine;
pub mod backtest;
pub mod stats;
pub mod parity;
pub mod sweep;
pub mod cli;
