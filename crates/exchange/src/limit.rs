//! The request limit: so many requests per key in a window that begins with the first of them. Pure.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use bot_core::clock::Timestamp;

/// So many requests in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimit {
    /// At most so many.
    pub requests: NonZeroU32,
    /// In each window of this length.
    pub span: Duration,
}

/// Which of the two APIs is asked; each counts requests by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Api {
    Trading,
    Data,
}

/// Where a key stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitState {
    pub(super) allowed: bool,
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Unix seconds; by then the window is over.
    pub(super) reset: i64,
}

/// The windows of all keys.
#[derive(Debug)]
pub(super) struct KeyLimits {
    limit: RequestLimit,
    windows: HashMap<(String, Api), RequestWindow>,
}

#[derive(Debug)]
struct RequestWindow {
    ends: Timestamp,
    left: u32,
}

/// Any pair may be a key: ended windows are dropped when there are more.
const KEYS_MAX: usize = 10_000;

impl KeyLimits {
    pub(super) fn new(limit: RequestLimit) -> Self {
        Self { limit, windows: HashMap::new() }
    }

    /// Counts one request of `key`.
    pub(super) fn take(&mut self, key: &str, api: Api, now: Timestamp) -> LimitState {
        if self.windows.len() >= KEYS_MAX {
            self.windows.retain(|_, window| window.ends > now);
        }
        let fresh = RequestWindow { ends: now + self.limit.span, left: self.limit.requests.get() };
        let window =
            self.windows.entry((key.to_owned(), api)).or_insert(RequestWindow { ends: now, left: 0 });
        if window.ends <= now {
            *window = fresh;
        }
        let allowed = window.left > 0;
        window.left = window.left.saturating_sub(1);
        limit_state(&self.limit, allowed, window.left, window.ends)
    }

    /// Where somebody stands who is not counted.
    pub(super) fn stranger(&self, now: Timestamp) -> LimitState {
        limit_state(&self.limit, true, self.limit.requests.get(), now + self.limit.span)
    }
}

fn limit_state(limit: &RequestLimit, allowed: bool, remaining: u32, ends: Timestamp) -> LimitState {
    // Rounded up: who waits until then finds a new window.
    let reset = ends.nanos().saturating_add(999_999_999).div_euclid(1_000_000_000);
    LimitState { allowed, limit: limit.requests.get(), remaining, reset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_requests_per_window_and_host() {
        let limit = RequestLimit { requests: NonZeroU32::new(2).unwrap(), span: Duration::from_mins(1) };
        let mut limiter = KeyLimits::new(limit);
        let start = Timestamp::from_millis(1_500);
        let mut take = |key, api, seconds| {
            let found = limiter.take(key, api, start + Duration::from_secs(seconds));
            (found.allowed, found.remaining, found.reset)
        };
        assert_eq!(take("a", Api::Trading, 0), (true, 1, 62));
        assert_eq!(take("a", Api::Trading, 59), (true, 0, 62));
        assert_eq!(take("a", Api::Trading, 59), (false, 0, 62));
        assert_eq!(take("a", Api::Data, 59), (true, 1, 121));
        assert_eq!(take("b", Api::Trading, 59), (true, 1, 121));
        assert_eq!(take("a", Api::Trading, 61), (true, 1, 123));
    }
}
