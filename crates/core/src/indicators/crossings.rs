//! Bars on which something happens, and how long that is ago.

/// 1 on the bar on which the first of two rose above the second, else 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Crossover {
    /// Whether the first stood above the second on the bar before.
    was_above: Option<bool>,
}

impl Crossover {
    pub(super) fn next(&mut self, first: f64, second: f64) -> Option<f64> {
        let is_above = first > second;
        let was_above = self.was_above.replace(is_above)?;
        Some(if is_above && !was_above { 1.0 } else { 0.0 })
    }
}

/// How many bars ago a value was last one other than 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BarsSince(Option<f64>);

impl BarsSince {
    pub(super) fn next(&mut self, value: Option<f64>) -> Option<f64> {
        let happened = value.is_some_and(|value| value != 0.0);
        self.0 = if happened { Some(0.0) } else { self.0.map(|bars| bars + 1.0) };
        self.0
    }
}
