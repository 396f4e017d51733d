//! Where bars are missing: within sessions, or anywhere in data that never rests. Pure.

use std::time::Duration;

use chrono::NaiveDate;

use bot_core::calendar::{Session, date_of, session_on, sessions};
use bot_core::clock::Timestamp;

/// Bars that are missing one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// The start of the first.
    pub(super) first: Timestamp,
    /// How many.
    pub(super) bars: u64,
    /// False when there is no earlier bar to fill from in the same session.
    pub(super) fillable: bool,
}

/// Over which hours the data goes, as far as its rows have shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DataHours {
    /// No bar at night or on a Saturday: only the exchange's sessions must be whole.
    #[default]
    Sessions,
    /// Bars at night: a pause as long as that of a market that closes is no gap.
    Nights,
    /// Bars on a Saturday: there is no pause.
    Always,
}

/// 1970-01-01 was a Thursday, day 0.
const SATURDAY: i64 = 2;
const DAY: Duration = Duration::from_hours(24);
/// Markets that trade at night rest for less than that within a trading day.
const PAUSE_MIN: Duration = Duration::from_hours(6);
/// So many spans are no pause either.
const PAUSE_SPANS_MIN: u32 = 10;

impl DataHours {
    /// Learns from the start of a bar.
    #[inline]
    pub(super) fn learn(&mut self, at: Timestamp, span: Duration) {
        // A day's bar may start at midnight of any clock; twelve hours later it is that day everywhere in America.
        let at = if span >= DAY { at + DAY / 2 } else { at };
        let hours = at.nanos().div_euclid(3_600_000_000_000);
        // By UTC, within hours that are Saturday or night in New York in summer and in winter.
        let (day, hour) = (hours.div_euclid(24).rem_euclid(7), hours.rem_euclid(24));
        if day == SATURDAY && hour >= 5 {
            *self = DataHours::Always;
        } else if *self == DataHours::Sessions && (1..8).contains(&hour) {
            *self = DataHours::Nights;
        }
    }

    /// What is missing between two bars that start at `last` and `next`.
    pub(super) fn gaps(self, last: Timestamp, next: Timestamp, span: Duration) -> Vec<Gap> {
        let between = Gap { first: last + span, bars: bars(last + span, next, span), fillable: true };
        let pause = PAUSE_MIN.max(span.saturating_mul(PAUSE_SPANS_MIN));
        let mut gaps = match self {
            DataHours::Always => vec![between],
            DataHours::Sessions | DataHours::Nights if span >= DAY => {
                days(last, next, span).into_iter().collect()
            }
            DataHours::Nights if next.since(last) < pause => vec![between],
            DataHours::Sessions | DataHours::Nights => within_sessions(last, next, span, between),
        };
        gaps.retain(|gap| gap.bars > 0);
        gaps
    }
}

/// Bars missing in the sessions of `last` and `next`; sessions that lie between them have none and are not counted.
fn within_sessions(last: Timestamp, next: Timestamp, span: Duration, between: Gap) -> Vec<Gap> {
    let (before, after) = (session_of(last), session_of(next));
    if before.is_some() && before == after {
        return vec![between];
    }
    let tail = before.map(|session| Gap { bars: bars(last + span, session.close, span), ..between });
    let head = after.map(|session| Gap {
        first: session.open,
        bars: bars(session.open, next, span),
        fillable: false,
    });
    tail.into_iter().chain(head).collect()
}

/// Sessions between two bars of a day each.
fn days(last: Timestamp, next: Timestamp, span: Duration) -> Option<Gap> {
    let date = |at: Timestamp| date_of(at + DAY / 2);
    let (first, end) = (date(last).succ_opt()?, date(next).pred_opt()?);
    let bars = if span == DAY { sessions(first, end).count() as u64 } else { 0 };
    Some(Gap { first: last + span, bars, fillable: false })
}

fn session_of(at: Timestamp) -> Option<Session> {
    let date: NaiveDate = date_of(at);
    session_on(date).filter(|session| session.open <= at && at < session.close)
}

/// How many bars that start at `first` or one or more spans later end by `end`; the last of a session may be shorter.
fn bars(first: Timestamp, end: Timestamp, span: Duration) -> u64 {
    let (between, span) = (end.since(first).as_nanos(), span.as_nanos().max(1));
    u64::try_from(between / span).unwrap_or(u64::MAX)
}
