//! The `trade_updates` socket: authorize, listen, and what happens to orders as JSON in binary frames. No replay.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tracing::debug;

use super::ServerState;
use super::bodies::UpdateBody;
use bot_simulated::OrderEvent;

const TRADE_UPDATES: &str = "trade_updates";
/// Clients send a few short words.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn open(State(server): State<Arc<ServerState>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(move |socket| async move {
        if let Err(error) = talk(socket, &server).await {
            debug!(%error, "socket ended");
        }
    })
}

/// Where a connection stands.
struct StreamConnection {
    authorized: bool,
    /// Some while it listens.
    updates: Option<Receiver<Arc<OrderEvent>>>,
}

async fn talk(mut socket: WebSocket, server: &ServerState) -> Result<(), axum::Error> {
    let mut listener = StreamConnection { authorized: false, updates: None };
    let mut stopped = server.stopped.clone();
    loop {
        tokio::select! {
            message = socket.recv() => {
                let Some(message) = message else { return Ok(()) };
                let text = match message? {
                    Message::Text(text) => text.as_bytes().to_vec(),
                    Message::Binary(bytes) => bytes.to_vec(),
                    Message::Ping(_) | Message::Pong(_) => continue,
                    Message::Close(_) => return Ok(()),
                };
                let answer = listener.hear(server, &text);
                let refused = answer["data"]["status"] == "unauthorized";
                send(&mut socket, &answer).await?;
                if refused {
                    return close(&mut socket, close_code::POLICY, "unauthorized").await;
                }
            }
            event = next(&mut listener.updates) => match event {
                Ok(event) => {
                    let update = Frame { stream: TRADE_UPDATES, data: UpdateBody::from(event.as_ref()) };
                    send(&mut socket, &update).await?;
                }
                Err(RecvError::Lagged(_)) => return close(&mut socket, close_code::POLICY, "slow client").await,
                Err(RecvError::Closed) => return close(&mut socket, close_code::AWAY, "").await,
            },
            () = async { drop(stopped.wait_for(|stop| *stop).await) } => return close(&mut socket, close_code::AWAY, "").await,
        }
    }
}

impl StreamConnection {
    /// Takes one message of the client and gives the answer to it.
    fn hear(&mut self, server: &ServerState, text: &[u8]) -> Value {
        let Ok(said) = serde_json::from_slice::<Value>(text) else {
            return json!({"stream": "error", "data": {"error": "message must be JSON"}});
        };
        match said["action"].as_str() {
            Some(action @ ("auth" | "authenticate")) => {
                let (key, secret) = if action == "auth" {
                    (&said["key"], &said["secret"])
                } else {
                    (&said["data"]["key_id"], &said["data"]["secret_key"])
                };
                let (key, secret) = (key.as_str().unwrap_or_default(), secret.as_str().unwrap_or_default());
                self.authorized = server.guard.admits(key, secret);
                authorization("authenticate", self.authorized)
            }
            Some("listen") if !self.authorized => authorization("listen", false),
            Some("listen") => {
                let streams = said["data"]["streams"].as_array();
                let listens = streams.is_some_and(|all| all.iter().any(|name| name == TRADE_UPDATES));
                if !listens {
                    self.updates = None;
                } else if self.updates.is_none() {
                    self.updates = Some(server.events.subscribe());
                }
                let streams: &[&str] = if listens { &[TRADE_UPDATES] } else { &[] };
                json!({"stream": "listening", "data": {"streams": streams}})
            }
            _ => json!({"stream": "error", "data": {"error": "action must be auth, authenticate or listen"}}),
        }
    }
}

fn authorization(action: &str, authorized: bool) -> Value {
    let status = if authorized { "authorized" } else { "unauthorized" };
    json!({"stream": "authorization", "data": {"action": action, "status": status}})
}

#[derive(Serialize)]
struct Frame<'a> {
    stream: &'a str,
    data: UpdateBody<'a>,
}

async fn next(updates: &mut Option<Receiver<Arc<OrderEvent>>>) -> Result<Arc<OrderEvent>, RecvError> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}

async fn send(socket: &mut WebSocket, body: &impl Serialize) -> Result<(), axum::Error> {
    let bytes = serde_json::to_vec(body).map_err(axum::Error::new)?;
    socket.send(Message::Binary(bytes.into())).await
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) -> Result<(), axum::Error> {
    socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
}
