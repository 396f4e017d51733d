//! What a manifest may say, and what is said of one that is wrong.

mod broken;
mod check;
mod commands;
mod documentation;
mod history;
mod instruments;
mod overrides;

use std::fmt::Write as _;
use std::process::{Command, Output};
use std::time::Duration;

use bot::broker::simulated::{Fees, FillModel, OnShortCash, SizeAt};
use bot::manifest::{BrokerKind, Combine, Manifest, Period, Weights, defaults};
use bot::margin::Margin;
use bot::units::{BasisPoints, Weight};
use insta::assert_snapshot;
use proptest::prelude::*;

const GOOD: &str = r#"
name = "two stocks"

[redis]
url = "rediss://me:hunter2@redis.example:6380/1"
stream = "signals"
group = "desk"

[pool]
workers = 8
queue = 128
signal_age_max = "1.5s"
quote_age_max = "250ms"

[broker]
kind = "simulated"
cash = "1000000"
fill = "same_close"
fees = { bps = 0.5 }
slippage_bps = 1
latency = "20ms"
volume_share = "10%"
margin = { initial = "50%", maintenance = 0.3 }
on_short_cash = "reject"
size_at = "fill"

[portfolio]
combine = "net"
weights = { NVDA = 0.6, "BRK.B" = "30%" }
cash_buffer = "2.5%"

[risk]
short = true
order_qty_max = 1_000
order_notional_max = "250000.50"
position_notional_max = "5000000"
orders_per_minute_max = 600
spread_bps_max = 12.5

[data.nvda]
kind = "generator"

[statistics]
benchmark = "nvda"
period = "1h"
periods_per_year = 1638
risk_free = "3%"
bootstrap = 0
seed = 7
"#;

fn faults(text: &str) -> String {
    Manifest::parse("run.toml", text).unwrap_err().to_string()
}

fn bot(arguments: &[&str], file: Option<&str>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        std::fs::write(folder.path().join("run.toml"), text).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_bot")).args(arguments).current_dir(folder.path()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_key_that_is_written_is_understood() {
    let manifest = Manifest::parse("run.toml", GOOD).unwrap();
    assert_eq!(manifest.name.as_deref(), Some("two stocks"));
    assert_eq!(manifest.redis.url.as_deref(), Some("rediss://me:hunter2@redis.example:6380/1"));
    assert_eq!(manifest.redis.stream.as_deref(), Some("signals"));
    assert_eq!(manifest.redis.group.as_deref(), Some("desk"));
    assert_eq!((manifest.pool.workers, manifest.pool.queue), (Some(8), Some(128)));
    assert_eq!(manifest.pool.signal_age_max, Some(Duration::from_millis(1_500)));
    assert_eq!(manifest.pool.quote_age_max, Some(Duration::from_millis(250)));
    assert_eq!(manifest.broker.kind, Some(BrokerKind::Simulated));
    assert_eq!(manifest.broker.cash, Some("1000000".parse().unwrap()));
    let weights = [("NVDA", "0.6"), ("BRK.B", "0.3")].map(|(s, w)| (s.parse().unwrap(), w.parse().unwrap()));
    assert_eq!(manifest.portfolio.weights, Some(Weights::Fixed(weights.into())));
    assert_eq!(manifest.portfolio.cash_buffer, Some("0.025".parse().unwrap()));
    assert_eq!(manifest.risk.short, Some(true));
    assert_eq!(manifest.risk.order_qty_max, Some("1000".parse().unwrap()));
    assert_eq!(manifest.risk.order_notional_max, Some("250000.5".parse().unwrap()));
    assert_eq!(manifest.risk.position_notional_max, Some("5000000".parse().unwrap()));
    assert_eq!(manifest.risk.orders_per_minute_max, Some(600));
    assert_eq!(manifest.risk.spread_bps_max, Some("12.5".parse().unwrap()));
    let model = manifest.broker.model();
    assert_eq!((model.fill, model.fees), (FillModel::SameClose, Fees::Bps("0.5".parse().unwrap())));
    assert_eq!((model.slippage, model.latency), (BasisPoints::whole(1), Duration::from_millis(20)));
    assert_eq!(model.volume_share, Some(Weight::percent(10)));
    let (initial, maintenance) = (Weight::percent(50), Weight::percent(30));
    assert_eq!(model.margin, Margin::Required { initial, maintenance });
    assert_eq!((model.on_short_cash, model.size_at), (OnShortCash::Reject, SizeAt::Fill));
    assert_eq!(manifest.portfolio.combine, Some(Combine::Net));
    assert_eq!(manifest.statistics.benchmark.as_deref(), Some("nvda"));
    assert_eq!(manifest.statistics.period(), Period::Span(Duration::from_hours(1)));
    assert_eq!((manifest.statistics.periods_per_year(), manifest.statistics.bootstrap()), (1_638, 0));
    assert_eq!((manifest.statistics.risk_free(), manifest.statistics.seed()), (Weight::percent(3), 7));
    let parts = manifest.describe();
    let parts = parts.iter().filter(|part| !part.name.starts_with("data"));
    assert!(parts.flat_map(|part| &part.lines).all(|line| !line.is_default));
}

#[test]
fn margin_is_none_or_what_positions_require() {
    let broker = |margin: &str| format!("[broker]\nkind = \"simulated\"\nmargin = {margin}");
    let margin = |text: &str| Manifest::parse("run.toml", &broker(text)).unwrap().broker.model().margin;
    let required = |initial, maintenance| Margin::Required {
        initial: Weight::percent(initial),
        maintenance: Weight::percent(maintenance),
    };
    assert_eq!(margin("\"none\""), Margin::None);
    assert_eq!(margin("{}"), required(100, 25));
    assert_eq!(margin("{ initial = 0.5 }"), required(50, 25));
    assert_eq!(margin("{ initial = \"20%\" }"), required(20, 20));
    assert_eq!(margin("{ maintenance = 0 }"), required(100, 0));
    assert_snapshot!(faults(&broker("{ initial = \"20%\", maintenance = \"30%\" }")), @r"
1 fault in run.toml
run.toml:3:10: broker.margin.maintenance: must be at most the initial 20%, was 30%
");
    assert_snapshot!(faults(&broker("{ initial = 0 }")), @r#"
1 fault in run.toml
run.toml:3:22: broker.margin.initial: must be above 0 to 1, as a fraction such as 0.5 or "50%", was integer "0"
"#);
    assert_snapshot!(faults(&broker("\"off\"")), @r#"
1 fault in run.toml
run.toml:3:10: broker.margin: must be "none" or a table such as { initial = "100%", maintenance = "25%" }, was "off"
"#);
}

#[test]
fn what_is_not_written_is_told_apart_from_its_default() {
    assert_eq!(Manifest::parse("run.toml", "").unwrap(), Manifest::default());
    let workers = format!("[pool]\nworkers = {}", defaults::WORKERS);
    assert_eq!(Manifest::parse("run.toml", &workers).unwrap().pool.workers, Some(defaults::WORKERS));
}

#[test]
fn all_faults_are_told_at_once_with_their_place_and_what_is_allowed() {
    assert_snapshot!(faults(r#"name = ""
nmae = "x"

[redis]
url = "http://me:hunter2@localhost"
stream = "{nvda}"
group = 5

[pool]
worker = 8
workers = 0
queue = 1.5
signal_age_max = "5"
quote_age_max = "0s"
threads = 3

[broker]
kind = "luno"
cash = 100000.5
fil = "next_open"

[portfolio]
weights = { NVDA = 0.6, nvda = 0.1, SPY = 1.5, "N V" = 0.1, AMD = "x", "ünï" = true }
cash_buffer = "100%"

[risk]
short = "no"
order_qty_max = -1
order_notional_max = 1000000
position_notional_max = "-5"
orders_per_minute_max = 0
spread_bps_max = 0x0

[dta.nvda]
kind = "csv"
"#), @r#"
28 faults in run.toml
run.toml:1:8: name: must be a string of 1 to 100 characters in one line, was ""
run.toml:2:1: nmae: unknown key, did you mean "name"? allowed are name, redis, pool, broker, data, portfolio, risk, instrument, strategy, statistics, sweep
run.toml:5:7: redis.url: redis url must be redis://HOST:PORT or rediss://HOST:PORT, with or without USER:PASSWORD@ and /DATABASE, was something else
run.toml:6:10: redis.stream: name must be 1 to 200 bytes without spaces and braces, was "{nvda}"
run.toml:7:9: redis.group: must be a string, was integer "5"
run.toml:10:1: pool.worker: unknown key, did you mean "workers"? allowed are workers, queue, signal_age_max, quote_age_max
run.toml:11:11: pool.workers: must be a whole number from 1 to 1024, was integer "0"
run.toml:12:9: pool.queue: must be a whole number from 1 to 65536, was float "1.5"
run.toml:13:18: pool.signal_age_max: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was "5"
run.toml:14:17: pool.quote_age_max: must be a duration above 0, was "0s"
run.toml:15:1: pool.threads: unknown key, allowed are workers, queue, signal_age_max, quote_age_max
run.toml:18:8: broker.kind: must be one of "alpaca", "simulated", was "luno"
run.toml:19:8: broker.cash: must be dollars above 0, written as a string such as "100000", was float "100000.5"
run.toml:20:1: broker.fil: unknown key, did you mean "fill"? allowed are kind, cash, fill, fees, slippage_bps, latency, volume_share, margin, on_short_cash, size_at
run.toml:23:25: portfolio.weights.nvda: symbol must be written once, was "NVDA" before
run.toml:23:43: portfolio.weights.SPY: must be a weight from 0 to 1, such as 0.6 or "60%", was float "1.5"
run.toml:23:48: portfolio.weights."N V": symbol must be 1 to 15 letters, digits, dots, slashes or hyphens, starting with a letter, was "N V"
run.toml:23:67: portfolio.weights.AMD: must be a weight from 0 to 1, such as 0.6 or "60%", was "x"
run.toml:23:72: portfolio.weights."ünï": symbol must be 1 to 15 letters, digits, dots, slashes or hyphens, starting with a letter, was "ünï"
run.toml:23:80: portfolio.weights."ünï": must be a weight from 0 to 1, such as 0.6 or "60%", was boolean "true"
run.toml:24:15: portfolio.cash_buffer: must be 0 to below 1, as a fraction such as 0.02 or "2%", was "100%"
run.toml:27:9: risk.short: must be true or false, was "no"
run.toml:28:17: risk.order_qty_max: must be a number of shares above 0 with at most 9 decimals, was integer "-1"
run.toml:29:22: risk.order_notional_max: must be dollars above 0, written as a string such as "100000", was integer "1000000"
run.toml:30:25: risk.position_notional_max: must be dollars above 0, written as a string such as "100000", was "-5"
run.toml:31:25: risk.orders_per_minute_max: must be a whole number from 1 to 1000000, was integer "0"
run.toml:32:18: risk.spread_bps_max: must be a number of basis points above 0, was integer "0x0"
run.toml:34:2: dta: unknown key, did you mean "data"? allowed are name, redis, pool, broker, data, portfolio, risk, instrument, strategy, statistics, sweep
"#);
}

#[test]
fn sections_of_the_wrong_shape_are_told() {
    assert_snapshot!(faults(r#"redis = 5
pool.workers = 0
pool.x = 1
[[risk]]
short = true
[[risk]]
short = true
[portfolio.weights]
[broker]
cash = "1"
"#), @r#"
6 faults in run.toml
run.toml:1:9: redis: must be one table, written as [redis], was integer "5"
run.toml:2:16: pool.workers: must be a whole number from 1 to 1024, was integer "0"
run.toml:3:6: pool.x: unknown key, allowed are workers, queue, signal_age_max, quote_age_max
run.toml:4:1: risk: must be one table, written as [risk], was a list
run.toml:8:1: portfolio.weights: must name at least one symbol, was empty
run.toml:10:8: broker.cash: is allowed with kind = "simulated" only, was kind = "alpaca"
"#);
}

#[test]
fn weights_above_the_whole_are_refused_and_below_it_the_rest_is_cash() {
    assert_snapshot!(faults("[portfolio]\nweights = { NVDA = 0.7, SPY = \"30.1%\" }"), @r#"
1 fault in run.toml
run.toml:2:11: portfolio.weights: weights must sum to at most 1, was "1.001"
"#);
    assert_snapshot!(faults("[portfolio]\nweights = \"most\""), @r#"
1 fault in run.toml
run.toml:2:11: portfolio.weights: must be "equal", "inverse_volatility" or a table such as { NVDA = 0.6, SPY = 0.4 }, was "most"
"#);
    let manifest = Manifest::parse("run.toml", "[portfolio]\nweights = { NVDA = 0.6, SPY = 0.1 }").unwrap();
    assert_eq!(manifest.portfolio.weights.unwrap().to_string(), "NVDA 60%, SPY 10%, cash 30%");
}

#[test]
fn cash_belongs_to_a_simulated_broker() {
    assert_snapshot!(faults("[broker]\nkind = \"alpaca\"\ncash = \"5\""), @r#"
1 fault in run.toml
run.toml:3:8: broker.cash: is allowed with kind = "simulated" only, was kind = "alpaca"
"#);
    // One mistake is one fault: the kind is wrong, so nobody knows whether cash belongs to it.
    assert_snapshot!(faults("[broker]\nkind = \"simulate\"\ncash = \"5\""), @r#"
1 fault in run.toml
run.toml:2:8: broker.kind: must be one of "alpaca", "simulated", was "simulate"
"#);
}

#[test]
fn text_that_is_no_toml_is_told_with_its_lines_beside_the_other_faults() {
    assert_snapshot!(faults(r#"name = "a
[redis]
stream =
stream = "b"
url = nvda
[pool
workers = 8
[redis]
group = ""
[pool]
worker = 1
signal_age_max = 5s
"#), @r#"
9 faults in run.toml
run.toml:1:10: invalid basic string, expected `"`
run.toml:3:9: string values must be quoted, expected literal string
run.toml:4:1: duplicate key
run.toml:5:7: invalid float, expected `nan`
run.toml:6:6: unclosed table, expected `]`
run.toml:8:2: duplicate key
run.toml:9:9: redis.group: name must be 1 to 200 bytes without spaces and braces, was ""
run.toml:11:1: pool.worker: unknown key, did you mean "workers"? allowed are workers, queue, signal_age_max, quote_age_max
run.toml:12:18: string values must be quoted, expected literal string
"#);
}

#[test]
fn a_password_is_in_no_fault_and_in_no_summary() {
    let manifest = Manifest::parse("run.toml", GOOD).unwrap();
    let mut shown = format!("{manifest:?}\n{:?}\n", manifest.describe());
    for text in [
        "[redis]\nurl = \"htp://me:hunter2@h\"",
        "[redis]\nurl = redis://me:hunter2@h",
        "[redis]\nurl = \"redis://me:hunter2@h",
        "[redis]\nurl = [\"redis://me:hunter2@h\"]",
        "[redis]\npassword = \"hunter2\"",
    ] {
        writeln!(shown, "{}", faults(text)).unwrap();
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

const SNIPPETS: &[&str] = &[
    "",
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\0",
    "-",
    "0",
    "1e999",
    "nan",
    "-inf",
    "0xff",
    "9999999999999999999999",
    "1979-05-27T07:32:00Z",
    "true",
    "[pool]",
    "[redis]\n",
    "[portfolio.weights]\n",
    "workers = ",
    "ü",
    "\u{feff}",
    "\"\\uD800\"",
    "\"%\"",
    "\"1e30d\"",
];

/// A piece of text that is likely to mean something where it lands.
fn snippet() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(SNIPPETS).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn no_mutation_of_a_manifest_makes_the_parser_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, snippet()), 1..8)
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, removed, inserted) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        match Manifest::parse("run.toml", &text) {
            Ok(manifest) => prop_assert!(!manifest.describe().is_empty()),
            Err(faults) => {
                prop_assert!(!faults.as_slice().is_empty());
                for fault in faults.as_slice() {
                    prop_assert!(fault.line <= text.matches('\n').count() + 1, "{}", fault);
                }
            }
        }
    }
}
