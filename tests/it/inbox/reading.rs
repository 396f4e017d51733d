//! Reading: what was sent arrives, in order, marked when it came before, through every fault that passes.

use std::sync::Arc;
use std::time::Duration;

use bot::clock::{Clock, SystemClock};
use bot::inbox::redis_stream::{self, From, RedisConfig, RedisUrl};
use bot::inbox::{Delivery, Inbox, InboxError, Settler};
use bot::signal::EntryId;

use super::{
    NO_WAIT, config, open, outcomes, read, read_until_some, send, send_all, shown, skipped,
    wait_for_blocked_client,
};
use crate::redis_server::{RedisServer, free_port};

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
    for id in &ids {
        send(&server, id);
    }
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
        let reader = scope.spawn(|| inbox.read(10, SystemClock.now() + Duration::from_mins(1)));
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
        let reader = scope.spawn(|| inbox.read(10, SystemClock.now() + Duration::from_mins(1)));
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
            let Err(InboxError::Misconfigured(text) | InboxError::Credentials(text)) = failed else {
                panic!("{failed:?}")
            };
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
fn a_read_of_an_empty_stream_returns_within_its_wait() {
    let server = RedisServer::start();
    let (mut inbox, _) = open(&server, "a");
    inbox.connect().unwrap();
    let before = SystemClock.now();
    assert_eq!(inbox.read(10, SystemClock.now() + Duration::from_millis(150)), Ok(Vec::new()));
    let took = SystemClock.now().since(before);
    assert!((Duration::from_millis(140)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(inbox.read(0, SystemClock.now() + Duration::from_mins(1)), Ok(Vec::new()));
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
    assert!(times[1] + slack >= before + Duration::from_hours(1));
    assert!(times[2] > times[1] + Duration::from_secs(1_000_000_000));
}

#[test]
fn entries_are_read_again_in_the_order_asked_for_wherever_they_lie() {
    let server = RedisServer::start();
    let (mut inbox, _settler) = open(&server, "a");
    send_all(&server, &["1-0", "2-0", "3-0", "4-0", "5-0"]);
    assert_eq!(read(&mut inbox).len(), 5);
    server.ask(&["XDEL", "nvda", "3-0"]);
    let mut reread = |places: &[u64]| {
        let places: Vec<_> = places.iter().map(|place| (*place, 0)).collect();
        shown(&inbox.reread(&places).unwrap())
    };
    assert_eq!(reread(&[1, 2]), ["1-0 x1", "2-0 x1"]);
    assert_eq!(reread(&[1, 4, 5]), ["1-0 x1", "4-0 x1", "5-0 x1"]);
    let lost = "3-0 lost: trimmed: the entry was deleted while it was pending";
    assert_eq!(reread(&[5, 3, 2]), ["5-0 x1", lost, "2-0 x1"]);
}
