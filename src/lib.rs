//! `bot`: turns trading signals into orders, one signal, exactly one order.
//!
//! The modules stand in layers; a module uses only what stands above it (kept by `tests/tidy.rs`).

// Values
pub mod calendar;
pub mod clock;
pub mod symbol;
pub mod units;

// Nouns
pub mod market;
pub mod order;
pub mod outcome;
pub mod position;
pub mod signal;

// Decisions: pure, no I/O, time is an argument
pub mod desk;
pub mod risk;
pub mod sizing;
pub mod task;

// Outside doors
pub mod broker;
pub mod exchange;
pub mod inbox;

// Running
pub mod cli;
pub mod gate;
pub mod live;
pub mod manifest;
pub mod pool;
pub mod prices;
