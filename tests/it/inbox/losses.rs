//! Losses: what was trimmed or deleted before it was handled is recorded, once.

use std::sync::Arc;
use std::time::Duration;

use bot::clock::{Clock, ManualClock, SystemClock};
use bot::inbox::redis_stream::{self, RedisConfig};
use bot::inbox::{Inbox, Settler};

use super::{
    config, lost, open, outcomes, read, read_until_some, send, send_all, shown, skipped,
    wait_for_blocked_client,
};
use crate::redis_server::RedisServer;

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
        let reader =
            scope.spawn(|| shown(&inbox.read(10, SystemClock.now() + Duration::from_mins(1)).unwrap()));
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
fn what_was_trimmed_while_nobody_ran_is_noticed_even_across_a_restart_of_redis() {
    for restart in [false, true] {
        let mut server = RedisServer::start_durable();
        send_all(&server, &["1-0", "2-0"]);
        let (mut inbox, mut settler) = open(&server, "a");
        assert_eq!(read(&mut inbox).len(), 2);
        settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
        assert!(inbox.is_drained().unwrap());
        drop((inbox, settler));
        send_all(&server, &["3-0", "4-0", "5-0"]);
        server.run(&["XTRIM", "nvda", "MAXLEN", "1"]);
        if restart {
            server.restart();
        }
        let (mut inbox, _) = open(&server, "a");
        let expected = [
            "4-18446744073709551615 lost: trimmed: 2 entries after 2-0 and before 5-0 deleted before being read",
            "5-0 x1",
        ];
        assert_eq!([read(&mut inbox), read(&mut inbox)].concat(), expected);
        assert_eq!(outcomes(&server).len(), 3);
    }
}

#[test]
fn the_outcome_of_a_loss_has_the_fields_of_every_other_outcome() {
    let server = RedisServer::start();
    let (mut inbox, mut settler) = open(&server, "a");
    inbox.connect().unwrap();
    send(&server, "1-0");
    server.run(&["XTRIM", "nvda", "MAXLEN", "0"]);
    assert_eq!(read_until_some(&mut inbox).len(), 1);
    settler.settle(&[lost("1-0")]).unwrap();
    let entry = server.ask(&["XRANGE", "{nvda}:outcomes", "-", "+"]);
    let fields = entry.split_once(' ').unwrap().1;
    let expected = "signal 1-0 outcome lost reason trimmed: 1 entry after 0-0 up to 1-0 deleted before being read \
                    instance a final_us ";
    assert!(fields.starts_with(expected), "{fields}");
}
