//! Market data: latest quotes, trades and bars, snapshots, and bars of the past. All numbers are JSON numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use chrono::{NaiveTime, TimeZone};
use chrono_tz::America::New_York;
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::{Value, json};

use super::Shop;
use super::answer::Problem;
use super::params::Params;
use crate::broker::simulated::{Core, Timeframe};
use crate::clock::Timestamp;
use crate::market::{Bar, Quote, Trade};
use crate::symbol::Symbol;

type Answer = Result<Json<Value>, Problem>;

pub(super) async fn latest_quotes(State(shop): State<Arc<Shop>>, RawQuery(query): RawQuery) -> Answer {
    of_all(&shop, query.as_deref(), quote).map(|quotes| Json(json!({"quotes": quotes})))
}

pub(super) async fn latest_trades(State(shop): State<Arc<Shop>>, RawQuery(query): RawQuery) -> Answer {
    of_all(&shop, query.as_deref(), trade).map(|trades| Json(json!({"trades": trades})))
}

pub(super) async fn latest_bars(State(shop): State<Arc<Shop>>, RawQuery(query): RawQuery) -> Answer {
    of_all(&shop, query.as_deref(), minute_bar).map(|bars| Json(json!({"bars": bars})))
}

pub(super) async fn snapshots(State(shop): State<Arc<Shop>>, RawQuery(query): RawQuery) -> Answer {
    of_all(&shop, query.as_deref(), snapshot_body).map(|all| Json(json!(all)))
}

pub(super) async fn latest_quote(State(shop): State<Arc<Shop>>, Path(name): Path<String>) -> Answer {
    of_one(&shop, &name, quote).map(|(symbol, quote)| Json(json!({"symbol": symbol, "quote": quote})))
}

pub(super) async fn latest_trade(State(shop): State<Arc<Shop>>, Path(name): Path<String>) -> Answer {
    of_one(&shop, &name, trade).map(|(symbol, trade)| Json(json!({"symbol": symbol, "trade": trade})))
}

pub(super) async fn latest_bar(State(shop): State<Arc<Shop>>, Path(name): Path<String>) -> Answer {
    of_one(&shop, &name, minute_bar).map(|(symbol, bar)| Json(json!({"symbol": symbol, "bar": bar})))
}

pub(super) async fn snapshot(State(shop): State<Arc<Shop>>, Path(name): Path<String>) -> Answer {
    let (symbol, mut body) = of_one(&shop, &name, snapshot_body)?;
    body["symbol"] = json!(symbol);
    Ok(Json(body))
}

pub(super) async fn bars(State(shop): State<Arc<Shop>>, RawQuery(query): RawQuery) -> Answer {
    let params = Params::read(query.as_deref());
    let symbols = wanted(&params)?;
    let Page { bars, next_page_token } = page(&shop, symbols, &params)?;
    Ok(Json(json!({"bars": bars, "next_page_token": next_page_token})))
}

pub(super) async fn bars_of(
    State(shop): State<Arc<Shop>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let symbol = symbol(&name)?;
    let mut page = page(&shop, vec![symbol], &Params::read(query.as_deref()))?;
    let bars = page.bars.remove(&symbol).unwrap_or_default();
    Ok(Json(json!({"bars": bars, "symbol": symbol, "next_page_token": page.next_page_token})))
}

/// Symbols that are not traded here are simply missing from the answer.
fn of_all<T>(
    shop: &Shop,
    query: Option<&str>,
    look: impl Fn(&Core, Symbol) -> Option<T>,
) -> Result<BTreeMap<Symbol, T>, Problem> {
    let symbols = wanted(&Params::read(query))?;
    Ok(shop.at_present(|core, _| {
        symbols.into_iter().filter_map(|symbol| Some((symbol, look(core, symbol)?))).collect()
    }))
}

fn of_one<T>(
    shop: &Shop,
    name: &str,
    look: impl Fn(&Core, Symbol) -> Option<T>,
) -> Result<(Symbol, T), Problem> {
    let symbol = symbol(name)?;
    let found = shop.at_present(|core, _| look(core, symbol));
    let missing = || Problem::data(StatusCode::NOT_FOUND, format!("no data found for {symbol}"));
    Ok((symbol, found.ok_or_else(missing)?))
}

fn wanted(params: &Params) -> Result<Vec<Symbol>, Problem> {
    let symbols = params.symbols().map_err(bad)?;
    if symbols.is_empty() { Err(bad("symbols is required")) } else { Ok(symbols) }
}

fn symbol(name: &str) -> Result<Symbol, Problem> {
    name.parse().map_err(|_| bad(format!("invalid symbol: {name}")))
}

fn bad(message: impl Into<String>) -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, message)
}

#[derive(Debug, Serialize)]
pub(super) struct QuoteBody {
    t: Timestamp,
    ax: &'static str,
    ap: f64,
    r#as: u64,
    bx: &'static str,
    bp: f64,
    bs: u64,
    c: [&'static str; 1],
    z: &'static str,
}

impl From<&Quote> for QuoteBody {
    fn from(quote: &Quote) -> Self {
        Self {
            t: quote.at,
            ax: "V",
            ap: quote.ask,
            r#as: whole(quote.ask_size),
            bx: "V",
            bp: quote.bid,
            bs: whole(quote.bid_size),
            c: ["R"],
            z: "C",
        }
    }
}

fn quote(core: &Core, symbol: Symbol) -> Option<QuoteBody> {
    core.latest(symbol).map(|(quote, _)| QuoteBody::from(&quote))
}

#[derive(Debug, Serialize)]
pub(super) struct TradeBody {
    t: Timestamp,
    x: &'static str,
    p: f64,
    s: u64,
    c: [&'static str; 1],
    i: i64,
    z: &'static str,
}

impl From<&Trade> for TradeBody {
    fn from(trade: &Trade) -> Self {
        let Trade { at, price, size } = *trade;
        Self { t: at, x: "V", p: price, s: whole(size), c: ["@"], i: at.micros(), z: "C" }
    }
}

fn trade(core: &Core, symbol: Symbol) -> Option<TradeBody> {
    core.latest(symbol).map(|(_, trade)| TradeBody::from(&trade))
}

#[derive(Debug, Serialize)]
pub(super) struct BarBody {
    t: Timestamp,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: u64,
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
            v: whole(bar.volume),
            n: whole((bar.volume / 100.0).ceil()),
            vw: (mean * 10_000.0).round() / 10_000.0,
        }
    }
}

fn minute_bar(core: &Core, symbol: Symbol) -> Option<BarBody> {
    let [minute, _, _] = core.latest_bars(symbol)?;
    minute.as_ref().map(BarBody::from)
}

fn snapshot_body(core: &Core, symbol: Symbol) -> Option<Value> {
    let [minute, today, before] = core.latest_bars(symbol)?.map(|found| found.as_ref().map(BarBody::from));
    Some(json!({
        "latestTrade": trade(core, symbol)?,
        "latestQuote": quote(core, symbol)?,
        "minuteBar": minute,
        "dailyBar": today,
        "prevDailyBar": before,
    }))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are whole and far below 2^53"
)]
fn whole(size: f64) -> u64 {
    size.max(0.0).round() as u64
}

const BARS_DEFAULT: usize = 1_000;
const BARS_MAX: usize = 10_000;

/// Which bars are asked for.
struct Ask {
    timeframe: Timeframe,
    from: Timestamp,
    to: Timestamp,
    newest_first: bool,
    limit: usize,
    /// Where the page before ended.
    resume: Option<(Symbol, Timestamp)>,
}

/// One page of bars; the limit counts over all symbols.
struct Page {
    bars: BTreeMap<Symbol, Vec<BarBody>>,
    next_page_token: Option<String>,
}

impl Ask {
    fn read(params: &Params, now: Timestamp) -> Result<Self, Problem> {
        let text = params.text("timeframe").ok_or_else(|| bad("timeframe is required"))?;
        let limit = params.value("limit").map_err(bad)?.unwrap_or(BARS_DEFAULT);
        if limit > BARS_MAX {
            return Err(bad(format!("invalid limit: larger than the allowed maximum of {BARS_MAX}")));
        }
        if limit == 0 {
            return Err(bad("invalid limit: must be at least 1"));
        }
        let token = params.text("page_token");
        Ok(Self {
            timeframe: timeframe(text).ok_or_else(|| bad(format!("invalid timeframe: {text}")))?,
            from: params.time("start").map_err(bad)?.unwrap_or_else(|| midnight(now)),
            to: params.time("end").map_err(bad)?.unwrap_or(now).min(now),
            newest_first: match params.text("sort") {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(other) => return Err(bad(format!("invalid sort: {other}"))),
            },
            limit,
            resume: token
                .map(|text| read_token(text).ok_or_else(|| bad("invalid page_token")))
                .transpose()?,
        })
    }

    /// The span of one symbol's bars that earlier pages left; `None` when they had them all.
    fn span(&self, symbol: Symbol) -> Option<(Timestamp, Timestamp)> {
        match self.resume {
            Some((first, _)) if symbol < first => None,
            Some((first, at)) if symbol == first && self.newest_first => Some((self.from, self.to.min(at))),
            Some((first, at)) if symbol == first => Some((self.from.max(at), self.to)),
            Some(_) | None => Some((self.from, self.to)),
        }
    }
}

fn page(shop: &Shop, mut symbols: Vec<Symbol>, params: &Params) -> Result<Page, Problem> {
    let ask = Ask::read(params, shop.clock.now())?;
    symbols.sort_unstable();
    symbols.dedup();
    let mut page = Page { bars: BTreeMap::new(), next_page_token: None };
    let mut room = ask.limit;
    for symbol in symbols {
        let Some(span) = ask.span(symbol) else { continue };
        let found =
            shop.at_present(|core, _| core.bars(symbol, ask.timeframe, span, ask.newest_first, room + 1));
        let bodies: Vec<BarBody> = found.iter().take(room).map(BarBody::from).collect();
        page.next_page_token = found.get(room).map(|next| write_token(symbol, next.at));
        room -= bodies.len();
        if !bodies.is_empty() {
            page.bars.insert(symbol, bodies);
        }
        if page.next_page_token.is_some() {
            break;
        }
    }
    Ok(page)
}

fn midnight(now: Timestamp) -> Timestamp {
    let start = now.to_new_york().date_naive().and_time(NaiveTime::MIN);
    New_York.from_local_datetime(&start).earliest().map_or(now, Timestamp::from)
}

fn write_token(symbol: Symbol, at: Timestamp) -> String {
    BASE64URL_NOPAD.encode(format!("{symbol}|{}", at.nanos()).as_bytes())
}

fn read_token(token: &str) -> Option<(Symbol, Timestamp)> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(token.as_bytes()).ok()?).ok()?;
    let (symbol, nanos) = text.split_once('|')?;
    Some((symbol.parse().ok()?, Timestamp::from_nanos(nanos.parse().ok()?)))
}

/// `[1-59]Min`, `[1-23]Hour`, `1Day`, `1Week`, `[1,2,3,4,6,12]Month`, or their first letters (`T` for minutes).
fn timeframe(text: &str) -> Option<Timeframe> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u32 = text[..digits].parse().ok()?;
    match (&text[digits..], count) {
        ("Min" | "T", 1..=59) => Some(Timeframe::Minutes(count)),
        ("Hour" | "H", 1..=23) => Some(Timeframe::Hours(count)),
        ("Day" | "D", 1) => Some(Timeframe::Day),
        ("Week" | "W", 1) => Some(Timeframe::Week),
        ("Month" | "M", 1 | 2 | 3 | 4 | 6 | 12) => Some(Timeframe::Months(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeframes_are_read_as_the_broker_writes_them() {
        assert_eq!(timeframe("1Min"), Some(Timeframe::Minutes(1)));
        assert_eq!(timeframe("59T"), Some(Timeframe::Minutes(59)));
        assert_eq!(timeframe("1Day"), Some(Timeframe::Day));
        assert_eq!(timeframe("6Month"), Some(Timeframe::Months(6)));
        for bad in ["", "60Min", "0Hour", "2Day", "Min", "5Month", "1min"] {
            assert_eq!(timeframe(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_page_token_is_read_back() {
        let place = ("BRK.B".parse().unwrap(), Timestamp::from_secs(5));
        assert_eq!(read_token(&write_token(place.0, place.1)), Some(place));
        assert_eq!(read_token("nonsense"), None);
    }
}
