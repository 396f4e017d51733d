//! The strategies' books: what a signal of a strategy orders, whose a fill is, and what follows from an end. Pure.
//!
//! A target travels as what is wanted and becomes shares here, when its turn comes, against the book as it is then: so one
//! that is sent again after a restart, a repeat or a takeover finds itself fulfilled, and nothing is bought twice.

pub mod at_fill;
pub mod book;
mod ending;
pub mod net;
pub mod off_target;
pub mod size;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use book::{BookChange, StrategyBook, Target};
pub use ending::{Ended, Ending};
pub use off_target::{OffTarget, OffTargetFigures};
pub use size::Sizing;

use crate::clock::Timestamp;
use crate::instrument::Instruments;
use crate::order::Side;
use crate::risk::Refusal;
use crate::signal::{Signal, Strength, Wanted};
use crate::sizing::SizeRule;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity, Weight};
use net::Parts;

/// How the strategies' intents come together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Combine {
    /// Each strategy has orders of its own.
    #[default]
    Separate,
    /// The weighted sum of their positions is one position for each symbol.
    Net,
}

/// How a target that was missed is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How long after the end of the order before.
    pub after: Duration,
    /// How often at the most; 0 for never.
    pub times: u32,
}

impl Retry {
    /// Never.
    pub const NONE: Self = Self { after: Duration::ZERO, times: 0 };
}

impl Default for Retry {
    fn default() -> Self {
        Self { after: Duration::from_secs(2), times: 3 }
    }
}

/// One strategy's place in the portfolio.
#[derive(Debug, Clone)]
pub struct Member {
    /// How its signals are sized.
    pub sizing: Sizing,
    /// Its share of the sum, where intents are combined.
    pub weight: Weight,
    /// How a missed target is asked for again.
    pub retry: Retry,
    /// Its money and positions.
    pub book: StrategyBook,
}

/// The books of all strategies of a run.
#[derive(Debug, Clone, Default)]
pub struct Portfolio {
    combine: Combine,
    members: Vec<Member>,
    instruments: Instruments,
}

/// An order that a strategy's signal asks for, before the account has its say.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Which way.
    pub side: Side,
    /// Whole lots, above 0.
    pub quantity: Quantity,
    /// Whether it goes as far as the account carries it, instead of being refused.
    pub is_cut_to_cash: bool,
    /// What is done where one order must not turn the account's position round.
    pub on_crossing: OnCrossing,
    /// Each book's part of it, where intents are combined.
    pub parts: Option<Parts>,
}

/// What becomes of an order that would turn the account's position round where one order must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCrossing {
    /// It goes to flat, and the rest follows as a step of its own.
    Step,
    /// It goes to flat.
    Cut,
    /// It is refused: somebody named these shares.
    Refuse,
}

/// What one share of a symbol is worth by the last price.
pub type MarkOf<'a> = &'a dyn Fn(Symbol) -> Option<Price>;

impl Combine {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Net => "net",
        }
    }
}

impl fmt::Display for Combine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Portfolio {
    /// The books of `members`, in the order of the manifest.
    pub fn new(combine: Combine, members: Vec<Member>) -> Self {
        Self { combine, members, instruments: Instruments::default() }
    }

    /// The same over instruments that are not all what their kind says.
    #[must_use]
    pub fn with_instruments(mut self, instruments: Instruments) -> Self {
        self.instruments = instruments;
        self
    }

    /// How the intents come together.
    pub fn combine(&self) -> Combine {
        self.combine
    }

    /// All strategies, in the order of the manifest.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The book of one strategy.
    pub fn book(&self, place: usize) -> &StrategyBook {
        &self.members[place].book
    }

    /// The book of one strategy, to be restored or given room.
    pub fn book_mut(&mut self, place: usize) -> &mut StrategyBook {
        &mut self.members[place].book
    }

    /// The place of the strategy that a signal names; none where it names none of the run's: then it is only a tag.
    pub fn place(&self, strategy: &str) -> Option<usize> {
        if strategy.is_empty() {
            return None;
        }
        self.members.iter().position(|member| member.book.name() == strategy)
    }

    /// Shares of `symbol` that are the strategies'.
    pub fn held(&self, symbol: Symbol) -> Quantity {
        self.members.iter().map(|member| member.book.held(symbol)).sum()
    }

    /// What the strategies' books are worth.
    pub fn equity(&self, mark: MarkOf<'_>) -> Money {
        self.members.iter().map(|member| member.book.equity(mark)).sum()
    }

    /// The order that a signal of the strategy at `place` asks for when its symbol is worth `price`.
    ///
    /// # Errors
    /// Why there is none; where the strategy wants to be is noted all the same.
    pub fn draft(
        &mut self,
        place: usize,
        signal: &Signal,
        price: Price,
        mark: MarkOf<'_>,
    ) -> Result<Draft, Refusal> {
        let Some(shares) = self.want(place, signal, price, mark)? else {
            return self.draft_order(place, signal, price, mark);
        };
        let expected = self.members[place].book.expected(signal.symbol);
        let wants_more = match signal.wanted {
            Wanted::Weight(weight) => weight.get() > 0.0,
            Wanted::Strength(strength) => strength.get() > 0.0,
            Wanted::Order { .. } | Wanted::Target(_) => false,
        };
        if shares.is_zero() && expected.is_zero() && wants_more {
            return Err(self.cannot_pay(place, signal.symbol, price));
        }
        let is_cut_to_cash = self.is_of_equity(place, signal);
        match self.combine {
            Combine::Separate => {
                let missing = shares - expected;
                self.draft_target(signal.symbol, missing, is_cut_to_cash, None)
            }
            Combine::Net => {
                let (missing, parts) = self.net(signal.symbol);
                self.draft_target(signal.symbol, missing, is_cut_to_cash, Some(parts))
            }
        }
    }

    /// Notes where a signal wants its strategy to be; none for a signal that is an order and no target.
    ///
    /// # Errors
    /// It follows from a target that is not wanted any more, or may not be wanted.
    fn want(
        &mut self,
        place: usize,
        signal: &Signal,
        price: Price,
        mark: MarkOf<'_>,
    ) -> Result<Option<Quantity>, Refusal> {
        let Member { sizing, book, weight, .. } = &mut self.members[place];
        let symbol = signal.symbol;
        let instrument = self.instruments.of(symbol);
        if let Some(step) = &signal.step
            && book.target(symbol).is_some_and(|target| target.first != step.first)
        {
            return Err(Refusal::Superseded(symbol));
        }
        let shares = match signal.wanted {
            Wanted::Order { .. } => return Ok(None),
            Wanted::Strength(_) if !sizing.is_target => return Ok(None),
            Wanted::Target(shares) => {
                sizing.check_target(&instrument, shares)?;
                shares
            }
            Wanted::Strength(strength) => {
                let equity = if sizing.needs_equity() { book.equity(mark) } else { Money::ZERO };
                sizing.target(&instrument, strength, equity, price)
            }
            Wanted::Weight(weight) => sizing.weighted(&instrument, weight, book.equity(mark), price),
        };
        // Not every way from the stream to here is equally long: an intent may overtake an older one.
        if signal.step.is_none() && signal.id.place().is_some_and(|place| !book.is_newest(symbol, place)) {
            return Err(Refusal::Superseded(symbol));
        }
        let shares = match self.combine {
            Combine::Separate => shares,
            Combine::Net => shares * *weight,
        };
        let (first, strength) = (signal.first_shared(), signal.wanted.strength());
        let target = Target { shares, first, strength, is_missed: false, lot: instrument.lot };
        book.want(symbol, target);
        Ok(Some(shares))
    }

    fn draft_target(
        &self,
        symbol: Symbol,
        missing: Quantity,
        is_cut_to_cash: bool,
        parts: Option<Parts>,
    ) -> Result<Draft, Refusal> {
        if missing.is_zero() {
            let lot = self.instruments.of(symbol).lot;
            let is_crossed = parts.is_some_and(|parts| parts.iter().any(|(_, part)| part.abs() >= lot));
            return Err(if is_crossed { Refusal::Crossed(symbol) } else { Refusal::AtTarget(symbol) });
        }
        let side = if missing.is_positive() { Side::Buy } else { Side::Sell };
        let (quantity, on_crossing) = (missing.abs(), OnCrossing::Step);
        Ok(Draft { side, quantity, is_cut_to_cash, on_crossing, parts })
    }

    /// Notes where a signal wants its strategy to be that never came to a decision, as far as that is known.
    pub fn note(&mut self, place: usize, signal: &Signal, mark: MarkOf<'_>) {
        if let Some(price) = mark(signal.symbol) {
            let _ = self.want(place, signal, price, mark); // What may not be wanted is not.
        }
    }

    /// What each book lacks until it is where it wants to be, where intents are combined.
    pub fn net_parts(&self, symbol: Symbol) -> Parts {
        self.net(symbol).1
    }

    /// One order: so many shares, or the part of the size rule that the strength says.
    fn draft_order(
        &self,
        place: usize,
        signal: &Signal,
        price: Price,
        mark: MarkOf<'_>,
    ) -> Result<Draft, Refusal> {
        let Member { sizing, book, .. } = &self.members[place];
        let symbol = signal.symbol;
        let instrument = self.instruments.of(symbol);
        let expected = book.expected(symbol);
        let (side, strength, own) = match signal.wanted {
            Wanted::Order { side, quantity, strength } => (side, strength.unwrap_or(Strength::ONE), quantity),
            // Flat: the whole position is closed, whichever side it is on.
            Wanted::Strength(strength) => match strength.side() {
                Some(side) => (side, strength, None),
                None if expected.is_negative() => (Side::Buy, Strength::ONE, Some(expected.abs())),
                None => (Side::Sell, Strength::ONE, Some(expected)),
            },
            Wanted::Target(_) | Wanted::Weight(_) => return Err(Refusal::AtTarget(symbol)),
        };
        let sized = || {
            let equity = if sizing.needs_equity() { book.equity(mark) } else { Money::ZERO };
            let full = sizing.full(&instrument, equity, price);
            // `all` buys what is missing to its weight, and sells what is held.
            let whole = match (sizing.rule, side) {
                (SizeRule::All, Side::Buy) => (full - expected.max(Quantity::ZERO)).max(Quantity::ZERO),
                (SizeRule::All, Side::Sell) if expected.is_positive() => expected,
                (SizeRule::All | SizeRule::Fraction(_) | SizeRule::Shares(_) | SizeRule::Notional(_), _) => {
                    full
                }
            };
            instrument.floor_lot(size::part(whole, strength).abs())
        };
        let is_sized = own.is_none();
        let quantity = own.unwrap_or_else(sized);
        let quantity = if side == Side::Sell && !sizing.may_short(&instrument) {
            let available = expected.max(Quantity::ZERO);
            if !is_sized && quantity > available {
                return Err(Refusal::InsufficientShares { was: quantity, available });
            }
            quantity.min(available)
        } else {
            quantity
        };
        if !quantity.is_positive() {
            return Err(match side {
                Side::Buy if expected.is_positive() => Refusal::AtTarget(symbol),
                Side::Buy => self.cannot_pay(place, symbol, price),
                Side::Sell => Refusal::NothingToSell(symbol),
            });
        }
        let is_cut_to_cash = is_sized && sizing.is_of_equity();
        let on_crossing = if is_sized { OnCrossing::Cut } else { OnCrossing::Refuse };
        Ok(Draft { side, quantity, is_cut_to_cash, on_crossing, parts: None })
    }

    /// Why an intent for more comes to no lot.
    fn cannot_pay(&self, place: usize, symbol: Symbol, price: Price) -> Refusal {
        let sizing = &self.members[place].sizing;
        match sizing.rule {
            SizeRule::All if sizing.weight(symbol) == Weight::ZERO => Refusal::AtTarget(symbol),
            SizeRule::All | SizeRule::Fraction(_) | SizeRule::Shares(_) | SizeRule::Notional(_) => {
                Refusal::CannotPay { symbol, price }
            }
        }
    }

    /// What is missing until all strategies are where they want to be, and whose it is.
    fn net(&self, symbol: Symbol) -> (Quantity, Parts) {
        let books: Vec<(usize, Quantity, Quantity)> = self
            .members
            .iter()
            .enumerate()
            .map(|(place, member)| {
                let expected = member.book.expected(symbol);
                let wanted = member.book.target(symbol).map(|target| target.shares);
                (place, expected, wanted.unwrap_or(expected))
            })
            .collect();
        net::order(&self.instruments.of(symbol), &books)
    }

    /// How far a strategy, or all of them together, are from where they want to be.
    fn missing(&self, place: usize, symbol: Symbol) -> Quantity {
        match self.combine {
            Combine::Separate => {
                let book = &self.members[place].book;
                book.target(symbol).map_or(Quantity::ZERO, |target| target.shares - book.expected(symbol))
            }
            Combine::Net => self.net(symbol).0,
        }
    }

    /// An order is cut to what the account carries: that is where the strategy wants to be then.
    pub fn cut(&mut self, place: usize, symbol: Symbol, draft: &mut Draft, quantity: Quantity) {
        let less = draft.quantity - quantity;
        let less = if draft.side == Side::Sell { -less } else { less };
        draft.quantity = quantity;
        let book = &mut self.members[place].book;
        if let (OnCrossing::Step, Some(target)) = (draft.on_crossing, book.target(symbol).cloned()) {
            book.want(symbol, Target { shares: target.shares - less, ..target });
        }
        if draft.parts.is_some() {
            draft.parts = Some(self.net(symbol).1);
        }
    }

    /// An order that a process before this one sent for the strategy at `place` is under way; says each book's part of it,
    /// where intents are combined, as far as the books still tell.
    pub fn adopt(&mut self, place: usize, symbol: Symbol, shares: Quantity, now: Timestamp) -> Option<Parts> {
        let parts = match self.combine {
            Combine::Separate => None,
            Combine::Net => {
                let (net, parts) = self.net(symbol);
                (!net.is_zero()).then(|| net::split(&parts, net, shares))
            }
        };
        self.ordered(place, symbol, shares, parts.as_ref(), now);
        parts
    }

    /// An order of the strategy at `place` is under way; `shares` are negative to sell.
    pub fn ordered(
        &mut self,
        place: usize,
        symbol: Symbol,
        shares: Quantity,
        parts: Option<&Parts>,
        now: Timestamp,
    ) {
        match parts {
            None => self.members[place].book.ordered(symbol, shares, now),
            Some(parts) => {
                for (place, part) in parts {
                    self.members[*place].book.ordered(symbol, *part, now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
