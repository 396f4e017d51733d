//! One CSV line as one row: a quick way for the usual line, a careful one for quotes, blanks and faults. Pure.

use super::columns::{self, Role, fields};
use super::spec::Columns;
use super::{Row, RowKind};
use crate::tabular::cells::{separator, short, split};
use crate::tabular::number;
use bot_core::clock::times::Times;

/// How the lines of a file are to be read.
#[derive(Debug)]
pub(super) struct LinePlan {
    row_kind: RowKind,
    separator: u8,
    roles: Vec<Role>,
    header: Vec<String>,
}

impl LinePlan {
    /// From the line that names the columns.
    pub(super) fn by_name(header: &[u8], columns: &Columns, row_kind: RowKind) -> Result<Self, String> {
        let separator = separator(header);
        let header: Vec<_> = split(header, separator)?.iter().map(|cell| cell.trim().to_owned()).collect();
        let roles = columns::by_name(columns, row_kind, &header)?;
        Ok(Self { row_kind, separator, roles, header })
    }

    /// From the first row of a file without a header.
    pub(super) fn by_number(row: &[u8], columns: &Columns, row_kind: RowKind) -> Result<Self, String> {
        let separator = separator(row);
        let roles = columns::by_number(columns, row_kind, split(row, separator)?.len())?;
        Ok(Self { row_kind, separator, roles, header: Vec::new() })
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
                Role::Time => at = Some(times.read(cell).map_err(|error| error.to_string())?),
                Role::Value(place) => {
                    let field = &fields(self.row_kind)[place];
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
pub(super) fn quick(plan: &LinePlan, line: &[u8], times: &mut Times) -> Option<Row> {
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
