//! One CSV line as one row: a quick way for the usual line, a careful one for quotes, blanks and faults. Pure.

use std::borrow::Cow;

use super::columns::{self, Role, fields};
use super::spec::Columns;
use super::times::Times;
use super::{Row, Shape, number};

/// How the lines of a file are to be read.
#[derive(Debug)]
pub(super) struct Plan {
    shape: Shape,
    separator: u8,
    roles: Vec<Role>,
    header: Vec<String>,
}

impl Plan {
    /// From the line that names the columns.
    pub(super) fn by_name(header: &[u8], columns: &Columns, shape: Shape) -> Result<Self, String> {
        let separator = separator(header);
        let header: Vec<_> = split(header, separator)?.iter().map(|cell| cell.trim().to_owned()).collect();
        let roles = columns::by_name(columns, shape, &header)?;
        Ok(Self { shape, separator, roles, header })
    }

    /// From the first row of a file without a header.
    pub(super) fn by_number(row: &[u8], columns: &Columns, shape: Shape) -> Result<Self, String> {
        let separator = separator(row);
        let roles = columns::by_number(columns, shape, split(row, separator)?.len())?;
        Ok(Self { shape, separator, roles, header: Vec::new() })
    }

    /// True for the header once more.
    pub(super) fn has_header(&self, line: &[u8]) -> bool {
        split(line, self.separator).is_ok_and(|cells| {
            cells.iter().map(|cell| cell.trim()).eq(self.header.iter().map(String::as_str))
        })
    }

    /// Reads any line.
    ///
    /// # Errors
    /// The rule that the line breaks, then what it was.
    #[cold]
    pub(super) fn row(&self, line: &[u8], times: &mut Times) -> Result<Row, String> {
        let cells = split(line, self.separator)?;
        if cells.len() != self.roles.len() {
            return Err(format!("a row must have {} cells, had {}", self.roles.len(), cells.len()));
        }
        let (mut at, mut values) = (None, [0.0; 5]);
        for (cell, role) in cells.iter().zip(&self.roles) {
            let cell = cell.trim();
            match *role {
                Role::Other => {}
                Role::Time if cell.is_empty() => return Err("time must be there, was empty".to_owned()),
                Role::Time => at = Some(times.read(cell)?),
                Role::Value(place) => {
                    let field = &fields(self.shape)[place];
                    values[place] = match number::read(cell) {
                        Some(number) => number,
                        None if cell.is_empty() && !field.needed => 0.0,
                        None if cell.is_empty() => {
                            return Err(format!("{} must be there, was empty", field.name));
                        }
                        None => {
                            return Err(format!("{} must be a number, was \"{}\"", field.name, short(cell)));
                        }
                    };
                }
            }
        }
        let at = at.ok_or("time must be there, was not")?;
        Ok(Row { at, values })
    }
}

/// Reads a line whose cells are plain; `None` for any other and for what is no row.
#[inline]
pub(super) fn quick(plan: &Plan, line: &[u8], times: &mut Times) -> Option<Row> {
    let (mut at, mut values) = (None, [0.0; 5]);
    let mut rest = line;
    let mut more = true;
    for role in &plan.roles {
        if !more {
            return None;
        }
        let taken = match *role {
            Role::Other => {
                if rest.first() == Some(&b'"') {
                    return None;
                }
                memchr::memchr(plan.separator, rest).unwrap_or(rest.len())
            }
            Role::Time => {
                let (time, taken) = times.quick(rest)?;
                at = Some(time);
                taken
            }
            Role::Value(place) => {
                let (number, taken) = number::quick(rest)?;
                values[place] = number;
                taken
            }
        };
        match rest.get(taken) {
            None => {
                rest = &[];
                more = false;
            }
            Some(byte) if *byte == plan.separator => rest = &rest[taken + 1..],
            Some(_) => return None,
        }
    }
    if more { None } else { at.map(|at| Row { at, values }) }
}

/// Which of comma, semicolon and tab a line has most of.
fn separator(line: &[u8]) -> u8 {
    let count = |wanted: u8| memchr::memchr_iter(wanted, line).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|wanted| count(*wanted)).unwrap_or(b',')
}

/// The cells of a line; a cell in double quotes may hold separators, and two double quotes for one.
fn split(line: &[u8], separator: u8) -> Result<Vec<Cow<'_, str>>, String> {
    let text = std::str::from_utf8(line)
        .map_err(|_| format!("a line must be UTF-8, was \"{}\"", short(&String::from_utf8_lossy(line))))?;
    let separator = char::from(separator);
    let (mut cells, mut rest) = (Vec::new(), text);
    loop {
        let bare = rest.trim_start_matches(' ');
        let (cell, behind) = if let Some(quoted) = bare.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let (cell, behind) = rest.split_at(rest.find(separator).unwrap_or(rest.len()));
            (Cow::Borrowed(cell), behind)
        };
        cells.push(cell);
        let behind = behind.trim_start_matches(' ');
        match behind.strip_prefix(separator) {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(cells),
            None => {
                return Err(format!(
                    "a quoted cell must end at its separator, went on with \"{}\"",
                    short(behind)
                ));
            }
        }
    }
}

/// What stands before the closing quote, and what behind it.
fn unquote(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut from = 0;
    while let Some(quote) = text[from..].find('"').map(|place| from + place) {
        let behind = &text[quote + 1..];
        if !behind.starts_with('"') {
            let cell = &text[..quote];
            let cell =
                if cell.contains('"') { Cow::Owned(cell.replace("\"\"", "\"")) } else { Cow::Borrowed(cell) };
            return Ok((cell, behind));
        }
        from = quote + 2;
    }
    Err(format!("a quoted cell must end on its line, was \"{}\"", short(text)))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
