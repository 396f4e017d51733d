//! What is swept: the manifest, its combinations, and the ratios that each of them is told by.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::record::Record;
use crate::stats::{self, RatioUnit, StatisticsOptions};
use bot_core::spelling::did_you_mean;
use bot_core::units::Money;
use bot_data::Spec;
use bot_manifest::strategy::read_script;
use bot_manifest::{Document, Faults, Manifest, Purpose, StrategySource, SweepSection};
use bot_script::Script;

/// A sweep, checked.
#[derive(Debug)]
pub struct SweepPlan {
    document: Document,
    overrides: Vec<(String, String)>,
    manifest: Manifest,
    combinations: Vec<u64>,
    options: StatisticsOptions,
    ratios: Vec<RatioColumn>,
    objective: Objective,
}

/// A ratio that every combination is told by.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioColumn {
    /// Its name with its annualisation, such as `sharpe_252`.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// What kind of number it is.
    pub unit: RatioUnit,
    /// Its place among the ratios of a run.
    pub(super) place: usize,
}

/// By what the results are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objective {
    /// Its place in [`SweepPlan::ratios`].
    pub column: usize,
    /// True for what is better when it is lower, such as volatility.
    pub is_lower_better: bool,
}

/// The ratios that are always told, by their names without annualisation.
const TOLD: [&str; 10] = [
    "total_return",
    "cagr",
    "sharpe",
    "sortino",
    "calmar",
    "volatility",
    "max_drawdown",
    "trade_win_rate",
    "skew",
    "kurtosis",
];

/// Of these the lowest is the best.
const LOWER_IS_BETTER: [&str; 7] = [
    "volatility",
    "ulcer_index",
    "longest_drawdown_days",
    "avg_drawdown_days",
    "risk_of_ruin",
    "autocorrelation_penalty",
    "max_consecutive_losses",
];

impl SweepPlan {
    /// The sweep of a manifest once the `overrides` are in.
    ///
    /// # Errors
    /// All faults of the manifest, what it lacks for a sweep, or an objective that is no ratio.
    pub fn new(document: Document, overrides: Vec<(String, String)>) -> Result<Self, Faults> {
        let manifest = document.read(&overrides, Purpose::Sweep)?;
        let options = StatisticsOptions {
            periods_per_year: manifest.statistics.periods_per_year().into(),
            bootstrap: 0, // An interval for each of a thousand combinations would take longer than their runs.
            seed: manifest.statistics.seed(),
            risk_free: Money::new(manifest.statistics.risk_free().get()).to_f64(),
        };
        let all = stats::compute(&Record::default(), &options).ratios;
        let column = |name: &str| {
            let place = all
                .iter()
                .position(|ratio| ratio.name == name)
                .or_else(|| all.iter().position(|ratio| ratio.stem() == name))?;
            let ratio = &all[place];
            Some(RatioColumn {
                name: ratio.name.clone(),
                label: ratio.label.clone(),
                unit: ratio.unit,
                place,
            })
        };
        let mut ratios: Vec<RatioColumn> = TOLD.into_iter().filter_map(column).collect();
        let wanted = manifest.sweep.objective();
        let Some(objective) = column(wanted) else {
            let near = did_you_mean(wanted, all.iter().map(stats::Ratio::stem));
            let message =
                format!("must be a ratio's name, was \"{wanted}\"{near}; docs/statistics.md has all of them");
            return Err(document.refuse(&overrides, &["sweep", "objective"], &message));
        };
        let is_lower_better = LOWER_IS_BETTER.contains(&all[objective.place].stem());
        let place = ratios.iter().position(|ratio| ratio.place == objective.place).unwrap_or_else(|| {
            ratios.push(objective);
            ratios.len() - 1
        });
        let objective = Objective { column: place, is_lower_better };
        let combinations = manifest.sweep.kept();
        Ok(Self { document, overrides, manifest, combinations, options, ratios, objective })
    }

    /// What the manifest says, without any combination in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is swept.
    pub fn sweep(&self) -> &SweepSection {
        &self.manifest.sweep
    }

    /// The combinations that are run, by their index in the grid, rising.
    pub fn combinations(&self) -> &[u64] {
        &self.combinations
    }

    /// How many of the grid are not run, because they do not meet its constraints.
    pub fn left_out(&self) -> u64 {
        self.sweep().combinations() - self.combinations.len() as u64
    }

    /// What each combination is told by.
    pub fn ratios(&self) -> &[RatioColumn] {
        &self.ratios
    }

    /// By what the results are ordered.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The ratio by which the results are ordered.
    pub fn objective_column(&self) -> &RatioColumn {
        &self.ratios[self.objective.column]
    }

    /// The column of a ratio that is always told, by its name without annualisation.
    pub(super) fn column(stem: &str) -> Option<usize> {
        TOLD.iter().position(|told| *told == stem)
    }

    /// How ratios are made.
    pub fn options(&self) -> &StatisticsOptions {
        &self.options
    }

    /// What is asked of each data source of the manifest.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.manifest.data.iter().filter_map(|section| section.spec.as_ref())
    }

    /// Whether a source is another one for some combinations.
    pub fn is_swept(&self, source: &str) -> bool {
        let table = format!("data.{source}.");
        self.sweep().axes.iter().any(|axis| axis.key.starts_with(&table))
    }

    /// The manifest of one combination.
    ///
    /// # Errors
    /// Its faults, which the values have only together.
    pub(super) fn trial(&self, index: u64) -> Result<Manifest, Faults> {
        let mut overrides = self.overrides.clone();
        overrides.extend(self.sweep().combination(index).unwrap_or_default());
        self.document.read(&overrides, Purpose::Trial)
    }

    /// A number that is equal for combinations with the same data: those are run one after another.
    pub(super) fn data_of(&self, index: u64) -> u64 {
        let (mut rest, mut data) = (index, 0);
        for axis in self.sweep().axes.iter().rev() {
            let count = axis.values.len() as u64;
            if axis.key.starts_with("data.") {
                data = data * count + rest % count;
            }
            rest /= count;
        }
        data
    }

    /// SHA-256 of the manifest with its overrides and of the scripts that it names, modules included: what is to be equal in all shards.
    ///
    /// # Errors
    /// Those of the manifest.
    pub fn hash(&self, folder: &std::path::Path) -> Result<String, Faults> {
        let mut hash = Sha256::new();
        hash.update(self.document.resolved(&self.overrides, folder)?);
        for strategy in &self.manifest.strategies {
            if let StrategySource::Script(path) = &strategy.source {
                hash.update(std::fs::read(path).unwrap_or_default()); // One that is gone fails each trial, with its reason.
                for module in read_script(path).iter().flat_map(Script::modules) {
                    hash.update(&module.name);
                    hash.update(&module.text);
                }
            }
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }
}
