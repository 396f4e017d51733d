//! What has happened until now, as a strategy sees it: the latest event of each symbol and, when it asks for them, the
//! ticks of its horizon. An event goes in before it is shown, and nothing of the future is ever there, so that a
//! strategy sees the same live, replayed and in time travel. Pure.
//!
//! A window holds ticks of one kind, so that no share counts twice: trades with their sizes; of a symbol without trades
//! its bars, each as one tick at its end with its close and volume; of a symbol with neither its quotes, as their mids
//! with size 0. When the first event of a better kind comes, the window begins anew. Numbers are no ticks.

use std::time::Duration;

use super::per_symbol::PerSymbol;
use super::usable_price;
use crate::clock::Timestamp;
use crate::market::{MarketEvent, Trade};
use crate::symbol::Symbol;
use crate::ticks::{Limits, Span, Window};

/// What one strategy may look back at; only one writes, nobody waits.
#[derive(Debug)]
pub struct Past {
    horizon: Option<Duration>,
    now: Timestamp,
    symbols: PerSymbol<Known>,
}

/// What is known of one symbol or series.
#[derive(Debug)]
struct Known {
    latest: MarketEvent,
    ticks: Option<Box<Ticks>>,
}

#[derive(Debug)]
struct Ticks {
    grade: Grade,
    window: Window,
}

/// The kinds of event that make ticks, from the roughest to the finest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Quote,
    Bar,
    Trade,
}

/// A look at the [`Past`] at one instant.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    past: &'a Past,
    now: Timestamp,
}

impl Past {
    /// Keeps the latest events and, with a horizon, the ticks that are at most so old.
    pub fn new(horizon: Option<Duration>) -> Self {
        Self { horizon, now: Timestamp::from_nanos(i64::MIN), symbols: PerSymbol::new(&[]) }
    }

    /// Puts an event in; false when it shows nothing usable (see [`usable_price`]) and is left out.
    #[inline]
    pub fn see(&mut self, event: &MarketEvent) -> bool {
        let is_usable = match event {
            MarketEvent::Number { number, .. } => number.value.is_finite(),
            MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Bar { .. } => {
                usable_price(event).is_some()
            }
        };
        if !is_usable {
            return false;
        }
        self.now = self.now.max(event.known_at());
        let known = self.symbols.of(event.symbol(), || Known { latest: *event, ticks: None });
        known.latest = *event;
        if let Some(horizon) = self.horizon {
            known.keep(event, self.now, horizon);
        }
        true
    }

    /// The time of the latest event.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The view right after the latest event.
    pub fn view(&self) -> View<'_> {
        View { past: self, now: self.now }
    }

    /// The view at `now`, or right after the latest event when that is later.
    pub fn view_at(&self, now: Timestamp) -> View<'_> {
        View { past: self, now: now.max(self.now) }
    }
}

impl Known {
    fn keep(&mut self, event: &MarketEvent, now: Timestamp, horizon: Duration) {
        let (grade, size) = match event {
            MarketEvent::Trade { trade, .. } => (Grade::Trade, trade.size),
            MarketEvent::Bar { bar, .. } => (Grade::Bar, bar.volume),
            MarketEvent::Quote { .. } => (Grade::Quote, 0.0),
            MarketEvent::Number { .. } => return,
        };
        let anew = || {
            let limits = Limits { with_sizes: true, ..Limits::new(horizon) };
            Box::new(Ticks { grade, window: Window::new(limits) })
        };
        let ticks = self.ticks.get_or_insert_with(anew);
        if grade > ticks.grade {
            *ticks = anew();
        }
        if grade == ticks.grade {
            // An unknown size is none; a price that no window takes is shown all the same.
            let trade = Trade { at: event.known_at(), price: event.price(), size: size.max(0.0) };
            let _ = ticks.window.push(now, trade);
        }
    }
}

impl<'a> View<'a> {
    /// The time of the event that is shown (the latest, should one have come late), of the timer or of the fill.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How far back windows reach; none when no ticks are kept.
    pub fn horizon(&self) -> Option<Duration> {
        self.past.horizon
    }

    /// What it looks at.
    pub(super) fn past(&self) -> &'a Past {
        self.past
    }

    /// The latest event of a symbol, or the latest number of a series.
    pub fn latest(&self, symbol: Symbol) -> Option<&'a MarketEvent> {
        self.past.symbols.get(symbol).map(|known| &known.latest)
    }

    /// The ticks of `symbol` over the strategy's whole horizon, up to now; none when there is not one.
    pub fn window(&self, symbol: Symbol) -> Option<Span<'a>> {
        self.over(symbol, Duration::MAX)
    }

    /// The ticks of `symbol` that are at most `span` old, and no older than the horizon; none when there is not one.
    pub fn over(&self, symbol: Symbol, span: Duration) -> Option<Span<'a>> {
        let horizon = self.past.horizon?;
        let ticks = self.past.symbols.get(symbol)?.ticks.as_ref()?;
        Some(ticks.window.since(self.now - span.min(horizon))).filter(|span| !span.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Bar, Number, Quote};

    fn symbol(name: &str) -> Symbol {
        name.parse().unwrap()
    }

    fn trade(name: &str, second: i64, price: f64) -> MarketEvent {
        let trade = Trade { at: Timestamp::from_secs(second), price, size: 2.0 };
        MarketEvent::Trade { symbol: symbol(name), trade }
    }

    fn quote(name: &str, second: i64, mid: f64) -> MarketEvent {
        let (bid, ask) = (mid - 0.5, mid + 0.5);
        let quote = Quote { at: Timestamp::from_secs(second), bid, bid_size: 1.0, ask, ask_size: 1.0 };
        MarketEvent::Quote { symbol: symbol(name), quote }
    }

    fn bar(name: &str, second: i64, close: f64, volume: f64) -> MarketEvent {
        let at = Timestamp::from_secs(second);
        let bar = Bar { at, open: 1.0, high: 900.0, low: 0.5, close, volume };
        MarketEvent::Bar { symbol: symbol(name), bar, span: Duration::from_mins(1) }
    }

    fn number(name: &str, second: i64, value: f64) -> MarketEvent {
        let number = Number { at: Timestamp::from_secs(second), value };
        MarketEvent::Number { symbol: symbol(name), number }
    }

    fn past(horizon_s: u64, events: &[MarketEvent]) -> Past {
        let mut past = Past::new((horizon_s > 0).then(|| Duration::from_secs(horizon_s)));
        for event in events {
            assert!(past.see(event), "{event:?}");
        }
        past
    }

    fn prices(span: Option<Span<'_>>) -> Vec<f64> {
        span.into_iter().flat_map(|span| span.iter()).map(|tick| tick.price).collect()
    }

    #[test]
    fn the_latest_event_of_each_symbol_is_at_hand_without_a_horizon() {
        let events =
            [trade("SPY", 1, 5.0), number("NEWS", 2, -0.5), quote("SPY", 3, 6.0), trade("F", 3, 1.0)];
        let past = past(0, &events);
        let view = past.view();
        assert_eq!(view.latest(symbol("SPY")), Some(&events[2]));
        assert_eq!(view.latest(symbol("NEWS")), Some(&events[1]));
        assert_eq!((view.latest(symbol("GE")), view.now()), (None, Timestamp::from_secs(3)));
        assert!(view.window(symbol("SPY")).is_none());
    }

    #[test]
    fn a_span_reaches_back_from_now_whatever_the_symbol_did_since() {
        let past =
            past(10, &[trade("F", 0, 1.0), trade("F", 4, 2.0), trade("F", 9, 3.0), trade("GE", 14, 9.0)]);
        let (view, f) = (past.view(), symbol("F"));
        assert_eq!(prices(view.window(f)), [2.0, 3.0]); // Exactly one horizon old is kept.
        assert_eq!(prices(view.over(f, Duration::from_secs(5))), [3.0]);
        assert!(view.over(f, Duration::from_secs(4)).is_none());
        let later = past.view_at(Timestamp::from_secs(19));
        assert_eq!((prices(later.window(f)), later.now()), (vec![3.0], Timestamp::from_secs(19)));
        assert_eq!(past.view_at(Timestamp::from_secs(1)).now(), Timestamp::from_secs(14));
        assert_eq!(view.window(f).unwrap().volume(), Some(4.0));
    }

    #[test]
    fn a_window_holds_one_kind_the_finest_that_was_seen() {
        let mut events = vec![quote("F", 0, 7.0), quote("F", 1, 8.0), number("F", 1, 1.0)];
        assert_eq!(prices(past(600, &events).view().window(symbol("F"))), [7.0, 8.0]);
        events.extend([bar("F", 0, 9.0, 5.0), quote("F", 61, 8.0), bar("F", 60, 10.0, f64::NAN)]);
        let bars = past(600, &events);
        let span = bars.view().window(symbol("F")).unwrap();
        assert_eq!(prices(Some(span)), [9.0, 10.0]);
        assert_eq!((span.volume(), span.first().unwrap().at), (Some(5.0), Timestamp::from_secs(60)));
        events.extend([trade("F", 121, 11.0), bar("F", 120, 12.0, 5.0), quote("F", 181, 13.0)]);
        assert_eq!(prices(past(600, &events).view().window(symbol("F"))), [11.0]);
    }

    #[test]
    fn what_shows_nothing_usable_is_left_out() {
        let mut past = past(60, &[trade("F", 1, 5.0)]);
        for event in
            [trade("F", 2, f64::NAN), quote("F", 2, 0.5), bar("F", 2, -1.0, 1.0), number("F", 2, f64::NAN)]
        {
            assert!(!past.see(&event), "{event:?}");
        }
        assert_eq!(
            (past.view().latest(symbol("F")), past.now()),
            (Some(&trade("F", 1, 5.0)), Timestamp::from_secs(1))
        );
    }

    #[test]
    fn a_late_event_takes_its_place_and_does_not_turn_time_back() {
        let past = past(60, &[trade("F", 5, 5.0), trade("F", 3, 3.0)]);
        assert_eq!(prices(past.view().window(symbol("F"))), [3.0, 5.0]);
        assert_eq!(past.view().latest(symbol("F")), Some(&trade("F", 3, 3.0)));
        assert_eq!(past.now(), Timestamp::from_secs(5));
    }
}
