//! The paper exchange over real HTTP and the real socket: it answers as Alpaca does.

mod command;
mod history;
mod shorts;
mod socket;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bot::broker::simulated::{self, PriceModel};
use bot::clock::{Clock, ManualClock, Timestamp};
use bot::exchange::{Answer, Config, Exchange, RequestLimit, Running};
use bot::market::Quote;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A running exchange whose clock stands still on a Friday at 10:30 in New York, and a client with keys.
struct Stage {
    exchange: Running,
    clock: Arc<ManualClock>,
    client: reqwest::Client,
}

impl Stage {
    fn open() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        // Refused when another test was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-11-20T15:30:00Z").unwrap()));
        let mut market = simulated::MarketConfig::new("NVDA".parse().unwrap(), "100".parse().unwrap());
        market.symbols.push(("SPY".parse().unwrap(), "650".parse().unwrap()));
        market.prices = PriceModel::Still;
        let mut config = Config::new(market);
        change(&mut config);
        let exchange = Exchange::start(config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let stage = Self { exchange, clock, client: reqwest::Client::new() };
        stage.quote(100.0, 100.1);
        stage
    }

    /// Shows NVDA with 50 shares on each side.
    fn quote(&self, bid: f64, ask: f64) {
        let quote = Quote { at: self.clock.now(), bid, bid_size: 50.0, ask, ask_size: 50.0 };
        assert!(self.exchange.with(|core| core.set_quote("NVDA".parse().unwrap(), quote)));
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Reply {
        self.call_as("key", method, path, body).await
    }

    async fn call_as(&self, key: &str, method: Method, path: &str, body: &str) -> Reply {
        let request = self.client.request(method, format!("{}{path}", self.exchange.url()));
        let request = request.header("APCA-API-KEY-ID", key).header("APCA-API-SECRET-KEY", "secret");
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.call(Method::GET, path, "").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
        reply.body
    }

    async fn post(&self, body: &Value) -> Reply {
        self.call(Method::POST, "/v2/orders", &body.to_string()).await
    }

    async fn socket(&self, hello: Value) -> (Socket, Value) {
        let url = format!("ws://{}/stream", self.exchange.addr());
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        socket.send(Message::text(hello.to_string())).await.unwrap();
        let answer = frame(&mut socket).await.unwrap();
        (socket, answer)
    }

    async fn listening(&self) -> Socket {
        let (mut socket, _) = self.socket(json!({"action": "auth", "key": "K", "secret": "S"})).await;
        let listen = json!({"action": "listen", "data": {"streams": ["trade_updates"]}});
        socket.send(Message::binary(listen.to_string().into_bytes())).await.unwrap();
        let answer = frame(&mut socket).await.unwrap();
        assert_eq!(answer, json!({"stream": "listening", "data": {"streams": ["trade_updates"]}}));
        socket
    }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

/// The next frame, which must be JSON in a binary frame; `None` when the socket is closed.
async fn frame(socket: &mut Socket) -> Option<Value> {
    let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("a frame in time");
    match next?.ok()? {
        Message::Binary(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Message::Close(_) => None,
        text @ (Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
            panic!("no binary frame: {text:?}")
        }
    }
}

/// The data of the next events, until one of this name.
async fn events_until(socket: &mut Socket, last: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let frame = frame(socket).await.unwrap();
        assert_eq!(frame["stream"], "trade_updates");
        events.push(frame["data"].clone());
        if frame["data"]["event"] == last {
            return events;
        }
    }
}

fn ioc(side: &str, quantity: &str) -> Value {
    json!({"symbol": "NVDA", "qty": quantity, "side": side, "type": "market", "time_in_force": "ioc"})
}

fn gtc(side: &str, quantity: &str, limit: &str) -> Value {
    json!({"symbol": "NVDA", "qty": quantity, "side": side, "type": "limit", "time_in_force": "gtc", "limit_price": limit})
}

#[tokio::test]
async fn an_order_is_answered_pending_new_and_found_filled_by_every_name() {
    let stage = Stage::open();
    let posted = json!({"symbol": "NVDA", "qty": 3.0, "side": "buy", "type": "limit", "time_in_force": "ioc",
        "limit_price": 194.56, "client_order_id": "c 1/?", "stop_price": null, "order_class": "simple"});
    let reply = stage.post(&posted).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    for (member, value) in [
        ("status", json!("pending_new")),
        ("filled_qty", json!("0")),
        ("filled_avg_price", Value::Null),
        ("qty", json!("3")),
        ("limit_price", json!("194.56")),
        ("order_class", json!("")),
        ("order_type", json!("limit")),
        ("type", json!("limit")),
        ("asset_id", json!("4ce9353c-66d1-46c2-898f-fce867ab0247")),
        ("source", Value::Null),
        ("subtag", Value::Null),
        ("expires_at", json!("2026-11-20T21:00:00Z")),
    ] {
        assert_eq!(reply.body.get(member), Some(&value), "{member}");
    }
    assert_eq!(reply.body.get("cancel_requested_at"), None);
    let id = reply.body["id"].as_str().unwrap();
    let filled = stage.get(&format!("/v2/orders/{id}")).await;
    assert_eq!(filled["status"], "filled");
    assert_eq!((&filled["filled_qty"], &filled["filled_avg_price"]), (&json!("3"), &json!("100.1")));
    assert_eq!(stage.get(&format!("/v2/orders/{}?nested=True", id.replace('-', ""))).await, filled);
    assert_eq!(stage.get("/v2/orders:by_client_order_id?client_order_id=c%201%2F%3F").await, filled);
    assert_eq!(stage.exchange.counts().posts, 1);
}

#[tokio::test]
async fn the_answer_to_an_order_can_be_its_final_state() {
    let stage = Stage::with(|config| config.answer = Answer::Final);
    let reply = stage.post(&ioc("buy", "80")).await;
    assert_eq!((&reply.body["status"], &reply.body["filled_qty"]), (&json!("canceled"), &json!("50")));
}

#[tokio::test]
async fn a_refusal_has_alpacas_status_code_and_words() {
    let stage = Stage::open();
    stage.post(&ioc("buy", "10")).await;
    let change = |member: &str, value: Value| {
        let mut body = ioc("buy", "1");
        body[member] = value;
        body
    };
    let table = [
        (change("symbol", json!("ZZZ")), 422, 42_210_000, "asset \"ZZZ\" not found"),
        (change("qty", Value::Null), 422, 40_010_001, "qty or notional is required"),
        (change("notional", json!("5")), 422, 40_010_001, "only one of qty or notional is accepted"),
        (change("qty", json!("0")), 422, 40_010_001, "qty must be > 0"),
        (change("side", json!("hold")), 422, 40_010_001, "invalid side"),
        (change("type", json!("best")), 422, 40_010_001, "invalid order type"),
        (change("type", json!("limit")), 422, 40_010_001, "limit orders require a limit price"),
        (change("limit_price", json!(5)), 422, 40_010_001, "market orders require no stop or limit price"),
        (change("time_in_force", json!("now")), 422, 40_010_001, "invalid time_in_force"),
        (change("qty", json!("1.5")), 422, 42_210_000, "fractional orders must be DAY orders"),
        (
            change("client_order_id", json!("x".repeat(129))),
            422,
            40_010_001,
            "client_order_id must be no more than 128 characters",
        ),
        (
            gtc("buy", "1", "90.123"),
            422,
            42_210_000,
            "invalid limit_price 90.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            gtc("buy", "1", "90.1234567891"),
            422,
            42_210_000,
            "invalid limit_price 90.1234567891. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (change("qty", json!("0.1234567891")), 422, 40_010_001, "qty must have at most 9 decimal places"),
        (
            ioc("sell", "11"),
            403,
            40_310_000,
            "insufficient qty available for order (requested: 11, available: 10)",
        ),
        (ioc("buy", "5000"), 403, 40_310_000, "insufficient buying power"),
    ];
    for (body, status, code, message) in table {
        let reply = stage.post(&body).await;
        assert_eq!(reply.status.as_u16(), status, "{body}: {}", reply.text);
        assert_eq!((&reply.body["code"], &reply.body["message"]), (&json!(code), &json!(message)), "{body}");
    }
    let unreadable = stage.call(Method::POST, "/v2/orders", "{no json").await;
    assert_eq!((unreadable.status.as_u16(), &unreadable.body["code"]), (400, &json!(40_010_000)));
}

#[tokio::test]
async fn refusals_carry_their_extra_members() {
    let stage = Stage::open();
    stage.post(&ioc("buy", "10")).await;
    let resting = stage.post(&gtc("sell", "6", "110")).await.body;
    let shares = stage.post(&ioc("sell", "5")).await.body;
    assert_eq!(
        shares,
        json!({"code": 40_310_000, "available": "4", "existing_qty": "10", "held_for_orders": "6", "symbol": "NVDA",
            "message": "insufficient qty available for order (requested: 5, available: 4)",
            "related_orders": [resting["id"]]})
    );
    let wash = stage.post(&ioc("buy", "1")).await.body;
    assert_eq!(wash["existing_order_id"], resting["id"]);
    assert_eq!(wash["reject_reason"], "opposite side limit order exists");
    let money = stage.post(&gtc("buy", "2000", "99")).await.body;
    assert_eq!((&money["buying_power"], &money["cost_basis"]), (&json!("98999"), &json!("198000")));
}

#[tokio::test]
async fn a_client_order_id_is_refused_for_good_once_it_was_taken() {
    let stage = Stage::open();
    let mut order = gtc("buy", "1", "90");
    order["client_order_id"] = json!("mine");
    let first = stage.post(&order).await;
    let again = stage.post(&order).await;
    assert_eq!(again.body, json!({"code": 42_210_000, "message": "client_order_id must be unique"}));
    stage.call(Method::DELETE, &format!("/v2/orders/{}", first.body["id"].as_str().unwrap()), "").await;
    let later = stage.post(&order).await;
    assert_eq!(later.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(later.body["code"], 40_010_001);
}

#[tokio::test]
async fn cancelling_answers_204_and_207_and_says_when_it_is_too_late() {
    let stage = Stage::open();
    let resting = stage.post(&gtc("buy", "1", "90")).await.body;
    let path = format!("/v2/orders/{}", resting["id"].as_str().unwrap());
    for _ in 0..2 {
        let reply = stage.call(Method::DELETE, &path, "").await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
    }
    let filled = stage.post(&ioc("buy", "1")).await.body;
    let late =
        stage.call(Method::DELETE, &format!("/v2/orders/{}", filled["id"].as_str().unwrap()), "").await;
    assert_eq!(late.status.as_u16(), 422);
    assert_eq!(late.body, json!({"code": 42_210_000, "message": "order is already in \"filled\" state"}));
    let ids = [stage.post(&gtc("buy", "1", "90")).await, stage.post(&gtc("buy", "1", "91")).await];
    let all = stage.call(Method::DELETE, "/v2/orders", "").await;
    let expected: Vec<Value> =
        ids.iter().map(|reply| json!({"id": reply.body["id"], "status": 200})).collect();
    assert_eq!((all.status.as_u16(), all.body), (207, Value::Array(expected)));
    assert_eq!(stage.get("/v2/orders").await, json!([]));
}

#[tokio::test]
async fn what_is_not_there_answers_404_with_its_code() {
    let stage = Stage::open();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (path, message) in [
        (format!("/v2/orders/{nobody}"), format!("order not found for {nobody}")),
        ("/v2/orders:by_client_order_id?client_order_id=X".to_owned(), "order not found for X".to_owned()),
        ("/v2/positions/NVDA".to_owned(), "position does not exist".to_owned()),
        ("/v2/positions/ZZZ".to_owned(), "symbol not found: ZZZ".to_owned()),
        ("/v2/nothing".to_owned(), "endpoint not found.".to_owned()),
    ] {
        let reply = stage.call(Method::GET, &path, "").await;
        assert_eq!(reply.status.as_u16(), 404, "{path}");
        assert_eq!(reply.body, json!({"code": 40_410_000, "message": message}), "{path}");
    }
}

#[tokio::test]
async fn requests_without_the_right_keys_are_unauthorized() {
    let stage = Stage::with(|config| {
        config.key = Some("key".to_owned());
        config.secret = Some("secret".to_owned());
    });
    assert_eq!(stage.call(Method::GET, "/v2/account", "").await.status, StatusCode::OK);
    for path in ["/v2/account", "/v2/stocks/snapshots?symbols=NVDA"] {
        let wrong = stage.call_as("other", Method::GET, path, "").await;
        assert_eq!((wrong.status.as_u16(), wrong.body), (401, json!({"message": "unauthorized."})));
    }
    let open = Stage::open();
    let bare = open.client.get(format!("{}/v2/account", open.exchange.url())).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn too_many_requests_are_answered_429_until_the_window_ends() {
    let stage = Stage::with(|config| {
        let requests = NonZeroU32::new(3).unwrap();
        config.limit = Some(RequestLimit { requests, span: Duration::from_mins(1) });
    });
    let number = |reply: &Reply, name: &str| reply.headers[name].to_str().unwrap().parse::<i64>().unwrap();
    for remaining in [2, 1, 0] {
        let reply = stage.call(Method::GET, "/v2/nothing", "").await;
        assert_eq!(number(&reply, "x-ratelimit-limit"), 3);
        assert_eq!(number(&reply, "x-ratelimit-remaining"), remaining);
    }
    let refused = stage.post(&ioc("buy", "1")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.body, json!({"code": 42_910_000, "message": "rate limit exceeded"}));
    assert_eq!(stage.exchange.counts().posts, 0);
    let reset = number(&refused, "x-ratelimit-reset");
    assert!(refused.headers.contains_key("x-request-id"));
    stage.get("/v2/stocks/snapshots?symbols=NVDA").await;
    assert_eq!(stage.call_as("other", Method::GET, "/v2/clock", "").await.status, StatusCode::OK);
    stage.clock.set(Timestamp::from_secs(reset));
    assert_eq!(stage.post(&ioc("buy", "1")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn orders_are_listed_by_status_time_direction_and_symbol() {
    let stage = Stage::open();
    for limit in ["90", "91", "92"] {
        stage.post(&gtc("buy", "1", limit)).await;
        stage.post(&ioc("buy", "1")).await;
    }
    let prices = |orders: &Value| {
        let all = orders.as_array().unwrap().iter();
        all.map(|order| order["limit_price"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(prices(&stage.get("/v2/orders").await), "92 91 90");
    assert_eq!(prices(&stage.get("/v2/orders?status=closed").await), "- - -");
    let all = stage.get("/v2/orders?status=all&direction=asc&nested=True&symbols=NVDA,SPY").await;
    assert_eq!(prices(&all), "90 - 91 - 92 -");
    assert_eq!(prices(&stage.get("/v2/orders?status=all&symbols=SPY").await), "");
    let after = all[1]["submitted_at"].as_str().unwrap();
    let page = stage.get(&format!("/v2/orders?status=all&direction=asc&limit=2&after={after}")).await;
    assert_eq!(prices(&page), "91 -");
    let id = all[4]["id"].as_str().unwrap();
    assert_eq!(prices(&stage.get(&format!("/v2/orders?status=open&before_order_id={id}")).await), "91 90");
    for bad in ["status=maybe", "limit=0", "limit=501", "after=yesterday", "direction=up"] {
        let reply = stage.call(Method::GET, &format!("/v2/orders?{bad}"), "").await;
        assert_eq!((reply.status.as_u16(), &reply.body["code"]), (400, &json!(40_010_001)), "{bad}");
    }
}

#[tokio::test]
async fn account_clock_calendar_and_assets_have_alpacas_shape() {
    let stage = Stage::open();
    let account = stage.get("/v2/account").await;
    for (member, value) in
        [("cash", "100000"), ("buying_power", "100000"), ("status", "ACTIVE"), ("multiplier", "1")]
    {
        assert_eq!(account[member], value, "{member}");
    }
    assert_eq!(account["trading_blocked"], false);
    assert_eq!(
        stage.get("/v2/clock").await,
        json!({"timestamp": "2026-11-20T10:30:00-05:00", "is_open": true,
            "next_open": "2026-11-23T09:30:00-05:00", "next_close": "2026-11-20T16:00:00-05:00"})
    );
    assert_eq!(
        stage.get("/v2/calendar?start=2026-11-26&end=2026-11-27").await,
        json!([{"date": "2026-11-27", "open": "09:30", "close": "13:00", "session_open": "0400",
            "session_close": "1700", "settlement_date": "2026-11-30"}])
    );
    let asset = stage.get("/v2/assets/NVDA").await;
    assert_eq!((&asset["class"], &asset["exchange"]), (&json!("us_equity"), &json!("NASDAQ")));
    assert!(
        asset["maintenance_margin_requirement"].is_number() && asset["margin_requirement_long"].is_string()
    );
    assert_eq!(stage.get("/v2/assets?status=active").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn outside_the_session_an_ioc_is_refused_and_day_orders_expire_at_the_close() {
    let stage = Stage::open();
    let mut socket = stage.listening().await;
    let mut day = gtc("buy", "1", "90");
    day["time_in_force"] = json!("day");
    stage.post(&day).await;
    stage.clock.set(Timestamp::parse_rfc3339("2026-11-20T21:00:00Z").unwrap());
    let expired = events_until(&mut socket, "expired").await.pop().unwrap();
    assert_eq!(expired["order"]["expired_at"], "2026-11-20T21:00:00Z");
    let refused = stage.post(&ioc("buy", "1")).await;
    assert_eq!(refused.status.as_u16(), 422);
    assert_eq!(
        refused.body,
        json!({"code": 42_210_000, "message": "ioc orders are only accepted during market hours"})
    );
    assert_eq!(stage.get("/v2/clock").await["is_open"], false);
}

#[tokio::test]
async fn market_data_comes_as_numbers_and_unknown_symbols_are_missing() {
    let stage = Stage::open();
    let quotes = stage.get("/v2/stocks/quotes/latest?symbols=NVDA,ZZZ&feed=iex").await;
    let quote = &quotes["quotes"]["NVDA"];
    assert_eq!((&quote["bp"], &quote["ap"], &quote["bs"]), (&json!(100.0), &json!(100.1), &json!(50)));
    assert_eq!(quotes["quotes"].as_object().unwrap().len(), 1);
    assert_eq!(stage.get("/v2/stocks/NVDA/quotes/latest").await, json!({"symbol": "NVDA", "quote": quote}));
    let trades = stage.get("/v2/stocks/trades/latest?symbols=NVDA").await;
    assert!(trades["trades"]["NVDA"]["p"].is_number());
    let bars = stage.get("/v2/stocks/bars/latest?symbols=SPY").await;
    assert!(bars["bars"]["SPY"]["vw"].is_number());
    let snapshots = stage.get("/v2/stocks/snapshots?symbols=NVDA,SPY").await;
    for member in ["latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"] {
        assert!(snapshots["SPY"][member].is_object(), "{member}");
    }
    let one = stage.get("/v2/stocks/SPY/snapshot").await;
    assert_eq!((&one["symbol"], &one["latestQuote"]), (&json!("SPY"), &snapshots["SPY"]["latestQuote"]));
    let bad = stage.call(Method::GET, "/v2/stocks/bars?symbols=NVDA&timeframe=1Day&limit=10001", "").await;
    let message = "invalid limit: larger than the allowed maximum of 10000";
    assert_eq!((bad.status.as_u16(), bad.body), (400, json!({"message": message})));
}

#[tokio::test]
async fn a_client_that_gives_up_waiting_finds_that_its_order_was_taken() {
    let stage = Stage::with(|config| config.latency = Duration::from_mins(1));
    let request = stage.client.post(format!("{}/v2/orders", stage.exchange.url()));
    let request = request.header("APCA-API-KEY-ID", "k").header("APCA-API-SECRET-KEY", "s");
    let mut order = ioc("buy", "1");
    order["client_order_id"] = json!("mine");
    let sent = request.timeout(Duration::from_millis(500)).body(order.to_string()).send().await;
    assert!(sent.unwrap_err().is_timeout());
    assert!(stage.exchange.with(|core| core.order_by_client_id("mine").is_some()));
}

#[tokio::test]
async fn a_thousand_orders_keep_cash_and_shares_exact() {
    let stage = Stage::open();
    for number in 0..1_000 {
        if number % 10 == 0 {
            stage.quote(100.0, 100.1);
        }
        let side = if number % 2 == 0 { "buy" } else { "sell" };
        assert_eq!(stage.post(&ioc(side, "1")).await.status, StatusCode::OK);
    }
    let account = stage.get("/v2/account").await;
    assert_eq!((&account["cash"], stage.get("/v2/positions").await), (&json!("99950"), json!([])));
    assert_eq!(stage.exchange.counts().connections, 1);
}

#[tokio::test]
async fn stopping_closes_sockets_and_frees_the_port() {
    let stage = Stage::open();
    let mut socket = stage.listening().await;
    stage.get("/v2/clock").await;
    let addr = stage.exchange.addr();
    stage.exchange.stop().unwrap();
    assert_eq!(frame(&mut socket).await, None);
    assert!(std::net::TcpListener::bind(addr).is_ok());
}
