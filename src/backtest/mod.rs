//! The desk over history: an event queue in time order, strategies, a simulated broker, and a record of all that happened.

pub mod board;
pub mod book;
pub mod connector;
mod marks;
mod portfolio;
pub mod queue;
pub mod record;
pub mod run;
pub mod watched;
pub mod wiring;

pub use run::{Progress, Setup, StrategySetup, run};

#[cfg(test)]
mod tests;
