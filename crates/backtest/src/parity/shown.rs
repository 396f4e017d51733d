//! What the recorded market showed while a live order was decided on and filled. One pass over the recording.

use std::collections::HashMap;
use std::time::Duration;

use super::order::LiveSide;
use bot_core::clock::Timestamp;
use bot_core::market::{MarketEvent, Quote};
use bot_core::order::Side;
use bot_core::strategy::usable_price;
use bot_core::symbol::Symbol;

/// The quotes of a window of time, the one in force at its start included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct QuotesShown {
    /// How many usable quotes there were.
    pub quotes: u64,
    /// Quotes with a side missing, or crossed.
    pub unusable: u64,
    /// Lowest and highest bid.
    pub bid: (f64, f64),
    /// Lowest and highest ask.
    pub ask: (f64, f64),
    /// Least and most shares at the bid.
    pub bid_size: (f64, f64),
    /// Least and most shares at the ask.
    pub ask_size: (f64, f64),
    /// How old the quote in force was at the start.
    pub age: Option<Duration>,
}

/// What was shown around one live order.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Evidence {
    /// From the signal to the decision.
    pub decision: QuotesShown,
    /// From the sending to the known end.
    pub fill: QuotesShown,
}

/// How much a broker's clock may differ from ours.
const SLACK: Duration = Duration::from_millis(100);

impl QuotesShown {
    /// Lowest and highest price that an order of this side would pay or get.
    pub(super) fn own(&self, side: Side) -> (f64, f64) {
        match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        }
    }

    /// Least and most shares that were there for it.
    pub(super) fn size(&self, side: Side) -> (f64, f64) {
        match side {
            Side::Buy => self.ask_size,
            Side::Sell => self.bid_size,
        }
    }

    fn add(&mut self, quote: &Quote) {
        let widen = |range: &mut (f64, f64), value: f64, first: bool| {
            *range = if first { (value, value) } else { (range.0.min(value), range.1.max(value)) };
        };
        let first = self.quotes == 0;
        widen(&mut self.bid, quote.bid, first);
        widen(&mut self.ask, quote.ask, first);
        widen(&mut self.bid_size, quote.bid_size, first);
        widen(&mut self.ask_size, quote.ask_size, first);
        self.quotes += 1;
    }
}

/// Gathers what was shown around each of some orders, while it is told the market's events in order.
pub(super) struct Watcher {
    /// By start, the latest first.
    waiting: Vec<WatchedOrder>,
    open: HashMap<Symbol, Vec<WatchedOrder>>,
    last: HashMap<Symbol, Quote>,
    found: Vec<Evidence>,
}

struct WatchedOrder {
    order: usize,
    is_fill: bool,
    symbol: Symbol,
    from: Timestamp,
    to: Timestamp,
    shown: QuotesShown,
}

impl Watcher {
    /// Watches for these orders.
    pub(super) fn new(orders: &[LiveSide]) -> Self {
        let mut waiting = Vec::with_capacity(orders.len() * 2);
        for (place, live) in orders.iter().enumerate() {
            let symbol = live.order.symbol;
            let mut watch = |is_fill, from, to| {
                waiting.push(WatchedOrder {
                    order: place,
                    is_fill,
                    symbol,
                    from,
                    to,
                    shown: QuotesShown::default(),
                });
            };
            watch(false, live.order.at, live.decided_at);
            if let Some(submitted_at) = live.submitted_at {
                watch(true, submitted_at - SLACK, live.final_at + SLACK);
            }
        }
        waiting.sort_by_key(|watch| std::cmp::Reverse(watch.from));
        let found = vec![Evidence::default(); orders.len()];
        Self { waiting, open: HashMap::new(), last: HashMap::new(), found }
    }

    /// Takes the next event.
    pub(super) fn observe(&mut self, event: &MarketEvent) {
        let at = event.known_at();
        while let Some(watch) = self.waiting.pop_if(|watch| watch.from < at) {
            self.begin(watch);
        }
        let MarketEvent::Quote { symbol, quote } = event else { return };
        if let Some(open) = self.open.get_mut(symbol) {
            for over in open.extract_if(.., |watch| watch.to < at) {
                keep(&mut self.found, &over);
            }
            for watch in open {
                if usable_price(event).is_some() {
                    watch.shown.add(quote);
                } else {
                    watch.shown.unusable += 1;
                }
            }
        }
        if usable_price(event).is_some() {
            self.last.insert(*symbol, *quote);
        }
    }

    /// The last quote of each symbol so far.
    pub(super) fn last(&self) -> &HashMap<Symbol, Quote> {
        &self.last
    }

    /// What was found, in the order of the orders.
    pub(super) fn end(mut self) -> Vec<Evidence> {
        while let Some(watch) = self.waiting.pop() {
            self.begin(watch);
        }
        self.open.values().flatten().for_each(|watch| keep(&mut self.found, watch));
        self.found
    }

    fn begin(&mut self, mut watch: WatchedOrder) {
        if let Some(quote) = self.last.get(&watch.symbol) {
            watch.shown.add(quote);
            watch.shown.age = Some(watch.from.since(quote.at));
        }
        self.open.entry(watch.symbol).or_default().push(watch);
    }
}

fn keep(found: &mut [Evidence], watch: &WatchedOrder) {
    let evidence = &mut found[watch.order];
    if watch.is_fill {
        evidence.fill = watch.shown;
    } else {
        evidence.decision = watch.shown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_the_quote_in_force_at_its_start_and_all_until_its_end() {
        let symbol: Symbol = "NVDA".parse().unwrap();
        let second = Timestamp::from_secs;
        let watch = |from, to| WatchedOrder {
            order: 0,
            is_fill: false,
            symbol,
            from: second(from),
            to: second(to),
            shown: QuotesShown::default(),
        };
        let mut watcher = Watcher {
            waiting: vec![watch(12, 14)],
            open: HashMap::new(),
            last: HashMap::new(),
            found: vec![Evidence::default()],
        };
        for (at, bid) in [(9, 1.0), (10, 5.0), (13, 4.0), (14, 6.0), (15, 9.0)] {
            let quote = Quote { at: second(at), bid, bid_size: bid, ask: bid + 1.0, ask_size: 7.0 };
            watcher.observe(&MarketEvent::Quote { symbol, quote });
        }
        let found = watcher.end()[0].decision;
        assert_eq!((found.quotes, found.bid, found.ask), (3, (4.0, 6.0), (5.0, 7.0)));
        assert_eq!(found.age, Some(Duration::from_secs(2)));
    }
}
