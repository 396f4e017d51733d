//! Whole runs by hand, to the cent.

use bot::broker::simulated::{Fees, FillModel, OnShortCash};
use bot::data::{Row, RowKind};
use bot::market::{MarketEvent, Quote, Trade};
use bot::outcome::OutcomeKind;
use bot::units::{BasisPoints, Weight};

use super::*;

const FOUR: [(f64, f64); 4] = [(100.0, 101.0), (102.0, 103.0), (104.0, 105.0), (106.0, 107.0)];

#[test]
fn money_and_positions_come_out_to_the_cent() {
    let mut setup = setup(vec![bars("X", &FOUR)], vec![seat("flips", Acts::says("X", &[1.0, -1.0, 0.0]), 0)]);
    setup.model.fees = Fees::Bps(BasisPoints::whole(10));
    setup.benchmark = Some(0);
    let record = run(setup);
    assert_eq!(
        told(&record),
        [
            "buy 10 X at 60 filled 10 for 1020",
            "sell 20 X at 120 filled 20 for 2080",
            "buy 10 X at 180 filled 10 for 1060",
        ]
    );
    // 10000 - 1020 - 1.02 + 2080 - 2.08 - 1060 - 1.06
    assert_eq!(record.end.cash.to_string(), "9995.84");
    assert_eq!((record.end.equity, record.end.fees.to_string()), (record.end.cash, "4.16".to_owned()));
    assert!(record.end.positions.is_empty());
    let marks: Vec<_> = record
        .marks
        .iter()
        .map(|mark| {
            let cents = |dollars: f64| (dollars * 100.0).round() / 100.0;
            (mark.at.millis() / 1_000, cents(mark.equity), cents(mark.cash), mark.net, mark.gross)
        })
        .collect();
    assert_eq!(
        marks,
        [
            (60, 10_000.0, 10_000.0, 0.0, 0.0), // The start,
            (60, 10_000.0, 10_000.0, 0.0, 0.0), // and the end of the first minute.
            (120, 10_008.98, 8_978.98, 1_030.0, 1_030.0),
            (180, 10_006.9, 11_056.9, -1_050.0, 1_050.0),
            (240, 9_995.84, 9_995.84, 0.0, 0.0),
        ]
    );
    let benchmark: Vec<_> = record.marks[1..].iter().map(|mark| mark.benchmark).collect();
    assert_eq!(benchmark, [101.0, 103.0, 105.0, 107.0]);
    assert_eq!((record.strategies[0].signals, record.strategies[0].events), (3, 4));
    assert!((record.extremes.equity_high - 10_008.98).abs() < 1e-9, "{:?}", record.extremes);
    assert!((record.extremes.equity_low - 9_995.84).abs() < 1e-9, "{:?}", record.extremes);
    balances(&record);
}

#[test]
fn the_same_close_fills_in_the_bar_of_the_signal_and_shows_in_its_mark() {
    let strategy = Acts::says("X", &[1.0, f64::NAN, f64::NAN, 0.0]);
    let mut setup = setup(vec![bars("X", &FOUR)], vec![seat("in_and_out", strategy, 0)]);
    setup.model.fill = FillModel::SameClose;
    setup.model.slippage = BasisPoints::whole(100);
    let record = run(setup);
    // 1 % dearer than 101 is 102.01, 1 % cheaper than 107 is 105.93.
    assert_eq!(
        told(&record),
        ["buy 10 X at 60 filled 10 for 1020.1", "sell 10 X at 240 filled 10 for 1059.3"]
    );
    assert_eq!(record.end.cash.to_string(), "10039.2");
    assert!((record.marks[1].equity - 9_989.9).abs() < 1e-9, "{:?}", record.marks);
    // The last fill costs slippage after the last price moved: 10000 - 1020.1 + 1070 was the highest.
    assert!((record.extremes.equity_high - 10_049.9).abs() < 1e-9, "{:?}", record.extremes);
    assert!((record.extremes.equity_low - 9_989.9).abs() < 1e-9, "{:?}", record.extremes);
    balances(&record);
}

#[test]
fn a_flip_is_two_orders_where_the_broker_takes_no_other() {
    let mut setup = setup(vec![bars("X", &FOUR)], vec![seat("flips", Acts::says("X", &[1.0, -1.0]), 0)]);
    setup.rules.limits.flip_in_one = false;
    let record = run(setup);
    // The second order is sent when the first is known to be filled, and meets the open after that.
    assert_eq!(
        told(&record),
        [
            "buy 10 X at 60 filled 10 for 1020",
            "sell 10 X at 120 filled 10 for 1040",
            "sell 10 X at 180 filled 10 for 1060",
        ]
    );
    assert_eq!(record.end.positions[&symbol("X")].to_string(), "-10");
    assert_eq!(
        (record.end.cash.to_string(), record.end.equity.to_string()),
        ("11080".into(), "10010".into())
    );
    balances(&record);
}

#[test]
fn a_flip_at_the_same_close_is_done_at_once() {
    let mut setup = setup(vec![bars("X", &FOUR)], vec![seat("flips", Acts::says("X", &[1.0, -1.0]), 0)]);
    setup.rules.limits.flip_in_one = false;
    setup.model.fill = FillModel::SameClose;
    let record = run(setup);
    let expected = [
        "buy 10 X at 60 filled 10 for 1010",
        "sell 10 X at 120 filled 10 for 1030",
        "sell 10 X at 120 filled 10 for 1030",
    ];
    assert_eq!(told(&record), expected);
    balances(&record);
}

#[test]
fn what_the_volume_does_not_give_is_cancelled_and_not_asked_for_again() {
    let mut rows: Vec<Row> = Vec::new();
    for (place, volume) in [(0, 1e6), (1, 45.0), (2, 1e6), (3, 1e6)] {
        rows.push(Row { at: second(60 * place), values: [100.0, 100.0, 100.0, 100.0, volume] });
    }
    let source = source("X", RowKind::Bar { span: MINUTE }, &rows, 3);
    let mut setup = setup(vec![source], vec![seat("buys", Acts::says("X", &[1.0, f64::NAN, 1.0]), 0)]);
    setup.model.volume_share = Some(Weight::percent(10));
    let record = run(setup);
    assert_eq!(
        told(&record),
        ["buy 10 X at 60 partly_filled 4 for 400 canceled", "buy 6 X at 180 filled 6 for 600"]
    );
    balances(&record);
}

#[test]
fn an_order_that_cannot_be_paid_is_rejected_and_books_nothing() {
    let prices = [(100.0, 100.0), (101.0, 101.0), (100.0, 100.0), (100.0, 100.0)];
    let mut setup =
        setup(vec![bars("X", &prices)], vec![seat("buys", Acts::says("X", &[1.0, f64::NAN, 1.0]), 0)]);
    // Enough at the price seen, ten dollars short at the open.
    setup.cash = Money::whole(1_000);
    setup.model.on_short_cash = OnShortCash::Reject;
    let record = run(setup);
    assert_eq!(
        told(&record),
        ["buy 10 X at 60 rejected 0 for 0 insufficient_buying_power", "buy 10 X at 180 filled 10 for 1000"]
    );
    assert!(record.orders[0].reason.contains("10 dollars short"), "{:?}", record.orders[0]);
    assert_eq!((record.fills.len(), record.end.cash), (1, Money::ZERO));
    balances(&record);
}

#[test]
fn an_order_that_costs_more_at_its_fill_than_there_is_is_reduced() {
    let prices = [(100.0, 100.0), (101.0, 101.0), (102.0, 102.0)];
    let mut setup = setup(vec![bars("X", &prices)], vec![seat("buys", Acts::says("X", &[1.0]), 0)]);
    setup.cash = Money::whole(1_000);
    let record = run(setup);
    assert_eq!(told(&record), ["buy 10 X at 60 partly_filled 9 for 909 reduced"]);
    assert_eq!(record.orders[0].reason, "reduced: the account could carry 9 shares at the fill");
    balances(&record);
}

#[test]
fn a_flip_is_carried_by_what_its_first_half_frees() {
    // Long 50 at 20 dollars with 300 in cash, and wants to be short 50.
    let prices = [(20.0, 20.0), (20.0, 20.0), (20.0, 20.0), (20.0, 20.0)];
    let mut setup = setup(vec![bars("X", &prices)], vec![seat("flips", Acts::says("X", &[1.0, -1.0]), 0)]);
    setup.strategies[0].member.sizing.rule = "50sh".parse().unwrap();
    setup.cash = Money::whole(1_300);
    let record = run(setup);
    assert_eq!(told(&record), ["buy 50 X at 60 filled 50 for 1000", "sell 100 X at 120 filled 100 for 2000"]);
    balances(&record);
}

#[test]
fn what_the_desk_refuses_is_no_order() {
    let mut setup = setup(vec![bars("X", &FOUR)], vec![seat("shorts", Acts::says("X", &[-1.0, 1.0]), 0)]);
    setup.rules.limits.short = false;
    setup.rules.limits.order_quantity_max = Some("9".parse().unwrap());
    let record = run(setup);
    assert!(record.orders.iter().all(|order| !order.is_order), "{:?}", told(&record));
    assert!(record.orders.iter().all(|order| order.outcome == OutcomeKind::Refused));
    assert_eq!((record.orders.len(), record.fills.len()), (2, 0));
    assert_eq!(record.end.cash, record.start_cash);
    balances(&record);
}

#[test]
fn bars_without_a_price_move_nothing_and_an_order_waits_for_the_next_that_has_one() {
    let prices = [(100.0, 101.0), (0.0, 0.0), (f64::NAN, f64::NAN), (104.0, 105.0)];
    let record = run(setup(vec![bars("X", &prices)], vec![seat("buys", Acts::says("X", &[1.0, 1.0]), 0)]));
    assert_eq!(told(&record), ["buy 10 X at 60 filled 10 for 1040"]);
    assert_eq!((record.end.events, record.end.equity.to_string()), (4, "10010".to_owned()));
    balances(&record);
}

#[test]
fn an_order_whose_symbol_shows_no_price_again_is_open_at_the_end() {
    let sources = vec![bars("X", &FOUR[..1]), bars("Y", &FOUR)];
    let record = run(setup(sources, vec![seat("buys", Acts::says("X", &[1.0]), 0)]));
    assert_eq!(told(&record), ["buy 10 X at 60 unfilled 0 for 0 open_at_end"]);
    assert_eq!((record.end.cash, record.end.equity), (record.start_cash, record.start_cash));
    assert_eq!(record.end.events, 5);
    balances(&record);
}

#[test]
fn a_side_that_nobody_quotes_any_more_fills_nothing() {
    let quote = |at, bid, ask| Row { at: second(at), values: [bid, 9.0, ask, 9.0, 0.0] };
    let rows = [quote(0, 99.9, 100.0), quote(1, 0.0, 100.1), quote(2, 99.8, 99.9)];
    let mut setup = setup(
        vec![source("X", RowKind::Quote, &rows, 2), numbers("N", &[(0, 1.0), (1, 2.0), (2, 3.0)])],
        vec![seat("trades", Acts::says("X", &[0.5, -0.5, -0.5]), 1)],
    );
    setup.model.fill = FillModel::Quote;
    let record = run(setup);
    assert_eq!(
        told(&record),
        [
            "buy 5 X at 0 filled 5 for 500",
            "sell 0 X at 1 refused 0 for 0 bad_quote",
            "sell 10 X at 2 partly_filled 9 for 898.2 canceled"
        ]
    );
    balances(&record);
}

#[test]
fn an_order_on_its_way_to_a_side_that_is_gone_fills_nothing() {
    let quote = |at, bid, ask| Row { at: second(at), values: [bid, 9.0, ask, 9.0, 0.0] };
    let rows = [quote(0, 99.9, 100.0), quote(1, 100.0, 0.0), quote(9, 99.9, 100.0)];
    let mut setup =
        setup(vec![source("X", RowKind::Quote, &rows, 2)], vec![seat("trades", Acts::says("X", &[0.5]), 0)]);
    setup.model.fill = FillModel::Quote;
    setup.model.latency = Duration::from_secs(2);
    let record = run(setup);
    assert_eq!(told(&record), ["buy 5 X at 0 unfilled 0 for 0 canceled"]);
    assert_eq!(record.end.equity, record.start_cash);
    balances(&record);
}

#[test]
fn quotes_fill_up_to_what_they_display() {
    let quote = |at, bid, ask| Row { at: second(at), values: [bid, 9.0, ask, 6.0, 0.0] };
    let rows = [quote(0, 99.5, 100.0), quote(30, 100.5, 101.0), quote(60, 102.0, 102.5)];
    let mut setup = setup(
        vec![source("X", RowKind::Quote, &rows, 2)],
        vec![seat("trades", Acts::says("X", &[1.0, 1.0, -1.0]), 0)],
    );
    setup.model.fill = FillModel::Quote;
    let record = run(setup);
    assert_eq!(
        told(&record),
        [
            "buy 10 X at 0 partly_filled 6 for 600 canceled",
            "buy 4 X at 30 filled 4 for 404",
            "sell 20 X at 60 partly_filled 9 for 918 canceled"
        ]
    );
    // One share is left, worth the mid.
    assert_eq!(
        (record.end.cash.to_string(), record.end.equity.to_string()),
        ("9914".into(), "10016.25".into())
    );
    balances(&record);
}

#[test]
fn a_source_of_several_symbols_and_kinds_trades_each_at_its_own_prices() {
    let quote = |at, bid, ask| Quote { at: second(at), bid, bid_size: 9.0, ask, ask_size: 9.0 };
    let trade = |at, price| Trade { at: second(at), price, size: 5.0 };
    let (x, y) = (symbol("X"), symbol("Y"));
    let events = vec![
        MarketEvent::Trade { symbol: x, trade: trade(0, 100.0) },
        MarketEvent::Trade { symbol: y, trade: trade(1, 50.0) },
        MarketEvent::Quote { symbol: x, quote: quote(2, 101.0, 101.5) },
        MarketEvent::Trade { symbol: y, trade: trade(3, 52.0) },
        MarketEvent::Quote { symbol: x, quote: quote(4, 103.0, 103.5) },
    ];
    let source = Chunks(vec![Arc::new(Chunk::Mixed(events))].into_iter());
    let buys = Acts::on_event(|event, _, intents| match event {
        MarketEvent::Trade { symbol, .. } => intents.signal(*symbol, 1.0),
        MarketEvent::Quote { .. } | MarketEvent::Bar { .. } | MarketEvent::Number { .. } => Ok(()),
    });
    let record = run(setup(vec![("session".to_owned(), Box::new(source))], vec![seat("buys", buys, 0)]));
    // X meets the quote, nine shares of it; Y the next print.
    assert_eq!(
        told(&record),
        ["buy 10 X at 0 partly_filled 9 for 913.5 canceled", "buy 10 Y at 1 filled 10 for 520"]
    );
    assert_eq!(record.end.equity.to_string(), "10015.75");
    balances(&record);
}

#[test]
fn at_one_instant_all_is_known_before_anybody_is_asked() {
    // X and Y end their bars together; who listens to Y sees X's, who listens to X does not see Y's yet.
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let look = |other: &str| {
        let (other, seen) = (symbol(other), Arc::clone(&seen));
        Acts::on_event(move |event, view, _| {
            let close = view.latest(other).map_or(0.0, MarketEvent::price);
            seen.lock().unwrap().push((event.symbol().to_string(), event.price(), close));
            Ok(())
        })
    };
    let sources = vec![bars("X", &FOUR[..2]), bars("Y", &[(1.0, 2.0), (3.0, 4.0)])];
    let at_x = also(seat("at_x", look("Y"), 0), &[1]);
    let at_y = also(seat("at_y", look("X"), 1), &[0]);
    let record = run(setup(sources, vec![at_y, at_x]));
    let seen = seen.lock().unwrap();
    let seen: Vec<_> = seen.iter().map(|(name, price, other)| (name.as_str(), *price, *other)).collect();
    assert_eq!(seen, [("Y", 2.0, 101.0), ("X", 101.0, 2.0), ("Y", 4.0, 103.0), ("X", 103.0, 4.0)]);
    assert_eq!(record.end.events, 4);
}

#[test]
fn an_interrupted_run_says_so_and_keeps_what_happened_until_then() {
    let rows: Vec<(f64, f64)> = (0..200_000).map(|_| (100.0, 100.0)).collect();
    let mut setup = setup(vec![bars("X", &rows)], vec![seat("buys", Acts::says("X", &[1.0]), 0)]);
    setup.period = Period::Day;
    let mut asked = 0;
    let record = backtest::run(setup, &mut |progress| {
        asked += 1;
        assert!(progress.events >= 65_536, "{progress:?}");
        false
    })
    .unwrap();
    assert!(record.interrupted && asked == 1, "{asked}");
    assert!(record.end.events < 140_000, "{}", record.end.events);
    assert_eq!(told(&record), ["buy 10 X at 60 filled 10 for 1000"]);
    assert_eq!(record.end.equity, record.start_cash);
    balances(&record);
}
