//! One event as one line, so that it reads back to the same bits. Pure.

use std::fmt::Write;
use std::time::Duration;

use chrono::SecondsFormat;

use super::file::{Kind, own_time};
use crate::clock::Timestamp;
use crate::market::{Bar, MarketEvent, Number, Quote, Trade};

/// Appends the event's line with its line feed. Times have nanoseconds; numbers have as many digits as they need.
pub(super) fn write(event: &MarketEvent, line: &mut String) {
    let time = own_time(event).to_utc().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let written = match event {
        MarketEvent::Quote { symbol, quote: Quote { bid, bid_size, ask, ask_size, .. } } => {
            writeln!(line, "{time},{symbol},{bid},{bid_size},{ask},{ask_size}")
        }
        MarketEvent::Trade { symbol, trade: Trade { price, size, .. } } => {
            writeln!(line, "{time},{symbol},{price},{size}")
        }
        MarketEvent::Bar { symbol, bar: Bar { open, high, low, close, volume, .. }, span } => {
            writeln!(line, "{time},{symbol},{},{open},{high},{low},{close},{volume}", span.as_nanos())
        }
        MarketEvent::Number { symbol, number: Number { value, .. } } => {
            writeln!(line, "{time},{symbol},{value}")
        }
    };
    written.unwrap_or_else(|_| unreachable!("a string takes all"));
}

/// Reads what [`write`] wrote, without the line feed.
///
/// # Errors
/// The rule that the line breaks and what it was.
pub(super) fn parse(kind: Kind, line: &str) -> Result<MarketEvent, String> {
    let mut cells = Cells { kind, header: kind.header().split(','), rest: line.split(',') };
    let at = cells.next(Timestamp::parse_rfc3339)?;
    let symbol = cells.next(str::parse)?;
    let event = match kind {
        Kind::Quotes => MarketEvent::Quote {
            symbol,
            quote: Quote {
                at,
                bid: cells.number()?,
                bid_size: cells.number()?,
                ask: cells.number()?,
                ask_size: cells.number()?,
            },
        },
        Kind::Trades => {
            MarketEvent::Trade { symbol, trade: Trade { at, price: cells.number()?, size: cells.number()? } }
        }
        Kind::Bars => {
            let span = Duration::from_nanos(cells.next(str::parse)?);
            let bar = Bar {
                at,
                open: cells.number()?,
                high: cells.number()?,
                low: cells.number()?,
                close: cells.number()?,
                volume: cells.number()?,
            };
            MarketEvent::Bar { symbol, bar, span }
        }
        Kind::Numbers => MarketEvent::Number { symbol, number: Number { at, value: cells.number()? } },
    };
    match cells.rest.next() {
        None => Ok(event),
        Some(more) => Err(format!("line must end after {}, went on with \"{more}\"", kind.header())),
    }
}

struct Cells<'a> {
    kind: Kind,
    header: std::str::Split<'static, char>,
    rest: std::str::Split<'a, char>,
}

impl<'a> Cells<'a> {
    fn next<T, E: std::fmt::Display>(&mut self, read: impl Fn(&'a str) -> Result<T, E>) -> Result<T, String> {
        let name = self.header.next().unwrap_or_default();
        let cell = self.rest.next().ok_or_else(|| format!("{name} is missing"))?;
        let short = || cell.chars().take(40).collect::<String>();
        read(cell).map_err(|error| format!("{name} cannot be read, was \"{}\": {error}", short()))
    }

    fn number(&mut self) -> Result<f64, String> {
        let kind = self.kind;
        self.next(|cell| {
            let number = cell.parse().unwrap_or(f64::NAN);
            kind.check(number).map(|()| number).map_err(|rule| format!("numbers {rule}"))
        })
    }
}
