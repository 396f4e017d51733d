//! How many shares a strategy's strength stands for: the size rule of its book, honoured with side and strength. Pure.

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use crate::instrument::Instrument;
use crate::risk::Refusal;
use crate::signal::{Strength, TargetWeight};
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

    /// Whole lots of full strength at `price`, for a book that is worth `equity` (looked at where it is needed).
    pub fn full(&self, instrument: &Instrument, equity: Money, price: Price) -> Quantity {
        let equity = equity.max(Money::ZERO);
        let shares = match self.rule {
            SizeRule::Shares(shares) => shares,
            SizeRule::Notional(dollars) => dollars.buys(price),
            SizeRule::All => (equity * self.weight(instrument.symbol)).buys(price),
            SizeRule::Fraction(part) => (equity * part).buys(price),
        };
        self.bounded(instrument, shares, equity, price)
    }

    /// The position that is so much of `equity` at `price`, rounded towards 0; never below 0 where shorts are not allowed.
    pub fn weighted(
        &self,
        instrument: &Instrument,
        weight: TargetWeight,
        equity: Money,
        price: Price,
    ) -> Quantity {
        let equity = equity.max(Money::ZERO);
        let share = Decimal::from_f64(weight.get().abs()).unwrap_or_default();
        let shares = Money::new(equity.get().saturating_mul(share)).buys(price);
        let shares = self.bounded(instrument, shares, equity, price);
        self.allowed(instrument, if weight.get() < 0.0 { -shares } else { shares })
    }

    /// Whole lots of `shares`, at most what one symbol may have.
    fn bounded(&self, instrument: &Instrument, shares: Quantity, equity: Money, price: Price) -> Quantity {
        let shares = instrument.floor_lot(shares);
        if self.position_max.is_none() && !self.within_equity {
            return shares;
        }
        let bounds = [self.position_max, self.within_equity.then_some(equity)];
        let most = bounds.into_iter().flatten().min();
        most.map_or(shares, |most| shares.min(instrument.floor_lot(most.buys(price))))
    }

    /// The position that `strength` stands for, rounded towards 0; never below 0 where shorts are not allowed.
    pub fn target(
        &self,
        instrument: &Instrument,
        strength: Strength,
        equity: Money,
        price: Price,
    ) -> Quantity {
        self.allowed(instrument, part(self.full(instrument, equity, price), strength))
    }

    /// The nearest position towards 0 that may be held.
    fn allowed(&self, instrument: &Instrument, position: Quantity) -> Quantity {
        let target = instrument.floor_position(position);
        if self.may_short(instrument) { target } else { target.max(Quantity::ZERO) }
    }

    /// Whether a position in it may go below 0.
    pub fn may_short(&self, instrument: &Instrument) -> bool {
        self.short && instrument.shorting
    }

    /// Whether somebody may want to hold so many shares of it.
    ///
    /// # Errors
    /// No order can get there.
    pub fn check_target(&self, instrument: &Instrument, shares: Quantity) -> Result<(), Refusal> {
        if shares.is_negative() && !self.may_short(instrument) {
            return Err(Refusal::NoShort(instrument.symbol));
        }
        instrument.check_lot(shares)?;
        Ok(instrument.check_position(shares)?)
    }
}

/// The part of `full` that the strength says, not rounded; negative for a negative strength.
pub fn part(full: Quantity, strength: Strength) -> Quantity {
    match strength.get() {
        1.0 => full,
        -1.0 => -full,
        part => Quantity::new(full.get().saturating_mul(Decimal::from_f64(part).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::instrument::FRACTION;

    fn share() -> Instrument {
        Instrument::of("X".parse().unwrap())
    }

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
        let found = sizing.target(&share(), strength, equity, price);
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
    fn a_fraction_is_bought_and_never_sold_short() {
        let fractional = Instrument { lot: FRACTION, ..share() };
        let target = |rule: &str, instrument: Instrument, strength: f64| {
            let strength = Strength::new(strength).unwrap();
            sizing(rule).target(&instrument, strength, Money::whole(1_000), Price::whole(400)).to_string()
        };
        assert_eq!(target("$100", fractional, 1.0), "0.25");
        assert_eq!(target("$100", share(), 1.0), "0");
        assert_eq!(target("0.05sh", fractional, 0.5), "0.025");
        assert_eq!(target("all", fractional, 1.0), "1.25");
        assert_eq!(target("all", fractional, -1.0), "-1");
        let coin = Instrument::of("BTC/USD".parse().unwrap());
        assert_eq!(target("0.05sh", coin, 1.0), "0.05");
        assert_eq!(target("0.05sh", coin, -1.0), "0");
    }

    proptest! {
        #[test]
        fn every_size_is_whole_lots_and_never_more_than_was_asked(
            rule in 0usize..4, amount in 1i64..10_000_000, scale in 0u32..4, lot in 1i64..2_000, lot_scale in 0u32..=9,
            cents in 1i64..10_000_000, strength in -100i32..=100
        ) {
            let amount = Decimal::new(amount, scale);
            let share = Weight::new(Decimal::new(37, 2)).unwrap();
            let rule = [
                SizeRule::Shares(Quantity::new(amount)),
                SizeRule::Notional(Money::new(amount)),
                SizeRule::Fraction(share),
                SizeRule::All,
            ][rule];
            let lot = Quantity::new(Decimal::new(lot, lot_scale));
            let (instrument, equity) = (Instrument { lot, ..super::tests::share() }, Money::new(amount));
            let price = Price::new(Decimal::new(cents, 2)).unwrap();
            let strength = Strength::new(f64::from(strength) / 100.0).unwrap();
            let found = Sizing { rule, ..sizing("all") }.target(&instrument, strength, equity, price);
            prop_assert!(instrument.check_lot(found).is_ok() && instrument.check_position(found).is_ok());
            let (asked, was) = match rule {
                SizeRule::Shares(shares) => (shares.get(), found.abs().get()),
                SizeRule::Notional(dollars) => (dollars.get(), (price * found.abs()).get()),
                SizeRule::Fraction(part) => ((equity * part).get(), (price * found.abs()).get()),
                SizeRule::All => ((equity * Weight::percent(50)).get(), (price * found.abs()).get()),
            };
            let asked = asked * Decimal::from_f64(strength.get().abs()).unwrap();
            // A price times a quotient of 28 digits is exact to some 1e-18.
            prop_assert!(was <= asked + Decimal::new(1, 15), "{} of {}", was, asked);
        }
    }

    #[test]
    fn a_position_stays_below_its_bounds() {
        check(&Sizing { position_max: Some(Money::whole(600)), ..sizing("100sh") }, 1.0, 20);
        check(&Sizing { within_equity: true, ..sizing("1000sh") }, -1.0, -333);
        check(&Sizing { weights: Vec::new(), ..sizing("all") }, 1.0, 0);
    }
}
