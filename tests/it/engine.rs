//! Traders: watched, evaluated in time, failing alone, stopped at once; and the same in time travel.

mod same_decisions;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bot::backtest::{self, wiring};
use bot::clock::{Clock, SystemClock, Timestamp};
use bot::data::{Chunk, DataError, ReadReport, Row, RowKind, Source};
use bot::engine::{
    Engine, EngineOptions, News, OnFailure, TestEngine, TradeDirection, TradeOrder, Trader, TraderError,
    TraderReport, TraderSetup, TraderState, TraderStrategy,
};
use bot::manifest::Manifest;
use bot::strategy::{Every, Kind, Runner, StrategyRun, WrittenParams};
use bot::symbol::Symbol;
use bot::ticks::{Span, Tick};
use crossbeam_channel::{Receiver, unbounded};

const SOON: Duration = Duration::from_secs(20);
const FAST: Duration = Duration::from_millis(5);
const HOUR: Duration = Duration::from_hours(1);

/// A trader that is a function.
struct By<Judge>(Judge);

impl<Judge> Trader for By<Judge>
where
    Judge: FnMut(Timestamp, Span<'_>) -> Result<Option<TradeOrder>, TraderError> + Send,
{
    fn evaluate(&mut self, now: Timestamp, window: Span<'_>) -> Result<Option<TradeOrder>, TraderError> {
        (self.0)(now, window)
    }
}

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn tick(seconds: i64, price: f64) -> Tick {
    Tick::new(symbol("TEST"), price).at(at(seconds))
}

/// Goes long at every evaluation, stopped below the last price by the number of ticks: an order shows what was seen.
fn eager(symbol: Symbol, interval: Duration) -> TraderSetup {
    let judge = move |now, window: Span<'_>| {
        let stop = window.last().unwrap().price - f64::from(u32::try_from(window.len()).unwrap()) / 1_000.0;
        Ok(Some(TradeOrder::new(now, TradeDirection::Long, symbol).stop_loss(stop)))
    };
    TraderSetup::new(By(judge), interval, |_| {})
}

#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = SystemClock.now() + SOON;
    while !holds() {
        assert!(SystemClock.now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// A live engine whose traders behave by their symbol, and all orders that leave.
fn live(
    judge: impl Fn(Symbol, Timestamp, Span<'_>) -> Result<Option<TradeOrder>, TraderError> + Send + Sync + 'static,
    on_failure: OnFailure,
    interval: Duration,
) -> (Engine, Receiver<TradeOrder>, Arc<Mutex<Vec<TraderReport>>>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&reports);
    let options = EngineOptions {
        stop_grace: Duration::from_millis(50),
        reporter: Arc::new(move |report| kept.lock().unwrap().push(report.clone())),
        ..EngineOptions::new(HOUR)
    };
    let (sender, orders) = unbounded();
    let judge = Arc::new(judge);
    let engine = Engine::with_options(options, move |symbol| {
        let (judge, sender) = (Arc::clone(&judge), sender.clone());
        let trader = By(move |now, window: Span<'_>| judge(symbol, now, window));
        TraderSetup::new(trader, interval, move |order| sender.send(order).unwrap())
            .name("watcher")
            .on_failure(on_failure)
    });
    (engine, orders, reports)
}

#[allow(clippy::unnecessary_wraps, reason = "a trader answers so")]
fn long(symbol: Symbol, now: Timestamp) -> Result<Option<TradeOrder>, TraderError> {
    Ok(Some(TradeOrder::new(now, TradeDirection::Long, symbol)))
}

#[test]
fn a_trader_is_evaluated_at_once_and_then_at_its_interval() {
    let (engine, orders, _) = live(|symbol, now, _| long(symbol, now), OnFailure::Stop, FAST);
    let test = symbol("TEST");
    engine.tick(Tick::new(test, 1.3)).unwrap();
    engine.start(test).unwrap();
    let times: Vec<_> = (0..4).map(|_| orders.recv_timeout(SOON).unwrap().timestamp).collect();
    assert!(times.is_sorted_by(|early, late| early < late), "{times:?}");
    engine.stop(test).unwrap();
}

#[test]
fn a_trader_started_before_the_first_tick_waits() {
    let (engine, orders, _) = live(|symbol, now, _| long(symbol, now), OnFailure::Stop, FAST);
    let test = symbol("TEST");
    engine.start(test).unwrap();
    engine.tick(Tick::new(symbol("OTHER"), 1.0)).unwrap();
    assert!(orders.recv_timeout(FAST * 4).is_err());
    assert_eq!(engine.status(test).unwrap().state, TraderState::Waiting);
    assert!(engine.tick(Tick::new(test, f64::NAN)).is_err());
    engine.tick(Tick::new(test, 1.3)).unwrap();
    assert_eq!(orders.recv_timeout(SOON).unwrap().symbol, test);
    engine.stop(test).unwrap();
}

#[test]
fn stop_takes_effect_at_once_while_waiting_and_while_resting() {
    let (engine, orders, reports) = live(|symbol, now, _| long(symbol, now), OnFailure::Stop, HOUR);
    let (resting, waiting) = (symbol("TEST"), symbol("LATER"));
    engine.tick(Tick::new(resting, 1.3)).unwrap();
    engine.start(resting).unwrap();
    engine.start(waiting).unwrap();
    orders.recv_timeout(SOON).unwrap();
    eventually("the trader rests", || engine.status(resting).unwrap().state == TraderState::Resting);
    engine.stop(resting).unwrap();
    engine.stop(waiting).unwrap();
    engine.tick(Tick::new(waiting, 1.3)).unwrap();
    assert_eq!(engine.traders(), []);
    assert!(orders.try_recv().is_err());
    assert_eq!(*reports.lock().unwrap(), []);
}

#[test]
fn stop_and_start_again_works() {
    let (engine, orders, _) = live(|symbol, now, _| long(symbol, now), OnFailure::Stop, HOUR);
    let test = symbol("TEST");
    engine.tick(Tick::new(test, 1.3)).unwrap();
    for _ in 0..20 {
        engine.start(test).unwrap();
        orders.recv_timeout(SOON).unwrap();
        engine.stop(test).unwrap();
    }
    let error = engine.stop(test).unwrap_err().to_string();
    assert_eq!(error, "trader must be started before it is stopped, TEST has none");
}

#[test]
fn starting_twice_is_an_error_that_names_the_symbol() {
    let (engine, ..) = live(|_, _, _| Ok(None), OnFailure::Stop, FAST);
    engine.start(symbol("BRK.B")).unwrap();
    let error = engine.start(symbol("BRK.B")).unwrap_err().to_string();
    assert_eq!(error, "trader must not be started twice, BRK.B has one already");
    let mut travel = TestEngine::new(HOUR, |symbol| eager(symbol, FAST));
    travel.start(symbol("BRK.B")).unwrap();
    assert_eq!(travel.start(symbol("BRK.B")).unwrap_err().to_string(), error);
}

#[test]
fn an_interval_of_zero_and_a_panicking_new_trader_start_nothing() {
    let engine = Engine::new(HOUR, |symbol| eager(symbol, Duration::ZERO));
    let error = engine.start(symbol("TEST")).unwrap_err().to_string();
    assert_eq!(error, "eval_interval must be above 0, was 0ns for TEST");
    let engine = Engine::new(HOUR, |_| panic!("no trader today"));
    let error = engine.start(symbol("TEST")).unwrap_err().to_string();
    assert_eq!(error, "new_trader must give a trader for TEST, panicked: no trader today");
    assert_eq!(engine.traders(), []);
}

/// One trader misbehaves, its neighbour goes on trading, and the feed never waits.
#[track_caller]
fn check_neighbour(
    bad: impl Fn() -> Result<Option<TradeOrder>, TraderError> + Send + Sync + 'static,
    on_failure: OnFailure,
    expected: &[&str],
) {
    let (bad_symbol, good) = (symbol("BAD"), symbol("GOOD"));
    let judge = move |symbol, now, _: Span<'_>| if symbol == bad_symbol { bad() } else { long(symbol, now) };
    let (engine, orders, reports) = live(judge, on_failure, FAST);
    for symbol in [bad_symbol, good] {
        engine.tick(Tick::new(symbol, 1.3)).unwrap();
        engine.start(symbol).unwrap();
    }
    let seen = || reports.lock().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    eventually("the reports come", || seen().len() >= expected.len());
    assert_eq!(seen()[..expected.len()], *expected);
    for _ in 0..3 {
        engine.tick(Tick::new(bad_symbol, 1.4)).unwrap();
        engine.tick(Tick::new(good, 1.4)).unwrap();
        assert_eq!(orders.recv_timeout(SOON).unwrap().symbol, good);
    }
    engine.stop(good).unwrap();
    // One that has ended by itself can be stopped, or started again, like any other.
    if engine.status(bad_symbol).unwrap().state == TraderState::Ended {
        engine.start(bad_symbol).unwrap();
    }
    engine.stop(bad_symbol).unwrap();
}

#[test]
fn a_failing_trader_is_reported_restarted_and_ended_and_its_neighbour_goes_on() {
    check_neighbour(
        || Err(TraderError::new("no idea")),
        OnFailure::Restart { times: 2 },
        &[
            "trader of BAD (watcher) failed: no idea",
            "trader of BAD (watcher) was restarted, 1 in a row",
            "trader of BAD (watcher) failed: no idea",
            "trader of BAD (watcher) was restarted, 2 in a row",
            "trader of BAD (watcher) failed: no idea",
            "trader of BAD (watcher) has ended after a failure",
        ],
    );
}

#[test]
fn a_panicking_trader_is_reported_and_its_neighbour_goes_on() {
    check_neighbour(
        || panic!("division by zero"),
        OnFailure::Stop,
        &[
            "trader of BAD (watcher) panicked: division by zero",
            "trader of BAD (watcher) has ended after a failure",
        ],
    );
}

#[test]
fn an_order_that_may_not_leave_is_reported_and_does_not_leave() {
    check_neighbour(
        || long(Symbol::try_from("GOOD".to_owned()).unwrap(), at(1)),
        OnFailure::Stop,
        &[
            "trader of BAD (watcher) issued an order that may not leave: order symbol must be its trader's, BAD, was GOOD",
        ],
    );
    check_neighbour(
        || Ok(long(symbol("BAD"), at(1))?.map(|order| order.stop_loss(f64::NAN))),
        OnFailure::Stop,
        &[
            "trader of BAD (watcher) issued an order that may not leave: stop loss must be below the price 1.3, was NaN",
        ],
    );
}

#[test]
fn a_trader_that_loops_for_ever_hurts_only_itself() {
    let released = Arc::new(AtomicBool::new(false));
    let release = Arc::clone(&released);
    let (stuck, good) = (symbol("STUCK"), symbol("GOOD"));
    let judge = move |symbol, now, _: Span<'_>| {
        while symbol == stuck && !release.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
        long(symbol, now)
    };
    let (engine, orders, reports) = live(judge, OnFailure::Stop, FAST);
    for symbol in [stuck, good] {
        engine.tick(Tick::new(symbol, 1.3)).unwrap();
        engine.start(symbol).unwrap();
    }
    eventually("it is seen to be at it", || {
        matches!(engine.status(stuck).unwrap().state, TraderState::Evaluating(_))
    });
    for _ in 0..1_000 {
        engine.tick(Tick::new(stuck, 1.4)).unwrap();
    }
    assert_eq!(orders.recv_timeout(SOON).unwrap().symbol, good);
    let error = engine.stop(stuck).unwrap_err().to_string();
    assert_eq!(error, "trader of STUCK must end within 50ms of its stop, was left behind");
    assert_eq!(reports.lock().unwrap()[0].news, News::Abandoned(Duration::from_millis(50)));
    engine.stop(good).unwrap();
    orders.try_iter().for_each(drop);
    // Again, and this time it is the end of the engine that must not hang.
    engine.start(stuck).unwrap();
    eventually("it is at it again", || engine.status(stuck).unwrap().evaluations == 1);
    assert_eq!(engine.shutdown(), [stuck]);
    released.store(true, Ordering::SeqCst);
    drop(engine);
    // Both threads come back now, drop their outboxes, and nothing has left.
    assert!(orders.recv_timeout(SOON).is_err_and(|error| error.is_disconnected()));
}

#[test]
fn a_trader_may_stop_itself() {
    let engine: Arc<Mutex<Option<Engine>>> = Arc::default();
    let (own, stops) = (Arc::clone(&engine), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&stops);
    let made = Engine::new(HOUR, move |symbol| {
        let (own, counted) = (Arc::clone(&own), Arc::clone(&counted));
        let judge = move |now, _: Span<'_>| long(symbol, now);
        TraderSetup::new(By(judge), FAST, move |order| {
            own.lock().unwrap().as_ref().unwrap().stop(order.symbol).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        })
    });
    let test = symbol("TEST");
    *engine.lock().unwrap() = Some(made);
    {
        let guard = engine.lock().unwrap();
        guard.as_ref().unwrap().tick(Tick::new(test, 1.3)).unwrap();
        guard.as_ref().unwrap().start(test).unwrap();
    }
    eventually("it has stopped itself", || stops.load(Ordering::SeqCst) == 1);
    assert_eq!(engine.lock().unwrap().as_ref().unwrap().traders(), []);
}

/// On which of 20 ticks, counted from 1, the evaluations fall.
fn evaluations(eval_every: usize, skip: usize) -> Vec<i64> {
    let mut engine = TestEngine::new(HOUR, |symbol| eager(symbol, HOUR));
    engine.start(symbol("TEST")).unwrap();
    let ticks = (1..=20).map(|second| tick(second, 10.0));
    let orders = engine.tick_many(ticks, eval_every, skip).unwrap();
    orders.iter().map(|order| order.timestamp.nanos() / 1_000_000_000).collect()
}

#[test]
fn time_travel_by_count_counts_as_walnut_does() {
    assert_eq!(evaluations(5, 3), [3, 8, 13, 18]);
    assert_eq!(evaluations(5, 0), [5, 10, 15, 20]);
    assert_eq!(evaluations(5, 5), [5, 10, 15, 20]);
    assert_eq!(evaluations(7, 12), [12, 19]);
    let mut engine = TestEngine::new(HOUR, |symbol| eager(symbol, HOUR));
    let error = engine.tick_many([tick(1, 10.0)], 0, 3).unwrap_err().to_string();
    assert_eq!(error, "eval_every must be above 0, was 0");
    assert!(engine.window(symbol("TEST")).is_empty());
}

fn times(orders: &[TradeOrder]) -> Vec<i64> {
    orders.iter().map(|order| order.timestamp.nanos() / 1_000_000_000).collect()
}

#[test]
fn time_travel_by_time_evaluates_as_a_live_engine_would() {
    let mut engine = TestEngine::new(HOUR, |symbol| eager(symbol, Duration::from_secs(5)));
    let test = symbol("TEST");
    assert_eq!(engine.start(test).unwrap(), []);
    assert_eq!(engine.advance_to(at(100)).unwrap(), []);
    assert_eq!(times(&engine.tick(tick(102, 10.0)).unwrap()), [102], "at once with the first tick");
    assert_eq!(
        times(&engine.tick(tick(107, 10.0)).unwrap()),
        [0; 0],
        "what is due at 107 waits for its ticks"
    );
    let orders = engine.tick(tick(113, 10.0)).unwrap();
    assert_eq!(times(&orders), [107, 112]);
    assert_eq!(orders[0].stop_loss, Some(10.0 - 0.002), "both ticks were seen");
    assert_eq!(times(&engine.advance_by(Duration::from_secs(4)).unwrap()), [117]);
    assert_eq!(times(&engine.advance_to(at(130)).unwrap()), [122, 127]);
    let error = engine.advance_to(at(129)).unwrap_err().to_string();
    assert!(error.starts_with("time to advance to must be at or after 1970-01-01T00:02:10Z, was"), "{error}");
    engine.stop(test).unwrap();
    assert_eq!(engine.advance_to(at(200)).unwrap(), []);
    assert_eq!(times(&engine.start(test).unwrap()), [200]);
    // Once the window has run empty there is nothing to judge, however far the clock goes.
    assert_eq!(engine.advance_to(Timestamp::MAX).unwrap().len(), (3_600 + 113 - 200) / 5);
}

#[test]
fn time_travel_by_count_then_by_time_makes_up_for_nothing() {
    let mut engine = TestEngine::new(HOUR, |symbol| eager(symbol, Duration::from_secs(5)));
    engine.start(symbol("TEST")).unwrap();
    let ticks = (1..=18).map(|second| tick(second, 10.0));
    assert_eq!(times(&engine.tick_many(ticks, 100, 2).unwrap()), [2]);
    assert_eq!(times(&engine.advance_to(at(30)).unwrap()), [22, 27]);
}

#[test]
fn a_tick_far_in_the_future_does_not_move_the_clock() {
    let mut engine = TestEngine::new(HOUR, |symbol| eager(symbol, HOUR));
    let ticks = [tick(1_534_335_132, 1.3), tick(9_000_000_000, 1.4), tick(1_534_335_133, 1.5)];
    let error = engine.tick_many(ticks, 1, 0).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "tick 2: tick time must be at most 604800s ahead of the clock at 2018-08-15T12:12:12Z"
        )
    );
    engine.tick(ticks[2]).unwrap();
    assert_eq!(engine.window(symbol("TEST")).len(), 2);
}

#[test]
fn the_same_ticks_give_the_same_orders() {
    let run = || {
        let mut engine = TestEngine::new(Duration::from_mins(5), |symbol| {
            let judge = move |now, window: Span<'_>| {
                let (mean, last) = (window.mean().unwrap(), window.last().unwrap().price);
                let direction = if last > mean { TradeDirection::Long } else { TradeDirection::Short };
                let order = TradeOrder::new(now, direction, symbol);
                Ok(((last - mean).abs() > 1e-9).then_some(order.stop_loss(mean)))
            };
            TraderSetup::new(By(judge), Duration::from_secs(7), |_| {})
        });
        let mut orders = Vec::new();
        for name in ["ZZZ", "AAA", "MMM"] {
            orders.extend(engine.start(symbol(name)).unwrap());
        }
        let mut seed = 1_u64;
        for second in 0..3_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let name = ["AAA", "MMM", "ZZZ"][usize::try_from(seed >> 62).unwrap() % 3];
            let price = 100.0 + f64::from(u32::try_from(seed >> 40).unwrap()) / 1e6;
            let late = i64::try_from(seed >> 60).unwrap();
            orders.extend(engine.tick(Tick::new(symbol(name), price).at(at(1_000 + second - late))).unwrap());
        }
        orders
    };
    let orders = run();
    assert!(orders.len() > 1_000, "{}", orders.len());
    assert_eq!(run(), orders);
}

#[test]
fn in_time_travel_too_a_bad_trader_hurts_only_itself() {
    let mut engine = TestEngine::new(HOUR, |own| {
        let judge = move |now, window: Span<'_>| {
            assert!(own != symbol("BAD") || window.len() < 3, "three is too many");
            long(own, now)
        };
        TraderSetup::new(By(judge), HOUR, |_| {}).on_failure(OnFailure::Restart { times: 1 })
    });
    for name in ["BAD", "GOOD"] {
        engine.start(symbol(name)).unwrap();
    }
    let ticks = (0..20).map(|number| {
        Tick::new(symbol(if number % 2 == 0 { "BAD" } else { "GOOD" }), 1.0).at(at(1_000 + number))
    });
    let orders = engine.tick_many(ticks, 2, 0).unwrap();
    assert_eq!(orders.iter().filter(|order| order.symbol == symbol("GOOD")).count(), 10);
    assert_eq!(orders.iter().filter(|order| order.symbol == symbol("BAD")).count(), 2);
    let status = engine.status(symbol("BAD")).unwrap();
    assert_eq!((status.state, status.failures), (TraderState::Ended, 2));
    assert_eq!(status.last_failure.as_deref(), Some("panicked: three is too many"));
    let news: Vec<_> = engine.reports().iter().map(ToString::to_string).collect();
    assert_eq!(
        news[1..],
        [
            "trader of BAD was restarted, 1 in a row",
            "trader of BAD panicked: three is too many",
            "trader of BAD has ended after a failure",
        ]
    );
}
