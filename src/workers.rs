//! Workers: each takes one order at a time, does its I/O at the broker, and follows it until it is final or parked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::broker::{OrderEntry, Venue};
use crate::clock::{Clock, Timestamp, recv_before, recv_until};
use crate::core::{Action, Event};
use crate::desk::MarketView;
use crate::execution::OrderKey;
use crate::prices::PriceCache;
use crate::reply::Reply;
use crate::shared_core::SharedCore;

/// What all workers share.
pub struct Workers<'a, V: Venue> {
    /// Where orders go.
    pub venue: &'a V,
    /// Who decides.
    pub core: &'a SharedCore<'a>,
    /// What the market shows.
    pub prices: &'a PriceCache,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// When to leave what is not final to the next process.
    pub drain_deadline: &'a DrainDeadline,
}

/// The instant after which what is not final stays pending.
#[derive(Debug)]
pub struct DrainDeadline(AtomicI64);

impl Default for DrainDeadline {
    fn default() -> Self {
        Self(AtomicI64::new(Timestamp::MAX.nanos()))
    }
}

impl DrainDeadline {
    /// Sets the instant.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.nanos(), Ordering::SeqCst);
    }

    /// The instant; [`Timestamp::MAX`] before it is set.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }

    /// Whether the instant has come.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.at()
    }

    /// How long it is until the instant.
    pub fn within(&self, now: Timestamp) -> Duration {
        self.at().since(now)
    }
}

impl<V: Venue> Workers<'_, V> {
    /// Takes orders until there will be none any more.
    pub fn work(&self, broker: &mut V::Broker) {
        let (wake, woken) = bounded(1);
        loop {
            while let Some(order) = self.core.take(&wake) {
                self.follow(broker, order, &mut |until| {
                    let _ = recv_until(self.clock, &woken, until);
                });
            }
            if self.core.ready.recv().is_err() {
                return;
            }
        }
    }

    /// Does what parked orders need, and lets signals grow too old that wait in a lane: until there is nothing to do any
    /// more, or the deadline of the drain has come.
    pub fn tend(&self, broker: &mut V::Broker) {
        let mut alarm = self.clock.alarm(self.clock.now());
        loop {
            if self.drain_deadline.is_due(self.clock.now()) {
                return self.core.give_up();
            }
            for action in self.core.ring() {
                if let Some(order) = action.order() {
                    self.answer(broker, order, &action);
                }
            }
            let next = self.core.next_deadline(self.drain_deadline.at());
            alarm = {
                let next = self.clock.alarm(next);
                drop(alarm);
                next
            };
            if let Err(RecvTimeoutError::Disconnected) = recv_before(&alarm, &self.core.deadlines) {
                return;
            }
        }
    }

    /// One order until it is over or parked. Whatever panics meanwhile concerns this order alone.
    fn follow(&self, broker: &mut V::Broker, order: OrderKey, wait: &mut dyn FnMut(Timestamp)) {
        let mut event = Some(Event::Due { order });
        let mut cause = String::new();
        loop {
            let first = event.take().unwrap_or(Event::Failed { order, cause: &cause });
            let worked = AssertUnwindSafe(|| self.follow_from(first, broker, order, wait));
            match catch_unwind(worked) {
                Ok(()) => return,
                Err(panic) => cause = self.recover(broker, panic.as_ref()),
            }
        }
    }

    fn follow_from(
        &self,
        first: Event<'_>,
        broker: &mut V::Broker,
        order: OrderKey,
        wait: &mut dyn FnMut(Timestamp),
    ) {
        let mut next = self.core.on(first, Some(order));
        while let Some(action) = next {
            next = match action {
                Action::Decide { .. } => {
                    let (version, snapshots) = self.prices.latest();
                    let (version, session) = (Some(version), self.prices.session());
                    let market = MarketView { latest_prices: &*snapshots, session, version };
                    self.core.on(Event::Turn { order, market }, Some(order))
                }
                Action::Wait { until, .. } => {
                    wait(until);
                    self.core.on(Event::Due { order }, Some(order))
                }
                Action::Submit { .. } | Action::Query { .. } | Action::Cancel { .. } => {
                    let reply = send(broker, &action);
                    self.core.on(Event::Reply { order, reply }, Some(order))
                }
                Action::Park { .. } | Action::Ended(_) | Action::DeadLetter { .. } | Action::Notice(_) => {
                    return;
                }
            };
        }
    }

    /// Sends a parked order's request and passes the answer on; a panic is its failure.
    fn answer(&self, broker: &mut V::Broker, order: OrderKey, action: &Action) {
        match catch_unwind(AssertUnwindSafe(|| send(broker, action))) {
            Ok(reply) => drop(self.core.on(Event::Reply { order, reply }, None)),
            Err(panic) => {
                let cause = self.recover(broker, panic.as_ref());
                self.core.on(Event::Failed { order, cause: &cause }, None);
            }
        }
    }

    /// A new connection after a panic, whose text is returned.
    fn recover(&self, broker: &mut V::Broker, panic: &(dyn std::any::Any + Send)) -> String {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let cause = text.unwrap_or("panic without a text").to_owned();
        tracing::error!(cause, "a panic while handling a signal; the pool goes on");
        if let Ok(fresh) = self.venue.connect() {
            *broker = fresh;
        }
        cause
    }
}

fn send(broker: &mut impl OrderEntry, action: &Action) -> Reply {
    let reply = match action {
        Action::Submit { request, .. } => broker.submit(request),
        Action::Query { id, .. } => broker.query(id),
        Action::Cancel { id, .. } => broker.cancel(id),
        Action::Decide { .. }
        | Action::Wait { .. }
        | Action::Park { .. }
        | Action::Ended(_)
        | Action::DeadLetter { .. }
        | Action::Notice(_) => Reply::Unknown("nothing was sent".to_owned()),
    };
    tracing::debug!(?reply, "the broker answered");
    reply
}
