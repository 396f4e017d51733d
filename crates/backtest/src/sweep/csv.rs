//! Tables as CSV (RFC 4180), and back.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::table::Table;
use bot_data::tabular::cells::{quoted, split};
use bot_data::tabular::lines::{LineError, Lines};

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

/// The rows of a file that [`write_csv`] wrote, its head first.
///
/// # Errors
/// Says which line cannot be read.
pub(super) fn read_csv(path: &Path) -> Result<Vec<Vec<String>>, String> {
    let unread = |error: io::Error| format!("{}: {error}", path.display());
    let mut lines = Lines::open(path).map_err(unread)?;
    let mut rows = Vec::new();
    loop {
        let fault = |line: u64, fault: String| format!("{}:{line}: {fault}", path.display());
        match lines.next_line() {
            Ok(None) => return Ok(rows),
            Ok(Some(line)) => {
                let cells = split(line.bytes, b',').map_err(|rule| fault(line.number, rule))?;
                rows.push(cells.into_iter().map(Cow::into_owned).collect());
            }
            Err(LineError::Io(error)) => return Err(unread(error)),
            Err(error @ LineError::Long(line)) => return Err(fault(line, error.to_string())),
        }
    }
}

fn write_line(out: &mut impl Write, cells: &[impl ToString]) -> io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(&cell.to_string()).into_owned()).collect();
    writeln!(out, "{}", cells.join(","))
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
            let file = tempfile::NamedTempFile::new().unwrap();
            write_csv(&table, file.as_file()).unwrap();
            let found = read_csv(file.path()).unwrap();
            prop_assert_eq!(&found[0], &table.columns);
            prop_assert_eq!(&found[1..], rows);
        }

        #[test]
        fn a_number_reads_back_to_the_bit(value in prop::num::f64::NORMAL) {
            let text = Cell::Number(value).to_string();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
