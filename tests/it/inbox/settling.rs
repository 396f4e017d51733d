//! Settling: one outcome for each entry, through lost answers, stalled instances and dead ones.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bot::clock::{Clock, SystemClock};
use bot::inbox::redis_stream::{self, RedisConfig, RedisUrl};
use bot::inbox::{Delivery, Inbox, InboxError, Settlement, Settler};
use bot::signal::{Entry, EntryId};

use super::{
    NO_WAIT, SOON, config, open, open_with_lease, outcomes, pending_count, read, read_until_some, send,
    send_all, shown, skipped,
};
use crate::redis_server::{RedisServer, wait_until};

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
    for id in &ids {
        send(&server, id);
    }
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
        found.extend(shown(&inbox.read(2, SystemClock.now() + Duration::from_millis(10)).unwrap()));
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
    let (mut owner, mut settler) = open_with_lease(&server, "live", 1_000);
    assert_eq!(read(&mut owner).len(), 2);
    // One of them loses its body: then it cannot be renewed, and is left to its owner all the same.
    server.run(&["XDEL", "nvda", "2-0"]);
    let (mut inbox, _) = open_with_lease(&server, "a", 1_000);
    let until = SystemClock.now() + Duration::from_millis(2_500);
    while SystemClock.now() < until {
        settler.renew().unwrap();
        assert_eq!(shown(&inbox.read(10, SystemClock.now() + Duration::from_millis(20)).unwrap()), [""; 0]);
    }
    let line = server.ask(&["XPENDING", "nvda", "bot", "-", "+", "10", "live"]);
    assert!(line.starts_with("1-0 live") && line.ends_with(" 1"), "renewing counts no delivery: {line}");
    assert_eq!(pending_count(&server), 2);
    settler.settle(&[skipped("1-0"), skipped("2-0")]).unwrap();
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
                for delivery in inbox.read(7, SystemClock.now() + Duration::from_millis(20)).unwrap() {
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
    assert!(dead.contains("signal 1-0 reason too much (19000 fields left out) 0 0 1 1"), "{dead:.200}");
}

/// Passes bytes on to a server, until it is told to swallow an answer and hang up.
pub(super) struct Proxy {
    port: u16,
    lose: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) fn start(to_port: u16) -> Self {
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

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn lose_next_answer(&self) {
        self.lose.store(true, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, lose: Option<&AtomicBool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if lose.is_some_and(|lose| lose.swap(false, Ordering::SeqCst))
            || to.write_all(&buffer[..len]).is_err()
        {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
