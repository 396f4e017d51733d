//! The paper exchange without the past that it makes up: what is known of the past is in the manifest's files alone.

use std::time::Duration;

use bot::broker::simulated::{SimulatedBroker, SimulatedVenue};
use bot::broker::{Account, Broker, BrokerError, Reply, Survey, Venue};
use bot::clock::Timestamp;
use bot::market::{Bar, SessionClock, Snapshot};
use bot::order::{ClientOrderId, OrderId, OrderReport, OrderRequest};
use bot::symbol::Symbol;
use tokio::sync::oneshot;

pub struct NoPast<T>(pub T);

impl Venue for NoPast<SimulatedVenue> {
    type Broker = NoPast<SimulatedBroker>;

    fn environment(&self) -> &str {
        self.0.environment()
    }

    fn connect(&self) -> Result<Self::Broker, BrokerError> {
        self.0.connect().map(NoPast)
    }

    fn track(&self, stop: oneshot::Receiver<()>) {
        self.0.track(stop);
    }
}

impl Broker for NoPast<SimulatedBroker> {
    fn submit(&mut self, order: &OrderRequest) -> Reply {
        self.0.submit(order)
    }

    fn query(&mut self, id: &ClientOrderId) -> Reply {
        self.0.query(id)
    }

    fn cancel(&mut self, id: &OrderId) -> Reply {
        self.0.cancel(id)
    }

    fn wait(&mut self, id: &ClientOrderId, span: Duration) -> Option<OrderReport> {
        self.0.wait(id, span)
    }

    fn forget(&mut self, id: &ClientOrderId) {
        self.0.forget(id);
    }

    fn orders_since(&mut self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError> {
        self.0.orders_since(since)
    }

    fn account(&mut self) -> Result<Account, BrokerError> {
        self.0.account()
    }

    fn session(&mut self) -> Result<SessionClock, BrokerError> {
        self.0.session()
    }

    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError> {
        self.0.snapshots(symbols)
    }

    fn survey(&mut self, symbols: &[Symbol], daily_bars: usize) -> Result<Survey, BrokerError> {
        self.0.survey(symbols, daily_bars)
    }

    fn minute_bars(&mut self, _: Symbol, _: Timestamp, _: Timestamp) -> Result<Vec<Bar>, BrokerError> {
        Ok(Vec::new())
    }
}
