//! Market events as rows: a time and up to five numbers, whatever the event is.

use std::time::Duration;

use super::{Bar, MarketEvent, Number, Quote, Trade};
use crate::clock::Timestamp;
use crate::symbol::Symbol;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// Open, high, low, close, volume of a span; a row's time is the span's start.
    Bar {
        /// How long each bar is.
        span: Duration,
    },
    /// Bid, bid size, ask, ask size.
    Quote,
    /// Price, size.
    Trade,
    /// A number.
    Number,
}

/// A time and up to five numbers: compact, so that what is loaded costs 48 bytes an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The event's own time: a bar's is the start of its span.
    pub at: Timestamp,
    /// In the order that [`RowKind`] names them; the rest is 0.
    pub values: [f64; 5],
}

impl Row {
    /// The row as an event.
    #[inline]
    pub fn event(&self, symbol: Symbol, row_kind: RowKind) -> MarketEvent {
        let (at, [one, two, three, four, five]) = (self.at, self.values);
        match row_kind {
            RowKind::Bar { span } => MarketEvent::Bar {
                symbol,
                bar: Bar { at, open: one, high: two, low: three, close: four, volume: five },
                span,
            },
            RowKind::Quote => MarketEvent::Quote {
                symbol,
                quote: Quote { at, bid: one, bid_size: two, ask: three, ask_size: four },
            },
            RowKind::Trade => MarketEvent::Trade { symbol, trade: Trade { at, price: one, size: two } },
            RowKind::Number => MarketEvent::Number { symbol, number: Number { at, value: one } },
        }
    }
}

impl MarketEvent {
    /// The event as symbol, shape and row: the other way round than [`Row::event`].
    pub fn to_row(&self) -> (Symbol, RowKind, Row) {
        match self {
            MarketEvent::Quote { symbol, quote } => {
                let values = [quote.bid, quote.bid_size, quote.ask, quote.ask_size, 0.0];
                (*symbol, RowKind::Quote, Row { at: quote.at, values })
            }
            MarketEvent::Trade { symbol, trade } => (
                *symbol,
                RowKind::Trade,
                Row { at: trade.at, values: [trade.price, trade.size, 0.0, 0.0, 0.0] },
            ),
            MarketEvent::Bar { symbol, bar, span } => {
                let values = [bar.open, bar.high, bar.low, bar.close, bar.volume];
                (*symbol, RowKind::Bar { span: *span }, Row { at: bar.at, values })
            }
            MarketEvent::Number { symbol, number } => {
                (*symbol, RowKind::Number, Row { at: number.at, values: [number.value, 0.0, 0.0, 0.0, 0.0] })
            }
        }
    }
}

impl RowKind {
    /// How many numbers such a row has.
    pub fn width(self) -> usize {
        match self {
            RowKind::Bar { .. } => 5,
            RowKind::Quote => 4,
            RowKind::Trade => 2,
            RowKind::Number => 1,
        }
    }

    /// When a row of this shape with the time `at` is known: a bar at its end.
    #[inline]
    pub fn known_at(self, at: Timestamp) -> Timestamp {
        match self {
            RowKind::Bar { span } => at + span,
            RowKind::Quote | RowKind::Trade | RowKind::Number => at,
        }
    }
}
