//! Market data of the present: latest quotes, trades and bars, snapshots. All numbers are JSON numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Number, Value, json};

use super::ServerState;
use super::answer::Problem;
use super::params::QueryParams;
use bot_core::clock::Timestamp;
use bot_core::market::{Bar, Quote, Trade};
use bot_core::symbol::Symbol;
use bot_simulated::SimulatedMarket;

pub(super) type DataAnswer = Result<Json<Value>, Problem>;

pub(super) async fn latest_quotes(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> DataAnswer {
    of_all(&server, query.as_deref(), quote).map(|quotes| Json(json!({"quotes": quotes})))
}

pub(super) async fn latest_trades(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> DataAnswer {
    of_all(&server, query.as_deref(), trade).map(|trades| Json(json!({"trades": trades})))
}

pub(super) async fn latest_bars(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> DataAnswer {
    of_all(&server, query.as_deref(), minute_bar).map(|bars| Json(json!({"bars": bars})))
}

pub(super) async fn snapshots(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> DataAnswer {
    of_all(&server, query.as_deref(), snapshot_body).map(|all| Json(json!(all)))
}

/// The same of coins, which Alpaca puts one level deeper.
pub(super) async fn coin_snapshots(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> DataAnswer {
    of_all(&server, query.as_deref(), snapshot_body).map(|all| Json(json!({"snapshots": all})))
}

pub(super) async fn latest_quote(
    State(server): State<Arc<ServerState>>,
    Path(name): Path<String>,
) -> DataAnswer {
    of_one(&server, &name, quote).map(|(symbol, quote)| Json(json!({"symbol": symbol, "quote": quote})))
}

pub(super) async fn latest_trade(
    State(server): State<Arc<ServerState>>,
    Path(name): Path<String>,
) -> DataAnswer {
    of_one(&server, &name, trade).map(|(symbol, trade)| Json(json!({"symbol": symbol, "trade": trade})))
}

pub(super) async fn latest_bar(
    State(server): State<Arc<ServerState>>,
    Path(name): Path<String>,
) -> DataAnswer {
    of_one(&server, &name, minute_bar).map(|(symbol, bar)| Json(json!({"symbol": symbol, "bar": bar})))
}

pub(super) async fn snapshot(State(server): State<Arc<ServerState>>, Path(name): Path<String>) -> DataAnswer {
    let (symbol, mut body) = of_one(&server, &name, snapshot_body)?;
    body["symbol"] = json!(symbol);
    Ok(Json(body))
}

/// Symbols that are not traded here are simply missing from the answer.
fn of_all<T>(
    server: &ServerState,
    query: Option<&str>,
    look: impl Fn(&SimulatedMarket, Symbol) -> Option<T>,
) -> Result<BTreeMap<Symbol, T>, Problem> {
    let symbols = wanted(&QueryParams::read(query))?;
    Ok(server.at_present(|core, _| {
        symbols.into_iter().filter_map(|symbol| Some((symbol, look(core, symbol)?))).collect()
    }))
}

fn of_one<T>(
    server: &ServerState,
    name: &str,
    look: impl Fn(&SimulatedMarket, Symbol) -> Option<T>,
) -> Result<(Symbol, T), Problem> {
    let symbol = symbol(name)?;
    let found = server.at_present(|core, _| look(core, symbol));
    let missing = || Problem::data(StatusCode::NOT_FOUND, format!("no data found for {symbol}"));
    Ok((symbol, found.ok_or_else(missing)?))
}

pub(super) fn wanted(params: &QueryParams) -> Result<Vec<Symbol>, Problem> {
    let symbols = params.symbols().map_err(bad)?;
    if symbols.is_empty() { Err(bad("symbols is required")) } else { Ok(symbols) }
}

pub(super) fn symbol(name: &str) -> Result<Symbol, Problem> {
    name.parse().map_err(|_| bad(format!("invalid symbol: {name}")))
}

pub(super) fn bad(message: impl Into<String>) -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, message)
}

#[derive(Debug, Serialize)]
pub(super) struct QuoteBody {
    t: Timestamp,
    ax: &'static str,
    ap: f64,
    r#as: Number,
    bx: &'static str,
    bp: f64,
    bs: Number,
    c: [&'static str; 1],
    z: &'static str,
}

impl From<&Quote> for QuoteBody {
    fn from(quote: &Quote) -> Self {
        Self {
            t: quote.at,
            ax: "V",
            ap: quote.ask,
            r#as: size(quote.ask_size),
            bx: "V",
            bp: quote.bid,
            bs: size(quote.bid_size),
            c: ["R"],
            z: "C",
        }
    }
}

fn quote(core: &SimulatedMarket, symbol: Symbol) -> Option<QuoteBody> {
    core.latest(symbol).map(|(quote, _)| QuoteBody::from(&quote))
}

#[derive(Debug, Serialize)]
pub(super) struct TradeBody {
    t: Timestamp,
    x: &'static str,
    p: f64,
    s: Number,
    c: [&'static str; 1],
    i: i64,
    z: &'static str,
}

impl From<&Trade> for TradeBody {
    fn from(trade: &Trade) -> Self {
        let Trade { at, price, size } = *trade;
        Self { t: at, x: "V", p: price, s: self::size(size), c: ["@"], i: at.micros(), z: "C" }
    }
}

fn trade(core: &SimulatedMarket, symbol: Symbol) -> Option<TradeBody> {
    core.latest(symbol).map(|(_, trade)| TradeBody::from(&trade))
}

#[derive(Debug, Serialize)]
pub(super) struct BarBody {
    t: Timestamp,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: Number,
    n: u64,
    vw: f64,
}

impl From<&Bar> for BarBody {
    /// Trades and mean price of a bar are not recorded: a hundred shares a trade and the middle of the bar stand for them.
    fn from(bar: &Bar) -> Self {
        let mean = (bar.open + bar.high + bar.low + bar.close) / 4.0;
        Self {
            t: bar.at,
            o: bar.open,
            h: bar.high,
            l: bar.low,
            c: bar.close,
            v: size(bar.volume),
            n: whole((bar.volume / 100.0).ceil()),
            vw: (mean * 10_000.0).round() / 10_000.0,
        }
    }
}

fn minute_bar(core: &SimulatedMarket, symbol: Symbol) -> Option<BarBody> {
    let [minute, _, _] = core.latest_bars(symbol)?;
    minute.as_ref().map(BarBody::from)
}

fn snapshot_body(core: &SimulatedMarket, symbol: Symbol) -> Option<Value> {
    let [minute, today, before] = core.latest_bars(symbol)?.map(|found| found.as_ref().map(BarBody::from));
    Some(json!({
        "latestTrade": trade(core, symbol)?,
        "latestQuote": quote(core, symbol)?,
        "minuteBar": minute,
        "dailyBar": today,
        "prevDailyBar": before,
    }))
}

/// Shares without a point, fractions with one.
fn size(size: f64) -> Number {
    let fraction = (size.fract() != 0.0).then(|| Number::from_f64(size)).flatten();
    fraction.unwrap_or_else(|| whole(size).into())
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are whole and far below 2^53"
)]
fn whole(size: f64) -> u64 {
    size.max(0.0).round() as u64
}
