//! Strategies: market events, timers and fills in, intents out. Deterministic: the same events give the same intents.

mod bar_slice;
mod built_in;
mod every;
pub mod harness;
mod intents;
mod last_intent;
pub mod listener;
mod needs;
pub mod params;
mod past;
mod per_symbol;
mod plots;
mod refusals;
pub mod registry;
pub mod run;
pub mod runner;
mod schedule;
mod strategy_signal;
pub mod view;
mod waiting_buys;
mod window;

use std::fmt;

use thiserror::Error;

use crate::clock::Timestamp;
use crate::market::{MarketEvent, Number, Quote, Trade};
use crate::order::Side;
use crate::outcome::OutcomeKind;
use crate::position::Position;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

pub use bar_slice::BarSlice;
pub use every::{Every, EveryError};
pub use intents::{Intent, Intents};
pub use listener::Listener;
pub use needs::{NamedIndicator, Needs};
pub use params::{Param, ParamFault, Params, Value, WrittenParams};
pub use past::{Holding, Past, VALUES_KEPT};
pub use plots::{PLOT_NAMES_MAX, PLOT_POINTS_MAX, PlotError, PlotPoint, PlotRoom};
pub use registry::{Kind, MakeError, Registry, ScriptFault, register, registry};
pub use run::StrategyRun;
pub use runner::{Runner, RunnerFailure};
pub use schedule::{Schedule, ScheduleError};
pub use strategy_signal::{Remembered, StrategySignal, signal_id};
pub use view::{Lookback, View, log_line};
pub use window::PriceWindow;

pub use crate::signal::{Strength, StrengthError, Tag, TagError, TargetWeight, TargetWeightError};

/// A fill of an order that came from the strategy's own intent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// When.
    pub at: Timestamp,
    /// Of what.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Shares.
    pub quantity: Quantity,
    /// Per share.
    pub price: Price,
}

impl Fill {
    /// So many shares (negative when sold) for so much money; none where nothing was filled.
    pub fn of(symbol: Symbol, shares: Quantity, paid: Money, at: Timestamp) -> Option<Self> {
        let quantity = shares.abs();
        let price = Price::mean(paid, quantity)?;
        let side = if shares.is_negative() { Side::Sell } else { Side::Buy };
        Some(Self { at, symbol, side, quantity, price })
    }
}

/// How one of a strategy's own signals ended, or what the end of another's moved in its book.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderEnd {
    /// When.
    pub at: Timestamp,
    /// In what.
    pub symbol: Symbol,
    /// How its own signal ended; none where another strategy's order filled a part of what this one wants.
    pub outcome: Option<OutcomeKind>,
    /// Why, as `code: text`; empty where the outcome says all.
    pub reason: String,
    /// What was filled for it.
    pub fill: Option<Fill>,
    /// What its book holds from now on.
    pub position: Position,
    /// Its book's cash from now on.
    pub cash: Money,
    /// Whether a missing part is going to be asked for again by itself.
    pub goes_on: bool,
}

/// Why a strategy failed. The runner adds the strategy's name; its neighbours go on.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum StrategyError {
    /// It gave a number that is no strength.
    #[error(transparent)]
    Strength(#[from] StrengthError),
    /// It gave a number that is no weight.
    #[error(transparent)]
    Weight(#[from] TargetWeightError),
    /// It gave a text that is no tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// It plotted what cannot be plotted.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// It says so itself, or its script failed; the text names file and line where there is one.
    #[error("{0}")]
    Failed(String),
}

impl StrategyError {
    /// A failure in words.
    pub fn failed(text: impl fmt::Display) -> Self {
        Self::Failed(text.to_string())
    }
}

/// A trading strategy. Time comes with the events; a strategy has no clock, no I/O and no randomness but a seeded one.
///
/// An event comes to the function of its kind; one that is not there hands it on to [`Strategy::on_event`]. Before any of
/// them is called all that was known at that instant is in the [`View`].
///
/// Each may fail: then what it wanted in that call is dropped, and what becomes of it is its runner's policy.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Strategy: Send {
    /// What it needs kept and computed; asked once, at its start.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What of its state outlives a restart, as text of its own; none where nothing does. Live it is written with its book:
    /// with the end of each of its orders, and every few seconds when it changed.
    fn state(&self) -> Option<String> {
        None
    }

    /// Takes such a state up again, after it was warmed with the past.
    fn restore_state(&mut self, _state: &str) -> Result<(), StrategyError> {
        Ok(())
    }

    /// What the most expensive of its calls took of what it may take, in words; none where nothing is counted.
    fn used(&self) -> Option<String> {
        None
    }

    /// Something happened in its main series that has no function of its own here.
    fn on_event(
        &mut self,
        _event: &MarketEvent,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }

    /// Bars ended: all of one instant and timeframe, in the order of their symbols.
    fn on_bar(
        &mut self,
        bars: &BarSlice<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        bars.events().iter().try_for_each(|event| self.on_event(event, view, intents))
    }

    /// Somebody quoted.
    fn on_quote(
        &mut self,
        symbol: Symbol,
        quote: &Quote,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.on_event(&MarketEvent::Quote { symbol, quote: *quote }, view, intents)
    }

    /// Somebody traded.
    fn on_trade(
        &mut self,
        symbol: Symbol,
        trade: &Trade,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.on_event(&MarketEvent::Trade { symbol, trade: *trade }, view, intents)
    }

    /// A number became known.
    fn on_number(
        &mut self,
        symbol: Symbol,
        number: &Number,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.on_event(&MarketEvent::Number { symbol, number: *number }, view, intents)
    }

    /// The interval that its manifest's `every` asks for has passed.
    fn on_timer(
        &mut self,
        _now: Timestamp,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }

    /// One of the schedules that it needs has come; what happened until that instant is in the view.
    fn on_schedule(
        &mut self,
        _schedule: &Schedule,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }

    /// An order of its own was filled, in whole or in part.
    fn on_fill(
        &mut self,
        _fill: &Fill,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }

    /// One of its orders came to its end: filled, partly filled, unfilled, refused, skipped, expired. A fill was told before.
    fn on_order(
        &mut self,
        _end: &OrderEnd,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }
}

/// The price that a strategy may use: none when a side of the quote is missing, the quote is crossed, the
/// price is not finite and above 0, or the event is a number that is no price.
pub fn usable_price(event: &MarketEvent) -> Option<f64> {
    let price = event.price();
    let is_sane = match event {
        MarketEvent::Quote { quote, .. } => quote.bid > 0.0 && quote.ask >= quote.bid,
        MarketEvent::Trade { .. } | MarketEvent::Bar { .. } => price > 0.0,
        MarketEvent::Number { .. } => false,
    };
    (is_sane && price.is_finite()).then_some(price)
}
