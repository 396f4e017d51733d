//! Events to try a strategy on: a seeded random walk, or files of bars, ticks and recordings.

use std::path::Path;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::trial::Args;
use crate::cli::exit::{Exit, Failure};
use crate::clock::Timestamp;
use crate::data::spec::{Columns, Walk};
use crate::data::{self, Format, Origin, RowKind, Spec};
use crate::manifest::defaults;
use crate::market::{MarketEvent, Trade};
use crate::symbol::Symbol;

/// 2026-01-05 09:30 in New York.
const START: i64 = 1_767_623_400;

/// One tick a second from 2026-01-05 09:30 in New York on, starting at 100 dollars; a step is up to 0.1 %.
pub(super) fn walk(seed: u64, count: u32, symbol: Symbol) -> impl Iterator<Item = MarketEvent> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut price = 100.0;
    (0..count).map(move |second| {
        price *= 1.0 + random.random_range(-0.001..0.001);
        let at = Timestamp::from_secs(START + i64::from(second));
        MarketEvent::Trade { symbol, trade: Trade { at, price, size: 100.0 } }
    })
}

/// As many bars of the same length, in sessions.
pub(super) fn bars(seed: u64, count: u32, symbol: Symbol, span: Duration) -> Spec {
    let (rows, start) = (u64::from(count), Timestamp::from_secs(START));
    let walk = Walk { seed, rows, start, price: 100.0, volatility: 0.3, drift: 0.0, in_sessions: true };
    Spec::strict(Origin::Generator(walk), symbol, RowKind::Bar { span })
}

/// What is asked of a data file, by its name, or of the directory of a recording.
///
/// # Errors
/// A file that cannot be opened, or a flag that what is there has no use for.
pub(super) fn spec(path: &Path, args: &Args) -> Result<Spec, Failure> {
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
    Ok(Spec::strict(origin, args.symbol, row_kind))
}
