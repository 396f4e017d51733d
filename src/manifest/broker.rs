//! `[broker]`: where orders go.

use std::fmt;

use super::written::Written;
use super::{Line, Section, defaults, value};
use crate::units::Money;

/// The kinds of broker there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BrokerKind {
    /// Alpaca, paper unless a live endpoint is asked for in words.
    Alpaca,
    /// Matching within this process.
    Simulated,
}

/// Where orders go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BrokerSection {
    /// Which broker.
    pub kind: Option<BrokerKind>,
    /// What a simulated broker starts with.
    pub cash: Option<Money>,
}

const KINDS: [(&str, BrokerKind); 2] =
    [(BrokerKind::Alpaca.name(), BrokerKind::Alpaca), (BrokerKind::Simulated.name(), BrokerKind::Simulated)];

impl BrokerKind {
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

impl Section for BrokerSection {
    const NAME: &'static str = "broker";

    fn read(written: &mut Written<'_, '_>) -> Self {
        let kind_at = written.value("kind").map(|kind| kind.span);
        let kind = written.take("kind", |value| value::choice(&KINDS, value));
        let cash_at = written.value("cash").map(|cash| cash.span);
        let cash = written.take("cash", value::money);
        // A kind that is written and wrong is one fault, not two.
        let simulated = kind.map_or(kind_at.is_some(), |kind| kind == BrokerKind::Simulated);
        if let (Some(at), false) = (cash_at, simulated) {
            let kind = kind.unwrap_or(defaults::BROKER);
            let message = format!("is allowed with kind = \"simulated\" only, was kind = \"{kind}\"");
            written.fault_at(&at, &["cash"], message);
        }
        Self { kind, cash }
    }

    fn describe(&self) -> Vec<Line> {
        let mut lines = vec![Line::new("kind", self.kind, defaults::BROKER)];
        if self.kind == Some(BrokerKind::Simulated) {
            lines.push(Line::new("cash", self.cash, defaults::CASH));
        }
        lines
    }
}
