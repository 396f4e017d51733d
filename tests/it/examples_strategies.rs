//! The twelve example strategies run as they are, are short, and do what their names say.

mod daily;
mod in_rust;
mod intraday;
mod permutations;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bot::backtest::record::Record;
use bot::backtest::{self, wiring};
use bot::clock::Timestamp;
use bot::data::{self, Row, RowKind};
use bot::manifest::{Document, Purpose};
use bot::order::Side;
use bot::symbol::Symbol;
use chrono::NaiveDate;

use crate::test_bed::exits;

const NAMES: [&str; 12] = [
    "sma_cross",
    "bollinger",
    "atr_trail",
    "opening_range",
    "momentum",
    "pairs",
    "weekly_buy",
    "grid",
    "rsi2",
    "news",
    "volatility_target",
    "pyramid",
];
const LINES_MAX: usize = 30;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/strategies")
}

/// Runs `bot` at the root of the repository.
fn bot(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().unwrap()
}

/// A run over history with these keys set.
#[track_caller]
fn run_with(manifest: &Path, set: &[(&str, &str)]) -> Record {
    let set: Vec<(String, String)> =
        set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let manifest = Document::open(manifest).unwrap().read(&set, Purpose::Backtest).unwrap();
    let setup = wiring::wire(&manifest, &mut |spec| data::open(spec)).unwrap();
    let record = backtest::run(setup, &mut |_| true).unwrap();
    assert_eq!(record.end.breaches, Vec::<String>::new());
    assert!(record.strategies.iter().all(|one| one.failures == 0), "{:?}", record.strategies);
    record
}

#[track_caller]
fn run(name: &str) -> Record {
    run_with(&folder().join(format!("{name}.toml")), &[])
}

/// One fill, and what is held of its symbol after it.
#[derive(Debug, Clone, Copy)]
struct Filled {
    at: Timestamp,
    symbol: Symbol,
    /// Negative when sold.
    shares: f64,
    price: f64,
    held: f64,
}

impl Filled {
    fn date(&self) -> NaiveDate {
        self.at.to_new_york().date_naive()
    }

    fn time(&self) -> String {
        self.at.to_new_york().format("%H:%M").to_string()
    }
}

/// All fills in the order of time.
fn fills(record: &Record) -> Vec<Filled> {
    let mut held: BTreeMap<Symbol, f64> = BTreeMap::new();
    let mut fills: Vec<_> = record.fills.iter().collect();
    fills.sort_by_key(|fill| fill.at); // Stable.
    let filled = fills.into_iter().map(|fill| {
        let order = &record.orders[usize::try_from(fill.order).unwrap()];
        let quantity = fill.quantity.to_f64();
        let shares = if order.side == Side::Buy { quantity } else { -quantity };
        let held = held.entry(order.symbol).or_default();
        *held += shares;
        Filled { at: fill.at, symbol: order.symbol, shares, price: fill.price.to_f64(), held: *held }
    });
    filled.collect()
}

/// What is held whenever all fills of an instant are done.
fn holdings(fills: &[Filled]) -> Vec<(Timestamp, BTreeMap<Symbol, f64>)> {
    let mut held = BTreeMap::new();
    let instants = fills.chunk_by(|one, other| one.at == other.at).map(|together| {
        held.extend(together.iter().map(|fill| (fill.symbol, fill.held)));
        held.retain(|_, shares| *shares != 0.0);
        (together[0].at, held.clone())
    });
    instants.collect()
}

/// The fills of each symbol.
fn by_symbol(fills: &[Filled]) -> BTreeMap<Symbol, Vec<Filled>> {
    let mut by_symbol: BTreeMap<Symbol, Vec<Filled>> = BTreeMap::new();
    for fill in fills {
        by_symbol.entry(fill.symbol).or_default().push(*fill);
    }
    by_symbol
}

/// The bars of each symbol of an example, each by its start.
fn bars(name: &str) -> BTreeMap<Symbol, Vec<Row>> {
    let document = Document::open(&folder().join(format!("{name}.toml"))).unwrap();
    let manifest = document.read(&[], Purpose::Backtest).unwrap();
    let mut bars: BTreeMap<Symbol, Vec<Row>> = BTreeMap::new();
    for section in manifest.data.iter().filter(|one| matches!(one.row_kind, RowKind::Bar { .. })) {
        let mut source = data::open(section.spec.as_ref().unwrap()).unwrap();
        while let Some(chunk) = source.next_chunk().unwrap() {
            let data::Chunk::Rows { symbol, rows, .. } = &*chunk else { panic!("rows") };
            bars.entry(*symbol).or_default().extend(rows);
        }
    }
    bars
}

/// The place of the first bar that begins at `at` or later.
fn place_of(bars: &[Row], at: Timestamp) -> usize {
    bars.partition_point(|bar| bar.at < at)
}

#[test]
fn each_example_runs_as_its_readme_says() {
    let out = tempfile::tempdir().unwrap();
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for name in NAMES {
        let manifest = format!("examples/strategies/{name}.toml");
        exits(&bot(&["check", &manifest]), 0);
        exits(&bot(&["strategy", "check", &format!("examples/strategies/{name}_strategy.rhai")]), 0);
        let report = out.path().join(name);
        let output = bot(&["backtest", &manifest, "--json", "--out", report.to_str().unwrap()]);
        exits(&output, 0);
        let answer = crate::test_bed::summary(&output);
        assert!(answer["fills"].as_u64().unwrap() >= 10, "{name}: {answer}");
        assert_eq!(answer["breaches"], serde_json::json!([]), "{name}");
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in the readme");
    }
}

#[test]
fn each_example_has_at_most_30_lines_of_code() {
    for name in NAMES {
        let text = std::fs::read_to_string(folder().join(format!("{name}_strategy.rhai"))).unwrap();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = text.lines().filter(is_code).count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
        assert!(text.starts_with("//"), "{name} does not say what it does");
    }
}

#[test]
fn data_of_the_examples_are_small() {
    let files = std::fs::read_dir(folder().join("data")).unwrap().map(|entry| entry.unwrap());
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= 100 * 1024, "{bytes} bytes");
}
