//! `bot run --record` end to end: what the exchange showed is in the files, whatever happened in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bot::broker::MarketNews;
use bot::history::{self, OnFault};
use bot::market::MarketEvent;
use serde_json::Value;

use super::{LONG, Watcher, config, exchange_with, real_time};
use crate::redis_server::wait_until;
use crate::test_bed::{Bot, SECRET, TestBed, exits, said, summary};

fn recorded(place: &Path) -> Vec<MarketEvent> {
    let history = history::read(place, OnFault::Error).unwrap();
    history.collect::<Result<_, _>>().unwrap()
}

/// How many lines of quotes there are by now.
fn quotes(place: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(place) else { return 0 };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("quotes-"))
        .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
        .sum()
}

/// All but the folders of the sessions.
fn event_files(place: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

fn wait_for_quotes(place: &Path, count: usize) {
    let there = wait_until(LONG, || (quotes(place) >= count).then_some(()));
    assert!(there.is_some(), "{} of {count} quotes", quotes(place));
}

fn record(bed: &TestBed, more: &[&str]) -> Bot {
    let place = bed.state("events");
    let arguments = [&["run", "--json", "--rate-limit", "off", "--record", place.to_str().unwrap()], more];
    Bot::start(bed.command("state", &arguments.concat()))
}

#[test]
fn a_recording_holds_what_the_exchange_showed_and_reads_back_to_the_bit() {
    let bed = TestBed::new();
    let place = bed.state("events");
    let witness = Watcher::start(config(bed.exchange().addr()), true);
    witness.wait_for("a connection", |witness| witness.count(MarketNews::Connected) == 1);
    let bot = record(&bed, &[]);
    wait_for_quotes(&place, 20);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let found = recorded(&place);
    let last = found.last().unwrap().known_at();
    witness.wait_for("as much", |witness| witness.events().last().unwrap().known_at() > last);

    let mut shown = witness.events();
    shown.sort_by_key(|event| (event.known_at(), matches!(event, MarketEvent::Trade { .. })));
    // Before the stream was connected, polled prices stood in for it.
    let connected = found[0].known_at() + Duration::from_secs(1);
    let after = |events: &[MarketEvent]| -> Vec<MarketEvent> {
        events
            .iter()
            .filter(|event| event.known_at() > connected && event.known_at() <= last)
            .copied()
            .collect()
    };
    assert_eq!(after(&found), after(&shown));
    assert!(after(&found).len() >= 10);
    assert!(found.iter().all(|event| shown.contains(event)));
    let summary = summary(&output);
    assert_eq!(summary["recorded"]["events"], found.len());
    assert_eq!(summary["recorded"]["dropped"], 0);
    assert_eq!(summary["recorded"]["failed"], 0);
    assert!(said(&output).contains("market data stream is connected"), "{}", said(&output));
    assert!(!said(&output).contains(SECRET));
}

#[test]
fn a_recording_that_was_killed_is_gone_on_with() {
    let bed = TestBed::new();
    let place = bed.state("events");
    let bot = record(&bed, &[]);
    wait_for_quotes(&place, 5);
    bot.signal("KILL");
    bot.end();
    let before = recorded(&place);
    assert!(before.len() >= 8);
    for path in event_files(&place) {
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole + "2026-11-20T15:30:0").unwrap();
    }
    assert_eq!(recorded(&place), before, "a torn line is left out");
    let bot = record(&bed, &[]);
    let enough = before.len() + 10;
    wait_for_quotes(&place, enough);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    assert!(said(&output).contains("a torn last line is cut off"), "{}", said(&output));
    let all = recorded(&place);
    assert_eq!(all[..before.len()], before);
    assert_eq!(summary(&output)["recorded"]["events"], all.len() - before.len());
}

#[test]
fn a_recording_as_parquet_leaves_parquet_alone_and_reads_back_to_the_bit() {
    let bed = TestBed::new();
    let place = bed.state("events");
    let bot = record(&bed, &["--record-format", "parquet"]);
    wait_for_quotes(&place, 5);
    bot.signal("KILL");
    bot.end();
    let before = recorded(&place);
    assert!(before.len() >= 8, "a crash leaves CSV that reads");
    let witness = Watcher::start(config(bed.exchange().addr()), true);
    witness.wait_for("a connection", |witness| witness.count(MarketNews::Connected) == 1);
    let bot = record(&bed, &["--record-format", "parquet"]);
    wait_for_quotes(&place, before.len() + 10);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    assert!(
        event_files(&place).iter().all(|path| path.extension().is_some_and(|ending| ending == "parquet"))
    );
    let all = recorded(&place);
    assert_eq!(all[..before.len()], before);
    assert!(all.is_sorted_by_key(MarketEvent::known_at));
    assert_eq!(summary(&output)["recorded"]["events"], all.len() - before.len());
    let last = all.last().unwrap().known_at();
    witness.wait_for("as much", |witness| witness.events().last().unwrap().known_at() > last);
    let shown = witness.events();
    assert!(all[before.len()..].iter().all(|event| shown.contains(event)));
}

#[test]
fn polled_prices_are_recorded_while_the_stream_refuses_the_keys() {
    let bed = TestBed::new();
    let place = bed.state("events");
    let strict = exchange_with(&real_time(), |config| {
        config.key = Some("another".to_owned());
    });
    let arguments =
        ["run", "--json", "--price-interval", "50ms", "--rate-limit", "off", "--record", "events"];
    let mut command = bed.command("state", &arguments);
    command.env("APCA_API_DATA_STREAM_URL", format!("ws://{}", strict.addr()));
    let bot = Bot::start(command);
    wait_for_quotes(&place, 10);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    assert_eq!(said(&output).matches("market data stream is refused").count(), 1, "{}", said(&output));
    assert!(said(&output).contains("error 402: auth failed"), "{}", said(&output));
    assert!(!said(&output).contains(SECRET));
    assert_eq!(strict.counts().connections, 1);
    assert!(recorded(&place).len() >= 18);
}

#[test]
fn a_recording_of_polled_prices_alone_opens_no_stream() {
    let bed = TestBed::new();
    let bot = record(&bed, &["--feed", "poll", "--price-interval", "50ms"]);
    wait_for_quotes(&bed.state("events"), 5);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    assert!(!said(&output).contains("market data stream"), "{}", said(&output));
    assert_ne!(summary(&output)["recorded"]["events"], Value::from(0));
}

#[test]
fn a_place_that_cannot_be_recorded_to_is_told_before_anything_starts() {
    let bed = TestBed::new();
    let output = bed.run(&["run", "--record", "/dev/null/events"]);
    exits(&output, 1);
    assert!(said(&output).contains("cannot record: /dev/null/events: "), "{}", said(&output));
}

#[test]
fn the_data_stream_never_prints_a_secret() {
    let bed = TestBed::new();
    let mut command = bed.command("state", &["run", "--record", "events", "-vv"]);
    command.env("RUST_LOG", "trace");
    let bot = Bot::start(command);
    wait_for_quotes(&bed.state("events"), 3);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    assert!(said(&output).contains("market data is subscribed to"), "the log is there");
    assert!(!said(&output).contains(SECRET) && !String::from_utf8_lossy(&output.stdout).contains(SECRET));
    assert!(String::from_utf8_lossy(&output.stdout).contains("market events in events"));
}

#[test]
fn a_simulated_broker_has_no_stream_and_its_polled_prices_are_recorded() {
    let bed = TestBed::new();
    let bot = record(&bed, &["--broker", "simulated", "--price-interval", "50ms"]);
    wait_for_quotes(&bed.state("events"), 5);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    assert_ne!(summary(&output)["recorded"]["events"], 0);
}

#[test]
fn a_format_of_records_without_records_is_a_usage_error() {
    let bed = TestBed::new();
    let output = bed.run(&["run", "--record-format", "parquet"]);
    exits(&output, 2);
    assert!(said(&output).contains("--record <DIR>"), "{}", said(&output));
}
