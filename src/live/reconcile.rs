//! The books thread: compares the books with the broker's account. The broker is right; no order is ever sent to repair a book.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::broker::Broker;
use crate::clock::{Clock, Timestamp, recv_before};
use crate::shared_desk::SharedDesk;

/// How often books and broker are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// How soon a difference is looked at again: one that is gone by then was only the broker's account catching up.
const RECHECK_AFTER: Duration = Duration::from_secs(1);
/// How long decisions may be held up for orders in flight to end.
const CLOSE_FOR_MAX: Duration = Duration::from_secs(2);

/// Compares until `stop` is dropped.
pub(super) fn reconcile(
    broker: &mut impl Broker,
    desk: &SharedDesk,
    clock: &dyn Clock,
    stop: &Receiver<Infallible>,
) {
    let mut compare_at = clock.now() + COMPARE_EVERY;
    let mut seen = Vec::new();
    let mut alarm = clock.alarm(clock.now() + RECHECK_AFTER);
    while let Err(RecvTimeoutError::Timeout) = recv_before(&alarm, stop) {
        if desk.must_reread() {
            reread(broker, desk, clock);
            compare_at = clock.now() + RECHECK_AFTER;
        } else if clock.now() >= compare_at {
            compare_at = compare(broker, desk, &mut seen, clock.now());
        }
        alarm = clock.alarm(clock.now() + RECHECK_AFTER);
    }
}

/// Closes the door, waits until nothing is in flight, reads, takes over, opens. Tried again later when it does not work now.
pub(super) fn reread(broker: &mut impl Broker, desk: &SharedDesk, clock: &dyn Clock) -> bool {
    let Some(_door) = desk.close(clock, clock.now() + CLOSE_FOR_MAX) else { return false };
    let Some(standstill) = desk.standstill() else { return false };
    match broker.account() {
        Ok(account) => desk.take_over(&account, standstill),
        Err(error) => {
            tracing::debug!(%error, "the account cannot be read");
            false
        }
    }
}

/// Compares without holding anybody up; returns when to compare next.
fn compare(broker: &mut impl Broker, desk: &SharedDesk, seen: &mut Vec<String>, now: Timestamp) -> Timestamp {
    let soon = now + RECHECK_AFTER;
    let Some(standstill) = desk.standstill() else { return soon };
    let Ok(account) = broker.account() else { return soon };
    let Some(differences) = desk.differences(&account, standstill) else { return soon };
    if differences.is_empty() {
        seen.clear();
        return now + COMPARE_EVERY;
    }
    if *seen == differences && desk.take_over(&account, standstill) {
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
