//! History read page by page: within the request budget, tried again where that may help, ended at once when asked to.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tracing::{debug, warn};

use super::answer::{Answered, ClientError};
use super::classify;
use super::client::{AlpacaClient, HistoryKind, HistoryQuery};
use super::credentials::{AlpacaConfig, AlpacaConfigError};
use super::venue::tls_config;
use super::wire_market::{self, HistoryPage};
use crate::broker::budget::{Budget, RequestPurpose, jitter};
use crate::broker::{BrokerError, Rejection};
use crate::clock::Clock;
use crate::market::{Bar, Quote, Trade};

/// So often a page is asked for before its error is told.
const TRIES_MAX: u32 = 8;
/// Before the first answer of all: an address where nobody answers is told soon.
const FIRST_TRIES_MAX: u32 = 3;
/// So often in a row the broker may say "too many requests".
const REFUSALS_MAX: u32 = 12;
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(16);
/// How soon a request to stop is noticed.
const STOP_NOTICED_AFTER: Duration = Duration::from_millis(25);

/// Rows of one page, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub enum Chapter {
    /// Bars.
    Bars(Vec<Bar>),
    /// Prints on the tape.
    Trades(Vec<Trade>),
    /// Best bids and asks.
    Quotes(Vec<Quote>),
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlpacaHistoryError {
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
    /// The broker does not answer, or not with a page.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// One connection to the data host. Calls block.
pub struct AlpacaHistory {
    client: AlpacaClient,
    budget: Budget,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    answers: u64,
}

impl AlpacaHistory {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub fn new(config: &AlpacaConfig, clock: Arc<dyn Clock>) -> Result<Self, AlpacaConfigError> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .map_err(|error| AlpacaConfigError::Setting(format!("runtime cannot be started: {error}")))?;
        Ok(Self {
            client: AlpacaClient::new(config, &tls_config()?)?,
            budget: Budget::new(config.rate_limit),
            runtime,
            clock,
            answers: 0,
        })
    }

    /// How many requests were answered with a page so far.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// One page and the token of the next one, `None` after the last. `stop` is looked at all the while.
    ///
    /// # Errors
    /// A refusal at once; what may pass (5xx, time-outs, lost connections, broken bodies, 429) after several tries.
    pub fn page(
        &mut self,
        query: &HistoryQuery<'_>,
        token: Option<&str>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(Chapter, Option<String>), AlpacaHistoryError> {
        match query.kind {
            HistoryKind::Bars { .. } => self
                .rows::<wire_market::WireBar, _>(query, token, stop)
                .map(|(rows, next)| (Chapter::Bars(rows), next)),
            HistoryKind::Trades => self
                .rows::<wire_market::WireTrade, _>(query, token, stop)
                .map(|(rows, next)| (Chapter::Trades(rows), next)),
            HistoryKind::Quotes => self
                .rows::<wire_market::WireQuote, _>(query, token, stop)
                .map(|(rows, next)| (Chapter::Quotes(rows), next)),
        }
    }

    fn rows<Wire: DeserializeOwned, Row: for<'a> From<&'a Wire>>(
        &mut self,
        query: &HistoryQuery<'_>,
        token: Option<&str>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(Vec<Row>, Option<String>), AlpacaHistoryError> {
        let tries_max = if self.answers == 0 { FIRST_TRIES_MAX } else { TRIES_MAX };
        let (client, budget, clock) = (&self.client, &self.budget, &*self.clock);
        let reading = read::<Wire>(client, budget, clock, query, token, tries_max);
        let HistoryPage { rows, next_page_token } = self.runtime.block_on(async {
            tokio::select! {
                () = asked_to(stop) => Err(AlpacaHistoryError::Stopped),
                page = reading => Ok(page?),
            }
        })?;
        self.answers += 1;
        let next = next_page_token.filter(|next| !next.is_empty());
        if next.is_some() && next.as_deref() == token {
            let message = "next_page_token must differ from the token that was sent, was the same".to_owned();
            return Err(BrokerError::Refused(Rejection { status: 200, code: None, message }).into());
        }
        let found = rows.and_then(|mut rows| rows.remove(query.symbol.as_str())).flatten();
        Ok((found.unwrap_or_default().iter().map(Row::from).collect(), next))
    }
}

async fn asked_to(stop: &dyn Fn() -> bool) {
    while !stop() {
        tokio::time::sleep(STOP_NOTICED_AFTER).await;
    }
}

async fn read<Wire: DeserializeOwned>(
    client: &AlpacaClient,
    budget: &Budget,
    clock: &dyn Clock,
    query: &HistoryQuery<'_>,
    token: Option<&str>,
    tries_max: u32,
) -> Result<HistoryPage<Wire>, BrokerError> {
    let (mut tries, mut refusals, mut pause) = (0, 0, PAUSE_FIRST);
    loop {
        admission(budget, clock).await;
        let error = match client.history(query, token).await {
            Ok(Answered { value, head }) => {
                budget.learn(head.rate_limit, clock.now());
                return Ok(value);
            }
            Err(error) => error,
        };
        if let ClientError::RateLimited { .. } = error {
            refusals += 1;
            let until = budget.refused(error.rate_limit(), clock.now());
            if refusals >= REFUSALS_MAX {
                return Err(classify::read_failed(error));
            }
            debug!(%until, "too many requests, waiting");
            continue;
        }
        tries += 1;
        let failed = classify::read_failed(error);
        if !may_pass(&failed) || tries >= tries_max {
            return Err(failed);
        }
        let wait = pause / 2 + jitter(clock.now(), pause / 2);
        warn!(error = %failed, try_again_ms = wait.as_millis(), "a page of history failed");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits for room in the budget. The share leaves room for a bot that trades with the same keys.
async fn admission(budget: &Budget, clock: &dyn Clock) {
    loop {
        let now = clock.now();
        let Err(until) = budget.admit(RequestPurpose::Poll, now) else { return };
        tokio::time::sleep(until.since(now).max(Duration::from_millis(1))).await;
    }
}

fn may_pass(error: &BrokerError) -> bool {
    match error {
        BrokerError::Unreachable(_) => true,
        BrokerError::Credentials(_) | BrokerError::Refused(_) => false,
    }
}
