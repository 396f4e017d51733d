//! Columns into a Parquet file, a group of rows at a time.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical,
};
use parquet::data_type::{ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use super::{Content, Field, Values};

/// A file that is being written; it can be read once it is finished.
pub struct ParquetWriter<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> ParquetWriter<W> {
    /// Begins a file whose rows are called `name`.
    pub fn new(out: W, name: &str, fields: &[Field<'_>]) -> Result<Self, ParquetError> {
        let mut properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        for time in fields.iter().filter(|field| field.content == Content::Times) {
            let path = ColumnPath::from(time.name);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
        let columns = fields.iter().map(|field| column(*field).map(Arc::new)).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder(name).with_fields(columns).build()?;
        SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build())).map(Self)
    }

    /// Writes some rows behind all others: of each column, in the order of the fields, its values and, where it is
    /// optional, for each cell 1, or 0 if it is empty.
    pub fn group<'a>(
        &mut self,
        columns: impl IntoIterator<Item = (Values<'a>, Option<&'a [i16]>)>,
    ) -> Result<(), ParquetError> {
        let mut group = self.0.next_row_group()?;
        for (values, levels) in columns {
            let Some(mut column) = group.next_column()? else { break };
            match values {
                Values::Wholes(values) => column.typed::<Int64Type>().write_batch(values, levels, None)?,
                Values::Numbers(values) => column.typed::<DoubleType>().write_batch(values, levels, None)?,
                Values::Texts(values) => column.typed::<ByteArrayType>().write_batch(values, levels, None)?,
            };
            column.close()?;
        }
        group.close().map(drop)
    }

    /// Writes the footer.
    pub fn finish(self) -> Result<W, ParquetError> {
        self.0.into_inner()
    }
}

fn column(field: Field<'_>) -> Result<Type, ParquetError> {
    let (physical, converted, logical) = match field.content {
        Content::Times => {
            let instant = LogicalType::timestamp(true, TimeUnit::NANOS);
            (Physical::INT64, ConvertedType::NONE, Some(instant))
        }
        Content::Wholes => (Physical::INT64, ConvertedType::NONE, None),
        Content::Numbers => (Physical::DOUBLE, ConvertedType::NONE, None),
        Content::Texts => (Physical::BYTE_ARRAY, ConvertedType::UTF8, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(field.name, physical)
        .with_repetition(if field.is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED })
        .with_converted_type(converted)
        .with_logical_type(logical)
        .build()
}
