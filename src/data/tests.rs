//! Promises of the sources, kept over files of their own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::America::New_York;
use tempfile::TempDir;

use super::spec::{Columns, Walk};
use super::*;

const MINUTE: Shape = Shape::Bar { span: Duration::from_mins(1) };

fn spec(origin: Origin, shape: Shape) -> Spec {
    Spec {
        name: "nvda".to_owned(),
        origin,
        symbol: "NVDA".parse().unwrap(),
        shape,
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
fn check(shape: Shape, texts: &[&str], change: impl FnOnce(&mut Spec), expected_rows: usize, notes: &[&str]) {
    let (directory, paths) = files(texts);
    let mut spec = spec(csv(paths, true), shape);
    change(&mut spec);
    let mut source = open(&spec).unwrap();
    let (rows, error) = rows(&mut *source);
    let place = format!("{}/", directory.path().display());
    let mut found = source.account().notes;
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
    check(Shape::Number, &["t\tscore\n1757943000\t-1e-3\n"], |_| {}, 1, &[]);
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
    check(Shape::Trade, &["time,price,size\n1,5,1\n1,5,1\n1,6,1\n"], strict, 3, &[]);
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
    for in_sessions in [true, false] {
        let mut source = open(&spec(Origin::Generator(walk(10_000, in_sessions)), MINUTE)).unwrap();
        let (rows, error) = rows(&mut *source);
        assert!(error.is_none());
        assert_eq!(rows.len(), 10_000);
        assert_eq!(source.account().missing, 0);
        assert!(source.account().notes.is_empty());
    }
}
