//! A source that is watched: what its data hash to, and how long reading them took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bot_core::clock::Clock;
use bot_data::{Chunk, DataError, Digest, ReadReport, Source};

/// What was seen of a source; shared, so that it can be asked for once the source is gone.
#[derive(Clone, Default)]
pub struct SourceMeter(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    digest: Digest,
    took: Duration,
}

/// A source under watch.
pub struct MeteredSource {
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    watch: SourceMeter,
}

impl MeteredSource {
    /// Watches `source`.
    pub fn new(source: Box<dyn Source>, clock: Arc<dyn Clock>, watch: SourceMeter) -> Self {
        Self { source, clock, watch }
    }
}

impl SourceMeter {
    /// The hash of all that was read: the same for the same events, however files are split.
    pub fn digest(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).digest.clone().finish()
    }

    /// How long reading took.
    pub fn took(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).took
    }
}

impl Source for MeteredSource {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let start = self.clock.now();
        let chunk = self.source.next_chunk();
        let mut seen = self.watch.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some(chunk)) = &chunk {
            seen.digest.update(chunk);
        }
        seen.took += self.clock.now().since(start);
        chunk
    }

    fn report(&self) -> ReadReport {
        self.source.report()
    }
}
