//! Rows of CSV files, read one after the other as if they were one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::cells::{self, Plan};
use super::sieve::{Sieve, Table};
use super::spec::Columns;
use super::times::Times;
use super::{DataError, Shape};

/// So much is read at once; no line may be longer.
const BLOCK_BYTES: usize = 1 << 20;

/// Some CSV files.
#[derive(Debug)]
pub(super) struct Csv {
    /// The next one is the last.
    waiting: Vec<PathBuf>,
    columns: Columns,
    times: Times,
    /// Of the files so far; those that follow may have the same header, their own, or none.
    plan: Option<Plan>,
    open: Option<Text>,
}

impl Csv {
    pub(super) fn new(paths: &[PathBuf], columns: &Columns, zone: chrono_tz::Tz) -> Self {
        let waiting = paths.iter().rev().cloned().collect();
        Self { waiting, columns: columns.clone(), times: Times::new(zone), plan: None, open: None }
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
        let mut text = Text::open(&path)?;
        while let Some((number, line)) = text.line(sieve)? {
            if is_blank(line) {
                continue;
            }
            let is_header =
                self.first_line(line, sieve.shape()).map_err(|fault| sieve.fault(number, fault))?;
            if !is_header {
                text.again();
            }
            break;
        }
        self.open = Some(text);
        Ok(true)
    }
}

impl Table for Csv {
    fn read(&mut self, sieve: &mut Sieve) -> Result<bool, DataError> {
        while !sieve.is_full() {
            let (Some(text), Some(plan)) = (&mut self.open, &self.plan) else {
                if !self.open_next(sieve)? {
                    return Ok(false);
                }
                continue;
            };
            let Some((number, line)) = text.line(sieve)? else {
                self.open = None;
                continue;
            };
            match cells::quick(plan, line, &mut self.times) {
                Some(row) => sieve.row(number, row)?,
                None if is_blank(line) => {}
                None => match plan.row(line, &mut self.times) {
                    Ok(row) => sieve.row(number, row)?,
                    Err(fault) => sieve.bad(number, fault)?,
                },
            }
        }
        Ok(true)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// A file, line by line.
#[derive(Debug)]
struct Text {
    path: PathBuf,
    file: File,
    block: Vec<u8>,
    /// What of the block is not read yet.
    start: usize,
    end: usize,
    at_end: bool,
    /// Where the last line started, and its number from 1.
    line_start: usize,
    number: u64,
}

impl Text {
    fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            block: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            at_end: false,
            line_start: 0,
            number: 0,
        })
    }

    /// The next line without its end, and its number.
    #[inline]
    fn line(&mut self, sieve: &mut Sieve) -> Result<Option<(u64, &[u8])>, DataError> {
        loop {
            let rest = &self.block[self.start..self.end];
            let (length, next) = match memchr::memchr(b'\n', rest) {
                Some(length) => (length, length + 1),
                None if self.at_end && rest.is_empty() => return Ok(None),
                None if self.at_end => (rest.len(), rest.len()),
                None => {
                    self.fill(sieve)?;
                    continue;
                }
            };
            self.line_start = self.start;
            self.start += next;
            self.number += 1;
            let line = &self.block[self.line_start..self.line_start + length];
            return Ok(Some((self.number, line.strip_suffix(b"\r").unwrap_or(line))));
        }
    }

    /// Gives the last line once more.
    fn again(&mut self) {
        self.start = self.line_start;
        self.number -= 1;
    }

    /// Moves the torn line to the front of the block and reads on behind it.
    fn fill(&mut self, sieve: &mut Sieve) -> Result<(), DataError> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.block.len() {
            return Err(sieve.fault(
                self.number + 1,
                format!("a line must have fewer than {BLOCK_BYTES} bytes, had more"),
            ));
        }
        let is_first = self.number == 0 && self.end == 0;
        while self.end < self.block.len() && !self.at_end {
            match self.file.read(&mut self.block[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => {
                    self.end += read;
                    sieve.count_bytes(read);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(DataError::Io { path: self.path.clone(), source }),
            }
        }
        if is_first && self.block[..self.end].starts_with(b"\xEF\xBB\xBF") {
            self.start = 3;
        }
        Ok(())
    }
}
