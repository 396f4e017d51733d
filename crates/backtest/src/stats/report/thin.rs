//! Fewer points for a line: the lowest and the highest of each pixel column, so that no extreme is lost.

/// At most `2 * columns + 2` of `points`, in order; those that are not finite are left out.
pub(super) fn thin(points: impl IntoIterator<Item = (f64, f64)>, columns: usize) -> Vec<(f64, f64)> {
    let points: Vec<_> = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= 2 * columns + 2 {
        return points;
    }
    let width = (last.0 - first.0) / count(columns.max(1));
    let mut kept = vec![first];
    for column in
        points.chunk_by(|(one, _), (two, _)| place(*one, first.0, width) == place(*two, first.0, width))
    {
        let by_height = |one: &&(f64, f64), two: &&(f64, f64)| one.1.total_cmp(&two.1);
        let (Some(&low), Some(&high)) = (column.iter().min_by(by_height), column.iter().max_by(by_height))
        else {
            continue;
        };
        let (early, late) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        kept.extend([early, late]);
    }
    kept.push(last);
    kept.dedup();
    kept
}

fn place(x: f64, first: f64, width: f64) -> u64 {
    whole((x - first) / width)
}

/// A count as a number to compute with.
#[allow(clippy::cast_precision_loss, reason = "counts here stay far below 2^52")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

/// Rounded down, 0 for what is below 0 or no number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should here")]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_line_keeps_its_ends_and_extremes() {
        let mut points: Vec<_> = (0..100_000).map(|at| (f64::from(at), f64::from(at % 97))).collect();
        points[51_234].1 = 500.0;
        points[77_777].1 = -500.0;
        points[5].1 = f64::NAN;
        let thinned = thin(points.iter().copied(), 300);
        assert!(thinned.len() <= 602, "{}", thinned.len());
        for kept in [points[0], points[51_234], points[77_777], points[99_999]] {
            assert!(thinned.contains(&kept), "{kept:?}");
        }
        assert!(thinned.is_sorted_by(|one, two| one.0 < two.0));
    }

    #[test]
    fn a_short_line_is_left_alone() {
        assert_eq!(thin([(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)], 10), [(0.0, 1.0), (2.0, 3.0)]);
        assert_eq!(thin([], 10), []);
    }
}
