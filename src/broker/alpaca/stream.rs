//! The `trade_updates` socket: authorised, listened to, watched for silence, and reconnected for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use tracing::debug;

use super::budget::jitter;
use super::credentials::{AlpacaConfig, Credentials};
use super::wire::StreamFrame;
use crate::clock::Clock;
use crate::order::OrderReport;

/// What the socket tells.
#[derive(Debug)]
pub(super) enum Event {
    /// Listening from now on; what happened before is not replayed.
    Connected,
    /// Not listening, and why; it is tried again.
    Lost(String),
    /// An order as it stands after an event.
    Order(OrderReport),
}

const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// After an answer that will hardly change: wrong keys, no such address.
const BACK_OFF_REFUSED: Duration = Duration::from_secs(30);
/// A connection that lasted this long is worth an immediate new one.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// For each step of the handshake, and for sending.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// An order's frame has about 1500 bytes.
const MESSAGE_LEN_MAX: usize = 1 << 20;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a socket ended.
struct Lost {
    reason: String,
    /// By the server's word, so that trying again soon is of no use.
    refused: bool,
}

impl Lost {
    fn broken(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), refused: false }
    }

    fn refused(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), refused: true }
    }
}

/// Runs until it is dropped.
pub(super) async fn follow(
    config: &AlpacaConfig,
    tls: &Arc<rustls::ClientConfig>,
    clock: &dyn Clock,
    mut on_event: impl FnMut(Event),
) {
    let mut pause = BACK_OFF_MIN;
    loop {
        let begun = clock.now();
        let lost = match connect(config, tls).await {
            Ok(mut socket) => {
                on_event(Event::Connected);
                read(&mut socket, config.stream_silence_max, &mut on_event).await
            }
            Err(lost) => lost,
        };
        on_event(Event::Lost(lost.reason));
        // Two bots that take the one connection from each other must not do so ever faster.
        if clock.now().since(begun) > STABLE_AFTER {
            pause = BACK_OFF_MIN;
        }
        let span = if lost.refused { BACK_OFF_REFUSED } else { pause };
        tokio::time::sleep(span / 2 + jitter(clock.now(), span / 2)).await;
        pause = (pause * 2).min(BACK_OFF_MAX);
    }
}

/// Connects, authorises and begins to listen.
async fn connect(config: &AlpacaConfig, tls: &Arc<rustls::ClientConfig>) -> Result<Socket, Lost> {
    let limits = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_LEN_MAX))
        .max_frame_size(Some(MESSAGE_LEN_MAX));
    let connector = Connector::Rustls(Arc::clone(tls));
    let address = config.endpoints.stream().as_str();
    let connecting = connect_async_tls_with_config(address, Some(limits), true, Some(connector));
    let (mut socket, _) = timeout(STEP_TIMEOUT, connecting).await.map_err(too_slow)?.map_err(unconnected)?;

    send(&mut socket, authorization(&config.credentials)).await?;
    let granted = answer(&mut socket, "authorization").await?.data.status.unwrap_or_default();
    if granted != "authorized" {
        return Err(Lost::refused(format!("authorization must be \"authorized\", was \"{granted}\"")));
    }
    let listen = json!({ "action": "listen", "data": { "streams": ["trade_updates"] } });
    send(&mut socket, Message::text(listen.to_string())).await?;
    let streams = answer(&mut socket, "listening").await?.data.streams.unwrap_or_default();
    if !streams.iter().any(|stream| stream == "trade_updates") {
        return Err(Lost::refused("the broker does not offer trade_updates"));
    }
    Ok(socket)
}

/// Reads until the socket is lost.
async fn read(socket: &mut Socket, silence_max: Duration, on_event: &mut impl FnMut(Event)) -> Lost {
    loop {
        let frame = match next_frame(socket, silence_max).await {
            Ok(frame) => frame,
            Err(lost) => return lost,
        };
        if frame.data.status.as_deref() == Some("unauthorized") {
            return Lost::refused("the broker withdrew the authorization");
        }
        match frame.data.order.as_ref().map(super::wire::Order::report) {
            Some(Ok(report)) => on_event(Event::Order(report)),
            Some(Err(odd)) => debug!(%odd, "an event is left out"),
            None => debug!(stream = frame.stream, "a frame without an order"),
        }
    }
}

/// The next frame of this kind; others are passed over.
async fn answer(socket: &mut Socket, stream: &str) -> Result<StreamFrame, Lost> {
    let waiting = async {
        loop {
            let frame = next_frame(socket, STEP_TIMEOUT).await?;
            if frame.stream == stream {
                return Ok(frame);
            }
        }
    };
    timeout(STEP_TIMEOUT, waiting).await.map_err(too_slow)?
}

/// The next frame that can be read. A socket that is silent for two thirds of `silence_max` is pinged; one that says
/// nothing to that either is lost.
async fn next_frame(socket: &mut Socket, silence_max: Duration) -> Result<StreamFrame, Lost> {
    let mut pinged = false;
    loop {
        let patience = if pinged { silence_max / 3 } else { silence_max * 2 / 3 };
        let message = match timeout(patience, socket.next()).await {
            Ok(Some(message)) => message.map_err(Lost::broken)?,
            Ok(None) => return Err(Lost::broken("the broker ended the connection")),
            Err(_) if pinged => return Err(Lost::broken(format!("silent for {silence_max:?}"))),
            Err(_) => {
                send(socket, Message::Ping(Vec::new().into())).await?;
                pinged = true;
                continue;
            }
        };
        pinged = false;
        let parsed = match &message {
            // The broker sends JSON in binary frames; text is as good.
            Message::Text(text) => serde_json::from_str(text),
            Message::Binary(bytes) => serde_json::from_slice(bytes),
            Message::Close(_) => return Err(Lost::broken("the broker closed the connection")),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        match parsed {
            Ok(frame) => return Ok(frame),
            Err(error) => debug!(%error, "a frame that cannot be read is left out"),
        }
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), Lost> {
    timeout(STEP_TIMEOUT, socket.send(message)).await.map_err(too_slow)?.map_err(Lost::broken)
}

fn authorization(keys: &Credentials) -> Message {
    let request = json!({ "action": "auth", "key": keys.key_id(), "secret": keys.secret() });
    Message::text(request.to_string())
}

fn too_slow(_: tokio::time::error::Elapsed) -> Lost {
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
