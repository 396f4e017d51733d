//! The simulated broker over history: orders meet the exchange's matching core on the terms of the run. Pure.
//!
//! Every order is immediate-or-cancel, as it is live: it meets one price, takes what is there, and the rest is cancelled.

use std::collections::VecDeque;
use std::time::Duration;

use super::latest_prices::Slot;
use super::levels::{fills, levels};
use bot_core::account::{Account, Holding};
use bot_core::calendar::{date_of, session_on};
use bot_core::clock::Timestamp;
use bot_core::instrument::{Calendar, Instrument};
use bot_core::margin::{closing, most_carried};
use bot_core::market::{Bar, MarketEvent};
use bot_core::order::{OrderType, Side, TimeInForce};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};
use bot_simulated::margin_account::{AccountFill, MarginAccount};
use bot_simulated::matching::{Level, Matcher, Working};
use bot_simulated::{ExecutionModel, FillModel, OnShortCash};

const DAY: Duration = Duration::from_hours(24);
/// What a schedule asks for is of the instant after its own, and meets the price that is made at its own.
const AFTER: Duration = Duration::from_nanos(1);

/// One account and the orders on their way to the market.
#[derive(Debug)]
pub struct Connector {
    model: ExecutionModel,
    account: MarginAccount,
    listings: Vec<ListedSymbol>,
    /// By slot, beside what each event touches.
    instruments: Vec<Instrument>,
    /// Whose position is worth another sum than the account knows.
    moved: Vec<Slot>,
    waiting: usize,
}

#[derive(Debug)]
struct ListedSymbol {
    matcher: Matcher,
    /// On their way, by arrival.
    queue: VecDeque<Arriving>,
    /// The last event, until its price is displayed.
    shown: Option<MarketEvent>,
    /// Last price; NaN before the first.
    last: f64,
    /// When it was known; where orders fill at the next open alone.
    last_at: Timestamp,
    /// The price before it.
    before: f64,
    /// The price of the last fill.
    filled_at: Option<Price>,
    mark: PositionMark,
}

/// What the account knows of a position's worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PositionMark {
    /// There is no position.
    None,
    /// What it is worth at the last price.
    Known,
    /// What it was worth once; it is among those that moved.
    Old,
}

#[derive(Debug)]
struct Arriving {
    order: Working,
    at: Timestamp,
    /// A liquidation asks for nobody's leave.
    is_forced: bool,
}

/// What became of an order at the market.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionReport {
    /// The order.
    pub key: usize,
    /// When it met the market.
    pub at: Timestamp,
    /// Shares that it asked for then: of an order that is sized at its fill, or that the account cannot carry whole, others
    /// than it was sent with.
    pub quantity: Quantity,
    /// Whether the account could not carry more.
    pub is_reduced: bool,
    /// How it ended there.
    pub end: ExecutionEnd,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionEnd {
    /// So many shares changed hands; the rest, where there is one, is cancelled.
    Filled {
        /// Shares, above 0.
        quantity: Quantity,
        /// Per share, slippage included.
        price: Price,
        /// Taken by the broker.
        fee: Money,
    },
    /// Nothing was there to fill it.
    Canceled,
    /// It could not be paid.
    Unpaid {
        /// What the account would be short of.
        missing: Money,
    },
}

/// Says how many shares an order is of that fills at this price; none for one that is of as many as it says.
pub type SizeOf<'a> = &'a mut dyn FnMut(usize, Price) -> Option<Quantity>;

impl Connector {
    /// An account with nothing but cash.
    pub fn new(model: ExecutionModel, cash: Money) -> Self {
        let account = MarginAccount::new(model.margin, cash).without_cost();
        Self { model, account, listings: Vec::new(), instruments: Vec::new(), moved: Vec::new(), waiting: 0 }
    }

    /// Lists the next symbol; its slot is the number of those before it.
    pub fn list(&mut self, instrument: Instrument) {
        self.account.list(instrument.symbol);
        let (matcher, queue) = (Matcher::default(), VecDeque::new());
        let (last, last_at, before) = (f64::NAN, Timestamp::from_nanos(i64::MIN), f64::NAN);
        let (shown, filled_at, mark) = (None, None, PositionMark::None);
        self.instruments.push(instrument);
        self.listings.push(ListedSymbol { matcher, queue, shown, last, last_at, before, filled_at, mark });
    }

    /// Puts shares into the account that are there before the first order; negative for a short position.
    pub fn hold(&mut self, slot: Slot, shares: Quantity) {
        self.account.deposit(slot.0, shares);
        self.listings[slot.0].mark = PositionMark::Known;
    }

    /// Takes an order; it meets the market at once where the fill model says so, else when its price comes.
    pub fn submit(
        &mut self,
        slot: Slot,
        order: Working,
        now: Timestamp,
        size_of: SizeOf<'_>,
    ) -> Option<ExecutionReport> {
        self.take(slot, Arriving { order, at: now + self.model.latency, is_forced: false }, now, size_of)
    }

    /// Takes an order that liquidates a position: no account is too poor for it, and it is not on its way for long.
    pub fn liquidate(&mut self, slot: Slot, order: Working, now: Timestamp) -> Option<ExecutionReport> {
        self.take(slot, Arriving { order, at: now, is_forced: true }, now, &mut |_, _| None)
    }

    /// Takes back all orders that are on their way, but those that liquidate a position.
    pub fn cancel_all(&mut self, now: Timestamp) -> Vec<ExecutionReport> {
        let mut orders: Vec<Working> = Vec::new();
        for listing in &mut self.listings {
            listing.queue.retain(|arriving| {
                orders.extend((!arriving.is_forced).then_some(arriving.order));
                arriving.is_forced
            });
        }
        self.waiting -= orders.len();
        orders.sort_by_key(|order| order.key);
        orders.iter().map(|order| ExecutionReport::canceled(order, now)).collect()
    }

    /// Whether orders of the symbol are on their way.
    #[inline]
    pub fn awaits(&self, slot: Slot) -> bool {
        self.waiting > 0 && !self.listings[slot.0].queue.is_empty()
    }

    /// Shows what happened in the market, once the orders that it meets have arrived.
    #[inline]
    pub fn show(&mut self, slot: Slot, event: &MarketEvent, price: f64, at: Timestamp) {
        let listing = &mut self.listings[slot.0];
        listing.before = listing.last;
        listing.last = price;
        let is_news = listing.mark == PositionMark::Known;
        if self.model.fill == FillModel::NextOpen {
            listing.last_at = at;
        } else if fills(self.model.fill, event) {
            listing.shown = Some(*event);
        }
        if is_news {
            self.note_moved(slot);
        }
    }

    /// Apart from what every event does.
    #[cold]
    fn note_moved(&mut self, slot: Slot) {
        self.listings[slot.0].mark = PositionMark::Old;
        self.moved.push(slot);
    }

    /// On what terms orders fill.
    pub fn model(&self) -> &ExecutionModel {
        &self.model
    }

    /// Cash.
    pub fn cash(&self) -> Money {
        self.account.cash()
    }

    /// Fees taken so far.
    pub fn fees(&self) -> Money {
        self.account.fees()
    }

    /// Shares held of one symbol, negative when short.
    pub fn shares(&self, slot: Slot) -> Quantity {
        self.account.shares(slot.0)
    }

    /// Equity at the last prices, and what the positions require of it where that is more.
    pub fn margin_call(&mut self) -> (Money, Option<Money>) {
        self.mark(Timestamp::MAX);
        (self.account.balance().equity(), self.account.call())
    }

    /// The account as the broker shows it.
    pub fn account(&mut self) -> Account {
        self.mark(Timestamp::MAX);
        let holding = |(symbol, shares): (Symbol, Quantity)| Holding {
            symbol,
            quantity: shares,
            available: shares,
            average_price: None,
        };
        Account {
            id: "backtest".to_owned(),
            cash: self.account.cash(),
            buying_power: self.account.buying_power().max(Money::ZERO),
            equity: self.account.balance().equity(),
            blocked: None,
            holdings: self.account.positions().map(holding).collect(),
        }
    }

    /// Lets orders meet what was shown before, while they came before `event`, and then `event` itself.
    pub fn arrive(
        &mut self,
        slot: Slot,
        event: &MarketEvent,
        size_of: SizeOf<'_>,
        executions: &mut Vec<ExecutionReport>,
    ) {
        let quotes_last = self.model.fill == FillModel::Quote;
        let at = match (self.model.fill, event) {
            (FillModel::NextOpen, MarketEvent::Bar { bar, .. }) => bar.at,
            (FillModel::NextOpen | FillModel::SameClose | FillModel::Quote, _) => event.known_at(),
        };
        let until = match (self.model.fill, event) {
            (FillModel::NextOpen, MarketEvent::Bar { bar, span, .. }) => {
                self.opens_at(slot, bar, *span) + AFTER
            }
            (FillModel::NextOpen | FillModel::SameClose | FillModel::Quote, _) => at,
        };
        if quotes_last {
            while let Some(first) = self.listings[slot.0].queue.pop_front_if(|first| first.at < at) {
                self.waiting -= 1;
                executions.push(if self.display_last(slot) {
                    self.meet(slot, &first, first.at, size_of)
                } else {
                    ExecutionReport::canceled(&first.order, first.at)
                });
            }
        }
        let mut is_displayed = false;
        while let Some(first) = self.listings[slot.0].queue.pop_front_if(|first| first.at <= until) {
            self.waiting -= 1;
            if !is_displayed {
                if fills(self.model.fill, event) {
                    self.listings[slot.0].shown = Some(*event);
                }
                is_displayed = self.display_last(slot);
            }
            executions.push(self.meet(slot, &first, at.max(first.at), size_of));
        }
    }

    /// When the first price of a bar is made: of a day's bar when its session opens.
    fn opens_at(&self, slot: Slot, bar: &Bar, span: Duration) -> Timestamp {
        if span < DAY || self.instruments[slot.0].calendar == Calendar::Always {
            return bar.at;
        }
        // It may start at midnight of any clock; twelve hours later it is that day everywhere in America.
        session_on(date_of(bar.at + DAY / 2)).map_or(bar.at, |session| session.open)
    }

    fn take(
        &mut self,
        slot: Slot,
        arriving: Arriving,
        now: Timestamp,
        size_of: SizeOf<'_>,
    ) -> Option<ExecutionReport> {
        let meets_now = arriving.at <= now && self.model.fill != FillModel::NextOpen;
        if meets_now && self.display_last(slot) {
            return Some(self.meet(slot, &arriving, now, size_of));
        }
        self.listings[slot.0].queue.push_back(arriving);
        self.waiting += 1;
        None
    }

    /// Displays the last event's price, where it has one that fills; false when there is nothing to meet.
    fn display_last(&mut self, slot: Slot) -> bool {
        let model = &self.model;
        let listing = &mut self.listings[slot.0];
        if let Some(event) = listing.shown.take() {
            match levels(model, &self.instruments[slot.0], &event) {
                Some((bid, ask)) => listing.matcher.display(bid, ask),
                None => return listing.matcher.opposite(Side::Buy).is_some(),
            }
        }
        listing.matcher.opposite(Side::Buy).is_some() || listing.matcher.opposite(Side::Sell).is_some()
    }

    fn meet(
        &mut self,
        slot: Slot,
        arriving: &Arriving,
        at: Timestamp,
        size_of: SizeOf<'_>,
    ) -> ExecutionReport {
        let mut order = arriving.order;
        let is_met = |level: &Level| level.size.is_positive() && reaches(&order, level.price);
        let Some(level) = self.listings[slot.0].matcher.opposite(order.side).filter(is_met) else {
            return ExecutionReport::canceled(&order, at);
        };
        if let Some(quantity) = size_of(order.key, level.price) {
            order.remaining = quantity;
            if !quantity.is_positive() {
                return ExecutionReport::canceled(&order, at);
            }
        }
        let quantity = level.size.min(order.remaining);
        let mut fill = AccountFill::of(order.side, quantity, level.price, self.model.fees);
        let missing = if arriving.is_forced {
            Money::ZERO
        } else {
            self.mark_others(slot, at);
            self.account.missing(slot.0, &fill)
        };
        if missing.is_positive() {
            let carried = self.carried(slot, &fill);
            if carried.is_zero() {
                let (key, quantity) = (order.key, order.remaining);
                let end = ExecutionEnd::Unpaid { missing };
                return ExecutionReport { key, at, quantity, is_reduced: false, end };
            }
            order.remaining = carried;
            fill = AccountFill::of(order.side, carried, level.price, self.model.fees);
        }
        let listing = &mut self.listings[slot.0];
        if listing.matcher.submit(order, TimeInForce::Ioc).0.is_none() {
            return ExecutionReport::canceled(&order, at);
        }
        self.account.book(slot.0, &fill);
        listing.filled_at = Some(fill.price);
        if listing.mark != PositionMark::Old {
            listing.mark = PositionMark::Old;
            self.moved.push(slot);
        }
        let AccountFill { quantity, price, fee, .. } = fill;
        ExecutionReport {
            key: order.key,
            at,
            quantity: order.remaining,
            is_reduced: missing.is_positive(),
            end: ExecutionEnd::Filled { quantity, price, fee },
        }
    }

    /// The most shares of a fill that the account carries; what closes a position is carried in any case.
    fn carried(&self, slot: Slot, fill: &AccountFill) -> Quantity {
        let AccountFill { side, quantity, price, .. } = *fill;
        match self.model.on_short_cash {
            OnShortCash::Reject => Quantity::ZERO,
            OnShortCash::Reduce => {
                let always = closing(self.account.shares(slot.0), side);
                let lot = self.instruments[slot.0].lot;
                most_carried(lot, always, quantity, |quantity| {
                    let fill = AccountFill::of(side, quantity, price, self.model.fees);
                    self.account.missing(slot.0, &fill).is_zero()
                })
            }
        }
    }

    /// Tells the account the prices of what it holds, where others moved than the symbol of an order, which is judged by the
    /// price of its fill.
    fn mark_others(&mut self, but: Slot, at: Timestamp) {
        if self.moved.iter().any(|slot| *slot != but) {
            self.mark(at);
        }
    }

    /// Tells the account the last prices of what it holds, but for one that was not known `at` that time: an open fills when
    /// its bar is known, and by then a bar of another symbol may have told its close.
    fn mark(&mut self, at: Timestamp) {
        let Self { moved, listings, account, .. } = self;
        moved.retain(|slot| {
            let listing = &mut listings[slot.0];
            let is_later = listing.last_at > at;
            let last = if is_later { listing.before } else { listing.last };
            // An order may fill before its symbol showed a price otherwise.
            if let Some(price) = Price::from_f64(last).ok().or(listing.filled_at) {
                account.mark(slot.0, price);
            }
            if !is_later {
                let is_flat = account.shares(slot.0).is_zero();
                listing.mark = if is_flat { PositionMark::None } else { PositionMark::Known };
            }
            is_later
        });
    }
}

impl ExecutionReport {
    fn canceled(order: &Working, at: Timestamp) -> Self {
        let (key, quantity) = (order.key, order.remaining);
        Self { key, at, quantity, is_reduced: false, end: ExecutionEnd::Canceled }
    }
}

fn reaches(order: &Working, price: Price) -> bool {
    match (order.order_type, order.side) {
        (OrderType::Market, _) => true,
        (OrderType::Limit(limit), Side::Buy) => price <= limit,
        (OrderType::Limit(limit), Side::Sell) => price >= limit,
    }
}

/// What an order asks for, in the matcher's words.
pub fn working(key: usize, side: Side, order_type: OrderType, quantity: Quantity) -> Working {
    Working { key, side, order_type, remaining: quantity }
}
