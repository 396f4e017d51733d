//! The account as it is shown: money, holdings and what they are worth now.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::core::Core;
use super::listing::Asset;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

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
    /// Profit of all shares that were closed.
    pub realised: Money,
    /// Buying power per dollar of equity.
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
    pub average_price: Option<Price>,
    /// What the shares cost, negative when short.
    pub cost: Money,
    /// What one share is worth now.
    pub price: Price,
    /// What one share was worth at the last close, where there was one.
    pub price_last_day: Option<Price>,
    /// What all shares are worth now, negative when short.
    pub value: Money,
}

impl Core {
    /// The account's money, valued now.
    pub fn account(&self) -> AccountView {
        let (mut long_value, mut short_value) = (Money::ZERO, Money::ZERO);
        for (symbol, position) in self.wallet.positions() {
            let Some(listing) = self.listings.get(&symbol) else { continue };
            let value = position.value(listing.mark());
            if value.is_positive() {
                long_value += value;
            } else {
                short_value += value;
            }
        }
        let cash = self.wallet.cash();
        let equity = cash + long_value + short_value;
        // Equity times the multiplier, less what is in the market either way, less what open orders hold.
        let borrowed =
            Money::new(equity.get().saturating_mul(Decimal::from(self.multiplier.saturating_sub(1))));
        let buying_power = (cash + short_value + short_value + borrowed - self.held).max(Money::ZERO);
        AccountView {
            id: self.account_id,
            cash,
            buying_power,
            equity,
            last_equity: self.last_equity,
            long_value,
            short_value,
            realised: self.wallet.realised(),
            multiplier: self.multiplier,
            shorting: self.shorting,
        }
    }

    /// All holdings by symbol.
    pub fn positions(&self) -> Vec<PositionView> {
        self.wallet.positions().filter_map(|(symbol, _)| self.position(symbol)).collect()
    }

    /// One holding, where there is one.
    pub fn position(&self, symbol: Symbol) -> Option<PositionView> {
        let position = self.wallet.position(symbol)?;
        let listing = self.listings.get(&symbol)?;
        let long = position.quantity().is_positive();
        let available = if long {
            position.quantity() - listing.held_sell
        } else {
            position.quantity() + listing.held_buy
        };
        let today = self.now.to_new_york().date_naive();
        let last = listing.tape.close_before(today).and_then(|close| Price::from_seen(close).ok());
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
