//! The lives of a thread that is told to end by a channel.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{self, Clock};

/// A panic ends one, and the next one gets a channel of its own.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<Present>);

#[derive(Debug, Default)]
struct Present {
    over: bool,
    stop: Option<oneshot::Sender<()>>,
}

impl Lives {
    /// Begins a life and returns what tells it to end; `None` when there is to be no more.
    pub(super) fn next(&self) -> Option<oneshot::Receiver<()>> {
        let mut present = self.lock();
        let (stop, stopped) = oneshot::channel();
        (!present.over).then(|| {
            present.stop = Some(stop);
            stopped
        })
    }

    /// Pauses unless there is to be no more.
    pub(super) fn pause(&self, clock: &dyn Clock, span: Duration) {
        let over = self.lock().over;
        if !over {
            clock::sleep(clock, span);
        }
    }

    /// Ends the present life and begins no more when this is dropped.
    pub(super) fn end_at_drop(&self) -> LastLife<'_> {
        LastLife(self)
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Lives::end_at_drop`].
#[derive(Debug)]
pub(super) struct LastLife<'a>(&'a Lives);

impl Drop for LastLife<'_> {
    fn drop(&mut self) {
        *self.0.lock() = Present { over: true, stop: None };
    }
}
