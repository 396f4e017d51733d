//! The one account of a simulated broker: cash, positions and what they are worth, under one margin law. Pure.
//!
//! Exact to the last decimal. Sums are kept, so that what an order leaves behind is found without a walk over positions.

use super::execution_model::Fees;
use bot_core::margin::{Balance, Change, Margin};
use bot_core::order::Side;
use bot_core::position::Position;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};

/// Cash and all positions of one account, each symbol at the place at which it was listed.
#[derive(Debug, Clone)]
pub struct MarginAccount {
    margin: Margin,
    balance: Balance,
    realised: Money,
    fees: Money,
    /// Buying power that open orders hold.
    held: Money,
    /// Whether it knows what positions cost and what was earned by closing them.
    keeps_cost: bool,
    holdings: Vec<SymbolHolding>,
}

#[derive(Debug, Clone)]
struct SymbolHolding {
    symbol: Symbol,
    /// Held, negative when short.
    shares: Quantity,
    /// The same with its cost, where that is kept.
    position: Position,
    /// What the position is worth in the balance.
    value: Money,
}

/// Shares that change hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountFill {
    /// Which way.
    pub side: Side,
    /// Shares, above 0.
    pub quantity: Quantity,
    /// Per share.
    pub price: Price,
    /// What they cost without the fee.
    pub money: Money,
    /// Taken by the broker.
    pub fee: Money,
}

impl AccountFill {
    /// So many shares at a price, with what the broker takes of it.
    pub fn of(side: Side, quantity: Quantity, price: Price, fees: Fees) -> Self {
        let money = price * quantity;
        Self { side, quantity, price, money, fee: fees.of(side, quantity, money) }
    }
}

impl MarginAccount {
    /// Nothing but cash.
    pub fn new(margin: Margin, cash: Money) -> Self {
        let balance = Balance { cash, ..Balance::default() };
        let (realised, fees, held) = (Money::ZERO, Money::ZERO, Money::ZERO);
        Self { margin, balance, realised, fees, held, keeps_cost: true, holdings: Vec::new() }
    }

    /// The same for an owner who keeps what positions cost in books of its own.
    #[must_use]
    pub fn without_cost(mut self) -> Self {
        self.keeps_cost = false;
        self
    }

    /// Gives the next place to a symbol.
    pub fn list(&mut self, symbol: Symbol) -> usize {
        let (shares, position, value) = (Quantity::ZERO, Position::default(), Money::ZERO);
        self.holdings.push(SymbolHolding { symbol, shares, position, value });
        self.holdings.len() - 1
    }

    /// Puts shares into the account that are there before the first order; negative for a short position.
    pub fn deposit(&mut self, place: usize, shares: Quantity) {
        let holding = &mut self.holdings[place];
        (holding.shares, holding.position) = (shares, Position::held(shares, None));
    }

    /// Books one fill: cash moves by exactly price times quantity and the fee. The position is to be marked after it.
    pub fn book(&mut self, place: usize, fill: &AccountFill) {
        let AccountFill { side, quantity, money, fee, .. } = *fill;
        let holding = &mut self.holdings[place];
        match side {
            Side::Buy => {
                self.balance.cash -= money;
                holding.shares += quantity;
            }
            Side::Sell => {
                self.balance.cash += money;
                holding.shares -= quantity;
            }
        }
        if !fee.is_zero() {
            self.balance.cash -= fee;
            self.fees += fee;
        }
        if self.keeps_cost {
            let realised_before = holding.position.realised();
            holding.position.fill(side, quantity, money);
            self.realised += holding.position.realised() - realised_before;
        }
    }

    /// Notes what one share is worth now.
    pub fn mark(&mut self, place: usize, price: Price) {
        let holding = &mut self.holdings[place];
        let value = price * holding.shares;
        self.balance.revalue(holding.value, value);
        holding.value = value;
    }

    /// Holds buying power for an open order, or gives it back where `money` is negative.
    pub fn hold(&mut self, money: Money) {
        self.held += money;
    }

    /// What the account lacks to carry what such a fill leaves behind, beside what open orders hold.
    pub fn missing(&self, place: usize, fill: &AccountFill) -> Money {
        let AccountFill { side, quantity, price, money, fee } = *fill;
        let SymbolHolding { shares, value, .. } = self.holdings[place];
        self.margin.missing(self.balance, &Change { held: shares, value, side, quantity, price, money, fee })
    }

    /// The exposure that new orders may add; negative when there is more of it than the equity carries.
    pub fn buying_power(&self) -> Money {
        self.margin.buying_power(self.margin.excess(self.balance)) - self.held
    }

    /// What the positions require of the equity, where there is less of it and they must be liquidated.
    pub fn call(&self) -> Option<Money> {
        self.margin.call(self.balance)
    }

    /// Cash and sums over the positions at their marks.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// On what terms it carries positions.
    pub fn margin(&self) -> Margin {
        self.margin
    }

    /// Settled and unsettled cash.
    pub fn cash(&self) -> Money {
        self.balance.cash
    }

    /// Fees taken so far.
    pub fn fees(&self) -> Money {
        self.fees
    }

    /// Profit of all shares that were closed.
    pub fn realised(&self) -> Money {
        self.realised
    }

    /// Shares held, negative when short.
    pub fn shares(&self, place: usize) -> Quantity {
        self.holdings[place].shares
    }

    /// What was bought and sold of the symbol at `place`, and what it cost.
    pub fn position(&self, place: usize) -> &Position {
        &self.holdings[place].position
    }

    /// Shares of all positions that are not flat, by place.
    pub fn positions(&self) -> impl Iterator<Item = (Symbol, Quantity)> {
        let held = self.holdings.iter().filter(|holding| !holding.shares.is_zero());
        held.map(|holding| (holding.symbol, holding.shares))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Applies fills `(signed shares, price)` and compares quantity, mean price, cash moved and realised profit.
    #[track_caller]
    fn check(fills: &[(&str, &str)], expected: (&str, Option<&str>, &str, &str)) {
        let symbol: Symbol = "NVDA".parse().unwrap();
        let mut account = MarginAccount::new(Margin::CASH, Money::ZERO);
        let place = account.list(symbol);
        for (shares, price) in fills {
            let shares: Quantity = shares.parse().unwrap();
            let side = if shares.is_positive() { Side::Buy } else { Side::Sell };
            let price = price.parse().unwrap();
            account.book(place, &AccountFill::of(side, shares.abs(), price, Fees::None));
        }
        let position = account.position(place);
        let found = (
            position.quantity().to_string(),
            position.average_price().map(|price| price.to_string()),
            account.cash().to_string(),
            account.realised().to_string(),
        );
        let expected =
            (expected.0.into(), expected.1.map(str::to_owned), expected.2.into(), expected.3.into());
        assert_eq!(found, expected);
    }

    #[test]
    fn fills_move_cash_shares_mean_price_and_profit() {
        check(&[("10", "100")], ("10", Some("100"), "-1000", "0"));
        check(&[("10", "100"), ("10", "110")], ("20", Some("105"), "-2100", "0"));
        check(&[("10", "100"), ("-4", "110")], ("6", Some("100"), "-560", "40"));
        check(&[("10", "100"), ("-10", "90")], ("0", None, "-100", "-100"));
        check(&[("-5", "50")], ("-5", Some("50"), "250", "0"));
        check(&[("-5", "50"), ("5", "40")], ("0", None, "50", "50"));
        check(&[("5", "50"), ("-8", "60")], ("-3", Some("60"), "230", "50"));
        check(&[("3", "10"), ("0.5", "10.01")], ("3.5", Some("10.001428571429"), "-35.005", "0"));
    }

    proptest! {
        #[test]
        fn kept_sums_equal_the_walked_ones_after_any_series(
            steps in prop::collection::vec((0usize..3, -50i64..50, 1u32..500, any::<bool>()), 0..60)
        ) {
            let mut account = MarginAccount::new(Margin::CASH, Money::whole(10_000));
            let mut prices = [Price::whole(1); 3];
            for name in ["X", "Y", "Z"] {
                account.list(name.parse().unwrap());
            }
            for (place, shares, cents, is_fill) in steps {
                let price = Price::from_f64(f64::from(cents) / 100.0).unwrap();
                if is_fill && shares != 0 {
                    let side = if shares < 0 { Side::Sell } else { Side::Buy };
                    let quantity = Quantity::new(shares.abs().into());
                    account.book(place, &AccountFill::of(side, quantity, price, Fees::None));
                }
                account.mark(place, price);
                prices[place] = price;
                let values = prices.iter().enumerate().map(|(place, price)| account.position(place).value(*price));
                let (net, exposure) =
                    values.fold((Money::ZERO, Money::ZERO), |(net, gross), value| (net + value, gross + value.abs()));
                prop_assert_eq!((account.balance().net, account.balance().exposure), (net, exposure));
            }
        }
    }
}
