//! On what terms orders fill over history: at which price, at what cost, how late, and of how much of the volume.

use std::fmt;
use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::order::Side;
use crate::units::{BasisPoints, Money, Quantity, Weight};

/// At which price an order fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FillModel {
    /// At the next bar's open: what a signal at a bar's close can get at the earliest.
    #[default]
    NextOpen,
    /// At the close of the bar that gave the signal: kinder than any market is.
    SameClose,
    /// At the displayed quote, as far as its size goes; trades and bars fill nothing.
    Quote,
}

/// What the broker takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fees {
    /// Nothing.
    #[default]
    None,
    /// What Alpaca passes on of regulators' fees: the trading activity fee on sells, the audit trail's on both sides.
    Alpaca,
    /// So many basis points of the money that changes hands, on both sides.
    Bps(BasisPoints),
}

/// The terms of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// At which price an order fills.
    pub fill: FillModel,
    /// What the broker takes.
    pub fees: Fees,
    /// How much worse than that price, for the one who trades.
    pub slippage: BasisPoints,
    /// How long an order is on its way.
    pub latency: Duration,
    /// The share of a bar's volume that an order may fill at the most; none for no limit.
    pub volume_share: Option<Weight>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            fill: FillModel::default(),
            fees: Fees::default(),
            slippage: BasisPoints::whole(0),
            latency: Duration::ZERO,
            volume_share: None,
        }
    }
}

impl FillModel {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NextOpen => "next_open",
            Self::SameClose => "same_close",
            Self::Quote => "quote",
        }
    }
}

impl fmt::Display for FillModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Fees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Alpaca => f.pad("alpaca"),
            Self::Bps(bps) => write!(f, "{bps} bps"),
        }
    }
}

/// Alpaca's page of regulatory fees (<https://alpaca.markets/support/regulatory-fees>), as read in November 2026: the
/// SEC's fee stands at 0 dollars per million there since May 2025.
const TAF_PER_SHARE: Decimal = Decimal::from_parts(166, 0, 0, false, 6);
const TAF_MAX: Decimal = Decimal::from_parts(830, 0, 0, false, 2);
const CAT_PER_SHARE: Decimal = Decimal::from_parts(265, 0, 0, false, 7);

impl Fees {
    /// The fee of one fill of `quantity` shares for `money`, in whole cents rounded up for `Alpaca`, exact otherwise.
    pub fn of(self, side: Side, quantity: Quantity, money: Money) -> Money {
        match self {
            Fees::None => Money::ZERO,
            Fees::Bps(bps) => Money::new(money.get() * bps.fraction()),
            Fees::Alpaca => {
                let shares = quantity.get();
                let taf = match side {
                    Side::Buy => Decimal::ZERO,
                    Side::Sell => up_to_cent((shares * TAF_PER_SHARE).min(TAF_MAX)),
                };
                Money::new(taf + up_to_cent(shares * CAT_PER_SHARE))
            }
        }
    }
}

fn up_to_cent(dollars: Decimal) -> Decimal {
    dollars.round_dp_with_strategy(2, RoundingStrategy::ToPositiveInfinity)
}
