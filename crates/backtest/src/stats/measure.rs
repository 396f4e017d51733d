//! The ratios themselves, each a function of returns; formulas and sources stand in `docs/statistics.md`.

use super::number::{
    count, deviation, finite, kurtosis, mean, normal_cdf, normal_pdf, normal_quantile, quantile, skew,
};
use super::series::compound;

/// The share of bad periods that value at risk and its kin look at.
const TAIL: f64 = 0.05;

/// Divides where that is defined.
pub(crate) fn divide(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    finite(above? / below.filter(|below| *below != 0.0)?)
}

/// The return of a year that compounds to the same; `None` of a loss of more than all.
pub(crate) fn cagr(returns: &[f64], periods: f64) -> Option<f64> {
    if returns.is_empty() {
        return None;
    }
    finite((1.0 + compound(returns)).powf(periods / count(returns.len())) - 1.0)
}

/// Mean over deviation, per period.
pub(crate) fn sharpe(returns: &[f64]) -> Option<f64> {
    divide(mean(returns), deviation(returns))
}

/// Mean over the root of the mean square of the losses, per period.
pub(crate) fn sortino(returns: &[f64]) -> Option<f64> {
    let squares: f64 = returns.iter().filter(|value| **value < 0.0).map(|value| value * value).sum();
    divide(mean(returns), Some((squares / count(returns.len().max(1))).sqrt()))
}

/// How much autocorrelation widens the spread, 1 or more.
pub(crate) fn autocorrelation_penalty(returns: &[f64]) -> f64 {
    let n = returns.len();
    let Some(last) = n.checked_sub(1) else { return 1.0 };
    let Some(correlation) = correlation(&returns[..last], &returns[1..]) else { return 1.0 };
    let step = correlation.abs();
    let mut power = 1.0;
    let mut sum = 0.0;
    for lag in 1..n {
        power *= step;
        sum += count(n - lag) / count(n) * power;
    }
    (1.0 + 2.0 * sum).sqrt()
}

/// Pearson's; `None` where one of both does not move.
pub(crate) fn correlation(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let spread = deviation(xs)? * deviation(ys)?;
    divide(covariance(xs, ys), Some(spread)).map(|value| value.clamp(-1.0, 1.0))
}

fn covariance(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let (x_mean, y_mean) = (mean(xs)?, mean(ys)?);
    let products: f64 = xs.iter().zip(ys).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    (xs.len() >= 2).then(|| products / count(xs.len() - 1))
}

/// How much of the benchmark's moves the returns take part in.
pub(crate) fn beta(returns: &[f64], benchmark: &[f64]) -> Option<f64> {
    let spread = deviation(benchmark)?;
    divide(covariance(returns, benchmark), Some(spread * spread))
}

/// Mean over deviation of what is earned beyond the benchmark, per period.
pub(crate) fn information_ratio(returns: &[f64], benchmark: &[f64]) -> Option<f64> {
    let beyond: Vec<f64> = returns.iter().zip(benchmark).map(|(own, other)| own - other).collect();
    sharpe(&beyond)
}

/// The chance that the true ratio is above 0, of a ratio per period and the returns' shape.
pub(crate) fn probabilistic(ratio: Option<f64>, returns: &[f64]) -> Option<f64> {
    let error = ratio_error(ratio?, skew(returns)?, kurtosis(returns)? + 3.0, returns.len())?;
    divide(ratio, Some(error)).map(normal_cdf)
}

/// The standard error of a Sharpe ratio per period (kurtosis 3 for the normal distribution).
pub(crate) fn ratio_error(ratio: f64, skew: f64, kurtosis: f64, returns: usize) -> Option<f64> {
    let below = count(returns.checked_sub(1)?);
    let variance = (1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio * ratio) / below;
    finite(variance.sqrt())
}

/// Gains over losses beyond 0.
pub(crate) fn omega(returns: &[f64]) -> Option<f64> {
    if returns.len() < 2 { None } else { divide(Some(gains(returns)), Some(losses(returns))) }
}

/// All that is earned over all that is lost.
pub(crate) fn gain_to_pain(returns: &[f64]) -> Option<f64> {
    divide(Some(returns.iter().sum()), Some(losses(returns)))
}

/// Gains over losses.
pub(crate) fn profit_factor(returns: &[f64]) -> Option<f64> {
    divide(Some(gains(returns)), Some(losses(returns)))
}

fn gains(returns: &[f64]) -> f64 {
    returns.iter().filter(|value| **value > 0.0).sum()
}

fn losses(returns: &[f64]) -> f64 {
    -returns.iter().filter(|value| **value < 0.0).sum::<f64>()
}

/// The mean of those that `keep`.
pub(crate) fn mean_of(returns: &[f64], keep: fn(f64) -> bool) -> Option<f64> {
    let kept: Vec<f64> = returns.iter().copied().filter(|value| keep(*value)).collect();
    mean(&kept).and_then(finite)
}

/// Above 0.
pub(crate) fn won(value: f64) -> bool {
    value > 0.0
}

/// Below 0.
pub(crate) fn lost(value: f64) -> bool {
    value < 0.0
}

/// Mean win over mean loss.
pub(crate) fn payoff(returns: &[f64]) -> Option<f64> {
    divide(mean_of(returns, won), mean_of(returns, lost).map(f64::abs))
}

/// The share of wins among the returns that are not 0.
pub(crate) fn win_rate(returns: &[f64]) -> Option<f64> {
    let wins = returns.iter().filter(|value| **value > 0.0).count();
    let moves = returns.iter().filter(|value| **value != 0.0).count();
    divide(Some(count(wins)), Some(count(moves)))
}

/// Mean win by number of wins over mean loss by number of losses; a 0 is a win.
pub(crate) fn profit_ratio(returns: &[f64]) -> Option<f64> {
    let wins: Vec<f64> = returns.iter().copied().filter(|value| *value >= 0.0).collect();
    let losses: Vec<f64> = returns.iter().copied().filter(|value| *value < 0.0).collect();
    if wins.is_empty() {
        return (!losses.is_empty()).then_some(0.0);
    }
    divide(
        mean(&wins).map(|mean| mean / count(wins.len())),
        mean(&losses).map(|mean| -mean / count(losses.len())),
    )
}

/// The share of the account that a gambler with these odds would stake.
pub(crate) fn kelly(returns: &[f64]) -> Option<f64> {
    let (payoff, wins) = (payoff(returns)?, win_rate(returns)?);
    divide(Some(payoff * wins - (1.0 - wins)), Some(payoff))
}

/// The chance of losing everything by the share of wins.
pub(crate) fn risk_of_ruin(returns: &[f64]) -> Option<f64> {
    let wins = win_rate(returns)?;
    finite(((1.0 - wins) / (1.0 + wins)).powf(count(returns.len())))
}

/// The return that one period in twenty falls below, if returns were normal.
pub(crate) fn value_at_risk(returns: &[f64]) -> Option<f64> {
    finite(mean(returns)? + deviation(returns)? * normal_quantile(TAIL)?)
}

/// The mean of the one period in twenty, if returns were normal.
pub(crate) fn expected_shortfall(returns: &[f64]) -> Option<f64> {
    let spread = deviation(returns).unwrap_or(0.0); // One return is its own expectation.
    finite(mean(returns)? - spread * normal_pdf(normal_quantile(TAIL)?) / TAIL)
}

/// The mean of the worst twentieth of the periods.
pub(crate) fn expected_shortfall_historical(returns: &[f64]) -> Option<f64> {
    let bound = quantile(&mut returns.to_vec(), TAIL)?;
    let worst: Vec<f64> = returns.iter().copied().filter(|value| *value <= bound).collect();
    mean(&worst).and_then(finite)
}

/// The 95th percentile over the 5th.
pub(crate) fn tail_ratio(returns: &[f64]) -> Option<f64> {
    let mut sorted = returns.to_vec();
    divide(quantile(&mut sorted, 1.0 - TAIL), quantile(&mut sorted, TAIL)).map(f64::abs)
}

/// The 99th percentile over the mean of what is no loss.
pub(crate) fn outlier_win(returns: &[f64]) -> Option<f64> {
    divide(quantile(&mut returns.to_vec(), 0.99), mean_of(returns, |value| value >= 0.0))
}

/// The 1st percentile over the mean loss.
pub(crate) fn outlier_loss(returns: &[f64]) -> Option<f64> {
    divide(quantile(&mut returns.to_vec(), 0.01), mean_of(returns, lost))
}

/// The longest run of returns that `keep`.
pub(crate) fn longest_run(returns: &[f64], keep: fn(f64) -> bool) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for value in returns {
        run = if keep(*value) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// The share of periods with a return that is not 0, rounded up to a whole percent.
pub(crate) fn time_in_market(returns: &[f64]) -> Option<f64> {
    let moves = returns.iter().filter(|value| **value != 0.0).count();
    divide(Some(count(moves)), Some(count(returns.len()))).map(|share| (share * 100.0).ceil() / 100.0)
}

/// The highest and the lowest.
pub(crate) fn best(returns: &[f64]) -> Option<f64> {
    returns.iter().copied().reduce(f64::max).and_then(finite)
}

/// See [`best`].
pub(crate) fn worst(returns: &[f64]) -> Option<f64> {
    returns.iter().copied().reduce(f64::min).and_then(finite)
}
