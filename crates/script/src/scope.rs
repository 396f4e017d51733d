//! The view of the call that is under way, for the functions that a script calls in it.

use rhai::{Dynamic, EvalAltResult};

use bot_core::clock::Timestamp;
use bot_core::market::MarketEvent;
use bot_core::spelling::did_you_mean;
use bot_core::strategy::{Past, View};
use bot_core::symbol::Symbol;

// The library's functions must be `'static`, so they find the view of the call that they are in here.
scoped_tls::scoped_thread_local!(static PAST: Past);
scoped_tls::scoped_thread_local!(static NOW: Timestamp);

/// What a script is told that looks at something.
pub(super) type LookResult = Result<Dynamic, Box<EvalAltResult>>;

/// Calls a script that may look at `view` meanwhile.
pub(super) fn at<Ended>(view: &View<'_>, call: impl FnOnce() -> Ended) -> Ended {
    PAST.set(view.past(), || NOW.set(&view.now(), call))
}

/// What `look` sees; none outside of an event, a timer, a fill and an order's end.
pub(super) fn asked<Found>(look: impl FnOnce(View<'_>) -> Found) -> Option<Found> {
    PAST.is_set().then(|| PAST.with(|past| NOW.with(|now| look(past.view_at(*now)))))
}

/// The same, of what is not known before the start.
pub(super) fn seen<Found>(
    function: &str,
    look: impl FnOnce(View<'_>) -> Found,
) -> Result<Found, Box<EvalAltResult>> {
    asked(look).ok_or_else(|| {
        format!("{function}(...) must be asked in a function on_..., was asked before the start").into()
    })
}

/// A symbol that the strategy hears of: of any other it would wait for ever.
pub(super) fn heard(symbol: &str) -> Result<Symbol, Box<EvalAltResult>> {
    let symbol = parse(symbol)?;
    asked(|view| {
        let heard = view.past().heard();
        if heard.is_empty() || heard.contains(&symbol) || view.knows(symbol) {
            return Ok(symbol);
        }
        let names: Vec<&str> = heard.iter().map(Symbol::as_str).collect();
        let near = did_you_mean(symbol.as_str(), names.iter().copied());
        Err(format!(
            "symbol must be one that the strategy hears of, {}, was {symbol}{near}",
            names.join(", ")
        )
        .into())
    })
    .unwrap_or(Ok(symbol))
}

/// A symbol as a script writes it.
pub(super) fn parse(symbol: &str) -> Result<Symbol, Box<EvalAltResult>> {
    symbol.parse::<Symbol>().map_err(|error| error.to_string().into())
}

/// The value of the indicator at `place`, of the symbol of an event that must be its latest.
pub(super) fn indicator_of(event: &MarketEvent, place: usize, name: &str) -> LookResult {
    seen(name, |view| {
        let symbol = event.symbol();
        if view.latest(symbol).is_none_or(|latest| latest.known_at() > event.known_at()) {
            let message = format!(
                "event.{name} must be asked of the latest event of {symbol}, was of an older one: indicator(symbol, name, ago) \
                 knows earlier values"
            );
            return Err(message.into());
        }
        Ok(view.indicator(symbol, place, 0).map_or(Dynamic::UNIT, Dynamic::from))
    })?
}

/// The names of the script's indicators.
pub(super) fn indicator_names() -> Vec<String> {
    asked(|view| view.past().indicators().iter().map(|named| named.name.clone()).collect())
        .unwrap_or_default()
}
