//! Tables as Parquet: counts as whole numbers, money and ratios as doubles, all of them optional.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

pub use parquet::errors::ParquetError as ParquetFault;

use super::table::{Cell, Table};

/// Rows that are written together.
const GROUP_ROWS: usize = 1 << 16;

/// What a column's cells are, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Number,
    Text,
}

/// Writes a table.
///
/// # Errors
/// What `out` says, or names that no Parquet file can have.
pub fn write_parquet(table: &Table, out: impl Write + Send) -> Result<(), ParquetFault> {
    let kinds: Vec<Kind> = (0..table.columns.len()).map(|place| kind(table, place)).collect();
    let fields = table.columns.iter().zip(&kinds).map(|(name, kind)| field(name, *kind).map(Arc::new));
    let schema = Type::group_type_builder("sweep").with_fields(fields.collect::<Result<_, _>>()?).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
    for rows in table.rows.chunks(GROUP_ROWS) {
        let mut group = file.next_row_group()?;
        for (place, kind) in kinds.iter().enumerate() {
            let Some(mut column) = group.next_column()? else { break };
            let cells = || rows.iter().map(|row| &row[place]);
            let levels: Vec<i16> = cells().map(|cell| i16::from(*cell != Cell::Nothing)).collect();
            match kind {
                Kind::Whole => {
                    let values: Vec<i64> = cells().filter_map(whole).collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
                }
                Kind::Number => {
                    let values: Vec<f64> = cells().filter_map(number).collect();
                    column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
                }
                Kind::Text => {
                    let texts = cells().filter(|cell| **cell != Cell::Nothing);
                    let values: Vec<ByteArray> =
                        texts.map(|cell| ByteArray::from(cell.to_string().as_bytes())).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
            }
            column.close()?;
        }
        group.close()?;
    }
    file.close()?;
    Ok(())
}

/// The narrowest kind that holds all cells of a column.
fn kind(table: &Table, place: usize) -> Kind {
    let cells = table.rows.iter().map(|row| &row[place]).filter(|cell| **cell != Cell::Nothing);
    let mut kinds = cells.map(|cell| match cell {
        Cell::Whole(_) => Kind::Whole,
        Cell::Number(_) | Cell::Money(_) => Kind::Number,
        Cell::Nothing | Cell::Text(_) => Kind::Text,
    });
    let first = kinds.next().unwrap_or(Kind::Text);
    if kinds.all(|kind| kind == first) { first } else { Kind::Text }
}

fn field(name: &str, kind: Kind) -> Result<Type, ParquetFault> {
    let (physical, converted, logical) = match kind {
        Kind::Whole => (Physical::INT64, ConvertedType::NONE, None),
        Kind::Number => (Physical::DOUBLE, ConvertedType::NONE, None),
        Kind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_converted_type(converted)
        .with_logical_type(logical)
        .build()
}

fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Whole(count) => Some(i64::try_from(*count).unwrap_or(i64::MAX)),
        Cell::Nothing | Cell::Number(_) | Cell::Money(_) | Cell::Text(_) => None,
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(value) => Some(*value),
        Cell::Money(money) => Some(money.to_seen()),
        Cell::Nothing | Cell::Whole(_) | Cell::Text(_) => None,
    }
}
