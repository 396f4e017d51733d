//! Follows the orders in flight at Alpaca: the `trade_updates` stream, and pages of `GET /v2/orders` while there is none.

use std::cell::Cell;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::answer::ClientError;
use super::client::{AlpacaClient, OrdersQuery};
use super::stream::{self, StreamEvent};
use super::venue::Shared;
use crate::broker::OrderNews;
use crate::broker::budget::RequestPurpose;
use crate::broker::tracker::{Listed, poll, tell};
use crate::core::InFlight;

/// How often the list is asked for while the stream is connected: it may lose messages.
const INTERVAL_WITH_STREAM: Duration = Duration::from_secs(5);
/// How far back of the oldest order in flight the list goes: the broker's clock may be behind ours.
const CLOCK_SLACK: Duration = Duration::from_mins(1);
/// An order that is not on the newest pages is looked up by whoever waits for it.
const PAGES_MAX: usize = 4;

/// Runs until it is dropped.
pub(super) async fn run(shared: &Shared, client: &AlpacaClient, orders: &dyn OrderNews) {
    let stream_is_up = Cell::new(false);
    let intervals = (shared.config.poll_interval, shared.config.poll_interval.max(INTERVAL_WITH_STREAM));
    let list = async |flight| list(shared, client, orders, flight).await;
    tokio::join!(
        poll(orders, &*shared.clock, &shared.signals, &stream_is_up, intervals, list),
        listen(shared, &stream_is_up, orders)
    );
}

async fn listen(shared: &Shared, stream_is_up: &Cell<bool>, orders: &dyn OrderNews) {
    if !shared.config.stream {
        return;
    }
    let mut first = true;
    stream::follow(&shared.config, &shared.tls, &*shared.clock, |event| match event {
        StreamEvent::Connected => {
            info!("order stream is connected");
            stream_is_up.set(true);
            shared.signals.connected();
        }
        StreamEvent::Lost(reason) => {
            // Once per change: it is tried again for as long as it takes.
            if stream_is_up.replace(false) || first {
                warn!(%reason, "order stream is not connected, orders are polled");
                shared.signals.works(); // What was in flight is looked at soon.
            } else {
                debug!(%reason, "order stream is still not connected");
            }
            first = false;
        }
        StreamEvent::Order(report) => orders.report(report),
    })
    .await;
}

/// One list request serves all orders in flight; more pages only while some of them have not turned up.
async fn list(
    shared: &Shared,
    client: &AlpacaClient,
    orders: &dyn OrderNews,
    mut flight: InFlight,
) -> Listed<ClientError> {
    let after = Some(flight.submitted - CLOCK_SLACK);
    let mut query = OrdersQuery { open_only: false, after, until: None, oldest_first: false };
    for _ in 0..PAGES_MAX {
        if let Err(until) = shared.trading.admit(RequestPurpose::Poll, shared.clock.now()) {
            return Listed::NotBefore(until);
        }
        let answer = client.orders(&query).await;
        shared.note(&shared.trading, answer.as_ref().map(|answer| &answer.head));
        let page = match answer {
            Ok(answer) => answer.value,
            Err(error) => return Listed::Failed(error),
        };
        tell(orders, &mut flight, page.iter().filter_map(|order| order.report().ok()));
        match query.next_page(&page) {
            Some(next) if !flight.ids.is_empty() => query = next,
            Some(_) | None => break,
        }
    }
    Listed::Done
}
