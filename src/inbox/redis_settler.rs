//! The settling half on Redis: what is asked becomes scripts and transactions; an outcome, what belongs to it and its
//! acknowledgement are one step.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

use super::books::{Holder, StrategyHolder};
use super::held::HeldEntries;
use super::link::{Link, RedisFault, accepted};
use super::redis_session::random_hex;
use super::redis_stream::RedisConfig;
use super::reply::{self, expect};
use super::settling::{HoldStep, RecordKind, SettleAnswer, SettleCommand, SettledEntry, StreamSettler};
use super::{CallStep, InboxError, Keeper, KeptBooks, Settlement, Settler};
use crate::clock::{Clock, Timestamp};
use crate::signal::EntryId;
use crate::units::Quantity;

const SETTLE_SCRIPT: &str = include_str!("scripts/settle.lua");
const RENEW_SCRIPT: &str = include_str!("scripts/renew.lua");
const HOLD_SCRIPT: &str = include_str!("scripts/hold.lua");

/// How long a process may be silent before another one may take the strategies.
const HOLD: Duration = Duration::from_secs(30);
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
    clock: Arc<dyn Clock>,
    settling: StreamSettler,
    session: Option<SettlerSession>,
}

struct SettlerSession {
    link: Link,
    settle_script: String,
    renew_script: String,
    hold_script: String,
}

impl Settler for RedisSettler {
    fn settle(&mut self, batch: &[Settlement]) -> Result<(), InboxError> {
        self.carry_out(|settling, now| settling.settle(batch, now))
    }

    fn renew(&mut self) -> Result<(), InboxError> {
        self.carry_out(StreamSettler::renew)
    }

    fn take_books(&mut self, strategies: &[String]) -> Result<Keeper, InboxError> {
        let token = random_hex()?;
        self.carry_out(|settling, now| settling.take(strategies, &token, now))
    }

    fn write_books(&mut self, kept: &KeptBooks) -> Result<(), InboxError> {
        self.carry_out(|settling, _| settling.write_books(kept))
    }

    fn has_lost_books(&self) -> bool {
        self.settling.has_lost_books()
    }
}

impl Drop for RedisSettler {
    /// Leaves the strategies to who wants them; without a connection the hold runs out by itself.
    fn drop(&mut self) {
        if let (Some(session), Some(leave)) = (&mut self.session, self.settling.leave())
            && let Err(fault) = session.answer(leave, &self.config)
        {
            tracing::debug!(%fault, "the strategies could not be left to others; the hold runs out");
        }
    }
}

impl RedisSettler {
    pub(super) fn new(
        config: RedisConfig,
        held: HeldEntries,
        holding: StrategyHolder,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let settling = StreamSettler::new(config.instance.clone(), config.consumer.clone(), held, holding);
        Self { config, clock, settling, session: None }
    }

    /// Asks Redis what the steps of one call ask for, until it is done.
    fn carry_out<'a, T>(
        &mut self,
        next: impl Fn(&mut StreamSettler, Timestamp) -> CallStep<SettleCommand<'a>, T>,
    ) -> Result<T, InboxError> {
        loop {
            let command = match next(&mut self.settling, self.clock.now()) {
                CallStep::Done(value) => return Ok(value),
                CallStep::Command(command) => command,
            };
            let answer = self.answer(command).map_err(InboxError::from);
            if let Err(error) = answer.and_then(|answer| self.settling.on(answer)) {
                self.session = None;
                self.settling.disconnected();
                return Err(error);
            }
        }
    }

    fn answer(&mut self, command: SettleCommand<'_>) -> Result<SettleAnswer, RedisFault> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(SettlerSession::start(&self.config)?),
        };
        session.answer(command, &self.config)
    }
}

impl SettlerSession {
    fn start(config: &RedisConfig) -> Result<Self, RedisFault> {
        let mut link = Link::open(&config.url)?;
        let mut load = |script| {
            let answer = link.call(redis::cmd("SCRIPT").arg("LOAD").arg(script), Duration::ZERO)?;
            expect(reply::text(answer), "SCRIPT LOAD")
        };
        let (settle_script, renew_script) = (load(SETTLE_SCRIPT)?, load(RENEW_SCRIPT)?);
        let hold_script = load(HOLD_SCRIPT)?;
        Ok(Self { link, settle_script, renew_script, hold_script })
    }

    fn call(&mut self, command: &Cmd) -> Result<Value, RedisFault> {
        self.link.call(command, Duration::ZERO)
    }

    fn answer(
        &mut self,
        command: SettleCommand<'_>,
        config: &RedisConfig,
    ) -> Result<SettleAnswer, RedisFault> {
        let [holder_key, books_key, booked_key] = strategy_keys(config);
        match command {
            SettleCommand::Settle { ends, which, holder, at } => {
                self.settle(&ends, which, holder.as_deref(), at, config)
            }
            SettleCommand::LookBack { signals, since_ms } => self.look_back(&signals, since_ms, config),
            SettleCommand::Hold { step, own, kept } => {
                let hold = hold_command(&self.hold_script, config, &step, &own, &kept);
                let in_the_way = Some(self.call(&hold)?).filter(|answer| *answer != Value::Nil);
                let text = in_the_way.map(|other| expect(reply::text(other), "hold.lua"));
                text.transpose().map(SettleAnswer::Held)
            }
            SettleCommand::Renew(ids) => self.renew(&ids, config),
            SettleCommand::FindHolder => {
                let found = reply::text(self.call(redis::cmd("GET").arg(&holder_key))?);
                let found = found.filter(|found| !found.is_empty());
                found.map(|found| read_holder(found, &holder_key)).transpose().map(SettleAnswer::Holder)
            }
            SettleCommand::ReadBooks => {
                let books = self.call(redis::cmd("HGETALL").arg(&books_key))?;
                let booked = self.call(redis::cmd("HGETALL").arg(&booked_key))?;
                read_books(books, booked).map(SettleAnswer::Books)
            }
            SettleCommand::Forget(ids) => {
                self.call(redis::cmd("HDEL").arg(&booked_key).arg(ids)).map(|_| SettleAnswer::Done)
            }
        }
    }

    fn settle(
        &mut self,
        ends: &[SettledEntry<'_>],
        which: RecordKind,
        holder: Option<&str>,
        at: Timestamp,
        config: &RedisConfig,
    ) -> Result<SettleAnswer, RedisFault> {
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI");
        for chunk in ends.chunks(SETTLED_PER_CALL) {
            let mut settle = redis::cmd("EVALSHA");
            settle.arg(&self.settle_script).arg(if holder.is_some() { 6 } else { 3 });
            settle.arg(&config.stream).arg(config.key("outcomes")).arg(config.key("dead"));
            if holder.is_some() {
                settle.arg(&strategy_keys(config));
            }
            settle
                .arg(&config.group)
                .arg(holder.unwrap_or_default())
                .arg(u8::from(which == RecordKind::Emptied));
            for end in chunk {
                add_end(&mut settle, end, &config.instance, at);
            }
            transaction.add_command(settle);
        }
        transaction.cmd("EXEC");
        let executed = self.link.call_all(&transaction, Duration::ZERO)?.pop().map(accepted).transpose()?;
        let mut absent = HashSet::new();
        for answer in expect(executed.and_then(reply::array), "EXEC")? {
            let ids = accepted(answer)?;
            if ids == Value::Nil {
                return Ok(SettleAnswer::Settled(None));
            }
            absent.extend(expect(reply::texts(ids), "settle.lua")?);
        }
        Ok(SettleAnswer::Settled(Some(absent)))
    }

    /// Newest first, page by page.
    fn look_back(
        &mut self,
        signals: &HashSet<String>,
        since_ms: i64,
        config: &RedisConfig,
    ) -> Result<SettleAnswer, RedisFault> {
        let mut found = HashSet::new();
        for key in [config.key("outcomes"), config.key("dead")] {
            let mut to = "+".to_owned();
            for _ in 0..LOOK_BACK_PAGES_MAX {
                let mut page = redis::cmd("XREVRANGE");
                page.arg(&key).arg(&to).arg(since_ms).arg("COUNT").arg(LOOK_BACK_PAGE_LEN);
                let entries = expect(reply::entries(self.call(&page)?), "XREVRANGE")?;
                let Some((last, _)) = entries.last() else { break };
                to = format!("({last}");
                for (_, fields) in entries {
                    let first = fields.and_then(|fields| fields.into_iter().next());
                    let signal = first.filter(|(name, _)| name == b"signal").map(|(_, value)| value);
                    let signal = signal.and_then(|value| String::from_utf8(value).ok());
                    found.extend(signal.filter(|signal| signals.contains(signal)));
                }
                if found.len() == signals.len() {
                    return Ok(SettleAnswer::Recorded(found));
                }
            }
        }
        Ok(SettleAnswer::Recorded(found))
    }

    fn renew(&mut self, ids: &[EntryId], config: &RedisConfig) -> Result<SettleAnswer, RedisFault> {
        let mut calls = redis::pipe();
        let mut ids: Vec<&EntryId> = ids.iter().collect();
        ids.sort_unstable_by_key(|id| id.place());
        for chunk in ids.chunks(RENEWED_PER_CALL) {
            let mut renew = redis::cmd("EVALSHA");
            renew.arg(&self.renew_script).arg(1).arg(&config.stream).arg(&config.group).arg(&config.consumer);
            renew.arg(chunk.iter().map(|id| id.as_str()).collect::<Vec<_>>());
            calls.add_command(renew);
        }
        for answer in self.link.call_all(&calls, Duration::ZERO)? {
            match accepted(answer) {
                // The group is gone with its stream; whoever reads makes it again.
                Err(RedisFault::Unavailable(text)) if text.starts_with("NOGROUP") => {}
                answer => drop(answer?),
            }
        }
        Ok(SettleAnswer::Done)
    }
}

/// Who holds the strategies, their books, and the orders in them.
fn strategy_keys(config: &RedisConfig) -> [String; 3] {
    ["strategies", "books", "booked"].map(|kind| config.group_key(kind))
}

/// The arguments of `settle.lua` for one end.
fn add_end(settle: &mut Cmd, end: &SettledEntry<'_>, instance: &str, at: Timestamp) {
    settle.arg(end.settlement.entry().as_str());
    match end.settlement {
        Settlement::Outcome(outcome) | Settlement::Followed { outcome, .. } => {
            add_list(settle.arg(2), &outcome.fields(instance));
        }
        Settlement::Dead { entry, reason } => {
            let left_out = entry.fields.len().saturating_sub(DEAD_FIELDS_MAX);
            let more = if left_out == 0 { String::new() } else { format!(" ({left_out} fields left out)") };
            let kept = &entry.fields[..entry.fields.len() - left_out];
            settle.arg(3).arg((kept.len() + 2) * 2);
            settle.arg("signal").arg(entry.id.as_str()).arg("reason").arg(format!("{reason}{more}"));
            for (name, value) in kept {
                settle.arg(name).arg(value);
            }
        }
    }
    add_list(settle, end.beside.next);
    add_list(settle, end.beside.books);
    let booked = end.beside.booked.map(|(id, filled)| (id.as_str(), booked_text(*filled, at)));
    add_list(settle, booked.as_slice());
}

/// Names and values with their number before them, as the script reads them.
fn add_list<N: redis::ToRedisArgs, V: redis::ToRedisArgs>(command: &mut Cmd, pairs: &[(N, V)]) {
    command.arg(pairs.len() * 2);
    for (name, value) in pairs {
        command.arg(name).arg(value);
    }
}

fn hold_command(script: &str, config: &RedisConfig, step: &HoldStep, own: &str, kept: &KeptBooks) -> Cmd {
    let (what, former) = match step {
        HoldStep::Take(former) => ("take", &**former),
        HoldStep::Keep | HoldStep::KeepWithBooks => ("keep", ""),
        HoldStep::Again => ("again", ""),
        HoldStep::Leave => ("leave", ""),
    };
    let mut hold = redis::cmd("EVALSHA");
    hold.arg(script)
        .arg(3)
        .arg(&strategy_keys(config))
        .arg(what)
        .arg(own)
        .arg(former)
        .arg(HOLD.as_secs() * 1_000);
    add_list(&mut hold, &kept.books);
    for (id, filled, at) in &kept.booked {
        hold.arg(id).arg(booked_text(*filled, *at));
    }
    hold
}

fn read_holder(found: String, key: &str) -> Result<(String, String), RedisFault> {
    let holder: Holder = serde_json::from_str(&found).map_err(|error| {
        let was = format!("was \"{found:.80}\" ({error})");
        RedisFault::Misused(format!("{key} must be who runs the strategies, {was}"))
    })?;
    Ok((found, holder.instance))
}

fn read_books(books: Value, booked: Value) -> Result<KeptBooks, RedisFault> {
    let books = expect(reply::texts(books), "HGETALL")?;
    let booked = expect(reply::texts(booked), "HGETALL")?;
    let mut kept = KeptBooks::default();
    // The field without a name says who took the strategies last.
    for pair in books.chunks_exact(2).filter(|pair| !pair[0].is_empty()) {
        kept.books.push((pair[0].clone(), pair[1].clone()));
    }
    for pair in booked.chunks_exact(2) {
        match read_booked(&pair[1]) {
            Some((filled, at)) => kept.booked.push((pair[0].clone(), filled, at)),
            None => {
                tracing::error!(client_order_id = %pair[0], "a booked order cannot be read and is left out");
            }
        }
    }
    Ok(kept)
}

fn booked_text(filled: Quantity, at: Timestamp) -> String {
    format!("{filled} {}", at.millis())
}

fn read_booked(text: &str) -> Option<(Quantity, Timestamp)> {
    let (filled, millis) = text.split_once(' ')?;
    Some((filled.parse().ok()?, Timestamp::from_millis(millis.parse().ok()?)))
}
