//! Signals that are no strategy's: their book, `signals`, is the account less the strategies' books. Pure.

use super::{Committed, Desk, FlyingOrder};
use crate::clock::Timestamp;
use crate::instrument::Instrument;
use crate::order::Side;
use crate::outcome::OutcomeKind;
use crate::portfolio::size::part;
use crate::portfolio::{Draft, Ended, OnCrossing};
use crate::risk::{BidAsk, Refusal};
use crate::signal::{Signal, Strength, Wanted};
use crate::sizing::{SellRule, SizeRule};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity, Weight};

impl Desk {
    /// The order that a signal asks for which is no strategy's.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn draft_plain(
        &self,
        signal: &Signal,
        instrument: &Instrument,
        quote: BidAsk,
        committed: &Committed,
    ) -> Result<Draft, Refusal> {
        // Of a book that is not here nobody knows what it holds.
        if signal.is_own {
            return Err(Refusal::NotRunHere(signal.strategy.to_string()));
        }
        let symbol = signal.symbol;
        let (side, quantity, strength) = match signal.wanted {
            Wanted::Target(shares) => return self.draft_plain_target(instrument, shares, committed),
            Wanted::Order { side, quantity, strength } => (side, quantity, strength),
            // Of whose equity nobody knows here.
            Wanted::Weight(_) => return Err(Refusal::NotRunHere(signal.strategy.to_string())),
            // A strategy that is none of the run's is only a tag.
            Wanted::Strength(strength) => (strength.side().unwrap_or(Side::Sell), None, Some(strength)),
        };
        let strength = strength.filter(|strength| strength.get() != 0.0).unwrap_or(Strength::ONE);
        if side == Side::Sell {
            self.check_profit(symbol, quote.bid)?;
        }
        let (own, is_sized) = (quantity, quantity.is_none());
        let held = self.plain_held(symbol, committed);
        let quantity = match (own, side) {
            (Some(quantity), _) => quantity,
            (None, Side::Buy) => self.buy(instrument, strength, quote.ask, held + committed.plain_buys)?,
            (None, Side::Sell) => {
                let available = (held - committed.plain_sells).max(Quantity::ZERO);
                let available = available.min(self.available(symbol, committed));
                self.sell(instrument, strength, quote.bid, available)
            }
        };
        let most = (held - committed.plain_sells).max(Quantity::ZERO);
        // Shares of the account that are a strategy's are not for sale here.
        if side == Side::Sell && quantity > most && !self.portfolio.held(symbol).is_zero() {
            return Err(Refusal::InsufficientShares { was: quantity, available: most });
        }
        let on_crossing = if is_sized { OnCrossing::Cut } else { OnCrossing::Refuse };
        Ok(Draft { side, quantity, is_cut_to_cash: side == Side::Buy && is_sized, on_crossing, parts: None })
    }

    /// What follows from the end of a signal that is no strategy's: the second half of a flip.
    pub(super) fn end_plain(
        signal: &Signal,
        kind: OutcomeKind,
        flight: Option<&FlyingOrder>,
        now: Timestamp,
    ) -> Ended {
        // Of an order that a process before this one sent nobody knows it any more: a target that is reached wants nothing.
        let may_go_on =
            flight.map_or(matches!(signal.wanted, Wanted::Target(_)), |flight| flight.is_first_half);
        let goes_on = kind == OutcomeKind::Filled && may_go_on;
        Ended { own: None, others: Vec::new(), next: goes_on.then(|| signal.next_step(false, "", now)) }
    }

    fn draft_plain_target(
        &self,
        instrument: &Instrument,
        shares: Quantity,
        committed: &Committed,
    ) -> Result<Draft, Refusal> {
        self.plain.check_target(instrument, shares)?;
        let symbol = instrument.symbol;
        let expected = self.plain_held(symbol, committed) + committed.plain_buys - committed.plain_sells;
        let missing = shares - expected;
        if missing.is_zero() {
            return Err(Refusal::AtTarget(symbol));
        }
        let side = if missing.is_positive() { Side::Buy } else { Side::Sell };
        let (quantity, on_crossing) = (missing.abs(), OnCrossing::Step);
        Ok(Draft { side, quantity, is_cut_to_cash: false, on_crossing, parts: None })
    }

    fn check_profit(&self, symbol: Symbol, bid: Price) -> Result<(), Refusal> {
        if self.rules.sell != SellRule::InProfit || !self.account.held(symbol).is_positive() {
            return Ok(());
        }
        let entry = self.account.average_price(symbol);
        if entry.is_some_and(|entry| bid.get() > entry.get()) {
            return Ok(());
        }
        let entry = entry.map_or_else(|| "unknown".to_owned(), |entry| entry.to_string());
        Err(Refusal::NotInProfit { bid, entry })
    }

    /// `floor(min(weight x equity - held value, what the rule says) x strength / ask)`; cash is looked at later.
    fn buy(
        &self,
        instrument: &Instrument,
        strength: Strength,
        ask: Price,
        expected: Quantity,
    ) -> Result<Quantity, Refusal> {
        let (symbol, equity) = (instrument.symbol, self.plain_equity());
        let to_weight = equity * self.plain.weight(symbol) - ask * expected;
        let wanted = match self.plain.rule {
            SizeRule::All => to_weight.buys(ask),
            SizeRule::Fraction(_) | SizeRule::Shares(_) | SizeRule::Notional(_) => {
                self.plain.full(instrument, equity, ask).min(to_weight.buys(ask))
            }
        };
        // A buy that closes a short position goes to flat at the most: a flip is two orders.
        let wanted = if expected.is_negative() { wanted.min(-expected) } else { wanted };
        let quantity = instrument.floor_lot(part(wanted.max(Quantity::ZERO), strength).abs());
        if quantity.is_positive() {
            Ok(quantity)
        } else if self.plain.weight(symbol) == Weight::ZERO || expected.is_positive() {
            Err(Refusal::AtTarget(symbol))
        } else {
            Err(Refusal::CannotPay { symbol, price: ask })
        }
    }

    /// Whole lots of the `available` ones; a part of a lot stays.
    fn sell(&self, instrument: &Instrument, strength: Strength, bid: Price, available: Quantity) -> Quantity {
        let wanted = match self.plain.rule {
            SizeRule::All => available,
            SizeRule::Fraction(_) | SizeRule::Shares(_) | SizeRule::Notional(_) => {
                self.plain.full(instrument, self.plain_equity(), bid)
            }
        };
        instrument.floor_lot(part(wanted.min(available), strength).abs())
    }

    /// Shares of the account that are no strategy's.
    fn plain_held(&self, symbol: Symbol, committed: &Committed) -> Quantity {
        self.account.held(symbol) - self.portfolio.held(symbol) - committed.unbooked
    }

    fn available(&self, symbol: Symbol, committed: &Committed) -> Quantity {
        self.account.available_shares(symbol, committed.shares)
    }

    fn plain_equity(&self) -> Money {
        self.account.equity() - self.portfolio.equity(&|symbol| self.account.mark(symbol))
    }
}
