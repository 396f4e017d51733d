//! From a manifest to a run: which sources, which strategies, which terms.

use thiserror::Error;

use super::setup::{FOR_EVER, Hears, Setup, StrategySetup};
use bot_core::desk::Rules;
use bot_core::market::Bar;
use bot_core::risk::Limits;
use bot_core::sizing::{self, WeightError};
use bot_core::strategy::PLOT_POINTS_MAX;
use bot_core::symbol::Symbol;
use bot_core::units::Weight;
use bot_data::{DataError, Source, Spec};
use bot_manifest::spec::{self, SpecError, StrategySpec};
use bot_manifest::{BrokerKind, Manifest, defaults};

/// Why a manifest makes no run.
#[derive(Debug, Error)]
pub enum WiringError {
    /// A strategy is not made.
    #[error(transparent)]
    Strategy(#[from] SpecError),
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
pub type OpenSource<'a> = dyn FnMut(&Spec) -> Result<Box<dyn Source>, DataError> + 'a;

/// Makes the run that a manifest describes; `open` begins to read a source.
///
/// # Errors
/// A strategy that is not made, or a source that cannot be opened.
pub fn wire(manifest: &Manifest, open: &mut OpenSource<'_>) -> Result<Setup, WiringError> {
    let specs = StrategySpec::all(manifest, &[]);
    // In the order in which their events come at one instant, which is not the manifest's.
    let told: Vec<usize> = spec::order_of(&manifest.data)
        .into_iter()
        .filter(|place| manifest.data[*place].spec.is_some())
        .collect();
    let place = |data: usize| told.iter().position(|place| *place == data);
    let cash = manifest.broker.cash();
    let rule = manifest.portfolio.weights.clone().unwrap_or(defaults::WEIGHTS);
    let mut strategies = Vec::with_capacity(specs.len());
    for (strategy, capital) in specs.iter().zip(spec::capitals(&specs, cash)) {
        let places = |sources: &[usize]| sources.iter().filter_map(|source| place(*source)).collect();
        let (main, also): (Vec<usize>, Vec<usize>) = (places(strategy.main()), places(strategy.also()));
        if main.is_empty() {
            return Err(WiringError::NoSource(strategy.name().to_owned()));
        }
        let (mut run, member) = (strategy.make()?, strategy.member(capital, &rule, &[])?);
        member.book.restore(&mut run);
        strategies.push(StrategySetup { run, member, hears: Hears::Sources { main, also } });
    }
    let mut sources = Vec::with_capacity(told.len());
    for section in told.iter().map(|place| &manifest.data[*place]) {
        if let Some(spec) = &section.spec {
            sources.push((section.name.clone(), open(spec)?));
        }
    }
    let named = |name: &str| manifest.data.iter().position(|section| section.name == name);
    let cash_buffer = manifest.portfolio.cash_buffer.unwrap_or(defaults::CASH_BUFFER);
    Ok(Setup {
        name: manifest.name.clone().unwrap_or_else(|| "backtest".to_owned()),
        cash,
        holdings: Vec::new(),
        model: manifest.broker.model(),
        rules: Rules {
            cash_buffer,
            limits: limits(manifest),
            instruments: manifest.instruments(),
            margin: manifest.broker.model().margin,
            ..Rules::default()
        },
        weights: weights(manifest)?,
        combine: manifest.portfolio.combine(),
        strategies,
        signals: Vec::new(),
        openings: Vec::new(),
        switches: Vec::new(),
        sources,
        benchmark: manifest.statistics.benchmark.as_deref().and_then(named).and_then(place),
        period: manifest.statistics.period(),
        plot_points_max: PLOT_POINTS_MAX,
    })
}

/// The run's limits. Over history the last price is what there is, however old, and Alpaca alone takes two orders for a flip.
fn limits(manifest: &Manifest) -> Limits {
    Limits {
        quote_age_max: FOR_EVER,
        flip_in_one: manifest.broker.kind.unwrap_or(BrokerKind::Simulated).flips_in_one(),
        ..manifest.risk.limits()
    }
}

/// Of plain signals, which a manifest's own run has none of: what is written is held against what is traded.
fn weights(manifest: &Manifest) -> Result<Vec<(Symbol, Weight)>, WeightError> {
    let traded: Vec<(Symbol, Vec<Bar>)> =
        manifest.traded().into_iter().map(|symbol| (symbol, Vec::new())).collect();
    let rule = manifest.portfolio.weights.clone().unwrap_or(defaults::WEIGHTS);
    sizing::target_weights(&rule, &traded)
}
