//! The desk's rules as they stand in a session's file: in the words of flags and manifests.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use bot_core::desk::{Pricing, Rules};
use bot_core::duration;
use bot_core::instrument::Instruments;
use bot_core::margin::Margin;
use bot_core::risk::Limits;
use bot_core::sizing::SellRule;
use bot_core::units::{BasisPoints, Money, Quantity, Weight};

#[derive(Serialize, Deserialize)]
struct WrittenRules {
    size: String,
    sell_only_in_profit: bool,
    /// None: market orders.
    limit_through_bps: Option<BasisPoints>,
    cash_buffer: Weight,
    signal_age_max: String,
    quote_age_max: String,
    spread_bps_max: BasisPoints,
    short: bool,
    flip_in_one: bool,
    order_qty_max: Option<Quantity>,
    order_notional_max: Option<Money>,
    position_notional_max: Option<Money>,
    orders_per_minute_max: Option<u32>,
    /// Those that are not what their kind says.
    #[serde(default)]
    instruments: Instruments,
    /// Initial and maintenance; none where nothing is required. Older sessions are of cash accounts.
    #[serde(default = "cash_account")]
    margin: Option<(Weight, Weight)>,
}

pub(super) fn serialize<S: Serializer>(rules: &Rules, serializer: S) -> Result<S::Ok, S::Error> {
    let Rules { size, sell, pricing, cash_buffer, limits, instruments, margin } = rules;
    WrittenRules {
        size: size.to_string(),
        sell_only_in_profit: *sell == SellRule::InProfit,
        limit_through_bps: match pricing {
            Pricing::Market => None,
            Pricing::Marketable(through) => Some(*through),
        },
        cash_buffer: *cash_buffer,
        signal_age_max: duration::format(limits.signal_age_max),
        quote_age_max: duration::format(limits.quote_age_max),
        spread_bps_max: limits.spread_max,
        short: limits.short,
        flip_in_one: limits.flip_in_one,
        order_qty_max: limits.order_quantity_max,
        order_notional_max: limits.order_notional_max,
        position_notional_max: limits.position_notional_max,
        orders_per_minute_max: limits.orders_per_minute_max,
        instruments: instruments.clone(),
        margin: parts(*margin),
    }
    .serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    let written = WrittenRules::deserialize(deserializer)?;
    let span = |text: &str| -> Result<Duration, D::Error> { duration::parse(text).map_err(D::Error::custom) };
    Ok(Rules {
        size: written.size.parse().map_err(D::Error::custom)?,
        sell: if written.sell_only_in_profit { SellRule::InProfit } else { SellRule::Always },
        pricing: written.limit_through_bps.map_or(Pricing::Market, Pricing::Marketable),
        cash_buffer: written.cash_buffer,
        limits: Limits {
            signal_age_max: span(&written.signal_age_max)?,
            quote_age_max: span(&written.quote_age_max)?,
            spread_max: written.spread_bps_max,
            short: written.short,
            flip_in_one: written.flip_in_one,
            order_quantity_max: written.order_qty_max,
            order_notional_max: written.order_notional_max,
            position_notional_max: written.position_notional_max,
            orders_per_minute_max: written.orders_per_minute_max,
        },
        instruments: written.instruments,
        margin: written
            .margin
            .map_or(Margin::None, |(initial, maintenance)| Margin::Required { initial, maintenance }),
    })
}

fn cash_account() -> Option<(Weight, Weight)> {
    parts(Margin::CASH)
}

fn parts(margin: Margin) -> Option<(Weight, Weight)> {
    match margin {
        Margin::None => None,
        Margin::Required { initial, maintenance } => Some((initial, maintenance)),
    }
}
