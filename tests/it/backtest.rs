//! What a backtest promises, over tiny histories made by hand.

mod at_fill;
mod binary;
mod examples;
mod fractions;
mod hard_input;
mod invariants;
mod logs;
mod look_ahead;
mod manifests;
mod margin;
mod off_target;
mod plots;
mod portfolios;
mod runs;
mod same_bytes;
mod schedules;
mod strategies;
mod tags;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use bot::backtest::record::Record;
use bot::backtest::{self, Hears, Setup, StrategySetup};
use bot::broker::simulated::{ExecutionModel, FillModel};
use bot::clock::Timestamp;
use bot::data::{Chunk, DataError, ReadReport, Row, RowKind, Source};
use bot::desk::Rules;
use bot::manifest::{Combine, Period};
use bot::market::MarketEvent;
use bot::portfolio::{Member, Retry, Sizing, StrategyBook};
use bot::risk::Limits;
use bot::strategy::{self, Every, Fill, Intents, Runner, StrategyError, StrategyRun, View};
use bot::symbol::Symbol;
use bot::units::{Money, Weight};
use tempfile::TempDir;

use crate::test_bed::said;

const MINUTE: Duration = Duration::from_mins(1);

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

/// Chunks in memory.
struct Chunks(std::vec::IntoIter<Arc<Chunk>>);

impl Source for Chunks {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        Ok(self.0.next())
    }

    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}

/// Rows of one shape, `size` in a chunk.
fn source(name: &str, row_kind: RowKind, rows: &[Row], size: usize) -> (String, Box<dyn Source>) {
    let symbol = symbol(name);
    let chunks: Vec<_> = rows
        .chunks(size)
        .map(|rows| Arc::new(Chunk::Rows { symbol, row_kind, rows: rows.to_vec() }))
        .collect();
    (name.to_lowercase(), Box::new(Chunks(chunks.into_iter())))
}

/// One-minute bars of these opens and closes, without a hole, the first from second 0 on.
fn bars(name: &str, prices: &[(f64, f64)]) -> (String, Box<dyn Source>) {
    let rows: Vec<(i64, f64, f64)> =
        prices.iter().zip(0..).map(|((open, close), place)| (60 * place, *open, *close)).collect();
    bars_at(name, &rows)
}

/// One-minute bars: the second that each begins at, open, close.
fn bars_at(name: &str, rows: &[(i64, f64, f64)]) -> (String, Box<dyn Source>) {
    let row = |(at, open, close): &(i64, f64, f64)| Row {
        at: second(*at),
        values: [*open, open.max(*close), open.min(*close), *close, 1e6],
    };
    let rows: Vec<Row> = rows.iter().map(row).collect();
    source(name, RowKind::Bar { span: MINUTE }, &rows, 2)
}

/// Numbers at these seconds.
fn numbers(name: &str, numbers: &[(i64, f64)]) -> (String, Box<dyn Source>) {
    let row = |(at, value): &(i64, f64)| Row { at: second(*at), values: [*value, 0.0, 0.0, 0.0, 0.0] };
    let rows: Vec<Row> = numbers.iter().map(row).collect();
    source(name, RowKind::Number, &rows, 2)
}

type OnEvent = Box<dyn FnMut(&MarketEvent, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send>;
type OnTimer = Box<dyn FnMut(Timestamp, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send>;
type OnFill = Box<dyn FnMut(&Fill, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send>;

/// A strategy made of closures.
struct Acts {
    on_event: OnEvent,
    on_timer: OnTimer,
    on_fill: OnFill,
    horizon: Option<Duration>,
}

impl Acts {
    fn on_event(
        act: impl FnMut(&MarketEvent, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send + 'static,
    ) -> Self {
        Self {
            on_event: Box::new(act),
            on_timer: Box::new(|_, _, _| Ok(())),
            on_fill: Box::new(|_, _, _| Ok(())),
            horizon: None,
        }
    }

    /// Says these strengths on its events, one after the other; NaN says nothing.
    fn says(name: &str, strengths: &[f64]) -> Self {
        let symbol = symbol(name);
        let mut strengths: VecDeque<f64> = strengths.iter().copied().collect();
        Self::on_event(move |_, _, intents| match strengths.pop_front() {
            Some(strength) if !strength.is_nan() => intents.signal(symbol, strength),
            Some(_) | None => Ok(()),
        })
    }

    fn on_timer(
        self,
        act: impl FnMut(Timestamp, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send + 'static,
    ) -> Self {
        Self { on_timer: Box::new(act), ..self }
    }

    fn on_fill(
        self,
        act: impl FnMut(&Fill, &View<'_>, &mut Intents) -> Result<(), StrategyError> + Send + 'static,
    ) -> Self {
        Self { on_fill: Box::new(act), ..self }
    }
}

impl strategy::Strategy for Acts {
    fn needs(&self) -> strategy::Needs {
        strategy::Needs { horizon: self.horizon, ..strategy::Needs::default() }
    }

    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        (self.on_event)(event, view, intents)
    }

    fn on_timer(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        (self.on_timer)(now, view, intents)
    }

    fn on_fill(&mut self, fill: &Fill, view: &View<'_>, intents: &mut Intents) -> Result<(), StrategyError> {
        (self.on_fill)(fill, view, intents)
    }
}

/// One strategy at a source: ten shares are full strength, shorts are allowed.
fn seat(name: &str, strategy: impl strategy::Strategy + 'static, main: usize) -> StrategySetup {
    paced(name, strategy, main, Every::Event)
}

/// The same that may look at other sources.
fn also(mut seat: StrategySetup, others: &[usize]) -> StrategySetup {
    if let Hears::Sources { also, .. } = &mut seat.hears {
        *also = others.to_vec();
    }
    seat
}

fn paced(
    name: &str,
    strategy: impl strategy::Strategy + 'static,
    main: usize,
    every: Every,
) -> StrategySetup {
    let runner = Runner::new(name, Box::new(strategy), &[], every);
    let sizing = Sizing {
        rule: "10sh".parse().unwrap(),
        is_target: true,
        short: true,
        position_max: None,
        within_equity: false,
        weights: Vec::new(),
    };
    let book = StrategyBook::new(name, Money::whole(10_000));
    let mut run = StrategyRun::new(runner, true, true);
    book.restore(&mut run);
    StrategySetup {
        run,
        member: Member { sizing, weight: Weight::ONE, retry: Retry::NONE, book },
        hears: Hears::Sources { main: vec![main], also: Vec::new() },
    }
}

/// 10,000 dollars, next open, no costs, marked at the end of each minute.
fn setup(sources: Vec<(String, Box<dyn Source>)>, strategies: Vec<StrategySetup>) -> Setup {
    let limits = Limits {
        short: true,
        flip_in_one: true,
        quote_age_max: Duration::from_hours(24 * 365),
        ..Limits::default()
    };
    Setup {
        name: "by hand".to_owned(),
        cash: Money::whole(10_000),
        holdings: Vec::new(),
        model: ExecutionModel { fill: FillModel::NextOpen, ..ExecutionModel::default() },
        rules: Rules { limits, cash_buffer: Weight::ZERO, ..Rules::default() },
        weights: Vec::new(),
        combine: Combine::Separate,
        strategies,
        signals: Vec::new(),
        openings: Vec::new(),
        switches: Vec::new(),
        sources,
        benchmark: None,
        period: Period::Span(MINUTE),
        plot_points_max: bot::strategy::PLOT_POINTS_MAX,
    }
}

fn run(setup: Setup) -> Record {
    backtest::run(setup, &mut |_| true).unwrap()
}

/// What became of each order, in short: `+10 X at 60 filled 10 for 1020`.
fn told(record: &Record) -> Vec<String> {
    let line = |order: &bot::backtest::record::OrderSummary| {
        let code = order.reason.split(':').next().unwrap_or_default();
        let (at, filled) = (order.at.millis() / 1_000, order.filled);
        let text = format!(
            "{} {} {} at {at} {} {filled} for {} {code}",
            order.side,
            order.quantity,
            order.symbol,
            order.outcome.as_str(),
            order.total
        );
        text.trim_end().to_owned()
    };
    record.orders.iter().map(line).collect()
}

/// The books must agree with the broker's, and with themselves.
#[track_caller]
fn balances(record: &Record) {
    assert_eq!(record.end.breaches, Vec::<String>::new());
    let books: f64 = record
        .strategies
        .iter()
        .filter(|strategy| strategy.name != "net")
        .map(|strategy| strategy.equity.last().copied().unwrap_or(0.0) - strategy.capital.to_f64())
        .sum();
    let is_net = record.strategies.iter().any(|strategy| strategy.name == "net");
    let earned = (record.end.equity - record.start_cash).to_f64();
    if !is_net && !record.marks.is_empty() {
        assert!((books - earned).abs() < 1e-6, "books earned {books}, the account {earned}");
    }
    let times: Vec<_> = record.marks.iter().map(|mark| mark.at).collect();
    assert!(times.is_sorted(), "marks must be in order of time, were {times:?}");
    assert_eq!(record.prices.len(), record.symbols.len(), "one list of prices for each symbol");
    for (symbol, prices) in record.symbols.iter().zip(&record.prices) {
        assert_eq!(prices.len(), record.marks.len(), "prices of {symbol}");
    }
    for strategy in &record.strategies {
        assert_eq!(strategy.equity.len(), record.marks.len(), "equity of {}", strategy.name);
    }
}

/// A folder of files and `bot` processes in it.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A `bot` command that finds nothing in its environment but PATH.
    fn command(&self, arguments: &[&str]) -> Command {
        command(self.0.path(), arguments)
    }

    fn bot(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `bot backtest --json` on `manifest`, which must succeed; its answer.
    #[track_caller]
    fn backtest(&self, manifest: &str, more: &[&str]) -> serde_json::Value {
        let output = self.bot(&[&["backtest", manifest, "--json"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        crate::test_bed::summary(&output)
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(std::process::Stdio::null());
    command
}
