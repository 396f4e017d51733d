//! How returns are spread, and how the Sharpe ratio changed on the way.

use plotters::prelude::Rectangle;

use super::{Figure, Scene, both, draw_level, draw_line, ends, period, steps};
use crate::stats::report::axis::{AxisUnit, ChartAxis};
use crate::stats::report::canvas::{Ink, Size, chart};
use crate::stats::report::html::{number, percent, plural, signed};
use crate::stats::report::thin::{count, thin, whole};

const BINS_MAX: f64 = 60.0;
/// Returns further from the mean than so many standard deviations are counted in the outermost bars.
const TAIL: f64 = 5.0;
/// Fewer returns say nothing about a ratio.
const WINDOW_MIN: usize = 20;

/// Histogram and rolling Sharpe stand beside each other, where there are both.
pub(super) fn figures(scene: &Scene<'_>) -> Vec<Figure> {
    let all = scene.statistics.returns.iter().map(|period| period.value).filter(|value| value.is_finite());
    let all: Vec<f64> = all.collect();
    let moved: Vec<f64> = all.iter().copied().filter(|value| *value != 0.0).collect();
    if moved.len() < 2 {
        return Vec::new();
    }
    let rolling = rolling(scene);
    let size = if rolling.is_some() { Size::Half } else { Size::Wide };
    let histogram = histogram(scene, &moved, all.len() - moved.len(), size);
    [Some(histogram), rolling].into_iter().flatten().collect()
}

/// Of the returns that are not 0: the others would dwarf them, and are neither gains nor losses.
fn histogram(scene: &Scene<'_>, returns: &[f64], still: usize, size: Size) -> Figure {
    let mut sorted = returns.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (mean, deviation) = mean_and_deviation(returns);
    let worst = quantile(&sorted, 0.05);
    let at_risk = scene.statistics.ratio_of("value_at_risk").and_then(|ratio| ratio.value).unwrap_or(worst);
    let spread = Spread::of(&sorted, mean, deviation);
    let period = period(scene.record);

    let top = spread.bins.iter().copied().fold(1.0, f64::max);
    let (low, high) = (spread.low, spread.low + spread.width * count(spread.bins.len()));
    let drawings = both(size, |size| {
        let marks = ChartAxis::linear(low, high, size.labels() - 1, AxisUnit::Percent);
        let ticks = marks.ticks.into_iter().filter(|(at, _)| (low..=high).contains(at)).collect();
        let x = ChartAxis { low, high, is_log: false, ticks };
        let y = ChartAxis::linear(0.0, top, steps(size), AxisUnit::Number);
        chart((size, 240), "Histogram of returns", (&x, &y), |plot| {
            plot.draw_series(spread.bins.iter().enumerate().filter(|(_, bin)| **bin > 0.0).map(
                |(place, bin)| {
                    let left = low + spread.width * count(place);
                    let (air, right) = (spread.width * 0.06, left + spread.width);
                    let ink = if right <= spread.width * 0.01 { Ink::Loss } else { Ink::Own };
                    Rectangle::new([(left + air, *bin), (right - air, 0.0)], ink.fill())
                },
            ))?;
            draw_level(plot, &x, 0.0, Ink::Zero)?;
            draw_line(plot, vec![(at_risk.max(low), 0.0), (at_risk.max(low), y.high)], Ink::Second, 3)?;
            draw_line(plot, vec![(mean, 0.0), (mean, y.high)], Ink::Label, 3)
        })
    });
    let mut says = format!(
        "One {period} brought {} on average; one in twenty brought {} or worse.",
        signed(mean, &fine(mean)),
        fine(worst)
    );
    if still > 0 {
        let still = plural(u64::try_from(still).unwrap_or(0), period);
        says += format!(" Left out: {still} without any change.").as_str();
    }
    if spread.outside > 0 {
        says += format!(
            " {} beyond the edges are counted in the outermost bars.",
            plural(spread.outside, "return")
        )
        .as_str();
    }
    Figure {
        title: format!("Returns by {period}"),
        says,
        measure: "How many, by return in per cent",
        keys: vec![
            (Ink::Own, "Gain".to_owned()),
            (Ink::Loss, "Loss".to_owned()),
            (Ink::Label, "Mean".to_owned()),
            (Ink::Second, "Value at risk, 95%".to_owned()),
        ],
        is_half: size == Size::Half,
        drawings,
    }
}

/// Counts of returns by size; 0 is always an edge, so that no bar holds gains and losses.
struct Spread {
    low: f64,
    width: f64,
    bins: Vec<f64>,
    outside: u64,
}

impl Spread {
    fn of(sorted: &[f64], mean: f64, deviation: f64) -> Self {
        let (first, last) = ends(sorted.iter().copied());
        let (low, high) = (first.max(mean - TAIL * deviation), last.min(mean + TAIL * deviation));
        let (low, high) = if high > low { (low, high) } else { (low.min(0.0) - 0.001, low.max(0.0) + 0.001) };
        // Freedman and Diaconis: twice the middle half by the cube root of how many.
        let rule = 2.0 * (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / count(sorted.len()).cbrt();
        let width = rule.clamp((high - low) / BINS_MAX, (high - low) / 15.0);
        let (low, high) = ((low / width).floor(), (high / width).floor() + 1.0);
        let mut bins = vec![0.0; usize::try_from(whole(high - low)).unwrap_or(1).max(1)];
        let last = bins.len() - 1;
        let mut outside = 0;
        for value in sorted {
            let place = (value / width).floor() - low;
            if place < 0.0 || place > count(last) {
                outside += 1;
            }
            bins[usize::try_from(whole(place.max(0.0))).unwrap_or(last).min(last)] += 1.0;
        }
        Self { low: low * width, width, bins, outside }
    }
}

fn rolling(scene: &Scene<'_>) -> Option<Figure> {
    let headline = &scene.statistics.headline;
    let returns = &scene.statistics.returns;
    let half_year = usize::try_from(whole(headline.periods_per_year / 2.0)).unwrap_or(usize::MAX);
    let is_half_year = returns.len() >= half_year.saturating_mul(2);
    let window = if is_half_year { half_year } else { returns.len() / 4 };
    if window < WINDOW_MIN {
        return None;
    }
    let free = headline.risk_free / headline.periods_per_year;
    let sharpes = rolled(&returns.iter().map(|period| period.value).collect::<Vec<_>>(), window, free);
    let root = headline.periods_per_year.sqrt();
    let points: Vec<(f64, f64)> = sharpes
        .iter()
        .enumerate()
        .map(|(place, sharpe)| (scene.times.x_at(returns[place + window - 1].at), sharpe * root))
        .filter(|(_, sharpe)| sharpe.is_finite())
        .collect();
    let (low, high) = ends(points.iter().map(|(_, sharpe)| *sharpe).chain([0.0]));
    if points.len() < 2 {
        return None;
    }
    let drawings = both(Size::Half, |size| {
        let x = scene.times.axis(size.labels());
        let y = ChartAxis::linear(low, high, steps(size), AxisUnit::Number);
        chart((size, 240), "Rolling Sharpe ratio", (&x, &y), |plot| {
            draw_level(plot, &x, 0.0, Ink::Zero)?;
            draw_line(plot, thin(points.iter().copied(), 300), Ink::Own, 3)
        })
    });
    let above = points.iter().filter(|(_, sharpe)| *sharpe > 0.0).count();
    let window = u64::try_from(window).unwrap_or(0);
    Some(
        Figure {
            title: "Rolling Sharpe ratio".to_owned(),
            says: format!(
                "Over the last {}{}; above 0 for {:.0}% of the time.",
                plural(window, period(scene.record)),
                if is_half_year { " (half a year)" } else { "" },
                count(above) / count(points.len()) * 100.0
            ),
            measure: "Sharpe ratio, brought to a year",
            is_half: true,
            drawings,
            ..Figure::default()
        }
        .titled(headline.periods_per_year),
    )
}

impl Figure {
    /// The base of annualisation is part of a ratio's name.
    fn titled(self, periods_per_year: f64) -> Self {
        Self { title: format!("{} ({periods_per_year})", self.title), ..self }
    }
}

/// Mean over standard deviation of each `window` values in a row; NaN where nothing moved.
fn rolled(values: &[f64], window: usize, free: f64) -> Vec<f64> {
    let excess: Vec<f64> = values.iter().map(|value| value - free).collect();
    // Sums run on; taking the mean of all off first keeps them small and so exact enough.
    let middle = excess.iter().sum::<f64>() / count(excess.len().max(1));
    let (mut sum, mut squares, n) = (0.0, 0.0, count(window));
    let mut rolled = Vec::with_capacity(excess.len());
    for (place, value) in excess.iter().map(|value| value - middle).enumerate() {
        sum += value;
        squares += value * value;
        if let Some(gone) = place.checked_sub(window).map(|gone| excess[gone] - middle) {
            sum -= gone;
            squares -= gone * gone;
        }
        if place + 1 >= window {
            let variance = (squares - sum * sum / n) / (n - 1.0);
            let is_still = excess[place + 1 - window..=place]
                .iter()
                .all(|value| value.to_bits() == excess[place].to_bits());
            rolled.push(if variance > 0.0 && !is_still {
                (sum / n + middle) / variance.sqrt()
            } else {
                f64::NAN
            });
        }
    }
    rolled
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = count(values.len());
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, variance.sqrt())
}

/// Between the two nearest of `sorted`, in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * count(sorted.len().saturating_sub(1));
    let below = usize::try_from(whole(place)).unwrap_or(0);
    let (Some(one), Some(two)) = (sorted.get(below), sorted.get(below + 1).or(sorted.last())) else {
        return f64::NAN;
    };
    one + (two - one) * place.fract()
}

/// Percent, with more decimals for the returns of short periods.
fn fine(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 { number(value * 100.0, 4) + "%" } else { percent(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bar_holds_gains_and_losses() {
        let mut values: Vec<f64> = (0..1000).map(|at| (f64::from(at) * 0.7).sin() * 0.02).collect();
        values.push(9.0);
        values.sort_unstable_by(f64::total_cmp);
        let (mean, deviation) = mean_and_deviation(&values);
        let spread = Spread::of(&values, mean, deviation);
        assert!((spread.bins.iter().sum::<f64>() - 1001.0).abs() < 0.5);
        assert_eq!(spread.outside, 1);
        assert!((spread.low / spread.width - (spread.low / spread.width).round()).abs() < 1e-9);
    }

    #[test]
    fn returns_that_are_all_the_same_are_one_bar_and_no_ratio() {
        let spread = Spread::of(&[0.0; 5], 0.0, 0.0);
        assert!((spread.bins.iter().sum::<f64>() - 5.0).abs() < 0.5);
        assert!(rolled(&[0.01; 40], 20, 0.0).iter().all(|sharpe| sharpe.is_nan()));
    }

    #[test]
    fn a_rolling_ratio_is_that_of_its_window() {
        let values: Vec<f64> = (0..50).map(|at| (f64::from(at) * 1.3).sin() * 0.01 + 0.001).collect();
        let (mean, deviation) = mean_and_deviation(&values[30..50]);
        assert!((rolled(&values, 20, 0.0)[30] - mean / deviation).abs() < 1e-9);
    }
}
