//! Fractions of shares and coins over history, through the binary: what is asked for is traded, to the cent.

use super::*;

const SHARE: &str = "time,open,high,low,close,volume\n2024-01-02 09:30:00,400,400,400,400,5000\n\
    2024-01-02 09:31:00,400,400,400,400,5000\n2024-01-02 09:32:00,400,400,400,400,5000\n";
/// A Saturday.
const COIN: &str = "time,open,high,low,close,volume\n2024-01-06 03:00:00,60000,60000,60000,60000,0.5\n\
    2024-01-06 03:01:00,60000,60000,60000,60000,0.5\n2024-01-06 03:02:00,60000,60000,60000,60000,0.5\n";

fn manifest(instrument: &str, symbol: &str, rule: &str, more: &str) -> String {
    format!(
        "{instrument}[broker]\nkind = \"simulated\"\ncash = \"10000\"\n{more}[data.x]\nkind = \"csv\"\npath = \"x.csv\"\n\
        symbol = \"{symbol}\"\n[[strategy]]\nname = \"hold\"\nkind = \"buy_and_hold\"\nsize = {{ rule = \"{rule}\" }}\n"
    )
}

/// The positions and the cash that such a manifest ends with.
#[track_caller]
fn check(manifest: &str, bars: &str, expected: &str) {
    let folder = Folder::new(&[("run.toml", manifest), ("x.csv", bars)]);
    let answer = folder.backtest("run.toml", &[]);
    assert_eq!(format!("{} {}", answer["positions"], answer["final_cash"]), expected, "{manifest}");
}

#[test]
fn a_hundred_dollars_buy_a_quarter_of_a_share_where_fractions_are_allowed() {
    let fractions = "[instrument.NVDA]\nfractions = true\n";
    check(&manifest(fractions, "NVDA", "$100", ""), SHARE, "{\"NVDA\":\"0.25\"} \"9900\"");
    check(&manifest("", "NVDA", "$100", ""), SHARE, "{} \"10000\"");
    check(&manifest(fractions, "NVDA", "0.05sh", ""), SHARE, "{\"NVDA\":\"0.05\"} \"9980\"");
    let tenths = "[instrument.NVDA]\nlot = 0.1\n";
    check(&manifest(tenths, "NVDA", "$100", ""), SHARE, "{\"NVDA\":\"0.2\"} \"9920\"");
    let least = "[instrument.NVDA]\nfractions = true\nnotional_min = \"100.01\"\n";
    check(&manifest(least, "NVDA", "$100", ""), SHARE, "{} \"10000\"");
}

#[test]
fn a_twentieth_of_a_coin_is_traded_on_a_weekend_and_no_more_than_the_volume_share_allows() {
    check(&manifest("", "BTC/USD", "0.05sh", ""), COIN, "{\"BTC/USD\":\"0.05\"} \"7000\"");
    check(&manifest("", "BTC/USD", "all", ""), COIN, "{\"BTC/USD\":\"0.163333333\"} \"200.00002\"");
    let part = "volume_share = \"2%\"\n";
    let once = "retry = { times = 0 }\n";
    check(&(manifest("", "BTC/USD", "0.05sh", part) + once), COIN, "{\"BTC/USD\":\"0.01\"} \"9400\"");
}

#[test]
fn a_script_may_name_a_fraction_where_the_lot_allows_it_and_is_told_clearly_where_not() {
    let script = "fn on_event(event) { if event.close > 0.0 { buy(\"NVDA\", 0.5); } }\n";
    let text = |instrument: &str| {
        manifest(instrument, "NVDA", "all", "")
            .replace("kind = \"buy_and_hold\"", "script = \"s_strategy.rhai\"")
    };
    let run = |instrument: &str| {
        let folder =
            Folder::new(&[("run.toml", &text(instrument)), ("x.csv", SHARE), ("s_strategy.rhai", script)]);
        let answer = folder.backtest("run.toml", &[]);
        (answer["positions"].to_string(), folder.read("bot-backtest/orders.csv"))
    };
    let (positions, _) = run("[instrument.NVDA]\nfractions = true\n");
    assert_eq!(positions, "{\"NVDA\":\"1\"}");
    let (positions, orders) = run("");
    assert_eq!(positions, "{}");
    let reason = "fractional_quantity: quantity of NVDA must be a multiple of its lot of 1, was 0.5";
    assert!(orders.contains(reason), "{orders}");
}
