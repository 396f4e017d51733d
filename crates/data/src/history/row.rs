//! One event as one line, so that it reads back to the same bits. Pure.

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::SecondsFormat;

use super::file::FileKind;
use crate::tabular::cells::{LineCells, short};
use crate::tabular::number;
use bot_core::clock::times::Times;
use bot_core::market::{MarketEvent, Row, RowKind};

/// Appends the event's line with its line feed. Times have nanoseconds; numbers have as many digits as they need.
pub(super) fn write(event: &MarketEvent, line: &mut String) {
    let (symbol, row_kind, row) = event.to_row();
    let mut add = |cell: fmt::Arguments<'_>| {
        line.write_fmt(cell).unwrap_or_else(|_| unreachable!("a string takes all"));
    };
    add(format_args!("{},{symbol}", row.at.to_utc().to_rfc3339_opts(SecondsFormat::Nanos, true)));
    if let RowKind::Bar { span } = row_kind {
        add(format_args!(",{}", span.as_nanos()));
    }
    for value in &row.values[..row_kind.width()] {
        add(format_args!(",{value}"));
    }
    line.push('\n');
}

/// Reads what [`write`] wrote, without the line feed.
///
/// # Errors
/// The rule that the line breaks and what it was.
pub(super) fn parse(kind: FileKind, line: &str, times: &mut Times) -> Result<MarketEvent, String> {
    let mut cells = RowLine { kind, header: kind.header().split(','), rest: LineCells::new(line, b',') };
    let at = cells.next(|cell| times.read(cell))?;
    let symbol = cells.next(str::parse)?;
    let span = if kind == FileKind::Bars { cells.next(str::parse)? } else { 0 };
    let (row_kind, mut values) = (kind.row_kind(Duration::from_nanos(span)), [0.0; 5]);
    for value in &mut values[..row_kind.width()] {
        *value = cells.number()?;
    }
    match cells.rest.next().transpose()? {
        None => Ok(Row { at, values }.event(symbol, row_kind)),
        Some(more) => Err(format!("line must end after {}, went on with \"{more}\"", kind.header())),
    }
}

struct RowLine<'a> {
    kind: FileKind,
    header: std::str::Split<'static, char>,
    rest: LineCells<'a>,
}

impl RowLine<'_> {
    fn next<T, E: std::fmt::Display>(
        &mut self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, String> {
        let name = self.header.next().unwrap_or_default();
        let cell = self.rest.next().ok_or_else(|| format!("{name} is missing"))??;
        read(&cell).map_err(|error| format!("{name} cannot be read, was \"{}\": {error}", short(&cell)))
    }

    fn number(&mut self) -> Result<f64, String> {
        let kind = self.kind;
        self.next(|cell| {
            let number = number::read(cell).unwrap_or(f64::NAN);
            kind.check(number).map(|()| number).map_err(|rule| format!("numbers {rule}"))
        })
    }
}
