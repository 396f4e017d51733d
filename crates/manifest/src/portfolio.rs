//! `[portfolio]`: how the money is spread over symbols.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::value::{self, WrittenValue, fraction, percent};
use super::written::Written;
use super::{KeyLine, Section, defaults};
use bot_core::symbol::Symbol;
use bot_core::units::Weight;

pub use bot_core::portfolio::Combine;
pub use bot_core::sizing::WeightRule as Weights;

const COMBINES: [(&str, Combine); 2] =
    [(Combine::Separate.name(), Combine::Separate), (Combine::Net.name(), Combine::Net)];

/// How the money is spread over symbols.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PortfolioSection {
    /// How the strategies' intents come together.
    pub combine: Option<Combine>,
    /// Each symbol's target share.
    pub weights: Option<Weights>,
    /// The fraction of the equity that is never spent, below 1.
    pub cash_buffer: Option<Weight>,
}

impl PortfolioSection {
    /// How the strategies' intents come together.
    pub fn combine(&self) -> Combine {
        self.combine.unwrap_or(defaults::COMBINE)
    }
}

impl Section for PortfolioSection {
    const NAME: &'static str = "portfolio";

    fn read(written: &mut Written<'_, '_>) -> Self {
        let combine = written.take("combine", |value| value::choice(&COMBINES, value));
        Self { combine, weights: weights(written), cash_buffer: written.take("cash_buffer", cash_buffer) }
    }

    fn describe(&self) -> Vec<KeyLine> {
        vec![
            KeyLine::new("combine", self.combine, defaults::COMBINE),
            KeyLine::new("weights", self.weights.as_ref(), defaults::WEIGHTS),
            KeyLine::new("cash_buffer", self.cash_buffer.map(percent), percent(defaults::CASH_BUFFER)),
        ]
    }
}

fn weights(written: &mut Written<'_, '_>) -> Option<Weights> {
    let value = written.value("weights")?;
    match (value.str(), value.kind) {
        (Some("equal"), _) => Some(Weights::Equal),
        (Some("inverse_volatility"), _) => Some(Weights::InverseVolatility),
        (None, DeValue::Table(_)) => Some(fixed(written, &value)),
        _ => {
            let rule =
                "must be \"equal\", \"inverse_volatility\" or a table such as { NVDA = 0.6, SPY = 0.4 }";
            written.fault_at(&value.span, &["weights"], value.breaks(rule));
            None
        }
    }
}

fn fixed(written: &mut Written<'_, '_>, table: &WrittenValue<'_>) -> Weights {
    let entries = table.entries();
    let mut weights = BTreeMap::new();
    for (name, at, value) in &entries {
        let mut fault =
            |at: &Range<usize>, message: String| written.fault_at(at, &["weights", name], message);
        let symbol = Symbol::from_str(name).map_err(|error| fault(at, error.to_string())).ok();
        let Some(value) = value else { continue };
        let Some(weight) = fraction(value) else {
            fault(&value.span, value.breaks("must be a weight from 0 to 1, such as 0.6 or \"60%\""));
            continue;
        };
        let Some(symbol) = symbol else { continue };
        if weights.insert(symbol, weight).is_some() {
            fault(at, format!("symbol must be written once, was \"{symbol}\" before"));
        }
    }
    let sum: Decimal = weights.values().map(|weight| weight.get()).sum();
    if sum > Decimal::ONE {
        let message = format!("weights must sum to at most 1, was \"{}\"", sum.normalize());
        written.fault_at(&table.span, &["weights"], message);
    } else if entries.is_empty() {
        written.fault_at(&table.span, &["weights"], "must name at least one symbol, was empty".to_owned());
    }
    Weights::Fixed(weights)
}

fn cash_buffer(value: &WrittenValue<'_>) -> Result<Weight, String> {
    fraction(value)
        .filter(|buffer| *buffer < Weight::ONE)
        .ok_or_else(|| value.breaks("must be 0 to below 1, as a fraction such as 0.02 or \"2%\""))
}
