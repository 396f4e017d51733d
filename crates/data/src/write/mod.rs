//! Events as a file that reads back to the same bits: CSV or Parquet, by the file's name.

mod csv;
mod parquet;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono_tz::Tz;

use super::{Chunk, DataError, ReadReport, Row, RowKind, Source};
use bot_core::symbol::Symbol;

/// What a file is, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.csv`
    Csv,
    /// `.parquet`
    Parquet,
}

impl Format {
    /// From a file's name.
    ///
    /// # Errors
    /// Any other ending.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        let ending =
            path.extension().map(|ending| ending.to_ascii_lowercase().to_string_lossy().into_owned());
        match ending.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            Some(_) | None => {
                let fault = "a data file's name must end in .csv or .parquet".to_owned();
                Err(DataError::Row { path: path.to_owned(), line: 0, fault })
            }
        }
    }
}

/// A file that is being written beside its place; it takes its place when it is whole.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    row_kind: RowKind,
    /// Of the events so far.
    symbol: Option<Symbol>,
    form: Option<FormatWriter>,
}

enum FormatWriter {
    Csv(csv::CsvRows),
    Parquet(parquet::ParquetRows),
}

impl Writer {
    /// Begins a file of one symbol's events of one shape. A CSV file's times are UTC with a `Z`, or by the clock of
    /// `timezone` without an offset; a Parquet file's are instants.
    ///
    /// # Errors
    /// A name that ends in neither `.csv` nor `.parquet`, or a place that cannot be written to.
    pub fn create(path: &Path, row_kind: RowKind, timezone: Option<Tz>) -> Result<Self, DataError> {
        let format = Format::of(path)?;
        let mut name = OsString::from(path);
        name.push(".partial");
        let partial = PathBuf::from(name);
        let file = fs::File::create(&partial).map_err(io(&partial))?;
        let form = match format {
            Format::Csv => {
                FormatWriter::Csv(csv::CsvRows::new(file, row_kind, timezone).map_err(io(&partial))?)
            }
            Format::Parquet => {
                FormatWriter::Parquet(parquet::ParquetRows::new(file, row_kind).map_err(fault(&partial))?)
            }
        };
        Ok(Self { path: path.to_owned(), partial, row_kind, symbol: None, form: Some(form) })
    }

    /// Writes a chunk behind all others.
    ///
    /// # Errors
    /// Events of another symbol or shape, for which the file has no columns, or a disk that refuses.
    pub fn push(&mut self, chunk: &Chunk) -> Result<(), DataError> {
        match chunk {
            Chunk::Rows { symbol, row_kind, rows } => {
                self.must_fit(*symbol, *row_kind)?;
                self.rows(rows)
            }
            Chunk::Mixed(events) => {
                let mut rows = Vec::with_capacity(events.len());
                for event in events {
                    let (symbol, row_kind, row) = event.to_row();
                    self.must_fit(symbol, row_kind)?;
                    rows.push(row);
                }
                self.rows(&rows)
            }
        }
    }

    /// Writes what is held back, waits until the disk has all of it, and puts the file in its place.
    ///
    /// # Errors
    /// A disk that refuses; what stood in that place stays.
    pub fn finish(mut self) -> Result<(), DataError> {
        let file = match self.form.take() {
            Some(FormatWriter::Csv(writer)) => writer.finish().map_err(io(&self.partial))?,
            Some(FormatWriter::Parquet(writer)) => writer.finish().map_err(fault(&self.partial))?,
            None => return Ok(()),
        };
        file.sync_all().map_err(io(&self.partial))?;
        fs::rename(&self.partial, &self.path).map_err(io(&self.path))
    }

    fn rows(&mut self, rows: &[Row]) -> Result<(), DataError> {
        match &mut self.form {
            Some(FormatWriter::Csv(writer)) => writer.rows(rows).map_err(io(&self.partial)),
            Some(FormatWriter::Parquet(writer)) => writer.rows(rows).map_err(fault(&self.partial)),
            None => Ok(()),
        }
    }

    fn must_fit(&mut self, symbol: Symbol, row_kind: RowKind) -> Result<(), DataError> {
        let of = *self.symbol.get_or_insert(symbol);
        if (symbol, row_kind) == (of, self.row_kind) {
            return Ok(());
        }
        let (expected, found) = (name(self.row_kind), name(row_kind));
        let rule = format!("a file must hold {expected} of one symbol, {of}, was given {found} of {symbol}");
        Err(DataError::Row { path: self.path.clone(), line: 0, fault: rule })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Not finished: half a file helps nobody, and there may be none.
        if self.form.take().is_some() {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

impl fmt::Debug for FormatWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FormatWriter::Csv(_) => "Csv",
            FormatWriter::Parquet(_) => "Parquet",
        })
    }
}

/// Writes all of `source` to a file, as [`Writer`] does; what the source found while it was read.
///
/// # Errors
/// Those of the source and of the [`Writer`].
pub fn write(
    path: &Path,
    row_kind: RowKind,
    timezone: Option<Tz>,
    source: &mut dyn Source,
) -> Result<ReadReport, DataError> {
    let mut writer = Writer::create(path, row_kind, timezone)?;
    while let Some(chunk) = source.next_chunk()? {
        writer.push(&chunk)?;
    }
    writer.finish()?;
    Ok(source.report())
}

/// A source whose events are written to a file as they are given; the file is there when the source is at its end.
pub(super) struct Saving {
    source: Box<dyn Source>,
    writer: Option<Writer>,
}

impl Saving {
    pub(super) fn new(source: Box<dyn Source>, row_kind: RowKind, path: &Path) -> Result<Self, DataError> {
        Ok(Self { source, writer: Some(Writer::create(path, row_kind, None)?) })
    }
}

impl Source for Saving {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let next = self.source.next_chunk();
        match (&next, self.writer.take()) {
            (Ok(Some(chunk)), Some(mut writer)) => {
                writer.push(chunk)?;
                self.writer = Some(writer);
            }
            (Ok(None), Some(writer)) => writer.finish()?,
            (Err(_), _) | (Ok(_), None) => {}
        }
        next
    }

    fn report(&self) -> ReadReport {
        self.source.report()
    }
}

/// What a file of the shape holds.
fn name(row_kind: RowKind) -> String {
    match row_kind {
        RowKind::Bar { span } => format!("bars of {}", bot_core::duration::format(span)),
        RowKind::Quote => "quotes".to_owned(),
        RowKind::Trade => "trades".to_owned(),
        RowKind::Number => "numbers".to_owned(),
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Io { path, source }
}

fn fault<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> DataError {
    let path = path.to_owned();
    move |error| DataError::Row { path, line: 0, fault: error.to_string() }
}
