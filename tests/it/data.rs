//! Data files: what the commands write, read back and say of faults.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;
use tempfile::TempDir;

fn bot(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bot")).args(arguments).current_dir(folder).output().unwrap()
}

/// Runs a command that must end with `exit`; its answer.
#[track_caller]
fn json(folder: &Path, arguments: &[&str], exit: i32) -> Json {
    let output = bot(folder, &[&["--json", "data"], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail with `exit`; what it says.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], exit: i32) -> String {
    let output = bot(folder, &[&["data"], arguments].concat());
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_walk_is_the_same_in_every_format_and_however_it_is_split() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path();
    let made = json(folder, &["generate", "--out", "nvda.csv", "--rows", "10000", "--seed", "7"], 0);
    assert_eq!(
        (&made["rows"], &made["symbol"], &made["skipped"]),
        (&10_000.into(), &"NVDA".into(), &0.into())
    );

    let parquet = json(folder, &["convert", "nvda.csv", "nvda.parquet"], 0);
    let back =
        json(folder, &["convert", "nvda.parquet", "nvda-2.csv", "--out-timezone", "America/New_York"], 0);
    assert_eq!(
        fs::read_to_string(folder.join("nvda-2.csv")).unwrap().lines().nth(1).unwrap()[..19],
        *"2024-01-02 09:30:00"
    );
    let text = fs::read_to_string(folder.join("nvda.csv")).unwrap();
    let cut = text.match_indices('\n').nth(4_321).unwrap().0 + 1;
    fs::write(folder.join("1.csv"), &text[..cut]).unwrap();
    fs::write(folder.join("2.csv"), &text[cut..]).unwrap();
    for files in [&["nvda.csv"][..], &["nvda.parquet"], &["nvda-2.csv"], &["1.csv", "2.csv"]] {
        let verified = json(folder, &[&["verify", "--symbol", "NVDA"], files].concat(), 0);
        assert_eq!(verified["digest"], made["digest"], "{files:?}");
        assert_eq!(verified["rows"], 10_000);
    }
    assert_eq!((&parquet["digest"], &back["digest"]), (&made["digest"], &made["digest"]));
}

#[test]
fn foreign_files_are_imported_by_their_columns_and_clock() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path();
    fs::write(folder.join("a.txt"), "1,x,2025-09-15 09:30:00,10,5\n2,x,2025-09-15 09:30:00,11,\n").unwrap();
    let arguments =
        ["import", "a.txt", "--out", "a.csv", "--symbol", "ABC", "--event", "trade", "--no-header"];
    let columns = ["--columns", "time=3,price=4,size=5", "--timezone", "Europe/Berlin"];
    let imported = json(folder, &[&arguments[..], &columns].concat(), 0);
    assert_eq!((&imported["rows"], &imported["event"]), (&2.into(), &"trades".into()));
    let text = fs::read_to_string(folder.join("a.csv")).unwrap();
    assert_eq!(text, "time,price,size\n2025-09-15T07:30:00Z,10,5\n2025-09-15T07:30:00Z,11,0\n");
}

#[test]
fn every_fault_is_told_with_file_and_line_and_ends_as_the_policy_says() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path();
    let rows = "datetime,open,high,low,close,volume\n2025-09-15 09:30:00,5,6,4,5,9\n2025-09-15 09:31:00,5,6,7,5,9\n\
                2025-09-15 09:33:00,5,6,4,5,9\n";
    fs::write(folder.join("nvda.csv"), rows).unwrap();
    let found = json(folder, &["verify", "nvda.csv"], 10);
    assert_eq!((&found["rows"], &found["skipped"], &found["missing"]), (&2.into(), &1.into(), &2.into()));
    assert_eq!(found["notes"][0], "nvda.csv:3: high must be at least the low 7, was 6");
    let gap = "2 bars missing before this one, from 2025-09-15T13:31:00Z to 2025-09-15T13:33:00Z";
    assert_eq!(found["notes"][1], format!("nvda.csv:4: {gap}"));
    json(folder, &["verify", "nvda.csv", "--on-bad-row", "skip"], 10);
    json(folder, &["verify", "nvda.csv", "--on-bad-row", "skip", "--on-gap", "fill"], 0);
    json(folder, &["verify", "nvda.csv", "--on-bad-row", "skip", "--on-gap", "keep"], 0);

    let text = fails(folder, &["import", "nvda.csv", "--out", "a.csv"], 3);
    assert_eq!(text, "bot: nvda.csv:3: high must be at least the low 7, was 6\n");
    assert!(!folder.join("a.csv").exists() && !folder.join("a.csv.partial").exists());
    let policies = ["--on-bad-row", "skip", "--on-gap", "fill"];
    let filled = json(folder, &[&["import", "nvda.csv", "--out", "a.csv"], &policies[..]].concat(), 0);
    assert_eq!((&filled["rows"], &filled["filled"]), (&4.into(), &2.into()));
    json(folder, &["verify", "a.csv"], 0);
}

#[test]
fn what_cannot_be_read_or_written_is_said_with_its_exit_code() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path();
    let text = fails(folder, &["verify", "nowhere.csv"], 4);
    assert_eq!(text, "bot: data \"nowhere\": file must exist, was \"nowhere.csv\"\n");
    fs::write(folder.join("a.parquet"), "no parquet").unwrap();
    assert!(fails(folder, &["verify", "a.parquet"], 3).starts_with("bot: a.parquet: "));
    let text = fails(folder, &["generate", "--out", "nvda.xlsx"], 3);
    assert_eq!(text, "bot: nvda.xlsx: a data file's name must end in .csv or .parquet\n");
    fails(folder, &["verify", "a.csv", "b.parquet"], 2);
    fails(folder, &["verify", "a.csv", "--timezone", "Mars"], 2);
    fails(folder, &["verify", "a.csv", "--timeframe", "0s"], 2);
    fails(folder, &["verify"], 2);
}

#[test]
fn a_recording_becomes_a_file_of_one_symbol_and_kind() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path();
    fs::create_dir(folder.join("day")).unwrap();
    let quotes = "time,symbol,bid,bid_size,ask,ask_size\n2026-11-20T15:30:00.000000000Z,NVDA,99,1,101,2\n\
                  2026-11-20T15:30:01.000000000Z,SPY,499,1,501,2\n2026-11-20T15:30:02.000000000Z,NVDA,98,1,100,2\n";
    fs::write(folder.join("day/quotes-2026-11-20.csv"), quotes).unwrap();
    let trades = "time,symbol,price,size\n2026-11-20T15:30:01.500000000Z,NVDA,100,5\n";
    fs::write(folder.join("day/trades-2026-11-20.csv"), trades).unwrap();

    let taken = json(folder, &["convert", "day", "nvda.csv", "--symbol", "NVDA", "--event", "quote"], 0);
    assert_eq!((&taken["rows"], &taken["last"]), (&2.into(), &"2026-11-20T15:30:02Z".into()));
    let text = fs::read_to_string(folder.join("nvda.csv")).unwrap();
    assert_eq!(
        text,
        "time,bid,bid_size,ask,ask_size\n2026-11-20T15:30:00Z,99,1,101,2\n2026-11-20T15:30:02Z,98,1,100,2\n"
    );
    let text = fails(folder, &["convert", "day", "both.csv", "--event", "quote"], 3);
    assert_eq!(text, "bot: both.csv: a file must hold quotes of one symbol, NVDA, was given quotes of SPY\n");
    fs::create_dir(folder.join("empty")).unwrap();
    fails(folder, &["convert", "empty", "a.csv"], 3);
}

#[test]
fn every_data_command_explains_itself_with_examples() {
    let directory = TempDir::new().unwrap();
    for command in ["import", "convert", "generate", "verify"] {
        let output = bot(directory.path(), &["data", command, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Examples:\n  bot data ") && text.contains("Exit codes: 0"), "{text}");
    }
}
