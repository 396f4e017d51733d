//! The desk over history: an event queue in time order, strategies, a simulated broker, and a record of all that happened.

pub mod board;
pub mod connector;
mod marks;
pub mod record;
pub mod run;
mod trading;
pub mod watched;
pub mod wiring;

pub use run::{Hears, Progress, Setup, StrategySetup, run};

#[cfg(test)]
mod tests;
pub(crate) use trading::ELSEWHERE;
