//! How far and how steadily a price moved.

use super::StochasticOutput;
use super::averages::Sma;
use super::window::{Highest, Lowest, Ring, number};
use crate::market::Bar;

/// Wilder's relative strength index: mean gain and loss of the first n changes, then smoothed by 1 / n.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rsi {
    period: f64,
    changes: f64,
    last: Option<f64>,
    gain: f64,
    loss: f64,
}

impl Rsi {
    pub(crate) fn new(period: usize) -> Self {
        Self { period: number(period), changes: 0.0, last: None, gain: 0.0, loss: 0.0 }
    }

    /// 0 to 100, and 50 where nothing moved; none before n changes were seen.
    pub(crate) fn next(&mut self, value: f64) -> Option<f64> {
        let change = value - self.last.replace(value)?;
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

/// The change since n values ago, in percent of what it was.
#[derive(Debug, Clone)]
pub(super) struct RateOfChange(Ring);

impl RateOfChange {
    pub(super) fn new(period: usize) -> Self {
        Self(Ring::new(period))
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let before = self.0.push(value)?;
        Some(if before == 0.0 { 0.0 } else { (value / before - 1.0) * 100.0 })
    }
}

/// Where the close stands between the lowest low and the highest high.
#[derive(Debug, Clone)]
pub(super) struct Stochastic {
    output: StochasticOutput,
    highest: Highest,
    lowest: Lowest,
    k: Sma,
    d: Sma,
}

impl Stochastic {
    pub(super) fn new(period: usize, smooth_k: usize, smooth_d: usize, output: StochasticOutput) -> Self {
        let (highest, lowest) = (Highest::new(period), Lowest::new(period));
        Self { output, highest, lowest, k: Sma::new(smooth_k), d: Sma::new(smooth_d) }
    }

    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let (highest, lowest) = (self.highest.next(bar.high), self.lowest.next(bar.low));
        let (lowest, range) = (lowest?, highest? - lowest?);
        let k = self.k.next(if range > 0.0 { (bar.close - lowest) / range * 100.0 } else { 0.0 })?;
        let d = self.d.next(k)?;
        Some(match self.output {
            StochasticOutput::K => k,
            StochasticOutput::D => d,
        })
    }
}

/// Lambert's commodity channel index.
#[derive(Debug, Clone)]
pub(super) struct Cci(Sma);

impl Cci {
    pub(super) fn new(period: usize) -> Self {
        Self(Sma::new(period))
    }

    pub(super) fn next(&mut self, typical: f64) -> Option<f64> {
        let mean = self.0.next(typical)?;
        let window = self.0.window();
        let deviation = window.iter().map(|value| (value - mean).abs()).sum::<f64>() / number(window.len());
        Some(if deviation > 0.0 { (typical - mean) / (0.015 * deviation) } else { 0.0 })
    }
}

/// Which part of the last n values is at most the latest.
#[derive(Debug, Clone)]
pub(super) struct PercentRank(Ring);

impl PercentRank {
    pub(super) fn new(period: usize) -> Self {
        Self(Ring::new(period))
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        self.0.push(value);
        let values = self.0.values();
        let at_most = values.iter().filter(|other| **other <= value).count();
        self.0.is_full().then(|| number(at_most) / number(values.len()))
    }
}
