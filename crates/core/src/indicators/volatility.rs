//! How widely a price varies, and bands as wide as that.

use super::BandOutput;
use super::averages::Ema;
use super::window::{Moments, Window};
use crate::market::Bar;

/// The range of a bar and of the step to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TrueRange {
    close: Option<f64>,
}

impl TrueRange {
    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let before = self.close.replace(bar.close)?;
        Some((bar.high - bar.low).max((bar.high - before).abs()).max((bar.low - before).abs()))
    }
}

/// Wilder's average of the true range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Atr {
    range: TrueRange,
    average: Ema,
}

impl Atr {
    pub(super) fn new(period: usize) -> Self {
        Self { range: TrueRange::default(), average: Ema::wilder(period) }
    }

    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        self.average.next(self.range.next(bar)?)
    }
}

impl BandOutput {
    fn of(self, middle: f64, width: f64) -> f64 {
        match self {
            Self::Upper => middle + width,
            Self::Middle => middle,
            Self::Lower => middle - width,
        }
    }
}

/// What is made of the mean and the standard deviation of the last n values.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    window: Window<Moments>,
    measure: SpreadMeasure,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum SpreadMeasure {
    Deviation,
    ZScore,
    Band { deviations: f64, output: BandOutput },
}

impl Spread {
    pub(super) fn new(period: usize, measure: SpreadMeasure) -> Self {
        Self { window: Window::new(period), measure }
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let moments = self.window.next(value)?;
        let deviation = moments.deviation(0.0);
        match self.measure {
            SpreadMeasure::Deviation => Some(deviation),
            SpreadMeasure::ZScore => (deviation > 0.0).then(|| (value - moments.mean) / deviation),
            SpreadMeasure::Band { deviations, output } => {
                Some(output.of(moments.mean, deviations * deviation))
            }
        }
    }
}

/// The standard deviation of log returns, of a year.
#[derive(Debug, Clone)]
pub(super) struct RealizedVolatility {
    last: Option<f64>,
    returns: Window<Moments>,
    periods_per_year: f64,
}

impl RealizedVolatility {
    pub(super) fn new(period: usize, periods_per_year: f64) -> Self {
        Self { last: None, returns: Window::new(period), periods_per_year }
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        if value <= 0.0 {
            return None;
        }
        let before = self.last.replace(value)?;
        let moments = self.returns.next((value / before).ln())?;
        Some(moments.deviation(1.0) * self.periods_per_year.sqrt())
    }
}

/// A band of true ranges about an exponential average of the close.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keltner {
    middle: Ema,
    atr: Atr,
    multiplier: f64,
    output: BandOutput,
}

impl Keltner {
    pub(super) fn new(period: usize, atr_period: usize, multiplier: f64, output: BandOutput) -> Self {
        Self { middle: Ema::new(period), atr: Atr::new(atr_period), multiplier, output }
    }

    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let (middle, atr) = (self.middle.next(bar.close), self.atr.next(bar));
        Some(self.output.of(middle?, self.multiplier * atr?))
    }
}
