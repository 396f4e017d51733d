//! Alpaca's history on disk: what is missing is downloaded, what is there is kept and never asked for again.
//!
//! A download may end at any instant, by force too: a file has its name only once it is whole, and the next download
//! goes on with the first day that is not there.

mod fetch;
mod gaps;
mod pages;
mod series;
mod source;

use std::path::PathBuf;

use thiserror::Error;

use crate::broker::BrokerError;
use crate::broker::alpaca::AlpacaConfigError;
use crate::clock::Timestamp;
use crate::symbol::Symbol;

pub use fetch::{Access, DownloadProgress, Fetched, fetch};
pub use gaps::{GapReport, SessionGap, report};
pub use series::{DownloadSeries, SeriesFile};
pub use source::{open, open_with};

/// Why a download ended before its end.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// What is asked for does not exist at Alpaca.
    #[error("{0}")]
    Settings(String),
    /// Keys or addresses.
    #[error(transparent)]
    Config(#[from] AlpacaConfigError),
    /// The broker does not answer, or refuses.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
    /// Rows that do not follow each other: no file made of them could be trusted.
    #[error("rows of {symbol} must come in order of time, {at} came after {last}")]
    Disorder {
        /// Whose.
        symbol: Symbol,
        /// The row's time.
        at: Timestamp,
        /// The time of the row before it.
        last: Timestamp,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file in the cache is none that was downloaded.
    #[error("{}:{line}: {fault}; remove the file to download it again", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// The rule, then the value.
        fault: String,
    },
}
