//! A strategy's look at what has happened until now: what it knows of the market, of time and of its own book.
//!
//! Nothing of the future is ever there, so that a strategy sees the same live, replayed and in time travel. Pure.

use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveTime, Weekday};

use super::past::{KeptIndicator, KnownSeries, Past, SeriesKind};
use super::schedule::session_of;
use super::window::PriceWindow;
use super::{Holding, VALUES_KEPT};
use crate::calendar::{Session, date_of};
use crate::clock::Timestamp;
use crate::market::{Bar, MarketEvent};
use crate::symbol::Symbol;
use crate::ticks::Span;
use crate::units::{Money, Quantity};

/// A look at the [`Past`] at one instant.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    past: &'a Past,
    now: Timestamp,
}

/// How far a window of prices reaches back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookback {
    /// What is at most so old.
    Time(Duration),
    /// The last so many events.
    Events(usize),
}

impl Past {
    /// The view at `now`, or right after the latest event when that is later.
    pub fn view_at(&self, now: Timestamp) -> View<'_> {
        View { past: self, now: now.max(self.now) }
    }
}

/// So many characters of a line are logged.
const LOG_CHARS_MAX: usize = 2_000;

/// As much of `text` as a line of the log has.
pub fn log_line(text: &str) -> &str {
    text.char_indices().nth(LOG_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// The strategy itself.
impl View<'_> {
    /// Its name in the manifest.
    pub fn strategy(&self) -> &str {
        &self.past.strategy
    }

    /// Logs a line, of at most 2,000 characters, with the strategy's name and the time of what it was told.
    pub fn log(&self, text: &str) {
        tracing::info!(strategy = self.strategy(), at = %self.now, "{}", log_line(text));
    }
}

/// The market.
impl<'a> View<'a> {
    /// The time of the event that is shown (the latest, should one have come late), of the timer or of the fill.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How far back windows reach; none when no ticks are kept.
    pub fn horizon(&self) -> Option<Duration> {
        self.past.needs.horizon
    }

    /// What it looks at.
    pub fn past(&self) -> &'a Past {
        self.past
    }

    /// Whether anything was seen of a symbol.
    pub fn knows(&self, symbol: Symbol) -> bool {
        self.past.symbols.get(symbol).is_some()
    }

    /// The latest event of the series that answers for a symbol, or the latest number of a series.
    pub fn latest(&self, symbol: Symbol) -> Option<&'a MarketEvent> {
        self.first(symbol).map(|series| &series.latest)
    }

    /// The latest bar of `symbol` that is `timeframe` long.
    pub fn latest_bar(&self, symbol: Symbol, timeframe: Duration) -> Option<&'a MarketEvent> {
        self.bars_of(symbol, timeframe).map(|series| &series.latest)
    }

    /// Events of the series that answers for `symbol` until now, the one that is shown included.
    pub fn bar_index(&self, symbol: Symbol) -> u64 {
        self.past.count(symbol)
    }

    /// The last bars of `symbol` that are `timeframe` long (none: of the series that answers for it), the newest first;
    /// as many of them as [`Needs::history`](super::Needs::history) says are kept.
    pub fn history(
        &self,
        symbol: Symbol,
        timeframe: Option<Duration>,
    ) -> impl ExactSizeIterator<Item = &'a Bar> + use<'a> {
        let series = match timeframe {
            Some(timeframe) => self.bars_of(symbol, timeframe),
            None => self.first(symbol),
        };
        series.and_then(|series| series.kept.as_ref()).map(|kept| kept.bars.iter()).unwrap_or_default()
    }

    /// The ticks of `symbol` over the strategy's whole horizon, up to now; none when there is not one.
    pub fn window(&self, symbol: Symbol) -> Option<Span<'a>> {
        self.over(symbol, Duration::MAX)
    }

    /// The ticks of `symbol` that are at most `span` old, and no older than the horizon; none when there is not one.
    pub fn over(&self, symbol: Symbol, span: Duration) -> Option<Span<'a>> {
        let horizon = self.past.needs.horizon?;
        let ticks = self.first(symbol)?.kept.as_ref()?.ticks.as_ref()?;
        Some(ticks.since(self.now - span.min(horizon))).filter(|span| !span.is_empty())
    }

    /// Prices of `symbol` so far back: of bars with their highs and lows, else of ticks; none when there is not one.
    pub fn prices(&self, symbol: Symbol, lookback: Lookback) -> Option<PriceWindow<'a>> {
        let series = self.first(symbol)?;
        let kept = series.kept.as_ref()?;
        let SeriesKind::Bars(span) = series.kind else {
            let ticks = kept.ticks.as_ref()?;
            let horizon = self.past.needs.horizon?;
            let ticks = match lookback {
                Lookback::Time(span) => ticks.since(self.now - span.min(horizon)),
                Lookback::Events(count) => ticks.all().newest(count),
            };
            return (!ticks.is_empty()).then_some(PriceWindow::Ticks(ticks));
        };
        let count = match lookback {
            Lookback::Time(back) => kept.bars.partition_point(|bar| bar.at + span >= self.now - back),
            Lookback::Events(count) => count.min(kept.bars.len()),
        };
        (count > 0).then(|| PriceWindow::Bars(kept.bars.range(..count)))
    }

    /// The value of the strategy's indicator at `place` in [`Needs::indicators`](super::Needs::indicators) for `symbol`, so
    /// many bars `ago` (0: the latest); none while it is not warm, and none more than [`VALUES_KEPT`] bars ago.
    pub fn indicator(&self, symbol: Symbol, place: usize, ago: usize) -> Option<f64> {
        debug_assert!(ago < VALUES_KEPT, "{ago} bars ago are not kept");
        let values = |series: &'a KnownSeries| -> Option<&'a KeptIndicator> {
            series.kept.as_ref()?.indicators.get(place)?.as_ref()
        };
        let known = self.past.symbols.get(symbol)?;
        let indicator = values(&known.first).or_else(|| known.others().find_map(values))?;
        *indicator.values.get(ago)?
    }

    /// The same by its name.
    pub fn indicator_named(&self, symbol: Symbol, name: &str, ago: usize) -> Option<f64> {
        let place = self.past.needs.indicators.iter().position(|named| named.name == name)?;
        self.indicator(symbol, place, ago)
    }

    fn first(&self, symbol: Symbol) -> Option<&'a KnownSeries> {
        self.past.symbols.get(symbol).map(|known| &known.first)
    }

    fn bars_of(&self, symbol: Symbol, timeframe: Duration) -> Option<&'a KnownSeries> {
        self.past.symbols.get(symbol)?.of(SeriesKind::Bars(timeframe))
    }
}

/// The strategy's own book, as far as it was told of its orders' ends.
impl View<'_> {
    /// Shares of `symbol`, negative when short.
    pub fn position(&self, symbol: Symbol) -> Quantity {
        self.holding(symbol).map_or(Quantity::ZERO, |held| held.position.quantity())
    }

    /// What it holds of `symbol` and what that cost; none for what it never traded.
    pub fn holding(&self, symbol: Symbol) -> Option<&Holding> {
        self.past.holdings.iter().find(|held| held.symbol == symbol)
    }

    /// What it holds, longs and shorts, in the order in which they came.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.past.holdings.iter().filter(|held| !held.position.quantity().is_zero())
    }

    /// What closing the position in `symbol` at its latest price would make, US dollars.
    pub fn profit(&self, symbol: Symbol) -> f64 {
        self.holding(symbol).map_or(0.0, |held| self.value(held) - held.position.cost().to_f64())
    }

    /// Events of the symbol's series since its position was opened; 0 where there is none.
    pub fn bars_held(&self, symbol: Symbol) -> u64 {
        let held = self.holding(symbol).filter(|held| !held.position.quantity().is_zero());
        held.map_or(0, |held| self.past.count(symbol).saturating_sub(held.since))
    }

    /// Money that is not invested, US dollars; orders that are not final are not counted.
    pub fn cash(&self) -> Money {
        self.past.cash
    }

    /// Cash and what is held at the latest prices, US dollars.
    pub fn equity(&self) -> f64 {
        self.past.holdings.iter().fold(self.past.cash.to_f64(), |sum, held| sum + self.value(held))
    }

    /// What it can buy without borrowing, US dollars: equity less longs and shorts at the latest prices.
    pub fn buying_power(&self) -> f64 {
        let gross: f64 = self.past.holdings.iter().map(|held| self.value(held).abs()).sum();
        (self.equity() - gross).max(0.0)
    }

    /// How many orders it asked for in `symbol` that are not over.
    pub fn open_orders(&self, symbol: Symbol) -> u32 {
        self.past.open_orders.iter().find(|(known, _)| *known == symbol).map_or(0, |(_, count)| *count)
    }

    /// Whether nothing that it wants is sent yet: it is shown the past, or none of what it hears of is warm.
    pub fn is_warming_up(&self) -> bool {
        self.past.is_warming_up()
    }

    /// At the latest price; at its cost where none is known.
    fn value(&self, held: &Holding) -> f64 {
        let cost = held.position.cost().to_f64();
        self.latest(held.symbol).map_or(cost, |event| event.price() * held.position.quantity().to_f64())
    }
}

/// Time, as the exchange has it.
impl View<'_> {
    /// The date in New York.
    pub fn date(&self) -> NaiveDate {
        date_of(self.now)
    }

    /// The time in New York.
    pub fn time(&self) -> NaiveTime {
        self.now.to_new_york().time()
    }

    /// The weekday in New York.
    pub fn weekday(&self) -> Weekday {
        self.date().weekday()
    }

    /// The session of today, which may be over or still to come; none on a day without one.
    pub fn session(&self) -> Option<Session> {
        session_of(self.date(), self.past.calendar)
    }

    /// Whether the session is open; at its close it is not.
    pub fn is_open(&self) -> bool {
        self.session().is_some_and(|session| (session.open..session.close).contains(&self.now))
    }

    /// How long the session is still open; none while it is not.
    pub fn until_close(&self) -> Option<Duration> {
        self.session().filter(|_| self.is_open()).map(|session| session.close.since(self.now))
    }

    /// Whether no further bar of this timeframe ends before the close of today's session: what is ordered now is filled
    /// in the session's last bar at best, and what is ordered later not at all.
    pub fn is_last_bar(&self, timeframe: Duration) -> bool {
        self.session()
            .is_some_and(|session| self.now < session.close && self.now + timeframe >= session.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Bar, Number, Quote, Trade};
    use crate::strategy::Needs;

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
        let horizon = (horizon_s > 0).then(|| Duration::from_secs(horizon_s));
        let mut past = Past::new(Needs { horizon, ..Needs::default() });
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
