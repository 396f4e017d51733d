//! On what terms orders fill over history: at which price, at what cost, how late, and of how much of the volume.

use std::fmt;
use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

use bot_core::margin::Margin;
use bot_core::order::Side;
use bot_core::units::{BasisPoints, Money, Quantity, Weight};

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

/// What becomes of an order that costs more at its fill, fee included, than the account can carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnShortCash {
    /// It is reduced to the whole shares that the account can carry.
    #[default]
    Reduce,
    /// It is rejected.
    Reject,
}

/// Which price "all" and percentages are sized with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SizeAt {
    /// The price that is known at the decision.
    #[default]
    Decision,
    /// The price of the fill, fee included.
    Fill,
}

/// The terms of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionModel {
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
    /// What positions require of the equity.
    pub margin: Margin,
    /// What becomes of an order that the account cannot carry at its fill.
    pub on_short_cash: OnShortCash,
    /// Which price "all" and percentages are sized with.
    pub size_at: SizeAt,
}

impl Default for ExecutionModel {
    fn default() -> Self {
        Self {
            fill: FillModel::default(),
            fees: Fees::default(),
            slippage: BasisPoints::whole(0),
            latency: Duration::ZERO,
            volume_share: None,
            margin: Margin::default(),
            on_short_cash: OnShortCash::default(),
            size_at: SizeAt::default(),
        }
    }
}

impl OnShortCash {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reduce => "reduce",
            Self::Reject => "reject",
        }
    }
}

impl SizeAt {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Fill => "fill",
        }
    }
}

impl fmt::Display for OnShortCash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for SizeAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl ExecutionModel {
    /// How orders fill, what they cost and what positions require, in sentences.
    pub fn words(&self) -> Vec<String> {
        let model = self;
        let mut words = vec![match model.fill {
            FillModel::NextOpen => {
                "An order fills at the next bar's open (the next print's price, the next quote's side) of its symbol.".to_owned()
            }
            FillModel::SameClose => {
                "An order fills at the close of the bar that gave its signal, which is kinder than any market is.".to_owned()
            }
            FillModel::Quote => {
                "An order fills at the displayed quote, a buy at the ask and a sell at the bid, up to the displayed size."
                    .to_owned()
            }
        }];
        words.push(
            "Every order is immediate-or-cancel: what that price does not fill is cancelled.".to_owned(),
        );
        if !model.latency.is_zero() {
            words.push(format!("It is on its way for {} first.", bot_core::duration::format(model.latency)));
        }
        words.push(match model.volume_share {
            Some(share) => format!(
                "It fills {}% of the bar's volume (of the print's size) at the most.",
                (share.get() * Decimal::ONE_HUNDRED).normalize()
            ),
            None => "The volume does not bound it.".to_owned(),
        });
        words.push(format!(
            "Slippage: {} bps against the one who trades. Fees: {}.",
            model.slippage, model.fees
        ));
        words.push(match model.size_at {
            SizeAt::Decision => "Sizes are made with the price that is known at the decision.".to_owned(),
            SizeAt::Fill => {
                "\"all\" and percentages are made with the price of the fill, its fee included.".to_owned()
            }
        });
        words.push(match model.margin {
            Margin::None => "There is no margin requirement: no order is too large, and nothing is liquidated.".to_owned(),
            Margin::Required { initial, maintenance } => {
                let percent = |part: Weight| (part.get() * Decimal::ONE_HUNDRED).normalize();
                let too_large = match model.on_short_cash {
                    OnShortCash::Reduce => "reduced to what the account can carry",
                    OnShortCash::Reject => "rejected",
                };
                format!(
                    "Margin: equity must be {}% of the exposure (long and short positions) after an order that adds to it; one \
                     that leaves less behind, its fee included, is {too_large}. Below {}% of the exposure all positions are \
                     liquidated at the next price.",
                    percent(initial),
                    percent(maintenance)
                )
            }
        });
        words
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
            Fees::Bps(bps) => money * bps,
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
