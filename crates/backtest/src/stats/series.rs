//! Returns with their days, and the calendar's pieces of them. Days are New York's.

use chrono::{Datelike, Months, NaiveDate};

use super::number::{count, finite};
use super::table::{Month, PeriodReturn};
use crate::record::Mark;
use bot_core::calendar::date_of;
use bot_core::clock::Timestamp;

/// Returns in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ReturnSeries {
    /// When the first return begins.
    pub(crate) start: Option<NaiveDate>,
    /// When each return ends.
    pub(crate) at: Vec<Timestamp>,
    /// The day of `at`.
    pub(crate) days: Vec<NaiveDate>,
    /// Each a fraction of the equity before it.
    pub(crate) values: Vec<f64>,
}

/// A piece of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalendarPiece {
    Day,
    Month,
    Quarter,
    Year,
}

impl ReturnSeries {
    /// Of equities at the instants `at`. It ends with the first return that is no number or leaves nothing:
    /// what comes after has no base.
    pub(crate) fn of_equity(at: &[Timestamp], equity: &[f64]) -> Self {
        let mut series = Self { start: at.first().map(|at| date_of(*at)), ..Self::default() };
        for (place, pair) in equity.windows(2).enumerate().take(at.len().saturating_sub(1)) {
            let (from, to) = (pair[0], pair[1]);
            let value = to / from - 1.0;
            if from <= 0.0 || !value.is_finite() {
                break;
            }
            series.push(at[place + 1], value);
        }
        series
    }

    /// The benchmark's own, from its first price on; `start` is the day of the first mark.
    pub(crate) fn of_benchmark(returns: &[PeriodReturn], start: Option<NaiveDate>) -> Self {
        let mut series = Self::default();
        let mut before = None;
        for period in returns {
            if let Some(value) = period.benchmark {
                if series.values.is_empty() {
                    series.start = before.map_or(start, |before| Some(date_of(before)));
                }
                series.push(period.at, value);
            }
            before = Some(period.at);
        }
        series
    }

    fn push(&mut self, at: Timestamp, value: f64) {
        let day = match (self.at.last(), self.days.last()) {
            (Some(before), Some(day)) if same_day(*before, at) => *day,
            _ => date_of(at),
        };
        self.at.push(at);
        self.days.push(day);
        self.values.push(value);
    }

    /// What is earned by all of it.
    pub(crate) fn total(&self) -> Option<f64> {
        (!self.values.is_empty()).then(|| compound(&self.values)).and_then(finite)
    }

    /// The compounded return of each piece of the calendar, oldest first.
    pub(crate) fn by(&self, piece: CalendarPiece) -> Vec<((i32, u32), f64)> {
        self.pieces(piece).into_iter().map(|(key, values)| (key, compound(values))).collect()
    }

    /// The sum of the returns of each piece of the calendar, oldest first.
    pub(crate) fn sums(&self, piece: CalendarPiece) -> Vec<f64> {
        self.pieces(piece).into_iter().map(|(_, values)| values.iter().sum()).collect()
    }

    fn pieces(&self, piece: CalendarPiece) -> Vec<((i32, u32), &[f64])> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in 0..self.days.len() {
            let key = piece.of(self.days[place]);
            if self.days.get(place + 1).is_none_or(|next| piece.of(*next) != key) {
                pieces.push((key, &self.values[from..=place]));
                from = place + 1;
            }
        }
        pieces
    }

    /// The returns since the first day of the last return's month.
    pub(crate) fn month_to_date(&self) -> &[f64] {
        self.since(self.days.last().and_then(|day| day.with_day(1)))
    }

    /// The returns since the first day of the last return's year.
    pub(crate) fn year_to_date(&self) -> &[f64] {
        self.since(self.days.last().and_then(|day| NaiveDate::from_ymd_opt(day.year(), 1, 1)))
    }

    /// The returns of the last months; `None` when the run does not reach back that far.
    pub(crate) fn last_months(&self, months: u32) -> Option<&[f64]> {
        let from = self.days.last()?.checked_sub_months(Months::new(months))?;
        (self.start? <= from).then(|| self.since(Some(from)))
    }

    fn since(&self, from: Option<NaiveDate>) -> &[f64] {
        let place = from.map_or(0, |from| self.days.partition_point(|day| *day < from));
        &self.values[place..]
    }

    /// One row for each year.
    pub(crate) fn months(&self) -> Vec<Month> {
        let months = self.by(CalendarPiece::Month);
        self.by(CalendarPiece::Year)
            .into_iter()
            .map(|((year, _), total)| {
                let mut row = Month { year, months: [None; 12], total: finite(total) };
                for ((_, month), value) in months.iter().filter(|((of, _), _)| *of == year) {
                    row.months[usize::try_from(month - 1).unwrap_or(0)] = finite(*value);
                }
                row
            })
            .collect()
    }
}

impl CalendarPiece {
    fn of(self, day: NaiveDate) -> (i32, u32) {
        match self {
            CalendarPiece::Day => (day.year(), day.ordinal()),
            CalendarPiece::Month => (day.year(), day.month()),
            CalendarPiece::Quarter => (day.year(), day.month0() / 3),
            CalendarPiece::Year => (day.year(), 0),
        }
    }
}

/// The run's own returns.
pub(crate) fn of_marks(marks: &[Mark]) -> ReturnSeries {
    let at: Vec<_> = marks.iter().map(|mark| mark.at).collect();
    let equity: Vec<_> = marks.iter().map(|mark| mark.equity).collect();
    ReturnSeries::of_equity(&at, &equity)
}

/// The same with the benchmark's beside them.
pub(crate) fn period_returns(series: &ReturnSeries, marks: &[Mark]) -> Vec<PeriodReturn> {
    let benchmark = marks.windows(2).map(|pair| {
        let (from, to) = (pair[0].benchmark, pair[1].benchmark);
        (from > 0.0).then(|| to / from - 1.0).and_then(finite)
    });
    series
        .at
        .iter()
        .zip(&series.values)
        .zip(benchmark)
        .map(|((at, value), benchmark)| PeriodReturn { at: *at, value: *value, benchmark })
        .collect()
}

/// What a chain of returns earns.
pub(crate) fn compound(returns: &[f64]) -> f64 {
    returns.iter().map(|value| 1.0 + value).product::<f64>() - 1.0
}

/// Whether both lie in the same quarter of an hour of UTC: then New York's calendar, which is costly, has one day for both.
fn same_day(a: Timestamp, b: Timestamp) -> bool {
    const QUARTER: i64 = 900_000_000_000;
    a.nanos().div_euclid(QUARTER) == b.nanos().div_euclid(QUARTER)
}

/// The mean return of one that compounds to the same; `None` of nothing and of a loss of more than all.
pub(crate) fn geometric_mean(returns: &[f64]) -> Option<f64> {
    if returns.is_empty() {
        return None;
    }
    finite((1.0 + compound(returns)).powf(1.0 / count(returns.len())) - 1.0)
}
