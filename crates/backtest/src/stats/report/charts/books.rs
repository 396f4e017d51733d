//! What each strategy's book earned, where there are several.

use super::{Figure, Scene, both, draw_level, draw_line, ends, line, steps};
use crate::stats::report::axis::{AxisUnit, ChartAxis};
use crate::stats::report::canvas::{Ink, Size, chart};
use crate::stats::report::html::{dollars, signed};

/// So many lines can be told apart.
const LINES_MAX: usize = 8;

pub(super) fn figure(scene: &Scene<'_>) -> Option<Figure> {
    let books = &scene.record.strategies;
    if books.len() < 2 {
        return None;
    }
    let mut earned: Vec<(&str, Vec<f64>)> = books
        .iter()
        .map(|book| {
            let start = book.equity.first().copied().unwrap_or(f64::NAN);
            (book.name.as_str(), book.equity.iter().map(|equity| equity - start).collect())
        })
        .collect();
    let last =
        |profits: &[f64]| profits.iter().rev().copied().find(|profit| profit.is_finite()).unwrap_or(0.0);
    earned.sort_by(|one, two| last(&two.1).abs().total_cmp(&last(&one.1).abs()));
    let left_out = earned.len().saturating_sub(LINES_MAX);
    earned.truncate(LINES_MAX);
    // Named from the best to the worst, as the lines end from top to bottom.
    earned.sort_by(|one, two| last(&two.1).total_cmp(&last(&one.1)));

    let lines = || (0..).map(Ink::Several).zip(&earned);
    let (low, high) = ends(earned.iter().flat_map(|(_, profits)| profits.iter().copied()).chain([0.0]));
    let drawings = both(Size::Wide, |size| {
        let x = scene.times.axis(size.labels());
        let y = ChartAxis::linear(low, high, steps(size), AxisUnit::Dollars);
        chart(
            (size, if size == Size::Phone { 220 } else { 260 }),
            "Profit of each strategy over time",
            (&x, &y),
            |plot| {
                draw_level(plot, &x, 0.0, Ink::Zero)?;
                lines().try_for_each(|(ink, (_, profits))| {
                    draw_line(plot, line(&scene.times, profits.iter().copied(), size), ink, 3)
                })
            },
        )
    });
    let (best, worst) = (earned.first()?, earned.last()?);
    let profit = |(_, profits): &(&str, Vec<f64>)| signed(last(profits), &dollars(last(profits)));
    let mut says = format!("{} ended at {}, {} at {}.", best.0, profit(best), worst.0, profit(worst));
    if left_out > 0 {
        says += format!(" The {LINES_MAX} furthest from 0 of {} are shown.", books.len()).as_str();
    }
    Some(Figure {
        title: "Profit of each strategy".to_owned(),
        says,
        measure: "Equity of its book less the start, US dollars",
        keys: lines().map(|(ink, (name, _))| (ink, (*name).to_owned())).collect(),
        is_half: false,
        drawings,
    })
}
