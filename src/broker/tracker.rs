//! Follows the orders in flight of any broker: its order stream tells at once; while there is none, one list request for all
//! of them is made on a schedule that begins with the order and backs off, as far as the request budget allows.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::OrderNews;
use crate::clock::{Clock, Timestamp};
use crate::core::InFlight;
use crate::order::OrderReport;

/// What one account's connections and its tracker tell each other.
#[derive(Debug, Default)]
pub(super) struct TrackerSignals {
    /// An order was taken and is not final yet.
    works: Notify,
    /// The stream is connected; what happened before is not replayed.
    connected: Notify,
}

/// How a list request ended.
#[derive(Debug)]
pub(super) enum Listed<E> {
    /// What was found is told.
    Done,
    /// The request budget has no room before then.
    NotBefore(Timestamp),
    /// It failed.
    Failed(E),
}

/// When to list next. Pure.
#[derive(Debug)]
struct Schedule {
    interval: Duration,
    next: Timestamp,
}

/// How soon after an order was taken it is looked at first.
const FIRST_LOOK: Duration = Duration::from_millis(15);

impl TrackerSignals {
    /// An order was taken and is not final yet.
    pub(super) fn works(&self) {
        self.works.notify_one();
    }

    /// The stream is connected.
    pub(super) fn connected(&self) {
        self.connected.notify_one();
    }
}

/// Lists until it is dropped; orders that have not been heard of for `interval_max` are looked at in any case, and every
/// `interval_with_stream` while the stream is connected: it may lose messages.
pub(super) async fn poll<E: std::fmt::Display>(
    orders: &dyn OrderNews,
    clock: &dyn Clock,
    signals: &TrackerSignals,
    stream_is_up: &Cell<bool>,
    (interval_max, interval_with_stream): (Duration, Duration),
    mut list: impl AsyncFnMut(InFlight) -> Listed<E>,
) {
    let mut schedule = Schedule { interval: interval_max, next: clock.now() + interval_max };
    let mut failing = false;
    loop {
        let now = clock.now();
        tokio::select! {
            () = signals.works.notified() => {
                if !stream_is_up.get() {
                    schedule.begin(clock.now(), interval_max);
                }
                continue;
            }
            () = signals.connected.notified() => {}
            () = tokio::time::sleep(schedule.next.since(now).min(interval_max)) => {
                let now = clock.now();
                // A clock that was set back must not put it off for long.
                if schedule.next > now && schedule.next.since(now) <= schedule.interval {
                    continue;
                }
            }
        }
        let now = clock.now();
        let Some(flight) = orders.in_flight() else {
            schedule = Schedule { interval: interval_max, next: now + interval_max };
            continue;
        };
        let listed = list(flight).await;
        let longest = if stream_is_up.get() { interval_with_stream } else { interval_max };
        schedule.listed(clock.now(), longest);
        match listed {
            Listed::Done if std::mem::take(&mut failing) => info!("orders in flight are polled again"),
            Listed::Done => {}
            Listed::NotBefore(until) => {
                debug!(%until, "the request budget has no room for a poll");
                schedule.next = schedule.next.max(until);
                schedule.interval = schedule.next.since(clock.now()).max(schedule.interval);
            }
            Listed::Failed(error) if std::mem::replace(&mut failing, true) => {
                debug!(%error, "orders in flight still cannot be polled");
            }
            Listed::Failed(error) => warn!(%error, "orders in flight cannot be polled"),
        }
    }
}

/// Tells what is heard of orders that are looked for, and takes them off the list.
pub(super) fn tell(
    orders: &dyn OrderNews,
    flight: &mut InFlight,
    reports: impl Iterator<Item = OrderReport>,
) {
    for report in reports {
        if flight.ids.remove(&report.client_order_id) {
            orders.report(report);
        }
    }
}

impl Schedule {
    /// An order was taken: the first look is soon.
    fn begin(&mut self, now: Timestamp, interval_max: Duration) {
        self.interval = FIRST_LOOK.min(interval_max);
        self.next = self.next.min(now + self.interval);
    }

    /// A list was read: each pause is twice as long as the one before.
    fn listed(&mut self, now: Timestamp, interval_max: Duration) {
        self.interval = (self.interval * 2).min(interval_max);
        self.next = now + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_is_within_20_ms_and_later_ones_back_off() {
        let at = |millis| Timestamp::from_millis(millis);
        let longest = Duration::from_secs(2);
        let mut schedule = Schedule { interval: longest, next: at(5_000) };
        schedule.begin(at(1_000), longest);
        assert!(schedule.next <= at(1_020));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let now = schedule.next;
            schedule.listed(now, longest);
            pauses.push(schedule.next.since(now).as_millis());
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_920, 2_000, 2_000]);
        let now = schedule.next - Duration::from_millis(5);
        schedule.begin(now, longest);
        assert_eq!(schedule.next.since(now), Duration::from_millis(5), "a new order never puts a look off");
    }
}
