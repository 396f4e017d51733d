//! Strategies: the same events give the same intents, and what the command says of them.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bot::clock::Timestamp;
use bot::manifest::{Manifest, SizeMode, StrategySource};
use bot::market::{Bar, MarketEvent, Quote, Trade};
use bot::portfolio::Retry;
use bot::script::Script;
use bot::signal::{Entry, EntryId, IdSpace, Signal};
use bot::strategy::harness::Harness;
use bot::strategy::{Every, Intent, Intents, Past, Registry, Strategy, Value, WrittenParams, registry};
use bot::symbol::Symbol;
use insta::assert_snapshot;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;
use tempfile::TempDir;

mod documentation;
mod harness;
mod manifests;
mod modules;
mod simulated;

const CROSS: &str = include_str!("../../strategies/cross_strategy.rhai");

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// Bars, trades and quotes of two symbols, some of them useless.
fn events(count: u32) -> Vec<MarketEvent> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut prices = [100.0, 400.0];
    (0..count)
        .map(|second| {
            let which = random.random_range(0..2_usize);
            let (symbol, at) = (symbol(["NVDA", "SPY"][which]), Timestamp::from_secs(i64::from(second)));
            prices[which] *= 1.0 + random.random_range(-0.01..0.01);
            let price = prices[which];
            match random.random_range(0..10) {
                0..4 => {
                    let bar = Bar { at, open: price, high: price, low: price, close: price, volume: 1.0 };
                    MarketEvent::Bar { symbol, bar, span: Duration::from_secs(1) }
                }
                4..7 => MarketEvent::Trade { symbol, trade: Trade { at, price, size: 1.0 } },
                7..9 => {
                    let quote =
                        Quote { at, bid: price - 0.01, bid_size: 1.0, ask: price + 0.01, ask_size: 1.0 };
                    MarketEvent::Quote { symbol, quote }
                }
                _ => MarketEvent::Trade { symbol, trade: Trade { at, price: f64::NAN, size: 1.0 } },
            }
        })
        .collect()
}

fn intents(mut strategy: Box<dyn Strategy>, events: &[MarketEvent]) -> Vec<(usize, Intent)> {
    let mut intents = Intents::default();
    let mut all = Vec::new();
    let mut past = Past::new(strategy.needs());
    for (index, event) in events.iter().enumerate() {
        past.observe(event);
        strategy.on_event(event, &past.view(), &mut intents).unwrap();
        all.extend(intents.drain().map(|intent| (index, intent)));
    }
    all
}

fn params(written: &[(&str, &str)]) -> WrittenParams {
    written.iter().map(|(name, value)| ((*name).to_owned(), Value::parse(value))).collect()
}

fn cross_script(params: &WrittenParams) -> Box<dyn Strategy> {
    Script::compile("cross_strategy.rhai", CROSS).unwrap().make(params, &[]).unwrap()
}

#[test]
fn the_same_events_give_the_same_intents() {
    let events = events(3_000);
    for kind in Registry::built_in().kinds() {
        let twice = [0, 1].map(|_| intents(kind.make(&WrittenParams::new(), &[]).unwrap(), &events));
        assert_eq!(twice[0], twice[1], "{kind:?}");
        assert!(!twice[0].is_empty(), "{kind:?} wanted nothing");
    }
    let none = WrittenParams::new();
    let usable: Vec<_> =
        events.into_iter().filter(|event| bot::strategy::usable_price(event).is_some()).collect();
    let twice = [0, 1].map(|_| intents(cross_script(&none), &usable));
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn the_shipped_script_wants_what_the_built_in_kind_wants() {
    let usable: Vec<_> =
        events(3_000).into_iter().filter(|event| bot::strategy::usable_price(event).is_some()).collect();
    for written in [&[][..], &[("fast", "3"), ("slow", "9"), ("warmup", "500")][..]] {
        let params = params(written);
        let built_in = intents(registry().make("ema_cross", &params, &[]).unwrap(), &usable);
        assert!(built_in.len() > 10);
        assert_eq!(built_in, intents(cross_script(&params), &usable));
    }
}

#[test]
fn another_seed_gives_other_intents() {
    let events = events(1_000);
    let of = |seed| intents(registry().make("random", &params(&[("seed", seed)]), &[]).unwrap(), &events);
    assert_ne!(of("1"), of("2"));
}

/// The strengths that `kind` wants on bars with these closes, by the number of the bar from 1.
fn signals(kind: &str, written: &[(&str, &str)], closes: &[f64]) -> Vec<(usize, f64)> {
    let nvda = symbol("NVDA");
    let mut test = Harness::new(registry().make(kind, &params(written), &[nvda]).unwrap(), &[nvda]);
    let mut all = Vec::new();
    for (number, close) in (1..).zip(closes) {
        let signals = test.bar(nvda, *close).signals().unwrap();
        all.extend(signals.iter().map(|signal| (number, signal.wanted.strength().unwrap())));
    }
    all
}

#[test]
fn built_in_strategies_go_the_way_their_names_say() {
    let prices = [10.0, 10.0, 11.0, 12.0, 12.0, 8.0, 7.0, 7.0, 15.0];
    let fast = [("fast", "1"), ("slow", "3")];
    assert_eq!(signals("ema_cross", &fast, &prices), [(3, 1.0), (6, -1.0), (9, 1.0)]);
    // Silent for five events, then it says where it stands: not where it stood.
    let silent = [("fast", "1"), ("slow", "3"), ("warmup", "5")];
    assert_eq!(signals("ema_cross", &silent, &prices), [(6, -1.0), (9, 1.0)]);
    assert_eq!(signals("ema_cross", &silent, &[10.0, 11.0, 11.0, 11.0, 11.0, 11.0]), [(6, 1.0)]);
    assert_eq!(signals("ema_cross", &[], &[10.0; 50]), []);
    let simple = [("fast", "1"), ("slow", "3")]; // 10.33, 11, 11.67, 10.67, 9, 7.33, 9.67
    assert_eq!(signals("sma_cross", &simple, &prices), [(3, 1.0), (6, -1.0), (9, 1.0)]);
    assert_eq!(
        signals("sma_cross", &[("fast", "2"), ("slow", "4")], &[5.0, 4.0, 3.0, 2.0, 6.0]),
        [(4, -1.0), (5, 1.0)]
    );
    assert_eq!(signals("sma_cross", &[], &[10.1; 50]), []);
    assert_eq!(signals("breakout", &[("period", "2")], &prices), [(3, 1.0), (6, -1.0), (9, 1.0)]);
    assert_eq!(signals("buy_and_hold", &[], &prices), [(1, 1.0)]);
    assert_eq!(
        signals("rsi_reversion", &[("period", "2")], &[10.0, 9.0, 8.0, 7.0, 12.0, 13.0, 10.0]),
        [(3, 1.0), (5, -1.0), (7, 0.0)]
    );
}

#[test]
fn the_naive_test_plays_its_fixed_play() {
    let text =
        String::from_utf8(bot(&["strategy", "test", "naive_test", "--count", "30"], Path::new(".")).stdout);
    assert_snapshot!(text.unwrap(), @r#"
2026-01-05T09:30:04-05:00 NVDA buy 0.12 market
2026-01-05T09:30:09-05:00 NVDA buy 0.12 limit 49.95
2026-01-05T09:30:11-05:00 NVDA buy 0.12 limit 49.95
2026-01-05T09:30:19-05:00 cancel all
"#);
}

fn bot(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bot")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn check(folder: &TempDir, arguments: &[&str], code: i32, said: &str) {
    let output = bot(&[&["strategy"], arguments].concat(), folder.path());
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said), "{text}\nmust contain {said}");
}

#[test]
fn a_new_strategy_passes_its_check_and_runs_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    check(&folder, &["new", "dip"], 0, "strategies/dip_strategy.rhai");
    check(
        &folder,
        &["new", "dip"],
        2,
        "strategy must be a new one, strategies/dip_strategy.rhai exists already",
    );
    check(&folder, &["new", "../dip"], 2, "name must be 1 to 40 of a-z, 0-9 and _");
    check(&folder, &["new", "ema_cross"], 2, "name must not be that of a kind");
    check(&folder, &["check", "dip"], 0, "dip has no faults");
    check(&folder, &["check", "strategies/dip_strategy.rhai", "--json"], 0, r#"{"faults":[],"ok":true}"#);
    check(&folder, &["check", "no_such"], 4, "was \"strategies/no_such_strategy.rhai\"");
    check(&folder, &["check", "ema_cross"], 0, "ema_cross has no faults");
    check(&folder, &["list"], 0, "strategies/dip_strategy.rhai\n    step = 0.01  a number");

    let run = || bot(&["strategy", "test", "dip", "--params", "step=0.003", "--json"], folder.path());
    let (once, again) = (run(), run());
    assert_eq!(once.stdout, again.stdout);
    let first = String::from_utf8(once.stdout).unwrap();
    let first: Json = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(first["intent"], "signal");
}

#[test]
fn a_script_for_bars_alone_has_no_faults_and_is_tried_on_bars() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("strategies")).unwrap();
    let text = "fn on_event(event) { if event.close > 1.0 { signal(event.symbol, 1); } }";
    std::fs::write(folder.path().join("strategies/bars_strategy.rhai"), text).unwrap();
    let quote = "strategies/bars_strategy.rhai:1:31: event.close must be a field of the event, which is a quote and has";
    let said = format!("bars has no faults, but is not meant for all kinds of events:\n  {quote}");
    check(&folder, &["check", "bars"], 0, &said);
    let output = bot(&["strategy", "check", "bars", "--json"], folder.path());
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["ok"], answer["not_for"].as_array().unwrap().len()), (&Json::Bool(true), 2));
    check(
        &folder,
        &["test", "bars"],
        3,
        "event.close must be a field of the event, which is a trade and has",
    );
    check(
        &folder,
        &["test", "bars", "--timeframe", "1h", "--count", "3"],
        0,
        "2026-01-05T10:30:00-05:00 NVDA signal +1",
    );
    for (event, said) in
        [("bar", ""), ("trade", "which is a trade and has kind, symbol, time, price, volume")]
    {
        let manifest = format!(
            "[broker]\nkind = \"simulated\"\n[data.nvda]\nkind = \"generator\"\nrows = 100\nevent = \"{event}\"\n\
             [[strategy]]\nname = \"bars\"\nscript = \"strategies/bars_strategy.rhai\"\nsize = {{ rule = \"1sh\" }}\n"
        );
        std::fs::write(folder.path().join("run.toml"), manifest).unwrap();
        let output = bot(&["check", "run.toml"], folder.path());
        let text = String::from_utf8(output.stdout).unwrap();
        let told = text.lines().find(|line| line.contains("fails on events")).unwrap_or_default();
        let warning = "run.toml:9:10: strategy.bars.script: fails on events of data.nvda: ";
        assert!(
            told.trim_start().starts_with(warning) == (event == "trade") && told.ends_with(said),
            "{text}"
        );
    }
}

#[test]
fn a_script_that_does_not_work_ends_with_3_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("strategies")).unwrap();
    let write =
        |text: &str| std::fs::write(folder.path().join("strategies/bad_strategy.rhai"), text).unwrap();
    write("fn on_event(event) {\n    let x = ;\n}\n");
    check(&folder, &["check", "bad"], 3, "strategies/bad_strategy.rhai:2:13: Unexpected ';'");
    check(&folder, &["test", "bad"], 3, "strategies/bad_strategy.rhai:2:13: Unexpected ';'");
    check(&folder, &["list"], 0, "does not work: strategies/bad_strategy.rhai:2:13");
    write("fn on_event(event) {\n    loop { }\n}\n");
    check(&folder, &["check", "bad"], 3, "strategies/bad_strategy.rhai:1: one call must take at most");
    write("fn on_event(event) {\n    signal(event.symbol, 0.0 / 0.0);\n}\n");
    check(
        &folder,
        &["test", "bad"],
        3,
        "strategies/bad_strategy.rhai:2:5: signal must be a number from -1 to 1, was NaN",
    );
}

#[test]
fn a_try_takes_bars_and_ticks_and_tells_wrong_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "bars.csv",
        "datetime,open,high,low,close\n2026-01-05 09:30:00,1,1,1,1\n2026-01-05 09:31:00,1,2,1,2\n",
    );
    write("ticks.csv", "time,price\n2026-01-05T14:30:00Z,5\n");
    write("bad.csv", "time,price\n2026-01-05T14:30:00Z,x\n");
    check(
        &folder,
        &["test", "buy_and_hold", "--ticks", "bars.csv"],
        0,
        "2026-01-05T09:31:00-05:00 NVDA signal +1",
    );
    check(
        &folder,
        &["test", "buy_and_hold", "--ticks", "ticks.csv"],
        0,
        "2026-01-05T09:30:00-05:00 NVDA signal +1",
    );
    check(
        &folder,
        &["test", "buy_and_hold", "--ticks", "bad.csv"],
        3,
        "bad.csv:2: price must be a number, was \"x\"",
    );
    check(&folder, &["test", "buy_and_hold", "--ticks", "none.csv"], 4, "ticks must be a file that exists");
    let flags = |flags: &[&'static str]| [&["test", "buy_and_hold"], flags].concat();
    let rule = "--timeframe must stand with a file of bars, was \"ticks.csv\"";
    check(&folder, &flags(&["--ticks", "ticks.csv", "--timeframe", "1min"]), 2, rule);
    check(&folder, &flags(&["--ticks", ".", "--timeframe", "1min"]), 2, "file of bars, was \".\"");
    check(
        &folder,
        &flags(&["--ticks", ".", "--timezone", "UTC"]),
        2,
        "--timezone must stand with a file, was",
    );
    check(&folder, &flags(&["--timezone", "UTC"]), 2, "--ticks <FILE>");
    check(
        &folder,
        &["test", "ema_cross", "--params", "fast=0", "--params", "slwo=5"],
        3,
        "slwo: unknown parameter, allowed are fast, slow, warmup; fast: must be a whole number from 1 to 100000, was \"0\"",
    );
    check(&folder, &["test", "ema_cross", "--params", "fast"], 2, "must be NAME=VALUE");
}

#[test]
fn what_there_is_is_listed_for_machines_too() {
    let folder = tempfile::tempdir().unwrap();
    let output = bot(&["strategy", "list", "--json"], folder.path());
    let list: Json = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> =
        list["kinds"].as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["breakout", "buy_and_hold", "ema_cross", "naive_test", "random", "rsi_reversion", "sma_cross"]
    );
    assert_eq!(list["kinds"][2]["params"][0]["default"], 10);
}

#[test]
fn a_program_of_ones_own_adds_a_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_bot")).parent().unwrap().join("examples/custom_strategy");
    if !program.exists() {
        // `cargo test --test it` builds no examples.
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--example", "custom_strategy"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success());
    }
    let run = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, listed) = run(&["strategy", "list"]);
    assert_eq!(code, Some(0));
    assert!(
        listed.contains("momentum\n") && listed.contains("rises = 3  a whole number from 1 to 100"),
        "{listed}"
    );
    let (code, tried) = run(&["strategy", "test", "momentum", "--params", "rises=2", "--count", "50"]);
    assert_eq!(code, Some(0));
    assert!(tried.contains("NVDA signal +1\n") && tried.contains("NVDA signal +0\n"), "{tried}");
    std::fs::write(folder.path().join("run.toml"), "[[strategy]]\nname = \"m\"\nkind = \"momentum\"\n")
        .unwrap();
    assert_eq!(run(&["check", "run.toml"]).0, Some(0));
}
