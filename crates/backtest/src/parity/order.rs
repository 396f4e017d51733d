//! One order as the session had it, and as the replay had it, in the same shape. Pure.

use std::time::Duration;

use rust_decimal::Decimal;

use crate::ELSEWHERE;
use crate::record::{OrderSummary, Record};
use bot_core::clock::Timestamp;
use bot_core::market::Quote;
use bot_core::order::Side;
use bot_core::outcome::{Outcome, OutcomeKind};
use bot_core::signal::{Signal, Wanted};
use bot_core::strategy::signal_id;
use bot_core::symbol::Symbol;
use bot_core::units::{AveragePrice, Money, Price, Quantity};

/// One signal and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedOrder {
    /// What both sides call it: the producer's id, else the entry's, and the number of the step.
    pub id: String,
    /// Whose it is; empty for signals from elsewhere.
    pub strategy: String,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How sure, where that was said.
    pub strength: Option<f64>,
    /// When: a strategy's event, or the arrival of a signal from elsewhere.
    pub at: Timestamp,
    /// True when it became an order at the broker.
    pub is_order: bool,
    /// Shares ordered; 0 where it came to no order.
    pub quantity: Quantity,
    /// The limit, where there was one.
    pub limit: Option<Price>,
    /// How it ended.
    pub outcome: OutcomeKind,
    /// Why, as `code: text`.
    pub reason: String,
    /// Shares filled.
    pub filled: Quantity,
    /// Mean price of them.
    pub price: Option<AveragePrice>,
    /// What one share cost by the quote that was decided on, US dollars.
    pub price_seen: Option<f64>,
}

/// The session's side, with what only a real market has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LiveSide {
    /// The order.
    pub order: ComparedOrder,
    /// What it asked for.
    pub signal: Signal,
    /// When it was decided on, else when it reached the process.
    pub decided_at: Timestamp,
    /// When it was first sent to the broker.
    pub submitted_at: Option<Timestamp>,
    /// When its end was known.
    pub final_at: Timestamp,
    /// Whether it may have been handled by a process before.
    pub redelivered: bool,
}

impl ComparedOrder {
    /// What was decided: an order, or the outcome with the refusal's code.
    pub fn decision(&self) -> String {
        if self.is_order {
            "order".to_owned()
        } else {
            format!("{} {}", self.outcome.as_str(), self.code()).trim_end().to_owned()
        }
    }

    /// Whether the other side of it goes the same way. Of a strategy's strength that came to no order nobody knows the way:
    /// it follows from what the book holds.
    pub(super) fn goes_as(&self, other: &Self) -> bool {
        let is_known =
            self.strategy.is_empty() || self.strength.is_none() || (self.is_order && other.is_order);
        !is_known || self.side == other.side
    }

    /// The code of its reason.
    pub fn code(&self) -> &str {
        self.reason.split(':').next().unwrap_or_default()
    }

    /// Money that it brought; negative for a buy.
    pub fn cash(&self) -> Money {
        let money = self.price.map_or(Money::ZERO, |price| price * self.filled);
        match self.side {
            Side::Buy => -money,
            Side::Sell => money,
        }
    }

    /// Shares that it brought; negative for a sell.
    pub fn shares(&self) -> Quantity {
        match self.side {
            Side::Buy => self.filled,
            Side::Sell => -self.filled,
        }
    }
}

impl LiveSide {
    /// What was recorded of a signal; `None` for what was lost before it could be read. `strategies` are those that the
    /// replay runs again: all other signals came from elsewhere.
    pub(super) fn of(outcome: &Outcome, strategies: &[&str], started_at: Timestamp) -> Option<Self> {
        let decision = outcome.decision.as_deref()?;
        let signal = &decision.signal;
        let final_at = outcome.final_at?;
        let received_at = outcome.received_at.unwrap_or(final_at);
        let name = &*signal.strategy;
        let own = strategies.contains(&name) && signal.sent_at >= started_at;
        let made_at = own.then(|| own_time(name, signal.first())).flatten();
        let (id, step) = (signal.first().to_owned(), signal.step.as_ref());
        let (strategy, at) = match made_at {
            Some(made_at) => (name.to_owned(), step.map_or(made_at, |step| step.due)),
            None => (String::new(), step.map_or(received_at, |step| step.due)),
        };
        let id = id_of(&id, step.map_or(0, |step| step.number));
        let side = outcome.side.or(signal.wanted.side()).unwrap_or(Side::Buy);
        let quote_side = |quote: Quote| match side {
            Side::Buy => quote.ask,
            Side::Sell => quote.bid,
        };
        let is_order = outcome.submitted_at.is_some() || outcome.order_id.is_some();
        Some(Self {
            order: ComparedOrder {
                id,
                strategy,
                symbol: signal.symbol,
                side,
                strength: signal.wanted.strength(),
                at,
                is_order,
                quantity: outcome.quantity.filter(|_| is_order).unwrap_or_default(),
                limit: decision.limit,
                outcome: outcome.kind,
                reason: outcome.reason.clone(),
                filled: outcome.filled.unwrap_or_default(),
                price: outcome.average_price,
                price_seen: decision.quote.map(quote_side),
            },
            signal: signal.clone(),
            decided_at: decision.at.unwrap_or(received_at),
            submitted_at: outcome.submitted_at,
            final_at,
            redelivered: signal.redelivered,
        })
    }

    /// Shares that the signal itself named for its order.
    pub(super) fn asked(&self) -> Option<Quantity> {
        match self.signal.wanted {
            Wanted::Order { quantity, .. } => quantity,
            Wanted::Target(_) | Wanted::Strength(_) | Wanted::Weight(_) => None,
        }
    }

    /// How long it took from the event, or the arrival, to the broker.
    pub(super) fn latency(&self) -> Option<Duration> {
        Some(self.submitted_at?.since(self.order.at))
    }
}

/// The replay's orders, in the order of the decisions; `elsewhere` are the ids of the signals that were fed in, in order.
pub(super) fn replayed(record: &Record, elsewhere: &[String]) -> Vec<ComparedOrder> {
    let mut orders = Vec::with_capacity(record.orders.len());
    for order in &record.orders {
        let by = record.strategies.get(usize::from(order.by));
        let by = by.map_or("", |strategy| strategy.name.as_str());
        let (first, strategy) = if by == ELSEWHERE {
            let number = usize::try_from(order.number).unwrap_or(usize::MAX);
            (elsewhere.get(number).cloned().unwrap_or_default(), String::new())
        } else {
            (signal_id(by, order.made_at, order.number), by.to_owned())
        };
        orders.push(of_replay(id_of(&first, order.step), strategy, order));
    }
    orders
}

/// What a step of a signal is called.
fn id_of(first: &str, step: u32) -> String {
    if step == 0 { first.to_owned() } else { format!("{first}.{step}") }
}

fn of_replay(id: String, strategy: String, order: &OrderSummary) -> ComparedOrder {
    let filled = order.filled;
    let price = AveragePrice::of(order.total, filled);
    ComparedOrder {
        id,
        strategy,
        symbol: order.symbol,
        side: order.side,
        strength: order.wanted.strength(),
        at: order.at,
        is_order: order.is_order,
        quantity: if order.is_order { order.quantity } else { Quantity::ZERO },
        limit: order.limit.filter(|_| order.is_order),
        outcome: order.outcome,
        reason: order.reason.clone(),
        filled,
        price,
        price_seen: Some(order.price_seen).filter(|price| price.is_finite()),
    }
}

/// A strategy's own signal is called by its name, its event's time and a number.
fn own_time(name: &str, id: &str) -> Option<Timestamp> {
    let (nanos, number) = id.strip_prefix(name)?.strip_prefix('-')?.rsplit_once('-')?;
    number.parse::<u32>().ok()?;
    Some(Timestamp::from_nanos(nanos.parse().ok()?))
}

/// Prices that differ by less are the same: brokers round means.
const PRICE_TOLERANCE: Decimal = Decimal::from_parts(5, 0, 0, false, 5);

/// Whether two prices are the same but for a broker's rounding.
pub(super) fn same_price<P: Into<Decimal>>(one: Option<P>, other: Option<P>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one.into() - other.into()).abs() <= PRICE_TOLERANCE,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
