//! What a script sees of an event, of a fill and of an order's end. A field that there is nothing for is `()`.

use rhai::{Dynamic, Engine};

use bot_core::market::{Bar, MarketEvent, Quote};
use bot_core::outcome::OutcomeKind;
use bot_core::strategy::{Fill, OrderEnd};

/// An event, read by its fields.
#[derive(Debug, Clone)]
pub(super) struct EventView(pub(super) MarketEvent);

/// A fill, read by its fields.
#[derive(Debug, Clone)]
pub(super) struct FillView(pub(super) Fill);

/// An order's end, read by its fields.
#[derive(Debug, Clone)]
pub(super) struct EndView(pub(super) OrderEnd);

/// Makes the fields readable.
pub(super) fn register(engine: &mut Engine) {
    register_event(engine);
    register_fill(engine);
    register_end(engine);
}

fn register_event(engine: &mut Engine) {
    engine
        .register_type_with_name::<EventView>("Event")
        .register_get("kind", |event: &mut EventView| match event.0 {
            MarketEvent::Quote { .. } => "quote",
            MarketEvent::Trade { .. } => "trade",
            MarketEvent::Bar { .. } => "bar",
            MarketEvent::Number { .. } => "number",
        })
        .register_get("symbol", |event: &mut EventView| event.0.symbol().as_str().to_owned())
        .register_get("time", |event: &mut EventView| event.0.known_at().millis())
        .register_get("price", |event: &mut EventView| event.0.price())
        .register_get("bid", |event: &mut EventView| of_quote(event, |quote| quote.bid))
        .register_get("ask", |event: &mut EventView| of_quote(event, |quote| quote.ask))
        .register_get("open", |event: &mut EventView| of_bar(event, |bar| bar.open))
        .register_get("high", |event: &mut EventView| of_bar(event, |bar| bar.high))
        .register_get("low", |event: &mut EventView| of_bar(event, |bar| bar.low))
        .register_get("close", |event: &mut EventView| of_bar(event, |bar| bar.close))
        .register_get("volume", |event: &mut EventView| match event.0 {
            MarketEvent::Quote { .. } | MarketEvent::Number { .. } => Dynamic::UNIT,
            MarketEvent::Trade { trade, .. } => trade.size.into(),
            MarketEvent::Bar { bar, .. } => bar.volume.into(),
        });
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
        .register_get("position", |end: &mut EndView| end.0.position.to_f64())
        .register_get("goes_on", |end: &mut EndView| end.0.goes_on);
}

fn of_fill(end: &EndView, field: impl Fn(&Fill) -> Dynamic) -> Dynamic {
    end.0.fill.as_ref().map_or(Dynamic::UNIT, field)
}

fn of_quote(event: &EventView, field: impl Fn(&Quote) -> f64) -> Dynamic {
    match &event.0 {
        MarketEvent::Quote { quote, .. } => field(quote).into(),
        MarketEvent::Trade { .. } | MarketEvent::Bar { .. } | MarketEvent::Number { .. } => Dynamic::UNIT,
    }
}

fn of_bar(event: &EventView, field: impl Fn(&Bar) -> f64) -> Dynamic {
    match &event.0 {
        MarketEvent::Bar { bar, .. } => field(bar).into(),
        MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. } => Dynamic::UNIT,
    }
}
