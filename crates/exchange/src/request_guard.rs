//! What every request passes: keys, the request limit, the delay, and the headers of every answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::answer::Problem;
use super::limit::{Api, KeyLimits, LimitState};
use super::{Config, ServerState, count};
use bot_core::clock::Timestamp;
use bot_simulated::prices::uniform;

/// Who is let in, how often, and how fast.
pub(super) struct RequestGuard {
    key: Option<String>,
    secret: Option<String>,
    latency: Duration,
    jitter: Duration,
    inner: Mutex<GuardState>,
}

struct GuardState {
    limiter: Option<KeyLimits>,
    random: ChaCha8Rng,
}

impl RequestGuard {
    pub(super) fn new(config: Config) -> Self {
        // A stream apart from the market's, so that requests do not move prices.
        let mut random = ChaCha8Rng::seed_from_u64(config.market.seed);
        random.set_stream(u64::MAX);
        Self {
            key: config.key,
            secret: config.secret,
            latency: config.latency,
            jitter: config.jitter,
            inner: Mutex::new(GuardState { limiter: config.limit.map(KeyLimits::new), random }),
        }
    }

    /// Whether this pair is let in.
    pub(super) fn admits(&self, key: &str, secret: &str) -> bool {
        let fits = |wanted: &Option<String>, given: &str| match wanted {
            Some(wanted) => wanted == given,
            None => !given.is_empty(),
        };
        fits(&self.key, key) && fits(&self.secret, secret)
    }

    fn count(&self, key: Option<&str>, api: Api, now: Timestamp) -> Option<LimitState> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = inner.limiter.as_mut()?;
        Some(match key {
            Some(key) => limiter.take(key, api, now),
            None => limiter.stranger(now),
        })
    }

    /// A request id and the delay of its answer.
    fn draw(&self) -> (String, Duration) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = format!("{:016x}{:016x}", inner.random.next_u64(), inner.random.next_u64());
        let jitter = self.jitter.mul_f64(uniform(&mut inner.random));
        (id, self.latency.saturating_add(jitter))
    }
}

/// Lets a request in, has it answered, and sends the answer on its way. The delay comes after the work: a client that
/// gives up waiting for an order's answer finds that the order exists.
pub(super) async fn pass(State(server): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    count(&server.counts.requests);
    let (id, delay) = server.guard.draw();
    let api = api(request.uri().path());
    let Some(api) = api else { return next.run(request).await };
    let key = admitted_key(&server.guard, request.headers());
    let limit_state = server.guard.count(key.as_deref(), api, server.clock.now());
    let mut response = match (key, limit_state) {
        (None, _) => Problem::unauthorized().into_response(),
        (Some(_), Some(LimitState { allowed: false, .. })) => Problem::rate_limited(api).into_response(),
        (Some(_), _) => next.run(request).await,
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    decorate(response.headers_mut(), &id, limit_state);
    response
}

/// The sockets authorize in their own words and are not counted.
fn api(path: &str) -> Option<Api> {
    match path {
        "/stream" | "/v2/iex" | "/v2/sip" | "/v2/test" => None,
        path if path.starts_with("/v2/stocks") => Some(Api::Data),
        _ => Some(Api::Trading),
    }
}

/// The key that the headers carry, when it is let in.
pub(super) fn admitted_key(guard: &RequestGuard, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (key, secret) = (text("apca-api-key-id"), text("apca-api-secret-key"));
    guard.admits(key, secret).then(|| key.to_owned())
}

fn decorate(headers: &mut HeaderMap, id: &str, limit_state: Option<LimitState>) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    if let Some(limit_state) = limit_state {
        headers.insert("x-ratelimit-limit", limit_state.limit.into());
        headers.insert("x-ratelimit-remaining", limit_state.remaining.into());
        headers.insert("x-ratelimit-reset", limit_state.reset.into());
    }
}
