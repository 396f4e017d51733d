//! Numbers from a Redis stream in the feed, over a real server.

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use bot::clock::SystemClock;
use bot::feed::Feed;
use bot::inbox::redis_stream::RedisUrl;
use bot::inbox::tail::Tail;
use bot::live::numbers::{self, NumbersRead};
use bot::market::MarketEvent;
use crossbeam_channel::{Receiver, Sender};

use crate::redis_server::RedisServer;

const LONG: Duration = Duration::from_secs(30);

/// Somebody who listens to the stream `scores` of `server`.
struct Listening {
    events: Receiver<MarketEvent>,
    stop: Sender<Infallible>,
    thread: thread::JoinHandle<NumbersRead>,
}

impl Listening {
    fn start(server: &RedisServer) -> Self {
        let feed = Feed::default();
        let events = feed.subscribe("test", 100);
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let mut tail = Tail::new(RedisUrl::new(server.url()), "scores");
        let series = "NEWS".parse().unwrap();
        let publish = move || numbers::publish(&mut tail, series, &feed, &SystemClock, &stopped);
        Self { events, stop, thread: thread::spawn(publish) }
    }

    #[track_caller]
    fn next(&self) -> String {
        let event = self.events.recv_timeout(LONG).unwrap();
        let MarketEvent::Number { symbol, number } = event else { panic!("{event:?}") };
        format!("{symbol} {} {}", number.value, number.at)
    }

    /// What became of all, and what was published and not looked at.
    fn end(self) -> (NumbersRead, usize) {
        drop(self.stop);
        let read = self.thread.join().unwrap();
        (read, self.events.try_iter().count())
    }
}

#[test]
fn the_latest_number_comes_at_first_and_then_each_as_it_is_added() {
    let server = RedisServer::start();
    server.run(&["XADD", "scores", "1700000000000-0", "value", "1"]);
    server.run(&["XADD", "scores", "1700000001000-0", "value", "2"]);
    let listening = Listening::start(&server);
    assert_eq!(listening.next(), "NEWS 2 2023-11-14T22:13:21Z");
    server.run(&["XADD", "scores", "1700000002000-0", "Value", "-0.5", "time", "2023-11-14T22:13:20Z"]);
    assert_eq!(listening.next(), "NEWS -0.5 2023-11-14T22:13:20Z");
    assert_eq!(listening.end(), (NumbersRead { numbers: 2, bad: 0, faults: 0 }, 0));
}

#[test]
fn bad_entries_are_counted_and_end_nothing() {
    let server = RedisServer::start();
    server.run(&["XADD", "scores", "1700000000000-0", "value", "1"]);
    let listening = Listening::start(&server);
    assert_eq!(listening.next(), "NEWS 1 2023-11-14T22:13:20Z");
    server.run(&["XADD", "scores", "1700000001000-0", "value", "NaN"]);
    server.run(&["XADD", "scores", "1700000002000-0", "score", "1"]);
    server.run(&["XADD", "scores", "1700000003000-0", "value", "3"]);
    assert_eq!(listening.next(), "NEWS 3 2023-11-14T22:13:23Z");
    assert_eq!(listening.end(), (NumbersRead { numbers: 2, bad: 2, faults: 0 }, 0));
}

#[test]
fn a_stream_that_is_not_there_yet_is_heard_from_its_first_number_on() {
    let server = RedisServer::start();
    let listening = Listening::start(&server);
    for count in 0..3 {
        server.run(&["XADD", "scores", &format!("170000000{count}000-0"), "value", &count.to_string()]);
    }
    let last = std::iter::repeat_with(|| listening.next()).find(|number| number.starts_with("NEWS 2 "));
    assert_eq!(last.as_deref(), Some("NEWS 2 2023-11-14T22:13:22Z"));
    assert_eq!(listening.end().1, 0);
}

#[test]
fn numbers_are_read_again_after_redis_was_away_and_none_comes_twice() {
    let mut server = RedisServer::start_durable();
    server.run(&["XADD", "scores", "1700000000000-0", "value", "1"]);
    let listening = Listening::start(&server);
    assert_eq!(listening.next(), "NEWS 1 2023-11-14T22:13:20Z");
    server.restart();
    server.run(&["XADD", "scores", "1700000001000-0", "value", "2"]);
    server.run(&["XADD", "scores", "1700000002000-0", "value", "3"]);
    assert_eq!(listening.next(), "NEWS 2 2023-11-14T22:13:21Z");
    assert_eq!(listening.next(), "NEWS 3 2023-11-14T22:13:22Z");
    let (read, unread) = listening.end();
    assert!(read.faults >= 1, "{read:?}");
    assert_eq!((read.numbers, read.bad, unread), (3, 0, 0));
}

#[test]
fn a_stream_that_begins_anew_is_heard_from_its_latest_number_on() {
    // This server forgets everything when it ends.
    let mut server = RedisServer::start();
    server.run(&["XADD", "scores", "1700000000000-0", "value", "1"]);
    let listening = Listening::start(&server);
    assert_eq!(listening.next(), "NEWS 1 2023-11-14T22:13:20Z");
    server.restart();
    server.run(&["XADD", "scores", "1600000000000-0", "value", "2"]);
    assert_eq!(listening.next(), "NEWS 2 2020-09-13T12:26:40Z");
    assert_eq!(listening.end().0.numbers, 2);
}

#[test]
fn who_waits_for_redis_is_ended_at_once() {
    let mut server = RedisServer::start();
    server.kill();
    let (read, unread) = Listening::start(&server).end();
    assert_eq!((read.numbers, unread), (0, 0));
}
