//! Arithmetic of samples: mean, spread, shape, quantiles and the normal distribution. Nothing defined is `None`.

use std::f64::consts::SQRT_2;

/// Finite or nothing, and no negative zero: every computed number goes out through here.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(if value == 0.0 { 0.0 } else { value })
}

/// A count as a number to calculate with.
#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn count(items: usize) -> f64 {
    items as f64
}

/// `None` of nothing.
pub(crate) fn mean(sample: &[f64]) -> Option<f64> {
    (!sample.is_empty()).then(|| sample.iter().sum::<f64>() / count(sample.len()))
}

/// The sample's standard deviation (n - 1), at least two values; 0 where all are equal but for rounding.
pub(crate) fn deviation(sample: &[f64]) -> Option<f64> {
    if sample.len() < 2 {
        return None;
    }
    let mean = mean(sample)?;
    let squares: f64 = sample.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / count(sample.len() - 1)).sqrt();
    let largest = sample.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    // What is left of equal values is the rounding of their mean, and of returns that of the division that made them;
    // dividing by it would give numbers without meaning.
    finite(if deviation <= largest * 1e-13 + 1e-15 { 0.0 } else { deviation })
}

/// The adjusted Fisher-Pearson coefficient G1, at least three values that are not all equal.
pub(crate) fn skew(sample: &[f64]) -> Option<f64> {
    let n = count(sample.len());
    let (second, third, _) = moments(sample)?;
    (sample.len() >= 3).then(|| n * (n - 1.0).sqrt() / (n - 2.0) * third / second.powf(1.5)).and_then(finite)
}

/// The unbiased excess kurtosis G2, at least four values that are not all equal.
pub(crate) fn kurtosis(sample: &[f64]) -> Option<f64> {
    let n = count(sample.len());
    let (second, _, fourth) = moments(sample)?;
    let scale = (n - 2.0) * (n - 3.0);
    (sample.len() >= 4)
        .then(|| {
            n * (n + 1.0) * (n - 1.0) * fourth / (scale * second * second) - 3.0 * (n - 1.0).powi(2) / scale
        })
        .and_then(finite)
}

/// Sums of squared, cubed and fourth powers of the distances from the mean; `None` where all values are equal.
fn moments(sample: &[f64]) -> Option<(f64, f64, f64)> {
    let mean = mean(sample)?;
    deviation(sample).filter(|deviation| *deviation > 0.0)?;
    Some(sample.iter().fold((0.0, 0.0, 0.0), |(second, third, fourth), value| {
        let distance = value - mean;
        let square = distance * distance;
        (second + square, third + square * distance, fourth + square * square)
    }))
}

/// Linear between the two nearest values, as in numpy and pandas; `None` of nothing. Sorts `sample`.
pub(crate) fn quantile(sample: &mut [f64], part: f64) -> Option<f64> {
    sample.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(sample, part)
}

/// As [`quantile`], of a sample that is in order.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the sample")]
pub(crate) fn quantile_of_sorted(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = count(last) * part.clamp(0.0, 1.0);
    let below = place.floor() as usize;
    let low = *sorted.get(below)?;
    let high = sorted[(below + 1).min(last)];
    Some(low + (high - low) * (place - count(below)))
}

/// The standard normal distribution function.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// The standard normal density.
pub(crate) fn normal_pdf(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The inverse of [`normal_cdf`] by bisection; `None` outside 0 to 1.
pub(crate) fn normal_quantile(part: f64) -> Option<f64> {
    if !(part > 0.0 && part < 1.0) {
        return None;
    }
    if part > 0.5 {
        return normal_quantile(1.0 - part).map(|x| -x); // The lower tail is the exact one.
    }
    let (mut low, mut high) = (-39.0_f64, 0.0_f64);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < part {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, wanted: f64) {
        let found = found.unwrap();
        assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1e-3), "{found} is not {wanted}");
    }

    #[test]
    fn the_normal_distribution_has_the_values_of_the_tables() {
        close(Some(normal_cdf(0.0)), 0.5);
        close(Some(normal_cdf(1.959_963_984_540_054)), 0.975);
        close(Some(normal_cdf(-8.0)), 6.220_960_574_271_785e-16);
        close(normal_quantile(0.05), -1.644_853_626_951_472_7);
        close(normal_quantile(0.99), 2.326_347_874_040_840_8);
        assert_eq!(normal_quantile(0.0), None);
        assert_eq!(normal_quantile(1.0), None);
    }

    #[test]
    fn equal_values_have_no_spread_and_no_shape() {
        let equal = [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2];
        assert_eq!(deviation(&equal), Some(0.0));
        assert_eq!((skew(&equal), kurtosis(&equal)), (None, None));
        assert_eq!((deviation(&[1.0]), mean(&[])), (None, None));
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        close(quantile(&mut [4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        close(quantile(&mut [7.0], 0.95), 7.0);
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
