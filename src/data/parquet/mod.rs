//! Rows of Parquet files, read one after the other as if they were one.

mod column;

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use self::column::Column;
use super::columns::{self, Role, fields};
use super::sieve::{CHUNK_ROWS, Sieve, Table};
use super::spec::Columns;
use super::times::Times;
use super::{DataError, Row, Shape};
use crate::clock::Timestamp;

/// Some Parquet files.
pub(super) struct Parquet {
    /// The next one is the last.
    waiting: Vec<PathBuf>,
    columns: Columns,
    times: Times,
    open: Option<Batches>,
}

impl Parquet {
    pub(super) fn new(paths: &[PathBuf], columns: &Columns, zone: chrono_tz::Tz) -> Self {
        let waiting = paths.iter().rev().cloned().collect();
        Self { waiting, columns: columns.clone(), times: Times::new(zone), open: None }
    }

    fn open_next(&mut self, sieve: &mut Sieve) -> Result<bool, DataError> {
        let Some(path) = self.waiting.pop() else { return Ok(false) };
        sieve.begin(&path);
        let file = File::open(&path).map_err(|source| DataError::Io { path: path.clone(), source })?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let batches = caught(|| Batches::open(file, &self.columns, sieve.shape()));
        let batches = batches.map_err(|fault| sieve.fault(0, fault))?;
        sieve.count_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.open = Some(batches);
        Ok(true)
    }
}

impl Table for Parquet {
    fn read(&mut self, sieve: &mut Sieve) -> Result<bool, DataError> {
        while !sieve.is_full() {
            let Some(batches) = &mut self.open else {
                if !self.open_next(sieve)? {
                    return Ok(false);
                }
                continue;
            };
            let more = caught(|| batches.fill(&mut self.times).map_err(|error| error.to_string()));
            let more = more.map_err(|error| {
                sieve.fault(batches.row, format!("the file cannot be read after this row: {error}"))
            })?;
            if !more {
                self.open = None;
                continue;
            }
            let mut faults = batches.faults.drain(..).peekable();
            for (place, row) in batches.rows.iter().enumerate() {
                batches.row += 1;
                match faults.next_if(|(at, _)| *at == place) {
                    None => sieve.row(batches.row, *row)?,
                    Some((_, fault)) => {
                        while faults.next_if(|(at, _)| *at == place).is_some() {}
                        sieve.bad(batches.row, fault)?;
                    }
                }
            }
        }
        Ok(true)
    }
}

/// The library that reads Parquet panics over some broken files; what it was doing is given up with them.
fn caught<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("the file is broken".to_owned()))
}

/// A file that is being read, some thousand rows at a time.
struct Batches {
    file: SerializedFileReader<File>,
    shape: Shape,
    columns: Vec<Column>,
    /// The next group of rows.
    group: usize,
    /// The row that was given last, from 1.
    row: u64,
    rows: Vec<Row>,
    /// Which of `rows` cannot be used, in their order.
    faults: Vec<(usize, String)>,
}

impl Batches {
    fn open(file: File, columns: &Columns, shape: Shape) -> Result<Self, String> {
        let file = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
        let schema = file.metadata().file_metadata().schema_descr();
        let names: Vec<_> = schema.columns().iter().map(|column| column.path().string()).collect();
        let roles = columns::by_name(columns, shape, &names)?;
        let columns = roles
            .into_iter()
            .zip(schema.columns())
            .enumerate()
            .filter(|(_, (role, _))| *role != Role::Other)
            .map(|(place, (role, column))| Column::new(place, role, column))
            .collect::<Result<Vec<_>, _>>()?;
        for group in file.metadata().row_groups() {
            for stored in columns.iter().filter_map(|column| group.columns().get(column.place)) {
                let places = [stored.data_page_offset(), stored.dictionary_page_offset().unwrap_or(0)];
                if places.iter().chain([&stored.compressed_size()]).any(|place| *place < 0) {
                    return Err("places of columns must be within the file, were not".to_owned());
                }
                let codec = stored.compression_codec();
                if !matches!(codec, CompressionCodec::UNCOMPRESSED | CompressionCodec::SNAPPY) {
                    let rule = format!("compression must be none or snappy, was {codec:?}").to_lowercase();
                    return Err(rule + " (pandas: to_parquet(compression=\"snappy\"))");
                }
            }
        }
        let (rows, faults) = (Vec::with_capacity(CHUNK_ROWS), Vec::new());
        Ok(Self { file, shape, columns, group: 0, row: 0, rows, faults })
    }

    /// Reads the next rows into `rows`; false at the end of the file.
    fn fill(&mut self, times: &mut Times) -> Result<bool, ParquetError> {
        self.rows.clear();
        self.faults.clear();
        let mut read = self.read_columns()?;
        while read == 0 {
            if self.group == self.file.num_row_groups() {
                return Ok(false);
            }
            self.begin_group()?;
            read = self.read_columns()?;
        }
        self.rows.resize(read, Row { at: Timestamp::default(), values: [0.0; 5] });
        for column in &self.columns {
            match column.role {
                Role::Other => {}
                Role::Time => {
                    for (place, row) in self.rows.iter_mut().enumerate() {
                        match column.time(place, times) {
                            Ok(at) => row.at = at,
                            Err(fault) => self.faults.push((place, fault)),
                        }
                    }
                }
                Role::Value(value) => {
                    for (row, number) in self.rows.iter_mut().zip(&column.numbers) {
                        row.values[value] = *number;
                    }
                    let field = &fields(self.shape)[value];
                    if field.needed {
                        let rule = format!("{} must be there, was empty", field.name);
                        self.faults.extend(column.nulls().map(|place| (place, rule.clone())));
                    }
                }
            }
        }
        self.faults.sort_by_key(|(place, _)| *place);
        Ok(true)
    }

    /// How many rows each column gave; all the same.
    fn read_columns(&mut self) -> Result<usize, ParquetError> {
        let mut read = None;
        for column in &mut self.columns {
            let rows = column.read(CHUNK_ROWS)?;
            if *read.get_or_insert(rows) != rows {
                return Err(ParquetError::General("columns must be of one length, were not".to_owned()));
            }
        }
        Ok(read.unwrap_or(0))
    }

    fn begin_group(&mut self) -> Result<(), ParquetError> {
        let group = self.file.get_row_group(self.group)?;
        for column in &mut self.columns {
            column.reader = Some(group.get_column_reader(column.place)?);
        }
        self.group += 1;
        Ok(())
    }
}
