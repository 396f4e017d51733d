//! With the move: long above the highest price of a period, short below the lowest.

use super::{LastLevel, PERIOD_MAX};
use crate::market::MarketEvent;
use crate::strategy::indicators::Channel;
use crate::strategy::per_symbol::PerSymbol;
use crate::strategy::{Intents, Kind, Param, Strategy, StrategyError, View, usable_price};

pub(super) fn kind() -> Kind {
    Kind::new(
        "breakout",
        "Long when the price rises above the highest of the `period` prices before it, short when it falls below the lowest.",
        vec![Param::whole("period", 20, 1, PERIOD_MAX, "Prices that the channel is made of.")],
        |params, symbols| {
            Ok(Box::new(Breakout { period: params.count("period")?, channels: PerSymbol::new(symbols) }))
        },
    )
}

struct Breakout {
    period: usize,
    channels: PerSymbol<(Channel, LastLevel)>,
}

impl Strategy for Breakout {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let Some(price) = usable_price(event) else { return Ok(()) };
        let period = self.period;
        let (channel, said) =
            self.channels.of(event.symbol(), || (Channel::new(period), LastLevel::default()));
        let level = match channel.extremes() {
            Some((_, high)) if price > high => 1,
            Some((low, _)) if price < low => -1,
            _ => 0,
        };
        channel.push(price);
        if level != 0
            && let Some(strength) = said.change_to(level)
        {
            intents.signal(event.symbol(), strength)?;
        }
        Ok(())
    }
}
