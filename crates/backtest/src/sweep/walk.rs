//! Walk-forward: on each fold the best combination of the train part is run on the test part that follows.
//!
//! A choice is made of the events of its train part alone, so that nothing later can change it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::folds::Fold;
use super::plan::SweepPlan;
use super::table::{self, Cell, Table};
use super::trial::{self, DataWindow, Trial};
use super::{Crew, ranking};
use crate::record::{FinalAccount, Mark, Record};
use bot_core::clock::Timestamp;
use bot_core::units::Money;
use bot_data::DataError;

/// The best combination of one train part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Which combination.
    pub index: u64,
    /// Its objective there; written as text, which reads back to the bit.
    #[serde(with = "exact")]
    pub objective: f64,
}

/// What a choice came to on the test part.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The window that it was chosen on, and the one it was proven in.
    pub fold: Fold,
    /// None where no combination had the objective: nothing is traded then.
    pub choice: Option<Choice>,
    /// The run on the test part.
    pub trial: Option<Trial>,
    /// Its marks; the first one is the start.
    marks: Vec<Mark>,
}

/// When the first and the last event of the strategies' main sources are known.
///
/// # Errors
/// Data that cannot be read.
pub fn ends(plan: &SweepPlan, crew: &Crew<'_>) -> Result<Option<(Timestamp, Timestamp)>, DataError> {
    let manifest = plan.manifest();
    let main =
        manifest.strategies.iter().filter_map(|strategy| manifest.sources_of(strategy).into_iter().next());
    let mut found: Option<(Timestamp, Timestamp)> = None;
    for spec in main.filter_map(|source| source.spec.as_ref()) {
        if let Some((first, last)) = crew.store.events(spec, None)?.ends() {
            found = Some(found.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
        }
    }
    Ok(found)
}

/// The best of these combinations on each train part. Fewer than there are folds come back when it was stopped.
pub fn choose(plan: &SweepPlan, crew: &Crew<'_>, folds: &[Fold], indices: &[u64]) -> Vec<Option<Choice>> {
    let mut choices = Vec::with_capacity(folds.len());
    for fold in folds {
        let part = DataWindow { window: Some(fold.train), quiet_until: None };
        let trials = crew.over(plan, indices, part);
        if trials.len() < indices.len() {
            break;
        }
        choices.push(choice(plan, &trials));
    }
    choices
}

fn choice(plan: &SweepPlan, trials: &[Trial]) -> Option<Choice> {
    let best = ranking::best(plan, trials)?;
    Some(Choice { index: best.index, objective: best.ratio(plan.objective().column)? })
}

/// Of the choices of several shards the best, fold by fold; of equals the first one of the grid, as without shards.
pub(super) fn best_of(plan: &SweepPlan, shards: &[Vec<Option<Choice>>]) -> Vec<Option<Choice>> {
    let folds = shards.iter().map(Vec::len).min().unwrap_or(0);
    let worth = |choice: &Choice| {
        if plan.objective().is_lower_better { -choice.objective } else { choice.objective }
    };
    let best = |fold: usize| {
        let choices = shards.iter().filter_map(|shard| shard.get(fold)?.as_ref());
        choices.min_by(|one, two| worth(two).total_cmp(&worth(one)).then(one.index.cmp(&two.index))).cloned()
    };
    (0..folds).map(best).collect()
}

/// Runs each choice on its test part. Its strategies see the train part before, and trade in the test part only.
pub fn prove(plan: &SweepPlan, crew: &Crew<'_>, folds: &[Fold], choices: &[Option<Choice>]) -> Vec<Proof> {
    let pairs: Vec<(Fold, Option<Choice>)> = folds.iter().copied().zip(choices.iter().cloned()).collect();
    crew.each(&pairs, |(fold, choice)| {
        let Some(chosen) = choice else {
            return Some(Proof { fold: *fold, choice: None, trial: None, marks: Vec::new() });
        };
        let part = DataWindow { window: Some(fold.whole()), quiet_until: Some(fold.test.after) };
        let (trial, record) = trial::run(plan, &crew.store, chosen.index, part, crew.stop)?;
        Some(Proof { fold: *fold, choice: choice.clone(), trial: Some(trial), marks: record.marks })
    })
}

/// The test windows one after another as one account: each one's returns on what the one before left.
pub fn stitched(plan: &SweepPlan, proofs: &[Proof]) -> Record {
    let start_cash = plan.manifest().broker.cash();
    let mut equity = start_cash.to_f64();
    let mut marks: Vec<Mark> = Vec::new();
    for proof in proofs {
        if marks.is_empty() {
            marks.extend(proof.marks.first());
        }
        for pair in proof.marks.windows(2) {
            let scale = equity / pair[0].equity;
            let cash = pair[1].cash * scale;
            equity = pair[1].equity * scale;
            let (net, gross) = (pair[1].net * scale, pair[1].gross * scale);
            marks.push(Mark { equity, cash, net, gross, ..pair[1] });
        }
    }
    let orders = proofs.iter().filter_map(|proof| proof.trial.as_ref()?.ended.as_ref().ok());
    let fees: Money = orders.map(|values| values.fees).sum();
    let end = FinalAccount { equity: start_cash, fees, ..FinalAccount::default() };
    Record {
        name: plan.manifest().name.clone().unwrap_or_default(),
        start_cash,
        marks,
        end,
        ..Record::default()
    }
}

/// One row for each fold: its windows, the choice, and what it came to.
pub fn proofs(plan: &SweepPlan, proofs: &[Proof]) -> Table {
    let objective = &plan.objective_column().name;
    let columns = ["fold", "train_after", "test_after", "test_until", "index"]
        .into_iter()
        .map(str::to_owned)
        .chain(plan.sweep().axes.iter().map(|axis| axis.key.clone()))
        .chain([format!("train_{objective}")])
        .chain(table::value_columns(plan).map(|name| format!("test_{name}")))
        .chain(["error".to_owned()])
        .collect::<Vec<String>>();
    let width = columns.len();
    let rows = proofs.iter().zip(1..).map(|(proof, number)| {
        let Fold { train, test } = proof.fold;
        let mut row = vec![Cell::Whole(number)];
        row.extend([train.after, test.after, test.until].map(|at| Cell::Text(at.to_string())));
        let mut error = Cell::Nothing;
        if let Some(choice) = &proof.choice {
            row.push(Cell::Whole(choice.index));
            row.extend(table::swept(plan, choice.index));
            row.push(Cell::number(choice.objective));
        } else {
            error = Cell::Text(format!("no combination has a {objective}"));
        }
        match proof.trial.as_ref().map(|trial| &trial.ended) {
            Some(Ok(values)) => row.extend(table::value_cells(values)),
            Some(Err(reason)) => error = Cell::Text(reason.clone()),
            None => {}
        }
        row.resize(width - 1, Cell::Nothing);
        row.push(error);
        row
    });
    Table { rows: rows.collect(), columns }
}

/// The stitched account, mark by mark.
pub fn equity(record: &Record) -> Table {
    let columns = ["time", "equity", "cash", "net", "gross"].map(str::to_owned).to_vec();
    let rows = record.marks.iter().map(|mark| {
        let numbers = [mark.equity, mark.cash, mark.net, mark.gross].map(Cell::number);
        [Cell::Text(mark.at.to_string())].into_iter().chain(numbers).collect()
    });
    Table { columns, rows: rows.collect() }
}

/// How many different combinations were chosen.
pub fn chosen(proofs: &[Proof]) -> usize {
    proofs.iter().filter_map(|proof| Some(proof.choice.as_ref()?.index)).collect::<BTreeSet<u64>>().len()
}

/// A number as text that reads back to the bit.
mod exact {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("must be a number, was \"{text}\"")))
    }
}
