//! Rows as CSV lines, with as many digits as they need to read back to the same bits.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use chrono::offset::LocalResult;
use chrono::{Offset, SecondsFormat, TimeZone};
use chrono_tz::Tz;

use super::super::columns::fields;
use super::{Row, RowKind};
use bot_core::clock::Timestamp;

/// A CSV file that is being written.
pub(super) struct CsvRows {
    file: BufWriter<File>,
    values: usize,
    timezone: Option<Tz>,
}

impl CsvRows {
    pub(super) fn new(file: File, row_kind: RowKind, timezone: Option<Tz>) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 16, file);
        let names: Vec<_> = fields(row_kind).iter().map(|field| field.name).collect();
        writeln!(file, "time,{}", names.join(","))?;
        Ok(Self { file, values: names.len(), timezone })
    }

    pub(super) fn rows(&mut self, rows: &[Row]) -> io::Result<()> {
        for row in rows {
            match self.timezone {
                None => write!(self.file, "{}", row.at)?,
                Some(zone) => self.file.write_all(local(row.at, zone).as_bytes())?,
            }
            for value in &row.values[..self.values] {
                write!(self.file, ",{value}")?;
            }
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// By the zone's clock; where the clock shows a time twice, the second one says its offset.
fn local(at: Timestamp, zone: Tz) -> String {
    let time = at.to_utc().with_timezone(&zone);
    let naive = time.naive_local();
    match zone.offset_from_local_datetime(&naive) {
        LocalResult::Ambiguous(first, _) if first.fix() != time.offset().fix() => {
            time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        }
        LocalResult::Single(_) | LocalResult::Ambiguous(..) | LocalResult::None => {
            naive.format("%Y-%m-%d %H:%M:%S%.f").to_string()
        }
    }
}
