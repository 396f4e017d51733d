//! Against the move: long when the relative strength index is low, short when it is high, flat at its middle.

use super::{LastLevel, PERIOD_MAX};
use crate::indicators::Rsi;
use crate::market::MarketEvent;
use crate::strategy::per_symbol::PerSymbol;
use crate::strategy::{Intents, Kind, Param, ParamFault, Strategy, StrategyError, View, usable_price};

/// Where a position is closed.
const MIDDLE: f64 = 50.0;

pub(super) fn kind() -> Kind {
    Kind::new(
        "rsi_reversion",
        "Long when Wilder's relative strength index falls below `low`, short above `high`, flat when it is back at 50.",
        vec![
            Param::whole("period", 14, 1, PERIOD_MAX, "Changes that the index looks at."),
            Param::number("low", 30.0, 0.0, 50.0, "Below this it goes long."),
            Param::number("high", 70.0, 50.0, 100.0, "Above this it goes short."),
        ],
        |params, symbols| {
            let (low, high) = (params.number("low")?, params.number("high")?);
            if low >= high {
                return Err(ParamFault::new("low", format!("must be below high {high}, was \"{low}\"")));
            }
            Ok(Box::new(RsiReversion {
                period: params.count("period")?,
                low,
                high,
                seen: PerSymbol::new(symbols),
            }))
        },
    )
}

struct RsiReversion {
    period: usize,
    low: f64,
    high: f64,
    seen: PerSymbol<RsiState>,
}

struct RsiState {
    rsi: Rsi,
    level: i8,
    said: LastLevel,
}

impl Strategy for RsiReversion {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let Some(price) = usable_price(event) else { return Ok(()) };
        let period = self.period;
        let state = self.seen.of(event.symbol(), || RsiState {
            rsi: Rsi::new(period),
            level: 0,
            said: LastLevel(Some(0)),
        });
        let Some(index) = state.rsi.next(price) else { return Ok(()) };
        let is_back = (state.level > 0 && index >= MIDDLE) || (state.level < 0 && index <= MIDDLE);
        if index < self.low {
            state.level = 1;
        } else if index > self.high {
            state.level = -1;
        } else if is_back {
            state.level = 0;
        }
        if let Some(strength) = state.said.change_to(state.level) {
            intents.signal(event.symbol(), strength)?;
        }
        Ok(())
    }
}
