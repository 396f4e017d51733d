//! `bot run --record`, then `bot parity`: the recorded session comes out of the backtest as it was, or it is said why not.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::redis_server::wait_until;
use crate::test_bed::{Bot, TestBed, exits, said, summary};

const LONG: Duration = Duration::from_mins(1);

/// Buys ten shares at its third event, sells them at its sixth, and so on.
const SEESAW: &str = r"
fn init() { this.seen = 0; }
fn on_event(event) {
    this.seen += 1;
    if this.seen % 6 == 3 { signal(event.symbol, 1.0); }
    if this.seen % 6 == 0 { signal(event.symbol, 0.0); }
}
";

/// Turns from long to short and back: two orders each, the second when the first is final.
const TURNER: &str = r#"
import "sides" as sides;
fn init() { this.seen = 0; }
fn on_event(event) {
    this.seen += 1;
    if this.seen % 10 == 4 { signal(event.symbol, 1.0); }
    if this.seen % 10 == 9 { signal(event.symbol, sides::short()); }
}
"#;

type Change<'a> = &'a dyn Fn(&str) -> String;

/// A session of some seconds: two strategies, and signals from elsewhere with and without a quantity.
fn record(bed: &TestBed) -> PathBuf {
    let mut manifest = "[risk]\nshort = true\n[data.nvda]\nkind = \"redis\"\nevent = \"trade\"\n".to_owned();
    for (name, script) in [("seesaw", SEESAW), ("turner", TURNER)] {
        std::fs::write(bed.state(&format!("{name}_strategy.rhai")), script).unwrap();
        writeln!(
            manifest,
            "[[strategy]]\nname = \"{name}\"\nscript = \"{name}_strategy.rhai\"\nsymbols = [\"NVDA\"]"
        )
        .unwrap();
        // With a capital of their own they leave the rest of the account to signals from elsewhere.
        writeln!(manifest, "capital = \"20000\"\nsize = {{ rule = \"10sh\", mode = \"target\" }}").unwrap();
    }
    std::fs::write(bed.state("sides.rhai"), "fn short() { -1.0 }").unwrap();
    let path = bed.state("run.toml");
    std::fs::write(&path, manifest).unwrap();
    let place = bed.state("tape");
    let arguments =
        ["run", path.to_str().unwrap(), "--json", "--rate-limit", "off", "-w", "2", "--size", "$2000"];
    let record = ["--record", place.to_str().unwrap()];
    let bot = Bot::start(bed.command("state", &[&arguments[..], &record[..]].concat()));
    let first = wait_until(LONG, || (bed.outcomes_len() >= 2).then_some(()));
    assert!(first.is_some(), "a strategy sent something");
    let mut sent = Vec::new();
    for fields in [
        &["ticker", "NVDA", "direction", "b", "qty", "3"][..],
        &["ticker", "NVDA", "direction", "b"],
        &["ticker", "NVDA", "direction", "s", "qty", "2", "id", "mine-1"],
        &["ticker", "NVDA", "direction", "s", "qty", "2", "id", "mine-1"],
        &["ticker", "NVDA", "direction", "b", "qty", "4", "limit", "1"],
        &["ticker", "NVDA", "direction", "b", "qty", "100000"],
    ] {
        let before = bed.outcomes_len();
        sent.push(bed.send(fields));
        assert!(wait_until(LONG, || (bed.outcomes_len() > before).then_some(())).is_some());
    }
    let enough = wait_until(LONG, || (bed.outcomes_len() >= 25).then_some(()));
    assert!(enough.is_some(), "{} outcomes", bed.outcomes_len());
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let recorded = &summary(&output)["recorded"];
    assert_eq!(recorded["outcomes"], bed.outcomes_len(), "{recorded}");
    assert_eq!(recorded["outcomes_lost"], 0);
    place
}

fn parity(bed: &TestBed, place: &Path, more: &[&str]) -> (i32, Value, String) {
    let arguments = [&["parity", place.to_str().unwrap(), "--json"], more].concat();
    let output = bed.run(&arguments);
    (output.status.code().unwrap(), summary(&output), said(&output))
}

fn outcomes_file(place: &Path) -> PathBuf {
    let session = std::fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("session-"))
        .unwrap();
    std::fs::read_dir(session)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("outcomes-"))
        .unwrap()
}

/// Changes one cell of the first filled order of a strategy.
fn tamper(place: &Path, column: &str, change: impl Fn(&str) -> String) {
    let file = outcomes_file(place);
    let text = std::fs::read_to_string(&file).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let place = |name: &str| names.iter().position(|other| *other == name).unwrap();
    let mut is_done = false;
    let mut changed = String::new();
    for line in text.lines() {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if !is_done && cells[place("outcome")] == "filled" && cells[place("strategy")] == "seesaw" {
            cells[place(column)] = change(&cells[place(column)]);
            is_done = true;
        }
        writeln!(changed, "{}", cells.join(",")).unwrap();
    }
    assert!(is_done, "{text}");
    std::fs::write(&file, changed).unwrap();
}

#[test]
fn a_recorded_session_comes_out_as_it_was_and_whatever_differs_is_explained() {
    let bed = TestBed::new();
    let place = record(&bed);
    let out = bed.state("compared");
    let (code, found, said) = parity(&bed, &place, &["--out", out.to_str().unwrap()]);
    let csv = std::fs::read_to_string(out.join("parity.csv")).unwrap();
    eprintln!("{found:#}\n{csv}");
    assert_eq!((code, &found["unexplained"]), (0, &0.into()), "{said}\n{found:#}");
    let (signals, same) = (found["signals"].as_u64().unwrap(), found["same"].as_u64().unwrap());
    assert!(signals >= 20 && same * 10 >= signals * 6, "{found:#}");
    assert_eq!(found["repeats"], 1);
    assert_eq!(csv.lines().count() as u64, found["different"].as_u64().unwrap() + 1);

    // A script or a module that was changed since is not what is replayed.
    std::fs::write(bed.state("sides.rhai"), "fn short() { 0.5 }").unwrap();
    std::fs::write(bed.state("seesaw_strategy.rhai"), "fn on_event(event) { }").unwrap();
    assert_eq!(parity(&bed, &place, &[]).1, found, "the same every time");

    let genuine = std::fs::read_to_string(outcomes_file(&place)).unwrap();
    let dearer = |price: &str| (price.parse::<f64>().unwrap() * 1.1).to_string();
    let changes: [(&str, Change); 3] =
        [("filled_avg_price", &dearer), ("qty", &|_| "11".to_owned()), ("filled_qty", &|_| "9".to_owned())];
    for (column, change) in changes {
        tamper(&place, column, change);
        let (code, found, said) = parity(&bed, &place, &[]);
        assert_eq!(code, 10, "{column}: {found:#}");
        assert!(found["unexplained"].as_u64().unwrap() >= 1, "{column}: {found:#}");
        assert!(said.contains("unexplained"), "{said}");
        std::fs::write(outcomes_file(&place), &genuine).unwrap();
    }
}

#[test]
fn a_recording_without_a_session_is_told_from_one_that_is_not_there() {
    let bed = TestBed::new();
    let place = bed.state("old");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("quotes-2026-11-20.csv"), "time,symbol,bid,bid_size,ask,ask_size\n").unwrap();
    let old = bed.run(&["parity", place.to_str().unwrap()]);
    exits(&old, 4);
    assert!(said(&old).contains("holds no session"), "{}", said(&old));
    let nowhere = bed.run(&["parity", bed.state("nowhere").to_str().unwrap()]);
    exits(&nowhere, 4);
    assert!(said(&nowhere).contains("must be a directory that exists"), "{}", said(&nowhere));
}

/// A session of `manifest`, ended in order once `act` has returned.
fn session(bed: &TestBed, manifest: &str, more: &[&str], act: impl FnOnce()) -> Value {
    let arguments = ["run", manifest, "--json", "--rate-limit", "off", "-w", "2", "--record", "tape"];
    let bot = Bot::start(bed.command("state", &[&arguments[..], more].concat()));
    act();
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    summary(&output)
}

/// Starts or stops a strategy by name, as soon as the bot listens.
fn switch(bed: &TestBed, verb: &str, strategy: &str) {
    let switched = wait_until(LONG, || bed.run(&["strategy", verb, strategy]).status.success().then_some(()));
    assert!(switched.is_some(), "{verb} {strategy}");
}

fn wait_for(bed: &TestBed, strategy: &str, count: usize) {
    let of = |bed: &TestBed| {
        let outcomes = bed.outcomes();
        outcomes.iter().filter(|one| one.get("strategy").is_some_and(|name| name == strategy)).count()
    };
    assert!(wait_until(LONG, || (of(bed) >= count).then_some(())).is_some(), "{} of {strategy}", of(bed));
}

#[test]
fn the_flow_of_the_readme_is_compared_with_nothing_unexplained_whatever_session_came_last() {
    let bed = TestBed::new();
    let readme = include_str!("../../README.md");
    let manifest = readme.split("```toml\n").find(|block| block.starts_with("# live.toml")).unwrap();
    std::fs::write(bed.state("live.toml"), manifest.split("```").next().unwrap()).unwrap();
    exits(&bed.run(&["strategy", "new", "dip"]), 0);
    session(&bed, "live.toml", &[], || {
        // What it came to want over the exchange's past it wants at once.
        wait_for(&bed, "dip", 1);
        switch(&bed, "start", "cross");
        switch(&bed, "stop", "dip");
        bed.send(&["ticker", "NVDA", "direction", "b", "qty", "3"]);
        bed.send(&["ticker", "NVDA", "direction", "s", "qty", "3"]);
        bed.wait_for_outcomes(3);
    });
    let before = bed.outcomes_len();
    let nothing = bed.state("nothing.toml");
    std::fs::write(&nothing, "").unwrap();
    exits(&bed.run(&["run", nothing.to_str().unwrap(), "--record", "tape", "--for", "1s"]), 0);
    assert_eq!(bed.outcomes_len(), before, "of the last session there is nothing to compare");
    let (code, found, said) = parity(&bed, &bed.state("tape"), &[]);
    assert_eq!((code, &found["unexplained"]), (0, &0.into()), "{said}\n{found:#}");
    assert_eq!(found["signals"].as_u64().unwrap(), before as u64, "{found:#}");
}

#[test]
fn orders_of_strategies_that_are_started_and_stopped_by_name_come_out_as_they_were() {
    let bed = TestBed::new();
    std::fs::write(bed.state("seesaw_strategy.rhai"), SEESAW).unwrap();
    let mut manifest = "[data.nvda]\nkind = \"redis\"\nevent = \"trade\"\n".to_owned();
    for (name, more) in [("first", ""), ("second", "active = false\n")] {
        writeln!(manifest, "[[strategy]]\nname = \"{name}\"\nscript = \"seesaw_strategy.rhai\"").unwrap();
        writeln!(manifest, "capital = \"20000\"\n{more}size = {{ rule = \"7sh\", mode = \"order\" }}")
            .unwrap();
    }
    std::fs::write(bed.state("run.toml"), manifest).unwrap();
    session(&bed, "run.toml", &["--size", "$1000"], || {
        wait_for(&bed, "first", 2);
        switch(&bed, "start", "second");
        wait_for(&bed, "second", 3);
        switch(&bed, "stop", "first");
        bed.send(&["ticker", "NVDA", "direction", "b"]);
        bed.send(&["ticker", "NVDA", "direction", "s"]);
        wait_for(&bed, "second", 5);
        switch(&bed, "stop", "second");
        switch(&bed, "start", "first");
        wait_for(&bed, "first", 7);
    });
    let (code, found, said) = parity(&bed, &bed.state("tape"), &[]);
    assert_eq!((code, &found["unexplained"]), (0, &0.into()), "{said}\n{found:#}");
    let (signals, same) = (found["signals"].as_u64().unwrap(), found["same"].as_u64().unwrap());
    assert!(signals >= 14 && same * 10 >= signals * 7, "{found:#}");
}
