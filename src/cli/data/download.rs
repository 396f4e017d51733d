//! `bot data download`: Alpaca's history as files, and what they lack.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use clap::ValueEnum;
use serde_json::{Value, json};
use tracing::warn;

use super::super::Global;
use super::super::calendar::{date, written};
use super::super::exit::{Exit, Failure};
use super::super::interrupt::Interrupts;
use super::super::progress::ProgressLine;
use super::super::rate_limit::RateLimit;
use crate::calendar::date_of;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::data::RowKind;
use crate::download::{
    self, Access, DownloadError, DownloadProgress, DownloadSeries, Fetched, GapReport, SessionGap,
};
use crate::duration;
use crate::live::Stop;
use crate::manifest::defaults;
use crate::symbol::Symbol;

/// Downloads Alpaca's history and says what is missing in it
///
/// One CSV file per New York day (daily bars: per month), below DIR/SYMBOL/KIND. A file that is complete is never asked
/// for again, so the same command goes on where it was interrupted, and a later one brings what is new. The day that is
/// not over yet is kept under a name of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot data download --symbol NVDA --from 2026-01-01 --to 2026-02-01\n  \
    bot data download --symbol NVDA,SPY --from 2016-01-01 --timeframe 1day --adjustment all\n  \
    bot data download --symbol NVDA --from 2026-01-05 --to 2026-01-06 --event quote --feed iex\n\n\
    Keys are read from APCA_API_KEY_ID and APCA_API_SECRET_KEY, the address from APCA_API_DATA_URL.\n\
    A backtest reads the same files, and brings what they lack, with kind = \"alpaca\" in its manifest.")]
pub(super) struct Args {
    /// Whose history
    #[arg(long, value_name = "SYMBOL,...", value_delimiter = ',', required = true)]
    symbol: Vec<Symbol>,
    /// First New York day
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: NaiveDate,
    /// The New York day after the last one; default: as far as there is anything
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<NaiveDate>,
    /// What each row is
    #[arg(long, value_enum, value_name = "EVENT", default_value = "bar")]
    event: EventArg,
    /// The span of a bar: 1min to 59min, 1h to 23h, or 1day
    #[arg(long, value_name = "SPAN", default_value = "1min", value_parser = timeframe)]
    timeframe: Duration,
    /// Which exchanges: sip (all of them, a quarter of an hour late on the free plan), iex, otc or boats
    #[arg(long, value_name = "FEED", default_value = defaults::HISTORY_FEED)]
    feed: String,
    /// What bars are adjusted for: raw, split, dividend, spin-off, several of them between commas, or all
    #[arg(long, value_name = "WHAT", default_value = defaults::ADJUSTMENT)]
    adjustment: String,
    /// Where the files are kept
    #[arg(long, value_name = "DIR", default_value = defaults::CACHE)]
    out: PathBuf,
    /// The account's request limit; a download uses 60 % of it, the rest is left to a bot with the same keys
    #[arg(long, value_name = "N/SPAN|off", default_value = "200/60s")]
    rate_limit: RateLimit,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EventArg {
    Bar,
    Trade,
    Quote,
}

/// Runs the command.
pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let clock = SystemClock;
    let today = date_of(clock.now());
    let days = days(args, today)?;
    let series = series(args)?;
    let env = |name: &str| std::env::var(name).ok();
    let mut access = Access::new(&env, args.rate_limit.requests(), Arc::new(clock));
    let stop = Stop::default();
    let _interrupts = Interrupts::listen(&stop)?;
    let mut told = Vec::new();
    for series in &series {
        let mut line = ProgressLine::new(global);
        let fetched = download::fetch(series, days, &mut access, &|| stop.is_requested(), &mut |progress| {
            show(&mut line, series.symbol(), progress);
        });
        line.clear();
        let fetched = match fetched {
            Ok(fetched) => Some(fetched),
            Err(DownloadError::Stopped) => None,
            Err(error) => return Err(failure(error, series)),
        };
        let report =
            download::report(series, days.0, days.1, clock.now()).map_err(|error| failure(error, series))?;
        if report.rows == 0 && report.complete > 0 {
            warn!(symbol = %series.symbol(), "no rows at all: does the feed have this symbol?");
        }
        told.push(SeriesResult { series, fetched, report });
        if stop.is_requested() {
            break;
        }
    }
    let complete = told.len() == series.len() && told.iter().all(|told| told.fetched.is_some());
    say(&told, days, complete, global)?;
    if !complete {
        eprintln!("bot: stopped before the end; the same command goes on from here");
    }
    Ok(())
}

fn days(args: &Args, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), Failure> {
    let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
    let (from, to) = (args.from, args.to.unwrap_or(tomorrow));
    let fault = if from > today {
        format!("--from must not be after today, {today} in New York, was \"{from}\"")
    } else if from >= to {
        format!("--to must be after --from {from}, was \"{to}\"")
    } else {
        return Ok((from, to));
    };
    Err(Failure::message(Exit::Usage, fault))
}

fn series(args: &Args) -> Result<Vec<DownloadSeries>, Failure> {
    let row_kind = match args.event {
        EventArg::Bar => RowKind::Bar { span: args.timeframe },
        EventArg::Trade => RowKind::Trade,
        EventArg::Quote => RowKind::Quote,
    };
    let mut symbols = args.symbol.clone();
    symbols.sort_unstable();
    symbols.dedup();
    symbols
        .into_iter()
        .map(|symbol| DownloadSeries::new(&args.out, symbol, row_kind, &args.feed, &args.adjustment))
        .collect::<Result<_, _>>()
        .map_err(|fault| Failure::message(Exit::Usage, fault))
}

fn failure(error: DownloadError, series: &DownloadSeries) -> Failure {
    let Failure { exit, error } = Failure::from(error);
    Failure { exit, error: error.context(format!("download {} ({})", series.symbol(), series.words())) }
}

fn timeframe(text: &str) -> Result<Duration, String> {
    let bad = || format!("timeframe must be 1min to 59min, 1h to 23h or 1day, was \"{text}\"");
    duration::parse(text.trim().strip_suffix("ay").unwrap_or(text)).map_err(|_| bad())
}

fn show(line: &mut ProgressLine, symbol: Symbol, progress: DownloadProgress) {
    let DownloadProgress { date: Some(date), done, of, rows } = progress else { return };
    line.show(&format!("{symbol} {date}: {done} of {of} files, {rows} rows"));
}

/// What became of one series.
struct SeriesResult<'a> {
    series: &'a DownloadSeries,
    /// `None` when it was stopped.
    fetched: Option<Fetched>,
    report: GapReport,
}

fn say(
    told: &[SeriesResult<'_>],
    (from, to): (NaiveDate, NaiveDate),
    complete: bool,
    global: &Global,
) -> Result<(), Failure> {
    let text = if global.json {
        let symbols: Vec<Value> = told.iter().map(as_json).collect();
        let (from, to) = (from.to_string(), to.to_string());
        format!("{}\n", json!({"complete": complete, "from": from, "to": to, "symbols": symbols}))
    } else {
        told.iter().map(|told| as_text(told, from, to)).collect()
    };
    let mut stdout = std::io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))?;
    Ok(())
}

fn as_json(SeriesResult { series, fetched, report }: &SeriesResult<'_>) -> Value {
    let fetched = fetched.map(|Fetched { kept, written, rows, requests }| {
        json!({"files_kept": kept, "files_written": written, "rows_written": rows, "requests": requests})
    });
    let empty: Vec<String> = report.empty.iter().map(ToString::to_string).collect();
    let longest: Vec<Value> =
        report.longest.iter().map(|gap| json!({"from": gap.from, "to": gap.to, "bars": gap.bars})).collect();
    json!({
        "symbol": series.symbol(),
        "what": series.words(),
        "directory": series.directory().display().to_string(),
        "download": fetched,
        "rows": report.rows,
        "first": report.first,
        "last": report.last,
        "files": {"complete": report.complete, "unfinished": report.unfinished, "absent": report.absent},
        "sessions": report.sessions,
        "sessions_without_rows": empty,
        "bars_expected": report.expected,
        "bars_missing": report.missing,
        "longest_gaps": longest,
    })
}

fn as_text(
    SeriesResult { series, fetched, report }: &SeriesResult<'_>,
    from: NaiveDate,
    to: NaiveDate,
) -> String {
    let mut text = format!("{}  {}, {from} to before {to}\n", series.symbol(), series.words());
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("in", series.directory().display().to_string());
    let time = |at: Timestamp| at.to_new_york().format("%Y-%m-%d %H:%M:%S %:z").to_string();
    let span =
        report.first.zip(report.last).map(|(first, last)| format!(", {} to {}", time(first), time(last)));
    line("rows", format!("{}{}", report.rows, span.unwrap_or_default()));
    let mut files = format!("{} complete", report.complete);
    if let Some(Fetched { written, rows, requests, .. }) = fetched {
        let plural = if *requests == 1 { "" } else { "s" };
        let _ = write!(files, "; {written} written now with {rows} rows, in {requests} request{plural}");
    }
    for (count, what) in [(report.unfinished, "of a day that is not over"), (report.absent, "not there yet")]
    {
        if count > 0 {
            let _ = write!(files, "; {count} {what}");
        }
    }
    line("files", files);
    line("sessions", format!("{}{}", report.sessions, without(&report.empty)));
    if report.expected > 0 {
        line("missing", missing(report));
    }
    if !report.longest.is_empty() {
        line("longest", report.longest.iter().map(gap).collect::<Vec<_>>().join(", "));
    }
    text
}

/// At most so many days are named.
const DAYS_NAMED: usize = 10;

fn without(empty: &[NaiveDate]) -> String {
    if empty.is_empty() {
        return ", each with rows".to_owned();
    }
    let named: Vec<String> = empty.iter().take(DAYS_NAMED).map(ToString::to_string).collect();
    let more = if empty.len() > DAYS_NAMED { " ..." } else { "" };
    format!(", {} without any row: {}{more}", empty.len(), named.join(" "))
}

fn missing(report: &GapReport) -> String {
    // Hundredths of a percent are exact enough for people.
    let parts = report.missing.saturating_mul(10_000) / report.expected.max(1);
    let percent = format!("{}.{:02} %", parts / 100, parts % 100);
    let why = if report.missing == 0 { "" } else { "; no bar where nothing was traded is normal" };
    format!("{} of {} bars in those sessions ({percent}){why}", report.missing, report.expected)
}

fn gap(gap: &SessionGap) -> String {
    let (from, to) = (gap.from.to_new_york(), gap.to.to_new_york());
    if gap.bars == 1 {
        return from.format("%Y-%m-%d %H:%M").to_string();
    }
    format!("{} to {} ({} bars)", from.format("%Y-%m-%d %H:%M"), to.format("%H:%M"), gap.bars)
}
