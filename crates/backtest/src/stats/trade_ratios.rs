//! What round trips say together. Only closed ones count, open ones are not decided.

use super::measure::{best, divide, mean_of, worst};
use super::number::{count, deviation, finite, mean};
use super::ratios::Naming;
use super::table::{Group, Ratio, RatioUnit, RoundTrip};
use crate::record::Mark;
use bot_core::order::Side;

/// Every ratio of the round trips, in order.
pub(crate) fn trade_ratios(trades: &[RoundTrip], marks: &[Mark], periods_per_year: f64) -> Vec<Ratio> {
    let naming = Naming::of(periods_per_year);
    let closed: Vec<&RoundTrip> = trades.iter().filter(|trade| !trade.open).collect();
    let profits: Vec<f64> = closed.iter().map(|trade| trade.profit.to_f64()).collect();
    let gains: Vec<f64> = closed.iter().map(|trade| trade.gain).filter(|gain| gain.is_finite()).collect();
    let days: Vec<f64> = closed.iter().map(|trade| trade.held().as_secs_f64() / SECONDS_PER_DAY).collect();
    let wins = profits.iter().filter(|profit| **profit > 0.0).count();
    let long = closed.iter().filter(|trade| trade.side == Side::Buy).count();
    let (avg_win, avg_loss) = (mean_of(&profits, |p| p > 0.0), mean_of(&profits, |p| p < 0.0));
    let won: f64 = profits.iter().filter(|profit| **profit > 0.0).sum();
    let lost: f64 = profits.iter().filter(|profit| **profit < 0.0).sum();
    let in_market = marks.iter().filter(|mark| mark.gross > 0.0).count();
    let quality =
        divide(mean(&profits), deviation(&profits)).map(|ratio| ratio * count(profits.len()).sqrt());
    [
        ("trades", "Closed trades", RatioUnit::Count, Some(count(closed.len()))),
        ("trades_open", "Open trades", RatioUnit::Count, Some(count(trades.len() - closed.len()))),
        ("trades_long", "Long trades", RatioUnit::Count, Some(count(long))),
        ("trades_short", "Short trades", RatioUnit::Count, Some(count(closed.len() - long))),
        (
            "trade_win_rate",
            "Winning trades",
            RatioUnit::Percent,
            divide(Some(count(wins)), Some(count(profits.len()))),
        ),
        ("trade_expectancy", "Mean profit a trade", RatioUnit::Money, mean(&profits)),
        ("trade_avg_win", "Mean win", RatioUnit::Money, avg_win),
        ("trade_avg_loss", "Mean loss", RatioUnit::Money, avg_loss),
        ("trade_best", "Best trade", RatioUnit::Money, best(&profits)),
        ("trade_worst", "Worst trade", RatioUnit::Money, worst(&profits)),
        ("trade_return_avg", "Mean return of a trade", RatioUnit::Percent, mean(&gains)),
        ("trade_return_best", "Best return of a trade", RatioUnit::Percent, best(&gains)),
        ("trade_return_worst", "Worst return of a trade", RatioUnit::Percent, worst(&gains)),
        (
            "trade_payoff",
            "Mean win over mean loss",
            RatioUnit::Number,
            divide(avg_win, avg_loss.map(f64::abs)),
        ),
        ("trade_profit_factor", "Profit factor of trades", RatioUnit::Number, divide(Some(won), Some(-lost))),
        ("sqn", "System quality number", RatioUnit::Number, quality),
        ("trade_days_longest", "Longest time in a trade", RatioUnit::Days, best(&days)),
        ("trade_days_avg", "Mean time in a trade", RatioUnit::Days, mean(&days)),
        (
            "exposure",
            "Marks with a position",
            RatioUnit::Percent,
            divide(Some(count(in_market)), Some(count(marks.len()))),
        ),
    ]
    .into_iter()
    .map(|(name, label, unit, value)| Ratio {
        value: value.and_then(finite),
        ..naming.ratio(name, label, Group::Trades, unit)
    })
    .collect()
}

const SECONDS_PER_DAY: f64 = 86_400.0;
