//! The market data socket: authorised, subscribed, watched for silence, and reconnected for as long as it takes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::{debug, info, warn};
use url::Url;

use super::credentials::AlpacaConfig;
use super::socket::{Lost, Pauses, STEP_TIMEOUT, Socket, too_slow};
use super::wire_data_stream::{Item, items};
use crate::broker::{MarketNews, MarketWatch};
use crate::clock::Clock;
use crate::symbol::Symbol;

/// Follows the streams of shares and of coins, as far as they are watched, until it is dropped. They count as connected
/// while all of them are.
pub(super) async fn follow(
    config: &AlpacaConfig,
    tls: &Arc<rustls::ClientConfig>,
    clock: &dyn Clock,
    watch: &MarketWatch<'_>,
    tell: &mut dyn FnMut(MarketNews),
) {
    let (coins, shares): (Vec<Symbol>, Vec<Symbol>) = watch.symbols.iter().partition(|one| one.is_pair());
    let (address, coin_address) = (config.endpoints.data_stream(), config.endpoints.coin_stream());
    if coins.is_empty() {
        return follow_one(config, tls, clock, address, watch, tell).await;
    }
    let share_watch = MarketWatch { symbols: &shares, is_open: watch.is_open };
    let coin_watch = MarketWatch { symbols: &coins, is_open: &|| true };
    if shares.is_empty() {
        return follow_one(config, tls, clock, &coin_address, &coin_watch, tell).await;
    }
    let (tell, connected) = (RefCell::new(tell), Cell::new([false; 2]));
    let part = |place: usize| {
        let (tell, connected) = (&tell, &connected);
        move |news: MarketNews| {
            let before = connected.get();
            let mut after = before;
            let is_news = match news {
                MarketNews::Event(_) => true,
                MarketNews::Connected => {
                    after[place] = true;
                    after == [true; 2]
                }
                MarketNews::Lost => {
                    after[place] = false;
                    before == [true; 2]
                }
            };
            connected.set(after);
            if is_news {
                (tell.borrow_mut())(news);
            }
        }
    };
    let (mut of_shares, mut of_coins) = (part(0), part(1));
    tokio::join!(
        follow_one(config, tls, clock, address, &share_watch, &mut of_shares),
        follow_one(config, tls, clock, &coin_address, &coin_watch, &mut of_coins),
    );
}

/// Runs until it is dropped. Says in the log when the stream comes and goes, once per change.
async fn follow_one(
    config: &AlpacaConfig,
    tls: &Arc<rustls::ClientConfig>,
    clock: &dyn Clock,
    address: &Url,
    watch: &MarketWatch<'_>,
    tell: &mut dyn FnMut(MarketNews),
) {
    let mut pauses = Pauses::new();
    let mut connection = ConnectionState::Unknown;
    loop {
        let begun = clock.now();
        let lost = match connect(config, tls, address, watch.symbols).await {
            Ok(mut socket) => {
                info!(%address, "market data stream is connected");
                connection = ConnectionState::Connected;
                tell(MarketNews::Connected);
                read(&mut socket, config, watch, tell).await
            }
            Err(lost) => lost,
        };
        tell(MarketNews::Lost);
        connection = connection.lost(&lost);
        pauses.pause(begun, &lost, clock).await;
    }
}

/// What the log said last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    Unknown,
    Connected,
    Broken,
    Refused,
}

impl ConnectionState {
    fn lost(self, Lost { reason, refused }: &Lost) -> Self {
        let new = if *refused { ConnectionState::Refused } else { ConnectionState::Broken };
        if new == self {
            debug!(%reason, "market data stream is still not connected");
        } else if *refused {
            warn!(%reason, "market data stream is refused; it is tried again now and then");
        } else {
            warn!(%reason, "market data stream is not connected; it is tried again");
        }
        new
    }
}

/// Connects, authorises and subscribes; the server forgets subscriptions with the connection.
async fn connect(
    config: &AlpacaConfig,
    tls: &Arc<rustls::ClientConfig>,
    address: &Url,
    symbols: &[Symbol],
) -> Result<Socket, Lost> {
    let mut socket = Socket::open(address, tls).await?;
    let success =
        |wanted: &'static str| move |item: &Item| matches!(item, Item::Success(word) if word == wanted);
    answer(&mut socket, success("connected")).await?;
    socket.authorize(&config.credentials).await?;
    answer(&mut socket, success("authenticated")).await?;
    socket.say(&subscription(symbols)).await?;
    let granted = answer(&mut socket, |item| matches!(item, Item::Subscription(_))).await?;
    debug!(?granted, "market data is subscribed to");
    Ok(socket)
}

fn subscription(symbols: &[Symbol]) -> Value {
    json!({ "action": "subscribe", "trades": symbols, "quotes": symbols, "bars": symbols })
}

/// Reads until the socket is lost. Without market data for long it is lost as well, unless the market is closed: a
/// server that answers pings may have forgotten the subscription.
async fn read(
    socket: &mut Socket,
    config: &AlpacaConfig,
    watch: &MarketWatch<'_>,
    tell: &mut dyn FnMut(MarketNews),
) -> Lost {
    let silence_max = config.stream_silence_max;
    // A dead connection has to be found while the market is closed, too, and pings are what finds it.
    let quiet_max = config.data_quiet_max.max(silence_max * 3 / 2);
    loop {
        let frame = match timeout(quiet_max, socket.hear(silence_max)).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(lost)) => return lost,
            Err(_) if (watch.is_open)() => {
                return Lost::broken(format!("no market data for {quiet_max:?} in an open market"));
            }
            Err(_) => continue,
        };
        let items = match items(&frame) {
            Ok(items) => items,
            Err(error) => {
                debug!(%error, "a frame that cannot be read is left out");
                continue;
            }
        };
        for item in items {
            match item {
                Ok(Item::Event(event)) => tell(MarketNews::Event(event)),
                Ok(Item::Error { code, message }) => return lost(code, &message),
                Ok(other @ (Item::Success(_) | Item::Subscription(_) | Item::Other(_))) => {
                    debug!(?other, "an item that brings no prices");
                }
                Err(odd) => debug!(%odd, "an item that cannot be read is left out"),
            }
        }
    }
}

/// The first item that is wanted; others are passed over, but an error ends the waiting.
async fn answer(socket: &mut Socket, is_wanted: impl Fn(&Item) -> bool) -> Result<Item, Lost> {
    let waiting = async {
        loop {
            let frame = socket.hear(STEP_TIMEOUT).await?;
            for item in items(&frame).into_iter().flatten().flatten() {
                if is_wanted(&item) {
                    return Ok(item);
                }
                if let Item::Error { code, message } = item {
                    return Err(lost(code, &message));
                }
            }
        }
    };
    timeout(STEP_TIMEOUT, waiting).await.map_err(too_slow)?
}

/// What the server means by an error: too slow a client and its own faults pass, all else (wrong keys, one connection
/// too many, symbols beyond the plan) stays until somebody changes something.
fn lost(code: u64, message: &str) -> Lost {
    let reason = format!("error {code}: {message}");
    match code {
        404 | 407 | 500.. => Lost::broken(reason),
        _ => Lost::refused(reason),
    }
}
