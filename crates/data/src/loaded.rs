//! A source's events in memory, read once and shared by any number of runs.

use std::sync::Arc;

use super::digest::Digest;
use super::{Chunk, DataError, ReadReport, Source};
use bot_core::clock::Timestamp;

/// All events of a source: 48 bytes each where they are of one symbol and shape. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Loaded {
    chunks: Arc<[Arc<Chunk>]>,
    account: ReadReport,
    digest: String,
}

impl Loaded {
    /// Reads `source` to its end.
    ///
    /// # Errors
    /// Those of the source; what was read until then is gone.
    pub fn load(source: &mut dyn Source) -> Result<Self, DataError> {
        let (mut chunks, mut digest) = (Vec::new(), Digest::default());
        while let Some(chunk) = source.next_chunk()? {
            digest.update(&chunk);
            chunks.push(chunk);
        }
        Ok(Self { chunks: chunks.into(), account: source.report(), digest: digest.finish() })
    }

    /// The events, in order of time.
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// What reading them found.
    pub fn report(&self) -> &ReadReport {
        &self.account
    }

    /// Their [`Digest`].
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The events once more, from the first on, without copying them.
    pub fn source(&self) -> Replay {
        let account = ReadReport { events: 0, first: None, last: None, ..self.account.clone() };
        Replay { chunks: Arc::clone(&self.chunks), next: 0, account }
    }
}

/// Gives what is loaded.
#[derive(Debug)]
pub struct Replay {
    chunks: Arc<[Arc<Chunk>]>,
    next: usize,
    account: ReadReport,
}

impl Source for Replay {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let Some(chunk) = self.chunks.get(self.next) else { return Ok(None) };
        self.next += 1;
        count(&mut self.account, chunk);
        Ok(Some(Arc::clone(chunk)))
    }

    fn report(&self) -> ReadReport {
        self.account.clone()
    }
}

/// Counts a chunk that is given.
pub(super) fn count(account: &mut ReadReport, chunk: &Chunk) {
    let known: Option<(Timestamp, Timestamp)> = match chunk {
        Chunk::Rows { row_kind, rows, .. } => rows
            .first()
            .zip(rows.last())
            .map(|(first, last)| (row_kind.known_at(first.at), row_kind.known_at(last.at))),
        Chunk::Mixed(events) => {
            events.first().zip(events.last()).map(|(first, last)| (first.known_at(), last.known_at()))
        }
    };
    let Some((first, last)) = known else { return };
    account.events += chunk.len() as u64;
    account.first.get_or_insert(first);
    account.last = Some(last);
}
