//! What indicators keep of the last n values: the values, their sum, and what can be put together of two parts of them.

use super::PERIOD_MAX;

/// A period as a number to compute with.
#[allow(clippy::cast_precision_loss, reason = "periods and counts of bars are far below 2^53")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// The last n values, in no order.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    period: usize,
    values: Vec<f64>,
    oldest: usize,
}

impl Ring {
    pub(super) fn new(period: usize) -> Self {
        let period = period.clamp(1, PERIOD_MAX);
        Self { period, values: Vec::with_capacity(period), oldest: 0 }
    }

    /// Takes a value in and, where there are n already, the oldest out.
    #[inline]
    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        if self.values.len() < self.period {
            self.values.push(value);
            return None;
        }
        let oldest = std::mem::replace(&mut self.values[self.oldest], value);
        self.oldest = if self.oldest + 1 == self.period { 0 } else { self.oldest + 1 };
        Some(oldest)
    }

    pub(super) fn is_full(&self) -> bool {
        self.values.len() == self.period
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// A sum that keeps what rounding takes from it (Neumaier 1974).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let (large, small) =
            if self.sum.abs() >= value.abs() { (self.sum, value) } else { (value, self.sum) };
        self.lost += (large - sum) + small;
        self.sum = sum;
    }

    #[inline]
    pub(super) fn total(&self) -> f64 {
        self.sum + self.lost
    }
}

/// What is known of values that lie side by side, and can be put together of what is known of their parts.
pub(super) trait Aggregate: Copy {
    type Value: Copy;
    /// Of one value; `place` grows by 1 from each value to the next.
    fn one(value: Self::Value, place: f64) -> Self;
    /// Of these values and of those that follow them.
    fn with(self, later: Self) -> Self;
}

/// An aggregate of the last n values, put together of the end of a block of n and of the begin of the next: nothing is
/// ever taken out of it, so that a large value leaves no rounding behind. O(1) amortised.
#[derive(Debug, Clone)]
pub(super) struct Window<A: Aggregate> {
    period: usize,
    /// Of the block that fills.
    values: Vec<A::Value>,
    block: Option<A>,
    /// Of the block before it: its last value, its last two, and so on.
    ends: Vec<A>,
}

impl<A: Aggregate> Window<A> {
    pub(super) fn new(period: usize) -> Self {
        let period = period.clamp(1, PERIOD_MAX);
        Self { period, values: Vec::with_capacity(period), block: None, ends: Vec::with_capacity(period) }
    }

    /// None before there are n values.
    #[inline]
    pub(super) fn next(&mut self, value: A::Value) -> Option<A> {
        if self.values.len() == self.period {
            self.turn();
        }
        let one = A::one(value, number(self.period + self.values.len()));
        self.values.push(value);
        let block = self.block.map_or(one, |block| block.with(one));
        self.block = Some(block);
        match self.period - self.values.len() {
            0 => Some(block),
            missing => self.ends.get(missing - 1).map(|end| end.with(block)),
        }
    }

    fn turn(&mut self) {
        self.ends.clear();
        self.block = None;
        for (place, value) in self.values.drain(..).enumerate().rev() {
            let one = A::one(value, number(place));
            let end = self.ends.last().map_or(one, |end| one.with(*end));
            self.ends.push(end);
        }
    }
}

/// The largest of the last n values.
#[derive(Debug, Clone)]
pub(crate) struct Highest(Window<Maximum>);

impl Highest {
    pub(crate) fn new(period: usize) -> Self {
        Self(Window::new(period))
    }

    /// None before there are n values.
    #[inline]
    pub(crate) fn next(&mut self, value: f64) -> Option<f64> {
        self.0.next(value).map(|highest| highest.0)
    }
}

/// The smallest of the last n values.
#[derive(Debug, Clone)]
pub(crate) struct Lowest(Highest);

impl Lowest {
    pub(crate) fn new(period: usize) -> Self {
        Self(Highest::new(period))
    }

    /// None before there are n values.
    #[inline]
    pub(crate) fn next(&mut self, value: f64) -> Option<f64> {
        self.0.next(-value).map(|highest| -highest)
    }
}

#[derive(Debug, Clone, Copy)]
struct Maximum(f64);

impl Aggregate for Maximum {
    type Value = f64;

    fn one(value: f64, _: f64) -> Self {
        Self(value)
    }

    #[inline]
    fn with(self, later: Self) -> Self {
        Self(self.0.max(later.0))
    }
}

/// Mean and sum of squared distances from it (Welford 1962; put together by Chan et al. 1979).
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    count: f64,
    pub(super) mean: f64,
    squares: f64,
}

impl Moments {
    /// The standard deviation; `ddof` is taken from the number of values: 0 of a population, 1 of a sample.
    pub(super) fn deviation(&self, ddof: f64) -> f64 {
        (self.squares / (self.count - ddof)).sqrt()
    }
}

impl Aggregate for Moments {
    type Value = f64;

    fn one(value: f64, _: f64) -> Self {
        Self { count: 1.0, mean: value, squares: 0.0 }
    }

    #[inline]
    fn with(self, later: Self) -> Self {
        let count = self.count + later.count;
        let share = later.count / count;
        let apart = later.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * share,
            squares: self.squares + later.squares + apart * apart * self.count * share,
        }
    }
}

/// Means, and sums of squared distances and of products of distances from them, of pairs of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct CoMoments {
    count: f64,
    x_mean: f64,
    pub(super) y_mean: f64,
    pub(super) x_squares: f64,
    pub(super) y_squares: f64,
    pub(super) products: f64,
}

impl CoMoments {
    /// Of the line through the pairs with the least squares; none where x does not vary.
    pub(super) fn slope(&self) -> Option<f64> {
        (self.x_squares > 0.0).then(|| self.products / self.x_squares)
    }
}

impl Aggregate for CoMoments {
    type Value = (f64, f64);

    fn one((x, y): (f64, f64), _: f64) -> Self {
        Self { count: 1.0, x_mean: x, y_mean: y, x_squares: 0.0, y_squares: 0.0, products: 0.0 }
    }

    #[inline]
    fn with(self, later: Self) -> Self {
        let count = self.count + later.count;
        let share = later.count / count;
        let (x, y) = (later.x_mean - self.x_mean, later.y_mean - self.y_mean);
        let weight = self.count * share;
        Self {
            count,
            x_mean: self.x_mean + x * share,
            y_mean: self.y_mean + y * share,
            x_squares: self.x_squares + later.x_squares + x * x * weight,
            y_squares: self.y_squares + later.y_squares + y * y * weight,
            products: self.products + later.products + x * y * weight,
        }
    }
}

/// Values (y) against their places (x).
#[derive(Debug, Clone, Copy)]
pub(super) struct Line(pub(super) CoMoments);

impl Aggregate for Line {
    type Value = f64;

    fn one(value: f64, place: f64) -> Self {
        Self(CoMoments::one((place, value), place))
    }

    #[inline]
    fn with(self, later: Self) -> Self {
        Self(self.0.with(later.0))
    }
}
