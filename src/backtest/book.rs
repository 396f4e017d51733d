//! One strategy's own money and positions: what it made of its capital, whatever its neighbours did. Pure.

use super::board::{Prices, Slot};
use crate::order::Side;
use crate::position::Position;
use crate::units::{Money, Price, Quantity};

/// Cash and positions of one strategy.
#[derive(Debug)]
pub struct Book {
    cash: Money,
    /// By slot.
    positions: Vec<Position>,
}

impl Book {
    /// Nothing but its capital.
    pub fn new(capital: Money) -> Self {
        Self { cash: capital, positions: Vec::new() }
    }

    /// Makes room for one more symbol.
    pub fn list(&mut self) {
        self.positions.push(Position::default());
    }

    /// Books one fill and its fee.
    pub fn fill(&mut self, slot: Slot, side: Side, quantity: Quantity, price: Price, fee: Money) {
        let money = price * quantity;
        self.cash += match side {
            Side::Buy => -money,
            Side::Sell => money,
        };
        self.cash -= fee;
        self.positions[slot.0].fill(side, quantity, money);
    }

    /// Cash plus positions at the last prices, US dollars.
    pub fn equity(&self, prices: &Prices) -> f64 {
        let held = self.positions.iter().enumerate().filter(|(_, position)| !position.quantity().is_zero());
        let value: f64 =
            held.map(|(slot, position)| position.quantity().to_seen() * prices.price(Slot(slot))).sum();
        self.cash.to_seen() + value
    }
}
