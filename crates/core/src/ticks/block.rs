//! A fixed number of ticks in columns, and what a run of ticks adds up to.

use crate::clock::Timestamp;
use crate::market::Trade;

/// Ticks per block.
pub(super) const BLOCK: usize = 256;

/// Room for [`BLOCK`] ticks; who holds it knows which of them are real.
#[derive(Debug, Clone)]
pub(super) struct Block {
    // Boxed, so that a block changes hands without its ticks being copied.
    columns: Box<BlockColumns>,
    sizes: Option<Box<[f64; BLOCK]>>,
}

#[derive(Debug, Clone)]
struct BlockColumns {
    times: [i64; BLOCK],
    prices: [f64; BLOCK],
}

impl Block {
    pub(super) fn new(with_sizes: bool) -> Self {
        let columns = Box::new(BlockColumns { times: [0; BLOCK], prices: [0.0; BLOCK] });
        Self { columns, sizes: with_sizes.then(|| Box::new([0.0; BLOCK])) }
    }

    #[inline]
    pub(super) fn time(&self, at: usize) -> i64 {
        self.columns.times[at]
    }

    pub(super) fn get(&self, at: usize) -> Trade {
        let size = self.sizes.as_ref().map_or(0.0, |sizes| sizes[at]);
        Trade { at: Timestamp::from_nanos(self.columns.times[at]), price: self.columns.prices[at], size }
    }

    #[inline]
    pub(super) fn set(&mut self, at: usize, trade: Trade) {
        self.columns.times[at] = trade.at.nanos();
        self.columns.prices[at] = trade.price;
        if let Some(sizes) = &mut self.sizes {
            sizes[at] = trade.size;
        }
    }

    /// Puts `trade` at `from`, moves what stands in `from..to` one back, and gives what fell off the end.
    pub(super) fn shift_back(&mut self, from: usize, to: usize, trade: Trade) -> Trade {
        let last = self.get(to - 1);
        self.columns.times.copy_within(from..to - 1, from + 1);
        self.columns.prices.copy_within(from..to - 1, from + 1);
        if let Some(sizes) = &mut self.sizes {
            sizes.copy_within(from..to - 1, from + 1);
        }
        self.set(from, trade);
        last
    }

    /// Puts `trade` at `to`, moves what stands in `from + 1..=to` one forward, and gives what fell off the front.
    pub(super) fn shift_front(&mut self, from: usize, to: usize, trade: Trade) -> Trade {
        let first = self.get(from);
        self.columns.times.copy_within(from + 1..=to, from);
        self.columns.prices.copy_within(from + 1..=to, from);
        if let Some(sizes) = &mut self.sizes {
            sizes.copy_within(from + 1..=to, from);
        }
        self.set(to, trade);
        first
    }

    /// What the ticks `from..to` add up to.
    pub(super) fn total(&self, from: usize, to: usize) -> Total {
        let mut total = Total::of_prices(&self.columns.prices[from..to]);
        if let Some(sizes) = &self.sizes {
            for (price, size) in self.columns.prices[from..to].iter().zip(&sizes[from..to]) {
                total.notional += price * size;
                total.volume += size;
            }
        }
        total
    }
}

/// Sums and extremes of a run of ticks; runs can be joined in any order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Total {
    pub(super) sum: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) notional: f64,
    pub(super) volume: f64,
}

impl Total {
    pub(super) const NONE: Self =
        Self { sum: 0.0, high: f64::NEG_INFINITY, low: f64::INFINITY, notional: 0.0, volume: 0.0 };

    #[must_use]
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            high: self.high.max(other.high),
            low: self.low.min(other.low),
            notional: self.notional + other.notional,
            volume: self.volume + other.volume,
        }
    }

    /// Four lanes, so that the processor need not wait for one addition before the next.
    fn of_prices(prices: &[f64]) -> Self {
        const LANES: usize = 4;
        let mut sums = [0.0; LANES];
        let (mut highs, mut lows) = ([f64::NEG_INFINITY; LANES], [f64::INFINITY; LANES]);
        let rounds = prices.chunks_exact(LANES);
        let mut total = Self::NONE;
        for &price in rounds.remainder() {
            total.sum += price;
            total.high = total.high.max(price);
            total.low = total.low.min(price);
        }
        for round in rounds {
            for lane in 0..LANES {
                let price = round[lane];
                sums[lane] += price;
                highs[lane] = if price > highs[lane] { price } else { highs[lane] };
                lows[lane] = if price < lows[lane] { price } else { lows[lane] };
            }
        }
        for lane in 0..LANES {
            total.sum += sums[lane];
            total.high = total.high.max(highs[lane]);
            total.low = total.low.min(lows[lane]);
        }
        total
    }
}
