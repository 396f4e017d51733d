//! The strategies' books on Redis: one step with the outcome, one process that holds them, and back after a loss.

use std::sync::Arc;
use std::time::Duration;

use bot::clock::{Clock, ManualClock, SystemClock};
use bot::inbox::redis_stream::{self, RedisConfig, RedisInbox, RedisSettler, RedisUrl};
use bot::inbox::{After, Inbox, InboxError, Keeper, KeptBooks, Settlement, Settler};
use bot::order::ClientOrderId;
use bot::outcome::{Outcome, OutcomeKind};
use bot::signal::EntryId;

use super::settling::Proxy;
use super::{
    NO_WAIT, SOON, config, open, open_with_lease, outcomes, pending_count, read, read_until_some, send,
    send_all, shown, skipped,
};
use crate::redis_server::{RedisServer, wait_until};

const HOLDER: &str = "{nvda}:strategies";
const BOOKS: &str = "{nvda}:books";
const BOOKED: &str = "{nvda}:booked";

/// An end that `text` of the book "trend" belongs to, an order of 5 shares, and a step that is sent next.
fn followed(id: &str, text: &str) -> Settlement {
    let next = [("ticker", "NVDA"), ("strength", "1"), ("strategy", "trend"), ("id", text), ("book", "own")];
    let order = ClientOrderId::shared(format!("bot-trend-{id}").into()).unwrap();
    let after = After {
        next: Some(next.into_iter().map(|(name, value)| (name, value.to_owned())).collect()),
        books: vec![("trend".to_owned(), text.to_owned())],
        booked: Some((order, "5".parse().unwrap())),
        ..After::default()
    };
    let outcome = Outcome::without_order(EntryId::new(id), OutcomeKind::Filled, "");
    Settlement::Followed { outcome, after: Box::new(after) }
}

fn take(settler: &mut RedisSettler) -> Keeper {
    settler.take_books(&["trend".to_owned()]).unwrap()
}

fn open_and_take(server: &RedisServer, consumer: &str) -> (RedisInbox, RedisSettler) {
    let (mut inbox, mut settler) = open(server, consumer);
    inbox.connect().unwrap();
    assert!(matches!(take(&mut settler), Keeper::Us(_)));
    (inbox, settler)
}

fn send_own(server: &RedisServer, id: &str) -> String {
    server.ask(&[
        "XADD",
        "nvda",
        id,
        "ticker",
        "NVDA",
        "direction",
        "b",
        "strategy",
        "trend",
        " Book ",
        "own",
    ])
}

/// The ids of the steps on the stream that followed, oldest first.
fn steps(server: &RedisServer) -> Vec<String> {
    let entries: Vec<(String, Vec<(String, String)>)> =
        redis::cmd("XRANGE").arg("nvda").arg("-").arg("+").query(&mut server.connection()).unwrap();
    let id = |(_, fields): (String, Vec<(String, String)>)| {
        fields.into_iter().find(|(name, _)| name == "id").map(|(_, value)| value)
    };
    entries.into_iter().filter_map(id).collect()
}

fn book(server: &RedisServer, strategy: &str) -> String {
    server.ask(&["HGET", BOOKS, strategy])
}

/// What is booked: `id shares`, in order.
fn booked(server: &RedisServer) -> Vec<String> {
    let all: std::collections::BTreeMap<String, String> =
        redis::cmd("HGETALL").arg(BOOKED).query(&mut server.connection()).unwrap();
    all.into_iter().map(|(id, value)| format!("{id} {}", value.split(' ').next().unwrap())).collect()
}

/// Puts an end that does not belong to this process's books in the way of nobody: another instance took and left.
fn take_and_leave(server: &RedisServer, consumer: &str) {
    drop(open_and_take(server, consumer));
}

#[test]
fn an_end_and_what_belongs_to_it_are_written_in_one_step() {
    let server = RedisServer::start();
    send(&server, "1-0");
    let (mut inbox, mut settler) = open_and_take(&server, "a");
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
    settler.settle(&[followed("1-0", "book 1")]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 filled"]);
    assert_eq!(steps(&server), ["book 1"]);
    assert_eq!(book(&server, "trend"), "book 1");
    assert_eq!(booked(&server), ["bot-trend-1-0 5"]);
    assert_eq!(pending_count(&server), 0);
    // The step is a signal like any other.
    assert_eq!(read(&mut inbox).len(), 1);
}

#[track_caller]
fn check_all_or_nothing(key: &str) {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut inbox, mut settler) = open_and_take(&server, "a");
    assert_eq!(read(&mut inbox).len(), 2);
    server.run(&["DEL", key]);
    server.run(&["SET", key, "a string"]);
    let batch = [followed("1-0", "book 1"), followed("2-0", "book 2")];
    let refused = settler.settle(&batch);
    assert!(matches!(refused, Err(InboxError::Misconfigured(_))), "{key}: {refused:?}");
    assert_eq!(pending_count(&server), 2, "{key}");
    assert_eq!(steps(&server), [""; 0], "{key}");
    for other in ["{nvda}:outcomes", BOOKS, BOOKED].into_iter().filter(|other| *other != key) {
        let left = server.ask(&["TYPE", other]);
        let expected = if other == BOOKS { "hash" } else { "none" };
        // A stream from which all was taken back is empty.
        let is_empty = left == "stream" && server.ask(&["XLEN", other]) == "0";
        assert!(left == expected || is_empty, "{key}: {other} is a {left}");
    }
    server.run(&["DEL", key]);
    settler.settle(&batch).unwrap();
    assert_eq!(outcomes(&server), ["1-0 filled", "2-0 filled"]);
    assert_eq!(steps(&server), ["book 1", "book 2"]);
    assert_eq!(book(&server, "trend"), "book 2");
    assert_eq!(booked(&server), ["bot-trend-1-0 5", "bot-trend-2-0 5"]);
}

#[test]
fn a_key_of_the_wrong_type_leaves_all_of_it_undone() {
    check_all_or_nothing("{nvda}:outcomes");
    check_all_or_nothing(BOOKS);
    check_all_or_nothing(BOOKED);
}

#[test]
fn a_lost_answer_does_not_make_a_second_step() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let proxy = Proxy::start(server.port());
    let config = RedisConfig { url: RedisUrl::new(proxy.url()), ..config(&server, "a") };
    let (mut inbox, mut settler) = redis_stream::open(config, Arc::new(SystemClock));
    assert_eq!(read(&mut inbox).len(), 2);
    assert!(matches!(take(&mut settler), Keeper::Us(_)));
    let batch = [followed("1-0", "book 1"), skipped("2-0")];
    proxy.lose_next_answer();
    assert!(matches!(settler.settle(&batch), Err(InboxError::Unavailable(_))));
    assert_eq!(steps(&server), ["book 1"], "it took place, only its answer was lost");
    // Not even when the hold runs out in between.
    server.run(&["DEL", HOLDER]);
    for _ in 0..2 {
        settler.settle(&batch).unwrap();
        assert_eq!(outcomes(&server), ["1-0 filled", "2-0 skipped"]);
        assert_eq!(steps(&server), ["book 1"]);
        assert_eq!(book(&server, "trend"), "book 1");
    }
    assert!(!settler.has_lost_books());
}

#[test]
fn one_process_holds_the_strategies_and_the_next_one_gets_their_books() {
    let server = RedisServer::start();
    send(&server, "1-0");
    let (mut inbox, mut first) = open_and_take(&server, "first");
    assert_eq!(read(&mut inbox).len(), 1);
    first.settle(&[followed("1-0", "book 1")]).unwrap();
    let kept = KeptBooks {
        books: vec![("other".to_owned(), "book 7".to_owned())],
        booked: vec![("bot-other-1".to_owned(), "2".parse().unwrap(), SystemClock.now())],
    };
    first.write_books(&kept).unwrap();
    let (_, mut second) = open(&server, "second");
    assert_eq!(take(&mut second), Keeper::Other("first".to_owned()));
    first.renew().unwrap();
    assert_eq!(take(&mut second), Keeper::Other("first".to_owned()));
    drop(first);
    let (_, mut third) = open(&server, "third");
    let Keeper::Us(taken) = take(&mut third) else { panic!("the first one left") };
    let text = |(strategy, book): (&str, &str)| (strategy.to_owned(), book.to_owned());
    assert_eq!(taken.books, [("other", "book 7"), ("trend", "book 1")].map(text));
    let shares: Vec<_> = taken.booked.iter().map(|(id, filled, _)| format!("{id} {filled}")).collect();
    assert_eq!(shares, ["bot-other-1 2", "bot-trend-1-0 5"]);
    assert_eq!(take(&mut second), Keeper::Other("third".to_owned()));
}

#[test]
fn a_hold_that_nobody_renews_runs_out() {
    let server = RedisServer::start();
    let _held = open_and_take(&server, "a");
    let left: i64 = server.ask(&["PTTL", HOLDER]).parse().unwrap();
    assert!((20_000..=30_000).contains(&left), "{left} ms");
    server.run(&["PEXPIRE", HOLDER, "50"]);
    let (_, mut second) = open(&server, "b");
    wait_until(SOON, || matches!(take(&mut second), Keeper::Us(_)).then_some(()))
        .expect("it did not run out");
}

#[test]
fn renewing_prolongs_only_the_own_hold() {
    let server = RedisServer::start();
    let (_inbox, mut settler) = open_and_take(&server, "a");
    server.run(&["PEXPIRE", HOLDER, "10000"]);
    settler.renew().unwrap();
    assert!(server.ask(&["PTTL", HOLDER]).parse::<i64>().unwrap() > 20_000);
    server.run(&["SET", HOLDER, r#"{"token":"x","instance":"b","consumer":"b","names":[]}"#, "PX", "10000"]);
    settler.renew().unwrap();
    assert!(server.ask(&["PTTL", HOLDER]).parse::<i64>().unwrap() <= 10_000);
    assert!(settler.has_lost_books());
    drop(settler);
    assert_eq!(server.ask(&["EXISTS", HOLDER]), "1", "it is not ours to delete");
}

#[test]
fn a_restart_of_the_same_instance_takes_over_at_once_and_its_former_life_writes_no_book() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut inbox, mut former) = open_and_take(&server, "a");
    assert_eq!(read(&mut inbox).len(), 2);
    former.settle(&[followed("1-0", "book 1")]).unwrap();
    let (_, mut settler) = open(&server, "a");
    let Keeper::Us(kept) = take(&mut settler) else { panic!("the same instance") };
    assert_eq!(kept.books, [("trend".to_owned(), "book 1".to_owned())]);
    assert!(!former.has_lost_books(), "it has not looked yet");
    // Its outcome counts, for the order was sent; nothing else does.
    former.settle(&[followed("2-0", "book 2")]).unwrap();
    assert!(former.has_lost_books());
    assert_eq!(outcomes(&server), ["1-0 filled", "2-0 filled"]);
    assert_eq!(steps(&server), ["book 1"]);
    assert_eq!(book(&server, "trend"), "book 1");
    assert_eq!(booked(&server), ["bot-trend-1-0 5"]);
    former
        .write_books(&KeptBooks { books: vec![("trend".to_owned(), "x".to_owned())], ..KeptBooks::default() })
        .unwrap();
    drop(former);
    assert_eq!(book(&server, "trend"), "book 1");
    settler.renew().unwrap();
    assert!(!settler.has_lost_books());
}

#[test]
fn a_hold_that_ran_out_goes_on_unless_another_process_had_the_strategies_since() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut inbox, mut settler) = open_and_take(&server, "a");
    assert_eq!(read(&mut inbox).len(), 2);
    server.run(&["DEL", HOLDER]);
    settler.settle(&[followed("1-0", "book 1")]).unwrap();
    assert_eq!(book(&server, "trend"), "book 1");
    let (_, mut other) = open(&server, "b");
    assert_eq!(take(&mut other), Keeper::Other("a".to_owned()));
    server.run(&["DEL", HOLDER]);
    take_and_leave(&server, "b");
    settler.settle(&[followed("2-0", "book 2")]).unwrap();
    assert!(settler.has_lost_books());
    assert_eq!(outcomes(&server), ["1-0 filled", "2-0 filled"]);
    assert_eq!(book(&server, "trend"), "book 1");
}

#[test]
fn a_process_without_strategies_writes_only_the_next_step_of_a_plain_signal() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0"]);
    let (mut inbox, mut settler) = open(&server, "a");
    assert_eq!(read(&mut inbox).len(), 2);
    let next = [("ticker", "NVDA"), ("target", "-5"), ("id", "plain step")];
    let after = After {
        next: Some(next.into_iter().map(|(name, value)| (name, value.to_owned())).collect()),
        ..After::default()
    };
    let outcome = Outcome::without_order(EntryId::new("2-0"), OutcomeKind::Filled, "");
    let plain = Settlement::Followed { outcome, after: Box::new(after) };
    settler.settle(&[followed("1-0", "book 1"), plain.clone()]).unwrap();
    settler.settle(&[plain]).unwrap();
    assert_eq!(outcomes(&server), ["1-0 filled", "2-0 filled"]);
    assert_eq!(steps(&server), ["plain step"]);
    assert_eq!(server.ask(&["EXISTS", BOOKS, BOOKED, HOLDER]), "0");
    assert!(!settler.has_lost_books());
}

#[test]
fn an_emptied_redis_gets_holder_books_outcome_and_next_step_back_with_the_next_end() {
    let server = RedisServer::start();
    send_all(&server, &["1-0", "2-0", "3-0"]);
    let (mut inbox, mut settler) = open_and_take(&server, "a");
    assert_eq!(read(&mut inbox).len(), 3);
    let kept = KeptBooks { books: vec![("other".to_owned(), "book 7".to_owned())], ..KeptBooks::default() };
    settler.write_books(&kept).unwrap();
    settler.settle(&[followed("1-0", "book 1")]).unwrap();
    server.run(&["FLUSHALL"]);
    let batch = [followed("2-0", "book 2"), followed("3-0", "book 3")];
    for _ in 0..2 {
        settler.settle(&batch).unwrap();
        assert_eq!(outcomes(&server), ["2-0 filled", "3-0 filled"]);
        assert_eq!(steps(&server), ["book 2", "book 3"]);
        assert_eq!(
            (book(&server, "trend"), book(&server, "other")),
            ("book 3".to_owned(), "book 7".to_owned())
        );
        assert_eq!(booked(&server), ["bot-trend-1-0 5", "bot-trend-2-0 5", "bot-trend-3-0 5"]);
    }
    assert_eq!(read_until_some(&mut inbox).len(), 2, "the next steps are read on the new stream");
    assert!(!settler.has_lost_books());
    let (_, mut other) = open(&server, "b");
    assert_eq!(take(&mut other), Keeper::Other("a".to_owned()));
}

#[track_caller]
fn check_written_back(loss: &[&str]) {
    let server = RedisServer::start();
    send(&server, "1-0");
    let (mut inbox, mut settler) = open_and_take(&server, "a");
    assert_eq!(read(&mut inbox).len(), 1);
    settler.settle(&[followed("1-0", "book 1")]).unwrap();
    server.run(loss);
    settler.renew().unwrap();
    assert_eq!(book(&server, "trend"), "book 1", "{loss:?}");
    assert_eq!(booked(&server), ["bot-trend-1-0 5"], "{loss:?}");
    assert_eq!(server.ask(&["EXISTS", HOLDER]), "1", "{loss:?}");
    assert!(!settler.has_lost_books());
}

#[test]
fn books_that_redis_lost_are_written_back_with_the_next_renewal() {
    check_written_back(&["FLUSHALL"]);
    check_written_back(&["DEL", BOOKS, BOOKED]);
    check_written_back(&["DEL", HOLDER]);
}

#[test]
fn booked_orders_older_than_a_day_are_gone() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let hours_ago = |hours: u64| (clock.now() - Duration::from_hours(hours)).millis();
    server.run(&[
        "HSET",
        BOOKED,
        "old",
        &format!("1 {}", hours_ago(25)),
        "young",
        &format!("2.5 {}", hours_ago(23)),
    ]);
    let (_, mut settler) = redis_stream::open(config(&server, "a"), Arc::<ManualClock>::clone(&clock));
    let Keeper::Us(kept) = take(&mut settler) else { panic!("nobody else is there") };
    let shares: Vec<_> = kept.booked.iter().map(|(id, filled, _)| format!("{id} {filled}")).collect();
    assert_eq!(shares, ["young 2.5"]);
    assert_eq!(booked(&server), ["young 2.5"]);
    clock.advance(Duration::from_hours(2));
    settler.renew().unwrap();
    assert_eq!(booked(&server), [""; 0]);
}

#[test]
fn a_group_of_another_name_has_books_of_its_own() {
    let server = RedisServer::start();
    let (_inbox, mut usual) = open_and_take(&server, "a");
    let group = RedisConfig { group: "second".to_owned(), ..config(&server, "b") };
    let (_, mut settler) = redis_stream::open(group, Arc::new(SystemClock));
    assert!(matches!(take(&mut settler), Keeper::Us(_)));
    let kept =
        |text: &str| KeptBooks { books: vec![("trend".to_owned(), text.to_owned())], ..KeptBooks::default() };
    usual.write_books(&kept("usual")).unwrap();
    settler.write_books(&kept("second")).unwrap();
    assert_eq!(book(&server, "trend"), "usual");
    assert_eq!(server.ask(&["HGET", "{nvda}:second:books", "trend"]), "second");
    assert_eq!(server.ask(&["EXISTS", "{nvda}:second:strategies"]), "1");
}

#[test]
fn a_strategys_signal_is_handed_over_to_the_process_that_holds_it_and_delivered_there_once() {
    let server = RedisServer::start();
    let (mut holder, mut settler) = open_and_take(&server, "holder");
    assert_eq!(read(&mut holder), [""; 0]);
    let (mut other, _) = open(&server, "other");
    send(&server, "1-0");
    send_own(&server, "2-0");
    send(&server, "3-0");
    assert_eq!(read(&mut other), ["1-0 x1", "3-0 x1"]);
    let line = server.ask(&["XPENDING", "nvda", "bot", "2-0", "2-0", "1"]);
    assert!(line.starts_with("2-0 holder ") && line.ends_with(" 0"), "nobody worked on it: {line}");
    let handed_over_at = SystemClock.now();
    let found = wait_until(SOON, || {
        Some(shown(&holder.read(10, SystemClock.now() + Duration::from_secs(10)).unwrap()))
            .filter(|found| !found.is_empty())
    });
    assert_eq!(found.unwrap(), ["2-0 x1"]);
    let took = SystemClock.now().since(handed_over_at);
    assert!(took < Duration::from_secs(2), "{took:?}");
    // The walk comes round again, and what is worked on stays where it is.
    let until = SystemClock.now() + Duration::from_millis(1_200);
    while SystemClock.now() < until {
        assert_eq!(shown(&holder.read(10, SystemClock.now() + Duration::from_millis(50)).unwrap()), [""; 0]);
        assert_eq!(shown(&other.read(10, NO_WAIT).unwrap()), [""; 0]);
    }
    settler.settle(&[skipped("2-0")]).unwrap();
    assert_eq!(outcomes(&server), ["2-0 skipped"]);
    assert_eq!(pending_count(&server), 2);
}

#[test]
fn a_strategys_signal_that_was_left_behind_is_handed_over_too() {
    let server = RedisServer::start();
    send_own(&server, "1-0");
    send_own(&server, "2-0");
    let (mut dead, _) = open_with_lease(&server, "dead", 100);
    // Nobody holds the strategies: it is delivered as usual.
    assert_eq!(shown(&dead.read(1, NO_WAIT).unwrap()), ["1-0 x1"]);
    let (mut holder, _settler) = open_and_take(&server, "holder");
    let (mut other, _) = open_with_lease(&server, "other", 100);
    let handed_over = wait_until(SOON, || {
        assert_eq!(read(&mut other), [""; 0]);
        (server.ask(&["XPENDING", "nvda", "bot", "-", "+", "10", "holder"]).matches("holder").count() == 2)
            .then_some(())
    });
    handed_over.expect("it was not handed over");
    let mut found = Vec::new();
    wait_until(SOON, || {
        found.extend(shown(&holder.read(10, SystemClock.now() + Duration::from_millis(20)).unwrap()));
        (found.len() >= 2).then_some(())
    });
    // With so short a lease it may have gone back and forth: only who works on it counts.
    let mut ids: Vec<_> = found.iter().map(|entry| entry.split(' ').next().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1-0", "2-0"]);
}

#[test]
fn a_holder_that_cannot_be_read_is_told_and_left_alone() {
    let server = RedisServer::start();
    server.run(&["SET", HOLDER, "somebody"]);
    send_own(&server, "1-0");
    let (mut inbox, mut settler) = open(&server, "a");
    let refused = settler.take_books(&["trend".to_owned()]);
    let Err(InboxError::Misconfigured(text)) = refused else { panic!("{refused:?}") };
    assert!(
        text.starts_with("{nvda}:strategies must be who runs the strategies, was \"somebody\""),
        "{text}"
    );
    assert_eq!(server.ask(&["GET", HOLDER]), "somebody");
    assert_eq!(read(&mut inbox), ["1-0 x1"]);
}
