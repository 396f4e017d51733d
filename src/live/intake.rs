//! The inbox thread: entries in, signals into their lanes, in the stream's order; what is no signal goes to the dead-letter
//! stream. The ids of signals that find no room are kept, and the signals read again when it is their turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::kept::KeptEntries;
use crate::activity::Activity;
use crate::clock::{self, Alarm, Clock, Timestamp};
use crate::core::Arrival;
use crate::execution::{Claim, Deferred};
use crate::inbox::{Delivery, Inbox, InboxError, Settlement};
use crate::order::ClientOrderId;
use crate::outcome::{Outcome, OutcomeKind};
use crate::shared_core::SharedCore;
use crate::signal::{Entry, IdSpace, Signal, Wanted};
use crate::stop::Stop;
use crate::symbol::Symbol;
use crate::workers::DrainDeadline;

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
    /// Set when nothing more is read: until then what was read may take.
    pub(super) drain_deadline: &'a DrainDeadline,
    pub(super) drain_timeout: Duration,
    /// Where signals wait for their turn.
    pub(super) core: &'a SharedCore<'a>,
    /// The strategies of this run, by name: whether their strengths are positions.
    pub(super) strategies: &'a HashMap<Arc<str>, bool>,
    /// Signals that are not due yet, the earliest last.
    pub(super) later: Vec<Later>,
    /// Deferred entries that need not be read again.
    pub(super) kept: KeptEntries,
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

/// The longest a read blocks, so that a request to stop is noticed.
const BLOCK: Duration = Duration::from_millis(250);
/// So many entries are read at once.
const READ_MAX: usize = 512;
/// How soon the stream is read again while signals are deferred and none of them finds room.
const RECALL_AFTER: Duration = Duration::from_millis(10);
/// So many signals may wait until they are due; one that comes beyond is taken at once.
const LATER_MAX: usize = 10_000;
/// How far ahead of our clock a signal's time may lie.
const FUTURE_MAX: Duration = Duration::from_secs(2);

impl Intake<'_> {
    /// Reads until it is asked to stop, and then what was deferred; returns how many entries were taken, and why it ended.
    pub(super) fn run(mut self, inbox: &mut impl Inbox) -> (u64, IntakeEnd) {
        let ended = self.read_all(inbox);
        self.drain_deadline.set(self.clock.now() + self.drain_timeout);
        self.core.look_again();
        self.work_off(inbox);
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

    /// What was read is finished, as far as that can be done in time.
    fn work_off(&mut self, inbox: &mut impl Inbox) {
        while self.core.deferred().0 > 0 && !self.drain_deadline.is_due(self.clock.now()) {
            if self.recall(inbox).is_err() {
                clock::sleep(self.clock, BLOCK);
            }
            self.core.wait_for_room(self.clock.now() + RECALL_AFTER);
        }
    }

    fn is_over(&self, taken: u64) -> bool {
        self.stop.is_requested()
            || self.signals_max.is_some_and(|max| taken >= max)
            || self.until.is_some_and(|until| self.clock.now() >= until)
    }

    /// One read; true when it brought something, or when something is still to be read again.
    fn read_and_pass_on(&mut self, inbox: &mut impl Inbox, taken: &mut u64) -> Result<bool, InboxError> {
        self.recall(inbox)?;
        let (deferred, has_room) = self.core.deferred();
        let wanted = self.signals_max.map_or(u64::MAX, |max| max - *taken);
        let room = READ_MAX.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let now = self.clock.now();
        let due = self.later.last().map(|later| later.signal.sent_at);
        // Lanes must not run dry while nothing new comes.
        let block = if deferred > 0 { Duration::ZERO } else { BLOCK };
        let until = [self.until, due, Some(now + block)].into_iter().flatten().min().unwrap_or(now);
        let deliveries = if has_room { inbox.read(room, until)? } else { Vec::new() };
        let space = self.space(inbox);
        let found = !deliveries.is_empty();
        for delivery in deliveries {
            *taken += 1;
            self.pass_on(delivery, &space, None);
        }
        if deferred > 0 && !found {
            self.core.wait_for_room(now + RECALL_AFTER);
        }
        Ok(found || deferred > 0)
    }

    /// Reads signals again that were deferred and find room now.
    fn recall(&mut self, inbox: &mut impl Inbox) -> Result<(), InboxError> {
        while let Some((symbol, signals)) = self.core.recall() {
            let places = signals.iter().map(|signal| signal.place);
            let places: Vec<_> = places.filter(|place| !self.kept.has(*place)).collect();
            let reread = if places.is_empty() { Ok(Vec::new()) } else { inbox.reread(&places) };
            let mut reread = match reread {
                Ok(deliveries) => deliveries.into_iter(),
                Err(error) => {
                    self.core.put_back(symbol, &signals);
                    return Err(error);
                }
            };
            let space = self.space(inbox);
            for signal in &signals {
                let kept = self.kept.take(signal.place, signal.deliveries).map(Delivery::Entry);
                let delivery = match kept.or_else(|| reread.next()) {
                    Some(Delivery::Entry(entry)) => {
                        Delivery::Entry(Entry { deliveries: signal.deliveries, ..entry })
                    }
                    Some(lost @ Delivery::Lost { .. }) => lost,
                    None => continue, // Each place has its delivery.
                };
                self.pass_on(delivery, &space, Some(signal.received_at));
            }
        }
        Ok(())
    }

    fn space(&self, inbox: &impl Inbox) -> IdSpace {
        IdSpace {
            environment: self.environment.to_owned(),
            stream: self.stream.to_owned(),
            epoch: inbox.epoch(),
        }
    }

    /// `recalled` is when a signal was read first that was deferred then.
    fn pass_on(&mut self, delivery: Delivery, space: &IdSpace, recalled: Option<Timestamp>) {
        let now = self.clock.now();
        let settlement = match delivery {
            Delivery::Entry(entry) => match self.parse(&entry, now) {
                Ok(signal) => return self.queue(entry, signal, space, (now, recalled)),
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
        self.core.settle(settlement);
    }

    fn parse(&self, entry: &Entry, now: Timestamp) -> Result<Signal, String> {
        if entry.sent_at > now + FUTURE_MAX {
            let ahead_ms = entry.sent_at.since(now).as_millis();
            return Err(format!("id must be at most 2000 ms in the future, was {ahead_ms} ms"));
        }
        Signal::parse(entry, self.symbols).map_err(|error| error.to_string())
    }

    /// Lines a signal up, now or when it is due: until then it holds no place and stays pending.
    fn queue(
        &mut self,
        entry: Entry,
        signal: Signal,
        space: &IdSpace,
        (now, recalled): (Timestamp, Option<Timestamp>),
    ) {
        if signal.step.is_some() && signal.sent_at > now && self.later.len() < LATER_MAX {
            let client_order_id = signal.client_order_id(space);
            let place = self.later.partition_point(|other| other.signal.sent_at > signal.sent_at);
            let due = self.clock.alarm(signal.sent_at);
            // However often it was read: nobody has sent it before it was due.
            let (entry, signal) = (Entry { deliveries: 1, ..entry }, Signal { redelivered: false, ..signal });
            self.later.insert(place, Later { entry, signal, client_order_id, _due: due });
            self.activity.end();
            return;
        }
        if recalled.is_some() || !self.defer(&entry, &signal, now) {
            let client_order_id = signal.client_order_id(space);
            self.line_up(entry, signal, client_order_id, recalled.unwrap_or(now));
        }
    }

    /// Keeps the id of a signal that finds no room in its lane, and where it can the entry; false for one that finds room.
    fn defer(&mut self, entry: &Entry, signal: &Signal, received_at: Timestamp) -> bool {
        let Some(place) = entry.id.place() else { return false };
        let is_deferred =
            self.core.defer(signal.symbol, Deferred { place, deliveries: entry.deliveries, received_at });
        if is_deferred {
            self.kept.keep(place, entry);
        }
        is_deferred
    }

    fn pass_on_due(&mut self) {
        let now = self.clock.now();
        while let Some(Later { entry, signal, client_order_id, _due }) =
            self.later.pop_if(|later| later.signal.sent_at <= now)
        {
            self.activity.begin();
            if !self.defer(&entry, &signal, now) {
                self.line_up(entry, signal, client_order_id, now);
            }
        }
    }

    /// Puts a signal into its lane.
    fn line_up(&self, entry: Entry, signal: Signal, client_order_id: ClientOrderId, received_at: Timestamp) {
        let target_of = self.strategies.get_key_value(&signal.strategy).and_then(|(name, is_target)| {
            let is_target = match signal.wanted {
                Wanted::Order { .. } => false,
                Wanted::Target(_) | Wanted::Weight(_) => true,
                Wanted::Strength(_) => *is_target,
            };
            is_target.then(|| Arc::clone(name))
        });
        let side = match signal.wanted {
            Wanted::Target(_) | Wanted::Weight(_) => None,
            Wanted::Order { .. } | Wanted::Strength(_) if target_of.is_some() => None,
            Wanted::Order { side, .. } => Some(side),
            Wanted::Strength(strength) => strength.side(),
        };
        let claim = Claim { side, target_of, is_step: signal.step.is_some() };
        let arrival = Arrival { entry: Some(entry), signal, client_order_id, claim, received_at };
        self.core.arrive(arrival);
    }

    fn pause(&self, span: Duration) {
        let until = self.clock.now() + span;
        while !self.stop.is_requested() && self.clock.now() < until {
            clock::sleep(self.clock, until.since(self.clock.now()).min(Duration::from_millis(50)));
        }
    }
}
