//! The backtest's speed beside a bare loop over the same bars; `scripts/bench-backtest` runs it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark prints"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bot::backtest::{self, Setup, StrategySetup};
use bot::broker::simulated::{FillModel, Terms};
use bot::clock::Timestamp;
use bot::data::{Account, Chunk, DataError, Row, Shape, Source};
use bot::desk::Rules;
use bot::manifest::{Combine, Period};
use bot::risk::Limits;
use bot::strategy::{self, Every, Runner, Value};
use bot::target::Sizing;
use bot::units::{Money, Weight};

struct Chunks(Vec<Arc<Chunk>>, usize);

impl Source for Chunks {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        self.1 += 1;
        Ok(self.0.get(self.1 - 1).cloned())
    }
    fn account(&self) -> Account {
        Account::default()
    }
}

fn rows(count: u64) -> Vec<Row> {
    let mut state = 42u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut price: f64 = 180.0;
    (0..count)
        .map(|number| {
            let cents = |value: f64| (value * 100.0).round() / 100.0;
            let open = cents(price);
            let close = cents(price * (1.0 + (random() - 0.5) * 0.001));
            price = cents(close * (1.0 + (random() - 0.5) * 0.0002)).max(50.0);
            let at = Timestamp::from_secs(1_500_000_000 + 60 * number as i64);
            Row { at, values: [open, open.max(close), open.min(close), close, 10_000.0] }
        })
        .collect()
}

fn floor(rows: &[Row]) -> (u64, f64, f64) {
    let (fast, slow) = (2.0 / 11.0, 2.0 / 21.0);
    let (mut a, mut b) = (rows[0].values[3], rows[0].values[3]);
    let (mut cash, mut shares, mut wanted, mut level) = (1_000_000.0, 0.0f64, 0.0f64, 0.0f64);
    let mut orders = 0;
    for (place, row) in rows.iter().enumerate() {
        let [open, _, _, close, _] = row.values;
        if wanted != shares {
            cash -= (wanted - shares) * open;
            shares = wanted;
            orders += 1;
        }
        a += fast * (close - a);
        b += slow * (close - b);
        if a > b {
            level = 1.0;
        } else if a < b {
            level = -1.0;
        }
        if place >= 500 {
            wanted = 100.0 * level;
        }
    }
    (orders, cash, cash + shares * rows.last().unwrap().values[3])
}

fn setup(chunks: Vec<Arc<Chunk>>) -> Setup {
    let params = [
        ("fast".to_owned(), Value::Whole(10)),
        ("slow".to_owned(), Value::Whole(20)),
        ("warmup".to_owned(), Value::Whole(500)),
    ]
    .into();
    let symbol = "NVDA".parse().unwrap();
    let strategy = strategy::registry().make("ema_cross", &params, &[symbol]).unwrap();
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    Setup {
        name: "bench".to_owned(),
        cash: Money::whole(1_000_000),
        terms: Terms { fill: FillModel::NextOpen, ..Terms::default() },
        rules: Rules { limits, cash_buffer: Weight::percent(2), ..Rules::default() },
        weights: vec![(symbol, Weight::ONE)],
        combine: Combine::Separate,
        strategies: vec![StrategySetup {
            runner: Runner::new("cross", strategy, &[symbol], Every::Event),
            sizing: Sizing { rule: "100sh".parse().unwrap(), is_target: true, capital: None, short: true },
            capital: Money::whole(1_000_000),
            weight: Weight::ONE,
            main: 0,
            also: Vec::new(),
        }],
        sources: vec![("nvda".to_owned(), Box::new(Chunks(chunks, 0)))],
        benchmark: Some(0),
        period: Period::Day,
    }
}

fn main() {
    let rows = rows(1_000_000);
    let symbol = "NVDA".parse().unwrap();
    let shape = Shape::Bar { span: Duration::from_mins(1) };
    let chunks: Vec<Arc<Chunk>> = rows
        .chunks(1 << 16)
        .map(|rows| Arc::new(Chunk::Rows { symbol, shape, rows: rows.to_vec() }))
        .collect();
    for _ in 0..5 {
        let start = Instant::now();
        let (orders, cash, equity) = std::hint::black_box(floor(std::hint::black_box(&rows)));
        let bare = start.elapsed();
        let setup = setup(chunks.clone());
        let start = Instant::now();
        let record = backtest::run(setup, &mut |_| true).unwrap();
        let ours = start.elapsed();
        println!(
            "floor {:.2} ns/bar, {orders} orders, cash {cash:.2}, equity {equity:.2}",
            bare.as_nanos() as f64 / 1e6
        );
        println!(
            "ours  {:.2} ns/bar, {} orders, cash {}, equity {}, breaches {}, ratio {:.2}",
            ours.as_nanos() as f64 / 1e6,
            record.fills.len(),
            record.end.cash,
            record.end.equity,
            record.end.breaches.len(),
            ours.as_secs_f64() / bare.as_secs_f64()
        );
    }
}
