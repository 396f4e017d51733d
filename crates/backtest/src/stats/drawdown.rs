//! Falls from a high: how deep, how long, and what they say of the returns.

use super::number::{count, finite};
use super::series::ReturnSeries;
use super::table::Drawdown;
use bot_core::calendar::date_of;

/// So many of the deepest falls are listed.
pub(crate) const LISTED_MAX: usize = 10;

/// A wealth that is back at its high by the books may be a few bits off after a product of many returns.
const ROUNDING: f64 = 1e-12;

/// How far below the highest wealth before it the wealth is after each return, 0 or less. The wealth begins with 1.
pub(crate) fn underwater(returns: &[f64]) -> Vec<f64> {
    let (mut wealth, mut high) = (1.0_f64, 1.0_f64);
    returns
        .iter()
        .map(|value| {
            wealth *= 1.0 + value;
            high = high.max(wealth);
            // Huge wealth over huge wealth is no number; nothing is known of the fall then.
            finite(wealth / high - 1.0).filter(|depth| *depth < -ROUNDING).unwrap_or(0.0)
        })
        .collect()
}

/// The deepest fall, 0 or less.
pub(crate) fn deepest(underwater: &[f64]) -> Option<f64> {
    underwater.iter().copied().reduce(f64::min)
}

/// Every fall, in order of time.
pub(crate) fn falls(series: &ReturnSeries) -> Vec<Drawdown> {
    let depths = underwater(&series.values);
    let mut falls = Vec::new();
    let mut from = None;
    for place in 0..depths.len() {
        if depths[place] == 0.0 {
            continue;
        }
        let start = *from.get_or_insert(place);
        let ends = depths.get(place + 1).is_none_or(|next| *next == 0.0);
        if ends {
            falls.push(fall(series, &depths, start, place));
            from = None;
        }
    }
    falls
}

/// The fall from `start` to `last`, both below the high.
fn fall(series: &ReturnSeries, depths: &[f64], start: usize, last: usize) -> Drawdown {
    let valley =
        (start..=last).fold(start, |low, place| if depths[place] < depths[low] { place } else { low });
    let recovered = last + 1 < depths.len();
    Drawdown {
        start: series.at[start],
        valley: series.at[valley],
        end: recovered.then(|| series.at[last]),
        days: (date_of(series.at[last]) - date_of(series.at[start])).num_days() + 1,
        depth: depths[valley],
    }
}

/// The deepest, deepest first; of equals the older first.
pub(crate) fn listed(falls: &[Drawdown]) -> Vec<Drawdown> {
    let mut listed = falls.to_vec();
    listed.sort_by(|a, b| a.depth.total_cmp(&b.depth));
    listed.truncate(LISTED_MAX);
    listed
}

/// The root of the squares of the depths over the number of returns less one (Martin 1987, with quantstats' n - 1).
pub(crate) fn ulcer_index(underwater: &[f64]) -> Option<f64> {
    let below = underwater.len().checked_sub(1).filter(|below| *below > 0)?;
    finite((underwater.iter().map(|depth| depth * depth).sum::<f64>() / count(below)).sqrt())
}
