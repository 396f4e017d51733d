//! What is bought once what is sold before it is sold, so that its money is there. Pure.

use serde::{Deserialize, Serialize};

use crate::signal::{Tag, TargetWeight};
use crate::symbol::Symbol;

/// What of a strategy in a run outlives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct KeptRun {
    /// The strategy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// Symbol, weight and tag of what still waits to be bought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    buys: Vec<(Symbol, f64, Option<String>)>,
}

impl KeptRun {
    pub(super) fn new(state: Option<String>, buys: &WaitingBuys) -> Self {
        let tag = |buy: &WeightTarget| buy.tag.as_ref().map(|tag| tag.as_str().to_owned());
        let buys = buys.buys.iter().map(|buy| (buy.symbol, buy.weight.get(), tag(buy))).collect();
        Self { state, buys }
    }

    /// What still waits to be bought.
    pub(super) fn buys(&self) -> Vec<WeightTarget> {
        let buy = |(symbol, weight, tag): &(Symbol, f64, Option<String>)| {
            let weight = TargetWeight::new(*weight).ok()?;
            let tag = tag.as_deref().and_then(|tag| Tag::new(tag).ok());
            Some(WeightTarget { symbol: *symbol, weight, tag })
        };
        self.buys.iter().filter_map(buy).collect()
    }
}

/// The part of a book's equity that is to be held in one symbol.
#[derive(Debug, Clone)]
pub(super) struct WeightTarget {
    pub(super) symbol: Symbol,
    pub(super) weight: TargetWeight,
    pub(super) tag: Option<Tag>,
}

/// Buys of one change of holdings, and the sells that they wait for.
#[derive(Debug, Default)]
pub(super) struct WaitingBuys {
    sells: Vec<Symbol>,
    buys: Vec<WeightTarget>,
    /// Whether anything ever waited.
    pub(super) is_used: bool,
}

impl WaitingBuys {
    /// What waited before is forgotten. Nothing waits where nothing is sold.
    pub(super) fn wait(&mut self, sells: &[WeightTarget], buys: &[WeightTarget]) {
        self.sells.clear();
        self.buys.clear();
        if !sells.is_empty() {
            self.sells.extend(sells.iter().map(|sell| sell.symbol));
            self.buys.extend_from_slice(buys);
            self.is_used |= !buys.is_empty();
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.sells.is_empty()
    }

    /// An order in `symbol` is over; what waited for it as the last one.
    pub(super) fn sold(&mut self, symbol: Symbol) -> Option<Vec<WeightTarget>> {
        let waited = self.is_waiting();
        self.sells.retain(|other| *other != symbol);
        (waited && self.sells.is_empty()).then(|| std::mem::take(&mut self.buys))
    }
}
