//! The way of an engine's orders into the pool: each becomes one entry of the signal stream, with an id made of the
//! forwarder's name and the order's symbol, time and direction. The same order is the same signal, however often it is
//! sent and by whichever process, so the pool makes at most one order of it.
//!
//! With a number of shares a signal says what is to be held: `long` so many shares, `short` so many below zero (which needs
//! `[risk] short = true`), `close` none. So an order that repeats what is held already, before or after a restart, changes
//! nothing. Without a number the pool sizes them: `long` buys up to the symbol's weight, `short` and `close` sell what is
//! held. An `invalid_at` becomes the signal's `ttl_ms`. An order with a stop loss is refused: the pool's orders end at once
//! and none rests that could stop anything; a trader that wants one watches the price itself and issues `close`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::{TradeDirection, TradeOrder};
use crate::clock::Clock;
use crate::order::{Side, TimeInForce};
use crate::signal::{EntryId, Signal, Strength, Wanted};
use crate::strategy_threads::signal_sender::{SignalSender, post};
use crate::units::Quantity;

/// Sends the orders of traders; its clones share one connection.
#[derive(Clone)]
pub struct OrderForwarder(Arc<Mutex<ForwarderState>>);

struct ForwarderState {
    name: Arc<str>,
    shares: Option<Quantity>,
    clock: Arc<dyn Clock>,
    sender: SignalSender,
}

/// Why an order did not become a signal.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum OrderForwardError {
    /// Nobody would keep it.
    #[error("order for the pool must be without stop loss, was {0}")]
    StopLoss(f64),
    /// Nobody may act on it any more.
    #[error("order must be sent before its invalid_at, was {0}")]
    Expired(crate::clock::Timestamp),
    /// It is not known to be on the stream; sent again it is the same signal.
    #[error("order was not sent: {0}")]
    Unsent(String),
}

impl OrderForwarder {
    /// Sends by `outbox`; `name` is the strategy that the signals speak for, the same in every run. Without `shares`
    /// the pool sizes.
    pub fn new(name: &str, shares: Option<Quantity>, clock: Arc<dyn Clock>, sender: SignalSender) -> Self {
        Self(Arc::new(Mutex::new(ForwarderState { name: name.into(), shares, clock, sender })))
    }

    /// Sends an order.
    ///
    /// # Errors
    /// It has a stop loss, it is no longer valid, or the stream cannot be reached.
    pub fn send(&self, order: &TradeOrder) -> Result<EntryId, OrderForwardError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).send(order)
    }

    /// A callback for a [`TraderSetup`](super::TraderSetup): sends each order and logs those that were not sent.
    pub fn callback(&self) -> impl FnMut(TradeOrder) + Send + 'static + use<> {
        let forwarder = self.clone();
        move |order| {
            if let Err(error) = forwarder.send(&order) {
                tracing::error!(symbol = %order.symbol, direction = ?order.direction, %error, "a trader's order is not traded");
            }
        }
    }
}

impl fmt::Debug for OrderForwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderForwarder").finish_non_exhaustive()
    }
}

impl ForwarderState {
    fn send(&mut self, order: &TradeOrder) -> Result<EntryId, OrderForwardError> {
        if let Some(stop) = order.stop_loss {
            return Err(OrderForwardError::StopLoss(stop));
        }
        let now = self.clock.now();
        let time_to_live = match order.invalid_at {
            None => None,
            Some(end) => match end.since(now).as_millis() {
                0 => return Err(OrderForwardError::Expired(end)),
                millis => Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))),
            },
        };
        let TradeOrder { timestamp, direction, symbol, .. } = *order;
        let (word, side, target) = match direction {
            TradeDirection::Long => ("long", Side::Buy, self.shares),
            TradeDirection::Short => ("short", Side::Sell, self.shares.map(|shares| -shares)),
            TradeDirection::Close => ("close", Side::Sell, self.shares.map(|_| Quantity::ZERO)),
        };
        let id: Arc<str> = format!("{}-{symbol}-{}-{word}", self.name, timestamp.nanos()).into();
        let signal = Signal {
            id: EntryId::shared(Arc::clone(&id)), // The stream gives it another one.
            producer_id: Some(id),
            symbol,
            wanted: target.map_or_else(
                || Wanted::Order { side, quantity: None, strength: Strength::new(direction.strength()).ok() },
                Wanted::Target,
            ),
            limit: None,
            time_in_force: TimeInForce::Ioc,
            strategy: Arc::clone(&self.name),
            tag: None,
            is_own: false,
            time_to_live,
            sent_at: now,
            step: None,
            redelivered: false,
        };
        post(&mut self.sender, &signal.fields(), &*self.clock).map_err(OrderForwardError::Unsent)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::signal::OWN;

    type Told = Arc<Mutex<Vec<String>>>;

    /// A forwarder whose entries are told as `direction strength target id ttl_ms`.
    fn forwarder(shares: Option<i64>) -> (OrderForwarder, Told) {
        let told = Told::default();
        let to = Arc::clone(&told);
        let sender: SignalSender = Box::new(move |fields| {
            let of = |name| fields.iter().find(|(field, _)| *field == name).map_or("-", |(_, value)| *value);
            let names = ["direction", "strength", "target", "id", "ttl_ms"];
            assert_eq!((of("strategy"), of("qty"), of(OWN)), ("walnut", "-", "-"));
            to.lock().unwrap().push(names.map(of).join(" "));
            Ok(EntryId::new("1-0"))
        });
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(100)));
        (
            OrderForwarder::new("walnut", shares.map(|shares| Quantity::new(shares.into())), clock, sender),
            told,
        )
    }

    fn order(nanos: i64, direction: TradeDirection) -> TradeOrder {
        TradeOrder::new(Timestamp::from_nanos(nanos), direction, "F".parse().unwrap())
    }

    #[track_caller]
    fn check(shares: Option<i64>, directions: &[TradeDirection], expected: &[&str]) {
        let (forwarder, told) = forwarder(shares);
        for (nanos, direction) in (1..).zip(directions) {
            forwarder.send(&order(nanos, *direction)).unwrap();
        }
        assert_eq!(*told.lock().unwrap(), expected);
    }

    #[test]
    fn an_order_becomes_a_signal_and_with_shares_one_that_says_what_is_to_be_held() {
        use TradeDirection::{Close, Long, Short};
        check(
            None,
            &[Long, Close, Short],
            &["b 1 - walnut-F-1-long -", "s 0 - walnut-F-2-close -", "s -1 - walnut-F-3-short -"],
        );
        check(
            Some(5),
            &[Close, Long, Long, Short, Close],
            &[
                "- - 0 walnut-F-1-close -",
                "- - 5 walnut-F-2-long -",
                "- - 5 walnut-F-3-long -",
                "- - -5 walnut-F-4-short -",
                "- - 0 walnut-F-5-close -",
            ],
        );
    }

    #[test]
    fn the_same_order_is_the_same_signal_sent_twice_and_after_a_restart() {
        let orders = [order(1, TradeDirection::Long), order(2, TradeDirection::Close)];
        let sent = || {
            let (forwarder, told) = forwarder(Some(5));
            for again in orders.iter().flat_map(|order| [order, order]) {
                forwarder.send(again).unwrap();
            }
            told.lock().unwrap().clone()
        };
        let told = sent();
        assert_eq!((&told[0], &told[2]), (&told[1], &told[3]));
        assert_eq!(sent(), told);
    }

    #[test]
    fn a_close_after_a_restart_closes_what_was_opened_before() {
        let (forwarder, told) = forwarder(Some(5));
        forwarder.send(&order(2, TradeDirection::Close)).unwrap();
        assert_eq!(*told.lock().unwrap(), ["- - 0 walnut-F-2-close -"]);
    }

    #[test]
    fn an_orders_end_is_kept_and_a_stop_loss_is_refused() {
        let (forwarder, told) = forwarder(None);
        let long = order(1, TradeDirection::Long);
        forwarder.send(&long.invalid_at(Timestamp::from_secs(100) + Duration::from_millis(1_500))).unwrap();
        assert_eq!(told.lock().unwrap()[0], "b 1 - walnut-F-1-long 1500");
        for (refused, says) in [
            (long.invalid_at(Timestamp::from_secs(100)), "order must be sent before its invalid_at"),
            (long.stop_loss(9.5), "order for the pool must be without stop loss, was 9.5"),
        ] {
            let error = forwarder.send(&refused).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
        assert_eq!(told.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_order_that_was_not_sent_is_told_and_sent_again_it_is_the_same() {
        let mut failures = 3;
        let ids = Told::default();
        let to = Arc::clone(&ids);
        let sender: SignalSender = Box::new(move |fields| {
            to.lock().unwrap().push(fields.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" "));
            failures -= 1;
            if failures >= 0 { Err("no connection".to_owned()) } else { Ok(EntryId::new("1-0")) }
        });
        let clock = Arc::new(ManualClock::default());
        let forwarder =
            OrderForwarder::new("walnut", Some(Quantity::new(5.into())), Arc::clone(&clock) as _, sender);
        let long = order(1, TradeDirection::Long);
        let first = std::thread::scope(|scope| {
            let sending = scope.spawn(|| forwarder.send(&long));
            while !sending.is_finished() {
                clock.next_alarm().map_or_else(std::thread::yield_now, |pause| clock.set(pause));
            }
            sending.join().unwrap()
        });
        assert_eq!(first, Err(OrderForwardError::Unsent("no connection".to_owned())));
        assert_eq!(forwarder.send(&long), Ok(EntryId::new("1-0")));
        let ids = ids.lock().unwrap();
        assert!(ids.len() == 4 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
