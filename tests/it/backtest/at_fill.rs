//! All of the equity, long or short, sized with the price of the fill: the rule of backtesting.py, to the cent.
//!
//! Its broker closes first, at the open; then it opens `margin_available // (price + commission)` shares.

use bot::broker::simulated::{Fees, OnShortCash, SizeAt};
use bot::units::BasisPoints;
use proptest::prelude::*;

use super::*;

/// Signed shares and cents a share of each fill, and the equity at the last close in millionths of a dollar.
type Expected = (Vec<(i64, i64)>, i64);

const MILLIONTHS: i64 = 10_000;

/// The same in whole numbers: bars as (open, close) in cents, the way that is wanted after each close, cash in dollars.
fn reference(bars: &[(i64, i64)], wanted: &[i64], cash: i64, bps: i64) -> Expected {
    let (mut cash, mut held, mut fills) = (cash * 100 * MILLIONTHS, 0i64, Vec::new());
    for (place, (open, _)) in bars.iter().enumerate().skip(1) {
        let way = wanted[place - 1];
        if way == 0 || way == held.signum() {
            continue;
        }
        let (price, fee) = (open * MILLIONTHS, open * bps);
        let left = cash + held * price - held.abs() * fee;
        let target = way * (left.max(0) / (price + fee));
        let change: i64 = target - held;
        if change != 0 {
            fills.push((change, *open));
        }
        cash -= change * price + change.abs() * fee;
        held = target;
    }
    let close = bars.last().map_or(0, |(_, close)| *close);
    (fills, cash + held * close * MILLIONTHS)
}

#[track_caller]
fn check(prices: &[(i64, i64)], wanted: &[i64], cash: u32, bps: u16) {
    let dollars = |cents: i64| f64::from(i32::try_from(cents).unwrap()) / 100.0;
    let rows: Vec<(f64, f64)> =
        prices.iter().map(|(open, close)| (dollars(*open), dollars(*close))).collect();
    // What is said again changes nothing there.
    let mut last = 0;
    let said: Vec<f64> = wanted
        .iter()
        .map(|way| {
            let is_news = *way != 0 && *way != last;
            last = if is_news { *way } else { last };
            if is_news { f64::from(i32::try_from(*way).unwrap()) } else { f64::NAN }
        })
        .collect();
    let mut setup = setup(vec![bars("X", &rows)], vec![seat("all", Acts::says("X", &said), 0)]);
    setup.cash = Money::whole(cash);
    setup.strategies[0].member.book = StrategyBook::new("all", setup.cash);
    setup.strategies[0].member.sizing.rule = "100%".parse().unwrap();
    setup.model.size_at = SizeAt::Fill;
    setup.model.on_short_cash = OnShortCash::Reject; // Nothing is to be reduced.
    setup.model.fees = Fees::Bps(BasisPoints::whole(bps));
    let record = run(setup);
    balances(&record);
    let fills: Vec<(i64, i64)> = record
        .fills
        .iter()
        .map(|fill| {
            let order = &record.orders[fill.order as usize];
            assert_eq!((order.outcome.as_str(), order.quantity), ("filled", fill.quantity));
            let shares: i64 = fill.quantity.to_string().parse().unwrap();
            let cents = (fill.price.to_f64() * 100.0).round();
            #[allow(clippy::cast_possible_truncation, reason = "a price of a test is small")]
            let cents = cents as i64;
            (if order.side == bot::order::Side::Buy { shares } else { -shares }, cents)
        })
        .collect();
    let (expected, equity) = reference(prices, wanted, i64::from(cash), i64::from(bps));
    assert_eq!(fills, expected);
    let sign = if equity < 0 { "-" } else { "" };
    let (whole, rest) = (equity.abs() / 1_000_000, equity.abs() % 1_000_000);
    let equity: Money = format!("{sign}{whole}.{rest:06}").parse().unwrap();
    assert_eq!(record.end.equity, equity);
}

#[test]
fn all_of_the_equity_goes_long_and_short_at_the_price_of_the_fill() {
    let prices =
        [(100, 100), (103, 110), (98, 90), (85, 80), (90, 95)].map(|(open, close)| (open * 100, close * 100));
    check(&prices, &[1, -1, 1, 0, 0], 10_000, 0);
    check(&prices, &[1, -1, 1, 0, 0], 10_000, 20);
    check(&prices, &[-1, 1, -1, 0, 0], 10_000, 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_series_of_all_in_orders_is_that_of_the_rule(
        steps in prop::collection::vec((-9i64..=9, -9i64..=9, -1i64..=1), 2..80),
        cash in 1_000u32..100_000,
        bps in prop_oneof![Just(0u16), Just(20), Just(7)],
    ) {
        // A walk in cents that stays far from ruin: each step is 9 % at the most.
        let mut price = 10_000;
        let mut step = |percent: i64| { price = (price + price * percent / 100).clamp(2_000, 50_000); price };
        let prices: Vec<(i64, i64)> = steps.iter().map(|(open, close, _)| (step(*open / 3), step(*close / 3))).collect();
        let wanted: Vec<i64> = steps.iter().map(|(_, _, way)| *way).collect();
        check(&prices, &wanted, cash, bps);
    }
}
