//! Statistics of a run: ratios with their sources, tables, files and the report. Made of the record alone.

pub mod report;
pub mod table;

use crate::backtest::record::Record;

pub use table::{
    Drawdown, Execution, Funnel, Group, Headline, Integrity, Latency, Month, PeriodReturn, Ratio, Reason,
    Slippage, Statistics, StrategyRow, SymbolRow, Trade, Unit, Year,
};

/// What the statistics are told beside the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Marks in a year: the base of annualisation, part of the name of each ratio that uses it.
    pub periods_per_year: f64,
    /// Resamples of the bootstrap; 0 for no intervals.
    pub bootstrap: u32,
    /// Of the bootstrap.
    pub seed: u64,
    /// The risk-free return of a year, as a fraction.
    pub risk_free: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { periods_per_year: 252.0, bootstrap: 1_000, seed: 0, risk_free: 0.0 }
    }
}

/// Everything that can be said of `record`.
pub fn compute(record: &Record, options: &Options) -> Statistics {
    let mut statistics = Statistics::default();
    statistics.headline.name.clone_from(&record.name);
    statistics.headline.periods_per_year = options.periods_per_year;
    statistics
}
