//! What a schedule asks for is filled at the open that is made at its instant, also where bars are longer than a minute.

use super::*;

const SCRIPT: &str = r#"
fn schedule() { ["week start", "5 min before close"] }
fn on_schedule(name) {
    if name == "week start" { buy(this.symbols[0], 10); } else { close(this.symbols[0]); }
}
"#;

/// Each fill as New York's date and time, and its price; and the bars by their start.
fn filled(timeframe: &str, rows: usize) -> (Vec<(String, f64)>, Vec<String>) {
    let manifest = format!(
        "[broker]\nkind = \"simulated\"\n[data.stock]\nkind = \"generator\"\nrows = {rows}\n\
         timeframe = \"{timeframe}\"\nsave = \"bars.csv\"\n[[strategy]]\nname = \"s\"\n\
         script = \"s_strategy.rhai\"\n"
    );
    let folder = Folder::new(&[("run.toml", &manifest), ("s_strategy.rhai", SCRIPT)]);
    let document = bot::manifest::Document::open(&folder.path("run.toml")).unwrap();
    let manifest = document.read(&[], bot::manifest::Purpose::Backtest).unwrap();
    let setup = backtest::wiring::wire(&manifest, &mut |spec| bot::data::open(spec)).unwrap();
    let record = backtest::run(setup, &mut |_| true).unwrap();
    let new_york = |at: Timestamp| at.to_new_york().format("%a %Y-%m-%d %H:%M").to_string();
    let fills = record.fills.iter().map(|fill| (new_york(fill.at), fill.price.to_f64())).collect();
    (fills, folder.read("bars.csv").lines().skip(1).map(str::to_owned).collect())
}

fn open_at(bars: &[String], start: &str) -> f64 {
    let bar = bars.iter().find(|bar| bar.starts_with(start)).unwrap();
    bar.split(',').nth(1).unwrap().parse().unwrap()
}

#[track_caller]
fn is_price(price: f64, expected: f64) {
    assert!((price - expected).abs() < 1e-9, "{price} is not {expected}");
}

#[test]
fn what_is_closed_five_minutes_before_the_close_is_flat_at_the_close() {
    let (fills, bars) = filled("5min", 468);
    let times: Vec<&str> = fills.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(times, ["Mon 2024-01-08 09:30", "Mon 2024-01-08 15:55"]);
    is_price(fills[0].1, open_at(&bars, "2024-01-08T14:30"));
    is_price(fills[1].1, open_at(&bars, "2024-01-08T20:55"));
}

#[test]
fn a_day_opens_with_its_session() {
    let (fills, bars) = filled("1day", 9);
    let times: Vec<&str> = fills.iter().map(|(at, _)| at.as_str()).collect();
    // A day's bar tells of the fill at its end, so that it is closed on the next day, for the open after that.
    assert_eq!(times, ["Mon 2024-01-08 09:30", "Wed 2024-01-10 00:00"]);
    is_price(fills[0].1, open_at(&bars, "2024-01-08"));
    is_price(fills[1].1, open_at(&bars, "2024-01-10"));
}
