//! Rows of CSV files, read one after the other as if they were one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cells::{self, LinePlan};
use super::row_checker::{RowChecker, RowTable};
use super::spec::Columns;
use super::{DataError, RowKind};
use crate::tabular::lines::{Line, LineError, Lines};
use bot_core::clock::times::{Forms, Times};

/// Some CSV files.
#[derive(Debug)]
pub(super) struct Csv {
    /// The next one is the last.
    waiting: Vec<PathBuf>,
    columns: Columns,
    times: Times,
    /// Of the files so far; those that follow may have the same header, their own, or none.
    plan: Option<LinePlan>,
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
    fn first_line(&mut self, line: &[u8], row_kind: RowKind) -> Result<bool, String> {
        if line.starts_with(&[0x1f, 0x8b]) {
            return Err("a file must be plain text, was gzip".to_owned());
        }
        if !self.columns.has_header {
            if self.plan.is_none() {
                self.plan = Some(LinePlan::by_number(line, &self.columns, row_kind)?);
            }
            return Ok(false);
        }
        if let Some(plan) = &self.plan
            && (plan.has_header(line) || plan.row(line, &mut self.times).is_ok())
        {
            return Ok(plan.has_header(line));
        }
        self.plan = Some(LinePlan::by_name(line, &self.columns, row_kind)?);
        Ok(true)
    }

    fn open_next(&mut self, checker: &mut RowChecker) -> Result<bool, DataError> {
        let Some(path) = self.waiting.pop() else { return Ok(false) };
        checker.begin(&path);
        let mut lines = Lines::open(&path).map_err(|source| DataError::Io { path, source })?;
        while let Some(line) = lines.next_line().map_err(|error| unread(checker, error))? {
            if is_blank(line.bytes) {
                continue;
            }
            let is_header = self.first_line(line.bytes, checker.row_kind());
            if !is_header.map_err(|fault| checker.fault(line.number, fault))? {
                lines.again();
            }
            break;
        }
        self.open = Some(lines);
        Ok(true)
    }
}

impl RowTable for Csv {
    fn read(&mut self, checker: &mut RowChecker) -> Result<bool, DataError> {
        while !checker.is_full() {
            let (Some(lines), Some(plan)) = (&mut self.open, &self.plan) else {
                if !self.open_next(checker)? {
                    return Ok(false);
                }
                continue;
            };
            let Some(Line { number, bytes, .. }) =
                lines.next_line().map_err(|error| unread(checker, error))?
            else {
                checker.count_bytes(lines.take_bytes());
                self.open = None;
                continue;
            };
            match cells::quick(plan, bytes, &mut self.times) {
                Some(row) => checker.row(number, row)?,
                None if is_blank(bytes) => {}
                None => match plan.row(bytes, &mut self.times) {
                    Ok(row) => checker.row(number, row)?,
                    Err(fault) => checker.bad(number, fault)?,
                },
            }
        }
        if let Some(lines) = &mut self.open {
            checker.count_bytes(lines.take_bytes());
        }
        Ok(true)
    }
}

fn unread(checker: &RowChecker, error: LineError) -> DataError {
    match error {
        LineError::Long(line) => checker.fault(line, error.to_string()),
        LineError::Io(error) => checker.unreadable(error),
    }
}

/// See [`super::row_kind_of`].
pub(super) fn row_kind_of(path: &Path, span: Duration) -> io::Result<RowKind> {
    let bars = RowKind::Bar { span };
    let columns = Columns { has_header: true, named: Vec::new() };
    let mut lines = Lines::open(path)?;
    loop {
        match lines.next_line() {
            Ok(Some(line)) if is_blank(line.bytes) => {}
            Ok(Some(line)) => {
                let is = |row_kind| LinePlan::by_name(line.bytes, &columns, row_kind).is_ok();
                return Ok(if is(RowKind::Trade) && !is(bars) { RowKind::Trade } else { bars });
            }
            Err(LineError::Io(error)) => return Err(error),
            Ok(None) | Err(LineError::Long(_)) => return Ok(bars), // Whoever reads it tells what is wrong.
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}
