//! When a strategy is called by the calendar: `15:55`, `monday open`, `month start`, `5 min before close`. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};
use thiserror::Error;

use crate::calendar::{Session, at_clock, date_of, midnight, midnight_after, session_on};
use crate::clock::Timestamp;
use crate::instrument::Calendar;

/// One rule of a calendar, in New York time; it never falls on a day without a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    days: ScheduleDays,
    time: ScheduleTime,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "schedule must be a day (monday to sunday, week start, week end, month start, month end; none for each), a time \
     (15:55, open, close, 5 min after open, 5 min before close; none for the open) or both, was \"{0}\""
)]
pub struct ScheduleError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScheduleDays {
    Each,
    Weekday(Weekday),
    /// The first (or last) session of a week or month.
    Edge {
        of_month: bool,
        is_first: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScheduleTime {
    Clock(NaiveTime),
    AfterOpen(Duration),
    BeforeClose(Duration),
}

/// No rule stays silent for longer than a month and its holidays.
const DAYS_AHEAD_MAX: u64 = 70;

impl Schedule {
    /// The rule as it was written, by which a strategy knows which of its schedules calls.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first instant after `now`; [`Timestamp::MAX`] where there is none.
    pub fn next_after(&self, now: Timestamp, calendar: Calendar) -> Timestamp {
        let mut date = date_of(now);
        for _ in 0..DAYS_AHEAD_MAX {
            if let Some(session) = session_of(date, calendar)
                && self.days.is_on(date, calendar)
                && let Some(at) = self.time.on(&session).filter(|at| *at > now)
            {
                return at;
            }
            let Some(next) = date.succ_opt() else { break };
            date = next;
        }
        Timestamp::MAX
    }
}

/// The session of a New York date; of what always trades the whole day.
pub(super) fn session_of(date: NaiveDate, calendar: Calendar) -> Option<Session> {
    match calendar {
        Calendar::Nyse => session_on(date),
        Calendar::Always => Some(Session { date, open: midnight(date), close: midnight_after(date) }),
    }
}

impl ScheduleDays {
    fn is_on(self, date: NaiveDate, calendar: Calendar) -> bool {
        match self {
            Self::Each => true,
            Self::Weekday(weekday) => date.weekday() == weekday,
            Self::Edge { of_month, is_first } => {
                let is_same = |other: NaiveDate| {
                    if of_month { other.month() == date.month() } else { other.iso_week() == date.iso_week() }
                };
                let neighbour = |days| {
                    let days = Days::new(days);
                    if is_first { date.checked_sub_days(days) } else { date.checked_add_days(days) }
                };
                let mut others = (1..=31).map_while(neighbour).take_while(|other| is_same(*other));
                others.all(|other| session_of(other, calendar).is_none())
            }
        }
    }
}

impl ScheduleTime {
    /// None where the session does not have it.
    fn on(self, session: &Session) -> Option<Timestamp> {
        let at = match self {
            Self::Clock(time) => at_clock(session.date.and_time(time))?,
            Self::AfterOpen(span) => session.open + span,
            Self::BeforeClose(span) => session.close - span,
        };
        (session.open..=session.close).contains(&at).then_some(at)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let lower = text.trim().to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        let (days, rest) = match words.as_slice() {
            [of @ ("week" | "month"), edge @ ("start" | "end"), rest @ ..] => {
                (ScheduleDays::Edge { of_month: *of == "month", is_first: *edge == "start" }, rest)
            }
            [day, rest @ ..] => match weekday(day) {
                Some(weekday) => (ScheduleDays::Weekday(weekday), rest),
                None => (ScheduleDays::Each, &words[..]),
            },
            [] => return Err(ScheduleError(text.to_owned())),
        };
        let time = time(rest).ok_or_else(|| ScheduleError(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), days, time })
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let place = NAMES.iter().position(|name| *name == word)?;
    Weekday::try_from(u8::try_from(place).ok()?).ok()
}

fn time(words: &[&str]) -> Option<ScheduleTime> {
    match words {
        [] | ["open"] => Some(ScheduleTime::AfterOpen(Duration::ZERO)),
        ["close"] => Some(ScheduleTime::BeforeClose(Duration::ZERO)),
        [clock] => {
            let is_clock = clock.len() == 5;
            let time = NaiveTime::parse_from_str(clock, "%H:%M").ok().filter(|_| is_clock)?;
            Some(ScheduleTime::Clock(time))
        }
        [number, unit @ ("min" | "minute" | "minutes" | "h" | "hour" | "hours"), rest @ ..] => {
            let number: u64 = number.parse().ok().filter(|number| *number <= 1_440)?;
            let span = if unit.starts_with('h') {
                Duration::from_hours(number)
            } else {
                Duration::from_mins(number)
            };
            match rest {
                ["after", "open"] => Some(ScheduleTime::AfterOpen(span)),
                ["before", "close"] => Some(ScheduleTime::BeforeClose(span)),
                _ => None,
            }
        }
        _ => None,
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    /// The next three instants after Wednesday, 2026-11-25 12:00 in New York: Thursday is Thanksgiving, Friday ends at 13:00.
    #[track_caller]
    fn check(text: &str, expected: [&str; 3]) {
        let schedule: Schedule = text.parse().unwrap();
        let mut now = at("2026-11-25T12:00:00-05:00");
        for expected in expected {
            now = schedule.next_after(now, Calendar::Nyse);
            assert_eq!(now, at(expected), "{text}: {}", now.to_new_york());
        }
    }

    #[test]
    fn a_schedule_falls_on_sessions_only_and_follows_early_closes() {
        check(
            "15:55",
            ["2026-11-25T15:55:00-05:00", "2026-11-30T15:55:00-05:00", "2026-12-01T15:55:00-05:00"],
        );
        check(
            "5 min before close",
            ["2026-11-25T15:55:00-05:00", "2026-11-27T12:55:00-05:00", "2026-11-30T15:55:00-05:00"],
        );
        check(
            "1 hour after open",
            ["2026-11-27T10:30:00-05:00", "2026-11-30T10:30:00-05:00", "2026-12-01T10:30:00-05:00"],
        );
        check(
            "Monday open",
            ["2026-11-30T09:30:00-05:00", "2026-12-07T09:30:00-05:00", "2026-12-14T09:30:00-05:00"],
        );
        check(
            "thursday close",
            ["2026-12-03T16:00:00-05:00", "2026-12-10T16:00:00-05:00", "2026-12-17T16:00:00-05:00"],
        );
        check(
            "month start",
            ["2026-12-01T09:30:00-05:00", "2027-01-04T09:30:00-05:00", "2027-02-01T09:30:00-05:00"],
        );
        check(
            "month end 10:00",
            ["2026-11-30T10:00:00-05:00", "2026-12-31T10:00:00-05:00", "2027-01-29T10:00:00-05:00"],
        );
        check(
            "week end close",
            ["2026-11-27T13:00:00-05:00", "2026-12-04T16:00:00-05:00", "2026-12-11T16:00:00-05:00"],
        );
    }

    #[test]
    fn what_always_trades_has_each_day_whole() {
        let schedule: Schedule = "sunday 03:00".parse().unwrap();
        let next = schedule.next_after(at("2026-11-25T12:00:00-05:00"), Calendar::Always);
        assert_eq!(next, at("2026-11-29T03:00:00-05:00"));
        let never = schedule.next_after(at("2026-11-25T12:00:00-05:00"), Calendar::Nyse);
        assert_eq!(never, Timestamp::MAX);
    }

    #[test]
    fn what_is_no_schedule_is_told_with_what_is() {
        for text in
            ["", "25:00", "9:30", "noon", "monday noon", "5 before close", "5 min after close", "open monday"]
        {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(
                error.starts_with("schedule must be a day") && error.ends_with(&format!("was \"{text}\"")),
                "{error}"
            );
        }
    }
}
