//! One day of one kind as a Parquet file: the columns of the CSV file, times as instants, numbers to the bit.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parquet::basic::{Compression, Encoding};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescriptor, ColumnPath, SchemaDescriptor};

use super::HistoryError;
use super::file::{Kind, own_time};
use super::reader::Faults;
use crate::clock::Timestamp;
use crate::market::{Bar, MarketEvent, Number, Quote, Trade};

/// Rows that are held until they are written together: some ten megabytes.
const GROUP_ROWS: usize = 1 << 16;
/// Rows that are taken out of a file at once.
const BATCH_ROWS: usize = 4_096;
/// The kind with the most has so many numbers.
const NUMBERS: usize = 5;

/// Some rows, column by column; columns that the kind does not have are empty.
#[derive(Default)]
struct Columns {
    times: Vec<i64>,
    symbols: Vec<ByteArray>,
    spans: Vec<i64>,
    numbers: [Vec<f64>; NUMBERS],
}

impl Columns {
    fn clear(&mut self) {
        self.times.clear();
        self.symbols.clear();
        self.spans.clear();
        self.numbers.iter_mut().for_each(Vec::clear);
    }
}

/// A file that is being written; it can be read once it is finished.
pub(super) struct Writer {
    kind: Kind,
    path: PathBuf,
    file: SerializedFileWriter<File>,
    columns: Columns,
}

impl Writer {
    /// Begins a file in place of what was there.
    pub(super) fn create(kind: Kind, path: &Path) -> Result<Self, HistoryError> {
        let file = File::create(path).map_err(HistoryError::io(path))?;
        let time = ColumnPath::from("time");
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_dictionary_enabled(time.clone(), false)
            .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
            .build();
        let schema = parse_message_type(&schema(kind)).map_err(HistoryError::file(path))?;
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        let file = file.map_err(HistoryError::file(path))?;
        Ok(Self { kind, path: path.to_owned(), file, columns: Columns::default() })
    }

    /// Adds an event of the file's kind behind all others.
    pub(super) fn push(&mut self, event: &MarketEvent) -> Result<(), HistoryError> {
        let columns = &mut self.columns;
        columns.times.push(own_time(event).nanos());
        let mut put = |symbol: &str, numbers: &[f64]| {
            columns.symbols.push(ByteArray::from(symbol));
            columns.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.push(*number));
        };
        match event {
            MarketEvent::Quote { symbol, quote } => {
                put(symbol.as_str(), &[quote.bid, quote.bid_size, quote.ask, quote.ask_size]);
            }
            MarketEvent::Trade { symbol, trade } => put(symbol.as_str(), &[trade.price, trade.size]),
            MarketEvent::Bar { symbol, bar, span } => {
                put(symbol.as_str(), &[bar.open, bar.high, bar.low, bar.close, bar.volume]);
                let span = i64::try_from(span.as_nanos()).map_err(|_| "span_ns must be below 2^63");
                columns.spans.push(span.map_err(HistoryError::file(&self.path))?);
            }
            MarketEvent::Number { symbol, number } => put(symbol.as_str(), &[number.value]),
        }
        if self.columns.times.len() < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    /// Writes what is held and the footer, and waits until the disk has all of it.
    pub(super) fn finish(mut self) -> Result<(), HistoryError> {
        if !self.columns.times.is_empty() {
            self.write_group()?;
        }
        let file = self.file.into_inner().map_err(HistoryError::file(&self.path))?;
        file.sync_all().map_err(HistoryError::io(&self.path))
    }

    fn write_group(&mut self) -> Result<(), HistoryError> {
        let mut write = || -> Result<(), ParquetError> {
            let mut group = self.file.next_row_group()?;
            let mut numbers = self.columns.numbers.iter();
            for name in self.kind.header().split(',') {
                let Some(mut column) = group.next_column()? else { break };
                match name {
                    "time" => column.typed::<Int64Type>().write_batch(&self.columns.times, None, None)?,
                    "symbol" => {
                        column.typed::<ByteArrayType>().write_batch(&self.columns.symbols, None, None)?
                    }
                    "span_ns" => column.typed::<Int64Type>().write_batch(&self.columns.spans, None, None)?,
                    _ => {
                        let numbers = numbers.next().map_or(&[][..], Vec::as_slice);
                        column.typed::<DoubleType>().write_batch(numbers, None, None)?
                    }
                };
                column.close()?;
            }
            group.close().map(drop)
        };
        write().map_err(HistoryError::file(&self.path))?;
        self.columns.clear();
        Ok(())
    }
}

/// A file that is being read, some thousand rows at a time.
pub(super) struct Rows {
    kind: Kind,
    path: PathBuf,
    file: SerializedFileReader<File>,
    /// The next group of rows.
    group: usize,
    /// Those of the group before.
    readers: Vec<ColumnReader>,
    columns: Columns,
    /// The next row in `columns`.
    place: usize,
    /// The row that was read last, from 1.
    row: u64,
    broken: bool,
}

impl Rows {
    /// Opens a file that has a footer and the kind's columns.
    pub(super) fn open(kind: Kind, path: &Path) -> Result<Self, HistoryError> {
        let file = File::open(path).map_err(HistoryError::io(path))?;
        let file = SerializedFileReader::new(file).map_err(HistoryError::file(path))?;
        let expected = parse_message_type(&schema(kind)).map_err(HistoryError::file(path))?;
        let expected = described(&SchemaDescriptor::new(Arc::new(expected)));
        let found = described(file.metadata().file_metadata().schema_descr());
        if found != expected {
            let fault = format!("columns must be \"{expected}\", were \"{found}\"");
            return Err(HistoryError::File { path: path.to_owned(), fault });
        }
        let (readers, columns) = (Vec::new(), Columns::default());
        let path = path.to_owned();
        Ok(Self { kind, path, file, group: 0, readers, columns, place: 0, row: 0, broken: false })
    }

    /// The next event and its row, from 1; `None` at the end of the file. A broken file ends where it is broken.
    pub(super) fn next(&mut self, faults: &mut Faults) -> Result<Option<(u64, MarketEvent)>, HistoryError> {
        while !self.broken {
            if self.place == self.columns.times.len() {
                match self.fill() {
                    Ok(true) => {}
                    Ok(false) => return Ok(None),
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

    /// Reads the next rows into `columns`; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ParquetError> {
        loop {
            self.columns.clear();
            self.place = 0;
            let mut numbers = self.columns.numbers.iter_mut();
            let mut read = None;
            for reader in &mut self.readers {
                let (rows, ..) = match reader {
                    ColumnReader::Int64ColumnReader(reader) => {
                        // The first column is the time, a span follows.
                        let to =
                            if read.is_none() { &mut self.columns.times } else { &mut self.columns.spans };
                        reader.read_records(BATCH_ROWS, None, None, to)?
                    }
                    ColumnReader::ByteArrayColumnReader(reader) => {
                        reader.read_records(BATCH_ROWS, None, None, &mut self.columns.symbols)?
                    }
                    ColumnReader::DoubleColumnReader(reader) => match numbers.next() {
                        Some(to) => reader.read_records(BATCH_ROWS, None, None, to)?,
                        None => return Err(odd()),
                    },
                    ColumnReader::BoolColumnReader(_)
                    | ColumnReader::Int32ColumnReader(_)
                    | ColumnReader::Int96ColumnReader(_)
                    | ColumnReader::FloatColumnReader(_)
                    | ColumnReader::FixedLenByteArrayColumnReader(_) => return Err(odd()),
                };
                if *read.get_or_insert(rows) != rows {
                    return Err(ParquetError::General("columns must be of one length, were not".to_owned()));
                }
            }
            if read.is_some_and(|rows| rows > 0) {
                return Ok(true);
            }
            if self.group == self.file.num_row_groups() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.group)?;
            self.readers = (0..group.num_columns())
                .map(|place| group.get_column_reader(place))
                .collect::<Result<_, _>>()?;
            self.group += 1;
        }
    }

    fn event(&self, place: usize) -> Result<MarketEvent, String> {
        let at = Timestamp::from_nanos(self.columns.times[place]);
        let symbol =
            self.columns.symbols[place].as_utf8().map_err(|_| "symbol must be UTF-8, was not".to_owned())?;
        let symbol = symbol.parse().map_err(|error| format!("symbol cannot be read: {error}"))?;
        let names =
            self.kind.header().split(',').filter(|name| !matches!(*name, "time" | "symbol" | "span_ns"));
        let mut numbers = [0.0; NUMBERS];
        for ((name, column), number) in names.zip(&self.columns.numbers).zip(&mut numbers) {
            *number = column[place];
            self.kind.check(*number).map_err(|rule| format!("{name} {rule}, was {number}"))?;
        }
        Ok(match (self.kind, numbers) {
            (Kind::Quotes, [bid, bid_size, ask, ask_size, _]) => {
                MarketEvent::Quote { symbol, quote: Quote { at, bid, bid_size, ask, ask_size } }
            }
            (Kind::Trades, [price, size, ..]) => {
                MarketEvent::Trade { symbol, trade: Trade { at, price, size } }
            }
            (Kind::Numbers, [value, ..]) => MarketEvent::Number { symbol, number: Number { at, value } },
            (Kind::Bars, [open, high, low, close, volume]) => {
                let span = self.columns.spans[place];
                let span =
                    u64::try_from(span).map_err(|_| format!("span_ns must be 0 or more, was {span}"))?;
                let bar = Bar { at, open, high, low, close, volume };
                MarketEvent::Bar { symbol, bar, span: Duration::from_nanos(span) }
            }
        })
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("path", &self.path).field("row", &self.row).finish_non_exhaustive()
    }
}

fn odd() -> ParquetError {
    ParquetError::General("columns must be of the types in the footer, were not".to_owned())
}

fn schema(kind: Kind) -> String {
    let columns = kind.header().split(',').map(|name| match name {
        "time" => "REQUIRED INT64 time (TIMESTAMP(NANOS,true));".to_owned(),
        "symbol" => "REQUIRED BYTE_ARRAY symbol (STRING);".to_owned(),
        "span_ns" => "REQUIRED INT64 span_ns;".to_owned(),
        name => format!("REQUIRED DOUBLE {name};"),
    });
    format!("message {} {{ {} }}", kind.name(), columns.collect::<Vec<_>>().join(" "))
}

/// What must be as expected, so that the rows can be read.
fn described(schema: &SchemaDescriptor) -> String {
    let column = |column: &Arc<ColumnDescriptor>| {
        let (name, physical) = (column.path().string(), column.physical_type());
        let level = if column.max_def_level() == 0 { "required" } else { "optional" };
        match name.as_str() {
            "time" => format!("{level} {physical} time {:?}", column.logical_type_ref()),
            name => format!("{level} {physical} {name}"),
        }
    };
    schema.columns().iter().map(column).collect::<Vec<_>>().join(", ")
}
