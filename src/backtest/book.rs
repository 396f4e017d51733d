//! One strategy's own money and positions: what it made of its capital, whatever its neighbours did. Pure.

use super::board::{Prices, Slot};
use crate::order::Side;
use crate::units::{Money, Price, Quantity};

/// Cash and shares of one strategy.
#[derive(Debug)]
pub struct Book {
    cash: Money,
    /// By slot.
    shares: Vec<Quantity>,
}

impl Book {
    /// Nothing but its capital.
    pub fn new(capital: Money) -> Self {
        Self { cash: capital, shares: Vec::new() }
    }

    /// Makes room for one more symbol.
    pub fn list(&mut self) {
        self.shares.push(Quantity::ZERO);
    }

    /// Books one fill and its fee.
    pub fn fill(&mut self, slot: Slot, side: Side, quantity: Quantity, price: Price, fee: Money) {
        let money = price * quantity;
        let shares = &mut self.shares[slot.0];
        match side {
            Side::Buy => {
                self.cash -= money;
                *shares += quantity;
            }
            Side::Sell => {
                self.cash += money;
                *shares -= quantity;
            }
        }
        if !fee.is_zero() {
            self.cash -= fee;
        }
    }

    /// Cash plus positions at the last prices, US dollars.
    pub fn equity(&self, prices: &Prices) -> f64 {
        let held = self.shares.iter().enumerate().filter(|(_, shares)| !shares.is_zero());
        let value: f64 = held.map(|(slot, shares)| shares.to_seen() * prices.price(Slot(slot))).sum();
        self.cash.to_seen() + value
    }
}
