//! The wish to stop, shared by everyone who may have it: a signal, ENTER, a timer, a fault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// A flag that is raised once; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for an orderly end: the intake stops, what is in hand is finished.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The lives of a thread that is told to end by a channel: a panic ends one, and the next one gets a channel of its own.
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
    pub(super) fn pause(&self, span: Duration) {
        let over = self.lock().over;
        if !over {
            std::thread::sleep(span);
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
