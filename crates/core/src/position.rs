//! One symbol's position: fills in; quantity, cost, realised and open profit out.

use serde::{Deserialize, Serialize};

use crate::order::Side;
use crate::units::{AveragePrice, Money, Price, Quantity};

/// Shares held (negative when short), what they cost and what was earned by closing some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    quantity: Quantity,
    /// What the shares held were paid for; negative for a short position.
    cost: Money,
    realised: Money,
}

impl Position {
    /// A position that exists already, such as one read from the broker.
    pub fn held(quantity: Quantity, average_price: Option<AveragePrice>) -> Self {
        let cost = average_price.map_or(Money::ZERO, |price| price * quantity);
        Self { quantity, cost, realised: Money::ZERO }
    }

    /// Books a fill of `quantity` shares (above 0) for `money` in all (quantity times price).
    pub fn fill(&mut self, side: Side, quantity: Quantity, money: Money) {
        let (signed, paid) = match side {
            Side::Buy => (quantity, money),
            Side::Sell => (-quantity, -money),
        };
        let opposite = self.quantity.is_negative() != signed.is_negative();
        if self.quantity.is_zero() || !opposite {
            self.quantity += signed;
            self.cost += paid;
            return;
        }
        // The part that closes realises profit; what goes beyond opens the other way at the fill's price.
        let closed = signed.abs().min(self.quantity.abs());
        let closed_cost = share(self.cost, closed, self.quantity.abs());
        let closed_paid = share(paid, closed, signed.abs());
        self.realised -= closed_cost + closed_paid;
        self.cost += paid - closed_paid - closed_cost;
        self.quantity += signed;
    }

    /// Shares, negative when short.
    pub fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// What the shares held were paid for; negative when short.
    pub fn cost(&self) -> Money {
        self.cost
    }

    /// Mean price of the shares held; `None` when there are none or their cost is not known.
    pub fn average_price(&self) -> Option<AveragePrice> {
        AveragePrice::of(self.cost, self.quantity)
    }

    /// Profit made by closing shares, fees not included.
    pub fn realised(&self) -> Money {
        self.realised
    }

    /// What the shares are worth at `price`; negative when short.
    pub fn value(&self, price: Price) -> Money {
        price * self.quantity
    }

    /// Profit that closing at `price` would make.
    pub fn open_profit(&self, price: Price) -> Money {
        self.value(price) - self.cost
    }
}

fn share(whole: Money, part: Quantity, of: Quantity) -> Money {
    // Exactly, with no division to round.
    if part == of { whole } else { whole.share(part, of) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(fills: &[(Side, &str, &str)], quantity: &str, realised: &str, open_at_110: &str) {
        let mut position = Position::default();
        for (side, shares, price) in fills {
            let shares: Quantity = shares.parse().unwrap();
            position.fill(*side, shares, price.parse::<Price>().unwrap() * shares);
        }
        let found = (position.quantity(), position.realised(), position.open_profit("110".parse().unwrap()));
        assert_eq!(
            found,
            (quantity.parse().unwrap(), realised.parse().unwrap(), open_at_110.parse().unwrap())
        );
    }

    #[test]
    fn profit_is_realised_by_what_closes_and_open_on_what_stays() {
        use Side::{Buy, Sell};
        check(&[], "0", "0", "0");
        check(&[(Buy, "10", "100")], "10", "0", "100");
        check(&[(Buy, "10", "100"), (Buy, "10", "120")], "20", "0", "0");
        check(&[(Buy, "10", "100"), (Sell, "4", "105")], "6", "20", "60");
        check(&[(Buy, "10", "100"), (Sell, "10", "90")], "0", "-100", "0");
        check(&[(Buy, "10", "100"), (Sell, "15", "120")], "-5", "200", "50");
        check(&[(Sell, "10", "120"), (Buy, "10", "100")], "0", "200", "0");
    }

    proptest! {
        #[test]
        fn money_in_equals_money_out_plus_profit(fills in prop::collection::vec((any::<bool>(), 1i64..50, 1i64..500), 0..40)) {
            let mut position = Position::default();
            let mut cash = Money::ZERO;
            for (buys, shares, dollars) in fills {
                let side = if buys { Side::Buy } else { Side::Sell };
                let shares = Quantity::new(shares.into());
                let money = Price::new(dollars.into()).unwrap() * shares;
                position.fill(side, shares, money);
                cash += if buys { -money } else { money };
            }
            let mark = Price::new(100.into()).unwrap();
            let profit = position.realised() + position.open_profit(mark);
            let difference = (cash + position.value(mark) - profit).get().abs();
            prop_assert!(difference < rust_decimal::Decimal::new(1, 9), "{difference}");
        }
    }
}
