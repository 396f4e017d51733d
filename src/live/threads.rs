//! Threads of a run: each has a name, and one that panics starts over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::LiveError;
use crate::clock::{self, Clock};

/// So that a thread that panics at once does not fill the log.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// A worker waits for signals, a decision or an answer: its stack holds one request.
const STACK_BYTES: usize = 1 << 20;

/// Starts a thread of this name.
pub(super) fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, LiveError> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn_scoped(scope, run).map_err(|error| LiveError::Thread(format!("{name} ({error})")))
}

/// Runs `work` until it returns; a panic is logged and the work taken up again, so no thread is ever alive but deaf.
pub(super) fn until_done<T>(name: &str, clock: &dyn Clock, mut work: impl FnMut() -> T) -> T {
    loop {
        if let Ok(done) = catch_unwind(AssertUnwindSafe(&mut work)) {
            return done;
        }
        tracing::error!(thread = name, "a thread panicked; it starts over");
        clock::sleep(clock, RESTART_PAUSE);
    }
}
