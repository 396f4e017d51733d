//! Promises of a sweep that need no run: order, ties, luck, and rows that read back.

use std::fs;

use super::csv::read_csv;
use super::walk::{Choice, best_of};
use super::*;
use bot_manifest::Document;

const MANIFEST: &str = r#"
[broker]
kind = "simulated"
[data.one]
kind = "generator"
[[strategy]]
name = "cross"
kind = "ema_cross"
[sweep]
"strategy.cross.params.fast" = [5, 10]
"data.one.seed" = [1, 2, 3]
"broker.fees" = ["none", { bps = 1 }]
"#;

fn plan(objective: &str) -> SweepPlan {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    fs::write(&path, format!("{MANIFEST}objective = \"{objective}\"\n")).unwrap();
    SweepPlan::new(Document::open(&path).unwrap(), Vec::new()).unwrap()
}

/// A trial whose every ratio is `ratio`; NaN for one that is not defined.
fn trial(plan: &SweepPlan, index: u64, ratio: f64) -> Trial {
    let values = TrialValues {
        profit: "12.345".parse().unwrap(),
        final_equity: "100012.345".parse().unwrap(),
        fees: "0.5".parse().unwrap(),
        trades: 1,
        orders: 2,
        fills: 3,
        periods: 250,
        ratios: vec![ratio; plan.ratios().len()].into(),
        hash: "ab".to_owned(),
        failure: (index == 3).then(|| "strategy \"a\" failed: no, not so".to_owned()),
    };
    Trial { index, ended: Ok(values) }
}

fn failed(index: u64) -> Trial {
    Trial { index, ended: Err("no, \"not\" so".to_owned()) }
}

#[test]
fn the_last_key_changes_first_and_each_combination_comes_once() {
    let plan = plan("sharpe");
    let named: Vec<String> = (0..12).map(|index| named(&plan, index)).collect();
    assert_eq!(named[0], "fast 5, seed 1, fees none");
    assert_eq!(named[1], "fast 5, seed 1, fees { bps = 1 }");
    assert_eq!(named[2], "fast 5, seed 2, fees none");
    assert_eq!(named[11], "fast 10, seed 3, fees { bps = 1 }");
    let mut distinct = named.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((plan.sweep().combinations(), distinct.len()), (12, 12));
}

#[test]
fn combinations_of_the_same_data_are_run_one_after_another() {
    let plan = plan("sharpe");
    assert!(plan.is_swept("one") && !plan.is_swept("on"));
    let data: Vec<u64> = (0..12).map(|index| plan.data_of(index)).collect();
    assert_eq!(data, [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
}

#[test]
fn of_equals_the_first_is_the_best_and_what_has_no_number_is_not_ranked() {
    #[track_caller]
    fn check(objective: &str, wanted: &[u64]) {
        let plan = plan(objective);
        let numbers = [1.0, 3.0, f64::NAN, 3.0, 0.5];
        let mut trials: Vec<Trial> =
            (0..).zip(numbers).map(|(index, number)| trial(&plan, index, number)).collect();
        trials.push(failed(5));
        let found: Vec<u64> = ranked(&plan, &trials).iter().map(|trial| trial.index).collect();
        assert_eq!(found, wanted);
        assert_eq!(best(&plan, &trials).map(|trial| trial.index), wanted.first().copied());
    }
    check("sharpe", &[1, 3, 0, 4]);
    check("sqn", &[1, 3, 0, 4]);
    check("volatility", &[4, 0, 1, 3]);
}

#[test]
fn a_row_reads_back_as_the_trial_that_it_was_written_of() {
    let plan = plan("sqn");
    let trials = [trial(&plan, 0, 0.1 + 0.2), trial(&plan, 1, f64::NAN), failed(2), trial(&plan, 3, -1e-300)];
    let file = tempfile::NamedTempFile::new().unwrap();
    write_csv(&results(&plan, &trials), file.as_file()).unwrap();
    let rows = read_csv(file.path()).unwrap();
    let head = &rows[0];
    assert_eq!(&head[..5], ["index", "strategy.cross.params.fast", "data.one.seed", "broker.fees", "profit"]);
    assert!(head.contains(&"sharpe_252".to_owned()) && head.contains(&"sqn".to_owned()));
    for (cells, trial) in rows[1..].iter().zip(&trials) {
        let found = table::trial(&plan, cells).unwrap();
        assert_eq!(format!("{found:?}"), format!("{trial:?}")); // NaN is not equal to itself.
    }
}

#[test]
fn luck_is_told_by_the_number_of_tries_and_their_spread() {
    let plan = plan("sharpe");
    let of = |numbers: &[f64]| {
        let trials: Vec<Trial> =
            (0..).zip(numbers).map(|(index, number)| trial(&plan, index, *number)).collect();
        deflated(&plan, &trials)
    };
    let (few, many) = (of(&[1.0, 0.8, 0.9]).unwrap(), of(&[1.0, -3.0, 2.0, -2.0, 1.5, 0.0]).unwrap());
    assert_eq!((few.trials, many.trials, many.sharpe), (3, 6, 2.0));
    assert!(few.by_luck < 0.2 && many.by_luck > 1.0, "{few:?} {many:?}");
    let alone = of(&[1.0]).unwrap();
    assert!(alone.by_luck.abs() < 1e-12 && alone.probability > 0.5, "{alone:?}");
    assert_eq!(of(&[f64::NAN]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn the_best_of_all_shards_is_the_best_without_shards() {
    let choice = |index, objective| Some(Choice { index, objective });
    let shards = [vec![choice(0, 1.0), choice(3, 2.0), None], vec![choice(1, 1.5), choice(1, 2.0), None]];
    assert_eq!(best_of(&plan("sharpe"), &shards), [choice(1, 1.5), choice(1, 2.0), None]);
    assert_eq!(best_of(&plan("volatility"), &shards), [choice(0, 1.0), choice(1, 2.0), None]);
}

#[test]
fn the_axis_that_moves_the_objective_most_comes_first() {
    let plan = plan("sharpe");
    // Only the second key, the seed, moves it.
    let trials: Vec<Trial> = (0..12)
        .zip([0.0, 0.0, 1.0, 1.0, 5.0, 5.0].into_iter().cycle())
        .map(|(index, number)| trial(&plan, index, number))
        .collect();
    assert_eq!(influence(&plan, &trials), [1, 0, 2]);
}
