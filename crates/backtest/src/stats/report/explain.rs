//! What a ratio means, in one sentence each; formulas and sources are in the documentation.

/// The sentence for the ratio of that name without its annualisation; empty for one that has none.
pub(super) fn explain(stem: &str) -> &'static str {
    SENTENCES.iter().find(|(name, _)| *name == stem).map_or("", |(_, sentence)| sentence)
}

const SENTENCES: [(&str, &str); 80] = [
    ("total_return", "What the run earned, as a share of what it started with."),
    ("cagr", "The return of a year that, compounded, gives the whole run's."),
    ("month_to_date", "The return since the last month's end."),
    ("last_3m", "The return of the last three months."),
    ("last_6m", "The return of the last six months."),
    ("year_to_date", "The return since the last year's end."),
    ("last_1y", "The return of the last twelve months."),
    ("last_3y", "The return of the last three years, brought to one year."),
    ("last_5y", "The return of the last five years, brought to one year."),
    ("last_10y", "The return of the last ten years, brought to one year."),
    ("all_time", "The return of the whole run, brought to one year."),
    ("sharpe", "Mean return above the risk-free rate over its standard deviation, brought to a year."),
    (
        "probabilistic_sharpe",
        "The chance that the true Sharpe ratio is above 0, given how many returns there are and their shape.",
    ),
    ("smart_sharpe", "The Sharpe ratio, lowered where returns follow each other."),
    ("sortino", "As Sharpe, but only returns below 0 count as risk."),
    ("probabilistic_sortino", "The chance that the true Sortino ratio is above 0."),
    ("smart_sortino", "The Sortino ratio, lowered where returns follow each other."),
    ("sortino_sqrt2", "Sortino by the root of two, so that it can be set beside Sharpe."),
    ("probabilistic_sortino_sqrt2", "The chance that Sortino by the root of two is above 0."),
    ("smart_sortino_sqrt2", "Smart Sortino by the root of two."),
    (
        "autocorrelation_penalty",
        "By how much returns that follow each other understate the risk; 1 is not at all.",
    ),
    ("omega", "The sum of gains over the sum of losses, above the risk-free rate."),
    ("calmar", "Return of a year over the deepest drawdown."),
    ("recovery_factor", "The sum of returns over the deepest drawdown."),
    ("ulcer_performance_index", "Return above the risk-free rate over the ulcer index."),
    ("serenity_index", "The sum of returns over ulcer index times the tail of the drawdowns."),
    ("risk_adjusted_return", "Return of a year by the share of time in the market."),
    ("risk_return_ratio", "Mean over standard deviation of the returns, not brought to a year."),
    ("gain_to_pain", "The sum of daily returns over the sum of daily losses."),
    ("gain_to_pain_1m", "The sum of monthly returns over the sum of monthly losses."),
    ("max_drawdown", "The deepest fall from a high, between two marks."),
    ("longest_drawdown_days", "Calendar days of the longest time below a high."),
    ("avg_drawdown", "The mean depth of all falls from a high."),
    ("avg_drawdown_days", "The mean of calendar days below a high."),
    ("ulcer_index", "The root mean square of the fall from the high: depth and length in one."),
    ("volatility", "The standard deviation of returns, brought to a year."),
    ("skew", "Below 0: large losses are more frequent than large gains; above 0 the other way."),
    ("kurtosis", "Above 0: extreme returns are more frequent than in a normal distribution."),
    ("value_at_risk", "If returns were normal, 5 periods of 100 would be worse than this."),
    ("expected_shortfall", "If returns were normal, the mean of the worst 5 of 100."),
    ("expected_shortfall_historical", "The mean of the worst 5 of 100 returns."),
    ("tail_ratio", "The 95th percentile of returns over the 5th, without sign."),
    ("kelly", "The share of capital that would have grown fastest, by win rate and payoff."),
    ("risk_of_ruin", "The chance to lose all, by win rate and number of periods."),
    ("time_in_market", "The share of periods in which equity moved."),
    ("win_periods", "The share of periods with a gain, of those that moved."),
    ("win_months", "The share of months with a gain, of those that moved."),
    ("win_quarters", "The share of quarters with a gain, of those that moved."),
    ("win_years", "The share of years with a gain, of those that moved."),
    ("avg_return", "The mean of all returns that are not 0."),
    ("avg_win", "The mean of all gains."),
    ("avg_loss", "The mean of all losses."),
    ("avg_up_month", "The mean of all months with a gain."),
    ("avg_down_month", "The mean of all months with a loss."),
    ("max_consecutive_wins", "The longest row of gains."),
    ("max_consecutive_losses", "The longest row of losses."),
    ("payoff", "Mean gain over mean loss."),
    ("profit_factor", "The sum of gains over the sum of losses."),
    ("profit_ratio", "Mean gain over mean loss, each by how often it came."),
    ("common_sense_ratio", "Profit factor times tail ratio; above 1 is good sense."),
    ("cpc_index", "Profit factor times win rate times payoff."),
    ("outlier_win_ratio", "The 99th percentile of returns over the mean gain."),
    ("outlier_loss_ratio", "The 1st percentile of returns over the mean loss."),
    ("expected_period", "The geometric mean of the returns."),
    ("expected_month", "The geometric mean of the months' returns."),
    ("expected_year", "The geometric mean of the years' returns."),
    ("beta", "How far the run moved when the benchmark moved by 1."),
    ("alpha", "What the run earned in a year beyond beta times the benchmark."),
    ("correlation", "1: moves with the benchmark; 0: regardless of it; \u{2212}1: against it."),
    ("r_squared", "The share of the run's moves that the benchmark's explain."),
    (
        "information_ratio",
        "Mean return beyond the benchmark over its standard deviation, not brought to a year.",
    ),
    ("treynor", "Return above the risk-free rate over beta."),
    ("trade_win_rate", "The share of closed trades with a profit after fees."),
    ("trade_expectancy", "The mean profit of a closed trade, after fees."),
    ("trade_payoff", "Mean profit of winning trades over mean loss of losing ones."),
    ("trade_profit_factor", "Profits of winning trades over losses of losing ones."),
    ("trade_return_avg", "The mean of profit over the money that the entry took."),
    ("sqn", "Mean profit over its standard deviation, times the root of the number of trades."),
    ("exposure", "The share of marks at which there was a position."),
    ("trade_days_avg", "How long the mean trade was held, in calendar days."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::SampleRun;
    use crate::stats::{StatisticsOptions, compute};

    #[test]
    fn each_sentence_is_of_a_ratio_that_there_is() {
        let record = SampleRun::default().equity(&[100.0, 101.0]).benchmark(&[5.0, 5.1]).done();
        let statistics =
            compute(&record, &StatisticsOptions { bootstrap: 0, ..StatisticsOptions::default() });
        for (name, _) in SENTENCES {
            assert!(statistics.ratio_of(name).is_some(), "{name}");
        }
    }
}
