//! `[pool]`: how many workers, and how old what they act on may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::written::Written;
use super::{KeyLine, Section, defaults, value};
use bot_core::duration;

/// How many workers a pool may have.
pub const WORKERS_RANGE: RangeInclusive<usize> = 1..=1024;
/// How many signals the queue may hold.
pub const QUEUE_RANGE: RangeInclusive<usize> = 1..=65_536;

/// How many workers, and how old what they act on may be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolSection {
    /// Worker threads, within [`WORKERS_RANGE`].
    pub workers: Option<usize>,
    /// Signals that may wait for a worker, within [`QUEUE_RANGE`].
    pub queue: Option<usize>,
    /// A signal older than this is recorded, never traded.
    pub signal_age_max: Option<Duration>,
    /// A quote older than this prices nothing.
    pub quote_age_max: Option<Duration>,
}

impl Section for PoolSection {
    const NAME: &'static str = "pool";

    fn read(written: &mut Written<'_, '_>) -> Self {
        Self {
            workers: written.take("workers", value::whole(WORKERS_RANGE)),
            queue: written.take("queue", value::whole(QUEUE_RANGE)),
            signal_age_max: written.take("signal_age_max", value::span),
            quote_age_max: written.take("quote_age_max", value::span),
        }
    }

    fn describe(&self) -> Vec<KeyLine> {
        let span = |key, written: Option<Duration>, default| {
            KeyLine::new(key, written.map(duration::format), duration::format(default))
        };
        vec![
            KeyLine::new("workers", self.workers, defaults::WORKERS),
            KeyLine::new("queue", self.queue, defaults::QUEUE),
            span("signal_age_max", self.signal_age_max, defaults::SIGNAL_AGE_MAX),
            span("quote_age_max", self.quote_age_max, defaults::QUOTE_AGE_MAX),
        ]
    }
}
