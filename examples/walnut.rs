//! A trader and its engine, live and in time travel: `cargo run --example walnut`.
//!
//! With `REDIS_URL` set, the live orders go to a `bot run` that reads the same Redis and trades the symbol, such as NVDA
//! with `cargo run --example walnut -- NVDA`; without it they are printed like those of time travel.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bot::clock::{SystemClock, Timestamp};
use bot::engine::{
    Engine, OrderForwarder, TestEngine, TradeDirection, TradeOrder, Trader, TraderError, TraderSetup,
};
use bot::inbox::redis_stream::RedisUrl;
use bot::strategy_threads::signal_sender::to_stream;
use bot::symbol::Symbol;
use bot::ticks::{Span, Tick};

/// Goes short whenever the last price is below the mean, long otherwise.
struct DummyTrader {
    symbol: Symbol,
}

impl Trader for DummyTrader {
    fn evaluate(&mut self, now: Timestamp, window: Span<'_>) -> Result<Option<TradeOrder>, TraderError> {
        let direction =
            if window.close() < window.mean() { TradeDirection::Short } else { TradeDirection::Long };
        Ok(Some(TradeOrder::new(now, direction, self.symbol)))
    }
}

/// A new trader which is evaluated every 5 seconds and simply prints its orders.
fn new_trader(symbol: Symbol) -> TraderSetup {
    TraderSetup::new(DummyTrader { symbol }, Duration::from_secs(5), print).name("dummy")
}

fn print(order: TradeOrder) {
    let line = serde_json::to_string(&order).unwrap_or_else(|error| error.to_string());
    // Whoever closed the output does not want to know.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The way into the pool: each order becomes one signal on the stream `nvda`, however often it is sent.
fn pool() -> Option<OrderForwarder> {
    let url = RedisUrl::new(&std::env::var("REDIS_URL").ok()?);
    Some(OrderForwarder::new("walnut", None, Arc::new(SystemClock), to_stream(&url, "nvda")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let test: Symbol = std::env::args().nth(1).as_deref().unwrap_or("TEST").parse()?;

    // An engine which keeps ticks for up to 1 hour.
    let pool = pool();
    let engine = Engine::new(Duration::from_hours(1), move |symbol| match &pool {
        None => new_trader(symbol),
        Some(pool) => {
            TraderSetup::new(DummyTrader { symbol }, Duration::from_secs(5), pool.callback()).name("dummy")
        }
    });
    engine.tick(Tick::new(test, 1.3))?;
    // Evaluated at once, and then every 5 seconds.
    engine.start(test)?;
    engine.tick(Tick::new(test, 1.7))?;
    while engine.status(test).is_some_and(|status| status.orders == 0) {
        std::thread::sleep(Duration::from_millis(1));
    }
    engine.stop(test)?;

    // The same trader in time travel, evaluated every 2 ticks, and then by its interval.
    let mut engine = TestEngine::new(Duration::from_hours(1), new_trader);
    engine.start(test)?;
    let begin = Timestamp::parse_rfc3339("2018-08-15T12:12:12Z")?;
    let prices = [1.3, 1.7, 1.6, 1.5, 1.4, 1.3];
    let ticks = prices
        .iter()
        .zip(0..)
        .map(|(price, second)| Tick::new(test, *price).at(begin + Duration::from_secs(second)));
    engine.tick_many(ticks, 2, 0)?;
    engine.advance_by(Duration::from_secs(10))?;
    Ok(())
}
