//! What the reading half knows for as long as one connection lasts, and how it comes to know it.

use std::time::Duration;

use rand::TryRng;
use redis::Value;

use super::link::{Link, RedisFault, accepted};
use super::redis_stream::{From, RedisConfig};
use super::reply::{self, expect};
use crate::clock::{Clock, Timestamp};

const LOST_SCRIPT: &str = include_str!("scripts/lost.lua");
const TAKE_SCRIPT: &str = include_str!("scripts/take.lua");
const HAND_OVER_SCRIPT: &str = include_str!("scripts/hand_over.lua");

pub(super) struct Session {
    pub(super) link: Link,
    /// The random value that names this life of the stream.
    pub(super) epoch: String,
    pub(super) lost_script: String,
    pub(super) take_script: String,
    pub(super) hand_over_script: String,
    /// Differs after a restart or a failover of the server.
    pub(super) server_run: String,
    /// Add to the server's time to get this machine's.
    pub(super) offset_nanos: i64,
    /// Where the walk through own pending entries goes on; `None` when it is done.
    pub(super) own_from: Option<String>,
    /// When that walk began last.
    pub(super) own_walked_at: Timestamp,
    pub(super) kept_house_at: Timestamp,
    /// When it was last asked whether entries were trimmed unread.
    pub(super) checked_at: Timestamp,
}

impl Session {
    /// Connects, and makes epoch and group where they are not there; `anew` when there was a group before.
    pub(super) fn start(config: &RedisConfig, clock: &dyn Clock, anew: bool) -> Result<Self, RedisFault> {
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
        make_group(&mut link, config, anew)?;
        Ok(Self {
            link,
            epoch,
            lost_script,
            take_script,
            hand_over_script,
            server_run,
            offset_nanos,
            own_from: Some("-".to_owned()),
            own_walked_at: clock.now(),
            kept_house_at: Timestamp::default(),
            checked_at: clock.now(),
        })
    }

    /// Asks the server for its time again: clocks drift.
    pub(super) fn compare_clocks(&mut self, clock: &dyn Clock) -> Result<(), RedisFault> {
        self.offset_nanos = clock_offset(&mut self.link, clock)?;
        Ok(())
    }
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

fn make_group(link: &mut Link, config: &RedisConfig, anew: bool) -> Result<(), RedisFault> {
    let from = match &config.from {
        // A group that went away under a running bot did so with its stream: all that came since is new.
        _ if anew => "0",
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
