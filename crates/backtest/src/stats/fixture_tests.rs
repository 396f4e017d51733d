//! Every ratio against quantstats 0.0.86, whose numbers `scripts/quantstats-fixture.py` wrote down.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Group, Statistics, StatisticsOptions, compute};
use crate::record::{Mark, Record};
use bot_core::clock::Timestamp;

#[derive(Deserialize)]
struct Case {
    name: String,
    periods: f64,
    risk_free: f64,
    start: String,
    dates: Vec<String>,
    returns: Vec<f64>,
    benchmark: Option<Vec<f64>>,
    expected: BTreeMap<String, Option<f64>>,
    expected_benchmark: Option<BTreeMap<String, Option<f64>>>,
    /// The year, twelve months, the whole year; 0 for a month without a return.
    months: Vec<Vec<f64>>,
    /// Start, valley, end, days, depth.
    falls: Vec<(String, String, String, i64, f64)>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("fixtures/quantstats.json")).unwrap()
}

impl Case {
    fn statistics(&self) -> Statistics {
        let close = |day: &str| Timestamp::parse_rfc3339(&format!("{day}T21:00:00Z")).unwrap();
        let (mut equity, mut benchmark) = (100_000.0, if self.benchmark.is_some() { 50.0 } else { f64::NAN });
        let mut marks = vec![mark(close(&self.start), equity, benchmark)];
        for (place, day) in self.dates.iter().enumerate() {
            equity *= 1.0 + self.returns[place];
            benchmark *= 1.0 + self.benchmark.as_ref().map_or(0.0, |returns| returns[place]);
            marks.push(mark(close(day), equity, benchmark));
        }
        let options = StatisticsOptions {
            periods_per_year: self.periods,
            risk_free: self.risk_free,
            bootstrap: 0,
            ..StatisticsOptions::default()
        };
        compute(&Record { marks, ..Record::default() }, &options)
    }
}

fn mark(at: Timestamp, equity: f64, benchmark: f64) -> Mark {
    Mark { at, equity, cash: equity, net: 0.0, gross: 0.0, benchmark }
}

/// To 1e-9 of the value; of values near 0 to 1e-12.
fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-9 * wanted.abs() + 1e-12
}

fn same(found: Option<f64>, wanted: Option<f64>) -> bool {
    match (found, wanted) {
        (None, None) => true,
        (Some(found), Some(wanted)) => close(found, wanted),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[test]
fn every_ratio_is_that_of_quantstats() {
    let mut faults = Vec::new();
    for case in cases() {
        let statistics = case.statistics();
        let key = |name: &str| name.replace('#', &case.periods.to_string());
        for (name, wanted) in &case.expected {
            let ratio = statistics.ratio(&key(name)).unwrap_or_else(|| panic!("{name} is missing"));
            if !same(ratio.value, *wanted) {
                faults.push(format!("{}: {name} is {:?}, wanted {wanted:?}", case.name, ratio.value));
            }
        }
        for (name, wanted) in case.expected_benchmark.iter().flatten() {
            let found = statistics.ratio(&key(name)).unwrap().benchmark;
            if !same(found, *wanted) {
                faults
                    .push(format!("{}: {name} of the benchmark is {found:?}, wanted {wanted:?}", case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_ratio_of_returns_is_compared_with_quantstats() {
    let case = cases().into_iter().find(|case| case.benchmark.is_some()).unwrap();
    let uncompared: Vec<_> = case
        .statistics()
        .ratios
        .into_iter()
        .filter(|ratio| ratio.group != Group::Trades)
        .map(|ratio| ratio.name.replace("252", "#"))
        .filter(|name| !case.expected.contains_key(name))
        .collect();
    assert_eq!(uncompared, [""; 0]);
}

#[test]
fn every_ratio_has_its_formula_in_the_docs() {
    let docs = include_str!("../../../../docs/statistics.md");
    let statistics = cases()[0].statistics();
    let untold: Vec<_> = statistics
        .ratios
        .iter()
        .map(|ratio| ratio.name.replace("252", "#"))
        .filter(|name| !docs.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(untold, [""; 0]);
}

#[test]
fn months_and_falls_are_those_of_quantstats() {
    for case in cases() {
        let statistics = case.statistics();
        for (found, wanted) in statistics.months.iter().zip(&case.months) {
            let row = found.months.iter().chain([&found.total]).map(|value| value.unwrap_or(0.0));
            let row: Vec<_> = [f64::from(found.year)].into_iter().chain(row).collect();
            assert!(row.iter().zip(wanted).all(|(a, b)| close(*a, *b)), "{}: {row:?} {wanted:?}", case.name);
        }
        assert_eq!(statistics.months.len(), case.months.len());
        let mut falls = case.falls.clone();
        falls.sort_by(|a, b| a.4.total_cmp(&b.4));
        assert_eq!(statistics.drawdowns.len(), falls.len().min(10), "{}", case.name);
        for (found, (start, valley, end, days, depth)) in statistics.drawdowns.iter().zip(falls) {
            let day = |at| bot_core::calendar::date_of(at).to_string();
            let last = found.end.map_or(case.dates.last().unwrap().clone(), day);
            assert_eq!(
                (day(found.start), day(found.valley), last, found.days),
                (start, valley, end, days),
                "{}",
                case.name
            );
            assert!(close(found.depth, depth), "{}: {} {depth}", case.name, found.depth);
        }
    }
}
