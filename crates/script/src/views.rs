//! What a script sees of an event, of a fill and of an order's end.

use rhai::{Dynamic, Engine, EvalAltResult};

use super::{NO_FIELD, scope};
use bot_core::market::{Bar, MarketEvent, Quote};
use bot_core::outcome::OutcomeKind;
use bot_core::strategy::{Fill, NamedIndicator, OrderEnd};

/// An event, read by its fields.
#[derive(Debug, Clone)]
pub(super) struct EventView(pub(super) MarketEvent);

/// A fill, read by its fields.
#[derive(Debug, Clone)]
pub(super) struct FillView(pub(super) Fill);

/// An order's end, read by its fields.
#[derive(Debug, Clone)]
pub(super) struct EndView(pub(super) OrderEnd);

/// Makes the script's indicators readable as fields of the events of their symbols.
///
/// # Errors
/// A field has that name.
pub(super) fn register_indicators(engine: &mut Engine, indicators: &[NamedIndicator]) -> Result<(), String> {
    let taken = || ALWAYS.into_iter().chain(["start"]).chain(FIELDS.iter().map(|(name, _)| *name));
    for (place, named) in indicators.iter().enumerate() {
        if taken().any(|name| name == named.name) {
            let names = taken().collect::<Vec<_>>().join(", ");
            let rule = format!("indicators() must name other fields than an event has ({names})");
            return Err(format!("{rule}, was {}", named.name));
        }
        let name = named.name.clone();
        engine.register_get(&named.name, move |event: &mut EventView| {
            scope::indicator_of(&event.0, place, &name)
        });
    }
    Ok(())
}

/// What each event has.
const ALWAYS: [&str; 4] = ["kind", "symbol", "time", "price"];

/// Makes the fields readable.
pub(super) fn register(engine: &mut Engine) {
    register_event(engine);
    register_fill(engine);
    register_end(engine);
}

fn register_event(engine: &mut Engine) {
    engine
        .register_type_with_name::<EventView>("Event")
        .register_get("kind", |event: &mut EventView| kind(&event.0))
        .register_get("symbol", |event: &mut EventView| event.0.symbol().as_str().to_owned())
        .register_get("time", |event: &mut EventView| event.0.known_at().millis())
        .register_get("price", |event: &mut EventView| event.0.price())
        .register_get("start", |event: &mut EventView| {
            let start = of_bar(&event.0).map(|bar| bar.at.millis());
            start.ok_or_else(|| Box::<EvalAltResult>::from(no_field(&event.0, "start")))
        })
        .register_indexer_get(|event: &mut EventView, name: &str| {
            Err::<Dynamic, Box<EvalAltResult>>(no_field(&event.0, name).into())
        });
    for (name, field) in FIELDS {
        engine.register_get(name, move |event: &mut EventView| {
            field(&event.0).ok_or_else(|| Box::<EvalAltResult>::from(no_field(&event.0, name)))
        });
    }
}

type Field = fn(&MarketEvent) -> Option<f64>;

/// What some kinds of events have.
const FIELDS: [(&str, Field); 8] = [
    ("bid", |event| of_quote(event).map(|quote| quote.bid)),
    ("ask", |event| of_quote(event).map(|quote| quote.ask)),
    ("open", |event| of_bar(event).map(|bar| bar.open)),
    ("high", |event| of_bar(event).map(|bar| bar.high)),
    ("low", |event| of_bar(event).map(|bar| bar.low)),
    ("close", |event| of_bar(event).map(|bar| bar.close)),
    ("volume", |event| match event {
        MarketEvent::Trade { trade, .. } => Some(trade.size),
        MarketEvent::Bar { bar, .. } => Some(bar.volume),
        MarketEvent::Quote { .. } | MarketEvent::Number { .. } => None,
    }),
    ("value", |event| match event {
        MarketEvent::Number { number, .. } => Some(number.value),
        MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Bar { .. } => None,
    }),
];

const fn kind(event: &MarketEvent) -> &'static str {
    match event {
        MarketEvent::Quote { .. } => "quote",
        MarketEvent::Trade { .. } => "trade",
        MarketEvent::Bar { .. } => "bar",
        MarketEvent::Number { .. } => "number",
    }
}

/// A field that is not there is an error: what is made of nothing would be false for ever.
fn no_field(event: &MarketEvent, name: &str) -> String {
    let has = FIELDS.iter().filter(|(_, field)| field(event).is_some());
    let start = of_bar(event).map(|_| "start");
    let own = ALWAYS.into_iter().chain(start).chain(has.map(|(name, _)| *name));
    let own: Vec<String> = own.map(str::to_owned).chain(scope::indicator_names()).collect();
    let (kind, has) = (kind(event), own.join(", "));
    format!("event.{name} {NO_FIELD}, which is a {kind} and has {has}")
}

fn register_fill(engine: &mut Engine) {
    engine
        .register_type_with_name::<FillView>("Fill")
        .register_get("symbol", |fill: &mut FillView| fill.0.symbol.as_str().to_owned())
        .register_get("side", |fill: &mut FillView| fill.0.side.as_str())
        .register_get("time", |fill: &mut FillView| fill.0.at.millis())
        .register_get("quantity", |fill: &mut FillView| fill.0.quantity.to_f64())
        .register_get("price", |fill: &mut FillView| fill.0.price.to_f64());
}

fn register_end(engine: &mut Engine) {
    engine
        .register_type_with_name::<EndView>("OrderEnd")
        .register_get("symbol", |end: &mut EndView| end.0.symbol.as_str().to_owned())
        .register_get("time", |end: &mut EndView| end.0.at.millis())
        .register_get("outcome", |end: &mut EndView| end.0.outcome.map_or("", OutcomeKind::as_str))
        .register_get("reason", |end: &mut EndView| end.0.reason.clone())
        .register_get("side", |end: &mut EndView| of_fill(end, |fill| fill.side.as_str().into()))
        .register_get("filled", |end: &mut EndView| end.0.fill.map_or(0.0, |fill| fill.quantity.to_f64()))
        .register_get("price", |end: &mut EndView| of_fill(end, |fill| fill.price.to_f64().into()))
        .register_get("position", |end: &mut EndView| end.0.position.quantity().to_f64())
        .register_get("goes_on", |end: &mut EndView| end.0.goes_on);
}

fn of_fill(end: &EndView, field: impl Fn(&Fill) -> Dynamic) -> Dynamic {
    end.0.fill.as_ref().map_or(Dynamic::UNIT, field)
}

const fn of_quote(event: &MarketEvent) -> Option<&Quote> {
    match event {
        MarketEvent::Quote { quote, .. } => Some(quote),
        MarketEvent::Trade { .. } | MarketEvent::Bar { .. } | MarketEvent::Number { .. } => None,
    }
}

const fn of_bar(event: &MarketEvent) -> Option<&Bar> {
    match event {
        MarketEvent::Bar { bar, .. } => Some(bar),
        MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. } => None,
    }
}
