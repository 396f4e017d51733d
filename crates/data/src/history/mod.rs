//! What the market showed, kept in files: a recorder while it happens, a reader that gives it back in order.
//!
//! A directory holds one file per kind and New York day, such as `quotes-2026-11-20.csv`. A line is written whole or, in
//! a crash, torn at the end of its file; the recorder cuts a torn line off before it goes on. A file that is done may be
//! turned into a Parquet file of the same stem; not before, since a Parquet file without its end cannot be read.

mod file;
mod lines;
mod outcomes;
mod parquet;
mod reader;
mod recorder;
mod row;
mod rules;
pub mod session;
mod turn;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use reader::{History, OnFault, read};
pub use recorder::{RecordFormat, Recorder};

/// Why events cannot be written or read.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The system refuses a file or directory.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The directory holds no file of events.
    #[error("{} must hold quotes-, trades- or bars-YYYY-MM-DD.csv or .parquet, held none", .0.display())]
    Empty(PathBuf),
    /// A file cannot be read or written as what it is.
    #[error("{}: {fault}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The rule and what broke it.
        fault: String,
    },
    /// A line, or a row of a Parquet file, cannot be read.
    #[error("{}:{line}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1; a CSV file's header is line 1.
        line: u64,
        /// The rule and what broke it.
        fault: String,
    },
}

impl HistoryError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }

    fn file<E: std::fmt::Display>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        move |error| Self::File { path: path.into(), fault: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
