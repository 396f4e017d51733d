//! Strategies: market events, timers and fills in, intents out. Deterministic: the same events give the same intents.

mod bar_slice;
mod built_in;
mod every;
pub mod harness;
mod last_intent;
pub mod listener;
mod needs;
pub mod params;
mod past;
mod per_symbol;
mod plots;
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
use crate::order::{OrderType, Side, TimeInForce};
use crate::outcome::OutcomeKind;
use crate::position::Position;
use crate::sizing::SizeRule;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

pub use bar_slice::BarSlice;
pub use every::{Every, EveryError};
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

use plots::Plots;

pub use crate::signal::{Strength, StrengthError, Tag, TagError, TargetWeight, TargetWeightError};

/// What a strategy wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// To be so long or short from now on; the portfolio sizes it.
    Signal {
        /// In what.
        symbol: Symbol,
        /// How sure.
        strength: Strength,
        /// What it is called.
        tag: Option<Tag>,
    },
    /// An order of its own making; risk and books apply all the same.
    Order {
        /// In what.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// How many shares, dollars or percent of the book's equity; never all.
        size: SizeRule,
        /// At what price.
        order_type: OrderType,
        /// How long it rests.
        time_in_force: TimeInForce,
        /// What it is called.
        tag: Option<Tag>,
    },
    /// To hold so much of its book's equity in one symbol from now on.
    Weight {
        /// In what.
        symbol: Symbol,
        /// The part of the equity, negative for short.
        weight: TargetWeight,
        /// What it is called.
        tag: Option<Tag>,
    },
    /// To hold this and nothing else from now on: what is sold is sold first, and what is bought is sent when that is done.
    Holdings {
        /// The parts of the equity, negative for short.
        weights: Vec<(Symbol, TargetWeight)>,
        /// What each of its orders is called.
        tag: Option<Tag>,
    },
    /// To have all of its open orders cancelled.
    CancelAll,
}

impl Intent {
    /// The same under this tag; to cancel has none.
    #[must_use]
    pub fn tagged(mut self, new: Option<Tag>) -> Self {
        match &mut self {
            Self::Signal { tag, .. }
            | Self::Order { tag, .. }
            | Self::Weight { tag, .. }
            | Self::Holdings { tag, .. } => *tag = new,
            Self::CancelAll => {}
        }
        self
    }

    /// What it is called.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Signal { tag, .. }
            | Self::Order { tag, .. }
            | Self::Weight { tag, .. }
            | Self::Holdings { tag, .. } => tag.as_ref(),
            Self::CancelAll => None,
        }
    }

    /// Whether it says where to be in `symbol`.
    fn places(&self, symbol: Symbol) -> bool {
        match self {
            Self::Signal { symbol: own, .. } | Self::Weight { symbol: own, .. } => *own == symbol,
            Self::Holdings { .. } => true,
            Self::Order { .. } | Self::CancelAll => false,
        }
    }
}

/// Where a strategy puts its intents and what it plots; the caller reuses it, so that an event costs no allocation.
#[derive(Debug, Default)]
pub struct Intents {
    wanted: Vec<Intent>,
    plots: Plots,
}

impl Intents {
    /// Adds the intent to be so long or short from now on.
    ///
    /// # Errors
    /// A number that is no strength.
    pub fn signal(&mut self, symbol: Symbol, strength: f64) -> Result<(), StrategyError> {
        let strength = Strength::new(strength)?;
        self.wanted.push(Intent::Signal { symbol, strength, tag: None });
        Ok(())
    }

    /// Adds the intent to hold so much of the book's equity in one symbol, negative for short; 0 closes it.
    ///
    /// # Errors
    /// A number that is no weight.
    pub fn order_target_percent(&mut self, symbol: Symbol, weight: f64) -> Result<(), StrategyError> {
        let weight = TargetWeight::new(weight)?;
        self.wanted.push(Intent::Weight { symbol, weight, tag: None });
        Ok(())
    }

    /// Adds the intent to hold these parts of the book's equity and nothing else: sells first, then buys.
    ///
    /// # Errors
    /// A number that is no weight.
    pub fn set_holdings(
        &mut self,
        weights: impl IntoIterator<Item = (Symbol, f64)>,
    ) -> Result<(), StrategyError> {
        let weights = weights.into_iter().map(|(symbol, weight)| Ok((symbol, TargetWeight::new(weight)?)));
        let weights = weights.collect::<Result<_, TargetWeightError>>()?;
        self.wanted.push(Intent::Holdings { weights, tag: None });
        Ok(())
    }

    /// Adds the intent to hold nothing of a symbol.
    pub fn close(&mut self, symbol: Symbol) {
        self.wanted.push(Intent::Weight { symbol, weight: TargetWeight::ZERO, tag: None });
    }

    /// Adds an order at the market.
    pub fn order(&mut self, side: Side, symbol: Symbol, rule: SizeRule) {
        let (order_type, time_in_force) = (OrderType::Market, TimeInForce::Ioc);
        self.wanted.push(Intent::Order { symbol, side, size: rule, order_type, time_in_force, tag: None });
    }

    /// Gives the intent that was added last a tag: `intents.signal(symbol, 1.0)?; intents.tag("breakout")?;`. It stands with
    /// its orders in files, tables and streams and changes nothing of what is traded.
    ///
    /// # Errors
    /// A text that is no tag, or no intent before it.
    pub fn tag(&mut self, tag: &str) -> Result<(), StrategyError> {
        let tag = Tag::new(tag)?;
        let Some(last) = self.wanted.pop() else {
            let rule = "tag must follow the intent that it is of";
            return Err(StrategyError::failed(format_args!("{rule}, was \"{}\" before any", tag.as_str())));
        };
        self.wanted.push(last.tagged(Some(tag)));
        Ok(())
    }

    /// Plots a number at this instant: over history it is a point of a chart in the report and a row of `plots.csv`, live
    /// it is dropped. While it is warming up nothing is plotted.
    ///
    /// # Errors
    /// A number that is not finite, a name that is none, or more than [`PLOT_NAMES_MAX`] of them.
    pub fn plot(&mut self, name: &str, value: f64) -> Result<(), StrategyError> {
        Ok(self.plots.add(name, value)?)
    }

    /// Adds any intent.
    pub fn push(&mut self, intent: Intent) {
        self.wanted.push(intent);
    }

    /// Takes all intents out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Intent> + '_ {
        self.wanted.drain(..)
    }

    /// Takes all that `other` has, in order.
    ///
    /// # Errors
    /// More than [`PLOT_NAMES_MAX`] names of plots.
    pub fn append(&mut self, other: &mut Self) -> Result<(), StrategyError> {
        self.wanted.append(&mut other.wanted);
        if other.plots.is_empty() { Ok(()) } else { Ok(self.plots.append(&mut other.plots)?) }
    }

    /// Drops all of them, and what was plotted.
    pub fn clear(&mut self) {
        self.wanted.clear();
        self.plots.clear();
    }

    /// How many intents and points of plots there are.
    pub fn len(&self) -> usize {
        self.wanted.len() + self.plots.len()
    }

    /// True when there is nothing, neither an intent nor a point.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.plots.is_empty()
    }
}

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
