//! Alpaca: requests go out by the client, are judged by the wrapper and followed by the tracker.

mod answer;
mod classify;
mod client;
mod credentials;
mod data_stream;
mod history;
mod socket;
mod stream;
mod tracker;
mod venue;
mod wire;
mod wire_data_stream;
mod wire_market;
mod wrapper;

pub use answer::{AnswerHead, Answered, ClientError};
pub use client::{AlpacaClient, BarsQuery, HistoryKind, HistoryQuery, ORDERS_PER_PAGE, OrdersQuery};
pub use credentials::{AlpacaConfig, AlpacaConfigError, Credentials, Endpoints, Environment, HostKind};
pub use history::{AlpacaHistory, AlpacaHistoryError, Chapter};
pub use venue::{AlpacaVenue, tls_config};
pub use wire::{
    CalendarDay, Cancelled, NewOrder, WireAccount, WireAsset, WireClock, WireOrder, WirePosition,
};
pub use wire_market::{
    BarsPage, HistoryPage, LatestBars, LatestQuotes, LatestTrades, Snapshots, SymbolSnapshot, WireBar,
    WireQuote, WireTrade,
};
pub use wrapper::AlpacaWrapper;
