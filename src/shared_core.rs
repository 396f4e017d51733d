//! One core for all threads of a live run: a lock around it, and who is woken by what it wants done.
//!
//! The lock is held for one event, some microseconds; I/O, logging and waking happen outside it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::account::Account;
use crate::broker::OrderNews;
use crate::clock::{Clock, Timestamp};
use crate::condition::Condition;
use crate::core::{Action, Arrival, Core, Event, InFlight, Notice, OrderEnded, Overload, TradingState};
use crate::desk::Statement;
use crate::execution::{Deferred, OrderKey};
use crate::inbox::Settlement;
use crate::order::OrderReport;
use crate::portfolio::Portfolio;
use crate::settlement;
use crate::symbol::Symbol;

/// One core for all threads.
pub struct SharedCore<'a> {
    state: Mutex<SharedState>,
    clock: &'a dyn Clock,
    /// Held by whoever hands ends to the settler; none once nothing ends any more.
    settlements: Mutex<Option<Sender<Settlement>>>,
    /// A token for each free worker that may find an order; closed when there will be none any more.
    pub(crate) ready: Receiver<()>,
    /// Told when there is a deadline before the one that is waited for; closed with `ready`.
    pub(crate) deadlines: Receiver<()>,
    /// An order ended, or decisions are made again.
    changed: Condition,
    /// A lane has room for signals that were deferred.
    room: Condition,
}

struct SharedState {
    core: Core,
    /// Who follows an order and waits for news of it.
    followers: HashMap<OrderKey, Sender<()>>,
    wake: Option<Wake>,
    /// Workers that found nothing and are sent no token yet.
    idle: usize,
    /// The deadline that is waited for.
    waited_for: Timestamp,
    is_closed: bool,
    /// Entries that stay pending for the next process.
    left: u64,
    /// Ends that are to be settled, in the order in which they came: a book is what the last one says.
    ended: VecDeque<SignalEnd>,
}

/// How a signal ended.
enum SignalEnd {
    Outcome(Box<OrderEnded>),
    DeadLetter(Box<Settlement>),
}

struct Wake {
    ready: Sender<()>,
    deadlines: Sender<()>,
}

/// The books as they stand while nothing is in flight; proof that a comparison with the broker means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BooksVersion(u64);

impl<'a> SharedCore<'a> {
    /// Shares `core` among so many workers; ends go to `settlements`.
    pub fn new(core: Core, workers: usize, clock: &'a dyn Clock, settlements: Sender<Settlement>) -> Self {
        let (ready_sender, ready) = bounded(workers);
        let (deadlines_sender, deadlines) = bounded(1);
        let wake = Some(Wake { ready: ready_sender, deadlines: deadlines_sender });
        let state = SharedState {
            core,
            followers: HashMap::new(),
            wake,
            idle: 0,
            waited_for: Timestamp::MAX,
            is_closed: false,
            left: 0,
            ended: VecDeque::new(),
        };
        let (state, settlements) = (Mutex::new(state), Mutex::new(Some(settlements)));
        Self {
            state,
            clock,
            settlements,
            ready,
            deadlines,
            changed: Condition::default(),
            room: Condition::default(),
        }
    }

    /// Takes an event; says what is to be done for `own`, the order that the caller works on, where anything is.
    pub fn on(&self, event: Event<'_>, own: Option<OrderKey>) -> Option<Action> {
        let next = self.step(event).into_iter().find(|action| action.order() == own);
        next.filter(|_| own.is_some())
    }

    /// Takes the next order that may go; `wake` is told of news of it. Whoever finds none waits for a token.
    pub fn take(&self, wake: &Sender<()>) -> Option<OrderKey> {
        let mut state = self.lock();
        let Some(key) = state.core.take() else {
            state.idle += 1;
            return None;
        };
        state.followers.insert(key, wake.clone());
        let another = state.another(); // There may be more than this one takes.
        let has_room = state.core.lanes_mut().is_some_and(|lanes| lanes.has_room_for_deferred());
        drop(state);
        give(another);
        if has_room {
            self.room.notify_all();
        }
        Some(key)
    }

    /// Puts a signal into its lane.
    pub fn arrive(&self, arrival: Arrival) {
        self.on(Event::Signal(arrival), None);
    }

    /// Keeps the id of a signal that finds no room in its lane; false for one that finds room.
    pub fn defer(&self, symbol: Symbol, signal: Deferred) -> bool {
        let mut state = self.lock();
        let lanes = state.core.lanes_mut().filter(|lanes| !lanes.has_room(symbol));
        lanes.map(|lanes| lanes.defer(symbol, signal)).is_some()
    }

    /// Signals that were deferred and find room now.
    pub fn recall(&self) -> Option<(Symbol, Vec<Deferred>)> {
        self.lock().core.lanes_mut()?.recall()
    }

    /// Keeps ids again that could not be read.
    pub fn put_back(&self, symbol: Symbol, signals: &[Deferred]) {
        if let Some(lanes) = self.lock().core.lanes_mut() {
            lanes.put_back(symbol, signals);
        }
    }

    /// How many signals are deferred, and whether there is room for more.
    pub fn deferred(&self) -> (usize, bool) {
        self.lock().core.lanes_mut().map_or((0, false), |lanes| (lanes.deferred(), !lanes.is_full()))
    }

    /// Waits until signals that were deferred find room, or the clock shows `at`.
    pub fn wait_for_room(&self, at: Timestamp) {
        let look = || self.lock().core.lanes_mut()?.has_room_for_deferred().then_some(());
        self.room.wait_until(self.clock, at, look);
    }

    /// What parked orders need done now; their answers are given to [`SharedCore::on`].
    pub fn ring(&self) -> Vec<Action> {
        let is_request = |action: &Action| match action {
            Action::Query { .. } | Action::Cancel { .. } => true,
            Action::Ended(_)
            | Action::DeadLetter { .. }
            | Action::Notice(_)
            | Action::Decide { .. }
            | Action::Submit { .. }
            | Action::Wait { .. }
            | Action::Park { .. } => false,
        };
        self.step(Event::Timer).into_iter().filter(is_request).collect()
    }

    /// When [`SharedCore::ring`] is wanted next, `at` at the latest; the caller waits for that.
    pub fn next_deadline(&self, at: Timestamp) -> Timestamp {
        let mut state = self.lock();
        state.waited_for = state.core.next_deadline().map_or(at, |next| next.min(at));
        state.waited_for
    }

    /// No more signals come: once all orders are over, all threads that work on them end.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.end_when_done();
    }

    /// Wakes whoever waits for deadlines.
    pub fn look_again(&self) {
        if let Some(wake) = &self.lock().wake {
            let _ = wake.deadlines.try_send(()); // Full means that it is woken already.
        }
    }

    /// Leaves everything that is not final pending for the next process, and ends all threads that work on orders.
    pub fn give_up(&self) {
        let mut state = self.lock();
        let (left, sent) = state.core.give_up();
        state.left += left;
        state.is_closed = true;
        state.end_when_done();
        let followers = std::mem::take(&mut state.followers);
        drop(state);
        for follower in followers.values() {
            let _ = follower.try_send(());
        }
        self.changed.notify_all();
        for signal in sent {
            tracing::warn!(signal.id = %signal, "its order is not final in time; it stays pending");
        }
    }

    /// Nothing ends any more: the settler is to record what it has and end too.
    pub fn end_settling(&self) {
        self.settle_ended(); // Whoever brought the last end may not have handed it over yet.
        *self.settlements() = None;
    }

    /// How many entries stay pending for the next process.
    pub fn left(&self) -> u64 {
        self.lock().left
    }

    /// How each strategy's book stands, in the order of the manifest.
    pub fn portfolio(&self) -> Portfolio {
        self.lock().core.desk().portfolio().clone()
    }

    /// Money and positions now.
    pub fn statement(&self) -> Statement {
        self.lock().core.desk().statement()
    }

    /// How many reports brought new fills.
    pub fn fills(&self) -> u64 {
        self.lock().core.desk().fills()
    }

    /// How many signals grew too old while they waited, and why.
    pub fn overload(&self) -> Overload {
        self.lock().core.overload()
    }

    /// Whether the books must be read again.
    pub fn must_reread(&self) -> bool {
        self.lock().core.must_reread()
    }

    /// The books' version if nothing is in flight now.
    pub fn books_at_rest(&self) -> Option<BooksVersion> {
        let state = self.lock();
        (state.core.desk().in_flight() == 0).then_some(BooksVersion(state.core.version()))
    }

    /// The differences to `account`, which was read after `since`; `None` when the books moved meanwhile.
    pub fn differences(&self, account: &Account, since: BooksVersion) -> Option<Vec<String>> {
        let state = self.lock();
        (state.core.version() == since.0).then(|| state.core.desk().differences(account))
    }

    /// Takes over `account`, which was read after `since`; false when the books moved meanwhile.
    pub fn reset_to(&self, account: &Account, since: BooksVersion) -> bool {
        let mut state = self.lock();
        if state.core.version() != since.0 {
            return false;
        }
        state.core.desk_mut().reset_to(account);
        state.core.was_reread();
        true
    }

    /// Lets decisions wait until nothing is in flight, or the clock shows `at`. They are made again when the guard is dropped.
    pub fn pause(&self, at: Timestamp) -> Option<Paused<'_, 'a>> {
        self.lock().core.set_state(TradingState::Reading);
        let paused = Paused(self);
        let look = || (self.lock().core.desk().in_flight() == 0).then_some(());
        self.changed.wait_until(self.clock, at, look).map(|()| paused)
    }

    /// Takes an event; ends and notices go where they belong, and what is to be done is returned.
    fn step(&self, event: Event<'_>) -> Vec<Action> {
        let mut out = Vec::with_capacity(2);
        let mut state = self.lock();
        state.step(event, self.clock.now(), &mut out);
        let (ends, another) = (state.ended.len(), state.another());
        drop(state);
        give(another);
        if ends > 0 {
            self.settle_ended();
        }
        for action in &out {
            if let Action::Notice(notice) = action {
                tell(notice);
            }
        }
        out
    }

    /// Hands ends to the settler in the order in which they came, one at a time: a panic on the way takes none but its own.
    fn settle_ended(&self) {
        self.changed.notify_all();
        let settlements = self.settlements();
        loop {
            let first = self.lock().ended.pop_front();
            let settlement = match first {
                Some(SignalEnd::Outcome(ended)) => settlement::of_end(*ended),
                Some(SignalEnd::DeadLetter(settlement)) => *settlement,
                None => return,
            };
            self.hand_over(settlement, settlements.as_ref());
        }
    }

    /// Hands an end to the settler; it waits while there is no room.
    pub fn settle(&self, settlement: Settlement) {
        self.hand_over(settlement, self.settlements().as_ref());
    }

    fn hand_over(&self, settlement: Settlement, settlements: Option<&Sender<Settlement>>) {
        if settlements.is_none_or(|settlements| settlements.send(settlement).is_err()) {
            tracing::error!("the settler has gone; the signal stays pending");
            self.lock().left += 1;
        }
    }

    fn settlements(&self) -> MutexGuard<'_, Option<Sender<Settlement>>> {
        self.settlements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, SharedState> {
        // A panic in the core changes at most one signal's order, which its worker ends; the books go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedState {
    fn step(&mut self, event: Event<'_>, now: Timestamp, out: &mut Vec<Action>) {
        self.core.on(event, now, out);
        for action in out.extract_if(.., |action| is_end(action)) {
            match action {
                Action::Ended(ended) => {
                    self.release(ended.record.key);
                    self.ended.push_back(SignalEnd::Outcome(ended));
                }
                Action::DeadLetter { order, reason } => {
                    let dead = order.entry.map(|entry| Settlement::Dead { entry, reason });
                    self.ended.extend(dead.map(Box::new).map(SignalEnd::DeadLetter));
                }
                Action::Notice(_)
                | Action::Decide { .. }
                | Action::Submit { .. }
                | Action::Query { .. }
                | Action::Cancel { .. }
                | Action::Wait { .. }
                | Action::Park { .. } => {}
            }
        }
        for action in &*out {
            if let Action::Park { order } = action {
                self.release(*order);
            }
        }
        let next = self.core.next_deadline();
        if let (Some(wake), Some(next)) = (&self.wake, next.filter(|next| *next < self.waited_for)) {
            self.waited_for = next;
            let _ = wake.deadlines.try_send(());
        }
        self.end_when_done();
    }

    /// Where to send a token for a free worker, where there is something for it and it has none.
    fn another(&mut self) -> Option<Sender<()>> {
        let wake = self.wake.as_ref().filter(|_| self.idle > 0 && self.core.is_ready())?;
        self.idle -= 1;
        Some(wake.ready.clone())
    }

    /// Whoever waited for news of an order looks again, and finds that there is nothing to do.
    fn release(&mut self, order: OrderKey) {
        if let Some(follower) = self.followers.remove(&order) {
            let _ = follower.try_send(());
        }
    }

    fn end_when_done(&mut self) {
        if self.is_closed && self.core.orders().is_empty() {
            self.wake = None;
        }
    }
}

impl OrderNews for SharedCore<'_> {
    fn in_flight(&self) -> Option<InFlight> {
        self.lock().core.in_flight()
    }

    fn report(&self, report: OrderReport) {
        self.on(Event::Report(report), None);
    }
}

/// While it lives, nobody decides.
pub struct Paused<'a, 'b>(&'a SharedCore<'b>);

impl Drop for Paused<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.core.set_state(TradingState::Active);
        let another = state.another();
        drop(state);
        give(another);
        self.0.changed.notify_all();
    }
}

/// Wakes a worker; without the lock, which it takes at once.
fn give(token: Option<Sender<()>>) {
    if let Some(ready) = token {
        let _ = ready.try_send(()); // There is room for a token of each worker.
    }
}

fn is_end(action: &Action) -> bool {
    match action {
        Action::Ended(_) | Action::DeadLetter { .. } => true,
        Action::Notice(_)
        | Action::Decide { .. }
        | Action::Submit { .. }
        | Action::Query { .. }
        | Action::Cancel { .. }
        | Action::Wait { .. }
        | Action::Park { .. } => false,
    }
}

fn tell(notice: &Notice) {
    match notice {
        Notice::NotFinal { signal, id, status, worked } => {
            let status = status.as_ref().map_or("not answered", |status| status.as_str());
            let seconds = worked.as_secs();
            tracing::warn!(signal.id = %signal, client_order_id = %id, status, seconds, "an order is not final yet");
        }
        Notice::Overload(Overload { expired, came_per_second, sent_per_second }) => tracing::warn!(
            expired,
            came_per_second,
            sent_per_second,
            "signals come faster than orders can be sent, and grow too old while they wait"
        ),
    }
}
