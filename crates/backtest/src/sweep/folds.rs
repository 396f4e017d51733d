//! Walk-forward: which spans of time parameters are chosen on, and on which they are proven.

use std::time::Duration;

use chrono::{Days, NaiveDate};

use super::store::EventWindow;
use bot_core::calendar::{self, date_of, midnight, midnight_after};
use bot_core::clock::Timestamp;
use bot_manifest::{WalkForward, WindowLength};

/// A span to choose on and the one after it to prove on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// On which parameters are chosen.
    pub train: EventWindow,
    /// On which they are proven; it begins where `train` ends.
    pub test: EventWindow,
}

/// More folds than this are a slip of the fingers.
const FOLDS_MAX: usize = 10_000;
const DAY: Duration = Duration::from_hours(24);

impl Fold {
    /// From the start of the train span to the end of the test span.
    pub fn whole(&self) -> EventWindow {
        EventWindow { after: self.train.after, until: self.test.until }
    }
}

/// All folds of data known from `first` to `last`. The first one begins at the midnight before the data; each test
/// begins where the one before it ends, so that tests neither overlap nor leave a gap; the last one may be cut short.
///
/// # Errors
/// Data too short for one fold, or far too many folds.
pub fn folds(walk: WalkForward, first: Timestamp, last: Timestamp) -> Result<Vec<Fold>, String> {
    let mut folds = Vec::new();
    let mut from = midnight(day_of(first));
    let mut test = advance(from, walk.train);
    while test < last {
        let until = advance(test, walk.test);
        if folds.len() >= FOLDS_MAX || until <= test {
            return Err(format!(
                "sweep.walk_forward must give at most {FOLDS_MAX} folds, was train {}, test {}",
                walk.train, walk.test
            ));
        }
        folds.push(Fold {
            train: EventWindow { after: from, until: test },
            test: EventWindow { after: test, until },
        });
        from = advance(from, walk.test);
        test = until;
    }
    if folds.is_empty() {
        return Err(format!(
            "sweep.walk_forward.train must be shorter than the data, was {}; the data are from {} to {}",
            walk.train,
            day_of(first),
            day_of(last)
        ));
    }
    Ok(folds)
}

/// The instant so much later: whole days and sessions end at midnight in New York.
fn advance(at: Timestamp, length: WindowLength) -> Timestamp {
    let date = date_of(at);
    match length {
        WindowLength::Span(span) if span.as_nanos() % DAY.as_nanos() == 0 && at == midnight(date) => {
            midnight(after_days(date, span.as_secs() / DAY.as_secs()))
        }
        WindowLength::Span(span) => at + span,
        WindowLength::Sessions(count) => {
            // Two days for each session and some weeks are more than any calendar takes.
            let last = after_days(date, u64::from(count) * 2 + 30);
            let place = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
            let session = calendar::sessions(date, last).nth(place);
            midnight_after(session.map_or(last, |session| session.date))
        }
    }
}

/// The day that an event belongs to; one at midnight belongs to the day before.
fn day_of(at: Timestamp) -> NaiveDate {
    date_of(at - Duration::from_nanos(1))
}

fn after_days(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    /// Each fold as the days of its three ends.
    #[track_caller]
    fn check(train: WindowLength, test: WindowLength, last: &str, wanted: &[&str]) {
        let first = at("2024-03-01T14:31:00Z");
        let found: Vec<String> = folds(WalkForward { train, test }, first, at(last))
            .unwrap()
            .iter()
            .map(|fold| {
                assert_eq!(fold.train.until, fold.test.after);
                [fold.train.after, fold.train.until, fold.test.until]
                    .map(|at| at.to_new_york().format("%m-%d %H:%M").to_string())
                    .join(" | ")
            })
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn days_end_at_midnight_through_the_change_of_the_clocks() {
        let days = |count| WindowLength::Span(DAY * count);
        check(
            days(10),
            days(5),
            "2024-03-18T20:00:00Z",
            &["03-01 00:00 | 03-11 00:00 | 03-16 00:00", "03-06 00:00 | 03-16 00:00 | 03-21 00:00"],
        );
    }

    #[test]
    fn sessions_leave_weekends_and_holidays_out() {
        check(
            WindowLength::Sessions(5),
            WindowLength::Sessions(1),
            "2024-03-11T20:00:00Z",
            &["03-01 00:00 | 03-08 00:00 | 03-09 00:00", "03-02 00:00 | 03-09 00:00 | 03-12 00:00"],
        );
    }

    #[test]
    fn tests_neither_overlap_nor_leave_a_gap() {
        for (train, test) in [
            (WindowLength::Span(DAY * 7), WindowLength::Sessions(3)),
            (WindowLength::Sessions(4), WindowLength::Span(DAY * 2)),
            (WindowLength::Span(Duration::from_hours(36)), WindowLength::Span(Duration::from_hours(7))),
        ] {
            let folds =
                folds(WalkForward { train, test }, at("2024-03-01T14:31:00Z"), at("2024-06-01T00:00:00Z"))
                    .unwrap();
            assert!(folds.len() > 5);
            assert!(folds.windows(2).all(|pair| pair[0].test.until == pair[1].test.after));
            assert!(folds.iter().all(|fold| fold.train.after < fold.train.until));
        }
    }

    #[test]
    fn data_that_are_shorter_than_a_window_are_told() {
        let walk = WalkForward { train: WindowLength::Sessions(60), test: WindowLength::Sessions(20) };
        let error = folds(walk, at("2024-03-01T14:31:00Z"), at("2024-03-11T20:00:00Z")).unwrap_err();
        assert_eq!(
            error,
            "sweep.walk_forward.train must be shorter than the data, was 60 sessions; \
             the data are from 2024-03-01 to 2024-03-11"
        );
    }
}
