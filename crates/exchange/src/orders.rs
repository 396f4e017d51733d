//! Orders: submit, look up, list, cancel.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::account::find;
use super::answer::Problem;
use super::bodies::OrderBody;
use super::params::QueryParams;
use super::{Answer, ServerState, count};
use bot_core::order::{OrderType, Side, TimeInForce};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};
use bot_simulated::{Amount, Filter, OrderFilter, PaperOrder, Request, RequestRefusal, SimulatedMarket};

pub(super) async fn submit(State(server): State<Arc<ServerState>>, body: Bytes) -> Result<Response, Problem> {
    count(&server.counts.posts);
    let posted: Posted = serde_json::from_slice(&body)
        .map_err(|error| Problem::unreadable(format!("failed to decode request body: {error}")))?;
    let terms = posted.terms()?;
    let order = server.at_present(|core, now| {
        let name = posted.symbol.as_deref().unwrap_or_default();
        let symbol = find(core, name).map(|asset| asset.symbol);
        let symbol = symbol.ok_or_else(|| RequestRefusal::UnknownAsset(name.to_owned()))?;
        let submitted = core.submit(posted.request(symbol, terms), now)?;
        Ok::<_, RequestRefusal>(match server.answer {
            Answer::Accepted => submitted.received,
            Answer::Final => submitted.matched,
        })
    })?;
    Ok(json(&OrderBody::rest(&order)))
}

pub(super) async fn by_id(
    State(server): State<Arc<ServerState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = server.at_present(|core, _| core.order(Uuid::parse_str(&id).ok()?).cloned());
    answer(found, &id)
}

pub(super) async fn by_client_id(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = QueryParams::read(query.as_deref());
    let id = params.text("client_order_id");
    let id = id.ok_or_else(|| Problem::bad_query("client_order_id is required"))?;
    let found = server.at_present(|core, _| core.order_by_client_id(id).cloned());
    answer(found, id)
}

pub(super) async fn list(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = QueryParams::read(query.as_deref());
    let mut filter = filter(&params).map_err(Problem::bad_query)?;
    let cursor = |name| {
        let id = params.value::<Uuid>(name).map_err(Problem::bad_query)?;
        id.map(|id| {
            let found = server.at_present(|core, _| core.order(id).map(|order| order.submitted_at));
            found.ok_or_else(|| Problem::not_found(format!("order not found for {id}")))
        })
        .transpose()
    };
    filter.after = cursor("after_order_id")?.or(filter.after);
    filter.until = cursor("before_order_id")?.or(filter.until);
    let orders: Vec<PaperOrder> =
        server.at_present(|core, _| core.orders(&filter).into_iter().cloned().collect());
    Ok(json(&orders.iter().map(OrderBody::rest).collect::<Vec<_>>()))
}

pub(super) async fn cancel(
    State(server): State<Arc<ServerState>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let unknown = || RequestRefusal::OrderNotFound(id.clone());
    let uuid = Uuid::parse_str(&id).map_err(|_| unknown())?;
    server.at_present(|core, now| core.cancel(uuid, now))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn cancel_all(State(server): State<Arc<ServerState>>) -> Response {
    #[derive(Serialize)]
    struct Canceled {
        id: Uuid,
        status: u16,
    }
    let ids = server.at_present(SimulatedMarket::cancel_all);
    let bodies: Vec<Canceled> = ids.into_iter().map(|id| Canceled { id, status: 200 }).collect();
    (StatusCode::MULTI_STATUS, json(&bodies)).into_response()
}

/// `POST /v2/orders` as it came; decimals are strings or numbers, unknown members are left alone.
#[derive(Debug, Deserialize)]
struct Posted {
    symbol: Option<String>,
    qty: Option<Decimal>,
    notional: Option<Decimal>,
    side: Option<String>,
    r#type: Option<String>,
    time_in_force: Option<String>,
    limit_price: Option<Decimal>,
    stop_price: Option<Decimal>,
    #[serde(default)]
    extended_hours: Option<bool>,
    client_order_id: Option<String>,
    order_class: Option<String>,
    take_profit: Option<Value>,
    stop_loss: Option<Value>,
    legs: Option<Value>,
}

/// What a posted order means, apart from what it names.
#[derive(Debug, Clone, Copy)]
struct OrderTerms {
    amount: Amount,
    side: Side,
    order_type: OrderType,
    time_in_force: TimeInForce,
}

impl Posted {
    fn terms(&self) -> Result<OrderTerms, Problem> {
        if self.symbol.as_deref().unwrap_or_default().is_empty() {
            return Err(Problem::invalid("symbol is required"));
        }
        self.check_class()?;
        Ok(OrderTerms {
            amount: self.amount()?,
            side: match self.side.as_deref() {
                Some("buy") => Side::Buy,
                Some("sell") => Side::Sell,
                _ => return Err(Problem::invalid("invalid side")),
            },
            order_type: self.order_type()?,
            time_in_force: match self.time_in_force.as_deref() {
                Some("day") => TimeInForce::Day,
                Some("gtc") => TimeInForce::Gtc,
                Some("ioc") => TimeInForce::Ioc,
                Some("fok") => TimeInForce::Fok,
                Some(known @ ("opg" | "cls")) => return Err(not_offered("time_in_force", known)),
                _ => return Err(Problem::invalid("invalid time_in_force")),
            },
        })
    }

    fn amount(&self) -> Result<Amount, Problem> {
        match (self.qty, self.notional) {
            (Some(quantity), None) => {
                let exact = Quantity::exact(quantity).map_err(|_| RequestRefusal::QuantityDecimals)?;
                Ok(Amount::Quantity(exact))
            }
            (None, Some(notional)) => Ok(Amount::Notional(Money::new(notional))),
            (None, None) => Err(Problem::invalid("qty or notional is required")),
            (Some(_), Some(_)) => Err(Problem::invalid("only one of qty or notional is accepted")),
        }
    }

    fn order_type(&self) -> Result<OrderType, Problem> {
        match self.r#type.as_deref() {
            Some("market") if self.limit_price.is_some() || self.stop_price.is_some() => {
                Err(Problem::invalid("market orders require no stop or limit price"))
            }
            Some("market") => Ok(OrderType::Market),
            Some("limit") => {
                let limit =
                    self.limit_price.ok_or_else(|| Problem::invalid("limit orders require a limit price"))?;
                if limit <= Decimal::ZERO {
                    return Err(Problem::invalid("limit_price must be > 0"));
                }
                Ok(OrderType::Limit(Price::new(limit).map_err(|_| RequestRefusal::SubPenny(limit))?))
            }
            Some(known @ ("stop" | "stop_limit" | "trailing_stop")) => Err(not_offered("type", known)),
            _ => Err(Problem::invalid("invalid order type")),
        }
    }

    fn check_class(&self) -> Result<(), Problem> {
        match self.order_class.as_deref() {
            None | Some("" | "simple") => {}
            Some(known @ ("bracket" | "oco" | "oto" | "mleg")) => {
                return Err(not_offered("order_class", known));
            }
            Some(_) => return Err(Problem::invalid("invalid order_class")),
        }
        if self.take_profit.is_some() || self.stop_loss.is_some() || self.legs.is_some() {
            return Err(not_offered("order_class", "bracket"));
        }
        Ok(())
    }

    fn request(&self, symbol: Symbol, terms: OrderTerms) -> Request {
        let client_order_id = self.client_order_id.as_deref().filter(|id| !id.is_empty());
        Request {
            client_order_id: client_order_id.map(Into::into),
            symbol,
            side: terms.side,
            amount: terms.amount,
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            extended_hours: self.extended_hours.unwrap_or(false),
        }
    }
}

fn not_offered(member: &str, word: &str) -> Problem {
    let message = format!("{member} {word} is not offered by this exchange");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, 42_210_000, message)
}

const LIST_MAX: usize = 500;

fn filter(params: &QueryParams) -> Result<Filter, String> {
    let defaults = Filter::default();
    Ok(Filter {
        which: match params.text("status") {
            None | Some("open") => OrderFilter::Open,
            Some("closed") => OrderFilter::Closed,
            Some("all") => OrderFilter::All,
            Some(other) => return Err(format!("invalid status: {other}")),
        },
        after: params.time("after")?,
        until: params.time("until")?,
        symbols: params.symbols()?,
        side: match params.text("side") {
            None => None,
            Some("buy") => Some(Side::Buy),
            Some("sell") => Some(Side::Sell),
            Some(other) => return Err(format!("invalid side: {other}")),
        },
        oldest_first: match params.text("direction") {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(other) => return Err(format!("invalid direction: {other}")),
        },
        limit: match params.value("limit")?.unwrap_or(defaults.limit) {
            limit @ 1..=LIST_MAX => limit,
            other => return Err(format!("limit must be 1 to {LIST_MAX}, was {other}")),
        },
    })
}

fn answer(found: Option<PaperOrder>, id: &str) -> Result<Response, Problem> {
    let order = found.ok_or_else(|| RequestRefusal::OrderNotFound(id.to_owned()))?;
    Ok(json(&OrderBody::rest(&order)))
}

fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, 50_010_000, error.to_string()).into_response()
        }
    }
}
