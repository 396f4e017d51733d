//! In place of Parquet files where the program was built without the library that reads and writes them.

use std::fs::File;
use std::io::Write;

use super::{Content, Field, StoredColumn, Values};
use bot_core::clock::Timestamp;
use bot_core::clock::times::Times;

/// Why there is no Parquet file.
#[derive(Debug, thiserror::Error)]
#[error("Parquet must be built in (cargo feature \"parquet\"), is not")]
pub struct ParquetError;

/// A text of a column.
#[derive(Debug, Clone)]
pub struct Text;

/// A file that is being read, of which there is none.
#[derive(Debug)]
pub enum ParquetReader {}

/// A column that is being read, of which there is none.
#[derive(Debug)]
pub enum Column {}

/// A file that is being written, of which there is none.
pub struct ParquetWriter<W> {
    none: std::convert::Infallible,
    out: std::marker::PhantomData<W>,
}

impl From<&str> for Text {
    fn from(_text: &str) -> Self {
        Self
    }
}

impl ParquetReader {
    /// # Errors
    /// Always: the library is not in this program.
    pub fn open(
        _file: File,
        _choose: impl FnOnce(&[StoredColumn]) -> Result<Vec<(usize, Content)>, String>,
    ) -> Result<Self, String> {
        Err(ParquetError.to_string())
    }

    /// As of a file that is there; nobody can call it.
    pub fn next(&mut self, _count: usize) -> Result<usize, String> {
        match *self {}
    }

    /// As of a file that is there; nobody can call it.
    pub fn columns(&self) -> &[Column] {
        match *self {}
    }
}

impl Column {
    /// The numbers of its rows.
    pub fn numbers(&self) -> &[f64] {
        match *self {}
    }

    /// The whole number in row `place`.
    pub fn whole(&self, _place: usize) -> i64 {
        match *self {}
    }

    /// The text in row `place`.
    pub fn text(&self, _place: usize) -> Option<&str> {
        match *self {}
    }

    /// The rows in which the column is empty.
    pub fn nulls(&self) -> impl Iterator<Item = usize> {
        std::iter::empty()
    }

    /// The time in row `place`.
    pub fn time(&self, _place: usize, _times: &mut Times) -> Result<Timestamp, String> {
        match *self {}
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    /// # Errors
    /// Always: the library is not in this program.
    pub fn new(_out: W, _name: &str, _fields: &[Field<'_>]) -> Result<Self, ParquetError> {
        Err(ParquetError)
    }

    /// As of a file that is there; nobody can call it.
    pub fn group<'a>(
        &mut self,
        _columns: impl IntoIterator<Item = (Values<'a>, Option<&'a [i16]>)>,
    ) -> Result<(), ParquetError> {
        match self.none {}
    }

    /// As of a file that is there; nobody can call it.
    pub fn finish(self) -> Result<W, ParquetError> {
        match self.none {}
    }
}
