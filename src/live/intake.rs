//! The inbox thread: entries in, jobs out, in the stream's order; what is no signal goes to the dead-letter stream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender};

use super::backoff::Backoff;
use crate::activity::Activity;
use crate::clock::{self, Alarm, Clock, Timestamp, recv_until, send_until};
use crate::gate::{Claim, Gate};
use crate::inbox::{Delivery, Inbox, InboxError, Settlement};
use crate::order::ClientOrderId;
use crate::outcome::{Outcome, OutcomeKind};
use crate::pool::{GiveUp, Job};
use crate::signal::{Entry, IdSpace, Signal, Wanted};
use crate::stop::Stop;
use crate::symbol::Symbol;

/// What the intake works with.
pub(super) struct Intake<'a> {
    pub(super) symbols: &'a [Symbol],
    pub(super) environment: &'a str,
    pub(super) stream: &'a str,
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a Stop,
    /// End when nothing is unread and nothing is pending.
    pub(super) drain: bool,
    /// End after this many entries.
    pub(super) signals_max: Option<u64>,
    /// End at this instant.
    pub(super) until: Option<Timestamp>,
    pub(super) jobs: Sender<Job>,
    /// Rung by workers when half of the queue is free again.
    pub(super) half_empty: Receiver<()>,
    pub(super) settlements: Sender<Settlement>,
    /// Where entries are counted that were taken and stay pending.
    pub(super) give_up: &'a GiveUp,
    pub(super) gate: Gate,
    /// The strategies of this run, by name: whether their strengths are positions.
    pub(super) strategies: &'a HashMap<Arc<str>, bool>,
    /// Signals that are not due yet, the earliest last.
    pub(super) later: Vec<Later>,
    /// Where a signal that waits until it is due does not count as under way.
    pub(super) activity: &'a Activity,
    pub(super) seed: u64,
}

/// A signal that is not due yet.
pub(super) struct Later {
    entry: Entry,
    signal: Signal,
    client_order_id: ClientOrderId,
    /// Goes off when it is due, and is held until it is passed on.
    _due: Alarm,
}

/// Why the intake ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IntakeEnd {
    /// As it was asked to.
    Asked,
    /// The stream cannot be used.
    Failed(InboxError),
}

/// The longest a read blocks, so that a wish to stop is noticed.
const BLOCK: Duration = Duration::from_millis(250);
/// So many signals may wait until they are due; one that comes beyond is taken at once.
const LATER_MAX: usize = 10_000;
/// How far ahead of our clock a signal's time may lie.
const FUTURE_MAX: Duration = Duration::from_secs(2);

impl Intake<'_> {
    /// Reads until it is asked to stop; returns how many entries were taken, and why it ended.
    pub(super) fn run(mut self, inbox: &mut impl Inbox) -> (u64, IntakeEnd) {
        let ended = self.read_all(inbox);
        self.later.iter().for_each(|_| self.activity.begin()); // They are the next process's.
        ended
    }

    fn read_all(&mut self, inbox: &mut impl Inbox) -> (u64, IntakeEnd) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), self.seed);
        let mut failing = false;
        let mut taken = 0;
        while !self.is_over(taken) {
            self.pass_on_due();
            match self.read_and_pass_on(inbox, &mut taken) {
                Ok(found) => {
                    backoff.reset();
                    if std::mem::take(&mut failing) {
                        tracing::info!("signals are read again");
                    }
                    if !found && self.drain && inbox.is_drained().unwrap_or(false) {
                        break;
                    }
                }
                Err(error) if !error.may_pass() => return (taken, IntakeEnd::Failed(error)),
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "signals cannot be read; trying again");
                    }
                    self.pause(backoff.pause());
                }
            }
        }
        (taken, IntakeEnd::Asked)
    }

    fn is_over(&self, taken: u64) -> bool {
        self.stop.is_requested()
            || self.signals_max.is_some_and(|max| taken >= max)
            || self.until.is_some_and(|until| self.clock.now() >= until)
    }

    /// One read; true when it brought something.
    fn read_and_pass_on(&mut self, inbox: &mut impl Inbox, taken: &mut u64) -> Result<bool, InboxError> {
        let Some(free) = self.room() else { return Ok(true) };
        let wanted = self.signals_max.map_or(u64::MAX, |max| max - *taken);
        let room = free.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let now = self.clock.now();
        let due = self.later.last().map(|later| later.signal.sent_at);
        let until = [self.until, due, Some(now + BLOCK)].into_iter().flatten().min().unwrap_or(now);
        let deliveries = inbox.read(room, until)?;
        let space = IdSpace {
            environment: self.environment.to_owned(),
            stream: self.stream.to_owned(),
            epoch: inbox.epoch(),
        };
        let found = !deliveries.is_empty();
        for delivery in deliveries {
            *taken += 1;
            self.pass_on(delivery, &space);
        }
        Ok(found)
    }

    /// How many entries can be taken; `None` while less than half of the queue is free, so that a full stream is read in
    /// batches and not one by one.
    fn room(&self) -> Option<usize> {
        let capacity = self.jobs.capacity().unwrap_or(1);
        let free = capacity.saturating_sub(self.jobs.len());
        if free * 2 < capacity {
            let _ = recv_until(self.clock, &self.half_empty, self.clock.now() + BLOCK);
            return None;
        }
        Some(free.max(1))
    }

    fn pass_on(&mut self, delivery: Delivery, space: &IdSpace) {
        let now = self.clock.now();
        let settlement = match delivery {
            Delivery::Entry(entry) => match self.parse(&entry, now) {
                Ok(signal) => return self.queue(entry, signal, space, now),
                Err(reason) => {
                    tracing::warn!(signal.id = %entry.id, reason, "entry is no signal; it goes to the dead letters");
                    Settlement::Dead { entry, reason }
                }
            },
            Delivery::Lost { id, reason } => {
                tracing::warn!(signal.id = %id, reason, "entries were lost before they were read");
                Settlement::Outcome(Outcome {
                    received_at: Some(now),
                    final_at: Some(now),
                    ..Outcome::without_order(id, OutcomeKind::Lost, format!("trimmed: {reason}"))
                })
            }
        };
        // The settler outlives the intake; without it the entry stays pending.
        let _ = self.settlements.send(settlement);
    }

    fn parse(&self, entry: &Entry, now: Timestamp) -> Result<Signal, String> {
        if entry.sent_at > now + FUTURE_MAX {
            let ahead_ms = entry.sent_at.since(now).as_millis();
            return Err(format!("id must be at most 2000 ms in the future, was {ahead_ms} ms"));
        }
        Signal::parse(entry, self.symbols).map_err(|error| error.to_string())
    }

    /// Lines a signal up, now or when it is due: until then it holds no place and stays pending.
    fn queue(&mut self, entry: Entry, signal: Signal, space: &IdSpace, now: Timestamp) {
        let client_order_id = signal.client_order_id(space);
        if signal.step.is_some() && signal.sent_at > now && self.later.len() < LATER_MAX {
            let place = self.later.partition_point(|other| other.signal.sent_at > signal.sent_at);
            let due = self.clock.alarm(signal.sent_at);
            // However often it was read: nobody has sent it before it was due.
            let (entry, signal) = (Entry { deliveries: 1, ..entry }, Signal { redelivered: false, ..signal });
            self.later.insert(place, Later { entry, signal, client_order_id, _due: due });
            self.activity.end();
            return;
        }
        self.line_up(entry, signal, client_order_id, now);
    }

    fn pass_on_due(&mut self) {
        let now = self.clock.now();
        while let Some(Later { entry, signal, client_order_id, _due }) =
            self.later.pop_if(|later| later.signal.sent_at <= now)
        {
            self.activity.begin();
            self.line_up(entry, signal, client_order_id, now);
        }
    }

    /// Waits for room in the queue: back-pressure. A wish to stop leaves the entry pending.
    fn line_up(&self, entry: Entry, signal: Signal, client_order_id: ClientOrderId, received_at: Timestamp) {
        let target_of = self.strategies.get_key_value(&signal.strategy).and_then(|(name, is_target)| {
            let is_target = match signal.wanted {
                Wanted::Order { .. } => false,
                Wanted::Target(_) => true,
                Wanted::Strength(_) => *is_target,
            };
            is_target.then(|| Arc::clone(name))
        });
        let side = match signal.wanted {
            Wanted::Target(_) => None,
            Wanted::Order { .. } | Wanted::Strength(_) if target_of.is_some() => None,
            Wanted::Order { side, .. } => Some(side),
            Wanted::Strength(strength) => strength.side(),
        };
        let claim = Claim { side, target_of, is_step: signal.step.is_some() };
        let place = self.gate.line_up(signal.symbol, claim);
        let mut job = Job { entry, signal, client_order_id, place, received_at };
        loop {
            match send_until(self.clock, &self.jobs, job, self.clock.now() + BLOCK) {
                Ok(()) => return,
                Err(SendTimeoutError::Timeout(_)) if self.stop.is_requested() => {
                    return self.give_up.leave(1);
                }
                Err(SendTimeoutError::Disconnected(_)) => {
                    self.stop.request(); // Nobody works any more.
                    return self.give_up.leave(1);
                }
                Err(SendTimeoutError::Timeout(back)) => job = back,
            }
        }
    }

    fn pause(&self, span: Duration) {
        let until = self.clock.now() + span;
        while !self.stop.is_requested() && self.clock.now() < until {
            clock::sleep(self.clock, until.since(self.clock.now()).min(Duration::from_millis(50)));
        }
    }
}
