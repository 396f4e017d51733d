//! Drawing: `plotters` makes the shapes, the page's style sheet gives them their colours in light, dark and print.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::ChartAxis;
use super::thin::count;

/// A drawing's own error: never seen, as nothing is written but a text in memory.
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;
/// The area between the axes.
pub(super) type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<ChartAxis, ChartAxis>>;
/// All of the drawing.
pub(super) type Area<'b> = DrawingArea<SVGBackend<'b>, Shift>;

/// The width that a drawing is made for; each has letters of the same size on its own screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// The whole page.
    Wide,
    /// One of two beside each other.
    Half,
    /// A phone.
    Phone,
}

/// What a colour is for; the style sheet says which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Numbers in a heat map.
    Text,
    /// Labels of axes.
    Label,
    /// Lines behind the data.
    Grid,
    /// The line at 0 or at the start.
    Zero,
    /// The run itself.
    Own,
    /// The area below it.
    OwnArea,
    /// The benchmark.
    Benchmark,
    /// Losses.
    Loss,
    /// The area of losses.
    LossArea,
    /// A second line.
    Second,
    /// Prices.
    Price,
    /// Purchases.
    Buy,
    /// Sales.
    Sell,
    /// One of several lines, 0 to 7.
    Several(u8),
    /// A month, -4 (bad) to 4 (good).
    Heat(i8),
}

/// Coordinates are half pixels: the library knows whole numbers only.
pub(super) const SCALE: u32 = 2;

impl Size {
    /// Pixels of the screen.
    pub(super) const fn width(self) -> u32 {
        match self {
            Size::Wide => 1060,
            Size::Half => 516,
            Size::Phone => 350,
        }
    }

    /// How many labels fit below.
    pub(super) const fn labels(self) -> usize {
        match self {
            Size::Wide => 11,
            Size::Half => 5,
            Size::Phone => 4,
        }
    }

    /// The name of its class.
    const fn class(self) -> &'static str {
        match self {
            Size::Wide | Size::Half => "page",
            Size::Phone => "phone",
        }
    }
}

impl Ink {
    const PLAIN: [(Ink, &'static str); 13] = [
        (Ink::Text, "text"),
        (Ink::Label, "label"),
        (Ink::Grid, "grid"),
        (Ink::Zero, "zero"),
        (Ink::Own, "own"),
        (Ink::OwnArea, "own-area"),
        (Ink::Benchmark, "benchmark"),
        (Ink::Loss, "loss"),
        (Ink::LossArea, "loss-area"),
        (Ink::Second, "second"),
        (Ink::Price, "price"),
        (Ink::Buy, "buy"),
        (Ink::Sell, "sell"),
    ];

    /// All inks with their class.
    pub(super) fn all() -> impl Iterator<Item = (Ink, String)> {
        let plain = Self::PLAIN.into_iter().map(|(ink, name)| (ink, name.to_owned()));
        let several = (0..8).map(|line| (Ink::Several(line), format!("line-{line}")));
        let heat = (-4..=4).map(|heat| (Ink::Heat(heat), format!("heat-{}", heat + 4)));
        plain.chain(several).chain(heat)
    }

    /// The colour that stands for it in a drawing until its class takes its place.
    fn key(self) -> RGBColor {
        let number = Self::all().position(|(ink, _)| ink == self).unwrap_or(0);
        RGBColor(0xC0, 0xDE, u8::try_from(number).unwrap_or(u8::MAX))
    }

    /// For lines `width` half pixels wide.
    pub(super) fn line(self, width: u32) -> ShapeStyle {
        self.key().stroke_width(width)
    }

    /// For areas.
    pub(super) fn fill(self) -> ShapeStyle {
        self.key().filled()
    }

    /// For text of so many pixels, standing `h` and `v` of its point.
    pub(super) fn text(self, pixels: f64, h: HPos, v: VPos) -> TextStyle<'static> {
        // The library takes 1.24 times what it writes down.
        ("sans-serif", pixels * f64::from(SCALE) * 1.24).into_font().color(&self.key()).pos(Pos::new(h, v))
    }
}

const LETTER: f64 = 12.0;

/// A chart with axes: lines behind, numbers beside, dates below; `plot` draws the rest.
pub(super) fn chart(
    (size, height): (Size, u32),
    label: &str,
    (x, y): (&ChartAxis, &ChartAxis),
    plot: impl FnOnce(&mut Plot<'_, '_>) -> Result<(), DrawError>,
) -> String {
    drawing((size, height), label, |area| {
        // Wide enough for most labels, so that the dates of all charts stand below each other.
        let least = if size == Size::Wide { 58.0 } else { 46.0 };
        let beside = (12.0 + 6.9 * count(y.label_len())).max(least);
        let mut chart = ChartBuilder::on(area)
            .margin_top(pixels(8.0))
            .margin_right(pixels(if size == Size::Phone { 12.0 } else { 24.0 }))
            .x_label_area_size(pixels(30.0))
            .y_label_area_size(pixels(beside))
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(Ink::Grid.line(SCALE))
            .light_line_style(TRANSPARENT)
            .axis_style(TRANSPARENT)
            // Air between the lowest number beside and the first date below.
            .set_tick_mark_size(LabelAreaPosition::Bottom, pixels(9.0))
            .label_style(Ink::Label.text(LETTER, HPos::Center, VPos::Center))
            .draw()?;
        plot(&mut chart)
    })
}

/// A drawing without axes.
pub(super) fn drawing(
    (size, height): (Size, u32),
    label: &str,
    draw: impl FnOnce(&Area<'_>) -> Result<(), DrawError>,
) -> String {
    let mut svg = String::new();
    let drawn = {
        let area =
            SVGBackend::with_string(&mut svg, (size.width() * SCALE, height * SCALE)).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    match drawn {
        Ok(()) => themed(&svg, size, label),
        Err(error) => format!(
            "<p class=\"note\">This chart could not be drawn: {}.</p>\n",
            super::html::escape(&error.to_string())
        ),
    }
}

/// Half pixels.
#[allow(clippy::cast_possible_truncation, reason = "a page is small")]
pub(super) fn pixels(pixels: f64) -> i32 {
    (pixels * f64::from(SCALE)).round() as i32
}

/// The drawing with classes in place of key colours, its size left to the page, and less air.
fn themed(svg: &str, size: Size, label: &str) -> String {
    let names: Vec<String> = Ink::all().map(|(_, name)| name).collect();
    let body = svg.split_once(">\n").map_or("", |(_, body)| body);
    let view =
        svg.split_once("viewBox=\"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(view, _)| view);
    let mut themed = format!(
        "<svg class=\"{}\" viewBox=\"{view}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">\n",
        size.class(),
        super::html::escape(label)
    );
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("=\"#C0DE") {
        let (kind, before) = match before.strip_suffix("stroke") {
            Some(before) => ("s", before),
            None => ("f", before.strip_suffix("fill").unwrap_or(before)),
        };
        let number = usize::from_str_radix(after.get(..2).unwrap_or(""), 16).unwrap_or(0);
        push_lean(&mut themed, before);
        themed.extend(["class=\"", kind, "-", names.get(number).map_or("", String::as_str), "\""]);
        rest = after.get(3..).unwrap_or("");
    }
    push_lean(&mut themed, rest);
    themed
}

/// Leaves out what the style sheet says once for all.
fn push_lean(to: &mut String, text: &str) {
    let lean = [
        " opacity=\"1\"",
        "opacity=\"1\" ",
        " font-family=\"sans-serif\"",
        "font-family=\"sans-serif\" ",
        " stroke=\"none\"",
    ];
    let text = lean.into_iter().fold(text.to_owned(), |text, noise| text.replace(noise, ""));
    to.push_str(&text.replace(" \"/>", "\"/>").replace("\n</text>", "</text>"));
}
