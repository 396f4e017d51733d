//! The inbox without Redis: the same promises in one process's memory, for the demo and for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::{Delivery, Inbox, InboxError, Settlement, Settler};
use crate::clock::Clock;
use crate::outcome::Outcome;
use crate::signal::{Entry, EntryId};

/// How many outcomes and how many dead letters are kept; older ones are dropped first.
const RECORDS_MAX: usize = 1_000_000;

/// A stream in memory: the producer's handle, and the way to see what became of the signals.
#[derive(Clone)]
pub struct MemoryStream {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

/// The reading half.
pub struct MemoryInbox(MemoryStream);

/// The settling half.
pub struct MemorySettler(MemoryStream);

/// The stream is full: nobody reads, or not fast enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("signal stream must hold at most {0} unread signals, and it does")]
pub struct StreamFull(usize);

struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
    unread_max: usize,
}

#[derive(Default)]
struct State {
    last_id: (i64, u64),
    unread: VecDeque<Entry>,
    /// In the order in which they were read.
    pending: Vec<Entry>,
    outcomes: VecDeque<Outcome>,
    dead: VecDeque<(Entry, String)>,
}

impl MemoryStream {
    /// An empty stream that holds at most `unread_max` unread signals; ids and times come from `clock`.
    pub fn new(unread_max: usize, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { state: Mutex::default(), arrived: Condvar::new(), unread_max };
        Self { shared: Arc::new(shared), clock }
    }

    /// The two halves of the inbox. Opening again is what a restart after a crash is: whatever was read and not
    /// settled comes again, marked as delivered before; the halves of the earlier life must be gone.
    pub fn open(&self) -> (MemoryInbox, MemorySettler) {
        let mut state = self.state();
        for entry in std::mem::take(&mut state.pending).into_iter().rev() {
            state.unread.push_front(Entry { deliveries: entry.deliveries + 1, ..entry });
        }
        (MemoryInbox(self.clone()), MemorySettler(self.clone()))
    }

    /// Appends one signal.
    ///
    /// # Errors
    /// A full stream takes nothing.
    pub fn send(&self, fields: &[(&str, &str)]) -> Result<EntryId, StreamFull> {
        let now = self.clock.now();
        let mut state = self.state();
        if state.unread.len() >= self.shared.unread_max {
            return Err(StreamFull(self.shared.unread_max));
        }
        let (millis, sequence) = state.last_id;
        state.last_id = if now.millis() > millis { (now.millis(), 0) } else { (millis, sequence + 1) };
        let id = EntryId::new(&format!("{}-{}", state.last_id.0, state.last_id.1));
        let bytes = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let fields = fields.iter().map(bytes).collect();
        state.unread.push_back(Entry { id: id.clone(), fields, sent_at: now, deliveries: 1 });
        self.shared.arrived.notify_one();
        Ok(id)
    }

    /// What was recorded, oldest first.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.state().outcomes.iter().cloned().collect()
    }

    /// The dead letters with their reasons, oldest first.
    pub fn dead(&self) -> Vec<(Entry, String)> {
        self.state().dead.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can panic between two changes that belong together.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// False when it was not pending.
    fn acknowledge(&mut self, id: &EntryId) -> bool {
        let at = self.pending.iter().position(|entry| entry.id == *id);
        at.map(|at| self.pending.remove(at)).is_some()
    }
}

impl Inbox for MemoryInbox {
    fn read(&mut self, room: usize, wait: Duration) -> Result<Vec<Delivery>, InboxError> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let stream = &self.0;
        let (mut state, _) = stream
            .shared
            .arrived
            .wait_timeout_while(stream.state(), wait, |state| state.unread.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let count = state.unread.len().min(room);
        let entries: Vec<Entry> = state.unread.drain(..count).collect();
        state.pending.extend(entries.iter().cloned());
        Ok(entries.into_iter().map(Delivery::Entry).collect())
    }

    fn epoch(&self) -> String {
        "memory".to_owned()
    }

    fn is_drained(&mut self) -> Result<bool, InboxError> {
        let state = self.0.state();
        Ok(state.unread.is_empty() && state.pending.is_empty())
    }
}

impl Settler for MemorySettler {
    fn settle(&mut self, batch: &[Settlement]) -> Result<(), InboxError> {
        let mut state = self.0.state();
        for settlement in batch {
            match settlement {
                Settlement::Outcome(outcome) => {
                    if state.acknowledge(&outcome.signal) {
                        keep(&mut state.outcomes, outcome.clone());
                    }
                }
                Settlement::Dead { entry, reason } => {
                    if state.acknowledge(&entry.id) {
                        keep(&mut state.dead, (entry.clone(), reason.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), InboxError> {
        Ok(())
    }
}

fn keep<T>(records: &mut VecDeque<T>, record: T) {
    if records.len() >= RECORDS_MAX {
        records.pop_front();
    }
    records.push_back(record);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock, Timestamp};
    use crate::outcome::OutcomeKind;

    const BUY: [(&str, &str); 2] = [("ticker", "NVDA"), ("direction", "b")];

    fn stream() -> MemoryStream {
        MemoryStream::new(3, Arc::new(ManualClock::new(Timestamp::from_millis(1_000))))
    }

    fn ids(deliveries: &[Delivery]) -> Vec<String> {
        let id = |delivery: &Delivery| match delivery {
            Delivery::Entry(entry) => format!("{} x{}", entry.id, entry.deliveries),
            Delivery::Lost { id, .. } => format!("{id} lost"),
        };
        deliveries.iter().map(id).collect()
    }

    fn skipped(id: &str) -> Settlement {
        Settlement::Outcome(Outcome::without_order(EntryId::new(id), OutcomeKind::Skipped, ""))
    }

    #[test]
    fn each_signal_is_read_once_and_settled_once() {
        let stream = stream();
        let (mut inbox, mut settler) = stream.open();
        for _ in 0..3 {
            stream.send(&BUY).unwrap();
        }
        assert_eq!(stream.send(&BUY), Err(StreamFull(3)));
        assert_eq!(ids(&inbox.read(2, Duration::ZERO).unwrap()), ["1000-0 x1", "1000-1 x1"]);
        assert_eq!(ids(&inbox.read(2, Duration::ZERO).unwrap()), ["1000-2 x1"]);
        for _ in 0..2 {
            settler.settle(&[skipped("1000-0"), skipped("1000-1"), skipped("1000-2")]).unwrap();
        }
        assert_eq!(stream.outcomes().len(), 3);
        assert!(inbox.is_drained().unwrap());
    }

    #[test]
    fn what_was_not_settled_comes_first_and_marked_after_a_crash() {
        let stream = stream();
        let (mut inbox, mut settler) = stream.open();
        for _ in 0..3 {
            stream.send(&BUY).unwrap();
        }
        inbox.read(2, Duration::ZERO).unwrap();
        settler.settle(&[skipped("1000-0")]).unwrap();
        let (mut inbox, _settler) = stream.open();
        assert_eq!(ids(&inbox.read(9, Duration::ZERO).unwrap()), ["1000-1 x2", "1000-2 x1"]);
        assert!(!inbox.is_drained().unwrap());
    }

    #[test]
    fn a_waiting_reader_is_woken_by_a_signal() {
        let stream = MemoryStream::new(3, Arc::new(SystemClock));
        let (mut inbox, _settler) = stream.open();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || inbox.read(1, Duration::from_secs(30)).unwrap());
            stream.send(&BUY).unwrap();
            assert_eq!(reader.join().unwrap().len(), 1);
        });
        let mut inbox = stream.open().0;
        inbox.read(9, Duration::ZERO).unwrap();
        assert!(inbox.read(1, Duration::from_millis(1)).unwrap().is_empty());
    }
}
