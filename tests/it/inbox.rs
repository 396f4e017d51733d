//! The Redis inbox over a real server: nothing is lost silently, nothing is settled twice, nothing leaves it deaf.

mod books;
mod losses;
mod reading;
mod settling;

use std::sync::Arc;
use std::time::Duration;

use bot::clock::{Clock, SystemClock, Timestamp};
use bot::inbox::redis_stream::{self, From, RedisConfig, RedisInbox, RedisSettler, RedisUrl};
use bot::inbox::{Delivery, Inbox, InboxError, Settlement};
use bot::outcome::{Outcome, OutcomeKind};
use bot::signal::EntryId;

use crate::redis_server::{RedisServer, wait_until};

const NO_WAIT: Timestamp = Timestamp::from_secs(0);
const SOON: Duration = Duration::from_secs(20);

fn config(server: &RedisServer, consumer: &str) -> RedisConfig {
    RedisConfig {
        url: RedisUrl::new(server.url()),
        stream: "nvda".to_owned(),
        group: "bot".to_owned(),
        consumer: consumer.to_owned(),
        from: From::Start,
        lease: Duration::from_secs(30),
        instance: consumer.to_owned(),
    }
}

fn open(server: &RedisServer, consumer: &str) -> (RedisInbox, RedisSettler) {
    redis_stream::open(config(server, consumer), Arc::new(SystemClock))
}

fn open_with_lease(server: &RedisServer, consumer: &str, millis: u64) -> (RedisInbox, RedisSettler) {
    let config = RedisConfig { lease: Duration::from_millis(millis), ..config(server, consumer) };
    redis_stream::open(config, Arc::new(SystemClock))
}

fn send(server: &RedisServer, id: &str) -> String {
    server.ask(&["XADD", "nvda", id, "ticker", "NVDA", "direction", "b"])
}

fn send_all(server: &RedisServer, ids: &[&str]) {
    for id in ids {
        send(server, id);
    }
}

/// `id x deliveries`, or `id lost: reason`.
fn shown(deliveries: &[Delivery]) -> Vec<String> {
    let show = |delivery: &Delivery| match delivery {
        Delivery::Entry(entry) => format!("{} x{}", entry.id, entry.deliveries),
        Delivery::Lost { id, reason } => format!("{id} lost: {reason}"),
    };
    deliveries.iter().map(show).collect()
}

fn read(inbox: &mut RedisInbox) -> Vec<String> {
    shown(&inbox.read(100, NO_WAIT).unwrap())
}

/// Reads on, over errors that pass, until something comes.
fn read_until_some(inbox: &mut RedisInbox) -> Vec<String> {
    let found = wait_until(SOON, || {
        let read = inbox.read(100, SystemClock.now() + Duration::from_millis(20));
        assert!(!matches!(read, Err(InboxError::Misconfigured(_))), "{read:?}");
        read.ok().filter(|deliveries| !deliveries.is_empty())
    });
    shown(&found.expect("nothing arrived"))
}

fn skipped(id: &str) -> Settlement {
    Settlement::Outcome(Outcome::without_order(EntryId::new(id), OutcomeKind::Skipped, "test: nothing to do"))
}

fn lost(id: &str) -> Settlement {
    Settlement::Outcome(Outcome::without_order(EntryId::new(id), OutcomeKind::Lost, "trimmed: by the test"))
}

/// `signal outcome` of each recorded outcome, oldest first.
fn outcomes(server: &RedisServer) -> Vec<String> {
    let entries: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg("{nvda}:outcomes")
        .arg("-")
        .arg("+")
        .query(&mut server.connection())
        .unwrap();
    let value = |fields: &[(String, String)], name: &str| {
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    entries
        .iter()
        .map(|(_, fields)| format!("{} {}", value(fields, "signal"), value(fields, "outcome")))
        .collect()
}

fn pending_count(server: &RedisServer) -> usize {
    let summary: (usize, redis::Value, redis::Value, redis::Value) =
        redis::cmd("XPENDING").arg("nvda").arg("bot").query(&mut server.connection()).unwrap();
    summary.0
}

fn wait_for_blocked_client(server: &RedisServer) {
    let blocked = || server.ask(&["INFO", "clients"]).contains("blocked_clients:1").then_some(());
    wait_until(SOON, blocked).expect("no client is blocked");
}
