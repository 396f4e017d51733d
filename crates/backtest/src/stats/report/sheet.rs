//! Parts of the report's page for others than a single run: the page around a body, tables, a heat map, lines.

use std::fmt::Write;

use plotters::element::Circle;
use plotters::prelude::{LineSeries, Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{self, ChartAxis, TimeScale};
use super::canvas::{Area, DrawError, Ink, SCALE, Size, chart, drawing, pixels};
use super::html::{HtmlCell, NOT_DEFINED, escape, number, table as cells_table};
use super::page::frame;
use super::thin::{count, thin, whole};
use crate::stats::RatioUnit;
use bot_core::clock::Timestamp;

/// Numbers over two axes.
#[derive(Debug, Clone)]
pub struct Grid<'a> {
    /// The axis from left to right: its name, then its labels.
    pub across: (&'a str, Vec<String>),
    /// The axis downwards: its name, then its labels.
    pub down: (&'a str, Vec<String>),
    /// One list for each label downwards; `None` where there is no number.
    pub cells: Vec<Vec<Option<f64>>>,
    /// What the numbers are.
    pub unit: RatioUnit,
    /// Whether the lowest number is the best.
    pub is_lower_better: bool,
}

/// How a notice looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something is to be minded.
    Warning,
}

/// What stands above a drawing.
#[derive(Debug, Clone, Default)]
pub struct Caption {
    /// What it is.
    pub title: String,
    /// What is seen, in a sentence or two.
    pub says: String,
    /// What is measured, with its unit.
    pub measure: String,
}

/// A whole page: a small heading, the title, facts in a line, and the body as HTML.
pub fn page(kicker: &str, title: &str, facts: &[String], body: &str) -> String {
    let facts: Vec<String> = facts.iter().map(|fact| format!("<span>{}</span>", escape(fact))).collect();
    let (kicker, title) = (escape(kicker), escape(title));
    let header = format!(
        "<header>\n<p class=\"kicker\">{kicker}</p>\n<h1>{title}</h1>\n<p class=\"period\">{}</p>\n</header>\n",
        facts.join(" ")
    );
    frame(&title, &(header + body))
}

/// The big numbers: what each is, the number, and a small line below.
pub fn tiles(tiles: &[(String, String, String)]) -> String {
    let mut html = String::from("<section class=\"tiles\" aria-label=\"In a few figures\">\n");
    for (label, big, small) in tiles {
        let _ = writeln!(
            html,
            "<div><h2>{}</h2><p class=\"big\">{}</p><p class=\"small\">{}</p></div>",
            escape(label),
            escape(big),
            escape(small)
        );
    }
    html + "</section>\n"
}

/// A part of the page under a heading; the body is HTML.
pub fn section(title: &str, body: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{body}</section>\n", escape(title))
}

/// A sentence or two.
pub fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escape(text))
}

/// A sentence or two in a box.
pub fn notice(text: &str, tone: Tone) -> String {
    let class = match tone {
        Tone::Good => "ok",
        Tone::Warning => "warn",
    };
    format!("<p class=\"notice {class}\">{}</p>\n", escape(text))
}

/// A table of words and numbers; heads of numbers start with `>`, and each number has what it is sorted by.
pub fn table(heads: &[&str], rows: &[Vec<(String, Option<f64>)>]) -> String {
    let cell = |(text, value): &(String, Option<f64>)| match value {
        Some(value) => HtmlCell::number(text, *value),
        None => HtmlCell::words(text),
    };
    let rows: Vec<Vec<HtmlCell>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    cells_table(heads, &rows)
}

/// Drawings beside each other.
pub fn charts(drawings: &str) -> String {
    format!("<section class=\"charts\" aria-label=\"Charts\">\n{drawings}</section>\n")
}

/// A number in each cell, coloured from the worst to the best. Long axes are drawn in steps, each the mean of its cells.
pub fn heat_map(caption: &Caption, grid: &Grid<'_>) -> String {
    let numbers = || grid.cells.iter().flatten().flatten().copied();
    let low = numbers().fold(f64::INFINITY, f64::min);
    let high = numbers().fold(f64::NEG_INFINITY, f64::max);
    let draw = |size: Size| {
        let grid = thinned(grid, if size == Size::Phone { 12 } else { LINES_MAX });
        let row = match (grid.down.1.len(), size) {
            (0..=20, Size::Wide | Size::Half) => 30.0,
            (0..=20, Size::Phone) => 24.0,
            (_, _) => 16.0,
        };
        let height = whole(TOP + row * count(grid.down.1.len()));
        let height = u32::try_from(height).unwrap_or(0);
        drawing((size, height), &caption.title, |area| cells(area, size, row, &grid, (low, high)))
    };
    let (worst, best) = if grid.is_lower_better { ("Highest", "Lowest") } else { ("Lowest", "Highest") };
    let keys = [(Ink::Heat(-4), worst), (Ink::Heat(4), best)];
    figure(caption, &keys, &[draw(Size::Wide), draw(Size::Phone)].concat())
}

/// A number for each label, as a line through points.
pub fn line(
    caption: &Caption,
    name: &str,
    labels: &[String],
    values: &[Option<f64>],
    unit: RatioUnit,
) -> String {
    let points: Vec<(f64, f64)> =
        values.iter().enumerate().filter_map(|(place, value)| Some((count(place), (*value)?))).collect();
    let draw = |size: Size| {
        let step = labels.len().div_ceil(size.labels()).max(1);
        let ticks = labels.iter().enumerate().step_by(step);
        let x = ChartAxis {
            low: -0.5,
            high: count(labels.len()) - 0.5,
            is_log: false,
            ticks: ticks.map(|(place, label)| (count(place), label.clone())).collect(),
        };
        let y = vertical(points.iter().map(|(_, y)| *y), unit);
        chart((size, 260), &caption.title, (&x, &y), |plot| {
            plot.draw_series(LineSeries::new(thin(points.iter().copied(), 500), Ink::Own.line(3)))?;
            if points.len() <= 100 {
                plot.draw_series(points.iter().map(|at| Circle::new(*at, 3 * SCALE, Ink::Own.fill())))?;
            }
            Ok(())
        })
    };
    let measure = format!("{} by {name}", caption.measure);
    let caption = Caption { measure, ..caption.clone() };
    figure(&caption, &[], &[draw(Size::Wide), draw(Size::Phone)].concat())
}

/// Dollars over time.
pub fn over_time(caption: &Caption, points: &[(Timestamp, f64)]) -> String {
    if points.len() < 2 {
        return String::new();
    }
    let times = TimeScale::new(points.iter().map(|(at, _)| *at).collect());
    let draw = |size: Size| {
        let x = times.axis(size.labels());
        let y = vertical(points.iter().map(|(_, value)| *value), RatioUnit::Money);
        chart((size, 260), &caption.title, (&x, &y), |plot| {
            let line = points.iter().enumerate().map(|(place, (_, value))| (times.x(place), *value));
            plot.draw_series(LineSeries::new(thin(line, 500), Ink::Own.line(3))).map(|_| ())
        })
    };
    figure(caption, &[], &[draw(Size::Wide), draw(Size::Phone)].concat())
}

/// So many rows and columns of a heat map are drawn.
const LINES_MAX: usize = 40;
/// Room for the names above.
const TOP: f64 = 40.0;

fn figure(caption: &Caption, keys: &[(Ink, &str)], drawings: &str) -> String {
    let Caption { title, says, measure } = caption;
    let mut html = format!(
        "<figure>\n<figcaption><h2>{}</h2><p>{}</p></figcaption>\n<p class=\"keys\"><span class=\"measure\">{}</span>",
        escape(title),
        escape(says),
        escape(measure)
    );
    for (ink, words) in keys {
        let name = Ink::all().find(|(one, _)| one == ink).map(|(_, name)| name).unwrap_or_default();
        let _ = write!(html, "<span class=\"key k-{name}\">{}</span>", escape(words));
    }
    let _ = write!(html, "</p>\n{drawings}</figure>\n");
    html
}

fn vertical(values: impl Iterator<Item = f64>, unit: RatioUnit) -> ChartAxis {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let unit = match unit {
        RatioUnit::Percent => axis::AxisUnit::Percent,
        RatioUnit::Money => axis::AxisUnit::Dollars,
        RatioUnit::Number | RatioUnit::Days | RatioUnit::Count => axis::AxisUnit::Number,
    };
    ChartAxis::linear(low, high, 5, unit)
}

/// At most `most` lines each way; neighbours are told by their mean.
fn thinned<'a>(grid: &Grid<'a>, most: usize) -> Grid<'a> {
    let (wide, tall) = (grid.across.1.len().div_ceil(most).max(1), grid.down.1.len().div_ceil(most).max(1));
    let labels = |labels: &[String], step: usize| labels.iter().step_by(step).cloned().collect();
    let mean = |rows: &[Vec<Option<f64>>], from: usize| {
        let block = rows.iter().flat_map(|row| row.iter().skip(from).take(wide)).flatten();
        let (sum, seen) = block.fold((0.0, 0.0), |(sum, seen), value| (sum + value, seen + 1.0));
        (seen > 0.0).then(|| sum / seen)
    };
    let columns = || (0..grid.across.1.len()).step_by(wide);
    Grid {
        across: (grid.across.0, labels(&grid.across.1, wide)),
        down: (grid.down.0, labels(&grid.down.1, tall)),
        cells: grid.cells.chunks(tall).map(|rows| columns().map(|from| mean(rows, from)).collect()).collect(),
        ..*grid
    }
}

fn cells(area: &Area<'_>, size: Size, row: f64, grid: &Grid<'_>, ends: (f64, f64)) -> Result<(), DrawError> {
    let letter = if size == Size::Phone { 9.0 } else { 12.0 };
    let longest = grid.down.1.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let beside = (14.0 + letter * 0.6 * count(longest)).clamp(30.0, f64::from(size.width()) / 3.0);
    let column = (f64::from(size.width()) - beside) / count(grid.across.1.len().max(1));
    let write = |text: &str, x: f64, y: f64, ink: Ink, h: HPos| {
        area.draw(&Text::new(text.to_owned(), (pixels(x), pixels(y)), ink.text(letter, h, VPos::Center)))
    };
    let names = format!("{} \u{2192}   {} \u{2193}", grid.across.0, grid.down.0);
    write(&names, 2.0, 9.0, Ink::Label, HPos::Left)?;
    let step = usize::try_from(whole((letter * 3.2 / column).ceil())).unwrap_or(1).max(1);
    for (place, label) in grid.across.1.iter().enumerate().step_by(step) {
        write(label, beside + column * (count(place) + 0.5), 29.0, Ink::Label, HPos::Center)?;
    }
    for (line, label) in grid.down.1.iter().enumerate() {
        let top = TOP + row * count(line);
        write(label, beside - 8.0, top + row / 2.0, Ink::Label, HPos::Right)?;
        for (place, value) in grid.cells.get(line).into_iter().flatten().enumerate() {
            let left = beside + column * count(place);
            let corners = [
                (pixels(left + 0.5), pixels(top + 0.5)),
                (pixels(left + column - 0.5), pixels(top + row - 0.5)),
            ];
            let shown = value.map_or_else(|| NOT_DEFINED.to_owned(), |value| written(value, grid.unit));
            if let Some(value) = value {
                let heat = Ink::Heat(heat(*value, ends, grid.is_lower_better));
                area.draw(&Rectangle::new(corners, heat.fill()))?;
            }
            if column > letter * 0.62 * count(shown.chars().count()) && row >= letter * 1.4 {
                let ink = if value.is_some() { Ink::Text } else { Ink::Label };
                write(&shown, left + column / 2.0, top + row / 2.0, ink, HPos::Center)?;
            }
        }
    }
    Ok(())
}

/// From -4, the worst of all, to 4, the best.
#[allow(clippy::cast_possible_truncation, reason = "lies between -4 and 4")]
fn heat(value: f64, (low, high): (f64, f64), is_lower_better: bool) -> i8 {
    if high <= low {
        return 0;
    }
    let share = (value - low) / (high - low) * 8.0 - 4.0;
    (if is_lower_better { -share } else { share }).round().clamp(-4.0, 4.0) as i8
}

fn written(value: f64, unit: RatioUnit) -> String {
    match unit {
        RatioUnit::Percent => number(value * 100.0, 1) + "%",
        RatioUnit::Number => number(value, 2),
        RatioUnit::Money | RatioUnit::Days | RatioUnit::Count => number(value, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_warmest_whichever_way_is_better() {
        for (value, is_lower_better, wanted) in
            [(1.0, false, 4), (0.0, false, -4), (0.5, false, 0), (0.0, true, 4), (1.0, true, -4)]
        {
            assert_eq!(heat(value, (0.0, 1.0), is_lower_better), wanted);
        }
        assert_eq!(heat(3.0, (3.0, 3.0), false), 0);
    }

    #[test]
    fn a_long_axis_is_drawn_in_steps_and_no_number_is_lost() {
        let labels: Vec<String> = (0..5).map(|label| label.to_string()).collect();
        let grid = Grid {
            across: ("x", labels.clone()),
            down: ("y", labels[..1].to_vec()),
            cells: vec![vec![Some(1.0), Some(3.0), None, Some(7.0), None]],
            unit: RatioUnit::Number,
            is_lower_better: false,
        };
        let thin = thinned(&grid, 3);
        assert_eq!(thin.across.1, ["0", "2", "4"]);
        assert_eq!(thin.cells, [[Some(2.0), Some(7.0), None]]);
    }
}
