//! What is asked of a data source: where it comes from, what its rows are, what becomes of bad ones.

use std::path::PathBuf;

use chrono_tz::Tz;

use super::RowKind;
use bot_core::clock::Timestamp;
use bot_core::symbol::Symbol;

/// One data source, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name in the manifest: `[data.NAME]`.
    pub name: String,
    /// Where its events come from.
    pub origin: Origin,
    /// Of what; for numbers, the name of the series. A recorded session has its own; then this one is the first of `only`.
    pub symbol: Symbol,
    /// What each row is; a recorded session has its own.
    pub row_kind: RowKind,
    /// Events known before this are left out.
    pub from: Option<Timestamp>,
    /// Events known at this or later are left out.
    pub to: Option<Timestamp>,
    /// What becomes of a row that cannot be read, stands out of order, or is there twice.
    pub on_bad_row: OnBadRow,
    /// What becomes of missing bars.
    pub on_gap: OnGap,
    /// A file (`.csv` or `.parquet`) that the events are saved to as well.
    pub save: Option<PathBuf>,
}

impl Spec {
    /// All of an origin's events; a bad row ends the reading, gaps stay, nothing is saved.
    pub fn strict(origin: Origin, symbol: Symbol, row_kind: RowKind) -> Self {
        Self {
            name: symbol.as_str().to_ascii_lowercase(),
            origin,
            symbol,
            row_kind,
            from: None,
            to: None,
            on_bad_row: OnBadRow::default(),
            on_gap: OnGap::default(),
            save: None,
        }
    }
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// CSV files, read one after the other as if they were one.
    Csv {
        /// In order of time.
        paths: Vec<PathBuf>,
        /// Which column is what.
        columns: Columns,
        /// Of times without an offset.
        timezone: Tz,
    },
    /// Parquet files, read one after the other as if they were one.
    Parquet {
        /// In order of time.
        paths: Vec<PathBuf>,
        /// Which column is what.
        columns: Columns,
        /// Of times without an offset.
        timezone: Tz,
    },
    /// A directory that `bot run --record` wrote.
    Recorded {
        /// The directory.
        path: PathBuf,
        /// Only these symbols; empty for all.
        only: Vec<Symbol>,
    },
    /// Alpaca's history, downloaded once and kept.
    Alpaca {
        /// Where downloads are kept.
        cache: PathBuf,
        /// Which feed, such as `iex` or `sip`.
        feed: String,
        /// `raw`, `split`, `dividend` or `all`.
        adjustment: String,
    },
    /// A seeded random walk.
    Generator(Walk),
}

/// Which column is what: a name of the header, or a number from 1 where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// False when the first line is data; columns are then given by number.
    pub has_header: bool,
    /// The field's name (`time`, `open`, `bid`, `price`, `value` ...) and the column's; fields not named here go by
    /// the usual names of their column.
    pub named: Vec<(String, String)>,
}

/// A seeded random walk of prices: log returns are normal, each bar's path has several steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walk {
    /// The same seed gives the same rows.
    pub seed: u64,
    /// How many rows.
    pub rows: u64,
    /// The first row's time.
    pub start: Timestamp,
    /// The first price, US dollars.
    pub price: f64,
    /// Standard deviation of a year's log return.
    pub volatility: f64,
    /// Mean of a year's log return.
    pub drift: f64,
    /// Whether rows fall into the exchange's sessions only; else the clock runs day and night.
    pub in_sessions: bool,
}

/// What becomes of a row that cannot be read, stands out of order, or is there twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnBadRow {
    /// The reading ends with it.
    #[default]
    Error,
    /// It is reported, counted and left out.
    Skip,
}

/// What becomes of missing bars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnGap {
    /// They are reported and stay missing.
    #[default]
    Keep,
    /// Each is put in: flat at the last close, volume 0.
    Fill,
}
