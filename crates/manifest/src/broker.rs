//! `[broker]`: where orders go, and on what terms a simulated broker fills them.

use std::fmt;
use std::time::Duration;

use super::value::{self, WrittenValue};
use super::written::Written;
use super::{KeyLine, Section, defaults};
use bot_core::duration;
use bot_core::margin::Margin;
use bot_core::units::{BasisPoints, Money, Weight};
use bot_simulated::{ExecutionModel, Fees, FillModel, OnShortCash, SizeAt};

/// The kinds of broker there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BrokerKind {
    /// Alpaca, paper unless a live endpoint is asked for in words.
    Alpaca,
    /// Matching within this process.
    Simulated,
}

/// Where orders go. All but the kind belong to a simulated broker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BrokerSection {
    /// Which broker.
    pub kind: Option<BrokerKind>,
    /// What a simulated broker starts with.
    pub cash: Option<Money>,
    /// At which price an order fills over history.
    pub fill: Option<FillModel>,
    /// What the broker takes.
    pub fees: Option<Fees>,
    /// How much worse than the market each fill is.
    pub slippage_bps: Option<BasisPoints>,
    /// How long an order is on its way.
    pub latency: Option<Duration>,
    /// The share of a bar's volume that an order may fill at the most.
    pub volume_share: Option<Weight>,
    /// What positions require of the equity over history.
    pub margin: Option<Margin>,
    /// What becomes of an order that the account cannot carry at its fill.
    pub on_short_cash: Option<OnShortCash>,
    /// Which price "all" and percentages are sized with over history.
    pub size_at: Option<SizeAt>,
}

const KINDS: [(&str, BrokerKind); 2] =
    [(BrokerKind::Alpaca.name(), BrokerKind::Alpaca), (BrokerKind::Simulated.name(), BrokerKind::Simulated)];
const FILLS: [(&str, FillModel); 3] = [
    (FillModel::NextOpen.name(), FillModel::NextOpen),
    (FillModel::SameClose.name(), FillModel::SameClose),
    (FillModel::Quote.name(), FillModel::Quote),
];
const SHORT_CASHES: [(&str, OnShortCash); 2] =
    [(OnShortCash::Reduce.name(), OnShortCash::Reduce), (OnShortCash::Reject.name(), OnShortCash::Reject)];
const SIZE_ATS: [(&str, SizeAt); 2] =
    [(SizeAt::Decision.name(), SizeAt::Decision), (SizeAt::Fill.name(), SizeAt::Fill)];
const SIMULATED_KEYS: [&str; 9] =
    ["cash", "fill", "fees", "slippage_bps", "latency", "volume_share", "margin", "on_short_cash", "size_at"];

impl BrokerKind {
    /// Whether one order may turn a position round.
    pub fn flips_in_one(self) -> bool {
        match self {
            Self::Alpaca => false,
            Self::Simulated => true,
        }
    }

    /// The name in manifests and flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alpaca => "alpaca",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for BrokerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl BrokerSection {
    /// On what terms orders fill over history. Where Alpaca is written, its stand-in takes Alpaca's fees.
    pub fn model(&self) -> ExecutionModel {
        let of_kind = match self.kind {
            Some(BrokerKind::Alpaca) => Fees::Alpaca,
            Some(BrokerKind::Simulated) | None => Fees::default(),
        };
        let usual = ExecutionModel::default();
        ExecutionModel {
            fill: self.fill.unwrap_or(usual.fill),
            fees: self.fees.unwrap_or(of_kind),
            slippage: self.slippage_bps.unwrap_or(usual.slippage),
            latency: self.latency.unwrap_or(usual.latency),
            volume_share: self.volume_share.or(usual.volume_share),
            margin: self.margin.unwrap_or(usual.margin),
            on_short_cash: self.on_short_cash.unwrap_or(usual.on_short_cash),
            size_at: self.size_at.unwrap_or(usual.size_at),
        }
    }

    /// What a simulated broker starts with.
    pub fn cash(&self) -> Money {
        self.cash.unwrap_or(defaults::CASH)
    }
}

impl Section for BrokerSection {
    const NAME: &'static str = "broker";

    fn read(written: &mut Written<'_, '_>) -> Self {
        let is_kind_written = written.value("kind").is_some();
        let kind = written.take("kind", |value| value::choice(&KINDS, value));
        // A kind that is written and wrong is one fault, not two.
        let is_simulated = kind.map_or(is_kind_written, |kind| kind == BrokerKind::Simulated);
        for key in SIMULATED_KEYS {
            if let (Some(value), false) = (written.value(key), is_simulated) {
                let kind = kind.unwrap_or(defaults::BROKER);
                let message = format!("is allowed with kind = \"simulated\" only, was kind = \"{kind}\"");
                written.fault_at(&value.span, &[key], message);
            }
        }
        Self {
            kind,
            cash: written.take("cash", value::money),
            fill: written.take("fill", |value| value::choice(&FILLS, value)),
            fees: fees(written),
            slippage_bps: written.take("slippage_bps", value::basis_points),
            latency: written.take("latency", value::wait),
            volume_share: written.take("volume_share", volume_share),
            margin: margin(written),
            on_short_cash: written.take("on_short_cash", |value| value::choice(&SHORT_CASHES, value)),
            size_at: written.take("size_at", |value| value::choice(&SIZE_ATS, value)),
        }
    }

    fn describe(&self) -> Vec<KeyLine> {
        let mut lines = vec![KeyLine::new("kind", self.kind, defaults::BROKER)];
        if self.kind == Some(BrokerKind::Simulated) {
            let usual = ExecutionModel::default();
            lines.extend([
                KeyLine::new("cash", self.cash, defaults::CASH),
                KeyLine::new("fill", self.fill, usual.fill),
                KeyLine::new("fees", self.fees, usual.fees),
                KeyLine::new("slippage_bps", self.slippage_bps, usual.slippage),
                KeyLine::new("latency", self.latency.map(duration::format), duration::format(usual.latency)),
                KeyLine::new("volume_share", self.volume_share.map(value::percent), "off"),
                KeyLine::new("margin", self.margin, usual.margin),
                KeyLine::new("on_short_cash", self.on_short_cash, usual.on_short_cash),
                KeyLine::new("size_at", self.size_at, usual.size_at),
            ]);
        }
        lines
    }
}

fn fees(written: &mut Written<'_, '_>) -> Option<Fees> {
    let value = written.value("fees")?;
    let row_kind = "\"none\", \"alpaca\" or a table such as { bps = 5 }";
    match value.str() {
        Some("none") => Some(Fees::None),
        Some("alpaca") => Some(Fees::Alpaca),
        None if value.kind.is_table() => written.table("fees", row_kind, |fees| {
            if fees.value("bps").is_none() {
                fees.fault_at(&value.span, &["bps"], "must be written, was missing".to_owned());
            }
            fees.take("bps", value::basis_points).map(Fees::Bps)
        })?,
        Some(_) | None => {
            written.fault_at(&value.span, &["fees"], value.breaks(&format!("must be {row_kind}")));
            None
        }
    }
}

/// What is not written of the table is as usual; a maintenance that is not written is at most the initial part.
fn margin(written: &mut Written<'_, '_>) -> Option<Margin> {
    let value = written.value("margin")?;
    let row_kind = "\"none\" or a table such as { initial = \"100%\", maintenance = \"25%\" }";
    match value.str() {
        Some("none") => Some(Margin::None),
        None if value.kind.is_table() => written.table("margin", row_kind, |margin| {
            let initial = margin.take("initial", initial).unwrap_or(Weight::ONE);
            let usual = Weight::percent(25).min(initial);
            let maintenance = margin.take("maintenance", fraction).unwrap_or(usual);
            if maintenance > initial {
                let rule = format!("must be at most the initial {}", value::percent(initial));
                let message = format!("{rule}, was {}", value::percent(maintenance));
                margin.fault_at(&value.span, &["maintenance"], message);
            }
            Some(Margin::Required { initial, maintenance })
        })?,
        Some(_) | None => {
            written.fault_at(&value.span, &["margin"], value.breaks(&format!("must be {row_kind}")));
            None
        }
    }
}

fn initial(value: &WrittenValue<'_>) -> Result<Weight, String> {
    value::fraction(value)
        .filter(|part| *part > Weight::ZERO)
        .ok_or_else(|| value.breaks("must be above 0 to 1, as a fraction such as 0.5 or \"50%\""))
}

fn fraction(value: &WrittenValue<'_>) -> Result<Weight, String> {
    value::fraction(value)
        .ok_or_else(|| value.breaks("must be from 0 to 1, as a fraction such as 0.25 or \"25%\""))
}

fn volume_share(value: &WrittenValue<'_>) -> Result<Weight, String> {
    value::fraction(value)
        .filter(|share| *share > Weight::ZERO)
        .ok_or_else(|| value.breaks("must be above 0 to 1, as a fraction such as 0.1 or \"10%\""))
}
