//! Gives recorded events back in order: by the time they were known, then the kind of file, then the line.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::HistoryError;
use super::file::DayFile;
use super::row;
use crate::clock::Timestamp;
use crate::market::MarketEvent;

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
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(HistoryError::io(directory))? {
        let name = entry.map_err(HistoryError::io(directory))?.file_name();
        files.extend(name.to_str().and_then(DayFile::named));
    }
    if files.is_empty() {
        return Err(HistoryError::Empty(directory.to_owned()));
    }
    files.sort_unstable();
    Ok(History {
        directory: directory.to_owned(),
        waiting: files.into(),
        open: Vec::new(),
        last: Timestamp::from_nanos(i64::MIN),
        faults: Faults { policy: on_fault, skipped: 0, torn: 0 },
        ended: false,
    })
}

/// An iterator over recorded events that never goes back in time. Only the files of the day it stands in are open.
#[derive(Debug)]
pub struct History {
    directory: PathBuf,
    /// By day, then kind.
    waiting: VecDeque<DayFile>,
    open: Vec<OpenFile>,
    last: Timestamp,
    faults: Faults,
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
            self.open.extend(OpenFile::open(day_file, &self.directory, &mut self.faults)?);
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

#[derive(Debug)]
struct Faults {
    policy: OnFault,
    skipped: u64,
    torn: u64,
}

impl Faults {
    fn take(&mut self, fault: HistoryError) -> Result<(), HistoryError> {
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
const BUFFER_BYTES: usize = 64 << 10;
/// The longest number has some 330 characters.
const LINE_BYTES_MAX: usize = 4_096;

#[derive(Debug)]
struct OpenFile {
    day_file: DayFile,
    path: PathBuf,
    bytes: BufReader<File>,
    /// Lines read so far, the header among them.
    lines: u64,
    at_end: bool,
    rows: BinaryHeap<Reverse<Row>>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Row {
    time: Timestamp,
    line: u64,
    event: MarketEvent,
}

impl OpenFile {
    /// Opens a file and reads ahead; `None` when it has no rows.
    fn open(day_file: DayFile, directory: &Path, faults: &mut Faults) -> Result<Option<Self>, HistoryError> {
        let path = day_file.path(directory);
        let bytes = File::open(&path)
            .map(|file| BufReader::with_capacity(BUFFER_BYTES, file))
            .map_err(HistoryError::io(&path))?;
        let (rows, line) = (BinaryHeap::with_capacity(LOOK_AHEAD), Vec::new());
        let mut file = Self { day_file, path, bytes, lines: 0, at_end: false, rows, line };
        let header = day_file.kind.header();
        if file.read_line(faults)? && file.line != header.as_bytes() {
            let was = String::from_utf8_lossy(&file.line).chars().take(80).collect::<String>();
            return Err(file.fault(1, format!("header must be \"{header}\", was \"{was}\"")));
        }
        file.fill(faults)?;
        Ok(Some(file).filter(|file| !file.is_done()))
    }

    fn first(&self) -> Option<(Timestamp, u64)> {
        self.rows.peek().map(|Reverse(row)| (row.time, row.line))
    }

    fn is_done(&self) -> bool {
        self.at_end && self.rows.is_empty()
    }

    fn pop(&mut self, faults: &mut Faults) -> Result<Option<Row>, HistoryError> {
        let row = self.rows.pop();
        self.fill(faults)?;
        Ok(row.map(|Reverse(row)| row))
    }

    fn fill(&mut self, faults: &mut Faults) -> Result<(), HistoryError> {
        while self.rows.len() < LOOK_AHEAD && self.read_line(faults)? {
            let row = std::str::from_utf8(&self.line)
                .map_err(|_| "line must be UTF-8, was not".to_owned())
                .and_then(|line| row::parse(self.day_file.kind, line));
            match row {
                Ok(event) => {
                    self.rows.push(Reverse(Row { time: event.known_at(), line: self.lines, event }));
                }
                Err(rule) => faults.take(self.fault(self.lines, rule))?,
            }
        }
        Ok(())
    }

    /// Reads one whole line, without its end, into `self.line`; false at the end of the file.
    fn read_line(&mut self, faults: &mut Faults) -> Result<bool, HistoryError> {
        while !self.at_end {
            self.line.clear();
            let limited = (&mut self.bytes).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut self.line);
            let read = limited.map_err(HistoryError::io(&self.path))?;
            self.lines += u64::from(read > 0);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                self.line.pop_if(|last| *last == b'\r');
                return Ok(true);
            }
            if read < LINE_BYTES_MAX {
                self.at_end = true;
                if read > 0 {
                    tracing::warn!(file = %self.path.display(), line = self.lines, "a torn last line is left out");
                    faults.torn += 1;
                }
            } else {
                let rule = format!("line must have fewer than {LINE_BYTES_MAX} bytes");
                faults.take(self.fault(self.lines, rule))?;
                self.bytes.skip_until(b'\n').map_err(HistoryError::io(&self.path))?;
            }
        }
        Ok(false)
    }

    fn fault(&self, line: u64, fault: String) -> HistoryError {
        HistoryError::Line { path: self.path.clone(), line, fault }
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.line).cmp(&(other.time, other.line))
    }
}
