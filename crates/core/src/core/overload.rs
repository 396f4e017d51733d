//! Signals that come faster than orders can be sent: how fast each goes, and when it is said. Pure.

use std::fmt;
use std::time::Duration;

use super::event::Notice;
use crate::clock::Timestamp;
use crate::execution::Order;

/// Signals that grew too old while they waited here, and the rates of the last ten seconds before that was noticed last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overload {
    /// How many grew too old.
    pub expired: u64,
    /// Signals that came, a second.
    pub came_per_second: f64,
    /// Orders that were sent, a second.
    pub sent_per_second: f64,
}

/// What came and what was sent.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    came: Rate,
    sent: Rate,
    last: Overload,
    tell_at: Timestamp,
    pause: Duration,
}

/// Counts of the last ten seconds.
#[derive(Debug, Default)]
struct Rate {
    /// By second, the latest of them at `second % SECONDS`.
    counts: [u32; SECONDS],
    second: i64,
    first: Option<Timestamp>,
}

const SECONDS: usize = 10;
const PAUSE_MIN: Duration = Duration::from_secs(10);

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expired, came_per_second, sent_per_second } = self;
        write!(
            f,
            "{expired} grew too old while they waited: {came_per_second:.1} signals a second came, \
             {sent_per_second:.1} orders a second were sent"
        )
    }
}

impl Arrivals {
    /// A signal came.
    pub(super) fn came(&mut self, now: Timestamp) {
        self.came.count(now);
    }

    /// An order was sent.
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.sent.count(now);
    }

    pub(super) fn overload(&self) -> Overload {
        self.last
    }

    /// A signal is too old to be sent; where it came in time, that is said once and then by rising intervals.
    pub(super) fn expired(&mut self, order: &Order, now: Timestamp) -> Option<Notice> {
        if !order.task.came_in_time(order.received_at) {
            return None;
        }
        self.last = Overload {
            expired: self.last.expired + 1,
            came_per_second: self.came.per_second(now),
            sent_per_second: self.sent.per_second(now),
        };
        if now < self.tell_at {
            return None;
        }
        self.pause = if self.pause.is_zero() { PAUSE_MIN } else { self.pause * 2 };
        self.tell_at = now + self.pause;
        Some(Notice::Overload(self.last))
    }
}

impl Rate {
    fn count(&mut self, now: Timestamp) {
        self.first.get_or_insert(now);
        self.turn(now);
        let place = self.place(self.second);
        self.counts[place] = self.counts[place].saturating_add(1);
    }

    fn per_second(&mut self, now: Timestamp) -> f64 {
        self.turn(now);
        let Some(first) = self.first else { return 0.0 };
        #[allow(clippy::cast_precision_loss, reason = "ten is a small number")]
        let span = now.since(first).as_secs_f64().clamp(1.0, SECONDS as f64);
        self.counts.iter().copied().map(f64::from).sum::<f64>() / span
    }

    /// Forgets the seconds that are too old.
    fn turn(&mut self, now: Timestamp) {
        let second = now.nanos().div_euclid(1_000_000_000);
        if second < self.second || second - self.second >= i64::try_from(SECONDS).unwrap_or(i64::MAX) {
            self.counts = [0; SECONDS];
        } else {
            for passed in self.second + 1..=second {
                let place = self.place(passed);
                self.counts[place] = 0;
            }
        }
        self.second = second;
    }

    fn place(&self, second: i64) -> usize {
        usize::try_from(second.rem_euclid(i64::try_from(self.counts.len()).unwrap_or(1))).unwrap_or(0)
    }
}
