//! How often a strategy is asked. Pure.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use thiserror::Error;

use super::schedule::session_of;
use crate::calendar::date_of;
use crate::clock::Timestamp;
use crate::duration;
use crate::instrument::Calendar;

/// How often a strategy is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Every {
    /// On each event.
    #[default]
    Event,
    /// On the first event, then on the first one of each further span, counted from it without drift.
    Span(Duration),
    /// On each `count`th event, the first time on event `skip` (on event `count` when `skip` is 0).
    Count {
        /// Events from one time to the next.
        count: NonZeroU64,
        /// The event of the first time.
        skip: u64,
    },
}

/// Numbers that say no rhythm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EveryError {
    /// Never is not a rhythm.
    #[error("count must be a whole number above 0, was \"0\"")]
    Count,
    /// Nor is always.
    #[error("interval must be a duration above 0, was \"0s\"")]
    Span,
}

impl Every {
    /// # Errors
    /// A count of 0.
    pub fn count(count: u64, skip: u64) -> Result<Self, EveryError> {
        Ok(Self::Count { count: NonZeroU64::new(count).ok_or(EveryError::Count)?, skip })
    }

    /// # Errors
    /// A span of 0.
    pub fn span(span: Duration) -> Result<Self, EveryError> {
        if span.is_zero() { Err(EveryError::Span) } else { Ok(Self::Span(span)) }
    }

    /// Whether the strategy is asked on event `number`, counted from 1; true when time decides.
    pub fn is_due_at_event(self, number: u64) -> bool {
        match self {
            Self::Event | Self::Span(_) => true,
            Self::Count { count, skip } => {
                let first = if skip == 0 { count.get() } else { skip };
                number.checked_sub(first).is_some_and(|since| since % count == 0)
            }
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event => f.pad("event"),
            Self::Span(span) => f.pad(&duration::format(*span)),
            Self::Count { count, skip } => write!(f, "{count} events, first at {skip}"),
        }
    }
}

/// Whether `due` has come (none: at once); moves it on to the first instant of its grid after `now`.
pub(super) fn step(due: &mut Option<Timestamp>, span: Duration, now: Timestamp) -> bool {
    let start = due.unwrap_or(now);
    if now < start {
        return false;
    }
    let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).max(1);
    let into = now.nanos().saturating_sub(start.nanos()) % span;
    *due = Some(Timestamp::from_nanos(now.nanos().saturating_add(span - into)));
    true
}

/// The first instant of the grid `due`, `due + span`, ... at which the market is open.
pub(super) fn in_session(due: Timestamp, span: Duration, calendar: Calendar) -> Timestamp {
    let mut date = date_of(due);
    // The longest run of closed days is six (September 2001).
    for _ in 0..15 {
        if let Some(session) = session_of(date, calendar) {
            let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).max(1);
            let behind = session.open.nanos().saturating_sub(due.nanos()).max(0);
            let turns = behind / span + i64::from(behind % span > 0);
            let open = Timestamp::from_nanos(due.nanos().saturating_add(turns.saturating_mul(span)));
            if open < session.close {
                return open;
            }
        }
        let Some(next) = date.succ_opt() else { break };
        date = next;
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_falls_on_the_events_that_people_expect() {
        for (count, skip, expected) in [
            (5, 3, [3, 8, 13, 18]),
            (5, 0, [5, 10, 15, 20]),
            (5, 5, [5, 10, 15, 20]),
            (5, 7, [7, 12, 17, 22]),
            (1, 0, [1, 2, 3, 4]),
        ] {
            let every = Every::count(count, skip).unwrap();
            let due: Vec<u64> = (1..=30).filter(|number| every.is_due_at_event(*number)).take(4).collect();
            assert_eq!(due, expected, "{every}");
        }
        assert_eq!(Every::count(0, 3), Err(EveryError::Count));
    }
}
