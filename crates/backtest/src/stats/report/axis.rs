//! Axes: which numbers and dates stand beside a chart, and where.

use std::ops::Range;

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, Timelike};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::thin::count;
use bot_core::calendar::at_clock;
use bot_core::clock::Timestamp;

/// One axis: its ends, whether it is logarithmic, and what is written where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChartAxis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) is_log: bool,
    pub(super) ticks: Vec<(f64, String)>,
}

/// What the numbers on an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AxisUnit {
    /// US dollars.
    Dollars,
    /// Fractions, shown as per cent.
    Percent,
    /// Plain numbers.
    Number,
    /// Numbers of any size, with a power of ten where they are long.
    Any,
}

impl ChartAxis {
    /// From `low` to `high`, widened to whole steps, about `steps` of them.
    pub(super) fn linear(low: f64, high: f64, steps: usize, unit: AxisUnit) -> Self {
        let (low, high) = widened(low, high);
        let step = nice_step((high - low) / count(steps.max(1)));
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let places =
            std::iter::successors(Some(first), |place| Some(place + 1.0)).take_while(|place| *place <= last);
        // A place of -0.0 would be written "-0".
        let ticks = places.map(|place| place * step + 0.0).map(|at| (at, written(at, step, unit))).collect();
        Self { low: first * step, high: last * step, is_log: false, ticks }
    }

    /// Logarithmic; both ends must be above 0.
    pub(super) fn log(low: f64, high: f64, unit: AxisUnit) -> Self {
        let (low, high) = (low * 0.97, high * 1.03);
        let decades = (high / low).log10();
        let marks: &[f64] = match decades {
            3.0.. => &[1.0],
            1.3.. => &[1.0, 2.0, 5.0],
            _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
        };
        let first = low.log10().floor();
        let powers = std::iter::successors(Some(first), |power| Some(power + 1.0))
            .take_while(|power| *power <= high.log10());
        let ticks = powers
            .flat_map(|power| marks.iter().map(move |mark| mark * 10_f64.powf(power)))
            .filter(|at| (low..=high).contains(at))
            .map(|at| (at, written(at, at, unit)))
            .collect();
        Self { low, high, is_log: true, ticks }
    }

    /// Without anything written, for charts that label themselves.
    pub(super) fn bare(low: f64, high: f64) -> Self {
        Self { low, high, is_log: false, ticks: Vec::new() }
    }

    /// The longest label, in characters.
    pub(super) fn label_len(&self) -> usize {
        self.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0)
    }
}

impl Ranged for ChartAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation, reason = "a pixel's place is small, and saturates")]
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for ChartAxis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks
            .iter()
            .find(|(at, _)| at.to_bits() == value.to_bits())
            .map(|(_, label)| label.clone())
            .unwrap_or_default()
    }
}

/// Ends that differ and are numbers.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let is_known = low.is_finite() && high.is_finite();
    let [low, high] = [low, high].map(|end| end.clamp(-LARGEST, LARGEST));
    let size = low.abs().max(high.abs());
    // Closer than that steps cannot be told from each other.
    match (is_known, high - low > (size * 1e-9).max(SMALLEST)) {
        (false, _) => (0.0, 1.0),
        (true, true) => (low, high),
        (true, false) => {
            let margin = if size < SMALLEST { 1.0 } else { size * 0.01 };
            (low - margin, low + margin)
        }
    }
}

/// What is larger stands at the edge of its chart: the way between two such ends would be no number.
const LARGEST: f64 = 1e300;
/// What is smaller is 0 on a chart.
const SMALLEST: f64 = 1e-290;

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    power * steps.into_iter().find(|step| *step >= rough / power - 1e-9).unwrap_or(10.0)
}

/// A number of any size with four digits.
pub(super) fn label(value: f64) -> String {
    let minus = if value < 0.0 { "\u{2212}" } else { "" };
    let rounded: f64 = format!("{:.3e}", value.abs()).parse().unwrap_or(f64::NAN);
    let is_short = rounded == 0.0 || (1e-4..1e5).contains(&rounded);
    if is_short {
        format!("{minus}{rounded}")
    } else {
        format!("{minus}{rounded:e}").replace("e-", "e\u{2212}")
    }
}

/// A number as a label, with as many decimals as `step` needs.
fn written(at: f64, step: f64, unit: AxisUnit) -> String {
    let minus = if at < 0.0 { "\u{2212}" } else { "" };
    let (scale, sign, suffix) = match unit {
        AxisUnit::Percent => (0.01, "", "%"),
        AxisUnit::Dollars if at.abs() >= 1e9 => (1e9, "$", "B"),
        AxisUnit::Dollars if at.abs() >= 1e6 => (1e6, "$", "M"),
        AxisUnit::Dollars if at.abs() >= 1e4 => (1e3, "$", "k"),
        AxisUnit::Dollars => (1.0, "$", ""),
        AxisUnit::Any if at.abs() >= 1e5 || step < 1e-4 => return label(at),
        AxisUnit::Number | AxisUnit::Any => (1.0, "", ""),
    };
    let decimals = (0..6)
        .find(|decimals| {
            let shown = step / scale * 10_f64.powi(*decimals);
            (shown - shown.round()).abs() < 1e-6 * shown.max(1.0)
        })
        .unwrap_or(6);
    format!("{minus}{sign}{:.*}{suffix}", usize::try_from(decimals).unwrap_or(0), at.abs() / scale)
}

/// Where instants stand from left to right: by the clock, or mark after mark where nights and weekends would tear holes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeScale {
    at: Vec<Timestamp>,
    is_by_place: bool,
}

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;

impl TimeScale {
    /// Of the instants of the marks, in order.
    pub(super) fn new(at: Vec<Timestamp>) -> Self {
        let mut steps: Vec<i64> = at.windows(2).map(|pair| pair[1].nanos() - pair[0].nanos()).collect();
        let middle = steps.len() / 2;
        let is_by_place = steps.len() > 2 && *steps.select_nth_unstable(middle).1 < 20 * HOUR;
        Self { at, is_by_place }
    }

    /// Where the mark number `place` stands.
    pub(super) fn x(&self, place: usize) -> f64 {
        if self.is_by_place { count(place) } else { self.at.get(place).map_or(f64::NAN, |at| seconds(*at)) }
    }

    /// Where an instant stands, between two marks where it is none.
    pub(super) fn x_at(&self, at: Timestamp) -> f64 {
        if !self.is_by_place {
            return seconds(at);
        }
        let next = self.at.partition_point(|mark| *mark < at);
        match (next.checked_sub(1).and_then(|before| self.at.get(before)), self.at.get(next)) {
            (Some(before), Some(after)) => {
                count(next) - (seconds(*after) - seconds(at)) / (seconds(*after) - seconds(*before))
            }
            _ => count(next.min(self.at.len().saturating_sub(1))),
        }
    }

    /// The axis with at most `labels_max` dates or times, on New York's clock.
    pub(super) fn axis(&self, labels_max: usize) -> ChartAxis {
        let (Some(&first), Some(&last)) = (self.at.first(), self.at.last()) else {
            return ChartAxis::bare(0.0, 1.0);
        };
        let (low, high) = (self.x(0), self.x(self.at.len() - 1));
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, low + 1.0) };
        let gap = (high - low) / count(labels_max + 1) * 0.85;
        let ticks = Beat::ALL
            .into_iter()
            .filter(|beat| (last.nanos() - first.nanos()) / beat.nanos() < 3_000)
            .map(|beat| self.ticks(beat, first, last))
            .find(|ticks| ticks.len() <= labels_max)
            .unwrap_or_default();
        ChartAxis { low, high, is_log: false, ticks: apart(ticks, gap) }
    }

    fn ticks(&self, beat: Beat, first: Timestamp, last: Timestamp) -> Vec<(f64, String)> {
        let (from, to) = (first.to_new_york().naive_local(), last.to_new_york().naive_local());
        let is_within_days = matches!(beat, Beat::Minutes(_));
        let mut ticks: Vec<(f64, String)> = Vec::new();
        let mut day = None;
        let mut at = if is_within_days { NaiveDateTime::from(from.date()) } else { beat.floor(from) };
        while at <= to {
            // The first day's own name stands at its first mark, not at the midnight before it.
            let instant =
                at_clock(at).map(|instant| if is_within_days { instant.max(first) } else { instant });
            if let Some(instant) = instant.filter(|instant| (first..=last).contains(instant)) {
                let x = self.x_at(instant);
                // By place, a beat that falls into the night stands at the first mark after it.
                let x = if self.is_by_place { x.ceil() } else { x };
                if ticks.last().is_none_or(|(before, _)| x > *before) {
                    ticks.push((x, beat.label(at, day.replace(at.date()))));
                }
            }
            at = beat.after(at);
        }
        ticks
    }
}

/// Leaves out labels that would touch; a day's name stays rather than the hour before it.
fn apart(ticks: Vec<(f64, String)>, gap: f64) -> Vec<(f64, String)> {
    let mut kept: Vec<(f64, String)> = Vec::new();
    for tick in ticks {
        match kept.last() {
            Some((before, label)) if tick.0 - before < gap => {
                if label.contains(':') && !tick.1.contains(':') {
                    kept.pop();
                    kept.push(tick);
                }
            }
            Some(_) | None => kept.push(tick),
        }
    }
    kept
}

fn seconds(at: Timestamp) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a microsecond more or less is no pixel")]
    let micros = at.micros() as f64;
    micros / 1e6
}

/// How far apart dates stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beat {
    Minutes(i64),
    Days(i64),
    Months(i32),
}

impl Beat {
    const ALL: [Beat; 21] = [
        Beat::Minutes(1),
        Beat::Minutes(5),
        Beat::Minutes(15),
        Beat::Minutes(30),
        Beat::Minutes(60),
        Beat::Minutes(120),
        Beat::Minutes(240),
        Beat::Days(1),
        Beat::Days(2),
        Beat::Days(7),
        Beat::Days(14),
        Beat::Months(1),
        Beat::Months(2),
        Beat::Months(3),
        Beat::Months(6),
        Beat::Months(12),
        Beat::Months(24),
        Beat::Months(60),
        Beat::Months(120),
        Beat::Months(240),
        Beat::Months(1200),
    ];

    fn nanos(self) -> i64 {
        match self {
            Beat::Minutes(minutes) => minutes * 60 * SECOND,
            Beat::Days(days) => days * 24 * HOUR,
            Beat::Months(months) => i64::from(months) * 730 * HOUR,
        }
    }

    fn floor(self, at: NaiveDateTime) -> NaiveDateTime {
        match self {
            Beat::Minutes(minutes) => {
                let since = i64::from(at.hour()) * 60 + i64::from(at.minute());
                NaiveDateTime::from(at.date()) + Duration::minutes(since / minutes * minutes)
            }
            // Weeks begin on Mondays.
            Beat::Days(_) => {
                NaiveDateTime::from(at.date())
                    - Duration::days(i64::from(at.weekday().num_days_from_monday()))
            }
            Beat::Months(months) => {
                let since = at.year() * 12 + at.month0().cast_signed();
                month(since.div_euclid(months) * months)
            }
        }
    }

    fn after(self, at: NaiveDateTime) -> NaiveDateTime {
        match self {
            Beat::Minutes(minutes) => at + Duration::minutes(minutes),
            Beat::Days(days) => at + Duration::days(days),
            Beat::Months(months) => month(at.year() * 12 + at.month0().cast_signed() + months),
        }
    }

    fn label(self, at: NaiveDateTime, day_before: Option<NaiveDate>) -> String {
        let form = match self {
            Beat::Minutes(_) if day_before == Some(at.date()) => "%H:%M",
            Beat::Minutes(_) | Beat::Days(_) => "%-d %b",
            Beat::Months(months) if months < 12 => "%b %Y",
            Beat::Months(_) => "%Y",
        };
        at.format(form).to_string()
    }
}

/// The first day of a month, counted from the year 0.
fn month(number: i32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(number.div_euclid(12), number.rem_euclid(12).unsigned_abs() + 1, 1)
        .unwrap_or_default()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: &ChartAxis, labels: &[&str]) {
        assert_eq!(axis.ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>(), labels);
    }

    #[test]
    fn numbers_stand_at_round_steps_with_their_unit() {
        check(&ChartAxis::linear(-0.12, 0.0, 4, AxisUnit::Percent), &["−15%", "−10%", "−5%", "0%"]);
        check(
            &ChartAxis::linear(998_000.0, 1_031_000.0, 4, AxisUnit::Dollars),
            &["$990k", "$1.00M", "$1.01M", "$1.02M", "$1.03M", "$1.04M"],
        );
        check(&ChartAxis::linear(0.0, 0.0, 4, AxisUnit::Number), &["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        check(&ChartAxis::linear(f64::NAN, 1.0, 2, AxisUnit::Number), &["0.0", "0.5", "1.0"]);
        check(
            &ChartAxis::log(900.0, 21_000.0, AxisUnit::Dollars),
            &["$1000", "$2000", "$5000", "$10k", "$20k"],
        );
    }

    #[test]
    fn numbers_of_any_size_make_a_short_axis() {
        check(&ChartAxis::linear(-1.0, 3.0, 4, AxisUnit::Any), &["\u{2212}1", "0", "1", "2", "3"]);
        check(&ChartAxis::linear(0.0, 4e-7, 2, AxisUnit::Any), &["0", "2e\u{2212}7", "4e\u{2212}7"]);
        check(&ChartAxis::linear(1e9, 3e9, 2, AxisUnit::Any), &["1e9", "2e9", "3e9"]);
        // Ends that steps cannot tell apart are one, and what lies beyond all numbers makes no endless axis.
        for (low, high) in [
            (1e17, 1e17 + 16.0),
            (-f64::MAX, f64::MAX),
            (5e-324, 1e-323),
            (f64::MAX, f64::MAX),
            (-1e-320, f64::MAX),
        ] {
            let axis = ChartAxis::linear(low, high, 5, AxisUnit::Any);
            assert!(axis.high > axis.low && axis.ticks.len() < 20, "{low} {high} {axis:?}");
        }
        assert_eq!([0.0, -1234.56, 12.0, 1e-9].map(label), ["0", "\u{2212}1235", "12", "1e\u{2212}9"]);
    }

    fn times(from: &str, step_hours: i64, marks: i64) -> TimeScale {
        let first = Timestamp::parse_rfc3339(from).unwrap().nanos();
        TimeScale::new(
            (0..marks).map(|mark| Timestamp::from_nanos(first + mark * step_hours * HOUR)).collect(),
        )
    }

    #[test]
    fn dates_fit_the_span() {
        check(
            &times("2025-09-15T20:00:00Z", 24, 180).axis(6),
            &["Oct 2025", "Nov 2025", "Dec 2025", "Jan 2026", "Feb 2026", "Mar 2026"],
        );
        check(&times("2016-01-04T21:00:00Z", 24, 3650).axis(6), &["2018", "2020", "2022", "2024"]);
        check(
            &times("2026-03-02T14:00:00Z", 24, 10).axis(11),
            &["3 Mar", "4 Mar", "5 Mar", "6 Mar", "7 Mar", "8 Mar", "9 Mar", "10 Mar", "11 Mar"],
        );
    }

    #[test]
    fn one_mark_or_none_makes_an_axis_all_the_same() {
        assert_eq!(times("2026-03-02T14:00:00Z", 24, 0).axis(5), ChartAxis::bare(0.0, 1.0));
        assert!(
            times("2026-03-02T14:00:00Z", 24, 1).axis(5).high
                > times("2026-03-02T14:00:00Z", 24, 1).axis(5).low
        );
    }
}
