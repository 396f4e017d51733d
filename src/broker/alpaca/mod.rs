//! The door to Alpaca: requests go out by the client, are judged by the wrapper and followed by the tracker.

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

pub use answer::{Answered, ClientError, Head};
pub use client::{AlpacaClient, BarsQuery, HistoryKind, HistoryQuery, ORDERS_PER_PAGE, OrdersQuery};
pub use credentials::{AlpacaConfig, AlpacaConfigError, Credentials, Endpoints, Environment, HostKind};
pub use history::{Chapter, History, HistoryError};
pub use venue::{AlpacaVenue, tls_config};
pub use wire::{Account, Asset, CalendarDay, Cancelled, Clock, NewOrder, Order, Position};
pub use wire_market::{
    Bar, BarsPage, HistoryPage, LatestBars, LatestQuotes, LatestTrades, Quote, Snapshots, SymbolSnapshot,
    Trade,
};
pub use wrapper::AlpacaWrapper;
