//! The simulated broker over history: orders meet the exchange's matching core on the terms of the run. Pure.
//!
//! Every order is immediate-or-cancel, as it is live: it meets one price, takes what is there, and the rest is cancelled.

use std::collections::VecDeque;

use rust_decimal::prelude::FromPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::board::Slot;
use crate::account::{Account, Holding};
use crate::broker::simulated::matching::{Level, Matcher, Working};
use crate::broker::simulated::{FillModel, Terms};
use crate::clock::Timestamp;
use crate::market::{MarketEvent, Quote};
use crate::order::{OrderType, Side, TimeInForce};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// One account and the orders on their way to the market.
#[derive(Debug)]
pub struct Connector {
    terms: Terms,
    cash: Money,
    fees: Money,
    listings: Vec<Listing>,
    /// How many positions are short: while there are none, no collateral is reckoned.
    shorts: usize,
    waiting: usize,
}

#[derive(Debug)]
struct Listing {
    symbol: Symbol,
    matcher: Matcher,
    /// Held, negative when short.
    shares: Quantity,
    /// On their way, by arrival.
    queue: VecDeque<Arriving>,
    /// The last event, until its price is displayed.
    shown: Option<MarketEvent>,
    /// Last price; NaN before the first.
    last: f64,
}

#[derive(Debug)]
struct Arriving {
    order: Working,
    at: Timestamp,
}

/// What became of an order at the market.
#[derive(Debug, Clone, PartialEq)]
pub struct Met {
    /// The order.
    pub key: usize,
    /// When it met the market.
    pub at: Timestamp,
    /// How it ended there.
    pub end: MetEnd,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq)]
pub enum MetEnd {
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

impl Connector {
    /// An account with nothing but cash.
    pub fn new(terms: Terms, cash: Money) -> Self {
        Self { terms, cash, fees: Money::ZERO, listings: Vec::new(), shorts: 0, waiting: 0 }
    }

    /// Lists the next symbol; its slot is the number of those before it.
    pub fn list(&mut self, symbol: Symbol) {
        let matcher = Matcher::default();
        let (shares, queue) = (Quantity::ZERO, VecDeque::new());
        self.listings.push(Listing { symbol, matcher, shares, queue, shown: None, last: f64::NAN });
    }

    /// Takes an order; it meets the market at once where the fill model says so, else when its price comes.
    pub fn submit(&mut self, slot: Slot, order: Working, now: Timestamp) -> Option<Met> {
        let at = now + self.terms.latency;
        let meets_now = self.terms.latency.is_zero() && self.terms.fill != FillModel::NextOpen;
        if meets_now && self.display_last(slot) {
            return Some(self.meet(slot, &order, now));
        }
        self.listings[slot.0].queue.push_back(Arriving { order, at });
        self.waiting += 1;
        None
    }

    /// Shows what happened in the market; orders that it meets are appended to `met`.
    #[inline]
    pub fn show(&mut self, slot: Slot, event: &MarketEvent, price: f64, met: &mut Vec<Met>) {
        if self.waiting > 0 && !self.listings[slot.0].queue.is_empty() {
            self.arrive(slot, event, met);
        }
        let listing = &mut self.listings[slot.0];
        listing.last = price;
        if self.terms.fill != FillModel::NextOpen && fills(self.terms.fill, event) {
            listing.shown = Some(*event);
        }
    }

    /// Cash.
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// Fees taken so far.
    pub fn fees(&self) -> Money {
        self.fees
    }

    /// Shares held of one symbol, negative when short.
    pub fn shares(&self, slot: Slot) -> Quantity {
        self.listings[slot.0].shares
    }

    /// The account as the broker shows it.
    pub fn account(&self) -> Account {
        let held = self.listings.iter().filter(|listing| !listing.shares.is_zero());
        let holdings: Vec<Holding> = held
            .map(|listing| Holding {
                symbol: listing.symbol,
                quantity: listing.shares,
                available: listing.shares,
                average_price: None,
            })
            .collect();
        let equity = self.cash + self.listings.iter().map(Listing::worth).sum();
        let buying_power = (self.cash - self.collateral()).max(Money::ZERO);
        Account { id: "backtest".to_owned(), cash: self.cash, buying_power, equity, blocked: None, holdings }
    }

    /// How orders fill and what they cost, in words.
    pub fn words(terms: &Terms) -> Vec<String> {
        let mut words = vec![match terms.fill {
            FillModel::NextOpen => {
                "An order fills at the next bar's open (the next print's price, the next quote's side) of its symbol.".to_owned()
            }
            FillModel::SameClose => {
                "An order fills at the close of the bar that gave its signal, which is kinder than any market is.".to_owned()
            }
            FillModel::Quote => {
                "An order fills at the displayed quote, a buy at the ask and a sell at the bid, up to the displayed size."
                    .to_owned()
            }
        }];
        words.push(
            "Every order is immediate-or-cancel: what that price does not fill is cancelled.".to_owned(),
        );
        if !terms.latency.is_zero() {
            words.push(format!("It is on its way for {} first.", crate::duration::format(terms.latency)));
        }
        words.push(match terms.volume_share {
            Some(share) => format!(
                "It fills {}% of the bar's volume (of the print's size) at the most.",
                (share.get() * Decimal::ONE_HUNDRED).normalize()
            ),
            None => "The volume does not bound it.".to_owned(),
        });
        words.push(format!(
            "Slippage: {} bps against the one who trades. Fees: {}.",
            terms.slippage, terms.fees
        ));
        words.push("There is no margin: an order that cannot be paid in full, fees included, is rejected; a short position is backed by as much cash as it is worth.".to_owned());
        words
    }

    /// Lets orders meet what was shown before, while they came before `event`, and then `event` itself.
    fn arrive(&mut self, slot: Slot, event: &MarketEvent, met: &mut Vec<Met>) {
        let quotes_last = self.terms.fill == FillModel::Quote;
        let at = match (self.terms.fill, event) {
            (FillModel::NextOpen, MarketEvent::Bar { bar, .. }) => bar.at,
            (FillModel::NextOpen | FillModel::SameClose | FillModel::Quote, _) => event.known_at(),
        };
        if quotes_last {
            while let Some(first) = self.listings[slot.0].queue.pop_front_if(|first| first.at < at) {
                self.waiting -= 1;
                let met_now = if self.display_last(slot) {
                    self.meet(slot, &first.order, first.at)
                } else {
                    Met { key: first.order.key, at: first.at, end: MetEnd::Canceled }
                };
                met.push(met_now);
            }
        }
        let mut is_displayed = false;
        while let Some(first) = self.listings[slot.0].queue.pop_front_if(|first| first.at <= at) {
            self.waiting -= 1;
            if !is_displayed {
                if fills(self.terms.fill, event) {
                    self.listings[slot.0].shown = Some(*event);
                }
                is_displayed = self.display_last(slot);
            }
            met.push(self.meet(slot, &first.order, at));
        }
    }

    /// Displays the last event's price, where it has one that fills; false when there is nothing to meet.
    fn display_last(&mut self, slot: Slot) -> bool {
        let terms = &self.terms;
        let listing = &mut self.listings[slot.0];
        if let Some(event) = listing.shown.take() {
            match levels(terms, &event) {
                Some((bid, ask)) => listing.matcher.display(bid, ask),
                None => return listing.matcher.opposite(Side::Buy).is_some(),
            }
        }
        listing.matcher.opposite(Side::Buy).is_some() || listing.matcher.opposite(Side::Sell).is_some()
    }

    fn meet(&mut self, slot: Slot, order: &Working, at: Timestamp) -> Met {
        let key = order.key;
        let listing = &mut self.listings[slot.0];
        let is_met = |level: &Level| level.size.is_positive() && reaches(order, level.price);
        let Some(level) = listing.matcher.opposite(order.side).filter(is_met) else {
            return Met { key, at, end: MetEnd::Canceled };
        };
        let quantity = level.size.min(order.remaining);
        let fee = self.terms.fees.of(order.side, quantity, level.price * quantity);
        if let Some(missing) = self.missing(slot, order.side, quantity, level.price, fee) {
            return Met { key, at, end: MetEnd::Unpaid { missing } };
        }
        let listing = &mut self.listings[slot.0];
        let (Some(fill), _) = listing.matcher.submit(*order, TimeInForce::Ioc) else {
            return Met { key, at, end: MetEnd::Canceled };
        };
        self.book(slot, order.side, fill.price, fill.quantity, fee);
        Met { key, at, end: MetEnd::Filled { quantity: fill.quantity, price: fill.price, fee } }
    }

    fn book(&mut self, slot: Slot, side: Side, price: Price, quantity: Quantity, fee: Money) {
        let money = price * quantity;
        self.cash += match side {
            Side::Buy => -money,
            Side::Sell => money,
        };
        self.cash -= fee;
        self.fees += fee;
        let shares = &mut self.listings[slot.0].shares;
        let was_short = shares.is_negative();
        *shares += match side {
            Side::Buy => quantity,
            Side::Sell => -quantity,
        };
        self.shorts = self.shorts + usize::from(shares.is_negative()) - usize::from(was_short);
    }

    /// What the account lacks to carry the position that such a fill opens; nothing is asked of one that only closes.
    fn missing(&self, slot: Slot, side: Side, quantity: Quantity, price: Price, fee: Money) -> Option<Money> {
        let held = self.listings[slot.0].shares;
        let (after, paid) = match side {
            Side::Buy => (held + quantity, price * quantity),
            Side::Sell => (held - quantity, -(price * quantity)),
        };
        if after.abs() < held.abs() && is_same_way(held, after) {
            return None;
        }
        let own = if after.is_positive() { Money::ZERO } else { price * after };
        let mut left = self.cash - paid - fee + own + own;
        if self.shorts > 0 {
            let others = self.listings.iter().enumerate().filter(|(place, _)| *place != slot.0);
            let short: Money = others.map(|(_, listing)| listing.worth().min(Money::ZERO)).sum();
            left += short + short;
        }
        (left < Money::ZERO).then(|| -left)
    }

    /// What short positions hold of the cash: what selling them brought and as much again.
    fn collateral(&self) -> Money {
        let short: Money = self.listings.iter().map(|listing| listing.worth().min(Money::ZERO)).sum();
        -(short + short)
    }
}

impl Listing {
    fn worth(&self) -> Money {
        if self.shares.is_zero() {
            return Money::ZERO;
        }
        Price::from_seen(self.last).map_or(Money::ZERO, |price| price * self.shares)
    }
}

fn reaches(order: &Working, price: Price) -> bool {
    match (order.order_type, order.side) {
        (OrderType::Market, _) => true,
        (OrderType::Limit(limit), Side::Buy) => price <= limit,
        (OrderType::Limit(limit), Side::Sell) => price >= limit,
    }
}

fn is_same_way(before: Quantity, after: Quantity) -> bool {
    after.is_zero() || before.is_positive() == after.is_positive()
}

fn fills(fill: FillModel, event: &MarketEvent) -> bool {
    match event {
        MarketEvent::Quote { .. } => true,
        MarketEvent::Trade { .. } | MarketEvent::Bar { .. } => fill != FillModel::Quote,
        MarketEvent::Number { .. } => false,
    }
}

/// The bid and ask that an event stands for; `None` for events that fill nothing.
fn levels(terms: &Terms, event: &MarketEvent) -> Option<(Option<Level>, Option<Level>)> {
    let (bid, ask, sizes) = match (terms.fill, event) {
        (_, MarketEvent::Number { .. })
        | (FillModel::Quote, MarketEvent::Trade { .. } | MarketEvent::Bar { .. }) => return None,
        (_, MarketEvent::Quote { quote, .. }) => (quote.bid, quote.ask, quote_sizes(quote)),
        (_, MarketEvent::Trade { trade, .. }) => (trade.price, trade.price, volume(terms, trade.size)),
        (FillModel::NextOpen, MarketEvent::Bar { bar, .. }) => {
            (bar.open, bar.open, volume(terms, bar.volume))
        }
        (FillModel::SameClose, MarketEvent::Bar { bar, .. }) => {
            (bar.close, bar.close, volume(terms, bar.volume))
        }
    };
    let seller = Price::from_seen(bid).ok();
    let is_one_price = bid.to_bits() == ask.to_bits();
    let buyer = if is_one_price { seller } else { Price::from_seen(ask).ok() };
    let level = |side, price: Option<Price>, size| Some(Level { price: slipped(terms, side, price?)?, size });
    Some((level(Side::Sell, seller, sizes.0), level(Side::Buy, buyer, sizes.1)))
}

fn quote_sizes(quote: &Quote) -> (Quantity, Quantity) {
    let shares = |size: f64| Quantity::new(Decimal::from_f64(size).unwrap_or_default()).whole();
    (shares(quote.bid_size), shares(quote.ask_size))
}

/// How much of a bar's volume, or of a print's size, an order may fill.
fn volume(terms: &Terms, volume: f64) -> (Quantity, Quantity) {
    let size = match terms.volume_share {
        None => Quantity::new(UNBOUNDED),
        Some(share) => (Quantity::new(Decimal::from_f64(volume).unwrap_or_default()) * share).whole(),
    };
    (size, size)
}

/// More shares than there are.
const UNBOUNDED: Decimal = Decimal::from_parts(u32::MAX, 1 << 16, 0, false, 0);

fn slipped(terms: &Terms, side: Side, price: Price) -> Option<Price> {
    if terms.slippage.is_zero() {
        return Some(price);
    }
    let slippage = terms.slippage.fraction();
    let (factor, strategy) = match side {
        Side::Buy => (Decimal::ONE + slippage, RoundingStrategy::ToPositiveInfinity),
        Side::Sell => (Decimal::ONE - slippage, RoundingStrategy::ToNegativeInfinity),
    };
    Price::new((price.get() * factor).round_dp_with_strategy(6, strategy)).ok()
}

/// What an order asks for, in the matcher's words.
pub fn working(key: usize, side: Side, order_type: OrderType, quantity: Quantity) -> Working {
    Working { key, side, order_type, remaining: quantity }
}
