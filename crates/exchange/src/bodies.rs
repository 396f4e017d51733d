//! The shapes of the trading host's answers: money and shares as strings, times in UTC with up to nine decimals.

use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

use bot_core::calendar::{self, date_of};
use bot_core::clock::Timestamp;
use bot_core::order::{OrderStatus, OrderType, TimeInForce};
use bot_core::symbol::Symbol;
use bot_core::units::Money;
use bot_simulated::{AccountView, Amount, Asset, OrderEvent, PaperOrder, PositionView};

/// Written as `null`.
type Null = ();

/// An order in a REST answer or in a socket's event; the two differ in three members.
#[derive(Debug, Serialize)]
pub(super) struct OrderBody<'a> {
    id: Uuid,
    client_order_id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    submitted_at: Timestamp,
    filled_at: Option<Timestamp>,
    expired_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(clippy::option_option, reason = "absent in REST, null or a time in a stream")]
    cancel_requested_at: Option<Option<Timestamp>>,
    canceled_at: Option<Timestamp>,
    failed_at: Null,
    replaced_at: Null,
    replaced_by: Null,
    replaces: Null,
    asset_id: Uuid,
    symbol: &'a str,
    asset_class: &'static str,
    notional: Option<String>,
    qty: Option<String>,
    filled_qty: String,
    filled_avg_price: Option<String>,
    order_class: &'static str,
    order_type: &'static str,
    r#type: &'static str,
    side: &'static str,
    position_intent: &'static str,
    time_in_force: &'static str,
    limit_price: Option<String>,
    stop_price: Null,
    status: &'a str,
    extended_hours: bool,
    legs: Null,
    trail_percent: Null,
    trail_price: Null,
    hwm: Null,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtag: Option<Null>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Null>,
    expires_at: Timestamp,
}

impl<'a> OrderBody<'a> {
    /// As a REST answer shows it.
    pub(super) fn rest(order: &'a PaperOrder) -> Self {
        let (order_type, limit) = match order.order_type {
            OrderType::Market => ("market", None),
            OrderType::Limit(limit) => ("limit", Some(limit)),
        };
        let (quantity, notional) = match order.amount {
            Amount::Quantity(quantity) => (Some(quantity), None),
            Amount::Notional(notional) => (None, Some(notional)),
        };
        Self {
            id: order.id,
            client_order_id: &order.client_order_id,
            created_at: order.submitted_at,
            updated_at: order.updated_at,
            submitted_at: order.submitted_at,
            // Set by the fill that completes the order, not by the first one.
            filled_at: order.filled_at.filter(|_| order.status == OrderStatus::Filled),
            expired_at: order.expired_at,
            cancel_requested_at: None,
            canceled_at: order.canceled_at,
            failed_at: (),
            replaced_at: (),
            replaced_by: (),
            replaces: (),
            asset_id: order.asset_id,
            symbol: order.symbol.as_str(),
            asset_class: class(order.symbol),
            notional: notional.map(text),
            qty: quantity.map(text),
            filled_qty: text(order.filled),
            filled_avg_price: order.average_price().map(text),
            order_class: "",
            order_type,
            r#type: order_type,
            side: order.side.as_str(),
            position_intent: order.strategy_signal,
            time_in_force: word(order.time_in_force),
            limit_price: limit.map(text),
            stop_price: (),
            status: order.status.as_str(),
            extended_hours: order.extended_hours,
            legs: (),
            trail_percent: (),
            trail_price: (),
            hwm: (),
            subtag: Some(()),
            source: Some(()),
            expires_at: order.expires_at,
        }
    }

    fn streamed(order: &'a PaperOrder) -> Self {
        let cancel_requested_at = Some(order.cancel_requested_at);
        Self { cancel_requested_at, subtag: None, source: None, ..Self::rest(order) }
    }
}

/// One event on the `trade_updates` stream.
#[derive(Debug, Serialize)]
pub(super) struct UpdateBody<'a> {
    at: Timestamp,
    event_id: String,
    event: &'static str,
    timestamp: Timestamp,
    order: OrderBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position_qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_date: Option<String>,
}

impl<'a> From<&'a OrderEvent> for UpdateBody<'a> {
    fn from(event: &'a OrderEvent) -> Self {
        let fill = event.fill;
        Self {
            at: Timestamp::from_micros(event.at.micros()),
            event_id: ulid(event.id),
            event: event.kind.as_str(),
            timestamp: event.at,
            order: OrderBody::streamed(&event.order),
            price: fill.map(|fill| text(fill.price)),
            qty: fill.map(|fill| text(fill.quantity)),
            position_qty: fill.map(|fill| text(fill.position)),
            execution_id: event.execution_id,
            settle_date: fill.map(|_| next_session(event.at)),
        }
    }
}

/// `GET /v2/account`.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the wire's shape")]
pub(super) struct AccountBody {
    id: Uuid,
    admin_configurations: Empty,
    user_configurations: Null,
    account_number: String,
    status: &'static str,
    crypto_status: &'static str,
    currency: &'static str,
    buying_power: String,
    regt_buying_power: String,
    effective_buying_power: String,
    non_marginable_buying_power: String,
    options_buying_power: String,
    cash: String,
    accrued_fees: &'static str,
    portfolio_value: String,
    trading_blocked: bool,
    transfers_blocked: bool,
    account_blocked: bool,
    created_at: Timestamp,
    trade_suspended_by_user: bool,
    multiplier: String,
    shorting_enabled: bool,
    equity: String,
    last_equity: String,
    long_market_value: String,
    short_market_value: String,
    position_market_value: String,
    initial_margin: String,
    maintenance_margin: String,
    last_maintenance_margin: String,
    sma: &'static str,
    balance_asof: String,
    crypto_tier: u8,
    intraday_adjustments: &'static str,
    pending_reg_taf_fees: &'static str,
}

/// An object without members.
#[derive(Debug, Serialize)]
struct Empty {}

impl AccountBody {
    pub(super) fn new(account: &AccountView, created_at: Timestamp, now: Timestamp) -> Self {
        let buying_power = text(account.buying_power);
        // A short position is backed by its proceeds and as much again.
        let unborrowed = (account.cash + account.short_value + account.short_value).max(Money::ZERO);
        // A cash account pays in full and has no margin.
        let margin = |money: Money| if account.multiplier > 1 { text(money) } else { "0".to_owned() };
        Self {
            id: account.id,
            admin_configurations: Empty {},
            user_configurations: (),
            account_number: format!("PA{:010}", account.id.as_u128() % 10_000_000_000),
            status: "ACTIVE",
            crypto_status: "INACTIVE",
            currency: "USD",
            regt_buying_power: buying_power.clone(),
            effective_buying_power: buying_power.clone(),
            non_marginable_buying_power: text(unborrowed.min(account.buying_power)),
            options_buying_power: "0".to_owned(),
            buying_power,
            cash: text(account.cash),
            accrued_fees: "0",
            portfolio_value: text(account.equity),
            trading_blocked: false,
            transfers_blocked: false,
            account_blocked: false,
            created_at,
            trade_suspended_by_user: false,
            multiplier: account.multiplier.to_string(),
            shorting_enabled: account.shorting,
            equity: text(account.equity),
            last_equity: text(account.last_equity),
            long_market_value: text(account.long_value),
            short_market_value: text(account.short_value),
            position_market_value: text(account.long_value - account.short_value),
            initial_margin: margin(account.initial_margin),
            maintenance_margin: margin(account.maintenance_margin),
            last_maintenance_margin: margin(account.last_maintenance_margin),
            sma: "0",
            balance_asof: date_of(now).pred_opt().unwrap_or_default().to_string(),
            crypto_tier: 0,
            intraday_adjustments: "0",
            pending_reg_taf_fees: "0",
        }
    }
}

/// One position.
#[derive(Debug, Serialize)]
pub(super) struct PositionBody {
    asset_id: Uuid,
    symbol: String,
    exchange: &'static str,
    asset_class: &'static str,
    asset_marginable: bool,
    qty: String,
    avg_entry_price: String,
    side: &'static str,
    market_value: String,
    cost_basis: String,
    unrealized_pl: String,
    unrealized_plpc: String,
    unrealized_intraday_pl: String,
    unrealized_intraday_plpc: String,
    current_price: String,
    lastday_price: String,
    change_today: String,
    qty_available: String,
}

impl From<&PositionView> for PositionBody {
    fn from(position: &PositionView) -> Self {
        let profit = position.value - position.cost;
        let part = ratio(profit.get(), position.cost.get().abs());
        let last = position.price_last_day.unwrap_or(position.price);
        Self {
            asset_id: position.asset.id,
            symbol: position.asset.symbol.to_string(),
            exchange: position.asset.exchange,
            asset_class: class(position.asset.symbol),
            asset_marginable: !position.asset.symbol.is_pair(),
            qty: text(position.quantity),
            avg_entry_price: position.average_price.map_or_else(|| "0".to_owned(), text),
            side: if position.quantity.is_positive() { "long" } else { "short" },
            market_value: text(position.value),
            cost_basis: text(position.cost),
            unrealized_pl: text(profit),
            unrealized_plpc: part.clone(),
            unrealized_intraday_pl: text(profit),
            unrealized_intraday_plpc: part,
            current_price: text(position.price),
            lastday_price: text(last),
            change_today: ratio(position.price.get() - last.get(), last.get()),
            qty_available: text(position.available),
        }
    }
}

/// One asset.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the wire's shape")]
pub(super) struct AssetBody {
    id: Uuid,
    class: &'static str,
    exchange: &'static str,
    symbol: String,
    name: String,
    status: &'static str,
    tradable: bool,
    marginable: bool,
    maintenance_margin_requirement: u8,
    margin_requirement_long: &'static str,
    margin_requirement_short: &'static str,
    shortable: bool,
    easy_to_borrow: bool,
    borrow_status: &'static str,
    fractionable: bool,
    /// This and the next two of coins only.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_order_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_trade_increment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_increment: Option<String>,
    attributes: [&'static str; 0],
}

impl From<&Asset> for AssetBody {
    fn from(asset: &Asset) -> Self {
        let Asset { id, symbol, exchange, instrument } = asset;
        let is_pair = symbol.is_pair();
        let of_pair = |number: Decimal| is_pair.then(|| text(number));
        let (requirement, margin) = if is_pair { (100, "100") } else { (30, "30") };
        Self {
            id: *id,
            class: class(*symbol),
            exchange,
            symbol: symbol.to_string(),
            name: if is_pair { symbol.to_string() } else { format!("{symbol} Common Stock") },
            status: "active",
            tradable: true,
            marginable: !is_pair,
            maintenance_margin_requirement: requirement,
            margin_requirement_long: margin,
            margin_requirement_short: margin,
            shortable: instrument.shorting,
            easy_to_borrow: instrument.shorting,
            borrow_status: if instrument.shorting { "easy_to_borrow" } else { "not_borrowable" },
            fractionable: instrument.is_fractional(),
            min_order_size: of_pair(instrument.lot.get()),
            min_trade_increment: of_pair(instrument.lot.get()),
            price_increment: of_pair(instrument.tick.at(Decimal::ONE)),
            attributes: [],
        }
    }
}

pub(super) fn class(symbol: Symbol) -> &'static str {
    if symbol.is_pair() { "crypto" } else { "us_equity" }
}

/// `GET /v2/clock`, in New York time.
#[derive(Debug, Serialize)]
pub(super) struct ClockBody {
    pub(super) timestamp: String,
    pub(super) is_open: bool,
    pub(super) next_open: String,
    pub(super) next_close: String,
}

/// One session of `GET /v2/calendar`.
#[derive(Debug, Serialize)]
pub(super) struct SessionBody {
    date: String,
    open: String,
    close: String,
    session_open: &'static str,
    session_close: &'static str,
    settlement_date: String,
}

impl From<calendar::Session> for SessionBody {
    fn from(session: calendar::Session) -> Self {
        let clock = |time: Timestamp| time.to_new_york().format("%H:%M").to_string();
        let close = clock(session.close);
        Self {
            date: session.date.to_string(),
            open: clock(session.open),
            session_open: "0400",
            // The late session lasts four hours on every day.
            session_close: if close == "13:00" { "1700" } else { "2000" },
            close,
            settlement_date: next_session(session.open),
        }
    }
}

fn text(number: impl Into<Decimal>) -> String {
    number.into().normalize().to_string()
}

fn ratio(part: Decimal, whole: Decimal) -> String {
    text(part.checked_div(whole).unwrap_or_default().round_dp(6))
}

fn word(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Day => "day",
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
    }
}

/// The date of the session after this instant's New York date.
fn next_session(at: Timestamp) -> String {
    let today = date_of(at);
    let next = today.iter_days().skip(1).take(15).find(|date| calendar::session_on(*date).is_some());
    next.unwrap_or(today).to_string()
}

/// 128 bits in Crockford's base 32, as a ULID is written.
fn ulid(id: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |place: u32| char::from(DIGITS[usize::try_from((id >> (5 * place)) & 31).unwrap_or(0)]);
    (0..26).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_written_as_ulids() {
        assert_eq!(ulid(0), "00000000000000000000000000");
        assert_eq!(ulid(u128::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(ulid(1_469_918_176_385 << 80), "01ARYZ6S410000000000000000");
    }
}
