//! Rows as Parquet columns: times as instants in nanoseconds, numbers to the bit.

use std::fs::File;

use super::super::columns::fields;
use super::{Row, RowKind};
use crate::tabular::parquet::{self as columns, Content, Field, ParquetError, Values};

/// Rows that are held until they are written together: some six megabytes.
const GROUP_ROWS: usize = 1 << 17;

/// A Parquet file that is being written.
pub(super) struct ParquetRows {
    file: columns::ParquetWriter<File>,
    times: Vec<i64>,
    values: Vec<Vec<f64>>,
}

impl ParquetRows {
    pub(super) fn new(file: File, row_kind: RowKind) -> Result<Self, ParquetError> {
        let field = |name, content| Field { name, content, is_optional: false };
        let values = fields(row_kind).iter().map(|value| field(value.name, Content::Numbers));
        let fields: Vec<_> = [field("time", Content::Times)].into_iter().chain(values).collect();
        let file = columns::ParquetWriter::new(file, "events", &fields)?;
        Ok(Self { file, times: Vec::new(), values: vec![Vec::new(); fields.len() - 1] })
    }

    pub(super) fn rows(&mut self, rows: &[Row]) -> Result<(), ParquetError> {
        self.times.extend(rows.iter().map(|row| row.at.nanos()));
        for (place, column) in self.values.iter_mut().enumerate() {
            column.extend(rows.iter().map(|row| row.values[place]));
        }
        if self.times.len() < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    pub(super) fn finish(mut self) -> Result<File, ParquetError> {
        if !self.times.is_empty() {
            self.write_group()?;
        }
        self.file.finish()
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let values = self.values.iter().map(|values| Values::Numbers(values));
        let all = [Values::Wholes(&self.times)].into_iter().chain(values);
        self.file.group(all.map(|values| (values, None)))?;
        self.times.clear();
        self.values.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}
