//! What `bot check` says of each command, and that each command refuses what check says it cannot do.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;

use super::{stderr, stdout};

const BARS: &str = "time,open,high,low,close,volume\n\
    2024-01-02 09:30,100,101,99,100,1000\n2024-01-02 09:31,100,151,99,150,1000\n";

pub(super) fn bot(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bot"))
        .args(arguments)
        .current_dir(folder)
        .env("BOT_STATE", "state")
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .output()
        .unwrap()
}

pub(super) fn folder(manifest: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("run.toml", manifest), ("nvda.csv", BARS)].iter().chain(files) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// What check says of the commands, below the summary.
#[track_caller]
pub(super) fn said(manifest: &str, files: &[(&str, &str)], code: i32) -> String {
    let folder = folder(manifest, files);
    let output = bot(folder.path(), &["check", "run.toml"]);
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(&output), stderr(&output));
    let shown = stdout(&output);
    shown[shown.find("\nrun  ").unwrap() + 1..].to_owned()
}

#[test]
fn a_manifest_that_every_command_can_run_is_ready_for_each() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"ema_cross\"\nsize = { rule = \"50%\", mode = \"order\" }\n\
        [sweep]\n\"strategy.a.params.fast\" = [5, 6]\n";
    assert_snapshot!(said(text, &[], 0), @r#"
run       ready
backtest  ready
sweep     ready
"#);
}

#[test]
fn numbers_of_a_file_have_no_live_feed_so_a_live_run_is_refused() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n\
        [data.news]\nkind = \"csv\"\npath = \"news.csv\"\nevent = \"number\"\n\
        [data.idle]\nkind = \"csv\"\npath = \"news.csv\"\nevent = \"number\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"ema_cross\"\nalso = [\"news\"]\n";
    let news = ("news.csv", "time,value\n2024-01-02 09:30,1\n");
    assert_snapshot!(said(text, &[news], 0), @r#"
run       not ready
  run.toml:5:8: data.news.kind: numbers must come from "redis" for a live run, was "csv"
backtest  ready
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    let folder = folder(text, &[news]);
    let output = bot(folder.path(), &["run", "run.toml", "--broker", "simulated", "--no-wait"]);
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(stderr(&output), @r#"
bot: 1 fault in run.toml
run.toml:5:8: data.news.kind: numbers must come from "redis" for a live run, was "csv"
"#);
    assert!(!folder.path().join("state").exists(), "nothing is locked for a run that is refused");
}

#[test]
fn a_live_run_trades_symbols_of_its_flag_only() {
    let text = "[[strategy]]\nname = \"a\"\nkind = \"ema_cross\"\nsymbols = [\"NVDA\", \"SPY\"]\n";
    let folder = folder(text, &[]);
    let run = ["run", "run.toml", "--broker", "simulated", "--no-wait", "--symbols", "NVDA"];
    let output = bot(folder.path(), &run);
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(stderr(&output), @r#"
bot: 1 fault in run.toml
run.toml:4:11: strategy.a.symbols: must trade symbols of --symbols only, was "SPY"
"#);
}

#[test]
fn weights_name_what_is_traded_or_the_command_is_refused() {
    let text = "[portfolio]\nweights = { NVDA = 0.6, SPY = 0.4 }\n";
    assert_snapshot!(said(text, &[], 3), @r#"
run       not ready
  run.toml:2:11: portfolio.weights: weights must name traded symbols only, SPY is not traded
backtest  not ready
  run.toml:1:1: strategy: at least one [[strategy]] must be written for a backtest, was none
  run.toml:1:1: data: at least one [data.NAME] must be written for a backtest, was none
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    let folder = folder(text, &[]);
    let output = bot(folder.path(), &["check", "run.toml", "--symbols", "SPY,NVDA,SPY"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let output = bot(folder.path(), &["run", "run.toml", "--broker", "simulated", "--no-wait"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("run.toml:2:11: portfolio.weights: weights must name traded symbols only")
    );
}

#[test]
fn what_needs_standing_orders_is_refused_by_every_command_with_its_place() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"naive_test\"\n\
        [[strategy]]\nname = \"b\"\nscript = \"b_strategy.rhai\"\n\
        [sweep]\n\"strategy.a.active\" = [true, false]\n";
    let script =
        ("b_strategy.rhai", "fn on_event(event) {\n    buy(event.symbol, 1, 2.0);\n    cancel_all();\n}\n");
    assert_snapshot!(said(text, &[script], 3), @r#"
run       not ready
  run.toml:6:8: strategy.a.kind: kind must be one whose orders end at once until standing orders exist, was "naive_test"
  run.toml:9:10: strategy.b.script: b_strategy.rhai:2:5: a limit order must be buy(symbol, quantity, limit, "ioc") until standing orders exist, was buy(symbol, quantity, limit); options stand in the call as #{ tag: "entry" }
  run.toml:9:10: strategy.b.script: b_strategy.rhai:3:5: nothing must be cancelled until standing orders exist, was cancel_all()
backtest  not ready
  run.toml:6:8: strategy.a.kind: kind must be one whose orders end at once until standing orders exist, was "naive_test"
  run.toml:9:10: strategy.b.script: b_strategy.rhai:2:5: a limit order must be buy(symbol, quantity, limit, "ioc") until standing orders exist, was buy(symbol, quantity, limit); options stand in the call as #{ tag: "entry" }
  run.toml:9:10: strategy.b.script: b_strategy.rhai:3:5: nothing must be cancelled until standing orders exist, was cancel_all()
sweep     not ready
  run.toml:6:8: strategy.a.kind: kind must be one whose orders end at once until standing orders exist, was "naive_test"
  run.toml:9:10: strategy.b.script: b_strategy.rhai:2:5: a limit order must be buy(symbol, quantity, limit, "ioc") until standing orders exist, was buy(symbol, quantity, limit); options stand in the call as #{ tag: "entry" }
  run.toml:9:10: strategy.b.script: b_strategy.rhai:3:5: nothing must be cancelled until standing orders exist, was cancel_all()
"#);
    let folder = folder(text, &[script]);
    let run: &[&str] = &["run", "run.toml", "--broker", "simulated", "--no-wait"];
    for command in [run, &["backtest", "run.toml"], &["sweep", "run.toml"]] {
        let output = bot(folder.path(), command);
        assert_eq!(output.status.code(), Some(3), "{command:?}");
        let stderr = stderr(&output);
        assert!(stderr.contains("until standing orders exist, was \"naive_test\""), "{stderr}");
        assert!(stderr.contains("b_strategy.rhai:3:5: nothing must be cancelled"), "{stderr}");
    }
    let output = bot(folder.path(), &["strategy", "list", "--dir", "."]);
    assert_eq!(stdout(&output).matches("Trades only once standing orders exist").count(), 2);
}

#[test]
fn a_sweep_of_nothing_and_an_objective_that_is_no_ratio_are_told_with_their_place() {
    let text =
        "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n[[strategy]]\nname = \"a\"\nkind = \"random\"\n";
    assert_snapshot!(said(text, &[], 0), @r#"
run       ready
backtest  ready
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    let swept = "[sweep]\n\"strategy.a.params.seed\" = [1, 2]\nobjective = \"sharp\"\n";
    let folder = folder(&format!("{text}{swept}"), &[]);
    for command in ["check", "sweep"] {
        let output = bot(folder.path(), &[command, "run.toml"]);
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(
            said.contains("run.toml:9:13: sweep.objective: must be a ratio's name, was \"sharp\", did you mean \"sharpe\"?"),
            "{said}"
        );
    }
}

#[test]
fn what_may_never_trade_is_told_and_changes_no_readiness() {
    let text = r#"[risk]
order_notional_max = "120"
position_notional_max = "1000"
order_qty_max = 0.5

[data.nvda]
kind = "csv"
path = "nvda.csv"

[[strategy]]
name = "shares"
kind = "buy_and_hold"
symbols = ["NVDA"]
size = { rule = "10sh" }

[[strategy]]
name = "poor"
kind = "buy_and_hold"
capital = "149"

[[strategy]]
name = "narrow"
kind = "buy_and_hold"
risk = { position_max = "100" }

[[strategy]]
name = "small"
kind = "buy_and_hold"
size = { rule = "$149" }

[[strategy]]
name = "late"
kind = "ema_cross"
size = { rule = "1sh" }
params = { warmup = 2 }

[[strategy]]
name = "idle"
kind = "ema_cross"
active = false
"#;
    assert_snapshot!(said(text, &[], 0), @r#"
run       ready
  run.toml:2:22: risk.order_notional_max: can never trade: must be at least an order of strategy "shares" at full strength, 1500 dollars, was "120"
  run.toml:2:22: risk.order_notional_max: can never trade: must be at least an order of strategy "late" at full strength, 150 dollars, was "120"
  run.toml:3:25: risk.position_notional_max: can never trade: must be at least an order of strategy "shares" at full strength, 1500 dollars, was "1000"
  run.toml:4:17: risk.order_qty_max: can never trade: must be at least an order of strategy "shares" at full strength, 10 shares, was "0.5"
  run.toml:4:17: risk.order_qty_max: can never trade: must be at least an order of strategy "late" at full strength, 1 shares, was "0.5"
  run.toml:19:11: strategy.poor.capital: can never trade: must be at least one share at 150 dollars, was "149"
  run.toml:24:25: strategy.narrow.risk.position_max: can never trade: must be at least one share at 150 dollars, was "100"
  run.toml:29:17: strategy.small.size.rule: can never trade: must be at least one share at 150 dollars, was "$149"
  run.toml:40:10: strategy.idle.active: trades only once it is started by name, was false
backtest  ready
  run.toml:2:22: risk.order_notional_max: can never trade: must be at least an order of strategy "shares" at full strength, 1500 dollars, was "120"
  run.toml:2:22: risk.order_notional_max: can never trade: must be at least an order of strategy "late" at full strength, 150 dollars, was "120"
  run.toml:3:25: risk.position_notional_max: can never trade: must be at least an order of strategy "shares" at full strength, 1500 dollars, was "1000"
  run.toml:4:17: risk.order_qty_max: can never trade: must be at least an order of strategy "shares" at full strength, 10 shares, was "0.5"
  run.toml:4:17: risk.order_qty_max: can never trade: must be at least an order of strategy "late" at full strength, 1 shares, was "0.5"
  run.toml:19:11: strategy.poor.capital: can never trade: must be at least one share at 150 dollars, was "149"
  run.toml:24:25: strategy.narrow.risk.position_max: can never trade: must be at least one share at 150 dollars, was "100"
  run.toml:29:17: strategy.small.size.rule: can never trade: must be at least one share at 150 dollars, was "$149"
  run.toml:35:21: strategy.late.params.warmup: can never trade: must be below the 2 rows of data.nvda, was "2"
  run.toml:40:10: strategy.idle.active: can never trade: is not started, was false
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}

#[test]
fn a_symbol_that_no_data_section_tells_of_is_refused_over_history() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"buy_and_hold\"\nsymbols = [\"NVDA\", \"SPY\"]\n";
    let shown = said(text, &[], 0);
    let faults = [
        "run       ready\n  run.toml:7:11: strategy.a.symbols: may never trade: none of its data sections has the symbol, was \"SPY\"",
        "backtest  not ready\n  run.toml:7:11: strategy.a.symbols: must be of the strategy's data sections for a backtest, was \"SPY\"",
    ];
    assert!(faults.iter().all(|fault| shown.contains(fault)), "{shown}");
}

#[test]
fn limits_that_leave_room_for_an_order_and_data_that_are_long_enough_are_not_warned_of() {
    let text = "[risk]\norder_notional_max = \"150\"\nposition_notional_max = \"150\"\norder_qty_max = 1\n\
        [data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"ema_cross\"\ncapital = \"150\"\nparams = { warmup = 1 }\n";
    assert_snapshot!(said(text, &[], 0), @r#"
run       ready
backtest  ready
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}

#[test]
fn a_script_that_looks_back_further_than_its_data_and_a_file_that_cannot_be_read_are_told() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n[data.bad]\nkind = \"csv\"\npath = \"bad.csv\"\n\
        [[strategy]]\nname = \"b\"\nscript = \"b_strategy.rhai\"\n";
    let script = ("b_strategy.rhai", "fn horizon() { \"1h\" }\nfn on_event(event) { }\n");
    let bad = ("bad.csv", "time,open,high,low,close,volume\n2024-01-02 09:30,x,1,1,1,1\n");
    assert_snapshot!(said(text, &[script, bad], 0), @r#"
run       ready
backtest  ready
  run.toml:4:1: data.bad: cannot be read to its end: bad.csv:2: open must be a number, was "x"
  run.toml:7:1: strategy.b.data: may never trade: data.nvda must last 1h, was "1m"
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}

#[test]
fn a_limit_below_all_of_the_cash_is_told_to_who_trades_plain_signals() {
    assert_snapshot!(said("[risk]\norder_notional_max = \"25000\"\n", &[], 0), @r#"
run       ready
  run.toml:2:22: risk.order_notional_max: refuses each buy of an account with more cash, unless --size says less, was "25000"
backtest  not ready
  run.toml:1:1: strategy: at least one [[strategy]] must be written for a backtest, was none
  run.toml:1:1: data: at least one [data.NAME] must be written for a backtest, was none
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    let rich = "[broker]\nkind = \"simulated\"\n[risk]\norder_notional_max = \"100000\"\n";
    assert!(!said(rich, &[], 0).contains("order_notional_max"));
}

#[test]
fn check_answers_machines_for_each_command() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n[[strategy]]\nname = \"a\"\nkind = \"random\"\nactive = false\n";
    let folder = folder(text, &[]);
    let output = bot(folder.path(), &["check", "run.toml", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((said["ok"].as_bool(), said["faults"].as_array().unwrap().len()), (Some(true), 0));
    for (command, ready, faults, warnings) in
        [("run", true, 0, 1), ("backtest", true, 0, 1), ("sweep", false, 1, 0)]
    {
        let of = |key: &str| said[command][key].as_array().unwrap().len();
        assert_eq!(said[command]["ready"].as_bool(), Some(ready), "{command}");
        assert_eq!((of("faults"), of("warnings")), (faults, warnings), "{command}");
    }
}
