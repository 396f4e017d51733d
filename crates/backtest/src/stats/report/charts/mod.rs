//! The charts of a run, each with a sentence that says what is seen.

mod books;
mod curves;
mod fills;
mod months;
mod plots;
mod returns;

use super::axis::{ChartAxis, TimeScale};
use super::canvas::{DrawError, Ink, Plot, SCALE, Size};
use super::thin::thin;
use crate::record::Record;
use crate::stats::Statistics;

use plotters::prelude::LineSeries;

/// One chart on the page.
#[derive(Debug, Clone, Default)]
pub(super) struct Figure {
    /// What it is.
    pub(super) title: String,
    /// What is seen, in a sentence or two.
    pub(super) says: String,
    /// The vertical axis in words, with its unit.
    pub(super) measure: &'static str,
    /// Which colour is what; nothing for a single line.
    pub(super) keys: Vec<(Ink, String)>,
    /// Whether it stands beside another one.
    pub(super) is_half: bool,
    /// The drawings, one for each kind of screen.
    pub(super) drawings: String,
}

/// What all charts of a run share.
struct Scene<'a> {
    record: &'a Record,
    statistics: &'a Statistics,
    times: TimeScale,
}

/// All charts that the run has something to show for.
pub(super) fn figures(record: &Record, statistics: &Statistics) -> Vec<Figure> {
    if record.marks.len() < 2 {
        return Vec::new();
    }
    let scene = Scene {
        record,
        statistics,
        times: TimeScale::new(record.marks.iter().map(|mark| mark.at).collect()),
    };
    let mut figures = vec![curves::equity(&scene), curves::underwater(&scene)];
    figures.extend(plots::figures(&scene));
    figures.extend(months::heat_map(&scene));
    figures.extend(returns::figures(&scene));
    figures.extend(fills::figures(&scene));
    figures.push(curves::exposure(&scene));
    figures.extend(books::figure(&scene));
    figures
}

/// The line of `values` at the marks, as thin as the screen is wide.
fn line(times: &TimeScale, values: impl IntoIterator<Item = f64>, size: Size) -> Vec<(f64, f64)> {
    thin(values.into_iter().enumerate().map(|(place, value)| (times.x(place), value)), columns(size))
}

/// So many columns of a drawing have points of their own.
fn columns(size: Size) -> usize {
    match size {
        Size::Wide => 500,
        Size::Half => 300,
        Size::Phone => 200,
    }
}

/// Draws points as a line.
fn draw_line(
    plot: &mut Plot<'_, '_>,
    points: Vec<(f64, f64)>,
    ink: Ink,
    width: u32,
) -> Result<(), DrawError> {
    plot.draw_series(LineSeries::new(points, ink.line(width))).map(|_| ())
}

/// A line across the chart.
fn draw_level(plot: &mut Plot<'_, '_>, x: &ChartAxis, level: f64, ink: Ink) -> Result<(), DrawError> {
    draw_line(plot, vec![(x.low, level), (x.high, level)], ink, SCALE)
}

/// Both drawings of a chart: the page's and the phone's.
fn both(size: Size, draw: impl Fn(Size) -> String) -> String {
    [draw(size), draw(Size::Phone)].concat()
}

/// The lowest and the highest of what is a number.
fn ends(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// How many numbers fit beside a chart.
fn steps(size: Size) -> usize {
    if size == Size::Phone { 4 } else { 5 }
}

/// The period between two marks in one word.
fn period(record: &Record) -> &'static str {
    let mut steps: Vec<u64> =
        record.marks.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    let middle = steps.len() / 2;
    match if steps.is_empty() { 0 } else { *steps.select_nth_unstable(middle).1 } {
        60 => "minute",
        3_600 => "hour",
        72_000..=100_000 => "day",
        500_000..=700_000 => "week",
        2_300_000..=2_800_000 => "month",
        _ => "period",
    }
}
