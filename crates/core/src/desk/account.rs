//! The account's own books: cash, positions and what they are worth, as far as fills and the broker's word tell. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Account;
use crate::margin::{Balance, Margin};
use crate::market::{LatestPrices, Snapshot};
use crate::order::Side;
use crate::position::Position;
use crate::symbol::Symbol;
use crate::units::{AveragePrice, Money, Price, Quantity};

/// Cash and positions of the whole account.
#[derive(Debug)]
pub(super) struct AccountBooks {
    margin: Margin,
    /// Cash and kept sums over the holdings.
    balance: Balance,
    /// What the broker gives less than the account law, at the last reading; 0 or negative.
    power_gap: Money,
    holdings: BTreeMap<Symbol, HeldPosition>,
    /// Shares that orders of others hold, by the broker's last word.
    held_elsewhere: BTreeMap<Symbol, Quantity>,
}

/// A position and what one share of it is worth.
#[derive(Debug, Default)]
struct HeldPosition {
    position: Position,
    mark: Option<Price>,
    /// What it is worth in the balance.
    value: Money,
}

impl AccountBooks {
    pub(super) fn new(margin: Margin) -> Self {
        Self {
            margin,
            balance: Balance::default(),
            power_gap: Money::ZERO,
            holdings: BTreeMap::new(),
            held_elsewhere: BTreeMap::new(),
        }
    }

    pub(super) fn cash(&self) -> Money {
        self.balance.cash
    }

    /// Equity that nothing requires yet, as far as the broker is concerned.
    pub(super) fn excess(&self) -> Money {
        self.margin.excess(self.balance) + self.power_gap
    }

    pub(super) fn equity(&self) -> Money {
        self.balance.equity()
    }

    pub(super) fn held(&self, symbol: Symbol) -> Quantity {
        self.holdings.get(&symbol).map_or(Quantity::ZERO, |held| held.position.quantity())
    }

    pub(super) fn average_price(&self, symbol: Symbol) -> Option<AveragePrice> {
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
        self.balance.cash += match side {
            Side::Buy => -money,
            Side::Sell => money,
        };
        let held = self.holdings.entry(symbol).or_default();
        held.position.fill(side, quantity, money);
        held.revalue(&mut self.balance);
    }

    pub(super) fn book_fee(&mut self, fee: Money) {
        if !fee.is_zero() {
            self.balance.cash -= fee;
        }
    }

    /// Profit of all positions that there ever were.
    pub(super) fn profit(&self) -> Money {
        let earned = |held: &HeldPosition| held.position.realised() + held.value - held.position.cost();
        self.holdings.values().map(earned).sum()
    }

    pub(super) fn differences(&self, account: &Account) -> Vec<String> {
        let mut found = Vec::new();
        if self.cash().cents() != account.cash.cents() {
            found.push(format!("cash: books {}, broker {}", self.cash().cents(), account.cash.cents()));
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

    pub(super) fn reset_to(&mut self, account: &Account) {
        self.balance = Balance { cash: account.cash, ..Balance::default() };
        self.held_elsewhere.clear();
        let mut holdings = BTreeMap::new();
        for holding in &account.holdings {
            let known = self.holdings.get(&holding.symbol);
            let mark = known.and_then(|known| known.mark);
            let known =
                known.map(|known| known.position).filter(|known| known.quantity() == holding.quantity);
            let position = known.unwrap_or_else(|| Position::held(holding.quantity, holding.average_price));
            let mut own = HeldPosition { position, mark, value: Money::ZERO };
            own.revalue(&mut self.balance);
            holdings.insert(holding.symbol, own);
            let held = holding.quantity - holding.available;
            if held.is_positive() && holding.quantity.is_positive() {
                self.held_elsewhere.insert(holding.symbol, held);
            }
        }
        self.holdings = holdings;
        let excess = self.margin.excess(self.balance).max(Money::ZERO);
        let gap = account.buying_power - self.margin.buying_power(excess);
        self.power_gap = self.margin.required(gap.min(Money::ZERO));
    }

    /// Notes what a symbol is worth now.
    pub(super) fn mark_price(&mut self, symbol: Symbol, snapshot: Option<&Snapshot>) {
        if let Some(mark) = snapshot.and_then(worth) {
            let held = self.holdings.entry(symbol).or_default();
            if held.mark != Some(mark) {
                held.mark = Some(mark);
                held.revalue(&mut self.balance);
            }
        }
    }

    pub(super) fn mark_all(&mut self, latest_prices: &dyn LatestPrices) {
        let balance = &mut self.balance;
        self.holdings.iter_mut().for_each(|(symbol, held)| held.mark_price(*symbol, latest_prices, balance));
    }

    /// Notes what a symbol is worth now that it may hold or held.
    pub(super) fn moved(&mut self, symbol: Symbol, latest_prices: &dyn LatestPrices) {
        let Some(held) = self.holdings.get_mut(&symbol) else { return };
        held.mark = latest_prices.snapshot(symbol).as_ref().and_then(worth).or(held.mark);
        held.revalue(&mut self.balance);
    }

    pub(super) fn mark_others(&mut self, latest_prices: &dyn LatestPrices, symbol: Symbol) {
        let others = self.holdings.iter_mut().filter(|(other, _)| **other != symbol);
        let balance = &mut self.balance;
        others.for_each(|(other, held)| held.mark_price(*other, latest_prices, balance));
    }
}

#[cfg(test)]
impl AccountBooks {
    /// The sums that are kept.
    pub(super) fn kept(&self) -> Balance {
        self.balance
    }

    /// The same, added up again.
    pub(super) fn walked(&self) -> Balance {
        let mut balance = Balance { cash: self.balance.cash, ..Balance::default() };
        self.holdings.values().for_each(|held| balance.revalue(Money::ZERO, held.worth()));
        balance
    }
}

impl HeldPosition {
    fn mark_price(&mut self, symbol: Symbol, latest_prices: &dyn LatestPrices, balance: &mut Balance) {
        if !self.position.quantity().is_zero() {
            self.mark = latest_prices.snapshot(symbol).as_ref().and_then(worth).or(self.mark);
            self.revalue(balance);
        }
    }

    /// Puts what it is worth now into the balance.
    fn revalue(&mut self, balance: &mut Balance) {
        let value = self.worth();
        balance.revalue(self.value, value);
        self.value = value;
    }

    fn worth(&self) -> Money {
        match self.mark {
            Some(mark) => self.position.value(mark),
            None => self.position.cost(),
        }
    }
}

fn worth(snapshot: &Snapshot) -> Option<Price> {
    let seen = snapshot.quote.map(|quote| quote.mid()).or(snapshot.trade.map(|trade| trade.price));
    seen.and_then(|seen| Price::from_f64(seen).ok())
}
