//! A declared timeframe held against the rows: they are such bars, finer ones that make such bars, or refused. Pure.

use std::time::Duration;

use bot_core::clock::Timestamp;
use bot_core::duration;

const HOUR: u64 = 3_600_000_000_000;
const DAY: u64 = 24 * HOUR;
/// Fewer rows, all of them further apart than the timeframe, may be those of a thin symbol.
const COARSE_ROWS_MIN: u64 = 100;

/// What rows are to a timeframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Each row is one bar.
    Exact,
    /// Rows of this span make bars.
    Finer(Duration),
}

/// What rows with these rising times are to `timeframe`, by the smallest step between two of them: nights, weekends and
/// holes say nothing.
///
/// # Errors
/// Rows that no such bars can be made of.
pub(super) fn judge(times: &[Timestamp], timeframe: Duration) -> Result<Fit, String> {
    let steps = times.windows(2).map(|pair| step(pair[0], pair[1]));
    let (mut smallest, mut as_small, mut divisor, mut count) = (u64::MAX, 0_u64, 0, 0_u64);
    for step in steps.filter(|step| *step > 0) {
        if step < smallest {
            (smallest, as_small) = (step, 0);
        }
        as_small += u64::from(step == smallest);
        divisor = gcd(step, divisor);
        count += 1;
    }
    let span = nanos(timeframe);
    let told = |step| duration::format(Duration::from_nanos(step));
    if count == 0 || smallest == span {
        return Ok(Fit::Exact);
    }
    if smallest > span {
        if count + 1 < COARSE_ROWS_MIN || divisor <= span {
            return Ok(Fit::Exact);
        }
        let (step, was) = (told(divisor), told(span));
        return Err(format!("timeframe must be at least {step} where rows stand {step} apart, was {was}"));
    }
    // Of a thin symbol hardly any two rows may stand side by side.
    let piece = if as_small * 2 >= count { smallest } else { divisor };
    if span > DAY || !span.is_multiple_of(piece) {
        let (step, was) = (told(smallest), told(span));
        let rule = "timeframe must be a multiple of the rows' step and at most 1d";
        return Err(format!("{rule}, was {was} where rows stand {step} apart"));
    }
    Ok(Fit::Finer(Duration::from_nanos(piece)))
}

/// Whether bars that start at these times stand closer together than their timeframe.
pub(super) fn is_too_close(last: Timestamp, next: Timestamp, timeframe: Duration) -> bool {
    step(last, next) < nanos(timeframe)
}

/// Nanoseconds from one row to the next; days in which the clocks change count as 24 hours.
fn step(last: Timestamp, next: Timestamp) -> u64 {
    let step = nanos(next.since(last));
    let days = (step + HOUR) / DAY * DAY;
    if days > 0 && days.abs_diff(step) <= HOUR { days } else { step }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn gcd(one: u64, two: u64) -> u64 {
    if two == 0 { one } else { gcd(two, one % two) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that stand so many minutes apart, again and again until there are `rows`.
    #[track_caller]
    fn check(minutes: &[u64], rows: usize, timeframe: &str, expected: &str) {
        let mut at = Timestamp::parse_rfc3339("2026-01-05T14:30:00Z").unwrap();
        let mut times = vec![at];
        for step in minutes.iter().cycle().take(rows - 1) {
            at = at + Duration::from_mins(*step);
            times.push(at);
        }
        let found = match judge(&times, duration::parse(timeframe).unwrap()) {
            Ok(Fit::Exact) => "exact".to_owned(),
            Ok(Fit::Finer(piece)) => duration::format(piece),
            Err(fault) => fault,
        };
        assert_eq!(found, expected, "{minutes:?} {timeframe}");
    }

    #[test]
    fn rows_are_judged_by_their_smallest_step() {
        check(&[1], 1, "30m", "exact");
        check(&[1], 5, "1m", "exact");
        check(&[30], 500, "30m", "exact");
        check(&[1, 1, 1, 1_050], 500, "30m", "1m");
        check(&[60, 60, 60, 60, 60, 60, 1_080], 500, "1h", "exact");
        check(&[60, 60, 60, 60, 60, 60, 1_080], 500, "1d", "1h");
        check(&[195, 1_245], 500, "195m", "exact");
        let rule = "timeframe must be a multiple of the rows' step and at most 1d";
        check(&[7, 7, 7, 1_419], 500, "30m", &format!("{rule}, was 30m where rows stand 7m apart"));
        check(&[1_440], 500, "7d", &format!("{rule}, was 7d where rows stand 1d apart"));
    }

    #[test]
    fn thin_rows_pass_and_coarse_ones_are_refused() {
        check(&[2, 3], 500, "1m", "exact");
        check(&[2, 3, 5, 3], 50, "5m", "1m");
        check(&[60], 99, "1m", "exact");
        check(&[60], 100, "1m", "timeframe must be at least 1h where rows stand 1h apart, was 1m");
        check(&[4_320, 1_440], 100, "1h", "timeframe must be at least 1d where rows stand 1d apart, was 1h");
    }

    #[test]
    fn a_day_of_23_or_25_hours_is_a_day() {
        check(&[1_440, 1_380, 1_440, 1_500, 4_260], 500, "1d", "exact");
        check(
            &[1_440, 1_380, 4_260],
            100,
            "1h",
            "timeframe must be at least 1d where rows stand 1d apart, was 1h",
        );
    }
}
