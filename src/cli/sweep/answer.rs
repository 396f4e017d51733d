//! What `bot sweep` says at its end: the best combinations in a table, or all of it as one JSON object.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::Swept;
use crate::cli::exit::Failure;
use crate::cli::{Global, terminal_width};
use crate::stats::text::number;
use crate::stats::{self, Statistics};
use crate::sweep::{self, SweepPlan, Trial};

/// So many of the best are shown.
const TOP_MAX: usize = 10;

pub(super) fn give(
    global: &Global,
    plan: &SweepPlan,
    swept: &Swept,
    files: &[PathBuf],
    took: Duration,
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if global.json {
        writeln!(out, "{}", object(plan, swept, files, took))?;
    } else {
        write!(out, "{}", words(plan, swept, files, took))?;
    }
    Ok(())
}

fn object(plan: &SweepPlan, swept: &Swept, files: &[PathBuf], took: Duration) -> Value {
    let best = sweep::best(plan, &swept.trials);
    json!({
        "combinations": plan.combinations().len(),
        "left_out": plan.left_out(),
        "trials": swept.trials.len(),
        "failed": swept.failed(),
        "shard": swept.is_part().then(|| swept.shard.to_string()),
        "interrupted": swept.is_interrupted(),
        "objective": plan.objective_column().name,
        "best": best.map(|best| json!({
            "index": best.index,
            "overrides": overrides(plan, best.index),
            "values": values(plan, best),
        })),
        "deflated_sharpe": swept.deflated.map(|deflated| deflated.probability),
        "sharpe_expected_by_luck": swept.deflated.map(|deflated| deflated.by_luck),
        "walk_forward": out_of_sample(plan, swept).map(|statistics| {
            let ratio = |stem: &str| statistics.ratio_of(stem).map(|ratio| (ratio.name.clone(), json!(ratio.value)));
            let ratios = ["total_return", "cagr", "sharpe", "sortino", "volatility", "max_drawdown"];
            let mut object: Map<String, Value> = ratios.into_iter().filter_map(ratio).collect();
            object.insert("folds".to_owned(), json!(swept.folds.len()));
            object.insert("chosen".to_owned(), json!(sweep::chosen(&swept.proofs)));
            object
        }),
        "seconds": took.as_secs_f64(),
        "files": files,
    })
}

fn overrides(plan: &SweepPlan, index: u64) -> Map<String, Value> {
    let combination = plan.sweep().combination(index).unwrap_or_default();
    combination.into_iter().map(|(key, value)| (key, json!(value))).collect()
}

/// Money is text, as everywhere.
fn values(plan: &SweepPlan, trial: &Trial) -> Map<String, Value> {
    let Ok(values) = &trial.ended else { return Map::new() };
    let mut object = Map::new();
    for (name, money) in
        [("profit", values.profit), ("final_equity", values.final_equity), ("fees", values.fees)]
    {
        object.insert(name.to_owned(), json!(money.to_string()));
    }
    for (name, count) in [
        ("trades", values.trades),
        ("orders", values.orders),
        ("fills", values.fills),
        ("periods", values.periods),
    ] {
        object.insert(name.to_owned(), json!(count));
    }
    for (column, ratio) in plan.ratios().iter().enumerate() {
        object.insert(ratio.name.clone(), json!(trial.ratio(column)));
    }
    object.insert("hash".to_owned(), json!(values.hash));
    object.insert("failure".to_owned(), json!(values.failure));
    object
}

fn out_of_sample(plan: &SweepPlan, swept: &Swept) -> Option<Statistics> {
    swept.out_of_sample.as_ref().map(|record| stats::compute(record, plan.options()))
}

fn words(plan: &SweepPlan, swept: &Swept, files: &[PathBuf], took: Duration) -> String {
    let done = swept.trials.len() as u64;
    let failed = match swept.failed() {
        0 => String::new(),
        failed => format!(", {} failed", number(failed)),
    };
    let left_out = match plan.left_out() {
        0 => String::new(),
        left_out => format!(", {} left out by where", number(left_out)),
    };
    let part = if swept.is_part() { format!(" (shard {})", swept.shard) } else { String::new() };
    let mut text = format!(
        "{}: {} combinations{part}{failed}{left_out}, in {:.1} s\n",
        plan.manifest().name.as_deref().unwrap_or("sweep"),
        number(done),
        took.as_secs_f64()
    );
    if swept.is_interrupted() {
        let walk = if swept.folds.is_empty() { "" } else { ", walk-forward is not" };
        let (done, wanted) = (number(done), number(swept.wanted));
        let _ = writeln!(text, "Interrupted: {done} of {wanted} combinations are done{walk}.");
    }
    let (heads, rows) = sweep::top(plan, &swept.trials, TOP_MAX);
    if rows.is_empty() {
        let _ = writeln!(text, "No combination has a {}.", plan.objective_column().name);
    } else {
        text.push('\n');
        text += &table(&heads, &rows);
    }
    for paragraph in
        [swept.deflated.as_ref().map(sweep::luck), walk_forward(plan, swept)].into_iter().flatten()
    {
        let _ = writeln!(text, "\n{}", wrapped(&paragraph));
    }
    if let Some(reason) = swept.trials.iter().find_map(|trial| trial.ended.as_ref().err()) {
        let _ = writeln!(text, "\nThe first that failed: {reason}");
    }
    let failures = |trial: &Trial| trial.ended.as_ref().ok()?.failure.clone();
    if let Some(failure) = swept.trials.iter().find_map(failures) {
        let _ = writeln!(text, "\nA strategy failed and went on: {failure}");
    }
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    text.extend(["\nFiles: ", &files.join(", "), "\n"]);
    text
}

fn walk_forward(plan: &SweepPlan, swept: &Swept) -> Option<String> {
    let statistics = out_of_sample(plan, swept)?;
    let ratio = |stem: &str| {
        statistics
            .ratio_of(stem)
            .map_or_else(String::new, |ratio| format!("{} {}", ratio.label, ratio.text()))
    };
    Some(format!(
        "Walk-forward on {} folds, {} different combinations chosen. Out of sample: {}, {}, {}.",
        swept.folds.len(),
        sweep::chosen(&swept.proofs),
        ratio("total_return"),
        ratio("sharpe"),
        ratio("max_drawdown")
    ))
}

fn table(heads: &[String], rows: &[Vec<sweep::TopCell>]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(terminal_width());
    table.add_row(heads.iter().map(|head| head.trim_start_matches('>')));
    for row in rows {
        table.add_row(row.iter().map(|(text, _)| text));
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Broken at spaces to the terminal's width.
fn wrapped(text: &str) -> String {
    let width = usize::from(terminal_width());
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}
