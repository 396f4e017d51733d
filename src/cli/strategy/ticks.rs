//! Events to try a strategy on: a seeded random walk, or files of bars, ticks and recordings.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::trial::Args;
use crate::cli::exit::{Exit, Failure};
use crate::clock::Timestamp;
use crate::data::spec::{Columns, Walk};
use crate::data::{self, Chunk, DataError, Format, Origin, ReadReport, Row, RowKind, Source, Spec};
use crate::manifest::defaults;
use crate::symbol::Symbol;

/// A data file, and whose it is where that is written.
#[derive(Debug, Clone)]
pub(super) struct TicksFile {
    symbol: Option<Symbol>,
    path: PathBuf,
}

impl FromStr for TicksFile {
    type Err = std::convert::Infallible;

    /// `FILE` or `SYMBOL=FILE`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = text.split_once('=').and_then(|(symbol, path)| Some((symbol.parse().ok()?, path)));
        Ok(match named {
            Some((symbol, path)) => Self { symbol: Some(symbol), path: path.into() },
            None => Self { symbol: None, path: text.into() },
        })
    }
}

/// 2026-01-05 09:30 in New York.
const START: i64 = 1_767_623_400;

/// Rows of a walk that are made at a time.
const CHUNK: usize = 4_096;

/// One trade a second from its start on; a step is up to 0.1 %.
struct TradeWalk {
    symbol: Symbol,
    random: ChaCha8Rng,
    price: f64,
    start: Timestamp,
    left: u64,
    report: ReadReport,
}

impl Source for TradeWalk {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let mut rows = Vec::with_capacity(CHUNK);
        while self.left > 0 && rows.len() < CHUNK {
            self.price *= 1.0 + self.random.random_range(-0.001..0.001);
            let at = self.start + Duration::from_secs(self.report.events);
            rows.push(Row { at, values: [self.price, 100.0, 0.0, 0.0, 0.0] });
            self.left -= 1;
            self.report.events += 1;
            self.report.first.get_or_insert(at);
            self.report.last = Some(at);
        }
        let chunk = Chunk::Rows { symbol: self.symbol, row_kind: RowKind::Trade, rows };
        Ok((!chunk.is_empty()).then(|| Arc::new(chunk)))
    }

    fn report(&self) -> ReadReport {
        self.report.clone()
    }
}

/// Begins to read what [`specs`] asks for.
///
/// # Errors
/// Those of [`data::open`].
pub(super) fn open(spec: &Spec) -> Result<Box<dyn Source>, DataError> {
    match (&spec.origin, spec.row_kind) {
        (Origin::Generator(walk), RowKind::Trade) => Ok(Box::new(TradeWalk {
            symbol: spec.symbol,
            random: ChaCha8Rng::seed_from_u64(walk.seed),
            price: walk.price,
            start: walk.start,
            left: walk.rows,
            report: ReadReport::default(),
        })),
        _ => data::open(spec),
    }
}

/// What is asked for, one of each symbol: files, or random walks of seeds that follow each other.
///
/// # Errors
/// Flags that do not go together, and those of a file.
pub(super) fn specs(args: &Args) -> Result<Vec<Spec>, Failure> {
    let usage = |message: String| Err(Failure::message(Exit::Usage, message));
    let usual: Vec<Symbol> = defaults::SYMBOLS.iter().filter_map(|name| name.parse().ok()).collect();
    let symbols = if args.symbols.is_empty() { usual } else { args.symbols.clone() };
    let mut known = symbols.clone();
    let specs: Result<Vec<Spec>, Failure> = match (args.ticks.as_slice(), symbols.as_slice()) {
        ([], symbols) => {
            symbols.iter().zip(args.seed..).map(|(own, seed)| Ok(walk(seed, args, *own))).collect()
        }
        ([TicksFile { symbol: None, path }], [symbol]) => file(path, args, *symbol).map(|spec| vec![spec]),
        (named, _) => {
            if !args.symbols.is_empty() {
                return usage("--symbol must not stand beside SYMBOL=FILE or several --ticks".to_owned());
            }
            if let Some(TicksFile { path, .. }) = named.iter().find(|file| file.symbol.is_none()) {
                let rule = "--ticks must be SYMBOL=FILE where there are several";
                return usage(format!("{rule}, was \"{}\"", path.display()));
            }
            known = named.iter().filter_map(|file| file.symbol).collect();
            known.iter().zip(named).map(|(symbol, named)| file(&named.path, args, *symbol)).collect()
        }
    };
    known.sort();
    if let Some([twice, _]) = known.windows(2).find(|pair| pair[0] == pair[1]) {
        return usage(format!("each symbol must stand once, was \"{twice}\" twice"));
    }
    specs
}

/// Trades, or bars of the asked length in sessions.
fn walk(seed: u64, args: &Args, symbol: Symbol) -> Spec {
    let (rows, start) = (u64::from(args.count), Timestamp::from_secs(START));
    let walk = Walk { seed, rows, start, price: 100.0, volatility: 0.3, drift: 0.0, in_sessions: true };
    let row_kind = args.timeframe.map_or(RowKind::Trade, |span| RowKind::Bar { span });
    Spec::strict(Origin::Generator(walk), symbol, row_kind)
}

/// What is asked of a data file, by its name, or of the directory of a recording.
///
/// # Errors
/// A file that cannot be opened, or a flag that what is there has no use for.
fn file(path: &Path, args: &Args, symbol: Symbol) -> Result<Spec, Failure> {
    if !path.exists() {
        let message = format!("ticks must be a file that exists, was \"{}\"", path.display());
        return Err(Failure::message(Exit::NotFound, message));
    }
    let (paths, timezone) = (vec![path.to_owned()], args.timezone.unwrap_or(defaults::TIMEZONE));
    let columns = Columns { has_header: true, named: Vec::new() };
    let span = args.timeframe.unwrap_or(defaults::TIMEFRAME);
    let mut row_kind = RowKind::Bar { span };
    let origin = if path.is_dir() {
        Origin::Recorded { path: path.to_owned(), only: Vec::new() }
    } else if matches!(Format::of(path), Ok(Format::Parquet)) {
        Origin::Parquet { paths, columns, timezone }
    } else {
        row_kind = data::row_kind_of(path, span)?;
        Origin::Csv { paths, columns, timezone }
    };
    let is_recorded = matches!(origin, Origin::Recorded { .. });
    let refuse =
        |rule: &str| Err(Failure::message(Exit::Usage, format!("{rule}, was \"{}\"", path.display())));
    if args.timeframe.is_some() && (is_recorded || row_kind == RowKind::Trade) {
        return refuse("--timeframe must stand with a file of bars");
    }
    if args.timezone.is_some() && is_recorded {
        return refuse("--timezone must stand with a file");
    }
    Ok(Spec::strict(origin, symbol, row_kind))
}
