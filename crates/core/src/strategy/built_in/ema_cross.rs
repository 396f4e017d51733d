//! Long while a fast moving average stands above a slow one, short while below.

use super::{LastLevel, PERIOD_MAX};
use crate::market::MarketEvent;
use crate::strategy::indicators::Ema;
use crate::strategy::per_symbol::PerSymbol;
use crate::strategy::{Intents, Kind, Param, Strategy, StrategyError, View, usable_price};

pub(super) fn kind() -> Kind {
    Kind::new(
        "ema_cross",
        "Long while the fast exponential moving average stands above the slow one, short while below.",
        vec![
            Param::whole("fast", 10, 1, PERIOD_MAX, "Period of the fast average, alpha 2 / (n + 1)."),
            Param::whole("slow", 20, 1, PERIOD_MAX, "Period of the slow average."),
            Param::whole(
                "warmup",
                0,
                0,
                100_000_000,
                "Events of a symbol on which nothing is wished for yet.",
            ),
        ],
        |params, symbols| {
            Ok(Box::new(EmaCross {
                fast: params.count("fast")?,
                slow: params.count("slow")?,
                warmup: params.count("warmup")?,
                crosses: PerSymbol::new(symbols),
            }))
        },
    )
}

struct EmaCross {
    fast: usize,
    slow: usize,
    warmup: usize,
    crosses: PerSymbol<Cross>,
}

struct Cross {
    fast: Ema,
    slow: Ema,
    seen: usize,
    /// 0 until the averages differ for the first time; when they are equal it stays what it was.
    level: i8,
    said: LastLevel,
}

impl Strategy for EmaCross {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let Some(price) = usable_price(event) else { return Ok(()) };
        let Self { fast, slow, warmup, .. } = *self;
        let cross = self.crosses.of(event.symbol(), || Cross {
            fast: Ema::new(fast, price),
            slow: Ema::new(slow, price),
            seen: 0,
            level: 0,
            said: LastLevel::default(),
        });
        cross.seen += 1;
        let (fast, slow) = (cross.fast.next(price), cross.slow.next(price));
        if fast > slow {
            cross.level = 1;
        } else if fast < slow {
            cross.level = -1;
        }
        if cross.seen > warmup
            && cross.level != 0
            && let Some(strength) = cross.said.change_to(cross.level)
        {
            intents.signal(event.symbol(), strength)?;
        }
        Ok(())
    }
}
