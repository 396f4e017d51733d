//! How often a strategy may answer refusals with another order: one that asks on for what it cannot have would never end.

use std::time::Duration;

use super::OrderEnd;
use crate::clock::Timestamp;
use crate::outcome::OutcomeKind;

/// Refusals of one strategy within a minute of the first of them.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Timestamp,
    count: u32,
}

/// So many may be answered in a minute; a change of holdings may well be refused in each of its symbols.
pub(super) const ANSWERED_MAX: u32 = 100;
const MINUTE: Duration = Duration::from_mins(1);

impl Refusals {
    /// Whether what a strategy wants in answer to this end is followed: always, unless it is one refusal too many.
    pub(super) fn may_be_answered(&mut self, end: &OrderEnd) -> bool {
        if ![Some(OutcomeKind::Refused), Some(OutcomeKind::Rejected)].contains(&end.outcome) {
            return true;
        }
        if self.count == 0 || end.at > self.since + MINUTE {
            (self.since, self.count) = (end.at, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= ANSWERED_MAX
    }
}
