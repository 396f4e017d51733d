//! The Alpaca REST API: one method, one request, one answer. Nothing is repeated, redirected or sent by proxy.

use std::fmt::Write as _;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, Request, Url};
use serde::de::DeserializeOwned;
use tracing::debug;

use super::answer::{AnswerHead, Answered, ClientError};
use super::credentials::{AlpacaConfig, AlpacaConfigError, Credentials};
use super::wire::{
    CalendarDay, Cancelled, NewOrder, WireAccount, WireAsset, WireClock, WireOrder, WirePosition,
};
use super::wire_market::{
    BarsPage, CoinSnapshots, HistoryPage, LatestBars, LatestQuotes, LatestTrades, Snapshots,
};
use crate::clock::Timestamp;
use crate::order::{ClientOrderId, OrderId};
use crate::symbol::Symbol;

/// The most orders that one list request returns.
pub const ORDERS_PER_PAGE: usize = 500;
/// How far a page reaches back into the one before where the oldest come first: the broker may compare instants more coarsely
/// than it writes them, and orders may share one.
pub(super) const PAGE_OVERLAP: Duration = Duration::from_millis(1);
/// The most rows of history that one request returns.
const HISTORY_PER_PAGE: usize = 10_000;

/// One keep-alive connection to the trading host and one to the data host.
///
/// It may be used on any runtime, but stays on the one that it was first used on.
#[derive(Debug, Clone)]
pub struct AlpacaClient {
    http: reqwest::Client,
    request_timeout: Duration,
    orders_url: Url,
    trading: Box<str>,
    data: Box<str>,
}

/// Which orders to list.
#[derive(Debug, Clone)]
pub struct OrdersQuery {
    /// Only those that still work, or all.
    pub open_only: bool,
    /// Only those submitted after this.
    pub after: Option<Timestamp>,
    /// Only those submitted before this.
    pub until: Option<Timestamp>,
    /// Newest first otherwise.
    pub oldest_first: bool,
}

impl OrdersQuery {
    /// The query for the page after `page`; `None` after the last one, and when there is none that goes further. Orders at the
    /// border are on both pages.
    #[must_use]
    pub fn next_page(&self, page: &[WireOrder]) -> Option<Self> {
        if page.len() < ORDERS_PER_PAGE {
            return None;
        }
        let border = page.last()?.submitted_at?;
        if self.oldest_first {
            let after = Some(border - PAGE_OVERLAP);
            return (after > self.after).then(|| Self { after, ..self.clone() });
        }
        // One nanosecond more, because the bound is exclusive and orders may share an instant.
        let until = border + Duration::from_nanos(1);
        (self.until != Some(until)).then(|| Self { until: Some(until), ..self.clone() })
    }
}

/// Which historical bars to read.
#[derive(Debug, Clone)]
pub struct BarsQuery<'a> {
    /// Whose.
    pub symbols: &'a [Symbol],
    /// The span of one bar, such as `1Day`.
    pub timeframe: &'a str,
    /// From this instant.
    pub start: Timestamp,
    /// To this instant.
    pub end: Timestamp,
}

/// Which part of one symbol's history to read.
#[derive(Debug, Clone)]
pub struct HistoryQuery<'a> {
    /// Whose.
    pub symbol: Symbol,
    /// Of what.
    pub kind: HistoryKind<'a>,
    /// Which feed, such as `iex` or `sip`.
    pub feed: &'a str,
    /// From this instant.
    pub start: Timestamp,
    /// To this instant, included.
    pub end: Timestamp,
}

/// What is read of history.
#[derive(Debug, Clone, Copy)]
pub enum HistoryKind<'a> {
    /// Bars.
    Bars {
        /// The span of one bar, such as `1Min`.
        timeframe: &'a str,
        /// `raw`, `split`, `dividend`, `spin-off` or `all`.
        adjustment: &'a str,
    },
    /// Prints on the tape.
    Trades,
    /// Best bids and asks.
    Quotes,
}

impl HistoryKind<'_> {
    fn path(self) -> &'static str {
        match self {
            HistoryKind::Bars { .. } => "bars",
            HistoryKind::Trades => "trades",
            HistoryKind::Quotes => "quotes",
        }
    }
}

impl AlpacaClient {
    /// # Errors
    /// Settings that the HTTP library refuses; nothing is sent.
    pub fn new(config: &AlpacaConfig, tls: &Arc<rustls::ClientConfig>) -> Result<Self, AlpacaConfigError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(tls))
            .default_headers(headers(&config.credentials)?)
            .user_agent(concat!("bot/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(1)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|error| AlpacaConfigError::Setting(format!("HTTP client cannot be made: {error}")))?;
        let trading = base(config.endpoints.trading());
        Ok(Self {
            http,
            request_timeout: config.request_timeout,
            orders_url: url(&format!("{trading}/v2/orders"))?,
            trading,
            data: base(config.endpoints.data()),
        })
    }

    /// `GET /v2/account`
    pub async fn account(&self) -> Result<Answered<WireAccount>, ClientError> {
        self.get(&format!("{}/v2/account", self.trading)).await
    }

    /// `GET /v2/positions`
    pub async fn positions(&self) -> Result<Answered<Vec<WirePosition>>, ClientError> {
        self.get(&format!("{}/v2/positions", self.trading)).await
    }

    /// `POST /v2/orders`, once.
    pub async fn submit_order(&self, order: &NewOrder<'_>) -> Result<Answered<WireOrder>, ClientError> {
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, order).map_err(|error| ClientError::Transport(error.to_string()))?;
        let mut request = Request::new(Method::POST, self.orders_url.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(Body::from(body));
        self.read(request).await
    }

    /// `GET /v2/orders/{id}`
    pub async fn order(&self, id: &OrderId) -> Result<Answered<WireOrder>, ClientError> {
        self.get(&self.order_address(id)).await
    }

    /// `GET /v2/orders:by_client_order_id`
    pub async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<Answered<WireOrder>, ClientError> {
        self.get(&format!("{}/v2/orders:by_client_order_id?client_order_id={id}", self.trading)).await
    }

    /// `GET /v2/orders`: one page.
    pub async fn orders(&self, query: &OrdersQuery) -> Result<Answered<Vec<WireOrder>>, ClientError> {
        let status = if query.open_only { "open" } else { "all" };
        let direction = if query.oldest_first { "asc" } else { "desc" };
        let mut address = format!(
            "{}/v2/orders?status={status}&limit={ORDERS_PER_PAGE}&direction={direction}",
            self.trading
        );
        for (name, bound) in [("after", query.after), ("until", query.until)] {
            if let Some(time) = bound {
                // Writing to a String cannot fail.
                let _ = write!(address, "&{name}={time}");
            }
        }
        self.get(&address).await
    }

    /// `DELETE /v2/orders/{id}`: taken, not yet done.
    pub async fn cancel_order(&self, id: &OrderId) -> Result<AnswerHead, ClientError> {
        let request = Request::new(Method::DELETE, request_url(&self.order_address(id))?);
        self.fetch(request).await.map(|(_, head)| head)
    }

    /// `DELETE /v2/orders`
    pub async fn cancel_all(&self) -> Result<Answered<Vec<Cancelled>>, ClientError> {
        self.read(Request::new(Method::DELETE, self.orders_url.clone())).await
    }

    /// `GET /v2/clock`
    pub async fn clock(&self) -> Result<Answered<WireClock>, ClientError> {
        self.get(&format!("{}/v2/clock", self.trading)).await
    }

    /// `GET /v2/calendar`, dates as `2026-10-08`, both included.
    pub async fn calendar(&self, first: &str, last: &str) -> Result<Answered<Vec<CalendarDay>>, ClientError> {
        self.get(&format!("{}/v2/calendar?start={first}&end={last}", self.trading)).await
    }

    /// `GET /v2/assets`: US shares that are active.
    pub async fn assets(&self) -> Result<Answered<Vec<WireAsset>>, ClientError> {
        self.get(&format!("{}/v2/assets?status=active&asset_class=us_equity", self.trading)).await
    }

    /// `GET /v2/assets/{symbol}`
    pub async fn asset(&self, symbol: Symbol) -> Result<Answered<WireAsset>, ClientError> {
        self.get(&format!("{}/v2/assets/{}", self.trading, escaped(symbol.as_str()))).await
    }

    /// `GET /v2/stocks/quotes/latest`
    pub async fn latest_quotes(&self, symbols: &[Symbol]) -> Result<Answered<LatestQuotes>, ClientError> {
        self.get(&format!("{}/v2/stocks/quotes/latest?symbols={}", self.data, list(symbols))).await
    }

    /// `GET /v2/stocks/trades/latest`
    pub async fn latest_trades(&self, symbols: &[Symbol]) -> Result<Answered<LatestTrades>, ClientError> {
        self.get(&format!("{}/v2/stocks/trades/latest?symbols={}", self.data, list(symbols))).await
    }

    /// `GET /v2/stocks/bars/latest`
    pub async fn latest_bars(&self, symbols: &[Symbol]) -> Result<Answered<LatestBars>, ClientError> {
        self.get(&format!("{}/v2/stocks/bars/latest?symbols={}", self.data, list(symbols))).await
    }

    /// `GET /v2/stocks/snapshots`
    pub async fn snapshots(&self, symbols: &[Symbol]) -> Result<Answered<Snapshots>, ClientError> {
        self.get(&format!("{}/v2/stocks/snapshots?symbols={}", self.data, list(symbols))).await
    }

    /// `GET /v1beta3/crypto/us/snapshots`
    pub async fn coin_snapshots(&self, symbols: &[Symbol]) -> Result<Answered<CoinSnapshots>, ClientError> {
        self.get(&format!("{}/{COINS}/snapshots?symbols={}", self.data, list(symbols))).await
    }

    /// `GET /v2/stocks/bars`, or the coins' when the first is one: one page, shares adjusted for splits and dividends; `page` is the token that the page before ended with.
    pub async fn bars(
        &self,
        query: &BarsQuery<'_>,
        page: Option<&str>,
    ) -> Result<Answered<BarsPage>, ClientError> {
        let mut address = format!(
            "{}/{}/bars?symbols={}&timeframe={}&start={}&end={}&limit=10000",
            self.data,
            market(query.symbols.first()),
            list(query.symbols),
            query.timeframe,
            query.start,
            query.end
        );
        if !query.symbols.first().is_some_and(Symbol::is_pair) {
            address.push_str("&adjustment=all");
        }
        if let Some(token) = page {
            let _ = write!(address, "&page_token={}", escaped(token));
        }
        self.get(&address).await
    }

    /// `GET /v2/stocks/bars`, `trades` or `quotes`, or a coin's, which have neither feed nor adjustment: one page of one symbol, oldest first; `page` is the token that the page
    /// before ended with.
    pub async fn history<Row: DeserializeOwned>(
        &self,
        query: &HistoryQuery<'_>,
        page: Option<&str>,
    ) -> Result<Answered<HistoryPage<Row>>, ClientError> {
        let HistoryQuery { symbol, kind, feed, start, end } = query;
        let (is_pair, market) = (symbol.is_pair(), market(Some(symbol)));
        let (symbol, feed) = (escaped(symbol.as_str()), escaped(feed));
        let mut address = format!("{}/{market}/{}?symbols={symbol}", self.data, kind.path());
        // Writing to a String cannot fail.
        if let HistoryKind::Bars { timeframe, adjustment } = kind {
            let _ = write!(address, "&timeframe={}", escaped(timeframe));
            if !is_pair {
                let _ = write!(address, "&adjustment={}", escaped(adjustment));
            }
        }
        let _ = write!(address, "&start={start}&end={end}&limit={HISTORY_PER_PAGE}");
        if !is_pair {
            let _ = write!(address, "&feed={feed}");
        }
        address.push_str("&sort=asc");
        if let Some(token) = page {
            let _ = write!(address, "&page_token={}", escaped(token));
        }
        self.get(&address).await
    }

    fn order_address(&self, id: &OrderId) -> String {
        format!("{}/{}", self.orders_url, escaped(id.as_str()))
    }

    async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<Answered<T>, ClientError> {
        self.read(Request::new(Method::GET, request_url(address)?)).await
    }

    async fn read<T: DeserializeOwned>(&self, request: Request) -> Result<Answered<T>, ClientError> {
        let (body, head) = self.fetch(request).await?;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(Answered { value, head }),
            Err(error) => Err(ClientError::Unreadable { head, reason: error.to_string() }),
        }
    }

    async fn fetch(
        &self,
        request: Request,
    ) -> Result<(impl Deref<Target = [u8]> + use<>, AnswerHead), ClientError> {
        settle_connections().await;
        let method = request.method().clone();
        let answer = self
            .http
            .execute(request)
            .await
            .map_err(|error| ClientError::from_transport(&error, self.request_timeout))?;
        let status = answer.status();
        let head = AnswerHead::read(status.as_u16(), answer.headers());
        let (path, request_id) = (answer.url().path(), head.request_id.as_deref());
        debug!(%method, path, http.status = head.status, request.id = request_id, "broker answered");
        let body = answer.bytes().await;
        match body {
            Ok(body) if status.is_success() => Ok((body, head)),
            Ok(body) => Err(ClientError::from_answer(head, &body)),
            Err(_) if !status.is_success() => Err(ClientError::from_answer(head, &[])),
            Err(error) => Err(ClientError::from_body(&error, head)),
        }
    }
}

/// Lets the connection's own tasks run, which only happens inside requests: one hands it back after the last answer (or
/// a second connection would be opened), another notices that the server has closed it meanwhile (or the request would
/// be lost on a dead connection, without proof that it was not carried out).
async fn settle_connections() {
    tokio::task::yield_now().await;
}

fn headers(credentials: &Credentials) -> Result<HeaderMap, AlpacaConfigError> {
    let hidden = |text: &str| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| AlpacaConfigError::Credentials("a key was not fit for an HTTP header".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    };
    Ok(HeaderMap::from_iter([
        (HeaderName::from_static("apca-api-key-id"), hidden(credentials.key_id())?),
        (HeaderName::from_static("apca-api-secret-key"), hidden(credentials.secret())?),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ]))
}

fn base(url: &Url) -> Box<str> {
    url.as_str().trim_end_matches('/').into()
}

fn url(address: &str) -> Result<Url, AlpacaConfigError> {
    Url::parse(address)
        .map_err(|error| AlpacaConfigError::Setting(format!("address cannot be used: {error}")))
}

fn request_url(address: &str) -> Result<Url, ClientError> {
    Url::parse(address).map_err(|error| ClientError::Transport(format!("address cannot be used: {error}")))
}

/// Where coins' market data are.
const COINS: &str = "v1beta3/crypto/us";

/// Where the market data of such a symbol are.
fn market(symbol: Option<&Symbol>) -> &'static str {
    if symbol.is_some_and(Symbol::is_pair) { COINS } else { "v2/stocks" }
}

fn list(symbols: &[Symbol]) -> String {
    symbols.iter().map(|symbol| escaped(symbol.as_str())).collect::<Vec<_>>().join(",")
}

/// Percent-encodes what has a meaning in a path or a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(submitted_at: &str) -> WireOrder {
        let text = format!(r#"{{"id":"o","status":"new","submitted_at":"{submitted_at}"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn paging_goes_on_below_the_oldest_order_and_ends() {
        let first = OrdersQuery { open_only: false, after: None, until: None, oldest_first: false };
        let page = vec![order("2026-10-08T15:10:18Z"); ORDERS_PER_PAGE];
        let second = first.next_page(&page).unwrap();
        assert_eq!(second.until.unwrap().to_string(), "2026-10-08T15:10:18.000000001Z");
        assert!(second.next_page(&page).is_none(), "a page that does not get older ends the list");
        assert!(first.next_page(&page[1..]).is_none(), "a short page is the last one");
    }

    #[test]
    fn paging_goes_on_above_the_newest_order_and_ends() {
        let first = OrdersQuery { open_only: false, after: None, until: None, oldest_first: true };
        let page = vec![order("2026-10-08T15:10:18Z"); ORDERS_PER_PAGE];
        let second = first.next_page(&page).unwrap();
        assert_eq!(second.after.unwrap().to_string(), "2026-10-08T15:10:17.999Z");
        assert!(second.next_page(&page).is_none(), "a page that does not get newer ends the list");
        assert!(first.next_page(&page[1..]).is_none(), "a short page is the last one");
    }

    #[test]
    fn what_comes_from_outside_cannot_change_an_address() {
        assert_eq!(escaped("BTC/USD?x=1&y"), "BTC%2FUSD%3Fx%3D1%26y");
    }
}
