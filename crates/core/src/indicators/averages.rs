//! Moving averages, and the distance of two of them.

use super::MacdOutput;
use super::window::{Line, Ring, Sum, Window, number};

/// A simple moving average: the mean of the last n values.
#[derive(Debug, Clone)]
pub(crate) struct Sma {
    period: f64,
    values: Ring,
    sum: Sum,
    last: f64,
    /// How many values in a row were the last one: the mean of one price is that price, to the bit.
    same: f64,
}

impl Sma {
    pub(crate) fn new(period: usize) -> Self {
        let values = Ring::new(period);
        Self { period: number(period), values, sum: Sum::default(), last: f64::NAN, same: 0.0 }
    }

    /// None before n values were seen.
    #[allow(clippy::float_cmp, reason = "it is the same price or another one")]
    #[inline]
    pub(crate) fn next(&mut self, value: f64) -> Option<f64> {
        if let Some(oldest) = self.values.push(value) {
            self.sum.add(-oldest);
        }
        self.sum.add(value);
        self.same = if value == self.last { self.same + 1.0 } else { 1.0 };
        self.last = value;
        let mean = if self.same >= self.period { value } else { self.sum.total() / self.period };
        self.values.is_full().then_some(mean)
    }

    /// The values that the mean is of.
    pub(super) fn window(&self) -> &[f64] {
        self.values.values()
    }
}

/// An exponential moving average.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ema {
    alpha: f64,
    value: f64,
    period: f64,
    seen: f64,
}

impl Ema {
    /// Alpha 2 / (n + 1), started at the mean of the first n values.
    pub(crate) fn new(period: usize) -> Self {
        let period = number(period);
        Self { alpha: 2.0 / (period + 1.0), value: 0.0, period, seen: 0.0 }
    }

    /// Started at one value: it has a value from the first one on.
    pub(crate) fn started_at(period: usize, first: f64) -> Self {
        Self { value: first, seen: number(period), ..Self::new(period) }
    }

    /// Wilder's: alpha 1 / n, started at the mean of the first n values.
    pub(super) fn wilder(period: usize) -> Self {
        Self { alpha: 1.0 / number(period), ..Self::new(period) }
    }

    /// In this form a constant price keeps the average exactly at it, so that two of them stay equal.
    #[inline]
    pub(crate) fn next(&mut self, value: f64) -> Option<f64> {
        if self.seen < self.period {
            self.seen += 1.0;
            self.value += (value - self.value) / self.seen;
        } else {
            self.value += self.alpha * (value - self.value);
        }
        self.latest()
    }

    /// The average as it is.
    #[inline]
    pub(super) fn latest(&self) -> Option<f64> {
        (self.seen >= self.period).then_some(self.value)
    }
}

/// A moving average with the weights 1 to n, the latest value the heaviest.
#[derive(Debug, Clone)]
pub(super) struct Wma {
    line: Window<Line>,
    weights: f64,
}

impl Wma {
    pub(super) fn new(period: usize) -> Self {
        let n = number(period);
        Self { line: Window::new(period), weights: n * (n + 1.0) / 2.0 }
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        // A sum of weight * value is that of the means, and what both vary together.
        self.line.next(value).map(|Line(line)| line.y_mean + line.products / self.weights)
    }
}

/// The distance of a fast exponential average from a slow one, and the average of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Macd {
    output: MacdOutput,
    fast: Ema,
    slow: Ema,
    signal: Ema,
    /// Values before the fast average starts, so that both have their first value on the same bar.
    until_fast: usize,
}

impl Macd {
    pub(super) fn new(fast: usize, slow: usize, signal: usize, output: MacdOutput) -> Self {
        let until_fast = slow.saturating_sub(fast);
        Self { output, fast: Ema::new(fast), slow: Ema::new(slow), signal: Ema::new(signal), until_fast }
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let slow = self.slow.next(value);
        if self.until_fast > 0 {
            self.until_fast -= 1;
            return None;
        }
        let line = self.fast.next(value)? - slow?;
        let signal = self.signal.next(line)?;
        Some(match self.output {
            MacdOutput::Line => line,
            MacdOutput::Signal => signal,
            MacdOutput::Histogram => line - signal,
        })
    }
}
