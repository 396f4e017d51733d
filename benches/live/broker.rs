//! The least broker that the bot can trade at: every order is filled in the answer to its POST.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const CASH: u64 = 1_000_000_000_000;
const PRICE: u64 = 180;

/// An HTTP server on a thread of its own; stopped and joined when dropped.
pub(crate) struct OrderServer {
    address: SocketAddr,
    records: Arc<Records>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One order as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// The signal's number: its quantity.
    pub(crate) number: u32,
    /// When the last byte of the request was here.
    pub(crate) at: Instant,
}

/// Requests other than orders.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OtherRequests {
    /// About orders: look-ups, polls and cancels.
    pub(crate) follow_ups: usize,
    /// The rest: prices, account, positions, clock, socket.
    pub(crate) rest: usize,
}

impl OrderServer {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let records = Arc::new(Records::default());
        let (stop, stopped) = oneshot::channel();
        let server = Arc::clone(&records);
        let thread = std::thread::Builder::new().name("orders".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, server) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, records, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets everything: the account is as new.
    pub(crate) fn reset(&self) {
        self.records.arrivals().clear();
        self.records.shares.store(0, Ordering::Relaxed);
        self.records.follow_ups.store(0, Ordering::Relaxed);
        self.records.rest.store(0, Ordering::Relaxed);
        self.records.unreadable.store(false, Ordering::Relaxed);
    }

    /// Every order since the last reset, in the order of arrival.
    pub(crate) fn arrivals(&self) -> anyhow::Result<Vec<Arrival>> {
        let readable = !self.records.unreadable.load(Ordering::Relaxed);
        readable.then(|| self.records.arrivals().clone()).context("read the body of every order")
    }

    pub(crate) fn arrived(&self) -> usize {
        self.records.arrivals().len()
    }

    pub(crate) fn other_requests(&self) -> OtherRequests {
        OtherRequests {
            follow_ups: self.records.follow_ups.load(Ordering::Relaxed),
            rest: self.records.rest.load(Ordering::Relaxed),
        }
    }
}

impl Drop for OrderServer {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Records {
    arrivals: Mutex<Vec<Arrival>>,
    shares: AtomicU64,
    follow_ups: AtomicUsize,
    rest: AtomicUsize,
    unreadable: AtomicBool,
}

impl Records {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, records: Arc<Records>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let records = Arc::clone(&records);
        let service = service_fn(move |request| answer(request, Arc::clone(&records)));
        // A connection that ends badly is the subject's affair: its orders will be missing.
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
    records: Arc<Records>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = if request.method() == Method::POST && request.uri().path() == "/v2/orders" {
        match request.into_body().collect().await {
            Ok(body) => take_order(&body.to_bytes(), Instant::now(), &records),
            Err(_) => (StatusCode::BAD_REQUEST, String::new()),
        }
    } else {
        answer_other(request.uri().path(), &records)
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

#[derive(Deserialize)]
struct NewOrder<'a> {
    symbol: &'a str,
    qty: &'a str,
    side: &'a str,
    client_order_id: &'a str,
}

fn take_order(body: &[u8], at: Instant, records: &Records) -> (StatusCode, String) {
    let order = serde_json::from_slice::<NewOrder<'_>>(body).ok();
    let Some((order, number)) = order.and_then(|order| order.qty.parse().ok().map(|number| (order, number)))
    else {
        records.unreadable.store(true, Ordering::Relaxed);
        return (StatusCode::BAD_REQUEST, r#"{"code":40010000,"message":"cannot read the order"}"#.into());
    };
    records.arrivals().push(Arrival { number, at });
    records.shares.fetch_add(u64::from(number), Ordering::Relaxed);
    (StatusCode::OK, Filled { order: &order, number }.to_string())
}

/// The answer to an order: filled at once and whole.
struct Filled<'a> {
    order: &'a NewOrder<'a>,
    number: u32,
}

impl fmt::Display for Filled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NewOrder { symbol, qty, side, client_order_id } = self.order;
        let number = self.number;
        write!(
            f,
            r#"{{"id":"61d1feca-aa11-4863-8b79-{number:012x}","client_order_id":"{client_order_id}","#
        )?;
        write!(f, r#""symbol":"{symbol}","qty":"{qty}","filled_qty":"{qty}","side":"{side}","#)?;
        write!(f, r#""filled_avg_price":"{PRICE}.00","#)?;
        f.write_str(concat!(
            r#""status":"filled","asset_class":"us_equity","asset_id":"4ce9353c-66d1-46c2-898f-fce867ab0247","#,
            r#""created_at":"2026-11-20T15:30:00.1Z","updated_at":"2026-11-20T15:30:00.1Z","#,
            r#""submitted_at":"2026-11-20T15:30:00.1Z","filled_at":"2026-11-20T15:30:00.1Z","#,
            r#""expired_at":null,"expires_at":"2026-11-20T21:00:00Z","canceled_at":null,"failed_at":null,"#,
            r#""replaced_at":null,"replaced_by":null,"replaces":null,"notional":null,"order_class":"","#,
            r#""order_type":"market","type":"market","time_in_force":"ioc","limit_price":null,"stop_price":null,"#,
            r#""extended_hours":false,"legs":null,"trail_percent":null,"trail_price":null,"hwm":null,"#,
            r#""position_intent":"buy_to_open","source":null,"subtag":null}"#,
        ))
    }
}

fn answer_other(path: &str, records: &Records) -> (StatusCode, String) {
    let counter = if path.starts_with("/v2/orders") { &records.follow_ups } else { &records.rest };
    counter.fetch_add(1, Ordering::Relaxed);
    let body = match path {
        "/v2/orders" => "[]".into(),
        "/v2/account" => account(records.shares.load(Ordering::Relaxed)),
        "/v2/positions" => positions(records.shares.load(Ordering::Relaxed)),
        "/v2/clock" => clock(),
        "/v2/stocks/snapshots" => format!(r#"{{"NVDA":{}}}"#, snapshot()),
        "/v2/stocks/quotes/latest" => format!(r#"{{"quotes":{{"NVDA":{}}}}}"#, quote()),
        "/v2/stocks/trades/latest" => format!(r#"{{"trades":{{"NVDA":{}}}}}"#, trade()),
        "/v2/stocks/bars" => format!(r#"{{"bars":{{"NVDA":[{}]}},"next_page_token":null}}"#, daily_bars()),
        _ => {
            let error = r#"{"code":40410000,"message":"order not found for it, or endpoint not found."}"#;
            return (StatusCode::NOT_FOUND, error.into());
        }
    };
    (StatusCode::OK, body)
}

fn account(shares: u64) -> String {
    let held = shares * PRICE;
    let cash = CASH.saturating_sub(held);
    format!(
        r#"{{"id":"a0000000-0000-4000-8000-000000000001","account_number":"PA0","status":"ACTIVE","currency":"USD",
"buying_power":"{cash}","regt_buying_power":"{cash}","effective_buying_power":"{cash}","non_marginable_buying_power":"{cash}",
"cash":"{cash}","accrued_fees":"0","portfolio_value":"{CASH}","equity":"{CASH}","last_equity":"{CASH}",
"long_market_value":"{held}","short_market_value":"0","position_market_value":"{held}","initial_margin":"0",
"maintenance_margin":"0","last_maintenance_margin":"0","sma":"0","multiplier":"1","shorting_enabled":false,
"trading_blocked":false,"transfers_blocked":false,"account_blocked":false,"trade_suspended_by_user":false,
"created_at":"2026-01-02T00:00:00Z"}}"#
    )
}

fn positions(shares: u64) -> String {
    if shares == 0 {
        return "[]".into();
    }
    let held = shares * PRICE;
    format!(
        r#"[{{"asset_id":"4ce9353c-66d1-46c2-898f-fce867ab0247","symbol":"NVDA","exchange":"NASDAQ","asset_class":"us_equity",
"asset_marginable":true,"qty":"{shares}","qty_available":"{shares}","avg_entry_price":"{PRICE}","side":"long",
"market_value":"{held}","cost_basis":"{held}","unrealized_pl":"0","unrealized_plpc":"0","unrealized_intraday_pl":"0",
"unrealized_intraday_plpc":"0","current_price":"{PRICE}","lastday_price":"{PRICE}","change_today":"0"}}]"#
    )
}

fn clock() -> String {
    let now = chrono::Utc::now();
    let (open, close) = (now + Duration::from_hours(24), now + Duration::from_hours(6));
    format!(
        r#"{{"timestamp":"{}","is_open":true,"next_open":"{}","next_close":"{}"}}"#,
        now.to_rfc3339(),
        open.to_rfc3339(),
        close.to_rfc3339()
    )
}

fn snapshot() -> String {
    let bar = bar(chrono::Utc::now());
    format!(
        r#"{{"latestTrade":{},"latestQuote":{},"minuteBar":{bar},"dailyBar":{bar},"prevDailyBar":{bar}}}"#,
        trade(),
        quote()
    )
}

fn quote() -> String {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    format!(
        r#"{{"t":"{now}","bx":"V","bp":179.99,"bs":500,"ax":"V","ap":180.01,"as":500,"c":["R"],"z":"C"}}"#
    )
}

fn trade() -> String {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    format!(r#"{{"t":"{now}","x":"V","p":180.0,"s":100,"c":["@"],"i":1,"z":"C"}}"#)
}

fn daily_bars() -> String {
    let today = chrono::Utc::now();
    let bars: Vec<_> = (1..=30).rev().map(|days| bar(today - chrono::TimeDelta::days(days))).collect();
    bars.join(",")
}

fn bar(time: chrono::DateTime<chrono::Utc>) -> String {
    let time = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    format!(r#"{{"t":"{time}","o":179.0,"h":182.0,"l":178.0,"c":180.0,"v":1000000,"n":1000,"vw":180.0}}"#)
}
