//! The settling half on Redis: each outcome and its acknowledgement in one step, exactly once through lost answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;

use super::held::{Held, Hold};
use super::link::{Link, RedisFault, accepted};
use super::redis_stream::RedisConfig;
use super::reply::{self, expect};
use super::{InboxError, Settlement, Settler};
use crate::clock::{Clock, Timestamp};
use crate::signal::EntryId;

const SETTLE_SCRIPT: &str = include_str!("scripts/settle.lua");
const RENEW_SCRIPT: &str = include_str!("scripts/renew.lua");

/// Settlements per script call: what the server does in one go must stay short.
const SETTLED_PER_CALL: usize = 32;
/// Entries renewed per script call.
const RENEWED_PER_CALL: usize = 100;
/// Fields kept of a dead entry: what a script can pass on is limited, what a producer can send is not.
const DEAD_FIELDS_MAX: usize = 1_000;
/// How many recorded ends are looked through for one that is in doubt.
const LOOK_BACK_PAGES_MAX: usize = 200;
const LOOK_BACK_PAGE_LEN: usize = 500;

/// The settling half: see [`super::redis_stream::open`].
pub struct RedisSettler {
    config: RedisConfig,
    outcomes: String,
    dead: String,
    clock: Arc<dyn Clock>,
    held: Held,
    session: Option<Session>,
}

struct Session {
    link: Link,
    settle_script: String,
    renew_script: String,
}

/// One line for the outcomes or the dead-letter stream.
struct Record {
    signal: EntryId,
    is_dead: bool,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Settler for RedisSettler {
    fn settle(&mut self, batch: &[Settlement]) -> Result<(), InboxError> {
        let records: Vec<Record> = batch
            .iter()
            .filter(|settlement| self.held.get(signal_of(settlement)) != Some(Hold::Recorded))
            .map(|settlement| self.record(settlement))
            .collect();
        let settled = self.try_settle(&records);
        self.keep_or_drop_session(settled)?;
        for settlement in batch {
            self.held.remove(signal_of(settlement));
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), InboxError> {
        let renewed = self.try_renew();
        self.keep_or_drop_session(renewed)
    }
}

impl RedisSettler {
    pub(super) fn new(config: RedisConfig, held: Held, clock: Arc<dyn Clock>) -> Self {
        let (outcomes, dead) = (config.key("outcomes"), config.key("dead"));
        Self { config, outcomes, dead, clock, held, session: None }
    }

    fn keep_or_drop_session<T>(&mut self, result: Result<T, RedisFault>) -> Result<T, InboxError> {
        result.map_err(|fault| {
            self.session = None;
            InboxError::from(fault)
        })
    }

    fn session(&mut self) -> Result<&mut Session, RedisFault> {
        if self.session.is_none() {
            let mut link = Link::open(&self.config.url)?;
            let mut load = |script| {
                let answer = link.call(redis::cmd("SCRIPT").arg("LOAD").arg(script), Duration::ZERO)?;
                expect(reply::text(answer), "SCRIPT LOAD")
            };
            let (settle_script, renew_script) = (load(SETTLE_SCRIPT)?, load(RENEW_SCRIPT)?);
            self.session = Some(Session { link, settle_script, renew_script });
        }
        self.session.as_mut().ok_or_else(|| RedisFault::Unavailable("not connected".to_owned()))
    }

    fn record(&self, settlement: &Settlement) -> Record {
        let bytes = |(name, value): (&str, String)| (name.as_bytes().to_vec(), value.into_bytes());
        let (is_dead, fields) = match settlement {
            Settlement::Outcome(outcome) => {
                (false, outcome.fields(&self.config.instance).into_iter().map(bytes).collect())
            }
            Settlement::Dead { entry, reason } => {
                let left_out = entry.fields.len().saturating_sub(DEAD_FIELDS_MAX);
                let reason = if left_out == 0 {
                    reason.clone()
                } else {
                    format!("{reason} ({left_out} fields left out)")
                };
                let own = [("signal", entry.id.to_string()), ("reason", reason)];
                let kept = entry.fields.iter().take(DEAD_FIELDS_MAX).cloned();
                (true, own.into_iter().map(bytes).chain(kept).collect())
            }
        };
        Record { signal: signal_of(settlement).clone(), is_dead, fields }
    }

    /// Settles what is pending; what is not was settled before (the answer was lost, or a peer took over), or its
    /// stream was emptied: only then it is recorded without an acknowledgement.
    fn try_settle(&mut self, records: &[Record]) -> Result<(), RedisFault> {
        if records.is_empty() {
            return Ok(());
        }
        let script = self.session()?.settle_script.clone();
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI");
        for chunk in records.chunks(SETTLED_PER_CALL) {
            transaction.add_command(self.settle_command(&script, chunk));
        }
        transaction.cmd("EXEC");
        let executed =
            self.session()?.link.call_all(&transaction, Duration::ZERO)?.pop().map(accepted).transpose()?;
        let mut absent = HashSet::new();
        for answer in expect(executed.and_then(reply::array), "EXEC")? {
            absent.extend(expect(reply::texts(accepted(answer)?), "settle.lua")?);
        }
        if absent.is_empty() {
            return Ok(());
        }
        let recorded = self.recorded_before(&absent)?;
        let missing = |record: &&Record| {
            absent.contains(record.signal.as_str()) && !recorded.contains(record.signal.as_str())
        };
        for record in records.iter().filter(missing) {
            let mut add = redis::cmd("XADD");
            add.arg(if record.is_dead { &self.dead } else { &self.outcomes }).arg("*");
            for (name, value) in &record.fields {
                add.arg(name).arg(value);
            }
            self.session()?.link.call(&add, Duration::ZERO)?;
        }
        Ok(())
    }

    fn settle_command(&self, script: &str, records: &[Record]) -> Cmd {
        let mut settle = redis::cmd("EVALSHA");
        settle.arg(script).arg(3).arg(&self.config.stream).arg(&self.outcomes).arg(&self.dead);
        settle.arg(&self.config.group);
        for record in records {
            settle.arg(record.signal.as_str()).arg(if record.is_dead { 3 } else { 2 });
            settle.arg(record.fields.len() * 2);
            for (name, value) in &record.fields {
                settle.arg(name).arg(value);
            }
        }
        settle
    }

    /// Which of these signals have their end on record already.
    fn recorded_before(&mut self, signals: &HashSet<String>) -> Result<HashSet<String>, RedisFault> {
        // An end is recorded after its signal was sent; an id from the future says nothing of when that was.
        let now = self.clock.now();
        let sent_at = |id: &String| EntryId::new(id).sent_at().filter(|sent_at| *sent_at < now);
        let earliest = signals.iter().map(|id| sent_at(id).map_or(0, Timestamp::millis)).min();
        let earliest = earliest.unwrap_or(0).saturating_sub(60_000).max(0);
        let mut found = HashSet::new();
        for key in [self.outcomes.clone(), self.dead.clone()] {
            let mut to = "+".to_owned();
            for _ in 0..LOOK_BACK_PAGES_MAX {
                let mut page = redis::cmd("XREVRANGE");
                page.arg(&key).arg(&to).arg(earliest).arg("COUNT").arg(LOOK_BACK_PAGE_LEN);
                let answer = self.session()?.link.call(&page, Duration::ZERO)?;
                let entries = expect(reply::entries(answer), "XREVRANGE")?;
                let Some((last, _)) = entries.last() else { break };
                to = format!("({last}");
                for (_, fields) in entries {
                    let first = fields.and_then(|fields| fields.into_iter().next());
                    let signal = first.filter(|(name, _)| name == b"signal").map(|(_, value)| value);
                    found.extend(
                        signal
                            .and_then(|value| String::from_utf8(value).ok())
                            .filter(|signal| signals.contains(signal)),
                    );
                }
                if found.len() == signals.len() {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn try_renew(&mut self) -> Result<(), RedisFault> {
        let ids = self.held.pending();
        let script = self.session()?.renew_script.clone();
        let mut calls = redis::pipe();
        for chunk in ids.chunks(RENEWED_PER_CALL) {
            let mut renew = redis::cmd("EVALSHA");
            renew
                .arg(&script)
                .arg(1)
                .arg(&self.config.stream)
                .arg(&self.config.group)
                .arg(&self.config.consumer);
            for id in chunk {
                renew.arg(id.as_str());
            }
            calls.add_command(renew);
        }
        for answer in self.session()?.link.call_all(&calls, Duration::ZERO)? {
            match accepted(answer) {
                // The group is gone with its stream; whoever reads makes it again.
                Err(RedisFault::Unavailable(text)) if text.starts_with("NOGROUP") => {}
                answer => drop(answer?),
            }
        }
        Ok(())
    }
}

fn signal_of(settlement: &Settlement) -> &EntryId {
    match settlement {
        Settlement::Outcome(outcome) => &outcome.signal,
        Settlement::Dead { entry, .. } => &entry.id,
    }
}
