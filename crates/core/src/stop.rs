//! The request to stop, shared by everyone who may make it: a signal, ENTER, a timer, a fault. Threads and futures wait for it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crossbeam_channel::{Receiver, Sender, bounded};

/// A flag that is raised once; clones share it.
#[derive(Debug, Clone)]
pub struct Stop {
    raised: Receiver<Infallible>,
    shared: Arc<Mutex<StopWaiters>>,
}

#[derive(Debug)]
struct StopWaiters {
    /// Dropped when it is raised.
    flag: Option<Sender<Infallible>>,
    futures: Vec<Waker>,
}

impl Default for Stop {
    fn default() -> Self {
        let (flag, raised) = bounded(0);
        Self { raised, shared: Arc::new(Mutex::new(StopWaiters { flag: Some(flag), futures: Vec::new() })) }
    }
}

impl Stop {
    /// Asks for an orderly end: the intake stops, what is in hand is finished.
    pub fn request(&self) {
        let mut waiting = self.lock();
        waiting.flag = None;
        waiting.futures.drain(..).for_each(Waker::wake);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.lock().flag.is_none()
    }

    /// A channel that is disconnected once somebody asked, for threads that wait for other things too.
    pub fn channel(&self) -> &Receiver<Infallible> {
        &self.raised
    }

    /// Resolves once somebody asked, whatever runtime it is waited for in.
    pub async fn requested(&self) {
        poll_fn(|context| {
            let mut waiting = self.lock();
            if waiting.flag.is_none() {
                return Poll::Ready(());
            }
            waiting.futures.retain(|known| !known.will_wake(context.waker()));
            waiting.futures.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Asks when what is returned is dropped.
    #[must_use]
    pub fn at_drop(&self) -> StopAtDrop {
        StopAtDrop(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, StopWaiters> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Stop::at_drop`].
#[derive(Debug)]
pub struct StopAtDrop(Stop);

impl Drop for StopAtDrop {
    fn drop(&mut self) {
        self.0.request();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_and_futures_that_wait_are_woken_once_and_for_all() {
        let stop = Stop::default();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| stop.channel().recv());
            let future = scope.spawn(|| {
                tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(stop.requested());
            });
            assert!(!stop.is_requested());
            drop(stop.at_drop());
            assert!(thread.join().unwrap().is_err());
            future.join().unwrap();
        });
        assert!(stop.is_requested());
    }
}
