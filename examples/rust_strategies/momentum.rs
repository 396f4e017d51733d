//! `examples/strategies/momentum_strategy.rhai` in Rust: holds the symbols that rose most, looked at once a month.

use bot::indicators::{Indicator, Source};
use bot::strategy::{
    Intents, Kind, NamedIndicator, Needs, Param, Schedule, ScheduleError, Strategy, StrategyError, View,
};
use bot::symbol::Symbol;

struct Momentum {
    symbols: Vec<Symbol>,
    days: usize,
    count: usize,
    month_start: Schedule,
}

impl Strategy for Momentum {
    fn needs(&self) -> Needs {
        let momentum = NamedIndicator {
            name: "momentum".to_owned(),
            timeframe: None,
            indicator: Indicator::RateOfChange { source: Source::Close, period: self.days },
        };
        Needs { indicators: vec![momentum], schedules: vec![self.month_start.clone()], ..Needs::default() }
    }

    fn on_schedule(
        &mut self,
        _: &Schedule,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let momentum = |symbol: &Symbol| Some((view.indicator(*symbol, 0, 0)?, *symbol));
        let mut ranked: Vec<(f64, Symbol)> = self.symbols.iter().filter_map(momentum).collect();
        ranked.retain(|(momentum, _)| *momentum > 0.0);
        ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        ranked.truncate(self.count);
        let weight = 1.0 / f64::from(u32::try_from(self.count).map_err(StrategyError::failed)?);
        intents.set_holdings(ranked.into_iter().map(|(_, symbol)| (symbol, weight)))
    }
}

/// The kind `own_momentum`.
pub(crate) fn kind() -> Result<Kind, ScheduleError> {
    let month_start: Schedule = "month start".parse()?;
    let params = vec![
        Param::whole("days", 126, 5, 500, "days over which a return is taken"),
        Param::whole("count", 3, 1, 100, "symbols that are held"),
    ];
    let about = "The symbols that rose most, looked at once a month.";
    Ok(Kind::new("own_momentum", about, params, move |params, symbols| {
        Ok(Box::new(Momentum {
            symbols: symbols.to_vec(),
            days: params.count("days")?,
            count: params.count("count")?,
            month_start: month_start.clone(),
        }))
    }))
}
