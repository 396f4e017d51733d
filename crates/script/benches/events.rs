//! What one bar costs in a script, beside the same strategy in Rust in the same run: `cargo bench -p bot-script`.
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench measures time"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bot_core::clock::Timestamp;
use bot_core::market::{Bar, MarketEvent};
use bot_core::strategy::{Every, Runner, Strategy, WrittenParams, registry};
use bot_core::symbol::Symbol;
use bot_script::Script;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ROUNDS: usize = 9;
const BARS: i64 = 100_000;
const SPAN: Duration = Duration::from_mins(1);

/// What is measured, and how many nanoseconds a bar it may take where the project has set itself an aim.
const SCRIPTS: [(&str, &str, &str); 4] = [
    ("nothing, fn on_event(event)", "fn on_event(event) {}", "aim 200"),
    ("nothing, fn on_bar(bars)", "fn on_bar(bars) {}", ""),
    (
        "SMA cross, native indicators",
        "fn indicators() { #{ fast: sma(10), slow: sma(20) } }
         fn on_event(bar) {
             if bar.slow == () { return; }
             signal(bar.symbol, if bar.fast > bar.slow { 1 } else { 0 });
         }",
        "aim 1000",
    ),
    (
        "the same in fn on_bar(bars)",
        "fn indicators() { #{ fast: sma(10), slow: sma(20) } }
         fn on_bar(bars) {
             for bar in bars {
                 if bar.slow == () { continue; }
                 signal(bar.symbol, if bar.fast > bar.slow { 1 } else { 0 });
             }
         }",
        "",
    ),
];

fn main() -> Outcome {
    let symbol: Symbol = "NVDA".parse()?;
    let runner = |strategy: Box<dyn Strategy>| {
        Runner::new("bench", strategy, &[symbol], Every::Event).on_bars_of(Some(SPAN))
    };
    let mut floor = runner(registry().make("sma_cross", &WrittenParams::new(), &[symbol])?);
    let mut scripts = Vec::new();
    for (_, source, _) in SCRIPTS {
        let script = Script::compile("bench_strategy.rhai", source)?;
        scripts.push(runner(script.make(&WrittenParams::new(), &[symbol])?));
    }
    let bar = |number: i64| {
        let close = 100.0 + (number % 97) as f64 / 10.0 - (number % 13) as f64;
        let at = Timestamp::from_secs(number * 60);
        let bar = Bar { at, open: close, high: close + 1.0, low: close - 1.0, close, volume: 1.0 };
        MarketEvent::Bar { symbol, bar, span: SPAN }
    };
    let (mut least_floor, mut least) = (f64::MAX, [f64::MAX; SCRIPTS.len()]);
    let mut next = 0;
    for _ in 0..ROUNDS {
        least_floor = least_floor.min(nanos_each(&mut floor, next, bar)?);
        for (runner, least) in scripts.iter_mut().zip(&mut least) {
            *least = least.min(nanos_each(runner, next, bar)?);
        }
        next += BARS;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "ns a bar, best of {ROUNDS} rounds of {BARS} bars, the making of the bar included")?;
    writeln!(out, "  {:<30} {least_floor:>7.0}", "SMA cross in Rust")?;
    for ((name, _, aim), nanos) in SCRIPTS.iter().zip(least) {
        let ratio = format!("{:.1}x", nanos / least_floor);
        let line = format!("  {name:<30} {nanos:>7.0} {ratio:>7} {aim}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn nanos_each(
    runner: &mut Runner,
    first: i64,
    bar: impl Fn(i64) -> MarketEvent,
) -> Result<f64, Box<dyn std::error::Error>> {
    let begun = Instant::now();
    for number in first..first + BARS {
        black_box(runner.on_event(black_box(&bar(number)))?.count());
    }
    Ok(begun.elapsed().as_nanos() as f64 / BARS as f64)
}
