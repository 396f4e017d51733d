//! What is sent of a change of holdings, and in which order; what is shown of a position of before the start.

use super::super::*;
use crate::market::Trade;
use crate::order::Side;
use crate::outcome::OutcomeKind;
use crate::strategy::{Every, Intents, Strategy, StrategyError, View};

/// Wants these holdings on each event.
struct Wants(Vec<(Symbol, f64)>);

impl Strategy for Wants {
    fn on_event(
        &mut self,
        _: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        intents.set_holdings(self.0.iter().copied())
    }
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn held(shares: i64) -> Position {
    let mut position = Position::default();
    let quantity = Quantity::new(shares.into());
    let side = if shares < 0 { Side::Sell } else { Side::Buy };
    position.fill(side, quantity.abs(), Price::whole(100) * quantity.abs());
    position
}

/// What is sent at once of a book with $100000 and these shares at $100, and what once all of that is done.
fn sent(holds: &[(&str, i64)], wants: &[(&str, f64)]) -> (Vec<String>, Vec<String>) {
    let wants = wants.iter().map(|(name, weight)| (symbol(name), *weight)).collect();
    let runner = Runner::new("holds", Box::new(Wants(wants)), &[], Every::Event);
    let mut run = StrategyRun::new(runner, true, false);
    let cash = Money::whole(100_000);
    for (name, shares) in holds {
        run.restore(symbol(name), held(*shares), None, None);
    }
    run.set_cash(cash);
    let trade = |name: &str| {
        let trade = Trade { at: Timestamp::from_secs(1), price: 100.0, size: 1.0 };
        MarketEvent::Trade { symbol: symbol(name), trade }
    };
    for name in ["A", "B", "C", "D"] {
        assert!(run.show(&trade(name)));
    }
    let mut signals = Vec::new();
    run.evaluate(&mut [trade("D")], &mut signals).unwrap();
    let names = |signals: &mut Vec<StrategySignal>| -> Vec<String> {
        signals.drain(..).map(|signal| signal.symbol.as_str().to_owned()).collect()
    };
    let first = names(&mut signals);
    for name in &first {
        let end = OrderEnd {
            at: Timestamp::from_secs(1),
            symbol: symbol(name),
            outcome: Some(OutcomeKind::Filled),
            reason: String::new(),
            fill: None,
            position: Position::default(),
            cash,
            goes_on: false,
        };
        run.on_order(&end, &mut signals).unwrap();
    }
    (first, names(&mut signals))
}

#[test]
fn what_is_bought_waits_for_what_is_sold_and_the_order_of_the_map_decides_nothing() {
    let holds = [("B", 500), ("A", 100)];
    for wants in [[("C", 0.4), ("A", 0.2)], [("A", 0.2), ("C", 0.4)]] {
        let (first, then) = sent(&holds, &wants);
        assert_eq!((first, then), (vec!["B".to_owned()], vec!["A".to_owned(), "C".to_owned()]));
    }
}

#[test]
fn a_short_position_is_closed_with_what_is_sold() {
    let (first, then) = sent(&[("A", -500), ("B", 500)], &[]);
    assert_eq!((first.as_slice(), then.is_empty()), (["A".to_owned(), "B".to_owned()].as_slice(), true));
    let (first, then) = sent(&[("A", -500), ("B", 100)], &[("A", -0.2), ("C", 0.5)]);
    assert_eq!(first, ["A", "B"]);
    assert_eq!(then, ["C"]);
}

/// Notes on each event what it holds and for how many events, and leaves where it holds something.
struct Leaves(std::sync::Arc<std::sync::Mutex<Vec<(i64, u64)>>>);

impl Strategy for Leaves {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let (held, since) = (view.position(event.symbol()), view.bars_held(event.symbol()));
        self.0.lock().unwrap().push((i64::from(!held.is_zero()), since));
        if since >= 4 {
            intents.close(event.symbol());
        }
        Ok(())
    }
}

#[test]
fn a_position_of_before_the_start_is_shown_from_its_opening_on() {
    let noted = std::sync::Arc::default();
    let runner = Runner::new("leaves", Box::new(Leaves(std::sync::Arc::clone(&noted))), &[], Every::Event);
    let mut run = StrategyRun::new(runner, true, false);
    run.restore(symbol("A"), held(10), Some(Timestamp::from_secs(3)), None);
    run.set_quiet(true);
    let mut signals = Vec::new();
    for second in 1..=7 {
        if second == 7 {
            run.end_quiet(&mut signals);
            assert!(signals.is_empty(), "it held for three events only: {signals:?}");
        }
        let trade = Trade { at: Timestamp::from_secs(second), price: 100.0, size: 1.0 };
        let event = MarketEvent::Trade { symbol: symbol("A"), trade };
        assert!(run.show(&event));
        run.evaluate(&mut [event], &mut signals).unwrap();
    }
    assert_eq!(*noted.lock().unwrap(), [(0, 0), (0, 0), (0, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(signals.len(), 1, "{signals:?}");
}

#[test]
fn what_waits_to_be_bought_is_bought_by_the_process_after_a_crash() {
    let trade = |name: &str| {
        let trade = Trade { at: Timestamp::from_secs(1), price: 100.0, size: 1.0 };
        MarketEvent::Trade { symbol: symbol(name), trade }
    };
    let begin = || {
        let wants = Wants(vec![(symbol("B"), 0.5)]);
        let mut run = StrategyRun::new(Runner::new("holds", Box::new(wants), &[], Every::Event), true, false);
        run.restore(symbol("A"), held(500), None, None);
        run.set_cash(Money::ZERO);
        run
    };
    let mut before = begin();
    assert_eq!(before.state(), None);
    let mut signals = Vec::new();
    for name in ["A", "B"] {
        assert!(before.show(&trade(name)));
    }
    before.evaluate(&mut [trade("B")], &mut signals).unwrap();
    assert_eq!(signals.len(), 1, "A is sold first");
    let kept = before.state();
    assert!(kept.is_some());

    let mut after = begin();
    after.keep_state(kept.map(Arc::from));
    after.set_quiet(true);
    assert!(after.show(&trade("A")));
    signals.clear();
    after.end_quiet(&mut signals);
    let sent: Vec<_> = signals.iter().map(|signal| (signal.symbol, signal.wanted)).collect();
    assert_eq!(sent, [(symbol("B"), Wanted::Weight(TargetWeight::new(0.5).unwrap()))]);
    assert_eq!(after.state().as_deref(), Some("{}"), "nothing waits any more, and that is kept");
}
