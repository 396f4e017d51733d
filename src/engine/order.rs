//! What a trader asks for, and the check that every order passes before it leaves. Pure.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::symbol::Symbol;

/// An order as a trader issues it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeOrder {
    /// When it was decided.
    pub timestamp: Timestamp,
    /// Which way.
    #[serde(rename = "type")]
    pub direction: TradeDirection,
    /// In what.
    pub symbol: Symbol,
    /// The price that ends the position at a loss, US dollars; below the market for a long, above it for a short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_loss: Option<f64>,
    /// From then on nobody should act on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_at: Option<Timestamp>,
}

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TradeDirection {
    /// Buy into a rise.
    Long,
    /// Sell into a fall.
    Short,
    /// End what is open.
    Close,
}

impl TradeDirection {
    /// As a signal's strength: 1, -1, 0.
    pub fn strength(self) -> f64 {
        match self {
            TradeDirection::Long => 1.0,
            TradeDirection::Short => -1.0,
            TradeDirection::Close => 0.0,
        }
    }
}

impl TradeOrder {
    /// An order without stop loss and without end.
    pub fn new(timestamp: Timestamp, direction: TradeDirection, symbol: Symbol) -> Self {
        Self { timestamp, direction, symbol, stop_loss: None, invalid_at: None }
    }

    /// The same, with a stop loss.
    #[must_use]
    pub fn stop_loss(self, price: f64) -> Self {
        Self { stop_loss: Some(price), ..self }
    }

    /// The same, invalid from `at` on.
    #[must_use]
    pub fn invalid_at(self, at: Timestamp) -> Self {
        Self { invalid_at: Some(at), ..self }
    }

    /// Whether the trader of `symbol` may issue this at `now`, with the market at `price`.
    ///
    /// # Errors
    /// The first rule that it breaks; such an order is reported and never leaves.
    pub fn check(&self, symbol: Symbol, now: Timestamp, price: f64) -> Result<(), OrderFault> {
        if self.symbol != symbol {
            return Err(OrderFault::Symbol { own: symbol, was: self.symbol });
        }
        if let Some(stop) = self.stop_loss {
            let right = match self.direction {
                TradeDirection::Long => stop > 0.0 && stop < price,
                TradeDirection::Short => stop > price && stop.is_finite(),
                TradeDirection::Close => return Err(OrderFault::StopOfClose(stop)),
            };
            if !right {
                let side = if self.direction == TradeDirection::Long { "below" } else { "above" };
                return Err(OrderFault::StopLoss { side, price, was: stop });
            }
        }
        if let Some(end) = self.invalid_at {
            if end <= self.timestamp {
                return Err(OrderFault::InvalidAt { what: "its timestamp", limit: self.timestamp, was: end });
            }
            if end <= now {
                return Err(OrderFault::InvalidAt { what: "now", limit: now, was: end });
            }
        }
        Ok(())
    }
}

/// Why an order may not leave.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum OrderFault {
    /// It is for another trader's symbol.
    #[error("order symbol must be its trader's, {own}, was {was}")]
    Symbol {
        /// The trader's.
        own: Symbol,
        /// The order's.
        was: Symbol,
    },
    /// It would stop at once, or never.
    #[error("stop loss must be {side} the price {price}, was {was}")]
    StopLoss {
        /// "below" or "above".
        side: &'static str,
        /// The last price.
        price: f64,
        /// The order's.
        was: f64,
    },
    /// Nothing is left to stop.
    #[error("stop loss must be absent from a close order, was {0}")]
    StopOfClose(f64),
    /// Nobody could act on it.
    #[error("invalid_at must be after {what}, {limit}, was {was}")]
    InvalidAt {
        /// What it must be after.
        what: &'static str,
        /// That instant.
        limit: Timestamp,
        /// The order's.
        was: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(order: &str, expected: &str) {
        let order: TradeOrder = serde_json::from_str(order).unwrap();
        let now = Timestamp::parse_rfc3339("2018-08-15T12:12:13Z").unwrap();
        let answer = order.check("TEST".parse().unwrap(), now, 1.5);
        assert_eq!(answer.map_or_else(|fault| fault.to_string(), |()| "leaves".into()), expected);
    }

    #[test]
    fn an_order_is_checked_before_it_leaves() {
        let order = |kind: &str, rest: &str| {
            format!(r#"{{"timestamp":"2018-08-15T12:12:12Z","type":"{kind}","symbol":"TEST"{rest}}}"#)
        };
        for kind in ["long", "short", "close"] {
            check(&order(kind, ""), "leaves");
            check(&order(kind, r#","invalid_at":"2018-08-15T12:12:14Z""#), "leaves");
        }
        check(&order("long", r#","stop_loss":1.4"#), "leaves");
        check(&order("short", r#","stop_loss":1.6"#), "leaves");
        check(&order("long", r#","stop_loss":1.5"#), "stop loss must be below the price 1.5, was 1.5");
        check(&order("long", r#","stop_loss":-1"#), "stop loss must be below the price 1.5, was -1");
        check(&order("short", r#","stop_loss":1.4"#), "stop loss must be above the price 1.5, was 1.4");
        check(&order("close", r#","stop_loss":1.4"#), "stop loss must be absent from a close order, was 1.4");
        check(
            &order("long", r#","invalid_at":"2018-08-15T12:12:12Z""#),
            "invalid_at must be after its timestamp, 2018-08-15T12:12:12Z, was 2018-08-15T12:12:12Z",
        );
        check(
            &order("long", r#","invalid_at":"2018-08-15T12:12:13Z""#),
            "invalid_at must be after now, 2018-08-15T12:12:13Z, was 2018-08-15T12:12:13Z",
        );
        check(
            &order("long", "").replace("TEST", "OTHER"),
            "order symbol must be its trader's, TEST, was OTHER",
        );
    }

    #[test]
    fn a_stop_loss_that_is_no_number_never_leaves() {
        let symbol = "TEST".parse().unwrap();
        let now = Timestamp::from_secs(1);
        for direction in [TradeDirection::Long, TradeDirection::Short] {
            for stop in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let order = TradeOrder::new(now, direction, symbol).stop_loss(stop);
                assert!(order.check(symbol, now, 1.5).is_err(), "{direction:?} {stop}");
            }
        }
    }
}
