//! Statistics of a run: ratios with their sources, tables, files and the report. Made of the record alone.

mod bootstrap;
mod deflated;
mod drawdown;
mod execution;
mod files;
mod integrity;
mod measure;
mod number;
mod ratios;
#[cfg(feature = "report")]
pub mod report;
mod rows;
mod series;
mod summary;
pub mod table;
pub mod text;
mod trade_ratios;
mod trades;

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use crate::record::Record;
use bot_core::units::Money;

use number::finite;
use ratios::Sample;
use series::{CalendarPiece, ReturnSeries};

pub use deflated::{deflated_sharpe, expected_best_sharpe, probabilistic_sharpe};
pub use files::{
    Made, write_equity_csv, write_orders_csv, write_plots_csv, write_stats_json, write_trades_csv,
};
pub use summary::summary;
pub use table::{
    Drawdown, ExecutionQuality, Funnel, Group, Headline, Integrity, Month, OrderLatency, PeriodReturn, Ratio,
    RatioUnit, ReasonCount, RoundTrip, Slippage, Statistics, StrategyRow, SymbolRow, Year,
};

/// What the statistics are told beside the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatisticsOptions {
    /// Marks in a year, above 0: the base of annualisation, part of the name of each ratio that uses it.
    pub periods_per_year: f64,
    /// Resamples of the bootstrap; 0 for no intervals.
    pub bootstrap: u32,
    /// Of the bootstrap.
    pub seed: u64,
    /// The risk-free return of a year, as a fraction.
    pub risk_free: f64,
}

impl Default for StatisticsOptions {
    fn default() -> Self {
        Self { periods_per_year: 252.0, bootstrap: 1_000, seed: 0, risk_free: 0.0 }
    }
}

/// Everything that can be said of `record`.
pub fn compute(record: &Record, options: &StatisticsOptions) -> Statistics {
    let own = series::of_marks(&record.marks);
    let returns = series::period_returns(&own, &record.marks);
    let trades = trades::trades(record);
    let tables = of_returns(own, &returns, options);
    let mut ratios = tables.ratios;
    ratios.extend(trade_ratios::trade_ratios(&trades, &record.marks, options.periods_per_year));
    let mut strategies = rows::strategies(record, &trades, options);
    if record.ruined_at.is_some() {
        ratios.iter_mut().for_each(of_ruin);
        for row in &mut strategies {
            row.sharpe = None;
        }
    }
    Statistics {
        headline: headline(record, &returns, &trades, options),
        integrity: integrity::integrity(record),
        ratios,
        drawdowns: tables.drawdowns,
        months: tables.months,
        years: tables.years,
        strategies,
        symbols: rows::symbols(record, &trades),
        execution: execution::execution(record),
        returns,
        trades,
    }
}

/// Who lost all has no return to set against its risk, and what was to be estimated has come.
fn of_ruin(ratio: &mut Ratio) {
    if ratio.group == Group::RiskAdjusted {
        (ratio.value, ratio.interval) = (None, None);
    } else if ratio.name == "risk_of_ruin" {
        (ratio.value, ratio.interval) = (Some(1.0), None);
    }
}

/// What is made of the returns alone.
struct OfReturns {
    ratios: Vec<Ratio>,
    drawdowns: Vec<Drawdown>,
    months: Vec<Month>,
    years: Vec<Year>,
}

fn of_returns(own: ReturnSeries, returns: &[PeriodReturn], options: &StatisticsOptions) -> OfReturns {
    let own = Sample::new(own, options);
    let benchmark = ReturnSeries::of_benchmark(returns, own.series.start);
    let benchmark = (!benchmark.values.is_empty()).then(|| Sample::new(benchmark, options));
    let intervals = bootstrap::intervals(&own.series.values, own.risk_free_per_period(), options);
    let mut ratios = ratios::ratios(&own, benchmark.as_ref(), &intervals, options);
    ratios.extend(ratios::against(returns, options));
    let others =
        benchmark.as_ref().map(|benchmark| benchmark.series.by(CalendarPiece::Year)).unwrap_or_default();
    let years = own.series.by(CalendarPiece::Year).into_iter().map(|(key, value)| Year {
        year: key.0,
        value: finite(value),
        benchmark: others.iter().find(|(other, _)| *other == key).and_then(|(_, value)| finite(*value)),
    });
    OfReturns {
        ratios,
        drawdowns: drawdown::listed(&own.falls),
        months: own.series.months(),
        years: years.collect(),
    }
}

fn headline(
    record: &Record,
    returns: &[PeriodReturn],
    trades: &[RoundTrip],
    options: &StatisticsOptions,
) -> Headline {
    let profit = record.end.equity - record.start_cash;
    let open = trades.iter().filter(|trade| trade.open).count() as u64;
    let seen = !record.marks.is_empty();
    let extreme = |value: f64| if seen { finite(value) } else { None };
    Headline {
        name: record.name.clone(),
        start: record.marks.first().map(|mark| mark.at),
        end: record.marks.last().map(|mark| mark.at),
        periods: returns.len(),
        periods_per_year: options.periods_per_year,
        risk_free: options.risk_free,
        benchmark: record.benchmark.clone(),
        start_equity: record.start_cash,
        final_equity: record.end.equity,
        profit,
        fees: record.end.fees,
        total_return: fraction(profit, record.start_cash),
        equity_high: extreme(record.extremes.equity_high),
        equity_low: extreme(record.extremes.equity_low),
        drawdown_any_event: extreme(record.extremes.drawdown),
        events: record.end.events,
        orders: record.orders.iter().filter(|order| order.is_order).count() as u64,
        fills: record.fills.len() as u64,
        trades: trades.len() as u64 - open,
        open_trades: open,
        interrupted: record.interrupted,
        margin_calls: record.margin_calls.len() as u64,
        ruined_at: record.ruined_at,
    }
}

fn fraction(part: Money, whole: Money) -> Option<f64> {
    measure::divide(Some(part.to_f64()), Some(whole.to_f64()))
}
