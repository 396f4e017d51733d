//! `bot data import`.

use std::path::PathBuf;

use super::{BadRow, Failure, FileArgs, Global, Missing, OnBadRow, OnGap, open, write_out};

/// Reads foreign files and writes one of our own
///
/// Several files are read one after the other as if they were one. The new file has the columns that every command
/// knows, times in UTC, and numbers with as many digits as they need.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot data import NVDA_1min.csv --out nvda.parquet\n  \
    bot data import 2024.csv 2025.csv --out spy.csv --symbol SPY --columns time=Date,close=\"Adj Close\" --timeframe 1d\n  \
    bot data import ticks.txt --out ticks.parquet --event trade --no-header --columns time=1,price=3,size=4\n  \
    bot data import rough.csv --out clean.csv --on-bad-row skip --on-gap fill\n\n\
    Exit codes: 0 all well, 2 usage, 3 a file or row cannot be read, 4 a file is not there.")]
pub(super) struct Args {
    /// CSV files, or Parquet files (.parquet), in order of time
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The new file: .csv or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    reading: FileArgs,
    /// What becomes of a row that cannot be read, stands out of order or is there twice
    #[arg(long, value_enum, default_value = "error")]
    on_bad_row: BadRow,
    /// What becomes of missing bars
    #[arg(long, value_enum, default_value = "keep")]
    on_gap: Missing,
}

/// Runs the command.
pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let mut spec = args.reading.spec(&args.files)?;
    (spec.on_bad_row, spec.on_gap) = (args.on_bad_row.into(), args.on_gap.into());
    write_out(&mut *open(&spec)?, &spec, &args.out, None, global)
}

impl From<BadRow> for OnBadRow {
    fn from(policy: BadRow) -> Self {
        match policy {
            BadRow::Error => OnBadRow::Error,
            BadRow::Skip => OnBadRow::Skip,
        }
    }
}

impl From<Missing> for OnGap {
    fn from(policy: Missing) -> Self {
        match policy {
            Missing::Keep => OnGap::Keep,
            Missing::Fill => OnGap::Fill,
        }
    }
}
