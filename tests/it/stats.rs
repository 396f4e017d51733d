//! Statistics of a real run over history: its books add up, and running it again gives the same bytes.

use std::sync::Arc;
use std::time::Duration;

use bot::backtest::record::Record;
use bot::backtest::{self, Hears, Setup, StrategySetup};
use bot::broker::simulated::{ExecutionModel, Fees, FillModel};
use bot::clock::Timestamp;
use bot::data::{Chunk, DataError, ReadReport, Row, RowKind, Source};
use bot::desk::Rules;
use bot::manifest::{Combine, Period};
use bot::portfolio::{Member, Retry, Sizing, StrategyBook};
use bot::risk::Limits;
use bot::stats::{self, Made, StatisticsOptions};
use bot::strategy::{self, Every, Runner, StrategyRun};
use bot::units::{BasisPoints, Money, Weight};

struct Once(Option<Arc<Chunk>>);

impl Source for Once {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        Ok(self.0.take())
    }
    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}

/// Sixty days of 390 bars, in waves, with prices that no decimal holds.
fn bars() -> Chunk {
    let price = |minute: i32| 100.0 + 8.0 * (f64::from(minute) / 211.0).sin() + f64::from(minute) / 3_000.0;
    let open = Timestamp::parse_rfc3339("2024-01-02T14:30:00Z").unwrap();
    let rows = (0..60 * 390).map(|minute: i32| {
        let (open_price, close) = (price(minute), price(minute + 1));
        let seconds = i64::from(minute / 390) * 86_400 + i64::from(minute % 390) * 60;
        Row {
            at: open + Duration::from_secs(u64::try_from(seconds).unwrap()),
            values: [open_price, open_price.max(close), open_price.min(close), close, 10_000.0],
        }
    });
    let row_kind = RowKind::Bar { span: Duration::from_mins(1) };
    Chunk::Rows { symbol: "NVDA".parse().unwrap(), row_kind, rows: rows.collect() }
}

fn record() -> Record {
    let symbol = "NVDA".parse().unwrap();
    let strategies = ["100sh", "37.5sh"].map(|rule| {
        let strategy = strategy::registry().make("ema_cross", &[].into(), &[symbol]).unwrap();
        let runner = Runner::new(rule, strategy, &[symbol], Every::Event);
        let sizing = Sizing {
            rule: rule.parse().unwrap(),
            is_target: true,
            short: true,
            position_max: None,
            within_equity: false,
            weights: Vec::new(),
        };
        let book = StrategyBook::new(rule, Money::whole(50_000));
        StrategySetup {
            run: StrategyRun::new(runner, true, true),
            member: Member { sizing, weight: Weight::ONE, retry: Retry::NONE, book },
            hears: Hears::Sources { main: vec![0], also: Vec::new() },
        }
    });
    let model = ExecutionModel {
        fill: FillModel::NextOpen,
        fees: Fees::Alpaca,
        slippage: BasisPoints::whole(2),
        ..ExecutionModel::default()
    };
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    let setup = Setup {
        name: "waves".to_owned(),
        cash: Money::whole(100_000),
        holdings: Vec::new(),
        model,
        rules: Rules { limits, ..Rules::default() },
        weights: vec![(symbol, Weight::ONE)],
        combine: Combine::Separate,
        strategies: strategies.into(),
        signals: Vec::new(),
        openings: Vec::new(),
        switches: Vec::new(),
        sources: vec![("nvda".to_owned(), Box::new(Once(Some(Arc::new(bars())))))],
        benchmark: Some(0),
        period: Period::Day,
        plot_points_max: 0,
    };
    backtest::run(setup, &mut |_| true).unwrap()
}

fn files(record: &Record) -> Vec<Vec<u8>> {
    let statistics =
        stats::compute(record, &StatisticsOptions { bootstrap: 50, ..StatisticsOptions::default() });
    let mut files = vec![Vec::new(); 4];
    stats::write_stats_json(&statistics, &Made::default(), &mut files[0]).unwrap();
    stats::write_trades_csv(&statistics, &mut files[1]).unwrap();
    stats::write_orders_csv(record, &mut files[2]).unwrap();
    stats::write_equity_csv(record, &statistics, &mut files[3]).unwrap();
    files
}

#[test]
fn the_statistics_of_a_real_run_add_up() {
    let record = record();
    let found = stats::compute(&record, &StatisticsOptions::default());
    assert_eq!(found.integrity.breaches, [""; 0]);
    assert!(found.headline.fills > 20 && found.headline.trades > 20, "{:?}", found.headline);
    assert_eq!(found.returns.len(), 60);
    let by_symbol: Money = found.symbols.iter().map(|row| row.profit).sum();
    assert!(
        (by_symbol - found.headline.profit).abs().to_f64() < 0.01,
        "the round trips earned {by_symbol}, the account {}",
        found.headline.profit
    );
    let by_strategy: f64 = found.strategies.iter().filter_map(|row| row.profit).sum();
    assert!((by_strategy - found.headline.profit.to_f64()).abs() < 0.01, "{by_strategy}");
    let fees: Money = found.trades.iter().map(|trade| trade.fees).sum();
    assert_eq!(fees, found.headline.fees);
    let total = found.ratio("total_return").and_then(|ratio| ratio.value).unwrap();
    assert!((total - found.headline.total_return.unwrap()).abs() < 1e-9);
    assert!(found.ratio("sharpe_252").is_some_and(|ratio| ratio.interval.is_some()));
}

#[test]
fn a_run_again_gives_the_same_bytes() {
    assert_eq!(files(&record()), files(&record()));
}
