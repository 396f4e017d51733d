//! Confidence intervals by the stationary bootstrap (Politis and Romano 1994).
//!
//! A resample is a chain of blocks of the returns, each from a random place on and of random length, wrapped around at
//! the end: returns keep their neighbours, and with them their autocorrelation. The mean length of a block is the cube
//! root of the number of returns. Resample `i` is drawn from stream `i` of the seed, so threads cannot change it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::StatisticsOptions;
use super::measure;
use super::number::{count, deviation, finite, quantile};

/// Below so many returns there are no intervals: resamples of a handful say nothing of what else could have happened.
pub(crate) const RETURNS_MIN: usize = 30;

/// The middle share of the resamples that an interval spans.
const CONFIDENCE: f64 = 0.95;

/// The ratios that have an interval, by the names of their list.
const NAMES: [&str; 5] = ["sharpe_#", "cagr_#", "max_drawdown", "volatility_#", "sortino_#"];

/// An interval for each of some ratios.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Intervals([Option<(f64, f64)>; NAMES.len()]);

impl Intervals {
    /// The interval of the ratio that the list calls `name`.
    pub(crate) fn of(&self, name: &str) -> Option<(f64, f64)> {
        self.0[NAMES.iter().position(|known| *known == name)?]
    }
}

/// The intervals of `returns`; `risk_free` is per period.
pub(crate) fn intervals(returns: &[f64], risk_free: f64, options: &StatisticsOptions) -> Intervals {
    if returns.len() < RETURNS_MIN || options.bootstrap == 0 {
        return Intervals::default();
    }
    let restart = chance_of_restart(returns.len());
    let mut found: [Vec<f64>; NAMES.len()] = Default::default();
    let mut resample = vec![0.0; returns.len()];
    for stream in 0..options.bootstrap {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(u64::from(stream));
        draw(returns, restart, &mut random, &mut resample);
        for (list, value) in found.iter_mut().zip(values(&mut resample, risk_free, options.periods_per_year))
        {
            list.extend(value.and_then(finite));
        }
    }
    Intervals(found.map(|mut list| interval(&mut list, options.bootstrap)))
}

/// In units of 2^-32: one over the mean length of a block.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a chance from 0 to 1, scaled to fit"
)]
fn chance_of_restart(returns: usize) -> u32 {
    let mean_block = count(returns).cbrt().round().max(1.0);
    ((f64::from(u32::MAX) + 1.0) / mean_block) as u32
}

fn draw(returns: &[f64], restart: u32, random: &mut ChaCha8Rng, resample: &mut [f64]) {
    let mut place = start(returns.len(), random);
    for value in resample {
        *value = returns[place];
        place = if random.next_u32() < restart {
            start(returns.len(), random)
        } else if place + 1 == returns.len() {
            0
        } else {
            place + 1
        };
    }
}

/// A place among `returns`, each as likely.
fn start(returns: usize, random: &mut ChaCha8Rng) -> usize {
    let wide = u128::from(random.next_u64()) * (returns as u128);
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// In the order of [`NAMES`].
fn values(resample: &mut [f64], risk_free: f64, periods: f64) -> [Option<f64>; NAMES.len()] {
    let (mut wealth, mut high, mut drawdown) = (1.0_f64, 1.0_f64, 0.0_f64);
    for value in resample.iter() {
        wealth *= 1.0 + value;
        high = high.max(wealth);
        drawdown = drawdown.min(wealth / high - 1.0);
    }
    let cagr = finite(wealth.powf(periods / count(resample.len())) - 1.0);
    let volatility = deviation(resample);
    for value in resample.iter_mut() {
        *value -= risk_free;
    }
    let yearly = |ratio: f64| ratio * periods.sqrt();
    [
        measure::sharpe(resample).map(yearly),
        cagr,
        Some(drawdown),
        volatility.map(yearly),
        measure::sortino(resample).map(yearly),
    ]
}

/// `None` when the ratio is not defined in more resamples than lie outside of an interval.
fn interval(values: &mut [f64], resamples: u32) -> Option<(f64, f64)> {
    if count(values.len()) < CONFIDENCE * f64::from(resamples) {
        return None;
    }
    let outside = (1.0 - CONFIDENCE) / 2.0;
    let low = quantile(values, outside)?;
    Some((finite(low)?, quantile(values, 1.0 - outside).and_then(finite)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(n: u32) -> Vec<f64> {
        (0..n).map(|i| f64::from(i * 7_919 % 211) / 10_000.0 - 0.01).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_intervals_and_another_seed_others() {
        let options = StatisticsOptions { bootstrap: 200, ..StatisticsOptions::default() };
        let first = intervals(&returns(250), 0.0, &options);
        assert_eq!(first, intervals(&returns(250), 0.0, &options));
        assert_ne!(first, intervals(&returns(250), 0.0, &StatisticsOptions { seed: 1, ..options }));
    }

    #[test]
    fn an_interval_holds_the_ratio_of_the_returns_themselves() {
        let returns = returns(500);
        let found = intervals(&returns, 0.0, &StatisticsOptions::default());
        for (name, value) in [
            ("sharpe_#", measure::sharpe(&returns).unwrap() * 252.0_f64.sqrt()),
            ("volatility_#", deviation(&returns).unwrap() * 252.0_f64.sqrt()),
            ("cagr_#", measure::cagr(&returns, 252.0).unwrap()),
        ] {
            let (low, high) = found.of(name).unwrap();
            assert!(low < value && value < high, "{name}: {value} lies outside of {low} to {high}");
        }
        assert_eq!(found.of("skew"), None);
    }

    #[test]
    fn the_width_of_an_interval_of_independent_returns_is_that_of_theory() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let uniform = |random: &mut ChaCha8Rng| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
        let returns: Vec<f64> = (0..2_500).map(|_| uniform(&mut random) * 0.02).collect();
        let (low, high) = intervals(&returns, 0.0, &StatisticsOptions::default()).of("sharpe_#").unwrap();
        let theory = 2.0 * 1.96 * (252.0_f64 / 2_500.0).sqrt();
        assert!(((high - low) / theory - 1.0).abs() < 0.15, "{low} to {high}, theory {theory}");
    }

    #[test]
    fn few_returns_and_no_resamples_have_no_interval() {
        assert_eq!(intervals(&returns(29), 0.0, &StatisticsOptions::default()), Intervals::default());
        let none = StatisticsOptions { bootstrap: 0, ..StatisticsOptions::default() };
        assert_eq!(intervals(&returns(500), 0.0, &none), Intervals::default());
        let flat = intervals(&[0.0; 100], 0.0, &StatisticsOptions::default());
        assert_eq!((flat.of("sharpe_#"), flat.of("cagr_#")), (None, Some((0.0, 0.0))));
    }
}
