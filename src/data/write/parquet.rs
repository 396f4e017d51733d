//! Rows as Parquet columns: times as instants in nanoseconds, numbers to the bit.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::super::columns::fields;
use super::{Row, Shape};

/// Rows that are held until they are written together: some six megabytes.
const GROUP_ROWS: usize = 1 << 17;

/// A Parquet file that is being written.
pub(super) struct Writer {
    file: SerializedFileWriter<File>,
    times: Vec<i64>,
    values: Vec<Vec<f64>>,
}

impl Writer {
    pub(super) fn new(file: File, shape: Shape) -> Result<Self, ParquetError> {
        let time = ColumnPath::from("time");
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_dictionary_enabled(time.clone(), false)
            .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
            .build();
        let columns: Vec<_> =
            fields(shape).iter().map(|field| format!("REQUIRED DOUBLE {};", field.name)).collect();
        let schema = format!(
            "message events {{ REQUIRED INT64 time (TIMESTAMP(NANOS,true)); {} }}",
            columns.join(" ")
        );
        let schema = Arc::new(parse_message_type(&schema)?);
        let file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { file, times: Vec::new(), values: vec![Vec::new(); columns.len()] })
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
        self.file.into_inner()
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        if let Some(mut column) = group.next_column()? {
            column.typed::<Int64Type>().write_batch(&self.times, None, None)?;
            column.close()?;
        }
        for values in &self.values {
            let Some(mut column) = group.next_column()? else { break };
            column.typed::<DoubleType>().write_batch(values, None, None)?;
            column.close()?;
        }
        group.close()?;
        self.times.clear();
        self.values.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}
