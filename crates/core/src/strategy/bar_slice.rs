//! The bars of one instant and timeframe.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::market::{Bar, MarketEvent};
use crate::symbol::Symbol;

/// Bars that ended together, in the order of their symbols; never empty.
#[derive(Debug, Clone, Copy)]
pub struct BarSlice<'a>(&'a [MarketEvent]);

impl<'a> BarSlice<'a> {
    /// Of bars of one instant and timeframe; other events of `events` are not seen.
    pub(super) fn new(events: &'a [MarketEvent]) -> Self {
        Self(events)
    }

    /// Each bar with its symbol.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &'a Bar)> + use<'a> {
        self.0.iter().filter_map(|event| match event {
            MarketEvent::Bar { symbol, bar, .. } => Some((*symbol, bar)),
            MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. } => None,
        })
    }

    /// The bar of `symbol`; none where it has none at this instant.
    pub fn get(&self, symbol: Symbol) -> Option<&'a Bar> {
        self.iter().find_map(|(own, bar)| (own == symbol).then_some(bar))
    }

    /// How long each of them is.
    pub fn timeframe(&self) -> Duration {
        match self.0.first() {
            Some(MarketEvent::Bar { span, .. }) => *span,
            Some(MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. })
            | None => Duration::ZERO,
        }
    }

    /// When they ended.
    pub fn at(&self) -> Timestamp {
        self.0.first().map_or(Timestamp::from_nanos(i64::MIN), MarketEvent::known_at)
    }

    /// The same as events.
    pub fn events(&self) -> &'a [MarketEvent] {
        self.0
    }
}

/// Whether a strategy is asked about both at once: bars of one instant and timeframe.
pub(super) fn is_together(first: &MarketEvent, second: &MarketEvent) -> bool {
    match (first, second) {
        (MarketEvent::Bar { span, .. }, MarketEvent::Bar { span: other, .. }) => {
            span == other && first.known_at() == second.known_at()
        }
        (
            MarketEvent::Bar { .. }
            | MarketEvent::Quote { .. }
            | MarketEvent::Trade { .. }
            | MarketEvent::Number { .. },
            _,
        ) => false,
    }
}
