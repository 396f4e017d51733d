//! Why the simulated broker says no, in Alpaca's words, statuses and codes.

use rust_decimal::Decimal;
use thiserror::Error;
use uuid::Uuid;

use bot_core::broker::Rejection;
use bot_core::order::OrderStatus;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};

/// A request that was not accepted and changed nothing; a refused order does not use its client id up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestRefusal {
    /// Nothing is asked for.
    #[error("qty must be > 0")]
    NoQuantity,
    /// More decimals than a share has.
    #[error("qty must have at most 9 decimal places")]
    QuantityDecimals,
    /// Too few dollars.
    #[error("notional must be >= 1.00")]
    NotionalTooSmall,
    /// An order with this client id exists or existed.
    #[error("client_order_id must be unique")]
    DuplicateClientId {
        /// Whether that order still works; the code differs.
        working: bool,
    },
    /// The client id is too long.
    #[error("client_order_id must be no more than 128 characters")]
    ClientIdTooLong,
    /// The symbol is not traded here.
    #[error("asset \"{0}\" not found")]
    UnknownAsset(String),
    /// Immediate-or-cancel needs an open market.
    #[error("ioc orders are only accepted during market hours")]
    IocOutsideSession,
    /// Extended hours go with resting limit orders only.
    #[error("extended hours order must be DAY or GTC limit orders")]
    ExtendedHours,
    /// Parts of shares and dollar amounts are for the day only.
    #[error("fractional orders must be DAY orders")]
    FractionalNotDay,
    /// Parts of shares cannot be borrowed.
    #[error("fractional orders cannot be sold short")]
    FractionalShort,
    /// Only whole lots are traded.
    #[error("asset \"{0}\" is not fractionable")]
    NotFractionable(Symbol),
    /// It is worth too little.
    #[error("cost basis must be >= minimal amount of order {0}")]
    CostBasis(Money),
    /// Coins are for good or at once.
    #[error("invalid crypto time_in_force")]
    CoinTimeInForce,
    /// The limit is finer than the price increment.
    #[error("invalid limit_price {0}. sub-penny increment does not fulfill minimum pricing criteria")]
    SubPenny(Decimal),
    /// The account cannot pay for it.
    #[error("insufficient buying power")]
    BuyingPower {
        /// What may be spent.
        buying_power: Money,
        /// What it would cost.
        cost_basis: Money,
    },
    /// The account holds fewer shares that are free.
    #[error("insufficient qty available for order (requested: {requested}, available: {available})")]
    Shares {
        /// What.
        symbol: Symbol,
        /// Shares asked for.
        requested: Quantity,
        /// Shares held and free.
        available: Quantity,
        /// Shares held.
        existing: Quantity,
        /// Shares held for open orders.
        held: Quantity,
        /// The orders that hold them.
        related: Vec<Uuid>,
    },
    /// The account may not borrow shares.
    #[error("account is not allowed to short")]
    ShortNotAllowed,
    /// An opposite order opens a position the other way.
    #[error("cannot open a long buy while a short sell order is open")]
    BuyMeetsShort,
    /// An opposite order opens a position the other way.
    #[error("cannot open a short sell while a long buy order is open")]
    ShortMeetsBuy,
    /// The order could trade with the account's own resting order.
    #[error("potential wash trade detected. use complex orders")]
    WashTrade {
        /// The resting order.
        existing: Uuid,
        /// Whether that one is a limit order.
        limit: bool,
    },
    /// No such order.
    #[error("order not found for {0}")]
    OrderNotFound(String),
    /// The order has ended another way.
    #[error("order is already in \"{}\" state", .0.as_str())]
    AlreadyFinal(OrderStatus),
}

const FORBIDDEN: u64 = 40_310_000;
const NOT_FOUND: u64 = 40_410_000;

impl RequestRefusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.code() {
            FORBIDDEN => 403,
            NOT_FOUND => 404,
            _ => 422,
        }
    }

    /// Alpaca's error code.
    pub fn code(&self) -> u64 {
        match self {
            RequestRefusal::NoQuantity
            | RequestRefusal::QuantityDecimals
            | RequestRefusal::DuplicateClientId { working: false }
            | RequestRefusal::CoinTimeInForce
            | RequestRefusal::ClientIdTooLong => 40_010_001,
            RequestRefusal::NotionalTooSmall
            | RequestRefusal::DuplicateClientId { working: true }
            | RequestRefusal::UnknownAsset(_)
            | RequestRefusal::IocOutsideSession
            | RequestRefusal::ExtendedHours
            | RequestRefusal::FractionalNotDay
            | RequestRefusal::FractionalShort
            | RequestRefusal::SubPenny(_)
            | RequestRefusal::AlreadyFinal(_) => 42_210_000,
            RequestRefusal::BuyingPower { .. }
            | RequestRefusal::Shares { .. }
            | RequestRefusal::ShortNotAllowed
            | RequestRefusal::BuyMeetsShort
            | RequestRefusal::ShortMeetsBuy
            | RequestRefusal::NotFractionable(_)
            | RequestRefusal::CostBasis(_)
            | RequestRefusal::WashTrade { .. } => FORBIDDEN,
            RequestRefusal::OrderNotFound(_) => NOT_FOUND,
        }
    }

    /// The same as the broker trait tells it.
    pub fn rejection(&self) -> Rejection {
        Rejection { status: self.status(), code: Some(self.code()), message: self.to_string() }
    }
}
