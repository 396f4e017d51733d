//! The lines of a text file, one after the other, none of them copied.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use thiserror::Error;

/// So much is read at once; no line may be longer.
const BLOCK_BYTES: usize = 1 << 20;

/// A file that is being read. A byte order mark before the first line is no part of it.
#[derive(Debug)]
pub struct Lines {
    file: File,
    block: Vec<u8>,
    /// What of the block is not read yet.
    start: usize,
    end: usize,
    at_end: bool,
    /// Where the last line started, and its number from 1.
    line_start: usize,
    number: u64,
    /// The rest of a line that was too long is still to come.
    is_inside_long: bool,
    bytes: usize,
}

/// One line without its end.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// What it says.
    pub bytes: &'a [u8],
    /// False for a last line without a line feed, such as a crash leaves.
    pub is_whole: bool,
}

/// Why there is no next line.
#[derive(Debug, Error)]
pub enum LineError {
    /// Nothing can be read any more.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The line is left out; the one after it can be read.
    #[error("a line must have fewer than {BLOCK_BYTES} bytes, had more")]
    Long(u64),
}

impl Lines {
    /// Opens a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            block: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            at_end: false,
            line_start: 0,
            number: 0,
            is_inside_long: false,
            bytes: 0,
        })
    }

    /// The next line; `None` at the end of the file.
    #[inline]
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, LineError> {
        loop {
            let rest = &self.block[self.start..self.end];
            let (length, next) = match memchr::memchr(b'\n', rest) {
                Some(length) => (length, length + 1),
                None if self.at_end && rest.is_empty() => return Ok(None),
                None if self.at_end => (rest.len(), rest.len()),
                None => {
                    self.fill()?;
                    continue;
                }
            };
            self.line_start = self.start;
            self.start += next;
            if self.is_inside_long {
                self.is_inside_long = false;
                continue;
            }
            self.number += 1;
            let line = &self.block[self.line_start..self.line_start + length];
            let bytes = line.strip_suffix(b"\r").unwrap_or(line);
            return Ok(Some(Line { number: self.number, bytes, is_whole: next > length }));
        }
    }

    /// Gives the last line once more.
    pub fn again(&mut self) {
        self.start = self.line_start;
        self.number -= 1;
    }

    /// How many bytes were read since this was last asked.
    pub fn take_bytes(&mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }

    /// Moves the torn line to the front of the block and reads on behind it.
    fn fill(&mut self) -> Result<(), LineError> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.block.len() {
            self.end = 0;
            if !self.is_inside_long {
                self.is_inside_long = true;
                self.number += 1;
                return Err(LineError::Long(self.number));
            }
        }
        let is_first = self.number == 0 && self.end == 0;
        while self.end < self.block.len() && !self.at_end {
            match self.file.read(&mut self.block[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => {
                    self.end += read;
                    self.bytes += read;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if is_first && self.block[..self.end].starts_with(b"\xEF\xBB\xBF") {
            self.start = 3;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[&str]) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path).unwrap();
        let mut found = Vec::new();
        loop {
            match lines.next_line() {
                Ok(None) => break,
                Ok(Some(Line { number, bytes, is_whole })) => {
                    let torn = if is_whole { "" } else { " torn" };
                    found.push(format!("{number} {}{torn}", String::from_utf8_lossy(bytes)));
                }
                Err(error) => found.push(error.to_string()),
            }
        }
        assert_eq!(found, expected);
        assert_eq!((lines.take_bytes(), lines.take_bytes()), (text.len(), 0));
    }

    #[test]
    fn lines_come_without_their_ends_and_a_torn_one_is_told() {
        check(b"", &[]);
        check(b"a\r\n\nb\n", &["1 a", "2 ", "3 b"]);
        check(b"\xEF\xBB\xBFa\nb\r", &["1 a", "2 b torn"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_one_is_read() {
        let rule = format!("a line must have fewer than {BLOCK_BYTES} bytes, had more");
        let long = "x".repeat(2 * BLOCK_BYTES + 7);
        check(format!("a\n{long}\nb\n").as_bytes(), &["1 a", &rule, "3 b"]);
        check(long.as_bytes(), &[&rule]);
        let longest = "x".repeat(BLOCK_BYTES - 1);
        check(format!("{longest}\n").as_bytes(), &[&format!("1 {longest}")]);
    }
}
