//! The books thread: compares the books with the broker's account. The broker is right; no order is ever sent to repair a book.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::broker::AccountReader;
use crate::clock::{Clock, Timestamp, recv_before};
use crate::shared_core::SharedCore;

/// How often books and broker are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// How soon a difference is looked at again: one that is gone by then was only the broker's account catching up.
const RECHECK_AFTER: Duration = Duration::from_secs(1);
/// How long decisions may be held up for orders in flight to end.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Compares until `stop` is dropped.
pub(super) fn reconcile(
    broker: &mut impl AccountReader,
    core: &SharedCore<'_>,
    clock: &dyn Clock,
    stop: &Receiver<Infallible>,
) {
    let mut compare_at = clock.now() + COMPARE_EVERY;
    let mut seen = Vec::new();
    let mut alarm = clock.alarm(clock.now() + RECHECK_AFTER);
    while let Err(RecvTimeoutError::Timeout) = recv_before(&alarm, stop) {
        if core.must_reread() {
            reread(broker, core, clock);
            compare_at = clock.now() + RECHECK_AFTER;
        } else if clock.now() >= compare_at {
            compare_at = compare(broker, core, &mut seen, clock.now());
        }
        alarm = clock.alarm(clock.now() + RECHECK_AFTER);
    }
}

/// Lets decisions wait until nothing is in flight, reads and takes over. Tried again later when it does not work now.
pub(super) fn reread(broker: &mut impl AccountReader, core: &SharedCore<'_>, clock: &dyn Clock) -> bool {
    let Some(_paused) = core.pause(clock.now() + PAUSE_MAX) else { return false };
    let Some(version) = core.books_at_rest() else { return false };
    match broker.account() {
        Ok(account) => core.reset_to(&account, version),
        Err(error) => {
            tracing::debug!(%error, "the account cannot be read");
            false
        }
    }
}

/// Compares without holding anybody up; returns when to compare next.
fn compare(
    broker: &mut impl AccountReader,
    core: &SharedCore<'_>,
    seen: &mut Vec<String>,
    now: Timestamp,
) -> Timestamp {
    let soon = now + RECHECK_AFTER;
    let Some(version) = core.books_at_rest() else { return soon };
    let Ok(account) = broker.account() else { return soon };
    let Some(differences) = core.differences(&account, version) else { return soon };
    if differences.is_empty() {
        seen.clear();
        return now + COMPARE_EVERY;
    }
    if *seen == differences && core.reset_to(&account, version) {
        tracing::warn!(
            differences = differences.join("; "),
            "books and broker differed; the broker's view is taken over"
        );
        seen.clear();
        return now + COMPARE_EVERY;
    }
    *seen = differences;
    soon
}
