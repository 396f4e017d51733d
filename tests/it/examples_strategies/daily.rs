//! What the examples on daily bars do.

use chrono::Datelike;

use super::*;

#[test]
fn sma_cross_is_all_in_or_flat() {
    let fills = fills(&run("sma_cross"));
    let mut cash = 100_000.0;
    for fill in &fills {
        if fill.shares > 0.0 {
            let part = fill.shares * fill.price / cash;
            assert!((0.94..=1.0).contains(&part), "{part} of the cash: {fill:?}");
        } else {
            assert!(fill.held.abs() < 1e-9, "{fill:?}");
        }
        cash -= fill.shares * fill.price;
    }
    assert!(fills.len() >= 20, "{} fills", fills.len());
}

#[test]
fn momentum_holds_at_most_three_of_twenty_and_changes_them_at_the_start_of_a_month() {
    let fills = fills(&run("momentum"));
    let mut names = std::collections::BTreeSet::new();
    for (at, held) in holdings(&fills) {
        assert!(held.len() <= 3, "{at}: {held:?}");
        names.extend(held.into_keys());
    }
    assert!(names.len() >= 6, "{names:?}");
    assert!(fills.iter().all(|fill| fill.date().day() <= 6), "{fills:?}");
    let first = NaiveDate::from_ymd_opt(2023, 7, 1).unwrap();
    assert!(fills[0].date() >= first, "half a year is needed first: {:?}", fills[0]);
}

#[test]
fn rsi2_buys_falls_above_the_long_average_and_leaves_above_the_short_one() {
    let fills = fills(&run("rsi2"));
    let bars = bars("rsi2");
    for fill in &fills {
        let bars = &bars[&fill.symbol];
        let closes: Vec<f64> =
            bars[..place_of(bars, fill.at)].iter().rev().map(|bar| bar.values[3]).collect();
        let mean = |days: usize| closes[..days].iter().sum::<f64>() / f64::from(u32::try_from(days).unwrap());
        if fill.shares > 0.0 {
            assert!(closes[0] > mean(200) && closes[0] < closes[1], "{fill:?}");
        } else {
            assert!(fill.held.abs() < 1e-9 && closes[0] > mean(5), "{fill:?}");
        }
    }
    assert!(fills.len() >= 50, "{} fills", fills.len());
}

#[test]
fn volatility_target_holds_less_where_the_market_is_wild() {
    let record = run("volatility_target");
    let exposed: Vec<f64> = record.marks.iter().skip(60).map(|mark| mark.gross / mark.equity).collect();
    assert!(exposed.iter().all(|part| *part <= 1.0 + 1e-9), "never more than the equity");
    let of = |name: &str| {
        let symbol: Symbol = name.parse().unwrap();
        fills(&record)
            .iter()
            .rev()
            .find(|fill| fill.symbol == symbol)
            .map(|fill| fill.held * fill.price)
            .unwrap()
    };
    // ACME's volatility is 25%, BOLT's 40%.
    assert!(of("ACME") > 1.2 * of("BOLT"), "{} and {}", of("ACME"), of("BOLT"));
}

#[test]
fn volatility_target_goes_beyond_the_equity_where_there_is_margin() {
    let set = [
        ("broker.margin", "{ initial = \"50%\", maintenance = \"25%\" }"),
        ("strategy.volatility_target.params.most", "2.0"),
        ("strategy.volatility_target.params.target", "0.5"),
    ];
    let record = run_with(&folder().join("volatility_target.toml"), &set);
    let most = record.marks.iter().map(|mark| mark.gross / mark.equity).fold(0.0, f64::max);
    assert!((1.2..2.1).contains(&most), "{most}");
}
