//! Prices weighed by volume, and volume by the way that the price went.

use super::window::Sum;
use crate::calendar::{date_of, midnight, midnight_after};
use crate::clock::Timestamp;
use crate::market::Bar;

/// The mean price of a New York day so far, weighed by volume.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionVwap {
    /// The day's first instant, and that of the next day.
    day: (Timestamp, Timestamp),
    paid: Sum,
    volume: Sum,
}

impl SessionVwap {
    pub(super) fn new() -> Self {
        let never = Timestamp::from_nanos(i64::MIN);
        Self { day: (never, never), paid: Sum::default(), volume: Sum::default() }
    }

    pub(super) fn next(&mut self, bar: &Bar, typical: f64) -> Option<f64> {
        if bar.at < self.day.0 || bar.at >= self.day.1 {
            let date = date_of(bar.at);
            *self = Self { day: (midnight(date), midnight_after(date)), ..Self::new() };
        }
        self.paid.add(typical * bar.volume);
        self.volume.add(bar.volume);
        let volume = self.volume.total();
        (volume > 0.0).then(|| self.paid.total() / volume)
    }
}

/// Granville's on-balance volume.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Obv {
    close: Option<f64>,
    volume: Sum,
}

impl Obv {
    pub(super) fn next(&mut self, bar: &Bar) -> f64 {
        let before = self.close.replace(bar.close);
        // The first bar's volume counts as one of a rise.
        let rise = before.map_or(1.0, |before| bar.close - before);
        if rise != 0.0 {
            self.volume.add(bar.volume.copysign(rise));
        }
        self.volume.total()
    }
}
