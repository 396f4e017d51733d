//! The desk behind its lock, with a door that closes while the books are read from the broker anew. No lock is held over I/O.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::Account;
use crate::clock::{Clock, Timestamp};
use crate::condition::Condition;
use crate::desk::{Desk, MarketView, Statement};
use crate::order::{ClientOrderId, OrderReport};
use crate::outcome::OutcomeKind;
use crate::portfolio::{Ended, Portfolio};
use crate::risk::{Approved, Refusal};
use crate::signal::{EntryId, Signal};
use crate::strategy::OrderEnd;
use crate::units::Money;

/// One desk for all workers.
#[derive(Debug)]
pub struct SharedDesk {
    state: Mutex<State>,
    changed: Condition,
}

#[derive(Debug)]
struct State {
    desk: Desk,
    /// No decisions for now: the books are being read.
    closed: bool,
    /// Somebody found an order that the books do not know.
    reread: bool,
    /// Counts everything that changes the books.
    version: u64,
}

/// The books as they stand while nothing is in flight; proof that a comparison with the broker means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standstill(u64);

impl SharedDesk {
    /// Shares `desk`.
    pub fn new(desk: Desk) -> Self {
        let state = State { desk, closed: false, reread: false, version: 0 };
        Self { state: Mutex::new(state), changed: Condition::default() }
    }

    /// [`Desk::decide`]; waits while the door is closed.
    ///
    /// # Errors
    /// The refusal of the desk.
    pub fn decide(
        &self,
        signal: &Signal,
        client_order_id: &ClientOrderId,
        market: MarketView<'_>,
        now: Timestamp,
    ) -> Result<Approved, Refusal> {
        let mut state = self.changed.wait(|| Some(self.lock()).filter(|state| !state.closed));
        state.version += 1;
        state.desk.decide(signal, client_order_id, market, now)
    }

    /// [`Desk::apply`].
    pub fn apply(&self, signal: &EntryId, report: &OrderReport) {
        let mut state = self.lock();
        state.version += 1;
        state.desk.apply(signal, report);
    }

    /// [`Desk::end`], and what each strategy is to be told of it; `unknown_to_books` when the order's fills could not be
    /// booked into the account here.
    pub fn end(
        &self,
        signal: &Signal,
        (kind, reason): (OutcomeKind, &str),
        report: Option<&OrderReport>,
        unknown_to_books: bool,
        now: Timestamp,
    ) -> (Ended, Vec<(usize, OrderEnd)>) {
        let mut state = self.lock();
        state.version += 1;
        state.reread |= unknown_to_books;
        let ended = state.desk.end(signal, (kind, reason), report, Money::ZERO, now);
        let portfolio = state.desk.portfolio();
        let told = ended.told(portfolio, portfolio.place(&signal.strategy), (kind, reason)).collect();
        drop(state);
        self.changed.notify_all();
        (ended, told)
    }

    /// [`Desk::drop_signal`]; `unknown_to_books` when an order of it may have filled.
    pub fn drop_signal(&self, signal: &EntryId, unknown_to_books: bool) {
        let mut state = self.lock();
        state.version += 1;
        state.reread |= unknown_to_books;
        state.desk.drop_signal(signal);
        drop(state);
        self.changed.notify_all();
    }

    /// How each strategy's book stands, in the order of the manifest.
    pub fn portfolio(&self) -> Portfolio {
        self.lock().desk.portfolio().clone()
    }

    /// Money and positions now.
    pub fn statement(&self) -> Statement {
        self.lock().desk.statement()
    }

    /// How many reports brought new fills.
    pub fn fills(&self) -> u64 {
        self.lock().desk.fills()
    }

    /// Whether the books must be read anew.
    pub fn must_reread(&self) -> bool {
        self.lock().reread
    }

    /// The books' state if nothing is in flight now.
    pub fn standstill(&self) -> Option<Standstill> {
        let state = self.lock();
        (state.desk.in_flight() == 0).then_some(Standstill(state.version))
    }

    /// The differences to `account`, which was read after `since`; `None` when the books moved meanwhile.
    pub fn differences(&self, account: &Account, since: Standstill) -> Option<Vec<String>> {
        let state = self.lock();
        (state.version == since.0).then(|| state.desk.differences(account))
    }

    /// Takes over `account`, which was read after `since`; false when the books moved meanwhile.
    pub fn take_over(&self, account: &Account, since: Standstill) -> bool {
        let mut state = self.lock();
        if state.version != since.0 {
            return false;
        }
        state.desk.take_over(account);
        state.reread = false;
        true
    }

    /// Closes the door and waits until nothing is in flight, or the clock shows `at`. The door opens when the guard is
    /// dropped.
    pub fn close(&self, clock: &dyn Clock, at: Timestamp) -> Option<ClosedDoor<'_>> {
        self.lock().closed = true;
        let door = ClosedDoor { shared: self };
        let look = || (self.lock().desk.in_flight() == 0).then_some(());
        self.changed.wait_until(clock, at, look).map(|()| door)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in the desk changes at most one signal's entry, which its worker releases; the books go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, nobody decides.
#[derive(Debug)]
pub struct ClosedDoor<'a> {
    shared: &'a SharedDesk,
}

impl Drop for ClosedDoor<'_> {
    fn drop(&mut self) {
        self.shared.lock().closed = false;
        self.shared.changed.notify_all();
    }
}
