//! `sweep.html`: the grid as a heat map or a line, the best combinations, how much of it may be luck, walk-forward.

use std::time::Duration;

use super::plan::SweepPlan;
use super::ranking::{Deflated, best, influence};
use super::table::plain;
use super::top::{self, TopCell, named};
use super::trial::Trial;
use super::walk::{Proof, chosen};
use crate::record::Record;
use crate::stats::report::sheet::{self, Caption, Grid, Tone};
use crate::stats::text::number;
use crate::stats::{self, RatioUnit};
use bot_core::calendar::date_of;

/// What the page tells of.
#[derive(Debug)]
pub struct Story<'a> {
    /// What was swept.
    pub plan: &'a SweepPlan,
    /// What became of it.
    pub trials: &'a [Trial],
    /// How much of the best may be luck.
    pub deflated: Option<Deflated>,
    /// Walk-forward, fold by fold; empty without.
    pub proofs: &'a [Proof],
    /// The test windows one after another.
    pub out_of_sample: Option<&'a Record>,
    /// How it was made: names and texts.
    pub made: Vec<(String, String)>,
}

/// So many of the best are on the page.
const TOP_MAX: usize = 50;
/// So many reasons for failures are told.
const REASONS_MAX: usize = 10;

/// The page; equal stories give equal pages.
pub fn page(story: &Story<'_>) -> String {
    let Story { plan, trials, .. } = story;
    let combinations = plan.combinations().len() as u64;
    let failed = trials.iter().filter(|trial| trial.ended.is_err()).count() as u64;
    let title = plan.manifest().name.as_deref().unwrap_or("Sweep");
    let mut facts = vec![format!("{} combinations", number(combinations))];
    facts.extend(plan.sweep().axes.iter().map(|axis| match axis.values.len() {
        1 => format!("{} (1 value)", axis.key),
        many => format!("{} ({many} values)", axis.key),
    }));
    facts.extend((plan.left_out() > 0).then(|| format!("{} left out by where", number(plan.left_out()))));
    let mut body = tiles(story);
    let done = trials.len() as u64;
    if done < combinations {
        let says =
            format!("Interrupted: {} of {} combinations were run.", number(done), number(combinations));
        body += &sheet::notice(&says, Tone::Warning);
    }
    if let Some(deflated) = &story.deflated {
        let tone = if deflated.is_convincing() { Tone::Good } else { Tone::Warning };
        body += &sheet::notice(&top::luck(deflated), tone);
    }
    body += &sheet::charts(&[grid(story), out_of_sample(story)].concat());
    body += &folds(story);
    let (heads, rows) = top::top(plan, trials, TOP_MAX);
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let says = format!(
        "By {}, {} first. sweep.csv and sweep.parquet have all of them.",
        plan.objective_column().label,
        if plan.objective().is_lower_better { "the lowest" } else { "the highest" },
    );
    body +=
        &sheet::section("The best combinations", &[sheet::note(&says), sheet::table(&heads, &rows)].concat());
    if failed > 0 {
        body += &failures(plan, trials, failed);
    }
    let made = story.made.iter().map(|(name, text)| vec![(name.clone(), None), (text.clone(), None)]);
    body += &sheet::section("How this was made", &sheet::table(&["", ""], &made.collect::<Vec<_>>()));
    sheet::page("Sweep", title, &facts, &body)
}

fn tiles(story: &Story<'_>) -> String {
    let Story { plan, trials, .. } = story;
    let tile = |label: &str, big: String, small: String| (label.to_owned(), big, small);
    let mut tiles = Vec::new();
    let failed = trials.iter().filter(|trial| trial.ended.is_err()).count() as u64;
    if let Some(best) = best(plan, trials) {
        let value = |column: usize| plan.ratios()[column].unit.text(best.ratio(column));
        let objective = plan.objective().column;
        tiles.push(tile(
            &format!("Best {}", plan.objective_column().label),
            value(objective),
            named(plan, best.index),
        ));
        for stem in ["total_return", "max_drawdown"] {
            if let Some(column) = SweepPlan::column(stem).filter(|column| *column != objective) {
                tiles.push(tile(&plan.ratios()[column].label, value(column), "of the best".to_owned()));
            }
        }
    }
    if let Some(deflated) = &story.deflated {
        let small = "the chance that the best is more than luck".to_owned();
        tiles.push(tile("Deflated Sharpe", RatioUnit::Percent.text(Some(deflated.probability)), small));
    }
    tiles.push(tile("Combinations", number(trials.len() as u64), format!("{} failed", number(failed))));
    sheet::tiles(&tiles)
}

fn grid(story: &Story<'_>) -> String {
    let Story { plan, trials, .. } = story;
    let axes = &plan.sweep().axes;
    let names = plan.sweep().short_names();
    let column = plan.objective_column();
    let labels = |axis: usize| -> Vec<String> {
        axes[axis].values.iter().map(|value| plain(value).to_owned()).collect()
    };
    let caption = |says: String| Caption {
        title: format!("{} over {}", column.label, names.join(" and ")),
        says,
        measure: column.label.clone(),
    };
    if trials.iter().all(|trial| trial.ratio(plan.objective().column).is_none()) {
        return sheet::note("There is no chart: no combination has the ratio by which they are ordered.");
    }
    let best =
        best(plan, trials).map_or(String::new(), |best| format!("The best is {}.", named(plan, best.index)));
    if let [_] = axes.as_slice() {
        let values: Vec<Option<f64>> = means(plan, trials, 0, 0).into_iter().map(|row| row[0]).collect();
        sheet::line(&caption(best), &names[0], &labels(0), &values, column.unit)
    } else {
        // The later axis of the text goes from left to right, as it changes first.
        let mut two: Vec<usize> = influence(plan, trials).into_iter().take(2).collect();
        two.sort_unstable();
        let (down, across) = (two[0], two[1]);
        let others = axes.len() - 2;
        let says = match others {
            0 => best,
            _ => format!(
                "{best} Of {} keys the two that move it most are drawn; each cell is the mean over the others.",
                axes.len()
            ),
        };
        let grid = Grid {
            across: (&names[across], labels(across)),
            down: (&names[down], labels(down)),
            cells: means(plan, trials, down, across),
            unit: column.unit,
            is_lower_better: plan.objective().is_lower_better,
        };
        let names = format!("{} and {}", names[down], names[across]);
        sheet::heat_map(&Caption { title: format!("{} over {names}", column.label), ..caption(says) }, &grid)
    }
}

/// The mean objective for each pair of values of two axes; with the same axis twice, of one.
fn means(plan: &SweepPlan, trials: &[Trial], down: usize, across: usize) -> Vec<Vec<Option<f64>>> {
    let counts: Vec<usize> = plan.sweep().axes.iter().map(|axis| axis.values.len()).collect();
    let place = |index: u64, axis: usize| {
        let below: u64 = counts[axis + 1..].iter().map(|count| *count as u64).product();
        usize::try_from(index / below % counts[axis] as u64).unwrap_or(0)
    };
    let columns = if down == across { 1 } else { counts[across] };
    let mut sums = vec![vec![(0.0, 0.0); columns]; counts[down]];
    for trial in trials {
        let column = if down == across { 0 } else { place(trial.index, across) };
        if let Some(value) = trial.ratio(plan.objective().column) {
            let (sum, seen) = &mut sums[place(trial.index, down)][column];
            *sum += value;
            *seen += 1.0;
        }
    }
    let mean = |(sum, seen): &(f64, f64)| (*seen > 0.0).then(|| sum / seen);
    sums.iter().map(|row| row.iter().map(mean).collect()).collect()
}

fn out_of_sample(story: &Story<'_>) -> String {
    let (plan, proofs) = (story.plan, story.proofs);
    let Some(record) = story.out_of_sample else { return String::new() };
    let statistics = stats::compute(record, plan.options());
    let shown = |stem: &str| {
        statistics
            .ratio_of(stem)
            .map_or_else(String::new, |ratio| format!("{} {}", ratio.label, ratio.text()))
    };
    let says = format!(
        "On each fold the best combination of the train window was run on the test window after it; {} different ones were \
         chosen on {} folds. Out of sample: {}, {}, {}.",
        chosen(proofs),
        proofs.len(),
        shown("total_return"),
        shown("sharpe"),
        shown("max_drawdown"),
    );
    let caption = Caption {
        title: "Walk-forward: equity out of sample".to_owned(),
        says,
        measure: "US dollars; the test windows one after another, each on what the one before left"
            .to_owned(),
    };
    let points: Vec<_> = record.marks.iter().map(|mark| (mark.at, mark.equity)).collect();
    sheet::over_time(&caption, &points)
}

fn folds(story: &Story<'_>) -> String {
    let (plan, proofs) = (story.plan, story.proofs);
    if proofs.is_empty() {
        return String::new();
    }
    let objective = plan.objective().column;
    let label = &plan.objective_column().label;
    let heads = [
        ">Fold",
        "Test",
        "Chosen",
        &format!(">{label}, train"),
        &format!(">{label}, test"),
        ">Return",
        ">Trades",
    ];
    let rows = proofs.iter().zip(1_u32..).map(|(proof, fold)| {
        let day = |at| date_of(at).to_string();
        let trial = proof.trial.as_ref();
        let ratio = |value: Option<f64>, column: usize| -> TopCell {
            (plan.ratios()[column].unit.text(value), Some(value.unwrap_or(f64::NAN)))
        };
        let of = |column: usize| ratio(trial.and_then(|trial| trial.ratio(column)), column);
        let until = proof.fold.test.until - Duration::from_nanos(1);
        let trades = trial.and_then(|trial| Some(trial.ended.as_ref().ok()?.trades)).unwrap_or(0);
        vec![
            (fold.to_string(), Some(f64::from(fold))),
            (format!("{} to {}", day(proof.fold.test.after), day(until)), None),
            (
                proof.choice.as_ref().map_or_else(|| "none".to_owned(), |choice| named(plan, choice.index)),
                None,
            ),
            ratio(proof.choice.as_ref().map(|choice| choice.objective), objective),
            of(objective),
            of(SweepPlan::column("total_return").unwrap_or(0)),
            top::count(trades),
        ]
    });
    sheet::section("Walk-forward", &sheet::table(&heads, &rows.collect::<Vec<_>>()))
}

fn failures(plan: &SweepPlan, trials: &[Trial], failed: u64) -> String {
    let rows = trials.iter().filter_map(|trial| {
        let reason = trial.ended.as_ref().err()?;
        Some(vec![(named(plan, trial.index), None), (reason.clone(), None)])
    });
    let rows: Vec<Vec<TopCell>> = rows.take(REASONS_MAX).collect();
    let note = sheet::note(&format!(
        "{} of {} failed; the first ones are listed.",
        number(failed),
        number(trials.len() as u64)
    ));
    sheet::section("Combinations that failed", &[note, sheet::table(&["Combination", "Why"], &rows)].concat())
}
