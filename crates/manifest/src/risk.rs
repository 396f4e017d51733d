//! `[risk]`: limits, each of them off unless it is set (the spread's has a default).

use super::value::{self, WrittenValue};
use super::written::Written;
use super::{KeyLine, Section, defaults};
use bot_core::risk::Limits;
use bot_core::units::{BasisPoints, Money, Quantity};

/// Limits that hold for every order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RiskSection {
    /// Whether a position may go below 0.
    pub short: Option<bool>,
    /// Shares in one order.
    pub order_qty_max: Option<Quantity>,
    /// Dollars in one order.
    pub order_notional_max: Option<Money>,
    /// Dollars in one symbol's position.
    pub position_notional_max: Option<Money>,
    /// Orders of the whole pool in any minute.
    pub orders_per_minute_max: Option<u32>,
    /// Ask over bid; a wider quote prices nothing.
    pub spread_bps_max: Option<BasisPoints>,
}

impl RiskSection {
    /// The limits with their defaults; ages are the pool's.
    pub fn limits(&self) -> Limits {
        Limits {
            spread_max: self.spread_bps_max.unwrap_or(defaults::SPREAD_BPS_MAX),
            short: self.short.unwrap_or(defaults::SHORT),
            order_quantity_max: self.order_qty_max,
            order_notional_max: self.order_notional_max,
            position_notional_max: self.position_notional_max,
            orders_per_minute_max: self.orders_per_minute_max,
            ..Limits::default()
        }
    }
}

impl Section for RiskSection {
    const NAME: &'static str = "risk";

    fn read(written: &mut Written<'_, '_>) -> Self {
        Self {
            short: written.take("short", value::truth),
            order_qty_max: written.take("order_qty_max", value::quantity),
            order_notional_max: written.take("order_notional_max", value::money),
            position_notional_max: written.take("position_notional_max", value::money),
            orders_per_minute_max: written.take("orders_per_minute_max", value::whole(1..=1_000_000)),
            spread_bps_max: written.take("spread_bps_max", basis_points),
        }
    }

    fn describe(&self) -> Vec<KeyLine> {
        vec![
            KeyLine::new("short", self.short, defaults::SHORT),
            KeyLine::new("order_qty_max", self.order_qty_max, "off"),
            KeyLine::new("order_notional_max", self.order_notional_max, "off"),
            KeyLine::new("position_notional_max", self.position_notional_max, "off"),
            KeyLine::new("orders_per_minute_max", self.orders_per_minute_max, "off"),
            KeyLine::new("spread_bps_max", self.spread_bps_max, defaults::SPREAD_BPS_MAX),
        ]
    }
}

fn basis_points(value: &WrittenValue<'_>) -> Result<BasisPoints, String> {
    value
        .decimal()
        .filter(|number| number.is_sign_positive() && !number.is_zero())
        .and_then(|number| BasisPoints::new(number).ok())
        .ok_or_else(|| value.breaks("must be a number of basis points above 0"))
}
