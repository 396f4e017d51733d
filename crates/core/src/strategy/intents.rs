//! What a strategy wants, and where it puts that.

use super::plots::Plots;
use super::{StrategyError, Strength, Tag, TargetWeight, TargetWeightError};
use crate::order::{OrderType, Side, TimeInForce};
use crate::sizing::SizeRule;
use crate::symbol::Symbol;

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
    pub(super) fn places(&self, symbol: Symbol) -> bool {
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
    pub(super) wanted: Vec<Intent>,
    pub(super) plots: Plots,
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
    /// A number that is not finite, a name that is none, or more than [`PLOT_NAMES_MAX`](super::PLOT_NAMES_MAX) of them.
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
    /// More than [`PLOT_NAMES_MAX`](super::PLOT_NAMES_MAX) names of plots.
    pub fn append(&mut self, other: &mut Self) -> Result<(), StrategyError> {
        self.wanted.append(&mut other.wanted);
        if other.plots.is_empty() { Ok(()) } else { Ok(self.plots.append(&mut other.plots)?) }
    }

    /// Drops all of them, and what was plotted.
    pub fn clear(&mut self) {
        self.wanted.clear();
        if !self.plots.is_blank() {
            self.plots.clear();
        }
    }

    /// How many intents and points of plots there are.
    pub fn len(&self) -> usize {
        self.wanted.len() + self.plots.len()
    }

    /// True when there is nothing, neither an intent nor a point.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.plots.is_empty()
    }

    /// The first of them that it may not have; `symbols` are those that it trades, none for all.
    pub(super) fn unwanted(&self, symbols: &[Symbol]) -> Option<StrategyError> {
        let check = |symbol: &Symbol| {
            (!symbols.is_empty() && !symbols.contains(symbol)).then(|| {
                let own: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
                StrategyError::failed(format_args!("symbol must be one of {}, was {symbol}", own.join(", ")))
            })
        };
        self.wanted.iter().find_map(|intent| match intent {
            Intent::Order { size: SizeRule::Shares(quantity), .. } if !quantity.is_positive() => {
                Some(StrategyError::failed(format_args!("order must be above 0 shares, was {quantity}")))
            }
            Intent::Order { size: SizeRule::All, .. } => {
                Some(StrategyError::failed("order must be of shares, dollars or a percentage, was \"all\""))
            }
            Intent::Signal { symbol, .. } | Intent::Order { symbol, .. } | Intent::Weight { symbol, .. } => {
                check(symbol)
            }
            Intent::Holdings { weights, .. } => weights.iter().find_map(|(symbol, _)| check(symbol)),
            Intent::CancelAll => None,
        })
    }
}
