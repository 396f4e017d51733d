//! A condition variable that is waited for by a clock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Sender, bounded, select};

use crate::clock::{Clock, Timestamp};

/// Wakes those who wait for a state that somebody else changes.
#[derive(Debug, Default)]
pub struct Condition(Mutex<Vec<Sender<()>>>);

impl Condition {
    /// Wakes everybody who waits, so that they look again. Call it after the change.
    pub fn notify_all(&self) {
        for waiter in self.waiters().drain(..) {
            let _ = waiter.try_send(()); // Full means that it is woken already.
        }
    }

    /// Waits until `look` finds something, however long that takes. No lock of the caller is held meanwhile.
    pub fn wait<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = look() {
                return found;
            }
            let (waiter, notified) = bounded(1);
            self.waiters().push(waiter);
            // A change before that push has notified nobody.
            if let Some(found) = look() {
                return found;
            }
            let _ = notified.recv();
        }
    }

    /// The same, until the clock shows `at`; what is there by then is found.
    pub fn wait_until<T>(
        &self,
        clock: &dyn Clock,
        at: Timestamp,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        if let Some(found) = look() {
            return Some(found);
        }
        let alarm = clock.alarm(at);
        loop {
            let (waiter, notified) = bounded(1);
            self.waiters().push(waiter.clone());
            // A change before that push has notified nobody.
            let mut found = look();
            let is_over = found.is_some()
                || select! {
                    recv(notified) -> _ => false,
                    recv(*alarm) -> _ => true,
                };
            if is_over {
                self.waiters().retain(|other| !other.same_channel(&waiter));
                found = found.or_else(&mut look);
                return found;
            }
        }
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
