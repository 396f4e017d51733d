//! The request budget: how many requests the account may send, orders first, corrected by the broker's own count.
//!
//! Priority is kept by nested shares: look-ups, polling and refreshes may each use a part of the window only, and a
//! lower purpose counts against every higher one. An order that has to wait makes the lower purposes wait longer.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Timestamp;

/// The broker's own count of our requests; each part may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportedLimit {
    /// Requests per window.
    pub limit: Option<u32>,
    /// Requests left in this window.
    pub remaining: Option<u32>,
    /// When the next window begins.
    pub reset: Option<Timestamp>,
}

/// What a request is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RequestPurpose {
    /// Submitting and cancelling.
    Order,
    /// Looking one order up.
    Lookup,
    /// Listing all orders in flight.
    Poll,
    /// Money, positions, the clock.
    Refresh,
}

/// Every purpose with the percentage of the window that it and the less urgent ones may use together, most urgent first.
const SHARES: [(RequestPurpose, u32); 4] = [
    (RequestPurpose::Order, 100),
    (RequestPurpose::Lookup, 90),
    (RequestPurpose::Poll, 60),
    (RequestPurpose::Refresh, 30),
];
/// When the broker has less than this percentage of its window left for us, a purpose waits for the next window.
const KEPT_FREE: [(RequestPurpose, u32); 4] = [
    (RequestPurpose::Order, 0),
    (RequestPurpose::Lookup, 5),
    (RequestPurpose::Poll, 15),
    (RequestPurpose::Refresh, 30),
];
/// How much longer the lower purposes wait than an order that waits.
const ORDERS_FIRST_BY: Duration = Duration::from_millis(100);
/// No reset that a broker names is believed to be further away: clocks differ.
const WAIT_MAX: Duration = Duration::from_secs(65);
/// Over how long those who wait for the same reset are spread.
const SPREAD: Duration = Duration::from_millis(250);
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(16);

type WindowLimiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One host's budget, shared by all workers; takes no lock.
#[derive(Debug)]
pub(super) struct Budget<C: Clock = DefaultClock> {
    per_window: Option<u32>,
    /// One per purpose, in the order of [`SHARES`]; empty without a budget of our own.
    limiters: Vec<WindowLimiter<C>>,
    clock: C,
    /// Until when each purpose waits, in nanoseconds since 1970; 0 for not at all.
    closed_until: [AtomicI64; 4],
    refusals_in_a_row: AtomicU32,
}

impl Budget {
    /// `rate_limit` is requests per window; `None` leaves counting to the broker.
    pub(super) fn new(rate_limit: Option<(u32, Duration)>) -> Self {
        Self::with_clock(rate_limit, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Budget<C> {
    fn with_clock(rate_limit: Option<(u32, Duration)>, clock: C) -> Self {
        let limiters = rate_limit.map_or_else(Vec::new, |(requests, window)| {
            SHARES.iter().filter_map(|(_, percent)| limiter(requests, window, *percent, &clock)).collect()
        });
        Self {
            per_window: rate_limit.map(|(requests, _)| requests),
            limiters,
            clock,
            closed_until: Default::default(),
            refusals_in_a_row: AtomicU32::new(0),
        }
    }

    /// Takes one request out of the budget.
    ///
    /// # Errors
    /// Not now: the earliest time to ask again.
    pub(super) fn admit(&self, purpose: RequestPurpose, now: Timestamp) -> Result<(), Timestamp> {
        let closed = Timestamp::from_nanos(self.closed_until[purpose as usize].load(Ordering::Relaxed));
        // A time further away than any wait was noted before the machine's clock was set back.
        if closed > now && closed <= now + WAIT_MAX {
            return Err(closed);
        }
        // The narrowest share first, so that a request that is refused costs the more urgent ones nothing.
        for limiter in self.limiters.iter().take(purpose as usize + 1).rev() {
            if let Err(not_until) = limiter.check() {
                let until = now + not_until.wait_time_from(self.clock.now());
                if purpose == RequestPurpose::Order {
                    self.close_below_orders(until + ORDERS_FIRST_BY);
                }
                return Err(until);
            }
        }
        Ok(())
    }

    /// Takes note of the broker's own count after a request that it did not refuse.
    pub(super) fn learn(&self, seen: ReportedLimit, now: Timestamp) {
        // A load first: all workers share this line, and it is 0 nearly always.
        if self.refusals_in_a_row.load(Ordering::Relaxed) != 0 {
            self.refusals_in_a_row.store(0, Ordering::Relaxed);
        }
        let (Some(remaining), Some(reset)) = (seen.remaining, seen.reset) else { return };
        if reset <= now {
            return;
        }
        let window = u64::from(seen.limit.or(self.per_window).unwrap_or(0));
        for (purpose, percent) in KEPT_FREE {
            if u64::from(remaining) * 100 <= window * u64::from(percent) || remaining == 0 {
                self.close(purpose, (reset + jitter(now, SPREAD)).min(now + WAIT_MAX));
            }
        }
    }

    /// Takes note of a refusal (429) and says when to try again: when the broker says so, else after a growing pause.
    pub(super) fn refused(&self, seen: ReportedLimit, now: Timestamp) -> Timestamp {
        let before = self.refusals_in_a_row.fetch_add(1, Ordering::Relaxed);
        let pause = BACK_OFF_MIN.saturating_mul(2u32.saturating_pow(before.min(10))).min(BACK_OFF_MAX);
        let until = match seen.reset {
            Some(reset) if reset > now => (reset + jitter(now, SPREAD)).min(now + WAIT_MAX),
            _ => now + pause + jitter(now, SPREAD),
        };
        for (purpose, _) in SHARES {
            self.close(purpose, until);
        }
        until
    }

    fn close_below_orders(&self, until: Timestamp) {
        for (purpose, _) in SHARES.iter().skip(1) {
            self.close(*purpose, until);
        }
    }

    fn close(&self, purpose: RequestPurpose, until: Timestamp) {
        self.closed_until[purpose as usize].fetch_max(until.nanos(), Ordering::Relaxed);
    }
}

/// `percent` of `requests` per `window`, at least one, all of them at once if need be.
fn limiter<C: Clock + Clone>(
    requests: u32,
    window: Duration,
    percent: u32,
    clock: &C,
) -> Option<WindowLimiter<C>> {
    let share = u64::from(requests) * u64::from(percent) / 100;
    let share = NonZeroU32::new(u32::try_from(share).ok()?.max(1))?;
    let quota = Quota::with_period(window / share.get())?.allow_burst(share);
    Some(RateLimiter::direct_with_clock(quota, clock.clone()))
}

/// Something from 0 to `span`, so that all who wait for the same instant do not arrive together. The instant itself is
/// random enough for that.
pub(super) fn jitter(now: Timestamp, span: Duration) -> Duration {
    let mixed = now.nanos().unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let part = u32::try_from(mixed % 1_000).unwrap_or(0);
    span * part / 1_000
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    fn budget(requests: u32) -> (Budget<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Budget::with_clock(Some((requests, MINUTE)), clock.clone()), clock)
    }

    fn admitted<C: Clock + Clone>(budget: &Budget<C>, purpose: RequestPurpose, now: Timestamp) -> usize {
        (0..1_000).take_while(|_| budget.admit(purpose, now).is_ok()).count()
    }

    fn seen(remaining: u32, reset: Timestamp) -> ReportedLimit {
        ReportedLimit { limit: Some(200), remaining: Some(remaining), reset: Some(reset) }
    }

    #[test]
    fn refreshes_polling_and_lookups_leave_room_for_orders() {
        let (budget, _) = budget(200);
        assert_eq!(admitted(&budget, RequestPurpose::Refresh, at(0)), 60);
        assert_eq!(admitted(&budget, RequestPurpose::Poll, at(0)), 60);
        assert_eq!(admitted(&budget, RequestPurpose::Lookup, at(0)), 60);
        assert_eq!(admitted(&budget, RequestPurpose::Order, at(0)), 20);
    }

    #[test]
    fn a_used_up_budget_says_when_it_has_room_again() {
        let (budget, clock) = budget(60);
        assert_eq!(admitted(&budget, RequestPurpose::Order, at(0)), 60);
        assert_eq!(budget.admit(RequestPurpose::Order, at(0)), Err(at(1)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(budget.admit(RequestPurpose::Order, at(1)), Ok(()));
    }

    #[test]
    fn an_order_that_waits_goes_before_a_poll() {
        let (budget, clock) = budget(60);
        admitted(&budget, RequestPurpose::Order, at(0));
        clock.advance(Duration::from_secs(1));
        assert_eq!(budget.admit(RequestPurpose::Poll, at(1)), Err(at(1) + ORDERS_FIRST_BY));
        assert_eq!(budget.admit(RequestPurpose::Order, at(1)), Ok(()));
    }

    #[test]
    fn the_brokers_count_is_believed_before_our_own() {
        let (budget, _) = budget(200);
        budget.learn(seen(40, at(30)), at(0));
        assert!(budget.admit(RequestPurpose::Refresh, at(1)).is_err());
        assert!(budget.admit(RequestPurpose::Poll, at(1)).is_ok());
        budget.learn(seen(0, at(30)), at(1));
        let until = budget.admit(RequestPurpose::Order, at(2)).unwrap_err();
        assert!(until >= at(30) && until < at(31), "{until}");
        assert!(budget.admit(RequestPurpose::Order, at(31)).is_ok());
    }

    #[test]
    fn without_a_budget_of_our_own_the_brokers_still_counts() {
        let budget = Budget::new(None);
        assert_eq!(admitted(&budget, RequestPurpose::Refresh, at(0)), 1_000);
        budget.learn(seen(0, at(5)), at(0));
        assert!(budget.admit(RequestPurpose::Order, at(1)).is_err());
    }

    #[test]
    fn a_refusal_waits_for_the_reset_or_backs_off_further_each_time() {
        let (budget, _) = budget(200);
        let named = budget.refused(seen(0, at(20)), at(0));
        assert!(named >= at(20) && named < at(21));
        assert_eq!(budget.admit(RequestPurpose::Order, at(1)), Err(named));
        let mut pauses = Vec::new();
        for second in [30, 40, 60, 100, 150] {
            let until = budget.refused(ReportedLimit::default(), at(second));
            pauses.push(until.since(at(second)).as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 16]);
        budget.learn(ReportedLimit::default(), at(200));
        assert_eq!(
            budget.refused(seen(0, at(100)), at(200)).since(at(200)).as_secs(),
            1,
            "a reset in the past"
        );
    }

    #[test]
    fn neither_a_broker_nor_a_clock_set_back_can_close_the_budget_for_long() {
        let (budget, _) = budget(200);
        assert_eq!(budget.refused(seen(0, at(100_000)), at(0)), at(0) + WAIT_MAX);
        assert!(budget.admit(RequestPurpose::Order, at(-3600)).is_ok());
    }
}
