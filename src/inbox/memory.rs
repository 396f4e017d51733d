//! The inbox without Redis: the same promises in one process's memory, for the demo and for tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::{Delivery, Inbox, InboxError, Keeper, KeptBooks, Settlement, Settler};
use crate::activity::Activity;
use crate::clock::{Clock, Timestamp};
use crate::condition::Condition;
use crate::outcome::Outcome;
use crate::signal::{Entry, EntryId, StreamPlace};

/// How many outcomes and how many dead letters are kept; older ones are dropped first.
const RECORDS_MAX: usize = 1_000_000;

/// A stream in memory: the producer's handle, and the way to see what became of the signals.
#[derive(Clone)]
pub struct MemoryStream {
    shared: Arc<SharedStream>,
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

struct SharedStream {
    state: Mutex<StreamState>,
    arrived: Condition,
    unread_max: usize,
    activity: Activity,
}

#[derive(Default)]
struct StreamState {
    last_id: (i64, u64),
    unread: VecDeque<Entry>,
    pending: BTreeMap<StreamPlace, Entry>,
    outcomes: VecDeque<Outcome>,
    dead: VecDeque<(Entry, String)>,
    kept: KeptBooks,
}

impl MemoryStream {
    /// An empty stream that holds at most `unread_max` unread signals; ids and times come from `clock`.
    pub fn new(unread_max: usize, clock: Arc<dyn Clock>) -> Self {
        Self::counted(unread_max, clock, Activity::default())
    }

    /// The same; each entry counts as under way until the settler has told what became of it.
    pub fn counted(unread_max: usize, clock: Arc<dyn Clock>, activity: Activity) -> Self {
        let (state, arrived) = (Mutex::default(), Condition::default());
        Self { shared: Arc::new(SharedStream { state, arrived, unread_max, activity }), clock }
    }

    /// The two halves of the inbox. Opening again is what a restart after a crash is: whatever was read and not
    /// settled comes again, marked as delivered before; the halves of the earlier life must be gone.
    pub fn open(&self) -> (MemoryInbox, MemorySettler) {
        let mut state = self.state();
        for entry in std::mem::take(&mut state.pending).into_values().rev() {
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
        self.shared.activity.begin();
        let id = state.append(fields, now);
        drop(state);
        self.shared.arrived.notify_all();
        Ok(id)
    }

    /// What was recorded, oldest first.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.state().outcomes.iter().cloned().collect()
    }

    /// What is kept of the strategies' books.
    pub fn kept(&self) -> KeptBooks {
        self.state().kept.clone()
    }

    /// The dead letters with their reasons, oldest first.
    pub fn dead(&self) -> Vec<(Entry, String)> {
        self.state().dead.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, StreamState> {
        // Nothing below can panic between two changes that belong together.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamState {
    fn append(&mut self, fields: &[(&str, &str)], now: Timestamp) -> EntryId {
        let (millis, sequence) = self.last_id;
        self.last_id = if now.millis() > millis { (now.millis(), 0) } else { (millis, sequence + 1) };
        let id = EntryId::new(&format!("{}-{}", self.last_id.0, self.last_id.1));
        let bytes = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let fields = fields.iter().map(bytes).collect();
        self.unread.push_back(Entry { id: id.clone(), fields, sent_at: now, deliveries: 1 });
        id
    }

    fn keep_books(&mut self, kept: &KeptBooks) {
        for (strategy, book) in &kept.books {
            self.kept.books.retain(|(known, _)| known != strategy);
            self.kept.books.push((strategy.clone(), book.clone()));
        }
        self.kept.booked.extend(kept.booked.iter().cloned());
    }

    /// False when it was not pending.
    fn acknowledge(&mut self, id: &EntryId) -> bool {
        id.place().and_then(|place| self.pending.remove(&place)).is_some()
    }
}

impl Inbox for MemoryInbox {
    fn read(&mut self, room: usize, until: Timestamp) -> Result<Vec<Delivery>, InboxError> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let stream = &self.0;
        let look = || Some(stream.state()).filter(|state| !state.unread.is_empty());
        let Some(mut state) = stream.shared.arrived.wait_until(&*stream.clock, until, look) else {
            return Ok(Vec::new());
        };
        let count = state.unread.len().min(room);
        let entries: Vec<Entry> = state.unread.drain(..count).collect();
        state.pending.extend(entries.iter().filter_map(|entry| Some((entry.id.place()?, entry.clone()))));
        Ok(entries.into_iter().map(Delivery::Entry).collect())
    }

    fn reread(&mut self, places: &[StreamPlace]) -> Result<Vec<Delivery>, InboxError> {
        let state = self.0.state();
        let delivery = |place: &StreamPlace| match state.pending.get(place) {
            Some(entry) => Delivery::Entry(entry.clone()),
            None => Delivery::Lost { id: EntryId::at(*place), reason: "it is not in the stream".to_owned() },
        };
        Ok(places.iter().map(delivery).collect())
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
        let mut is_followed = false;
        let mut state = self.0.state();
        for settlement in batch {
            if !state.acknowledge(settlement.entry()) {
                continue;
            }
            match settlement {
                Settlement::Outcome(outcome) | Settlement::Followed { outcome, .. } => {
                    keep(&mut state.outcomes, outcome.clone());
                }
                Settlement::Dead { entry, reason } => {
                    keep(&mut state.dead, (entry.clone(), reason.clone()));
                }
            }
            let Some(after) = settlement.after() else { continue };
            let books = KeptBooks { books: after.books.clone(), booked: Vec::new() };
            state.keep_books(&books);
            let at = self.0.clock.now();
            state.kept.booked.extend(after.booked.iter().map(|(id, filled)| (id.to_string(), *filled, at)));
            if let Some(next) = &after.next {
                let fields: Vec<(&str, &str)> =
                    next.iter().map(|(name, value)| (*name, value.as_str())).collect();
                state.append(&fields, at);
                is_followed = true;
            }
        }
        drop(state);
        if is_followed {
            self.0.shared.arrived.notify_all();
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), InboxError> {
        Ok(())
    }

    /// There is nobody else.
    fn take_books(&mut self, _strategies: &[String]) -> Result<Keeper, InboxError> {
        Ok(Keeper::Us(self.0.state().kept.clone()))
    }

    fn write_books(&mut self, kept: &KeptBooks) -> Result<(), InboxError> {
        self.0.state().keep_books(kept);
        Ok(())
    }

    /// Nothing goes over a wire.
    fn gather_for(&self) -> Duration {
        Duration::ZERO
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
        assert_eq!(ids(&inbox.read(2, Timestamp::default()).unwrap()), ["1000-0 x1", "1000-1 x1"]);
        assert_eq!(ids(&inbox.read(2, Timestamp::default()).unwrap()), ["1000-2 x1"]);
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
        inbox.read(2, Timestamp::default()).unwrap();
        settler.settle(&[skipped("1000-0")]).unwrap();
        let (mut inbox, _settler) = stream.open();
        assert_eq!(ids(&inbox.read(9, Timestamp::default()).unwrap()), ["1000-1 x2", "1000-2 x1"]);
        assert!(!inbox.is_drained().unwrap());
    }

    #[test]
    fn a_waiting_reader_is_woken_by_a_signal() {
        let stream = MemoryStream::new(3, Arc::new(SystemClock));
        let (mut inbox, _settler) = stream.open();
        std::thread::scope(|scope| {
            let reader =
                scope.spawn(move || inbox.read(1, SystemClock.now() + Duration::from_secs(30)).unwrap());
            stream.send(&BUY).unwrap();
            assert_eq!(reader.join().unwrap().len(), 1);
        });
        let mut inbox = stream.open().0;
        inbox.read(9, Timestamp::default()).unwrap();
        assert!(inbox.read(1, SystemClock.now() + Duration::from_millis(1)).unwrap().is_empty());
    }
}
