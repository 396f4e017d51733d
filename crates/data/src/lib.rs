//! Data events: rows of history from files, recordings, the broker or a seeded generator, streamed in chunks.
//!
//! A source gives its rows in order of time, some thousand at a time, so that data of any length runs in bounded memory.
//!
//! ```rust
//! use std::time::Duration;
//!
//! use bot_core::clock::Timestamp;
//! use bot_core::market::RowKind;
//! use bot_data::spec::Walk;
//! use bot_data::{Origin, Spec, open};
//!
//! let start = Timestamp::parse_rfc3339("2026-01-05T14:30:00Z")?; // A session opens.
//! let walk = Walk { seed: 7, rows: 390, start, price: 100.0, volatility: 0.4, drift: 0.0, in_sessions: true };
//! let minute = RowKind::Bar { span: Duration::from_mins(1) };
//! let mut source = open(&Spec::strict(Origin::Generator(walk), "NVDA".parse()?, minute))?;
//!
//! let mut highest = 0.0_f64;
//! while let Some(chunk) = source.next_chunk()? {
//!     highest = chunk.events().map(|event| event.price()).fold(highest, f64::max);
//! }
//! assert!(highest >= 100.0);
//! assert_eq!(source.report().events, 390);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cells;
mod columns;
mod csv;
pub mod digest;
mod gaps;
mod generator;
pub mod history;
pub mod loaded;
mod parquet;
pub mod queue;
mod recorded;
mod row_checker;
pub mod spec;
pub mod tabular;
mod timeframe;
pub mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono_tz::Tz;
use thiserror::Error;

use crate::history::HistoryError;
use bot_core::clock::Timestamp;
use bot_core::market::{Bar, MarketEvent};
use bot_core::symbol::Symbol;

use csv::Csv;
use generator::Generator;
use parquet::Parquet;
use recorded::RecordedEvents;
use row_checker::CheckedSource;
use spec::Columns;
use write::Saving;

pub use bot_core::market::{Row, RowKind};
pub use digest::Digest;
pub use loaded::Loaded;
pub use spec::{OnBadRow, OnGap, Origin, Spec};
pub use write::{Format, Writer, write};

/// Some events of one source, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// All of one symbol and one shape.
    Rows {
        /// Of what.
        symbol: Symbol,
        /// What each row is.
        row_kind: RowKind,
        /// The rows.
        rows: Vec<Row>,
    },
    /// Of several symbols or shapes, as a recorded session has them.
    Mixed(Vec<MarketEvent>),
}

impl Chunk {
    /// How many events it holds.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Rows { rows, .. } => rows.len(),
            Chunk::Mixed(events) => events.len(),
        }
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its events, in order of time.
    pub fn events(&self) -> impl Iterator<Item = MarketEvent> + '_ {
        let (rows, mixed) = match self {
            Chunk::Rows { symbol, row_kind, rows } => (Some((*symbol, *row_kind, rows)), &[][..]),
            Chunk::Mixed(events) => (None, &events[..]),
        };
        let rows = rows
            .into_iter()
            .flat_map(|(symbol, row_kind, rows)| rows.iter().map(move |row| row.event(symbol, row_kind)));
        rows.chain(mixed.iter().copied())
    }
}

/// What a source read so far, and what it found wrong on the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadReport {
    /// Events given.
    pub events: u64,
    /// Bytes read of files; 0 for what is no file.
    pub bytes: u64,
    /// When the first event given was known.
    pub first: Option<Timestamp>,
    /// When the last event given was known.
    pub last: Option<Timestamp>,
    /// Rows left out, by policy.
    pub skipped: u64,
    /// Bars put in where some were missing, by policy.
    pub filled: u64,
    /// Bars missing within sessions that had others.
    pub missing: u64,
    /// The first faults and gaps in words, each with file and line; at most [`NOTES_MAX`].
    pub notes: Vec<String>,
}

/// So many faults and gaps are kept in words; all are counted.
pub const NOTES_MAX: usize = 100;

/// Events of one origin, in order of [`MarketEvent::known_at`].
pub trait Source: Send {
    /// The next events, never empty; `None` at the end. After an error there is nothing more.
    ///
    /// # Errors
    /// A file that cannot be read, or a row that breaks a rule where the policy refuses it.
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError>;

    /// What was read so far.
    fn report(&self) -> ReadReport;
}

/// Opens a source as a spec asks for it.
pub type Open = fn(&Spec) -> Result<Box<dyn Source>, DataError>;

static ALPACA: OnceLock<Open> = OnceLock::new();

/// Registers who opens Alpaca's history, which needs a network; the first one stays.
pub fn register_alpaca(open: Open) {
    ALPACA.get_or_init(|| open);
}

/// Begins to read what `spec` asks for.
///
/// # Errors
/// A file that is not there or cannot be opened; faults within files come while they are read.
pub fn open(spec: &Spec) -> Result<Box<dyn Source>, DataError> {
    let source: Box<dyn Source> = match &spec.origin {
        Origin::Csv { paths, columns, timezone } => {
            must_exist(spec, paths)?;
            Box::new(CheckedSource::new(Csv::new(paths, columns, *timezone), spec))
        }
        Origin::Parquet { paths, columns, timezone } => {
            must_exist(spec, paths)?;
            Box::new(CheckedSource::new(Parquet::new(paths, columns, *timezone), spec))
        }
        Origin::Recorded { path, only } => {
            must_exist(spec, std::slice::from_ref(path))?;
            Box::new(RecordedEvents::open(path, only, spec)?)
        }
        Origin::Generator(walk) => Box::new(CheckedSource::new(Generator::new(walk), spec)),
        Origin::Alpaca { .. } => match ALPACA.get() {
            Some(open) => open(spec)?,
            None => return Err(DataError::NoBroker { name: spec.name.clone(), kind: "alpaca" }),
        },
    };
    Ok(match &spec.save {
        None => source,
        Some(path) => Box::new(Saving::new(source, spec.row_kind, path)?),
    })
}

/// All bars of a CSV file as they stand, however long each of them is; times without an offset are by the clock of `zone`.
///
/// # Errors
/// As [`open`] and its source: a file that cannot be opened, or a row that breaks a rule.
pub fn bars(path: &Path, symbol: Symbol, zone: Tz) -> Result<Vec<Bar>, DataError> {
    let columns = Columns { has_header: true, named: Vec::new() };
    let mut source = CheckedSource::undeclared(Csv::new(&[path.to_owned()], &columns, zone), symbol);
    let mut bars = Vec::new();
    while let Some(chunk) = source.next_chunk()? {
        bars.extend(chunk.events().filter_map(|event| match event {
            MarketEvent::Bar { bar, .. } => Some(bar),
            MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. } => None,
        }));
    }
    Ok(bars)
}

/// What the rows of a CSV file are by its header: trades where it has their columns and not those of bars, else bars.
///
/// # Errors
/// A file that cannot be opened or read.
pub fn row_kind_of(path: &Path, span: Duration) -> Result<RowKind, DataError> {
    csv::row_kind_of(path, span).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

/// Bytes of the files that `spec` reads; 0 for what is no file.
pub fn size(spec: &Spec) -> u64 {
    match &spec.origin {
        Origin::Csv { paths, .. } | Origin::Parquet { paths, .. } => {
            paths.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum()
        }
        Origin::Recorded { .. } | Origin::Alpaca { .. } | Origin::Generator(_) => 0,
    }
}

fn must_exist(spec: &Spec, paths: &[PathBuf]) -> Result<(), DataError> {
    match paths.iter().find(|path| !path.exists()) {
        None => Ok(()),
        Some(path) => Err(DataError::NotFound { name: spec.name.clone(), path: path.clone() }),
    }
}

/// Why data cannot be had.
#[derive(Debug, Error)]
pub enum DataError {
    /// There is no such file.
    #[error("data \"{name}\": file must exist, was \"{}\"", path.display())]
    NotFound {
        /// The source's name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A row breaks a rule, or a file is not what it is said to be (line 0: the file as a whole).
    #[error("{}{}: {fault}", path.display(), if *line > 0 { format!(":{line}") } else { String::new() })]
    Row {
        /// The file.
        path: PathBuf,
        /// From 1; a CSV header is line 1.
        line: u64,
        /// The rule, then the value.
        fault: String,
    },
    /// A recorded session cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The broker's history cannot be had, as the broker's own source says it.
    #[error(transparent)]
    Broker(Box<dyn std::error::Error + Send + Sync>),
    /// Nobody registered a source for the broker's history.
    #[error("data \"{name}\": this program has no source of kind {kind}")]
    NoBroker {
        /// The source's name.
        name: String,
        /// The kind that is written.
        kind: &'static str,
    },
}

#[cfg(test)]
mod tests;
