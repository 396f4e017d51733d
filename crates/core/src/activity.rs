//! Whether anything is under way between the threads of a run, so that a test knows when to let the clock go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what was handed over and what was dealt with; clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<ActivityCount>);

#[derive(Debug, Default)]
struct ActivityCount {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    /// Called before something is handed to another thread.
    pub fn begin(&self) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Called when it was dealt with, and whatever follows from it has begun; also when it could not be handed over.
    pub fn end(&self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }

    /// Whether nothing is under way.
    ///
    /// What ended had begun, so `ended` is never above `begun`, and neither ever falls. Here `ended` is read first: when
    /// the later `begun` equals it, then nothing was under way at the first reading and nothing began until the second.
    /// Nothing can begin by itself after that, because what follows from something begins before that ends. The
    /// acquiring read sees each beginning whose end, or whose cause's end, it counts.
    pub fn is_idle(&self) -> bool {
        let ended = self.0.ended.load(Ordering::Acquire);
        ended == self.0.begun.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_idle_when_all_that_began_has_ended_with_what_followed() {
        let activity = Activity::default();
        let (hands, jobs) = crossbeam_channel::unbounded::<u32>();
        std::thread::scope(|scope| {
            let (worker, sender) = (activity.clone(), hands.clone());
            scope.spawn(move || {
                for steps_left in jobs.iter().take(1_000) {
                    if steps_left > 1 {
                        worker.begin();
                        sender.send(steps_left - 1).unwrap();
                    }
                    worker.end();
                }
            });
            assert!(activity.is_idle());
            activity.begin();
            hands.send(1_000).unwrap();
            while !activity.is_idle() {
                std::thread::yield_now();
            }
        });
        assert_eq!(activity.0.begun.load(Ordering::SeqCst), 1_000);
    }
}
