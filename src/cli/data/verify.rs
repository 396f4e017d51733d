//! `bot data verify`.

use std::path::PathBuf;

use super::{BadRow, Exit, Failure, FileArgs, Global, Missing, OnBadRow, go_through, open};

/// Reads files to their end and tells every fault
///
/// Several files are read one after the other as if they were one. Without a policy, every bad row and every missing
/// bar is a fault.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot data verify nvda.parquet\n  \
    bot data verify NVDA_1min.csv\n  \
    bot data verify 2024.csv 2025.csv --on-gap keep     missing bars are no fault\n  \
    bot --json data verify nvda.csv | jq .digest\n\n\
    Exit codes: 0 clean, 2 usage, 3 a file cannot be read, 4 a file is not there, 10 there are faults.")]
pub(super) struct Args {
    /// CSV files, or Parquet files (.parquet), in order of time
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: FileArgs,
    /// skip: bad rows are told, but are no fault
    #[arg(long, value_enum)]
    on_bad_row: Option<BadRow>,
    /// keep: missing bars are told, but are no fault; fill: those that can be filled are none
    #[arg(long, value_enum)]
    on_gap: Option<Missing>,
}

/// Runs the command.
pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let mut spec = args.reading.spec(&args.files)?;
    spec.on_bad_row = OnBadRow::Skip;
    spec.on_gap = args.on_gap.unwrap_or(Missing::Keep).into();
    let done = go_through(&mut *open(&spec)?, None)?;
    done.print(&spec, None, global)?;
    let bad_rows = match args.on_bad_row {
        Some(BadRow::Skip) => 0,
        Some(BadRow::Error) | None => done.account.skipped,
    };
    let missing = match args.on_gap {
        Some(Missing::Keep) => 0,
        Some(Missing::Fill) | None => done.account.missing - done.account.filled,
    };
    if bad_rows + missing == 0 {
        return Ok(());
    }
    let text = format!("data must be whole, had {bad_rows} bad rows and {missing} missing bars");
    Err(Failure::message(Exit::CheckFailed, text))
}
