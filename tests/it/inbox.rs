//! The Redis inbox over a real server: nothing is lost silently, nothing is settled twice, nothing leaves it deaf.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bot::clock::{Clock, ManualClock, SystemClock};
use bot::inbox::redis_stream::{self, From, RedisConfig, RedisInbox, RedisSettler, RedisUrl};
use bot::inbox::{Delivery, Inbox, InboxError, Settlement, Settler};
use bot::outcome::{Outcome, OutcomeKind};
use bot::signal::{Entry, EntryId};

use crate::redis_server::{RedisServer, free_port, wait_until};

const NO_WAIT: Duration = Duration::ZERO;
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
    ids.iter().for_each(|id| drop(send(server, id)));
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
        let read = inbox.read(100, Duration::from_millis(20));
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

#[test]
fn a_new_group_reads_what_was_sent_before_it_existed() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0", "2-1"]);
    let (mut inbox, _) = open(&server, "a");
    assert_eq!(shown(&inbox.read(2, NO_WAIT).unwrap()), ["1-0 x1", "2-0 x1"]);
    assert_eq!(read(&mut inbox), ["2-1 x1"]);
    assert_eq!(read(&mut inbox), [""; 0]);
}

#[test]
fn a_new_group_begins_where_it_is_told() {
    for (from, expected) in
        [(From::New, vec!["3-0 x1"]), (From::Id(EntryId::new("1-0")), vec!["2-0 x1", "3-0 x1"])]
    {
        let server = RedisServer::start();
        send_all(&server, &["1-0", "2-0"]);
        let config = RedisConfig { from, ..config(&server, "a") };
        let (mut inbox, _) = redis_stream::open(config, Arc::new(SystemClock));
        inbox.connect().unwrap();
        send(&server, "3-0");
        assert_eq!(read(&mut inbox), expected);
    }
}

#[test]
fn after_a_restart_own_pending_entries_come_first_and_marked() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0", "3-0"]);
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(read(&mut inbox).len(), 3);
    settler.settle(&[skipped("2-0")]).unwrap();
    send(&server, "4-0");
    drop((inbox, settler));
    let (mut inbox, _) = open(&server, "a");
    assert_eq!(shown(&inbox.read(1, NO_WAIT).unwrap()), ["1-0 x2"]);
    assert_eq!(read(&mut inbox), ["3-0 x2"]);
    assert_eq!(read(&mut inbox), ["4-0 x1"]);
    let (mut inbox, _) = open(&server, "a");
    assert_eq!(read(&mut inbox), ["1-0 x3", "3-0 x3", "4-0 x2"]);
}

#[test]
fn many_own_pending_entries_are_read_page_by_page() {
    let server = RedisServer::start();
    let ids: Vec<String> = (1..=250).map(|n| format!("{n}-0")).collect();
    ids.iter().for_each(|id| drop(send(&server, id)));
    let (mut inbox, _) = open(&server, "a");
    assert_eq!(inbox.read(1_000, NO_WAIT).unwrap().len(), 250);
    let (mut inbox, _) = open(&server, "a");
    let mut found = Vec::new();
    for _ in 0..100 {
        found.extend(shown(&inbox.read(7, NO_WAIT).unwrap()));
    }
    assert_eq!(found, ids.iter().map(|id| format!("{id} x2")).collect::<Vec<_>>());
}

#[test]
fn what_is_held_does_not_come_again_after_a_lost_connection() {
    let server = RedisServer::start();
    send(&server, "1-0");
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
    server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
    send(&server, "2-0");
    assert_eq!(read(&mut inbox), ["2-0 x1"]);
    settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 skipped", "2-0 skipped"]);
    assert!(inbox.is_drained().unwrap());
}

#[test]
fn a_redis_that_was_killed_and_came_back_is_heard_again() {
    let mut server = RedisServer::start_durable();
    send(&server, "1-0");
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
    server.kill();
    assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
    assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
    assert!(matches!(settler.settle(&[skipped("1-0")]), Err(InboxError::Unavailable(_))));
    server.restart();
    send(&server, "2-0");
    assert_eq!(read_until_some(&mut inbox), ["2-0 x1"]);
    settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 skipped", "2-0 skipped"]);
    // A server that counted from its log again is no reason to take anything for lost.
    assert!(inbox.is_drained().unwrap());
    assert_eq!(read(&mut inbox), [""; 0]);
}

#[test]
fn a_reader_that_is_blocked_notices_a_killed_redis_at_once() {
    let mut server = RedisServer::start_durable();
    let (mut inbox, _) = open(&server, "a");
    inbox.connect().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| inbox.read(10, Duration::from_secs(60)));
        wait_for_blocked_client(&server);
        server.kill();
        assert!(matches!(reader.join().unwrap(), Err(InboxError::Unavailable(_))));
    });
    server.restart();
    send(&server, "1-0");
    assert_eq!(read_until_some(&mut inbox), ["1-0 x1"]);
}

#[test]
fn a_deleted_stream_is_read_again_from_its_new_beginning() {
    let server = RedisServer::start();
    send(&server, "5-0");
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(read(&mut inbox), ["5-0 x1"]);
    settler.settle(&[skipped("5-0")]).unwrap();
    server.run(&["DEL", "nvda"]);
    send_all(&server, &["1-0", "2-0"]);
    assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
    assert_eq!(read(&mut inbox), ["1-0 x1", "2-0 x1"]);
}

#[test]
fn a_stream_deleted_under_a_blocked_reader_leaves_it_hearing() {
    let server = RedisServer::start();
    let (mut inbox, _) = open(&server, "a");
    inbox.connect().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| inbox.read(10, Duration::from_secs(60)));
        wait_for_blocked_client(&server);
        server.run(&["DEL", "nvda"]);
        send(&server, "1-0");
        assert!(matches!(reader.join().unwrap(), Err(InboxError::Unavailable(_))));
    });
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
}

#[test]
fn an_emptied_redis_gets_a_new_epoch_and_outcomes_of_what_is_held_are_still_recorded() {
    let server = RedisServer::start();
    send(&server, "1-0");
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(inbox.epoch().get(), None);
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
    let epoch = inbox.epoch().get().unwrap();
    assert_eq!(*epoch, server.ask(&["GET", "{nvda}:epoch"]));
    server.run(&["FLUSHALL"]);
    assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
    send(&server, "2-0");
    assert_eq!(read(&mut inbox), ["2-0 x1"]);
    assert_ne!(inbox.epoch().get().unwrap(), epoch);
    for _ in 0..2 {
        settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
    }
    let mut recorded = outcomes(&server);
    recorded.sort();
    assert_eq!(recorded, ["1-0 skipped", "2-0 skipped"]);
}

#[test]
fn a_redis_emptied_and_filled_again_by_a_peer_is_never_read_under_the_old_epoch() {
    let server = RedisServer::start();
    let (mut inbox, _) = open(&server, "a");
    assert_eq!(read(&mut inbox), [""; 0]);
    let epoch = inbox.epoch().get().unwrap();
    server.run(&["FLUSHALL"]);
    let (mut peer, _) = open(&server, "b");
    peer.connect().unwrap();
    send(&server, "1-0");
    let refused = inbox.read(10, NO_WAIT);
    assert!(
        matches!(&refused, Err(InboxError::Unavailable(text)) if text.contains("replaced")),
        "{refused:?}"
    );
    assert_eq!(read(&mut inbox), ["1-0 x2"]);
    assert_ne!(inbox.epoch().get().unwrap(), epoch);
    assert_eq!(inbox.epoch().get(), peer.epoch().get());
}

#[test]
fn a_redis_that_became_a_replica_is_waited_for() {
    let server = RedisServer::start();
    let (mut inbox, _) = open(&server, "a");
    inbox.connect().unwrap();
    server.run(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    for _ in 0..2 {
        assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
    }
    server.run(&["REPLICAOF", "NO", "ONE"]);
    send(&server, "1-0");
    assert_eq!(read_until_some(&mut inbox), ["1-0 x1"]);
}

#[test]
fn what_waiting_cannot_heal_is_misconfigured_and_says_no_password() {
    let server = RedisServer::start();
    server.run(&["SET", "nvda", "a string"]);
    let (mut inbox, _) = open(&server, "a");
    assert!(
        matches!(inbox.read(10, NO_WAIT), Err(InboxError::Misconfigured(text)) if text.contains("WRONGTYPE"))
    );

    let locked = RedisServer::start_with(&["--requirepass", "hunter2"]);
    let port = locked.port();
    let right = format!("redis://:hunter2@127.0.0.1:{port}");
    for (url, word) in [
        (locked.url(), "NOAUTH"),
        (format!("redis://:hunter3@127.0.0.1:{port}"), "refused user or password"),
        (format!("redis://nobody:hunter3@127.0.0.1:{port}"), "refused user or password"),
        (format!("redis://:hunter2@127.0.0.1:{port}/99"), "DB index"),
        ("http://:hunter2@127.0.0.1".to_owned(), "redis url must be"),
    ] {
        let config = RedisConfig { url: RedisUrl::new(url), ..config(&locked, "a") };
        assert!(!format!("{config:?}").contains("hunter"), "{config:?}");
        let (mut inbox, mut settler) = redis_stream::open(config, Arc::new(SystemClock));
        for failed in [inbox.read(10, NO_WAIT).map(drop), settler.settle(&[skipped("1-0")])] {
            let Err(InboxError::Misconfigured(text)) = failed else { panic!("{failed:?}") };
            assert!(text.contains(word) && !text.contains("hunter"), "{text}");
        }
    }
    let config = RedisConfig { url: RedisUrl::new(right), ..config(&locked, "a") };
    redis_stream::open(config, Arc::new(SystemClock)).0.connect().unwrap();
}

#[test]
fn a_server_without_a_trusted_certificate_is_refused_over_tls() {
    let server = RedisServer::start();
    let config = RedisConfig {
        url: RedisUrl::new(format!("rediss://127.0.0.1:{}", server.port())),
        ..config(&server, "a")
    };
    // This server does not speak TLS at all: the handshake fails, it does not hang and nothing is sent in the clear.
    let (mut inbox, _) = redis_stream::open(config, Arc::new(SystemClock));
    assert!(matches!(inbox.read(10, NO_WAIT), Err(InboxError::Unavailable(_))));
}

#[test]
fn entries_trimmed_while_pending_are_recorded_as_lost_once() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut inbox, _) = open(&server, "a");
    assert_eq!(read(&mut inbox).len(), 2);
    server.run(&["XTRIM", "nvda", "MAXLEN", "0"]);
    let (mut inbox, mut settler) = open(&server, "a");
    let reason = "trimmed: the entry was deleted while it was pending";
    assert_eq!(read(&mut inbox), [format!("1-0 lost: {reason}"), format!("2-0 lost: {reason}")]);
    for _ in 0..2 {
        settler.settle(&[lost("1-0"), lost("2-0")]).unwrap();
    }
    assert_eq!(outcomes(&server), ["1-0 lost", "2-0 lost"]);
    assert!(inbox.is_drained().unwrap());
}

#[track_caller]
fn check_lost_unread(trim: &[&str], expected: &str, read_next: &[&str]) {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let (mut inbox, mut settler) =
        redis_stream::open(config(&server, "a"), Arc::<ManualClock>::clone(&clock));
    let (mut peer, _) = open(&server, "b");
    peer.connect().unwrap();
    send_all(&server, &["1-0", "2-0"]);
    assert_eq!(read(&mut inbox).len(), 2);
    // Not at every read is it looked for.
    clock.advance(Duration::from_millis(60));
    settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
    send_all(&server, &["3-0", "4-0", "5-0", "6-0"]);
    server.run(trim);
    let found = read_until_some(&mut inbox);
    let mut later = found[1..].to_vec();
    later.extend(read(&mut inbox));
    assert_eq!(found[0], expected);
    assert_eq!(later, read_next);
    let id = expected.split(' ').next().unwrap();
    let mut batch: Vec<_> = read_next.iter().map(|shown| skipped(shown.split(' ').next().unwrap())).collect();
    batch.push(lost(id));
    settler.settle(&batch).unwrap();
    // Neither this instance nor another finds it again.
    for inbox in [&mut inbox, &mut peer] {
        assert!(inbox.is_drained().unwrap());
        assert_eq!(read(inbox), [""; 0]);
    }
    let lost: Vec<_> = outcomes(&server).into_iter().filter(|line| line.ends_with("lost")).collect();
    assert_eq!(lost, [format!("{id} lost")]);
}

#[test]
fn entries_trimmed_unread_are_recorded_as_lost_once_with_their_number_and_range() {
    check_lost_unread(
        &["XTRIM", "nvda", "MAXLEN", "2"],
        "4-18446744073709551615 lost: trimmed: 2 entries after 2-0 and before 5-0 deleted before being read",
        &["5-0 x1", "6-0 x1"],
    );
    check_lost_unread(
        &["XTRIM", "nvda", "MAXLEN", "0"],
        "6-0 lost: trimmed: 4 entries after 2-0 up to 6-0 deleted before being read",
        &[],
    );
    check_lost_unread(
        &["XADD", "nvda", "MAXLEN", "1", "7-5", "ticker", "NVDA", "direction", "s"],
        "7-4 lost: trimmed: 4 entries after 2-0 and before 7-5 deleted before being read",
        &["7-5 x1"],
    );
    check_lost_unread(
        &["XADD", "nvda", "MAXLEN", "0", "7-0", "ticker", "NVDA", "direction", "s"],
        "7-0 lost: trimmed: 5 entries after 2-0 up to 7-0 deleted before being read",
        &[],
    );
    check_lost_unread(
        &["XDEL", "nvda", "4-0"],
        "4-0 lost: trimmed: 1 entry after 2-0 up to 4-0 deleted before being read",
        &["3-0 x1", "5-0 x1", "6-0 x1"],
    );
}

#[test]
fn what_was_trimmed_after_it_was_settled_is_not_lost() {
    let server = RedisServer::start();
    let (mut inbox, mut settler) = open(&server, "a");
    send_all(&server, &["1-0", "2-0", "3-0"]);
    assert_eq!(read(&mut inbox).len(), 3);
    settler.settle(&[skipped("1-0"), skipped("2-0"), skipped("3-0")]).unwrap();
    server.run(&["XDEL", "nvda", "2-0"]);
    server.run(&["XADD", "nvda", "MAXLEN", "1", "4-0", "ticker", "NVDA", "direction", "b"]);
    assert_eq!(read_until_some(&mut inbox), ["4-0 x1"]);
    settler.settle(&[skipped("4-0")]).unwrap();
    assert!(inbox.is_drained().unwrap());
    assert_eq!(outcomes(&server).len(), 4);
    // Nor is what was gone before the group was made.
    let config = RedisConfig { group: "later".to_owned(), ..config(&server, "a") };
    let (mut later, _) = redis_stream::open(config, Arc::new(SystemClock));
    assert_eq!(read(&mut later), ["4-0 x1"]);
    assert_eq!(outcomes(&server).len(), 4);
}

#[test]
fn a_trim_between_two_reads_in_one_transaction_is_noticed() {
    let server = RedisServer::start();
    let (mut inbox, mut settler) = open(&server, "a");
    inbox.connect().unwrap();
    let mut producer = server.connection();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| shown(&inbox.read(10, Duration::from_secs(60)).unwrap()));
        wait_for_blocked_client(&server);
        let add = |id: &str, max: &str| {
            let mut add = redis::cmd("XADD");
            add.arg("nvda")
                .arg("MAXLEN")
                .arg(max)
                .arg(id)
                .arg("ticker")
                .arg("NVDA")
                .arg("direction")
                .arg("b");
            add
        };
        // The reader is woken after all three: it can only ever see the last.
        redis::pipe()
            .atomic()
            .add_command(add("1-0", "9"))
            .add_command(add("2-0", "9"))
            .add_command(add("3-0", "1"))
            .exec(&mut producer)
            .unwrap();
        assert_eq!(reader.join().unwrap(), ["3-0 x1"]);
    });
    settler.settle(&[skipped("3-0")]).unwrap();
    let found = read_until_some(&mut inbox);
    assert_eq!(
        found,
        ["2-18446744073709551615 lost: trimmed: 2 entries before 3-0 deleted before being read"]
    );
}

#[test]
fn settling_records_and_acknowledges_in_one_step_and_repeating_it_changes_nothing() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let weird = Entry {
        id: EntryId::new("3-0"),
        fields: vec![
            (b"\xff\0".to_vec(), b"\r\n".to_vec()),
            (b"a".to_vec(), Vec::new()),
            (b"a".to_vec(), b"2".to_vec()),
        ],
        sent_at: SystemClock.now(),
        deliveries: 1,
    };
    let mut add = redis::cmd("XADD");
    add.arg("nvda").arg("3-0");
    weird.fields.iter().for_each(|(name, value)| _ = add.arg(name).arg(value));
    add.exec(&mut server.connection()).unwrap();

    let (mut inbox, mut settler) = open(&server, "a");
    let found = inbox.read(10, NO_WAIT).unwrap();
    assert!(matches!(&found[2], Delivery::Entry(entry) if entry.fields == weird.fields));
    let batch = [
        skipped("1-0"),
        Settlement::Dead { entry: weird.clone(), reason: "field ticker is missing".to_owned() },
        skipped("2-0"),
    ];
    for _ in 0..3 {
        settler.settle(&batch).unwrap();
        assert_eq!(outcomes(&server), ["1-0 skipped", "2-0 skipped"]);
        assert_eq!(pending_count(&server), 0);
    }
    let dead: Vec<(String, Vec<Vec<u8>>)> =
        redis::cmd("XRANGE").arg("{nvda}:dead").arg("-").arg("+").query(&mut server.connection()).unwrap();
    let expected: [&[u8]; 10] =
        [b"signal", b"3-0", b"reason", b"field ticker is missing", b"\xff\0", b"\r\n", b"a", b"", b"a", b"2"];
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].1, expected);
    assert!(inbox.is_drained().unwrap());
}

#[test]
fn an_outcome_that_cannot_be_recorded_leaves_its_entry_pending() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(read(&mut inbox).len(), 2);
    server.run(&["SET", "{nvda}:outcomes", "a string"]);
    assert!(matches!(settler.settle(&[skipped("1-0"), skipped("2-0")]), Err(InboxError::Misconfigured(_))));
    assert_eq!(pending_count(&server), 2);
    server.run(&["DEL", "{nvda}:outcomes"]);
    settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 skipped", "2-0 skipped"]);
}

#[test]
fn a_lost_answer_to_a_settlement_does_not_make_a_second_outcome() {
    let server = RedisServer::start();
    let ids: Vec<String> = (1..=100).map(|n| format!("{n}-0")).collect();
    ids.iter().for_each(|id| drop(send(&server, id)));
    let proxy = Proxy::start(server.port());
    let config = RedisConfig { url: RedisUrl::new(proxy.url()), ..config(&server, "a") };
    let (mut inbox, mut settler) = redis_stream::open(config, Arc::new(SystemClock));
    assert_eq!(inbox.read(100, NO_WAIT).unwrap().len(), 100);
    let batch: Vec<_> = ids.iter().map(|id| skipped(id)).collect();
    settler.settle(&batch[..10]).unwrap();
    proxy.lose_next_answer();
    assert!(matches!(settler.settle(&batch[10..90]), Err(InboxError::Unavailable(_))));
    assert_eq!(outcomes(&server).len(), 90, "the settlement took place, only its answer was lost");
    settler.settle(&batch[10..]).unwrap();
    let recorded = outcomes(&server);
    assert_eq!(recorded, ids.iter().map(|id| format!("{id} skipped")).collect::<Vec<_>>());
    assert!(inbox.is_drained().unwrap());
}

#[test]
fn entries_of_a_dead_peer_are_taken_over_after_the_lease() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0", "3-0"]);
    let (mut dead, _) = open_with_lease(&server, "dead", 300);
    assert_eq!(read(&mut dead).len(), 3);
    let (mut inbox, mut settler) = open_with_lease(&server, "a", 300);
    let mut found = Vec::new();
    // Little room: the rest follows with the next read, not with the next round.
    wait_until(SOON, || {
        found.extend(shown(&inbox.read(2, Duration::from_millis(10)).unwrap()));
        (found.len() >= 3).then_some(())
    });
    assert_eq!(found, ["1-0 x2", "2-0 x2", "3-0 x2"]);
    settler.settle(&[skipped("1-0"), skipped("2-0"), skipped("3-0")]).unwrap();
    assert_eq!(pending_count(&server), 0);
    assert_eq!(server.ask(&["XPENDING", "nvda", "bot"]), "0 - - -");
}

#[test]
fn entries_that_a_live_peer_renews_are_left_to_it() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut live, mut live_settler) = open_with_lease(&server, "live", 400);
    assert_eq!(read(&mut live).len(), 2);
    // One of them loses its body: then it cannot be renewed, and is left to its owner all the same.
    server.run(&["XDEL", "nvda", "2-0"]);
    let (mut inbox, _) = open_with_lease(&server, "a", 400);
    let until = SystemClock.now() + Duration::from_millis(1_500);
    while SystemClock.now() < until {
        live_settler.renew().unwrap();
        assert_eq!(shown(&inbox.read(10, Duration::from_millis(20)).unwrap()), [""; 0]);
    }
    let line = server.ask(&["XPENDING", "nvda", "bot", "-", "+", "10", "live"]);
    assert!(line.starts_with("1-0 live") && line.ends_with(" 1"), "renewing counts no delivery: {line}");
    assert_eq!(pending_count(&server), 2);
    live_settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 skipped", "2-0 skipped"]);
}

#[test]
fn an_entry_taken_over_from_a_stalled_instance_still_gets_one_outcome() {
    let server = RedisServer::start();
    send(&server, "1-0");
    let (mut stalled, mut stalled_settler) = open_with_lease(&server, "stalled", 100);
    assert_eq!(read(&mut stalled), ["1-0 x1"]);
    let (mut inbox, mut settler) = open_with_lease(&server, "a", 100);
    assert_eq!(read_until_some(&mut inbox), ["1-0 x2"]);
    // It wakes up: it does not take the entry back, and only one of the two outcomes stands.
    stalled_settler.renew().unwrap();
    assert!(server.ask(&["XPENDING", "nvda", "bot", "-", "+", "10"]).starts_with("1-0 a "));
    settler.settle(&[skipped("1-0")]).unwrap();
    stalled_settler.settle(&[skipped("1-0")]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 skipped"]);
}

#[test]
fn two_instances_never_share_an_entry() {
    const COUNT: usize = 600;
    let server = RedisServer::start();
    let all_sent = AtomicBool::new(false);
    let collect = |consumer: &'static str| {
        let (mut inbox, mut settler) = open(&server, consumer);
        let all_sent = &all_sent;
        move || {
            let mut ids = Vec::new();
            while !(all_sent.load(Ordering::SeqCst) && inbox.is_drained().unwrap()) {
                for delivery in inbox.read(7, Duration::from_millis(20)).unwrap() {
                    let Delivery::Entry(entry) = delivery else { panic!("{delivery:?}") };
                    assert_eq!(entry.deliveries, 1);
                    settler.settle(&[skipped(entry.id.as_str())]).unwrap();
                    ids.push(entry.id);
                }
            }
            ids
        }
    };
    let mut all: Vec<EntryId> = std::thread::scope(|scope| {
        let readers = [scope.spawn(collect("a")), scope.spawn(collect("b"))];
        let mut producer = server.connection();
        for _ in 0..COUNT {
            redis::cmd("XADD").arg("nvda").arg("*").arg("ticker").arg("NVDA").exec(&mut producer).unwrap();
        }
        all_sent.store(true, Ordering::SeqCst);
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    all.sort();
    all.dedup();
    assert_eq!((all.len(), outcomes(&server).len(), pending_count(&server)), (COUNT, COUNT, 0));
}

#[test]
fn a_read_of_an_empty_stream_returns_within_its_wait() {
    let server = RedisServer::start();
    let (mut inbox, _) = open(&server, "a");
    inbox.connect().unwrap();
    let before = SystemClock.now();
    assert_eq!(inbox.read(10, Duration::from_millis(150)), Ok(Vec::new()));
    let took = SystemClock.now().since(before);
    assert!((Duration::from_millis(140)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(inbox.read(0, Duration::from_secs(60)), Ok(Vec::new()));
}

#[test]
fn the_time_of_an_entry_is_on_this_machines_clock_and_a_future_id_stays_in_the_future() {
    let server = RedisServer::start();
    let (mut inbox, _) = open(&server, "a");
    let before = SystemClock.now();
    let millis = before.millis();
    send(&server, "*");
    send(&server, &format!("{}-0", millis + 3_600_000));
    send(&server, "18446744073709551615-0");
    let deliveries = inbox.read(10, NO_WAIT).unwrap();
    let times: Vec<_> = deliveries
        .iter()
        .map(|delivery| match delivery {
            Delivery::Entry(entry) => entry.sent_at,
            Delivery::Lost { .. } => panic!("{delivery:?}"),
        })
        .collect();
    // Ids have whole milliseconds, and finding the difference of two clocks takes a round trip.
    let slack = Duration::from_millis(50);
    assert!(times[0] + slack >= before && times[0] <= SystemClock.now() + slack);
    assert!(times[1] + slack >= before + Duration::from_secs(3_600));
    assert!(times[2] > times[1] + Duration::from_secs(1_000_000_000));
}

#[test]
fn it_is_drained_only_when_all_is_read_and_settled() {
    let server = RedisServer::start();
    let (mut inbox, mut settler) = open(&server, "a");
    assert!(inbox.is_drained().unwrap());
    send(&server, "1-0");
    assert!(!inbox.is_drained().unwrap());
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
    assert!(!inbox.is_drained().unwrap());
    settler.settle(&[skipped("1-0")]).unwrap();
    assert!(inbox.is_drained().unwrap());
    server.run(&["XADD", "nvda", "MAXLEN", "0", "2-0", "ticker", "NVDA"]);
    assert!(!inbox.is_drained().unwrap());
    assert_eq!(read(&mut inbox).len(), 1);
    settler.settle(&[lost("2-0")]).unwrap();
    assert!(inbox.is_drained().unwrap());
}

#[test]
fn an_entry_with_countless_fields_is_dead_lettered_without_breaking_the_rest() {
    let server = RedisServer::start();
    let (mut inbox, mut settler) = open(&server, "a");
    let mut add = redis::cmd("XADD");
    add.arg("nvda").arg("1-0");
    (0..20_000).for_each(|n| _ = add.arg(n).arg(n));
    add.exec(&mut server.connection()).unwrap();
    send(&server, "2-0");
    let Delivery::Entry(entry) = inbox.read(1, NO_WAIT).unwrap().remove(0) else { panic!("no entry") };
    assert_eq!(read(&mut inbox), ["2-0 x1"]);
    settler.settle(&[Settlement::Dead { entry, reason: "too much".to_owned() }, skipped("2-0")]).unwrap();
    assert!(inbox.is_drained().unwrap());
    let dead = server.ask(&["XRANGE", "{nvda}:dead", "-", "+"]);
    assert!(dead.contains("signal 1-0 reason too much (19000 fields left out) 0 0 1 1"), "{:.200}", dead);
}

fn wait_for_blocked_client(server: &RedisServer) {
    let blocked = || server.ask(&["INFO", "clients"]).contains("blocked_clients:1").then_some(());
    wait_until(SOON, blocked).expect("no client is blocked");
}

/// Passes bytes on to a server, until it is told to swallow an answer and hang up.
struct Proxy {
    port: u16,
    lose: Arc<AtomicBool>,
}

impl Proxy {
    fn start(to_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lose = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lose);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, flag) = (client.unwrap(), Arc::clone(&flag));
                let server = TcpStream::connect(("127.0.0.1", to_port)).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass_on(from, to, None));
                std::thread::spawn(move || pass_on(server, client, Some(&flag)));
            }
        });
        Self { port, lose }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn lose_next_answer(&self) {
        self.lose.store(true, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, lose: Option<&AtomicBool>) {
    let mut buffer = [0; 65_536];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if lose.is_some_and(|lose| lose.swap(false, Ordering::SeqCst))
            || to.write_all(&buffer[..len]).is_err()
        {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
