//! The events of one CSV file, in the order of its lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::HistoryError;
use super::file::Kind;
use super::reader::Faults;
use super::row;
use crate::market::MarketEvent;

const BUFFER_BYTES: usize = 64 << 10;
/// The longest number has some 330 characters.
const LINE_BYTES_MAX: usize = 4_096;

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Lines {
    kind: Kind,
    path: PathBuf,
    bytes: BufReader<File>,
    /// Lines read so far, the header among them.
    number: u64,
    at_end: bool,
    line: Vec<u8>,
}

impl Lines {
    /// Opens a file whose header is the kind's.
    pub(super) fn open(kind: Kind, path: &Path, faults: &mut Faults) -> Result<Self, HistoryError> {
        let bytes = File::open(path)
            .map(|file| BufReader::with_capacity(BUFFER_BYTES, file))
            .map_err(HistoryError::io(path))?;
        let mut file =
            Self { kind, path: path.to_owned(), bytes, number: 0, at_end: false, line: Vec::new() };
        let header = kind.header();
        if file.read_line(faults)? && file.line != header.as_bytes() {
            let was = String::from_utf8_lossy(&file.line).chars().take(80).collect::<String>();
            return Err(file.fault(format!("header must be \"{header}\", was \"{was}\"")));
        }
        Ok(file)
    }

    /// The next event and its line, from 1; `None` at the end of the file.
    pub(super) fn next(&mut self, faults: &mut Faults) -> Result<Option<(u64, MarketEvent)>, HistoryError> {
        while self.read_line(faults)? {
            let row = std::str::from_utf8(&self.line)
                .map_err(|_| "line must be UTF-8, was not".to_owned())
                .and_then(|line| row::parse(self.kind, line));
            match row {
                Ok(event) => return Ok(Some((self.number, event))),
                Err(rule) => faults.take(self.fault(rule))?,
            }
        }
        Ok(None)
    }

    /// Reads one whole line, without its end, into `self.line`; false at the end of the file.
    fn read_line(&mut self, faults: &mut Faults) -> Result<bool, HistoryError> {
        while !self.at_end {
            self.line.clear();
            let limited = (&mut self.bytes).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut self.line);
            let read = limited.map_err(HistoryError::io(&self.path))?;
            self.number += u64::from(read > 0);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                self.line.pop_if(|last| *last == b'\r');
                return Ok(true);
            }
            if read < LINE_BYTES_MAX {
                self.at_end = true;
                if read > 0 {
                    tracing::warn!(file = %self.path.display(), line = self.number, "a torn last line is left out");
                    faults.torn += 1;
                }
            } else {
                let rule = format!("line must have fewer than {LINE_BYTES_MAX} bytes");
                faults.take(self.fault(rule))?;
                self.bytes.skip_until(b'\n').map_err(HistoryError::io(&self.path))?;
            }
        }
        Ok(false)
    }

    /// What is wrong with the line read last.
    fn fault(&self, fault: String) -> HistoryError {
        HistoryError::Line { path: self.path.clone(), line: self.number, fault }
    }
}
