//! `bot strategy test --simulate`: a strategy trades on the simulated broker, and is held against expectations.

use std::fs;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{bot, check};

/// Goes long on the third bar, closes on the fifth, and notes what it hears and knows as orders of one share.
const HEARS: &str = r#"
fn init() { this.bars = 0; }
fn on_bar(bars) {
    this.bars += 1;
    for bar in bars {
        if this.bars == 3 { signal(bar.symbol, 1.0); }
        if this.bars == 5 && position(bar.symbol) == 10 && equity() > 90000.0 { close(bar.symbol); }
        if this.bars == 8 { signal(bar.symbol, -1.0); }
    }
}
fn on_fill(fill) { if fill.quantity == 10 && fill.side == "sell" && position(fill.symbol) == 0 { buy(fill.symbol, 1); } }
"#;

fn folder(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("strategies")).unwrap();
    fs::write(folder.path().join("strategies/hears_strategy.rhai"), script).unwrap();
    folder
}

const BARS: [&str; 9] =
    ["test", "hears", "--simulate", "--size", "10sh", "--timeframe", "1min", "--count", "12"];

fn said(folder: &TempDir, flags: &[&str]) -> String {
    let output = bot(&[&["strategy"], &BARS[..], flags].concat(), folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_simulated_strategy_hears_of_fills_and_knows_its_position() {
    let folder = folder(HEARS);
    insta::assert_snapshot!(said(&folder, &[]), @r"
2026-01-05T09:33:00-05:00 NVDA signal +1
2026-01-05T09:33:00-05:00 NVDA filled buy 10 at 100.29
2026-01-05T09:35:00-05:00 NVDA weight +0
2026-01-05T09:35:00-05:00 NVDA filled sell 10 at 100.27
2026-01-05T09:36:00-05:00 NVDA buy 1 market
2026-01-05T09:36:00-05:00 NVDA filled buy 1 at 100.13
2026-01-05T09:38:00-05:00 NVDA signal -1
2026-01-05T09:38:00-05:00 NVDA filled sell 1 at 100.15
cash 99999.82
equity 99999.82
used at most 43 of 1000000 steps in one call, 6 of 100000 values in `this`
");
    let same = said(&folder, &["--fill", "same_close", "--short", "--cash", "500"]);
    assert!(same.contains("09:38:00-05:00 NVDA signal -1\n"), "{same}");
    assert!(same.contains("NVDA refused: insufficient_cash: order must cost at most"), "{same}");
    assert_eq!(said(&folder, &["--fill", "same_close", "--short", "--cash", "500"]), same);
    let short = said(&folder, &["--short"]);
    assert!(short.contains("position NVDA -10\n"), "{short}");
}

#[test]
fn each_symbol_walks_by_itself_and_machines_read_every_line() {
    let folder = folder(HEARS);
    let lines = said(&folder, &["--symbol", "NVDA,AAPL", "--json"]);
    let lines: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, events) = lines.split_last().unwrap();
    assert_eq!((&end["event"], &end["events"]), (&Json::from("end"), &Json::from(24)));
    assert!(end["used"].as_str().unwrap().contains("steps in one call"));
    let price = |symbol: &str| {
        let fill = events.iter().find(|line| line["event"] == "order" && line["symbol"] == symbol);
        fill.unwrap()["price"].as_str().unwrap().to_owned()
    };
    assert_ne!(price("NVDA"), price("AAPL"));
    let times: Vec<&str> = events.iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
}

#[test]
fn what_was_written_is_met_and_what_is_not_met_is_told() {
    let folder = folder(HEARS);
    let expect = |code: i32, said: &str| {
        check(&folder, &[&BARS[..], &["--expect", "expect.toml"]].concat(), code, said);
    };
    said(&folder, &["--write", "expect.toml"]);
    expect(0, "expectations are met");
    check(
        &folder,
        &[&BARS[..], &["--write", "expect.toml"]].concat(),
        2,
        "--write must be a new file, expect.toml",
    );
    let write = |text: &str| fs::write(folder.path().join("expect.toml"), text).unwrap();
    write(
        "[[expect]]\nat = \"2026-01-05 09:33\"\nsignal = { symbol = \"NVDA\", strength = 1.0 }\nposition = { NVDA = 10 }\n\
         [[expect]]\nat = \"2026-01-05T14:33:00Z\"\nsignal = { symbol = \"NVDA\" }\n\
         [[expect]]\nnone = true\nfrom = \"2026-01-05 09:33:01\"\nto = \"2026-01-05 09:35\"\n\
         [[expect]]\nat = \"2026-01-05 09:42\"\nequity = 100000\ntolerance = 50\n\
         [[expect]]\norders = 4\n",
    );
    expect(0, "6 expectations are met");
    write(
        "[[expect]]\nat = \"2026-01-05 09:34\"\nsignal = { symbol = \"NVDA\", strength = 1.0 }\nposition = { NVDA = 5 }\n\
         equity = 5\n[[expect]]\nnone = true\nsymbol = \"NVDA\"\nfrom = \"2026-01-05 09:31\"\nto = \"2026-01-05 09:35\"\n\
         [[expect]]\norders = 3\n",
    );
    let nearest = "NVDA signal +1 at 2026-01-05T09:33:00-05:00";
    expect(
        10,
        &format!(
            "expect.toml:3:10: there must be NVDA signal +1 at 2026-01-05T09:34:00-05:00, was none; the nearest is {nearest}"
        ),
    );
    expect(10, "expect.toml:4:14: position must be NVDA 5 at 2026-01-05T09:34:00-05:00, was 10\n");
    expect(10, "expect.toml:5:10: equity must be 5 within 1 at 2026-01-05T09:34:00-05:00, was ");
    expect(
        10,
        &format!(
            "expect.toml:7:8: there must be no signal NVDA from 2026-01-05T09:31:00-05:00 to 2026-01-05T09:35:00-05:00, was {nearest}\n"
        ),
    );
    expect(10, "expect.toml:12:10: orders must be 3 in all, was 4\n");
    expect(10, "5 of 5 expectations are not met");
    write("[[expect]]\nat = \"2026-01-05 16:00\"\nposition = { NVDA = 5 }\nordres = 3\n");
    expect(3, "expect.toml:4:1: expect.1.ordres: unknown key, did you mean \"orders\"?");
    write("[[expect]]\nat = \"2026-01-05 16:00\"\nposition = { NVDA = 5 }\n");
    expect(
        3,
        "expect.toml:3:14: expect.at: must be within the run, 2026-01-05T09:30:00-05:00 to 2026-01-05T09:42:00-05:00, was",
    );
    fs::remove_file(folder.path().join("expect.toml")).unwrap();
    expect(4, "--expect must be a file that exists, was \"expect.toml\"");
}

#[test]
fn a_failing_strategy_and_flags_that_do_not_go_together_are_told() {
    let folder = folder("fn on_bar(bars) { signal(bars[0].symbol, 7); }");
    check(
        &folder,
        &BARS,
        3,
        "strategies/hears_strategy.rhai:1:19: signal must be a number from -1 to 1, was 7",
    );
    check(&folder, &["test", "hears", "--expect", "x.toml"], 2, "--simulate");
    check(
        &folder,
        &["test", "hears", "--symbol", "A,B"],
        2,
        "--symbol must be one without --simulate, were 2",
    );
    check(
        &folder,
        &["test", "hears", "--simulate", "--symbol", "A,A"],
        2,
        "each symbol must stand once, was \"A\" twice",
    );
    check(
        &folder,
        &["test", "hears", "--simulate", "--fill", "quote"],
        2,
        "must be next_open or same_close, was \"quote\"",
    );
    check(
        &folder,
        &["test", "hears", "--ticks", "a.csv", "--ticks", "b.csv"],
        2,
        "--ticks must be SYMBOL=FILE where",
    );
    check(&folder, &["test", "no_such", "--simulate"], 4, "was \"strategies/no_such_strategy.rhai\"");
}

#[test]
fn the_examples_of_the_help_run_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    check(&folder, &["new", "dip"], 0, "");
    for name in ["NVDA.csv", "nvda.csv", "aapl.csv"] {
        fs::write(folder.path().join(name), "time,price\n2026-01-05T14:30:00Z,5\n2026-01-05T14:30:01Z,6\n")
            .unwrap();
    }
    let help = String::from_utf8(bot(&["strategy", "test", "--help"], folder.path()).stdout).unwrap();
    let examples: Vec<&str> =
        help.lines().filter_map(|line| line.trim_start().strip_prefix("bot strategy test ")).collect();
    assert_eq!(examples.len(), 8, "{help}");
    for example in examples {
        let words = example.split("    ").next().unwrap_or_default().split_whitespace();
        check(&folder, &std::iter::once("test").chain(words).collect::<Vec<_>>(), 0, "");
    }
}
