//! What one strategy hears of the market's events as they come: its own series, bars made from finer ones. Pure.
//!
//! The same live, in warm-up and in the replay of a session, so that each shows a strategy the same bars.

use std::time::Duration;

use crate::bars::{Resampler, TradeBars, is_start_of_span};
use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::symbol::Symbol;

/// One series of a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Series {
    /// Bars of this timeframe: from a minute up of the broker's minute bars, below of trades.
    Bars {
        /// Of what.
        symbol: Symbol,
        /// How long each is.
        span: Duration,
    },
    /// Trades.
    Trades(Symbol),
    /// Quotes.
    Quotes(Symbol),
    /// Numbers that are no prices.
    Numbers(Symbol),
    /// All quotes, trades and minute bars of some symbols (none: of all), as a recording holds them.
    All(Vec<Symbol>),
}

/// Turns the events of a market into those of a strategy's series.
#[derive(Debug)]
pub struct SeriesFeed {
    series: Vec<HeardSeries>,
    finished: Vec<crate::market::Bar>,
    misfits: u64,
}

#[derive(Debug)]
struct HeardSeries {
    series: Series,
    is_main: bool,
    maker: Maker,
    /// The instant of its last event.
    last: Timestamp,
    /// When the last piece was known that came.
    piece_at: Timestamp,
    /// Bars that came for an instant that was shown already.
    late: u64,
}

#[derive(Debug)]
enum Maker {
    /// As they come.
    Plain,
    Bars(Resampler),
    Trades(TradeBars),
}

/// An event of a strategy's series, and whether it is asked about it.
pub type HeardEvent = (bool, MarketEvent);

/// The broker's own bars.
pub const MINUTE: Duration = Duration::from_mins(1);

impl SeriesFeed {
    /// Of a main series, on whose events the strategy is asked, and others that it may look at.
    pub fn new(main: Vec<Series>, also: Vec<Series>) -> Self {
        let heard = |is_main: bool| {
            move |series: Series| {
                let maker = match series {
                    Series::Bars { span, .. } if span > MINUTE => Maker::Bars(Resampler::new(span)),
                    Series::Bars { span, .. } if span < MINUTE => Maker::Trades(TradeBars::new(span)),
                    Series::Bars { .. }
                    | Series::Trades(_)
                    | Series::Quotes(_)
                    | Series::Numbers(_)
                    | Series::All(_) => Maker::Plain,
                };
                HeardSeries {
                    series,
                    is_main,
                    maker,
                    last: Timestamp::from_nanos(i64::MIN),
                    piece_at: Timestamp::from_nanos(i64::MIN),
                    late: 0,
                }
            }
        };
        let series = main.into_iter().map(heard(true)).chain(also.into_iter().map(heard(false))).collect();
        Self { series, finished: Vec::new(), misfits: 0 }
    }

    /// Takes an event of the market; what it makes of the strategy's series is appended to `out`.
    pub fn push(&mut self, event: &MarketEvent, out: &mut Vec<HeardEvent>) {
        for heard in &mut self.series {
            if !heard.series.is_of(event) {
                continue;
            }
            heard.piece_at = heard.piece_at.max(event.known_at());
            match (&mut heard.maker, event) {
                // The broker corrects its bars, and after a pause some come twice: what was shown stays as it was.
                (Maker::Plain, MarketEvent::Bar { .. })
                    if !matches!(heard.series, Series::All(_)) && event.known_at() <= heard.last =>
                {
                    heard.late += 1;
                }
                (Maker::Plain, _) => heard.give(*event, out),
                (Maker::Bars(bars), MarketEvent::Bar { bar, span, .. }) => {
                    if let Err(misfit) = bars.push(*bar, *span, &mut self.finished) {
                        if self.misfits == 0 {
                            tracing::warn!(symbol = %event.symbol(), %misfit, "a bar of the market is left out");
                        }
                        self.misfits += 1;
                    }
                    for bar in self.finished.drain(..) {
                        heard.give_bar(bar, out);
                    }
                }
                (Maker::Trades(bars), MarketEvent::Trade { trade, .. }) => {
                    if let Some(bar) = bars.push(*trade) {
                        heard.give_bar(bar, out);
                    }
                }
                (Maker::Bars(_) | Maker::Trades(_), _) => {}
            }
        }
    }

    /// Ends the bars whose span was over at `now`, though nothing came at its end.
    pub fn close_until(&mut self, now: Timestamp, out: &mut Vec<HeardEvent>) {
        for heard in &mut self.series {
            let bar = match &mut heard.maker {
                Maker::Plain => None,
                Maker::Bars(bars) => bars.close_until(now),
                Maker::Trades(bars) => bars.close_until(now),
            };
            if let Some(bar) = bar {
                heard.give_bar(bar, out);
            }
        }
    }

    /// Whether another series of bars may still have one that is known at `at`.
    pub fn awaits_more(&self, at: Timestamp) -> bool {
        self.series.iter().any(|heard| match heard.series {
            Series::Bars { span, .. } => heard.last < at && is_start_of_span(at, span),
            Series::Trades(_) | Series::Quotes(_) | Series::Numbers(_) | Series::All(_) => false,
        })
    }

    /// When the first of the bars that are being made is over; none while none is.
    pub fn open_until(&self) -> Option<Timestamp> {
        let open = |heard: &HeardSeries| match &heard.maker {
            Maker::Plain => None,
            Maker::Bars(bars) => bars.open_until(),
            Maker::Trades(bars) => bars.open_until(),
        };
        self.series.iter().filter_map(open).min()
    }

    /// Pieces that came too late for their bars, and bars that did not fit.
    pub fn late(&self) -> u64 {
        let late = |heard: &HeardSeries| match &heard.maker {
            Maker::Plain => heard.late,
            Maker::Bars(bars) => bars.late(),
            Maker::Trades(bars) => bars.late(),
        };
        self.misfits + self.series.iter().map(late).sum::<u64>()
    }

    /// When the last event of each series of bars was known, by symbol: what came until then was shown.
    pub fn bars_known_until(&self) -> impl Iterator<Item = (Symbol, Timestamp)> + '_ {
        self.series.iter().filter_map(|heard| match heard.series {
            Series::Bars { symbol, span } if span >= MINUTE => Some((symbol, heard.piece_at)),
            Series::Bars { .. }
            | Series::Trades(_)
            | Series::Quotes(_)
            | Series::Numbers(_)
            | Series::All(_) => None,
        })
    }

    /// The symbols whose market events it needs; numbers come from elsewhere.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        let is_market = |heard: &&HeardSeries| !matches!(heard.series, Series::Numbers(_));
        self.series.iter().filter(is_market).flat_map(|heard| heard.series.symbols().iter().copied())
    }
}

impl HeardSeries {
    fn give_bar(&mut self, bar: crate::market::Bar, out: &mut Vec<HeardEvent>) {
        if let Series::Bars { symbol, span } = self.series {
            self.give(MarketEvent::Bar { symbol, bar, span }, out);
        }
    }

    fn give(&mut self, event: MarketEvent, out: &mut Vec<HeardEvent>) {
        self.last = self.last.max(event.known_at());
        out.push((self.is_main, event));
    }
}

impl Series {
    /// Whether events of this kind and symbol are, or make, events of the series.
    fn is_of(&self, event: &MarketEvent) -> bool {
        match (self, event) {
            (Series::Bars { symbol, span }, MarketEvent::Bar { symbol: own, span: piece, .. }) => {
                symbol == own && (*span >= MINUTE && *piece <= *span)
            }
            (Series::Bars { symbol, span }, MarketEvent::Trade { symbol: own, .. }) => {
                symbol == own && *span < MINUTE
            }
            (Series::Trades(symbol), MarketEvent::Trade { symbol: own, .. })
            | (Series::Quotes(symbol), MarketEvent::Quote { symbol: own, .. })
            | (Series::Numbers(symbol), MarketEvent::Number { symbol: own, .. }) => symbol == own,
            (Series::All(symbols), _) => {
                let is_price = !matches!(event, MarketEvent::Number { .. });
                is_price && (symbols.is_empty() || symbols.contains(&event.symbol()))
            }
            (Series::Bars { .. } | Series::Trades(_) | Series::Quotes(_) | Series::Numbers(_), _) => false,
        }
    }

    fn symbols(&self) -> &[Symbol] {
        match self {
            Series::Bars { symbol, .. }
            | Series::Trades(symbol)
            | Series::Quotes(symbol)
            | Series::Numbers(symbol) => std::slice::from_ref(symbol),
            Series::All(symbols) => symbols,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Bar, Number, Quote, Trade};

    fn x() -> Symbol {
        "X".parse().unwrap()
    }

    fn minute(number: i64, close: f64) -> MarketEvent {
        let bar = Bar {
            at: Timestamp::from_secs(number * 60),
            open: close,
            high: close,
            low: close,
            close,
            volume: 1.0,
        };
        MarketEvent::Bar { symbol: x(), bar, span: MINUTE }
    }

    /// What comes out, as `main|also span seconds price`.
    fn told(feed: &mut SeriesFeed, events: &[MarketEvent]) -> Vec<String> {
        let mut out = Vec::new();
        for event in events {
            feed.push(event, &mut out);
        }
        out.iter()
            .map(|(is_main, event)| {
                let (side, at) =
                    (if *is_main { "main" } else { "also" }, event.known_at().nanos() / 1_000_000_000);
                format!("{side} {at} {}", event.price())
            })
            .collect()
    }

    #[test]
    fn a_strategy_hears_its_own_series_and_nothing_else() {
        let five = Series::Bars { symbol: x(), span: Duration::from_mins(5) };
        let mut feed = SeriesFeed::new(vec![five], vec![Series::Numbers("N".parse().unwrap())]);
        let number = |at| MarketEvent::Number {
            symbol: "N".parse().unwrap(),
            number: Number { at: Timestamp::from_secs(at), value: 7.0 },
        };
        let quote = Quote { at: Timestamp::from_secs(90), bid: 1.0, bid_size: 1.0, ask: 2.0, ask_size: 1.0 };
        let trade = Trade { at: Timestamp::from_secs(90), price: 1.0, size: 1.0 };
        let events = [
            minute(0, 1.0),
            number(60),
            MarketEvent::Quote { symbol: x(), quote },
            MarketEvent::Trade { symbol: x(), trade },
            minute(1, 2.0),
            minute(4, 3.0),
            minute(5, 4.0),
        ];
        assert_eq!(told(&mut feed, &events), ["also 60 7", "main 300 3"]);
        let mut out = Vec::new();
        feed.close_until(Timestamp::from_secs(599), &mut out);
        assert!(out.is_empty());
        feed.close_until(Timestamp::from_secs(600), &mut out);
        assert_eq!(out.len(), 1, "a span whose last minute is empty is ended by the clock");
    }

    #[test]
    fn bars_below_a_minute_are_made_of_trades() {
        let mut feed =
            SeriesFeed::new(vec![Series::Bars { symbol: x(), span: Duration::from_secs(10) }], Vec::new());
        let trade = |second, price| {
            let trade = Trade { at: Timestamp::from_secs(second), price, size: 1.0 };
            MarketEvent::Trade { symbol: x(), trade }
        };
        let events = [trade(1, 5.0), trade(9, 6.0), minute(0, 1.0), trade(12, 7.0)];
        assert_eq!(told(&mut feed, &events), ["main 10 6"]);
    }

    #[test]
    fn an_instant_is_whole_when_all_series_that_end_then_are_there() {
        let bars = |minutes| Series::Bars { symbol: x(), span: Duration::from_mins(minutes) };
        let mut feed = SeriesFeed::new(vec![bars(1)], vec![bars(5)]);
        let mut out = Vec::new();
        for number in 0..4 {
            feed.push(&minute(number, 1.0), &mut out);
            assert!(!feed.awaits_more(Timestamp::from_secs((number + 1) * 60)));
        }
        assert!(feed.awaits_more(Timestamp::from_secs(300)));
        feed.push(&minute(4, 1.0), &mut out);
        assert!(!feed.awaits_more(Timestamp::from_secs(300)));
    }

    #[test]
    fn days_of_several_symbols_end_together_though_new_york_is_hours_away_from_greenwich() {
        let series = |name: &str, hours| Series::Bars {
            symbol: name.parse().unwrap(),
            span: Duration::from_hours(hours),
        };
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        let last_minute = |end| {
            let bar = Bar { at: at(end) - MINUTE, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
            MarketEvent::Bar { symbol: x(), bar, span: MINUTE }
        };
        for (hours, end) in [
            (24, "2026-03-03T00:00:00-05:00"),
            (24, "2026-07-03T00:00:00-04:00"),
            (4, "2026-03-02T12:00:00-05:00"),
        ] {
            let mut feed = SeriesFeed::new(vec![series("X", hours), series("Y", hours)], Vec::new());
            assert_eq!(told(&mut feed, &[last_minute(end)]).len(), 1);
            assert!(feed.awaits_more(at(end)), "{hours} h at {end}");
            assert!(!feed.awaits_more(at(end) - Duration::from_hours(1)), "{hours} h before {end}");
        }
    }
}
