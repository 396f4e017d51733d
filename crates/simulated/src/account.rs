//! The account as it is shown: money, holdings and what they are worth now.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::core::SimulatedMarket;
use super::listing::Asset;
use bot_core::calendar::date_of;
use bot_core::symbol::Symbol;
use bot_core::units::{AveragePrice, Money, Price, Quantity};

/// Money and what the holdings are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountView {
    /// The broker's name of the account.
    pub id: Uuid,
    /// Settled and unsettled cash.
    pub cash: Money,
    /// What new orders may cost.
    pub buying_power: Money,
    /// Cash plus the value of all holdings.
    pub equity: Money,
    /// Equity at the last session's close.
    pub last_equity: Money,
    /// Value of the long holdings.
    pub long_value: Money,
    /// Value of the short holdings, 0 or negative.
    pub short_value: Money,
    /// What the positions require of the equity after an order that adds to them.
    pub initial_margin: Money,
    /// What they require of it at any time.
    pub maintenance_margin: Money,
    /// The same at the last session's close.
    pub last_maintenance_margin: Money,
    /// Profit of all shares that were closed.
    pub realised: Money,
    /// Exposure that a dollar of equity carries, in whole dollars.
    pub multiplier: u8,
    /// Whether shares may be sold that are not held.
    pub shorting: bool,
}

/// One holding and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionView {
    /// What.
    pub asset: Asset,
    /// Shares, negative when short.
    pub quantity: Quantity,
    /// Shares not held for open orders.
    pub available: Quantity,
    /// Mean entry price.
    pub average_price: Option<AveragePrice>,
    /// What the shares cost, negative when short.
    pub cost: Money,
    /// What one share is worth now.
    pub price: Price,
    /// What one share was worth at the last close, where there was one.
    pub price_last_day: Option<Price>,
    /// What all shares are worth now, negative when short.
    pub value: Money,
}

impl SimulatedMarket {
    /// The account's money, valued now.
    pub fn account(&self) -> AccountView {
        let (balance, margin) = (self.books.balance(), self.books.margin());
        let half = Decimal::new(5, 1);
        let part = |sum: Money| Money::new(sum.get().saturating_mul(half));
        AccountView {
            id: self.account_id,
            cash: balance.cash,
            buying_power: self.books.buying_power().max(Money::ZERO),
            equity: balance.equity(),
            last_equity: self.last_equity,
            long_value: part(balance.exposure + balance.net),
            short_value: part(balance.net - balance.exposure),
            initial_margin: margin.required(balance.exposure),
            maintenance_margin: margin.maintained(balance.exposure),
            last_maintenance_margin: self.last_maintenance_margin,
            realised: self.books.realised(),
            multiplier: margin.multiplier(),
            shorting: self.shorting,
        }
    }

    /// All holdings by symbol.
    pub fn positions(&self) -> Vec<PositionView> {
        self.listings.keys().filter_map(|symbol| self.position(*symbol)).collect()
    }

    /// One holding, where there is one.
    pub fn position(&self, symbol: Symbol) -> Option<PositionView> {
        let listing = self.listings.get(&symbol)?;
        let position = self.books.position(listing.place);
        if position.quantity().is_zero() {
            return None;
        }
        let long = position.quantity().is_positive();
        let available = if long {
            position.quantity() - listing.held_sell
        } else {
            position.quantity() + listing.held_buy
        };
        let today = date_of(self.now);
        let last = listing.bar_history.close_before(today).and_then(|close| Price::from_f64(close).ok());
        Some(PositionView {
            asset: listing.asset.clone(),
            quantity: position.quantity(),
            available,
            average_price: position.average_price(),
            cost: position.cost(),
            price: listing.mark(),
            price_last_day: last,
            value: position.value(listing.mark()),
        })
    }
}
