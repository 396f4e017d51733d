//! What can be asked of the simulated market without changing it: orders, assets, prices, bars.

use uuid::Uuid;

use super::bar_history::Timeframe;
use super::core::SimulatedMarket;
use super::listing::Asset;
use super::order::PaperOrder;
use bot_core::clock::Timestamp;
use bot_core::market::{Bar, Quote, SessionClock, Trade};
use bot_core::order::Side;
use bot_core::symbol::Symbol;

/// Which orders to list.
#[derive(Debug, Clone)]
pub struct Filter {
    /// By state.
    pub which: OrderFilter,
    /// Submitted after this instant, or after this order.
    pub after: Option<Timestamp>,
    /// Submitted before this instant, or before this order.
    pub until: Option<Timestamp>,
    /// Empty for all.
    pub symbols: Vec<Symbol>,
    /// `None` for both.
    pub side: Option<Side>,
    /// Newest first otherwise.
    pub oldest_first: bool,
    /// At most so many.
    pub limit: usize,
}

impl Default for Filter {
    /// Fifty open orders, newest first.
    fn default() -> Self {
        Self {
            which: OrderFilter::Open,
            after: None,
            until: None,
            symbols: Vec::new(),
            side: None,
            oldest_first: false,
            limit: 50,
        }
    }
}

/// Orders by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderFilter {
    /// More may happen.
    Open,
    /// Nothing more happens.
    Closed,
    /// Both.
    All,
}

impl SimulatedMarket {
    /// One order by the broker's id.
    pub fn order(&self, id: Uuid) -> Option<&PaperOrder> {
        self.by_id.get(&id).map(|number| &self.orders[*number])
    }

    /// One order by the client's id.
    pub fn order_by_client_id(&self, id: &str) -> Option<&PaperOrder> {
        self.by_client_id.get(id).map(|number| &self.orders[*number])
    }

    /// Orders by state, time and symbol, newest first unless asked otherwise.
    pub fn orders(&self, filter: &Filter) -> Vec<&PaperOrder> {
        let first =
            filter.after.map_or(0, |after| self.orders.partition_point(|order| order.submitted_at <= after));
        let end = filter.until.map_or(self.orders.len(), |until| {
            self.orders.partition_point(|order| order.submitted_at < until)
        });
        let span = first..end.max(first);
        let numbers: Box<dyn DoubleEndedIterator<Item = usize>> = match filter.which {
            OrderFilter::Open => Box::new(self.open.range(span).copied()),
            OrderFilter::Closed | OrderFilter::All => Box::new(span),
        };
        let ordered: Box<dyn Iterator<Item = usize>> =
            if filter.oldest_first { numbers } else { Box::new(numbers.rev()) };
        ordered
            .map(|number| &self.orders[number])
            .filter(|order| match filter.which {
                OrderFilter::Open | OrderFilter::All => true,
                OrderFilter::Closed => !order.is_open(),
            })
            .filter(|order| filter.symbols.is_empty() || filter.symbols.contains(&order.symbol))
            .filter(|order| filter.side.is_none_or(|side| side == order.side))
            .take(filter.limit)
            .collect()
    }

    /// The latest instant that was seen.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When the account was opened.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether the market is open at [`SimulatedMarket::now`].
    pub fn session(&self) -> SessionClock {
        self.session
    }

    /// All symbols, sorted.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        self.listings.keys().copied()
    }

    /// One asset.
    pub fn asset(&self, symbol: Symbol) -> Option<&Asset> {
        self.listings.get(&symbol).map(|listing| &listing.asset)
    }

    /// One asset by the broker's id.
    pub fn asset_by_id(&self, id: Uuid) -> Option<&Asset> {
        self.listings.values().map(|listing| &listing.asset).find(|asset| asset.id == id)
    }

    /// The latest quote and print.
    pub fn latest(&self, symbol: Symbol) -> Option<(Quote, Trade)> {
        self.listings.get(&symbol).map(|listing| (listing.quote, listing.trade))
    }

    /// The latest minute bar, today's bar and the day's before.
    pub fn latest_bars(&self, symbol: Symbol) -> Option<[Option<Bar>; 3]> {
        let bar_history = &self.listings.get(&symbol)?.bar_history;
        let (today, before) = bar_history.latest_days();
        Some([bar_history.latest_minute(), today, before])
    }

    /// At most `limit` bars that begin in `from..=to`, oldest first unless asked otherwise.
    pub fn bars(
        &self,
        symbol: Symbol,
        timeframe: Timeframe,
        (from, to): (Timestamp, Timestamp),
        newest_first: bool,
        limit: usize,
    ) -> Vec<Bar> {
        let Some(listing) = self.listings.get(&symbol) else { return Vec::new() };
        listing.bar_history.bars(timeframe, from, to, newest_first).take(limit).collect()
    }
}
