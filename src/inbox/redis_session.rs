//! One connection of the reading half: what is asked becomes commands and scripts, and Redis' replies become answers.

use std::time::Duration;

use rand::TryRng;
use redis::{Cmd, Value};

use super::InboxError;
use super::link::{Link, RedisFault, accepted};
use super::reading::{Loss, ReadAnswer, ReadCommand, Whose};
use super::redis_stream::{From, RedisConfig};
use super::reply::{self, expect};
use crate::clock::{Clock, Timestamp};

const LOST_SCRIPT: &str = include_str!("scripts/lost.lua");
const TAKE_SCRIPT: &str = include_str!("scripts/take.lua");
const HAND_OVER_SCRIPT: &str = include_str!("scripts/hand_over.lua");

/// Pending entries are listed in pages of this many.
const PAGE_LEN: usize = 100;

pub(super) struct ReaderSession {
    link: Link,
    lost_script: String,
    take_script: String,
    hand_over_script: String,
    /// Differs after a restart or a failover of the server.
    server_run: String,
}

impl ReaderSession {
    /// Connects, and makes epoch and group where they are not there; `reconnects` when there was a group before. Also returns the
    /// epoch, and what is added to the server's time to get this machine's.
    pub(super) fn start(
        config: &RedisConfig,
        clock: &dyn Clock,
        reconnects: bool,
    ) -> Result<(Self, String, i64), RedisFault> {
        let mut link = Link::open(&config.url)?;
        let offset_nanos = clock_offset(&mut link, clock)?;
        let mut commands = redis::pipe();
        commands.cmd("SCRIPT").arg("LOAD").arg(LOST_SCRIPT);
        commands.cmd("SCRIPT").arg("LOAD").arg(TAKE_SCRIPT);
        commands.cmd("SCRIPT").arg("LOAD").arg(HAND_OVER_SCRIPT);
        commands.cmd("SET").arg(config.key("epoch")).arg(random_hex()?).arg("NX");
        commands.cmd("GET").arg(config.key("epoch"));
        commands.cmd("INFO").arg("server");
        let mut answers = link.call_all(&commands, Duration::ZERO)?.into_iter().map(accepted);
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        let lost_script = expect(reply::text(next()?), "SCRIPT LOAD")?;
        let take_script = expect(reply::text(next()?), "SCRIPT LOAD")?;
        let hand_over_script = expect(reply::text(next()?), "SCRIPT LOAD")?;
        next()?;
        let epoch = expect(reply::text(next()?), "GET")?;
        // Not everyone may ask: then no two sessions are taken for the same run.
        let server_run = next().ok().and_then(reply::run_id).map_or_else(random_hex, Ok)?;
        check_outputs(&mut link, config)?;
        make_group(&mut link, config, reconnects)?;
        let session = Self { link, lost_script, take_script, hand_over_script, server_run };
        Ok((session, epoch, offset_nanos))
    }

    /// Asks Redis.
    pub(super) fn answer(
        &mut self,
        command: ReadCommand,
        config: &RedisConfig,
        clock: &dyn Clock,
    ) -> Result<ReadAnswer, RedisFault> {
        match command {
            ReadCommand::Connect { .. } => Err(RedisFault::Unavailable("already connected".to_owned())),
            ReadCommand::LossCheck => {
                let check = self.loss_check(config, clock);
                loss(self.link.call(&check, Duration::ZERO)).map(ReadAnswer::Checked)
            }
            ReadCommand::CompareClocks => clock_offset(&mut self.link, clock).map(ReadAnswer::Offset),
            ReadCommand::ListPending { whose, after } => {
                let (idle_ms, consumer) = match whose {
                    Whose::Own => (0, Some(&config.consumer)),
                    Whose::LeftBehind => (millis(config.lease), None),
                };
                let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
                let mut list = redis::cmd("XPENDING");
                list.arg(&config.stream).arg(&config.group);
                list.arg("IDLE").arg(idle_ms).arg(from).arg("+").arg(PAGE_LEN).arg(consumer);
                let answer = self.link.call(&list, Duration::ZERO)?;
                expect(reply::pending(answer), "XPENDING").map(ReadAnswer::Listed)
            }
            ReadCommand::Take { whose, ids } => {
                let idle_ms = match whose {
                    Whose::Own => 0,
                    Whose::LeftBehind => millis(config.lease),
                };
                let mut take = redis::cmd("EVALSHA");
                take.arg(&self.take_script).arg(1).arg(&config.stream).arg(&config.group);
                take.arg(&config.consumer).arg(idle_ms).arg(ids);
                let answer = self.link.call(&take, Duration::ZERO)?;
                expect(reply::taken(answer), "take.lua").map(ReadAnswer::Taken)
            }
            ReadCommand::HandOver { id, deliveries } => {
                let mut hand_over = redis::cmd("EVALSHA");
                hand_over.arg(&self.hand_over_script).arg(2).arg(&config.stream);
                hand_over.arg(config.group_key("strategies")).arg(&config.group).arg(&config.consumer);
                let answer = self.link.call(hand_over.arg(id.as_str()).arg(deliveries), Duration::ZERO)?;
                Ok(ReadAnswer::HandedOver(expect(reply::int(&answer), "hand_over.lua")? > 0))
            }
            ReadCommand::ReadNew { count, wait, with_loss_check } => {
                let check = with_loss_check.then(|| self.loss_check(config, clock));
                self.read_new(config, (count, wait), check)
            }
            ReadCommand::Group => self.group(config, clock),
            ReadCommand::Reread(ids) => {
                let mut commands = redis::pipe();
                for id in &ids {
                    commands.cmd("XRANGE").arg(&config.stream).arg(id.as_str()).arg(id.as_str());
                }
                let answers = self.link.call_all(&commands, Duration::ZERO)?.into_iter();
                let entry = |answer| Ok(expect(reply::entries(accepted(answer)?), "XRANGE")?.pop());
                answers.map(entry).collect::<Result<_, _>>().map(ReadAnswer::Reread)
            }
        }
    }

    fn read_new(
        &mut self,
        config: &RedisConfig,
        (count, wait): (usize, Duration),
        loss_check: Option<redis::Cmd>,
    ) -> Result<ReadAnswer, RedisFault> {
        let mut commands = redis::pipe();
        let with_loss_check = loss_check.is_some();
        if let Some(check) = loss_check {
            commands.add_command(check);
        }
        // After the entries comes the epoch they belong to: Redis may be emptied between two reads.
        commands.add_command(read_command(config, count, wait)).cmd("GET").arg(config.key("epoch"));
        let mut answers = self.link.call_all(&commands, wait)?.into_iter().map(accepted);
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        let lost = if with_loss_check { loss(next())? } else { None };
        let entries = next().and_then(|entries| {
            let epoch = reply::text(next()?);
            Ok((expect(reply::stream_entries(entries), "XREADGROUP")?, epoch))
        });
        Ok(ReadAnswer::New { lost, entries: entries.map_err(InboxError::from) })
    }

    fn group(&mut self, config: &RedisConfig, clock: &dyn Clock) -> Result<ReadAnswer, RedisFault> {
        let mut commands = redis::pipe();
        commands.add_command(self.loss_check(config, clock));
        commands.cmd("XINFO").arg("GROUPS").arg(&config.stream);
        commands.cmd("XREVRANGE").arg(&config.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let mut answers = self.link.call_all(&commands, Duration::ZERO)?.into_iter().map(accepted);
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        let (lost, groups, newest) = (next(), next()?, next()?);
        let lost = loss(lost)?;
        let newest = expect(reply::entries(newest), "XREVRANGE")?.pop().map(|(id, _)| id);
        let mut groups = expect(reply::array(groups), "XINFO GROUPS")?.into_iter().filter_map(reply::array);
        let name = Value::BulkString(config.group.clone().into_bytes());
        let Some(group) = groups.find(|group| reply::named(group, "name") == Some(&name)) else {
            return Err(RedisFault::Unavailable("NOGROUP the consumer group is gone".to_owned()));
        };
        let pending = expect(reply::named(&group, "pending").and_then(reply::int), "XINFO GROUPS")?;
        let delivered = reply::named(&group, "last-delivered-id").cloned().and_then(reply::text);
        let delivered = expect(delivered, "XINFO GROUPS")?;
        Ok(ReadAnswer::Group { lost, pending, delivered, newest })
    }

    fn loss_check(&self, config: &RedisConfig, clock: &dyn Clock) -> Cmd {
        let mut check = redis::cmd("EVALSHA");
        check.arg(&self.lost_script).arg(3);
        check.arg(&config.stream).arg(config.key("outcomes")).arg(config.key("read"));
        check.arg(&config.group).arg(&config.instance).arg(clock.now().micros()).arg(&self.server_run);
        check
    }
}

fn read_command(config: &RedisConfig, count: usize, wait: Duration) -> Cmd {
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg(&config.group).arg(&config.consumer).arg("COUNT").arg(count);
    if !wait.is_zero() {
        // BLOCK 0 is for ever.
        read.arg("BLOCK").arg(millis(wait).max(1));
    }
    read.arg("STREAMS").arg(&config.stream).arg(">");
    read
}

/// What `lost.lua` answers.
fn loss(answer: Result<Value, RedisFault>) -> Result<Loss, RedisFault> {
    let mut found = expect(reply::texts(answer?), "lost.lua")?.into_iter();
    Ok(found.next().zip(found.next()))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn clock_offset(link: &mut Link, clock: &dyn Clock) -> Result<i64, RedisFault> {
    let before = clock.now();
    let server = expect(reply::time_micros(link.call(&redis::cmd("TIME"), Duration::ZERO)?), "TIME")?;
    let middle = before + clock.now().since(before) / 2;
    Ok(middle.nanos().saturating_sub(Timestamp::from_micros(server).nanos()))
}

/// Where ends are recorded must be streams: found out before an order is sent whose end could not be recorded.
fn check_outputs(link: &mut Link, config: &RedisConfig) -> Result<(), RedisFault> {
    for key in [config.key("outcomes"), config.key("dead")] {
        // Not everyone may ask.
        let kind = link.call(redis::cmd("TYPE").arg(&key), Duration::ZERO).ok().and_then(reply::text);
        if let Some(kind) = kind.filter(|kind| kind != "none" && kind != "stream") {
            return Err(RedisFault::Misused(format!("WRONGTYPE {key} must be a stream, was a {kind}")));
        }
    }
    Ok(())
}

fn make_group(link: &mut Link, config: &RedisConfig, reconnects: bool) -> Result<(), RedisFault> {
    let from = match &config.from {
        // A group that went away under a running bot did so with its stream: all that came since is new.
        _ if reconnects => "0",
        From::Start => "0",
        From::New => "$",
        From::Id(id) => id.as_str(),
    };
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg(&config.stream).arg(&config.group).arg(from).arg("MKSTREAM");
    let mut created = Err(RedisFault::Misused(String::new()));
    if let Some(position) = position_of(from, link, config)? {
        // Told where it begins, the server counts what the group is given from the first entry on.
        created = link.call(create.clone().arg("ENTRIESREAD").arg(position), Duration::ZERO);
    }
    if let Err(RedisFault::Misused(_)) = created {
        created = link.call(&create, Duration::ZERO); // A server before 7.0 does not count.
    }
    match created {
        // Where a former group of this name stood says nothing about this one.
        Ok(_) => {
            let forget =
                link.call(redis::cmd("HDEL").arg(config.key("read")).arg(&config.group), Duration::ZERO);
            forget.map(drop)
        }
        Err(RedisFault::Unavailable(text)) if text.starts_with("BUSYGROUP") => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// How many entries came before `from`; `None` where that cannot be known.
fn position_of(from: &str, link: &mut Link, config: &RedisConfig) -> Result<Option<i64>, RedisFault> {
    let stream = match link.call(redis::cmd("XINFO").arg("STREAM").arg(&config.stream), Duration::ZERO) {
        Ok(stream) => expect(reply::array(stream), "XINFO STREAM")?,
        Err(RedisFault::Unavailable(text)) if text.contains("no such key") => return Ok(Some(0)),
        Err(fault) => return Err(fault),
    };
    let count = |name| reply::named(&stream, name).and_then(reply::int);
    Ok(match from {
        "0" => count("entries-added").zip(count("length")).map(|(added, length)| added - length),
        "$" => count("entries-added"),
        _ => None,
    })
}

/// Names what must not be taken for another of its kind.
pub(super) fn random_hex() -> Result<String, RedisFault> {
    let mut bytes = [0; 16];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| RedisFault::Unavailable(format!("the machine gives no random bytes: {error}")))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
