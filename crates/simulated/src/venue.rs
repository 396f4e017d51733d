//! The simulated broker in-process: the pool's connections to one [`SimulatedMarket`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use uuid::Uuid;

use super::bar_history::Timeframe;
use super::config::MarketConfig;
use super::core::SimulatedMarket;
use super::order::{Amount, PaperOrder, Request};
use super::prices::TICK;
use super::queries::{Filter, OrderFilter};
use super::refusal::RequestRefusal;
use bot_core::broker::{
    Account, AccountReader, Broker, BrokerError, Holding, MINUTE, MINUTE_BARS_MAX, MarketData, OrderEntry,
    OrderNews, Reply, Venue, too_many_bars,
};
use bot_core::clock::{Clock, Timestamp};
use bot_core::market::{Bar, SessionClock, Snapshot};
use bot_core::order::{ClientOrderId, OrderId, OrderReport, OrderRequest};
use bot_core::signal::CLIENT_ORDER_ID_PREFIX;
use bot_core::stop::Stop;
use bot_core::symbol::Symbol;
use bot_core::units::Quantity;

/// A simulated market and account that lives as long as the process.
#[derive(Clone)]
pub struct SimulatedVenue {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

struct Shared {
    core: Mutex<SimulatedMarket>,
    /// Told when somebody moved the market by hand.
    moved: (Sender<()>, Receiver<()>),
}

impl SimulatedVenue {
    /// Opens the market at the clock's present.
    pub fn new(config: &MarketConfig, clock: Arc<dyn Clock>) -> Self {
        let core = Mutex::new(SimulatedMarket::new(config, clock.now()));
        Self { shared: Arc::new(Shared { core, moved: bounded(1) }), clock }
    }

    /// Looks at the core, or sets a quote in it: whoever follows an order is told what that did.
    pub fn with<T>(&self, look: impl FnOnce(&mut SimulatedMarket) -> T) -> T {
        let found = look(&mut self.shared.lock());
        let _ = self.shared.moved.0.try_send(()); // Full means that it is told already.
        found
    }
}

impl Venue for SimulatedVenue {
    type Broker = SimulatedBroker;

    fn environment(&self) -> &'static str {
        "simulated"
    }

    fn connect(&self) -> Result<SimulatedBroker, BrokerError> {
        Ok(SimulatedBroker { shared: Arc::clone(&self.shared), clock: Arc::clone(&self.clock) })
    }

    /// Lets the market's time pass, so that prices move and resting orders fill, and tells of those that are followed.
    fn track(&self, orders: &dyn OrderNews, stop: &Stop) {
        let mut next = self.clock.now();
        let mut alarm = self.clock.alarm(next);
        loop {
            select! {
                recv(stop.channel()) -> _ => return,
                recv(self.shared.moved.1) -> _ => {}
                recv(*alarm) -> _ => {
                    let now = self.clock.now();
                    self.shared.lock().advance(now);
                    // Whatever the clock was set to, the next one is not far.
                    next = (next + TICK).clamp(now, now + TICK);
                    alarm = self.clock.alarm(next);
                }
            }
            self.shared.lock().take_events(); // Nobody listens in-process.
            for id in orders.in_flight().map(|flight| flight.ids).unwrap_or_default() {
                let found = self.shared.lock().order_by_client_id(id.as_str()).map(report);
                if let Some(report) = found {
                    orders.report(report);
                }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, SimulatedMarket> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's connection to a [`SimulatedVenue`].
pub struct SimulatedBroker {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl SimulatedBroker {
    fn at_present<T>(&self, work: impl FnOnce(&mut SimulatedMarket, Timestamp) -> T) -> T {
        let mut core = self.shared.lock();
        let now = self.clock.now();
        core.advance(now);
        let answer = work(&mut core, now);
        core.take_events(); // Nobody listens in-process: connections ask.
        answer
    }
}

impl OrderEntry for SimulatedBroker {
    fn submit(&mut self, order: &OrderRequest) -> Reply {
        let request = Request {
            client_order_id: Some(order.client_order_id.as_str().into()),
            symbol: order.symbol,
            side: order.side,
            amount: Amount::Quantity(order.quantity),
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            extended_hours: false,
        };
        match self.at_present(|core, now| core.submit(request, now)) {
            Ok(submitted) => Reply::Report(report(&submitted.matched)),
            Err(RequestRefusal::DuplicateClientId { .. }) => Reply::Duplicate,
            Err(refusal) => Reply::Rejected(refusal.rejection()),
        }
    }

    fn query(&mut self, id: &ClientOrderId) -> Reply {
        match self.at_present(|core, _| core.order_by_client_id(id.as_str()).map(report)) {
            Some(report) => Reply::Report(report),
            None => Reply::NotFound,
        }
    }

    fn cancel(&mut self, id: &OrderId) -> Reply {
        let Ok(uuid) = Uuid::parse_str(id.as_str()) else { return Reply::NotFound };
        match self.at_present(|core, now| core.cancel(uuid, now)) {
            Ok(()) => Reply::CancelAccepted,
            Err(refusal) => Reply::Rejected(refusal.rejection()),
        }
    }
}

impl AccountReader for SimulatedBroker {
    fn open_orders(&mut self) -> Result<Vec<OrderReport>, BrokerError> {
        let open = Filter { which: OrderFilter::Open, limit: usize::MAX, ..Filter::default() };
        Ok(self.at_present(|core, _| core.orders(&open).into_iter().map(report).collect()))
    }

    fn orders_since(&mut self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError> {
        // One nanosecond less, because the bound is exclusive.
        let after = Some(since - Duration::from_nanos(1));
        let all = Filter {
            which: OrderFilter::All,
            after,
            oldest_first: true,
            limit: usize::MAX,
            ..Filter::default()
        };
        let is_ours = |order: &&PaperOrder| order.client_order_id.starts_with(CLIENT_ORDER_ID_PREFIX);
        Ok(self.at_present(|core, _| core.orders(&all).into_iter().filter(is_ours).map(report).collect()))
    }

    fn account(&mut self) -> Result<Account, BrokerError> {
        Ok(self.at_present(|core, _| account(core)))
    }
}

impl MarketData for SimulatedBroker {
    fn session(&mut self) -> Result<SessionClock, BrokerError> {
        Ok(self.at_present(|core, _| core.session()))
    }

    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError> {
        Ok(self.at_present(|core, now| snapshots(core, symbols, now)))
    }

    fn daily_bars(
        &mut self,
        symbols: &[Symbol],
        count: usize,
    ) -> Result<Vec<(Symbol, Vec<Bar>)>, BrokerError> {
        let of = |core: &SimulatedMarket, symbol: &Symbol| (*symbol, days(core, *symbol, count));
        Ok(self.at_present(|core, _| symbols.iter().map(|symbol| of(core, symbol)).collect()))
    }

    fn minute_bars(
        &mut self,
        symbol: Symbol,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Bar>, BrokerError> {
        self.at_present(|core, now| {
            let span = (from - MINUTE, to.min(now) - MINUTE);
            let mut bars = core.bars(symbol, Timeframe::Minutes(1), span, false, MINUTE_BARS_MAX + 1);
            if bars.len() > MINUTE_BARS_MAX {
                return Err(too_many_bars(symbol));
            }
            bars.retain(|bar| bar.at + MINUTE < to);
            Ok(bars)
        })
    }
}

impl Broker for SimulatedBroker {}

fn report(order: &PaperOrder) -> OrderReport {
    let id = &order.client_order_id;
    OrderReport {
        client_order_id: id.parse().unwrap_or_else(|_| ClientOrderId::from_allowed(id)),
        order_id: OrderId::new(&order.id.to_string()),
        symbol: order.symbol,
        side: order.side,
        quantity: order.quantity,
        status: order.status.clone(),
        filled: order.filled,
        average_price: order.average_price(),
        submitted_at: Some(order.submitted_at),
    }
}

fn account(core: &SimulatedMarket) -> Account {
    let money = core.account();
    let holdings = core.positions().into_iter().map(|position| Holding {
        symbol: position.asset.symbol,
        quantity: position.quantity,
        available: position.available.max(Quantity::ZERO),
        average_price: position.average_price,
    });
    Account {
        id: money.id.to_string(),
        cash: money.cash,
        buying_power: money.buying_power,
        equity: money.equity,
        blocked: None,
        holdings: holdings.collect(),
    }
}

fn snapshots(core: &SimulatedMarket, symbols: &[Symbol], now: Timestamp) -> Vec<Snapshot> {
    let latest = symbols.iter().filter_map(|symbol| Some((*symbol, core.latest(*symbol)?)));
    latest
        .map(|(symbol, (quote, trade))| Snapshot {
            symbol,
            quote: Some(quote),
            trade: Some(trade),
            read_at: now,
        })
        .collect()
}

fn days(core: &SimulatedMarket, symbol: Symbol, count: usize) -> Vec<Bar> {
    let all = (Timestamp::from_nanos(0), core.now());
    let mut bars = core.bars(symbol, Timeframe::Day, all, true, count);
    bars.reverse();
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hours, PriceModel};
    use bot_core::clock::ManualClock;
    use bot_core::core::InFlight;
    use bot_core::market::Quote;
    use bot_core::order::{OrderStatus, OrderType, Side, TimeInForce};

    fn venue() -> (SimulatedVenue, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-11-20T15:30:00Z").unwrap()));
        let mut config = MarketConfig::new("NVDA".parse().unwrap(), "180".parse().unwrap());
        config.prices = PriceModel::Still;
        config.hours = Hours::Always;
        (SimulatedVenue::new(&config, Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn request(id: &str, side: Side, quantity: &str, limit: Option<&str>) -> OrderRequest {
        OrderRequest {
            client_order_id: id.parse().unwrap(),
            symbol: "NVDA".parse().unwrap(),
            side,
            quantity: quantity.parse().unwrap(),
            order_type: limit.map_or(OrderType::Market, |limit| OrderType::Limit(limit.parse().unwrap())),
            time_in_force: if limit.is_some() { TimeInForce::Gtc } else { TimeInForce::Ioc },
        }
    }

    fn status(reply: Reply) -> OrderStatus {
        let Reply::Report(report) = reply else { panic!("{reply:?}") };
        report.status
    }

    #[test]
    fn an_order_is_answered_final_and_sending_it_again_says_duplicate() {
        let (venue, _) = venue();
        let mut broker = venue.connect().unwrap();
        let order = request("a-1", Side::Buy, "10", None);
        assert_eq!(status(broker.submit(&order)), OrderStatus::Filled);
        assert_eq!(broker.submit(&order), Reply::Duplicate);
        assert_eq!(status(broker.query(&order.client_order_id)), OrderStatus::Filled);
        assert_eq!(broker.query(&"a-2".parse().unwrap()), Reply::NotFound);
        let account = broker.account().unwrap();
        assert_eq!(account.cash.to_string(), "98199.9");
        assert_eq!(account.holdings[0].quantity.to_string(), "10");
    }

    /// Follows one order, and passes on what is heard of it.
    struct Followed(ClientOrderId, Sender<OrderReport>);

    impl OrderNews for Followed {
        fn in_flight(&self) -> Option<InFlight> {
            Some(InFlight { ids: [self.0.clone()].into(), ..InFlight::default() })
        }

        fn report(&self, report: OrderReport) {
            self.1.send(report).unwrap();
        }
    }

    #[test]
    fn the_fill_of_a_resting_order_is_told_at_once() {
        let (venue, clock) = venue();
        let order = request("a-1", Side::Buy, "10", Some("170"));
        assert_eq!(status(venue.connect().unwrap().submit(&order)), OrderStatus::New);
        let (heard, reports) = crossbeam_channel::unbounded();
        let (followed, stop) = (Followed(order.client_order_id, heard), Stop::default());
        std::thread::scope(|scope| {
            let _stop = stop.at_drop();
            scope.spawn(|| venue.track(&followed, &stop));
            let quote = Quote { at: clock.now(), bid: 169.0, bid_size: 100.0, ask: 169.5, ask_size: 100.0 };
            venue.with(|core| core.set_quote("NVDA".parse().unwrap(), quote));
            let report = reports.iter().find(|report| report.status == OrderStatus::Filled).unwrap();
            assert_eq!(report.average_price.unwrap().to_string(), "169.5");
        });
    }

    #[test]
    fn our_orders_since_an_instant_are_found_oldest_first_whatever_became_of_them() {
        let (venue, clock) = venue();
        let mut broker = venue.connect().unwrap();
        let mut submitted = Vec::new();
        for (id, limit) in [("bot-1", None), ("bot-2", None), ("a-3", None), ("bot-4", Some("170"))] {
            let Reply::Report(report) = broker.submit(&request(id, Side::Buy, "10", limit)) else {
                panic!("{id} must be taken")
            };
            submitted.push(report);
        }
        let since = submitted[1].submitted_at.unwrap();
        assert_eq!(broker.orders_since(since), Ok(vec![submitted[1].clone(), submitted[3].clone()]));
        assert_eq!((&submitted[1].status, &submitted[3].status), (&OrderStatus::Filled, &OrderStatus::New));
        assert_eq!(broker.orders_since(clock.now() + Duration::from_secs(1)), Ok(vec![]));
    }

    #[test]
    fn a_survey_finds_money_orders_prices_and_daily_bars() {
        let (venue, _) = venue();
        let mut broker = venue.connect().unwrap();
        broker.submit(&request("a-1", Side::Buy, "10", Some("170")));
        let broker_snapshot = broker.broker_snapshot(&["NVDA".parse().unwrap()], 30).unwrap();
        assert_eq!(broker_snapshot.open_orders.len(), 1);
        assert_eq!(broker_snapshot.account.buying_power.to_string(), "98300");
        assert_eq!(broker_snapshot.snapshots.len(), 1);
        assert_eq!(broker_snapshot.daily_bars[0].1.len(), 30);
        assert!(broker_snapshot.daily_bars[0].1.is_sorted_by_key(|bar| bar.at));
        assert!(broker_snapshot.session.is_open);
    }

    #[test]
    fn the_market_moves_while_it_is_tracked_and_stops_when_told() {
        let clock = Arc::new(bot_core::clock::SystemClock);
        let mut config = MarketConfig::new("NVDA".parse().unwrap(), "180".parse().unwrap());
        config.hours = Hours::Always;
        let venue = SimulatedVenue::new(&config, clock);
        let nvda = "NVDA".parse().unwrap();
        let first = venue.with(|core| core.latest(nvda));
        let (heard, _reports) = crossbeam_channel::unbounded();
        let (followed, stop) = (Followed("a-1".parse().unwrap(), heard), Stop::default());
        std::thread::scope(|scope| {
            scope.spawn(|| venue.track(&followed, &stop));
            while venue.with(|core| core.latest(nvda)) == first {
                std::thread::yield_now();
            }
            stop.request();
        });
    }
}
