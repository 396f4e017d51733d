//! Lines over the whole run: equity with the benchmark, the way below the high, and how much was invested.

use plotters::prelude::AreaSeries;

use super::{Figure, Scene, both, draw_level, draw_line, ends, line, steps};
use crate::stats::report::axis::{AxisUnit, ChartAxis};
use crate::stats::report::canvas::{Ink, Size, chart};
use crate::stats::report::html::{day, dollars, percent, signed};
use crate::stats::report::thin::count;
use bot_core::clock::Timestamp;

/// Beyond this ratio of the highest to the lowest, equal steps of the axis are equal percentages.
const LOG_FROM: f64 = 5.0;

pub(super) fn equity(scene: &Scene<'_>) -> Figure {
    let marks = &scene.record.marks;
    let start = marks[0].equity;
    let end = marks[marks.len() - 1].equity;
    let first_price = marks.iter().map(|mark| mark.benchmark).find(|price| price.is_finite() && *price > 0.0);
    let benchmark: Option<Vec<f64>> =
        first_price.map(|first| marks.iter().map(|mark| mark.benchmark / first * start).collect());
    let name = scene.record.benchmark.as_deref().unwrap_or("benchmark");

    let (low, high) = ends(marks.iter().map(|mark| mark.equity).chain(benchmark.iter().flatten().copied()));
    let is_log = low > 0.0 && high / low > LOG_FROM;
    let drawings = both(Size::Wide, |size| {
        let x = scene.times.axis(size.labels());
        let y = if is_log {
            ChartAxis::log(low, high, AxisUnit::Dollars)
        } else {
            ChartAxis::linear(low, high, steps(size), AxisUnit::Dollars)
        };
        chart((size, if size == Size::Phone { 230 } else { 320 }), "Equity over time", (&x, &y), |plot| {
            draw_level(plot, &x, start, Ink::Zero)?;
            if let Some(benchmark) = &benchmark {
                draw_line(plot, line(&scene.times, benchmark.iter().copied(), size), Ink::Benchmark, 3)?;
            }
            draw_line(plot, line(&scene.times, marks.iter().map(|mark| mark.equity), size), Ink::Own, 4)
        })
    });

    let mut says = format!("{} became {} ({}).", dollars(start), dollars(end), change(start, end));
    let mut keys = Vec::new();
    if let Some(last) = benchmark.iter().flatten().rev().find(|value| value.is_finite()) {
        says += format!(
            " The same money in {name} would have become {} ({}).",
            dollars(*last),
            change(start, *last)
        )
        .as_str();
        keys =
            vec![(Ink::Own, "This run".to_owned()), (Ink::Benchmark, format!("{name}, from the same start"))];
    }
    let measure = if is_log { "Equity, US dollars, logarithmic scale" } else { "Equity, US dollars" };
    let title = if keys.is_empty() { "Equity" } else { "Equity against the benchmark" };
    Figure { title: title.to_owned(), says, measure, keys, is_half: false, drawings }
}

pub(super) fn underwater(scene: &Scene<'_>) -> Figure {
    let marks = &scene.record.marks;
    let falls: Vec<f64> = marks
        .iter()
        .scan(f64::NEG_INFINITY, |high, mark| {
            *high = high.max(mark.equity);
            Some(if *high > 0.0 { mark.equity / *high - 1.0 } else { f64::NAN })
        })
        .collect();
    let (low, _) = ends(falls.iter().copied());
    let drawings = both(Size::Wide, |size| {
        let x = scene.times.axis(size.labels());
        let y = ChartAxis::linear(if low < 0.0 { low } else { -0.01 }, 0.0, 4, AxisUnit::Percent);
        chart(
            (size, if size == Size::Phone { 170 } else { 190 }),
            "Fall from the high over time",
            (&x, &y),
            |plot| {
                let points = line(&scene.times, falls.iter().copied(), size);
                plot.draw_series(AreaSeries::new(points.iter().copied(), 0.0, Ink::LossArea.fill()))?;
                draw_level(plot, &x, 0.0, Ink::Zero)?;
                draw_line(plot, points, Ink::Loss, 3)
            },
        )
    });
    Figure {
        title: "Drawdown".to_owned(),
        says: fall_in_words(scene, &falls),
        measure: "Fall from the highest equity so far, per cent",
        drawings,
        ..Figure::default()
    }
}

fn fall_in_words(scene: &Scene<'_>, falls: &[f64]) -> String {
    let marks = &scene.record.marks;
    let deepest = falls
        .iter()
        .enumerate()
        .filter(|(_, fall)| fall.is_finite())
        .min_by(|one, two| one.1.total_cmp(two.1));
    let Some((valley, depth)) = deepest.filter(|(_, depth)| **depth < 0.0) else {
        return "Equity never fell below its high.".to_owned();
    };
    let high = falls[..valley].iter().rposition(|fall| *fall == 0.0).unwrap_or(0);
    let back = falls[valley..].iter().position(|fall| *fall == 0.0).map(|place| marks[valley + place].at);
    let below = count(falls.iter().filter(|fall| **fall < 0.0).count()) / count(falls.len());
    let when = |at: Timestamp| day(at);
    format!(
        "The deepest fall was {}, from {} to {}; {}. The run was below its high at {:.0}% of the marks.",
        percent(*depth),
        when(marks[high].at),
        when(marks[valley].at),
        back.map_or("it was not made up for".to_owned(), |at| format!("made up for on {}", when(at))),
        below * 100.0,
    )
}

pub(super) fn exposure(scene: &Scene<'_>) -> Figure {
    let marks = &scene.record.marks;
    // A share of next to nothing says nothing, and would flatten all the rest.
    let least = marks[0].equity * 0.01;
    let share =
        |part: f64, equity: f64| if equity > 0.0 && equity >= least { part / equity } else { f64::NAN };
    let net: Vec<f64> = marks.iter().map(|mark| share(mark.net, mark.equity)).collect();
    let gross: Vec<f64> = marks.iter().map(|mark| share(mark.gross, mark.equity)).collect();
    let (low, high) = ends(net.iter().chain(&gross).copied().chain([0.0]));
    let is_long_only = net.iter().zip(&gross).all(|(net, gross)| net.to_bits() == gross.to_bits());
    let drawings = both(Size::Wide, |size| {
        let x = scene.times.axis(size.labels());
        let y = ChartAxis::linear(low, if high > low { high } else { low + 1.0 }, 4, AxisUnit::Percent);
        chart((size, if size == Size::Phone { 180 } else { 200 }), "Exposure over time", (&x, &y), |plot| {
            if !is_long_only {
                draw_line(plot, line(&scene.times, gross.iter().copied(), size), Ink::Second, 3)?;
            }
            draw_level(plot, &x, 0.0, Ink::Zero)?;
            draw_line(plot, line(&scene.times, net.iter().copied(), size), Ink::Own, 3)
        })
    });
    let known: Vec<f64> = gross.iter().copied().filter(|share| share.is_finite()).collect();
    let invested = known.iter().filter(|share| **share > 0.0).count();
    let mean = known.iter().sum::<f64>() / count(known.len().max(1));
    Figure {
        title: "Exposure".to_owned(),
        says: format!(
            "Positions were held at {:.0}% of the marks and were worth {} of equity on average, {} at the most.",
            count(invested) / count(known.len().max(1)) * 100.0,
            percent(mean),
            percent(ends(known.iter().copied().chain([0.0])).1),
        ),
        measure: "Worth of positions, per cent of equity",
        keys: if is_long_only {
            vec![(Ink::Own, "Positions (no short ones)".to_owned())]
        } else {
            vec![
                (Ink::Own, "Net: long less short".to_owned()),
                (Ink::Second, "Gross: long plus short".to_owned()),
            ]
        },
        is_half: false,
        drawings,
    }
}

fn change(from: f64, to: f64) -> String {
    let change = if from > 0.0 { to / from - 1.0 } else { f64::NAN };
    signed(change, &percent(change))
}
