//! How one series goes with another, or with time.

use super::RegressionOutput;
use super::window::{CoMoments, Line, Window, number};

/// Pearson's correlation of the last n pairs.
#[derive(Debug, Clone)]
pub(super) struct Correlation(Window<CoMoments>);

impl Correlation {
    pub(super) fn new(period: usize) -> Self {
        Self(Window::new(period))
    }

    pub(super) fn next(&mut self, value: f64, other: f64) -> Option<f64> {
        let pairs = self.0.next((other, value))?;
        let spread = pairs.x_squares.sqrt() * pairs.y_squares.sqrt();
        Some(if spread > 0.0 { (pairs.products / spread).clamp(-1.0, 1.0) } else { 0.0 })
    }
}

/// The slope of one series' returns on the other's.
#[derive(Debug, Clone)]
pub(super) struct Beta {
    last: Option<(f64, f64)>,
    returns: Window<CoMoments>,
}

impl Beta {
    pub(super) fn new(period: usize) -> Self {
        Self { last: None, returns: Window::new(period) }
    }

    pub(super) fn next(&mut self, value: f64, other: f64) -> Option<f64> {
        let (value_before, other_before) = self.last.replace((value, other))?;
        let of = |now: f64, before: f64| if before == 0.0 { 0.0 } else { (now - before) / before };
        let pairs = self.returns.next((of(other, other_before), of(value, value_before)))?;
        Some(pairs.slope().unwrap_or(0.0))
    }
}

/// The line through the last n values with the least squares.
#[derive(Debug, Clone)]
pub(super) struct Regression {
    output: RegressionOutput,
    line: Window<Line>,
    /// From the middle of the window to its ends, in bars.
    half: f64,
}

impl Regression {
    pub(super) fn new(period: usize, output: RegressionOutput) -> Self {
        Self { output, line: Window::new(period), half: (number(period) - 1.0) / 2.0 }
    }

    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let Line(line) = self.line.next(value)?;
        let slope = line.slope()?;
        Some(match self.output {
            RegressionOutput::Value => line.y_mean + slope * self.half,
            RegressionOutput::Slope => slope,
            RegressionOutput::Intercept => line.y_mean - slope * self.half,
        })
    }
}
