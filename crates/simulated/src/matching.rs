//! The matching core: one symbol's working orders against a displayed quote. Pure, and cheap per event.
//!
//! The displayed size is all there is: what an order takes of it is gone until the next quote. A resting order fills
//! at the quote that crosses its limit, in the order of price, then of arrival.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use bot_core::order::{OrderType, Side, TimeInForce};
use bot_core::units::{Price, Quantity};

/// One side of a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// US dollars per share.
    pub price: Price,
    /// Shares displayed and not yet taken.
    pub size: Quantity,
}

/// The part of an order that the matcher knows; `key` is the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Working {
    /// The owner's number of the order: unique, and smaller for older orders.
    pub key: usize,
    /// Which way.
    pub side: Side,
    /// At what price.
    pub order_type: OrderType,
    /// Shares still to fill.
    pub remaining: Quantity,
}

/// Shares that changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// Which order.
    pub key: usize,
    /// US dollars per share.
    pub price: Price,
    /// Shares, above 0.
    pub quantity: Quantity,
}

/// What became of the rest of a new order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There is none: the order is filled.
    Nothing,
    /// It waits for later quotes.
    Waits,
    /// It is cancelled, as the order's time in force says.
    Canceled,
}

/// One symbol's displayed quote and working orders.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    bid: Option<Level>,
    ask: Option<Level>,
    buys: BTreeMap<Rank, Quantity>,
    sells: BTreeMap<Rank, Quantity>,
}

/// Most aggressive first, then oldest first.
type Rank = (Decimal, usize);

impl Matcher {
    /// Shows a new quote and fills what crosses it; executions are appended to `filled`.
    pub fn show(&mut self, bid: Option<Level>, ask: Option<Level>, filled: &mut Vec<Execution>) {
        self.display(bid, ask);
        self.rematch(filled);
    }

    /// Shows a new quote while the market is closed: nothing fills.
    pub fn display(&mut self, bid: Option<Level>, ask: Option<Level>) {
        self.bid = bid;
        self.ask = ask;
    }

    /// Fills working orders from what is still displayed, for orders that were put to rest while the market was closed.
    pub fn rematch(&mut self, filled: &mut Vec<Execution>) {
        sweep(&mut self.buys, &mut self.ask, filled, |rank, price| rank <= -price);
        sweep(&mut self.sells, &mut self.bid, filled, |rank, price| rank <= price);
    }

    /// Matches a new order against the displayed quote.
    pub fn submit(&mut self, order: Working, time_in_force: TimeInForce) -> (Option<Execution>, Rest) {
        let level = match order.side {
            Side::Buy => &mut self.ask,
            Side::Sell => &mut self.bid,
        };
        let open = level.filter(|level| level.size.is_positive() && crosses(&order, level.price));
        let quantity = open.map_or(Quantity::ZERO, |level| level.size.min(order.remaining));
        let all = quantity == order.remaining;
        let kill = match time_in_force {
            TimeInForce::Fok => !all,
            TimeInForce::Day | TimeInForce::Gtc | TimeInForce::Ioc => false,
        };
        if kill {
            return (None, Rest::Canceled);
        }
        let execution = open.map(|open| {
            *level = Some(Level { size: open.size - quantity, ..open });
            Execution { key: order.key, price: open.price, quantity }
        });
        let rest = match time_in_force {
            _ if all => Rest::Nothing,
            TimeInForce::Ioc | TimeInForce::Fok => Rest::Canceled,
            TimeInForce::Day | TimeInForce::Gtc => {
                self.rest(Working { remaining: order.remaining - quantity, ..order });
                Rest::Waits
            }
        };
        (execution, rest)
    }

    /// Lets an order wait for the next quote without matching it now.
    pub fn rest(&mut self, order: Working) {
        self.side(order.side).insert(rank(&order), order.remaining);
    }

    /// Takes a working order out.
    pub fn remove(&mut self, order: &Working) {
        self.side(order.side).remove(&rank(order));
    }

    /// The most aggressive working order of one side: its key and its limit, `None` for a market order.
    pub fn best(&self, side: Side) -> Option<(usize, Option<Decimal>)> {
        let orders = match side {
            Side::Buy => &self.buys,
            Side::Sell => &self.sells,
        };
        orders.first_key_value().map(|(&(price, key), _)| (key, (price != MARKET).then(|| price.abs())))
    }

    /// What is displayed and not yet taken of the side that an order of `side` would take from.
    pub fn opposite(&self, side: Side) -> Option<Level> {
        match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        }
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<Rank, Quantity> {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }
}

/// A market order comes before any limit.
const MARKET: Decimal = Decimal::MIN;

fn rank(order: &Working) -> Rank {
    let price = match (order.order_type, order.side) {
        (OrderType::Market, _) => MARKET,
        (OrderType::Limit(limit), Side::Buy) => -limit.get(),
        (OrderType::Limit(limit), Side::Sell) => limit.get(),
    };
    (price, order.key)
}

fn crosses(order: &Working, price: Price) -> bool {
    match (order.order_type, order.side) {
        (OrderType::Market, _) => true,
        (OrderType::Limit(limit), Side::Buy) => price <= limit,
        (OrderType::Limit(limit), Side::Sell) => price >= limit,
    }
}

fn sweep(
    orders: &mut BTreeMap<Rank, Quantity>,
    level: &mut Option<Level>,
    filled: &mut Vec<Execution>,
    crosses: impl Fn(Decimal, Decimal) -> bool,
) {
    let Some(level) = level else { return };
    while level.size.is_positive()
        && let Some(mut first) = orders.first_entry()
        && crosses(first.key().0, level.price.get())
    {
        let key = first.key().1;
        let quantity = level.size.min(*first.get());
        level.size -= quantity;
        *first.get_mut() -= quantity;
        if first.get().is_zero() {
            first.remove();
        }
        filled.push(Execution { key, price: level.price, quantity });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: &str, size: &str) -> Level {
        Level { price: price.parse().unwrap(), size: size.parse().unwrap() }
    }

    fn order(key: usize, side: Side, limit: Option<&str>, quantity: &str) -> Working {
        let order_type = limit.map_or(OrderType::Market, |limit| OrderType::Limit(limit.parse().unwrap()));
        Working { key, side, order_type, remaining: quantity.parse().unwrap() }
    }

    /// A matcher showing 100 x 100.10, 50 shares on each side.
    fn market() -> Matcher {
        let mut matcher = Matcher::default();
        matcher.show(Some(level("100", "50")), Some(level("100.10", "50")), &mut Vec::new());
        matcher
    }

    #[track_caller]
    fn check(working: Working, time_in_force: TimeInForce, execution: Option<(&str, &str)>, rest: Rest) {
        let (filled, left) = market().submit(working, time_in_force);
        let filled = filled.map(|filled| (filled.price.to_string(), filled.quantity.to_string()));
        assert_eq!(filled, execution.map(|(price, size)| (price.to_owned(), size.to_owned())));
        assert_eq!(left, rest);
    }

    #[test]
    fn an_order_takes_what_is_displayed_and_its_time_in_force_decides_on_the_rest() {
        use Side::{Buy, Sell};
        use TimeInForce::{Day, Fok, Gtc, Ioc};
        check(order(1, Buy, None, "20"), Ioc, Some(("100.1", "20")), Rest::Nothing);
        check(order(1, Sell, None, "20"), Day, Some(("100", "20")), Rest::Nothing);
        check(order(1, Buy, None, "80"), Ioc, Some(("100.1", "50")), Rest::Canceled);
        check(order(1, Buy, None, "80"), Day, Some(("100.1", "50")), Rest::Waits);
        check(order(1, Buy, None, "80"), Fok, None, Rest::Canceled);
        check(order(1, Buy, None, "50"), Fok, Some(("100.1", "50")), Rest::Nothing);
        check(order(1, Buy, Some("100.09"), "20"), Ioc, None, Rest::Canceled);
        check(order(1, Buy, Some("100.10"), "20"), Ioc, Some(("100.1", "20")), Rest::Nothing);
        check(order(1, Sell, Some("100.01"), "20"), Gtc, None, Rest::Waits);
    }

    #[test]
    fn the_displayed_size_is_consumed_until_the_next_quote() {
        let mut matcher = market();
        let buy = |key| order(key, Side::Buy, None, "40");
        assert_eq!(
            matcher.submit(buy(1), TimeInForce::Ioc).0.unwrap().quantity,
            "40".parse::<Quantity>().unwrap()
        );
        assert_eq!(
            matcher.submit(buy(2), TimeInForce::Ioc).0.unwrap().quantity,
            "10".parse::<Quantity>().unwrap()
        );
        assert_eq!(matcher.submit(buy(3), TimeInForce::Ioc), (None, Rest::Canceled));
        matcher.show(Some(level("100", "50")), Some(level("100.10", "50")), &mut Vec::new());
        assert!(matcher.submit(buy(4), TimeInForce::Ioc).0.is_some());
    }

    #[test]
    fn a_resting_order_fills_at_the_quote_that_crosses_it_by_price_then_by_age() {
        let mut matcher = market();
        for (key, limit) in [(1, "99"), (2, "99.50"), (3, "99.50")] {
            assert_eq!(
                matcher.submit(order(key, Side::Buy, Some(limit), "30"), TimeInForce::Gtc).1,
                Rest::Waits
            );
        }
        let mut filled = Vec::new();
        matcher.show(Some(level("99.30", "50")), Some(level("99.40", "45")), &mut filled);
        let found: Vec<_> =
            filled.iter().map(|one| (one.key, one.price.to_string(), one.quantity.to_string())).collect();
        assert_eq!(found, [(2, "99.4".to_owned(), "30".to_owned()), (3, "99.4".to_owned(), "15".to_owned())]);
        assert_eq!(matcher.best(Side::Buy), Some((3, Some("99.5".parse().unwrap()))));
    }

    #[test]
    fn a_side_that_nobody_quotes_fills_nothing() {
        let mut matcher = Matcher::default();
        matcher.show(Some(level("100", "50")), None, &mut Vec::new());
        assert_eq!(matcher.submit(order(1, Side::Buy, None, "1"), TimeInForce::Ioc), (None, Rest::Canceled));
    }
}
