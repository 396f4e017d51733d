//! Indicators: one number in, one number out, O(1) per event, nothing allocated after they are made.
//!
//! Own code, because no kept library fits: `yata` takes periods up to 254 only, calls a software fused
//! multiply-add where the processor's is not compiled in, and looks its whole window through for a new extreme;
//! `ta` has a relative strength index that is not Wilder's, and was last released in 2021.

use std::collections::VecDeque;

/// An exponential moving average: alpha 2 / (n + 1), started at the first value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ema {
    alpha: f64,
    value: f64,
}

impl Ema {
    #[allow(clippy::cast_precision_loss, reason = "periods are far below 2^53")]
    pub(super) fn new(period: usize, first: f64) -> Self {
        Self { alpha: 2.0 / (period as f64 + 1.0), value: first }
    }

    /// In this form a constant price keeps the average exactly at it, so that two of them stay equal.
    #[inline]
    pub(super) fn next(&mut self, value: f64) -> f64 {
        self.value += self.alpha * (value - self.value);
        self.value
    }
}

/// A simple moving average: the mean of the last n values.
#[derive(Debug, Clone)]
pub(super) struct Sma {
    period: usize,
    values: VecDeque<f64>,
    sum: f64,
    /// What rounding took from the sum (Neumaier 1974), so that it stays that of the window.
    lost: f64,
    last: f64,
    /// How many values in a row were the last one: the mean of one price is that price, to the bit.
    same: usize,
}

impl Sma {
    pub(super) fn new(period: usize) -> Self {
        let values = VecDeque::with_capacity(period);
        Self { period, values, sum: 0.0, lost: 0.0, last: f64::NAN, same: 0 }
    }

    /// None before n values were seen.
    #[allow(clippy::cast_precision_loss, reason = "periods are far below 2^53")]
    #[allow(clippy::float_cmp, reason = "it is the same price or another one")]
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        if self.values.len() == self.period {
            let oldest = self.values.pop_front().unwrap_or(0.0);
            self.add(-oldest);
        }
        self.values.push_back(value);
        self.add(value);
        self.same = if value == self.last { self.same + 1 } else { 1 };
        self.last = value;
        let mean = if self.same >= self.period { value } else { (self.sum + self.lost) / self.period as f64 };
        (self.values.len() == self.period).then_some(mean)
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let (large, small) =
            if self.sum.abs() >= value.abs() { (self.sum, value) } else { (value, self.sum) };
        self.lost += (large - sum) + small;
        self.sum = sum;
    }
}

/// Wilder's relative strength index: mean gain and loss of the first n changes, then smoothed by 1 / n.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rsi {
    period: f64,
    changes: f64,
    last: f64,
    gain: f64,
    loss: f64,
}

impl Rsi {
    #[allow(clippy::cast_precision_loss, reason = "periods are far below 2^53")]
    pub(super) fn new(period: usize, first: f64) -> Self {
        Self { period: period as f64, changes: 0.0, last: first, gain: 0.0, loss: 0.0 }
    }

    /// 0 to 100, and 50 where nothing moved; none before n changes were seen.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let change = value - self.last;
        self.last = value;
        // While it fills, the weight of a change is 1 / seen: the plain mean.
        self.changes = (self.changes + 1.0).min(self.period + 1.0);
        let weight = 1.0 / self.changes.min(self.period);
        self.gain += weight * (change.max(0.0) - self.gain);
        self.loss += weight * ((-change).max(0.0) - self.loss);
        let moved = self.gain + self.loss;
        let is_full = self.changes >= self.period;
        is_full.then(|| if moved > 0.0 { 100.0 * self.gain / moved } else { 50.0 })
    }
}

/// The highest and the lowest of the last n values; amortised O(1), however the values fall.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    period: u64,
    seen: u64,
    // Values that can still become the extreme, each with its number; the extreme is in front.
    highest: VecDeque<(u64, f64)>,
    lowest: VecDeque<(u64, f64)>,
}

impl Channel {
    pub(super) fn new(period: usize) -> Self {
        let empty = || VecDeque::with_capacity(period + 1);
        Self { period: period as u64, seen: 0, highest: empty(), lowest: empty() }
    }

    /// Lowest and highest of the last n values; none before there are n.
    pub(super) fn extremes(&self) -> Option<(f64, f64)> {
        let (_, low) = self.lowest.front()?;
        let (_, high) = self.highest.front()?;
        (self.seen >= self.period).then_some((*low, *high))
    }

    pub(super) fn push(&mut self, value: f64) {
        self.seen += 1;
        let oldest_kept = (self.seen + 1).saturating_sub(self.period);
        keep(&mut self.highest, oldest_kept, |kept| kept > value);
        keep(&mut self.lowest, oldest_kept, |kept| kept < value);
        self.highest.push_back((self.seen, value));
        self.lowest.push_back((self.seen, value));
    }
}

fn keep(queue: &mut VecDeque<(u64, f64)>, oldest_kept: u64, beats: impl Fn(f64) -> bool) {
    while queue.back().is_some_and(|(_, kept)| !beats(*kept)) {
        queue.pop_back();
    }
    while queue.front().is_some_and(|(number, _)| *number < oldest_kept) {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_average_follows_its_formula() {
        let mut ema = Ema::new(3, 10.0);
        let found: Vec<f64> = [10.0, 12.0, 8.0].map(|value| ema.next(value)).to_vec();
        assert_eq!(found, [10.0, 11.0, 9.5]);
    }

    #[test]
    fn the_mean_of_a_price_that_stands_still_is_that_price_whatever_it_did_before() {
        for period in [1, 3, 7] {
            let mut sma = Sma::new(period);
            for price in
                [10.1, 0.3, 7.7, 1e6, 0.1, 3.3].into_iter().flat_map(|price| vec![price; 20]).enumerate()
            {
                let (index, price) = price;
                let mean = sma.next(price);
                let is_still = index % 20 + 1 >= period;
                assert!(!is_still || mean == Some(price), "{period}: {mean:?} of {price}");
            }
        }
    }

    #[test]
    fn the_index_is_wilders() {
        // His own example's first values: period 14, 70.46 at the 15th close (StockCharts' worked table, 2 decimals).
        let closes = [
            44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826,
            45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328,
        ];
        let mut rsi = Rsi::new(14, closes[0]);
        let found: Vec<String> = closes[1..]
            .iter()
            .filter_map(|close| rsi.next(*close))
            .map(|index| format!("{index:.2}"))
            .collect();
        assert_eq!(found, ["70.53", "66.32", "66.55"]);
        let mut flat = Rsi::new(2, 5.0);
        assert_eq!([5.0, 5.0].map(|value| flat.next(value)), [None, Some(50.0)]);
    }

    proptest! {
        #[test]
        fn the_mean_equals_that_of_the_window(
            values in prop::collection::vec(prop_oneof![0.0001..0.01, 1.0..1_000.0, 1e6..1e9], 1..300), period in 1_usize..9
        ) {
            let mut sma = Sma::new(period);
            for (index, value) in values.iter().enumerate() {
                let found = sma.next(*value);
                let window = (index + 1).checked_sub(period).map(|from| &values[from..=index]);
                prop_assert_eq!(found.is_some(), window.is_some());
                if let (Some(found), Some(window)) = (found, window) {
                    let largest = values[..=index].iter().copied().fold(0.0, f64::max);
                    let mean = window.iter().sum::<f64>() / f64::from(u32::try_from(period).unwrap());
                    prop_assert!((found - mean).abs() <= 1e-12 * largest, "{found} {mean}");
                }
            }
        }

        #[test]
        fn the_channel_equals_a_look_through_the_window(
            values in prop::collection::vec(1_u8..20, 0..60), period in 1_usize..8
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut channel = Channel::new(period);
            for (index, value) in values.iter().enumerate() {
                channel.push(*value);
                let expected = (index + 1 >= period).then(|| {
                    let window = &values[index + 1 - period..=index];
                    let low = window.iter().copied().fold(f64::INFINITY, f64::min);
                    (low, window.iter().copied().fold(0.0, f64::max))
                });
                prop_assert_eq!(channel.extremes(), expected);
            }
        }
    }
}
