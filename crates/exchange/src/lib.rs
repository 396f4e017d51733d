//! The paper exchange: an Alpaca-compatible HTTP server (trading, market data and both sockets) over the simulated broker.
//!
//! One server answers for the trading host and the data host. There is one account; every key pair that is let in sees
//! it, while requests are counted per key. The server runs on a thread of its own and stops when [`Running`] is dropped.
//!
//! ```rust
//! use std::sync::Arc;
//!
//! use bot_core::clock::SystemClock;
//! use bot_core::units::Price;
//! use bot_exchange::{Config, Exchange};
//!
//! let market = bot_simulated::MarketConfig::new("NVDA".parse()?, Price::whole(180));
//! let exchange = Exchange::start(Config::new(market), Arc::new(SystemClock))?; // On port 0: a free one.
//! assert!(exchange.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(exchange.with(|core| core.account().equity.to_string()), "100000");
//! exchange.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod answer;
mod bodies;
mod data;
mod data_history;
mod data_stream;
mod request_guard;
mod limit;
mod orders;
mod params;
mod stream;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};
use axum::serve::ListenerExt;
use crossbeam_channel::Receiver;
use thiserror::Error;
use tokio::sync::{broadcast, watch};
use tracing::debug;

use bot_core::clock::{Clock, Timestamp};
use bot_core::market::MarketEvent;
use bot_simulated::prices::TICK;
use bot_simulated::{OrderEvent, SimulatedMarket};

pub use limit::RequestLimit;

/// What the exchange serves and how it behaves.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The market and the account.
    pub market: bot_simulated::MarketConfig,
    /// Every answer comes this late.
    pub latency: Duration,
    /// And up to this much later still, at random.
    pub jitter: Duration,
    /// Requests per key, for trading and for data each; `None` for no limit.
    pub limit: Option<RequestLimit>,
    /// The only key id that is let in; `None` for any that is not empty.
    pub key: Option<String>,
    /// The only secret that is let in; `None` for any that is not empty.
    pub secret: Option<String>,
    /// What the answer to a new order shows.
    pub answer: Answer,
}

impl Config {
    /// No delay, no limit, any key, on a free port of this machine.
    pub fn new(market: bot_simulated::MarketConfig) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            market,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            limit: None,
            key: None,
            secret: None,
            answer: Answer::Accepted,
        }
    }
}

impl fmt::Debug for Config {
    /// Keys and secrets are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("latency", &self.latency)
            .field("jitter", &self.jitter)
            .field("limit", &self.limit)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// What the answer to a new order shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// `pending_new`, as the real one does; what matching made of it is told by later answers and by the socket.
    Accepted,
    /// The state after matching.
    Final,
}

/// What the exchange has been asked since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections.
    pub connections: u64,
    /// HTTP requests of every kind.
    pub requests: u64,
    /// Orders posted, refused ones too.
    pub posts: u64,
}

/// Why the exchange did not start.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No runtime or no thread.
    #[error("cannot start the exchange's thread: {0}")]
    Thread(io::Error),
}

/// The paper exchange.
#[derive(Debug)]
pub struct Exchange;

impl Exchange {
    /// Starts serving on a thread of its own.
    ///
    /// # Errors
    /// Nothing runs when the address cannot be listened on.
    pub fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, ExchangeError> {
        let address = config.listen;
        let failed = |source| ExchangeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ExchangeError::Thread)?;
        let (halt, asked_to_stop) = watch::channel(false);
        let (alive, ended) = crossbeam_channel::bounded::<Infallible>(0);
        let server = Arc::new(ServerState::new(config, clock, asked_to_stop.clone()));
        let of_thread = Arc::clone(&server);
        let thread = std::thread::Builder::new()
            .name("exchange".to_owned())
            .spawn(move || {
                let _alive = alive; // Dropped when the thread ends, however it ends.
                let result = runtime.block_on(serve(listener, of_thread, asked_to_stop));
                runtime.shutdown_timeout(Duration::from_millis(100));
                result
            })
            .map_err(ExchangeError::Thread)?;
        Ok(Running { addr, server, halt, ended, thread: Some(thread) })
    }
}

/// An exchange that serves; dropping it stops the server and joins its thread.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    server: Arc<ServerState>,
    halt: watch::Sender<bool>,
    ended: Receiver<Infallible>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address for trading and data alike, such as `http://127.0.0.1:8900`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Looks at the core at the present time, or changes it; what happens to orders is told on the sockets.
    pub fn with<T>(&self, look: impl FnOnce(&mut SimulatedMarket) -> T) -> T {
        self.server.at_present(|core, _| look(core))
    }

    /// What it has been asked so far.
    pub fn counts(&self) -> Counts {
        self.server.counts.read()
    }

    /// Disconnects when the server has ended, for whatever reason.
    pub fn ended(&self) -> &Receiver<Infallible> {
        &self.ended
    }

    /// Stops serving and says how it ended.
    ///
    /// # Errors
    /// What the server's listener failed with.
    pub fn stop(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        self.halt.send_replace(true);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the exchange's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            debug!(%error, "exchange ended badly");
        }
    }
}

/// What all requests share.
struct ServerState {
    core: Mutex<SimulatedMarket>,
    clock: Arc<dyn Clock>,
    events: broadcast::Sender<Arc<OrderEvent>>,
    /// What the market shows, one step of it at a time.
    shown: broadcast::Sender<Arc<[MarketEvent]>>,
    stopped: watch::Receiver<bool>,
    guard: request_guard::RequestGuard,
    answer: Answer,
    counts: Counters,
}

/// A socket that lags this many events behind is closed.
const EVENTS_LAG_MAX: usize = 16_384;
/// A data socket that lags this many price steps behind is closed.
const STEPS_LAG_MAX: usize = 1_024;

impl ServerState {
    fn new(config: Config, clock: Arc<dyn Clock>, stopped: watch::Receiver<bool>) -> Self {
        let core = Mutex::new(SimulatedMarket::new(&config.market, clock.now()));
        let (events, _) = broadcast::channel(EVENTS_LAG_MAX);
        let (shown, _) = broadcast::channel(STEPS_LAG_MAX);
        let answer = config.answer;
        Self {
            core,
            clock,
            events,
            shown,
            stopped,
            guard: request_guard::RequestGuard::new(config),
            answer,
            counts: Counters::default(),
        }
    }

    /// One look at the core, which has caught up with the clock; no wait and no I/O happens under its lock.
    fn at_present<T>(&self, work: impl FnOnce(&mut SimulatedMarket, Timestamp) -> T) -> T {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        core.watch(self.shown.receiver_count() > 0);
        core.advance(now);
        let answer = work(&mut core, now);
        for event in core.take_events() {
            // Told under the lock, so that every socket sees one order. Nobody listening is no error.
            let _ = self.events.send(Arc::new(event));
        }
        let shown = core.take_shown();
        if !shown.is_empty() {
            let _ = self.shown.send(shown.into());
        }
        answer
    }
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState").field("counts", &self.counts).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    posts: AtomicU64,
}

impl Counters {
    fn read(&self) -> Counts {
        Counts {
            connections: self.connections.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            posts: self.posts.load(Ordering::Relaxed),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

async fn serve(
    listener: TcpListener,
    server: Arc<ServerState>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let counted = Arc::clone(&server);
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(move |connection| {
        count(&counted.counts.connections);
        if let Err(error) = connection.set_nodelay(true) {
            debug!(%error, "no TCP_NODELAY");
        }
    });
    let ticking = tokio::spawn(tick(Arc::clone(&server)));
    let mut asked = stopped.clone();
    let server = axum::serve(listener, router(server)).with_graceful_shutdown(async move {
        let _ = asked.wait_for(|stop| *stop).await;
    });
    let result = tokio::select! {
        result = async { server.await } => result,
        // Connections that are not done by then are cut off.
        () = async {
            let _ = stopped.wait_for(|stop| *stop).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        } => Ok(()),
    };
    ticking.abort();
    result
}

/// Lets the market's time pass while nobody asks for anything.
async fn tick(server: Arc<ServerState>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        server.at_present(|_, _| ());
    }
}

fn router(server: Arc<ServerState>) -> Router {
    Router::new()
        .route("/v2/account", get(account::account))
        .route("/v2/positions", get(account::positions))
        .route("/v2/positions/{symbol}", get(account::position))
        .route("/v2/clock", get(account::clock))
        .route("/v2/calendar", get(account::calendar))
        .route("/v2/assets", get(account::assets))
        .route("/v2/assets/{symbol}", get(account::asset))
        .route("/v2/orders", post(orders::submit).get(orders::list).delete(orders::cancel_all))
        .route("/v2/orders/{id}", delete(orders::cancel).get(orders::by_id))
        .route("/v2/orders:by_client_order_id", get(orders::by_client_id))
        .route("/v2/stocks/quotes/latest", get(data::latest_quotes))
        .route("/v2/stocks/trades/latest", get(data::latest_trades))
        .route("/v2/stocks/bars/latest", get(data::latest_bars))
        .route("/v2/stocks/snapshots", get(data::snapshots))
        .route("/v2/stocks/bars", get(data_history::bars))
        .route("/v2/stocks/trades", get(data_history::trades))
        .route("/v2/stocks/quotes", get(data_history::quotes))
        .route("/v2/stocks/{symbol}/quotes/latest", get(data::latest_quote))
        .route("/v2/stocks/{symbol}/trades/latest", get(data::latest_trade))
        .route("/v2/stocks/{symbol}/bars/latest", get(data::latest_bar))
        .route("/v2/stocks/{symbol}/snapshot", get(data::snapshot))
        .route("/v2/stocks/{symbol}/bars", get(data_history::bars_of))
        .route("/v2/stocks/{symbol}/trades", get(data_history::trades_of))
        .route("/v2/stocks/{symbol}/quotes", get(data_history::quotes_of))
        .route("/v1beta3/crypto/us/latest/quotes", get(data::latest_quotes))
        .route("/v1beta3/crypto/us/latest/trades", get(data::latest_trades))
        .route("/v1beta3/crypto/us/latest/bars", get(data::latest_bars))
        .route("/v1beta3/crypto/us/snapshots", get(data::coin_snapshots))
        .route("/v1beta3/crypto/us/bars", get(data_history::bars))
        .route("/v1beta3/crypto/us/trades", get(data_history::trades))
        .route("/v1beta3/crypto/us/quotes", get(data_history::quotes))
        .route("/stream", any(stream::open))
        .route("/v2/iex", any(data_stream::open))
        .route("/v2/sip", any(data_stream::open))
        .route("/v2/test", any(data_stream::open))
        .route("/v1beta3/crypto/us", any(data_stream::open))
        .fallback(answer::no_endpoint)
        .method_not_allowed_fallback(answer::no_method)
        .layer(from_fn_with_state(Arc::clone(&server), request_guard::pass))
        .with_state(server)
}
