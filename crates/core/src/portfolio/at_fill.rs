//! Sizes that speak of the equity, made with the price of the fill, its fee included. Pure.

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::{MarkOf, Member, Portfolio, Target};
use crate::clock::Timestamp;
use crate::margin::{Change, Margin, closing, most_carried};
use crate::order::Side;
use crate::signal::{Signal, Strength, TargetWeight, Wanted};
use crate::sizing::SizeRule;
use crate::units::{Money, Price, Quantity, Weight};

/// An order that fills.
pub struct AtFill<'a> {
    /// What asked for it.
    pub signal: &'a Signal,
    /// Which way.
    pub side: Side,
    /// Shares that it was sent with.
    pub ordered: Quantity,
    /// Per share.
    pub price: Price,
    /// What the broker takes of so many shares.
    pub fee_of: &'a dyn Fn(Quantity) -> Money,
    /// What positions require of the book's equity.
    pub margin: Margin,
    /// Equity that is not to be used: what other orders claim and the buffer.
    pub spared: &'a dyn Fn(Money) -> Money,
}

impl Portfolio {
    /// Whether the signal's order is of a part of its book's equity.
    pub fn is_of_equity(&self, place: usize, signal: &Signal) -> bool {
        match signal.wanted {
            Wanted::Weight(_) => true,
            Wanted::Strength(_) | Wanted::Order { quantity: None, .. } => {
                self.members[place].sizing.is_of_equity()
            }
            Wanted::Order { quantity: Some(_), .. } | Wanted::Target(_) => false,
        }
    }

    /// The shares of an order of a part of the equity, at its fill; none for one that is of as many as it says.
    ///
    /// What closes a position comes first: the rest is of the equity that this leaves. A target is the most whole lots
    /// that the part of the equity pays, fee included.
    pub fn size_at_fill(&self, place: usize, order: &AtFill<'_>, mark: MarkOf<'_>) -> Option<Quantity> {
        let AtFill { signal, side, ordered, price, fee_of, .. } = *order;
        if !self.is_of_equity(place, signal) {
            return None;
        }
        let Member { sizing, book, .. } = &self.members[place];
        let symbol = signal.symbol;
        let signed = |side: Side, shares: Quantity| if side == Side::Sell { -shares } else { shares };
        let held = book.expected(symbol) - signed(side, ordered);
        let balance = book.balance(|other| if other == symbol { Some(price) } else { mark(other) });
        let (way, share, follows) = match signal.wanted {
            Wanted::Strength(strength) => (strength.side()?, strength.get(), sizing.is_target),
            Wanted::Order { side, strength, .. } => (side, strength.unwrap_or(Strength::ONE).get(), false),
            Wanted::Weight(weight) if weight == TargetWeight::ZERO => return None,
            Wanted::Weight(weight) if weight.get() < 0.0 => (Side::Sell, weight.get(), true),
            Wanted::Weight(weight) => (Side::Buy, weight.get(), true),
            Wanted::Target(_) => return None,
        };
        let part = match (signal.wanted, sizing.rule) {
            (Wanted::Weight(_), _) => Weight::ONE,
            (_, SizeRule::All) => sizing.weight(symbol),
            (_, SizeRule::Fraction(part)) => part,
            (_, SizeRule::Shares(_) | SizeRule::Notional(_)) => return None,
        };
        if way == Side::Sell && !sizing.short {
            return None; // It closes what is held.
        }
        // Shares that are held the way that is wanted; negative where they are held the other way.
        let along = signed(way, held);
        let equity = balance.equity() - fee_of((-along).max(Quantity::ZERO));
        let share = Decimal::from_f64(share.abs()).unwrap_or_default();
        let money = Money::new((equity.max(Money::ZERO) * part).get().saturating_mul(share));
        let bounds = [sizing.position_max, sizing.within_equity.then_some(equity)];
        let money = bounds.into_iter().flatten().fold(money, Money::min);
        // A target is what is held and what is added; what is held is paid already.
        let paid = if follows { along.max(Quantity::ZERO) } else { Quantity::ZERO };
        let lot = self.instruments.of(symbol).lot;
        let full = most_carried(lot, Quantity::ZERO, money.buys(price), |shares| {
            price * shares + fee_of(shares - paid) <= money
        });
        let missing = match (sizing.rule, follows) {
            (_, true) => full - along,
            (SizeRule::All, false) => full - along.max(Quantity::ZERO),
            (SizeRule::Fraction(_) | SizeRule::Shares(_) | SizeRule::Notional(_), false) => full,
        };
        // What was to be sold at the decision may be to be bought at the fill: then it is of no share.
        let wanted = signed(side, signed(way, missing)).max(Quantity::ZERO);
        let booked = book.held(symbol);
        let spared = (order.spared)(balance.equity());
        Some(most_carried(lot, closing(booked, side), wanted, |quantity| {
            let (value, fee) = (price * booked, fee_of(quantity));
            let money = price * quantity;
            let change = Change { held: booked, value, side, quantity, price, money, fee };
            order.margin.excess(balance.after(&change)) >= spared
        }))
    }

    /// The signal's order is of other shares than it was sent with; a target is where that leads.
    pub(crate) fn resize(&mut self, place: usize, signal: &Signal, more: Quantity, now: Timestamp) {
        let Member { sizing, book, .. } = &mut self.members[place];
        let symbol = signal.symbol;
        let is_target = match signal.wanted {
            Wanted::Order { .. } => false,
            Wanted::Strength(_) => sizing.is_target,
            Wanted::Target(_) | Wanted::Weight(_) => true,
        };
        if is_target
            && let Some(target) = book.target(symbol).filter(|target| &*target.first == signal.first())
        {
            let target = Target { shares: target.shares + more, ..target.clone() };
            book.want(symbol, target);
        }
        book.ordered(symbol, more, now);
    }
}
