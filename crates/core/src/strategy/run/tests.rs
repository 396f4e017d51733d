//! What a strategy is called with, knows and sends in a run.

mod holdings;

use std::sync::{Arc, Mutex};

use super::*;
use crate::indicators::{Indicator, Source};
use crate::market::Bar;
use crate::outcome::OutcomeKind;
use crate::strategy::{
    BarSlice, Every, Intents, Lookback, NamedIndicator, Needs, Strategy, StrategyError, View,
};

type OnBar = dyn FnMut(&BarSlice<'_>, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send;

/// Does as it is told on each slice of bars, on its timer and on its schedules.
struct Told {
    needs: Needs,
    on_bar: Box<OnBar>,
    rung: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Strategy for Told {
    fn needs(&self) -> Needs {
        self.needs.clone()
    }

    fn on_bar(
        &mut self,
        bars: &BarSlice<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        (self.on_bar)(bars, view, intents)
    }

    fn on_timer(&mut self, now: Timestamp, _: &View<'_>, _: &mut Intents) -> Result<(), StrategyError> {
        self.rung.lock().unwrap().push(now.to_new_york().format("%a %H:%M").to_string());
        Ok(())
    }
}

const MINUTE: Duration = Duration::from_mins(1);
/// Monday, half past nine in New York.
const OPEN: &str = "2026-01-05T09:30:00-05:00";

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn open() -> Timestamp {
    Timestamp::parse_rfc3339(OPEN).unwrap()
}

fn run(
    needs: Needs,
    on_bar: impl FnMut(&BarSlice<'_>, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send + 'static,
) -> StrategyRun {
    let told = Told { needs, on_bar: Box::new(on_bar), rung: Log::default() };
    let runner = Runner::new("told", Box::new(told), &[symbol("A"), symbol("B")], Every::Event);
    let mut run = StrategyRun::new(runner.on_bars_of(Some(MINUTE)), true, true);
    run.set_cash(Money::whole(10_000));
    run
}

/// The bar of minute `number`, closing at `close`.
fn bar(name: &str, number: u32, close: f64) -> MarketEvent {
    let (high, low) = (close + 1.0, close - 1.0);
    let bar = Bar { at: open() + MINUTE * number, open: close, high, low, close, volume: 10.0 };
    MarketEvent::Bar { symbol: symbol(name), bar, span: MINUTE }
}

/// Shows and asks, as one instant; says what is sent as `SYMBOL what`.
fn ask(run: &mut StrategyRun, events: &[MarketEvent]) -> Vec<String> {
    let mut signals = Vec::new();
    for event in events {
        assert!(run.show(event));
    }
    run.evaluate(&mut events.to_vec(), &mut signals).unwrap();
    shown(&signals)
}

fn shown(signals: &[StrategySignal]) -> Vec<String> {
    let what = |wanted: Wanted| match wanted {
        Wanted::Order { side, quantity, .. } => format!("{side} {}", quantity.unwrap()),
        Wanted::Weight(weight) => format!("weight {}", weight.get()),
        Wanted::Strength(strength) => format!("strength {}", strength.get()),
        Wanted::Target(shares) => format!("target {shares}"),
    };
    let line = |signal: &StrategySignal| format!("{} {}", signal.symbol, what(signal.wanted));
    signals.iter().map(line).collect()
}

fn held(shares: i64, price: i64) -> Position {
    let mut position = Position::default();
    let side = if shares < 0 { crate::order::Side::Sell } else { crate::order::Side::Buy };
    let shares = Quantity::new(shares.abs().into());
    position.fill(side, shares, Price::whole(u32::try_from(price).unwrap()) * shares);
    position
}

fn end(name: &str, at: Timestamp, position: Position, cash: u32) -> OrderEnd {
    OrderEnd {
        at,
        symbol: symbol(name),
        outcome: Some(OutcomeKind::Filled),
        reason: String::new(),
        fill: None,
        position,
        cash: Money::whole(cash),
        goes_on: false,
    }
}

#[test]
fn bars_of_one_instant_come_together_in_the_order_of_their_symbols() {
    let seen = Log::default();
    let log = Arc::clone(&seen);
    let mut run = run(Needs::default(), move |bars, view, _| {
        let names: Vec<String> = bars.iter().map(|(symbol, bar)| format!("{symbol}{}", bar.close)).collect();
        let other = view.latest(symbol("B")).map_or(0.0, MarketEvent::price);
        log.lock().unwrap().push(format!("{} {other}", names.join(" ")));
        Ok(())
    });
    ask(&mut run, &[bar("B", 0, 2.0), bar("A", 0, 3.0)]);
    ask(&mut run, &[bar("A", 1, 5.0), bar("B", 1, 4.0)]);
    ask(&mut run, &[bar("A", 2, 6.0)]);
    let at = open() + MINUTE * 4 - Duration::from_hours(1);
    let hour = Bar { at, open: 9.0, high: 9.0, low: 9.0, close: 9.0, volume: 1.0 };
    let hour = MarketEvent::Bar { symbol: symbol("A"), bar: hour, span: Duration::from_hours(1) };
    ask(&mut run, &[hour, bar("A", 3, 7.0)]);
    assert_eq!(*seen.lock().unwrap(), ["A3 B2 2", "A5 B4 4", "A6 4", "A9 4", "A7 4"]);
}

#[test]
fn an_indicator_sees_all_of_its_instant_whoever_came_first() {
    let values = |first: &'static str| {
        let indicator =
            Indicator::Correlation { source: Source::Close, other: Source::Symbol(symbol("B")), period: 3 };
        let named = NamedIndicator { name: "with_b".to_owned(), timeframe: None, indicator };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let mut run = run(Needs { indicators: vec![named], ..Needs::default() }, move |_, view, _| {
            let ago = |bars| view.indicator_named(symbol("A"), "with_b", bars).map(f64::to_bits);
            log.lock().unwrap().push((ago(0), ago(1)));
            Ok(())
        });
        for number in 0..6 {
            let (a, b) = (
                bar("A", number, f64::from(number * number + 5)),
                bar("B", number, f64::from(20 + number % 4)),
            );
            ask(&mut run, &if first == "A" { [a, b] } else { [b, a] });
        }
        seen.lock().unwrap().clone()
    };
    assert_eq!(values("A"), values("B"));
    let known: Vec<bool> = values("A").iter().map(|(now, _)| now.is_some()).collect();
    assert_eq!(known, [false, false, true, true, true, true]);
    assert!(values("A").windows(2).all(|two| two[0].0 == two[1].1), "a bar ago it was what it was");
}

#[test]
fn a_timer_rings_in_the_session_on_its_grid_and_around_the_clock_where_it_is_told_to() {
    let rings = |rings_always: bool| {
        let rung = Log::default();
        let told =
            Told { needs: Needs::default(), on_bar: Box::new(|_, _, _| Ok(())), rung: Arc::clone(&rung) };
        let every = Every::span(Duration::from_hours(4)).unwrap();
        let mut runner = Runner::new("told", Box::new(told), &[symbol("A")], every)
            .by_calendar(crate::instrument::Calendar::Nyse, rings_always);
        // From Friday, 8:30, when nothing is open yet.
        let start = open() - Duration::from_hours(3 * 24 + 1);
        runner.on_timer(start).unwrap().count();
        while let Some(due) = runner.next_timer().filter(|due| *due <= open() + Duration::from_hours(6)) {
            runner.on_timer(due).unwrap().count();
        }
        rung.lock().unwrap().clone()
    };
    assert_eq!(rings(false), ["Fri 12:30", "Mon 12:30"]);
    assert_eq!(rings(true).len(), 19);
}

#[test]
fn what_is_wanted_before_a_symbol_is_warm_is_sent_once_when_it_is() {
    let mut run = run(Needs { warm_up: 2, ..Needs::default() }, |bars, _, intents| {
        for (symbol, bar) in bars.iter() {
            intents.signal(symbol, bar.close / 100.0)?;
            intents.order(crate::order::Side::Buy, symbol, SizeRule::Shares(Quantity::ONE));
        }
        Ok(())
    });
    assert_eq!(ask(&mut run, &[bar("A", 0, 10.0)]), [""; 0]);
    assert_eq!(ask(&mut run, &[bar("A", 1, 20.0), bar("B", 1, 10.0)]), [""; 0]);
    // B is not warm yet, and A says something new.
    assert_eq!(ask(&mut run, &[bar("A", 2, 30.0), bar("B", 2, 10.0)]), ["A strength 0.3", "A buy 1"]);
    assert_eq!(ask(&mut run, &[bar("A", 3, 30.0)]), ["A buy 1"], "what stands is not said again");
    assert_eq!(ask(&mut run, &[bar("B", 4, 10.0)]), ["B strength 0.1", "B buy 1"]);
}

#[test]
fn a_position_that_was_wanted_while_it_was_warmed_is_sent_when_that_ends_with_the_id_that_it_had() {
    let mut run = run(Needs::default(), |bars, _, intents| {
        for (symbol, bar) in bars.iter() {
            intents.order_target_percent(symbol, bar.close / 100.0)?;
        }
        Ok(())
    });
    run.set_quiet(true);
    assert_eq!(ask(&mut run, &[bar("A", 0, 10.0), bar("B", 0, 20.0)]), [""; 0]);
    assert_eq!(ask(&mut run, &[bar("B", 1, 40.0)]), [""; 0]);
    let mut signals = Vec::new();
    run.end_quiet(&mut signals);
    assert_eq!(shown(&signals), ["A weight 0.1", "B weight 0.4"]);
    let ids: Vec<_> = signals.iter().map(|signal| (signal.at, signal.number)).collect();
    assert_eq!(ids, [(open() + MINUTE, 0), (open() + MINUTE * 2, 0)]);
}

#[test]
fn holdings_sell_first_and_buy_when_the_last_sell_is_over_unless_others_are_wanted_by_then() {
    let at = open() + MINUTE;
    let mut wanted = vec![vec![("B", 0.9)], vec![("A", 1.0)], vec![("B", 1.0)]].into_iter();
    let mut run = run(Needs::default(), move |_, _, intents| {
        let weights = wanted.next().unwrap_or_default();
        intents.set_holdings(weights.into_iter().map(|(name, weight)| (symbol(name), weight)))
    });
    run.restore(symbol("A"), held(50, 100), None, None);
    run.set_cash(Money::whole(5_000));
    let both = |number| [bar("A", number, 100.0), bar("B", number, 10.0)];
    assert_eq!(ask(&mut run, &both(0)), ["A weight 0"]);
    let tell = |run: &mut StrategyRun, end: &OrderEnd| {
        let mut signals = Vec::new();
        run.on_order(end, &mut signals).unwrap();
        shown(&signals)
    };
    // A part is still asked for.
    let goes_on = OrderEnd { goes_on: true, ..end("A", at, held(10, 100), 9_000) };
    assert_eq!(tell(&mut run, &goes_on), [""; 0]);
    assert_eq!(tell(&mut run, &end("A", at, held(0, 100), 10_000)), ["B weight 0.9"]);
    assert_eq!(tell(&mut run, &end("B", at, held(900, 10), 1_000)), [""; 0]);
    assert_eq!(ask(&mut run, &both(1)), ["B weight 0"]);
    // Before B is sold all of B is wanted again: nothing is sold, and what waited is forgotten.
    assert_eq!(ask(&mut run, &both(2)), ["B weight 1"]);
    assert_eq!(tell(&mut run, &end("B", at, held(1_000, 10), 0)), [""; 0]);
}

#[test]
fn orders_of_dollars_and_of_the_equity_are_whole_lots_at_the_latest_price() {
    let mut run = run(Needs::default(), |bars, _, intents| {
        for (symbol, _) in bars.iter() {
            for rule in ["$1000", "25%", "7sh"] {
                intents.order(crate::order::Side::Buy, symbol, rule.parse().unwrap());
            }
        }
        Ok(())
    });
    assert_eq!(ask(&mut run, &[bar("A", 0, 300.0)]), ["A buy 3", "A buy 8", "A buy 7"]);
}

#[test]
fn a_strategy_knows_its_book_by_what_it_was_told_and_the_latest_prices() {
    let seen = Log::default();
    let log = Arc::clone(&seen);
    let mut run = run(Needs { history: 10, ..Needs::default() }, move |_, view, _| {
        let a = symbol("A");
        let prices = view.prices(a, Lookback::Events(2)).unwrap();
        log.lock().unwrap().push(format!(
            "{} held {} bars, profit {}, cash {}, equity {}, can buy {}, high {} low {} of {}, {} bars known",
            view.position(a),
            view.bars_held(a),
            view.profit(a),
            view.cash(),
            view.equity(),
            view.buying_power(),
            prices.high().unwrap(),
            prices.low().unwrap(),
            prices.len(),
            view.history(a, Some(MINUTE)).len(),
        ));
        Ok(())
    });
    ask(&mut run, &[bar("A", 0, 100.0)]);
    run.on_order(&end("A", open() + MINUTE, held(-10, 100), 11_000), &mut Vec::new()).unwrap();
    ask(&mut run, &[bar("A", 1, 90.0)]);
    ask(&mut run, &[bar("A", 2, 110.0)]);
    run.on_order(&end("A", open() + MINUTE * 3, held(5, 110), 9_350), &mut Vec::new()).unwrap();
    ask(&mut run, &[bar("A", 3, 120.0)]);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "0 held 0 bars, profit 0, cash 10000, equity 10000, can buy 10000, high 101 low 99 of 1, 1 bars known",
            "-10 held 1 bars, profit 100, cash 11000, equity 10100, can buy 9200, high 101 low 89 of 2, 2 bars known",
            "-10 held 2 bars, profit -100, cash 11000, equity 9900, can buy 8800, high 111 low 89 of 2, 3 bars known",
            "5 held 1 bars, profit 50, cash 9350, equity 9950, can buy 9350, high 121 low 109 of 2, 4 bars known",
        ]
    );
}

/// Closes again whenever closing is refused.
struct Insists;

impl Strategy for Insists {
    fn on_order(&mut self, end: &OrderEnd, _: &View<'_>, intents: &mut Intents) -> Result<(), StrategyError> {
        intents.close(end.symbol);
        Ok(())
    }
}

#[test]
fn a_refusal_that_is_answered_again_and_again_comes_to_an_end_and_begins_anew_after_a_minute() {
    let mut run = StrategyRun::new(Runner::new("told", Box::new(Insists), &[], Every::Event), true, false);
    let mut answers = |at: Timestamp, outcome: OutcomeKind| {
        let mut signals = Vec::new();
        let end = OrderEnd { outcome: Some(outcome), ..end("A", at, held(5, 100), 0) };
        run.on_order(&end, &mut signals).unwrap();
        signals.len()
    };
    let at = open();
    let sent: usize = (0..500).map(|_| answers(at, OutcomeKind::Refused)).sum();
    assert_eq!(sent, 100);
    assert_eq!(answers(at, OutcomeKind::Filled), 1, "what is no refusal is answered all the same");
    assert_eq!(answers(at + MINUTE * 2, OutcomeKind::Rejected), 1);
}
