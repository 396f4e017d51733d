//! Orders in flight: what they reserve, and what of their fills the strategies' books have taken.

use super::{BOOKED_FOR, BOOKED_STEP, Booked, Desk};
use crate::clock::Timestamp;
use crate::order::{OrderReport, OrderRequest, Side};
use crate::portfolio::net::Parts;
use crate::risk::Approved;
use crate::signal::{EntryId, Signal};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// What orders in flight will change.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// Cash that is set aside, whatever the symbol.
    pub(super) cash: Money,
    /// Shares of the symbol that are set aside.
    pub(super) shares: Quantity,
    /// Shares of the symbol ordered and not yet filled.
    pub(super) buys: Quantity,
    pub(super) sells: Quantity,
    /// The same, for signals that are no strategy's.
    pub(super) plain_buys: Quantity,
    pub(super) plain_sells: Quantity,
    /// Signed shares that strategies' orders filled and their books do not hold yet.
    pub(super) unbooked: Quantity,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    pub(super) quantity: Quantity,
    pub(super) reserved_cash: Money,
    pub(super) reserved_shares: Quantity,
    pub(super) filled: Quantity,
    pub(super) filled_money: Money,
    /// Whose order it is, where it is a strategy's.
    pub(super) place: Option<usize>,
    /// Each book's part of it, where wishes are combined.
    pub(super) parts: Option<Parts>,
    /// It goes to flat only; the second half follows.
    pub(super) is_first_half: bool,
    /// What one share is worth that changes hands within the house.
    pub(super) crossed_at: Option<Price>,
}

/// All of them: few, at most one for each worker.
#[derive(Debug, Default)]
pub(super) struct Flights(Vec<(EntryId, InFlight)>);

impl Flights {
    pub(super) fn get_mut(&mut self, signal: &EntryId) -> Option<&mut InFlight> {
        self.0.iter_mut().find(|(own, _)| own == signal).map(|(_, order)| order)
    }

    pub(super) fn insert(&mut self, signal: EntryId, order: InFlight) {
        match self.get_mut(&signal) {
            Some(known) => *known = order,
            None => self.0.push((signal, order)),
        }
    }

    pub(super) fn remove(&mut self, signal: &EntryId) -> Option<InFlight> {
        let place = self.0.iter().position(|(own, _)| own == signal)?;
        Some(self.0.swap_remove(place).1)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &InFlight> {
        self.0.iter().map(|(_, order)| order)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Desk {
    pub(super) fn reserve(
        &mut self,
        signal: &Signal,
        approved: &Approved,
        (place, parts, is_first_half): (Option<usize>, Option<Parts>, bool),
        now: Timestamp,
    ) {
        if self.rules.limits.orders_per_minute_max.is_some() {
            self.approvals.push_back(now);
        }
        let OrderRequest { side, quantity, symbol, .. } = *approved.request();
        if let Some(place) = place {
            let signed = if side == Side::Sell { -quantity } else { quantity };
            self.portfolio.ordered(place, symbol, signed, parts.as_ref(), now);
        }
        let order = InFlight {
            symbol,
            side,
            quantity,
            reserved_cash: approved.reserved_cash(),
            reserved_shares: approved.reserved_shares(),
            filled: Quantity::ZERO,
            filled_money: Money::ZERO,
            place,
            parts,
            is_first_half,
            crossed_at: None,
        };
        self.in_flight.insert(signal.id.clone(), order);
    }

    /// What orders in flight will change.
    pub(super) fn committed(&self, symbol: Symbol) -> Committed {
        let mut committed = Committed::default();
        for order in self.in_flight.values() {
            committed.cash += order.reserved_cash;
            if order.symbol != symbol {
                continue;
            }
            let rest = (order.quantity - order.filled).max(Quantity::ZERO);
            let is_plain = order.place.is_none();
            match order.side {
                Side::Buy => committed.buys += rest,
                Side::Sell => committed.sells += rest,
            }
            match (order.side, is_plain) {
                (Side::Buy, true) => committed.plain_buys += rest,
                (Side::Sell, true) => committed.plain_sells += rest,
                (Side::Buy, false) => committed.unbooked += order.filled,
                (Side::Sell, false) => committed.unbooked -= order.filled,
            }
            committed.shares += order.reserved_shares;
        }
        committed
    }

    /// Opposite wishes meet within the house: no order is sent, and both books move at the last price.
    pub(super) fn cross(&mut self, signal: &Signal, place: usize, now: Timestamp) {
        let symbol = signal.symbol;
        let parts = self.portfolio.net_parts(symbol);
        self.portfolio.ordered(place, symbol, Quantity::ZERO, Some(&parts), now);
        let order = InFlight {
            symbol,
            side: Side::Buy,
            quantity: Quantity::ZERO,
            reserved_cash: Money::ZERO,
            reserved_shares: Quantity::ZERO,
            filled: Quantity::ZERO,
            filled_money: Money::ZERO,
            place: Some(place),
            parts: Some(parts),
            is_first_half: false,
            crossed_at: self.account.mark(symbol),
        };
        self.in_flight.insert(signal.id.clone(), order);
    }

    /// What the strategies' books lack of an order, and what it cost; nothing when it is booked already.
    pub(super) fn unbooked(&mut self, report: &OrderReport, now: Timestamp) -> (Quantity, Money) {
        let price = report.average_price.or_else(|| self.account.mark(report.symbol));
        let money = |filled: Quantity| price.map_or(Money::ZERO, |price| price * filled);
        let Some(booked) = &mut self.booked else { return (report.filled, money(report.filled)) };
        if booked.len() % BOOKED_STEP == BOOKED_STEP - 1 {
            booked.retain(|_, booked| now.since(booked.at) < BOOKED_FOR);
        }
        let before = booked.get(&report.client_order_id).map_or(Quantity::ZERO, |booked| booked.filled);
        let more = (report.filled - before).max(Quantity::ZERO);
        if more.is_positive() {
            booked.insert(report.client_order_id.clone(), Booked { filled: report.filled, at: now });
        }
        (more, money(more))
    }
}

impl InFlight {
    /// What a strategy's order cost so far that its book has not taken yet.
    pub(super) fn unbooked_cost(&self) -> Money {
        match self.side {
            Side::Buy => self.filled_money,
            Side::Sell => -self.filled_money,
        }
    }
}
