//! Answers that are no answer: errors in Alpaca's shape, status, code and words.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

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
        if let Value::Object(extras) = extras(&refusal) {
            problem.body.extend(extras);
        }
        problem
    }
}

fn extras(refusal: &RequestRefusal) -> Value {
    match refusal {
        RequestRefusal::BuyingPower { buying_power, cost_basis } => {
            json!({"buying_power": buying_power.to_string(), "cost_basis": cost_basis.to_string()})
        }
        RequestRefusal::Shares { symbol, available, existing, held, related, requested: _ } => {
            let mut extras = json!({
                "available": available.to_string(),
                "existing_qty": existing.to_string(),
                "held_for_orders": held.to_string(),
                "symbol": symbol,
            });
            if !related.is_empty() {
                extras["related_orders"] = related.iter().map(ToString::to_string).collect();
            }
            extras
        }
        RequestRefusal::WashTrade { existing, limit } => json!({
            "existing_order_id": existing.to_string(),
            "reject_reason": if *limit {
                "opposite side limit order exists"
            } else {
                "opposite side market/stop order exists"
            },
        }),
        RequestRefusal::NoQuantity
        | RequestRefusal::QuantityDecimals
        | RequestRefusal::NotionalTooSmall
        | RequestRefusal::DuplicateClientId { .. }
        | RequestRefusal::ClientIdTooLong
        | RequestRefusal::UnknownAsset(_)
        | RequestRefusal::IocOutsideSession
        | RequestRefusal::ExtendedHours
        | RequestRefusal::FractionalNotDay
        | RequestRefusal::FractionalShort
        | RequestRefusal::SubPenny(_)
        | RequestRefusal::NotFractionable(_)
        | RequestRefusal::CostBasis(_)
        | RequestRefusal::CoinTimeInForce
        | RequestRefusal::ShortNotAllowed
        | RequestRefusal::BuyMeetsShort
        | RequestRefusal::ShortMeetsBuy
        | RequestRefusal::OrderNotFound(_)
        | RequestRefusal::AlreadyFinal(_) => Value::Null,
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
