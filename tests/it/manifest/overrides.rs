//! What a manifest becomes when keys are swept or overridden.

use std::path::PathBuf;
use std::time::Duration;

use bot::broker::simulated::Fees;
use bot::data::spec::Origin;
use bot::manifest::{Document, Manifest, Purpose, SweepAxis, WalkForward, WindowLength, overrides};
use insta::assert_snapshot;

use super::faults;
use super::history::{CROSS, folder, parse, shown};

fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_sweep_is_every_combination_the_last_key_changing_first() {
    let text = format!(
        "{CROSS}\n[sweep]\n\"strategy.cross.params.fast\" = [5, 10]\n\
         \"strategy.cross.params.slow\" = {{ from = 20, to = 60, step = 20 }}\nobjective = \"sortino\"\n\
         walk_forward = {{ train = \"60d\", test = 20 }}\n"
    );
    let sweep = parse(&text).sweep;
    assert_eq!((sweep.combinations(), sweep.objective()), (6, "sortino"));
    let walk = WalkForward {
        train: WindowLength::Span(Duration::from_hours(24 * 60)),
        test: WindowLength::Sessions(20),
    };
    assert_eq!(sweep.walk_forward, Some(walk));
    let all: Vec<String> = (0..7)
        .map_while(|index| sweep.combination(index))
        .map(|chosen| chosen.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(all, ["5 20", "5 40", "5 60", "10 20", "10 40", "10 60"]);
}

#[test]
fn ranges_have_exact_steps_and_both_ends() {
    let values = |range: &str| {
        let text = format!("{CROSS}\n[sweep]\n\"data.nvda.volatility\" = {range}");
        let SweepAxis { key, values } = parse(&text).sweep.axes.remove(0);
        assert_eq!(key, "data.nvda.volatility");
        values.join(" ")
    };
    assert_eq!(values("{ from = 0.1, to = 0.5, step = 0.1 }"), "0.1 0.2 0.3 0.4 0.5");
    assert_eq!(values("{ from = 0.5, to = 2, step = 0.5 }"), "0.5 1.0 1.5 2.0");
    assert_eq!(values("{ from = 1, to = 10, step = 4 }"), "1 5 9");
    assert_eq!(values("{ from = 1, to = 8, factor = 2 }"), "1 2 4 8");
    assert_eq!(values("{ from = 3, to = 3, step = 1 }"), "3");
    let text =
        format!("{CROSS}\n[sweep]\n\"broker.cash\" = {{ from = \"1000\", to = \"3000\", step = \"1000\" }}");
    assert_eq!(parse(&text).sweep.axes[0].values, ["\"1000\"", "\"2000\"", "\"3000\""]);
}

#[test]
fn faults_of_a_sweep_stand_at_its_lines() {
    let text = format!(
        "{}\n{}",
        r#"[sweep]
"strategy.cros.params.fast" = [1]
"strategy.cross.params.fst" = [1, 2]
"strategy.cross.params.fast" = [5, 0, "x", 5]
"strategy.cross.params.slow" = { from = 20, to = 10, step = 1 }
"brokr.cash" = ["5"]
"broker.cash" = 5
"broker.latency" = []
"broker.slippage_bps" = { from = 0, to = 1 }
"broker.volume_share" = { from = 0.1, to = 0.2, step = 0, factor = 2 }
"data.nvda.rows" = { from = 1, to = 100_000_000, step = 1 }
"data.nvda.price" = { from = -1, to = 5, step = 1 }
"no key" = [1]
broker.fees = ["none"]
objective = "Best!"
walk_forward = { train = "60", tst = "20d" }
"#,
        CROSS
    );
    assert_snapshot!(faults(&text), @r#"
20 faults in run.toml
run.toml:2:1: sweep."strategy.cros.params.fast": must name a strategy, was "cros", did you mean "cross"? allowed are cross, hold
run.toml:3:32: strategy.cross.params.fst: unknown parameter, allowed are fast, slow, warmup
run.toml:3:35: strategy.cross.params.fst: unknown parameter, allowed are fast, slow, warmup
run.toml:4:36: strategy.cross.params.fast: must be a whole number from 1 to 100000, was "0"
run.toml:4:39: strategy.cross.params.fast: must be a whole number from 1 to 100000, was "x"
run.toml:4:44: sweep."strategy.cross.params.fast": each value must be written once, was 5 before
run.toml:5:32: sweep."strategy.cross.params.slow".to: must be at least from, was 20 to 10
run.toml:6:1: brokr: unknown key, did you mean "broker"? allowed are name, redis, pool, broker, data, portfolio, risk, instrument, strategy, statistics, sweep
run.toml:7:17: sweep."broker.cash": must be a list of values, or a range such as { from = 20, to = 60, step = 20 }, was integer "5"
run.toml:8:20: sweep."broker.latency": must be a list of values, or a range such as { from = 20, to = 60, step = 20 }, was empty
run.toml:9:25: sweep."broker.slippage_bps".step: step or factor must be written, was neither
run.toml:10:68: sweep."broker.volume_share".factor: is allowed without step only, were both
run.toml:11:20: sweep."data.nvda.rows": must have at most 1000000 values, were more
run.toml:12:21: data.nvda.price: must be dollars above 0, was integer "-1"
run.toml:13:1: sweep."no key": must be a dotted key such as broker.cash
run.toml:14:1: sweep.broker: must be a list of values, or a range such as { from = 20, to = 60, step = 20 }, and its key one in quotes such as "broker.cash"
run.toml:15:13: sweep.objective: must be a ratio's name such as "sharpe", was "Best!"
run.toml:16:16: sweep.walk_forward.test: must be written, was missing
run.toml:16:26: sweep.walk_forward.train: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was "60"
run.toml:16:32: sweep.walk_forward.tst: unknown key, did you mean "test"? allowed are train, test
"#);
}

#[test]
fn combinations_that_do_not_meet_each_constraint_are_left_out_and_keep_their_index() {
    let grid = "[sweep]\n\"strategy.cross.params.fast\" = [5, 10, 20]\n\"strategy.cross.params.slow\" = [10, 20]\n\
                \"broker.cash\" = [\"1000\", \"2500.5\"]\n";
    let kept = |constraint: &str| {
        let sweep = parse(&format!("{CROSS}\n{grid}where = {constraint}\n")).sweep;
        (sweep.combinations(), sweep.kept())
    };
    assert_eq!(kept("\"fast < slow\""), (12, vec![0, 1, 2, 3, 6, 7]));
    assert_eq!(
        kept("[\"fast < slow\", \"strategy.cross.params.fast * 2 <= slow && cash > 2500\"]").1,
        [1, 3, 7]
    );
    assert_eq!(kept("'\"strategy.cross.params.slow\" / fast == 4'").1, [2, 3]);
}

#[test]
fn a_constraint_that_cannot_be_honoured_is_a_fault_with_what_is_allowed() {
    let faults_of = |constraint: &str| {
        let text = format!(
            "[sweep]\n\"strategy.cross.params.fast\" = [5, 10]\n\"strategy.cross.params.slow\" = [20, 40]\n\
             \"broker.fees\" = [\"none\", {{ bps = 1 }}]\nwhere = {constraint}\n{CROSS}"
        );
        faults(&text).lines().skip(1).collect::<Vec<_>>().join("\n")
    };
    let all =
        ["\"fsat < slow\"", "[\"fast < slow\", \"fast <\", 5]", "[]", "5", "\"fees > 0\"", "\"fast > slow\""];
    assert_snapshot!(all.map(faults_of).join("\n"), @r#"
run.toml:5:9: sweep.where: unknown name "fsat", did you mean "fast"? allowed are fast, slow, fees
run.toml:5:25: sweep.where: must go on with a number, a name or "(", was its end in "fast <"
run.toml:5:35: sweep.where: must be a constraint such as "fast < slow", or a list of them, was integer "5"
run.toml:5:9: sweep.where: must be a constraint such as "fast < slow", or a list of them, was empty
run.toml:5:9: sweep.where: must be a constraint such as "fast < slow", or a list of them, was integer "5"
run.toml:5:9: sweep.where: must be of keys whose values are numbers, was broker.fees with "none"
run.toml:5:9: sweep.where: must be met by at least one combination, was met by none of 8
"#);
    // Only the axis at fault is told: what is said of it is not held against the others.
    let broken = "[sweep]\n\"strategy.cross.params.fast\" = []\n\"strategy.cross.params.slow\" = [20]\n\
                  where = \"fast > slow\"\n";
    assert_snapshot!(faults(&format!("{broken}{CROSS}")), @r#"
1 fault in run.toml
run.toml:2:32: sweep."strategy.cross.params.fast": must be a list of values, or a range such as { from = 20, to = 60, step = 20 }, was empty
"#);
    let (_folder, document) = folder(CROSS, &[]);
    let swept = set(&[("sweep.\"strategy.cross.params.fast\"", "[5, 10]"), ("sweep.where", "fast > 10")]);
    let refused = document.read(&swept, Purpose::Sweep).unwrap_err();
    assert_snapshot!(refused.as_slice()[0], @"--set sweep.where=fast > 10: sweep.where: must be met by at least one combination, was met by none of 2");
}

#[test]
fn too_many_combinations_are_refused() {
    let text = format!(
        "{CROSS}\n[sweep]\n\"data.nvda.seed\" = {{ from = 1, to = 2000, step = 1 }}\n\
         \"data.spy.seed\" = {{ from = 1, to = 2000, step = 1 }}\n"
    );
    assert_snapshot!(faults(&text), @r#"
1 fault in run.toml
run.toml:34:1: sweep: must have at most 1000000 combinations, were 4000000
"#);
}

#[test]
fn overrides_replace_what_is_written_and_make_what_is_not() {
    let (_folder, document) = folder(CROSS, &[]);
    let overrides = set(&[
        ("strategy.cross.params.fast", "7"),
        ("strategy.hold.capital", "\"5000\""),
        ("broker.fill", "same_close"),
        ("broker.fees", "{ bps = 2 }"),
        ("statistics.benchmark", "spy"),
        ("portfolio.weights.\"BRK.B\"", "0.5"),
        ("data.extra.kind", "generator"),
    ]);
    let manifest = document.read(&overrides, Purpose::Any).unwrap();
    assert_eq!(manifest.strategies[0].params.get("fast").unwrap().to_string(), "7");
    assert_eq!(manifest.strategies[0].params.get("slow").unwrap().to_string(), "20");
    assert_eq!(manifest.strategies[1].capital, Some("5000".parse().unwrap()));
    assert_eq!(manifest.broker.model().fees, Fees::Bps("2".parse().unwrap()));
    assert_eq!(manifest.broker.fill.unwrap().name(), "same_close");
    assert_eq!(manifest.statistics.benchmark.as_deref(), Some("spy"));
    assert_eq!(manifest.portfolio.weights.unwrap().to_string(), "BRK.B 50%, cash 50%");
    assert_eq!(manifest.data.last().unwrap().name, "extra");
}

#[test]
fn faults_of_an_override_name_it_instead_of_a_line() {
    let (folder, document) = folder(CROSS, &[]);
    let overrides = set(&[
        ("strategy.cross.params.fast", "0"),
        ("strategy.cros.params.fast", "1"),
        ("strategy", "1"),
        ("broker.cash", "100000"),
        ("broker.cash.x", "1"),
        ("brokr.cash", "1"),
        ("redis.url", "redi://me:hunter2@h"),
        ("a b", "1"),
        ("data.nvda.kind", "1\npath = 2"),
    ]);
    let faults = document.read(&overrides, Purpose::Any).unwrap_err();
    assert_snapshot!(shown(folder.path(), &faults), @r#"
9 faults in run.toml
--set strategy.cros.params.fast=1: strategy.cros.params.fast: must name a strategy, was "cros", did you mean "cross"? allowed are cross, hold
--set strategy=1: strategy: must name a strategy and one of its keys, such as strategy.cross.params.fast
--set broker.cash.x=1: broker.cash.x: leads nowhere: cash is no table
--set a b=1: a b: must be a dotted key such as broker.cash
--set redis.url: redis.url: redis url must be redis://HOST:PORT or rediss://HOST:PORT, with or without USER:PASSWORD@ and /DATABASE, was something else
--set broker.cash=100000: broker.cash: must be dollars above 0, written as a string such as "100000", was integer "100000"
--set data.nvda.kind=1
path = 2: data.nvda.kind: must be one of "csv", "parquet", "alpaca", "recorded", "generator", "redis", was "1\npath = 2"
--set strategy.cross.params.fast=0: strategy.cross.params.fast: must be a whole number from 1 to 100000, was "0"
--set brokr.cash=1: brokr: unknown key, did you mean "broker"? allowed are name, redis, pool, broker, data, portfolio, risk, instrument, strategy, statistics, sweep
"#);
    assert!(overrides::split("broker.cash").is_err() && overrides::split("=5").is_err());
    let split = overrides::split("strategy.x.params.text = \"a=b\"").unwrap();
    assert_eq!(split, ("strategy.x.params.text".to_owned(), "\"a=b\"".to_owned()));
}

#[test]
fn a_combination_is_read_without_the_sweep() {
    let text = format!("{CROSS}\n[sweep]\n\"strategy.cross.params.fast\" = [5, 10]\n");
    let (_folder, document) = folder(&text, &[]);
    let manifest = document.read(&[], Purpose::Backtest).unwrap();
    let chosen = manifest.sweep.combination(0).unwrap();
    let trial = document.read(&chosen, Purpose::Trial).unwrap();
    assert!(trial.sweep.is_empty());
    assert_eq!(trial.strategies[0].params.get("fast").unwrap().to_string(), "5");
}

#[test]
fn the_resolved_manifest_means_the_same_from_its_own_folder() {
    let text = r#"# kept by hand
name = "a \"quoted\" \\ name"

[redis]
url = "redis://me:hunter2@h"

[data.tape]
kind = "csv"
path = ["data/a.csv", "../b.csv"]
save = "all.csv"
from = 2024-01-02

[data.hist]
kind = "alpaca"
from = 2024-01-02
to = 2024-02-01

[[strategy]]
name = "own"
data = "hist"

[strategy.risk]
position_max = "5"

[[strategy]]
name = "cross"
kind = "ema_cross"
params = { fast = 5, slow = 0x10 }

[sweep]
"strategy.cross.params.fast" = { from = 1, to = 3, step = 1 }
"#;
    let script = "fn on_event(event) { }\n";
    let (folder, _) = folder(text, &["strategies/own_strategy.rhai"]);
    std::fs::write(folder.path().join("strategies/own_strategy.rhai"), script).unwrap();
    let document = Document::open(&folder.path().join("run.toml")).unwrap();
    let overrides = set(&[("strategy.cross.params.slow", "30"), ("broker.kind", "simulated")]);
    let manifest = document.read(&overrides, Purpose::Any).unwrap();
    let out = folder.path().join("out/first");
    let resolved = document.resolved(&overrides, &out).unwrap();
    assert_snapshot!(resolved, @r#"
name = "a \"quoted\" \\ name"

[redis]

[data.tape]
kind = "csv"
path = ["../../data/a.csv", "../../../b.csv"]
save = "../../all.csv"
from = 2024-01-02

[data.hist]
kind = "alpaca"
from = 2024-01-02
to = 2024-02-01
cache = "../../data"

[[strategy]]
name = "own"
data = "hist"
risk = { position_max = "5" }
script = "../../strategies/own_strategy.rhai"

[[strategy]]
name = "cross"
kind = "ema_cross"
params = { fast = 5, slow = 30 }

[sweep]
"strategy.cross.params.fast" = { from = 1, to = 3, step = 1 }

[broker]
kind = "simulated"
"#);

    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("manifest.toml"), &resolved).unwrap();
    let again = Document::open(&out.join("manifest.toml")).unwrap();
    assert_eq!(again.resolved(&[], &out).unwrap(), resolved);
    let read = again.read(&[], Purpose::Any).unwrap();
    assert_eq!((&read.strategies[1], &read.sweep), (&manifest.strategies[1], &manifest.sweep));
    assert_eq!(read.strategies[0].risk, manifest.strategies[0].risk);
    let paths = |manifest: &Manifest| match &manifest.data[0].spec.as_ref().unwrap().origin {
        Origin::Csv { paths, .. } => paths.iter().map(|path| std::path::absolute(path).unwrap()).collect(),
        Origin::Parquet { .. } | Origin::Recorded { .. } | Origin::Alpaca { .. } | Origin::Generator(_) => {
            panic!("must be a CSV file")
        }
    };
    let (before, after): (Vec<PathBuf>, Vec<PathBuf>) = (paths(&manifest), paths(&read));
    assert_eq!(after[0], out.join("../../data/a.csv"));
    assert_eq!(before[0], folder.path().join("data/a.csv"));
}
