//! One combination: its manifest, its run, and the few numbers that are kept of it.

use super::plan::SweepPlan;
use super::store::{EventWindow, Store};
use crate::record::Record;
use crate::stats;
use crate::{StrategySetup, wiring};
use bot_core::clock::Timestamp;
use bot_core::units::Money;
use bot_manifest::Faults;

/// What became of one combination.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Which, from 0.
    pub index: u64,
    /// Its numbers, or in one line why there are none.
    pub ended: Result<TrialValues, String>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialValues {
    /// Final less start.
    pub profit: Money,
    /// Cash plus positions at the end.
    pub final_equity: Money,
    /// Fees paid.
    pub fees: Money,
    /// Round trips that are closed.
    pub trades: u64,
    /// Orders at the broker.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Returns that the ratios are made of.
    pub periods: u64,
    /// In the order of [`SweepPlan::ratios`]; NaN where one is not defined.
    pub ratios: Box<[f64]>,
    /// Of orders and fills, in order.
    pub hash: String,
    /// The last failure of a strategy that went on, in one line.
    pub failure: Option<String>,
}

impl Trial {
    /// A number of its own: of the ratio in this column; `None` where it is not defined, or the combination failed.
    pub fn ratio(&self, column: usize) -> Option<f64> {
        let value = *self.ended.as_ref().ok()?.ratios.get(column)?;
        value.is_finite().then_some(value)
    }
}

/// What of the data a run sees.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DataWindow {
    /// Only these events; all when none.
    pub(super) window: Option<EventWindow>,
    /// Its strategies watch until then, and trade after it.
    pub(super) quiet_until: Option<Timestamp>,
}

/// Runs combination `index`. `None` when `stop` said so before it was done.
pub(super) fn run(
    plan: &SweepPlan,
    store: &Store,
    index: u64,
    part: DataWindow,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<(Trial, Record)> {
    if stop() {
        return None;
    }
    match record(plan, store, index, part, stop) {
        Err(reason) => Some((Trial { index, ended: Err(in_one_line(&reason)) }, Record::default())),
        Ok(record) if record.interrupted => None,
        Ok(record) => {
            let ended = values(plan, &record).map_err(|reason| in_one_line(&reason));
            Some((Trial { index, ended }, record))
        }
    }
}

fn record(
    plan: &SweepPlan,
    store: &Store,
    index: u64,
    part: DataWindow,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Record, String> {
    let manifest = plan.trial(index).map_err(|faults| words(&faults))?;
    let mut open = |spec: &_| Ok(store.events(spec, part.window)?.source());
    let mut setup = wiring::wire(&manifest, &mut open).map_err(|error| error.to_string())?;
    setup.plot_points_max = 0; // Nobody looks at the charts of a combination.
    if let Some(until) = part.quiet_until {
        let quiet =
            |strategy: StrategySetup| StrategySetup { run: strategy.run.quiet_until(until), ..strategy };
        setup.strategies = setup.strategies.into_iter().map(quiet).collect();
    }
    let mut record = crate::run(setup, &mut |_| !stop()).map_err(|error| error.to_string())?;
    if let Some(until) = part.quiet_until {
        forget_marks(&mut record, until);
    }
    Ok(record)
}

/// Leaves the last mark until then, where nothing is traded yet, as the start.
fn forget_marks(record: &mut Record, until: Timestamp) {
    let quiet = record.marks.partition_point(|mark| mark.at <= until).saturating_sub(1);
    record.marks.drain(..quiet);
    for prices in &mut record.prices {
        prices.drain(..quiet.min(prices.len()));
    }
    for strategy in &mut record.strategies {
        strategy.equity.drain(..quiet.min(strategy.equity.len()));
    }
}

/// What is told of a run; a run whose strategy was stopped for its failures or whose books do not agree is no result.
fn values(plan: &SweepPlan, record: &Record) -> Result<TrialValues, String> {
    if let Some(breach) = record.end.breaches.first() {
        return Err(format!("the books do not agree: {breach}"));
    }
    if let Some(stopped) = record.strategies.iter().find(|strategy| strategy.is_stopped) {
        return Err(stopped.last_failure.clone().unwrap_or_default());
    }
    let failure = record.strategies.iter().find_map(|strategy| strategy.last_failure.as_deref());
    let ruin = record.ruined_at.map(|at| format!("ruined at {at}: the equity was 0 or less"));
    let statistics = stats::compute(record, plan.options());
    let ratio = |place: usize| statistics.ratios.get(place).and_then(|ratio| ratio.value).unwrap_or(f64::NAN);
    let headline = &statistics.headline;
    Ok(TrialValues {
        profit: headline.profit,
        final_equity: headline.final_equity,
        fees: headline.fees,
        trades: headline.trades,
        orders: headline.orders,
        fills: headline.fills,
        periods: headline.periods as u64,
        ratios: plan.ratios().iter().map(|column| ratio(column.place)).collect(),
        hash: record.hash(),
        failure: ruin.or_else(|| failure.map(in_one_line)),
    })
}

fn words(faults: &Faults) -> String {
    let faults: Vec<String> = faults.as_slice().iter().map(ToString::to_string).collect();
    faults.join("; ")
}

/// One row of a table is one line.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
