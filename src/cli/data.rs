//! `bot data`: files of bars and ticks, downloaded, read, checked, turned into one another and made up.

mod convert;
mod download;
mod generate;
mod import;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::Global;
use super::calendar::written;
use super::exit::{Exit, Failure};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::data::spec::Columns;
use crate::data::{
    DataError, Digest, Format, OnBadRow, OnGap, Origin, ReadReport, RowKind, Source, Spec, Writer, open,
};
use crate::duration;
use crate::symbol::Symbol;

/// Data files: downloads, imports, converts, makes up and verifies bars and ticks
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot data import NVDA_1min.csv --out nvda.parquet\n  \
    bot data convert nvda.parquet nvda.csv\n  \
    bot data download --symbol NVDA --from 2026-01-01 --to 2026-02-01\n  \
    bot data generate --out walk.csv --rows 1000000 --seed 7\n  \
    bot data verify nvda.parquet")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Args),
    Convert(convert::Args),
    Download(download::Args),
    Generate(generate::Args),
    Verify(verify::Args),
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.command {
        Command::Import(args) => import::run(&args, global),
        Command::Convert(args) => convert::run(&args, global),
        Command::Download(args) => download::run(&args, global),
        Command::Generate(args) => generate::run(&args, global),
        Command::Verify(args) => verify::run(&args, global),
    }
}

/// What the rows are.
#[derive(Debug, Clone, clap::Args)]
struct RowArgs {
    /// Of what; else the first word of the file's name
    #[arg(long, value_name = "TICKER")]
    symbol: Option<Symbol>,
    /// What each row is
    #[arg(long, value_enum, default_value = "bar")]
    event: RowEvent,
    /// How long each bar is
    #[arg(long, default_value = "1min", value_name = "DUR", value_parser = timeframe)]
    timeframe: Duration,
}

/// How files are to be read.
#[derive(Debug, Clone, clap::Args)]
struct FileArgs {
    #[command(flatten)]
    kind: RowArgs,
    /// The clock of times without an offset
    #[arg(long, default_value = "America/New_York", value_name = "ZONE", value_parser = timezone)]
    timezone: Tz,
    /// Which column is what, by name or, without a header, by number: time=date,close=adj
    #[arg(long, value_name = "FIELD=COLUMN,...", value_delimiter = ',', value_parser = column)]
    columns: Vec<(String, String)>,
    /// The first line is a row
    #[arg(long)]
    no_header: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowEvent {
    /// Open, high, low, close, volume
    Bar,
    /// Price, size
    Trade,
    /// Bid, bid size, ask, ask size
    Quote,
    /// A value
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BadRow {
    /// The reading ends with it
    Error,
    /// It is told, counted and left out
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Missing {
    /// They are told and stay missing
    Keep,
    /// Flat bars at the last close are put in, within a session
    Fill,
}

impl RowArgs {
    fn row_kind(&self) -> RowKind {
        match self.event {
            RowEvent::Bar => RowKind::Bar { span: self.timeframe },
            RowEvent::Trade => RowKind::Trade,
            RowEvent::Quote => RowKind::Quote,
            RowEvent::Number => RowKind::Number,
        }
    }

    /// The symbol given, or `NVDA` of `NVDA_1min.csv`.
    fn symbol(&self, path: &Path) -> Result<Symbol, Failure> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let word = stem.split(['_', '-', '.', ' ']).next().unwrap_or_default();
        self.symbol.or_else(|| word.parse().ok()).ok_or_else(|| {
            let rule = "--symbol must be given where the file's name does not start with one";
            Failure::message(Exit::Usage, format!("{rule}, was \"{stem}\""))
        })
    }
}

impl FileArgs {
    /// One source over files of one format, strict until told otherwise.
    fn spec(&self, paths: &[PathBuf]) -> Result<Spec, Failure> {
        let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let is_parquet = |path: &Path| matches!(Format::of(path), Ok(Format::Parquet));
        if let Some(other) = paths.iter().find(|path| is_parquet(path) != is_parquet(first)) {
            let rule = "files must all be CSV or all be Parquet";
            return Err(Failure::message(Exit::Usage, format!("{rule}, was \"{}\"", other.display())));
        }
        let columns = Columns { has_header: !self.no_header, named: self.columns.clone() };
        let (paths, timezone) = (paths.to_vec(), self.timezone);
        let symbol = self.kind.symbol(first)?;
        let origin = if is_parquet(first) {
            Origin::Parquet { paths, columns, timezone }
        } else {
            Origin::Csv { paths, columns, timezone }
        };
        Ok(Spec::strict(origin, symbol, self.kind.row_kind()))
    }
}

/// What became of a source that was read to its end.
struct Done {
    account: ReadReport,
    digest: String,
    seconds: f64,
}

/// Reads `source` to its end, and writes it where that is asked for.
fn go_through(source: &mut dyn Source, mut writer: Option<Writer>) -> Result<Done, DataError> {
    let (started, mut digest) = (SystemClock.now(), Digest::default());
    while let Some(chunk) = source.next_chunk()? {
        digest.update(&chunk);
        if let Some(writer) = &mut writer {
            writer.push(&chunk)?;
        }
    }
    writer.map_or(Ok(()), Writer::finish)?;
    let seconds = SystemClock.now().since(started).as_secs_f64();
    Ok(Done { account: source.report(), digest: digest.finish(), seconds })
}

/// Reads what `spec` asks for into `out` and says what came of it.
fn write_out(
    source: &mut dyn Source,
    spec: &Spec,
    out: &Path,
    zone: Option<Tz>,
    global: &Global,
) -> Result<(), Failure> {
    let writer = Writer::create(out, spec.row_kind, zone)?;
    let done = go_through(source, Some(writer))?;
    done.print(spec, Some(out), global)
}

impl Done {
    fn print(&self, spec: &Spec, out: Option<&Path>, global: &Global) -> Result<(), Failure> {
        let text = if global.json { self.as_json(spec, out) + "\n" } else { self.as_text(spec, out) };
        let mut stdout = std::io::stdout().lock();
        written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))?;
        Ok(())
    }

    fn as_text(&self, spec: &Spec, out: Option<&Path>) -> String {
        let ReadReport { events, bytes, first, last, skipped, filled, missing, notes } = &self.account;
        let mut lines = vec![format!("rows     {events} {} of {}", plural(spec.row_kind), spec.symbol)];
        if let (Some(first), Some(last)) = (first, last) {
            lines.push(format!("time     {first} to {last}"));
        }
        lines.push(format!("skipped  {skipped} bad rows"));
        if matches!(spec.row_kind, RowKind::Bar { .. }) {
            lines.push(format!("missing  {missing} bars, {filled} filled"));
        }
        lines.push(format!("digest   {}", self.digest));
        if *bytes > 0 {
            lines.push(format!(
                "read     {bytes} bytes in {:.3} s, {:.0} MB/s",
                self.seconds,
                self.megabytes_per_second()
            ));
        }
        if let Some(out) = out {
            lines.push(format!("written  {}", out.display()));
        }
        lines.extend(notes.iter().map(|note| format!("note     {note}")));
        lines.join("\n") + "\n"
    }

    fn as_json(&self, spec: &Spec, out: Option<&Path>) -> String {
        let ReadReport { events, bytes, first, last, skipped, filled, missing, notes } = &self.account;
        let time = |time: &Option<Timestamp>| time.map(|time| time.to_string());
        json!({
            "symbol": spec.symbol, "event": plural(spec.row_kind), "rows": events, "first": time(first),
            "last": time(last), "skipped": skipped, "missing": missing, "filled": filled, "digest": self.digest,
            "bytes": bytes, "seconds": self.seconds, "megabytes_per_second": self.megabytes_per_second(),
            "out": out.map(|out| out.display().to_string()), "notes": notes,
        })
        .to_string()
    }

    #[allow(clippy::cast_precision_loss, reason = "a speed for people")]
    fn megabytes_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.account.bytes as f64 / 1e6 / self.seconds } else { 0.0 }
    }
}

fn plural(row_kind: RowKind) -> String {
    match row_kind {
        RowKind::Bar { span } => format!("bars of {}", duration::format(span)),
        RowKind::Trade => "trades".to_owned(),
        RowKind::Quote => "quotes".to_owned(),
        RowKind::Number => "numbers".to_owned(),
    }
}

fn timeframe(text: &str) -> Result<Duration, String> {
    duration::parse(text).and_then(|span| {
        let rule = || format!("timeframe must be longer than 0, was \"{text}\"");
        Some(span).filter(|span| !span.is_zero()).ok_or_else(rule)
    })
}

/// A zone by its name.
pub(super) fn timezone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| format!("timezone must be a name such as America/New_York or UTC, was \"{text}\""))
}

fn column(text: &str) -> Result<(String, String), String> {
    let rule = || format!("column must be FIELD=COLUMN such as time=date, was \"{text}\"");
    let (field, column) = text.split_once('=').ok_or_else(rule)?;
    Ok((field.trim().to_ascii_lowercase(), column.trim().to_owned()))
}
