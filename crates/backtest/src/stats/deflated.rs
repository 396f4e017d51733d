//! Whether a Sharpe ratio is more than luck: probabilistic, and deflated by the number of trials.

use std::f64::consts::E;

use super::measure::ratio_error;
use super::number::{finite, normal_cdf, normal_quantile};

/// Of the Euler-Mascheroni constant.
const GAMMA: f64 = 0.577_215_664_901_532_9;

/// The chance that the true Sharpe ratio lies above `benchmark` (Bailey and López de Prado 2012); both per period,
/// the kurtosis 3 for the normal distribution. `None` below two returns and where the shape allows no error.
pub fn probabilistic_sharpe(
    sharpe_per_period: f64,
    benchmark: f64,
    skew: f64,
    kurtosis: f64,
    n: usize,
) -> Option<f64> {
    let error = ratio_error(sharpe_per_period, skew, kurtosis, n).filter(|error| *error > 0.0)?;
    finite(normal_cdf((sharpe_per_period - benchmark) / error))
}

/// The Sharpe ratio per period that the best of `n_trials` without any skill is expected to show.
pub fn expected_best_sharpe(n_trials: u64, variance_of_trial_sharpes: f64) -> Option<f64> {
    if n_trials < 2 {
        return (n_trials == 1).then_some(0.0); // The best of one trial is that trial.
    }
    #[allow(clippy::cast_precision_loss, reason = "trials stay far below 2^53")]
    let trials = n_trials as f64;
    let near = normal_quantile(1.0 / trials)?;
    let far = normal_quantile(1.0 / (trials * E))?;
    finite(variance_of_trial_sharpes.sqrt() * -((1.0 - GAMMA) * near + GAMMA * far))
}

/// The chance that the best of `n_trials` has skill (Bailey and López de Prado 2014, "The Deflated Sharpe Ratio"):
/// its probabilistic Sharpe ratio against what the best of as many trials shows by luck.
///
/// All ratios are per period, not annualised; the kurtosis is 3 for the normal distribution; `n` is the number of returns.
pub fn deflated_sharpe(
    sharpe_per_period: f64,
    n_trials: u64,
    variance_of_trial_sharpes: f64,
    skew: f64,
    kurtosis: f64,
    n: usize,
) -> Option<f64> {
    let by_luck = expected_best_sharpe(n_trials, variance_of_trial_sharpes)?;
    probabilistic_sharpe(sharpe_per_period, by_luck, skew, kurtosis, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: f64 = 250.0;

    #[track_caller]
    fn check(n_trials: u64, skew: f64, kurtosis: f64, wanted: f64) {
        let found = deflated_sharpe(2.5 / YEAR.sqrt(), n_trials, 0.5 / YEAR, skew, kurtosis, 1_250).unwrap();
        assert!((found - wanted).abs() < 5e-5, "{found} is not {wanted}");
    }

    #[test]
    fn the_papers_example_comes_out_as_printed() {
        let by_luck = expected_best_sharpe(100, 0.5 / YEAR).unwrap();
        assert!((by_luck - 0.1132).abs() < 5e-5, "{by_luck}");
        check(100, -3.0, 10.0, 0.9004);
        check(46, -3.0, 10.0, 0.9505);
        check(88, 0.0, 3.0, 0.9505);
    }

    #[test]
    fn one_trial_is_not_deflated_and_none_has_no_ratio() {
        assert_eq!(
            deflated_sharpe(0.1, 1, 0.2, 0.0, 3.0, 100),
            probabilistic_sharpe(0.1, 0.0, 0.0, 3.0, 100)
        );
        assert_eq!(deflated_sharpe(0.1, 0, 0.2, 0.0, 3.0, 100), None);
        assert_eq!(deflated_sharpe(0.1, 5, -0.2, 0.0, 3.0, 100), None);
        assert_eq!(deflated_sharpe(0.1, 5, 0.2, 0.0, 3.0, 0), None);
    }
}
