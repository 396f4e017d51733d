//! The account law: what positions require of the equity, what an order leaves behind, and what is missing then. Pure.
//!
//! One law for the desk, the simulated broker and the backtest. The requirement is a fraction of the gross exposure (the
//! worth of long positions and, without its sign, of short ones). With `initial = 100%` the exposure is at most the equity,
//! which is a cash account: a buy is paid in full, and a short position is backed by as much cash as it is worth.

use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::order::Side;
use crate::units::{Money, Price, Quantity, Weight};

/// On what terms an account carries positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Margin {
    /// Nothing is required: no order is too large, and nothing is liquidated.
    None,
    /// Equity must be so much of the exposure.
    Required {
        /// After an order that adds to the exposure; above 0 to 1.
        initial: Weight,
        /// At any time: below it positions are liquidated. At most `initial`.
        maintenance: Weight,
    },
}

impl Margin {
    /// A cash account; a quarter of the exposure must remain (FINRA rule 4210(c)(1) for long positions).
    pub const CASH: Self = Self::Required { initial: Weight::ONE, maintenance: Weight::percent(25) };

    /// Alpaca's margin account over night: half of the exposure (Regulation T), and 30% of it at any time, as its assets say.
    pub const ALPACA: Self =
        Self::Required { initial: Weight::percent(50), maintenance: Weight::percent(30) };

    /// What so much exposure requires of the equity after an order that adds to it.
    #[inline]
    #[must_use]
    pub fn required(self, exposure: Money) -> Money {
        match self {
            Self::None => Money::ZERO,
            Self::Required { initial, .. } if initial.is_plainly_one() => exposure,
            Self::Required { initial, .. } => exposure * initial,
        }
    }

    /// What so much exposure requires of the equity at any time.
    #[inline]
    #[must_use]
    pub fn maintained(self, exposure: Money) -> Money {
        match self {
            Self::None => Money::ZERO,
            Self::Required { maintenance, .. } => exposure * maintenance,
        }
    }

    /// Equity beyond what is required for the positions; negative when they may not grow. Endless without a requirement.
    #[inline]
    #[must_use]
    pub fn excess(self, balance: Balance) -> Money {
        match self {
            Self::None => Money::new(UNBOUNDED),
            Self::Required { .. } => balance.equity() - self.required(balance.exposure),
        }
    }

    /// The exposure that so much excess carries.
    #[must_use]
    pub fn buying_power(self, excess: Money) -> Money {
        match self {
            Self::None => excess,
            Self::Required { initial, .. } => {
                Money::new(excess.get().checked_div(initial.get()).unwrap_or_default())
            }
        }
    }

    /// What the account lacks to carry what an order leaves behind; nothing for one that only reduces its position.
    #[inline]
    #[must_use]
    pub fn missing(self, balance: Balance, order: &Change) -> Money {
        if order.is_reducing() {
            return Money::ZERO;
        }
        (-self.excess(balance.after(order))).max(Money::ZERO)
    }

    /// What the positions require of the equity at any time, where there is less of it.
    #[must_use]
    pub fn call(self, balance: Balance) -> Option<Money> {
        match self {
            Self::None => None,
            Self::Required { .. } => {
                let required = self.maintained(balance.exposure);
                (balance.exposure.is_positive() && balance.equity() < required).then_some(required)
            }
        }
    }

    /// The exposure that a dollar of equity carries, in whole dollars.
    #[must_use]
    pub fn multiplier(self) -> u8 {
        self.buying_power(Money::whole(1)).get().to_u8().unwrap_or(u8::MAX)
    }

    /// The part of the exposure that must remain at any time, as a number; 0 where nothing is required.
    #[must_use]
    pub fn maintenance_f64(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Required { maintenance, .. } => Money::new(maintenance.get()).to_f64(),
        }
    }
}

impl Default for Margin {
    fn default() -> Self {
        Self::CASH
    }
}

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Required { initial, maintenance } => {
                let percent = |part: &Weight| (part.get() * Decimal::ONE_HUNDRED).normalize();
                write!(f, "initial {}%, maintenance {}%", percent(initial), percent(maintenance))
            }
        }
    }
}

/// What an account has: its cash and sums over its positions at the last prices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Cash.
    pub cash: Money,
    /// Worth of all positions, short ones negative.
    pub net: Money,
    /// The same with short ones positive.
    pub exposure: Money,
}

/// What an order does to one position at the price at which it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Shares held before, negative when short.
    pub held: Quantity,
    /// What they are worth in the balance.
    pub value: Money,
    /// Which way.
    pub side: Side,
    /// Shares of the order, above 0.
    pub quantity: Quantity,
    /// Per share.
    pub price: Price,
    /// What they cost without the fee: quantity times price.
    pub money: Money,
    /// Taken by the broker.
    pub fee: Money,
}

impl Balance {
    /// Cash plus positions.
    #[inline]
    #[must_use]
    pub fn equity(self) -> Money {
        self.cash + self.net
    }

    /// Puts a position of another worth in the place of one.
    #[inline]
    pub fn revalue(&mut self, before: Money, after: Money) {
        let more = after - before;
        self.net += more;
        // Mostly the side is the same.
        self.exposure += match (before.is_negative(), after.is_negative()) {
            (false, false) => more,
            (true, true) => -more,
            (true, false) | (false, true) => after.abs() - before.abs(),
        };
    }

    /// What an order leaves behind.
    #[inline]
    #[must_use]
    pub fn after(mut self, order: &Change) -> Self {
        match order.side {
            Side::Buy => self.cash -= order.money,
            Side::Sell => self.cash += order.money,
        }
        self.cash -= order.fee;
        self.revalue(order.value, order.price * order.held_after());
        self
    }
}

impl Change {
    /// Shares held after it.
    #[inline]
    #[must_use]
    pub fn held_after(&self) -> Quantity {
        match self.side {
            Side::Buy => self.held + self.quantity,
            Side::Sell => self.held - self.quantity,
        }
    }

    /// Whether it only takes from the position that is there.
    #[inline]
    fn is_reducing(&self) -> bool {
        closing(self.held, self.side) >= self.quantity
    }
}

/// The shares of a position that an order of `side` closes at the most.
#[inline]
#[must_use]
pub fn closing(held: Quantity, side: Side) -> Quantity {
    match side {
        Side::Buy => (-held).max(Quantity::ZERO),
        Side::Sell => held.max(Quantity::ZERO),
    }
}

/// The most whole lots, up to `most` shares, that `is_carried`; it must hold for all numbers below one for which it holds,
/// and is not asked about up to `always`.
pub fn most_carried(
    lot: Quantity,
    always: Quantity,
    most: Quantity,
    mut is_carried: impl FnMut(Quantity) -> bool,
) -> Quantity {
    let (mut carried, mut beyond) = (always.min(most).lots(lot).max(0), most.lots(lot).saturating_add(1));
    while beyond - carried > 1 {
        let middle = carried + (beyond - carried) / 2;
        if is_carried(lot.times(middle)) { carried = middle } else { beyond = middle }
    }
    lot.times(carried)
}

/// More money than there is.
const UNBOUNDED: Decimal = Decimal::from_parts(0, 1 << 27, 0, false, 0);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn shares(number: i64) -> Quantity {
        Quantity::new(number.into())
    }

    /// An account with cash and one position at 20 dollars, and an order in it for 20 dollars.
    fn case(cash: &str, held: i64, ordered: i64) -> (Balance, Change) {
        let price: Price = "20".parse().unwrap();
        let value = price * shares(held);
        let balance = Balance { cash: money(cash), net: value, exposure: value.abs() };
        let side = if ordered < 0 { Side::Sell } else { Side::Buy };
        let order = Change {
            held: shares(held),
            value,
            side,
            quantity: shares(ordered).abs(),
            price,
            money: price * shares(ordered).abs(),
            fee: Money::ZERO,
        };
        (balance, order)
    }

    #[track_caller]
    fn check(initial: u8, cash: &str, held: i64, ordered: i64, missing: &str) {
        let margin = Margin::Required { initial: Weight::percent(initial), maintenance: Weight::percent(25) };
        let (balance, order) = case(cash, held, ordered);
        assert_eq!(margin.missing(balance, &order), money(missing), "{order:?}");
    }

    #[test]
    fn an_order_is_judged_by_the_account_that_it_leaves_behind() {
        // A cash account pays for what it buys, and backs what it sells short.
        check(100, "1000", 0, 50, "0");
        check(100, "1000", 0, 51, "20");
        check(100, "1000", 0, -50, "0");
        check(100, "1000", 0, -51, "20");
        // Long 50 with 300 in cash: the sale frees what the short position needs.
        check(100, "300", 50, -100, "0");
        check(100, "300", 50, -115, "0");
        check(100, "300", 50, -116, "20");
        // Short 50, of which the proceeds are in the cash.
        check(100, "2000", -50, 100, "0");
        check(100, "2000", -50, 101, "20");
        // Half of the exposure: twice as much.
        check(50, "1000", 0, 100, "0");
        check(50, "1000", 0, 101, "10");
        check(50, "1000", 0, -100, "0");
    }

    #[test]
    fn what_only_reduces_exposure_is_always_carried() {
        check(100, "-500", 50, -50, "0");
        check(100, "-500", 50, -1, "0");
        check(100, "500", -50, 50, "0");
        check(100, "500", -50, 1, "0");
        check(100, "500", -50, 51, "520");
    }

    #[test]
    fn without_margin_nothing_is_missing_and_nothing_called() {
        let (balance, order) = case("-100000", 50, 5_000);
        assert_eq!(Margin::None.missing(balance, &order), Money::ZERO);
        assert_eq!(Margin::None.call(balance), None);
    }

    #[test]
    fn an_account_is_called_below_its_maintenance() {
        // Short 50 at 20: a quarter of 1000 must remain.
        let call = |cash: &str| Margin::CASH.call(case(cash, -50, 1).0);
        assert_eq!((call("1250"), call("1249.99")), (None, Some(money("250"))));
        assert_eq!(Margin::CASH.call(case("-5", 0, 1).0), None, "who holds nothing is not called");
    }

    proptest! {
        #[test]
        fn a_cash_account_is_carried_while_cash_covers_shorts_twice(
            cash in 0i64..5_000, held in -60i64..60, ordered in -120i64..120
        ) {
            prop_assume!(ordered != 0);
            let (balance, order) = case(&cash.to_string(), held, ordered);
            let after = held + ordered;
            let left = cash - 20 * ordered + 2 * 20 * after.min(0);
            let reduces = held * ordered < 0 && ordered.abs() <= held.abs();
            let expected = if reduces { 0 } else { (-left).max(0) };
            prop_assert_eq!(Margin::CASH.missing(balance, &order), Money::new(expected.into()));
        }

        #[test]
        fn the_most_that_is_carried_is_the_last_that_is(always in 0i64..50, most in 0i64..200, limit in 0i64..300) {
            let limit = limit.max(always);
            let found = most_carried(Quantity::ONE, shares(always), shares(most), |quantity| quantity <= shares(limit));
            prop_assert_eq!(found, shares(most.min(limit)));
        }
    }
}
