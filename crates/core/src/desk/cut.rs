//! Orders that are cut: to what the account and the book carry, and to the half that closes a position.

use super::Desk;
use crate::instrument::Instrument;
use crate::margin;
use crate::order::Side;
use crate::portfolio::net;
use crate::portfolio::{Draft, OnCrossing};
use crate::risk::{AccountState, Refusal};
use crate::units::{Price, Quantity};

impl Desk {
    /// What is of a part of the equity goes as far as the account carries it, and the book itself.
    pub(super) fn cut_to_cash(
        &mut self,
        instrument: &Instrument,
        place: Option<usize>,
        draft: &mut Draft,
        price: Price,
        account_state: &AccountState,
    ) -> Result<(), Refusal> {
        let symbol = instrument.symbol;
        // A book of a net portfolio has no cash of its own: what it wants is netted first.
        let own = place.filter(|_| draft.parts.is_none()).map(|place| {
            let book = self.portfolio.book(place);
            let balance = book.balance(|symbol| self.account.mark(symbol));
            let claimed = self.in_flight.claimed(place) + self.buffer(balance.equity());
            let expected = book.expected(symbol);
            AccountState {
                available_cash: self.rules.margin.excess(balance) - claimed,
                available_shares: margin::closing(expected, Side::Sell),
                short_shares: margin::closing(expected, Side::Buy),
                ..*account_state
            }
        });
        let most = account_state.most(instrument, draft.side, draft.quantity, price);
        let most = own.map_or(most, |own| most.min(own.most(instrument, draft.side, draft.quantity, price)));
        if most >= draft.quantity || (draft.side == Side::Sell && most.is_zero()) {
            return Ok(()); // A sale of which nothing is carried is refused as a whole.
        }
        match place {
            Some(place) => self.portfolio.cut(place, symbol, draft, most),
            None => draft.quantity = most,
        }
        if most.is_positive() { Ok(()) } else { Err(Refusal::CannotPay { symbol, price }) }
    }

    /// Where one order must not turn the account's position round, or the account cannot carry what it opens, it goes to
    /// flat; true when the rest is to follow.
    pub(super) fn cut_to_flat(
        &self,
        instrument: &Instrument,
        draft: &mut Draft,
        account_state: &AccountState,
    ) -> bool {
        let limits = &self.rules.limits;
        let half = margin::closing(account_state.held, draft.side);
        let may_turn = draft.side == Side::Buy || limits.short && instrument.shorting;
        let crosses = half.is_positive() && draft.quantity > half && may_turn;
        if !crosses || draft.on_crossing == OnCrossing::Refuse {
            return false;
        }
        let ordered = draft.quantity;
        let signed = |quantity: Quantity| if draft.side == Side::Sell { -quantity } else { quantity };
        draft.parts = draft.parts.as_ref().map(|parts| net::split(parts, signed(ordered), signed(half)));
        draft.quantity = half;
        draft.on_crossing == OnCrossing::Step
    }
}
