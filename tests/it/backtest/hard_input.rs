//! Data that are empty, tiny, flat, losing, full of holes, long, many: each has statistics, and none of them is NaN.

use std::fmt::Write as _;

use super::*;

const HEADER: &str = "time,open,high,low,close,volume\n";

const CROSS: &str = r#"
[broker]
kind = "simulated"
cash = "10000"

[data.x]
kind = "csv"
path = "x.csv"

[[strategy]]
name = "cross"
kind = "ema_cross"
size = { rule = "10sh" }
params = { fast = 2, slow = 4 }

[risk]
short = true
"#;

/// A CSV of one-minute bars from 9:30 on; each opens where the one before closed.
fn csv(closes: &[f64]) -> String {
    let mut text = HEADER.to_owned();
    let mut open = closes.first().copied().unwrap_or(1.0);
    for (place, close) in closes.iter().enumerate() {
        let (high, low) = (open.max(*close), open.min(*close));
        let (day, minute) = (2 + place / 390, place % 390 + 570);
        let (hour, minute) = (minute / 60, minute % 60);
        writeln!(text, "2024-01-{day:02} {hour:02}:{minute:02}:00,{open},{high},{low},{close},1000").unwrap();
        open = *close;
    }
    text
}

/// Runs it and looks at every file for what is no number.
#[track_caller]
fn answer(data: &str, more: &[&str]) -> serde_json::Value {
    let folder = Folder::new(&[("run.toml", CROSS), ("x.csv", data)]);
    let answer = folder.backtest("run.toml", &[&["--out", "out"], more].concat());
    for name in ["stats.json", "trades.csv", "orders.csv", "equity.csv", "report.html"] {
        let text = folder.read(&format!("out/{name}"));
        let text = text.split("<script").next().unwrap();
        for word in ["NaN", "Infinity", ",inf", ">inf", "-inf", ": inf"] {
            assert!(!text.contains(word), "{name} has {word}");
        }
        let words = if name == "report.html" { text.len() > 1_000 } else { !text.is_empty() };
        assert!(words, "{name} is empty");
    }
    let stats: serde_json::Value = serde_json::from_str(&folder.read("out/stats.json")).unwrap();
    assert_eq!(stats["integrity"]["ok"], true, "{}", stats["integrity"]);
    let terminal = folder.bot(&[&["backtest", "run.toml"], more].concat());
    let text = String::from_utf8_lossy(&terminal.stdout).into_owned();
    assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
    answer
}

#[test]
fn nothing_at_all_is_a_run_without_events() {
    for data in ["", HEADER, "time,open,high,low,close,volume"] {
        let answer = answer(data, &[]);
        assert_eq!((&answer["events"], &answer["orders"]), (&0.into(), &0.into()));
        assert_eq!((&answer["final_equity"], &answer["profit"]), (&"10000".into(), &"0".into()));
    }
}

#[test]
fn one_bar_two_bars_and_flat_prices_have_statistics() {
    assert_eq!(answer(&csv(&[100.0]), &[])["events"], 1);
    assert_eq!(answer(&csv(&[100.0, 101.0]), &[])["events"], 2);
    let flat = answer(&csv(&[100.0; 900]), &[]);
    assert_eq!((&flat["orders"], &flat["profit"], &flat["events"]), (&0.into(), &"0".into(), &900.into()));
}

#[test]
fn a_run_that_only_loses_has_statistics() {
    // Each signal is wrong: up after two falls, down after two rises.
    let mut price = 100.0;
    let closes: Vec<f64> = (0..1_200)
        .map(|place| {
            price += if place / 3 % 2 == 0 { 0.5 } else { -0.5 };
            price
        })
        .collect();
    let answer = answer(&csv(&closes), &["--set", "broker.fees={ bps = 20 }"]);
    assert!(answer["orders"].as_u64().unwrap() > 100, "{answer}");
    let profit: f64 = answer["profit"].as_str().unwrap().parse().unwrap();
    assert!(profit < -1_000.0, "{answer}");
}

#[test]
fn an_account_that_loses_all_it_has_ends_in_numbers() {
    let closes: Vec<f64> = (0..400).map(|place| 100.0 * 0.95_f64.powi(place) + 0.01).collect();
    let more = ["--set", "strategy.cross.kind=buy_and_hold", "--set", "strategy.cross.params={}"];
    let more =
        [&more[..], &["--set", "strategy.cross.size.rule=all", "--set", "portfolio.cash_buffer=0"]].concat();
    let answer = answer(&csv(&closes), &more);
    let equity: f64 = answer["final_equity"].as_str().unwrap().parse().unwrap();
    assert!((0.0..200.0).contains(&equity), "{answer}");
}

#[test]
fn holes_are_reported_and_filled_when_asked() {
    let text = csv(&(0..390).map(|place| 100.0 + f64::from(place % 7)).collect::<Vec<_>>());
    let lines: Vec<&str> =
        text.lines().enumerate().filter(|(line, _)| !(50..80).contains(line)).map(|(_, text)| text).collect();
    let holed = lines.join("\n");
    let folder = Folder::new(&[("run.toml", CROSS), ("x.csv", &holed)]);
    let kept = folder.backtest("run.toml", &["--out", "out"]);
    assert_eq!(kept["events"], 360);
    let report = folder.read("out/report.html");
    assert!(report.contains("missing"), "the report says nothing of 30 missing bars");
    let filled = folder.backtest("run.toml", &["--out", "out", "--set", "data.x.on_gap=fill"]);
    assert_eq!(filled["events"], 390);
}

#[test]
fn ten_years_of_days_are_marked_day_by_day() {
    let mut text = HEADER.to_owned();
    let first = chrono::NaiveDate::from_ymd_opt(2014, 1, 1).unwrap();
    let mut days = 0;
    for (place, day) in (0..3_652_u32).zip(first.iter_days()) {
        if chrono::Datelike::weekday(&day).num_days_from_monday() < 5 {
            let close = 100.0 + (f64::from(place) / 40.0).sin() * 20.0;
            let (high, low) = (close + 1.0, close - 1.0);
            writeln!(text, "{day},{close:.2},{high:.2},{low:.2},{close:.2},1000").unwrap();
            days += 1;
        }
    }
    let folder = Folder::new(&[("run.toml", CROSS), ("x.csv", &text)]);
    let answer = folder.backtest("run.toml", &["--out", "out", "--set", "data.x.timeframe=1day"]);
    assert_eq!(answer["events"], days);
    let equity = folder.read("out/equity.csv");
    let times: Vec<&str> = equity.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    // The start and the end of each day; a daily bar is known at the midnight that ends its day.
    assert_eq!(times.len() as u64, days + 1);
    assert!(times.is_sorted(), "marks go back in time");
    let stats: serde_json::Value = serde_json::from_str(&folder.read("out/stats.json")).unwrap();
    assert_eq!(stats["years"].as_array().unwrap().len(), 10);
    assert_eq!(stats["headline"]["periods"], days);
    assert!(answer["orders"].as_u64().unwrap() > 10, "{answer}");
}

#[test]
fn an_order_on_every_bar_is_no_trouble() {
    let closes: Vec<f64> = (0..3_000).map(|place| 100.0 + f64::from(place % 2)).collect();
    let more =
        ["--set", "strategy.cross.kind=random", "--set", "strategy.cross.params={ probability = 1.0 }"];
    let answer = answer(&csv(&closes), &[&more[..], &["--set", "strategy.cross.size.mode=order"]].concat());
    let orders = answer["orders"].as_u64().unwrap();
    assert!(orders > 2_500, "{answer}");
    // The last bar's order meets no open any more.
    assert!(orders - answer["fills"].as_u64().unwrap() <= 1 + orders / 20, "{answer}");
}

#[test]
fn a_thousand_symbols_run_together() {
    let folder = Folder::new(&[]);
    let mut manifest = "[broker]\nkind = \"simulated\"\ncash = \"10000000\"\n".to_owned();
    for number in 0..1_000_u32 {
        let letter = |place: u32| char::from(b'A' + u8::try_from(number / 26_u32.pow(place) % 26).unwrap());
        let symbol: String = [2, 1, 0].map(letter).iter().collect();
        let closes: Vec<f64> = (0..8).map(|bar| f64::from(100 + (number + bar) % 5)).collect();
        folder.write(&format!("data/{symbol}.csv"), &csv(&closes));
        let name = symbol.to_lowercase();
        write!(
            manifest,
            "[data.d_{name}]\nkind = \"csv\"\npath = \"data/{symbol}.csv\"\nsymbol = \"{symbol}\"\n\
             [[strategy]]\nname = \"s_{name}\"\nkind = \"buy_and_hold\"\ndata = \"d_{name}\"\nsize = {{ rule = \"3sh\" }}\n"
        )
        .unwrap();
    }
    folder.write("run.toml", &manifest);
    let answer = folder.backtest("run.toml", &[]);
    assert_eq!(
        (&answer["events"], &answer["orders"], &answer["fills"]),
        (&8_000.into(), &1_000.into(), &1_000.into())
    );
    let positions = answer["positions"].as_object().unwrap();
    assert!(positions.len() == 1_000 && positions.values().all(|shares| shares == "3"), "{positions:?}");
    assert_eq!(answer["breaches"], serde_json::json!([]));
}
