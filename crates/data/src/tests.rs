//! Promises of the sources, kept over files of their own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::America::New_York;
use tempfile::TempDir;

use super::spec::{Columns, Walk};
use super::*;

mod any;

const MINUTE: RowKind = RowKind::Bar { span: Duration::from_mins(1) };

fn spec(origin: Origin, row_kind: RowKind) -> Spec {
    Spec {
        name: "nvda".to_owned(),
        origin,
        symbol: "NVDA".parse().unwrap(),
        row_kind,
        from: None,
        to: None,
        on_bad_row: OnBadRow::Skip,
        on_gap: OnGap::Keep,
        save: None,
    }
}

fn walk(rows: u64, in_sessions: bool) -> Walk {
    let start = Timestamp::parse_rfc3339("2025-09-15T13:30:00Z").unwrap();
    Walk { seed: 7, rows, start, price: 100.0, volatility: 0.4, drift: 0.05, in_sessions }
}

/// Writes each text to a file of its own.
fn files(texts: &[&str]) -> (TempDir, Vec<PathBuf>) {
    let directory = TempDir::new().unwrap();
    let write = |(place, text): (usize, &&str)| {
        let path = directory.path().join(format!("{place}.csv"));
        fs::write(&path, text).unwrap();
        path
    };
    let paths = texts.iter().enumerate().map(write).collect();
    (directory, paths)
}

fn csv(paths: Vec<PathBuf>, has_header: bool) -> Origin {
    Origin::Csv { paths, columns: Columns { has_header, named: Vec::new() }, timezone: New_York }
}

/// All rows, and the error they end with.
fn rows(source: &mut dyn Source) -> (Vec<Row>, Option<DataError>) {
    let mut all = Vec::new();
    loop {
        match source.next_chunk() {
            Ok(Some(chunk)) => match &*chunk {
                Chunk::Rows { rows, .. } => all.extend_from_slice(rows),
                Chunk::Mixed(_) => panic!("rows of one kind"),
            },
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// How many rows the texts have as one, and what is noted, without the directory.
#[track_caller]
fn check(
    row_kind: RowKind,
    texts: &[&str],
    change: impl FnOnce(&mut Spec),
    expected_rows: usize,
    notes: &[&str],
) {
    let (directory, paths) = files(texts);
    let mut spec = spec(csv(paths, true), row_kind);
    change(&mut spec);
    let mut source = open(&spec).unwrap();
    let (rows, error) = rows(&mut *source);
    let place = format!("{}/", directory.path().display());
    let mut found = source.report().notes;
    found.extend(error.map(|error| error.to_string()));
    let found: Vec<_> = found.iter().map(|note| note.replace(&place, "")).collect();
    assert_eq!(found, notes);
    assert_eq!(rows.len(), expected_rows);
}

const HEADER: &str = "datetime,open,high,low,close,volume\n";

#[test]
fn bars_are_read_with_line_ends_marks_quotes_and_blank_lines_of_all_kinds() {
    let texts = [
        "\u{feff}datetime;open;high;low;close;volume\r\n\"2025-09-15 09:30:00\"; 1 ;2;1;\"2\";\r\n\r\n2025-09-15 09:31:00;1;2;1;2;3.5",
    ];
    check(MINUTE, &texts, |_| {}, 2, &[]);
    check(RowKind::Number, &["t\tscore\n1757943000\t-1e-3\n"], |_| {}, 1, &[]);
    check(MINUTE, &[], |_| {}, 0, &[]);
    check(MINUTE, &["", HEADER, "\n\n"], |_| {}, 0, &[]);
}

#[test]
fn every_fault_is_told_with_file_and_line_and_left_out() {
    let text = format!(
        "{HEADER}2025-09-15 09:30:00,1,2,1,2,3\n2025-09-15 09:31:00,1,2,1,2\nx,1,2,1,2,3\n2025-09-15 09:31:00,1,2,,2,3\n\
         2025-09-15 09:31:00,1,2,1,NaN,3\n2025-09-15 09:30:00,1,2,1,2,3\n2025-09-15 09:30:00,1,2,1,2,4\n\
         2025-09-15 09:29:00,1,2,1,2,3\n2025-09-15 09:31:00,1,2,1,2,\n2025-09-15 09:32:00,1,2,1,2,3,4\n"
    );
    let time = "time must be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261, was \"x\"";
    check(
        MINUTE,
        &[&text],
        |_| {},
        2,
        &[
            "0.csv:3: a row must have 6 cells, had 5",
            &format!("0.csv:4: {time}"),
            "0.csv:5: low must be there, was empty",
            "0.csv:6: close must be finite, was NaN",
            "0.csv:7: a row must be there once, was there again at 2025-09-15T13:30:00Z",
            "0.csv:8: a time must be there once, was there again with other values at 2025-09-15T13:30:00Z",
            "0.csv:9: time must not be before 2025-09-15T13:30:00Z of the row before, was 2025-09-15T13:29:00Z",
            "0.csv:11: a row must have 6 cells, had 7",
        ],
    );
    let strict = |spec: &mut Spec| spec.on_bad_row = OnBadRow::Error;
    check(MINUTE, &[&text], strict, 1, &["0.csv:3: a row must have 6 cells, had 5"]);
    check(RowKind::Trade, &["time,price,size\n1,5,1\n1,5,1\n1,6,1\n"], strict, 3, &[]);
}

#[test]
fn what_is_no_such_table_is_refused_whatever_the_policy() {
    check(
        MINUTE,
        &["a,b\n1,2\n"],
        |_| {},
        0,
        &[
            "0.csv:1: columns must have \"time\" or \"datetime\" or \"timestamp\" or \"date\" or \"t\" or \"ts\" for time, were \"a,b\"",
        ],
    );
    check(
        MINUTE,
        &["\x1f\u{8b}"],
        |_| {},
        0,
        &[
            "0.csv:1: columns must have \"time\" or \"datetime\" or \"timestamp\" or \"date\" or \"t\" or \"ts\" for time, were \"\u{1f}\u{8b}\"",
        ],
    );
    let (_directory, mut paths) = files(&[HEADER]);
    paths.push("nowhere.csv".into());
    let error = open(&spec(csv(paths, true), MINUTE)).err().unwrap();
    assert_eq!(error.to_string(), "data \"nvda\": file must exist, was \"nowhere.csv\"");
}

#[test]
fn the_same_seed_gives_the_same_rows_for_ever() {
    let digest = |row_kind, in_sessions| {
        let mut source = open(&spec(Origin::Generator(walk(10_000, in_sessions)), row_kind)).unwrap();
        let loaded = Loaded::load(&mut *source).unwrap();
        let account = loaded.report();
        assert_eq!((account.events, account.missing, account.skipped), (10_000, 0, 0));
        assert!(account.notes.is_empty(), "{:?}", account.notes);
        loaded.digest()[..16].to_owned()
    };
    let found = [
        digest(MINUTE, true),
        digest(MINUTE, false),
        digest(RowKind::Quote, true),
        digest(RowKind::Trade, true),
        digest(RowKind::Number, false),
    ];
    assert_eq!(
        found,
        ["f0c58d926182e492", "823268b703949918", "41574717a14594db", "e19ba7d3de63f2c6", "8fa2bd9e34dece38"]
    );
}

#[test]
fn missing_bars_are_counted_and_filled_within_their_session_only() {
    // Friday and Monday; 13:59 to 14:02 UTC is mid-session, and Friday ends early while Monday starts late.
    let text = "time,o,h,l,c,v\n2025-09-12T13:59:00Z,5,6,4,5.5,9\n2025-09-12T14:02:00Z,5,6,4,5,9\n\
                2025-09-12T19:57:00Z,5,6,4,4.5,9\n2025-09-15T13:32:00Z,5,6,4,5,9\n";
    let notes = |filled: &str, not: &str| {
        [
            format!(
                "0.csv:3: 2 bars missing before this one, from 2025-09-12T14:00:00Z to 2025-09-12T14:02:00Z{filled}"
            ),
            format!(
                "0.csv:4: 354 bars missing before this one, from 2025-09-12T14:03:00Z to 2025-09-12T19:57:00Z{filled}"
            ),
            format!(
                "0.csv:5: 2 bars missing before this one, from 2025-09-12T19:58:00Z to 2025-09-12T20:00:00Z{filled}"
            ),
            format!(
                "0.csv:5: 2 bars missing before this one, from 2025-09-15T13:30:00Z to 2025-09-15T13:32:00Z{not}"
            ),
        ]
    };
    let expected = notes("", "");
    check(MINUTE, &[text], |_| {}, 4, &expected.each_ref().map(String::as_str));
    let expected = notes(", filled", ", not filled: there is no bar before them that day");
    let fill = |spec: &mut Spec| spec.on_gap = OnGap::Fill;
    check(MINUTE, &[text], fill, 4 + 2 + 354 + 2, &expected.each_ref().map(String::as_str));

    let (_directory, paths) = files(&[text]);
    let mut spec = spec(csv(paths, true), MINUTE);
    spec.on_gap = OnGap::Fill;
    let mut source = open(&spec).unwrap();
    let (rows, _) = rows(&mut *source);
    let flat = |at: &str, close: f64| Row {
        at: Timestamp::parse_rfc3339(at).unwrap(),
        values: [close, close, close, close, 0.0],
    };
    assert_eq!(rows[1..3], [flat("2025-09-12T14:00:00Z", 5.5), flat("2025-09-12T14:01:00Z", 5.5)]);
    assert_eq!(rows[359..361], [flat("2025-09-12T19:58:00Z", 4.5), flat("2025-09-12T19:59:00Z", 4.5)]);
    assert_eq!((source.report().missing, source.report().filled), (360, 358));
}

#[test]
fn data_that_never_rests_is_whole_at_night_and_on_saturdays() {
    let fill = |spec: &mut Spec| spec.on_gap = OnGap::Fill;
    // Saturday, then Sunday.
    let text = "time,o,h,l,c,v\n2025-09-13T13:00:00Z,5,6,4,5,9\n2025-09-14T13:00:00Z,5,6,4,5,9\n";
    let note = "0.csv:3: 1439 bars missing before this one, from 2025-09-13T13:01:00Z to 2025-09-14T13:00:00Z, filled";
    check(MINUTE, &[text], fill, 1441, &[note]);
    // A market that trades at night and rests: an hour is a gap, a night is none.
    let text = "time,o,h,l,c,v\n2025-09-15T05:00:00Z,5,6,4,5,9\n2025-09-15T05:02:00Z,5,6,4,5,9\n2025-09-15T12:00:00Z,5,6,4,5,9\n";
    let note =
        "0.csv:3: 1 bar missing before this one, from 2025-09-15T05:01:00Z to 2025-09-15T05:02:00Z, filled";
    check(MINUTE, &[text], fill, 4, &[note]);
    let text = "time,o,h,l,c,v\n1-01-01,5,6,4,5,9\n1900-09-13T13:00:00Z,5,6,4,5,9\n1900-09-15T13:01:00Z,5,6,4,5,9\n2025-09-15T05:02:00Z,5,6,4,5,9\n";
    let (directory, paths) = files(&[text]);
    let mut spec = spec(csv(paths, true), MINUTE);
    spec.on_gap = OnGap::Fill;
    let (_, error) = rows(&mut *open(&spec).unwrap());
    let path = directory.path().join("0.csv");
    assert_eq!(
        error.map(|error| error.to_string()),
        Some(format!(
            "{}:5: a gap must be of at most 1000000 bars to be filled, was of 65744160",
            path.display()
        ))
    );
}

#[test]
fn days_without_a_bar_are_counted_by_the_calendar() {
    let day = RowKind::Bar { span: Duration::from_hours(24) };
    // Monday is Labor Day, Wednesday is missing.
    let text = "date,o,h,l,c,v\n2025-08-29,5,6,4,5,9\n2025-09-02,5,6,4,5,9\n2025-09-04,5,6,4,5,9\n";
    let note = "0.csv:4: 1 bar missing before this one, from 2025-09-03T04:00:00Z to 2025-09-04T04:00:00Z";
    check(day, &[text], |_| {}, 3, &[note]);
}

#[test]
fn rows_outside_from_and_to_are_left_out_by_when_they_were_known() {
    let text = "time,o,h,l,c,v\n2025-09-12T13:59:00Z,5,6,4,5,9\n2025-09-12T14:00:00Z,5,6,4,5,9\n2025-09-12T14:01:00Z,5,6,4,5,9\n";
    let at = |text| Some(Timestamp::parse_rfc3339(text).unwrap());
    let range = |from, to| move |spec: &mut Spec| (spec.from, spec.to) = (at(from), at(to));
    check(MINUTE, &[text], range("2025-09-12T14:01:00Z", "2025-09-12T14:02:00Z"), 1, &[]);
    check(MINUTE, &[text], range("2025-09-12T14:00:00Z", "2025-09-12T14:03:00Z"), 3, &[]);
}

fn generated(row_kind: RowKind, rows: u64) -> Loaded {
    Loaded::load(&mut *open(&spec(Origin::Generator(walk(rows, true)), row_kind)).unwrap()).unwrap()
}

#[test]
fn what_is_saved_reads_back_to_the_same_digest() {
    let directory = TempDir::new().unwrap();
    for row_kind in [MINUTE, RowKind::Quote, RowKind::Trade, RowKind::Number] {
        let loaded = generated(row_kind, 5_000);
        for (name, timezone) in [("a.csv", None), ("b.csv", Some(New_York)), ("c.parquet", None)] {
            let path = directory.path().join(name);
            let account = write(&path, row_kind, timezone, &mut loaded.source()).unwrap();
            assert_eq!(account, *loaded.report());
            let columns = Columns { has_header: true, named: Vec::new() };
            let paths = vec![path];
            let origin = match Format::of(&paths[0]).unwrap() {
                Format::Csv => Origin::Csv { paths, columns, timezone: New_York },
                Format::Parquet => Origin::Parquet { paths, columns, timezone: New_York },
            };
            let mut again = spec(origin, row_kind);
            again.save = Some(directory.path().join("saved.parquet"));
            let read = Loaded::load(&mut *open(&again).unwrap()).unwrap();
            assert_eq!(read.digest(), loaded.digest(), "{name}");
            assert!(read.report().bytes > 0);
            let paths = vec![directory.path().join("saved.parquet")];
            let columns = Columns { has_header: true, named: Vec::new() };
            let saved = spec(Origin::Parquet { paths, columns, timezone: New_York }, row_kind);
            assert_eq!(Loaded::load(&mut *open(&saved).unwrap()).unwrap().digest(), loaded.digest());
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4, "nothing partial stays");
        for file in std::fs::read_dir(directory.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

#[test]
fn a_file_that_is_not_finished_is_not_there() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.csv");
    let mut writer = Writer::create(&path, MINUTE, None).unwrap();
    for chunk in generated(MINUTE, 10).chunks() {
        writer.push(chunk).unwrap();
    }
    let error = writer.push(generated(RowKind::Trade, 1).chunks().first().unwrap()).unwrap_err();
    let rule = "a file must hold bars of 1m of one symbol, NVDA, was given trades of NVDA";
    assert_eq!(error.to_string(), format!("{}: {rule}", path.display()));
    drop(writer);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_is_loaded_takes_at_most_twice_its_rows() {
    let loaded = generated(MINUTE, 10_000);
    let held: usize = loaded
        .chunks()
        .iter()
        .map(|chunk| match &**chunk {
            Chunk::Rows { rows, .. } => rows.capacity() * size_of::<Row>() + size_of::<Chunk>() + 32,
            Chunk::Mixed(_) => panic!("rows of one kind"),
        })
        .sum();
    assert!(held < 10_000 * size_of::<Row>() * 2);
    assert_eq!(size_of::<Row>(), 48);
    let mut once = loaded.source();
    while once.next_chunk().unwrap().is_some() {}
    assert_eq!(once.report(), *loaded.report());
}

/// Rows of so many minutes each, from 09:30 on: open and low 10, high and close 11, volume 1.
fn minutes(step: u64, rows: u32) -> String {
    let first = Timestamp::parse_rfc3339("2025-09-15T13:30:00Z").unwrap();
    let row = |place| format!("{},10,11,10,11,1\n", first + Duration::from_mins(step) * place);
    std::iter::once(HEADER.to_owned()).chain((0..rows).map(row)).collect()
}

const HALF_HOUR: RowKind = RowKind::Bar { span: Duration::from_mins(30) };

#[test]
fn finer_rows_make_the_bars_that_the_section_declares() {
    let (_directory, paths) = files(&[&minutes(1, 100)]);
    let (rows, error) = rows(&mut *open(&spec(csv(paths, true), HALF_HOUR)).unwrap());
    assert!(error.is_none());
    let found: Vec<_> = rows.iter().map(|row| (row.at.to_string(), row.values[4])).collect();
    let bar = |time: &str, volume: f64| (format!("2025-09-15T{time}:00Z"), volume);
    assert_eq!(found, [bar("13:30", 30.0), bar("14:00", 30.0), bar("14:30", 30.0), bar("15:00", 10.0)]);
    assert_eq!(rows[0].values[..4], [10.0, 11.0, 10.0, 11.0]);
}

#[test]
fn a_timeframe_that_the_rows_cannot_serve_is_refused_with_file_step_and_timeframe() {
    let rule = "timeframe must be a multiple of the rows' step and at most 1d";
    let note = format!("0.csv: {rule}, was 30m where rows stand 7m apart");
    check(HALF_HOUR, &[&minutes(7, 20)], |_| {}, 0, &[&note]);
    let note = "0.csv: timeframe must be at least 1h where rows stand 1h apart, was 30m";
    check(HALF_HOUR, &[&minutes(60, 120)], |_| {}, 0, &[note]);
    // Later rows are held against it, too.
    let more = "2025-12-28T17:30:00Z,10,11,10,11,1\n2025-12-28T17:31:00Z,10,11,10,11,1\n";
    let note = "1.csv:2: bars must stand one timeframe of 30m apart or more, were 1m apart";
    check(HALF_HOUR, &[&minutes(30, 5_000), more], |_| {}, 5_001, &[note]);
}

#[test]
fn gaps_and_bounds_are_those_of_the_bars_and_not_of_the_rows() {
    // 13:30 to 13:50 with a hole, then 14:31 and 14:32: the half hour from 14:00 has no row.
    let mut text = minutes(1, 20).replace("2025-09-15T13:40:00Z,10,11,10,11,1\n", "");
    text.push_str("2025-09-15T14:31:00Z,10,11,10,11,1\n2025-09-15T14:32:00Z,10,11,10,11,1\n");
    let note =
        "0.csv:22: 1 bar missing before this one, from 2025-09-15T14:00:00Z to 2025-09-15T14:30:00Z, filled";
    check(HALF_HOUR, &[&text], |spec| spec.on_gap = OnGap::Fill, 3, &[note]);
    // Known at 14:00 is the whole bar of the half hour before it.
    let from = Timestamp::parse_rfc3339("2025-09-15T14:00:00Z").unwrap();
    let (_directory, paths) = files(&[&minutes(1, 60)]);
    let mut spec = spec(csv(paths, true), HALF_HOUR);
    (spec.from, spec.to) = (Some(from), Some(from + Duration::from_mins(30)));
    let (rows, _) = rows(&mut *open(&spec).unwrap());
    assert_eq!(rows.iter().map(|row| row.values[4]).collect::<Vec<_>>(), [30.0]);
}

#[test]
fn a_row_that_belongs_to_two_spans_is_a_bad_row_and_a_fault_leaves_no_half_bar() {
    let odd = minutes(1, 4_200).replace("2025-09-18T09:59:00Z", "2025-09-18T09:59:30Z");
    let misfit = "0.csv:4111: a bar of 1m must lie within one span of 30m, counted from midnight in New York, was from 2025-09-18T09:59:30Z";
    check(HALF_HOUR, &[&odd], |_| {}, 140, &[misfit]);
    let torn = format!("{}x,1,1,1,1,1\n", minutes(1, 40));
    let time = "time must be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261, was \"x\"";
    let strict = |spec: &mut Spec| spec.on_bad_row = OnBadRow::Error;
    check(HALF_HOUR, &[&torn], strict, 1, &[&format!("0.csv:42: {time}")]);
}

#[test]
fn generated_bars_have_the_stated_volatility_however_long_they_are() {
    let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
    for (span, a_year, in_sessions) in [
        (minute, 252.0 * 390.0, true),
        (day, 252.0, true),
        (day, 365.0, false),
        (minute, 365.0 * 1_440.0, false),
    ] {
        let walk = Walk { price: 10_000.0, ..walk(5_000, in_sessions) };
        let mut source = open(&spec(Origin::Generator(walk), RowKind::Bar { span })).unwrap();
        let (rows, end) = rows(&mut *source);
        assert!(end.is_none() && rows.len() == 5_000);
        let returns: Vec<f64> =
            rows.windows(2).map(|pair| (pair[1].values[3] / pair[0].values[3]).ln()).collect();
        let count = f64::from(u32::try_from(returns.len()).unwrap());
        let mean = returns.iter().sum::<f64>() / count;
        let variance = returns.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count;
        let volatility = (variance * a_year).sqrt();
        assert!((volatility - 0.4).abs() < 0.015, "{span:?}, in sessions: {in_sessions}: {volatility}");
    }
}
