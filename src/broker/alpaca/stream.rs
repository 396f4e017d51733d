//! The `trade_updates` socket: authorised, listened to, watched for silence, and reconnected for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use tracing::debug;

use super::credentials::AlpacaConfig;
use super::socket::{Lost, Pauses, STEP_TIMEOUT, Socket, too_slow};
use super::wire::StreamFrame;
use crate::clock::Clock;
use crate::order::OrderReport;

/// What the socket tells.
#[derive(Debug)]
pub(super) enum StreamEvent {
    /// Listening from now on; what happened before is not replayed.
    Connected,
    /// Not listening, and why; it is tried again.
    Lost(String),
    /// An order as it stands after an event.
    Order(OrderReport),
}

/// Runs until it is dropped.
pub(super) async fn follow(
    config: &AlpacaConfig,
    tls: &Arc<rustls::ClientConfig>,
    clock: &dyn Clock,
    mut on_event: impl FnMut(StreamEvent),
) {
    let mut pauses = Pauses::new();
    loop {
        let begun = clock.now();
        let lost = match connect(config, tls).await {
            Ok(mut socket) => {
                on_event(StreamEvent::Connected);
                read(&mut socket, config.stream_silence_max, &mut on_event).await
            }
            Err(lost) => lost,
        };
        on_event(StreamEvent::Lost(lost.reason.clone()));
        pauses.pause(begun, &lost, clock).await;
    }
}

/// Connects, authorises and begins to listen.
async fn connect(config: &AlpacaConfig, tls: &Arc<rustls::ClientConfig>) -> Result<Socket, Lost> {
    let mut socket = Socket::open(config.endpoints.stream(), tls).await?;
    socket.authorize(&config.credentials).await?;
    let granted = answer(&mut socket, "authorization").await?.data.status.unwrap_or_default();
    if granted != "authorized" {
        return Err(Lost::refused(format!("authorization must be \"authorized\", was \"{granted}\"")));
    }
    socket.say(&json!({ "action": "listen", "data": { "streams": ["trade_updates"] } })).await?;
    let streams = answer(&mut socket, "listening").await?.data.streams.unwrap_or_default();
    if !streams.iter().any(|stream| stream == "trade_updates") {
        return Err(Lost::refused("the broker does not offer trade_updates"));
    }
    Ok(socket)
}

/// Reads until the socket is lost.
async fn read(socket: &mut Socket, silence_max: Duration, on_event: &mut impl FnMut(StreamEvent)) -> Lost {
    loop {
        let frame = match next_frame(socket, silence_max).await {
            Ok(frame) => frame,
            Err(lost) => return lost,
        };
        if frame.data.status.as_deref() == Some("unauthorized") {
            return Lost::refused("the broker withdrew the authorization");
        }
        match frame.data.order.as_ref().map(super::wire::WireOrder::report) {
            Some(Ok(report)) => on_event(StreamEvent::Order(report)),
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

/// The next frame that can be read.
async fn next_frame(socket: &mut Socket, silence_max: Duration) -> Result<StreamFrame, Lost> {
    loop {
        match serde_json::from_slice(&socket.hear(silence_max).await?) {
            Ok(frame) => return Ok(frame),
            Err(error) => debug!(%error, "a frame that cannot be read is left out"),
        }
    }
}
