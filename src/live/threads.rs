//! Threads of a run: each has a name, and one that panics starts over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::LiveError;
use crate::broker::Venue;
use crate::clock::{self, Clock};
use crate::workers::Workers;

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

/// Starts the workers, each with its own connection, and who follows the orders that they parked.
pub(super) fn start_workers<'scope, V: Venue>(
    scope: &'scope Scope<'scope, '_>,
    workers: &'scope Workers<'scope, V>,
    connections: Vec<V::Broker>,
    mut parked: V::Broker,
) -> Result<Vec<ScopedJoinHandle<'scope, ()>>, LiveError>
where
    V::Broker: 'scope,
{
    let mut threads = Vec::with_capacity(connections.len() + 1);
    for (number, mut connection) in (1..).zip(connections) {
        threads.push(start(scope, &format!("worker-{number}"), move || {
            until_done("worker", workers.clock, || workers.work(&mut connection));
        })?);
    }
    threads.push(start(scope, "orders", move || {
        until_done("orders", workers.clock, || workers.tend(&mut parked));
    })?);
    Ok(threads)
}
