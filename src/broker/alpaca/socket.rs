//! What both sockets share: opened with TLS, watched for silence, and how long to wait before the next try.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::credentials::Credentials;
use crate::broker::budget::jitter;
use crate::clock::{Clock, Timestamp};

/// For each step of a handshake, and for sending.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// After an answer that will hardly change: wrong keys, no such address.
const BACK_OFF_REFUSED: Duration = Duration::from_secs(30);
/// A connection that lasted this long is worth an immediate new one.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// An order's frame has about 1500 bytes, a burst of quotes some ten thousands.
const MESSAGE_LEN_MAX: usize = 1 << 20;

/// An open connection.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Why a socket ended.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) reason: String,
    /// By the server's word, so that trying again soon is of no use.
    pub(super) refused: bool,
}

impl Lost {
    pub(super) fn broken(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), refused: false }
    }

    pub(super) fn refused(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), refused: true }
    }
}

impl Socket {
    pub(super) async fn open(address: &Url, tls: &Arc<rustls::ClientConfig>) -> Result<Self, Lost> {
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let connector = Connector::Rustls(Arc::clone(tls));
        let connecting = connect_async_tls_with_config(address.as_str(), Some(limits), true, Some(connector));
        let (socket, _) = timeout(STEP_TIMEOUT, connecting).await.map_err(too_slow)?.map_err(unconnected)?;
        Ok(Self(socket))
    }

    /// The next frame's content; JSON comes in binary frames as well as in text. A socket that is silent for two thirds
    /// of `silence_max` is pinged; one that says nothing to that either is lost.
    pub(super) async fn hear(&mut self, silence_max: Duration) -> Result<Bytes, Lost> {
        let mut pinged = false;
        loop {
            let patience = if pinged { silence_max / 3 } else { silence_max * 2 / 3 };
            let message = match timeout(patience, self.0.next()).await {
                Ok(Some(message)) => message.map_err(Lost::broken)?,
                Ok(None) => return Err(Lost::broken("the broker ended the connection")),
                Err(_) if pinged => return Err(Lost::broken(format!("silent for {silence_max:?}"))),
                Err(_) => {
                    self.send(Message::Ping(Bytes::new())).await?;
                    pinged = true;
                    continue;
                }
            };
            pinged = false;
            match message {
                Message::Text(text) => return Ok(text.into()),
                Message::Binary(bytes) => return Ok(bytes),
                Message::Close(_) => return Err(Lost::broken("the broker closed the connection")),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Sends a JSON text.
    pub(super) async fn say(&mut self, words: &serde_json::Value) -> Result<(), Lost> {
        self.send(Message::text(words.to_string())).await
    }

    /// Sends the keys.
    pub(super) async fn authorize(&mut self, keys: &Credentials) -> Result<(), Lost> {
        self.say(&json!({ "action": "auth", "key": keys.key_id(), "secret": keys.secret() })).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Lost> {
        timeout(STEP_TIMEOUT, self.0.send(message)).await.map_err(too_slow)?.map_err(Lost::broken)
    }
}

/// The waits between connections: doubling up to 5 s, jittered, and long after a refusal.
pub(super) struct Pauses {
    next: Duration,
}

impl Pauses {
    pub(super) fn new() -> Self {
        Self { next: BACK_OFF_MIN }
    }

    /// Waits after a connection that was tried at `begun` and is lost now.
    pub(super) async fn pause(&mut self, begun: Timestamp, lost: &Lost, clock: &dyn Clock) {
        // Two bots that take the one connection from each other must not do so ever faster.
        if clock.now().since(begun) > STABLE_AFTER {
            self.next = BACK_OFF_MIN;
        }
        let span = if lost.refused { BACK_OFF_REFUSED } else { self.next };
        self.next = (self.next * 2).min(BACK_OFF_MAX);
        tokio::time::sleep(span / 2 + jitter(clock.now(), span / 2)).await;
    }
}

pub(super) fn too_slow(_: tokio::time::error::Elapsed) -> Lost {
    Lost::broken(format!("the broker must answer within {}s, did not", STEP_TIMEOUT.as_secs()))
}

fn unconnected(error: Error) -> Lost {
    if let Error::Http(answer) = &error
        && answer.status().is_client_error()
    {
        return Lost::refused(format!("the broker answered http {}", answer.status().as_u16()));
    }
    Lost::broken(error)
}
