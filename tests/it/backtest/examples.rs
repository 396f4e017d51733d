//! The examples run as they are, and their readmes are true.

use std::path::Path;

use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command of a readme in the repository, with its results elsewhere.
#[track_caller]
fn bot(arguments: &[&str]) -> Output {
    let output = command(root(), arguments).output().unwrap();
    crate::test_bed::exits(&output, 0);
    output
}

#[track_caller]
fn backtest(manifest: &str, out: &Folder, more: &[&str]) -> serde_json::Value {
    let folder = out.path("report");
    crate::test_bed::summary(&bot(&[
        &["backtest", manifest, "--json", "--out", folder.to_str().unwrap()],
        more,
    ]
    .concat()))
}

#[test]
fn the_backtest_example_goes_from_data_to_a_report() {
    let out = Folder::new(&[]);
    let manifest = "examples/backtest/manifest.toml";
    bot(&["check", manifest]);
    bot(&["data", "verify", "examples/backtest/data/acme.csv", "--timeframe", "30min"]);
    let first = backtest(manifest, &out, &[]);
    assert_eq!((&first["events"], &first["breaches"]), (&3_276.into(), &serde_json::json!([])));
    assert!(first["fills"].as_u64().unwrap() > 50, "{first}");
    let report = out.read("report/report.html");
    assert!(report.contains("<svg") && report.len() < 1 << 20);
    let other = backtest(manifest, &out, &["--set", "strategy.cross.params.fast=5"]);
    assert_ne!(other["hash"], first["hash"]);
    let kinder = ["--set", "broker.fill=same_close", "--set", "broker.fees=none"];
    assert_eq!(backtest(manifest, &out, &kinder)["fees"], "0");
}

#[test]
fn the_data_of_the_example_can_be_made_again() {
    let out = Folder::new(&[]);
    let made = out.path("acme.csv");
    let readme = std::fs::read_to_string(root().join("examples/backtest/README.md")).unwrap();
    let command =
        readme.split("bot data generate --out acme.csv ").nth(1).unwrap().split("```").next().unwrap();
    let words: Vec<&str> = command.split_whitespace().filter(|word| *word != "\\").collect();
    bot(&[&["data", "generate", "--out", made.to_str().unwrap()], &words[..]].concat());
    let kept = std::fs::read_to_string(root().join("examples/backtest/data/acme.csv")).unwrap();
    assert!(out.read("acme.csv") == kept, "examples/backtest/data/acme.csv is not what its readme says");
    assert!(kept.len() <= 300 * 1024);
}

#[test]
fn the_presso_example_buys_for_half_of_its_equity_on_a_positive_signal() {
    let out = Folder::new(&[]);
    bot(&["check", "examples/presso/manifest.toml"]);
    bot(&["strategy", "check", "examples/presso/strategies/example_strategy.rhai"]);
    let answer = backtest("examples/presso/manifest.toml", &out, &[]);
    assert_eq!(answer["breaches"], serde_json::json!([]));
    let orders = out.read("report/orders.csv");
    let columns: Vec<&str> = orders.lines().next().unwrap().split(',').collect();
    let place = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let (mut cash, mut shares) = (100_000.0, 0.0);
    let (mut buys, mut sells) = (0, 0);
    for line in orders.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[place("status")] != "filled" {
            continue;
        }
        let number = |name: &str| cells[place(name)].parse::<f64>().unwrap();
        let price = number("price_seen");
        if cells[place("buy")] == "LTC" {
            assert!(number("signal") > 0.0, "{line}");
            let half = ((cash + shares * price) * 0.5 / price).floor().min((cash / price).floor());
            assert!((number("amount") - half).abs() < 1e-9, "half of the equity is {half} shares: {line}");
            (cash, shares, buys) = (cash - number("total"), shares + number("amount"), buys + 1);
        } else {
            let half = ((cash + shares * price) * 0.5 / price).floor().min(shares);
            assert!(number("signal") < 0.0 && (number("amount") - half).abs() < 1e-9, "{half}: {line}");
            (cash, shares, sells) = (cash + number("total"), shares - number("amount"), sells + 1);
        }
    }
    assert!(buys > 5 && sells > 5, "{buys} buys and {sells} sells");
    assert!((answer["final_cash"].as_str().unwrap().parse::<f64>().unwrap() - cash).abs() < 1e-6, "{answer}");
}

#[test]
fn the_alpha_looks_at_the_news() {
    let out = Folder::new(&[]);
    let manifest = "examples/presso/manifest.toml";
    let with = backtest(manifest, &out, &[]);
    let without = backtest(manifest, &out, &["--set", "strategy.example.params.bad=-2.0"]);
    assert_ne!(with["hash"], without["hash"]);
}
