//! What an order costs at the most: market orders, limits through the quote, and a signal's own limit.

use rust_decimal::Decimal;

use super::Desk;
use crate::instrument::Instrument;
use crate::order::{OrderType, Side};
use crate::risk::{BidAsk, Refusal};
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
    pub(super) fn price(
        &self,
        signal: &Signal,
        instrument: &Instrument,
        side: Side,
        quote: BidAsk,
    ) -> Result<OrderType, Refusal> {
        let limit = match (signal.limit, self.rules.pricing) {
            (Some(limit), _) => limit.get(),
            (None, Pricing::Market) => return Ok(OrderType::Market),
            (None, Pricing::Marketable(through)) => match side {
                Side::Buy => quote.ask.get().saturating_mul(Decimal::ONE + through.fraction()),
                Side::Sell => quote.bid.get().saturating_mul(Decimal::ONE - through.fraction()),
            },
        };
        // What was to be a limit is never sent as a market order.
        Price::new(instrument.round_limit(limit, side))
            .map(OrderType::Limit)
            .map_err(|_| Refusal::LimitTooLow(limit))
    }
}
