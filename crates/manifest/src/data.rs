//! `[data.NAME]`: sources of data events, in the order of the text.

mod read;

use std::fmt;

use super::{KeyLine, SummaryPart};
use bot_core::symbol::Symbol;
use bot_data::{RowKind, Spec};

pub(super) use read::read_all;

/// The kinds of source there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// CSV files.
    Csv,
    /// Parquet files.
    Parquet,
    /// Alpaca's history, downloaded once and kept.
    Alpaca,
    /// A directory that `bot run --record` wrote.
    Recorded,
    /// A seeded random walk.
    Generator,
    /// The broker's live feed, or numbers of a Redis stream; there is no history.
    Redis,
}

/// What a row is, by name; a bar's span is another key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EventKind {
    /// Open, high, low, close, volume.
    #[default]
    Bar,
    /// One print on the tape.
    Trade,
    /// Bid and ask.
    Quote,
    /// A number.
    Number,
}

/// One source.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSection {
    /// Its name, by which strategies and the statistics call it.
    pub name: String,
    /// Which kind.
    pub kind: DataKind,
    /// Of what it tells; a recording may tell of more when this is empty.
    pub symbols: Vec<Symbol>,
    /// What each row is; a recording's events are of their own shapes.
    pub row_kind: RowKind,
    /// The Redis stream that its numbers come from; of [`DataKind::Redis`] with numbers only, and always there.
    pub stream: Option<String>,
    /// What is asked of it; none for [`DataKind::Redis`], which has no history.
    pub spec: Option<Spec>,
    lines: Vec<KeyLine>,
}

const KINDS: [(&str, DataKind); 6] = [
    ("csv", DataKind::Csv),
    ("parquet", DataKind::Parquet),
    ("alpaca", DataKind::Alpaca),
    ("recorded", DataKind::Recorded),
    ("generator", DataKind::Generator),
    ("redis", DataKind::Redis),
];
impl DataKind {
    /// The name in manifests.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for DataKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl EventKind {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bar => "bar",
            Self::Trade => "trade",
            Self::Quote => "quote",
            Self::Number => "number",
        }
    }

    /// The fields of a row, by the names that `columns` knows.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Bar => &["time", "open", "high", "low", "close", "volume"],
            Self::Trade => &["time", "price", "size"],
            Self::Quote => &["time", "bid", "bid_size", "ask", "ask_size"],
            Self::Number => &["time", "value"],
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl DataSection {
    /// Whether it tells prices: everything but plain numbers does.
    pub fn is_priced(&self) -> bool {
        self.row_kind != RowKind::Number
    }

    /// How long its bars are, where it is of bars.
    pub fn timeframe(&self) -> Option<std::time::Duration> {
        match self.row_kind {
            RowKind::Bar { span } => Some(span),
            RowKind::Quote | RowKind::Trade | RowKind::Number => None,
        }
    }

    pub(super) fn describe(&self) -> SummaryPart {
        SummaryPart { name: format!("data.{}", self.name).into(), lines: self.lines.clone() }
    }
}
