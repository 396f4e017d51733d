//! `examples/strategies/sma_cross_strategy.rhai` in Rust: all in while the fast average stands above the slow one.

use bot::indicators::{Indicator, Source};
use bot::strategy::{BarSlice, Intents, Kind, NamedIndicator, Needs, Param, Strategy, StrategyError, View};

struct SmaCross {
    fast: usize,
    slow: usize,
}

/// The places of the indicators.
const FAST: usize = 0;
const SLOW: usize = 1;

impl Strategy for SmaCross {
    fn needs(&self) -> Needs {
        let sma = |name: &str, period| NamedIndicator {
            name: name.to_owned(),
            timeframe: None,
            indicator: Indicator::Sma { source: Source::Close, period },
        };
        Needs { indicators: vec![sma("fast", self.fast), sma("slow", self.slow)], ..Needs::default() }
    }

    fn on_bar(
        &mut self,
        bars: &BarSlice<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        for (symbol, _) in bars.iter() {
            let averages = view.indicator(symbol, FAST, 0).zip(view.indicator(symbol, SLOW, 0));
            let Some((fast, slow)) = averages else { continue };
            let is_long = view.position(symbol).is_positive();
            if fast > slow && !is_long {
                intents.order_target_percent(symbol, 1.0)?;
            } else if fast < slow && is_long {
                intents.close(symbol);
            }
        }
        Ok(())
    }
}

/// The kind `own_sma_cross`.
pub(crate) fn kind() -> Kind {
    let params = vec![
        Param::whole("fast", 10, 2, 200, "bars of the fast average"),
        Param::whole("slow", 40, 3, 400, "bars of the slow average"),
    ];
    Kind::new("own_sma_cross", "All in while a fast average stands above a slow one.", params, |params, _| {
        Ok(Box::new(SmaCross { fast: params.count("fast")?, slow: params.count("slow")? }))
    })
}
