//! A strategy under test: shown bars, fills and schedules by hand, through the run that every command has.
//!
//! ```rust
//! use bot_core::order::Side;
//! use bot_core::strategy::harness::Harness;
//! use bot_core::signal::Wanted;
//! use bot_core::strategy::{Strength, Value, registry};
//! use bot_core::symbol::Symbol;
//!
//! let nvda: Symbol = "NVDA".parse()?;
//! let params = [("fast".to_owned(), Value::Whole(1)), ("slow".to_owned(), Value::Whole(3))].into();
//! let strategy = registry().make("ema_cross", &params, &[nvda])?;
//! let mut test = Harness::new(strategy, &[nvda]);
//!
//! let signals = test.bar(nvda, 10.0).bar(nvda, 10.0).bar(nvda, 12.0).signals()?;
//! assert_eq!(signals[0].wanted, Wanted::Strength(Strength::new(1.0)?));
//! assert!(test.fill(nvda, Side::Buy, "5".parse()?, "12.0".parse()?).signals()?.is_empty());
//! assert_eq!(test.view().position(nvda), "5".parse()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use super::{
    Every, Fill, OrderEnd, Runner, RunnerFailure, Schedule, Strategy, StrategyRun, StrategySignal, View,
};
use crate::clock::Timestamp;
use crate::instrument::Calendar;
use crate::market::{Bar, MarketEvent};
use crate::order::Side;
use crate::outcome::OutcomeKind;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// One strategy, the time, and its book. A failure is told by the next [`Harness::signals`].
#[derive(Debug)]
pub struct Harness {
    run: StrategyRun,
    at: Timestamp,
    cash: Money,
    signals: Vec<StrategySignal>,
    failed: Option<RunnerFailure>,
}

const SPAN: Duration = Duration::from_mins(1);

impl Harness {
    /// On 2026-01-05 at 09:30 in New York, with 100,000 dollars.
    pub fn new(strategy: Box<dyn Strategy>, symbols: &[Symbol]) -> Self {
        let runner = Runner::new("test", strategy, symbols, Every::Event).on_bars_of(Some(SPAN));
        let (at, cash) = (Timestamp::from_secs(1_767_623_400), Money::whole(100_000));
        let mut run = StrategyRun::new(runner, true, false);
        run.set_cash(cash);
        let mut signals = Vec::new();
        let failed = run.ring_schedules(at, &mut signals).err(); // Its schedules begin.
        Self { run, at, cash, signals, failed }
    }

    /// The next minute's bar of one symbol.
    pub fn bar(&mut self, symbol: Symbol, close: f64) -> &mut Self {
        self.bars(&[(symbol, close)])
    }

    /// The next minute's bars, which end together; all prices of each are its close.
    pub fn bars(&mut self, closes: &[(Symbol, f64)]) -> &mut Self {
        let at = self.at;
        let bar = |&(symbol, close): &(Symbol, f64)| {
            let bar = Bar { at, open: close, high: close, low: close, close, volume: 100.0 };
            MarketEvent::Bar { symbol, bar, span: SPAN }
        };
        self.events(&closes.iter().map(bar).collect::<Vec<_>>())
    }

    /// Any events of one instant.
    pub fn events(&mut self, events: &[MarketEvent]) -> &mut Self {
        self.until(events.last().map_or(self.at, MarketEvent::known_at));
        let mut events: Vec<_> = events.iter().filter(|event| self.run.show(event)).copied().collect();
        let asked = self.run.evaluate(&mut events, &mut self.signals);
        self.note(asked)
    }

    /// The time goes on to `at`; the schedules that come before it call.
    pub fn until(&mut self, at: Timestamp) -> &mut Self {
        self.at = at;
        let rung = self.run.ring_schedules(at, &mut self.signals);
        self.note(rung)
    }

    /// The time goes on to where this schedule (`15:55`, `monday open`) comes next, and it calls.
    pub fn schedule(&mut self, schedule: &Schedule) -> &mut Self {
        let due = schedule.next_after(self.at, Calendar::Nyse);
        self.until(due + Duration::from_nanos(1)).at = due;
        self
    }

    /// An order of its own is filled whole: book and cash move, and it is told.
    pub fn fill(&mut self, symbol: Symbol, side: Side, quantity: Quantity, price: Price) -> &mut Self {
        let mut end = self.ended(symbol, OutcomeKind::Filled);
        end.position.fill(side, quantity, price * quantity);
        self.cash += price * if side == Side::Buy { -quantity } else { quantity };
        end.cash = self.cash;
        end.fill = Some(Fill { at: self.at, symbol, side, quantity, price });
        self.tell(&end)
    }

    /// An order of its own ends without a fill.
    pub fn end(&mut self, symbol: Symbol, outcome: OutcomeKind, reason: &str) -> &mut Self {
        self.tell(&OrderEnd { reason: reason.to_owned(), ..self.ended(symbol, outcome) })
    }

    /// What it wants since this was asked last, as a run sends it.
    ///
    /// # Errors
    /// It failed since then.
    pub fn signals(&mut self) -> Result<Vec<StrategySignal>, RunnerFailure> {
        let signals = std::mem::take(&mut self.signals);
        self.failed.take().map_or(Ok(signals), Err)
    }

    /// What it sees.
    pub fn view(&self) -> View<'_> {
        self.run.runner().view()
    }

    fn ended(&self, symbol: Symbol, outcome: OutcomeKind) -> OrderEnd {
        let view = self.view();
        let held = view.holdings().find(|held| held.symbol == symbol);
        OrderEnd {
            at: self.at,
            symbol,
            outcome: Some(outcome),
            reason: String::new(),
            fill: None,
            position: held.map(|held| held.position).unwrap_or_default(),
            cash: self.cash,
            goes_on: false,
        }
    }

    fn tell(&mut self, end: &OrderEnd) -> &mut Self {
        let told = self.run.on_order(end, &mut self.signals);
        self.note(told)
    }

    fn note(&mut self, ended: Result<(), RunnerFailure>) -> &mut Self {
        self.failed = self.failed.take().or(ended.err());
        self
    }
}
