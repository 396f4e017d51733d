//! Cash and positions: what fills do to them, exact to the last decimal. Pure.

use std::collections::BTreeMap;

use crate::order::Side;
use crate::position::Position;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// Cash and all positions of one account.
#[derive(Debug, Clone)]
pub struct Wallet {
    cash: Money,
    realised: Money,
    positions: BTreeMap<Symbol, Position>,
}

impl Wallet {
    /// Nothing but cash.
    pub fn new(cash: Money) -> Self {
        Self { cash, realised: Money::ZERO, positions: BTreeMap::new() }
    }

    /// Books one fill: cash moves by exactly price times quantity.
    pub fn book(&mut self, symbol: Symbol, side: Side, price: Price, quantity: Quantity) {
        let money = price * quantity;
        self.cash -= match side {
            Side::Buy => money,
            Side::Sell => -money,
        };
        let position = self.positions.entry(symbol).or_default();
        let realised_before = position.realised();
        position.fill(side, quantity, money);
        self.realised += position.realised() - realised_before;
        if position.quantity().is_zero() {
            self.positions.remove(&symbol);
        }
    }

    /// Settled and unsettled cash.
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// Profit of all shares that were closed.
    pub fn realised(&self) -> Money {
        self.realised
    }

    /// The holding of one symbol, where there is one.
    pub fn position(&self, symbol: Symbol) -> Option<&Position> {
        self.positions.get(&symbol)
    }

    /// All holdings by symbol.
    pub fn positions(&self) -> impl Iterator<Item = (Symbol, &Position)> {
        self.positions.iter().map(|(symbol, position)| (*symbol, position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies fills `(signed shares, price)` and compares quantity, mean price, cash moved and realised profit.
    #[track_caller]
    fn check(fills: &[(&str, &str)], expected: (&str, Option<&str>, &str, &str)) {
        let symbol: Symbol = "NVDA".parse().unwrap();
        let mut wallet = Wallet::new(Money::ZERO);
        for (shares, price) in fills {
            let shares: Quantity = shares.parse().unwrap();
            let side = if shares.is_positive() { Side::Buy } else { Side::Sell };
            wallet.book(symbol, side, price.parse().unwrap(), shares.abs());
        }
        let position = wallet.position(symbol).copied().unwrap_or_default();
        let found = (
            position.quantity().to_string(),
            position.average_price().map(|price| price.to_string()),
            wallet.cash().to_string(),
            wallet.realised().to_string(),
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
}
