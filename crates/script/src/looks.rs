//! How a script looks at what is known: `latest(symbol)`, `latest(symbol, "5m")`, `position(symbol)`, and
//! `mean(symbol, "5m")` and its like over the ticks of its horizon.

use rhai::{Dynamic, Engine, EvalAltResult};

use super::views::EventView;
use bot_core::clock::Timestamp;
use bot_core::duration;
use bot_core::market::MarketEvent;
use bot_core::strategy::{Past, View};
use bot_core::symbol::Symbol;
use bot_core::ticks::Span;

// The library's functions must be `'static`, so they find the view of the call that they are in here.
scoped_tls::scoped_thread_local!(static PAST: Past);
scoped_tls::scoped_thread_local!(static NOW: Timestamp);

type LookResult = Result<Dynamic, Box<EvalAltResult>>;

type Statistic = fn(&Span<'_>) -> Option<f64>;

/// What can be asked of the ticks of a span; each is `()` when there is no tick.
const STATISTICS: [(&str, Statistic); 7] = [
    ("open", |span| span.open()),
    ("high", |span| span.high()),
    ("low", |span| span.low()),
    ("close", |span| span.close()),
    ("mean", |span| span.mean()),
    ("vwap", |span| span.vwap()),
    ("volume", |span| span.volume()),
];

/// Calls a script that may look at `view` meanwhile.
pub(super) fn at<Ended>(view: &View<'_>, call: impl FnOnce() -> Ended) -> Ended {
    PAST.set(view.past(), || NOW.set(&view.now(), call))
}

/// Makes the functions callable.
pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("latest", latest).register_fn("latest", latest_bar).register_fn("position", position);
    for (name, statistic) in STATISTICS {
        engine.register_fn(name, move |symbol: &str, span: &str| -> LookResult {
            let number = over(symbol, span, statistic)?.flatten();
            Ok(number.map_or(Dynamic::UNIT, Dynamic::from))
        });
    }
    engine.register_fn("count", |symbol: &str, span: &str| -> LookResult {
        let count = over(symbol, span, |ticks| i64::try_from(ticks.len()).unwrap_or(i64::MAX))?;
        Ok(count.unwrap_or_default().into())
    });
}

fn latest(symbol: &str) -> LookResult {
    let symbol = parse(symbol)?;
    Ok(shown(seen(|view| view.latest(symbol).copied()).flatten()))
}

fn latest_bar(symbol: &str, timeframe: &str) -> LookResult {
    let symbol = parse(symbol)?;
    let span = duration::parse_timeframe(timeframe)
        .map_err(|rule| format!("timeframe {rule}, was \"{timeframe}\""))?;
    Ok(shown(seen(|view| view.latest_bar(symbol, span).copied()).flatten()))
}

fn shown(event: Option<MarketEvent>) -> Dynamic {
    event.map_or(Dynamic::UNIT, |event| Dynamic::from(EventView(event)))
}

/// Shares in the strategy's own book. There is no number to say before the book is known.
fn position(symbol: &str) -> LookResult {
    let symbol = parse(symbol)?;
    let held = seen(|view| view.position(symbol).to_f64());
    let held =
        held.ok_or("position(symbol) must be asked in a function on_..., was asked before the start")?;
    Ok(held.into())
}

/// What `look` finds in the ticks of `symbol` that are at most `span` old.
fn over<Found>(
    symbol: &str,
    span: &str,
    look: impl FnOnce(&Span<'_>) -> Found,
) -> Result<Option<Found>, Box<EvalAltResult>> {
    let (symbol, length) = (parse(symbol)?, duration::parse(span)?);
    let found = seen(|view| {
        let horizon =
            view.horizon().ok_or("a script must have fn horizon() to look at ticks, was without")?;
        if length > horizon {
            let horizon = duration::format(horizon);
            return Err(format!("span must be at most the horizon {horizon}, was {span}"));
        }
        Ok(view.over(symbol, length).map(|ticks| look(&ticks)))
    });
    Ok(found.transpose()?.flatten())
}

/// None outside of an event, a timer, a fill and an order's end.
fn seen<Found>(look: impl FnOnce(View<'_>) -> Found) -> Option<Found> {
    PAST.is_set().then(|| PAST.with(|past| NOW.with(|now| look(past.view_at(*now)))))
}

/// A symbol as a script writes it.
pub(super) fn parse(symbol: &str) -> Result<Symbol, Box<EvalAltResult>> {
    symbol.parse::<Symbol>().map_err(|error| error.to_string().into())
}
