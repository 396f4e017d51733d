//! Bars as people keep them: CSV with a header. Pure.

use chrono::{NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::America::New_York;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::market::Bar;

/// What is wrong with a bar file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BarFileError {
    /// A column is missing.
    #[error("line 1: header must name datetime (or timestamp), open, high, low, close, was \"{0}\"")]
    Header(String),
    /// A time cannot be read.
    #[error("line {line}: time must be RFC 3339, YYYY-MM-DD [HH:MM[:SS]] or a Unix time, was \"{was}\"")]
    Time {
        /// From 1.
        line: usize,
        /// As found.
        was: String,
    },
    /// A number cannot be read.
    #[error("line {line}: {column} must be a number above 0, was \"{was}\"")]
    Number {
        /// From 1.
        line: usize,
        /// Which column.
        column: &'static str,
        /// As found.
        was: String,
    },
    /// The bars go back in time.
    #[error("line {line}: time must be after the line before")]
    Order {
        /// From 1.
        line: usize,
    },
    /// There are no bars.
    #[error("file must hold at least one bar")]
    Empty,
}

/// Reads `datetime|timestamp,open,high,low,close[,volume]`; naive times are New York's.
///
/// # Errors
/// Names the first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Bar>, BarFileError> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, line)| line).unwrap_or_default();
    let columns =
        Columns::find(header).ok_or_else(|| BarFileError::Header(header.chars().take(80).collect()))?;
    let mut bars: Vec<Bar> = Vec::new();
    for (index, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        let bar = columns.read(row, index + 1)?;
        if bars.last().is_some_and(|last| last.at >= bar.at) {
            return Err(BarFileError::Order { line: index + 1 });
        }
        bars.push(bar);
    }
    if bars.is_empty() { Err(BarFileError::Empty) } else { Ok(bars) }
}

struct Columns {
    time: usize,
    prices: [(usize, &'static str); 4],
    volume: Option<usize>,
}

impl Columns {
    fn find(header: &str) -> Option<Self> {
        let names: Vec<String> = header
            .trim_start_matches('\u{feff}')
            .split(',')
            .map(|name| name.trim().trim_matches('"').to_ascii_lowercase())
            .collect();
        let place = |name: &str| names.iter().position(|known| known == name);
        let price = |name: &'static str| place(name).map(|place| (place, name));
        Some(Self {
            time: ["datetime", "timestamp", "time", "date"].into_iter().find_map(place)?,
            prices: [price("open")?, price("high")?, price("low")?, price("close")?],
            volume: place("volume"),
        })
    }

    fn read(&self, row: &str, line: usize) -> Result<Bar, BarFileError> {
        let cells: Vec<&str> = row.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
        let at = time(cell(self.time))
            .ok_or_else(|| BarFileError::Time { line, was: cell(self.time).chars().take(40).collect() })?;
        let number = |(place, column): (usize, &'static str)| {
            cell(place).parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0).ok_or_else(
                || BarFileError::Number { line, column, was: cell(place).chars().take(40).collect() },
            )
        };
        let [open, high, low, close] = self.prices;
        Ok(Bar {
            at,
            open: number(open)?,
            high: number(high)?,
            low: number(low)?,
            close: number(close)?,
            volume: self.volume.and_then(|place| cell(place).parse().ok()).unwrap_or(0.0),
        })
    }
}

/// Reads a time as people write it; naive ones are New York's.
pub fn time(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        // Seconds, milliseconds, microseconds and nanoseconds since 1970 are told apart by size.
        return Some(match number.unsigned_abs() {
            0..100_000_000_000 => Timestamp::from_secs(number),
            100_000_000_000..100_000_000_000_000 => Timestamp::from_millis(number),
            100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_micros(number),
            _ => Timestamp::from_nanos(number),
        });
    }
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .into_iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    match naive {
        Some(naive) => New_York.from_local_datetime(&naive).earliest().map(Timestamp::from),
        None => Timestamp::parse_rfc3339(&text.replacen(' ', "T", 1)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(bars) => {
                bars.iter().map(|bar| format!("{} {}", bar.at, bar.close)).collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn bars_are_read_with_any_usual_time_and_column_order() {
        check(
            "datetime,open,high,low,close,volume\n2026-11-20 09:30:00,1,2,1,1.5,10\n",
            "2026-11-20T14:30:00Z 1.5",
        );
        check("Close,Open,High,Low,Timestamp\n1.5,1,2,1,1795185000\n\n", "2026-11-20T14:30:00Z 1.5");
        check("timestamp,open,high,low,close\n2026-11-20T14:30:00+00:00,1,2,1,3", "2026-11-20T14:30:00Z 3");
        check("timestamp,open,high,low,close\n1795185000000,1,2,1,3", "2026-11-20T14:30:00Z 3");
    }

    #[test]
    fn a_bar_file_that_cannot_be_read_is_told_by_line() {
        check("a,b", "line 1: header must name datetime (or timestamp), open, high, low, close, was \"a,b\"");
        check("datetime,open,high,low,close\n", "file must hold at least one bar");
        check(
            "datetime,open,high,low,close\n2026-11-20 09:30:00,1,x,1,1",
            "line 2: high must be a number above 0, was \"x\"",
        );
        check(
            "datetime,open,high,low,close\n2026-11-20,1,1,1,1\n2026-11-20,1,1,1,1",
            "line 3: time must be after the line before",
        );
    }
}
