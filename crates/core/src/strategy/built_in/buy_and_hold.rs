//! Long from the first price on, for good: what others are measured against.

use super::LastLevel;
use crate::market::MarketEvent;
use crate::strategy::per_symbol::PerSymbol;
use crate::strategy::{Intents, Kind, Strategy, StrategyError, View, usable_price};

pub(super) fn kind() -> Kind {
    Kind::new("buy_and_hold", "Long in each symbol from its first price on.", Vec::new(), |_, symbols| {
        Ok(Box::new(BuyAndHold(PerSymbol::new(symbols))))
    })
}

struct BuyAndHold(PerSymbol<LastLevel>);

impl Strategy for BuyAndHold {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        if usable_price(event).is_some()
            && let Some(strength) = self.0.of(event.symbol(), LastLevel::default).change_to(1)
        {
            intents.signal(event.symbol(), strength)?;
        }
        Ok(())
    }
}
