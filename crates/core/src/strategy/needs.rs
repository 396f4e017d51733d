//! What a strategy needs kept and computed for it. Pure.

use std::time::Duration;

use super::Schedule;
use crate::indicators::Indicator;

/// What a strategy needs; asked for once, at its start. Nothing of it costs anything where it is not asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// How far back it looks into ticks; none: no ticks are kept for it.
    pub horizon: Option<Duration>,
    /// Bars of each series that are kept, for [`View::history`](super::View::history) and windows of bars.
    pub history: usize,
    /// Events of a symbol's main series before anything that it wants in that symbol is sent. Live they are taken from
    /// the past, over history from the data's beginning.
    pub warm_up: usize,
    /// What is computed of each symbol's series, by name.
    pub indicators: Vec<NamedIndicator>,
    /// When [`Strategy::on_schedule`](super::Strategy::on_schedule) is called.
    pub schedules: Vec<Schedule>,
}

/// An indicator of each symbol that the strategy hears of.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedIndicator {
    /// By which it is asked for.
    pub name: String,
    /// Of bars that are so long; none for the main series.
    pub timeframe: Option<Duration>,
    /// What is computed.
    pub indicator: Indicator,
}
