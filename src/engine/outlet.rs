//! The way of an engine's orders into the pool: each becomes one entry of the signal stream, with an id made of the
//! outlet's name and the order's symbol, time and direction. The same order is the same signal, however often it is
//! sent and by whichever process, so the pool makes at most one order of it.
//!
//! Without a number of shares the pool sizes them: `long` buys up to the symbol's weight, `short` and `close` sell what
//! is held. With one, `long` buys and `short` sells so many shares, each time, and `close` takes back what was sent
//! since the last one, by this process; going below zero needs `[risk] short = true`. An `invalid_at` becomes the
//! signal's `ttl_ms`. An order with a stop loss is refused: the pool's orders end at once and none rests that could stop
//! anything; a trader that wants one watches the price itself and issues `close`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::{TradeDirection, TradeOrder};
use crate::clock::Clock;
use crate::host::outbox::{Outbox, post};
use crate::order::Side;
use crate::signal::EntryId;
use crate::symbol::Symbol;
use crate::units::Quantity;

/// Sends the orders of traders; its clones share one connection and one count of shares.
#[derive(Clone)]
pub struct Outlet(Arc<Mutex<Inner>>);

struct Inner {
    name: String,
    shares: Option<Quantity>,
    clock: Arc<dyn Clock>,
    outbox: Outbox,
    sent: HashMap<Symbol, Sent>,
}

/// What was sent for one symbol.
#[derive(Clone, Copy)]
struct Sent {
    /// The last order and what it asked for: sent again, it asks for the same.
    last: (TradeOrder, Side, Option<Quantity>),
    /// Signed shares since the last close.
    net: Quantity,
}

/// Why an order did not become a signal.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum OutletError {
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

impl Outlet {
    /// Sends by `outbox`; `name` is the strategy that the signals speak for, the same in every run. Without `shares`
    /// the pool sizes.
    pub fn new(name: &str, shares: Option<Quantity>, clock: Arc<dyn Clock>, outbox: Outbox) -> Self {
        let (name, sent) = (name.to_owned(), HashMap::new());
        Self(Arc::new(Mutex::new(Inner { name, shares, clock, outbox, sent })))
    }

    /// Sends an order; none when it closes what is not open.
    ///
    /// # Errors
    /// It has a stop loss, it is no longer valid, or the stream cannot be reached.
    pub fn send(&self, order: &TradeOrder) -> Result<Option<EntryId>, OutletError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).send(order)
    }

    /// A callback for a [`TraderSetup`](super::TraderSetup): sends each order and logs those that were not sent.
    pub fn callback(&self) -> impl FnMut(TradeOrder) + Send + 'static + use<> {
        let outlet = self.clone();
        move |order| {
            if let Err(error) = outlet.send(&order) {
                tracing::error!(symbol = %order.symbol, direction = ?order.direction, %error, "a trader's order is not traded");
            }
        }
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

impl Inner {
    fn send(&mut self, order: &TradeOrder) -> Result<Option<EntryId>, OutletError> {
        if let Some(stop) = order.stop_loss {
            return Err(OutletError::StopLoss(stop));
        }
        let time_to_live = match order.invalid_at {
            None => None,
            Some(end) => match end.since(self.clock.now()).as_millis() {
                0 => return Err(OutletError::Expired(end)),
                millis => Some(millis),
            },
        };
        let Some(sent) = self.plan(order) else { return Ok(None) };
        let (_, side, shares) = sent.last;
        let TradeOrder { timestamp, direction, symbol, .. } = *order;
        let word = match direction {
            TradeDirection::Long => "long",
            TradeDirection::Short => "short",
            TradeDirection::Close => "close",
        };
        let mut fields = vec![
            ("ticker", symbol.to_string()),
            ("direction", side.as_str()[..1].to_owned()),
            ("strength", direction.strength().to_string()),
            ("id", format!("{}-{symbol}-{}-{word}", self.name, timestamp.nanos())),
            ("strategy", self.name.clone()),
        ];
        fields.extend(shares.map(|shares| ("qty", shares.to_string())));
        fields.extend(time_to_live.map(|millis| ("ttl_ms", millis.to_string())));
        // Counted also when it is not known to be there: it may be.
        self.sent.insert(symbol, sent);
        post(&mut self.outbox, &fields).map(Some).map_err(OutletError::Unsent)
    }

    /// What is sent after this order was; none when it asks for nothing.
    fn plan(&self, order: &TradeOrder) -> Option<Sent> {
        let before = self.sent.get(&order.symbol).copied();
        if let Some(same) = before.filter(|before| before.last.0 == *order) {
            return Some(same);
        }
        let net = before.map_or(Quantity::ZERO, |before| before.net);
        let side = match order.direction {
            TradeDirection::Long => Side::Buy,
            TradeDirection::Close if net < Quantity::ZERO => Side::Buy,
            TradeDirection::Short | TradeDirection::Close => Side::Sell,
        };
        let Some(shares) = self.shares else { return Some(Sent { last: (*order, side, None), net }) };
        let shares = if order.direction == TradeDirection::Close { net.abs() } else { shares };
        let net = if side == Side::Buy { net + shares } else { net - shares };
        shares.is_positive().then_some(Sent { last: (*order, side, Some(shares)), net })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    type Told = Arc<Mutex<Vec<String>>>;

    /// An outlet whose entries are told as `direction qty strength id ttl_ms`.
    fn outlet(shares: Option<i64>) -> (Outlet, Told) {
        let told = Told::default();
        let to = Arc::clone(&told);
        let outbox: Outbox = Box::new(move |fields| {
            let of = |name| fields.iter().find(|(field, _)| *field == name).map_or("-", |(_, value)| *value);
            let names = ["direction", "qty", "strength", "id", "ttl_ms"];
            to.lock().unwrap().push(names.map(of).join(" "));
            Ok(EntryId::new("1-0"))
        });
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(100)));
        (Outlet::new("walnut", shares.map(|shares| Quantity::new(shares.into())), clock, outbox), told)
    }

    fn order(nanos: i64, direction: TradeDirection) -> TradeOrder {
        TradeOrder::new(Timestamp::from_nanos(nanos), direction, "F".parse().unwrap())
    }

    #[track_caller]
    fn check(shares: Option<i64>, directions: &[TradeDirection], expected: &[&str]) {
        let (outlet, told) = outlet(shares);
        for (nanos, direction) in (1..).zip(directions) {
            outlet.send(&order(nanos, *direction)).unwrap();
        }
        assert_eq!(*told.lock().unwrap(), expected);
    }

    #[test]
    fn an_order_becomes_a_signal() {
        use TradeDirection::{Close, Long, Short};
        check(
            None,
            &[Long, Close, Short],
            &["b - 1 walnut-F-1-long -", "s - 0 walnut-F-2-close -", "s - -1 walnut-F-3-short -"],
        );
        check(
            Some(5),
            &[Close, Long, Long, Close, Close, Short, Close],
            &[
                "b 5 1 walnut-F-2-long -",
                "b 5 1 walnut-F-3-long -",
                "s 10 0 walnut-F-4-close -",
                "s 5 -1 walnut-F-6-short -",
                "b 5 0 walnut-F-7-close -",
            ],
        );
    }

    #[test]
    fn the_same_order_is_the_same_signal_however_often_it_is_sent() {
        let (outlet, told) = outlet(Some(5));
        let orders = [order(1, TradeDirection::Long), order(2, TradeDirection::Close)];
        for again in orders.iter().flat_map(|order| [order, order]) {
            outlet.send(again).unwrap();
        }
        let told = told.lock().unwrap();
        assert_eq!((&told[0], &told[2]), (&told[1], &told[3]));
        assert_eq!(told[2], "s 5 0 walnut-F-2-close -");
    }

    #[test]
    fn an_orders_end_is_kept_and_a_stop_loss_is_refused() {
        let (outlet, told) = outlet(None);
        let long = order(1, TradeDirection::Long);
        outlet.send(&long.invalid_at(Timestamp::from_secs(100) + Duration::from_millis(1_500))).unwrap();
        assert_eq!(told.lock().unwrap()[0], "b - 1 walnut-F-1-long 1500");
        for (refused, says) in [
            (long.invalid_at(Timestamp::from_secs(100)), "order must be sent before its invalid_at"),
            (long.stop_loss(9.5), "order for the pool must be without stop loss, was 9.5"),
        ] {
            let error = outlet.send(&refused).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
        assert_eq!(told.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_order_that_was_not_sent_is_told_and_sent_again_it_is_the_same() {
        let mut failures = 3;
        let ids = Told::default();
        let to = Arc::clone(&ids);
        let outbox: Outbox = Box::new(move |fields| {
            to.lock().unwrap().push(fields.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" "));
            failures -= 1;
            if failures >= 0 { Err("no connection".to_owned()) } else { Ok(EntryId::new("1-0")) }
        });
        let outlet =
            Outlet::new("walnut", Some(Quantity::new(5.into())), Arc::new(ManualClock::default()), outbox);
        let long = order(1, TradeDirection::Long);
        assert_eq!(outlet.send(&long), Err(OutletError::Unsent("no connection".to_owned())));
        assert!(outlet.send(&long).unwrap().is_some());
        let ids = ids.lock().unwrap();
        assert!(ids.len() == 4 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
