//! Several strategies over one account: each with a book of its own, or as one sum.

use super::*;

const RISING: [(f64, f64); 4] = [(100.0, 100.0), (100.0, 100.0), (110.0, 110.0), (120.0, 120.0)];

fn two(first: &[f64], second: &[f64], weights: [&str; 2]) -> Vec<StrategySetup> {
    let weight = |mut seat: StrategySetup, weight: &str| {
        seat.member.weight = weight.parse().unwrap();
        seat.member.book.set_capital(Money::whole(5_000));
        seat
    };
    vec![
        weight(seat("first", Acts::says("X", first), 0), weights[0]),
        weight(seat("second", Acts::says("X", second), 0), weights[1]),
    ]
}

#[test]
fn each_strategy_has_orders_and_a_book_of_its_own() {
    let record = run(setup(vec![bars("X", &RISING)], two(&[1.0], &[-1.0, 0.0], ["1", "1"])));
    assert_eq!(
        told(&record),
        [
            "buy 10 X at 60 filled 10 for 1000",
            "sell 10 X at 60 filled 10 for 1000",
            "buy 10 X at 120 filled 10 for 1100"
        ]
    );
    let ends: Vec<_> = record.strategies.iter().map(|strategy| *strategy.equity.last().unwrap()).collect();
    assert_eq!(ends, [5_200.0, 4_900.0]);
    assert_eq!(record.end.equity.to_string(), "10100");
    assert_eq!(record.end.positions[&symbol("X")].to_string(), "10");
    balances(&record);
}

#[test]
fn the_net_signal_is_the_weighted_sum() {
    let strategies = two(&[1.0, f64::NAN, 0.0], &[f64::NAN, -1.0], ["0.75", "25%"]);
    let mut setup = setup(vec![bars("X", &RISING)], strategies);
    setup.combine = Combine::Net;
    let record = run(setup);
    // 7.5 is 7 whole shares; 10 x 0.75 - 10 x 0.25 is 5; then -2.5 is 2 short.
    assert_eq!(
        told(&record),
        [
            "buy 7 X at 60 filled 7 for 700",
            "sell 2 X at 120 filled 2 for 220",
            "sell 7 X at 180 filled 7 for 840"
        ]
    );
    assert_eq!(record.end.positions[&symbol("X")].to_string(), "-2");
    assert_eq!(record.end.equity.to_string(), "10120");
    let net = record.strategies.last().unwrap();
    assert_eq!((net.name.as_str(), *net.equity.last().unwrap()), ("net", 10_120.0));
    balances(&record);
}

#[test]
fn opposite_signals_of_one_instant_leave_nothing() {
    let mut setup = setup(vec![bars("X", &RISING)], two(&[1.0], &[-1.0], ["0.5", "0.5"]));
    setup.combine = Combine::Net;
    let record = run(setup);
    assert!(record.end.positions.is_empty(), "{:?}", record.end.positions);
    assert_eq!(record.end.equity, record.start_cash);
    balances(&record);
}

#[test]
fn cash_is_shared_and_never_spent_twice() {
    let mut setup = setup(vec![bars("X", &RISING)], two(&[1.0], &[1.0], ["1", "1"]));
    setup.cash = Money::whole(1_500);
    setup.rules.limits.short = false;
    let record = run(setup);
    assert_eq!(record.orders.len(), 2);
    assert_eq!(told(&record)[0], "buy 10 X at 60 filled 10 for 1000");
    assert!(!record.orders[1].is_order, "{:?}", told(&record));
    assert_eq!(record.end.cash.to_string(), "500");
    balances(&record);
}

#[test]
fn sizes_that_the_desk_decides_fill_the_target_weights() {
    let mut strategies = two(&[1.0, f64::NAN, 0.0], &[], ["1", "1"]);
    strategies.pop();
    let sizing = &mut strategies[0].member.sizing;
    (sizing.rule, sizing.short) = ("all".parse().unwrap(), false);
    sizing.weights = vec![(symbol("X"), Weight::percent(50))];
    let mut setup = setup(vec![bars("X", &RISING)], strategies);
    setup.rules.limits.short = false;
    setup.rules.cash_buffer = Weight::percent(2);
    setup.weights = vec![(symbol("X"), Weight::percent(50))];
    let record = run(setup);
    assert_eq!(told(&record), ["buy 25 X at 60 filled 25 for 2500", "sell 25 X at 180 filled 25 for 3000"]);
    assert_eq!(record.end.cash.to_string(), "10500");
    balances(&record);
}

/// From A, the source at `main`, into Z; Z doubles in the bar at whose open A is sold.
#[track_caller]
fn changes_over(sources: Vec<(String, Box<dyn Source>)>, main: usize) {
    let mut wants: VecDeque<&str> = ["A", "Z"].into();
    let strategy = Acts::on_event(move |_, _, intents| match wants.pop_front() {
        Some(name) => intents.set_holdings([(symbol(name), 1.0)]),
        None => Ok(()),
    });
    let record = run(setup(sources, vec![also(seat("over", strategy, main), &[1 - main])]));
    assert_eq!(
        told(&record),
        [
            "buy 100 A at 60 filled 100 for 10000",
            "sell 100 A at 120 filled 100 for 10000",
            "buy 50 Z at 180 filled 50 for 10000"
        ]
    );
    balances(&record);
}

#[test]
fn what_is_bought_with_a_sale_is_sized_at_the_prices_of_one_instant_whatever_the_order_of_symbols() {
    let sold = || bars("A", &[(100.0, 100.0); 4]);
    let bought = || bars("Z", &[(100.0, 100.0), (100.0, 100.0), (100.0, 200.0), (200.0, 200.0)]);
    changes_over(vec![sold(), bought()], 0);
    changes_over(vec![bought(), sold()], 1);
}
