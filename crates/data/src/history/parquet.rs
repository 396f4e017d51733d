//! One day of one kind as a Parquet file: the columns of the CSV file, times as instants, numbers to the bit.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HistoryError;
use super::file::FileKind;
use super::reader::SkippedFaults;
use crate::tabular::parquet::{self as columns, Content, Field, ParquetReader, StoredColumn, Text, Values};
use bot_core::clock::Timestamp;
use bot_core::clock::times::{Forms, Times};
use bot_core::market::{MarketEvent, Row, RowKind};

/// Rows that are held until they are written together: some ten megabytes.
const GROUP_ROWS: usize = 1 << 16;
/// Rows that are taken out of a file at once.
const BATCH_ROWS: usize = 4_096;
/// What the type of a column of times means in a file.
const INSTANT: &str = "Timestamp(TimestampType { is_adjusted_to_u_t_c: true, unit: NANOS })";
/// The kind with the most has so many numbers.
const NUMBERS: usize = 5;

/// Some rows, column by column; columns that the kind does not have are empty.
#[derive(Default)]
struct RowGroup {
    times: Vec<i64>,
    symbols: Vec<Text>,
    spans: Vec<i64>,
    numbers: [Vec<f64>; NUMBERS],
}

impl RowGroup {
    fn clear(&mut self) {
        self.times.clear();
        self.symbols.clear();
        self.spans.clear();
        self.numbers.iter_mut().for_each(Vec::clear);
    }
}

/// A file that is being written; it can be read once it is finished.
pub(super) struct DayWriter {
    kind: FileKind,
    path: PathBuf,
    file: columns::ParquetWriter<File>,
    columns: RowGroup,
}

impl DayWriter {
    /// Begins a file in place of what was there.
    pub(super) fn create(kind: FileKind, path: &Path) -> Result<Self, HistoryError> {
        let file = File::create(path).map_err(HistoryError::io(path))?;
        let fields: Vec<_> = fields(kind).collect();
        let file =
            columns::ParquetWriter::new(file, kind.name(), &fields).map_err(HistoryError::file(path))?;
        Ok(Self { kind, path: path.to_owned(), file, columns: RowGroup::default() })
    }

    /// Adds an event of the file's kind behind all others.
    pub(super) fn push(&mut self, event: &MarketEvent) -> Result<(), HistoryError> {
        let (symbol, row_kind, row) = event.to_row();
        let columns = &mut self.columns;
        columns.times.push(row.at.nanos());
        columns.symbols.push(Text::from(symbol.as_str()));
        if let RowKind::Bar { span } = row_kind {
            let span = i64::try_from(span.as_nanos()).map_err(|_| "span_ns must be below 2^63");
            columns.spans.push(span.map_err(HistoryError::file(&self.path))?);
        }
        columns
            .numbers
            .iter_mut()
            .zip(&row.values[..row_kind.width()])
            .for_each(|(column, number)| column.push(*number));
        if self.columns.times.len() < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    /// Writes what is held and the footer, and waits until the disk has all of it.
    pub(super) fn finish(mut self) -> Result<(), HistoryError> {
        if !self.columns.times.is_empty() {
            self.write_group()?;
        }
        let file = self.file.finish().map_err(HistoryError::file(&self.path))?;
        file.sync_all().map_err(HistoryError::io(&self.path))
    }

    fn write_group(&mut self) -> Result<(), HistoryError> {
        let RowGroup { times, symbols, spans, numbers } = &self.columns;
        let mut numbers = numbers.iter();
        let columns = fields(self.kind).map(|field| match field.content {
            Content::Times => Values::Wholes(times),
            Content::Texts => Values::Texts(symbols),
            Content::Wholes => Values::Wholes(spans),
            Content::Numbers => Values::Numbers(numbers.next().map_or(&[], Vec::as_slice)),
        });
        let written = self.file.group(columns.map(|values| (values, None)));
        written.map_err(HistoryError::file(&self.path))?;
        self.columns.clear();
        Ok(())
    }
}

/// A file that is being read, some thousand rows at a time.
#[derive(Debug)]
pub(super) struct Rows {
    kind: FileKind,
    path: PathBuf,
    reader: ParquetReader,
    times: Times,
    /// The next row of those that the reader has, and how many it has.
    place: usize,
    count: usize,
    /// The row that was read last, from 1.
    row: u64,
    broken: bool,
}

impl Rows {
    /// Opens a file that has a footer and the kind's columns.
    pub(super) fn open(kind: FileKind, path: &Path) -> Result<Self, HistoryError> {
        let file = File::open(path).map_err(HistoryError::io(path))?;
        let reader = ParquetReader::open(file, |stored| {
            let (expected, found) = (expected(kind), described(stored));
            if found != expected {
                return Err(format!("columns must be \"{expected}\", were \"{found}\""));
            }
            Ok(fields(kind).map(|field| field.content).enumerate().collect())
        });
        let (reader, path) = (reader.map_err(HistoryError::file(path))?, path.to_owned());
        let times = Times::new(Forms::Instants, chrono_tz::UTC);
        Ok(Self { kind, path, reader, times, place: 0, count: 0, row: 0, broken: false })
    }

    /// The next event and its row, from 1; `None` at the end of the file. A broken file ends where it is broken.
    pub(super) fn next(
        &mut self,
        faults: &mut SkippedFaults,
    ) -> Result<Option<(u64, MarketEvent)>, HistoryError> {
        while !self.broken {
            if self.place == self.count {
                match self.reader.next(BATCH_ROWS) {
                    Ok(0) => return Ok(None),
                    Ok(count) => (self.place, self.count) = (0, count),
                    Err(error) => {
                        self.broken = true;
                        let fault = format!("cannot be read after row {}: {error}", self.row);
                        faults.take(HistoryError::File { path: self.path.clone(), fault })?;
                        continue;
                    }
                }
            }
            self.row += 1;
            let event = self.event(self.place);
            self.place += 1;
            match event {
                Ok(event) => return Ok(Some((self.row, event))),
                Err(fault) => {
                    faults.take(HistoryError::Line { path: self.path.clone(), line: self.row, fault })?;
                }
            }
        }
        Ok(None)
    }

    fn event(&mut self, place: usize) -> Result<MarketEvent, String> {
        let (mut at, mut symbol, mut span) = (Timestamp::default(), "", 0);
        let (mut numbers, mut count) = ([0.0; NUMBERS], 0);
        for (field, column) in fields(self.kind).zip(self.reader.columns()) {
            match field.content {
                Content::Times => at = column.time(place, &mut self.times)?,
                Content::Texts => symbol = column.text(place).ok_or("symbol must be UTF-8, was not")?,
                Content::Wholes => span = column.whole(place),
                Content::Numbers => {
                    let number = column.numbers()[place];
                    let name = field.name;
                    self.kind.check(number).map_err(|rule| format!("{name} {rule}, was {number}"))?;
                    numbers[count] = number;
                    count += 1;
                }
            }
        }
        let symbol = symbol.parse().map_err(|error| format!("symbol cannot be read: {error}"))?;
        let span = u64::try_from(span).map_err(|_| format!("span_ns must be 0 or more, was {span}"))?;
        let row = Row { at, values: numbers };
        Ok(row.event(symbol, self.kind.row_kind(Duration::from_nanos(span))))
    }
}

/// The columns of a kind, in the order of its header.
fn fields(kind: FileKind) -> impl Iterator<Item = Field<'static>> {
    kind.header().split(',').map(|name| {
        let content = match name {
            "time" => Content::Times,
            "symbol" => Content::Texts,
            "span_ns" => Content::Wholes,
            _ => Content::Numbers,
        };
        Field { name, content, is_optional: false }
    })
}

/// What must be as expected, so that the rows can be read.
fn described(stored: &[StoredColumn]) -> String {
    let column = |column: &StoredColumn| match column.name.as_str() {
        "time" => format!("{} time {}", column.kind, column.meaning),
        name => format!("{} {name}", column.kind),
    };
    stored.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// [`described`] of a file that [`DayWriter`] wrote.
fn expected(kind: FileKind) -> String {
    let column = |field: Field<'_>| match field.content {
        Content::Times => format!("required INT64 time {INSTANT}"),
        Content::Texts => format!("required BYTE_ARRAY {}", field.name),
        Content::Wholes => format!("required INT64 {}", field.name),
        Content::Numbers => format!("required DOUBLE {}", field.name),
    };
    fields(kind).map(column).collect::<Vec<_>>().join(", ")
}
