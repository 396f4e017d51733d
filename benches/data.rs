//! How fast data files are read, each figure beside its floor in one run.
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench measures time"
)]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bot::clock::Timestamp;
use bot::data::spec::{Columns, Walk};
use bot::data::{DataError, Digest, Loaded, OnBadRow, OnGap, Origin, RowKind, Source, Spec, open, write};
use chrono_tz::America::New_York;

const ROUNDS: usize = 7;
const ROWS: u64 = 1_000_000;
const BARS: RowKind = RowKind::Bar { span: Duration::from_mins(1) };

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let directory = std::env::temp_dir().join(format!("bot-bench-data-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let measured = measure(&directory);
    std::fs::remove_dir_all(&directory)?;
    std::io::stdout().lock().write_all(measured?.as_bytes())?;
    Ok(())
}

fn measure(directory: &Path) -> Outcome<String> {
    let start = Timestamp::parse_rfc3339("2015-01-02T14:30:00Z")?;
    let walk =
        Walk { seed: 1, rows: ROWS, start, price: 100.0, volatility: 0.3, drift: 0.0, in_sessions: true };
    let loaded = Loaded::load(&mut *open(&spec(Origin::Generator(walk))?)?)?;
    let (csv, naive, parquet) =
        (directory.join("utc.csv"), directory.join("naive.csv"), directory.join("bars.parquet"));
    write(&csv, BARS, None, &mut loaded.source())?;
    write(&naive, BARS, Some(New_York), &mut loaded.source())?;
    write(&parquet, BARS, None, &mut loaded.source())?;

    let mut text = format!("{ROWS} bars of a minute in sessions, best of {ROUNDS} rounds.\n\n");
    let mut line = |name: &str, bytes: u64, seconds: f64| {
        let (speed, rows) = (bytes as f64 / 1e6 / seconds, ROWS as f64 / 1e6 / seconds);
        let _ = writeln!(
            text,
            "{name:34} {speed:8.0} MB/s {rows:8.1} million rows/s {:8.1} ns a row",
            1e3 / rows
        );
    };
    for path in [&csv, &naive] {
        let bytes = std::fs::metadata(path)?.len();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        line(
            &format!("CSV {name}: read, count lines"),
            bytes,
            best(|| count_lines(path).map_err(Into::into))?,
        );
        line(&format!("CSV {name}: events"), bytes, best(|| run_through(&csv_spec(path)?))?);
    }
    let bytes = std::fs::metadata(&parquet)?.len();
    let (paths, columns) = (vec![parquet], Columns { has_header: true, named: Vec::new() });
    let parquet = spec(Origin::Parquet { paths, columns, timezone: New_York })?;
    line("Parquet: events", bytes, best(|| run_through(&parquet))?);
    line("digest of what is loaded", ROWS * 48, best(|| Ok(digest(&loaded)))?);
    Ok(text)
}

/// Seconds of the fastest round.
fn best(mut round: impl FnMut() -> Outcome<u64>) -> Outcome<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let rows = std::hint::black_box(round()?);
        best = best.min(started.elapsed().as_secs_f64());
        if rows != ROWS {
            return Err(format!("rows must be {ROWS}, were {rows}").into());
        }
    }
    Ok(best)
}

/// The floor: the bytes are read and the rows are told apart.
fn count_lines(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut block, mut lines) = (std::fs::File::open(path)?, vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(lines - 1),
            read => lines += memchr::memchr_iter(b'\n', &block[..read]).count() as u64,
        }
    }
}

fn run_through(spec: &Spec) -> Outcome<u64> {
    Ok(drain(&mut *open(spec)?)?)
}

fn drain(source: &mut dyn Source) -> Result<u64, DataError> {
    let mut rows = 0;
    while let Some(chunk) = source.next_chunk()? {
        rows += chunk.len() as u64;
    }
    Ok(rows)
}

fn digest(loaded: &Loaded) -> u64 {
    let mut digest = Digest::default();
    for chunk in loaded.chunks() {
        digest.update(chunk);
    }
    if digest.finish() == loaded.digest() { ROWS } else { 0 }
}

fn csv_spec(path: &Path) -> Outcome<Spec> {
    let (paths, columns): (Vec<PathBuf>, _) =
        (vec![path.to_owned()], Columns { has_header: true, named: Vec::new() });
    spec(Origin::Csv { paths, columns, timezone: New_York })
}

fn spec(origin: Origin) -> Outcome<Spec> {
    Ok(Spec {
        name: "bench".to_owned(),
        origin,
        symbol: "NVDA".parse()?,
        row_kind: BARS,
        from: None,
        to: None,
        on_bad_row: OnBadRow::Error,
        on_gap: OnGap::Keep,
        save: None,
    })
}
