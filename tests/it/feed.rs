//! Market data from the socket to the file: over the paper exchange, and over servers that fall silent.

mod recording;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bot::broker::alpaca::{AlpacaConfig, AlpacaVenue, Credentials, Endpoints};
use bot::broker::simulated::{self, Hours};
use bot::broker::{MarketNews, MarketWatch, Venue};
use bot::clock::{Clock, ManualClock, SystemClock, Timestamp};
use bot::exchange::{self, Exchange, Running};
use bot::market::MarketEvent;
use bot::stop::Stop;
use bot::symbol::Symbol;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::redis_server::wait_until;

const LONG: Duration = Duration::from_secs(30);

fn symbols() -> Vec<Symbol> {
    ["NVDA", "SPY"].map(|ticker| ticker.parse().unwrap()).to_vec()
}

fn real_time() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn exchange_with(clock: &Arc<dyn Clock>, change: impl FnOnce(&mut exchange::Config)) -> Running {
    let mut market = simulated::MarketConfig::new("NVDA".parse().unwrap(), "180".parse().unwrap());
    market.symbols.push(("SPY".parse().unwrap(), "650".parse().unwrap()));
    market.hours = Hours::Always;
    let mut config = exchange::Config::new(market);
    change(&mut config);
    // A process that another test is about to start holds on to a closed listener until it runs.
    let start = || Exchange::start(config.clone(), Arc::clone(clock)).ok();
    wait_until(LONG, start).expect("an address to listen on")
}

/// An address that nobody is given by chance while it is free for a moment: below the ports that the system picks.
fn lasting_address() -> SocketAddr {
    let ports = (0..10_000).map(|step| 20_000 + (std::process::id() * 7 + step) % 10_000);
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())));
    addresses.find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

fn config(address: SocketAddr) -> AlpacaConfig {
    let endpoints = Endpoints::at(&format!("http://{address}")).unwrap();
    AlpacaConfig::new(Credentials::new("KEY", "S3CRET").unwrap(), endpoints)
}

/// Somebody who watches the market until it is dropped, and all the news so far.
struct Watcher {
    news: Arc<Mutex<Vec<MarketNews>>>,
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watcher {
    fn start(config: AlpacaConfig, is_open: bool) -> Self {
        let venue = AlpacaVenue::new(config, Arc::new(SystemClock)).unwrap();
        let news = Arc::new(Mutex::new(Vec::new()));
        let stop = Stop::default();
        let stopped = stop.clone();
        let heard = Arc::clone(&news);
        let thread = thread::spawn(move || {
            let symbols = symbols();
            let watch = MarketWatch { symbols: &symbols, is_open: &|| is_open };
            venue.watch(&watch, &stopped, &mut |news| heard.lock().unwrap().push(news));
        });
        Self { news, stop, thread: Some(thread) }
    }

    fn events(&self) -> Vec<MarketEvent> {
        let news = self.news.lock().unwrap();
        let events = news.iter().filter_map(|news| match news {
            MarketNews::Event(event) => Some(*event),
            MarketNews::Connected | MarketNews::Lost => None,
        });
        events.collect()
    }

    fn count(&self, what: MarketNews) -> usize {
        self.news.lock().unwrap().iter().filter(|news| **news == what).count()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, mut is_there: impl FnMut(&Self) -> bool) {
        let found = wait_until(LONG, || is_there(self).then_some(()));
        assert!(found.is_some(), "{what}: {:?}", self.news.lock().unwrap());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.request();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the watcher panicked");
    }
}

/// A data stream whose every word the test says itself.
struct Script {
    listener: TcpListener,
}

impl Script {
    fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// Takes the next connection up to its subscription.
    fn accept(&self) -> WebSocket<TcpStream> {
        // A client of another test may still look for a server that had this port before.
        let mut socket = loop {
            let (stream, _) = self.listener.accept().unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            if let Ok(socket) = tungstenite::accept(stream) {
                break socket;
            }
        };
        say(&mut socket, r#"[{"T":"success","msg":"connected"}]"#);
        assert_eq!(hear(&mut socket), json!({"action": "auth", "key": "KEY", "secret": "S3CRET"}));
        say(&mut socket, r#"[{"T":"success","msg":"authenticated"}]"#);
        let all = ["NVDA", "SPY"];
        assert_eq!(
            hear(&mut socket),
            json!({"action": "subscribe", "trades": all, "quotes": all, "bars": all})
        );
        say(&mut socket, r#"[{"T":"subscription","trades":["NVDA"],"quotes":[],"bars":[]}]"#);
        socket
    }
}

fn say(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::text(text)).unwrap();
}

fn hear(socket: &mut WebSocket<TcpStream>) -> Value {
    serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap()
}

#[test]
fn quotes_trades_and_bars_of_all_symbols_arrive_as_the_exchange_shows_them() {
    let start = Timestamp::parse_rfc3339("2026-11-20T15:30:00Z").unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let exchange = exchange_with(&(Arc::clone(&clock) as Arc<dyn Clock>), |_| {});
    let watcher = Watcher::start(config(exchange.addr()), true);
    watcher.wait_for("a connection", |watcher| watcher.count(MarketNews::Connected) == 1);
    clock.set(start + Duration::from_mins(1));
    let bars = |watcher: &Watcher| {
        watcher.events().iter().filter(|event| matches!(event, MarketEvent::Bar { .. })).count()
    };
    watcher.wait_for("two bars", |watcher| bars(watcher) == 2);
    // 600 steps of two symbols, each a quote and a trade; the bars come when the minute is over, before the next step.
    watcher.wait_for("all of it", |watcher| watcher.events().len() == 2_402);
    let events = watcher.events();
    assert!(events.is_sorted_by_key(MarketEvent::known_at));
    for symbol in symbols() {
        let of = |event: &&MarketEvent| event.symbol() == symbol;
        let (quote, trade) = exchange.with(|core| core.latest(symbol).unwrap());
        let latest: Vec<_> = events.iter().rev().filter(of).take(2).copied().collect();
        assert_eq!(latest, [MarketEvent::Trade { symbol, trade }, MarketEvent::Quote { symbol, quote }]);
        let bar = events.iter().filter(of).find(|event| matches!(event, MarketEvent::Bar { .. })).unwrap();
        let prices: Vec<f64> = events
            .iter()
            .filter(of)
            .filter(|event| matches!(event, MarketEvent::Trade { .. }))
            .map(MarketEvent::price)
            .collect();
        let MarketEvent::Bar { bar, span, .. } = bar else { unreachable!() };
        assert_eq!((bar.at, *span), (start, Duration::from_mins(1)));
        let before = prices[prices.len() - 2];
        assert!((bar.close - before).abs() < 1e-9, "the last print before the minute was over");
    }
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_subscribed_to_again() {
    let address = lasting_address();
    let open = || exchange_with(&real_time(), |config| config.listen = address);
    let exchange = open();
    let watcher = Watcher::start(config(address), true);
    watcher.wait_for("events", |watcher| watcher.events().len() > 4);
    drop(exchange);
    watcher.wait_for("the loss", |watcher| watcher.count(MarketNews::Lost) > 0);
    let before = watcher.events().len();
    let _again = open();
    watcher.wait_for("events again", |watcher| watcher.events().len() > before + 4);
    assert_eq!(watcher.count(MarketNews::Connected), 2);
}

#[test]
fn a_server_that_answers_nothing_is_left_and_tried_again() {
    let script = Script::listen();
    let mut config = config(script.listener.local_addr().unwrap());
    config.stream_silence_max = Duration::from_millis(150);
    config.data_quiet_max = LONG;
    // A closed market is no excuse: pings have to be answered.
    let watcher = Watcher::start(config, false);
    let silent = script.accept();
    let _second = script.accept();
    assert!(watcher.count(MarketNews::Lost) >= 1);
    drop(silent);
}

/// Pings after 1.6 s of silence; 3.6 s without data are too long in an open market.
fn patient(script: &Script) -> AlpacaConfig {
    let mut config = config(script.listener.local_addr().unwrap());
    config.stream_silence_max = Duration::from_millis(2_400);
    config.data_quiet_max = Duration::from_millis(3_600);
    config
}

/// Answers pings until there were enough, or the client leaves.
fn answer_pings(socket: &mut WebSocket<TcpStream>, enough: usize) -> usize {
    let mut pings = 0;
    while pings < enough && socket.read().is_ok_and(|message| message.is_ping()) {
        pings += 1;
        let _ = socket.flush();
    }
    pings
}

#[test]
fn a_server_that_answers_pings_and_sends_no_data_is_left_in_an_open_market() {
    let script = Script::listen();
    let watcher = Watcher::start(patient(&script), true);
    let mut first = script.accept();
    let answering = thread::spawn(move || answer_pings(&mut first, usize::MAX));
    let _second = script.accept();
    assert!(answering.join().unwrap() >= 1);
    assert!(watcher.count(MarketNews::Lost) >= 1);
}

#[test]
fn a_server_that_answers_pings_may_be_quiet_while_the_market_is_closed() {
    let script = Script::listen();
    let watcher = Watcher::start(patient(&script), false);
    // Three pings are longer than an open market may be quiet.
    let mut socket = script.accept();
    assert_eq!(answer_pings(&mut socket, 3), 3);
    assert_eq!(watcher.count(MarketNews::Lost), 0);
}

#[test]
fn an_odd_frame_is_left_out_and_what_follows_is_heard() {
    let script = Script::listen();
    let watcher = Watcher::start(config(script.listener.local_addr().unwrap()), true);
    let mut socket = script.accept();
    say(&mut socket, "what?");
    say(&mut socket, r#"{"T":"t"}"#);
    say(
        &mut socket,
        r#"[{"T":"t","S":"NVDA","p":"x","t":"2026-11-20T15:30:00Z"},{"T":"n","headline":"!"},
        {"T":"t","S":"NVDA","p":2.5,"s":1,"t":"2026-11-20T15:30:00Z"}]"#,
    );
    watcher.wait_for("the trade", |watcher| watcher.events().len() == 1);
    assert_eq!(watcher.events()[0].price().to_string(), "2.5");
    assert_eq!(watcher.count(MarketNews::Lost), 0);
}

#[test]
fn an_error_of_the_server_ends_the_connection_and_a_slow_client_may_come_back_soon() {
    let script = Script::listen();
    let watcher = Watcher::start(config(script.listener.local_addr().unwrap()), true);
    say(&mut script.accept(), r#"[{"T":"error","code":407,"msg":"slow client"}]"#);
    script.accept();
    assert!(watcher.count(MarketNews::Lost) >= 1);
}

#[test]
fn wrong_keys_are_not_tried_again_and_again() {
    let exchange = exchange_with(&real_time(), |config| config.secret = Some("another".to_owned()));
    let watcher = Watcher::start(config(exchange.addr()), true);
    watcher.wait_for("the refusal", |watcher| watcher.count(MarketNews::Lost) == 1);
    // After a mere loss it would be back within a quarter of a second.
    let back = wait_until(Duration::from_secs(1), || (exchange.counts().connections > 1).then_some(()));
    assert_eq!(back, None);
}

#[test]
fn a_watcher_ends_at_once_when_it_is_told_to() {
    let ended = Arc::new(AtomicBool::new(false));
    let script = Script::listen();
    let watcher = Watcher::start(config(script.listener.local_addr().unwrap()), true);
    let _socket = script.accept();
    let told = Arc::clone(&ended);
    thread::spawn(move || {
        drop(watcher);
        told.store(true, Ordering::SeqCst);
    });
    assert!(wait_until(Duration::from_secs(5), || ended.load(Ordering::SeqCst).then_some(())).is_some());
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(exchange: &Running, keys: Option<(&str, &str)>) -> Socket {
    let mut request = format!("ws://{}/v2/iex", exchange.addr()).into_client_request().unwrap();
    if let Some((key, secret)) = keys {
        request.headers_mut().insert("APCA-API-KEY-ID", key.parse().unwrap());
        request.headers_mut().insert("APCA-API-SECRET-KEY", secret.parse().unwrap());
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(frame(&mut socket).await, Some(json!([{"T": "success", "msg": "connected"}])));
    socket
}

/// The next frame, which must be a text; `None` when the socket is closed.
async fn frame(socket: &mut Socket) -> Option<Value> {
    let next = tokio::time::timeout(LONG, socket.next()).await.expect("a frame in time");
    match next?.ok()? {
        Message::Text(text) => Some(serde_json::from_str(&text).unwrap()),
        Message::Close(_) => None,
        other @ (Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
            panic!("no text frame: {other:?}")
        }
    }
}

async fn request(socket: &mut Socket, words: Value) -> Value {
    socket.send(Message::text(words.to_string())).await.unwrap();
    frame(socket).await.unwrap()
}

fn error(code: u16, message: &str) -> Value {
    json!([{"T": "error", "code": code, "msg": message}])
}

fn subscribed(trades: &[&str], quotes: &[&str], bars: &[&str]) -> Value {
    json!([{"T": "subscription", "trades": trades, "quotes": quotes, "bars": bars, "updatedBars": [], "dailyBars": [],
        "statuses": [], "lulds": [], "corrections": [], "cancelErrors": []}])
}

#[tokio::test]
async fn the_exchange_wants_keys_before_subscriptions_and_says_what_is_wrong() {
    let exchange = exchange_with(&real_time(), |config| config.key = Some("right".to_owned()));
    let mut socket = connect(&exchange, None).await;
    let subscribe = json!({"action": "subscribe", "trades": ["NVDA"]});
    assert_eq!(request(&mut socket, subscribe.clone()).await, error(401, "not authenticated"));
    assert_eq!(request(&mut socket, json!("hello")).await, error(400, "invalid syntax"));
    let auth = |key: &str| json!({"action": "auth", "key": key, "secret": "any"});
    assert_eq!(request(&mut socket, auth("right")).await, json!([{"T": "success", "msg": "authenticated"}]));
    assert_eq!(request(&mut socket, auth("right")).await, error(403, "already authenticated"));
    assert_eq!(request(&mut socket, json!({"action": "sing"})).await, error(400, "invalid syntax"));

    let mut socket = connect(&exchange, None).await;
    assert_eq!(request(&mut socket, auth("wrong")).await, error(402, "auth failed"));
    assert_eq!(frame(&mut socket).await, None);

    let mut socket = connect(&exchange, Some(("right", "any"))).await;
    assert_eq!(frame(&mut socket).await, Some(json!([{"T": "success", "msg": "authenticated"}])));
    assert_eq!(request(&mut socket, subscribe).await, subscribed(&["NVDA"], &[], &[]));
}

#[tokio::test]
async fn the_exchange_sends_what_is_subscribed_to_and_nothing_else() {
    let exchange = exchange_with(&real_time(), |_| {});
    let mut socket = connect(&exchange, Some(("K", "S"))).await;
    frame(&mut socket).await;
    let subscribe = json!({"action": "subscribe", "quotes": ["*"], "trades": ["SPY", "F"]});
    assert_eq!(request(&mut socket, subscribe).await, subscribed(&["F", "SPY"], &["*"], &[]));
    let items = frame(&mut socket).await.unwrap();
    let kinds: Vec<String> =
        items.as_array().unwrap().iter().map(|item| format!("{}{}", item["T"], item["S"])).collect();
    // A busy machine may send more than one step of the market at once.
    let step = [r#""q""NVDA""#, r#""q""SPY""#, r#""t""SPY""#];
    assert!(kinds.chunks(3).all(|kinds| kinds == step), "{kinds:?}");
    let keys: Vec<&str> = items[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["S", "T", "ap", "as", "ax", "bp", "bs", "bx", "c", "t", "z"]);
    let keys: Vec<&str> = items[2].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["S", "T", "c", "i", "p", "s", "t", "x", "z"]);
    let leave = json!({"action": "unsubscribe", "quotes": ["*"], "trades": ["SPY", "F"]});
    socket.send(Message::text(leave.to_string())).await.unwrap();
    loop {
        // Steps of the market that were under way come before the answer.
        let items = frame(&mut socket).await.unwrap();
        if items[0]["T"] == "subscription" {
            assert_eq!(items, subscribed(&[], &[], &[]));
            break;
        }
    }
    let silence = tokio::time::timeout(Duration::from_millis(350), socket.next()).await;
    assert!(silence.is_err(), "{silence:?}");
}
