//! Orders in flight: what they reserve, and what of their fills the strategies' books have taken.

use super::{BOOKED_FOR, BOOKED_STEP, Booked, Desk};
use crate::clock::Timestamp;
use crate::order::{OrderReport, OrderRequest, Side};
use crate::portfolio::net::Parts;
use crate::risk::{Approved, Hold};
use crate::signal::{EntryId, Signal};
use crate::symbol::Symbol;
use crate::units::{AveragePrice, Money, Price, Quantity};

/// What orders in flight of one symbol will change.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// Shares that are set aside.
    pub(super) shares: Quantity,
    /// Shares ordered and not yet filled.
    pub(super) buys: Quantity,
    pub(super) sells: Quantity,
    /// The same, for signals that are no strategy's.
    pub(super) plain_buys: Quantity,
    pub(super) plain_sells: Quantity,
    /// Signed shares that strategies' orders filled and their books do not hold yet.
    pub(super) unbooked: Quantity,
}

#[derive(Debug)]
pub(super) struct FlyingOrder {
    pub(super) side: Side,
    pub(super) quantity: Quantity,
    /// None where intents were netted, and no order is needed.
    pub(super) hold: Option<Hold>,
    /// Cash that nobody else may spend, as of the last change.
    pub(super) reserved: Money,
    pub(super) filled: Quantity,
    pub(super) filled_money: Money,
    /// Whose order it is, where it is a strategy's.
    pub(super) place: Option<usize>,
    /// Each book's part of it, where intents are combined.
    pub(super) parts: Option<Parts>,
    /// It goes to flat only; the second half follows.
    pub(super) is_first_half: bool,
    /// What one share is worth that changes hands between strategies.
    pub(super) crossed_at: Option<Price>,
}

/// All of them by symbol, few of each; what they reserve in all is a sum that is kept.
#[derive(Debug, Default)]
pub(super) struct InFlightOrders {
    /// In the order of the symbols.
    by_symbol: Vec<(Symbol, Vec<(EntryId, FlyingOrder)>)>,
    len: usize,
    reserved: Money,
    /// What each strategy's orders reserve, and what they cost so far that its book has not taken yet.
    of_place: Vec<Money>,
}

impl InFlightOrders {
    pub(super) fn get(&self, symbol: Symbol, signal: &EntryId) -> Option<&FlyingOrder> {
        self.orders(symbol).iter().find(|(own, _)| own == signal).map(|(_, order)| order)
    }

    /// Changes an order, and the sums with it.
    pub(super) fn change<T>(
        &mut self,
        symbol: Symbol,
        signal: &EntryId,
        act: impl FnOnce(&mut FlyingOrder) -> T,
    ) -> Option<T> {
        let orders = self.orders_mut(symbol)?;
        let order = orders.iter_mut().find(|(own, _)| own == signal).map(|(_, order)| order)?;
        let (reserved, claim) = (order.reserved, order.claim());
        let result = act(order);
        order.reserved = order.reserved_cash();
        let (more, claimed, place) = (order.reserved - reserved, order.claim() - claim, order.place);
        self.reserved += more;
        self.claim(place, claimed);
        Some(result)
    }

    /// So many shares of an order have filled for so much money.
    pub(super) fn fill(&mut self, symbol: Symbol, signal: &EntryId, quantity: Quantity, money: Money) {
        let Some(orders) = self.orders_mut(symbol) else { return };
        let Some((_, order)) = orders.iter_mut().find(|(own, _)| own == signal) else { return };
        order.filled += quantity;
        order.filled_money += money;
        // What is filled is spent or delivered: only the rest stays reserved.
        let before = std::mem::replace(&mut order.reserved, Money::ZERO);
        order.reserved = order.reserved_cash();
        let (more, place, side) = (order.reserved - before, order.place, order.side);
        self.reserved += more;
        let claimed = match side {
            Side::Buy => more + money,
            Side::Sell => more - money,
        };
        self.claim(place, claimed);
    }

    pub(super) fn insert(&mut self, symbol: Symbol, signal: EntryId, mut order: FlyingOrder) {
        self.remove(symbol, &signal);
        order.reserved = order.reserved_cash();
        self.reserved += order.reserved;
        self.claim(order.place, order.reserved);
        self.len += 1;
        match self.by_symbol.binary_search_by_key(&symbol, |(own, _)| *own) {
            Ok(place) => self.by_symbol[place].1.push((signal, order)),
            Err(place) => self.by_symbol.insert(place, (symbol, vec![(signal, order)])),
        }
    }

    pub(super) fn remove(&mut self, symbol: Symbol, signal: &EntryId) -> Option<FlyingOrder> {
        let orders = self.orders_mut(symbol)?;
        let place = orders.iter().position(|(own, _)| own == signal)?;
        let (_, order) = orders.swap_remove(place);
        self.len -= 1;
        self.reserved -= order.reserved;
        self.claim(order.place, -order.claim());
        Some(order)
    }

    /// Removes an order whose symbol is not known.
    pub(super) fn drop(&mut self, signal: &EntryId) {
        let mut all = self.by_symbol.iter();
        let found = all.find(|(_, orders)| orders.iter().any(|(own, _)| own == signal));
        if let Some(symbol) = found.map(|(symbol, _)| *symbol) {
            self.remove(symbol, signal);
        }
    }

    pub(super) fn of(&self, symbol: Symbol) -> impl Iterator<Item = &FlyingOrder> {
        self.orders(symbol).iter().map(|(_, order)| order)
    }

    /// Cash that all of them set aside.
    pub(super) fn reserved(&self) -> Money {
        self.reserved
    }

    /// What the orders of the strategy at `place` will have cost of its book's cash.
    pub(super) fn claimed(&self, place: usize) -> Money {
        self.of_place.get(place).copied().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn orders(&self, symbol: Symbol) -> &[(EntryId, FlyingOrder)] {
        match self.by_symbol.binary_search_by_key(&symbol, |(own, _)| *own) {
            Ok(place) => &self.by_symbol[place].1,
            Err(_) => &[],
        }
    }

    fn orders_mut(&mut self, symbol: Symbol) -> Option<&mut Vec<(EntryId, FlyingOrder)>> {
        let place = self.by_symbol.binary_search_by_key(&symbol, |(own, _)| *own).ok()?;
        Some(&mut self.by_symbol[place].1)
    }

    fn claim(&mut self, place: Option<usize>, money: Money) {
        let Some(place) = place.filter(|_| !money.is_zero()) else { return };
        if place >= self.of_place.len() {
            self.of_place.resize(place + 1, Money::ZERO);
        }
        self.of_place[place] += money;
    }
}

#[cfg(test)]
impl InFlightOrders {
    /// The sums that are kept: orders, what they reserve, and what strategies' orders claim.
    pub(super) fn kept(&self) -> (usize, Money, Money) {
        (self.len, self.reserved, self.of_place.iter().copied().sum())
    }

    /// The same, added up again.
    pub(super) fn walked(&self) -> (usize, Money, Money) {
        let all = || self.by_symbol.iter().flat_map(|(_, orders)| orders);
        let claims = all().filter(|(_, order)| order.place.is_some()).map(|(_, order)| order.claim());
        (all().count(), all().map(|(_, order)| order.reserved_cash()).sum(), claims.sum())
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
        let order = FlyingOrder {
            side,
            quantity,
            hold: Some(approved.hold()),
            reserved: Money::ZERO,
            filled: Quantity::ZERO,
            filled_money: Money::ZERO,
            place,
            parts,
            is_first_half,
            crossed_at: None,
        };
        self.in_flight.insert(symbol, signal.id.clone(), order);
    }

    /// What orders in flight of a symbol will change.
    pub(super) fn committed(&self, symbol: Symbol) -> Committed {
        let mut committed = Committed::default();
        for order in self.in_flight.of(symbol) {
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
            committed.shares += order.reserved_shares();
        }
        committed
    }

    /// Opposite intents cancel out between the books: no order is sent, and both books move at the last price.
    pub(super) fn cross(&mut self, signal: &Signal, place: usize, now: Timestamp) {
        let symbol = signal.symbol;
        let parts = self.portfolio.net_parts(symbol);
        self.portfolio.ordered(place, symbol, Quantity::ZERO, Some(&parts), now);
        let order = FlyingOrder {
            side: Side::Buy,
            quantity: Quantity::ZERO,
            hold: None,
            reserved: Money::ZERO,
            filled: Quantity::ZERO,
            filled_money: Money::ZERO,
            place: Some(place),
            parts: Some(parts),
            is_first_half: false,
            crossed_at: self.account.mark(symbol),
        };
        self.in_flight.insert(symbol, signal.id.clone(), order);
    }

    /// What the strategies' books lack of an order, and what it cost; nothing when it is booked already.
    pub(super) fn unbooked(&mut self, report: &OrderReport, now: Timestamp) -> (Quantity, Money) {
        let price = report.average_price.or_else(|| self.account.mark(report.symbol).map(AveragePrice::from));
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

impl FlyingOrder {
    /// Cash that nobody else may spend.
    fn reserved_cash(&self) -> Money {
        self.hold.map_or(Money::ZERO, |hold| hold.cash(self.filled))
    }

    /// Shares that nobody else may sell.
    fn reserved_shares(&self) -> Quantity {
        self.hold.map_or(Quantity::ZERO, |hold| hold.shares(self.filled))
    }

    /// What it will have cost of its book's cash: what is reserved, and what it cost so far that the book has not taken.
    pub(super) fn claim(&self) -> Money {
        self.reserved
            + match self.side {
                Side::Buy => self.filled_money,
                Side::Sell => -self.filled_money,
            }
    }
}
