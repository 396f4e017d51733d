//! The inbox on a Redis stream: a consumer group read with a connection of its own, deaf to nothing for long.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, Value};
use tracing::debug;

use super::held::{Held, Hold};
use super::link::accepted;
pub use super::link::{RedisFault, RedisUrl};
use super::redis_books::{Holding, Standing};
use super::redis_session::Session;
pub use super::redis_settler::RedisSettler;
use super::reply::{self, Pending, RawEntry, expect};
use super::{Delivery, Inbox, InboxError};
use crate::clock::{Clock, Timestamp};
use crate::signal::{Entry, EntryId, OWN};

/// What an instance reads, and as whom.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// Where Redis is.
    pub url: RedisUrl,
    /// The stream of signals; its outcomes, dead letters and epoch are beside it.
    pub stream: String,
    /// The consumer group, shared by all instances.
    pub group: String,
    /// This instance's name in the group: stable across restarts, never shared by two processes.
    pub consumer: String,
    /// Where a new group begins.
    pub from: From,
    /// How long an instance may be silent before others take over what it holds.
    pub lease: Duration,
    /// The name that outcomes carry.
    pub instance: String,
}

/// Where a new group begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// At the first entry that is there.
    Start,
    /// After the last entry that is there.
    New,
    /// After this entry.
    Id(EntryId),
}

/// The random value that names one life of the stream, once it is known; changes when Redis was emptied.
#[derive(Debug, Clone, Default)]
pub struct Epoch(Arc<Mutex<Option<Arc<str>>>>);

impl Epoch {
    /// The present value; `None` before the first connection.
    pub fn get(&self) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, value: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.into());
    }
}

/// The two halves of one inbox; neither connects before it is used.
pub fn open(config: RedisConfig, clock: Arc<dyn Clock>) -> (RedisInbox, RedisSettler) {
    let held = Held::default();
    let holding = Holding::default();
    let settler = RedisSettler::new(config.clone(), held.clone(), holding.clone(), Arc::clone(&clock));
    let inbox = RedisInbox {
        outcomes: config.key("outcomes"),
        epoch_key: config.key("epoch"),
        holder_key: config.group_key("strategies"),
        config,
        clock,
        held,
        holding,
        epoch: Epoch::default(),
        ready: VecDeque::new(),
        session: None,
        connected_before: false,
    };
    (inbox, settler)
}

impl RedisConfig {
    /// The name of a key beside the stream, in the same cluster slot.
    pub(super) fn key(&self, kind: &str) -> String {
        format!("{{{}}}:{kind}", self.stream)
    }

    /// The name of a key of the group's own: that of the usual group is not in it.
    pub(super) fn group_key(&self, kind: &str) -> String {
        match &*self.group {
            "bot" => self.key(kind),
            group => self.key(&format!("{group}:{kind}")),
        }
    }
}

/// At most this often a read asks for entries that were trimmed unread.
const LOSS_CHECK_EVERY: Duration = Duration::from_millis(50);
/// Pending entries are listed in pages of this many.
const PAGE_LEN: usize = 100;
/// How often the process that holds the strategies looks for signals of theirs that others handed over to it; it waits
/// so long for new ones at most.
const OWN_WALK_EVERY: Duration = Duration::from_millis(500);
/// A pending entry whose body was trimmed cannot be renewed: its owner is given this many leases to settle it.
const LEASES_WITHOUT_BODY: i64 = 10;

/// The reading half: see [`open`].
pub struct RedisInbox {
    config: RedisConfig,
    outcomes: String,
    epoch_key: String,
    holder_key: String,
    clock: Arc<dyn Clock>,
    held: Held,
    holding: Holding,
    epoch: Epoch,
    /// Found, held, and not returned yet because there was no room.
    ready: VecDeque<Delivery>,
    session: Option<Session>,
    connected_before: bool,
}

impl Inbox for RedisInbox {
    /// Without room it returns at once.
    fn read(&mut self, room: usize, until: Timestamp) -> Result<Vec<Delivery>, InboxError> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let found = self.try_read(room, until);
        self.keep_or_drop_session(found)
    }

    fn epoch(&self) -> String {
        self.epoch.get().map_or_else(String::new, |epoch| epoch.to_string())
    }

    fn is_drained(&mut self) -> Result<bool, InboxError> {
        let drained = self.try_is_drained();
        self.keep_or_drop_session(drained)
    }
}

impl RedisInbox {
    /// Connects and makes the group, unless that is done already; reading does it by itself.
    ///
    /// # Errors
    /// As for reading.
    pub fn connect(&mut self) -> Result<(), InboxError> {
        let connected = self.session().map(drop);
        self.keep_or_drop_session(connected)
    }

    /// A handle on the stream's epoch that stays true while this inbox reads.
    pub fn epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    fn keep_or_drop_session<T>(&mut self, result: Result<T, RedisFault>) -> Result<T, InboxError> {
        result.map_err(|fault| {
            self.session = None;
            InboxError::from(fault)
        })
    }

    fn try_read(&mut self, room: usize, until: Timestamp) -> Result<Vec<Delivery>, RedisFault> {
        self.session()?;
        if self.ready.is_empty() {
            self.walk_own_again()?;
            self.take_own(room)?;
        }
        if self.ready.is_empty() {
            self.keep_house(room)?;
        }
        if self.ready.is_empty() {
            // Housekeeping must come round even when nothing arrives for long.
            let mut wait = until.since(self.clock.now()).min(self.house_interval());
            if self.holding.get() == Standing::Holds {
                wait = wait.min(OWN_WALK_EVERY);
            }
            self.read_new(room, wait)?;
        }
        Ok(self.ready.drain(..self.ready.len().min(room)).collect())
    }

    fn session(&mut self) -> Result<&mut Session, RedisFault> {
        if self.session.is_none() {
            let session = Session::start(&self.config, &*self.clock, self.connected_before)?;
            self.epoch.set(&session.epoch);
            self.connected_before = true;
            self.session = Some(session);
            // From here on it is known where the group stood.
            let check = self.lost_check(self.clock.now());
            let found = self.session()?.link.call(&check, Duration::ZERO)?;
            self.take_note_of_lost(found)?;
        }
        self.session.as_mut().ok_or_else(|| RedisFault::Unavailable("not connected".to_owned()))
    }

    /// While this process holds the strategies, others hand their signals over to it.
    fn walk_own_again(&mut self) -> Result<(), RedisFault> {
        let (now, holds) = (self.clock.now(), self.holding.get() == Standing::Holds);
        let session = self.session()?;
        let walked_at = session.own_walked_at;
        let is_due = now < walked_at || now.since(walked_at) >= OWN_WALK_EVERY;
        if holds && is_due && session.own_from.is_none() {
            session.own_from = Some("-".to_owned());
            session.own_walked_at = now;
        }
        Ok(())
    }

    /// Own pending entries that this process does not hold: those of an earlier life, or read by a call that failed.
    fn take_own(&mut self, room: usize) -> Result<(), RedisFault> {
        let consumer = self.config.consumer.clone();
        while let Some(from) = self.session()?.own_from.clone() {
            let page = self.list_pending(0, &from, Some(&consumer))?;
            let Some(last) = page.last().map(|pending| pending.id.clone()) else {
                self.session()?.own_from = None;
                break;
            };
            // What was taken is held now: listing a page again goes on with the rest of it.
            if self.take_page(page, room, 0)? {
                self.session()?.own_from = Some(format!("({last}"));
            }
            if !self.ready.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Every third of a lease: the server's clock again, and what others left behind.
    fn keep_house(&mut self, room: usize) -> Result<(), RedisFault> {
        let (now, interval) = (self.clock.now(), self.house_interval());
        let clock = Arc::clone(&self.clock);
        let session = self.session()?;
        // A clock that was set back must not postpone it.
        if now >= session.kept_house_at && now.since(session.kept_house_at) < interval {
            return Ok(());
        }
        session.compare_clocks(&*clock)?;
        let mut from = "-".to_owned();
        loop {
            let page = self.list_pending(millis(self.config.lease), &from, None)?;
            let Some(last) = page.last().map(|pending| pending.id.clone()) else { break };
            self.take_page(page, room, millis(self.config.lease))?;
            if !self.ready.is_empty() {
                return Ok(()); // Still due: the next read goes on.
            }
            from = format!("({last}");
        }
        self.session()?.kept_house_at = now;
        Ok(())
    }

    fn house_interval(&self) -> Duration {
        (self.config.lease / 3).max(Duration::from_millis(1))
    }

    fn list_pending(
        &mut self,
        idle_ms: i64,
        from: &str,
        consumer: Option<&str>,
    ) -> Result<Vec<Pending>, RedisFault> {
        let mut list = redis::cmd("XPENDING");
        list.arg(&self.config.stream).arg(&self.config.group);
        list.arg("IDLE").arg(idle_ms).arg(from).arg("+").arg(PAGE_LEN).arg(consumer);
        let answer = self.session()?.link.call(&list, Duration::ZERO)?;
        expect(reply::pending(answer), "XPENDING")
    }

    /// Takes at most `room` of what is on a page and not held; false when some of it is left.
    fn take_page(&mut self, page: Vec<Pending>, room: usize, idle_ms: i64) -> Result<bool, RedisFault> {
        let is_held = |pending: &Pending| self.held.get(&EntryId::new(&pending.id)).is_some();
        let wanted: Vec<_> = page.into_iter().filter(|pending| !is_held(pending)).collect();
        let mut chunks = wanted.chunks(room).peekable();
        while let Some(chunk) = chunks.next() {
            self.take(chunk, idle_ms)?;
            if !self.ready.is_empty() {
                return Ok(chunks.peek().is_none());
            }
        }
        Ok(true)
    }

    fn take(&mut self, wanted: &[Pending], idle_ms: i64) -> Result<(), RedisFault> {
        let script = self.session()?.take_script.clone();
        let mut take = redis::cmd("EVALSHA");
        take.arg(script).arg(1).arg(&self.config.stream).arg(&self.config.group).arg(&self.config.consumer);
        take.arg(idle_ms);
        for pending in wanted {
            take.arg(&pending.id);
        }
        let answer = self.session()?.link.call(&take, Duration::ZERO)?;
        for (entry, deliveries) in expect(reply::taken(answer), "take.lua")? {
            let before = wanted.iter().find(|pending| pending.id == entry.0);
            if entry.1.is_none() && before.is_some_and(|pending| self.may_be_at_work(pending)) {
                continue;
            }
            // What was delivered before counts 2 at least; what was handed over to us fresh is new.
            self.deliver(entry, deliveries)?;
        }
        Ok(())
    }

    fn may_be_at_work(&self, pending: &Pending) -> bool {
        pending.consumer != self.config.consumer
            && pending.idle_ms < millis(self.config.lease).saturating_mul(LEASES_WITHOUT_BODY)
    }

    fn read_new(&mut self, room: usize, wait: Duration) -> Result<(), RedisFault> {
        let now = self.clock.now();
        let checked_at = self.session()?.checked_at;
        let check_is_due = now < checked_at || now.since(checked_at) >= LOSS_CHECK_EVERY;
        let mut commands = redis::pipe();
        if check_is_due {
            commands.add_command(self.lost_check(now));
        }
        // After the entries comes the epoch they belong to: Redis may be emptied between two reads.
        commands.add_command(self.read_command(room, wait)).cmd("GET").arg(&self.epoch_key);
        let session = self.session()?;
        let mut answers = session.link.call_all(&commands, wait)?.into_iter();
        if check_is_due {
            session.checked_at = now;
            self.take_note_of_lost(answers.next().unwrap_or(Value::Nil))?;
        }
        let entries = accepted(answers.next().unwrap_or(Value::Nil))?;
        let epoch = accepted(answers.next().unwrap_or(Value::Nil))?;
        if reply::text(epoch).as_deref() != self.session.as_ref().map(|session| session.epoch.as_str()) {
            // What was just read stays pending and is read again under the new epoch.
            return Err(RedisFault::Unavailable("the stream was replaced by a new one".to_owned()));
        }
        for entry in expect(reply::stream_entries(entries), "XREADGROUP")? {
            self.deliver(entry, 1)?;
        }
        Ok(())
    }

    fn read_command(&self, room: usize, wait: Duration) -> Cmd {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.config.group).arg(&self.config.consumer).arg("COUNT").arg(room);
        if !wait.is_zero() {
            // BLOCK 0 is for ever.
            read.arg("BLOCK").arg(millis(wait).max(1));
        }
        read.arg("STREAMS").arg(&self.config.stream).arg(">");
        read
    }

    fn lost_check(&self, now: Timestamp) -> Cmd {
        let session = self.session.as_ref();
        let (script, run) = session.map_or(("", ""), |session| (&session.lost_script, &session.server_run));
        let mut check = redis::cmd("EVALSHA");
        check.arg(script).arg(3).arg(&self.config.stream).arg(&self.outcomes).arg(self.config.key("read"));
        check.arg(&self.config.group).arg(&self.config.instance).arg(now.micros()).arg(run);
        check
    }

    fn take_note_of_lost(&mut self, answer: Value) -> Result<(), RedisFault> {
        let found = expect(reply::texts(accepted(answer)?), "lost.lua")?;
        if let [id, reason] = &found[..] {
            let id = EntryId::new(id);
            self.held.add(&id, Hold::Recorded);
            self.ready.push_back(Delivery::Lost { id, reason: reason.clone() });
        }
        Ok(())
    }

    fn deliver(&mut self, (id, fields): RawEntry, deliveries: u64) -> Result<(), RedisFault> {
        let id = EntryId::new(&id);
        if self.held.get(&id).is_some() {
            debug!(signal.id = %id, "an entry that is being worked on came again and was left out");
            return Ok(());
        }
        let is_own = fields.as_ref().is_some_and(|fields| fields.iter().any(is_own_field));
        if is_own && self.holding.get() != Standing::Holds && self.hand_over(&id, deliveries)? {
            debug!(signal.id = %id, "a strategy's signal was handed over to the process that runs the strategies");
            return Ok(());
        }
        self.held.add(&id, Hold::Pending);
        self.ready.push_back(match fields {
            Some(fields) => {
                let sent_at = self.sent_at(&id);
                Delivery::Entry(Entry { id, fields, sent_at, deliveries })
            }
            None => Delivery::Lost {
                id,
                reason: "trimmed: the entry was deleted while it was pending".to_owned(),
            },
        });
        Ok(())
    }

    /// Gives an entry to the process that holds the strategies; false when there is none.
    fn hand_over(&mut self, id: &EntryId, deliveries: u64) -> Result<bool, RedisFault> {
        let mut hand_over = redis::cmd("EVALSHA");
        hand_over
            .arg(&self.session()?.hand_over_script)
            .arg(2)
            .arg(&self.config.stream)
            .arg(&self.holder_key);
        hand_over.arg(&self.config.group).arg(&self.config.consumer).arg(id.as_str()).arg(deliveries);
        let answer = self.session()?.link.call(&hand_over, Duration::ZERO)?;
        Ok(expect(reply::int(&answer), "hand_over.lua")? > 0)
    }

    /// The time in the id on this machine's clock; an id too large for a time lies in the far future.
    fn sent_at(&self, id: &EntryId) -> Timestamp {
        let offset = self.session.as_ref().map_or(0, |session| session.offset_nanos);
        id.sent_at().map_or(Timestamp::MAX, |time| Timestamp::from_nanos(time.nanos().saturating_add(offset)))
    }

    fn try_is_drained(&mut self) -> Result<bool, RedisFault> {
        let now = self.clock.now();
        self.session()?;
        let mut commands = redis::pipe();
        commands.add_command(self.lost_check(now));
        commands.cmd("XINFO").arg("GROUPS").arg(&self.config.stream);
        commands.cmd("XREVRANGE").arg(&self.config.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let mut answers = self.session()?.link.call_all(&commands, Duration::ZERO)?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let (trimmed, groups, newest) = (next(), accepted(next())?, accepted(next())?);
        self.take_note_of_lost(trimmed)?;
        let groups = expect(reply::array(groups), "XINFO GROUPS")?;
        let newest = expect(reply::entries(newest), "XREVRANGE")?.pop().map(|(id, _)| id);
        let group = groups.into_iter().filter_map(reply::array).find(|group| {
            reply::named(group, "name") == Some(&Value::BulkString(self.config.group.clone().into_bytes()))
        });
        let Some(group) = group else {
            return Err(RedisFault::Unavailable("NOGROUP the consumer group is gone".to_owned()));
        };
        let pending = reply::named(&group, "pending").and_then(reply::int);
        let delivered = reply::named(&group, "last-delivered-id").cloned().and_then(reply::text);
        let delivered = expect(delivered, "XINFO GROUPS")?;
        let all_read = newest.is_none_or(|newest| id_parts(&newest) <= id_parts(&delivered));
        Ok(all_read && pending == Some(0) && self.ready.is_empty() && self.held.is_empty())
    }
}

/// The mark of a signal that a strategy of a run sent, read as [`crate::signal::Signal::parse`] reads it.
fn is_own_field((name, value): &(Vec<u8>, Vec<u8>)) -> bool {
    name.trim_ascii().eq_ignore_ascii_case(OWN.as_bytes()) && !value.trim_ascii().is_empty()
}

fn id_parts(id: &str) -> Option<(u64, u64)> {
    let (millis, sequence) = id.split_once('-')?;
    Some((millis.parse().ok()?, sequence.parse().ok()?))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
