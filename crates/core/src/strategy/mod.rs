//! Strategies: market events, timers and fills in, intents out. Deterministic: the same events give the same intents.

mod built_in;
mod every;
pub mod listener;
mod per_symbol;
pub mod params;
pub mod registry;
pub mod run;
pub mod runner;
pub mod view;

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::order::{OrderType, Side, TimeInForce};
use crate::outcome::OutcomeKind;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

pub use every::{Every, EveryError};
pub use listener::Listener;
pub use params::{Param, ParamFault, Params, Value, WrittenParams};
pub use registry::{Kind, MakeError, Registry, ScriptFault, register, registry};
pub use run::{Remembered, StrategyRun, StrategySignal, signal_id};
pub use runner::{Runner, RunnerFailure};
pub use view::{Past, View};

pub use crate::signal::{Strength, StrengthError};

/// What a strategy wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// To be so long or short from now on; the portfolio sizes it.
    Signal {
        /// In what.
        symbol: Symbol,
        /// How sure.
        strength: Strength,
    },
    /// An order of its own making; risk and books apply all the same.
    Order {
        /// In what.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// How many shares, above 0.
        quantity: Quantity,
        /// At what price.
        order_type: OrderType,
        /// How long it rests.
        time_in_force: TimeInForce,
    },
    /// To have all of its open orders cancelled.
    CancelAll,
}

/// Where a strategy puts its intents; the caller reuses it, so that an event costs no allocation.
#[derive(Debug, Default)]
pub struct Intents(Vec<Intent>);

impl Intents {
    /// Adds the intent to be so long or short from now on.
    ///
    /// # Errors
    /// A number that is no strength.
    pub fn signal(&mut self, symbol: Symbol, strength: f64) -> Result<(), StrategyError> {
        let strength = Strength::new(strength)?;
        self.0.push(Intent::Signal { symbol, strength });
        Ok(())
    }

    /// Adds any intent.
    pub fn push(&mut self, intent: Intent) {
        self.0.push(intent);
    }

    /// Takes all intents out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Intent> + '_ {
        self.0.drain(..)
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    /// Shares in its book from now on, negative when short.
    pub position: Quantity,
    /// Whether a missing part is going to be asked for again by itself.
    pub goes_on: bool,
}

/// Why a strategy failed. The runner adds the strategy's name; its neighbours go on.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum StrategyError {
    /// It gave a number that is no strength.
    #[error(transparent)]
    Strength(#[from] StrengthError),
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
pub trait Strategy: Send {
    /// How far back it looks into the ticks of its [`View`]; none: no ticks are kept for it. Asked once, at its start.
    fn horizon(&self) -> Option<Duration> {
        None
    }

    /// Something happened in the market; `view` holds all that has happened until then, the event included.
    ///
    /// # Errors
    /// The strategy cannot go on; what becomes of it is its runner's policy.
    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError>;

    /// The interval that it asked for in its manifest has passed.
    ///
    /// # Errors
    /// As [`Strategy::on_event`].
    fn on_timer(
        &mut self,
        _now: Timestamp,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }

    /// An order of its own was filled, in whole or in part.
    ///
    /// # Errors
    /// As [`Strategy::on_event`].
    fn on_fill(
        &mut self,
        _fill: &Fill,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        Ok(())
    }

    /// One of its signals came to its end: filled, partly filled, unfilled, refused, skipped, expired. A fill was told before.
    ///
    /// # Errors
    /// As [`Strategy::on_event`].
    fn on_order_end(
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
