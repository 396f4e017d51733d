//! What the statistics are: every table and number of `stats.json`, in its order. A value that is not defined is `None`.

use std::time::Duration;

use serde::Serialize;

use bot_core::clock::Timestamp;
use bot_core::order::Side;
use bot_core::outcome::OutcomeKind;
use bot_core::portfolio::OffTargetFigures;
use bot_core::signal::Tag;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};

/// All statistics of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// The run in a few figures.
    pub headline: Headline,
    /// Whether the books add up.
    pub integrity: Integrity,
    /// Every ratio, in the order in which they are listed to people, by group.
    pub ratios: Vec<Ratio>,
    /// The ten deepest falls, deepest first.
    pub drawdowns: Vec<Drawdown>,
    /// One row for each year with a return in it, oldest first.
    pub months: Vec<Month>,
    /// One row for each year with a return in it, oldest first.
    pub years: Vec<Year>,
    /// One row for each strategy, in the order of the manifest.
    pub strategies: Vec<StrategyRow>,
    /// One row for each traded symbol, in the order of the record.
    pub symbols: Vec<SymbolRow>,
    /// From events to fills.
    pub execution: ExecutionQuality,
    /// The return of each period; `equity.csv` has them, `stats.json` does not.
    #[serde(skip)]
    pub returns: Vec<PeriodReturn>,
    /// Every round trip, in the order of their ends, open ones last; `trades.csv` has them, `stats.json` does not.
    #[serde(skip)]
    pub trades: Vec<RoundTrip>,
}

impl Statistics {
    /// The ratio of that name, for example `sharpe_252`.
    pub fn ratio(&self, name: &str) -> Option<&Ratio> {
        self.ratios.iter().find(|ratio| ratio.name == name)
    }

    /// The ratio whose name without the annualisation is `stem`, for example `sharpe`.
    pub fn ratio_of(&self, stem: &str) -> Option<&Ratio> {
        self.ratios.iter().find(|ratio| ratio.stem() == stem)
    }
}

/// The run in a few figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Headline {
    /// What people call the run.
    pub name: String,
    /// The first mark.
    pub start: Option<Timestamp>,
    /// The last mark.
    pub end: Option<Timestamp>,
    /// Returns: one less than the marks.
    pub periods: usize,
    /// Marks in a year, the base of annualisation.
    pub periods_per_year: f64,
    /// The risk-free return of a year, as a fraction.
    pub risk_free: f64,
    /// The benchmark's name, where there is one.
    pub benchmark: Option<String>,
    /// What the run started with.
    pub start_equity: Money,
    /// Cash plus positions at the end.
    pub final_equity: Money,
    /// Final less start.
    pub profit: Money,
    /// Fees paid in all.
    pub fees: Money,
    /// Profit as a fraction of the start.
    pub total_return: Option<f64>,
    /// Highest equity at any event.
    pub equity_high: Option<f64>,
    /// Lowest equity at any event.
    pub equity_low: Option<f64>,
    /// Deepest fall between any two events, 0 or less.
    pub drawdown_any_event: Option<f64>,
    /// Events of all sources.
    pub events: u64,
    /// Orders at the broker.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Round trips that are closed.
    pub trades: u64,
    /// Round trips that are open at the end.
    pub open_trades: u64,
    /// True when the run was interrupted before the end of the data.
    pub interrupted: bool,
    /// How often all positions were liquidated because the equity was below the maintenance margin.
    pub margin_calls: u64,
    /// When the equity was 0 or less; the run ended there.
    pub ruined_at: Option<Timestamp>,
}

/// What kind of number a ratio is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioUnit {
    /// A fraction that people read as percent: 0.1 is 10 %.
    Percent,
    /// A plain number.
    Number,
    /// US dollars.
    Money,
    /// Calendar days, with fractions where time within a day counts.
    Days,
    /// How many.
    Count,
}

/// Which part of the list a ratio belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// What was earned, and over which span.
    Return,
    /// Return against risk.
    RiskAdjusted,
    /// Falls from a high.
    Drawdown,
    /// Spread, tails and ruin.
    Risk,
    /// Winning against losing periods.
    WinLoss,
    /// Best, worst and expected periods.
    Periods,
    /// Against the benchmark.
    Benchmark,
    /// Round trips.
    Trades,
}

impl Group {
    /// All groups in the order in which they are listed to people.
    pub const ALL: [Group; 8] = [
        Group::Return,
        Group::RiskAdjusted,
        Group::Drawdown,
        Group::Risk,
        Group::WinLoss,
        Group::Periods,
        Group::Benchmark,
        Group::Trades,
    ];

    /// The heading for people.
    pub fn title(self) -> &'static str {
        match self {
            Group::Return => "Return",
            Group::RiskAdjusted => "Return against risk",
            Group::Drawdown => "Drawdown",
            Group::Risk => "Risk",
            Group::WinLoss => "Wins and losses",
            Group::Periods => "Best, worst, expected",
            Group::Benchmark => "Against the benchmark",
            Group::Trades => "Trades",
        }
    }
}

/// One number with its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// Its name for programs; the annualisation is part of it (`sharpe_252`).
    pub name: String,
    /// Its name for people; the annualisation is part of it.
    pub label: String,
    /// Where it is listed.
    pub group: Group,
    /// What kind of number it is.
    pub unit: RatioUnit,
    /// The number; `None` where it is not defined.
    pub value: Option<f64>,
    /// Its 95 % confidence interval by bootstrap, for the ratios that have one.
    pub interval: Option<(f64, f64)>,
    /// The same of the benchmark, where it is defined.
    pub benchmark: Option<f64>,
}

impl Ratio {
    /// The name without its annualisation: `sharpe` of `sharpe_252`.
    pub fn stem(&self) -> &str {
        match self.name.rsplit_once('_') {
            Some((stem, base)) if base.parse::<f64>().is_ok() => stem,
            Some(_) | None => &self.name,
        }
    }
}

/// A fall from a high and the way back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drawdown {
    /// The first mark below the high.
    pub start: Timestamp,
    /// The lowest mark.
    pub valley: Timestamp,
    /// The last mark below the high; `None` when the run ended below it.
    pub end: Option<Timestamp>,
    /// Calendar days from start to end (or the run's end), both included.
    pub days: i64,
    /// The fall as a fraction of the high, below 0.
    pub depth: f64,
}

/// The returns of one year's months.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Month {
    /// The year, on New York's calendar.
    pub year: i32,
    /// January to December; `None` for a month without a return.
    pub months: [Option<f64>; 12],
    /// The whole year.
    pub total: Option<f64>,
}

/// The return of one year.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Year {
    /// The year, on New York's calendar.
    pub year: i32,
    /// The run's return.
    pub value: Option<f64>,
    /// The benchmark's return.
    pub benchmark: Option<f64>,
}

/// One strategy's part.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StrategyRow {
    /// Its name in the manifest.
    pub name: String,
    /// What its book started with.
    pub capital: Money,
    /// Its book at the end.
    pub final_equity: Option<f64>,
    /// Final less capital.
    pub profit: Option<f64>,
    /// Profit as a fraction of the capital.
    pub total_return: Option<f64>,
    /// Annualised as in the headline.
    pub sharpe: Option<f64>,
    /// Deepest fall between two marks, 0 or less.
    pub max_drawdown: Option<f64>,
    /// Fees paid.
    pub fees: Money,
    /// Events that it was shown.
    pub events: u64,
    /// Intents that it had.
    pub signals: u64,
    /// Intents that needed no order.
    pub idle: u64,
    /// Orders at the broker.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Round trips that are closed.
    pub trades: u64,
    /// Share of closed round trips with a profit.
    pub win_rate: Option<f64>,
    /// For how much of the time, and by how much, its positions were off their targets.
    pub off_target: OffTargetFigures,
    /// How often it failed.
    pub failures: u32,
    /// Its last failure.
    pub last_failure: Option<String>,
    /// Whether it was stopped for its failures.
    pub stopped: bool,
}

/// One symbol's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SymbolRow {
    /// Which.
    pub symbol: Symbol,
    /// Profit after fees, open positions at the last price.
    pub profit: Money,
    /// Fees paid.
    pub fees: Money,
    /// Orders at the broker.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Round trips that are closed.
    pub trades: u64,
    /// Share of closed round trips with a profit.
    pub win_rate: Option<f64>,
    /// Shares that changed hands, bought and sold.
    pub shares: Quantity,
    /// Money that changed hands, bought and sold.
    pub volume: Money,
    /// Shares held at the end.
    pub position: Quantity,
}

/// From events to fills.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ExecutionQuality {
    /// How many came how far.
    pub funnel: Funnel,
    /// Shares filled as a fraction of the shares of all orders.
    pub fill_ratio: Option<f64>,
    /// Price paid against price seen.
    pub slippage: Slippage,
    /// From decided to final, of orders.
    pub latency: OrderLatency,
    /// For how much of the time, and by how much, positions were off their targets, over all strategies and symbols.
    pub off_target: OffTargetFigures,
}

/// How many came how far.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Funnel {
    /// Events of all sources.
    pub events: u64,
    /// Intents of all strategies.
    pub signals: u64,
    /// Intents that needed no order.
    pub idle: u64,
    /// Signals that asked for an order.
    pub transactions: u64,
    /// Signals that became no order: why, most frequent first.
    pub stopped: Vec<ReasonCount>,
    /// Orders at the broker.
    pub orders: u64,
    /// Orders filled whole.
    pub filled: u64,
    /// Orders filled in part.
    pub partly_filled: u64,
    /// Orders without a fill, those open at the end included.
    pub unfilled: u64,
    /// Orders refused by the broker.
    pub rejected: u64,
    /// Orders that came to any other end.
    pub other: u64,
    /// Orders that were not filled whole: why, most frequent first.
    pub reasons: Vec<ReasonCount>,
}

/// How many ended in the same way for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    /// The end.
    pub outcome: OutcomeKind,
    /// The reason's code; empty where none was given.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// Price paid against price seen at the decision, of orders with fills; above 0 is to our cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Slippage {
    /// Orders that it was measured on.
    pub orders: u64,
    /// Mean, hundredths of a percent.
    pub mean_bps: Option<f64>,
    /// Median.
    pub p50_bps: Option<f64>,
    /// 95 of 100 orders paid at most so much.
    pub p95_bps: Option<f64>,
    /// What it cost in all, US dollars.
    pub money: Option<f64>,
}

/// How long orders took, microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OrderLatency {
    /// Orders that it was measured on.
    pub orders: u64,
    /// Half took at most so long.
    pub p50_us: Option<u64>,
    /// 90 of 100.
    pub p90_us: Option<u64>,
    /// 99 of 100.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

/// Whether the books add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// True when there is no breach.
    pub ok: bool,
    /// What was checked, in words.
    pub checks: Vec<String>,
    /// What did not add up, in words.
    pub breaches: Vec<String>,
}

impl Default for Integrity {
    fn default() -> Self {
        Self { ok: true, checks: Vec::new(), breaches: Vec::new() }
    }
}

/// The return of one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodReturn {
    /// The mark at its end.
    pub at: Timestamp,
    /// The run's return, as a fraction.
    pub value: f64,
    /// The benchmark's return; `None` where a price is missing.
    pub benchmark: Option<f64>,
}

/// A round trip: shares that came and went, first in, first out, within one strategy and symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTrip {
    /// Place in [`Statistics::strategies`].
    pub strategy: u16,
    /// What.
    pub symbol: Symbol,
    /// Buy for long, sell for short.
    pub side: Side,
    /// Shares, above 0.
    pub quantity: Quantity,
    /// When they came.
    pub entry_at: Timestamp,
    /// When they went; the run's end for an open one.
    pub exit_at: Timestamp,
    /// Per share.
    pub entry_price: Price,
    /// Per share; the last known price for an open one.
    pub exit_price: Price,
    /// After fees.
    pub profit: Money,
    /// Of both ends, each fill's fee by share of its quantity.
    pub fees: Money,
    /// Profit as a fraction of the money that the entry took.
    pub gain: f64,
    /// True when the shares were still held at the end.
    pub open: bool,
    /// What the strategy called the signal that brought the shares.
    pub entry_tag: Option<Tag>,
    /// What it called the one that took them; none while they are held.
    pub exit_tag: Option<Tag>,
}

impl RoundTrip {
    /// How long the shares were held.
    pub fn held(&self) -> Duration {
        self.exit_at.since(self.entry_at)
    }
}
