//! What a simulated market starts with.

use super::execution_model::Fees;
use bot_core::instrument::Instruments;
use bot_core::margin::Margin;
use bot_core::market::Bar;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price};

/// What the simulated market and its account start with.
#[derive(Debug, Clone)]
pub struct MarketConfig {
    /// What is traded, with start prices.
    pub symbols: Vec<(Symbol, Price)>,
    /// How prices move.
    pub prices: PriceModel,
    /// What the account starts with.
    pub cash: Money,
    /// Decides on prices and ids.
    pub seed: u64,
    /// When the market is open.
    pub hours: Hours,
    /// What positions require of the equity.
    pub margin: Margin,
    /// What the broker takes of each fill.
    pub fees: Fees,
    /// Whether shares may be sold that are not held.
    pub shorting: bool,
    /// Whether one order may turn a position round; Alpaca refuses it.
    pub flips_in_one: bool,
    /// What the instruments allow; shares that are not written are traded in fractions, as at Alpaca.
    pub instruments: Instruments,
}

impl MarketConfig {
    /// One symbol on a random walk, 100,000 dollars, regular hours.
    pub fn new(symbol: Symbol, price: Price) -> Self {
        Self {
            symbols: vec![(symbol, price)],
            prices: PriceModel::Walk,
            cash: Money::new(100_000.into()),
            seed: 1,
            hours: Hours::Regular,
            margin: Margin::CASH,
            fees: Fees::None,
            shorting: false,
            flips_in_one: false,
            instruments: Instruments::default(),
        }
    }

    /// The same with a margin account as Alpaca's: shares may be sold short, and twice the equity may be held.
    #[must_use]
    pub fn on_margin(self) -> Self {
        Self { margin: Margin::ALPACA, shorting: true, ..self }
    }
}

/// How prices move.
#[derive(Debug, Clone)]
pub enum PriceModel {
    /// A seeded random walk per symbol.
    Walk,
    /// Bars played back for every symbol.
    Replay {
        /// Oldest first.
        bars: Vec<Bar>,
        /// Seconds of the bars per second of ours.
        speed: f64,
    },
    /// They stand still until [`super::SimulatedMarket::set_quote`].
    Still,
}

/// When the market is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// In the regular sessions of the New York Stock Exchange.
    Regular,
    /// Around the clock.
    Always,
}
