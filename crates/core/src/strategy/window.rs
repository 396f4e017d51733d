//! Prices so far back: of bars by their highs and lows, of ticks by their prices.

use std::collections::vec_deque;

use crate::market::Bar;
use crate::ticks::Span;

/// Some of the last prices of one series; never empty.
#[derive(Debug, Clone)]
pub enum PriceWindow<'a> {
    /// Trades, or mids of quotes.
    Ticks(Span<'a>),
    /// Bars, the newest first.
    Bars(vec_deque::Iter<'a, Bar>),
}

impl PriceWindow<'_> {
    /// How many ticks or bars there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Ticks(ticks) => ticks.len(),
            Self::Bars(bars) => bars.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first price.
    pub fn open(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.open(),
            Self::Bars(bars) => bars.clone().next_back().map(|bar| bar.open),
        }
    }

    /// The highest price.
    pub fn high(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.high(),
            Self::Bars(bars) => bars.clone().map(|bar| bar.high).reduce(f64::max),
        }
    }

    /// The lowest price.
    pub fn low(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.low(),
            Self::Bars(bars) => bars.clone().map(|bar| bar.low).reduce(f64::min),
        }
    }

    /// The last price.
    pub fn close(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.close(),
            Self::Bars(bars) => bars.clone().next().map(|bar| bar.close),
        }
    }

    /// The mean of the ticks' prices, or of the bars' closes.
    #[allow(clippy::cast_precision_loss, reason = "nobody keeps 2^53 bars")]
    pub fn mean(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.mean(),
            Self::Bars(bars) => {
                let sum: f64 = bars.clone().map(|bar| bar.close).sum();
                (bars.len() > 0).then(|| sum / bars.len() as f64)
            }
        }
    }

    /// The mean of the prices (of bars: of their closes) weighted by volume; none where no volume is known.
    pub fn vwap(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.vwap(),
            Self::Bars(bars) => {
                let known = bars.clone().filter(|bar| bar.volume > 0.0);
                let (value, volume) = known.fold((0.0, 0.0), |(value, volume), bar| {
                    (value + bar.close * bar.volume, volume + bar.volume)
                });
                (volume > 0.0).then(|| value / volume)
            }
        }
    }

    /// The sum of the volumes that are known.
    pub fn volume(&self) -> Option<f64> {
        match self {
            Self::Ticks(ticks) => ticks.volume(),
            Self::Bars(bars) => Some(bars.clone().map(|bar| bar.volume.max(0.0)).sum()),
        }
    }
}
