//! What strategies plot, a small chart for each strategy and name.

use super::{Figure, Scene, both, columns, draw_line, ends, steps};
use crate::record::PlotRecord;
use crate::stats::report::axis::{AxisUnit, ChartAxis, label};
use crate::stats::report::canvas::{Ink, Size, chart};
use crate::stats::report::html::plural;
use crate::stats::report::thin::thin;
use bot_core::clock::Timestamp;

use plotters::element::Circle;

/// So many charts have room on the page.
const PLOTS_MAX: usize = 24;

pub(super) fn figures(scene: &Scene<'_>) -> Vec<Figure> {
    let plots = &scene.record.plots;
    let mut figures: Vec<Figure> = plots.iter().take(PLOTS_MAX).map(|plot| figure(scene, plot)).collect();
    let left_out = plots.len().saturating_sub(PLOTS_MAX);
    if let Some(last) = figures.last_mut() {
        if left_out > 0 {
            last.says += " The other plots had no room here and are in plots.csv.";
        }
        if scene.record.plots_left_out > 0 {
            let points = plural(scene.record.plots_left_out, "later point");
            last.says += format!(" Of all plots, {points} had no room in the run.").as_str();
        }
    }
    figures
}

fn figure(scene: &Scene<'_>, plot: &PlotRecord) -> Figure {
    let strategies = &scene.record.strategies;
    let strategy = strategies.get(usize::from(plot.strategy)).map_or("", |strategy| &strategy.name);
    let (low, high) = ends(plot.points.iter().map(|(_, value)| *value));
    let drawings = both(Size::Half, |size| {
        let x = scene.times.axis(size.labels());
        let y = ChartAxis::linear(low, high, steps(size), AxisUnit::Any);
        // What was plotted before the first mark or after the last one stands at the edge.
        let place = |(at, value): &(Timestamp, f64)| {
            (scene.times.x_at(*at).clamp(x.low, x.high), value.clamp(y.low, y.high))
        };
        let name = format!("{} of {strategy} over time", plot.name);
        chart((size, 180), &name, (&x, &y), |area| {
            let points = thin(plot.points.iter().map(place), columns(size));
            if let [alone] = points[..] {
                area.draw_series([Circle::new(alone, 6, Ink::Own.fill())])?; // A line needs two.
            }
            draw_line(area, points, Ink::Own, 3)
        })
    });
    let last = plot.points.last().map_or(f64::NAN, |(_, value)| *value);
    let count = plural(u64::try_from(plot.points.len()).unwrap_or(u64::MAX), "point");
    Figure {
        title: format!("{strategy}: {}", plot.name),
        says: format!("{count} from {} to {}, {} at the end.", label(low), label(high), label(last)),
        measure: "As the strategy plotted it",
        keys: Vec::new(),
        is_half: true,
        drawings,
    }
}
