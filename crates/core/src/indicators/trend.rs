//! Which way a price goes, and where that ends.

use super::averages::Ema;
use super::volatility::{Atr, TrueRange};
use super::window::number;
use super::{AdxOutput, SuperTrendOutput};
use crate::market::Bar;

/// Wilder's directional movement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adx {
    output: AdxOutput,
    period: f64,
    /// High and low of the bar before.
    last: Option<(f64, f64)>,
    true_range: TrueRange,
    seen: f64,
    plus: f64,
    minus: f64,
    range: f64,
    average: Ema,
}

impl Adx {
    pub(super) fn new(period: usize, output: AdxOutput) -> Self {
        Self {
            output,
            period: number(period),
            last: None,
            true_range: TrueRange::default(),
            seen: 0.0,
            plus: 0.0,
            minus: 0.0,
            range: 0.0,
            average: Ema::wilder(period),
        }
    }

    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let range = self.true_range.next(bar);
        let (high, low) = self.last.replace((bar.high, bar.low))?;
        let (up, down) = (bar.high - high, low - bar.low);
        // The first n - 1 are added up; from then on an n-th of each sum goes before the next comes.
        self.seen = (self.seen + 1.0).min(self.period);
        let goes = if self.seen < self.period { 0.0 } else { 1.0 / self.period };
        let smooth = |sum: f64, value: f64| sum - sum * goes + value;
        self.plus = smooth(self.plus, if up > 0.0 && up > down { up } else { 0.0 });
        self.minus = smooth(self.minus, if down > 0.0 && down > up { down } else { 0.0 });
        self.range = smooth(self.range, range?);
        if self.seen < self.period {
            return None;
        }
        let of_range = |sum: f64| if self.range > 0.0 { 100.0 * sum / self.range } else { 0.0 };
        let (plus, minus) = (of_range(self.plus), of_range(self.minus));
        match self.output {
            AdxOutput::PlusDi => Some(plus),
            AdxOutput::MinusDi => Some(minus),
            AdxOutput::Adx => self.average(plus, minus),
        }
    }

    /// Where nothing moved the average stays what it is, and 0 counts while it fills.
    fn average(&mut self, plus: f64, minus: f64) -> Option<f64> {
        let both = plus + minus;
        let as_before = self.average.latest().unwrap_or(0.0);
        self.average.next(if both > 0.0 { 100.0 * (plus - minus).abs() / both } else { as_before })
    }
}

/// A band of true ranges that follows the price on one side until it closes beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct SuperTrend {
    output: SuperTrendOutput,
    multiplier: f64,
    atr: Atr,
    last: Option<Bands>,
}

#[derive(Debug, Clone, Copy)]
struct Bands {
    upper: f64,
    lower: f64,
    close: f64,
    is_up: bool,
}

impl SuperTrend {
    pub(super) fn new(period: usize, multiplier: f64, output: SuperTrendOutput) -> Self {
        Self { output, multiplier, atr: Atr::new(period), last: None }
    }

    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let width = self.multiplier * self.atr.next(bar)?;
        let (middle, close) = (f64::midpoint(bar.high, bar.low), bar.close);
        let mut now = Bands { upper: middle + width, lower: middle - width, close, is_up: false };
        if let Some(last) = self.last {
            if now.lower <= last.lower && last.close >= last.lower {
                now.lower = last.lower;
            }
            if now.upper >= last.upper && last.close <= last.upper {
                now.upper = last.upper;
            }
            now.is_up = if last.is_up { close >= now.lower } else { close > now.upper };
        }
        self.last = Some(now);
        Some(match self.output {
            SuperTrendOutput::Line if now.is_up => now.lower,
            SuperTrendOutput::Line => now.upper,
            SuperTrendOutput::Direction if now.is_up => 1.0,
            SuperTrendOutput::Direction => -1.0,
        })
    }
}

/// Wilder's parabolic stop and reverse.
#[derive(Debug, Clone, Copy)]
pub(super) struct ParabolicSar {
    step: f64,
    maximum: f64,
    /// High and low of the bar before.
    last: Option<(f64, f64)>,
    course: Option<Course>,
}

/// The way up; the way down is the same with all prices negated.
#[derive(Debug, Clone, Copy)]
struct Course {
    is_up: bool,
    stop: f64,
    /// The highest high so far.
    extreme: f64,
    acceleration: f64,
}

impl ParabolicSar {
    pub(super) fn new(step: f64, maximum: f64) -> Self {
        Self { step, maximum, last: None, course: None }
    }

    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let now = (bar.high, bar.low);
        let last = self.last.replace(now)?;
        let started = self.course.unwrap_or_else(|| self.begin(last, now));
        // TA-Lib takes the second bar for the one before it as well.
        let last = if self.course.is_some() { last } else { now };
        let (course, stop) = self.step(started, last, now);
        self.course = Some(course);
        Some(stop)
    }

    fn begin(&self, last: (f64, f64), now: (f64, f64)) -> Course {
        let (up, down) = (now.0 - last.0, last.1 - now.1);
        let is_up = !(down > 0.0 && down > up);
        let ((high, _), (_, stop)) = (mirrored(now, is_up), mirrored(last, is_up));
        Course { is_up, stop, extreme: high, acceleration: self.step }
    }

    /// The course after a bar, and the stop on that bar.
    fn step(&self, course: Course, last: (f64, f64), now: (f64, f64)) -> (Course, f64) {
        let Course { is_up, stop, extreme, acceleration } = course;
        let ((last_high, last_low), (high, low)) = (mirrored(last, is_up), mirrored(now, is_up));
        if low <= stop {
            // The price fell through the stop: it turns, and the stop is the extreme, not within the two bars.
            let turned = extreme.max(last_high).max(high);
            let next = (turned + self.step * (low - turned)).max(last_high).max(high);
            let course = Course { is_up: !is_up, stop: -next, extreme: -low, acceleration: self.step };
            return (course, signed(turned, is_up));
        }
        let acceleration =
            if high > extreme { (acceleration + self.step).min(self.maximum) } else { acceleration };
        let extreme = extreme.max(high);
        let next = (stop + acceleration * (extreme - stop)).min(last_low).min(low);
        (Course { is_up, stop: next, extreme, acceleration }, signed(stop, is_up))
    }
}

fn signed(price: f64, is_up: bool) -> f64 {
    if is_up { price } else { -price }
}

/// High and low as they are, or of the negated prices.
fn mirrored((high, low): (f64, f64), is_up: bool) -> (f64, f64) {
    if is_up { (high, low) } else { (-low, -high) }
}
