//! How a script looks at the market: `latest(symbol)`, `latest(symbol, "5m")`, `history(symbol, "1d", 20)`,
//! `indicator(symbol, "fast", 1)`, and `mean(symbol, "5m")` and its like over the last 5 minutes, `mean(symbol, 20)` over
//! the last 20 bars.

use rhai::{Array, Dynamic, Engine, EvalAltResult, INT};

use super::scope::{LookResult, asked, heard, seen};
use super::views::EventView;
use bot_core::duration;
use bot_core::market::MarketEvent;
use bot_core::spelling::did_you_mean;
use bot_core::strategy::{Lookback, PriceWindow, VALUES_KEPT};

type Statistic = fn(&PriceWindow<'_>) -> Option<f64>;

/// Bars of each series that are kept for a script that looks back at them.
pub(super) const HISTORY_MAX: usize = 2_000;

/// What can be asked of the prices of a span; each is `()` when there is none.
const STATISTICS: [(&str, Statistic); 7] = [
    ("open", |window| window.open()),
    ("high", |window| window.high()),
    ("low", |window| window.low()),
    ("close", |window| window.close()),
    ("mean", |window| window.mean()),
    ("vwap", |window| window.vwap()),
    ("volume", |window| window.volume()),
];

/// The functions that look at bars which are kept, with how many arguments.
pub(super) fn of_history() -> impl Iterator<Item = (&'static str, usize)> {
    let statistics = STATISTICS.iter().map(|(name, _)| (*name, 2));
    statistics.chain([("count", 2), ("history", 2), ("history", 3)])
}

/// Makes the functions callable.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("latest", latest)
        .register_fn("latest", latest_bar)
        .register_fn("history", |symbol: &str, count: INT| history(symbol, None, count))
        .register_fn("history", |symbol: &str, timeframe: &str, count: INT| {
            history(symbol, Some(timeframe), count)
        })
        .register_fn("indicator", |symbol: &str, name: &str| indicator(symbol, name, 0))
        .register_fn("indicator", indicator)
        .register_fn("bar_index", |symbol: &str| -> LookResult {
            let symbol = heard(symbol)?;
            let index = seen("bar_index", |view| view.bar_index(symbol))?;
            Ok(i64::try_from(index).unwrap_or(i64::MAX).into())
        });
    for (name, statistic) in STATISTICS {
        let number = |found: Option<Option<f64>>| found.flatten().map_or(Dynamic::UNIT, Dynamic::from);
        engine
            .register_fn(name, move |symbol: &str, span: &str| -> LookResult {
                Ok(number(over(symbol, time(span)?, statistic)?))
            })
            .register_fn(name, move |symbol: &str, count: INT| -> LookResult {
                Ok(number(over(symbol, events(count)?, statistic)?))
            });
    }
    let count = |window: &PriceWindow<'_>| i64::try_from(window.len()).unwrap_or(i64::MAX);
    engine.register_fn("count", move |symbol: &str, span: &str| -> LookResult {
        Ok(over(symbol, time(span)?, count)?.unwrap_or_default().into())
    });
}

fn latest(symbol: &str) -> LookResult {
    let symbol = heard(symbol)?;
    Ok(shown(asked(|view| view.latest(symbol).copied()).flatten()))
}

fn latest_bar(symbol: &str, timeframe: &str) -> LookResult {
    let (symbol, span) = (heard(symbol)?, parse_timeframe(timeframe)?);
    Ok(shown(asked(|view| view.latest_bar(symbol, span).copied()).flatten()))
}

fn shown(event: Option<MarketEvent>) -> Dynamic {
    event.map_or(Dynamic::UNIT, |event| Dynamic::from(EventView(event)))
}

/// The last bars, the oldest first; fewer where there are not so many yet.
fn history(symbol: &str, timeframe: Option<&str>, count: INT) -> LookResult {
    let Lookback::Events(count) = events(count)? else { return Ok(Dynamic::UNIT) };
    let (symbol, timeframe) = (heard(symbol)?, timeframe.map(parse_timeframe).transpose()?);
    let bars: Array = seen("history", |view| {
        let span = timeframe.or_else(|| match view.latest(symbol) {
            Some(MarketEvent::Bar { span, .. }) => Some(*span),
            Some(MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. })
            | None => None,
        });
        let Some(span) = span else { return Array::new() };
        let bars = view
            .history(symbol, Some(span))
            .take(count)
            .map(|bar| Dynamic::from(EventView(MarketEvent::Bar { symbol, bar: *bar, span })));
        let mut bars: Array = bars.collect();
        bars.reverse();
        bars
    })?;
    Ok(bars.into())
}

/// The value of one of the script's indicators, so many bars ago; `()` while it is not warm.
pub(super) fn indicator(symbol: &str, name: &str, ago: INT) -> LookResult {
    let symbol = heard(symbol)?;
    let ago = usize::try_from(ago).ok().filter(|ago| *ago < VALUES_KEPT).ok_or_else(|| {
        format!("indicator(symbol, name, ago) must be asked for 0 to {} bars ago, was {ago}", VALUES_KEPT - 1)
    })?;
    seen("indicator", |view| {
        let names = || view.past().indicators().iter().map(|named| named.name.as_str());
        let place = names().position(|own| own == name).ok_or_else(|| {
            let all = if names().next().is_none() {
                "none".to_owned()
            } else {
                names().collect::<Vec<_>>().join(", ")
            };
            format!(
                "indicator must be one that indicators() names ({all}), was \"{name}\"{}",
                did_you_mean(name, names())
            )
        })?;
        Ok(view.indicator(symbol, place, ago).map_or(Dynamic::UNIT, Dynamic::from))
    })?
}

/// What `look` finds in the prices of `symbol` so far back.
fn over<Found>(
    symbol: &str,
    lookback: Lookback,
    look: impl FnOnce(&PriceWindow<'_>) -> Found,
) -> Result<Option<Found>, Box<EvalAltResult>> {
    let symbol = heard(symbol)?;
    let found = asked(|view| {
        if let Lookback::Time(length) = lookback {
            let horizon =
                view.horizon().ok_or("a script must have fn horizon() to look at ticks, was without")?;
            if length > horizon {
                let (horizon, length) = (duration::format(horizon), duration::format(length));
                return Err(format!("span must be at most the horizon {horizon}, was {length}"));
            }
        }
        Ok(view.prices(symbol, lookback).map(|window| look(&window)))
    });
    Ok(found.transpose()?.flatten())
}

fn time(span: &str) -> Result<Lookback, Box<EvalAltResult>> {
    Ok(Lookback::Time(duration::parse(span)?))
}

fn events(count: INT) -> Result<Lookback, Box<EvalAltResult>> {
    let count = usize::try_from(count).ok().filter(|count| (1..=HISTORY_MAX).contains(count));
    count
        .map(Lookback::Events)
        .ok_or_else(|| format!("bars must be 1 to {HISTORY_MAX} in number, was another number").into())
}

pub(super) fn parse_timeframe(timeframe: &str) -> Result<std::time::Duration, Box<EvalAltResult>> {
    duration::parse_timeframe(timeframe)
        .map_err(|rule| format!("timeframe {rule}, was \"{timeframe}\"").into())
}
