//! Money and holdings, as the broker sees them.

use serde::{Deserialize, Serialize};

use crate::symbol::Symbol;
use crate::units::{AveragePrice, Money, Quantity};

/// One holding, as the broker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// What.
    pub symbol: Symbol,
    /// Shares, negative when short.
    pub quantity: Quantity,
    /// Shares not held for open orders.
    pub available: Quantity,
    /// Mean entry price; `None` when the broker gives none.
    pub average_price: Option<AveragePrice>,
}

/// Money and holdings, as the broker sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The broker's name of the account.
    pub id: String,
    /// Settled and unsettled cash.
    pub cash: Money,
    /// What new orders may cost.
    pub buying_power: Money,
    /// Cash plus the market value of all holdings.
    pub equity: Money,
    /// Why the account may not trade, if so.
    pub blocked: Option<String>,
    /// All holdings.
    pub holdings: Vec<Holding>,
}
