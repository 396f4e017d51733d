//! How fast the live pool is, beside the floor: the least that any program could do for the same signals.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
#![allow(clippy::print_stdout, reason = "a benchmark's figures are its output")]

mod broker;
mod floor;
mod pinning;
mod report;
mod session;
mod signals;
mod subject;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use broker::OrderServer;
use pinning::{Cores, Pinning};
use report::{Conditions, Report};
use session::{Load, Rig, Sample};
use signals::SignalServer;
use subject::Subject;

/// Measures `bot -w 1` and `bot -w 8` against a bare loop over a real Redis and a minimal order server.
#[derive(Debug, Parser)]
#[command(name = "bench-live")]
struct Cli {
    /// A short run that shows whether it works; its figures mean little
    #[arg(long)]
    quick: bool,
    /// The figures as one JSON object on stdout
    #[arg(long)]
    json: bool,
    /// How often each subject is measured; medians are printed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: Option<u32>,
    /// Measures the floor alone
    #[arg(long)]
    floor_only: bool,
}

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args().collect();
    let under_cargo_bench = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    let ended = if arguments.get(1).is_some_and(|first| first == floor::COMMAND) {
        floor::main(arguments.into_iter().skip(2))
    } else if under_cargo_bench {
        measure(&Cli::parse_from(arguments))
    } else {
        // `cargo test --all-targets` runs this too and is not to wait for figures.
        eprintln!("bench-live: run it with scripts/bench-live");
        Ok(())
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-live: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> anyhow::Result<()> {
    let load = if cli.quick { Load::quick() } else { Load::full() };
    let repeats = cli.repeats.unwrap_or(if cli.quick { 1 } else { 3 });
    let pinning = Pinning::of_this_process()?;
    let load_average = load_average()?;
    let signals = SignalServer::start()?;
    let rig = Rig { orders: OrderServer::start().context("start the order server")?, signals };

    let mut samples = Vec::new();
    for cores in [Cores::Free, Cores::One] {
        pinning.apply(cores, &[std::process::id(), rig.signals.pid()])?;
        // Floor, ours, floor, ours: what else the machine does falls on both alike.
        for repeat in 1..=repeats {
            for subject in subjects(cli.floor_only) {
                eprintln!("{repeat} of {repeats}: {subject}, {cores}");
                samples.push((subject, cores, measure_one(&rig, subject, cores, load)?));
            }
        }
    }
    pinning.apply(Cores::Free, &[std::process::id()])?;

    let conditions = Conditions { load, repeats, cpus: pinning.count(), load_average };
    let report = Report::new(conditions, &samples);
    if cli.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn measure_one(rig: &Rig, subject: Subject, cores: Cores, load: Load) -> anyhow::Result<Sample> {
    session::run(rig, subject, load).with_context(|| format!("measure {subject}, {cores}"))
}

/// How busy others kept the machine in the minute before.
fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    text.split(' ').next().unwrap_or_default().parse().context("read the first figure of /proc/loadavg")
}

fn subjects(floor_only: bool) -> impl Iterator<Item = Subject> {
    Subject::ALL.into_iter().filter(move |subject| !floor_only || subject.is_floor())
}
