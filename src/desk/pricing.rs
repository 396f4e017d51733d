//! What an order costs at the most: market orders, limits through the quote, and a signal's own limit.

use rust_decimal::{Decimal, RoundingStrategy};

use super::Desk;
use crate::order::{OrderType, Side};
use crate::risk::{FirmQuote, Refusal};
use crate::signal::Signal;
use crate::units::{BasisPoints, Price};

/// How an order's price is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pricing {
    /// A market order.
    #[default]
    Market,
    /// A limit order this far through the quote: above the ask for a buy, below the bid for a sell.
    Marketable(BasisPoints),
}

impl Desk {
    /// A signal's own limit wins. Limits are rounded to the tick on the safe side: a buy down, a sell up.
    pub(super) fn price(&self, signal: &Signal, side: Side, quote: FirmQuote) -> Result<OrderType, Refusal> {
        let limit = match (signal.limit, self.rules.pricing) {
            (Some(limit), _) => limit.get(),
            (None, Pricing::Market) => return Ok(OrderType::Market),
            (None, Pricing::Marketable(through)) => match side {
                Side::Buy => quote.ask.get().saturating_mul(Decimal::ONE + through.fraction()),
                Side::Sell => quote.bid.get().saturating_mul(Decimal::ONE - through.fraction()),
            },
        };
        let strategy = match side {
            Side::Buy => RoundingStrategy::ToNegativeInfinity,
            Side::Sell => RoundingStrategy::ToPositiveInfinity,
        };
        // Prices from a dollar up have two decimals, below it four (SEC rule 612).
        let decimals = if limit >= Decimal::ONE { 2 } else { 4 };
        // What was to be a limit is never sent as a market order.
        Price::new(limit.round_dp_with_strategy(decimals, strategy))
            .map(OrderType::Limit)
            .map_err(|_| Refusal::LimitTooLow(limit))
    }
}
