//! The same events give the same bytes: run after run, however the data are cut into files, as CSV or as Parquet.

use super::*;

const MANIFEST: &str = r#"
name = "same"

[broker]
kind = "simulated"
cash = "50000"
fees = { bps = 1 }
slippage_bps = 0.5
volume_share = "5%"

[data.stock]
kind = "csv"
path = ["stock.csv"]
symbol = "STOCK"

[data.news]
kind = "csv"
path = "news.csv"
event = "number"

[[strategy]]
name = "cross"
kind = "ema_cross"
also = ["news"]
size = { rule = "50sh" }
params = { fast = 3, slow = 9 }

[[strategy]]
name = "dice"
kind = "random"
data = "stock"
size = { rule = "20sh" }

[risk]
short = true

[statistics]
benchmark = "stock"
bootstrap = 200
"#;

const FILES: [&str; 6] =
    ["stats.json", "trades.csv", "orders.csv", "equity.csv", "report.html", "manifest.toml"];

/// Two weeks of minutes and as many numbers.
fn folder() -> Folder {
    let folder = Folder::new(&[("run.toml", MANIFEST)]);
    for arguments in [
        ["data", "generate", "--out", "stock.csv", "--rows", "3900", "--seed", "5"].as_slice(),
        &["data", "generate", "--out", "news.csv", "--event", "number", "--rows", "3900", "--price", "1"],
    ] {
        crate::test_bed::exits(&folder.bot(arguments), 0);
    }
    folder
}

#[test]
fn every_file_of_a_run_is_the_same_again() {
    let folder = folder();
    let first = folder.backtest("run.toml", &["--out", "first"]);
    let again = folder.backtest("run.toml", &["--out", "again"]);
    assert!(first["fills"].as_u64().unwrap() > 100, "{first}");
    for name in FILES {
        let (first, again) = (folder.read(&format!("first/{name}")), folder.read(&format!("again/{name}")));
        assert!(!first.is_empty() && first == again, "{name} differs");
    }
    for field in
        ["orders", "fills", "final_cash", "final_equity", "positions", "profit", "fees", "events", "hash"]
    {
        assert_eq!(first[field], again[field], "{field}");
    }
    // And what was kept of the run is a run of its own.
    folder.backtest("first/manifest.toml", &["--out", "third"]);
    assert_eq!(folder.read("third/stats.json"), folder.read("first/stats.json"));
}

#[test]
fn files_may_be_split_anywhere_and_be_of_any_kind() {
    let folder = folder();
    let whole = folder.backtest("run.toml", &["--out", "whole"]);
    let text = folder.read("stock.csv");
    let (header, rows) = text.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    for (number, cuts) in
        [vec![1], vec![1_950], vec![1, 2, 3_899], vec![700, 1_400, 2_100]].iter().enumerate()
    {
        let ends = cuts.iter().copied().chain([rows.len()]);
        let mut from = 0;
        let mut names = Vec::new();
        for (part, end) in ends.enumerate() {
            let name = format!("part{number}_{part}.csv");
            folder.write(&name, &format!("{header}\n{}\n", rows[from..end].join("\n")));
            names.push(format!("{name:?}"));
            from = end;
        }
        let path = format!("data.stock.path=[{}]", names.join(", "));
        let split = folder.backtest("run.toml", &["--out", "split", "--set", &path]);
        assert_eq!(split["hash"], whole["hash"]);
        for name in ["stats.json", "trades.csv", "orders.csv", "equity.csv"] {
            assert_eq!(
                folder.read(&format!("split/{name}")),
                folder.read(&format!("whole/{name}")),
                "{name} at {cuts:?}"
            );
        }
    }
    crate::test_bed::exits(&folder.bot(&["data", "convert", "stock.csv", "stock.parquet"]), 0);
    let overrides =
        ["--out", "other", "--set", "data.stock.kind=parquet", "--set", "data.stock.path=stock.parquet"];
    folder.backtest("run.toml", &overrides);
    for name in ["stats.json", "trades.csv", "orders.csv", "equity.csv"] {
        assert_eq!(
            folder.read(&format!("other/{name}")),
            folder.read(&format!("whole/{name}")),
            "{name} of Parquet"
        );
    }
}
