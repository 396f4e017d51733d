//! A run of ticks inside a window and what can be asked of it.
//!
//! Costs: first, last, open, close, length are constant; high, low, mean, vwap and volume are logarithmic in the length
//! (they scan at most two blocks and join ready totals between them); bars cost that per bar. Sums are never carried
//! along and corrected, so they do not drift.

use std::time::Duration;

use super::block::{BLOCK, Total};
use super::window::Window;
use crate::clock::Timestamp;
use crate::market::{Bar, Trade};

/// Some of the ticks of a window, one after another.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    window: &'a Window,
    from: usize,
    to: usize,
}

impl<'a> Span<'a> {
    pub(super) fn new(window: &'a Window, from: usize, to: usize) -> Self {
        Self { window, from, to }
    }

    /// How many ticks.
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Those at `from` and later.
    #[must_use]
    pub fn since(&self, from: Timestamp) -> Self {
        Self { from: self.position(from.nanos()), ..*self }
    }

    /// Those from `from` (included) to `to` (excluded).
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Self {
        let end = self.position(to.nanos());
        Self { from: self.position(from.nanos()).min(end), to: end, ..*self }
    }

    /// The newest `count`, or all when there are fewer.
    #[must_use]
    pub fn newest(&self, count: usize) -> Self {
        Self { from: self.from.max(self.to.saturating_sub(count)), ..*self }
    }

    /// The ticks, oldest first; their size is 0 in a window without sizes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Trade> + ExactSizeIterator + use<'a> {
        let window = self.window;
        (self.from..self.to).map(|index| window.get(index))
    }

    /// The oldest tick.
    pub fn first(&self) -> Option<Trade> {
        (!self.is_empty()).then(|| self.window.get(self.from))
    }

    /// The newest tick.
    pub fn last(&self) -> Option<Trade> {
        (!self.is_empty()).then(|| self.window.get(self.to - 1))
    }

    /// The first price.
    pub fn open(&self) -> Option<f64> {
        self.first().map(|tick| tick.price)
    }

    /// The highest price.
    pub fn high(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.total().high)
    }

    /// The lowest price.
    pub fn low(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.total().low)
    }

    /// The last price.
    pub fn close(&self) -> Option<f64> {
        self.last().map(|tick| tick.price)
    }

    /// The mean price, each tick counting once.
    #[allow(clippy::cast_precision_loss, reason = "no window holds 2^52 ticks")]
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.total().sum / self.len() as f64)
    }

    /// The mean price, each share counting once; none without sizes or when nothing was traded.
    pub fn vwap(&self) -> Option<f64> {
        let Total { notional, volume, .. } = self.total();
        (volume > 0.0).then(|| notional / volume)
    }

    /// The sum of the sizes; none without sizes.
    pub fn volume(&self) -> Option<f64> {
        self.window.with_sizes().then(|| self.total().volume)
    }

    /// One bar over the whole span, dated `at`; its volume is 0 in a window without sizes.
    pub fn bar(&self, at: Timestamp) -> Option<Bar> {
        let (open, close) = (self.open()?, self.close()?);
        let Total { high, low, volume, .. } = self.total();
        Some(Bar { at, open, high, low, close, volume })
    }

    /// Bars of `width`, aligned to multiples of it since 1970; spans without ticks have none. A width of 0 counts as
    /// one nanosecond.
    pub fn bars(&self, width: Duration) -> Bars<'a> {
        let width_ns = i64::try_from(width.as_nanos()).unwrap_or(i64::MAX).max(1);
        Bars { rest: *self, width_ns }
    }

    fn total(&self) -> Total {
        if self.is_empty() {
            return Total::NONE;
        }
        let window = self.window;
        let (start, end) = (window.gone + self.from, window.gone + self.to);
        let (first, last) = (start / BLOCK, end / BLOCK);
        if first == last {
            return window.block(first).total(start % BLOCK, end % BLOCK);
        }
        let whole_from = start.div_ceil(BLOCK);
        let mut total = window.sealed.total(whole_from, last);
        if whole_from > first {
            total = window.block(first).total(start % BLOCK, BLOCK).join(total);
        }
        if !end.is_multiple_of(BLOCK) {
            total = total.join(window.block(last).total(0, end % BLOCK));
        }
        total
    }

    /// The position in the window of the first tick at `end` or later.
    pub(super) fn position(&self, end: i64) -> usize {
        let (mut from, mut to) = (self.from, self.to);
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.window.time(middle).nanos() < end {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }
}

/// The bars of a [`Span`], oldest first.
#[derive(Debug, Clone)]
pub struct Bars<'a> {
    rest: Span<'a>,
    width_ns: i64,
}

impl Iterator for Bars<'_> {
    type Item = Bar;

    fn next(&mut self) -> Option<Bar> {
        let time = self.rest.first()?.at.nanos();
        let start = time.saturating_sub(time.rem_euclid(self.width_ns));
        // The last representable instant belongs to the bar that would end after it.
        let to = start.checked_add(self.width_ns).map_or(self.rest.to, |end| self.rest.position(end));
        let bar = Span { to, ..self.rest }.bar(Timestamp::from_nanos(start));
        self.rest.from = to;
        bar
    }
}
