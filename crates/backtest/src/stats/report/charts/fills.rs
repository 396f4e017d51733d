//! Prices of what was traded, with a marker where shares changed hands.

use plotters::element::{EmptyElement, Polygon};

use super::{Figure, Scene, both, draw_line, ends, line, steps};
use crate::record::{FillRecord, OrderSummary};
use crate::stats::report::axis::{AxisUnit, ChartAxis};
use crate::stats::report::canvas::{Ink, Size, chart};
use crate::stats::report::html::plural;
use bot_core::order::Side;
use bot_core::symbol::Symbol;

/// So many symbols have a chart, those with the most fills.
const SYMBOLS_MAX: usize = 4;
/// So many fills of one symbol have a marker; on a phone fewer.
const MARKERS_MAX: usize = 400;
const MARKERS_MAX_PHONE: usize = 120;

/// One fill with the way it went.
type Deal<'a> = (&'a FillRecord, &'a OrderSummary);

pub(super) fn figures(scene: &Scene<'_>) -> Vec<Figure> {
    let record = scene.record;
    let mut traded: Vec<(usize, Symbol, Vec<Deal<'_>>)> =
        record.symbols.iter().enumerate().map(|(place, symbol)| (place, *symbol, Vec::new())).collect();
    for fill in &record.fills {
        let order = usize::try_from(fill.order).ok().and_then(|place| record.orders.get(place));
        let Some(order) = order else { continue };
        if let Some((_, _, deals)) = traded.iter_mut().find(|(_, symbol, _)| *symbol == order.symbol) {
            deals.push((fill, order));
        }
    }
    traded.retain(|(_, _, deals)| !deals.is_empty());
    // The sort is stable: of two with as many fills, the first of the record comes first.
    traded.sort_by_key(|(_, _, deals)| std::cmp::Reverse(deals.len()));
    let left_out = traded.len().saturating_sub(SYMBOLS_MAX);
    let mut figures: Vec<_> = traded
        .iter()
        .take(SYMBOLS_MAX)
        .map(|(place, symbol, deals)| figure(scene, *place, *symbol, deals))
        .collect();
    if let Some(last) = figures.last_mut().filter(|_| left_out > 0) {
        last.says += format!(
            " {} with fewer fills had no room here.",
            plural(u64::try_from(left_out).unwrap_or(0), "symbol")
        )
        .as_str();
    }
    figures
}

fn figure(scene: &Scene<'_>, place: usize, symbol: Symbol, deals: &[Deal<'_>]) -> Figure {
    let none = Vec::new();
    let prices = scene.record.prices.get(place).unwrap_or(&none);
    let paid = deals.iter().map(|(fill, _)| fill.price.to_f64());
    let (low, high) = ends(prices.iter().copied().chain(paid));
    let drawings = both(Size::Wide, |size| {
        let x = scene.times.axis(size.labels());
        let y = ChartAxis::linear(low, high, steps(size), AxisUnit::Dollars);
        let label = format!("Price of {symbol} with fills");
        chart((size, if size == Size::Phone { 230 } else { 280 }), &label, (&x, &y), |plot| {
            draw_line(plot, line(&scene.times, prices.iter().copied(), size), Ink::Price, 3)?;
            let markers_max = if size == Size::Phone { MARKERS_MAX_PHONE } else { MARKERS_MAX };
            let step = deals.len().div_ceil(markers_max);
            for (side, ink, up) in [(Side::Buy, Ink::Buy, 1), (Side::Sell, Ink::Sell, -1)] {
                // Each side by itself: of trades that take turns, every second one would be of one side only.
                for (fill, _) in deals.iter().filter(|(_, order)| order.side == side).step_by(step) {
                    let at = (scene.times.x_at(fill.at), fill.price.to_f64());
                    let triangle = vec![(0, -up), (8, 13 * up), (-8, 13 * up)];
                    plot.draw_series([EmptyElement::at(at) + Polygon::new(triangle, ink.fill())])?;
                }
            }
            Ok(())
        })
    });
    let bought = deals.iter().filter(|(_, order)| order.side == Side::Buy).count();
    let [bought, sold] = [bought, deals.len() - bought].map(|count| u64::try_from(count).unwrap_or(0));
    let mut says = format!("{} and {} of {symbol}.", plural(bought, "purchase"), plural(sold, "sale"));
    if deals.len() > MARKERS_MAX {
        says += format!(
            " So that they can be told apart, one fill in {} has a marker.",
            deals.len().div_ceil(MARKERS_MAX)
        )
        .as_str();
    }
    Figure {
        title: format!("{symbol}: price and fills"),
        says,
        measure: "US dollars per share",
        keys: vec![
            (Ink::Price, format!("{symbol}")),
            (Ink::Buy, "Bought".to_owned()),
            (Ink::Sell, "Sold".to_owned()),
        ],
        is_half: false,
        drawings,
    }
}
