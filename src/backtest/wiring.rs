//! From a manifest to a run: which sources, which strategies, which terms.

use thiserror::Error;

use super::run::{FOR_EVER, Setup, StrategySetup};
use crate::data::{DataError, Source, Spec};
use crate::desk::Rules;
use crate::manifest::{BrokerKind, DataSection, Manifest, StrategySection, defaults};
use crate::market::Bar;
use crate::risk::Limits;
use crate::sizing::{self, SizeRule, WeightError};
use crate::strategy::{MakeError, Runner};
use crate::symbol::Symbol;
use crate::target::Sizing;
use crate::units::{Money, Weight};

/// Why a manifest makes no run.
#[derive(Debug, Error)]
pub enum WiringError {
    /// A strategy is not made.
    #[error("strategy \"{name}\": {source}")]
    Strategy {
        /// Which.
        name: String,
        /// Why.
        source: MakeError,
    },
    /// Data cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Weights do not fit.
    #[error("portfolio.weights: {0}")]
    Weights(#[from] WeightError),
    /// A strategy's source is not there; a check for backtests says so with its line.
    #[error("strategy \"{0}\" needs a data source with a history")]
    NoSource(String),
}

/// Begins to read a source.
pub type Open<'a> = dyn FnMut(&Spec) -> Result<Box<dyn Source>, DataError> + 'a;

/// Makes the run that a manifest describes; `open` begins to read a source.
///
/// # Errors
/// A strategy that is not made, or a source that cannot be opened.
pub fn wire(manifest: &Manifest, open: &mut Open<'_>) -> Result<Setup, WiringError> {
    let told: Vec<(&DataSection, &Spec)> =
        manifest.data.iter().filter_map(|section| Some((section, section.spec.as_ref()?))).collect();
    let place = |name: &str| told.iter().position(|(section, _)| section.name == name);
    let cash = manifest.broker.cash();
    let limits = limits(manifest);
    let capitals = capitals(manifest, cash);
    let mut strategies = Vec::with_capacity(manifest.strategies.len());
    for ((section, weight), capital) in manifest.strategies.iter().zip(manifest.net_weights()).zip(capitals) {
        let sources = manifest.sources_of(section).into_iter().filter_map(|source| place(&source.name));
        let sources: Vec<usize> = sources.collect();
        let Some((main, also)) = sources.split_first() else {
            return Err(WiringError::NoSource(section.name.clone()));
        };
        strategies.push(StrategySetup {
            runner: runner(manifest, section)?,
            sizing: sizing_of(section, limits.short, capital),
            capital,
            weight,
            main: *main,
            also: also.to_vec(),
        });
    }
    let mut sources = Vec::with_capacity(told.len());
    for (section, spec) in &told {
        sources.push((section.name.clone(), open(spec)?));
    }
    let cash_buffer = manifest.portfolio.cash_buffer.unwrap_or(defaults::CASH_BUFFER);
    Ok(Setup {
        name: manifest.name.clone().unwrap_or_else(|| "backtest".to_owned()),
        cash,
        terms: manifest.broker.terms(),
        rules: Rules { cash_buffer, limits, ..Rules::default() },
        weights: weights(manifest)?,
        combine: manifest.portfolio.combine(),
        strategies,
        sources,
        benchmark: manifest.statistics.benchmark.as_deref().and_then(place),
        period: manifest.statistics.period(),
    })
}

/// The run's limits. Over history the last price is what there is, however old, and Alpaca alone takes two orders for a flip.
fn limits(manifest: &Manifest) -> Limits {
    Limits {
        quote_age_max: FOR_EVER,
        flip_in_one: manifest.broker.kind != Some(BrokerKind::Alpaca),
        ..manifest.risk.limits()
    }
}

/// A fraction as a target is one of its book's capital, also where that is not written.
fn sizing_of(section: &StrategySection, short: bool, capital: Money) -> Sizing {
    let sizing = section.sizing(short);
    match (sizing.rule, sizing.is_target) {
        (SizeRule::Fraction(_), true) => Sizing { capital: sizing.capital.or(Some(capital)), ..sizing },
        (SizeRule::Fraction(_), false) | (SizeRule::All | SizeRule::Shares(_) | SizeRule::Notional(_), _) => {
            sizing
        }
    }
}

fn runner(manifest: &Manifest, section: &StrategySection) -> Result<Runner, WiringError> {
    let traded = section.symbols_of(manifest);
    let failed = |source| WiringError::Strategy { name: section.name.clone(), source };
    let strategy = section.make(&traded).map_err(failed)?;
    // It hears all of its sources; the series of numbers among them are no symbols that it trades.
    let sources = manifest.sources_of(section);
    let hears_all = sources.iter().any(|source| source.symbols.is_empty());
    let mut heard = if hears_all { Vec::new() } else { traded };
    if !heard.is_empty() {
        heard.extend(sources.iter().filter(|source| !source.is_priced()).flat_map(|source| &source.symbols));
    }
    let mut runner = Runner::new(&section.name, strategy, &heard, section.every());
    if !section.active.unwrap_or(defaults::ACTIVE) {
        runner.stop();
    }
    Ok(runner)
}

/// What each book starts with: as written, or an even share of the cash that is left.
fn capitals(manifest: &Manifest, cash: Money) -> Vec<Money> {
    let written: Money = manifest.strategies.iter().filter_map(|section| section.capital).sum();
    let others = manifest.strategies.iter().filter(|section| section.capital.is_none()).count();
    let left = (cash - written).max(Money::ZERO);
    let each = Money::new(left.get() / rust_decimal::Decimal::from(others.max(1)));
    manifest.strategies.iter().map(|section| section.capital.unwrap_or(each)).collect()
}

fn weights(manifest: &Manifest) -> Result<Vec<(Symbol, Weight)>, WeightError> {
    let mut traded: Vec<(Symbol, Vec<Bar>)> = Vec::new();
    for symbol in manifest.strategies.iter().flat_map(|section| section.symbols_of(manifest)) {
        if traded.iter().all(|(known, _)| *known != symbol) {
            traded.push((symbol, Vec::new()));
        }
    }
    let rule = manifest.portfolio.weights.clone().unwrap_or(defaults::WEIGHTS);
    sizing::target_weights(&rule, &traded)
}
