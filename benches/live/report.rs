//! Medians over the repeats, each beside its floor, and whether the aims are met.

use std::fmt;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::{Serialize, Serializer};

use crate::pinning::Cores;
use crate::session::{Load, Sample};
use crate::subject::Subject;

/// Under what conditions the figures were taken.
#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    #[serde(flatten)]
    pub(crate) load: Load,
    pub(crate) repeats: u32,
    pub(crate) cpus: usize,
    /// Of the minute before; well above 0 the tail is the neighbours'.
    pub(crate) load_average: f64,
}

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    conditions: Conditions,
    subjects: Vec<Row>,
    aims: Vec<Aim>,
}

impl Report {
    pub(crate) fn new(conditions: Conditions, samples: &[(Subject, Cores, Sample)]) -> Self {
        let mut subjects: Vec<Row> = Vec::new();
        for cores in [Cores::Free, Cores::One] {
            for subject in Subject::FLOORS_FIRST {
                let own: Vec<_> = samples
                    .iter()
                    .filter(|(s, c, _)| (*s, *c) == (subject, cores))
                    .map(|(.., sample)| *sample)
                    .collect();
                if !own.is_empty() {
                    let row = Row::new(subject, cores, &own, &subjects);
                    subjects.push(row);
                }
            }
        }
        let aims = Aim::judge_all(&subjects);
        Self { conditions, subjects, aims }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { load, repeats, cpus, load_average } = &self.conditions;
        writeln!(
            f,
            "{} signals at {}/s, then a burst of {}; medians of {repeats} alternating repeats; {cpus} cores, load \
             average {load_average:.1} before the start; the bot logs warnings only (RUST_LOG=warn).",
            load.paced, load.paced_per_second, load.burst
        )?;
        writeln!(
            f,
            "\"one core\" pins subject, Redis, order server and sender to one core. Ratios: latency to the floor with \
             one connection, orders/s to the floor with as many connections as workers."
        )?;
        writeln!(f, "\nXADD to the order's last byte at the server, microseconds\n{}", self.latency())?;
        writeln!(f, "\nBurst\n{}", self.burst())?;
        writeln!(f, "\nProcess\n{}", self.process())?;
        if !self.aims.is_empty() {
            writeln!(f, "\nAims\n{}", self.judgements())?;
        }
        Ok(())
    }
}

impl Report {
    fn latency(&self) -> Table {
        let columns = ["p50", "x floor", "p99", "x floor", "p99.9", "p50 of each repeat"];
        self.table(&columns, |row| {
            vec![
                format!("{:.0}", row.latency_us_p50),
                ratio(row.p50_to_floor),
                format!("{:.0}", row.latency_us_p99),
                ratio(row.p99_to_floor),
                format!("{:.0}", row.latency_us_p999),
                row.latency_us_p50_each.iter().map(|p50| format!("{p50:.0}")).collect::<Vec<_>>().join(" "),
            ]
        })
    }

    fn burst(&self) -> Table {
        let columns = [
            "orders/s",
            "x floor",
            "settled/s",
            "follow-ups",
            "other requests",
            "CPU s per 1,000",
            "x floor",
        ];
        self.table(&columns, |row| {
            vec![
                format!("{:.0}", row.orders_per_second),
                ratio(row.orders_to_floor),
                format!("{:.0}", row.settled_per_second),
                format!("{:.0}", row.follow_ups),
                format!("{:.0}", row.other_requests),
                format!("{:.4}", row.cpu_seconds_per_1000),
                ratio(row.cpu_to_floor),
            ]
        })
    }

    fn process(&self) -> Table {
        self.table(&["peak RSS MiB", "start to first read ms", "start to first order ms"], |row| {
            vec![
                format!("{:.1}", row.memory_peak_mib),
                format!("{:.1}", row.start_to_first_read_ms),
                format!("{:.1}", row.start_to_first_order_ms),
            ]
        })
    }

    fn table(&self, columns: &[&str], cells: impl Fn(&Row) -> Vec<String>) -> Table {
        let mut table = Table::new();
        table.load_preset(ASCII_MARKDOWN);
        table.set_header(["subject", "cores"].iter().chain(columns));
        for row in &self.subjects {
            let mut line = vec![row.subject.to_string(), row.cores.to_string()];
            line.extend(cells(row));
            table.add_row(line);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn judgements(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(ASCII_MARKDOWN);
        table.set_header(["aim", "", "found"]);
        for aim in &self.aims {
            let found: Vec<_> = aim.found.iter().map(Found::to_string).collect();
            table.add_row([aim.name, if aim.met { "met" } else { "not met" }, &found.join(", ")]);
        }
        table
    }
}

/// One subject's medians; ratios are absent for a floor.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(serialize_with = "as_text")]
    subject: Subject,
    #[serde(serialize_with = "as_text")]
    cores: Cores,
    latency_us_p50: f64,
    latency_us_p99: f64,
    latency_us_p999: f64,
    latency_us_p50_each: Vec<f64>,
    orders_per_second: f64,
    settled_per_second: f64,
    follow_ups: f64,
    other_requests: f64,
    cpu_seconds_per_1000: f64,
    memory_peak_mib: f64,
    start_to_first_read_ms: f64,
    start_to_first_order_ms: f64,
    p50_to_floor: Option<f64>,
    p99_to_floor: Option<f64>,
    orders_to_floor: Option<f64>,
    cpu_to_floor: Option<f64>,
}

impl Row {
    /// `measured` holds the floors of the same cores.
    fn new(subject: Subject, cores: Cores, samples: &[Sample], measured: &[Row]) -> Self {
        let median_of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
        let floor = |connections| {
            let floor = Subject::Floor { connections };
            measured.iter().find(|row| (row.subject, row.cores) == (floor, cores))
        };
        let (single, equal) = match subject {
            Subject::Floor { .. } => (None, None),
            Subject::Bot { workers } => (floor(1), floor(workers)),
        };
        let mut row = Self {
            subject,
            cores,
            latency_us_p50: median_of(|sample| sample.latency.p50),
            latency_us_p99: median_of(|sample| sample.latency.p99),
            latency_us_p999: median_of(|sample| sample.latency.p999),
            latency_us_p50_each: samples.iter().map(|sample| sample.latency.p50).collect(),
            orders_per_second: median_of(|sample| sample.burst.orders_per_second),
            settled_per_second: median_of(|sample| sample.burst.settled_per_second),
            follow_ups: median_of(|sample| sample.burst.follow_ups),
            other_requests: median_of(|sample| sample.burst.other_requests),
            cpu_seconds_per_1000: median_of(|sample| sample.burst.cpu_seconds_per_1000),
            memory_peak_mib: median_of(|sample| sample.memory_peak_mib),
            start_to_first_read_ms: median_of(|sample| sample.start.first_read),
            start_to_first_order_ms: median_of(|sample| sample.start.first_order),
            p50_to_floor: None,
            p99_to_floor: None,
            orders_to_floor: None,
            cpu_to_floor: None,
        };
        row.p50_to_floor = single.map(|floor| row.latency_us_p50 / floor.latency_us_p50);
        row.p99_to_floor = single.map(|floor| row.latency_us_p99 / floor.latency_us_p99);
        row.orders_to_floor = equal.map(|floor| row.orders_per_second / floor.orders_per_second);
        row.cpu_to_floor = equal.map(|floor| row.cpu_seconds_per_1000 / floor.cpu_seconds_per_1000);
        row
    }
}

/// One aim and how every run of the bot stands to it.
#[derive(Debug, Serialize)]
struct Aim {
    name: &'static str,
    met: bool,
    found: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    #[serde(serialize_with = "as_text")]
    subject: Subject,
    #[serde(serialize_with = "as_text")]
    cores: Cores,
    value: f64,
    met: bool,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { subject, cores, value, met } = self;
        write!(f, "{subject} {cores} {value:.2}{}", if *met { "" } else { " (!)" })
    }
}

impl Aim {
    /// Empty where the bot was not measured.
    fn judge_all(rows: &[Row]) -> Vec<Self> {
        let judge = |name, figure: fn(&Row) -> Option<f64>, fits: fn(f64) -> bool| {
            let bots = rows.iter().filter(|row| !row.subject.is_floor());
            let found: Vec<_> = bots
                .filter_map(|row| {
                    let (subject, cores, value) = (row.subject, row.cores, figure(row)?);
                    Some(Found { subject, cores, value, met: fits(value) })
                })
                .collect();
            Self { name, met: found.iter().all(|found| found.met), found }
        };
        let aims = vec![
            judge("p50 at most 1.5 x floor", |row| row.p50_to_floor, |x| x <= 1.5),
            judge("p99 at most 3 x floor", |row| row.p99_to_floor, |x| x <= 3.0),
            judge("orders/s at least 0.5 x floor", |row| row.orders_to_floor, |x| x >= 0.5),
            judge("peak RSS under 30 MiB", |row| Some(row.memory_peak_mib), |x| x < 30.0),
            judge("start to first read under 100 ms", |row| Some(row.start_to_first_read_ms), |x| x < 100.0),
        ];
        aims.into_iter().filter(|aim| !aim.found.is_empty()).collect()
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => f64::midpoint(figures[even / 2 - 1], figures[even / 2]),
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.2}"))
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
