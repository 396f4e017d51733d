//! What is bought once what is sold before it is sold, so that its money is there. Pure.

use crate::signal::TargetWeight;
use crate::symbol::Symbol;

/// Parts of a book's equity by symbol.
pub(super) type Weights = Vec<(Symbol, TargetWeight)>;

/// Buys of one change of holdings, and the sells that they wait for.
#[derive(Debug, Default)]
pub(super) struct WaitingBuys {
    sells: Vec<Symbol>,
    buys: Weights,
}

impl WaitingBuys {
    /// Nothing waits where nothing is sold.
    pub(super) fn new(sells: &Weights, buys: &Weights) -> Self {
        if sells.is_empty() {
            return Self::default();
        }
        Self { sells: sells.iter().map(|(symbol, _)| *symbol).collect(), buys: buys.clone() }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.sells.is_empty()
    }

    /// An order in `symbol` is over; what waited for it as the last one.
    pub(super) fn sold(&mut self, symbol: Symbol) -> Option<Weights> {
        let waited = self.is_waiting();
        self.sells.retain(|other| *other != symbol);
        (waited && self.sells.is_empty()).then(|| std::mem::take(&mut self.buys))
    }
}
