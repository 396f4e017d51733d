//! How strategies are asked, told and kept apart.

use std::sync::Mutex;

use bot::broker::simulated::FillModel;
use bot::market::MarketEvent;
use bot::order::{OrderType, Side, TimeInForce};
use bot::strategy::Intent;

use super::*;

type Log<Line> = Arc<Mutex<Vec<Line>>>;

const FLAT: [(f64, f64); 6] = [(100.0, 100.0); 6];

fn order(side: Side, shares: i64) -> Intent {
    Intent::Order {
        symbol: symbol("X"),
        side,
        size: bot::sizing::SizeRule::Shares(bot::units::Quantity::new(shares.into())),
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Ioc,
        tag: None,
    }
}

fn taken<Line>(log: &Log<Line>) -> Vec<Line> {
    std::mem::take(&mut *log.lock().unwrap())
}

#[test]
fn a_strategy_is_told_of_its_fills_and_may_act_on_them() {
    let fills: Log<_> = Log::default();
    let log = Arc::clone(&fills);
    let strategy = Acts::says("X", &[1.0]).on_fill(move |fill, view, intents| {
        log.lock().unwrap().push((fill.at.millis() / 1_000, fill.side, fill.price.to_string(), view.now()));
        if fill.side == Side::Buy {
            intents.push(order(Side::Sell, 4));
        }
        Ok(())
    });
    let prices = [(100.0, 101.0), (102.0, 103.0), (104.0, 105.0)];
    let record = run(setup(vec![bars("X", &prices)], vec![seat("told", strategy, 0)]));
    assert_eq!(told(&record), ["buy 10 X at 60 filled 10 for 1020", "sell 4 X at 120 filled 4 for 416"]);
    assert_eq!(
        taken(&fills),
        [(60, Side::Buy, "102".to_owned(), second(60)), (120, Side::Sell, "104".to_owned(), second(120))]
    );
    assert_eq!(record.end.positions[&symbol("X")].to_string(), "6");
    balances(&record);
}

#[test]
fn timers_ring_at_their_instants_and_know_no_later_price() {
    let rings: Log<_> = Log::default();
    let log = Arc::clone(&rings);
    let strategy = Acts::on_event(|_, _, _| Ok(())).on_timer(move |now, view, intents| {
        let close = view.latest(symbol("X")).map_or(0.0, MarketEvent::price);
        log.lock().unwrap().push((now.millis() / 1_000, close));
        if now == second(150) { intents.signal(symbol("X"), 1.0) } else { Ok(()) }
    });
    let prices = [(100.0, 1.0), (100.0, 2.0), (100.0, 3.0), (104.0, 4.0), (105.0, 5.0), (106.0, 6.0)];
    // The first event, at 60, begins the interval of 90 seconds: 150, 240, 330.
    let seat = paced("clock", strategy, 0, Every::span(Duration::from_secs(90)).unwrap());
    let record = run(setup(vec![bars("X", &prices)], vec![seat]));
    assert_eq!(taken(&rings), [(150, 2.0), (240, 3.0), (330, 5.0)]);
    // The bar from 120 on has opened when the order comes at 150; the next one opens at 180.
    assert_eq!(told(&record), ["buy 10 X at 150 filled 10 for 1040"]);
    balances(&record);
}

#[test]
fn timers_of_all_strategies_ring_in_the_order_of_time() {
    let rings: Log<_> = Log::default();
    let clock = |name: &'static str, seconds: u64| {
        let log = Arc::clone(&rings);
        let strategy = Acts::on_event(|_, _, _| Ok(())).on_timer(move |now, _, intents| {
            log.lock().unwrap().push((now.millis() / 1_000, name));
            intents.push(order(Side::Buy, 1));
            Ok(())
        });
        paced(name, strategy, 0, Every::span(Duration::from_secs(seconds)).unwrap())
    };
    // Nothing happens between 60 and 120: what is due by then is made up for when 120 comes.
    let sources = vec![bars_at("X", &[(0, 100.0, 100.0), (60, 100.0, 100.0)])];
    let record = run(setup(sources, vec![clock("twenty", 20), clock("thirty", 30)]));
    let expected = [(80, "twenty"), (90, "thirty"), (100, "twenty"), (120, "twenty"), (120, "thirty")];
    assert_eq!(taken(&rings), expected);
    let times: Vec<_> = record.orders.iter().map(|order| order.at.millis() / 1_000).collect();
    assert_eq!(times, [80, 90, 100, 120, 120]);
    balances(&record);
}

#[test]
fn a_rhythm_counts_its_own_events_only() {
    let asked: Log<_> = Log::default();
    let log = Arc::clone(&asked);
    let strategy = Acts::on_event(move |event, _, _| {
        log.lock().unwrap().push((event.symbol().to_string(), event.known_at().millis() / 1_000));
        Ok(())
    });
    let seat = paced("third", strategy, 1, Every::count(2, 1).unwrap());
    let seat = also(seat, &[0]);
    let record = run(setup(vec![bars("Y", &FLAT), bars("X", &FLAT)], vec![seat]));
    assert_eq!(taken(&asked), [("X".into(), 60), ("X".into(), 180), ("X".into(), 300)]);
    assert_eq!(record.strategies[0].events, 6);
}

#[test]
fn a_strategy_that_fails_or_panics_hurts_only_itself_and_the_record_tells() {
    let panics = Acts::on_event(|event, _, intents| {
        assert!(event.known_at() < second(120), "I have had enough");
        intents.signal(event.symbol(), 1.0)
    });
    let wrong = Acts::on_event(|event, _, intents| {
        intents.signal(event.symbol(), 1.0)?;
        intents.signal(event.symbol(), f64::NAN)
    });
    let alone = run(setup(vec![bars("X", &FLAT)], vec![seat("good", Acts::says("X", &[1.0, -1.0]), 0)]));
    let strategies = vec![
        seat("panics", panics, 0),
        seat("good", Acts::says("X", &[1.0, -1.0]), 0),
        seat("wrong", wrong, 0),
    ];
    let record = run(setup(vec![bars("X", &FLAT)], strategies));
    let of = |record: &Record, place: u16| {
        let orders: Vec<_> = record.orders.iter().filter(|order| order.strategy == place).collect();
        orders.iter().map(|order| (order.at, order.side, order.filled)).collect::<Vec<_>>()
    };
    assert_eq!(of(&record, 1), of(&alone, 0));
    assert_eq!(of(&record, 0).len(), 1, "what it wanted before it panicked counts");
    assert!(of(&record, 2).is_empty(), "a strategy that gives NaN has none of its intents of that event");
    let failures: Vec<_> =
        record.strategies.iter().map(|strategy| (strategy.failures, strategy.last_failure.clone())).collect();
    assert_eq!(failures[1], (0, None));
    assert_eq!(failures[0].0, 1);
    assert!(failures[0].1.as_ref().unwrap().contains("\"panics\" failed: it panicked: I have had enough"));
    assert_eq!(failures[2].0, bot::strategy::runner::FAILURES_MAX);
    let text = failures[2].1.as_ref().unwrap();
    assert!(text.contains("signal must be a number from -1 to 1, was NaN; it is stopped"), "{text}");
    balances(&record);
}

#[test]
fn a_panic_in_a_timer_or_a_fill_ends_only_its_strategy() {
    let on_fill = Acts::says("X", &[1.0]).on_fill(|_, _, _| panic!("on a fill"));
    let on_timer = Acts::on_event(|_, _, _| Ok(())).on_timer(|_, _, _| panic!("on a timer"));
    let timer = paced("timer", on_timer, 0, Every::span(MINUTE).unwrap());
    let strategies =
        vec![timer, seat("fill", on_fill, 0), seat("good", Acts::says("X", &[1.0, 0.0, 1.0]), 0)];
    let record = run(setup(vec![bars("X", &FLAT)], strategies));
    let failures: Vec<_> = record.strategies.iter().map(|strategy| strategy.failures).collect();
    assert_eq!(failures, [1, 1, 0]);
    assert_eq!(record.fills.len(), 4, "the fill that it panicked at is a fill: {:?}", told(&record));
    balances(&record);
}

#[test]
fn a_strategy_that_orders_for_ever_comes_to_an_end_and_the_record_tells() {
    let for_ever = Acts::says("X", &[1.0]).on_fill(|fill, _, intents| {
        intents.push(order(fill.side.opposite(), 1));
        Ok(())
    });
    let strategies = vec![seat("for_ever", for_ever, 0), seat("good", Acts::says("X", &[1.0, 0.0]), 0)];
    let mut setup = setup(vec![bars("X", &FLAT[..3])], strategies);
    setup.model.fill = FillModel::SameClose;
    let record = run(setup);
    let orders = |place| record.orders.iter().filter(|order| order.strategy == place).count();
    assert_eq!((orders(0) > 1_000, orders(1)), (true, 2));
    let failure = record.strategies[0].last_failure.as_deref().unwrap_or("not told");
    assert!(failure.contains("for_ever") && failure.contains("10000"), "{failure}");
    balances(&record);
}

#[test]
fn sources_beside_the_main_one_are_seen_and_do_not_ask() {
    let seen: Log<_> = Log::default();
    let log = Arc::clone(&seen);
    let looks = seat(
        "looks",
        Acts::on_event(move |event, view, intents| {
            let value = |name| view.latest(symbol(name)).map(MarketEvent::price);
            log.lock().unwrap().push((event.known_at().millis() / 1_000, value("NEWS"), value("Y")));
            intents.signal(symbol("Y"), value("NEWS").unwrap_or(0.0))
        }),
        0,
    );
    let looks = also(looks, &[1, 2]);
    let news = numbers("NEWS", &[(59, 0.5), (120, -1.0), (181, 0.3)]);
    let sources = vec![bars("X", &FLAT[..3]), news, bars("Y", &[(10.0, 10.0); 5])];
    let record = run(setup(sources, vec![looks]));
    // All of one instant is known, whatever the order of the sources.
    assert_eq!(
        taken(&seen),
        [(60, Some(0.5), Some(10.0)), (120, Some(-1.0), Some(10.0)), (180, Some(-1.0), Some(10.0))]
    );
    assert_eq!(told(&record), ["buy 5 Y at 60 filled 5 for 50", "sell 15 Y at 120 filled 15 for 150"]);
    balances(&record);
}

#[test]
fn numbers_may_be_what_a_strategy_is_asked_on() {
    let trades = Acts::on_event(|event, _, intents| intents.signal(symbol("X"), event.price()));
    let seat = seat("news", trades, 1);
    let seat = also(seat, &[0]);
    let prices = [(100.0, 100.0), (100.0, 100.0), (101.0, 101.0), (102.0, 102.0)];
    let sources = vec![bars("X", &prices), numbers("NEWS", &[(60, 1.0), (61, 0.5), (150, -0.5)])];
    let record = run(setup(sources, vec![seat]));
    assert_eq!(
        told(&record),
        [
            "buy 10 X at 60 filled 10 for 1000",
            "sell 5 X at 61 filled 5 for 505",
            "sell 10 X at 150 filled 10 for 1020"
        ]
    );
    assert_eq!((record.strategies[0].events, record.end.events), (3, 7));
    assert_eq!(record.symbols, [symbol("X")], "a series of numbers is no symbol that is traded");
    balances(&record);
}

#[test]
fn a_symbol_that_no_source_shows_is_refused_and_leaves_the_record_whole() {
    let strategy = Acts::says("ZZZ", &[1.0]);
    let record = run(setup(vec![bars("X", &FLAT)], vec![seat("lost", strategy, 0)]));
    assert_eq!(told(&record), ["buy 0 ZZZ at 60 refused 0 for 0 no_quote"]);
    balances(&record);
}

#[test]
fn a_strategy_that_is_not_active_is_not_asked() {
    let mut seat = seat("off", Acts::says("X", &[1.0]), 0);
    seat.run.runner_mut().stop();
    let record = run(setup(vec![bars("X", &FLAT)], vec![seat]));
    assert!(record.orders.is_empty());
    assert_eq!(record.end.equity, record.start_cash);
    balances(&record);
}
