//! Follows the orders in flight for all workers: the order stream tells at once, one list request per interval makes sure.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::answer::ClientError;
use super::budget::Purpose;
use super::client::{AlpacaClient, OrdersQuery};
use super::registry::InFlight;
use super::stream::{self, Event};
use super::venue::Shared;
use crate::clock::Timestamp;

/// How often the list is asked for while the stream is connected: it may lose messages.
const INTERVAL_WITH_STREAM: Duration = Duration::from_secs(5);
/// How far back of the oldest order in flight the list goes: the broker's clock may be behind ours.
const CLOCK_SLACK: Duration = Duration::from_mins(1);
/// An order that is not on the newest pages is looked up by whoever waits for it.
const PAGES_MAX: usize = 4;

/// Runs until it is dropped.
pub(super) async fn run(shared: &Shared, client: &AlpacaClient) {
    let state = State { stream_is_up: Cell::new(false), poll_now: Notify::new() };
    tokio::join!(poll(shared, client, &state), listen(shared, &state));
}

struct State {
    stream_is_up: Cell<bool>,
    /// Told after each connect: the stream replays nothing.
    poll_now: Notify,
}

async fn listen(shared: &Shared, state: &State) {
    if !shared.config.stream {
        return;
    }
    let mut first = true;
    stream::follow(&shared.config, &shared.tls, &*shared.clock, |event| match event {
        Event::Connected => {
            info!("order stream is connected");
            state.stream_is_up.set(true);
            state.poll_now.notify_one();
        }
        Event::Lost(reason) => {
            // Once per change: it is tried again for as long as it takes.
            if state.stream_is_up.replace(false) || first {
                warn!(%reason, "order stream is not connected, orders are polled");
            } else {
                debug!(%reason, "order stream is still not connected");
            }
            first = false;
        }
        Event::Order(report) => shared.registry.deliver(&report),
    })
    .await;
}

async fn poll(shared: &Shared, client: &AlpacaClient, state: &State) {
    let mut last = Timestamp::default();
    let mut failing = false;
    loop {
        let at_once = tokio::select! {
            () = state.poll_now.notified() => true,
            () = tokio::time::sleep(shared.config.poll_interval) => false,
        };
        let now = shared.clock.now();
        // The clock may have been set back.
        last = last.min(now);
        let Some(flight) = shared.registry.in_flight(now) else { continue };
        let pause = shared.config.poll_interval;
        let interval = if state.stream_is_up.get() { pause.max(INTERVAL_WITH_STREAM) } else { pause };
        let is_due = now.since(flight.since) >= interval && now.since(last) >= interval;
        if !at_once && !is_due {
            continue;
        }
        last = now;
        let result = list(shared, client, flight).await;
        match &result {
            Ok(()) if failing => info!("orders in flight are polled again"),
            Ok(()) => {}
            Err(error) if failing => debug!(%error, "orders in flight still cannot be polled"),
            Err(error) => warn!(%error, "orders in flight cannot be polled"),
        }
        failing = result.is_err();
    }
}

/// One list request serves all orders in flight; more pages only while some of them have not turned up.
async fn list(shared: &Shared, client: &AlpacaClient, mut flight: InFlight) -> Result<(), ClientError> {
    let after = Some(flight.submitted - CLOCK_SLACK);
    let mut query = OrdersQuery { open_only: false, after, until: None, oldest_first: false };
    for _ in 0..PAGES_MAX {
        if let Err(until) = shared.trading.admit(Purpose::Poll, shared.clock.now()) {
            debug!(%until, "the request budget has no room for a poll");
            break;
        }
        let answer = client.orders(&query).await;
        shared.note(&shared.trading, answer.as_ref().map(|answer| &answer.head));
        let page = answer?.value;
        for report in page.iter().filter_map(|order| order.report().ok()) {
            flight.ids.remove(&report.client_order_id);
            shared.registry.deliver(&report);
        }
        match query.next_page(&page) {
            Some(next) if !flight.ids.is_empty() => query = next,
            Some(_) | None => break,
        }
    }
    Ok(())
}
