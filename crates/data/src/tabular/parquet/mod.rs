//! Parquet files by columns: read some thousand rows at a time whatever wrote them, written a group of rows at a time.

#[cfg(feature = "parquet")]
mod column;
#[cfg(feature = "parquet")]
mod reader;
#[cfg(feature = "parquet")]
mod writer;

#[cfg(not(feature = "parquet"))]
mod without_parquet;

#[cfg(feature = "parquet")]
pub use {
    self::column::Column, self::reader::ParquetReader, self::writer::ParquetWriter,
    ::parquet::data_type::ByteArray as Text, ::parquet::errors::ParquetError,
};

#[cfg(not(feature = "parquet"))]
pub use without_parquet::{Column, ParquetError, ParquetReader, ParquetWriter, Text};

/// What the cells of a column are to the one who reads or writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Instants; read of any way in which times are written, written in nanoseconds.
    Times,
    /// `f64`; read of whole numbers, too.
    Numbers,
    /// `i64`.
    Wholes,
    /// UTF-8.
    Texts,
}

/// A column as it is stored in a file that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Its name in the file.
    pub name: String,
    /// Whether it may be empty and of which type it is, such as `required INT64`.
    pub kind: String,
    /// What its type means, as far as the file says it.
    pub meaning: String,
}

/// A column of a file.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// What its cells hold.
    pub content: Content,
    /// Whether its cells may be empty.
    pub is_optional: bool,
}

/// The values of a column in a group of rows, without those of its empty cells.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Also times, in nanoseconds since 1970.
    Wholes(&'a [i64]),
    /// Numbers as `f64`.
    Numbers(&'a [f64]),
    /// UTF-8.
    Texts(&'a [Text]),
}
