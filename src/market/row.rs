//! Market events as rows: a time and up to five numbers, whatever the event is.

use std::time::Duration;

use super::{Bar, MarketEvent, Number, Quote, Trade};
use crate::clock::Timestamp;
use crate::symbol::Symbol;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
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
    /// In the order that [`Shape`] names them; the rest is 0.
    pub values: [f64; 5],
}

impl Row {
    /// The row as an event.
    #[inline]
    pub fn event(&self, symbol: Symbol, shape: Shape) -> MarketEvent {
        let (at, [one, two, three, four, five]) = (self.at, self.values);
        match shape {
            Shape::Bar { span } => MarketEvent::Bar {
                symbol,
                bar: Bar { at, open: one, high: two, low: three, close: four, volume: five },
                span,
            },
            Shape::Quote => MarketEvent::Quote {
                symbol,
                quote: Quote { at, bid: one, bid_size: two, ask: three, ask_size: four },
            },
            Shape::Trade => MarketEvent::Trade { symbol, trade: Trade { at, price: one, size: two } },
            Shape::Number => MarketEvent::Number { symbol, number: Number { at, value: one } },
        }
    }
}

impl MarketEvent {
    /// The event as symbol, shape and row: the other way round than [`Row::event`].
    pub fn to_row(&self) -> (Symbol, Shape, Row) {
        match self {
            MarketEvent::Quote { symbol, quote } => {
                let values = [quote.bid, quote.bid_size, quote.ask, quote.ask_size, 0.0];
                (*symbol, Shape::Quote, Row { at: quote.at, values })
            }
            MarketEvent::Trade { symbol, trade } => (
                *symbol,
                Shape::Trade,
                Row { at: trade.at, values: [trade.price, trade.size, 0.0, 0.0, 0.0] },
            ),
            MarketEvent::Bar { symbol, bar, span } => {
                let values = [bar.open, bar.high, bar.low, bar.close, bar.volume];
                (*symbol, Shape::Bar { span: *span }, Row { at: bar.at, values })
            }
            MarketEvent::Number { symbol, number } => {
                (*symbol, Shape::Number, Row { at: number.at, values: [number.value, 0.0, 0.0, 0.0, 0.0] })
            }
        }
    }
}

impl Shape {
    /// How many numbers such a row has.
    pub fn width(self) -> usize {
        match self {
            Shape::Bar { .. } => 5,
            Shape::Quote => 4,
            Shape::Trade => 2,
            Shape::Number => 1,
        }
    }

    /// When a row of this shape with the time `at` is known: a bar at its end.
    #[inline]
    pub fn known_at(self, at: Timestamp) -> Timestamp {
        match self {
            Shape::Bar { span } => at + span,
            Shape::Quote | Shape::Trade | Shape::Number => at,
        }
    }
}
