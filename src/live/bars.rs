//! Minute bars that no stream told: after a pause of the stream, and always where there is none.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::LiveRun;
use crate::broker::{MarketData, Venue};
use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::series::MINUTE;
use crate::symbol::Symbol;

/// The symbols whose minute bars strategies live on, and until when each is known.
pub(super) struct BarGaps {
    known_until: Mutex<Vec<(Symbol, Timestamp)>>,
    connected: (Sender<()>, Receiver<()>),
}

/// How long after its end a minute's bar is asked for: by then the broker has it.
const AFTER_THE_MINUTE: Duration = Duration::from_secs(2);

impl BarGaps {
    /// Bars of `symbols` are known that were over before `warmed_at`: those that ended while the strategies were warmed are
    /// still to come.
    pub(super) fn new(symbols: impl IntoIterator<Item = Symbol>, warmed_at: Timestamp) -> Self {
        let known = warmed_at - Duration::from_nanos(1);
        let mut known_until: Vec<(Symbol, Timestamp)> = Vec::new();
        for symbol in symbols {
            if known_until.iter().all(|(known, _)| *known != symbol) {
                known_until.push((symbol, known));
            }
        }
        Self { known_until: Mutex::new(known_until), connected: bounded(1) }
    }

    /// Whether nobody lives on minute bars.
    pub(super) fn is_empty(&self) -> bool {
        self.known_until().is_empty()
    }

    /// The stream tells bars from now on: what came before is asked for once.
    pub(super) fn connected(&self) {
        let _ = self.connected.0.try_send(()); // Full means that it is asked for already.
    }

    /// The stream told a bar.
    pub(super) fn note(&self, event: &MarketEvent) {
        if let MarketEvent::Bar { symbol, .. } = event {
            self.set(*symbol, event.known_at());
        }
    }

    /// Publishes the bars of each minute that no stream told, until the sender of `stop` is dropped.
    pub(super) fn fill<V: Venue>(
        &self,
        live: &LiveRun<'_, V>,
        broker: &mut V::Broker,
        stop: &Receiver<Infallible>,
    ) {
        loop {
            let now = live.clock.now();
            let into = now.nanos().rem_euclid(60_000_000_000);
            let minute = Timestamp::from_nanos(now.nanos() - into) + MINUTE;
            let alarm = live.clock.alarm(minute + AFTER_THE_MINUTE);
            let is_asked = select! {
                recv(stop) -> _ => return,
                recv(self.connected.1) -> _ => true,
                recv(*alarm) -> _ => false,
            };
            if is_asked || !live.stream_is_up.load(Ordering::Relaxed) {
                self.read(live, broker);
            }
        }
    }

    fn read<V: Venue>(&self, live: &LiveRun<'_, V>, broker: &mut V::Broker) {
        let gaps = self.known_until().clone();
        for (symbol, from) in gaps {
            let now = live.clock.now();
            match broker.minute_bars(symbol, from + Duration::from_nanos(1), now) {
                Ok(bars) => {
                    for bar in bars {
                        let event = MarketEvent::Bar { symbol, bar, span: MINUTE };
                        self.note(&event);
                        live.config.feed.publish(event);
                    }
                }
                // The next minute asks for them again.
                Err(error) => {
                    tracing::warn!(%symbol, %error, "minute bars cannot be read; they are asked for again");
                }
            }
        }
    }

    fn set(&self, symbol: Symbol, at: Timestamp) {
        for (known, until) in &mut *self.known_until() {
            if *known == symbol {
                *until = at.max(*until);
            }
        }
    }

    fn known_until(&self) -> MutexGuard<'_, Vec<(Symbol, Timestamp)>> {
        self.known_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
