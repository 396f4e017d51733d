//! Downloading what is missing of one series.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use tracing::info;

use super::DownloadError;
use super::pages::Pages;
use super::series::{DownloadSeries, SeriesFile};
use crate::broker::alpaca::{AlpacaConfig, AlpacaHistory, AlpacaHistoryError, Environment, HistoryQuery};
use crate::clock::{Clock, Timestamp};

/// A page has some thousand rows: it may take longer than a look at the account.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a directory that another process downloads into is looked at.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The way to Alpaca; keys are not looked for before something must be asked.
pub struct Access<'a> {
    env: Environment<'a>,
    rate_limit: Option<(u32, Duration)>,
    clock: Arc<dyn Clock>,
    history: Option<AlpacaHistory>,
}

impl<'a> Access<'a> {
    /// Keys and addresses from `env`; at most so many requests per window.
    pub fn new(env: Environment<'a>, rate_limit: Option<(u32, Duration)>, clock: Arc<dyn Clock>) -> Self {
        Self { env, rate_limit, clock, history: None }
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn history(&mut self) -> Result<&mut AlpacaHistory, DownloadError> {
        let history = if let Some(history) = self.history.take() {
            history
        } else {
            // Nothing is traded here: a live address does no harm.
            let mut config = AlpacaConfig::from_env(self.env, true)?;
            config.request_timeout = REQUEST_TIMEOUT;
            config.rate_limit = self.rate_limit;
            AlpacaHistory::new(&config, Arc::clone(&self.clock))?
        };
        Ok(self.history.insert(history))
    }
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The New York date that is read now; `None` at the end.
    pub date: Option<NaiveDate>,
    /// Files written.
    pub done: usize,
    /// Files to be written in all.
    pub of: usize,
    /// Rows written.
    pub rows: u64,
}

/// What a download did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that were complete before.
    pub kept: usize,
    /// Files written.
    pub written: usize,
    /// Rows written.
    pub rows: u64,
    /// Pages read.
    pub requests: u64,
}

/// Downloads what is missing of the New York dates from `from` until the one before `to`. Nothing is asked when
/// nothing is missing. A day that is not over is read as far as it is, each time.
///
/// # Errors
/// What was complete by then stays; the next call goes on from there.
pub fn fetch(
    series: &DownloadSeries,
    (from, to): (NaiveDate, NaiveDate),
    access: &mut Access<'_>,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(DownloadProgress),
) -> Result<Fetched, DownloadError> {
    let now = access.now();
    let mut pieces = series.pieces(from, to);
    pieces.retain(|piece| piece.start < series.newest(now));
    if pieces.iter().all(is_there) {
        return Ok(Fetched { kept: pieces.len(), ..Fetched::default() });
    }
    let history = access.history()?;
    let _lock = lock(series.directory(), stop)?;
    remove_leftovers(series.directory())?;
    // Looked at again: the process that held the lock may have brought some.
    let there: Vec<bool> = pieces.iter().map(is_there).collect();
    let kept = there.iter().filter(|there| **there).count();
    let of = pieces.len() - kept;
    let mut job = DownloadJob { series, history, now, stop, done: Fetched { kept, ..Fetched::default() } };
    let mut next = 0;
    for run in there.chunk_by(|one, other| one == other) {
        let first = next;
        next += run.len();
        if !run[0] {
            job.bring(&pieces[first..next], &mut |progress| tell(DownloadProgress { of, ..progress }))?;
        }
    }
    let done = job.done;
    tell(DownloadProgress { date: None, done: done.written, of, rows: done.rows });
    Ok(done)
}

/// What all runs of one download have in common.
struct DownloadJob<'a> {
    series: &'a DownloadSeries,
    history: &'a mut AlpacaHistory,
    now: Timestamp,
    stop: &'a dyn Fn() -> bool,
    done: Fetched,
}

impl DownloadJob<'_> {
    /// One chain of pages for pieces that follow each other.
    fn bring(
        &mut self,
        pieces: &[SeriesFile],
        tell: &mut dyn FnMut(DownloadProgress),
    ) -> Result<(), DownloadError> {
        let [first, ..] = pieces else { return Ok(()) };
        let end = pieces.last().map_or(first.end, |last| last.end);
        let query = HistoryQuery {
            symbol: self.series.symbol(),
            kind: self.series.kind(),
            feed: self.series.feed(),
            start: first.start,
            // Included, as Alpaca has it.
            end: (end - Duration::from_nanos(1)).min(self.series.newest(self.now)),
        };
        let (before, mut token) = (self.done, None::<String>);
        let mut pages = Pages::new(self.series, pieces, self.now);
        loop {
            let date = pages.present().map(|piece| piece.first);
            let written = before.written + pieces.len() - pages.left();
            tell(DownloadProgress { date, done: written, of: 0, rows: before.rows + pages.rows() });
            let (chapter, next) = match self.history.page(&query, token.as_deref(), self.stop) {
                Ok(page) => page,
                Err(AlpacaHistoryError::Stopped) => return Err(DownloadError::Stopped),
                Err(AlpacaHistoryError::Broker(error)) => return Err(error.into()),
            };
            self.done.requests += 1;
            pages.add(&chapter)?;
            token = next;
            if token.is_none() {
                break;
            }
        }
        self.done.rows = before.rows + pages.finish()?;
        self.done.written = before.written + pieces.len();
        Ok(())
    }
}

fn is_there(piece: &SeriesFile) -> bool {
    piece.path.is_file()
}

/// One download into a directory at a time, whichever process it is of; given up when its file is dropped.
fn lock(directory: &Path, stop: &dyn Fn() -> bool) -> Result<File, DownloadError> {
    let path = directory.join(".lock");
    let failed = |source| DownloadError::Io { path: path.clone(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if stop() => return Err(DownloadError::Stopped),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    info!(directory = %directory.display(), "waiting for another download into the same directory");
                }
                told = true;
                std::thread::sleep(LOCK_POLL);
            }
        }
    }
}

/// What a download that was ended by force had begun.
fn remove_leftovers(directory: &Path) -> Result<(), DownloadError> {
    let failed = |source| DownloadError::Io { path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(|source| DownloadError::Io { path, source })?;
        }
    }
    Ok(())
}
