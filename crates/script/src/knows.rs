//! What a script knows of its own book and of time: `position(symbol)`, `equity()`, `now().weekday`,
//! `session().minutes_to_close`.

use chrono::{Datelike, Timelike};
use rhai::{Dynamic, Engine, INT, Map};

use super::scope::{LookResult, heard, seen};
use bot_core::calendar::Session;
use bot_core::clock::Timestamp;

/// An instant, read by New York's clock.
#[derive(Debug, Clone, Copy)]
struct TimeView(Timestamp);

/// A session of the exchange, seen from an instant.
#[derive(Debug, Clone, Copy)]
struct SessionView {
    session: Option<Session>,
    now: Timestamp,
    is_last_bar: bool,
}

/// Makes the functions callable.
pub(super) fn register(engine: &mut Engine) {
    register_book(engine);
    register_time(engine);
    register_session(engine);
    engine.register_fn("is_warming_up", || seen("is_warming_up", |view| view.is_warming_up()));
}

fn register_book(engine: &mut Engine) {
    engine
        .register_fn("cash", || seen("cash", |view| view.cash().to_f64()))
        .register_fn("equity", || seen("equity", |view| view.equity()))
        .register_fn("buying_power", || seen("buying_power", |view| view.buying_power()))
        .register_fn("position", |symbol: &str| {
            let symbol = heard(symbol)?;
            seen("position", |view| view.position(symbol).to_f64())
        })
        .register_fn("open_orders", |symbol: &str| {
            let symbol = heard(symbol)?;
            seen("open_orders", |view| i64::from(view.open_orders(symbol)))
        })
        .register_fn("profit", |symbol: &str| {
            let symbol = heard(symbol)?;
            seen("profit", |view| view.profit(symbol))
        })
        .register_fn("bars_held", |symbol: &str| {
            let symbol = heard(symbol)?;
            seen("bars_held", |view| i64::try_from(view.bars_held(symbol)).unwrap_or(i64::MAX))
        })
        .register_fn("average_price", |symbol: &str| -> LookResult {
            let symbol = heard(symbol)?;
            let price = seen("average_price", |view| {
                view.holding(symbol).and_then(|held| held.position.average_price())
            })?;
            Ok(price.map_or(Dynamic::UNIT, |price| price.price().to_f64().into()))
        })
        .register_fn("holdings", || {
            seen("holdings", |view| {
                let shares = |held: &bot_core::strategy::Holding| {
                    (held.symbol.as_str().into(), held.position.quantity().to_f64().into())
                };
                view.holdings().map(shares).collect::<Map>()
            })
        });
}

fn register_time(engine: &mut Engine) {
    engine
        .register_type_with_name::<TimeView>("Time")
        .register_fn("now", || seen("now", |view| TimeView(view.now())))
        .register_fn("time_of", |millis: INT| TimeView(Timestamp::from_millis(millis)))
        .register_get("ms", |time: &mut TimeView| time.0.millis())
        .register_get("date", |time: &mut TimeView| time.0.to_new_york().format("%Y-%m-%d").to_string())
        .register_get("time", |time: &mut TimeView| time.0.to_new_york().format("%H:%M").to_string())
        .register_get("weekday", |time: &mut TimeView| {
            time.0.to_new_york().format("%A").to_string().to_lowercase()
        })
        .register_get("year", |time: &mut TimeView| i64::from(time.0.to_new_york().year()))
        .register_get("month", |time: &mut TimeView| i64::from(time.0.to_new_york().month()))
        .register_get("day", |time: &mut TimeView| i64::from(time.0.to_new_york().day()))
        .register_get("hour", |time: &mut TimeView| i64::from(time.0.to_new_york().hour()))
        .register_get("minute", |time: &mut TimeView| i64::from(time.0.to_new_york().minute()));
}

/// Minutes are whole where bars are; what today's session does not have is `()`.
fn register_session(engine: &mut Engine) {
    engine
        .register_type_with_name::<SessionView>("Session")
        .register_fn("session", || {
            seen("session", |view| SessionView {
                session: view.session(),
                now: view.now(),
                is_last_bar: view.is_last_bar(view.past().timeframe()),
            })
        })
        .register_get("is_open", |view: &mut SessionView| view.open_now().is_some())
        .register_get("is_last_bar", |view: &mut SessionView| view.is_last_bar)
        .register_get("open", |view: &mut SessionView| of(view.session, |session| TimeView(session.open)))
        .register_get("close", |view: &mut SessionView| of(view.session, |session| TimeView(session.close)))
        .register_get("minutes_since_open", |view: &mut SessionView| {
            let now = view.now;
            of(view.open_now(), move |session| minutes(session.open, now))
        })
        .register_get("minutes_to_close", |view: &mut SessionView| {
            let now = view.now;
            of(view.open_now(), move |session| minutes(now, session.close))
        });
}

impl SessionView {
    /// The session, while it is open; its close is its end.
    fn open_now(&self) -> Option<Session> {
        self.session.filter(|session| (session.open..session.close).contains(&self.now))
    }
}

fn of<Found: rhai::Variant + Clone>(
    session: Option<Session>,
    find: impl FnOnce(Session) -> Found,
) -> Dynamic {
    session.map_or(Dynamic::UNIT, |session| Dynamic::from(find(session)))
}

fn minutes(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64() / 60.0
}
