//! Account, positions, clock, calendar and assets.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use chrono::{Days, NaiveDate, SecondsFormat};
use uuid::Uuid;

use super::ServerState;
use super::answer::Problem;
use super::bodies::{AccountBody, AssetBody, ClockBody, PositionBody, SessionBody, class};
use super::params::QueryParams;
use bot_core::calendar::{self, date_of};
use bot_core::clock::Timestamp;
use bot_simulated::{Asset, SimulatedMarket};

pub(super) async fn account(State(server): State<Arc<ServerState>>) -> Json<AccountBody> {
    Json(server.at_present(|core, now| AccountBody::new(&core.account(), core.started(), now)))
}

pub(super) async fn positions(State(server): State<Arc<ServerState>>) -> Json<Vec<PositionBody>> {
    Json(server.at_present(|core, _| core.positions().iter().map(PositionBody::from).collect()))
}

pub(super) async fn position(
    State(server): State<Arc<ServerState>>,
    Path(name): Path<String>,
) -> Result<Json<PositionBody>, Problem> {
    server.at_present(|core, _| {
        let asset =
            find(core, &name).ok_or_else(|| Problem::not_found(format!("symbol not found: {name}")))?;
        let position = core.position(asset.symbol);
        let position = position.ok_or_else(|| Problem::not_found("position does not exist"))?;
        Ok(Json(PositionBody::from(&position)))
    })
}

pub(super) async fn clock(State(server): State<Arc<ServerState>>) -> Json<ClockBody> {
    let (session, now) = server.at_present(|core, _| (core.session(), core.now()));
    let local = |time: Timestamp| time.to_new_york().to_rfc3339_opts(SecondsFormat::AutoSi, false);
    Json(ClockBody {
        timestamp: local(now),
        is_open: session.is_open,
        next_open: local(session.next_open),
        next_close: local(session.next_close),
    })
}

/// From a year back to a year ahead unless asked otherwise, within 1970 to 2100.
pub(super) async fn calendar(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<SessionBody>>, Problem> {
    let params = QueryParams::read(query.as_deref());
    let today = date_of(server.clock.now());
    let date = |name: &str| match params.text(name) {
        Some(text) => text
            .get(..10)
            .and_then(|date| date.parse::<NaiveDate>().ok())
            .map(Some)
            .ok_or_else(|| Problem::bad_query(format!("failed to parse {name}"))),
        None => Ok(None),
    };
    let start = date("start")?.or_else(|| today.checked_sub_days(Days::new(365))).unwrap_or(today);
    let end = date("end")?.or_else(|| today.checked_add_days(Days::new(365))).unwrap_or(today);
    let bound = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(today);
    let sessions = calendar::sessions(start.max(bound(1970)), end.min(bound(2100)));
    Ok(Json(sessions.map(SessionBody::from).collect()))
}

pub(super) async fn assets(
    State(server): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> Json<Vec<AssetBody>> {
    let params = QueryParams::read(query.as_deref());
    let wanted = |name, value: &str| params.text(name).is_none_or(|text| text.eq_ignore_ascii_case(value));
    if !wanted("status", "active") {
        return Json(Vec::new());
    }
    let wanted_class = params.text("asset_class").unwrap_or("us_equity").to_lowercase();
    let bodies = server.at_present(|core, _| {
        let assets = core.symbols().filter_map(|symbol| core.asset(symbol));
        let assets =
            assets.filter(|asset| class(asset.symbol) == wanted_class && wanted("exchange", asset.exchange));
        assets.map(AssetBody::from).collect()
    });
    Json(bodies)
}

pub(super) async fn asset(
    State(server): State<Arc<ServerState>>,
    Path(name): Path<String>,
) -> Result<Json<AssetBody>, Problem> {
    server.at_present(|core, _| {
        let asset = find(core, &name).map(AssetBody::from).map(Json);
        asset.ok_or_else(|| Problem::not_found(format!("asset not found for {name}")))
    })
}

/// By ticker or by asset id.
pub(super) fn find<'a>(core: &'a SimulatedMarket, name: &str) -> Option<&'a Asset> {
    match name.parse() {
        Ok(symbol) => core.asset(symbol),
        Err(_) => None,
    }
    .or_else(|| core.asset_by_id(Uuid::parse_str(name).ok()?))
}
