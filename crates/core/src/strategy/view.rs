//! What has happened until now, as a strategy sees it: the latest event of each series and, when it asks for them, the
//! ticks of its horizon. An event goes in before it is shown, and nothing of the future is ever there, so that a
//! strategy sees the same live, replayed and in time travel. Pure.
//!
//! A series is a symbol and a kind: its trades, its quotes, its numbers, or its bars of one timeframe. So no share counts
//! twice. What is asked by symbol alone is answered by one series: of the strategy's main timeframe where there is one,
//! else by trades, else by bars, the shortest first, else by quotes. Of a bar the tick is its end, its close and its volume;
//! of a quote its mid, with size 0. Numbers are no ticks.

use std::time::Duration;

use super::per_symbol::PerSymbol;
use super::usable_price;
use crate::clock::Timestamp;
use crate::market::{MarketEvent, Trade};
use crate::symbol::Symbol;
use crate::ticks::{Span, Window, WindowLimits};
use crate::units::Quantity;

/// What one strategy may look back at; only one writes, nobody waits.
#[derive(Debug)]
pub struct Past {
    horizon: Option<Duration>,
    now: Timestamp,
    /// The kind of its main series.
    main: Option<SeriesKind>,
    symbols: PerSymbol<SymbolSeries>,
    /// Shares in its book, negative when short; few.
    positions: Vec<(Symbol, Quantity)>,
}

/// All series of one symbol; the one that answers for the symbol stands first.
#[derive(Debug)]
struct SymbolSeries {
    first: KnownSeries,
    others: Vec<KnownSeries>,
}

/// What is known of one series.
#[derive(Debug)]
struct KnownSeries {
    kind: SeriesKind,
    latest: MarketEvent,
    ticks: Option<Box<Window>>,
}

/// The kinds of series of a symbol, the one that answers for it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SeriesKind {
    Trades,
    Bars(Duration),
    Quotes,
    Numbers,
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
        let now = Timestamp::from_nanos(i64::MIN);
        Self { horizon, now, main: None, symbols: PerSymbol::new(&[]), positions: Vec::new() }
    }

    /// The bars of this timeframe answer for their symbol.
    pub fn set_main(&mut self, timeframe: Option<Duration>) {
        self.main = timeframe.map(SeriesKind::Bars);
    }

    /// Puts an event in; false when it shows nothing usable (see [`usable_price`]) and is left out.
    #[inline]
    pub fn observe(&mut self, event: &MarketEvent) -> bool {
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
        let kind = SeriesKind::of(event);
        let known = self.symbols.of(event.symbol(), || SymbolSeries {
            first: KnownSeries { kind, latest: *event, ticks: None },
            others: Vec::new(),
        });
        let series =
            if known.first.kind == kind { &mut known.first } else { known.find(kind, event, self.main) };
        series.latest = *event;
        if let Some(horizon) = self.horizon {
            series.keep(event, self.now, horizon);
        }
        true
    }

    /// The book holds so many shares of `symbol` from now on.
    pub fn hold(&mut self, symbol: Symbol, shares: Quantity) {
        match self.positions.iter_mut().find(|(known, _)| *known == symbol) {
            Some((_, held)) => *held = shares,
            None => self.positions.push((symbol, shares)),
        }
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

impl SeriesKind {
    #[inline]
    fn of(event: &MarketEvent) -> Self {
        match event {
            MarketEvent::Trade { .. } => Self::Trades,
            MarketEvent::Bar { span, .. } => Self::Bars(*span),
            MarketEvent::Quote { .. } => Self::Quotes,
            MarketEvent::Number { .. } => Self::Numbers,
        }
    }
}

impl SymbolSeries {
    /// A series that does not stand first, or comes for the first time.
    #[cold]
    fn find(&mut self, kind: SeriesKind, event: &MarketEvent, main: Option<SeriesKind>) -> &mut KnownSeries {
        if let Some(place) = self.others.iter().position(|series| series.kind == kind) {
            return &mut self.others[place];
        }
        let rank = |kind: SeriesKind| (Some(kind) != main, kind);
        let mut series = KnownSeries { kind, latest: *event, ticks: None };
        let is_first = rank(kind) < rank(self.first.kind);
        if is_first {
            std::mem::swap(&mut self.first, &mut series);
        }
        self.others.push(series);
        let last = self.others.len() - 1;
        if is_first { &mut self.first } else { &mut self.others[last] }
    }

    fn of(&self, kind: SeriesKind) -> Option<&KnownSeries> {
        std::iter::once(&self.first).chain(&self.others).find(|series| series.kind == kind)
    }
}

impl KnownSeries {
    fn keep(&mut self, event: &MarketEvent, now: Timestamp, horizon: Duration) {
        let size = match event {
            MarketEvent::Trade { trade, .. } => trade.size,
            MarketEvent::Bar { bar, .. } => bar.volume,
            MarketEvent::Quote { .. } => 0.0,
            MarketEvent::Number { .. } => return,
        };
        let new = || Box::new(Window::new(WindowLimits { with_sizes: true, ..WindowLimits::new(horizon) }));
        // An unknown size is none; a price that no window takes is shown all the same.
        let trade = Trade { at: event.known_at(), price: event.price(), size: size.max(0.0) };
        let _ = self.ticks.get_or_insert_with(new).push(now, trade);
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
    pub fn past(&self) -> &'a Past {
        self.past
    }

    /// The latest event of the series that answers for a symbol, or the latest number of a series.
    pub fn latest(&self, symbol: Symbol) -> Option<&'a MarketEvent> {
        self.past.symbols.get(symbol).map(|known| &known.first.latest)
    }

    /// The latest bar of `symbol` that is `timeframe` long.
    pub fn latest_bar(&self, symbol: Symbol, timeframe: Duration) -> Option<&'a MarketEvent> {
        self.past.symbols.get(symbol)?.of(SeriesKind::Bars(timeframe)).map(|series| &series.latest)
    }

    /// Shares of `symbol` in the strategy's book by what it was told, negative when short.
    pub fn position(&self, symbol: Symbol) -> Quantity {
        let held = self.past.positions.iter().find(|(known, _)| *known == symbol);
        held.map_or(Quantity::ZERO, |(_, shares)| *shares)
    }

    /// The ticks of `symbol` over the strategy's whole horizon, up to now; none when there is not one.
    pub fn window(&self, symbol: Symbol) -> Option<Span<'a>> {
        self.over(symbol, Duration::MAX)
    }

    /// The ticks of `symbol` that are at most `span` old, and no older than the horizon; none when there is not one.
    pub fn over(&self, symbol: Symbol, span: Duration) -> Option<Span<'a>> {
        let horizon = self.past.horizon?;
        let ticks = self.past.symbols.get(symbol)?.first.ticks.as_ref()?;
        Some(ticks.since(self.now - span.min(horizon))).filter(|span| !span.is_empty())
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
            assert!(past.observe(event), "{event:?}");
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
        assert_eq!(view.latest(symbol("SPY")), Some(&events[0]), "a trade says more than a quote");
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
            assert!(!past.observe(&event), "{event:?}");
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
