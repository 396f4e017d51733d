//! Gives recorded events back in order: by the time they were known, then the kind of file, then the line.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::path::{Path, PathBuf};

use super::HistoryError;
use super::file::{DayFile, FileForm};
use super::lines::EventLines;
use super::parquet::Rows;
use bot_core::clock::Timestamp;
use bot_core::market::MarketEvent;

/// What becomes of a line that cannot be read or stands far out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The reading ends with it.
    Error,
    /// It is logged, counted and left out.
    Skip,
}

/// Begins to read a directory of recorded events.
///
/// # Errors
/// A directory that cannot be listed or holds no events.
pub fn read(directory: &Path, on_fault: OnFault) -> Result<History, HistoryError> {
    let files = DayFile::list(directory)?;
    if files.is_empty() {
        return Err(HistoryError::Empty(directory.to_owned()));
    }
    Ok(History {
        directory: directory.to_owned(),
        waiting: files.into(),
        open: Vec::new(),
        last: Timestamp::from_nanos(i64::MIN),
        faults: SkippedFaults::new(on_fault),
        ended: false,
    })
}

/// An iterator over recorded events that never goes back in time. Only the files of the day it stands in are open.
#[derive(Debug)]
pub struct History {
    directory: PathBuf,
    /// By day, then kind.
    waiting: VecDeque<DayFile>,
    open: Vec<OpenDay>,
    last: Timestamp,
    faults: SkippedFaults,
    ended: bool,
}

impl History {
    /// Lines left out so far because they could not be read or stood too far out of order.
    pub fn skipped(&self) -> u64 {
        self.faults.skipped
    }

    /// Torn last lines left out so far, which a crash leaves behind and no policy counts as a fault.
    pub fn torn(&self) -> u64 {
        self.faults.torn
    }

    fn advance(&mut self) -> Result<Option<MarketEvent>, HistoryError> {
        loop {
            let first = self.open.iter().enumerate().filter_map(|(place, file)| Some((file.first()?, place)));
            // At one instant the files' own order counts, in which they were opened.
            let first = first.min_by_key(|((time, _), place)| (*time, *place));
            let opens = match (self.waiting.front(), first) {
                (None, None) => return Ok(None),
                (Some(file), Some(((time, _), _))) => file.span().0 <= time,
                (file, None) => file.is_some(),
                (None, Some(_)) => false,
            };
            if opens {
                self.open_next()?;
                continue;
            }
            let Some((_, place)) = first else { continue };
            let file = &mut self.open[place];
            let Some(row) = file.pop(&mut self.faults)? else { continue };
            if row.time < self.last {
                let rule = format!(
                    "time must be in order within {LOOK_AHEAD} lines, was {} after {}",
                    row.time, self.last
                );
                self.faults.take(file.fault(row.line, rule))?;
                continue;
            }
            self.last = row.time;
            self.open.retain(|file| !file.is_done());
            return Ok(Some(row.event));
        }
    }

    fn open_next(&mut self) -> Result<(), HistoryError> {
        if let Some(day_file) = self.waiting.pop_front() {
            self.open.extend(OpenDay::open(day_file, &self.directory, &mut self.faults)?);
        }
        Ok(())
    }
}

impl Iterator for History {
    type Item = Result<MarketEvent, HistoryError>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What was left out.
#[derive(Debug)]
pub(super) struct SkippedFaults {
    policy: OnFault,
    skipped: u64,
    pub(super) torn: u64,
}

impl SkippedFaults {
    pub(super) fn new(policy: OnFault) -> Self {
        Self { policy, skipped: 0, torn: 0 }
    }

    pub(super) fn take(&mut self, fault: HistoryError) -> Result<(), HistoryError> {
        match self.policy {
            OnFault::Error => Err(fault),
            OnFault::Skip => {
                tracing::warn!(%fault, "a recorded line is left out");
                self.skipped += 1;
                Ok(())
            }
        }
    }
}

/// So many lines of a file are held back and sorted: late reports are written when they come.
const LOOK_AHEAD: usize = 1_024;

#[derive(Debug)]
struct OpenDay {
    path: PathBuf,
    source: DayRows,
    at_end: bool,
    rows: BinaryHeap<Reverse<ReadRow>>,
}

#[derive(Debug)]
enum DayRows {
    Csv(EventLines),
    Parquet(Rows),
}

#[derive(Debug)]
struct ReadRow {
    time: Timestamp,
    line: u64,
    event: MarketEvent,
}

impl OpenDay {
    /// Opens a file and reads ahead; `None` when it has no rows.
    fn open(
        day_file: DayFile,
        directory: &Path,
        faults: &mut SkippedFaults,
    ) -> Result<Option<Self>, HistoryError> {
        let path = day_file.path(directory);
        let source = match day_file.form {
            FileForm::Csv => DayRows::Csv(EventLines::open(day_file.kind, &path)?),
            FileForm::Parquet | FileForm::Turned => match Rows::open(day_file.kind, &path) {
                Ok(rows) => DayRows::Parquet(rows),
                Err(fault @ HistoryError::File { .. }) => return faults.take(fault).map(|()| None),
                Err(error) => return Err(error),
            },
        };
        let mut file = Self { path, source, at_end: false, rows: BinaryHeap::with_capacity(LOOK_AHEAD) };
        file.fill(faults)?;
        Ok(Some(file).filter(|file| !file.is_done()))
    }

    fn first(&self) -> Option<(Timestamp, u64)> {
        self.rows.peek().map(|Reverse(row)| (row.time, row.line))
    }

    fn is_done(&self) -> bool {
        self.at_end && self.rows.is_empty()
    }

    fn pop(&mut self, faults: &mut SkippedFaults) -> Result<Option<ReadRow>, HistoryError> {
        let row = self.rows.pop();
        self.fill(faults)?;
        Ok(row.map(|Reverse(row)| row))
    }

    fn fill(&mut self, faults: &mut SkippedFaults) -> Result<(), HistoryError> {
        while self.rows.len() < LOOK_AHEAD && !self.at_end {
            let next = match &mut self.source {
                DayRows::Csv(lines) => lines.next(faults)?,
                DayRows::Parquet(rows) => rows.next(faults)?,
            };
            match next {
                Some((line, event)) => {
                    self.rows.push(Reverse(ReadRow { time: event.known_at(), line, event }));
                }
                None => self.at_end = true,
            }
        }
        Ok(())
    }

    fn fault(&self, line: u64, fault: String) -> HistoryError {
        HistoryError::Line { path: self.path.clone(), line, fault }
    }
}

impl PartialEq for ReadRow {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ReadRow {}

impl PartialOrd for ReadRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReadRow {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.line).cmp(&(other.time, other.line))
    }
}
