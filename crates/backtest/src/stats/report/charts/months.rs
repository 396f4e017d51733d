//! The returns of months as a heat map: years downwards, months to the right, numbers in the cells.

use plotters::prelude::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};

use super::{Figure, Scene, both};
use crate::stats::Month;
use crate::stats::report::canvas::{Area, DrawError, Ink, Size, drawing, pixels};
use crate::stats::report::html::{number, percent, plural, signed};
use crate::stats::report::thin::count;

/// So many years are shown, the latest.
const YEARS_MAX: usize = 60;
const NAMES: [&str; 13] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year"];

pub(super) fn heat_map(scene: &Scene<'_>) -> Option<Figure> {
    let all = &scene.statistics.months;
    let years = &all[all.len().saturating_sub(YEARS_MAX)..];
    let months = || all.iter().flat_map(|year| year.months).flatten().filter(|value| value.is_finite());
    months().next()?;
    let drawings = both(Size::Wide, |size| {
        let row = if size == Size::Phone { 24 } else { 32 };
        let height = 24 + row * u32::try_from(years.len()).unwrap_or(0);
        drawing((size, height), "Monthly returns", |area| cells(area, size, f64::from(row), years))
    });
    let best = months().fold(f64::NEG_INFINITY, f64::max);
    let worst = months().fold(f64::INFINITY, f64::min);
    let up = months().filter(|value| *value > 0.0).count();
    let many = months().count();
    let mut says = format!("{up} of {} ended higher", plural(u64::try_from(many).unwrap_or(0), "month"));
    says = match many {
        1 => says + ".",
        _ => format!(
            "{says}; the best {}, the worst {}.",
            signed(best, &percent(best)),
            signed(worst, &percent(worst))
        ),
    };
    if all.len() > YEARS_MAX {
        says += format!(" The latest {YEARS_MAX} of {} years are shown.", all.len()).as_str();
    }
    Some(Figure {
        title: "Monthly returns".to_owned(),
        says,
        measure: "Return, per cent",
        keys: vec![(Ink::Heat(3), "Gain".to_owned()), (Ink::Heat(-3), "Loss".to_owned())],
        is_half: false,
        drawings,
    })
}

fn cells(area: &Area<'_>, size: Size, row: f64, years: &[Month]) -> Result<(), DrawError> {
    let (beside, letter) = if size == Size::Phone { (30.0, 8.5_f64) } else { (52.0, 13.0) };
    let column = (f64::from(size.width()) - beside) / 13.0;
    let widest = years
        .iter()
        .flat_map(|year| year.months)
        .flatten()
        .map(f64::abs)
        .filter(|value| value.is_finite())
        .fold(0.005, f64::max);
    let label = |text: String, x: f64, y: f64| {
        area.draw(&Text::new(
            text,
            (pixels(x), pixels(y)),
            Ink::Label.text(letter.min(12.0), HPos::Center, VPos::Center),
        ))
    };
    for (place, name) in NAMES.into_iter().enumerate() {
        let name = if size == Size::Phone { &name[..if place == 12 { 4 } else { 3 }] } else { name };
        label(name.to_owned(), beside + column * (count(place) + 0.5), 11.0)?;
    }
    for (line, year) in years.iter().enumerate() {
        let top = 24.0 + row * count(line);
        label(year.year.to_string(), beside / 2.0 - 2.0, top + row / 2.0)?;
        for (place, value) in year.months.into_iter().chain([year.total]).enumerate() {
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            let left = beside + column * count(place);
            let corners = [
                (pixels(left + 1.0), pixels(top + 1.0)),
                (pixels(left + column - 1.0), pixels(top + row - 1.0)),
            ];
            area.draw(&Rectangle::new(corners, Ink::Heat(heat(value / widest)).fill()))?;
            let at = (pixels(left + column / 2.0), pixels(top + row / 2.0));
            area.draw(&Text::new(
                written(value, size),
                at,
                Ink::Text.text(letter, HPos::Center, VPos::Center),
            ))?;
        }
    }
    Ok(())
}

/// From -4 to 4: only what is exactly 0 is neither gain nor loss.
#[allow(clippy::cast_possible_truncation, reason = "lies between -4 and 4")]
fn heat(share: f64) -> i8 {
    if share == 0.0 { 0 } else { (share.signum() * (share.abs() * 4.0).ceil().clamp(1.0, 4.0)) as i8 }
}

fn written(value: f64, size: Size) -> String {
    let percent = value * 100.0;
    let decimals = match (size, percent.abs()) {
        (Size::Phone, 9.95..) => 0,
        (Size::Phone, _) | (_, 99.95..) => 1,
        (Size::Wide | Size::Half, _) => 2,
    };
    number(percent, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_never_shown_as_a_loss() {
        for (share, bucket) in [(1.0, 4), (0.001, 1), (0.0, 0), (-0.001, -1), (-0.5, -2), (-7.0, -4)] {
            assert_eq!(heat(share), bucket, "{share}");
        }
        assert_eq!(written(-0.1234, Size::Phone), "−12");
        assert_eq!(written(-0.1234, Size::Wide), "−12.34");
    }
}
