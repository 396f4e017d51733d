//! What a position that is not where its strategy wants it looks like in every output, and what a script hears of it.

use super::*;

/// A target of 30 shares, of which 10 can be had a bar; the missing part is asked for again.
const THIN: &str = r#"
[broker]
kind = "simulated"
cash = "100000"
fill = "next_open"
volume_share = "10%"

[data.x]
kind = "csv"
path = "x.csv"
symbol = "X"

[[strategy]]
name = "thin"
script = "thin_strategy.rhai"
symbols = ["X"]
size = { rule = "30sh" }
"#;
const ONCE: &str = r#"
fn on_event(event) {
    if "said" in this { return; }
    this.said = true;
    signal(event.symbol, 1);
}
"#;

/// Bars of a minute from 10:00 in New York on, 100 shares each, at 10 dollars.
fn bars(count: u32) -> String {
    let row = |minute: u32| format!("2024-01-02 10:{minute:02}:00,10,10,10,10,100\n");
    format!("time,open,high,low,close,volume\n{}", (0..count).map(row).collect::<String>())
}

/// The cells of the columns `names` of each order.
fn cells(folder: &Folder, names: &[&str]) -> Vec<Vec<String>> {
    let orders = folder.read("bot-backtest/orders.csv");
    let columns: Vec<&str> = orders.lines().next().unwrap().split(',').collect();
    let place = |name: &&str| columns.iter().position(|column| column == name).unwrap();
    let of_line = |line: &str| {
        let line: Vec<&str> = line.split(',').collect();
        names.iter().map(|name| line[place(name)].to_owned()).collect()
    };
    orders.lines().skip(1).map(of_line).collect()
}

#[test]
fn a_target_that_is_not_reached_is_told_in_every_output() {
    let x = bars(10);
    let folder = Folder::new(&[("run.toml", THIN), ("thin_strategy.rhai", ONCE), ("x.csv", x.as_str())]);
    let answer = folder.backtest("run.toml", &[]);
    let off = &answer["off_target"];
    // Of 9 minutes with a target 20 shares were missing in the first, 10 in the second.
    let told = serde_json::json!({ "time": 2.0 / 9.0, "mean_shares": 15.0, "worst_shares": "20" });
    assert_eq!(*off, told);
    assert_eq!(answer["strategies"], serde_json::json!([{ "name": "thin", "off_target": off }]));
    let stats: serde_json::Value = serde_json::from_str(&folder.read("bot-backtest/stats.json")).unwrap();
    assert_eq!(&stats["execution"]["off_target"], off);
    assert_eq!(&stats["strategies"][0]["off_target"], off);

    let output = folder.bot(&["backtest", "run.toml"]);
    crate::test_bed::exits(&output, 0);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = "22.22 % of the time, by 15.0 shares, at most 20";
    let found = shown.lines().find(|line| line.trim_start().starts_with("off target")).unwrap_or_default();
    assert!(found.ends_with(line) && found.chars().count() <= 80, "{shown}");
    let report = folder.read("bot-backtest/report.html");
    assert!(report.contains("off target 22.22% of the time, by 15.0 shares on average and 20 at the most"));
    assert!(report.contains("Positions and their targets"));

    // Which step of which signal an order was stands at the end of its row.
    assert_eq!(
        cells(&folder, &["amount", "status", "step"]),
        [["10", "partly_filled", "0"], ["10", "partly_filled", "1"], ["10", "filled", "2"]]
    );
    let first = cells(&folder, &["signal_id"]);
    assert!(first[0][0].starts_with("thin-17042"), "{first:?}");
    assert!(first.iter().all(|id| *id == first[0]), "all are steps of one signal: {first:?}");
}

#[test]
fn a_script_hears_that_its_standing_order_was_refused() {
    const ESCAPES: &str = r#"
fn on_event(event) {
    if "said" in this { return; }
    this.said = true;
    Fn("cancel_all").call();
    Fn("buy").call(event.symbol, 1, 20.0);
}
fn on_order(end) {
    if end.outcome == "refused" && end.reason.starts_with("standing_order") && position(end.symbol) == 0.0 {
        buy(end.symbol, 5);
    }
}
"#;
    let x = bars(4);
    let folder = Folder::new(&[("run.toml", THIN), ("thin_strategy.rhai", ESCAPES), ("x.csv", x.as_str())]);
    let answer = folder.backtest("run.toml", &[]);
    assert_eq!(answer["positions"], serde_json::json!({ "X": "5" }));
    assert_eq!(answer["failures"], serde_json::json!([]));
    assert_eq!(
        cells(&folder, &["amount", "status", "reason"]),
        [
            ["0", "refused", "\"standing_order: time in force must be ioc until standing orders exist"],
            ["5", "filled", ""]
        ]
    );
    assert_eq!(answer["off_target"]["time"], serde_json::Value::Null, "{answer}");
}
