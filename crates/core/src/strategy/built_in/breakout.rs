//! With the move: long above the highest price of a period, short below the lowest.

use super::{LastLevel, PERIOD_MAX};
use crate::indicators::{Highest, Lowest};
use crate::market::MarketEvent;
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
    channels: PerSymbol<Channel>,
}

struct Channel {
    highest: Highest,
    lowest: Lowest,
    /// Lowest and highest of the prices before the latest.
    bounds: Option<(f64, f64)>,
    said: LastLevel,
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
        let channel = self.channels.of(event.symbol(), || Channel {
            highest: Highest::new(period),
            lowest: Lowest::new(period),
            bounds: None,
            said: LastLevel::default(),
        });
        let level = match channel.bounds {
            Some((_, high)) if price > high => 1,
            Some((low, _)) if price < low => -1,
            _ => 0,
        };
        channel.bounds = channel.lowest.next(price).zip(channel.highest.next(price));
        if level != 0
            && let Some(strength) = channel.said.change_to(level)
        {
            intents.signal(event.symbol(), strength)?;
        }
        Ok(())
    }
}
