//! Long while a fast moving average stands above a slow one, short while below: of exponential or of simple averages.

use super::{LastLevel, PERIOD_MAX};
use crate::indicators::{Ema, Sma};
use crate::market::MarketEvent;
use crate::strategy::per_symbol::PerSymbol;
use crate::strategy::{Intents, Kind, Param, Strategy, StrategyError, View, usable_price};

pub(super) fn of_exponential() -> Kind {
    kind::<Ema>(
        "ema_cross",
        "Long while the fast exponential moving average stands above the slow one, short while below.",
        "Period of the fast average, alpha 2 / (n + 1).",
    )
}

pub(super) fn of_simple() -> Kind {
    kind::<Sma>(
        "sma_cross",
        "Long while the mean of the last `fast` prices stands above that of the last `slow`, short while below.",
        "Prices that the fast average is made of.",
    )
}

fn kind<A: Average>(name: &'static str, says: &'static str, fast: &'static str) -> Kind {
    let params = vec![
        Param::whole("fast", 10, 1, PERIOD_MAX, fast),
        Param::whole("slow", 20, 1, PERIOD_MAX, "Period of the slow average."),
        Param::whole("warmup", 0, 0, 100_000_000, "Events of a symbol on which nothing is wanted yet."),
    ];
    Kind::new(name, says, params, |params, symbols| {
        Ok(Box::new(AverageCross::<A> {
            fast: params.count("fast")?,
            slow: params.count("slow")?,
            warmup: params.count("warmup")?,
            crosses: PerSymbol::new(symbols),
        }))
    })
}

/// A moving average of prices.
trait Average: Send + 'static {
    fn new(period: usize, first: f64) -> Self;
    /// None while there are too few prices.
    fn next(&mut self, price: f64) -> Option<f64>;
}

impl Average for Ema {
    fn new(period: usize, first: f64) -> Self {
        Ema::started_at(period, first)
    }

    #[inline]
    fn next(&mut self, price: f64) -> Option<f64> {
        Ema::next(self, price)
    }
}

impl Average for Sma {
    fn new(period: usize, _first: f64) -> Self {
        Sma::new(period)
    }

    #[inline]
    fn next(&mut self, price: f64) -> Option<f64> {
        Sma::next(self, price)
    }
}

struct AverageCross<A> {
    fast: usize,
    slow: usize,
    warmup: usize,
    crosses: PerSymbol<Cross<A>>,
}

struct Cross<A> {
    fast: A,
    slow: A,
    seen: usize,
    /// 0 until the averages differ for the first time; when they are equal it stays what it was.
    level: i8,
    said: LastLevel,
}

impl<A: Average> Strategy for AverageCross<A> {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let Some(price) = usable_price(event) else { return Ok(()) };
        let Self { fast, slow, warmup, .. } = *self;
        let cross = self.crosses.of(event.symbol(), || Cross {
            fast: A::new(fast, price),
            slow: A::new(slow, price),
            seen: 0,
            level: 0,
            said: LastLevel::default(),
        });
        cross.seen += 1;
        let (Some(fast), Some(slow)) = (cross.fast.next(price), cross.slow.next(price)) else {
            return Ok(());
        };
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
