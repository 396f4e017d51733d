//! `bot parity`: a recorded session replayed and compared order by order.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::Global;
use super::exit::{Exit, Failure};
use super::interrupt::Interrupts;
use super::progress::ProgressLine;
use crate::backtest::Progress;
use crate::duration;
use crate::live::Stop;
use crate::parity::{self, Latency, Parity, ParityOptions, Reason};
use crate::stats::text;

/// Replays a recorded session and compares it order by order
///
/// The recorded market events go through the backtest: the session's strategies again, signals from elsewhere at the
/// time of their arrival, the same desk, fills at the recorded quotes. Each difference gets a reason from a closed list.
/// Exit code 10 says that some are unexplained.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot run live.toml --record today            record a session\n  \
    bot parity today                            replay it and compare\n  \
    bot parity today --out compared --json | jq .reasons")]
pub struct Args {
    /// The directory that `bot run --record` wrote
    directory: PathBuf,
    /// Writes all differences to parity.csv in this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Which session of the recording, the oldest is 1 [default: the last]
    #[arg(long, value_name = "N")]
    session: Option<usize>,
    /// How long an order of the replay is on its way; median is the session's own
    #[arg(long, value_name = "DUR|median", default_value = "0ms", value_parser = latency)]
    latency: Latency,
}

/// Runs the command.
pub fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let stop = Stop::default();
    let _interrupts = Interrupts::listen(&stop)?;
    let mut line = ProgressLine::new(global);
    let mut go_on = |progress: Progress| {
        if line.is_shown() {
            line.show(&format!("{} events, at {}", text::number(progress.events), progress.at));
        }
        !stop.is_requested()
    };
    let options = ParityOptions { session: args.session, latency: args.latency };
    let parity = parity::compare(&args.directory, &options, &mut go_on);
    line.clear();
    let parity = parity?;
    if let Some(out) = &args.out {
        write_csv(&parity, out)?;
    }
    let mut stdout = std::io::stdout().lock();
    if global.json {
        writeln!(stdout, "{}", parity.to_json())?;
    } else {
        write!(stdout, "{parity}")?;
    }
    match parity.count(Reason::Unexplained) {
        0 => Ok(()),
        left => Err(Failure::message(Exit::CheckFailed, format!("{left} differences are unexplained"))),
    }
}

fn latency(text: &str) -> Result<Latency, String> {
    if text == "median" { Ok(Latency::Median) } else { duration::parse(text).map(Latency::Span) }
}

fn write_csv(parity: &Parity, out: &std::path::Path) -> Result<(), anyhow::Error> {
    let path = out.join("parity.csv");
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(out)?;
        let mut file = std::io::BufWriter::new(File::create(&path)?);
        parity.write_csv(&mut file)?;
        file.flush()
    };
    write().with_context(|| format!("write {}", path.display()))
}
