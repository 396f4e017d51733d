//! The settler thread: records ends in batches, one transaction each, and renews what this process holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::backoff::Backoff;
use super::books::BookKeeper;
use super::session_log::OutcomeTap;
use super::summary::Tally;
use crate::activity::Activity;
use crate::clock::{self, Clock, Timestamp, recv_until};
use crate::inbox::{InboxError, KeptBooks, Settlement, Settler};
use crate::stop::Stop;
use crate::strategy::OrderEnd;
use crate::strategy_threads::KeptState;
use crate::workers::DrainDeadline;

/// How often the stream is told that this process still works on what it holds.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// The most ends that go into one transaction.
const BATCH_LEN_MAX: usize = 128;

const LOST_BOOKS: &str = "another process took the strategies over while this one was silent for too long";

/// What the settler works with.
pub(super) struct Settling<'a> {
    pub(super) settlements: &'a Receiver<Settlement>,
    pub(super) drain_deadline: &'a DrainDeadline,
    /// Counts the ends that could not be recorded.
    pub(super) left: &'a AtomicU64,
    pub(super) stop: &'a Stop,
    pub(super) clock: &'a dyn Clock,
    /// Where an entry ends once what became of it was told.
    pub(super) activity: &'a Activity,
    /// Who hears, by the strategy's place, what became of its signals.
    pub(super) listeners: &'a [Sender<OrderEnd>],
    /// What the strategies keep over a restart, by their places.
    pub(super) states: &'a [KeptState],
    /// The books as they are kept.
    pub(super) keeper: &'a Mutex<BookKeeper>,
    /// Where all of them are told to be recorded.
    pub(super) tap: Option<&'a OutcomeTap>,
    pub(super) seed: u64,
}

/// What was tried, and what is done next. Pure: results and times come in.
struct BatchProgress {
    backoff: Backoff,
    /// When the stream is told next that this process still works.
    renew_at: Timestamp,
    is_failing: bool,
    /// Why no more signals are taken.
    fault: Option<InboxError>,
}

/// What follows a try to record a batch.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It is recorded.
    Told,
    /// The same batch again, after this pause.
    Again(Duration),
    /// It stays pending.
    GivenUp,
}

impl BatchProgress {
    fn new(seed: u64, now: Timestamp) -> Self {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed);
        Self { backoff, renew_at: now + RENEW_EVERY, is_failing: false, fault: None }
    }

    /// `time_left` is zero once the drain deadline is due.
    fn on_try(&mut self, tried: Result<(), InboxError>, time_left: Duration, count: usize) -> Next {
        let Err(error) = tried else {
            if std::mem::take(&mut self.is_failing) {
                tracing::info!("outcomes are recorded again");
            }
            self.backoff.reset();
            return Next::Told;
        };
        if time_left.is_zero() {
            tracing::error!(%error, count, "outcomes could not be recorded; they stay pending");
            return Next::GivenUp;
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(%error, "outcomes cannot be recorded; trying again");
        }
        if !error.may_pass() {
            self.stop_for(error);
        }
        Next::Again(self.backoff.pause().min(time_left))
    }

    /// The first reason is the one that is returned.
    fn stop_for(&mut self, error: InboxError) {
        if self.fault.is_none() {
            tracing::error!(%error, "stopping: no more signals are taken");
            self.fault = Some(error);
        }
    }

    /// A clock that was set back must not put it off for long.
    fn is_renewal_due(&self, now: Timestamp) -> bool {
        now >= self.renew_at || self.renew_at.since(now) > RENEW_EVERY
    }
}

impl Settling<'_> {
    /// Settles until all senders are dropped. What cannot be recorded after `drain_deadline` is due is left pending, and counted.
    /// A stream that cannot be used stops the run: no more orders are sent whose ends could not be recorded; that error is
    /// returned.
    pub(super) fn run(&self, settler: &mut impl Settler, tally: &mut Tally) -> Option<InboxError> {
        let mut progress = BatchProgress::new(self.seed, self.clock.now());
        loop {
            let wait_until = progress.renew_at.min(self.clock.now() + RENEW_EVERY);
            match recv_until(self.clock, self.settlements, wait_until) {
                Ok(first) => {
                    clock::sleep(self.clock, settler.gather_for());
                    let others = self.settlements.try_iter().take(BATCH_LEN_MAX - 1);
                    let mut batch: Vec<_> = std::iter::once(first).chain(others).collect();
                    let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
                    keeper.take_states(self.states);
                    for settlement in &mut batch {
                        keeper.note(settlement);
                    }
                    drop(keeper);
                    if !self.settle(settler, &batch, tally, &mut progress) {
                        self.leave_the_rest();
                        return progress.fault;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_states(settler);
                    return progress.fault;
                }
            }
            if progress.is_renewal_due(self.clock.now()) {
                if let Err(error) = settler.renew() {
                    tracing::debug!(%error, "holdings could not be renewed");
                }
                self.write_states(settler);
                progress.renew_at = self.clock.now() + RENEW_EVERY;
            }
            if settler.has_lost_books() {
                // What its strategies want next is another process's to say, and its books are old.
                progress.stop_for(InboxError::Unavailable(LOST_BOOKS.to_owned()));
                self.stop.request();
            }
        }
    }

    /// Books whose strategies' states changed since their last end.
    fn write_states(&self, settler: &mut impl Settler) {
        let keeper = || self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        keeper().take_states(self.states);
        let kept = KeptBooks { books: keeper().unwritten(), booked: Vec::new() };
        if kept.books.is_empty() {
            return;
        }
        match settler.write_books(&kept) {
            Ok(()) => keeper().wrote(&kept.books, self.clock.now()),
            Err(error) => {
                tracing::warn!(%error, "strategies' states could not be written; they are tried again");
            }
        }
    }

    /// False when it was given up.
    fn settle(
        &self,
        settler: &mut impl Settler,
        batch: &[Settlement],
        tally: &mut Tally,
        progress: &mut BatchProgress,
    ) -> bool {
        // What follows begins before what it follows from ends.
        let next =
            batch.iter().filter(|settlement| settlement.after().is_some_and(|after| after.next.is_some()));
        let next = next.count();
        (0..next).for_each(|_| self.activity.begin());
        loop {
            let tried = settler.settle(batch);
            let time_left = self.drain_deadline.within(self.clock.now());
            match progress.on_try(tried, time_left, batch.len()) {
                Next::Told => {
                    self.keeper.lock().unwrap_or_else(PoisonError::into_inner).kept(batch, self.clock.now());
                    for settlement in batch {
                        tally.add(settlement);
                        self.tell(settlement);
                        self.activity.end();
                    }
                    return true;
                }
                Next::GivenUp => {
                    self.left.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::SeqCst);
                    (0..next).for_each(|_| self.activity.end());
                    return false;
                }
                Next::Again(pause) => {
                    if progress.fault.is_some() {
                        self.stop.request();
                    }
                    clock::sleep(self.clock, pause);
                }
            }
        }
    }

    /// Nobody waits for a strategy that does not listen.
    fn tell(&self, settlement: &Settlement) {
        let Some(outcome) = settlement.outcome() else { return };
        if let Some(tap) = self.tap {
            tap.tell(outcome);
        }
        let Some(after) = settlement.after() else { return };
        for (place, end) in &after.told {
            let Some(listener) = self.listeners.get(*place) else { continue };
            self.activity.begin();
            if listener.try_send(end.clone()).is_err() {
                self.activity.end();
                tracing::warn!(strategy = outcome.strategy, signal.id = %outcome.signal, "a strategy missed an outcome");
            }
        }
    }

    /// Takes what still comes and counts it: a stream that failed at the end is not waited for again.
    fn leave_the_rest(&self) {
        let count = self.settlements.iter().count();
        if count > 0 {
            tracing::error!(count, "more outcomes are not recorded; they stay pending");
            self.left.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::inbox::Keeper;
    use crate::outcome::{Outcome, OutcomeKind};
    use crate::signal::EntryId;

    fn skipped(id: EntryId) -> Settlement {
        Settlement::Outcome(Outcome::without_order(id, OutcomeKind::Skipped, ""))
    }

    /// Fails as it is told, and counts.
    struct Failing {
        error: Option<InboxError>,
        calls: usize,
    }

    impl Settler for Failing {
        fn settle(&mut self, _: &[Settlement]) -> Result<(), InboxError> {
            self.calls += 1;
            self.error.clone().map_or(Ok(()), Err)
        }

        fn renew(&mut self) -> Result<(), InboxError> {
            self.calls += 1;
            Ok(())
        }

        fn take_books(&mut self, _: &[String]) -> Result<Keeper, InboxError> {
            Ok(Keeper::Us(KeptBooks::default()))
        }

        fn write_books(&mut self, _: &KeptBooks) -> Result<(), InboxError> {
            Ok(())
        }
    }

    /// Settles 300 ends; says what was returned, recorded, left and asked for.
    fn settle(settler: &mut Failing, give_up_at: Timestamp) -> (Option<InboxError>, u64, u64, bool) {
        let (sender, settlements) = crossbeam_channel::unbounded();
        for number in 0..300 {
            let id = EntryId::new(&format!("{number}-0"));
            sender.send(skipped(id)).unwrap();
        }
        drop(sender);
        let (drain_deadline, stop, mut tally) = (DrainDeadline::default(), Stop::default(), Tally::default());
        let left = AtomicU64::new(0);
        drain_deadline.set(give_up_at);
        let settling = Settling {
            settlements: &settlements,
            drain_deadline: &drain_deadline,
            left: &left,
            stop: &stop,
            clock: &SystemClock,
            activity: &Activity::default(),
            listeners: &[],
            states: &[],
            keeper: &Mutex::default(),
            tap: None,
            seed: 1,
        };
        let fault = settling.run(settler, &mut tally);
        (fault, tally.recorded(), left.load(Ordering::SeqCst), stop.is_requested())
    }

    #[test]
    fn every_end_is_counted_once_it_is_recorded() {
        let mut good = Failing { error: None, calls: 0 };
        assert_eq!(settle(&mut good, Timestamp::MAX), (None, 300, 0, false));
        assert_eq!(good.calls, 3);
    }

    #[test]
    fn a_stream_that_does_not_answer_at_the_end_is_tried_once_and_all_the_rest_is_left() {
        let mut gone = Failing { error: Some(InboxError::Unavailable("gone".to_owned())), calls: 0 };
        assert_eq!(settle(&mut gone, Timestamp::default()), (None, 0, 300, false));
        assert_eq!(gone.calls, 1);
    }

    #[test]
    fn a_stream_that_cannot_be_used_stops_the_run() {
        for error in [InboxError::Misconfigured("x".to_owned()), InboxError::Credentials("x".to_owned())] {
            let mut unusable = Failing { error: Some(error.clone()), calls: 0 };
            let soon = SystemClock.now() + Duration::from_millis(100);
            assert_eq!(settle(&mut unusable, soon), (Some(error), 0, 300, true));
        }
    }

    #[test]
    fn the_same_batch_is_tried_until_there_is_no_time_left_and_the_first_reason_to_stop_stands() {
        let mut progress = BatchProgress::new(1, Timestamp::default());
        let failed = |text: &str| Err(InboxError::Misconfigured(text.to_owned()));
        let short = Duration::from_millis(1);
        assert_eq!(progress.on_try(failed("first"), short, 2), Next::Again(short));
        assert_eq!(progress.on_try(failed("second"), short, 2), Next::Again(short));
        assert_eq!(progress.on_try(Ok(()), Duration::ZERO, 2), Next::Told);
        assert_eq!(progress.on_try(failed("third"), Duration::ZERO, 2), Next::GivenUp);
        assert_eq!(progress.fault, failed("first").err());
    }

    /// Sets the clock back while it settles, and counts renewals.
    struct Startling<'a> {
        clock: &'a ManualClock,
        renewals: usize,
    }

    impl Settler for Startling<'_> {
        fn settle(&mut self, _: &[Settlement]) -> Result<(), InboxError> {
            self.clock.set(Timestamp::from_secs(1));
            Ok(())
        }

        fn renew(&mut self) -> Result<(), InboxError> {
            self.renewals += 1;
            Ok(())
        }

        fn take_books(&mut self, _: &[String]) -> Result<Keeper, InboxError> {
            Ok(Keeper::Us(KeptBooks::default()))
        }

        fn write_books(&mut self, _: &KeptBooks) -> Result<(), InboxError> {
            Ok(())
        }

        fn gather_for(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_put_the_renewal_off() {
        let clock = ManualClock::new(Timestamp::from_secs(10_000));
        let (sender, settlements) = crossbeam_channel::unbounded();
        let id = EntryId::new("1-0");
        sender.send(skipped(id)).unwrap();
        drop(sender);
        let (drain_deadline, stop, left) = (DrainDeadline::default(), Stop::default(), AtomicU64::new(0));
        let settling = Settling {
            settlements: &settlements,
            drain_deadline: &drain_deadline,
            left: &left,
            stop: &stop,
            clock: &clock,
            activity: &Activity::default(),
            listeners: &[],
            states: &[],
            keeper: &Mutex::default(),
            tap: None,
            seed: 1,
        };
        let mut startling = Startling { clock: &clock, renewals: 0 };
        settling.run(&mut startling, &mut Tally::default());
        assert_eq!(startling.renewals, 1);
    }
}
