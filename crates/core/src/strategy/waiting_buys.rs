//! What is bought once what is sold before it is sold, so that its money is there. Pure.

use crate::signal::{Tag, TargetWeight};
use crate::symbol::Symbol;

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
}

impl WaitingBuys {
    /// Nothing waits where nothing is sold.
    pub(super) fn new(sells: &[WeightTarget], buys: &[WeightTarget]) -> Self {
        if sells.is_empty() {
            return Self::default();
        }
        Self { sells: sells.iter().map(|sell| sell.symbol).collect(), buys: buys.to_vec() }
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
