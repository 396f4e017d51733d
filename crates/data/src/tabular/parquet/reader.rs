//! A Parquet file that is being read, some thousand rows of the chosen columns at a time.

use std::fmt;
use std::fs::File;
use std::panic::AssertUnwindSafe;

use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::column::Column;
use super::{Content, StoredColumn};

/// A file that is being read.
pub struct ParquetReader {
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// The next group of rows.
    group: usize,
}

impl ParquetReader {
    /// Opens a file to read the columns that `choose` names by their place.
    ///
    /// # Errors
    /// A file that is none, that `choose` refuses, or whose columns cannot be read as that.
    pub fn open(
        file: File,
        choose: impl FnOnce(&[StoredColumn]) -> Result<Vec<(usize, Content)>, String>,
    ) -> Result<Self, String> {
        caught(|| {
            let file = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
            let schema = file.metadata().file_metadata().schema_descr();
            let stored: Vec<_> = schema.columns().iter().map(|column| stored(column)).collect();
            let chosen = choose(&stored)?.into_iter();
            let columns = chosen.map(|(place, content)| Column::new(place, content, &schema.column(place)));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            must_be_readable(&file, &columns)?;
            Ok(Self { file, columns, group: 0 })
        })
    }

    /// Reads the next rows, at most `count`; how many they are, none at the end of the file.
    ///
    /// # Errors
    /// A file that is broken from here on.
    pub fn next(&mut self, count: usize) -> Result<usize, String> {
        caught(|| self.fill(count).map_err(|error| error.to_string()))
    }

    /// The columns that were chosen, each with the rows that were read last.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn fill(&mut self, count: usize) -> Result<usize, ParquetError> {
        loop {
            let rows = self.read_columns(count)?;
            if rows > 0 || self.group == self.file.num_row_groups() {
                return Ok(rows);
            }
            let group = self.file.get_row_group(self.group)?;
            for column in &mut self.columns {
                column.reader = Some(group.get_column_reader(column.place)?);
            }
            self.group += 1;
        }
    }

    /// How many rows each column gave; all the same.
    fn read_columns(&mut self, count: usize) -> Result<usize, ParquetError> {
        let mut read = None;
        for column in &mut self.columns {
            let rows = column.read(count)?;
            if *read.get_or_insert(rows) != rows {
                return Err(ParquetError::General("columns must be of one length, were not".to_owned()));
            }
        }
        Ok(read.unwrap_or(0))
    }
}

impl fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("group", &self.group).finish_non_exhaustive()
    }
}

fn stored(column: &ColumnDescriptor) -> StoredColumn {
    let level = if column.max_def_level() == 0 { "required" } else { "optional" };
    let meaning = column.logical_type_ref().map_or(String::new(), |logical| format!("{logical:?}"));
    let kind = format!("{level} {}", column.physical_type());
    StoredColumn { name: column.path().string(), kind, meaning }
}

fn must_be_readable(file: &SerializedFileReader<File>, columns: &[Column]) -> Result<(), String> {
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
    Ok(())
}

/// The library that reads Parquet panics over some broken files; what it was doing is given up with them.
fn caught<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("the file is broken".to_owned()))
}
