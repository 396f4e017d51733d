//! Rows of CSV files, read one after the other as if they were one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cells::{self, Plan};
use super::sieve::{Sieve, Table};
use super::spec::Columns;
use super::{DataError, Shape};
use crate::clock::times::{Forms, Times};
use crate::tabular::lines::{Line, LineError, Lines};

/// Some CSV files.
#[derive(Debug)]
pub(super) struct Csv {
    /// The next one is the last.
    waiting: Vec<PathBuf>,
    columns: Columns,
    times: Times,
    /// Of the files so far; those that follow may have the same header, their own, or none.
    plan: Option<Plan>,
    open: Option<Lines>,
}

impl Csv {
    pub(super) fn new(paths: &[PathBuf], columns: &Columns, zone: chrono_tz::Tz) -> Self {
        let waiting = paths.iter().rev().cloned().collect();
        Self {
            waiting,
            columns: columns.clone(),
            times: Times::new(Forms::All, zone),
            plan: None,
            open: None,
        }
    }

    /// Learns from a file's first line; true when it is a header and no row.
    fn first_line(&mut self, line: &[u8], shape: Shape) -> Result<bool, String> {
        if line.starts_with(&[0x1f, 0x8b]) {
            return Err("a file must be plain text, was gzip".to_owned());
        }
        if !self.columns.has_header {
            if self.plan.is_none() {
                self.plan = Some(Plan::by_number(line, &self.columns, shape)?);
            }
            return Ok(false);
        }
        if let Some(plan) = &self.plan
            && (plan.has_header(line) || plan.row(line, &mut self.times).is_ok())
        {
            return Ok(plan.has_header(line));
        }
        self.plan = Some(Plan::by_name(line, &self.columns, shape)?);
        Ok(true)
    }

    fn open_next(&mut self, sieve: &mut Sieve) -> Result<bool, DataError> {
        let Some(path) = self.waiting.pop() else { return Ok(false) };
        sieve.begin(&path);
        let mut lines = Lines::open(&path).map_err(|source| DataError::Io { path, source })?;
        while let Some(line) = lines.next().map_err(|error| unread(sieve, error))? {
            if is_blank(line.bytes) {
                continue;
            }
            let is_header = self.first_line(line.bytes, sieve.shape());
            if !is_header.map_err(|fault| sieve.fault(line.number, fault))? {
                lines.again();
            }
            break;
        }
        self.open = Some(lines);
        Ok(true)
    }
}

impl Table for Csv {
    fn read(&mut self, sieve: &mut Sieve) -> Result<bool, DataError> {
        while !sieve.is_full() {
            let (Some(lines), Some(plan)) = (&mut self.open, &self.plan) else {
                if !self.open_next(sieve)? {
                    return Ok(false);
                }
                continue;
            };
            let Some(Line { number, bytes, .. }) = lines.next().map_err(|error| unread(sieve, error))? else {
                sieve.count_bytes(lines.take_bytes());
                self.open = None;
                continue;
            };
            match cells::quick(plan, bytes, &mut self.times) {
                Some(row) => sieve.row(number, row)?,
                None if is_blank(bytes) => {}
                None => match plan.row(bytes, &mut self.times) {
                    Ok(row) => sieve.row(number, row)?,
                    Err(fault) => sieve.bad(number, fault)?,
                },
            }
        }
        if let Some(lines) = &mut self.open {
            sieve.count_bytes(lines.take_bytes());
        }
        Ok(true)
    }
}

fn unread(sieve: &Sieve, error: LineError) -> DataError {
    match error {
        LineError::Long(line) => sieve.fault(line, error.to_string()),
        LineError::Io(error) => sieve.unreadable(error),
    }
}

/// See [`super::shape_of`].
pub(super) fn shape_of(path: &Path, span: Duration) -> io::Result<Shape> {
    let bars = Shape::Bar { span };
    let columns = Columns { has_header: true, named: Vec::new() };
    let mut lines = Lines::open(path)?;
    loop {
        match lines.next() {
            Ok(Some(line)) if is_blank(line.bytes) => {}
            Ok(Some(line)) => {
                let is = |shape| Plan::by_name(line.bytes, &columns, shape).is_ok();
                return Ok(if is(Shape::Trade) && !is(bars) { Shape::Trade } else { bars });
            }
            Err(LineError::Io(error)) => return Err(error),
            Ok(None) | Err(LineError::Long(_)) => return Ok(bars), // Whoever reads it tells what is wrong.
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}
