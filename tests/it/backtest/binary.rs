//! The command as people use it: what it answers, where it answers, and how it is stopped.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::*;

const WALK: &str = r#"
[broker]
kind = "simulated"
cash = "100000"

[data.walk]
kind = "generator"
rows = 2000
symbol = "WALK"

[[strategy]]
name = "cross"
kind = "ema_cross"
size = { rule = "10sh" }
params = { fast = 2, slow = 4 }
"#;

#[test]
fn the_answer_in_json_has_all_that_was_promised() {
    let folder = Folder::new(&[("run.toml", WALK)]);
    let output = folder.bot(&["backtest", "run.toml", "--json"]);
    crate::test_bed::exits(&output, 0);
    assert_eq!(said(&output), "", "nothing but the answer is said");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    let answer = crate::test_bed::summary(&output);
    for field in ["orders", "fills", "events"] {
        assert!(answer[field].is_u64(), "{field} in {answer}");
    }
    for field in ["final_cash", "final_equity", "profit", "fees"] {
        let text = answer[field].as_str().unwrap_or_else(|| panic!("{field} in {answer}"));
        text.parse::<Money>().unwrap();
    }
    for field in ["seconds", "events_per_second"] {
        assert!(answer[field].as_f64().is_some_and(f64::is_finite), "{field} in {answer}");
    }
    assert_eq!(answer["hash"].as_str().unwrap().len(), 64);
    assert_eq!(answer["events"], 2_000);
    let shares: Money = answer["positions"]["WALK"].as_str().unwrap_or("0").parse().unwrap();
    let money = |field: &str| answer[field].as_str().unwrap().parse::<Money>().unwrap();
    assert_eq!(money("profit"), money("final_equity") - Money::whole(100_000));
    assert_eq!(money("final_equity") == money("final_cash"), shares.is_zero(), "{answer}");
    // The flag may stand anywhere.
    let before = crate::test_bed::summary(&folder.bot(&["--json", "backtest", "run.toml"]));
    assert_eq!(before["hash"], answer["hash"]);
    for name in ["report.html", "stats.json", "trades.csv", "orders.csv", "equity.csv", "manifest.toml"] {
        assert!(folder.path("bot-backtest").join(name).is_file(), "{name}");
    }
    assert!(folder.read("bot-backtest/report.html").len() < 1 << 20);
}

#[test]
fn the_summary_goes_to_stdout_and_nothing_else_does() {
    let folder = Folder::new(&[("run.toml", WALK)]);
    let output = folder.bot(&["backtest", "run.toml"]);
    crate::test_bed::exits(&output, 0);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("Sharpe (252)") && text.contains("2,000 events"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\r'), "no colours and no progress without a terminal");
    assert_eq!(said(&output), "");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = Folder::new(&[("run.toml", WALK)]);
    let mut command = folder.command(&["backtest", "run.toml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!said(&output).contains("panicked"), "{}", said(&output));
}

#[test]
fn ctrl_c_ends_a_long_run_with_the_statistics_so_far() {
    // Far more than it could ever finish; each chunk is saved, so that it is seen to be at work.
    let endless =
        WALK.replace("rows = 2000", "rows = 1000000000\nsave = \"seen.csv\"\nsessions = \"always\"");
    let folder = Folder::new(&[("run.toml", &endless)]);
    let mut command = folder.command(&["backtest", "run.toml", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let bot = crate::test_bed::Bot::start(command);
    let seen = folder.path("seen.csv");
    let is_at_work = || {
        let files = std::fs::read_dir(folder.path(".")).ok()?;
        let mut names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        names.any(|name| name.starts_with("seen") || name.contains("seen.csv")).then_some(())
    };
    let at_work = crate::redis_server::wait_until(Duration::from_mins(1), is_at_work);
    assert!(at_work.is_some(), "{}", seen.display());
    bot.signal("INT");
    let output = bot.end();
    crate::test_bed::exits(&output, 0);
    let answer = crate::test_bed::summary(&output);
    assert_eq!(answer["interrupted"], true);
    assert!(answer["events"].as_u64().unwrap() >= 65_536, "{answer}");
    assert_eq!(answer["breaches"], serde_json::json!([]));
    let stats: serde_json::Value = serde_json::from_str(&folder.read("bot-backtest/stats.json")).unwrap();
    assert_eq!(
        (&stats["headline"]["interrupted"], &stats["headline"]["events"]),
        (&true.into(), &answer["events"])
    );
    assert!(folder.read("bot-backtest/report.html").contains("nterrupted"));
}

#[test]
fn every_line_of_orders_csv_is_a_transaction_in_full() {
    let folder = Folder::new(&[("run.toml", WALK)]);
    let answer = folder.backtest("run.toml", &[]);
    let file = std::fs::File::open(folder.path("bot-backtest/orders.csv")).unwrap();
    let lines: Vec<String> = BufReader::new(file).lines().map(Result::unwrap).collect();
    for field in ["time", "signal", "amount", "total", "price", "buy", "sell", "operation", "status"] {
        assert!(lines[0].split(',').any(|name| name == field), "{field} in {}", lines[0]);
    }
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns));
    let filled = lines.iter().filter(|line| line.contains(",filled,")).count();
    assert_eq!(filled as u64, answer["fills"].as_u64().unwrap());
}

/// A walk, and a script that fails as often as it is told.
const FAILING: &str = r#"
[broker]
kind = "simulated"

[data.walk]
kind = "generator"
rows = 50

[[strategy]]
name = "clumsy"
script = "clumsy_strategy.rhai"
params = { failures = 3 }
"#;
const CLUMSY: &str = r#"
fn params() { #{ failures: 3 } }
fn on_event(event) {
    if bar_index(event.symbol) <= this.params.failures {
        throw "no idea <b>";
    }
}
"#;

#[test]
fn a_strategy_that_is_stopped_for_its_failures_ends_a_backtest_with_its_reason_in_every_output() {
    let folder = Folder::new(&[("run.toml", FAILING), ("clumsy_strategy.rhai", CLUMSY)]);
    let output = folder.bot(&["backtest", "run.toml"]);
    crate::test_bed::exits(&output, 10);
    let reason = "strategy \"clumsy\" failed: clumsy_strategy.rhai:5:9: no idea <b>; it is stopped";
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        shown.contains(&format!("failures   clumsy was stopped after 3 failures, the last: {reason}")),
        "{shown}"
    );
    assert!(said(&output).ends_with(&format!("bot: {reason}\n")), "{}", said(&output));
    let stats: serde_json::Value = serde_json::from_str(&folder.read("bot-backtest/stats.json")).unwrap();
    let row = &stats["strategies"][0];
    assert_eq!(
        (&row["stopped"], &row["failures"], &row["last_failure"]),
        (&true.into(), &3.into(), &reason.into())
    );
    let report = folder.read("bot-backtest/report.html");
    assert!(report.contains("clumsy was stopped.</b> It failed 3 times, last with: strategy"), "{report}");
    assert!(report.contains("no idea &lt;b&gt;; it is stopped"));
    let output = folder.bot(&["backtest", "run.toml", "--json"]);
    crate::test_bed::exits(&output, 10);
    let failure =
        serde_json::json!({ "strategy": "clumsy", "failures": 3, "stopped": true, "reason": reason });
    assert_eq!(crate::test_bed::summary(&output)["failures"], serde_json::json!([failure]));
}

#[test]
fn a_strategy_that_fails_and_goes_on_is_told_of_and_ends_nothing() {
    let folder = Folder::new(&[("run.toml", FAILING), ("clumsy_strategy.rhai", CLUMSY)]);
    let few = ["--set", "strategy.clumsy.params.failures=2"];
    let output = folder.bot(&[&["backtest", "run.toml"], &few[..]].concat());
    crate::test_bed::exits(&output, 0);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        shown.contains("failures   clumsy went on after 2 failures, the last: strategy \"clumsy\" failed"),
        "{shown}"
    );
    let answer = folder.backtest("run.toml", &few);
    assert_eq!(
        (&answer["failures"][0]["stopped"], &answer["failures"][0]["failures"]),
        (&false.into(), &2.into())
    );
    let answer = folder.backtest("run.toml", &["--set", "strategy.clumsy.params.failures=0"]);
    assert_eq!(answer["failures"], serde_json::json!([]));
}
