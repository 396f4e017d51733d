//! Market events during a run: from the stream, or the poller while there is none, to listeners and the recorder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::session_log::{OutcomeTap, SessionLog};
use super::start_up::StartError;
use super::threads::{start, until_done};
use super::{LiveError, LiveRun, numbers, strategies};
use crate::activity::Activity;
use crate::broker::{MarketNews, MarketWatch, Venue};
use crate::clock::{Clock, recv_until};
use crate::feed::Feed;
use crate::history::session::SessionStart;
use crate::history::{HistoryError, RecordFormat, Recorder};
use crate::market::MarketEvent;
use crate::stop::{Stop, StopAtDrop};

/// Where market events come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FeedSource {
    /// The broker's market data stream, and the polled prices while it is not connected.
    #[default]
    Stream,
    /// The polled prices alone, and the broker's minute bars once they are over.
    Poll,
    /// Whoever made the run publishes them.
    Given,
}

/// The threads that market events need: one streams them, one writes them down.
pub(super) struct MarketThreads<'scope, 'a> {
    stop: StopAtDrop,
    others: Vec<ScopedJoinHandle<'scope, ()>>,
    streaming: Option<ScopedJoinHandle<'scope, ()>>,
    writing: Option<ScopedJoinHandle<'scope, (RecordingEnd, SessionLog)>>,
    feed: Closing<'a>,
}

impl MarketThreads<'_, '_> {
    /// Ends them in the direction of the data; all that was heard is written.
    pub(super) fn end(self) -> Result<Option<(RecordingEnd, SessionLog)>, LiveError> {
        drop(self.stop);
        for other in self.others {
            let _ = other.join();
        }
        if let Some(streaming) = self.streaming {
            let _ = streaming.join();
        }
        drop(self.feed);
        let written = self.writing.map(ScopedJoinHandle::join).transpose();
        written.map_err(|_| LiveError::Thread(NAME.to_owned()))
    }
}

impl<V: Venue> LiveRun<'_, V> {
    /// Starts what is needed: the recorder when there is a recording, the stream when somebody listens.
    pub(super) fn start_market<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        recording: Option<LoggedRecording>,
    ) -> Result<MarketThreads<'scope, 'scope>, LiveError> {
        let stop = Stop::default();
        let feed = Closing(&self.config.feed);
        let write = recording.map(|mut recording| {
            move || {
                until_done(NAME, self.clock, || recording.run(self.clock, self.config.feed.activity()));
                recording.end(&self.config.feed)
            }
        });
        let writing = write.map(|write| start(scope, NAME, write)).transpose()?;
        let streams = self.config.feed_source == FeedSource::Stream && !self.config.feed.is_idle();
        let stopped = stop.clone();
        let stream = move || self.stream_market(&stopped);
        let streaming = streams.then(|| start(scope, "feed", stream)).transpose()?;
        let mut others = Vec::new();
        if self.config.feed_source != FeedSource::Given && !self.bars.is_empty() {
            let mut broker = self.venue.connect().map_err(StartError::from)?;
            let stop = stop.clone();
            let fill =
                move || until_done("bars", self.clock, || self.bars.fill(self, &mut broker, stop.channel()));
            others.push(start(scope, "bars", fill)?);
        }
        for (symbol, mut tail) in self.plan.map(strategies::number_tails).unwrap_or_default() {
            let stop = stop.clone();
            let (feed, clock) = (&self.config.feed, self.clock);
            let read = move || {
                until_done("numbers", clock, || {
                    let _ = numbers::publish(&mut tail, symbol, feed, clock, stop.channel());
                });
            };
            others.push(start(scope, "numbers", read)?);
        }
        Ok(MarketThreads { stop: stop.at_drop(), others, streaming, writing, feed })
    }

    /// Passes the stream's events on until `stop` is requested.
    fn stream_market(&self, stop: &Stop) {
        let is_open = || self.config.prices.session().is_open_at(self.clock.now());
        let watch = MarketWatch { symbols: &self.watched, is_open: &is_open };
        let mut tell = |news| match news {
            MarketNews::Connected => {
                self.set_stream(true);
                self.bars.connected();
            }
            MarketNews::Lost => self.set_stream(false),
            MarketNews::Event(event) => {
                self.bars.note(&event);
                self.config.feed.publish(event);
            }
        };
        let watching = AssertUnwindSafe(|| self.venue.watch(&watch, stop, &mut tell));
        if catch_unwind(watching).is_err() {
            tracing::error!("the market data stream panicked; polled prices stand in for it");
        }
        self.set_stream(false);
    }

    fn set_stream(&self, is_up: bool) {
        let now = self.clock.now();
        let mut times = self.stream_times.lock().unwrap_or_else(PoisonError::into_inner);
        if is_up {
            times.push((now, None));
        } else if let Some((_, lost @ None)) = times.last_mut() {
            *lost = Some(now);
        }
        self.stream_is_up.store(is_up, Ordering::Relaxed);
    }

    /// Passes a polled event on, unless the stream tells more.
    pub(super) fn hear_poll(&self, event: MarketEvent) {
        if !self.stream_is_up.load(Ordering::Relaxed) && self.config.feed_source != FeedSource::Given {
            self.config.feed.publish(event);
        }
    }
}

/// Closes the feed when it goes out of scope, so that listeners come to an end however the run ends.
pub(super) struct Closing<'a>(pub(super) &'a Feed);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingEnd {
    /// Where.
    pub directory: PathBuf,
    /// Events written.
    pub events: u64,
    /// Events that came while the queue was full.
    pub dropped: u64,
    /// Events that could not be written.
    pub failed: u64,
    /// Settled signals written.
    pub outcomes: u64,
    /// Settled signals that came while the queue was full, or could not be written.
    pub outcomes_lost: u64,
}

/// The listener that writes everything down.
pub(super) struct Recording {
    recorder: Recorder,
    events: Receiver<MarketEvent>,
    recorded: RecordingEnd,
    failing: bool,
}

/// The same, once the session has begun.
pub(super) struct LoggedRecording {
    recording: Recording,
    log: SessionLog,
}

const NAME: &str = "recorder";
/// Some seconds of a busy market while the disk is slow: 60,000 events of a hundred bytes.
const RECORDER_QUEUE_LEN: usize = 1 << 16;
/// What a crash may cost.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

impl Recording {
    pub(super) fn open(directory: &Path, format: RecordFormat, feed: &Feed) -> Result<Self, HistoryError> {
        Ok(Self {
            recorder: Recorder::open(directory, format)?,
            events: feed.subscribe(NAME, RECORDER_QUEUE_LEN),
            recorded: RecordingEnd { directory: directory.to_owned(), ..RecordingEnd::default() },
            failing: false,
        })
    }

    /// Writes how the session begins; what becomes of its signals is told to the tap.
    pub(super) fn begin(
        self,
        session: &SessionStart,
        files: &[(String, String)],
    ) -> Result<(OutcomeTap, LoggedRecording), HistoryError> {
        let (tap, log) = SessionLog::begin(&self.recorded.directory, session, files)?;
        Ok((tap, LoggedRecording { recording: self, log }))
    }

    fn write(&mut self, event: &MarketEvent) {
        match self.recorder.record(event) {
            Ok(()) => self.recorded.events += 1,
            Err(error) => {
                self.recorded.failed += 1;
                self.fail(&error);
            }
        }
    }

    /// Good news is told when something was written since `before` and nothing failed.
    fn flush(&mut self, before: &RecordingEnd) {
        if let Err(error) = self.recorder.flush() {
            return self.fail(&error);
        }
        let writes = self.recorded.events > before.events && self.recorded.failed == before.failed;
        if self.failing && writes {
            tracing::info!("market events are recorded again");
            self.failing = false;
        }
    }

    fn fail(&mut self, error: &HistoryError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "market events cannot be recorded; it is tried again");
        }
    }
}

impl LoggedRecording {
    /// Writes until the feed is closed and its queue is empty; the settler has ended by then.
    pub(super) fn run(&mut self, clock: &dyn Clock, activity: &Activity) {
        let Self { recording, log } = self;
        let mut flushed = clock.now();
        let mut before = recording.recorded.clone();
        loop {
            let event = recv_until(clock, &recording.events, clock.now() + FLUSH_EVERY);
            log.write();
            match event {
                Ok(event) => {
                    recording.write(&event);
                    log.note(&event);
                    activity.end();
                    let now = clock.now();
                    if now.since(flushed) < FLUSH_EVERY && flushed <= now {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    log.flush();
                    return recording.flush(&before);
                }
            }
            recording.flush(&before);
            log.flush();
            before = recording.recorded.clone();
            flushed = clock.now();
        }
    }

    /// What was written, and how many events were dropped because they came faster than that.
    pub(super) fn end(self, feed: &Feed) -> (RecordingEnd, SessionLog) {
        let Self { recording, log } = self;
        let dropped = feed.heard().iter().filter(|heard| heard.name == NAME).map(|heard| heard.dropped).sum();
        match catch_unwind(AssertUnwindSafe(|| recording.recorder.end())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "a recording could not be finished; its files stay as they are");
            }
            Err(_) => tracing::error!("the recorder panicked at its end; its files stay as they are"),
        }
        let (outcomes, outcomes_lost) = log.kept();
        (RecordingEnd { dropped, outcomes, outcomes_lost, ..recording.recorded }, log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, Timestamp};
    use crate::desk::Rules;
    use crate::market::Trade;
    use crate::units::Money;

    fn session() -> SessionStart {
        SessionStart {
            version: String::new(),
            started_at: Timestamp::from_secs(1_800_000_000),
            environment: String::new(),
            symbols: Vec::new(),
            rules: Rules::default(),
            weights: Vec::new(),
            cash: Money::ZERO,
            holdings: Vec::new(),
            quotes: Vec::new(),
            books: Vec::new(),
        }
    }

    fn recorded(count: usize, prepare: impl FnOnce(&Path)) -> RecordingEnd {
        let (place, feed) = (tempfile::tempdir().unwrap(), Feed::default());
        let directory = place.path().join("events");
        let recording = Recording::open(&directory, RecordFormat::Csv, &feed).unwrap();
        let (_tap, mut recording) = recording.begin(&session(), &[]).unwrap();
        prepare(&directory);
        let trade = Trade { at: Timestamp::from_secs(1_800_000_000), price: 1.0, size: 1.0 };
        for _ in 0..count {
            feed.publish(MarketEvent::Trade { symbol: "NVDA".parse().unwrap(), trade });
        }
        feed.close();
        recording.run(&SystemClock, feed.activity());
        let (recorded, _) = recording.end(&feed);
        assert_eq!(recorded.directory, directory);
        recorded
    }

    #[test]
    fn events_that_the_recorder_cannot_keep_up_with_are_dropped_and_counted() {
        let RecordingEnd { events, dropped, failed, .. } = recorded(RECORDER_QUEUE_LEN + 5, |_| {});
        assert_eq!((events, dropped, failed), (RECORDER_QUEUE_LEN as u64, 5, 0));
    }

    #[test]
    fn events_that_cannot_be_written_are_counted_and_end_nothing() {
        let RecordingEnd { events, dropped, failed, .. } =
            recorded(3, |place| std::fs::remove_dir_all(place).unwrap());
        assert_eq!((events, dropped, failed), (0, 0, 3));
    }
}
