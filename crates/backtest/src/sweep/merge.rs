//! Shards back into one sweep: refused unless all are there, whole, and made from the same manifest and data.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::csv::read_csv;
use super::plan::SweepPlan;
use super::shard::Shard;
use super::table;
use super::trial::Trial;
use super::walk::{Choice, best_of};

/// What a shard says of itself beside its table: `sweep-I-of-N.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardPart {
    /// The program that made it.
    pub version: String,
    /// [`SweepPlan::hash`].
    pub manifest: String,
    /// The hash of each source that is the same for all combinations.
    pub data: BTreeMap<String, String>,
    /// How many combinations it has.
    pub trials: u64,
    /// How many of them were run.
    pub done: u64,
    /// Of walk-forward: its best on each fold; empty without.
    pub choices: Vec<Option<Choice>>,
    /// Of walk-forward: how many folds there are.
    pub folds: usize,
}

/// Why shards make no sweep.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct MergeError(String);

/// A sweep of all shards.
#[derive(Debug)]
pub struct Merged {
    /// Every combination, in order.
    pub trials: Vec<Trial>,
    /// Of walk-forward: the best on each fold.
    pub choices: Vec<Option<Choice>>,
    /// The hash of each source.
    pub data: BTreeMap<String, String>,
    /// How many shards there were.
    pub shards: u64,
}

/// Reads all shards in `folder`; `manifest` is the hash of the plan.
///
/// # Errors
/// Says which shard is missing, or what is wrong with which.
pub fn merge(plan: &SweepPlan, folder: &Path, manifest: &str) -> Result<Merged, MergeError> {
    let shards = complete(listed(folder)?, folder)?;
    let parts = shards.iter().map(|shard| Ok((*shard, part(folder, *shard)?)));
    let parts: Vec<(Shard, ShardPart)> = parts.collect::<Result<_, _>>()?;
    for (shard, part) in &parts {
        part.check(*shard, manifest, &parts[0].1)?;
    }
    let mut trials = Vec::new();
    for (shard, _) in &parts {
        trials.extend(rows(plan, folder, *shard)?);
    }
    trials.sort_by_key(|trial| trial.index);
    let found = trials.iter().map(|trial| &trial.index);
    if !found.eq(plan.combinations()) {
        return Err(MergeError(format!(
            "the tables must have each of {} combinations once, had {} rows",
            plan.combinations().len(),
            trials.len()
        )));
    }
    let choices: Vec<_> = parts.iter().map(|(_, part)| part.choices.clone()).collect();
    Ok(Merged {
        trials,
        choices: best_of(plan, &choices),
        data: parts[0].1.data.clone(),
        shards: shards.len() as u64,
    })
}

impl ShardPart {
    fn check(&self, shard: Shard, manifest: &str, first: &ShardPart) -> Result<(), MergeError> {
        let refuse = |what: String| Err(MergeError(format!("shard {shard} {what}; run it again")));
        if self.manifest != manifest {
            return refuse("was made from another manifest, other --set values or another script".to_owned());
        }
        if self.version != first.version {
            return refuse(format!("was made by {}, others by {}", self.version, first.version));
        }
        if self.data != first.data {
            let differs = |(name, hash): &(&String, &String)| first.data.get(*name) != Some(*hash);
            let names = self.data.iter().filter(differs).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            return refuse(format!("was made from other data than the first: {}", names.join(", ")));
        }
        if self.done < self.trials || self.choices.len() < self.folds {
            return refuse(format!(
                "was interrupted, {} of {} combinations are done",
                self.done, self.trials
            ));
        }
        Ok(())
    }
}

/// The shards whose files are there.
fn listed(folder: &Path) -> Result<Vec<Shard>, MergeError> {
    let unread = |error: std::io::Error| MergeError(format!("{}: {error}", folder.display()));
    let mut shards = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
        shards.extend(stem.and_then(Shard::of_stem));
    }
    shards.sort_unstable();
    Ok(shards)
}

fn complete(shards: Vec<Shard>, folder: &Path) -> Result<Vec<Shard>, MergeError> {
    let Some(first) = shards.first() else {
        return Err(MergeError(format!(
            "{} must have the files of all shards (sweep-I-of-N.json and .csv), had none",
            folder.display()
        )));
    };
    if let Some(other) = shards.iter().find(|shard| shard.of() != first.of()) {
        return Err(MergeError(format!(
            "{} must have shards of one sweep, had shard {first} and shard {other}",
            folder.display()
        )));
    }
    let is_missing = |number: &u64| shards.iter().all(|shard| shard.number() != *number);
    let missing: Vec<String> =
        (1..=first.of()).filter(is_missing).map(|number| format!("{number}/{}", first.of())).collect();
    match missing.as_slice() {
        [] => Ok(shards),
        missing => {
            const NAMED_MAX: usize = 10;
            let more = if missing.len() > NAMED_MAX { ", ..." } else { "" };
            let named = missing[..missing.len().min(NAMED_MAX)].join(", ");
            Err(MergeError(format!("all {} shards must be there, missing are {named}{more}", first.of())))
        }
    }
}

fn part(folder: &Path, shard: Shard) -> Result<ShardPart, MergeError> {
    let path = folder.join(shard.stem() + ".json");
    let unread = |error: &dyn std::fmt::Display| MergeError(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| unread(&error))?;
    serde_json::from_str(&text).map_err(|error| unread(&error))
}

fn rows(plan: &SweepPlan, folder: &Path, shard: Shard) -> Result<Vec<Trial>, MergeError> {
    let path = folder.join(shard.stem() + ".csv");
    let mut rows = read_csv(&path).map_err(MergeError)?.into_iter();
    let head = rows.next().unwrap_or_default();
    let wanted = table::results(plan, &[]).columns;
    if head != wanted {
        return Err(MergeError(format!(
            "{}:1: columns must be {}, were {}",
            path.display(),
            wanted.join(","),
            head.join(",")
        )));
    }
    let read = rows.zip(2..).map(|(cells, line)| {
        table::trial(plan, &cells).map_err(|fault| MergeError(format!("{}:{line}: {fault}", path.display())))
    });
    read.collect()
}
