//! One trader over the same ticks, in a backtest and in time travel.

use super::*;

/// Long above the mean of its window, short below it, closed near it; said when it changes.
fn by_mean(symbol: Symbol) -> impl Trader {
    let mut said = None;
    By(move |now, window: Span<'_>| {
        let above = window.last().unwrap().price / window.mean().unwrap() - 1.0;
        let direction = match above {
            _ if above.abs() < 1e-3 => TradeDirection::Close,
            _ if above > 0.0 => TradeDirection::Long,
            _ => TradeDirection::Short,
        };
        let is_new = said.replace(direction) != Some(direction);
        Ok(is_new.then(|| TradeOrder::new(now, direction, symbol)))
    })
}

/// 3,000 ticks, none but the first on a whole second.
fn wandering() -> Vec<Tick> {
    let (mut seed, mut price) = (1_u64, 100.0);
    let step = |number: i64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        price *= 1.0 + (f64::from(u32::try_from(seed >> 40).unwrap()) / f64::from(1 << 24) - 0.5) / 500.0;
        let nanos = 1_000_000_000_000 + number * 370_000_000 + i64::from(number > 0);
        Tick::new(symbol("TEST"), price).at(Timestamp::from_nanos(nanos))
    };
    (0..3_000).map(step).collect()
}

/// Ticks as a source of trades.
struct Trades(Option<Arc<Chunk>>);

impl Source for Trades {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        Ok(self.0.take())
    }

    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}

const RUN: &str = r#"
[broker]
kind = "simulated"
cash = "1000000"

[risk]
short = true

[data.test]
kind = "generator"
event = "trade"

[[strategy]]
name = "mean"
kind = "buy_and_hold"
data = "test"
size = { rule = "1sh", mode = "order" }
"#;

/// What the trader decided in a backtest at this rhythm: when, and by which strength.
fn decided_in_backtest(every: Every) -> Vec<(Timestamp, f64)> {
    let row = |tick: &Tick| Row { at: tick.at.unwrap(), values: [tick.price, 1e6, 0.0, 0.0, 0.0] };
    let rows = wandering().iter().map(row).collect();
    let chunk = Arc::new(Chunk::Rows { symbol: symbol("TEST"), row_kind: RowKind::Trade, rows });
    let manifest = Manifest::parse("run.toml", RUN).unwrap();
    let mut setup = wiring::wire(&manifest, &mut |_| Ok(Box::new(Trades(Some(Arc::clone(&chunk)))))).unwrap();
    let kind = Kind::new("by_mean", "Follows the mean.", Vec::new(), |_, symbols| {
        Ok(Box::new(TraderStrategy::new(Duration::from_mins(1), symbols, by_mean)))
    });
    let symbols = [symbol("TEST")];
    let strategy = kind.make(&WrittenParams::new(), &symbols).unwrap();
    setup.strategies[0].run = StrategyRun::new(Runner::new("mean", strategy, &symbols, every), false, false);
    let record = backtest::run(setup, &mut |_| true).unwrap();
    assert_eq!((record.strategies[0].failures, &record.strategies[0].last_failure), (0, &None));
    assert!(record.fills.len() > 20, "{}", record.fills.len());
    assert_eq!(record.end.breaches, [""; 0]);
    record.orders.iter().map(|decided| (decided.made_at, decided.wanted.strength().unwrap())).collect()
}

/// The same in time travel.
fn decided_in_travel(travel: impl FnOnce(&mut TestEngine) -> Vec<TradeOrder>) -> Vec<(Timestamp, f64)> {
    let new_trader = |symbol| TraderSetup::new(by_mean(symbol), Duration::from_secs(7), |_| {});
    let mut engine = TestEngine::new(Duration::from_mins(1), new_trader);
    engine.start(symbol("TEST")).unwrap();
    let orders = travel(&mut engine);
    assert_eq!(engine.reports(), []);
    assert!(orders.len() > 40, "{}", orders.len());
    orders.iter().map(|order| (order.timestamp, order.direction.strength())).collect()
}

#[test]
fn a_trader_decides_the_same_in_a_backtest_and_in_time_travel() {
    let by_time = |engine: &mut TestEngine| {
        wandering().into_iter().flat_map(|tick| engine.tick(tick).unwrap()).collect()
    };
    let seven = Every::span(Duration::from_secs(7)).unwrap();
    assert_eq!(decided_in_backtest(seven), decided_in_travel(by_time));

    let by_count = |engine: &mut TestEngine| engine.tick_many(wandering(), 5, 3).unwrap();
    assert_eq!(decided_in_backtest(Every::count(5, 3).unwrap()), decided_in_travel(by_count));
}
