//! `bot data generate`.

use std::path::PathBuf;

use chrono_tz::America::New_York;
use clap::ValueEnum;

use super::{Failure, Global, Origin, RowArgs, Spec, Timestamp, open, write_out};
use crate::clock::times::{Forms, Times};
use crate::data::spec::Walk;

/// Makes up a seeded random walk
///
/// The same seed gives the same rows, on every machine and for ever.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot data generate --out walk.csv --rows 1000000 --seed 7\n  \
    bot data generate --out btc.parquet --symbol BTC --sessions always --price 60000 --volatility 0.8\n  \
    bot data generate --out ticks.csv --event trade --rows 5000 --start 2025-09-15\n\n\
    Exit codes: 0 all well, 2 usage, 3 the file cannot be written.")]
pub(super) struct Args {
    /// The new file: .csv or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many rows
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    rows: u64,
    /// The same seed makes the same rows
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    kind: RowArgs,
    /// The first row's time, RFC 3339, or midnight of a day in New York
    #[arg(long, default_value = "2024-01-02", value_name = "TIME", value_parser = start)]
    start: Timestamp,
    /// The first price, US dollars
    #[arg(long, default_value_t = 100.0, value_name = "USD", value_parser = price)]
    price: f64,
    /// Standard deviation of a year's log return
    #[arg(long, default_value_t = 0.3, value_name = "X", value_parser = volatility)]
    volatility: f64,
    /// Mean of a year's log return
    #[arg(long, default_value_t = 0.0, value_name = "X", value_parser = drift, allow_negative_numbers = true)]
    drift: f64,
    /// Whether rows fall into the exchange's sessions, or the clock runs day and night
    #[arg(long, value_enum, default_value = "regular")]
    sessions: Sessions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sessions {
    /// While the New York Stock Exchange is open
    Regular,
    /// Day and night
    Always,
}

/// Runs the command.
pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let walk = Walk {
        seed: args.seed,
        rows: args.rows,
        start: args.start,
        price: args.price,
        volatility: args.volatility,
        drift: args.drift,
        in_sessions: args.sessions == Sessions::Regular,
    };
    let spec = Spec::strict(Origin::Generator(walk), args.kind.symbol(&args.out)?, args.kind.row_kind());
    write_out(&mut *open(&spec)?, &spec, &args.out, None, global)
}

fn start(text: &str) -> Result<Timestamp, String> {
    Times::new(Forms::Dates, New_York).read(text).map_err(|error| error.to_string())
}

fn price(text: &str) -> Result<f64, String> {
    number(text, "price must be from 0.01 to 1000000", 0.01..=1e6)
}

fn volatility(text: &str) -> Result<f64, String> {
    number(text, "volatility must be from 0 to 100", 0.0..=100.0)
}

fn drift(text: &str) -> Result<f64, String> {
    number(text, "drift must be from -100 to 100", -100.0..=100.0)
}

fn number(text: &str, rule: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("{rule}, was \"{text}\""))
}
