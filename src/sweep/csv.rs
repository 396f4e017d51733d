//! Tables as CSV (RFC 4180), and back.

use std::io::{self, BufWriter, Write};

use super::table::Table;

/// Writes a table, one line for each row. Numbers read back to the bit.
///
/// # Errors
/// What `out` says.
pub fn write_csv(table: &Table, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    write_line(&mut out, &table.columns)?;
    for row in &table.rows {
        write_line(&mut out, row)?;
    }
    out.flush()
}

/// The head and the rows of a text that [`write_csv`] wrote: no cell has a line break in it.
pub(super) fn read_csv(text: &str) -> (Vec<String>, impl Iterator<Item = Vec<String>> + '_) {
    let mut lines = text.lines().map(cells);
    (lines.next().unwrap_or_default(), lines)
}

fn write_line(out: &mut impl Write, cells: &[impl ToString]) -> io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(&cell.to_string())).collect();
    writeln!(out, "{}", cells.join(","))
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            letter => cell.push(letter),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sweep::table::Cell;

    proptest! {
        #[test]
        fn what_is_written_reads_back(rows in prop::collection::vec(prop::collection::vec("[a,\" 0]{0,6}", 3), 0..5)) {
            let table = Table {
                columns: ["a", "b,c", "d\"e"].map(str::to_owned).to_vec(),
                rows: rows.iter().map(|row| row.iter().cloned().map(Cell::Text).collect()).collect(),
            };
            let mut text = Vec::new();
            write_csv(&table, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let (head, found) = read_csv(&text);
            prop_assert_eq!(head, table.columns);
            prop_assert_eq!(found.collect::<Vec<_>>(), rows);
        }

        #[test]
        fn a_number_reads_back_to_the_bit(value in prop::num::f64::NORMAL) {
            let text = Cell::Number(value).to_string();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
