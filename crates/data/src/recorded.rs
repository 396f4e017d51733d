//! Events that a run recorded, some thousand at a time.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use super::loaded::count;
use super::row_checker::CHUNK_ROWS;
use super::spec::{OnBadRow, Spec};
use super::{Chunk, DataError, ReadReport, Source};
use crate::history::{self, History, OnFault};
use bot_core::clock::Timestamp;
use bot_core::market::MarketEvent;
use bot_core::symbol::Symbol;

/// A directory of recorded events, in order of the time they were known.
#[derive(Debug)]
pub(super) struct RecordedEvents {
    history: History,
    directory: String,
    only: Vec<Symbol>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    ended: bool,
    error: Option<DataError>,
    account: ReadReport,
}

impl RecordedEvents {
    pub(super) fn open(directory: &Path, only: &[Symbol], spec: &Spec) -> Result<Self, DataError> {
        let on_fault = match spec.on_bad_row {
            OnBadRow::Error => OnFault::Error,
            OnBadRow::Skip => OnFault::Skip,
        };
        Ok(Self {
            history: history::read(directory, on_fault)?,
            directory: directory.display().to_string(),
            only: only.to_vec(),
            from: spec.from,
            to: spec.to,
            ended: false,
            error: None,
            account: ReadReport::default(),
        })
    }

    fn is_wanted(&self, event: &MarketEvent) -> bool {
        let known = event.known_at();
        (self.only.is_empty() || self.only.contains(&event.symbol()))
            && self.from.is_none_or(|from| known >= from)
            && self.to.is_none_or(|to| known < to)
    }
}

impl Source for RecordedEvents {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let mut events = Vec::with_capacity(CHUNK_ROWS);
        while !self.ended && events.len() < CHUNK_ROWS {
            match self.history.next() {
                Some(Ok(event)) if self.is_wanted(&event) => events.push(event),
                Some(Ok(_)) => {}
                Some(Err(error)) => (self.ended, self.error) = (true, Some(error.into())),
                None => self.ended = true,
            }
        }
        if events.is_empty() {
            return self.error.take().map_or(Ok(None), Err);
        }
        events.shrink_to_fit();
        let chunk = Chunk::Mixed(events);
        count(&mut self.account, &chunk);
        Ok(Some(Arc::new(chunk)))
    }

    fn report(&self) -> ReadReport {
        let mut account = ReadReport { skipped: self.history.skipped(), ..self.account.clone() };
        let mut note = |lines: u64, what: &str| {
            if lines > 0 {
                let mut text = format!("{}: {lines} ", self.directory);
                let _ = write!(text, "{what}");
                account.notes.push(text);
            }
        };
        note(self.history.skipped(), "recorded lines are left out; the log says which and why");
        note(self.history.torn(), "last lines are torn, as a crash leaves them, and left out");
        account
    }
}
