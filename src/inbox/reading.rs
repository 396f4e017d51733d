//! What is read next of a stream through a consumer group, and what is delivered of it. Pure: it asks, and takes in answers.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::debug;

use super::books::{Ownership, StrategyHolder};
use super::held::{EntryState, HeldEntries};
use super::{CallStep, Delivery, InboxError};
use crate::clock::Timestamp;
use crate::signal::{Entry, EntryId, OWN, StreamPlace};

/// At most this often a read asks for entries that were trimmed unread.
const LOSS_CHECK_EVERY: Duration = Duration::from_millis(50);
/// How often the process that holds the strategies looks for signals of theirs that others handed over to it; it waits
/// so long for new ones at most.
const OWN_WALK_EVERY: Duration = Duration::from_millis(500);
/// A pending entry whose body was trimmed cannot be renewed: its owner is given this many leases to settle it.
const LEASES_WITHOUT_BODY: u32 = 10;

const DELETED: &str = "trimmed: the entry was deleted while it was pending";

/// One entry as it travels: its id, and its fields unless its body was deleted.
pub(super) type RawEntry = (String, Option<Vec<(Vec<u8>, Vec<u8>)>>);

/// Entries trimmed unread whose outcome was recorded: the signal that stands for them, and the reason.
pub(super) type Loss = Option<(String, String)>;

/// An entry that was delivered and not acknowledged.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) consumer: String,
    pub(super) idle: Duration,
}

/// What the stream is asked; each is answered by the [`ReadAnswer`] named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadCommand {
    /// Connect, and make epoch and group where they are not there; `reconnects` when there was a group before: `Connected`.
    Connect { reconnects: bool },
    /// Record entries that were trimmed unread: `Checked`.
    LossCheck,
    /// How far the stream's clock is from this machine's: `Offset`.
    CompareClocks,
    /// The next page of pending entries, oldest first, after this id: `Listed`.
    ListPending { whose: Whose, after: Option<String> },
    /// Make those of these entries ours that are still pending: `Taken`.
    Take { whose: Whose, ids: Vec<String> },
    /// Give an entry to the process that holds the strategies; it was delivered so often: `HandedOver`.
    HandOver { id: EntryId, deliveries: u64 },
    /// Entries that nobody was given, at most `count`, waiting for the first; `LossCheck` in the same round trip: `New`.
    ReadNew { count: usize, wait: Duration, with_loss_check: bool },
    /// A loss check, and how the group stands: `Group`.
    Group,
    /// The bodies of these entries, in this order: `Reread`.
    Reread(Vec<EntryId>),
}

/// Which pending entries are walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This consumer's, however young.
    Own,
    /// Anybody's whose owner was silent for a lease.
    LeftBehind,
}

/// What the stream answers.
#[derive(Debug)]
pub(super) enum ReadAnswer {
    /// The random value that names this life of the stream, and what is added to its time to get this machine's.
    Connected {
        epoch: String,
        offset_nanos: i64,
    },
    Checked(Loss),
    Offset(i64),
    /// One page; an empty one is the end.
    Listed(Vec<Pending>),
    /// The entries that are ours now with how often they were delivered.
    Taken(Vec<(RawEntry, u64)>),
    /// False when nobody holds the strategies.
    HandedOver(bool),
    /// The loss check if it was asked for; the entries with the epoch that they belong to.
    New {
        lost: Loss,
        entries: Result<(Vec<RawEntry>, Option<String>), InboxError>,
    },
    /// How many entries are pending, the last one delivered, and the newest there is.
    Group {
        lost: Loss,
        pending: i64,
        delivered: String,
        newest: Option<String>,
    },
    /// The bodies, `None` where there is none.
    Reread(Vec<Option<RawEntry>>),
}

/// The reading half of one process, from its start to its end.
pub(super) struct StreamReader {
    consumer: String,
    lease: Duration,
    held: HeldEntries,
    holding: StrategyHolder,
    connected_before: bool,
    session: Option<Connection>,
    /// What the stream gave, not looked at yet.
    arrived: VecDeque<(RawEntry, u64)>,
    /// Found, held, and not returned yet because there was no room.
    ready: VecDeque<Delivery>,
    stage: ReadStage,
    /// The answer to a question that stands for itself.
    answered: Option<ReadAnswer>,
}

/// What is known for as long as one connection lasts.
struct Connection {
    epoch: String,
    /// Add to the stream's time to get this machine's.
    offset_nanos: i64,
    /// The walk through own pending entries; `None` when it is done.
    own_walk: Option<PendingWalk>,
    /// When that walk began last.
    own_walked_at: Timestamp,
    kept_house_at: Timestamp,
    /// When it was last asked whether entries were trimmed unread; `None` when never.
    checked_at: Option<Timestamp>,
}

/// How far a call got.
enum ReadStage {
    /// Own pending entries that are not held: those of an earlier life, read by a call that failed, or handed over.
    Own,
    /// Every third of a lease the clocks are compared, and what others left behind is taken; it began then.
    LeftBehind(PendingWalk, Timestamp),
    /// New entries.
    New,
    /// They were asked for: whatever was found is returned.
    Over,
}

/// A walk through pending entries, page by page.
struct PendingWalk {
    whose: Whose,
    after: Option<String>,
    /// The last entry of the page that was listed.
    last: Option<String>,
    /// Of that page, what is not held and not asked for yet.
    wanted: VecDeque<Pending>,
    /// What was asked for.
    asked: Vec<Pending>,
}

impl StreamReader {
    pub(super) fn new(consumer: String, lease: Duration, held: HeldEntries, holding: StrategyHolder) -> Self {
        Self {
            consumer,
            lease,
            held,
            holding,
            connected_before: false,
            session: None,
            arrived: VecDeque::new(),
            ready: VecDeque::new(),
            stage: ReadStage::Own,
            answered: None,
        }
    }

    /// Connects, unless that is done.
    pub(super) fn connect(&self) -> CallStep<ReadCommand, ()> {
        match &self.session {
            None => CallStep::Command(ReadCommand::Connect { reconnects: self.connected_before }),
            // Once it is known where the group stood.
            Some(Connection { checked_at: None, .. }) => CallStep::Command(ReadCommand::LossCheck),
            Some(_) => CallStep::Done(()),
        }
    }

    /// The next step of [`super::Inbox::read`]; `room` is above 0.
    pub(super) fn read(
        &mut self,
        room: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> CallStep<ReadCommand, Vec<Delivery>> {
        if let CallStep::Command(command) = self.connect() {
            return CallStep::Command(command);
        }
        if let Some(command) = self.look_at_arrived() {
            return CallStep::Command(command);
        }
        self.ask_for_more(room, until, now).map_or_else(|| CallStep::Done(self.give(room)), CallStep::Command)
    }

    /// The next step of [`super::Inbox::reread`].
    pub(super) fn reread(&mut self, places: &[StreamPlace]) -> CallStep<ReadCommand, Vec<Delivery>> {
        if let CallStep::Command(command) = self.connect() {
            return CallStep::Command(command);
        }
        let ids = places.iter().map(|place| EntryId::at(*place));
        let Some(ReadAnswer::Reread(found)) = self.answered.take() else {
            return CallStep::Command(ReadCommand::Reread(ids.collect()));
        };
        let fields = |found: Option<RawEntry>| found.and_then(|(_, fields)| fields);
        CallStep::Done(ids.zip(found).map(|(id, found)| self.delivery(id, fields(found), 1)).collect())
    }

    /// The next step of [`super::Inbox::is_drained`].
    pub(super) fn is_drained(&mut self) -> CallStep<ReadCommand, bool> {
        if let CallStep::Command(command) = self.connect() {
            return CallStep::Command(command);
        }
        let Some(ReadAnswer::Group { lost, pending, delivered, newest }) = self.answered.take() else {
            return CallStep::Command(ReadCommand::Group);
        };
        self.note_lost(lost);
        let place = |id: &String| EntryId::new(id).place();
        let all_read = newest.is_none_or(|newest| place(&newest) <= place(&delivered));
        CallStep::Done(all_read && pending == 0 && self.ready.is_empty() && self.held.is_empty())
    }

    /// Takes in the answer to what was asked last.
    ///
    /// # Errors
    /// The stream is another one now; as after any failure [`Self::disconnected`] is due.
    pub(super) fn on(&mut self, answer: ReadAnswer, now: Timestamp) -> Result<(), InboxError> {
        match answer {
            ReadAnswer::Connected { epoch, offset_nanos } => {
                self.connected_before = true;
                self.session = Some(Connection::new(epoch, offset_nanos, now));
            }
            ReadAnswer::Checked(lost) => {
                self.note_lost(lost);
                if let Some(session) = &mut self.session {
                    session.checked_at = Some(now);
                }
            }
            ReadAnswer::Offset(nanos) => {
                if let Some(session) = &mut self.session {
                    session.offset_nanos = nanos;
                }
                self.stage = ReadStage::LeftBehind(PendingWalk::new(Whose::LeftBehind), now);
            }
            ReadAnswer::Listed(page) => self.on_page(page),
            ReadAnswer::Taken(taken) => {
                let Some(walk) = self.walk() else { return Ok(()) };
                let asked = walk.take();
                let is_ours = |((id, fields), _): &(RawEntry, u64)| {
                    fields.is_some()
                        || !asked.iter().any(|pending| pending.id == *id && self.may_be_at_work(pending))
                };
                let ours: Vec<_> = taken.into_iter().filter(is_ours).collect();
                self.arrived.extend(ours);
            }
            ReadAnswer::HandedOver(is_gone) => {
                if let Some(((id, fields), deliveries)) = self.arrived.pop_front() {
                    if is_gone {
                        debug!(
                            signal.id = id,
                            "a strategy's signal was handed over to the process that runs them"
                        );
                    } else {
                        self.deliver(EntryId::new(&id), fields, deliveries);
                    }
                }
            }
            ReadAnswer::New { lost, entries } => {
                self.note_lost(lost);
                let (entries, epoch) = entries?;
                if epoch.as_ref() != self.session.as_ref().map(|session| &session.epoch) {
                    // What was just read stays pending and is read again under the new epoch.
                    let text = "the stream was replaced by a new one".to_owned();
                    return Err(InboxError::Unavailable(text));
                }
                self.arrived.extend(entries.into_iter().map(|entry| (entry, 1)));
                self.stage = ReadStage::Over;
            }
            ReadAnswer::Group { .. } | ReadAnswer::Reread(_) => self.answered = Some(answer),
        }
        Ok(())
    }

    /// The connection is gone, and with it the answer to what was asked last: what it brought and is not held is found
    /// again among own pending entries.
    pub(super) fn disconnected(&mut self) {
        self.session = None;
        self.arrived.clear();
        (self.stage, self.answered) = (ReadStage::Own, None);
    }

    fn ask_for_more(&mut self, room: usize, until: Timestamp, now: Timestamp) -> Option<ReadCommand> {
        let interval = (self.lease / 3).max(Duration::from_millis(1));
        let holds = self.holding.get() == Ownership::Holds;
        let session = self.session.as_mut()?;
        if !self.ready.is_empty() {
            return None;
        }
        if let ReadStage::Own = self.stage {
            // While this process holds the strategies, others hand their signals over to it.
            if holds && session.own_walk.is_none() && is_due(session.own_walked_at, OWN_WALK_EVERY, now) {
                session.own_walk = Some(PendingWalk::new(Whose::Own));
                session.own_walked_at = now;
            }
            if let Some(walk) = &mut session.own_walk {
                return Some(walk.command(room));
            }
            if is_due(session.kept_house_at, interval, now) {
                return Some(ReadCommand::CompareClocks);
            }
            self.stage = ReadStage::New;
        }
        match &mut self.stage {
            ReadStage::LeftBehind(walk, _) => Some(walk.command(room)),
            ReadStage::New => {
                // Housekeeping must come round even when nothing arrives for long.
                let wait = until.since(now).min(interval);
                let wait = if holds { wait.min(OWN_WALK_EVERY) } else { wait };
                let checked_at = session.checked_at.unwrap_or_default();
                let with_loss_check = is_due(checked_at, LOSS_CHECK_EVERY, now);
                if with_loss_check {
                    session.checked_at = Some(now);
                }
                Some(ReadCommand::ReadNew { count: room, wait, with_loss_check })
            }
            ReadStage::Own | ReadStage::Over => None,
        }
    }

    /// Ends a read. What was left of a page is listed again: it may be another's by then.
    fn give(&mut self, room: usize) -> Vec<Delivery> {
        self.stage = ReadStage::Own;
        if let Some(walk) = self.session.as_mut().and_then(|session| session.own_walk.as_mut()) {
            walk.wanted.clear();
        }
        self.ready.drain(..self.ready.len().min(room)).collect()
    }

    fn on_page(&mut self, page: Vec<Pending>) {
        let Some(last) = page.last().map(|pending| pending.id.clone()) else {
            let stage = std::mem::replace(&mut self.stage, ReadStage::Own);
            match (stage, &mut self.session) {
                (ReadStage::LeftBehind(_, since), Some(session)) => {
                    session.kept_house_at = since;
                    self.stage = ReadStage::New;
                }
                (_, Some(session)) => session.own_walk = None,
                (_, None) => {}
            }
            return;
        };
        let held = self.held.clone();
        let wanted = page.into_iter().filter(|pending| held.get(&EntryId::new(&pending.id)).is_none());
        if let Some(walk) = self.walk() {
            walk.listed(last, wanted.collect());
        }
    }

    fn walk(&mut self) -> Option<&mut PendingWalk> {
        match &mut self.stage {
            ReadStage::LeftBehind(walk, _) => Some(walk),
            ReadStage::Own | ReadStage::New | ReadStage::Over => self.session.as_mut()?.own_walk.as_mut(),
        }
    }

    fn may_be_at_work(&self, pending: &Pending) -> bool {
        pending.consumer != self.consumer && pending.idle < self.lease.saturating_mul(LEASES_WITHOUT_BODY)
    }

    fn note_lost(&mut self, lost: Loss) {
        if let Some((id, reason)) = lost {
            let id = EntryId::new(&id);
            self.held.add(&id, EntryState::Recorded);
            self.ready.push_back(Delivery::Lost { id, reason });
        }
    }

    /// Delivers what arrived, up to an entry that may be another process's.
    fn look_at_arrived(&mut self) -> Option<ReadCommand> {
        while let Some(((id, fields), deliveries)) = self.arrived.pop_front() {
            let (id, text) = (EntryId::new(&id), id);
            if self.held.get(&id).is_some() {
                debug!(signal.id = %id, "an entry that is being worked on came again and was left out");
                continue;
            }
            let is_own = fields.as_ref().is_some_and(|fields| fields.iter().any(is_own_field));
            if is_own && self.holding.get() != Ownership::Holds {
                self.arrived.push_front(((text, fields), deliveries));
                return Some(ReadCommand::HandOver { id, deliveries });
            }
            self.deliver(id, fields, deliveries);
        }
        None
    }

    fn deliver(&mut self, id: EntryId, fields: Option<Vec<(Vec<u8>, Vec<u8>)>>, deliveries: u64) {
        self.held.add(&id, EntryState::Pending);
        let delivery = self.delivery(id, fields, deliveries);
        self.ready.push_back(delivery);
    }

    fn delivery(&self, id: EntryId, fields: Option<Vec<(Vec<u8>, Vec<u8>)>>, deliveries: u64) -> Delivery {
        match fields {
            Some(fields) => {
                let sent_at = self.sent_at(&id);
                Delivery::Entry(Entry { id, fields, sent_at, deliveries })
            }
            None => Delivery::Lost { id, reason: DELETED.to_owned() },
        }
    }

    /// The time in the id on this machine's clock; an id too large for a time lies in the far future.
    fn sent_at(&self, id: &EntryId) -> Timestamp {
        let offset = self.session.as_ref().map_or(0, |session| session.offset_nanos);
        id.sent_at().map_or(Timestamp::MAX, |time| Timestamp::from_nanos(time.nanos().saturating_add(offset)))
    }
}

impl Connection {
    fn new(epoch: String, offset_nanos: i64, now: Timestamp) -> Self {
        Self {
            epoch,
            offset_nanos,
            own_walk: Some(PendingWalk::new(Whose::Own)),
            own_walked_at: now,
            kept_house_at: Timestamp::default(),
            checked_at: None,
        }
    }
}

impl PendingWalk {
    fn new(whose: Whose) -> Self {
        Self { whose, after: None, last: None, wanted: VecDeque::new(), asked: Vec::new() }
    }

    fn command(&mut self, room: usize) -> ReadCommand {
        let whose = self.whose;
        if self.wanted.is_empty() {
            return ReadCommand::ListPending { whose, after: self.after.clone() };
        }
        self.asked = self.wanted.drain(..self.wanted.len().min(room)).collect();
        ReadCommand::Take { whose, ids: self.asked.iter().map(|pending| pending.id.clone()).collect() }
    }

    fn listed(&mut self, last: String, wanted: VecDeque<Pending>) {
        (self.last, self.wanted) = (Some(last), wanted);
        self.turn_page();
    }

    /// What was asked for was answered.
    fn take(&mut self) -> Vec<Pending> {
        self.turn_page();
        std::mem::take(&mut self.asked)
    }

    /// A page of which something is wanted is listed again: what was taken of it is held then.
    fn turn_page(&mut self) {
        if self.wanted.is_empty() && self.last.is_some() {
            self.after = self.last.take();
        }
    }
}

/// A clock that was set back must not postpone it.
fn is_due(last: Timestamp, every: Duration, now: Timestamp) -> bool {
    now < last || now.since(last) >= every
}

/// The mark of a signal that a strategy of a run sent, read as [`crate::signal::Signal::parse`] reads it.
fn is_own_field((name, value): &(Vec<u8>, Vec<u8>)) -> bool {
    name.trim_ascii().eq_ignore_ascii_case(OWN.as_bytes()) && !value.trim_ascii().is_empty()
}
