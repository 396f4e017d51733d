//! Events to try a strategy on: a seeded random walk, or files of bars, ticks and recordings.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::broker::simulated::bar_file;
use crate::clock::Timestamp;
use crate::history::{self, OnFault};
use crate::market::{MarketEvent, Trade};
use crate::symbol::Symbol;

/// One tick a second from 2026-01-05 09:30 in New York on, starting at 100 dollars; a step is up to 0.1 %.
pub(super) fn walk(seed: u64, count: u32, symbol: Symbol) -> Vec<MarketEvent> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut price = 100.0;
    (0..count)
        .map(|second| {
            price *= 1.0 + random.random_range(-0.001..0.001);
            let at = Timestamp::from_secs(1_767_623_400 + i64::from(second));
            MarketEvent::Trade { symbol, trade: Trade { at, price, size: 100.0 } }
        })
        .collect()
}

/// A file of bars, a file of ticks (`time,price[,size]`), or a directory that was recorded.
pub(super) fn read(path: &Path, symbol: Symbol) -> anyhow::Result<Vec<MarketEvent>> {
    if path.is_dir() {
        return Ok(history::read(path, OnFault::Error)?.collect::<Result<_, _>>()?);
    }
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let header = text.lines().next().unwrap_or_default().to_ascii_lowercase();
    if header.split(',').any(|name| name.trim() == "close") {
        let bars = bar_file::parse(&text).with_context(|| path.display().to_string())?;
        let steps = bars.windows(2).map(|pair| pair[1].at.since(pair[0].at));
        let span = steps.min().unwrap_or(Duration::from_mins(1));
        return Ok(bars.into_iter().map(|bar| MarketEvent::Bar { symbol, bar, span }).collect());
    }
    ticks(&text, symbol).with_context(|| path.display().to_string())
}

fn ticks(text: &str, symbol: Symbol) -> anyhow::Result<Vec<MarketEvent>> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, line)| line.to_ascii_lowercase()).unwrap_or_default();
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    let place = |known: &[&str]| names.iter().position(|name| known.contains(name));
    let (Some(time), Some(price)) =
        (place(&["time", "timestamp", "datetime", "date"]), place(&["price", "last"]))
    else {
        bail!("line 1: header must name time and price, or time, open, high, low, close, was \"{header}\"");
    };
    let size = place(&["size", "volume", "qty"]);
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
            let at = bar_file::time(cell(time))
                .ok_or_else(|| anyhow!("line {}: time cannot be read, was \"{}\"", index + 1, cell(time)))?;
            let price: f64 =
                cell(price).parse().ok().filter(|price: &f64| price.is_finite()).ok_or_else(|| {
                    anyhow!("line {}: price must be a number, was \"{}\"", index + 1, cell(price))
                })?;
            let size = size.and_then(|place| cell(place).parse().ok()).unwrap_or(0.0);
            Ok(MarketEvent::Trade { symbol, trade: Trade { at, price, size } })
        })
        .collect()
}
