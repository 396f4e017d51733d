//! Traders as a strategy: in `bot run` and `bot backtest` they are sized, booked and risked like every other one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::order_forwarder::OrderForwardError;
use super::trader::Trader;
use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::strategy::{Intents, Needs, Strategy, StrategyError, View};
use crate::symbol::Symbol;

/// One trader per symbol as one strategy, to be registered as a [`Kind`](crate::strategy::Kind).
///
/// The manifest's `every` is the rhythm. A duration asks by time: with the first event, and from then on whenever it has
/// passed, whether or not anything happened. `"event"` and a count ask by events, at most once per instant. Whenever it is
/// asked, all traders that have ticks are evaluated, in the order of their symbols. An order is a signal of strength 1
/// (long), -1 (short) or 0 (close). One that breaks a rule of [`TradeOrder::check`](super::TradeOrder::check), has a stop
/// loss or an `invalid_at`, and a trader's error, are failures of the strategy: nothing that its traders asked for at that
/// instant is sent.
pub struct TraderStrategy {
    horizon: Duration,
    new_trader: Box<MakeTrader>,
    traders: BTreeMap<Symbol, Box<dyn Trader>>,
    /// Its timer has rung, so events do not ask it.
    is_timed: bool,
    asked_at: Option<Timestamp>,
}

type MakeTrader = dyn Fn(Symbol) -> Box<dyn Trader> + Send;

impl TraderStrategy {
    /// Traders of `symbols` (none: of each symbol that it is asked about) whose windows reach back for `horizon`.
    pub fn new<T: Trader + 'static>(
        horizon: Duration,
        symbols: &[Symbol],
        new_trader: impl Fn(Symbol) -> T + Send + 'static,
    ) -> Self {
        let new_trader: Box<MakeTrader> = Box::new(move |symbol| Box::new(new_trader(symbol)));
        let traders = symbols.iter().map(|symbol| (*symbol, new_trader(*symbol))).collect();
        Self { horizon, new_trader, traders, is_timed: false, asked_at: None }
    }

    fn evaluate(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.asked_at = Some(now);
        for (symbol, trader) in &mut self.traders {
            let Some(window) = view.window(*symbol) else { continue };
            let Some(last) = window.last() else { continue };
            let Some(order) = trader.evaluate(now, window).map_err(StrategyError::failed)? else { continue };
            order.check(*symbol, now, last.price).map_err(StrategyError::failed)?;
            if let Some(stop) = order.stop_loss {
                return Err(StrategyError::failed(OrderForwardError::StopLoss(stop)));
            }
            if let Some(end) = order.invalid_at {
                let rule = "order of a strategy must be without invalid_at, which its signals cannot keep";
                return Err(StrategyError::failed(format_args!("{rule}, was {end}")));
            }
            intents.signal(*symbol, order.direction.strength())?;
        }
        Ok(())
    }
}

impl Strategy for TraderStrategy {
    fn needs(&self) -> Needs {
        Needs { horizon: Some(self.horizon), ..Needs::default() }
    }

    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let new_trader = &self.new_trader;
        self.traders.entry(event.symbol()).or_insert_with_key(|symbol| new_trader(*symbol));
        if self.is_timed || self.asked_at == Some(view.now()) {
            return Ok(());
        }
        self.evaluate(view.now(), view, intents)
    }

    fn on_timer(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.is_timed = true;
        self.evaluate(now, view, intents)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::{TradeDirection, TradeOrder, TraderError};
    use crate::market::Trade;
    use crate::strategy::{Every, Runner};
    use crate::ticks::Span;

    /// Notes when it is evaluated, and answers.
    struct Answers(Symbol, Arc<Mutex<Vec<String>>>, fn(TradeOrder) -> Result<TradeOrder, TraderError>);

    impl Trader for Answers {
        fn evaluate(&mut self, now: Timestamp, window: Span<'_>) -> Result<Option<TradeOrder>, TraderError> {
            self.1.lock().unwrap().push(format!("{} {} {}", self.0, now.millis() / 1_000, window.len()));
            (self.2)(TradeOrder::new(now, TradeDirection::Short, self.0)).map(Some)
        }
    }

    type Evaluated = Arc<Mutex<Vec<String>>>;

    /// Of F and GE, with windows of a minute.
    fn runner(
        every: Every,
        answer: fn(TradeOrder) -> Result<TradeOrder, TraderError>,
    ) -> (Runner, Evaluated) {
        let symbols = [symbol("F"), symbol("GE")];
        let evaluated = Evaluated::default();
        let log = Arc::clone(&evaluated);
        let new_trader = move |symbol| Answers(symbol, Arc::clone(&log), answer);
        let strategy = TraderStrategy::new(Duration::from_mins(1), &symbols, new_trader);
        (Runner::new("traders", Box::new(strategy), &symbols, every), evaluated)
    }

    fn symbol(name: &str) -> Symbol {
        name.parse().unwrap()
    }

    fn trade(name: &str, second: i64) -> MarketEvent {
        let trade = Trade { at: Timestamp::from_secs(second), price: 5.0, size: 1.0 };
        MarketEvent::Trade { symbol: symbol(name), trade }
    }

    #[test]
    fn events_evaluate_all_that_have_ticks_once_per_instant() {
        let (mut runner, evaluated) = runner(Every::Event, Ok);
        for event in [trade("F", 1), trade("F", 2), trade("GE", 2), trade("GE", 3)] {
            runner.observe(&event);
            runner.evaluate(&event).unwrap().count();
        }
        assert_eq!(*evaluated.lock().unwrap(), ["F 1 1", "F 2 2", "F 3 2", "GE 3 2"]);
    }

    #[test]
    fn an_interval_evaluates_at_the_first_event_and_then_by_time() {
        let (mut runner, evaluated) = runner(Every::span(Duration::from_secs(5)).unwrap(), Ok);
        runner.on_timer(Timestamp::from_secs(1)).unwrap().count();
        for event in [trade("F", 1), trade("GE", 3)] {
            runner.observe(&event);
            runner.evaluate(&event).unwrap().count();
        }
        assert_eq!(runner.on_timer(Timestamp::from_secs(6)).unwrap().count(), 2);
        runner.observe(&trade("F", 7));
        assert_eq!(runner.evaluate(&trade("F", 7)).unwrap().count(), 0);
        assert_eq!(runner.on_timer(Timestamp::from_secs(11)).unwrap().count(), 2);
        assert_eq!(*evaluated.lock().unwrap(), ["F 1 1", "F 6 1", "GE 6 1", "F 11 2", "GE 11 1"]);
    }

    #[track_caller]
    fn check_refused(answer: fn(TradeOrder) -> Result<TradeOrder, TraderError>, reason: &str) {
        let (mut runner, _) = runner(Every::Event, answer);
        runner.observe(&trade("F", 1));
        let failure = runner.evaluate(&trade("F", 1)).err().unwrap();
        assert_eq!(failure.error.to_string(), reason);
    }

    #[test]
    fn what_a_trader_may_not_have_fails_with_its_reason() {
        check_refused(|_| Err(TraderError::new("no idea")), "no idea");
        check_refused(
            |order| Ok(TradeOrder { symbol: "GE".parse().unwrap(), ..order }),
            "order symbol must be its trader's, F, was GE",
        );
        check_refused(|order| Ok(order.stop_loss(4.0)), "stop loss must be above the price 5, was 4");
        check_refused(
            |order| Ok(order.stop_loss(6.0)),
            "order for the pool must be without stop loss, was 6",
        );
        check_refused(
            |order| Ok(order.invalid_at(Timestamp::from_secs(9))),
            "order of a strategy must be without invalid_at, which its signals cannot keep, was 1970-01-01T00:00:09Z",
        );
    }
}
