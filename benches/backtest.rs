//! The backtest beside a bare loop over the same bars, in one run: the same orders, the same profit, the time of each.
#![allow(missing_docs, clippy::cast_precision_loss, reason = "a bench divides counts")]

use std::io::Write;
use std::time::Duration;

use bot::backtest::record::Record;
use bot::backtest::{self, Hears, Setup, StrategySetup};
use bot::broker::simulated::{ExecutionModel, FillModel};
use bot::clock::Timestamp;
use bot::data::spec::Walk;
use bot::data::{Chunk, Loaded, OnBadRow, OnGap, Origin, Row, RowKind, Spec, open};
use bot::desk::Rules;
use bot::manifest::{Combine, Period};
use bot::market::MarketEvent;
use bot::portfolio::{Member, Retry, Sizing, StrategyBook};
use bot::risk::Limits;
use bot::strategy::{self, Every, Intents, Runner, Strategy, StrategyError, StrategyRun, Value, View};
use bot::symbol::Symbol;
use bot::units::{Money, Weight};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BARS: u64 = 1_000_000;
const ROUNDS: usize = 9;
const WARMUP: usize = 500;
const SHARES: f64 = 100.0;
const CASH: u32 = 1_000_000;
const SPAN: Duration = Duration::from_mins(1);

fn main() -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    let bars = load(RowKind::Bar { span: SPAN }, BARS)?;
    let rows = rows(&bars);
    writeln!(
        out,
        "{BARS} minute bars, EMA(10) over EMA(20) after {WARMUP} bars, 100 shares long and short, no fees; CPU time, median of {ROUNDS}\n"
    )?;
    writeln!(out, "fill        engine        ns/bar   M bars/s   x floor   orders        profit  hash")?;
    for fill in [FillModel::NextOpen, FillModel::SameClose] {
        compare(&mut out, fill, &bars, &rows)?;
    }
    let (nanos, record) = ours(FillModel::NextOpen, &bars, &hold)?;
    line(&mut out, "next_open", "bot, holds", (nanos, None), &record)?;
    let ticks = load(RowKind::Trade, BARS)?;
    let (nanos, record) = ours(FillModel::NextOpen, &ticks, &cross)?;
    line(&mut out, "next print", "bot, ticks", (nanos, None), &record)?;
    growth(&mut out, &bars)
}

/// What a strategy that is made anew for each run is made by.
type Make = dyn Fn(Symbol) -> Outcome<Box<dyn Strategy>>;

fn compare(out: &mut impl Write, fill: FillModel, bars: &Loaded, rows: &[Row]) -> Outcome<()> {
    let mut floors = Vec::new();
    let mut plain = Bare::default();
    let mut hashes = Vec::new();
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..ROUNDS {
        let start = cpu_seconds();
        plain = std::hint::black_box(floor(fill, std::hint::black_box(rows)));
        floors.push(cpu_seconds() - start);
        let (took, record) = once(fill, bars, &cross)?;
        times.push(took);
        hashes.push(record.hash());
        last = Some(record);
    }
    let (floor, ours) = (median(floors), median(times));
    let Some(record) = last else { return Ok(()) };
    let per_bar = 1e9 / BARS as f64;
    let profit = plain.cash + plain.shares * plain.close - f64::from(CASH);
    writeln!(
        out,
        "{:10}  {:12} {:7.2}  {:9.1}  {:8.2}  {:7}  {profit:12.2}",
        fill.name(),
        "bare loop",
        floor * per_bar,
        1e3 / (floor * per_bar),
        1.0,
        plain.orders
    )?;
    line(out, fill.name(), "bot", (ours * per_bar, Some(ours / floor)), &record)?;
    let same = hashes.iter().all(|hash| *hash == hashes[0]);
    let cents = (record.end.equity - record.start_cash).to_f64() - profit;
    if !same
        || record.fills.len() as u64 != plain.orders
        || cents.abs() >= 0.005
        || !record.end.breaches.is_empty()
    {
        return Err(
            format!("{fill}: the engines disagree, or two runs do: {cents} dollars, {hashes:?}").into()
        );
    }
    Ok(())
}

fn line(
    out: &mut impl Write,
    fill: &str,
    engine: &str,
    (nanos, ratio): (f64, Option<f64>),
    record: &Record,
) -> Outcome<()> {
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let profit = (record.end.equity - record.start_cash).to_f64();
    let (orders, hash) = (record.fills.len(), record.hash());
    writeln!(
        out,
        "{fill:10}  {engine:12} {nanos:7.2}  {:9.1}  {ratio:>8}  {orders:7}  {profit:12.2}  {}",
        1e3 / nanos,
        &hash[..12]
    )?;
    Ok(())
}

/// What an order costs at the beginning of a run and after a million of them.
fn growth(out: &mut impl Write, bars: &Loaded) -> Outcome<()> {
    let short = load(RowKind::Bar { span: SPAN }, 1_000)?;
    let flip: &Make = &|_| Ok(Box::new(Flip { long: false }));
    let mut per_order = Vec::new();
    for _ in 0..ROUNDS {
        let start = cpu_seconds();
        for _ in 0..1_000 {
            std::hint::black_box(backtest::run(setup(FillModel::NextOpen, &short, flip)?, &mut |_| true)?);
        }
        per_order.push((cpu_seconds() - start) / 1e6);
    }
    let first = median(per_order) * 1e9;
    let (all, record) = ours(FillModel::NextOpen, bars, flip)?;
    writeln!(
        out,
        "\nan order on each bar: {first:.1} ns a bar with 1,000 orders a run, {all:.1} ns with {}: {:+.1} %",
        record.fills.len(),
        (all / first - 1.0) * 100.0
    )?;
    Ok(())
}

/// Long, short, long: an order on each bar.
struct Flip {
    long: bool,
}

impl Strategy for Flip {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.long = !self.long;
        intents.signal(event.symbol(), if self.long { 1.0 } else { -1.0 })
    }
}

/// Nanoseconds a bar, and what the run left.
fn ours(fill: FillModel, data: &Loaded, make: &Make) -> Outcome<(f64, Record)> {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..ROUNDS {
        let (took, record) = once(fill, data, make)?;
        times.push(took);
        last = Some(record);
    }
    let record = last.ok_or("there must be a round")?;
    Ok((median(times) * 1e9 / BARS as f64, record))
}

fn once(fill: FillModel, data: &Loaded, make: &Make) -> Outcome<(f64, Record)> {
    let setup = setup(fill, data, make)?;
    let start = cpu_seconds();
    let record = backtest::run(setup, &mut |_| true)?;
    Ok((cpu_seconds() - start, record))
}

fn setup(fill: FillModel, data: &Loaded, make: &Make) -> Outcome<Setup> {
    let symbol = "NVDA".parse()?;
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    let cash = Money::whole(CASH);
    let sizing = Sizing {
        rule: "100sh".parse()?,
        is_target: true,
        short: true,
        position_max: None,
        within_equity: false,
        weights: Vec::new(),
    };
    let book = StrategyBook::new("cross", cash);
    let strategy = StrategySetup {
        run: StrategyRun::new(Runner::new("cross", make(symbol)?, &[symbol], Every::Event), true, true),
        member: Member { sizing, weight: Weight::ONE, retry: Retry::default(), book },
        hears: Hears::Sources { main: vec![0], also: Vec::new() },
    };
    Ok(Setup {
        name: "bench".to_owned(),
        cash,
        holdings: Vec::new(),
        model: ExecutionModel { fill, ..ExecutionModel::default() },
        rules: Rules { limits, cash_buffer: Weight::percent(2), ..Rules::default() },
        weights: vec![(symbol, Weight::ONE)],
        combine: Combine::Separate,
        strategies: vec![strategy],
        signals: Vec::new(),
        openings: Vec::new(),
        switches: Vec::new(),
        sources: vec![("nvda".to_owned(), Box::new(data.source()))],
        benchmark: Some(0),
        period: Period::Day,
        plot_points_max: 0,
    })
}

fn cross(symbol: Symbol) -> Outcome<Box<dyn Strategy>> {
    let params = [("fast", 10), ("slow", 20), ("warmup", 500)];
    let params = params.into_iter().map(|(name, value)| (name.to_owned(), Value::Whole(value))).collect();
    Ok(strategy::registry().make("ema_cross", &params, &[symbol])?)
}

/// One order, and then nothing but marks: what an event costs without orders.
fn hold(symbol: Symbol) -> Outcome<Box<dyn Strategy>> {
    Ok(strategy::registry().make("buy_and_hold", &strategy::WrittenParams::new(), &[symbol])?)
}

fn load(row_kind: RowKind, rows: u64) -> Outcome<Loaded> {
    let start = Timestamp::parse_rfc3339("2024-01-02T14:30:00Z")?;
    let walk = Walk { seed: 1, rows, start, price: 180.0, volatility: 0.3, drift: 0.0, in_sessions: false };
    let spec = Spec {
        name: "nvda".to_owned(),
        origin: Origin::Generator(walk),
        symbol: "NVDA".parse()?,
        row_kind,
        from: None,
        to: None,
        on_bad_row: OnBadRow::Error,
        on_gap: OnGap::Keep,
        save: None,
    };
    Ok(Loaded::load(&mut *open(&spec)?)?)
}

fn rows(loaded: &Loaded) -> Vec<Row> {
    let rows = loaded.chunks().iter().map(|chunk| match &**chunk {
        Chunk::Rows { rows, .. } => rows.as_slice(),
        Chunk::Mixed(_) => &[],
    });
    rows.flatten().copied().collect()
}

/// What the bare loop is left with.
#[derive(Debug, Default)]
struct Bare {
    orders: u64,
    cash: f64,
    shares: f64,
    close: f64,
}

/// The same decisions with nothing around them: no desk, no books, no risk, no record.
fn floor(fill: FillModel, rows: &[Row]) -> Bare {
    let (alpha_fast, alpha_slow) = (2.0 / 11.0, 2.0 / 21.0);
    let first = rows.first().map_or(0.0, |row| row.values[3]);
    let (mut fast, mut slow) = (first, first);
    let mut bare = Bare { cash: f64::from(CASH), ..Bare::default() };
    let (mut wanted, mut level) = (0.0, 0.0);
    let trade = |bare: &mut Bare, wanted: f64, price: f64| {
        if wanted.to_bits() != bare.shares.to_bits() {
            bare.cash -= (wanted - bare.shares) * price;
            bare.shares = wanted;
            bare.orders += 1;
        }
    };
    for (place, row) in rows.iter().enumerate() {
        let [open, _, _, close, _] = row.values;
        if fill == FillModel::NextOpen {
            trade(&mut bare, wanted, open);
        }
        fast += alpha_fast * (close - fast);
        slow += alpha_slow * (close - slow);
        if fast > slow {
            level = SHARES;
        } else if fast < slow {
            level = -SHARES;
        }
        if place >= WARMUP {
            wanted = level;
        }
        if fill == FillModel::SameClose {
            trade(&mut bare, wanted, close);
        }
        bare.close = close;
    }
    bare
}

/// Of this process: what else the machine does is left out.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
