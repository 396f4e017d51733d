//! Tables as Parquet: counts as whole numbers, money and ratios as doubles, all of them optional.

use std::io::Write;

use super::table::{Cell, Table};
use bot_data::tabular::parquet::{Content, Field, ParquetWriter, Text, Values};

pub use bot_data::tabular::parquet::ParquetError;

/// Rows that are written together.
const GROUP_ROWS: usize = 1 << 16;

/// Writes a table.
///
/// # Errors
/// What `out` says, or names that no Parquet file can have.
pub fn write_parquet(table: &Table, out: impl Write + Send) -> Result<(), ParquetError> {
    let contents: Vec<Content> = (0..table.columns.len()).map(|place| content(table, place)).collect();
    let fields = table.columns.iter().zip(&contents);
    let fields: Vec<Field<'_>> =
        fields.map(|(name, content)| Field { name, content: *content, is_optional: true }).collect();
    let mut file = ParquetWriter::new(out, "sweep", &fields)?;
    for rows in table.rows.chunks(GROUP_ROWS) {
        let columns: Vec<TableColumn> = contents
            .iter()
            .enumerate()
            .map(|(place, content)| TableColumn::of(rows, place, *content))
            .collect();
        file.group(columns.iter().map(|column| (column.values(), Some(&column.levels[..]))))?;
    }
    file.finish().map(drop)
}

/// A column of some rows.
struct TableColumn {
    content: Content,
    levels: Vec<i16>,
    wholes: Vec<i64>,
    numbers: Vec<f64>,
    texts: Vec<Text>,
}

impl TableColumn {
    fn of(rows: &[Vec<Cell>], place: usize, content: Content) -> Self {
        let (levels, wholes, numbers, texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut column = Self { content, levels, wholes, numbers, texts };
        for cell in rows.iter().map(|row| &row[place]) {
            column.levels.push(i16::from(*cell != Cell::Nothing));
            match (content, cell) {
                (_, Cell::Nothing) => {}
                (Content::Wholes, Cell::Whole(count)) => {
                    column.wholes.push(i64::try_from(*count).unwrap_or(i64::MAX));
                }
                (Content::Numbers, Cell::Number(value)) => column.numbers.push(*value),
                (Content::Numbers, Cell::Money(money)) => column.numbers.push(money.to_f64()),
                (_, cell) => column.texts.push(Text::from(cell.to_string().as_str())),
            }
        }
        column
    }

    fn values(&self) -> Values<'_> {
        match self.content {
            Content::Wholes | Content::Times => Values::Wholes(&self.wholes),
            Content::Numbers => Values::Numbers(&self.numbers),
            Content::Texts => Values::Texts(&self.texts),
        }
    }
}

/// The narrowest content that holds all cells of a column.
fn content(table: &Table, place: usize) -> Content {
    let cells = table.rows.iter().map(|row| &row[place]).filter(|cell| **cell != Cell::Nothing);
    let mut contents = cells.map(|cell| match cell {
        Cell::Whole(_) => Content::Wholes,
        Cell::Number(_) | Cell::Money(_) => Content::Numbers,
        Cell::Nothing | Cell::Text(_) => Content::Texts,
    });
    let first = contents.next().unwrap_or(Content::Texts);
    if contents.all(|content| content == first) { first } else { Content::Texts }
}
