//! The account's own books: cash, positions and what they are worth, as far as fills and the broker's word tell. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Account;
use crate::market::{Board, Snapshot};
use crate::order::Side;
use crate::position::Position;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// Cash and positions of the whole account.
#[derive(Debug, Default)]
pub(super) struct AccountBooks {
    cash: Money,
    /// Buying power less cash where the broker gives less than the cash, at the last reading; 0 or negative.
    power_gap: Money,
    holdings: BTreeMap<Symbol, Held>,
    /// Shares that orders of others hold, by the broker's last word.
    held_elsewhere: BTreeMap<Symbol, Quantity>,
}

/// A position and what one share of it is worth.
#[derive(Debug, Default)]
struct Held {
    position: Position,
    mark: Option<Price>,
}

impl AccountBooks {
    pub(super) fn cash(&self) -> Money {
        self.cash
    }

    /// What new orders may cost as far as the broker is concerned.
    pub(super) fn spendable(&self) -> Money {
        self.cash + self.power_gap
    }

    pub(super) fn equity(&self) -> Money {
        self.cash + self.holdings.values().map(Held::value).sum()
    }

    pub(super) fn held(&self, symbol: Symbol) -> Quantity {
        self.holdings.get(&symbol).map_or(Quantity::ZERO, |held| held.position.quantity())
    }

    pub(super) fn average_price(&self, symbol: Symbol) -> Option<Price> {
        self.holdings.get(&symbol)?.position.average_price()
    }

    /// Shares that can be sold when so many are set aside.
    pub(super) fn available_shares(&self, symbol: Symbol, reserved: Quantity) -> Quantity {
        let elsewhere = self.held_elsewhere.get(&symbol).copied().unwrap_or_default();
        (self.held(symbol) - reserved - elsewhere).max(Quantity::ZERO)
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = (Symbol, Position)> + '_ {
        self.holdings.iter().map(|(symbol, held)| (*symbol, held.position))
    }

    /// What one share is worth by the last price seen.
    pub(super) fn mark(&self, symbol: Symbol) -> Option<Price> {
        self.holdings.get(&symbol)?.mark
    }

    pub(super) fn fill(&mut self, symbol: Symbol, side: Side, quantity: Quantity, money: Money) {
        self.cash += match side {
            Side::Buy => -money,
            Side::Sell => money,
        };
        self.holdings.entry(symbol).or_default().position.fill(side, quantity, money);
    }

    pub(super) fn charge(&mut self, fee: Money) {
        if !fee.is_zero() {
            self.cash -= fee;
        }
    }

    /// Profit of all positions that there ever were.
    pub(super) fn earned(&self) -> Money {
        let earned = |held: &Held| held.position.realised() + held.value() - held.position.cost();
        self.holdings.values().map(earned).sum()
    }

    pub(super) fn differences(&self, account: &Account) -> Vec<String> {
        let mut found = Vec::new();
        if self.cash.cents() != account.cash.cents() {
            found.push(format!("cash: books {}, broker {}", self.cash.cents(), account.cash.cents()));
        }
        let theirs: BTreeMap<_, _> =
            account.holdings.iter().map(|holding| (holding.symbol, holding.quantity)).collect();
        let symbols: BTreeSet<_> = self.holdings.keys().chain(theirs.keys()).copied().collect();
        for symbol in symbols {
            let books = self.held(symbol);
            let broker = theirs.get(&symbol).copied().unwrap_or_default();
            if books != broker {
                found.push(format!("{symbol}: books {books} shares, broker {broker}"));
            }
        }
        found
    }

    pub(super) fn take_over(&mut self, account: &Account) {
        self.cash = account.cash;
        self.power_gap = (account.buying_power - account.cash).min(Money::ZERO);
        self.held_elsewhere.clear();
        let mut holdings = BTreeMap::new();
        for holding in &account.holdings {
            let known = self.holdings.get(&holding.symbol);
            let mark = known.and_then(|known| known.mark);
            let known =
                known.map(|known| known.position).filter(|known| known.quantity() == holding.quantity);
            let position = known.unwrap_or_else(|| Position::held(holding.quantity, holding.average_price));
            holdings.insert(holding.symbol, Held { position, mark });
            let held = holding.quantity - holding.available;
            if held.is_positive() && holding.quantity.is_positive() {
                self.held_elsewhere.insert(holding.symbol, held);
            }
        }
        self.holdings = holdings;
    }

    /// Notes what a symbol is worth now.
    pub(super) fn see(&mut self, symbol: Symbol, snapshot: Option<&Snapshot>) {
        if let Some(mark) = snapshot.and_then(worth) {
            self.holdings.entry(symbol).or_default().mark = Some(mark);
        }
    }

    pub(super) fn see_all(&mut self, board: &dyn Board) {
        self.holdings.iter_mut().for_each(|(symbol, held)| held.see(*symbol, board));
    }

    pub(super) fn see_others(&mut self, board: &dyn Board, symbol: Symbol) {
        let others = self.holdings.iter_mut().filter(|(other, _)| **other != symbol);
        others.for_each(|(other, held)| held.see(*other, board));
    }
}

impl Held {
    fn see(&mut self, symbol: Symbol, board: &dyn Board) {
        if !self.position.quantity().is_zero() {
            self.mark = board.snapshot(symbol).as_ref().and_then(worth).or(self.mark);
        }
    }

    fn value(&self) -> Money {
        if self.position.quantity().is_zero() {
            return Money::ZERO;
        }
        let mark = self.mark.or_else(|| self.position.average_price());
        mark.map_or(Money::ZERO, |mark| self.position.value(mark))
    }
}

fn worth(snapshot: &Snapshot) -> Option<Price> {
    let seen = snapshot.quote.map(|quote| quote.mid()).or(snapshot.trade.map(|trade| trade.price));
    seen.and_then(|seen| Price::from_seen(seen).ok())
}
