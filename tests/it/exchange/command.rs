//! `bot exchange` as a process: what it says, what it refuses, how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

#[test]
fn the_command_says_where_it_listens_and_stops_cleanly_when_told() {
    let mut child = exchange_command(&["--listen", "127.0.0.1:0", "--hours", "always"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    let addr = listening["listening"].as_str().unwrap();
    let taken = exchange_command(&["--listen", addr]).output().unwrap();
    assert_eq!(taken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&taken.stderr).contains(&format!("cannot listen on {addr}")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_wrong_value_on_the_command_line_says_what_is_allowed() {
    for (arguments, text) in [
        (&["--symbols", "NVDA"][..], "SYMBOL=PRICE"),
        (&["--symbols", "NVDA=0"], "above 0"),
        (&["--symbols", "NVDA=1,nvda=2"], "each symbol once"),
        (&["--margin", "--symbols", "BTC/USD=60000"], "must be shares with --margin, was BTC/USD"),
        (&["--hours", "never"], "always"),
        (&["--latency", "5"], "250ms"),
        (&["--rate-limit", "0/60s"], "at least 1"),
        (&["--cash", "-1"], "0 or more"),
        (&["--prices", "x.csv", "--speed", "0"], "from 0.001"),
        (&["--listen", "nowhere"], "invalid"),
    ] {
        let output = exchange_command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
}

#[test]
fn a_bar_file_that_cannot_be_read_is_told_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    std::fs::write(&path, "datetime,open,high,low,close\n2026-11-20 09:30:00,1,2,x,1\n").unwrap();
    let output = exchange_command(&["--prices", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bars.csv:2: low must be a number, was \"x\""));
}

fn exchange_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    command.arg("exchange").args(arguments);
    command
}
