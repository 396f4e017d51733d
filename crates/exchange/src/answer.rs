//! Answers that are no answer: errors in Alpaca's shape, status, code and words.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::limit::Api;
use bot_simulated::RequestRefusal;

/// An error body with its status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: Map<String, Value>,
}

impl Problem {
    /// With a code, as the trading API says it.
    pub(super) fn new(status: StatusCode, code: u64, message: impl Into<String>) -> Self {
        let mut problem = Self::data(status, message);
        problem.body.insert("code".to_owned(), code.into());
        problem
    }

    /// Without a code, as the data API says it.
    pub(super) fn data(status: StatusCode, message: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("message".to_owned(), Value::String(message.into()));
        Self { status, body }
    }

    /// The request's values are wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, 40_010_001, message)
    }

    /// The request cannot be read.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 40_010_000, message)
    }

    /// A value of the query cannot be read.
    pub(super) fn bad_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 40_010_001, message)
    }

    /// There is no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, 40_410_000, message)
    }

    /// Wrong or missing keys.
    pub(super) fn unauthorized() -> Self {
        Self::data(StatusCode::UNAUTHORIZED, "unauthorized.")
    }

    /// Too many requests; each says it in its own words.
    pub(super) fn rate_limited(api: Api) -> Self {
        match api {
            Api::Trading => Self::new(StatusCode::TOO_MANY_REQUESTS, 42_910_000, "rate limit exceeded"),
            Api::Data => Self::data(StatusCode::TOO_MANY_REQUESTS, "too many requests."),
        }
    }
}

impl From<RequestRefusal> for Problem {
    fn from(refusal: RequestRefusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::new(status, refusal.code(), refusal.to_string());
        problem.add_numbers(&refusal);
        problem
    }
}

impl Problem {
    /// What a refusal names beside its message.
    fn add_numbers(&mut self, refusal: &RequestRefusal) {
        let mut add = |name: &str, value: Value| self.body.insert(name.to_owned(), value);
        if let RequestRefusal::BuyingPower { buying_power, cost_basis } = refusal {
            add("buying_power", buying_power.to_string().into());
            add("cost_basis", cost_basis.to_string().into());
        }
        if let RequestRefusal::Shares { symbol, available, existing, held, related, .. } = refusal {
            add("available", available.to_string().into());
            add("existing_qty", existing.to_string().into());
            add("held_for_orders", held.to_string().into());
            add("symbol", symbol.as_str().into());
            if !related.is_empty() {
                add("related_orders", related.iter().map(ToString::to_string).collect());
            }
        }
        if let RequestRefusal::WashTrade { existing, limit } = refusal {
            let other = if *limit { "limit" } else { "market/stop" };
            add("existing_order_id", existing.to_string().into());
            add("reject_reason", format!("opposite side {other} order exists").into());
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}

/// Nothing answers at this path.
pub(super) async fn no_endpoint() -> Problem {
    Problem::not_found("endpoint not found.")
}

/// The path is known, the method is not.
pub(super) async fn no_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, 40_510_000, "method not allowed")
}
