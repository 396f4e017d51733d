//! One Alpaca account: what all of its workers share, and the thread that follows their orders.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tracing::error;

use super::answer::{AnswerHead, ClientError};
use super::client::AlpacaClient;
use super::credentials::{AlpacaConfig, AlpacaConfigError};
use super::data_stream;
use super::tracker;
use super::wrapper::AlpacaWrapper;
use crate::broker::budget::Budget;
use crate::broker::tracker::TrackerSignals;
use crate::broker::{BrokerError, MarketNews, MarketWatch, OrderNews, Venue};
use crate::clock::{Clock, Timestamp};
use crate::stop::Stop;

/// One Alpaca account that workers connect to.
pub struct AlpacaVenue {
    shared: Arc<Shared>,
    tracker_client: AlpacaClient,
}

/// What all connections to one account have in common.
pub(super) struct Shared {
    pub(super) config: AlpacaConfig,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trading: Budget,
    pub(super) data: Budget,
    pub(super) signals: TrackerSignals,
}

impl AlpacaVenue {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub fn new(config: AlpacaConfig, clock: Arc<dyn Clock>) -> Result<Self, AlpacaConfigError> {
        if let Some((requests, window)) = config.rate_limit
            && (requests == 0 || window < Duration::from_millis(1) || window.as_nanos() < requests.into())
        {
            let fault =
                format!("rate limit must be 1 request or more per 1ms or more, was {requests}/{window:?}");
            return Err(AlpacaConfigError::Setting(fault));
        }
        if config.poll_interval < Duration::from_millis(1) {
            let fault = format!("poll interval must be 1ms or more, was {:?}", config.poll_interval);
            return Err(AlpacaConfigError::Setting(fault));
        }
        let tls = tls_config()?;
        let tracker_client = AlpacaClient::new(&config, &tls)?;
        let shared = Shared {
            trading: Budget::new(config.rate_limit),
            data: Budget::new(config.rate_limit),
            signals: TrackerSignals::default(),
            config,
            tls,
            clock,
        };
        Ok(Self { shared: Arc::new(shared), tracker_client })
    }
}

impl Venue for AlpacaVenue {
    type Broker = AlpacaWrapper;

    fn environment(&self) -> &str {
        self.shared.config.endpoints.kind().environment()
    }

    fn connect(&self) -> Result<AlpacaWrapper, BrokerError> {
        let failed = |error: &dyn std::fmt::Display| BrokerError::Unreachable(error.to_string());
        let client =
            AlpacaClient::new(&self.shared.config, &self.shared.tls).map_err(|error| failed(&error))?;
        let runtime = runtime().map_err(|error| failed(&error))?;
        Ok(AlpacaWrapper::new(Arc::clone(&self.shared), client, runtime))
    }

    fn track(&self, orders: &dyn OrderNews, stop: &Stop) {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return error!(%error, "orders cannot be followed"),
        };
        runtime.block_on(async {
            tokio::select! {
                () = stop.requested() => {}
                () = tracker::run(&self.shared, &self.tracker_client, orders) => {}
            }
        });
        // A name look-up that hangs must not hold up the end.
        runtime.shutdown_background();
    }

    fn watch(&self, watch: &MarketWatch<'_>, stop: &Stop, tell: &mut dyn FnMut(MarketNews)) {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return error!(%error, "market data cannot be streamed"),
        };
        let Shared { config, tls, clock, .. } = &*self.shared;
        runtime.block_on(async {
            tokio::select! {
                () = stop.requested() => {}
                () = data_stream::follow(config, tls, &**clock, watch, tell) => {}
            }
        });
        runtime.shutdown_background();
    }
}

impl Shared {
    /// Notes what an answer says of the request budget; returns when a refused request may be sent again.
    pub(super) fn note(&self, budget: &Budget, answer: Result<&AnswerHead, &ClientError>) -> Timestamp {
        let now = self.clock.now();
        match answer {
            Ok(head) => budget.learn(head.rate_limit, now),
            Err(error @ ClientError::RateLimited { .. }) => return budget.refused(error.rate_limit(), now),
            // Without an answer nothing is known of the count.
            Err(ClientError::Timeout { .. } | ClientError::Transport(_)) => {}
            Err(error @ (ClientError::Api { .. } | ClientError::Unreadable { .. })) => {
                budget.learn(error.rate_limit(), now);
            }
        }
        now
    }
}

/// TLS by rustls and ring with Mozilla's roots; one for all connections, so that they share sessions and memory.
///
/// # Errors
/// None in practice: ring supports the default protocol versions.
pub fn tls_config() -> Result<Arc<rustls::ClientConfig>, AlpacaConfigError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AlpacaConfigError::Setting(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A runtime that runs on the thread that waits for it: an order crosses no other thread on its way out.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(1).build()
}
