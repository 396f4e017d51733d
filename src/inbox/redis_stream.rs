//! The inbox on a Redis stream: a consumer group read with a connection of its own, deaf to nothing for long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::books::StrategyHolder;
use super::held::HeldEntries;
pub use super::link::{RedisFault, RedisUrl};
use super::reading::{ReadAnswer, ReadCommand, StreamReader};
use super::redis_session::ReaderSession;
pub use super::redis_settler::RedisSettler;
use super::{CallStep, Delivery, Inbox, InboxError};
use crate::clock::{Clock, Timestamp};
use crate::signal::{EntryId, StreamPlace};

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
    let held = HeldEntries::default();
    let holding = StrategyHolder::default();
    let settler = RedisSettler::new(config.clone(), held.clone(), holding.clone(), Arc::clone(&clock));
    let reading = StreamReader::new(config.consumer.clone(), config.lease, held, holding);
    let inbox = RedisInbox { config, clock, epoch: Epoch::default(), reading, session: None };
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

/// The reading half: see [`open`].
pub struct RedisInbox {
    config: RedisConfig,
    clock: Arc<dyn Clock>,
    epoch: Epoch,
    reading: StreamReader,
    session: Option<ReaderSession>,
}

impl Inbox for RedisInbox {
    /// Without room it returns at once.
    fn read(&mut self, room: usize, until: Timestamp) -> Result<Vec<Delivery>, InboxError> {
        if room == 0 {
            return Ok(Vec::new());
        }
        self.carry_out(|reading, now| reading.read(room, until, now))
    }

    fn reread(&mut self, places: &[StreamPlace]) -> Result<Vec<Delivery>, InboxError> {
        self.carry_out(|reading, _| reading.reread(places))
    }

    fn epoch(&self) -> String {
        self.epoch.get().map_or_else(String::new, |epoch| epoch.to_string())
    }

    fn is_drained(&mut self) -> Result<bool, InboxError> {
        self.carry_out(|reading, _| reading.is_drained())
    }
}

impl RedisInbox {
    /// Connects and makes the group, unless that is done already; reading does it by itself.
    ///
    /// # Errors
    /// As for reading.
    pub fn connect(&mut self) -> Result<(), InboxError> {
        self.carry_out(|reading, _| reading.connect())
    }

    /// A handle on the stream's epoch that stays true while this inbox reads.
    pub fn epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    /// Asks Redis what the steps of one call ask for, until it is done.
    fn carry_out<T>(
        &mut self,
        next: impl Fn(&mut StreamReader, Timestamp) -> CallStep<ReadCommand, T>,
    ) -> Result<T, InboxError> {
        loop {
            let command = match next(&mut self.reading, self.clock.now()) {
                CallStep::Done(found) => return Ok(found),
                CallStep::Command(command) => command,
            };
            let answer = self.answer(command).map_err(InboxError::from);
            if let Err(error) = answer.and_then(|answer| self.reading.on(answer, self.clock.now())) {
                self.session = None;
                self.reading.disconnected();
                return Err(error);
            }
        }
    }

    fn answer(&mut self, command: ReadCommand) -> Result<ReadAnswer, RedisFault> {
        if let Some(session) = &mut self.session {
            return session.answer(command, &self.config, &*self.clock);
        }
        let reconnects = command == ReadCommand::Connect { reconnects: true };
        let (session, epoch, offset_nanos) = ReaderSession::start(&self.config, &*self.clock, reconnects)?;
        self.epoch.set(&epoch);
        self.session = Some(session);
        Ok(ReadAnswer::Connected { epoch, offset_nanos })
    }
}
