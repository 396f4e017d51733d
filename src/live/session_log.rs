//! What a recorded run keeps beside its market events: how it began, what became of each signal, how it ended.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Config;
use crate::broker::BrokerSnapshot;
use crate::clock::Timestamp;
use crate::history::HistoryError;
use crate::history::session::{SessionBook, SessionEnd, SessionRecorder, SessionStart, Switch};
use crate::market::MarketEvent;
use crate::outcome::Outcome;
use crate::symbol::Symbol;
use crate::units::Weight;

/// Some seconds of many workers while the disk is slow.
const OUTCOME_QUEUE_LEN: usize = 1 << 14;

/// What is told to be recorded.
enum LogEntry {
    Outcome(Box<Outcome>),
    Switch(Switch),
}

/// Where the settler tells what it settled; it never waits.
pub(super) struct OutcomeTap {
    sender: Sender<LogEntry>,
    dropped: AtomicU64,
}

/// The end of the tap: what was told becomes lines.
pub(super) struct SessionLog {
    recorder: SessionRecorder,
    told: Receiver<LogEntry>,
    written: u64,
    failed: u64,
    failing: bool,
}

impl OutcomeTap {
    /// Passes on what became of a signal, or counts it as lost when the queue is full.
    pub(super) fn tell(&self, outcome: &Outcome) {
        if self.sender.try_send(LogEntry::Outcome(Box::new(outcome.clone()))).is_err()
            && self.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::error!("outcomes come faster than they can be recorded; some are not, and counted");
        }
    }

    /// Passes on that a strategy was started or stopped.
    pub(super) fn tell_switch(&self, switch: Switch) {
        if self.sender.try_send(LogEntry::Switch(switch)).is_err() {
            tracing::error!("a start or stop of a strategy could not be recorded");
        }
    }

    /// How many were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl SessionLog {
    /// Writes how the session begins.
    pub(super) fn begin(
        directory: &Path,
        session: &SessionStart,
        files: &[(String, String)],
    ) -> Result<(OutcomeTap, Self), HistoryError> {
        let recorder = SessionRecorder::create(directory, session, files)?;
        let (sender, told) = bounded(OUTCOME_QUEUE_LEN);
        let log = Self { recorder, told, written: 0, failed: 0, failing: false };
        Ok((OutcomeTap { sender, dropped: AtomicU64::new(0) }, log))
    }

    /// Notes that an event came.
    pub(super) fn note(&mut self, event: &MarketEvent) {
        if let Err(error) = self.recorder.note(event) {
            tracing::error!(%error, "the order of events of one instant is not recorded");
        }
    }

    /// Writes what was told so far.
    pub(super) fn write(&mut self) {
        for told in self.told.try_iter() {
            let written = match &told {
                LogEntry::Outcome(outcome) => self.recorder.record(outcome),
                LogEntry::Switch(switch) => {
                    if let Err(error) = self.recorder.switch(switch) {
                        tracing::error!(%error, "a start or stop of a strategy is not recorded");
                    }
                    continue;
                }
            };
            match written {
                Ok(()) => {
                    self.written += 1;
                    self.failing = false;
                }
                Err(error) => {
                    self.failed += 1;
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::error!(%error, "outcomes cannot be recorded; it is tried again");
                    }
                }
            }
        }
    }

    /// Hands all lines to the system.
    pub(super) fn flush(&mut self) {
        if let Err(error) = self.recorder.flush() {
            tracing::error!(%error, "recorded outcomes may be lost");
        }
    }

    /// How many were written so far, and how many could not be.
    pub(super) fn kept(&self) -> (u64, u64) {
        (self.written, self.failed)
    }

    /// Writes how the session ended.
    pub(super) fn end(self, end: &SessionEnd) {
        if let Err(error) = self.recorder.end(end) {
            tracing::error!(%error, "the session's end cannot be recorded");
        }
    }
}

/// How a run begins.
pub(super) fn session(
    config: &Config,
    environment: &str,
    broker_snapshot: &BrokerSnapshot,
    weights: &[(Symbol, Weight)],
    books: Vec<SessionBook>,
    now: Timestamp,
) -> SessionStart {
    let quotes = broker_snapshot.snapshots.iter().filter_map(|seen| Some((seen.symbol, seen.quote?)));
    SessionStart {
        version: concat!("bot ", env!("CARGO_PKG_VERSION")).to_owned(),
        started_at: now,
        environment: environment.to_owned(),
        symbols: config.symbols.clone(),
        rules: config.rules.clone(),
        weights: weights.to_vec(),
        cash: broker_snapshot.account.cash,
        holdings: broker_snapshot.account.holdings.clone(),
        quotes: quotes.collect(),
        books,
    }
}
