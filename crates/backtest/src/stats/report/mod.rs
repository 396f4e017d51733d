//! `report.html`: one file that people want to look at. No network, no script needed to read it, the same for the same input.

mod axis;
mod canvas;
mod charts;
mod execution;
mod explain;
mod html;
mod page;
pub mod sheet;
mod tables;
mod thin;

use std::time::Duration;

use crate::record::Record;
use crate::stats::Statistics;

/// What the report says of its own making; nothing here comes from the run itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// The heading; the run's name when empty.
    pub title: String,
    /// The manifest as it was used, all defaults filled in.
    pub manifest: String,
    /// The program's name and version.
    pub version: String,
    /// What was read, by name, with its hash.
    pub data: Vec<(String, String)>,
    /// Of everything random, where anything was.
    pub seed: Option<u64>,
    /// What was typed.
    pub command: String,
    /// How long the run took; left out where two reports of the same run are to be the same.
    pub took: Option<Duration>,
}

/// The page. It is at most 1 MB: lines are thinned to the pixels they have, long tables cut with a sentence that says so.
pub fn render(record: &Record, statistics: &Statistics, about: &About) -> String {
    page::page(record, statistics, about)
}

#[cfg(test)]
mod tests;
