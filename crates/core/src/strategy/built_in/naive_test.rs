//! A fixed play that tries orders out: a small buy, two orders far from the market, and all of them cancelled.

use rust_decimal::Decimal;

use crate::market::MarketEvent;
use crate::order::{OrderType, Side, TimeInForce};
use crate::sizing::SizeRule;
use crate::strategy::{
    Intent, Intents, Kind, Param, ParamFault, Strategy, StrategyError, View, usable_price,
};
use crate::symbol::Symbol;
use crate::units::{Price, Quantity};

/// The ticks on which it acts.
const BUY_AT: u64 = 5;
const LIMIT_AT: [u64; 2] = [10, 12];
const CANCEL_AT: u64 = 20;

pub(super) fn kind() -> Kind {
    Kind::new(
        "naive_test",
        "Tries orders out: a market buy at tick 5, buys far below the market at ticks 10 and 12, cancels all at tick 20.",
        vec![
            Param::number("quantity", 0.12, 0.000_001, 1_000_000.0, "Shares of each order."),
            Param::number("far", 0.5, 0.01, 0.99, "The limit price as a fraction of the price seen."),
        ],
        |params, _| {
            let quantity = params.number("quantity")?;
            let quantity = Quantity::from_f64(quantity).ok_or_else(|| {
                ParamFault::new("quantity", format!("must be a number of shares, was \"{quantity}\""))
            })?;
            Ok(Box::new(NaiveTest { quantity, far: params.number("far")?, tick: 0 }))
        },
    )
    .needs_standing_orders()
}

struct NaiveTest {
    quantity: Quantity,
    far: f64,
    tick: u64,
}

impl NaiveTest {
    fn buy(&self, symbol: Symbol, order_type: OrderType) -> Intent {
        // Until the close: a part of a share cannot rest longer.
        let (side, time_in_force) = (Side::Buy, TimeInForce::Day);
        let rule = SizeRule::Shares(self.quantity);
        Intent::Order { symbol, side, size: rule, order_type, time_in_force, tag: None }
    }
}

impl Strategy for NaiveTest {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let Some(price) = usable_price(event) else { return Ok(()) };
        self.tick += 1;
        if self.tick == BUY_AT {
            intents.push(self.buy(event.symbol(), OrderType::Market));
        } else if LIMIT_AT.contains(&self.tick) {
            let limit = Price::from_f64(price * self.far)
                .map(|limit| limit.get().round_dp(if limit.get() >= Decimal::ONE { 2 } else { 4 }))
                .and_then(Price::new)
                .map_err(StrategyError::failed)?;
            intents.push(self.buy(event.symbol(), OrderType::Limit(limit)));
        } else if self.tick == CANCEL_AT {
            intents.push(Intent::CancelAll);
        }
        Ok(())
    }
}
