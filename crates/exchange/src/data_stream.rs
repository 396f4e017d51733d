//! The market data socket: authorize, subscribe, and quotes, trades and minute bars as arrays of JSON in text frames.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use tracing::debug;

use super::ServerState;
use super::data::{BarBody, QuoteBody, TradeBody};
use super::request_guard::admitted_key;
use bot_core::market::MarketEvent;
use bot_core::symbol::Symbol;

/// A subscription may name every symbol of a feed.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// In one frame, so that it stays below what clients take.
const ITEMS_MAX: usize = 1_000;
/// A client that has not authorized by then is shown the guard.
const AUTH_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn open(
    State(server): State<Arc<ServerState>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let authorized = admitted_key(&server.guard, &headers).is_some();
    upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(move |mut socket| async move {
        if let Err(error) = talk(&mut socket, &server, authorized).await {
            debug!(%error, "data socket ended");
        }
    })
}

async fn talk(socket: &mut WebSocket, server: &ServerState, authorized: bool) -> Result<(), axum::Error> {
    send(socket, &[success("connected")]).await?;
    if authorized {
        send(socket, &[success("authenticated")]).await?;
    } else {
        match timeout(AUTH_TIMEOUT, authorize(socket, server)).await {
            Ok(Ok(true)) => {}
            Ok(refused_or_broken) => return refused_or_broken.map(|_| ()),
            Err(_) => return turn_away(socket, 404, "auth timeout").await,
        }
    }
    serve(socket, server).await
}

/// Listens until the client has authorized; false when it was turned away or left.
async fn authorize(socket: &mut WebSocket, server: &ServerState) -> Result<bool, axum::Error> {
    while let Some(said) = hear(socket).await? {
        match said["action"].as_str() {
            Some("auth") => {
                let text = |name: &str| said[name].as_str().unwrap_or_default();
                if server.guard.admits(text("key"), text("secret")) {
                    send(socket, &[success("authenticated")]).await?;
                    return Ok(true);
                }
                turn_away(socket, 402, "auth failed").await?;
                return Ok(false);
            }
            Some("subscribe" | "unsubscribe") => send(socket, &[error(401, "not authenticated")]).await?,
            _ => send(socket, &[error(400, "invalid syntax")]).await?,
        }
    }
    Ok(false)
}

/// Tells what the client subscribes to until it leaves or the exchange stops.
async fn serve(socket: &mut WebSocket, server: &ServerState) -> Result<(), axum::Error> {
    let mut subscription = Subscription::default();
    let mut shown: Option<Receiver<Arc<[MarketEvent]>>> = None;
    let mut stopped = server.stopped.clone();
    loop {
        tokio::select! {
            said = hear(socket) => {
                let Some(said) = said? else { return Ok(()) };
                let answer = subscription.change(&said);
                // Nobody's market is watched for nothing, and nothing is missed after the answer.
                if subscription.is_empty() {
                    shown = None;
                } else if shown.is_none() {
                    shown = Some(server.shown.subscribe());
                }
                send(socket, &[answer]).await?;
            }
            step = next(&mut shown) => match step {
                Ok(step) => {
                    let items: Vec<_> = step.iter().filter_map(|event| subscription.item(event)).collect();
                    for part in items.chunks(ITEMS_MAX) {
                        send(socket, part).await?;
                    }
                }
                Err(RecvError::Lagged(_)) => return turn_away(socket, 407, "slow client").await,
                Err(RecvError::Closed) => return close(socket, close_code::AWAY, "").await,
            },
            () = async { drop(stopped.wait_for(|stop| *stop).await) } => return close(socket, close_code::AWAY, "").await,
        }
    }
}

/// What one client wants to hear.
#[derive(Debug, Default, Serialize)]
struct Subscription {
    trades: WantedTickers,
    quotes: WantedTickers,
    bars: WantedTickers,
}

/// Tickers as the client wrote them; `*` is all.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct WantedTickers(BTreeSet<String>);

impl WantedTickers {
    fn has(&self, symbol: Symbol) -> bool {
        self.0.contains("*") || self.0.contains(symbol.as_str())
    }
}

impl Subscription {
    fn is_empty(&self) -> bool {
        [&self.trades, &self.quotes, &self.bars].iter().all(|wanted| wanted.0.is_empty())
    }

    /// Takes one message of the client and gives the answer to it.
    fn change(&mut self, said: &Value) -> Value {
        let subscribes = match said["action"].as_str() {
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            Some("auth") => return error(403, "already authenticated"),
            _ => return error(400, "invalid syntax"),
        };
        for (kind, wanted) in
            [("trades", &mut self.trades), ("quotes", &mut self.quotes), ("bars", &mut self.bars)]
        {
            for name in said[kind].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if subscribes {
                    wanted.0.insert(name.to_owned());
                } else {
                    wanted.0.remove(name);
                }
            }
        }
        let none: [&str; 0] = [];
        json!({
            "T": "subscription", "trades": self.trades, "quotes": self.quotes, "bars": self.bars, "updatedBars": none,
            "dailyBars": none, "statuses": none, "lulds": none, "corrections": none, "cancelErrors": none,
        })
    }

    /// The event in the words of the wire, when the client wants it.
    fn item(&self, event: &MarketEvent) -> Option<StreamItem> {
        match event {
            MarketEvent::Quote { symbol, quote } => self.quotes.has(*symbol).then(|| StreamItem {
                kind: "q",
                symbol: *symbol,
                body: Body::Quote(quote.into()),
            }),
            MarketEvent::Trade { symbol, trade } => self.trades.has(*symbol).then(|| StreamItem {
                kind: "t",
                symbol: *symbol,
                body: Body::Trade(trade.into()),
            }),
            MarketEvent::Bar { symbol, bar, .. } => self.bars.has(*symbol).then(|| StreamItem {
                kind: "b",
                symbol: *symbol,
                body: Body::Bar(bar.into()),
            }),
            MarketEvent::Number { .. } => None,
        }
    }
}

#[derive(Serialize)]
struct StreamItem {
    #[serde(rename = "T")]
    kind: &'static str,
    #[serde(rename = "S")]
    symbol: Symbol,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body {
    Quote(QuoteBody),
    Trade(TradeBody),
    Bar(BarBody),
}

fn success(message: &str) -> Value {
    json!({"T": "success", "msg": message})
}

fn error(code: u16, message: &str) -> Value {
    json!({"T": "error", "code": code, "msg": message})
}

/// The client's next words, null when they are no JSON; `None` when it has left.
async fn hear(socket: &mut WebSocket) -> Result<Option<Value>, axum::Error> {
    while let Some(message) = socket.recv().await {
        let said = match message? {
            Message::Text(text) => serde_json::from_str(&text),
            Message::Binary(bytes) => serde_json::from_slice(&bytes),
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return Ok(None),
        };
        return Ok(Some(said.unwrap_or_default()));
    }
    Ok(None)
}

async fn next(shown: &mut Option<Receiver<Arc<[MarketEvent]>>>) -> Result<Arc<[MarketEvent]>, RecvError> {
    match shown {
        Some(shown) => shown.recv().await,
        None => std::future::pending().await,
    }
}

async fn send<T: Serialize>(socket: &mut WebSocket, items: &[T]) -> Result<(), axum::Error> {
    let text = serde_json::to_string(items).map_err(axum::Error::new)?;
    socket.send(Message::Text(text.into())).await
}

async fn turn_away(socket: &mut WebSocket, code: u16, message: &'static str) -> Result<(), axum::Error> {
    send(socket, &[error(code, message)]).await?;
    close(socket, close_code::POLICY, message).await
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) -> Result<(), axum::Error> {
    socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
}
