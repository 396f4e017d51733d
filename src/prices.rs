//! The price cache and the poller that fills it: one request a cycle, the lock held for a swap only.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::broker::{BrokerError, MarketData};
use crate::clock::{Clock, Timestamp, recv_before};
use crate::market::{MarketEvent, SessionClock, Snapshot};
use crate::symbol::Symbol;

/// The latest prices and session clock, shared by all workers.
#[derive(Debug, Default)]
pub struct PriceCache {
    /// With a number that grows with each change.
    snapshots: RwLock<(u64, Arc<HashMap<Symbol, Snapshot>>)>,
    session: RwLock<SessionClock>,
    health: Mutex<Health>,
}

/// How the polling goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Cycles that brought prices.
    pub cycles: u64,
    /// Cycles that failed.
    pub failures: u64,
    /// The last failure, while it lasts.
    pub failing: Option<String>,
}

impl PriceCache {
    /// A cache that starts with what start-up read.
    pub fn new(snapshots: impl IntoIterator<Item = Snapshot>, session: SessionClock) -> Self {
        let by_symbol = snapshots.into_iter().map(|snapshot| (snapshot.symbol, snapshot)).collect();
        Self {
            snapshots: RwLock::new((1, Arc::new(by_symbol))),
            session: RwLock::new(session),
            health: Mutex::default(),
        }
    }

    /// Starts over with what start-up read.
    pub fn begin(&self, snapshots: Vec<Snapshot>, session: SessionClock) {
        self.put(snapshots);
        self.put_session(session);
    }

    /// All latest prices; the lock is released before they are looked at.
    pub fn snapshots(&self) -> Arc<HashMap<Symbol, Snapshot>> {
        self.latest().1
    }

    /// The same with the number of their last change.
    pub fn latest(&self) -> (u64, Arc<HashMap<Symbol, Snapshot>>) {
        let latest = self.snapshots.read().unwrap_or_else(PoisonError::into_inner);
        (latest.0, Arc::clone(&latest.1))
    }

    /// The broker's session clock, as last read.
    pub fn session(&self) -> SessionClock {
        *self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the polling goes.
    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts new prices in; a symbol without new ones keeps its old ones, whose age tells.
    pub fn put(&self, snapshots: Vec<Snapshot>) {
        let mut merged = HashMap::clone(&self.snapshots());
        merged.extend(snapshots.into_iter().map(|snapshot| (snapshot.symbol, snapshot)));
        let merged = Arc::new(merged);
        let mut latest = self.snapshots.write().unwrap_or_else(PoisonError::into_inner);
        *latest = (latest.0 + 1, merged);
    }

    fn put_session(&self, session: SessionClock) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn note(&self, result: Result<(), &BrokerError>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                health.cycles += 1;
                if health.failing.take().is_some() {
                    tracing::info!("prices are read again");
                }
            }
            Err(error) => {
                health.failures += 1;
                if health.failing.replace(error.to_string()).is_none() {
                    tracing::warn!(%error, "prices cannot be read; nothing is traded on old ones");
                }
            }
        }
    }
}

const SESSION_EVERY: Duration = Duration::from_mins(1);

/// Polls every `interval` until `stop` is dropped. A cycle that takes longer delays the next one; cycles never overlap.
/// Each quote and trade that is newer than the one before it is told to `hear`.
pub fn poll(
    broker: &mut impl MarketData,
    cache: &PriceCache,
    symbols: &[Symbol],
    interval: Duration,
    clock: &dyn Clock,
    stop: &Receiver<Infallible>,
    hear: &mut dyn FnMut(MarketEvent),
) {
    let mut next = clock.now() + interval;
    let mut session_at = clock.now() + SESSION_EVERY;
    let mut alarm = clock.alarm(next);
    while let Err(RecvTimeoutError::Timeout) = recv_before(&alarm, stop) {
        match broker.snapshots(symbols) {
            Ok(snapshots) => {
                fresh(&cache.snapshots(), &snapshots).for_each(&mut *hear);
                cache.put(snapshots);
                cache.note(Ok(()));
            }
            Err(error) => cache.note(Err(&error)),
        }
        if session_is_due(cache.session(), session_at, clock.now()) {
            // A failure leaves the old clock, which knows its own boundaries; the next cycle tries again.
            if let Ok(session) = broker.session() {
                cache.put_session(session);
                session_at = clock.now() + SESSION_EVERY;
            }
        }
        let now = clock.now();
        // A clock that was set back must not put a cycle off for long.
        next = (next + interval).clamp(now, now + interval);
        alarm = clock.alarm(next);
    }
}

/// What a cycle brought that was not known before it, by the quotes' and trades' own times.
fn fresh<'a>(
    before: &'a HashMap<Symbol, Snapshot>,
    read: &'a [Snapshot],
) -> impl Iterator<Item = MarketEvent> + 'a {
    read.iter().flat_map(|&Snapshot { symbol, quote, trade, .. }| {
        let known = before.get(&symbol);
        let quoted = known.and_then(|known| known.quote).map(|quote| quote.at);
        let traded = known.and_then(|known| known.trade).map(|trade| trade.at);
        let quote = quote.filter(|quote| quoted.is_none_or(|known| quote.at > known));
        let trade = trade.filter(|trade| traded.is_none_or(|known| trade.at > known));
        let quote = quote.map(|quote| MarketEvent::Quote { symbol, quote });
        quote.into_iter().chain(trade.map(|trade| MarketEvent::Trade { symbol, trade }))
    })
}

fn session_is_due(session: SessionClock, due: Timestamp, now: Timestamp) -> bool {
    let boundary = if session.is_open { session.next_close } else { session.next_open };
    now >= due || due.since(now) > SESSION_EVERY || now >= boundary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Venue;
    use crate::clock::ManualClock;
    use crate::market::{Quote, Trade};
    use crate::units::Price;
    use bot_simulated::{MarketConfig, SimulatedVenue};

    #[test]
    fn a_clock_that_is_set_back_does_not_put_the_prices_off() {
        let nvda: Symbol = "NVDA".parse().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let market = MarketConfig::new(nvda, Price::whole(100));
        let venue = SimulatedVenue::new(&market, Arc::clone(&clock) as Arc<dyn Clock>);
        let mut broker = venue.connect().unwrap();
        let cache = PriceCache::new([], broker.session().unwrap());
        let (stop, stopped) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let interval = Duration::from_millis(5);
                poll(&mut broker, &cache, &[nvda], interval, &*clock, &stopped, &mut |_| {});
            });
            let cycles = |more: u64| {
                let enough = cache.health().cycles + more;
                while cache.health().cycles < enough {
                    clock.advance(Duration::from_millis(1));
                    std::thread::yield_now();
                }
            };
            cycles(2);
            clock.set(clock.now() - Duration::from_hours(1));
            cycles(2);
            drop(stop);
        });
    }

    #[test]
    fn only_what_is_newer_by_its_own_time_is_told() {
        let at = Timestamp::from_secs;
        let snapshot = |symbol: &str, quoted: i64, traded: Option<i64>| Snapshot {
            symbol: symbol.parse().unwrap(),
            quote: Some(Quote { at: at(quoted), bid: 1.0, bid_size: 1.0, ask: 2.0, ask_size: 1.0 }),
            trade: traded.map(|traded| Trade { at: at(traded), price: 1.0, size: 1.0 }),
            read_at: at(99),
        };
        let session = SessionClock { is_open: true, next_open: at(0), next_close: at(0) };
        let cache = PriceCache::new([snapshot("A", 5, Some(5)), snapshot("B", 5, None)], session);
        let read = [snapshot("A", 5, Some(6)), snapshot("B", 6, Some(1)), snapshot("C", 1, None)];
        let told: Vec<_> = fresh(&cache.snapshots(), &read)
            .map(|event| format!("{} {:?}", event.symbol(), event.known_at().millis() / 1_000))
            .collect();
        assert_eq!(told, ["A 6", "B 6", "B 1", "C 1"]);
        cache.put(read.to_vec());
        assert_eq!(fresh(&cache.snapshots(), &read).count(), 0);
    }
}
