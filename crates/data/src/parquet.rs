//! Rows of Parquet files, read one after the other as if they were one.

use std::fs::File;
use std::path::PathBuf;

use super::columns::{self, Role, fields};
use super::row_checker::{CHUNK_ROWS, RowChecker, RowTable};
use super::spec::Columns;
use super::{DataError, Row, RowKind};
use crate::tabular::parquet::{Content, ParquetReader};
use bot_core::clock::Timestamp;
use bot_core::clock::times::{Forms, Times};

/// Some Parquet files.
#[derive(Debug)]
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
        Self { waiting, columns: columns.clone(), times: Times::new(Forms::All, zone), open: None }
    }

    fn open_next(&mut self, checker: &mut RowChecker) -> Result<bool, DataError> {
        let Some(path) = self.waiting.pop() else { return Ok(false) };
        checker.begin(&path);
        let file = File::open(&path).map_err(|source| DataError::Io { path: path.clone(), source })?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let batches = Batches::open(file, &self.columns, checker.row_kind());
        let batches = batches.map_err(|fault| checker.fault(0, fault))?;
        checker.count_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.open = Some(batches);
        Ok(true)
    }
}

impl RowTable for Parquet {
    fn read(&mut self, checker: &mut RowChecker) -> Result<bool, DataError> {
        while !checker.is_full() {
            let Some(batches) = &mut self.open else {
                if !self.open_next(checker)? {
                    return Ok(false);
                }
                continue;
            };
            let more = batches.fill(&mut self.times).map_err(|error| {
                checker.fault(batches.row, format!("the file cannot be read after this row: {error}"))
            })?;
            if !more {
                self.open = None;
                continue;
            }
            let mut faults = batches.faults.drain(..).peekable();
            for (place, row) in batches.rows.iter().enumerate() {
                batches.row += 1;
                match faults.next_if(|(at, _)| *at == place) {
                    None => checker.row(batches.row, *row)?,
                    Some((_, fault)) => {
                        while faults.next_if(|(at, _)| *at == place).is_some() {}
                        checker.bad(batches.row, fault)?;
                    }
                }
            }
        }
        Ok(true)
    }
}

/// A file that is being read, some thousand rows at a time.
#[derive(Debug)]
struct Batches {
    reader: ParquetReader,
    row_kind: RowKind,
    /// What each column of the reader is.
    roles: Vec<Role>,
    /// The row that was given last, from 1.
    row: u64,
    rows: Vec<Row>,
    /// Which of `rows` cannot be used, in their order.
    faults: Vec<(usize, String)>,
}

impl Batches {
    fn open(file: File, columns: &Columns, row_kind: RowKind) -> Result<Self, String> {
        let mut roles = Vec::new();
        let reader = ParquetReader::open(file, |stored| {
            let names: Vec<_> = stored.iter().map(|column| column.name.clone()).collect();
            roles = columns::by_name(columns, row_kind, &names)?;
            let content = |(place, role): (usize, &Role)| match role {
                Role::Other => None,
                Role::Time => Some((place, Content::Times)),
                Role::Value(_) => Some((place, Content::Numbers)),
            };
            Ok(roles.iter().enumerate().filter_map(content).collect())
        })?;
        roles.retain(|role| *role != Role::Other);
        let (rows, faults) = (Vec::with_capacity(CHUNK_ROWS), Vec::new());
        Ok(Self { reader, row_kind, roles, row: 0, rows, faults })
    }

    /// Reads the next rows into `rows`; false at the end of the file.
    fn fill(&mut self, times: &mut Times) -> Result<bool, String> {
        self.rows.clear();
        self.faults.clear();
        let read = self.reader.next(CHUNK_ROWS)?;
        self.rows.resize(read, Row { at: Timestamp::default(), values: [0.0; 5] });
        for (role, column) in self.roles.iter().zip(self.reader.columns()) {
            match *role {
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
                    for (row, number) in self.rows.iter_mut().zip(column.numbers()) {
                        row.values[value] = *number;
                    }
                    let field = &fields(self.row_kind)[value];
                    if field.needed {
                        let rule = format!("{} must be there, was empty", field.name);
                        self.faults.extend(column.nulls().map(|place| (place, rule.clone())));
                    }
                }
            }
        }
        self.faults.sort_by_key(|(place, _)| *place);
        Ok(read > 0)
    }
}
