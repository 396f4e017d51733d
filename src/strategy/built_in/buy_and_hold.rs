//! Long from the first price on, for good: what others are measured against.

use super::Said;
use crate::market::MarketEvent;
use crate::strategy::per_symbol::PerSymbol;
use crate::strategy::{Kind, Strategy, StrategyError, View, Wishes, usable_price};

pub(super) fn kind() -> Kind {
    Kind::new("buy_and_hold", "Long in each symbol from its first price on.", Vec::new(), |_, symbols| {
        Ok(Box::new(BuyAndHold(PerSymbol::new(symbols))))
    })
}

struct BuyAndHold(PerSymbol<Said>);

impl Strategy for BuyAndHold {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        wishes: &mut Wishes,
    ) -> Result<(), StrategyError> {
        if usable_price(event).is_some()
            && let Some(strength) = self.0.of(event.symbol(), Said::default).change_to(1)
        {
            wishes.signal(event.symbol(), strength)?;
        }
        Ok(())
    }
}
