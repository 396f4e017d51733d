//! The paper exchange without the past that it makes up, and always open: what is known of the past is in the manifest's
//! files alone.

use bot::broker::simulated::{SimulatedBroker, SimulatedVenue};
use bot::broker::{
    Account, AccountReader, Broker, BrokerError, MarketData, OrderEntry, OrderNews, Reply, Venue,
};
use bot::clock::Timestamp;
use bot::market::{Bar, SessionClock, Snapshot};
use bot::order::{ClientOrderId, OrderId, OrderReport, OrderRequest};
use bot::stop::Stop;
use bot::symbol::Symbol;

pub struct NoPast<T>(pub T);

impl Venue for NoPast<SimulatedVenue> {
    type Broker = NoPast<SimulatedBroker>;

    fn environment(&self) -> &str {
        self.0.environment()
    }

    fn connect(&self) -> Result<Self::Broker, BrokerError> {
        self.0.connect().map(NoPast)
    }

    fn track(&self, orders: &dyn OrderNews, stop: &Stop) {
        self.0.track(orders, stop);
    }
}

impl OrderEntry for NoPast<SimulatedBroker> {
    fn submit(&mut self, order: &OrderRequest) -> Reply {
        self.0.submit(order)
    }

    fn query(&mut self, id: &ClientOrderId) -> Reply {
        self.0.query(id)
    }

    fn cancel(&mut self, id: &OrderId) -> Reply {
        self.0.cancel(id)
    }
}

impl AccountReader for NoPast<SimulatedBroker> {
    fn account(&mut self) -> Result<Account, BrokerError> {
        self.0.account()
    }

    fn open_orders(&mut self) -> Result<Vec<OrderReport>, BrokerError> {
        self.0.open_orders()
    }

    fn orders_since(&mut self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError> {
        self.0.orders_since(since)
    }
}

impl MarketData for NoPast<SimulatedBroker> {
    fn session(&mut self) -> Result<SessionClock, BrokerError> {
        Ok(SessionClock::ALWAYS) // As over history: the market is open whenever it shows a price.
    }

    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError> {
        self.0.snapshots(symbols)
    }

    fn daily_bars(
        &mut self,
        symbols: &[Symbol],
        days: usize,
    ) -> Result<Vec<(Symbol, Vec<Bar>)>, BrokerError> {
        self.0.daily_bars(symbols, days)
    }

    fn minute_bars(&mut self, _: Symbol, _: Timestamp, _: Timestamp) -> Result<Vec<Bar>, BrokerError> {
        Ok(Vec::new())
    }
}

impl Broker for NoPast<SimulatedBroker> {}
