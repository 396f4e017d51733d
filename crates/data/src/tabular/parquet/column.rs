//! One column of a Parquet file, whatever type it was written in.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescriptor;

use super::Content;
use bot_core::clock::times::{Times, unix_unit};
use bot_core::clock::{Timestamp, TimestampError};

/// A column that is wanted, and the rows of it that were read last.
pub struct Column {
    /// Its place in the file.
    pub(super) place: usize,
    content: Content,
    kind: StoredKind,
    /// Of the group of rows that is being read.
    pub(super) reader: Option<ColumnReader>,
    /// For a column that may be empty in some rows: this level where it is not.
    full: i16,
    levels: Vec<i16>,
    /// Of a column of numbers; 0 where it is empty.
    numbers: Vec<f64>,
    wholes: Vec<i64>,
    texts: Vec<ByteArray>,
}

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoredKind {
    /// Floating point numbers.
    Numbers,
    /// Whole numbers; the flag is true where all are 0 or more.
    Wholes(bool),
    /// Times in so many nanoseconds since 1970.
    Instants(i64),
    /// The same by the clock of a place.
    Locals(i64),
    /// Texts.
    Texts,
}

impl Column {
    /// # Errors
    /// A type that the role cannot be read from.
    pub(super) fn new(place: usize, content: Content, column: &ColumnDescriptor) -> Result<Self, String> {
        let kind = kind(column).filter(|kind| match content {
            Content::Times => true,
            Content::Numbers => matches!(kind, StoredKind::Numbers | StoredKind::Wholes(_)),
            Content::Wholes => matches!(kind, StoredKind::Wholes(_)),
            Content::Texts => matches!(kind, StoredKind::Texts),
        });
        let kind = kind.ok_or_else(|| {
            let types = match content {
                Content::Times => "a timestamp, date, number or text",
                Content::Numbers => "a number",
                Content::Wholes => "a whole number",
                Content::Texts => "a text",
            };
            let found = column.logical_type_ref().map_or(String::new(), |logical| format!(" {logical:?}"));
            format!("column {} must hold {types}, was {}{found}", column.path(), column.physical_type())
        })?;
        let full = column.max_def_level();
        let (numbers, wholes, texts) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { place, content, kind, reader: None, full, levels: Vec::new(), numbers, wholes, texts })
    }

    /// Reads the next rows, at most `count`; how many they are.
    pub(super) fn read(&mut self, count: usize) -> Result<usize, ParquetError> {
        self.levels.clear();
        self.numbers.clear();
        self.wholes.clear();
        self.texts.clear();
        let levels = (self.full > 0).then_some(&mut self.levels);
        let rows = match &mut self.reader {
            None => 0,
            Some(ColumnReader::DoubleColumnReader(reader)) => {
                reader.read_records(count, levels, None, &mut self.numbers)?.0
            }
            Some(ColumnReader::FloatColumnReader(reader)) => {
                converted(reader, count, levels, &mut self.numbers, |number| f64::from(*number))?
            }
            Some(ColumnReader::Int64ColumnReader(reader)) => {
                reader.read_records(count, levels, None, &mut self.wholes)?.0
            }
            Some(ColumnReader::Int32ColumnReader(reader)) => {
                let unsigned = self.kind == StoredKind::Wholes(true);
                let widen = |number: &i32| {
                    if unsigned { i64::from(number.cast_unsigned()) } else { i64::from(*number) }
                };
                converted(reader, count, levels, &mut self.wholes, widen)?
            }
            Some(ColumnReader::Int96ColumnReader(reader)) => {
                converted(reader, count, levels, &mut self.wholes, parquet::data_type::Int96::to_nanos)?
            }
            Some(ColumnReader::ByteArrayColumnReader(reader)) => {
                reader.read_records(count, levels, None, &mut self.texts)?.0
            }
            Some(ColumnReader::BoolColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_)) => {
                return Err(ParquetError::General(
                    "a column must be of the type in the footer, was not".to_owned(),
                ));
            }
        };
        if let (Content::Numbers, StoredKind::Wholes(unsigned)) = (self.content, self.kind) {
            self.numbers.extend(self.wholes.iter().map(|whole| number(*whole, unsigned)));
        }
        if self.levels.iter().any(|level| *level != self.full) {
            spread(&mut self.numbers, &self.levels, self.full, &0.0);
            spread(&mut self.wholes, &self.levels, self.full, &0);
            spread(&mut self.texts, &self.levels, self.full, &ByteArray::new());
        }
        Ok(rows)
    }

    /// The numbers of its rows, of a column of such; 0 where it is empty.
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// The whole number in row `place`, of a column of such; 0 where it is empty.
    pub fn whole(&self, place: usize) -> i64 {
        self.wholes.get(place).copied().unwrap_or(0)
    }

    /// The text in row `place`, of a column of such; `None` where it is no UTF-8.
    pub fn text(&self, place: usize) -> Option<&str> {
        self.texts.get(place).and_then(|text| text.as_utf8().ok())
    }

    /// The rows in which the column is empty.
    pub fn nulls(&self) -> impl Iterator<Item = usize> {
        let is_null = |(place, level): (usize, &i16)| (*level != self.full).then_some(place);
        self.levels.iter().enumerate().filter_map(is_null)
    }

    /// The time in row `place`.
    #[inline]
    pub fn time(&self, place: usize, times: &mut Times) -> Result<Timestamp, String> {
        if self.levels.get(place).is_some_and(|level| *level != self.full) {
            return Err("time must be there, was empty".to_owned());
        }
        let whole = self.whole(place);
        let nanos = |unit: i64| {
            let rule = || format!("time must be from 1678 to 2261, was {whole} times {unit} nanoseconds");
            whole.checked_mul(unit).ok_or_else(rule)
        };
        let told = |error: TimestampError| error.to_string();
        match self.kind {
            StoredKind::Instants(unit) => nanos(unit).map(Timestamp::from_nanos),
            StoredKind::Locals(unit) => times.local(nanos(unit)?).map_err(told),
            StoredKind::Wholes(_) => nanos(unix_unit(whole)).map(Timestamp::from_nanos),
            StoredKind::Numbers => {
                let number = self.numbers.get(place).copied().unwrap_or(f64::NAN);
                times.read(&number.to_string()).map_err(told)
            }
            StoredKind::Texts => {
                times.read(self.text(place).ok_or("time must be UTF-8, was not")?.trim()).map_err(told)
            }
        }
    }
}

fn kind(column: &ColumnDescriptor) -> Option<StoredKind> {
    const DAY: i64 = 86_400_000_000_000;
    if column.max_rep_level() > 0 {
        return None;
    }
    let logical = column.logical_type_ref();
    match column.physical_type() {
        Type::DOUBLE | Type::FLOAT => Some(StoredKind::Numbers),
        Type::INT96 => Some(StoredKind::Instants(1)),
        Type::BYTE_ARRAY => match logical {
            None => Some(StoredKind::Texts),
            Some(logical) if *logical == LogicalType::String => Some(StoredKind::Texts),
            Some(_) => None,
        },
        Type::INT64 | Type::INT32 => {
            if let Some(LogicalType::Timestamp(time)) = logical {
                let unit = match time.unit {
                    TimeUnit::MILLIS => 1_000_000,
                    TimeUnit::MICROS => 1_000,
                    TimeUnit::NANOS => 1,
                };
                return Some(if time.is_adjusted_to_u_t_c {
                    StoredKind::Instants(unit)
                } else {
                    StoredKind::Locals(unit)
                });
            }
            if let Some(LogicalType::Integer(integer)) = logical {
                return Some(StoredKind::Wholes(!integer.is_signed));
            }
            if logical == Some(&LogicalType::Date) {
                return Some(StoredKind::Locals(DAY));
            }
            let converted = column.converted_type();
            let units = [
                (ConvertedType::TIMESTAMP_MILLIS, StoredKind::Instants(1_000_000)),
                (ConvertedType::TIMESTAMP_MICROS, StoredKind::Instants(1_000)),
                (ConvertedType::DATE, StoredKind::Locals(DAY)),
                (ConvertedType::UINT_64, StoredKind::Wholes(true)),
                (ConvertedType::UINT_32, StoredKind::Wholes(true)),
                (ConvertedType::INT_64, StoredKind::Wholes(false)),
                (ConvertedType::INT_32, StoredKind::Wholes(false)),
                (ConvertedType::NONE, StoredKind::Wholes(false)),
            ];
            let known = units.into_iter().find(|(known, _)| *known == converted).map(|(_, kind)| kind);
            known.filter(|_| logical.is_none())
        }
        Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => None,
    }
}

/// Reads values of one type into a list of another.
fn converted<T: DataType, To>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    levels: Option<&mut Vec<i16>>,
    to: &mut Vec<To>,
    convert: impl Fn(&T::T) -> To,
) -> Result<usize, ParquetError> {
    let mut values = Vec::with_capacity(count);
    let rows = reader.read_records(count, levels, None, &mut values)?.0;
    to.extend(values.iter().map(convert));
    Ok(rows)
}

#[allow(clippy::cast_precision_loss, reason = "volumes beyond 2^53 shares are none")]
fn number(whole: i64, unsigned: bool) -> f64 {
    if unsigned { whole.cast_unsigned() as f64 } else { whole as f64 }
}

/// Puts `blank` where a row has no value, so that each value stands in its row's place.
fn spread<T: Clone>(values: &mut Vec<T>, levels: &[i16], full: i16, blank: &T) {
    if values.is_empty() && levels.contains(&full) {
        return; // Not a list of this column.
    }
    let mut dense = std::mem::take(values).into_iter();
    values.extend(levels.iter().map(|level| {
        let value = if *level == full { dense.next() } else { None };
        value.unwrap_or_else(|| blank.clone())
    }));
}
