//! Every combination of `[sweep]`: run over shared data on all cores, ordered by one ratio, and judged for luck.

mod csv;
mod folds;
mod merge;
#[cfg(feature = "report")]
mod page;
mod parquet;
mod plan;
mod ranking;
mod shard;
mod store;
mod table;
mod top;
mod trial;
mod walk;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use bot_data::DataError;

pub use csv::write_csv;
pub use folds::{Fold, folds};
pub use merge::{MergeError, Merged, ShardPart, merge};
#[cfg(feature = "report")]
pub use page::{Story, page};
pub use parquet::{ParquetError, write_parquet};
pub use plan::{Objective, RatioColumn, SweepPlan};
pub use ranking::{Deflated, best, deflated, influence, ranked};
pub use shard::Shard;
pub use store::{EventWindow, Events, Store};
pub use table::{Cell, Table, plain, results};
pub use top::{TopCell, luck, named, top, values_of};
pub use trial::{Trial, TrialValues};
pub use walk::{Choice, Proof, choose, chosen, ends, equity, proofs, prove, stitched};

use trial::DataWindow;

/// Who runs a sweep: threads, the data that they share, and whoever watches.
pub struct Crew<'a> {
    /// As many threads as runs at a time.
    threads: ThreadPool,
    /// The data.
    pub store: Store,
    /// Asked now and then; once it says yes, runs are given up.
    stop: &'a (dyn Fn() -> bool + Sync),
    /// Told of each run that ended, by its thread.
    done: &'a (dyn Fn() + Sync),
}

impl<'a> Crew<'a> {
    /// `jobs` threads, with room for the data that so many runs need at a time.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(
        plan: &SweepPlan,
        jobs: usize,
        stop: &'a (dyn Fn() -> bool + Sync),
        done: &'a (dyn Fn() + Sync),
    ) -> Result<Self, ThreadPoolBuildError> {
        let threads = ThreadPoolBuilder::new()
            .num_threads(jobs)
            .thread_name(|number| format!("sweep-{number}"))
            .build()?;
        // All sources, whole and in a window, for each thread and for those who only ask.
        let store = Store::new(2 * plan.specs().count() * (jobs + 1));
        Ok(Self { threads, store, stop, done })
    }

    /// Reads all data of the manifest and gives each source's name with its hash. Sources that are swept have none.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn load(&self, plan: &SweepPlan) -> Result<Vec<(String, String)>, DataError> {
        let mut digests = Vec::new();
        for spec in plan.specs() {
            if !plan.is_swept(&spec.name) {
                let events = self.store.events(spec, None)?;
                digests.push((spec.name.clone(), events.digest().to_owned()));
            }
        }
        Ok(digests)
    }

    /// Runs combinations over all data; in the order of their indices, whoever ran them. Fewer come back when it was stopped.
    pub fn run(&self, plan: &SweepPlan, indices: &[u64]) -> Vec<Trial> {
        self.over(plan, indices, DataWindow::default())
    }

    fn over(&self, plan: &SweepPlan, indices: &[u64], part: DataWindow) -> Vec<Trial> {
        let mut order = indices.to_vec();
        order.sort_by_key(|index| (plan.data_of(*index), *index));
        let mut trials = self.each(&order, |index| {
            trial::run(plan, &self.store, *index, part, self.stop).map(|(trial, _)| trial)
        });
        trials.sort_by_key(|trial| trial.index);
        trials
    }

    fn each<T: Sync, R: Send>(&self, items: &[T], run: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
        self.threads.install(|| {
            let ended = items.par_iter().with_max_len(1).filter_map(|item| {
                let ended = run(item);
                if ended.is_some() {
                    (self.done)();
                }
                ended
            });
            ended.collect()
        })
    }
}
