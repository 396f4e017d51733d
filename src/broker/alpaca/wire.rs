//! What travels to and from the trading API: strings for decimals out, strings or numbers in, unknown things tolerated.

use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::broker::{Account, Holding};
use crate::clock::Timestamp;
use crate::market::SessionClock;
use crate::order::{OrderId, OrderReport, OrderRequest, OrderStatus, OrderType, Side, TimeInForce};
use crate::symbol::Symbol;
use crate::units::{AveragePrice, Money, Quantity};

/// The body of `POST /v2/orders`.
#[derive(Debug, Clone, Serialize)]
pub struct NewOrder<'a> {
    symbol: &'a str,
    qty: Decimal,
    side: &'static str,
    #[serde(rename = "type")]
    order_type: &'static str,
    time_in_force: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_price: Option<Decimal>,
    client_order_id: &'a str,
}

impl<'a> From<&'a OrderRequest> for NewOrder<'a> {
    fn from(order: &'a OrderRequest) -> Self {
        let (order_type, limit_price) = match order.order_type {
            OrderType::Market => ("market", None),
            OrderType::Limit(price) => ("limit", Some(price.get())),
        };
        let time_in_force = match order.time_in_force {
            TimeInForce::Day => "day",
            TimeInForce::Gtc => "gtc",
            TimeInForce::Ioc => "ioc",
            TimeInForce::Fok => "fok",
        };
        Self {
            symbol: order.symbol.as_str(),
            qty: order.quantity.get(),
            side: order.side.as_str(),
            order_type,
            time_in_force,
            limit_price,
            client_order_id: order.client_order_id.as_str(),
        }
    }
}

/// An order as the broker describes it; what this bot does not use is not read.
#[derive(Debug, Clone, Deserialize)]
pub struct WireOrder {
    /// The broker's id.
    pub id: String,
    /// The id it was sent with, or the broker's own when it was sent without.
    #[serde(default, deserialize_with = "null_is_default")]
    pub client_order_id: String,
    /// Empty for orders of several legs.
    #[serde(default, deserialize_with = "null_is_default")]
    pub symbol: String,
    /// Empty for orders of several legs.
    #[serde(default, deserialize_with = "null_is_default")]
    pub side: String,
    /// `null` for orders by value.
    #[serde(default)]
    pub qty: Option<Decimal>,
    /// Shares filled so far.
    #[serde(default)]
    pub filled_qty: Option<Decimal>,
    /// Mean price so far.
    #[serde(default)]
    pub filled_avg_price: Option<Decimal>,
    /// The status word, known or not.
    pub status: String,
    /// When the broker received it.
    #[serde(default, deserialize_with = "odd_is_none")]
    pub submitted_at: Option<Timestamp>,
}

/// An order that cannot be one of ours: of several legs, by an odd id or the like.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("order {id} cannot be followed: {reason}")]
pub struct OddOrder {
    id: String,
    reason: String,
}

impl WireOrder {
    /// The same as a report.
    ///
    /// # Errors
    /// A symbol, side or client order id that this bot could not have sent.
    pub fn report(&self) -> Result<OrderReport, OddOrder> {
        self.report_as(&self.client_order_id)
    }

    /// The same as a report, of whoever placed it: an id that this bot could not have made gives way to the broker's own.
    ///
    /// # Errors
    /// A symbol or side that this bot does not know.
    pub fn report_of_anyone(&self) -> Result<OrderReport, OddOrder> {
        self.report().or_else(|_| self.report_as(&self.id))
    }

    fn report_as(&self, client_order_id: &str) -> Result<OrderReport, OddOrder> {
        let odd = |reason: String| OddOrder { id: self.id.clone(), reason };
        let side = match self.side.as_str() {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            side => return Err(odd(format!("side must be buy or sell, was \"{side}\""))),
        };
        let filled = self.filled_qty.unwrap_or_default();
        Ok(OrderReport {
            client_order_id: client_order_id.parse().map_err(|error| odd(format!("{error}")))?,
            order_id: OrderId::new(&self.id),
            symbol: self.symbol.parse().map_err(|error| odd(format!("{error}")))?,
            side,
            quantity: Quantity::new(self.qty.unwrap_or(filled)),
            status: OrderStatus::from(self.status.as_str()),
            filled: Quantity::new(filled),
            average_price: self.filled_avg_price.and_then(|price| AveragePrice::new(price).ok()),
            submitted_at: self.submitted_at,
        })
    }
}

/// The account as the broker describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct WireAccount {
    /// The broker's id.
    pub id: String,
    /// `ACTIVE` when it may trade.
    #[serde(default)]
    pub status: Option<String>,
    /// Settled and unsettled cash.
    pub cash: Decimal,
    /// What new orders may cost.
    pub buying_power: Decimal,
    /// Cash plus the market value of all positions.
    pub equity: Decimal,
    /// True when no order is taken.
    #[serde(default, deserialize_with = "null_is_default")]
    pub trading_blocked: bool,
    /// True when nothing is allowed.
    #[serde(default, deserialize_with = "null_is_default")]
    pub account_blocked: bool,
    /// True when the owner stopped trading.
    #[serde(default, deserialize_with = "null_is_default")]
    pub trade_suspended_by_user: bool,
}

impl WireAccount {
    /// The same in the bot's words; positions that are no shares (options, say) are left out.
    pub fn to_broker(&self, positions: &[WirePosition]) -> Account {
        Account {
            id: self.id.clone(),
            cash: Money::new(self.cash),
            buying_power: Money::new(self.buying_power),
            equity: Money::new(self.equity),
            blocked: self.blocked(),
            holdings: positions.iter().filter_map(WirePosition::to_holding).collect(),
        }
    }

    fn blocked(&self) -> Option<String> {
        let inactive = self.status.as_deref().filter(|status| !status.eq_ignore_ascii_case("active"));
        if self.account_blocked {
            Some("the account is blocked".to_owned())
        } else if self.trading_blocked {
            Some("trading is blocked".to_owned())
        } else if self.trade_suspended_by_user {
            Some("trading is suspended by the owner".to_owned())
        } else {
            inactive.map(|status| format!("account status must be ACTIVE, was \"{status}\""))
        }
    }
}

/// A position as the broker describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct WirePosition {
    /// What; of coins without a slash, such as `BTCUSD`.
    pub symbol: String,
    /// `us_equity`, `crypto` or the like.
    #[serde(default, deserialize_with = "null_is_default")]
    pub asset_class: String,
    /// Shares, negative when short.
    pub qty: Decimal,
    /// Shares not held for open orders; missing in older answers.
    #[serde(default)]
    pub qty_available: Option<Decimal>,
    /// Mean entry price.
    #[serde(default)]
    pub avg_entry_price: Option<Decimal>,
    /// `long` or `short`.
    #[serde(default)]
    pub side: Option<String>,
    /// The latest price, `null` when there is none.
    #[serde(default)]
    pub current_price: Option<Decimal>,
}

impl WirePosition {
    fn to_holding(&self) -> Option<Holding> {
        let short = self.side.as_deref() == Some("short");
        let signed = |shares: Decimal| if short { -shares.abs() } else { shares };
        Some(Holding {
            symbol: self.symbol()?,
            quantity: Quantity::new(signed(self.qty)),
            available: Quantity::new(signed(self.qty_available.unwrap_or(self.qty))),
            average_price: self.avg_entry_price.and_then(|price| AveragePrice::new(price).ok()),
        })
    }

    /// As orders name it.
    fn symbol(&self) -> Option<Symbol> {
        let name = self.symbol.as_str();
        let is_joined = self.asset_class == "crypto" && !name.contains('/');
        let parts = COIN_CURRENCIES.iter().find_map(|currency| {
            let coin = name.strip_suffix(currency).filter(|coin| is_joined && !coin.is_empty())?;
            format!("{coin}/{currency}").parse().ok()
        });
        parts.or_else(|| name.parse().ok())
    }
}

/// What coins are priced in, longer codes first.
const COIN_CURRENCIES: [&str; 4] = ["USDC", "USDT", "USD", "BTC"];

/// The market clock.
#[derive(Debug, Clone, Deserialize)]
pub struct WireClock {
    /// The broker's time.
    pub timestamp: Timestamp,
    /// Whether the regular session is on.
    pub is_open: bool,
    /// When the next session opens.
    pub next_open: Timestamp,
    /// When this session, or the next one, closes.
    pub next_close: Timestamp,
}

impl From<WireClock> for SessionClock {
    fn from(clock: WireClock) -> Self {
        Self { is_open: clock.is_open, next_open: clock.next_open, next_close: clock.next_close }
    }
}

/// One session of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CalendarDay {
    /// New York date, `2026-10-08`.
    pub date: String,
    /// New York time, `09:30`.
    pub open: String,
    /// New York time, `16:00`.
    pub close: String,
}

/// Something that can be traded.
#[derive(Debug, Clone, Deserialize)]
pub struct WireAsset {
    /// The broker's id.
    pub id: String,
    /// `us_equity`, `crypto` or the like.
    #[serde(default, deserialize_with = "null_is_default")]
    pub class: String,
    /// Where it is listed.
    #[serde(default, deserialize_with = "null_is_default")]
    pub exchange: String,
    /// The ticker.
    pub symbol: String,
    /// `active` or `inactive`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: String,
    /// Whether orders are taken.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tradable: bool,
    /// Whether it may be sold short.
    #[serde(default, deserialize_with = "null_is_default")]
    pub shortable: bool,
    /// Whether parts of a share are traded.
    #[serde(default, deserialize_with = "null_is_default")]
    pub fractionable: bool,
}

/// How the cancelling of one order among all went.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cancelled {
    /// The broker's id of the order.
    pub id: String,
    /// An HTTP status, 200 when it was taken.
    pub status: u16,
}

/// An error's body, where it has one.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ErrorBody {
    /// Eight digits, the first three like an HTTP status.
    #[serde(default, deserialize_with = "odd_is_none")]
    pub(super) code: Option<u64>,
    /// For people; may change.
    #[serde(default, deserialize_with = "odd_is_none")]
    pub(super) message: Option<String>,
}

/// One frame of the order stream, whatever it is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamFrame {
    /// `authorization`, `listening`, `trade_updates` or something new.
    pub(super) stream: String,
    /// What it says.
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) data: StreamData,
}

/// What a frame says; each kind of frame has its own part of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamData {
    /// `authorized` or `unauthorized`.
    pub(super) status: Option<String>,
    /// The streams that are listened to.
    pub(super) streams: Option<Vec<String>>,
    /// `new`, `fill`, `canceled` and so on.
    pub(super) event: Option<String>,
    /// The order as it stands after the event.
    pub(super) order: Option<WireOrder>,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Reads what looks right; anything else is as good as absent.
fn odd_is_none<'de, D: Deserializer<'de>, T: Lenient>(from: D) -> Result<Option<T>, D::Error> {
    Ok(T::read(&serde_json::Value::deserialize(from)?))
}

trait Lenient: Sized {
    fn read(value: &serde_json::Value) -> Option<Self>;
}

impl Lenient for u64 {
    fn read(value: &serde_json::Value) -> Option<Self> {
        value.as_u64().or_else(|| u64::from_str(value.as_str()?).ok())
    }
}

impl Lenient for String {
    fn read(value: &serde_json::Value) -> Option<Self> {
        value.as_str().map(str::to_owned).filter(|text| !text.trim().is_empty())
    }
}

impl Lenient for Timestamp {
    fn read(value: &serde_json::Value) -> Option<Self> {
        Timestamp::parse_rfc3339(value.as_str()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(fields: &str) -> Result<OrderReport, String> {
        let order: WireOrder = serde_json::from_str(fields).map_err(|error| error.to_string())?;
        order.report().map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_sent_with_decimals_as_strings() {
        let request = OrderRequest {
            client_order_id: "bot-1".parse().unwrap(),
            symbol: "NVDA".parse().unwrap(),
            side: Side::Buy,
            quantity: "10.500".parse().unwrap(),
            order_type: OrderType::Limit("180.10".parse().unwrap()),
            time_in_force: TimeInForce::Ioc,
        };
        assert_eq!(
            serde_json::to_string(&NewOrder::from(&request)).unwrap(),
            r#"{"symbol":"NVDA","qty":"10.5","side":"buy","type":"limit","time_in_force":"ioc","limit_price":"180.1","client_order_id":"bot-1"}"#
        );
        let market = OrderRequest { order_type: OrderType::Market, ..request };
        assert!(!serde_json::to_string(&NewOrder::from(&market)).unwrap().contains("limit_price"));
    }

    #[test]
    fn decimals_are_read_from_strings_and_from_numbers() {
        let text = |qty: &str, price: &str| {
            format!(
                r#"{{"id":"o","client_order_id":"c","symbol":"KO","side":"buy","status":"filled","qty":{qty},
                "filled_qty":{qty},"filled_avg_price":{price}}}"#
            )
        };
        let strings = order(&text("\"1.5\"", "\"86.879891\"")).unwrap();
        let numbers = order(&text("1.5", "86.879891")).unwrap();
        assert_eq!(strings, numbers);
        assert_eq!(strings.average_price.unwrap().to_string(), "86.879891");
    }

    #[test]
    fn nulls_unknown_fields_and_unknown_statuses_are_tolerated() {
        let report = order(
            r#"{"id":"o","client_order_id":"c","symbol":"KO","side":"sell","status":"pending_review","qty":"2",
            "filled_qty":null,"filled_avg_price":null,"submitted_at":"yesterday","brand_new":{"a":[1]}}"#,
        )
        .unwrap();
        assert_eq!(report.status, OrderStatus::Other("pending_review".to_owned()));
        assert_eq!((report.filled, report.average_price, report.submitted_at), (Quantity::ZERO, None, None));
    }

    #[test]
    fn an_order_that_is_not_ours_to_read_says_why() {
        let legs = r#"{"id":"o","client_order_id":"c","symbol":null,"side":null,"status":"new"}"#;
        assert_eq!(
            order(legs).unwrap_err(),
            "order o cannot be followed: side must be buy or sell, was \"\""
        );
        let foreign = r#"{"id":"61d1feca-aa11","client_order_id":"et_bench.1","symbol":"KO","side":"buy","status":"new"}"#;
        assert!(order(foreign).unwrap_err().contains("client order id must be"));
        let foreign: WireOrder = serde_json::from_str(foreign).unwrap();
        assert_eq!(foreign.report_of_anyone().unwrap().client_order_id.as_str(), "61d1feca-aa11");
    }

    #[test]
    fn an_account_says_why_it_may_not_trade() {
        let read = |extra: &str| {
            let text = format!(r#"{{"id":"a","cash":"1","buying_power":2,"equity":"3"{extra}}}"#);
            serde_json::from_str::<WireAccount>(&text).unwrap().to_broker(&[]).blocked
        };
        assert_eq!(read(""), None);
        assert_eq!(read(r#","status":"ACTIVE","trading_blocked":null"#), None);
        assert_eq!(read(r#","trading_blocked":true"#).unwrap(), "trading is blocked");
        assert_eq!(
            read(r#","status":"ONBOARDING""#).unwrap(),
            "account status must be ACTIVE, was \"ONBOARDING\""
        );
    }

    #[test]
    fn a_short_position_is_negative_and_needs_no_price() {
        let read = |text: &str| serde_json::from_str::<WirePosition>(text).unwrap().to_holding();
        let short =
            read(r#"{"symbol":"KO","qty":"-3","side":"short","current_price":null,"avg_entry_price":"0"}"#)
                .unwrap();
        assert_eq!((short.quantity.to_string(), short.available.to_string()), ("-3".into(), "-3".into()));
        assert_eq!(short.average_price, None);
        assert_eq!(read(r#"{"symbol":"KO261120C00080000","qty":"1"}"#), None);
    }

    #[test]
    fn a_position_in_a_coin_is_known_by_the_name_that_orders_have() {
        let name = |symbol: &str, class: &str| {
            let text = format!(r#"{{"symbol":"{symbol}","asset_class":"{class}","qty":"0.05"}}"#);
            serde_json::from_str::<WirePosition>(&text).unwrap().to_holding().unwrap().symbol.to_string()
        };
        assert_eq!(name("BTCUSD", "crypto"), "BTC/USD");
        assert_eq!(name("ETHUSDT", "crypto"), "ETH/USDT");
        assert_eq!(name("BTC/USD", "crypto"), "BTC/USD");
        assert_eq!(name("BUSD", "us_equity"), "BUSD");
    }

    #[test]
    fn frames_and_error_bodies_are_read_as_far_as_they_make_sense() {
        let frame: StreamFrame = serde_json::from_str(r#"{"stream":"news","data":null,"x":1}"#).unwrap();
        assert!(frame.data.order.is_none());
        let error: ErrorBody = serde_json::from_str(r#"{"code":"40310000","message":{"a":1}}"#).unwrap();
        assert_eq!((error.code, error.message), (Some(40_310_000), None));
    }
}
