//! How fast the tick store, time travel and strategies are, each figure beside its floor in one run.
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench measures time"
)]

use std::alloc::System;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bot::clock::{ManualClock, SystemClock, Timestamp};
use bot::engine::{TestEngine, TradeOrder, Trader, TraderError, TraderSetup};
use bot::market::{Bar, MarketEvent, Trade};
use bot::strategy::{
    Every, Intents, Needs, Past, Runner, Strategy, StrategyError, View, WrittenParams, registry,
};
use bot::symbol::Symbol;
use bot::ticks::{Span, Tick, TickStore, Window, WindowLimits};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

const ROUNDS: usize = 7;
const TICKS: i64 = 1_000_000;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often memory was asked for so far.
fn allocations() -> usize {
    let stats = COUNTING.stats();
    stats.allocations + stats.reallocations
}

/// What is held now.
fn bytes_held() -> usize {
    let stats = COUNTING.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut text = format!(
        "Tick store, time travel and strategies, best of {ROUNDS} rounds that take turns with their floor.\n\n"
    );
    push_and_evict(&mut text)?;
    time_travel(&mut text)?;
    statistics(&mut text)?;
    memory(&mut text)?;
    strategies(&mut text)?;
    thousand_symbols(&mut text)?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// One tick in and one out of a full window, against the barest queue that does as much.
fn push_and_evict(text: &mut String) -> Outcome {
    writeln!(
        text,
        "push + evict, ns per tick         window   bare VecDeque    ratio  allocations (aim: ratio <= 1.5)"
    )?;
    for size in [1_000, 3_600, 100_000, 1_000_000] {
        let (mut window, mut queue) = (full_window(size)?, VecDeque::new());
        queue.extend((0..size).map(|number| (number, price(number))));
        let (mut best, mut floor, mut next, mut calls) = (f64::MAX, f64::MAX, size, 0);
        for _ in 0..ROUNDS {
            let before = allocations();
            let begun = Instant::now();
            for number in next..next + TICKS {
                window.push(Timestamp::from_nanos(number), trade(number))?;
            }
            best = best.min(nanos_each(begun));
            calls += allocations() - before;
            let begun = Instant::now();
            for number in next..next + TICKS {
                queue.push_back(black_box((number, price(number))));
                black_box(queue.pop_front());
            }
            floor = floor.min(nanos_each(begun));
            next += TICKS;
        }
        black_box((&window, &queue));
        writeln!(
            text,
            "  {size:>9} ticks               {best:>8.2}   {floor:>13.2} {:>8.2}  {calls:>11}",
            best / floor
        )?;
    }
    let store =
        TickStore::new(WindowLimits::new(Duration::from_nanos(3_599)), Arc::new(ManualClock::default()));
    let (series, symbol) = (store.series(symbol("NVDA")?), symbol("NVDA")?);
    let (mut held, mut looked_up, mut locked, mut next) = (f64::MAX, f64::MAX, f64::MAX, 0);
    let mutex = std::sync::Mutex::new(0_i64);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for number in next..next + TICKS {
            series.push(Timestamp::from_nanos(number), trade(number))?;
        }
        held = held.min(nanos_each(begun));
        let begun = Instant::now();
        for number in 0..TICKS {
            store.push(Tick::new(symbol, price(number)).at(Timestamp::from_nanos(next + TICKS)))?;
        }
        looked_up = looked_up.min(nanos_each(begun));
        let begun = Instant::now();
        for number in 0..TICKS {
            *black_box(&mutex).lock().map_err(|error| error.to_string())? += number;
        }
        locked = locked.min(nanos_each(begun));
        next += TICKS;
    }
    writeln!(
        text,
        "  shared: {held:.1} by handle, {looked_up:.1} by symbol; floor: {locked:.1} for one uncontended lock\n"
    )?;
    Ok(())
}

/// A million ticks of one symbol, 500 a second, so that an hour holds all of the last million and more.
fn time_travel(text: &mut String) -> Outcome {
    struct Mean(u64);
    impl Trader for Mean {
        fn evaluate(&mut self, _: Timestamp, all: Span<'_>) -> Result<Option<TradeOrder>, TraderError> {
            self.0 += u64::from(all.mean() > all.close());
            black_box((all.high(), all.low()));
            Ok(None)
        }
    }
    writeln!(text, "time travel, 1,000,000 ticks, evaluation (mean, high, low) every 100, one-hour window")?;
    for per_second in [1, 100, 500] {
        let symbol = symbol("NVDA")?;
        let step = 1_000_000_000 / per_second;
        let tick = |number: i64| Tick::new(symbol, price(number)).at(Timestamp::from_nanos(number * step));
        let (mut best, mut floor) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            let mut engine = TestEngine::new(Duration::from_hours(1), |_| {
                TraderSetup::new(Mean(0), Duration::from_secs(1), |_| {})
            });
            engine.start(symbol)?;
            let begun = Instant::now();
            engine.tick_many((0..TICKS).map(tick), 100, 0)?;
            best = best.min(nanos_each(begun));
            let (mut queue, kept) = (VecDeque::new(), usize::try_from(3_600 * per_second)?);
            let begun = Instant::now();
            for number in 0..TICKS {
                let tick = black_box(tick(number));
                queue.push_back((tick.at, tick.price));
                while queue.len() > kept {
                    black_box(queue.pop_front());
                }
            }
            floor = floor.min(nanos_each(begun));
        }
        let rate = 1_000.0 / best;
        writeln!(
            text,
            "  {per_second:>4} ticks a second          {rate:>8.1} million ticks/s ({best:.1} ns each; a bare queue without \
             evaluation {floor:.1} ns; aim >= 1 million/s)"
        )?;
    }
    writeln!(text)?;
    Ok(())
}

/// A statistic of a whole window, of a tenth in its middle, and a snapshot, at growing sizes.
fn statistics(text: &mut String) -> Outcome {
    const QUERIES: u32 = 20_000;
    writeln!(
        text,
        "queries, ns each       mean      high       tenth's mean   snapshot   floor: scan of all (aim: flat)"
    )?;
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        // Half a block off, so that both ends are partial.
        let mut window = full_window(size)?;
        for number in size..size + 128 {
            window.push(Timestamp::from_nanos(number), trade(number))?;
        }
        let prices: Vec<f64> = window.all().iter().map(|tick| tick.price).collect();
        let (from, to) = (Timestamp::from_nanos(size / 2), Timestamp::from_nanos(size / 2 + size / 10));
        let mean = best_of(QUERIES, || black_box(&window).all().mean());
        let high = best_of(QUERIES, || black_box(&window).all().high());
        let part = best_of(QUERIES, || black_box(&window).between(from, to).mean());
        let snapshot = best_of(QUERIES / 10, || black_box(&window).clone());
        let scan = best_of(20, || black_box(&prices).iter().sum::<f64>());
        writeln!(
            text,
            "  {size:>9} ticks {mean:>9.0} {high:>9.0} {part:>18.0} {snapshot:>10.0} {scan:>21.0}"
        )?;
    }
    writeln!(text)?;
    Ok(())
}

fn memory(text: &mut String) -> Outcome {
    writeln!(text, "memory, bytes per tick (raw 16; aim <= 1.2 x 16 = 19.2 plus a constant per symbol)")?;
    let before = bytes_held();
    let store = TickStore::new(WindowLimits::new(Duration::from_hours(1)), Arc::new(ManualClock::default()));
    store.push(Tick::new(symbol("F")?, 1.0))?;
    let constant = bytes_held() - before;
    // Right above a power of two of blocks the tree is as large as it gets.
    for size in [10_000, 66_000, 100_000, 1_000_000, 1_050_000] {
        let before = bytes_held();
        let window = full_window(size)?;
        let bytes = bytes_held() - before;
        let each = bytes.saturating_sub(constant) as f64 / window.len() as f64;
        writeln!(
            text,
            "  {size:>9} ticks {each:>9.2} ({:.3} x 16), with the constant {:.2}",
            each / 16.0,
            bytes as f64 / size as f64
        )?;
    }
    writeln!(text, "  a symbol with one tick: {constant} bytes (a block is 4096)\n")?;
    Ok(())
}

/// One bar through a strategy, bare and in its runner; one with a window beside one that only looks at the event.
fn strategies(text: &mut String) -> Outcome {
    struct Mean(u64);
    impl Strategy for Mean {
        fn needs(&self) -> Needs {
            Needs { horizon: Some(Duration::from_hours(1)), ..Needs::default() }
        }

        fn on_event(
            &mut self,
            event: &MarketEvent,
            view: &View<'_>,
            _: &mut Intents,
        ) -> Result<(), StrategyError> {
            let mean = view.window(event.symbol()).and_then(|span| span.mean());
            self.0 += u64::from(mean.is_some_and(|mean| mean > event.price()));
            Ok(())
        }
    }
    let symbol = symbol("NVDA")?;
    let bar = |number: i64| {
        let (at, close) = (Timestamp::from_secs(number), price(number));
        let bar = Bar { at, open: close, high: close, low: close, close, volume: 1.0 };
        MarketEvent::Bar { symbol, bar, span: Duration::from_secs(1) }
    };
    let ema_cross = || registry().make("ema_cross", &WrittenParams::new(), &[symbol]);
    let (mut floor, mut bare, mut run, mut windowed) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    let (mut strategy, past, mut intents) = (ema_cross()?, Past::new(Needs::default()), Intents::default());
    let mut runner = Runner::new("ema_cross", ema_cross()?, &[symbol], Every::Event);
    let mut mean = Runner::new("mean", Box::new(Mean(0)), &[symbol], Every::Event);
    let (mut next, mut calls) = (0, 0);
    for _ in 0..ROUNDS {
        let numbers = next..next + TICKS;
        let begun = Instant::now();
        for number in numbers.clone() {
            black_box(&bar(number));
        }
        floor = floor.min(nanos_each(begun));
        let begun = Instant::now();
        for number in numbers.clone() {
            strategy.on_event(black_box(&bar(number)), &past.view(), &mut intents)?;
            black_box(intents.drain().count());
        }
        bare = bare.min(nanos_each(begun));
        let begun = Instant::now();
        for number in numbers.clone() {
            black_box(runner.on_event(black_box(&bar(number)))?.count());
        }
        run = run.min(nanos_each(begun));
        let before = allocations();
        let begun = Instant::now();
        for number in numbers {
            black_box(mean.on_event(black_box(&bar(number)))?.count());
        }
        windowed = windowed.min(nanos_each(begun));
        calls = allocations() - before;
        next += TICKS;
    }
    writeln!(
        text,
        "strategies, ns per bar, the making of the bar ({floor:.1}) included (aim: ema_cross < 10)"
    )?;
    writeln!(text, "  ema_cross {bare:.1} bare, {run:.1} in its runner")?;
    writeln!(
        text,
        "  mean of a one-hour window of 3,601 bars {windowed:.1} in its runner, {calls} allocations in the last million\n"
    )?;
    Ok(())
}

/// 1,000 symbols x 1,000 ticks/s, paced by the millisecond for three seconds on one thread.
fn thousand_symbols(text: &mut String) -> Outcome {
    const SYMBOLS: usize = 1_000;
    const SECONDS: u32 = 3;
    let store = TickStore::new(WindowLimits::new(Duration::from_secs(1)), Arc::new(SystemClock));
    let symbols: Result<Vec<_>, _> =
        (0..SYMBOLS).map(|number| format!("S{number}").parse::<Symbol>()).collect();
    let symbols = symbols?;
    let (begun, on_cpu) = (Instant::now(), cpu_time()?);
    let mut late = Duration::ZERO;
    for millisecond in 0..SECONDS * 1_000 {
        let due = Duration::from_millis(u64::from(millisecond));
        if let Some(rest) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(rest);
        }
        for symbol in &symbols {
            store.push(Tick::new(*symbol, price(i64::from(millisecond))))?;
        }
        late = late.max(begun.elapsed().saturating_sub(due));
    }
    let (wall, cpu) = (begun.elapsed(), cpu_time()?.saturating_sub(on_cpu));
    let share = cpu.as_secs_f64() / wall.as_secs_f64() * 100.0;
    writeln!(
        text,
        "{SYMBOLS} symbols x 1,000 ticks/s for {SECONDS} s, stamped and looked up by symbol: {share:.1} % of one core, \
         never later than {late:.1?}"
    )?;
    Ok(())
}

/// What this thread has used of the processor.
fn cpu_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse()?))
}

/// A window that holds the last `size` of ticks that are one nanosecond apart.
fn full_window(size: i64) -> Result<Window, Box<dyn std::error::Error>> {
    let mut window = Window::new(WindowLimits::new(Duration::from_nanos(u64::try_from(size)? - 1)));
    for number in 0..size {
        window.push(Timestamp::from_nanos(number), trade(number))?;
    }
    Ok(window)
}

fn trade(number: i64) -> Trade {
    Trade { at: Timestamp::from_nanos(number), price: price(number), size: 0.0 }
}

fn price(number: i64) -> f64 {
    100.0 + (number & 1_023) as f64 / 100.0
}

fn symbol(text: &str) -> Result<Symbol, Box<dyn std::error::Error>> {
    Ok(text.parse::<Symbol>()?)
}

fn nanos_each(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / TICKS as f64
}

fn best_of<Answer>(times: u32, ask: impl Fn() -> Answer) -> f64 {
    let round = || {
        let begun = Instant::now();
        for _ in 0..times {
            black_box(ask());
        }
        begun.elapsed().as_nanos() as f64 / f64::from(times)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min)
}
