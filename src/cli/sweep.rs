//! `bot sweep`: every combination of `[sweep]` over history, a table of what each came to, and how much of the best is luck.

mod answer;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;

use super::Global;
use super::exit::{Exit, Failure};
use super::interrupt::Interrupts;
use super::progress::ProgressLine;
use crate::backtest::record::Record;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::live::Stop;
use crate::manifest::{Document, ManifestError, overrides};
use crate::stats::text::number;
use crate::sweep::{self, Choice, Crew, Deflated, Fold, Proof, Shard, ShardPart, SweepPlan, Table, Trial};

/// Runs every combination of a manifest's [sweep]
///
/// Data are read once and shared by all threads. Writes sweep.csv, sweep.parquet, sweep.html and manifest.toml; where
/// the manifest asks for walk-forward, also what was chosen on each fold and the equity out of sample. A combination that
/// fails stands in the table with its reason; when all fail, the exit code is 3. Ctrl-C writes what is done so far.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot sweep manifest.toml\n  \
    bot sweep manifest.toml --jobs 4 --set sweep.objective=sortino\n  \
    bot sweep manifest.toml --set 'sweep.where=fast < slow'\n  \
    bot sweep manifest.toml --shard 2/3 --out results    (on each of three machines its own part)\n  \
    bot sweep manifest.toml --merge --out results        (makes one sweep of all parts)")]
pub struct Args {
    /// The TOML file
    manifest: PathBuf,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = "bot-sweep")]
    out: PathBuf,
    /// Threads, each with one run at a time [default: all cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Runs part I of N only: combinations I-1, I-1+N, I-1+2N ... of those that are not left out
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    shard: Option<Shard>,
    /// Makes one sweep of the parts in --out
    #[arg(long)]
    merge: bool,
    /// Puts a value in place of the manifest's; strategies go by their names
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = overrides::split)]
    overrides: Vec<(String, String)>,
}

/// Runs the command.
pub fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let clock = SystemClock;
    let start = clock.now();
    let document = Document::open(&args.manifest)?;
    let plan = SweepPlan::new(document.clone(), args.overrides.clone()).map_err(ManifestError::from)?;
    fs::create_dir_all(&args.out).with_context(|| format!("make {}", args.out.display()))?;
    let folder = args.manifest.parent().unwrap_or(Path::new(""));
    let hash = plan.hash(folder).map_err(ManifestError::from)?;

    let stop = Stop::default();
    let _interrupts = Interrupts::listen(&stop)?;
    let watch = Watch::new(global, &clock);
    let (asked, ended) = (|| stop.is_requested(), || watch.one_more());
    let jobs = args.jobs.map_or_else(cores, usize::from);
    let crew = Crew::new(&plan, jobs, &asked, &ended).context("start threads")?;
    let swept =
        if args.merge { merge(args, &plan, &crew, &hash)? } else { sweep(args, &plan, &crew, &watch)? };
    watch.clear();

    let files = if swept.is_part() {
        write_part(args, &plan, &swept, hash)?
    } else {
        let resolved = document.resolved(&args.overrides, &args.out).map_err(ManifestError::from)?;
        write_whole(args, &plan, &swept, &resolved)?
    };
    let took = clock.now().since(start);
    answer::give(global, &plan, &swept, &files, took)?;
    let done = &swept.trials;
    match done.iter().find_map(|trial| trial.ended.as_ref().err()) {
        Some(reason) if done.iter().all(|trial| trial.ended.is_err()) => {
            Err(Failure::message(Exit::Invalid, format!("all {} combinations failed: {reason}", done.len())))
        }
        Some(_) | None => Ok(()),
    }
}

/// What a sweep came to.
struct Swept {
    shard: Shard,
    /// How many combinations there were to run.
    wanted: u64,
    trials: Vec<Trial>,
    /// The hash of each source that is not swept.
    data: BTreeMap<String, String>,
    folds: Vec<Fold>,
    choices: Vec<Option<Choice>>,
    proofs: Vec<Proof>,
    /// The test windows one after another; none without walk-forward, and where it was interrupted.
    out_of_sample: Option<Record>,
    deflated: Option<Deflated>,
}

impl Swept {
    fn is_part(&self) -> bool {
        self.shard != Shard::WHOLE
    }

    fn is_interrupted(&self) -> bool {
        (self.trials.len() as u64) < self.wanted
            || self.choices.len() < self.folds.len()
            || (!self.is_part() && self.proofs.len() < self.folds.len())
    }

    fn failed(&self) -> u64 {
        self.trials.iter().filter(|trial| trial.ended.is_err()).count() as u64
    }
}

fn sweep(args: &Args, plan: &SweepPlan, crew: &Crew<'_>, watch: &Watch<'_>) -> Result<Swept, Failure> {
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let data = crew.load(plan)?.into_iter().collect();
    let folds = folds(plan, crew)?;
    let indices = shard.indices(plan.combinations());
    let wanted = indices.len() as u64;
    watch.expect(wanted * (1 + folds.len() as u64));
    tracing::debug!(combinations = wanted, folds = folds.len(), "data are loaded, the sweep starts");
    let trials = crew.run(plan, &indices);
    let choices =
        if (trials.len() as u64) < wanted { Vec::new() } else { sweep::choose(plan, crew, &folds, &indices) };
    let swept = Swept {
        shard,
        wanted,
        trials,
        data,
        folds,
        choices,
        proofs: Vec::new(),
        out_of_sample: None,
        deflated: None,
    };
    Ok(if swept.is_part() { swept } else { judged(plan, crew, swept) })
}

fn merge(args: &Args, plan: &SweepPlan, crew: &Crew<'_>, hash: &str) -> Result<Swept, Failure> {
    let invalid = |text: String| Failure::message(Exit::Invalid, text);
    let merged = sweep::merge(plan, &args.out, hash).map_err(|error| invalid(error.to_string()))?;
    let mut folds = Vec::new();
    if plan.sweep().walk_forward.is_some() {
        let data: BTreeMap<String, String> = crew.load(plan)?.into_iter().collect();
        if data != merged.data {
            return Err(invalid("the shards were made from other data than those that are here".to_owned()));
        }
        folds = self::folds(plan, crew)?;
    }
    let swept = Swept {
        shard: Shard::WHOLE,
        wanted: plan.combinations().len() as u64,
        trials: merged.trials,
        data: merged.data,
        folds,
        choices: merged.choices,
        proofs: Vec::new(),
        out_of_sample: None,
        deflated: None,
    };
    Ok(judged(plan, crew, swept))
}

fn folds(plan: &SweepPlan, crew: &Crew<'_>) -> Result<Vec<Fold>, Failure> {
    let Some(walk) = plan.sweep().walk_forward else { return Ok(Vec::new()) };
    let invalid = |text: String| Failure::message(Exit::Invalid, text);
    let Some((first, last)) = sweep::ends(plan, crew)? else {
        return Err(invalid("sweep.walk_forward must have data to walk over, had no event".to_owned()));
    };
    sweep::folds(walk, first, last).map_err(invalid)
}

/// What only a whole sweep can tell: luck, and walk-forward's tests.
fn judged(plan: &SweepPlan, crew: &Crew<'_>, mut swept: Swept) -> Swept {
    swept.deflated = sweep::deflated(plan, &swept.trials);
    if !swept.folds.is_empty() && swept.choices.len() == swept.folds.len() {
        swept.proofs = sweep::prove(plan, crew, &swept.folds, &swept.choices);
        if swept.proofs.len() == swept.folds.len() {
            swept.out_of_sample = Some(sweep::stitched(plan, &swept.proofs));
        }
    }
    swept
}

/// Counts what ended, and shows it with the time that is left.
struct Watch<'a> {
    line: Mutex<SweepProgress>,
    is_shown: bool,
    clock: &'a SystemClock,
    done: AtomicU64,
    expected: AtomicU64,
}

struct SweepProgress {
    line: ProgressLine,
    start: Timestamp,
    last: Timestamp,
}

/// A line that is written more often is not read more often.
const REDRAW_AFTER: Duration = Duration::from_millis(100);

impl<'a> Watch<'a> {
    fn new(global: &Global, clock: &'a SystemClock) -> Self {
        let line = ProgressLine::new(global);
        let now = clock.now();
        Self {
            is_shown: line.is_shown(),
            line: Mutex::new(SweepProgress { line, start: now, last: now }),
            clock,
            done: AtomicU64::new(0),
            expected: AtomicU64::new(0),
        }
    }

    fn expect(&self, runs: u64) {
        self.expected.store(runs, Ordering::Relaxed);
        if let Ok(mut line) = self.line.lock() {
            line.start = self.clock.now();
        }
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.is_shown {
            return;
        }
        // Whoever finds the line taken goes on working.
        let Ok(mut shown) = self.line.try_lock() else { return };
        let now = self.clock.now();
        if now.since(shown.last) >= REDRAW_AFTER {
            shown.last = now;
            let expected = self.expected.load(Ordering::Relaxed).max(done);
            let left = now.since(shown.start).mul_f64(share(expected - done, done));
            shown.line.show(&format!(
                "{} of {} runs, {} s left",
                number(done),
                number(expected),
                left.as_secs()
            ));
        }
    }

    fn clear(&self) {
        if let Ok(mut line) = self.line.lock() {
            line.line.clear();
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn write_part(
    args: &Args,
    plan: &SweepPlan,
    swept: &Swept,
    manifest: String,
) -> Result<Vec<PathBuf>, Failure> {
    let stem = swept.shard.stem();
    let part = ShardPart {
        version: VERSION.to_owned(),
        manifest,
        data: swept.data.clone(),
        trials: swept.wanted,
        done: swept.trials.len() as u64,
        choices: swept.choices.clone(),
        folds: swept.folds.len(),
    };
    let mut files = write_table(&args.out, &stem, &sweep::results(plan, &swept.trials))?;
    let (path, mut file) = create(&args.out, &format!("{stem}.json"))?;
    serde_json::to_writer_pretty(&mut file, &part)?;
    files.push(path);
    Ok(files)
}

fn write_whole(
    args: &Args,
    plan: &SweepPlan,
    swept: &Swept,
    resolved: &str,
) -> Result<Vec<PathBuf>, Failure> {
    let out = &args.out;
    let mut files = write_table(out, "sweep", &sweep::results(plan, &swept.trials))?;
    if let Some(record) = &swept.out_of_sample {
        for (name, table) in [
            ("walk_forward.csv", sweep::proofs(plan, &swept.proofs)),
            ("walk_forward_equity.csv", sweep::equity(record)),
        ] {
            let (path, file) = create(out, name)?;
            sweep::write_csv(&table, file)?;
            files.push(path);
        }
    }
    #[cfg(feature = "report")]
    files.push(write_page(args, plan, swept)?);
    let (path, mut file) = create(out, "manifest.toml")?;
    file.write_all(resolved.as_bytes())?;
    files.push(path);
    Ok(files)
}

#[cfg(feature = "report")]
fn write_page(args: &Args, plan: &SweepPlan, swept: &Swept) -> Result<PathBuf, anyhow::Error> {
    let mut made = vec![("Version".to_owned(), VERSION.to_owned())];
    made.extend(swept.data.iter().map(|(name, hash)| (format!("Data {name}"), hash.clone())));
    made.push(("Manifest".to_owned(), "manifest.toml".to_owned()));
    let story = sweep::Story {
        plan,
        trials: &swept.trials,
        deflated: swept.deflated,
        proofs: &swept.proofs,
        out_of_sample: swept.out_of_sample.as_ref(),
        made,
    };
    let (path, mut file) = create(&args.out, "sweep.html")?;
    file.write_all(sweep::page(&story).as_bytes())?;
    Ok(path)
}

fn write_table(out: &Path, stem: &str, table: &Table) -> Result<Vec<PathBuf>, anyhow::Error> {
    let (csv, file) = create(out, &format!("{stem}.csv"))?;
    sweep::write_csv(table, file)?;
    if !cfg!(feature = "parquet") {
        return Ok(vec![csv]);
    }
    let (parquet, file) = create(out, &format!("{stem}.parquet"))?;
    sweep::write_parquet(table, file).with_context(|| format!("write {}", parquet.display()))?;
    Ok(vec![csv, parquet])
}

fn create(out: &Path, name: &str) -> Result<(PathBuf, File), anyhow::Error> {
    let path = out.join(name);
    let file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
    Ok((path, file))
}

const VERSION: &str = concat!("bot ", env!("CARGO_PKG_VERSION"));
