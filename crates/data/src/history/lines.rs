//! The lines of a CSV file of ours, and the events of one.

use std::path::{Path, PathBuf};

use super::HistoryError;
use super::file::FileKind;
use super::reader::SkippedFaults;
use super::row;
use crate::tabular::lines::{Line, LineError, Lines};
use bot_core::clock::times::{Forms, Times};
use bot_core::market::MarketEvent;

/// The lines below the header of a file; a last one that a crash tore is left out.
#[derive(Debug)]
pub(super) struct WholeLines {
    path: PathBuf,
    lines: Lines,
    /// Whether the last line was torn.
    pub(super) is_torn: bool,
}

impl WholeLines {
    /// Opens a file whose first line is `header`.
    pub(super) fn open(path: &Path, header: &str) -> Result<Self, HistoryError> {
        let lines = Lines::open(path).map_err(HistoryError::io(path))?;
        let mut file = Self { path: path.to_owned(), lines, is_torn: false };
        let was = file.next()?.filter(|(_, line)| *line != header);
        let was = was.map(|(_, line)| line.chars().take(80).collect::<String>());
        was.map_or(Ok(file), |was| {
            Err(HistoryError::Line {
                path: path.to_owned(),
                line: 1,
                fault: format!("header must be \"{header}\", was \"{was}\""),
            })
        })
    }

    /// The next line and its number, from 1; after a fault of a line, the one behind it.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, HistoryError> {
        let fault = |line, fault: String| HistoryError::Line { path: self.path.clone(), line, fault };
        match self.lines.next_line() {
            Ok(None) => Ok(None),
            Ok(Some(Line { number, is_whole: false, .. })) => {
                tracing::warn!(file = %self.path.display(), line = number, "a torn last line is left out");
                self.is_torn = true;
                Ok(None)
            }
            Ok(Some(Line { number, bytes, .. })) => match std::str::from_utf8(bytes) {
                Ok(line) => Ok(Some((number, line))),
                Err(_) => Err(fault(number, "a line must be UTF-8, was not".to_owned())),
            },
            Err(LineError::Io(source)) => Err(HistoryError::io(&self.path)(source)),
            Err(error @ LineError::Long(number)) => Err(fault(number, error.to_string())),
        }
    }

    /// What is wrong with a line.
    pub(super) fn fault(&self, line: u64, fault: String) -> HistoryError {
        HistoryError::Line { path: self.path.clone(), line, fault }
    }
}

/// The events of one file, in the order of its lines.
#[derive(Debug)]
pub(super) struct EventLines {
    kind: FileKind,
    lines: WholeLines,
    times: Times,
}

impl EventLines {
    /// Opens a file whose header is the kind's.
    pub(super) fn open(kind: FileKind, path: &Path) -> Result<Self, HistoryError> {
        let lines = WholeLines::open(path, kind.header())?;
        Ok(Self { kind, lines, times: Times::new(Forms::Instants, chrono_tz::UTC) })
    }

    /// The next event and its line, from 1; `None` at the end of the file.
    pub(super) fn next(
        &mut self,
        faults: &mut SkippedFaults,
    ) -> Result<Option<(u64, MarketEvent)>, HistoryError> {
        loop {
            let (number, event) = match self.lines.next() {
                Ok(Some((number, line))) => (number, row::parse(self.kind, line, &mut self.times)),
                Ok(None) => {
                    faults.torn += u64::from(std::mem::take(&mut self.lines.is_torn));
                    return Ok(None);
                }
                Err(fault @ HistoryError::Line { .. }) => {
                    faults.take(fault)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match event {
                Ok(event) => return Ok(Some((number, event))),
                Err(rule) => faults.take(self.lines.fault(number, rule))?,
            }
        }
    }
}
