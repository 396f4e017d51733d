//! Which ratios there are, by name, and what each is made of.

use super::StatisticsOptions;
use super::bootstrap::Intervals;
use super::drawdown::{deepest, falls, ulcer_index, underwater};
use super::measure::{self, divide};
use super::number::{count, deviation, finite, kurtosis, mean, skew};
use super::series::{CalendarPiece, ReturnSeries, compound, geometric_mean};
use super::table::{Drawdown, Group, PeriodReturn, Ratio, RatioUnit};

use Group::{Periods, Return, Risk, RiskAdjusted, WinLoss};
use RatioUnit::{Count, Days, Number, Percent};

/// Every ratio of the returns, in order; the benchmark's beside them.
pub(crate) fn ratios(
    sample: &Sample,
    benchmark: Option<&Sample>,
    intervals: &Intervals,
    options: &StatisticsOptions,
) -> Vec<Ratio> {
    let naming = Naming::of(options.periods_per_year);
    SPECS
        .iter()
        .map(|spec| Ratio {
            value: (spec.of)(sample).and_then(finite),
            interval: intervals.of(spec.name),
            benchmark: benchmark.and_then(spec.of).and_then(finite),
            ..naming.ratio(spec.name, spec.label, spec.group, spec.unit)
        })
        .collect()
}

/// Every ratio of the returns against the benchmark's, over the periods that have both.
pub(crate) fn against(returns: &[PeriodReturn], options: &StatisticsOptions) -> Vec<Ratio> {
    let pairs = returns.iter().filter_map(|period| Some((period.value, period.benchmark?)));
    let (own, other): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let beta = measure::beta(&own, &other);
    let alpha = beta.and_then(|beta| Some((mean(&own)? - beta * mean(&other)?) * options.periods_per_year));
    let correlation = measure::correlation(&own, &other);
    let total = (!own.is_empty()).then(|| compound(&own) - options.risk_free);
    let naming = Naming::of(options.periods_per_year);
    [
        ("beta", "Beta", Number, beta),
        ("alpha_#", "Alpha (#)", Percent, alpha),
        ("correlation", "Correlation", Number, correlation),
        ("r_squared", "R²", Number, correlation.map(|value| value * value)),
        ("information_ratio", "Information ratio", Number, measure::information_ratio(&own, &other)),
        ("treynor", "Treynor ratio", Number, divide(total, beta)),
    ]
    .into_iter()
    .map(|(name, label, unit, value)| Ratio {
        value: value.and_then(finite),
        ..naming.ratio(name, label, Group::Benchmark, unit)
    })
    .collect()
}

/// How ratios of this run are called: `#` stands for the periods in a year, `@` for one of them.
pub(crate) struct Naming {
    base: String,
    period: &'static str,
}

impl Naming {
    pub(crate) fn of(periods_per_year: f64) -> Self {
        let daily = (200.0..=366.0).contains(&periods_per_year);
        Self { base: periods_per_year.to_string(), period: if daily { "day" } else { "period" } }
    }

    /// A ratio without its number.
    pub(crate) fn ratio(&self, name: &str, label: &str, group: Group, unit: RatioUnit) -> Ratio {
        Ratio {
            name: name.replace('#', &self.base),
            label: label.replace('#', &self.base).replace('@', self.period),
            group,
            unit,
            value: None,
            interval: None,
            benchmark: None,
        }
    }
}

/// Returns and what many ratios need of them.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) series: ReturnSeries,
    /// The returns beyond the risk-free ones.
    excess: Vec<f64>,
    risk_free_per_period: f64,
    underwater: Vec<f64>,
    pub(crate) falls: Vec<Drawdown>,
    periods: f64,
    risk_free: f64,
}

impl Sample {
    pub(crate) fn new(series: ReturnSeries, options: &StatisticsOptions) -> Self {
        let per_period = (1.0 + options.risk_free).powf(1.0 / options.periods_per_year) - 1.0;
        Self {
            excess: series.values.iter().map(|value| value - per_period).collect(),
            underwater: underwater(&series.values),
            falls: falls(&series),
            periods: options.periods_per_year,
            risk_free: options.risk_free,
            risk_free_per_period: per_period,
            series,
        }
    }

    pub(crate) fn risk_free_per_period(&self) -> f64 {
        self.risk_free_per_period
    }

    fn returns(&self) -> &[f64] {
        &self.series.values
    }

    /// Annualised as the square root of time.
    fn yearly(&self, ratio: Option<f64>) -> Option<f64> {
        Some(ratio? * self.periods.sqrt())
    }

    pub(crate) fn sharpe(&self) -> Option<f64> {
        self.yearly(measure::sharpe(&self.excess))
    }

    fn sortino(&self) -> Option<f64> {
        self.yearly(measure::sortino(&self.excess))
    }

    /// Divided by what autocorrelation adds to the spread.
    fn smart(&self, ratio: Option<f64>) -> Option<f64> {
        divide(ratio, Some(measure::autocorrelation_penalty(&self.excess)))
    }

    pub(crate) fn cagr(&self) -> Option<f64> {
        measure::cagr(self.returns(), self.periods)
    }

    pub(crate) fn max_drawdown(&self) -> Option<f64> {
        deepest(&self.underwater)
    }

    fn total(&self) -> Option<f64> {
        self.series.total()
    }

    fn sum(&self) -> Option<f64> {
        (!self.returns().is_empty()).then(|| self.returns().iter().sum())
    }

    fn ulcer(&self) -> Option<f64> {
        ulcer_index(&self.underwater)
    }

    /// Return over the ulcer index and the pitfall: the shortfall of the drawdowns in units of the returns' spread.
    fn serenity(&self) -> Option<f64> {
        let shortfall = measure::expected_shortfall(&self.underwater)?;
        let pitfall = divide(Some(-shortfall), deviation(self.returns()))?;
        divide(Some(self.sum()? - self.risk_free), Some(self.ulcer()? * pitfall))
    }

    fn by(&self, piece: CalendarPiece) -> Vec<f64> {
        self.series.by(piece).into_iter().map(|(_, value)| value).collect()
    }

    fn last(&self, months: u32) -> Option<f64> {
        self.series.last_months(months).filter(|returns| !returns.is_empty()).map(compound)
    }

    fn last_yearly(&self, months: u32) -> Option<f64> {
        measure::cagr(self.series.last_months(months)?, self.periods)
    }

    fn to_date(&self, returns: &[f64]) -> Option<f64> {
        (!self.returns().is_empty()).then(|| compound(returns))
    }
}

/// One ratio of the list.
struct RatioSpec {
    name: &'static str,
    label: &'static str,
    group: Group,
    unit: RatioUnit,
    of: fn(&Sample) -> Option<f64>,
}

const fn spec(
    name: &'static str,
    label: &'static str,
    group: Group,
    unit: RatioUnit,
    of: fn(&Sample) -> Option<f64>,
) -> RatioSpec {
    RatioSpec { name, label, group, unit, of }
}

const DRAWDOWN: Group = Group::Drawdown;

#[rustfmt::skip] // A table is read by its columns.
const SPECS: &[RatioSpec] = &[
    spec("total_return", "Total return", Return, Percent, Sample::total),
    spec("cagr_#", "CAGR (#)", Return, Percent, Sample::cagr),
    spec("month_to_date", "Month to date", Return, Percent, |s| s.to_date(s.series.month_to_date())),
    spec("last_3m", "Last 3 months", Return, Percent, |s| s.last(3)),
    spec("last_6m", "Last 6 months", Return, Percent, |s| s.last(6)),
    spec("year_to_date", "Year to date", Return, Percent, |s| s.to_date(s.series.year_to_date())),
    spec("last_1y", "Last year", Return, Percent, |s| s.last(12)),
    spec("last_3y_#", "Last 3 years a year (#)", Return, Percent, |s| s.last_yearly(35)),
    spec("last_5y_#", "Last 5 years a year (#)", Return, Percent, |s| s.last_yearly(59)),
    spec("last_10y_#", "Last 10 years a year (#)", Return, Percent, |s| s.last_yearly(119)),
    spec("all_time_#", "All time a year (#)", Return, Percent, Sample::cagr),
    spec("sharpe_#", "Sharpe (#)", RiskAdjusted, Number, Sample::sharpe),
    spec("probabilistic_sharpe", "Probabilistic Sharpe", RiskAdjusted, Percent, |s| measure::probabilistic(measure::sharpe(&s.excess), s.returns())),
    spec("smart_sharpe_#", "Smart Sharpe (#)", RiskAdjusted, Number, |s| s.smart(s.sharpe())),
    spec("sortino_#", "Sortino (#)", RiskAdjusted, Number, Sample::sortino),
    spec("probabilistic_sortino", "Probabilistic Sortino", RiskAdjusted, Percent, |s| measure::probabilistic(measure::sortino(&s.excess), s.returns())),
    spec("smart_sortino_#", "Smart Sortino (#)", RiskAdjusted, Number, |s| s.smart(s.sortino())),
    spec("sortino_sqrt2_#", "Sortino/√2 (#)", RiskAdjusted, Number, |s| divide(s.sortino(), Some(2.0_f64.sqrt()))),
    spec("probabilistic_sortino_sqrt2", "Probabilistic Sortino/√2", RiskAdjusted, Percent, |s| measure::probabilistic(divide(measure::sortino(&s.excess), Some(2.0_f64.sqrt())), s.returns())),
    spec("smart_sortino_sqrt2_#", "Smart Sortino/√2 (#)", RiskAdjusted, Number, |s| divide(s.smart(s.sortino()), Some(2.0_f64.sqrt()))),
    spec("autocorrelation_penalty", "Autocorrelation penalty", RiskAdjusted, Number, |s| (!s.returns().is_empty()).then(|| measure::autocorrelation_penalty(&s.excess))),
    spec("omega", "Omega", RiskAdjusted, Number, |s| measure::omega(&s.excess)),
    spec("calmar_#", "Calmar (#)", RiskAdjusted, Number, |s| divide(s.cagr(), s.max_drawdown().map(f64::abs))),
    spec("recovery_factor", "Recovery factor", RiskAdjusted, Number, |s| divide(s.sum().map(f64::abs), s.max_drawdown().map(f64::abs))),
    spec("ulcer_performance_index", "Ulcer performance index", RiskAdjusted, Number, |s| divide(s.total().map(|total| total - s.risk_free), s.ulcer())),
    spec("serenity_index", "Serenity index", RiskAdjusted, Number, Sample::serenity),
    spec("risk_adjusted_return_#", "Risk-adjusted return (#)", RiskAdjusted, Percent, |s| divide(measure::cagr(&s.excess, s.periods), measure::time_in_market(s.returns()))),
    spec("risk_return_ratio", "Return over risk, per @", RiskAdjusted, Number, |s| measure::sharpe(s.returns())),
    spec("gain_to_pain", "Gain to pain", RiskAdjusted, Number, |s| measure::gain_to_pain(&s.series.sums(CalendarPiece::Day))),
    spec("gain_to_pain_1m", "Gain to pain by month", RiskAdjusted, Number, |s| measure::gain_to_pain(&s.series.sums(CalendarPiece::Month))),
    spec("max_drawdown", "Max drawdown", DRAWDOWN, Percent, Sample::max_drawdown),
    spec("longest_drawdown_days", "Longest drawdown", DRAWDOWN, Days, |s| s.falls.iter().map(|fall| days(fall.days)).reduce(f64::max)),
    spec("avg_drawdown", "Mean drawdown", DRAWDOWN, Percent, |s| mean(&s.falls.iter().map(|fall| fall.depth).collect::<Vec<_>>())),
    spec("avg_drawdown_days", "Mean drawdown", DRAWDOWN, Days, |s| mean(&s.falls.iter().map(|fall| days(fall.days)).collect::<Vec<_>>())),
    spec("ulcer_index", "Ulcer index", DRAWDOWN, Number, Sample::ulcer),
    spec("volatility_#", "Volatility (#)", Risk, Percent, |s| s.yearly(deviation(s.returns()))),
    spec("skew", "Skew", Risk, Number, |s| skew(s.returns())),
    spec("kurtosis", "Excess kurtosis", Risk, Number, |s| kurtosis(s.returns())),
    spec("value_at_risk_95", "Value at risk, 95 %, per @", Risk, Percent, |s| measure::value_at_risk(s.returns())),
    spec("expected_shortfall_95", "Expected shortfall, 95 %, per @", Risk, Percent, |s| measure::expected_shortfall(s.returns())),
    spec("expected_shortfall_historical_95", "Expected shortfall seen, 95 %, per @", Risk, Percent, |s| measure::expected_shortfall_historical(s.returns())),
    spec("tail_ratio", "Tail ratio", Risk, Number, |s| measure::tail_ratio(s.returns())),
    spec("kelly", "Kelly criterion", Risk, Percent, |s| measure::kelly(s.returns())),
    spec("risk_of_ruin", "Risk of ruin", Risk, Percent, |s| measure::risk_of_ruin(s.returns())),
    spec("time_in_market", "Time in market", WinLoss, Percent, |s| measure::time_in_market(s.returns())),
    spec("win_periods", "Winning @s", WinLoss, Percent, |s| measure::win_rate(s.returns())),
    spec("win_months", "Winning months", WinLoss, Percent, |s| measure::win_rate(&s.by(CalendarPiece::Month))),
    spec("win_quarters", "Winning quarters", WinLoss, Percent, |s| measure::win_rate(&s.by(CalendarPiece::Quarter))),
    spec("win_years", "Winning years", WinLoss, Percent, |s| measure::win_rate(&s.by(CalendarPiece::Year))),
    spec("avg_return", "Mean @ that moved", WinLoss, Percent, |s| measure::mean_of(s.returns(), |value| value != 0.0)),
    spec("avg_win", "Mean winning @", WinLoss, Percent, |s| measure::mean_of(s.returns(), measure::won)),
    spec("avg_loss", "Mean losing @", WinLoss, Percent, |s| measure::mean_of(s.returns(), measure::lost)),
    spec("avg_up_month", "Mean winning month", WinLoss, Percent, |s| measure::mean_of(&s.by(CalendarPiece::Month), measure::won)),
    spec("avg_down_month", "Mean losing month", WinLoss, Percent, |s| measure::mean_of(&s.by(CalendarPiece::Month), measure::lost)),
    spec("max_consecutive_wins", "Most winning @s in a row", WinLoss, Count, |s| longest_run(s, measure::won)),
    spec("max_consecutive_losses", "Most losing @s in a row", WinLoss, Count, |s| longest_run(s, measure::lost)),
    spec("payoff", "Payoff ratio", WinLoss, Number, |s| measure::payoff(s.returns())),
    spec("profit_factor", "Profit factor of @s", WinLoss, Number, |s| measure::profit_factor(s.returns())),
    spec("profit_ratio", "Profit ratio", WinLoss, Number, |s| measure::profit_ratio(s.returns())),
    spec("common_sense_ratio", "Common sense ratio", WinLoss, Number, |s| Some(measure::profit_factor(s.returns())? * measure::tail_ratio(s.returns())?)),
    spec("cpc_index", "CPC index", WinLoss, Number, |s| Some(measure::profit_factor(s.returns())? * measure::win_rate(s.returns())? * measure::payoff(s.returns())?)),
    spec("outlier_win_ratio", "Outlier win ratio", WinLoss, Number, |s| measure::outlier_win(s.returns())),
    spec("outlier_loss_ratio", "Outlier loss ratio", WinLoss, Number, |s| measure::outlier_loss(s.returns())),
    spec("expected_period", "Expected @", Periods, Percent, |s| geometric_mean(s.returns())),
    spec("expected_month", "Expected month", Periods, Percent, |s| geometric_mean(&s.by(CalendarPiece::Month))),
    spec("expected_year", "Expected year", Periods, Percent, |s| geometric_mean(&s.by(CalendarPiece::Year))),
    spec("best_period", "Best @", Periods, Percent, |s| measure::best(s.returns())),
    spec("worst_period", "Worst @", Periods, Percent, |s| measure::worst(s.returns())),
    spec("best_month", "Best month", Periods, Percent, |s| measure::best(&s.by(CalendarPiece::Month))),
    spec("worst_month", "Worst month", Periods, Percent, |s| measure::worst(&s.by(CalendarPiece::Month))),
    spec("best_year", "Best year", Periods, Percent, |s| measure::best(&s.by(CalendarPiece::Year))),
    spec("worst_year", "Worst year", Periods, Percent, |s| measure::worst(&s.by(CalendarPiece::Year))),
];

fn longest_run(sample: &Sample, keep: fn(f64) -> bool) -> Option<f64> {
    (!sample.returns().is_empty()).then(|| count(measure::longest_run(sample.returns(), keep)))
}

fn days(days: i64) -> f64 {
    i32::try_from(days).map_or(f64::NAN, f64::from)
}
