//! `bot backtest`: a manifest over history, and a report of it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::Global;
use super::exit::{Exit, Failure};
use super::interrupt::Interrupts;
use super::progress::ProgressLine;
use crate::backtest::metered::{MeteredSource, SourceMeter};
use crate::backtest::record::Record;
use crate::backtest::{self, Progress, wiring};
use crate::calendar::date_of;
use crate::clock::{Clock, SystemClock};
use crate::data;
use crate::live::Stop;
use crate::manifest::{Document, Manifest, ManifestError, Purpose, overrides};
#[cfg(feature = "report")]
use crate::stats::report::{self, About};
use crate::stats::{self, Made, Statistics, StatisticsOptions};
use crate::strategy::PLOT_POINTS_MAX;

/// Runs a manifest over history and writes a report
///
/// The same desk that trades decides; a simulated broker fills as the manifest's broker section says. Writes report.html,
/// stats.json, trades.csv, orders.csv, equity.csv and manifest.toml (the manifest as it was run), and plots.csv where a
/// strategy plots something. Ctrl-C ends the run early with the statistics so far. Exit code 10 says that the books did
/// not agree with the broker's, or that a strategy was stopped for its failures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot backtest examples/backtest/manifest.toml\n  \
    bot backtest manifest.toml --out results --set strategy.cross.params.fast=5 --set broker.fees=alpaca\n  \
    bot backtest manifest.toml --json | jq .profit")]
pub struct Args {
    /// The TOML file
    manifest: PathBuf,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = "bot-backtest")]
    out: PathBuf,
    /// Puts a value in place of the manifest's; strategies go by their names
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = overrides::split)]
    overrides: Vec<(String, String)>,
}

/// Runs the command.
pub fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let document = Document::open(&args.manifest)?;
    let manifest = document.read(&args.overrides, Purpose::Backtest).map_err(ManifestError::from)?;
    fs::create_dir_all(&args.out).with_context(|| format!("make {}", args.out.display()))?;

    let stop = Stop::default();
    let _interrupts = Interrupts::listen(&stop)?;
    let start = clock.now();
    let (record, watches) = play(&manifest, &clock, &stop, global)?;
    let whole = clock.now().since(start);
    let loading: Duration = watches.iter().map(SourceMeter::took).sum();
    let timing = Timing { loading, running: whole.saturating_sub(loading) };

    let statistics = stats::compute(&record, &options(&manifest));
    let made = Made {
        version: concat!("bot ", env!("CARGO_PKG_VERSION")).to_owned(),
        seed: manifest.statistics.seed(),
        data: record
            .sources
            .iter()
            .map(|(name, _)| name.clone())
            .zip(watches.iter().map(SourceMeter::digest))
            .collect(),
        hash: record.hash(),
    };
    let resolved = document.resolved(&args.overrides, &args.out).map_err(ManifestError::from)?;
    write_files(&args.out, &record, &statistics, &made, &resolved)?;
    answer(args, global, &record, &statistics, &made, timing)?;
    let check_failed = |text: String| Err(Failure::message(Exit::CheckFailed, text));
    if !record.end.breaches.is_empty() {
        return check_failed(format!("the books do not agree: {}", record.end.breaches.join("; ")));
    }
    let stopped = record.strategies.iter().filter(|strategy| strategy.is_stopped);
    let reasons: Vec<&str> = stopped.filter_map(|strategy| strategy.last_failure.as_deref()).collect();
    if reasons.is_empty() { Ok(()) } else { check_failed(reasons.join("; ")) }
}

/// How long it took.
#[derive(Debug, Clone, Copy)]
struct Timing {
    loading: Duration,
    running: Duration,
}

fn play(
    manifest: &Manifest,
    clock: &Arc<dyn Clock>,
    stop: &Stop,
    global: &Global,
) -> Result<(Record, Vec<SourceMeter>), Failure> {
    let mut watches = Vec::new();
    let mut bytes = 0;
    let setup = wiring::wire(manifest, &mut |spec| {
        let watch = SourceMeter::default();
        watches.push(watch.clone());
        bytes += data::size(spec);
        Ok(Box::new(MeteredSource::new(data::open(spec)?, Arc::clone(clock), watch)))
    })?;
    let start = clock.now();
    let mut line = ProgressLine::new(global);
    let mut go_on = |progress: Progress| {
        if line.is_shown() {
            line.show(&progress_text(progress, bytes, clock.now().since(start)));
        }
        !stop.is_requested()
    };
    let record = backtest::run(setup, &mut go_on)?;
    line.clear();
    Ok((record, watches))
}

#[allow(clippy::cast_precision_loss, reason = "shown to people")]
fn progress_text(progress: Progress, bytes: u64, span: Duration) -> String {
    let rate = progress.events as f64 / span.as_secs_f64().max(1e-3) / 1e6;
    let day = date_of(progress.at);
    let part = if bytes > 0 {
        format!("{:3.0}%  ", 100.0 * progress.bytes as f64 / bytes as f64)
    } else {
        String::new()
    };
    format!("{part}{day}  {} events, {rate:.1} million a second", stats::text::number(progress.events))
}

fn options(manifest: &Manifest) -> StatisticsOptions {
    StatisticsOptions {
        periods_per_year: manifest.statistics.periods_per_year().into(),
        bootstrap: manifest.statistics.bootstrap(),
        seed: manifest.statistics.seed(),
        risk_free: crate::units::Money::new(manifest.statistics.risk_free().get()).to_f64(),
    }
}

fn write_files(
    out: &Path,
    record: &Record,
    statistics: &Statistics,
    made: &Made,
    resolved: &str,
) -> Result<(), anyhow::Error> {
    let create = |name: &str| {
        let path = out.join(name);
        File::create(&path).with_context(|| format!("write {}", path.display()))
    };
    stats::write_stats_json(statistics, made, create("stats.json")?)?;
    stats::write_trades_csv(statistics, create("trades.csv")?)?;
    stats::write_orders_csv(record, create("orders.csv")?)?;
    stats::write_equity_csv(record, statistics, create("equity.csv")?)?;
    if record.plots.is_empty() {
        // One of a run before this one would be taken for this one's.
        match fs::remove_file(out.join("plots.csv")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context("remove plots.csv");
            }
            Ok(()) | Err(_) => {}
        }
    } else {
        stats::write_plots_csv(record, create("plots.csv")?)?;
    }
    create("manifest.toml")?.write_all(resolved.as_bytes())?;
    #[cfg(feature = "report")]
    {
        let about = About {
            title: record.name.clone(),
            manifest: resolved.to_owned(),
            version: made.version.clone(),
            data: made.data.clone(),
            seed: Some(made.seed),
            command: "bot backtest manifest.toml".to_owned(),
            took: None,
        };
        create("report.html")?.write_all(report::render(record, statistics, &about).as_bytes())?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn answer(
    args: &Args,
    global: &Global,
    record: &Record,
    statistics: &Statistics,
    made: &Made,
    timing: Timing,
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let seconds = timing.running.as_secs_f64();
    if !global.json {
        writeln!(out, "{}", stats::summary(statistics, super::terminal_width(), super::has_colour()))?;
        let rate = record.end.events as f64 / seconds.max(1e-9) / 1e6;
        writeln!(
            out,
            "{} events in {seconds:.3} s ({rate:.1} million a second) and {:.3} s to read them. Report: {}",
            stats::text::number(record.end.events),
            timing.loading.as_secs_f64(),
            args.out.join(if cfg!(feature = "report") { "report.html" } else { "stats.json" }).display()
        )?;
        if record.plots_left_out > 0 {
            let left_out = stats::text::number(record.plots_left_out);
            writeln!(
                out,
                "Plots: a run keeps {PLOT_POINTS_MAX} points, the {left_out} after them are left out."
            )?;
        }
        if record.interrupted {
            writeln!(out, "Interrupted: these are the statistics so far.")?;
        }
        return Ok(());
    }
    writeln!(out, "{}", json_answer(args, record, statistics, made, timing))?;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn json_answer(
    args: &Args,
    record: &Record,
    statistics: &Statistics,
    made: &Made,
    timing: Timing,
) -> serde_json::Value {
    let seconds = timing.running.as_secs_f64();
    let positions: serde_json::Map<_, _> = record
        .end
        .positions
        .iter()
        .map(|(symbol, shares)| (symbol.to_string(), json!(shares.to_string())))
        .collect();
    let failed = record.strategies.iter().filter(|strategy| strategy.last_failure.is_some());
    let failures: Vec<_> = failed
        .map(|strategy| {
            json!({
                "strategy": strategy.name,
                "failures": strategy.failures,
                "stopped": strategy.is_stopped,
                "reason": strategy.last_failure,
            })
        })
        .collect();
    let strategies: Vec<_> = statistics
        .strategies
        .iter()
        .map(|row| json!({ "name": row.name, "off_target": row.off_target }))
        .collect();
    json!({
        "orders": record.orders.iter().filter(|order| order.is_order).count(),
        "fills": record.fills.len(),
        "final_cash": record.end.cash.to_string(),
        "final_equity": record.end.equity.to_string(),
        "positions": positions,
        "profit": (record.end.equity - record.start_cash).to_string(),
        "fees": record.end.fees.to_string(),
        "events": record.end.events,
        "seconds": seconds,
        "events_per_second": record.end.events as f64 / seconds.max(1e-9),
        "load_seconds": timing.loading.as_secs_f64(),
        "hash": made.hash,
        "interrupted": record.interrupted,
        "plots": record.plots.iter().map(|plot| plot.points.len()).sum::<usize>(),
        "plots_left_out": record.plots_left_out,
        "margin_calls": record.margin_calls.len(),
        "ruined_at": statistics.headline.ruined_at,
        "breaches": record.end.breaches,
        "off_target": statistics.execution.off_target,
        "strategies": strategies,
        "failures": failures,
        "out": args.out,
    })
}
