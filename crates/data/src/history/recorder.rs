//! Writes events to files as they happen.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::HistoryError;
use super::file::{DayFile, FileKind, own_time};
use super::{row, turn};
use bot_core::clock::Timestamp;
use bot_core::market::MarketEvent;

/// What files are left when a recorder ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecordFormat {
    /// Those that were written to.
    #[default]
    Csv,
    /// Those that were written to, turned into Parquet.
    Parquet,
}

/// Appends to one file per kind and New York day.
#[derive(Debug)]
pub struct Recorder {
    directory: PathBuf,
    format: RecordFormat,
    /// One per kind.
    open: [Option<OpenFile>; FileKind::ALL.len()],
    /// The latest day of each kind so far.
    latest: [Option<NaiveDate>; FileKind::ALL.len()],
    line: String,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    from: Timestamp,
    to: Timestamp,
    /// Lines are handed on whole.
    lines: BufWriter<File>,
}

const BUFFER_BYTES: usize = 64 << 10;

impl Recorder {
    /// Makes the directory where there is none.
    ///
    /// # Errors
    /// A directory that cannot be made or written to.
    pub fn open(directory: &Path, format: RecordFormat) -> Result<Self, HistoryError> {
        fs::create_dir_all(directory).map_err(HistoryError::io(directory))?;
        let probe = directory.join(".writable");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(HistoryError::io(directory))?;
        let open = [const { None }; FileKind::ALL.len()];
        let directory = directory.to_owned();
        Ok(Self { directory, format, open, latest: [None; FileKind::ALL.len()], line: String::new() })
    }

    /// Adds one event behind all others of its kind and day; it is safe after the next [`Recorder::flush`].
    ///
    /// # Errors
    /// The event is lost, and lines since the last flush may be; the next call opens the file again.
    pub fn record(&mut self, event: &MarketEvent) -> Result<(), HistoryError> {
        let at = own_time(event);
        let place = &mut self.open[FileKind::of(event) as usize];
        if !place.as_ref().is_some_and(|file| file.from <= at && at < file.to) {
            if let Some(mut before) = place.take() {
                before.flush()?;
            }
            let day_file = DayFile::of(event);
            *place = Some(OpenFile::open(&self.directory, day_file)?);
            self.begin_day(day_file);
        }
        self.line.clear();
        row::write(event, &mut self.line);
        let place = &mut self.open[FileKind::of(event) as usize];
        let written = place.as_mut().map_or(Ok(()), |file| file.write(&self.line));
        if written.is_err() {
            *place = None;
        }
        written
    }

    /// Hands all lines to the system.
    ///
    /// # Errors
    /// Lines since the last flush may be lost.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        let mut result = Ok(());
        for place in &mut self.open {
            if let Some(Err(error)) = place.as_mut().map(OpenFile::flush) {
                *place = None;
                result = Err(error);
            }
        }
        result
    }

    /// Flushes, and turns files into what was asked for, those that a crash left behind included.
    ///
    /// # Errors
    /// Lines since the last flush may be lost; files that could not be turned are still there.
    pub fn end(mut self) -> Result<(), HistoryError> {
        let flushed = self.flush();
        self.open = [const { None }; FileKind::ALL.len()];
        flushed.and(match self.format {
            RecordFormat::Csv => Ok(()),
            RecordFormat::Parquet => turn::turn_all(&self.directory, |_| true),
        })
    }

    /// Turns the kind's files that are done: late events may still come for the day before a new one.
    fn begin_day(&mut self, new: DayFile) {
        let latest = &mut self.latest[new.kind as usize];
        if *latest >= Some(new.day) {
            return;
        }
        let before = latest.replace(new.day);
        if let (Some(before), RecordFormat::Parquet) = (before, self.format) {
            let is_done = |file: DayFile| file.kind == new.kind && file.day < before;
            if let Err(error) = turn::turn_all(&self.directory, is_done) {
                tracing::warn!(%error, "a recorded day cannot be turned into Parquet; it is tried again at the end");
            }
        }
    }
}

impl OpenFile {
    fn open(directory: &Path, day_file: DayFile) -> Result<Self, HistoryError> {
        turn::settle(directory, day_file)?;
        let path = day_file.path(directory);
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
            // Tells others that the file is not done; where files cannot be locked, nobody else may record here.
            let _ = file.try_lock_shared();
            let (len, whole) = (file.metadata()?.len(), whole_len(&mut file)?);
            if whole < len {
                tracing::warn!(file = %path.display(), bytes = len - whole, "a torn last line is cut off");
                file.set_len(whole)?;
            }
            if whole == 0 {
                writeln!(file, "{}", day_file.kind.header())?;
            }
            Ok(file)
        };
        let file = open().map_err(HistoryError::io(&path))?;
        let (from, to) = day_file.span();
        Ok(Self { path, from, to, lines: BufWriter::with_capacity(BUFFER_BYTES, file) })
    }

    fn write(&mut self, line: &str) -> Result<(), HistoryError> {
        self.lines.write_all(line.as_bytes()).map_err(HistoryError::io(&self.path))
    }

    fn flush(&mut self) -> Result<(), HistoryError> {
        self.lines.flush().map_err(HistoryError::io(&self.path))
    }
}

/// How long the file is up to its last line feed.
fn whole_len(file: &mut File) -> std::io::Result<u64> {
    let mut block = [0; 4096];
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
