//! The settling half on Redis: each outcome, what belongs to it and its acknowledgement in one step, exactly once through
//! lost answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

use super::held::{Held, Hold};
use super::link::{Link, RedisFault, accepted};
use super::redis_books::{Beside, HoldStep, Holding, RedisBooks, Standing};
use super::redis_session::random_hex;
use super::redis_stream::RedisConfig;
use super::reply::{self, expect};
use super::{After, InboxError, Keeper, KeptBooks, Settlement, Settler};
use crate::clock::{Clock, Timestamp};
use crate::signal::EntryId;

const SETTLE_SCRIPT: &str = include_str!("scripts/settle.lua");
const RENEW_SCRIPT: &str = include_str!("scripts/renew.lua");
const HOLD_SCRIPT: &str = include_str!("scripts/hold.lua");

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
    books: RedisBooks,
    session: Option<Session>,
}

struct Session {
    link: Link,
    settle_script: String,
    renew_script: String,
    hold_script: String,
}

/// One line for the outcomes or the dead-letter stream, with what belongs to it.
struct Record<'a> {
    signal: &'a EntryId,
    is_dead: bool,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    after: Option<&'a After>,
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// What is pending, with what belongs to it.
    Pending,
    /// What was pending on a stream that is gone; the books were written back before.
    Emptied,
}

impl Settler for RedisSettler {
    fn settle(&mut self, batch: &[Settlement]) -> Result<(), InboxError> {
        let records: Vec<Record<'_>> = batch
            .iter()
            .filter(|settlement| self.held.get(settlement.entry()) != Some(Hold::Recorded))
            .map(|settlement| self.record(settlement))
            .collect();
        let settled = self.try_settle(&records);
        self.keep_or_drop_session(settled)?;
        for settlement in batch {
            self.held.remove(settlement.entry());
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), InboxError> {
        let renewed = self.try_renew();
        self.keep_or_drop_session(renewed)
    }

    fn take_books(&mut self, strategies: &[String]) -> Result<Keeper, InboxError> {
        let taken = self.try_take(strategies);
        self.keep_or_drop_session(taken)
    }

    fn write_books(&mut self, kept: &KeptBooks) -> Result<(), InboxError> {
        let written = self.keep_holding(HoldStep::Keep).and_then(|()| {
            self.books.note_kept(kept);
            self.keep_holding(HoldStep::KeepWithBooks)
        });
        self.keep_or_drop_session(written)
    }

    fn has_lost_books(&self) -> bool {
        self.books.standing() == Standing::Lost
    }
}

impl Drop for RedisSettler {
    /// Leaves the strategies to who wants them; without a connection the hold runs out by itself.
    fn drop(&mut self) {
        if self.books.standing() != Standing::Holds {
            return;
        }
        if let Some(session) = &mut self.session {
            let leave = self.books.hold(&session.hold_script, HoldStep::Leave);
            if let Err(fault) = session.link.call(&leave, Duration::ZERO) {
                tracing::debug!(%fault, "the strategies could not be left to others; the hold runs out");
            }
        }
    }
}

impl RedisSettler {
    pub(super) fn new(config: RedisConfig, held: Held, holding: Holding, clock: Arc<dyn Clock>) -> Self {
        let (outcomes, dead) = (config.key("outcomes"), config.key("dead"));
        let books = RedisBooks::new(&config, holding);
        Self { config, outcomes, dead, clock, held, books, session: None }
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
            let hold_script = load(HOLD_SCRIPT)?;
            self.session = Some(Session { link, settle_script, renew_script, hold_script });
        }
        self.session.as_mut().ok_or_else(|| RedisFault::Unavailable("not connected".to_owned()))
    }

    fn call(&mut self, command: &Cmd) -> Result<Value, RedisFault> {
        self.session()?.link.call(command, Duration::ZERO)
    }

    fn record<'a>(&self, settlement: &'a Settlement) -> Record<'a> {
        let bytes = |(name, value): (&str, String)| (name.as_bytes().to_vec(), value.into_bytes());
        let (is_dead, fields) = match settlement {
            Settlement::Outcome(outcome) | Settlement::Followed { outcome, .. } => {
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
        Record { signal: settlement.entry(), is_dead, fields, after: settlement.after() }
    }

    /// Settles what is pending; what is not was settled before (the answer was lost, or a peer took over), or its
    /// stream was emptied: only then it is recorded without an acknowledgement, and all books are written back.
    fn try_settle(&mut self, records: &[Record<'_>]) -> Result<(), RedisFault> {
        if records.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut absent = self.settle_all(records, Which::Pending, now)?;
        if absent.is_none() {
            // The hold ran out, or Redis was emptied; or another process has the strategies now.
            self.keep_holding(HoldStep::Keep)?;
            absent = self.settle_all(records, Which::Pending, now)?;
        }
        let Some(absent) = absent else { return Err(changed_hands()) };
        if self.books.standing() == Standing::Holds {
            records.iter().filter_map(|record| record.after).for_each(|after| self.books.note(after, now));
        }
        if absent.is_empty() {
            return Ok(());
        }
        let recorded = self.recorded_before(&absent)?;
        let is_missing = |record: &&Record<'_>| {
            absent.contains(record.signal.as_str()) && !recorded.contains(record.signal.as_str())
        };
        let missing: Vec<&Record<'_>> = records.iter().filter(is_missing).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.keep_holding(HoldStep::KeepWithBooks)?;
        self.settle_all(missing, Which::Emptied, now)?.map(drop).ok_or_else(changed_hands)
    }

    /// The ids that were not pending; nothing when another process may hold the strategies and nothing was done.
    fn settle_all<'a, 'b: 'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a Record<'b>>,
        which: Which,
        now: Timestamp,
    ) -> Result<Option<HashSet<String>>, RedisFault> {
        let beside = |record: &'a Record<'b>| {
            let mut beside = record.after.map(|after| self.books.beside(after, now)).unwrap_or_default();
            if which == Which::Emptied {
                // A later change of the same book may be written already.
                beside = Beside { next: beside.next, ..Beside::default() };
            }
            (record, beside)
        };
        let records: Vec<_> = records.into_iter().map(beside).collect();
        let needs_hold = self.books.standing() == Standing::Holds
            && records.iter().any(|(record, _)| record.after.is_some());
        let script = self.session()?.settle_script.clone();
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI");
        for chunk in records.chunks(SETTLED_PER_CALL) {
            transaction.add_command(self.settle_command(&script, chunk, needs_hold, which));
        }
        transaction.cmd("EXEC");
        let executed =
            self.session()?.link.call_all(&transaction, Duration::ZERO)?.pop().map(accepted).transpose()?;
        let mut absent = HashSet::new();
        for answer in expect(executed.and_then(reply::array), "EXEC")? {
            let ids = accepted(answer)?;
            if ids == Value::Nil {
                return Ok(None);
            }
            absent.extend(expect(reply::texts(ids), "settle.lua")?);
        }
        Ok(Some(absent))
    }

    fn settle_command(
        &self,
        script: &str,
        records: &[(&Record<'_>, Beside<'_>)],
        needs_hold: bool,
        which: Which,
    ) -> Cmd {
        let mut settle = redis::cmd("EVALSHA");
        settle.arg(script).arg(if needs_hold { 6 } else { 3 });
        settle.arg(&self.config.stream).arg(&self.outcomes).arg(&self.dead);
        if needs_hold {
            settle.arg(&self.books.keys());
        }
        settle.arg(&self.config.group).arg(if needs_hold { self.books.own() } else { "" });
        settle.arg(u8::from(which == Which::Emptied));
        for (record, beside) in records {
            settle.arg(record.signal.as_str()).arg(if record.is_dead { 3 } else { 2 });
            add_list(&mut settle, &record.fields);
            add_list(&mut settle, beside.next);
            add_list(&mut settle, beside.books);
            add_list(&mut settle, beside.booked.as_slice());
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
        self.keep_holding(HoldStep::Keep)?;
        self.drop_old_booked()
    }

    fn try_take(&mut self, strategies: &[String]) -> Result<Keeper, RedisFault> {
        let found = self.call(&self.books.find_holder())?;
        let found = reply::text(found).unwrap_or_default();
        if let Some(instance) = self.books.other_instance(&found)? {
            return Ok(Keeper::Other(instance));
        }
        self.books.name(random_hex()?, strategies)?;
        if self.hold(HoldStep::Take(&found))?.is_some() {
            return Err(changed_hands());
        }
        let [books, booked] = self.books.read();
        let (books, booked) = (self.call(&books)?, self.call(&booked)?);
        self.books.begin(books, booked)?;
        self.drop_old_booked()?;
        Ok(Keeper::Us(self.books.kept()))
    }

    /// Goes on with the strategies, while they are this process's: where Redis lost the hold or the books they are written
    /// back, where another process took them they are lost.
    fn keep_holding(&mut self, step: HoldStep<'_>) -> Result<(), RedisFault> {
        if self.books.standing() != Standing::Holds {
            return Ok(());
        }
        let mut in_the_way = self.hold(step)?;
        if in_the_way.as_deref() == Some("") {
            in_the_way = self.hold(HoldStep::Again)?;
            if in_the_way.is_none() {
                tracing::warn!(
                    "the signal stream lost the strategies' books or their holder; they are written back"
                );
            }
        }
        if let Some(other) = in_the_way {
            self.books.lose(&other);
        }
        Ok(())
    }

    /// Who is in the way; empty for nobody, where there was nothing to go on with.
    fn hold(&mut self, step: HoldStep<'_>) -> Result<Option<String>, RedisFault> {
        let script = self.session()?.hold_script.clone();
        let hold = self.books.hold(&script, step);
        let answer = self.call(&hold)?;
        if answer == Value::Nil { Ok(None) } else { expect(reply::text(answer), "hold.lua").map(Some) }
    }

    fn drop_old_booked(&mut self) -> Result<(), RedisFault> {
        let now = self.clock.now();
        self.books.drop_old(now).map_or(Ok(()), |delete| self.call(&delete).map(drop))
    }
}

/// Names and values with their number before them, as the scripts read them.
fn add_list<N: redis::ToRedisArgs, V: redis::ToRedisArgs>(command: &mut Cmd, pairs: &[(N, V)]) {
    command.arg(pairs.len() * 2);
    for (name, value) in pairs {
        command.arg(name).arg(value);
    }
}

fn changed_hands() -> RedisFault {
    RedisFault::Unavailable("the strategies changed hands".to_owned())
}
