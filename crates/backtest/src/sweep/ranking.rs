//! Which combination is the best, and how much of that is luck.

use std::cmp::Ordering;

use super::plan::SweepPlan;
use super::trial::Trial;
use crate::stats;

/// How the best combination's Sharpe ratio stands against what the best of as many tries without skill would show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deflated {
    /// The chance that the true Sharpe ratio of the best is above what luck alone would show.
    pub probability: f64,
    /// The best combination's, a year.
    pub sharpe: f64,
    /// What the best of so many tries without skill is expected to show, a year.
    pub by_luck: f64,
    /// How many were tried.
    pub trials: u64,
}

impl Deflated {
    /// Whether luck is an unlikely reason, as is commonly asked for.
    pub fn is_convincing(&self) -> bool {
        self.probability >= 0.95
    }
}

/// The combinations that have the objective, best first; of equals the first one of the grid.
pub fn ranked<'t>(plan: &SweepPlan, trials: &'t [Trial]) -> Vec<&'t Trial> {
    let column = plan.objective().column;
    let mut ranked: Vec<&Trial> = trials.iter().filter(|trial| trial.ratio(column).is_some()).collect();
    ranked.sort_by(|one, two| better(plan, one, two));
    ranked
}

/// The first of them.
pub fn best<'t>(plan: &SweepPlan, trials: &'t [Trial]) -> Option<&'t Trial> {
    let column = plan.objective().column;
    trials.iter().filter(|trial| trial.ratio(column).is_some()).min_by(|one, two| better(plan, one, two))
}

/// The deflated Sharpe ratio (Bailey and López de Prado 2014) of the best of all that were tried; `None` where it or
/// one of its parts is not defined.
pub fn deflated(plan: &SweepPlan, trials: &[Trial]) -> Option<Deflated> {
    let root = plan.options().periods_per_year.sqrt();
    let (sharpe, skew, kurtosis) =
        (SweepPlan::column("sharpe")?, SweepPlan::column("skew")?, SweepPlan::column("kurtosis")?);
    let best = best(plan, trials)?;
    let tried: Vec<f64> =
        trials.iter().filter_map(|trial| trial.ratio(sharpe)).map(|sharpe| sharpe / root).collect();
    let count = tried.len() as u64;
    let variance = variance(&tried);
    let seen = best.ratio(sharpe)?;
    let periods = usize::try_from(best.ended.as_ref().ok()?.periods).ok()?;
    Some(Deflated {
        probability: stats::deflated_sharpe(
            seen / root,
            count,
            variance,
            best.ratio(skew)?,
            best.ratio(kurtosis)? + 3.0,
            periods,
        )?,
        sharpe: seen,
        by_luck: stats::expected_best_sharpe(count, variance)? * root,
        trials: count,
    })
}

/// The axes by how much the objective's mean moves along them, those that move it most first.
pub fn influence(plan: &SweepPlan, trials: &[Trial]) -> Vec<usize> {
    let column = plan.objective().column;
    let mut spreads: Vec<(usize, f64)> = Vec::new();
    let mut places_of_one_step = plan.sweep().combinations();
    for (place, axis) in plan.sweep().axes.iter().enumerate() {
        let count = axis.values.len() as u64;
        places_of_one_step /= count;
        let mut sums = vec![(0.0, 0.0); axis.values.len()];
        for trial in trials {
            let value = usize::try_from(trial.index / places_of_one_step % count).unwrap_or(0);
            if let (Some(number), Some((sum, seen))) = (trial.ratio(column), sums.get_mut(value)) {
                *sum += number;
                *seen += 1.0;
            }
        }
        let means = sums.iter().filter(|(_, seen)| *seen > 0.0).map(|(sum, seen)| sum / seen);
        let (low, high) = means
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), mean| (low.min(mean), high.max(mean)));
        spreads.push((place, if high > low { high - low } else { 0.0 }));
    }
    spreads.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
    spreads.into_iter().map(|(place, _)| place).collect()
}

/// Better ones are less.
fn better(plan: &SweepPlan, one: &Trial, two: &Trial) -> Ordering {
    let objective = plan.objective();
    let worth = |trial: &Trial| {
        let number = trial.ratio(objective.column).unwrap_or(f64::NEG_INFINITY);
        if objective.is_lower_better { -number } else { number }
    };
    worth(two).total_cmp(&worth(one)).then(one.index.cmp(&two.index))
}

/// Of a sample; 0 of one.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn variance(sample: &[f64]) -> f64 {
    if sample.len() < 2 {
        return 0.0;
    }
    let mean = sample.iter().sum::<f64>() / sample.len() as f64;
    sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (sample.len() - 1) as f64
}
