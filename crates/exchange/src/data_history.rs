//! Market data of the past: bars, trades and quotes, page by page, sorted by symbol, then by time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::json;

use super::ServerState;
use super::answer::Problem;
use super::data::{BarBody, DataAnswer, QuoteBody, TradeBody, bad, symbol, wanted};
use super::params::QueryParams;
use bot_core::calendar::{date_of, midnight};
use bot_core::clock::Timestamp;
use bot_core::market::{Bar, Quote, Trade};
use bot_core::symbol::Symbol;
use bot_simulated::{SimulatedMarket, Timeframe, prices};

pub(super) async fn bars(State(server): State<Arc<ServerState>>, RawQuery(query): RawQuery) -> DataAnswer {
    let params = QueryParams::read(query.as_deref());
    of_all(&server, &params, "bars", bars_in(timeframe_of(&params)?))
}

pub(super) async fn trades(State(server): State<Arc<ServerState>>, RawQuery(query): RawQuery) -> DataAnswer {
    of_all(&server, &QueryParams::read(query.as_deref()), "trades", trades_in)
}

pub(super) async fn quotes(State(server): State<Arc<ServerState>>, RawQuery(query): RawQuery) -> DataAnswer {
    of_all(&server, &QueryParams::read(query.as_deref()), "quotes", quotes_in)
}

pub(super) async fn bars_of(
    server: State<Arc<ServerState>>,
    name: Path<String>,
    query: RawQuery,
) -> DataAnswer {
    let params = QueryParams::read(query.0.as_deref());
    of_one(&server, &name, &params, "bars", bars_in(timeframe_of(&params)?))
}

pub(super) async fn trades_of(
    server: State<Arc<ServerState>>,
    name: Path<String>,
    query: RawQuery,
) -> DataAnswer {
    of_one(&server, &name, &QueryParams::read(query.0.as_deref()), "trades", trades_in)
}

pub(super) async fn quotes_of(
    server: State<Arc<ServerState>>,
    name: Path<String>,
    query: RawQuery,
) -> DataAnswer {
    of_one(&server, &name, &QueryParams::read(query.0.as_deref()), "quotes", quotes_in)
}

/// A part of one symbol's past, both ends included.
struct TimeRange {
    symbol: Symbol,
    from: Timestamp,
    to: Timestamp,
    newest_first: bool,
    /// At most so many rows.
    limit: usize,
}

/// A row knows its time and its body.
trait HistoryRow: Copy {
    type Body: Serialize + for<'a> From<&'a Self>;
    fn at(&self) -> Timestamp;
}

impl HistoryRow for Bar {
    type Body = BarBody;
    fn at(&self) -> Timestamp {
        self.at
    }
}

impl HistoryRow for Trade {
    type Body = TradeBody;
    fn at(&self) -> Timestamp {
        self.at
    }
}

impl HistoryRow for Quote {
    type Body = QuoteBody;
    fn at(&self) -> Timestamp {
        self.at
    }
}

fn of_all<Row: HistoryRow>(
    server: &ServerState,
    params: &QueryParams,
    name: &str,
    find: impl Fn(&SimulatedMarket, &TimeRange) -> Vec<Row>,
) -> DataAnswer {
    let page = page(server, wanted(params)?, params, find)?;
    Ok(Json(json!({name: page.rows, "next_page_token": page.next_page_token})))
}

fn of_one<Row: HistoryRow>(
    server: &ServerState,
    ticker: &str,
    params: &QueryParams,
    name: &str,
    find: impl Fn(&SimulatedMarket, &TimeRange) -> Vec<Row>,
) -> DataAnswer {
    let symbol = symbol(ticker)?;
    let mut page = page(server, vec![symbol], params, find)?;
    let rows = page.rows.remove(&symbol).unwrap_or_default();
    Ok(Json(json!({name: rows, "symbol": symbol, "next_page_token": page.next_page_token})))
}

const ROWS_DEFAULT: usize = 1_000;
const ROWS_MAX: usize = 10_000;

/// Which rows are asked for.
struct RowsQuery {
    from: Timestamp,
    to: Timestamp,
    newest_first: bool,
    limit: usize,
    /// Where the page before ended.
    resume: Option<(Symbol, Timestamp)>,
}

/// One page; the limit counts over all symbols.
struct Page<Body> {
    rows: BTreeMap<Symbol, Vec<Body>>,
    next_page_token: Option<String>,
}

impl RowsQuery {
    fn read(params: &QueryParams, now: Timestamp) -> Result<Self, Problem> {
        let limit = params.value("limit").map_err(bad)?.unwrap_or(ROWS_DEFAULT);
        if limit > ROWS_MAX {
            return Err(bad(format!("invalid limit: larger than the allowed maximum of {ROWS_MAX}")));
        }
        if limit == 0 {
            return Err(bad("invalid limit: must be at least 1"));
        }
        let token = params.text("page_token");
        Ok(Self {
            from: params.time("start").map_err(bad)?.unwrap_or_else(|| midnight(date_of(now))),
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

    /// The span of one symbol's rows that earlier pages left; `None` when they had them all.
    fn span(&self, symbol: Symbol) -> Option<(Timestamp, Timestamp)> {
        match self.resume {
            Some((first, _)) if symbol < first => None,
            Some((first, at)) if symbol == first && self.newest_first => Some((self.from, self.to.min(at))),
            Some((first, at)) if symbol == first => Some((self.from.max(at), self.to)),
            Some(_) | None => Some((self.from, self.to)),
        }
    }
}

fn page<Row: HistoryRow>(
    server: &ServerState,
    mut symbols: Vec<Symbol>,
    params: &QueryParams,
    find: impl Fn(&SimulatedMarket, &TimeRange) -> Vec<Row>,
) -> Result<Page<Row::Body>, Problem> {
    let query = RowsQuery::read(params, server.clock.now())?;
    symbols.sort_unstable();
    symbols.dedup();
    let mut page = Page { rows: BTreeMap::new(), next_page_token: None };
    let mut room = query.limit;
    for symbol in symbols {
        let Some((from, to)) = query.span(symbol) else { continue };
        let range = TimeRange { symbol, from, to, newest_first: query.newest_first, limit: room + 1 };
        let found = server.at_present(|core, _| find(core, &range));
        let bodies: Vec<Row::Body> = found.iter().take(room).map(Row::Body::from).collect();
        page.next_page_token = found.get(room).map(|next| write_token(symbol, next.at()));
        room -= bodies.len();
        if !bodies.is_empty() {
            page.rows.insert(symbol, bodies);
        }
        if page.next_page_token.is_some() {
            break;
        }
    }
    Ok(page)
}

fn timeframe_of(params: &QueryParams) -> Result<Timeframe, Problem> {
    let text = params.text("timeframe").ok_or_else(|| bad("timeframe is required"))?;
    timeframe(text).ok_or_else(|| bad(format!("invalid timeframe: {text}")))
}

fn bars_in(timeframe: Timeframe) -> impl Fn(&SimulatedMarket, &TimeRange) -> Vec<Bar> {
    move |core, range| {
        let TimeRange { symbol, from, to, newest_first, limit } = *range;
        core.bars(symbol, timeframe, (from, to), newest_first, limit)
    }
}

/// Prints of a minute: its open, low and high, and close, a quarter of a minute apart.
const PRINTS: u8 = 4;
const PRINT_EVERY: Duration = Duration::from_secs(15);

/// Single prints are not kept: four of each minute bar stand for them.
fn trades_in(core: &SimulatedMarket, range: &TimeRange) -> Vec<Trade> {
    let TimeRange { symbol, from, to, newest_first, limit } = *range;
    let minutes = limit / usize::from(PRINTS) + 2;
    // The bar that `from` falls into began before it.
    let span = (from - PRINT_EVERY * PRINTS.into(), to);
    let bars = core.bars(symbol, Timeframe::Minutes(1), span, newest_first, minutes);
    let prints = bars.iter().flat_map(|bar| {
        let size = (bar.volume / f64::from(PRINTS)).round().max(1.0);
        let mut prints: Vec<Trade> = (0..PRINTS)
            .zip(prices::path(bar))
            .map(|(quarter, price)| Trade { at: bar.at + PRINT_EVERY * quarter.into(), price, size })
            .collect();
        if newest_first {
            prints.reverse();
        }
        prints
    });
    prints.filter(|print| print.at >= from && print.at <= to).take(limit).collect()
}

/// An increment on each side of every print.
fn quotes_in(core: &SimulatedMarket, range: &TimeRange) -> Vec<Quote> {
    let around = |print: &Trade| {
        let least = if print.price < 1.0 { 0.000_1 } else { 0.01 };
        let (bid, ask) = (prices::increment(print.price - least), prices::increment(print.price + least));
        Quote { at: print.at, bid, bid_size: 100.0, ask, ask_size: 100.0 }
    };
    trades_in(core, range).iter().map(around).collect()
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
