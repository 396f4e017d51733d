//! The simulated broker: one account at a small market, deterministic for a seed and a series of requests.
//!
//! ```rust
//! use bot_core::clock::Timestamp;
//! use bot_core::order::{OrderType, Side, TimeInForce};
//! use bot_core::units::Price;
//! use bot_simulated::{Amount, Hours, MarketConfig, PriceModel, Request, SimulatedMarket};
//!
//! let config = MarketConfig::new("NVDA".parse()?, Price::whole(180));
//! let config = MarketConfig { prices: PriceModel::Still, hours: Hours::Always, ..config };
//! let now = Timestamp::parse_rfc3339("2026-11-20T15:30:00Z")?;
//! let mut market = SimulatedMarket::new(&config, now);
//! let request = Request {
//!     client_order_id: Some("mine-1".into()),
//!     symbol: "NVDA".parse()?,
//!     side: Side::Buy,
//!     amount: Amount::Quantity("10".parse()?),
//!     order_type: OrderType::Market,
//!     time_in_force: TimeInForce::Ioc,
//!     extended_hours: false,
//! };
//! let order = market.submit(request.clone(), now)?.matched;
//! assert_eq!(order.filled.to_string(), "10");
//! assert_eq!(market.account().cash.to_string(), "98199.9"); // The ask is a cent above.
//! assert!(market.submit(request, now).is_err()); // A client order id is taken for good.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`SimulatedMarket`] is pure and synchronous: time is an argument, randomness is seeded. The paper exchange serves it over HTTP,
//! [`SimulatedVenue`] gives it to the pool in-process. A backtest drives the same [`matching`] and the same
//! [`margin_account`] with prices of its own.
//!
//! The account is a cash account unless told otherwise ([`bot_core::margin`]): buying power is what it may add to its exposure,
//! less what open orders hold (shares still to fill, at their limit or at the ask seen when the order came).

mod account;
mod admission;
mod config;
mod core;
mod listing;
pub mod margin_account;
pub mod matching;
mod order;
pub mod prices;
mod queries;
mod refusal;
mod bar_history;
mod execution_model;
mod venue;

pub use account::{AccountView, PositionView};
pub use bar_history::Timeframe;
pub use config::{Hours, MarketConfig, PriceModel};
pub use core::{SimulatedMarket, Submitted};
pub use execution_model::{ExecutionModel, Fees, FillModel, OnShortCash, SizeAt};
pub use listing::Asset;
pub use order::{Amount, FillDetail, OrderEvent, OrderEventKind, PaperOrder, Request};
pub use queries::{Filter, OrderFilter};
pub use refusal::RequestRefusal;
pub use venue::{SimulatedBroker, SimulatedVenue};

#[cfg(test)]
mod tests;
