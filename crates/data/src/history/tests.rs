//! What is recorded is read back, whatever happened to the files in between.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{OnFault, RecordFormat, Recorder, read};
use bot_core::clock::Timestamp;
use bot_core::market::{Bar, MarketEvent, Number, Quote, Trade};

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn trade(at: &str, price: f64) -> MarketEvent {
    let trade = Trade { at: time(at), price, size: 1.0 };
    MarketEvent::Trade { symbol: "NVDA".parse().unwrap(), trade }
}

fn quote(at: &str, bid: f64) -> MarketEvent {
    let quote = Quote { at: time(at), bid, bid_size: 1.0, ask: bid + 1.0, ask_size: 2.0 };
    MarketEvent::Quote { symbol: "NVDA".parse().unwrap(), quote }
}

fn bar(at: &str, close: f64) -> MarketEvent {
    let bar = Bar { at: time(at), open: close, high: close, low: close, close, volume: 9.0 };
    MarketEvent::Bar { symbol: "NVDA".parse().unwrap(), bar, span: Duration::from_mins(1) }
}

fn record(directory: &Path, events: &[MarketEvent]) {
    let mut recorder = Recorder::open(directory, RecordFormat::Csv).unwrap();
    for event in events {
        recorder.record(event).unwrap();
    }
    recorder.flush().unwrap();
}

fn turn(directory: &Path) {
    Recorder::open(directory, RecordFormat::Parquet).unwrap().end().unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    names
}

/// Everything that can be read, and what was left out as torn and as skipped.
fn replayed(directory: &Path) -> (Vec<MarketEvent>, u64, u64) {
    let mut history = read(directory, OnFault::Skip).unwrap();
    let events = history.by_ref().map(Result::unwrap).collect();
    (events, history.torn(), history.skipped())
}

fn append(directory: &Path, file: &str, text: &str) {
    let path = directory.join(file);
    let whole = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, whole + text).unwrap();
}

#[track_caller]
fn check_fault(file: &str, text: &str, expected: &str) {
    let place = TempDir::new().unwrap();
    append(place.path(), file, text);
    let found = match read(place.path(), OnFault::Error) {
        Ok(history) => {
            history.filter_map(Result::err).map(|error| error.to_string()).collect::<Vec<_>>().join("; ")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(found.replace(place.path().to_str().unwrap(), "DIR"), expected);
}

#[test]
fn each_kind_and_new_york_day_has_its_file_and_times_have_nanoseconds() {
    let place = TempDir::new().unwrap();
    record(
        place.path(),
        &[
            trade("2026-11-20T15:30:00Z", 180.1),
            trade("2026-11-21T04:59:59.999999999Z", 0.1 + 0.2),
            trade("2026-11-21T05:00:00Z", 181.0),
            quote("2026-11-20T15:30:00.5Z", 180.0),
            bar("2026-11-20T15:30:00Z", 180.0),
        ],
    );
    let text = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(
        text("trades-2026-11-20.csv"),
        "time,symbol,price,size\n2026-11-20T15:30:00.000000000Z,NVDA,180.1,1\n\
         2026-11-21T04:59:59.999999999Z,NVDA,0.30000000000000004,1\n"
    );
    assert_eq!(
        text("trades-2026-11-21.csv"),
        "time,symbol,price,size\n2026-11-21T05:00:00.000000000Z,NVDA,181,1\n"
    );
    assert_eq!(
        text("quotes-2026-11-20.csv"),
        "time,symbol,bid,bid_size,ask,ask_size\n2026-11-20T15:30:00.500000000Z,NVDA,180,1,181,2\n"
    );
    assert_eq!(
        text("bars-2026-11-20.csv"),
        "time,symbol,span_ns,open,high,low,close,volume\n2026-11-20T15:30:00.000000000Z,NVDA,60000000000,180,180,180,180,9\n"
    );
}

#[test]
fn events_come_back_by_time_then_kind_then_line_and_a_bar_at_its_end() {
    let place = TempDir::new().unwrap();
    let (bar, later) = (bar("2026-11-20T15:29:00Z", 1.0), bar("2026-11-21T05:00:00Z", 2.0));
    let (first, second) = (trade("2026-11-20T15:30:00Z", 2.0), trade("2026-11-20T15:30:00Z", 1.0));
    let (quote, early) = (quote("2026-11-20T15:30:00Z", 3.0), trade("2026-11-20T15:29:30Z", 4.0));
    record(place.path(), &[later, bar, first, second, quote, early]);
    assert_eq!(replayed(place.path()), (vec![early, quote, first, second, bar, later], 0, 0));
}

#[test]
fn a_torn_last_line_is_left_out_by_the_reader_and_cut_off_by_the_recorder() {
    let place = TempDir::new().unwrap();
    let (one, two) = (trade("2026-11-20T15:30:00Z", 1.0), trade("2026-11-20T15:30:01Z", 2.0));
    record(place.path(), &[one]);
    // It would read as a whole line, with another price.
    append(place.path(), "trades-2026-11-20.csv", "2026-11-20T15:30:00.100000000Z,NVDA,18");
    assert_eq!(replayed(place.path()), (vec![one], 1, 0));
    let strict = read(place.path(), OnFault::Error).unwrap();
    assert_eq!(strict.map(Result::unwrap).collect::<Vec<_>>(), [one]);
    record(place.path(), &[two]);
    assert_eq!(replayed(place.path()), (vec![one, two], 0, 0));
}

#[test]
fn a_file_torn_in_its_header_is_begun_again() {
    let place = TempDir::new().unwrap();
    append(place.path(), "trades-2026-11-20.csv", "time,sym");
    assert_eq!(replayed(place.path()), (vec![], 1, 0));
    let one = trade("2026-11-20T15:30:00Z", 1.0);
    record(place.path(), &[one]);
    assert_eq!(replayed(place.path()), (vec![one], 0, 0));
}

#[test]
fn a_line_that_cannot_be_read_is_told_with_file_and_line() {
    const FILE: &str = "trades-2026-11-20.csv";
    let with_header = |line: &str| format!("time,symbol,price,size\n{line}\n");
    check_fault(
        FILE,
        "time,price\n",
        "DIR/trades-2026-11-20.csv:1: header must be \"time,symbol,price,size\", was \"time,price\"",
    );
    check_fault(
        FILE,
        &with_header("2026-11-20T15:30:00Z,NVDA,NaN,1"),
        "DIR/trades-2026-11-20.csv:2: price cannot be read, was \"NaN\": numbers must be finite and 0 or more",
    );
    check_fault(
        FILE,
        &with_header("2026-11-20T15:30:00Z,NVDA,1"),
        "DIR/trades-2026-11-20.csv:2: size is missing",
    );
    check_fault(
        FILE,
        &with_header("2026-11-20T15:30:00Z,NVDA,1,1,1"),
        "DIR/trades-2026-11-20.csv:2: line must end after time,symbol,price,size, went on with \"1\"",
    );
    check_fault(
        FILE,
        &with_header("noon,NVDA,1,1"),
        "DIR/trades-2026-11-20.csv:2: time cannot be read, was \"noon\": time must be RFC 3339 such as \
         2026-11-20T15:30:00Z, was \"noon\"",
    );
    check_fault(
        FILE,
        &with_header(&"x".repeat(2_000_000)),
        "DIR/trades-2026-11-20.csv:2: a line must have fewer than 1048576 bytes, had more",
    );
    check_fault(
        "notes.txt",
        "",
        "DIR must hold quotes-, trades- or bars-YYYY-MM-DD.csv or .parquet, held none",
    );
}

#[test]
fn faulty_lines_are_skipped_and_counted_when_asked() {
    let place = TempDir::new().unwrap();
    let (one, two) = (trade("2026-11-20T15:30:00Z", 1.0), trade("2026-11-20T15:30:01Z", 2.0));
    record(place.path(), &[one]);
    append(place.path(), "trades-2026-11-20.csv", &format!("odd\n{}\n", "x".repeat(3_000_000)));
    record(place.path(), &[two]);
    assert_eq!(replayed(place.path()), (vec![one, two], 0, 2));
}

#[test]
fn a_line_too_far_out_of_order_is_a_fault_and_never_a_step_back_in_time() {
    let place = TempDir::new().unwrap();
    let at = |second: u32| format!("2026-11-20T15:{:02}:{:02}Z", second / 60, second % 60);
    let mut events: Vec<_> = (1..=2_000).map(|second| trade(&at(second), f64::from(second))).collect();
    record(place.path(), &events);
    record(place.path(), &[trade(&at(1_500), 9.0), trade(&at(0), 9.0)]);
    events.insert(1_500, trade(&at(1_500), 9.0));
    assert_eq!(replayed(place.path()), (events, 0, 1));
    let last = read(place.path(), OnFault::Error).unwrap().last().unwrap().unwrap_err().to_string();
    assert!(last.contains("trades-2026-11-20.csv:2003: time must be in order within 1024 lines"), "{last}");
}

#[test]
fn an_orderly_end_leaves_parquet_and_a_later_run_adds_to_it() {
    let place = TempDir::new().unwrap();
    let (one, two) = (trade("2026-11-20T15:30:00Z", 0.1 + 0.2), trade("2026-11-20T15:30:01Z", 2.0));
    let bar = bar("2026-11-20T15:29:00Z", 1.0);
    record(place.path(), &[one, bar]);
    turn(place.path());
    assert_eq!(names(place.path()), ["bars-2026-11-20.parquet", "trades-2026-11-20.parquet"]);
    assert_eq!(replayed(place.path()), (vec![one, bar], 0, 0));
    record(place.path(), &[two]);
    append(place.path(), "trades-2026-11-20.csv", "2026-11-20T15:30:0");
    assert_eq!(replayed(place.path()), (vec![one, bar, two], 1, 0), "a crash leaves what reads beside it");
    turn(place.path());
    assert_eq!(names(place.path()), ["bars-2026-11-20.parquet", "trades-2026-11-20.parquet"]);
    assert_eq!(replayed(place.path()), (vec![one, bar, two], 0, 0));
}

#[test]
fn a_crash_while_a_file_is_turned_loses_and_doubles_nothing() {
    const NAMES: [&str; 3] =
        ["trades-2026-11-20.csv", "trades-2026-11-20.parquet", "trades-2026-11-20.parquet.new"];
    let place = TempDir::new().unwrap();
    let [csv, parquet, new] = NAMES.map(|name| place.path().join(name));
    let (one, two) = (trade("2026-11-20T15:30:00Z", 1.0), trade("2026-11-20T15:30:01Z", 2.0));
    let three = trade("2026-11-20T15:30:02Z", 3.0);
    record(place.path(), &[one]);
    turn(place.path());
    let old = fs::read(&parquet).unwrap();
    record(place.path(), &[two]);
    let lines = fs::read(&csv).unwrap();
    turn(place.path());

    // The new file is written in part, or whole, and the CSV file is still there.
    let whole = fs::read(&parquet).unwrap();
    for part in [&whole[..9], &whole] {
        fs::write(&new, part).unwrap();
        fs::write(&parquet, &old).unwrap();
        fs::write(&csv, &lines).unwrap();
        assert_eq!(replayed(place.path()), (vec![one, two], 0, 0));
        turn(place.path());
        assert_eq!(names(place.path()), [NAMES[1]]);
        assert_eq!(replayed(place.path()), (vec![one, two], 0, 0));
    }
    // The CSV file is gone, and the new file has its name not yet.
    fs::rename(&parquet, &new).unwrap();
    fs::write(&parquet, &old).unwrap();
    assert_eq!(replayed(place.path()), (vec![one, two], 0, 0));
    record(place.path(), &[three]);
    assert_eq!(names(place.path()), NAMES[..2]);
    assert_eq!(replayed(place.path()), (vec![one, two, three], 0, 0));
}

#[test]
fn a_day_is_turned_once_a_second_day_has_begun_after_it() {
    let place = TempDir::new().unwrap();
    let events = ["18", "19", "18", "20", "19"].map(|day| trade(&format!("2026-11-{day}T15:30:00Z"), 1.0));
    let mut recorder = Recorder::open(place.path(), RecordFormat::Parquet).unwrap();
    for event in &events {
        recorder.record(event).unwrap();
    }
    let found = names(place.path());
    assert_eq!(found, ["trades-2026-11-18.parquet", "trades-2026-11-19.csv", "trades-2026-11-20.csv"]);
    recorder.end().unwrap();
    assert!(names(place.path()).iter().all(|name| name.ends_with(".parquet")));
    assert_eq!(replayed(place.path()).0.len(), events.len());
}

#[test]
fn a_file_that_another_recorder_writes_to_is_not_turned() {
    let place = TempDir::new().unwrap();
    let one = trade("2026-11-20T15:30:00Z", 1.0);
    let mut other = Recorder::open(place.path(), RecordFormat::Csv).unwrap();
    other.record(&one).unwrap();
    turn(place.path());
    assert_eq!(names(place.path()), ["trades-2026-11-20.csv"]);
    other.end().unwrap();
    assert_eq!(replayed(place.path()), (vec![one], 0, 0));
}

#[test]
fn a_broken_parquet_file_is_told_by_name_or_left_out() {
    const FILE: &str = "trades-2026-11-20.parquet";
    let place = TempDir::new().unwrap();
    let (one, bar) = (trade("2026-11-20T15:30:00Z", 1.0), bar("2026-11-20T15:29:00Z", 1.0));
    record(place.path(), &[one, bar]);
    turn(place.path());
    let told = || {
        let first = read(place.path(), OnFault::Error).unwrap().find_map(Result::err);
        first
            .map(|error| error.to_string().replace(place.path().to_str().unwrap(), "DIR"))
            .unwrap_or_default()
    };
    let whole = fs::read(place.path().join(FILE)).unwrap();
    let mut garbled = whole.clone();
    garbled[4..24].fill(0xff);
    for broken in [&whole[..whole.len() - 1], &whole[..3], &garbled] {
        fs::write(place.path().join(FILE), broken).unwrap();
        assert!(told().starts_with("DIR/trades-2026-11-20.parquet: "), "{}", told());
        assert_eq!(replayed(place.path()), (vec![bar], 0, 1));
    }
    fs::copy(place.path().join("bars-2026-11-20.parquet"), place.path().join(FILE)).unwrap();
    assert!(
        told().starts_with("DIR/trades-2026-11-20.parquet: columns must be \"required INT64 time"),
        "{}",
        told()
    );

    // What is recorded beside it stays CSV.
    record(place.path(), &[one]);
    let error = Recorder::open(place.path(), RecordFormat::Parquet).unwrap().end().unwrap_err();
    assert!(error.to_string().contains(FILE), "{error}");
    assert!(names(place.path()).contains(&"trades-2026-11-20.csv".to_owned()));
}

#[test]
fn a_row_that_makes_no_event_is_told_with_file_and_row() {
    let place = TempDir::new().unwrap();
    let events = [trade("2026-11-20T15:30:00Z", 1.0), trade("2026-11-20T15:30:01Z", -2.0)];
    let path = place.path().join("trades-2026-11-20.parquet");
    let mut writer = super::parquet::DayWriter::create(super::file::FileKind::Trades, &path).unwrap();
    for event in &events {
        writer.push(event).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(replayed(place.path()), (vec![events[0]], 0, 1));
    let error = read(place.path(), OnFault::Error).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(
        error.ends_with("trades-2026-11-20.parquet:2: price must be finite and 0 or more, was -2"),
        "{error}"
    );
}

#[test]
fn a_day_of_many_groups_of_rows_reads_back() {
    let place = TempDir::new().unwrap();
    let start = time("2026-11-20T15:30:00Z").nanos();
    let path = place.path().join("trades-2026-11-20.parquet");
    let mut writer = super::parquet::DayWriter::create(super::file::FileKind::Trades, &path).unwrap();
    let event = |place: i32| {
        let trade =
            Trade { at: Timestamp::from_nanos(start + i64::from(place)), price: f64::from(place), size: 1.0 };
        MarketEvent::Trade { symbol: "NVDA".parse().unwrap(), trade }
    };
    for place in 0..150_000 {
        writer.push(&event(place)).unwrap();
    }
    writer.finish().unwrap();
    assert!(read(place.path(), OnFault::Error).unwrap().map(Result::unwrap).eq((0..150_000).map(event)));
}

fn events() -> impl Strategy<Value = MarketEvent> {
    // From 1980 to 2100, in nanoseconds; close together so that some share an instant.
    let at = prop_oneof![
        0..4_102_444_800_000_000_000_i64,
        1_795_000_000_000_000_000..1_795_000_000_000_000_009_i64
    ]
    .prop_map(Timestamp::from_nanos);
    let number = || prop_oneof![Just(0.0), 0.0..1_000.0, proptest::num::f64::POSITIVE];
    let symbol = "[A-Z][A-Z0-9./-]{0,14}".prop_map(|ticker| ticker.parse().unwrap());
    let numbers = (number(), number(), number(), number(), number());
    (0..4, at, symbol, numbers, any::<u32>()).prop_map(|(kind, at, symbol, (a, b, c, d, e), span)| match kind
    {
        0 => MarketEvent::Quote { symbol, quote: Quote { at, bid: a, bid_size: b, ask: c, ask_size: d } },
        1 => MarketEvent::Trade { symbol, trade: Trade { at, price: a, size: b } },
        2 => MarketEvent::Number { symbol, number: Number { at, value: a - b } },
        _ => MarketEvent::Bar {
            symbol,
            bar: Bar { at, open: a, high: b, low: c, close: d, volume: e },
            span: Duration::from_nanos(span.into()),
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_recorded_parquet_file_with_any_byte_changed_never_panics(at in 0_usize..10_000, byte in any::<u8>(), cut in 0_usize..100) {
        let place = TempDir::new().unwrap();
        record(place.path(), &[trade("2026-11-20T15:30:00Z", 0.1), trade("2026-11-20T15:30:01Z", 2.0)]);
        turn(place.path());
        let path = place.path().join("trades-2026-11-20.parquet");
        let mut bytes = fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - if cut < 10 { cut } else { 0 });
        fs::write(&path, bytes).unwrap();
        let history = read(place.path(), OnFault::Skip).unwrap();
        prop_assert!(history.filter_map(Result::ok).count() <= 2);
    }

    #[test]
    fn what_is_recorded_is_read_back_in_order_of_time(events in prop::collection::vec(events(), 1..60)) {
        let place = TempDir::new().unwrap();
        record(place.path(), &events);
        let (found, torn, skipped) = replayed(place.path());
        let kind = |event: &MarketEvent| match event {
            MarketEvent::Quote { .. } => 0,
            MarketEvent::Trade { .. } => 1,
            MarketEvent::Bar { .. } => 2,
            MarketEvent::Number { .. } => 3,
        };
        let day = |event: &MarketEvent| super::file::DayFile::of(event).day;
        let mut expected = events;
        expected.sort_by_key(|event| (event.known_at(), day(event), kind(event)));
        prop_assert_eq!((&found, torn, skipped), (&expected, 0, 0));
        turn(place.path());
        prop_assert!(names(place.path()).iter().all(|name| name.ends_with(".parquet")));
        prop_assert_eq!(replayed(place.path()), (expected, 0, 0));
    }
}
