//! Orders that are of other shares at their fill than they were sent with: sized with its price, or reduced to what the
//! account carries. Over history only.

use super::Desk;
use crate::clock::Timestamp;
use crate::order::Side;
use crate::portfolio::at_fill::AtFill;
use crate::signal::Signal;
use crate::units::{Money, Price, Quantity};

impl Desk {
    /// The shares of a signal's order that fills at `price`, where they are a part of its book's equity; `fee_of` says what
    /// the broker takes. None for an order that is of as many as it says.
    pub fn size_at_fill(
        &self,
        signal: &Signal,
        price: Price,
        fee_of: &dyn Fn(Side, Quantity) -> Money,
    ) -> Option<Quantity> {
        let place = self.portfolio.place(&signal.strategy)?;
        let order = self.in_flight.get(signal.symbol, &signal.id)?;
        if order.is_first_half || order.parts.is_some() {
            return None;
        }
        let claimed = self.in_flight.claimed(place) - order.claim();
        let side = order.side;
        let at_fill = AtFill {
            signal,
            side,
            ordered: order.quantity,
            price,
            fee_of: &|quantity| if quantity.is_positive() { fee_of(side, quantity) } else { Money::ZERO },
            margin: self.rules.margin,
            spared: &|equity| claimed + self.buffer(equity),
        };
        self.portfolio.size_at_fill(place, &at_fill, &|symbol| self.account.mark(symbol))
    }

    /// A signal's order was of so many shares at its fill. Says whether that is what it is of now: an order of a part of the
    /// equity is where its strategy wants to be, one of a number of shares misses what it did not get.
    pub fn resize(&mut self, signal: &Signal, quantity: Quantity, now: Timestamp) -> bool {
        let Some(place) = self.portfolio.place(&signal.strategy) else { return false };
        let is_one_part =
            self.in_flight.get(signal.symbol, &signal.id).is_some_and(|order| order.parts.is_none());
        if !is_one_part || !self.portfolio.is_of_equity(place, signal) {
            return false;
        }
        let more = self.in_flight.change(signal.symbol, &signal.id, |order| {
            let more = quantity - order.quantity;
            order.quantity = quantity;
            if let Some(hold) = &mut order.hold {
                hold.resize(quantity);
            }
            if order.side == Side::Sell { -more } else { more }
        });
        self.portfolio.resize(place, signal, more.unwrap_or_default(), now);
        true
    }
}
