//! How many shares a strategy's strength stands for: the size rule of its book, honoured with side and strength. Pure.

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use crate::signal::Strength;
use crate::sizing::SizeRule;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity, Weight};

/// How the signals of one book are sized.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    /// What full strength is.
    pub rule: SizeRule,
    /// True: the position follows the strength. False: each signal is one order of that size.
    pub is_target: bool,
    /// Whether a position may go below 0.
    pub short: bool,
    /// Dollars in one symbol at the most, where that is limited.
    pub position_max: Option<Money>,
    /// Whether one symbol may have at most what the book is worth: where its capital is written.
    pub within_equity: bool,
    /// The share of the equity that each symbol has under the rule `all`.
    pub weights: Vec<(Symbol, Weight)>,
}

impl Sizing {
    /// Whether the rule speaks of the book's equity, so that the same strength is another number of shares later.
    pub fn is_of_equity(&self) -> bool {
        match self.rule {
            SizeRule::All | SizeRule::Fraction(_) => true,
            SizeRule::Shares(_) | SizeRule::Notional(_) => false,
        }
    }

    /// The symbol's share of the equity; 0 for one that is not traded.
    pub fn weight(&self, symbol: Symbol) -> Weight {
        self.weights.iter().find(|(known, _)| *known == symbol).map_or(Weight::ZERO, |(_, weight)| *weight)
    }

    /// Whether a size depends on what the book is worth.
    pub fn needs_equity(&self) -> bool {
        self.within_equity || self.is_of_equity()
    }

    /// Whole shares of full strength at `price`, for a book that is worth `equity` (looked at where it is needed).
    pub fn full(&self, symbol: Symbol, equity: Money, price: Price) -> Quantity {
        let equity = equity.max(Money::ZERO);
        let shares = match self.rule {
            SizeRule::Shares(shares) => shares.whole(),
            SizeRule::Notional(dollars) => dollars.buys(price).whole(),
            SizeRule::All => (equity * self.weight(symbol)).buys(price).whole(),
            SizeRule::Fraction(part) => (equity * part).buys(price).whole(),
        };
        if self.position_max.is_none() && !self.within_equity {
            return shares;
        }
        let bounds = [self.position_max, self.within_equity.then_some(equity)];
        let most = bounds.into_iter().flatten().min();
        most.map_or(shares, |most| shares.min(most.buys(price).whole()))
    }

    /// The position that `strength` stands for, rounded towards 0; never below 0 where shorts are not allowed.
    pub fn target(&self, symbol: Symbol, strength: Strength, equity: Money, price: Price) -> Quantity {
        let target = part(self.full(symbol, equity, price), strength);
        if self.short { target } else { target.max(Quantity::ZERO) }
    }
}

/// The part of `full` that the strength says, rounded towards 0; negative for a negative strength.
pub fn part(full: Quantity, strength: Strength) -> Quantity {
    match strength.get() {
        1.0 => full,
        -1.0 => -full,
        part => Quantity::new(full.get().saturating_mul(Decimal::from_f64(part).unwrap_or_default())).whole(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizing(rule: &str) -> Sizing {
        Sizing {
            rule: rule.parse().unwrap(),
            is_target: true,
            short: true,
            position_max: None,
            within_equity: false,
            weights: vec![("X".parse().unwrap(), Weight::percent(50))],
        }
    }

    #[track_caller]
    fn check(sizing: &Sizing, strength: f64, expected: i64) {
        let (equity, price) = (Money::whole(10_000), "30".parse().unwrap());
        let strength = Strength::new(strength).unwrap();
        let found = sizing.target("X".parse().unwrap(), strength, equity, price);
        assert_eq!(found, Quantity::new(expected.into()), "{} at {}", sizing.rule, strength.get());
    }

    #[test]
    fn every_rule_honours_strength_and_side() {
        // Half of 10,000 dollars are 166 shares of 30 dollars, a tenth are 33.
        for (rule, full) in [("100sh", 100), ("$1000", 33), ("all", 166), ("10%", 33)] {
            check(&sizing(rule), 1.0, full);
            check(&sizing(rule), -1.0, -full);
            check(&sizing(rule), 0.5, full / 2);
            check(&sizing(rule), -0.5, -(full / 2));
            check(&sizing(rule), 0.0, 0);
            check(&Sizing { short: false, ..sizing(rule) }, -1.0, 0);
        }
    }

    #[test]
    fn a_position_stays_below_its_bounds() {
        check(&Sizing { position_max: Some(Money::whole(600)), ..sizing("100sh") }, 1.0, 20);
        check(&Sizing { within_equity: true, ..sizing("1000sh") }, -1.0, -333);
        check(&Sizing { weights: Vec::new(), ..sizing("all") }, 1.0, 0);
    }
}
