//! Positions that the equity does not carry any more: liquidated at the next price, and the end of a run that is ruined.

use bot::broker::simulated::OnShortCash;
use bot::margin::Margin;

use super::*;

/// Shorts ten shares of a thousand dollars' account at 100 dollars, and the market goes on at these prices.
fn short(prices: &[f64], margin: Margin) -> Record {
    let bars_of: Vec<(f64, f64)> = prices.iter().map(|price| (*price, *price)).collect();
    let mut setup = setup(vec![bars("X", &bars_of)], vec![seat("shorts", Acts::says("X", &[-1.0]), 0)]);
    setup.cash = Money::whole(1_000);
    setup.strategies[0].member.book = StrategyBook::new("shorts", setup.cash);
    setup.model.margin = margin;
    let record = run(setup);
    balances(&record);
    record
}

const NO_LIQUIDATION: Margin = Margin::Required { initial: Weight::ONE, maintenance: Weight::ZERO };

#[test]
fn below_the_maintenance_margin_all_positions_are_liquidated_at_the_next_price() {
    // At 160 there are 400 dollars for 1600 of exposure, at 161 less than a quarter.
    let record = short(&[100.0, 100.0, 160.0, 161.0, 165.0, 300.0], Margin::CASH);
    assert_eq!(
        told(&record),
        ["sell 10 X at 60 filled 10 for 1000", "buy 10 X at 240 filled 10 for 1650 margin_call"]
    );
    assert_eq!(record.orders[1].reason, "margin_call: equity must be 402.5 dollars, was 390");
    assert_eq!((record.margin_calls.len(), record.ruined_at), (1, None));
    assert_eq!(record.end.equity.to_string(), "350");
    assert!(record.end.positions.is_empty());
}

#[test]
fn orders_on_their_way_are_cancelled_by_a_margin_call_and_no_limit_stops_it() {
    let prices: Vec<(f64, f64)> = [100.0, 100.0, 170.0, 170.0].map(|price| (price, price)).to_vec();
    let others: Vec<(f64, f64)> = [5.0, 5.0, 5.0, 5.0].map(|price| (price, price)).to_vec();
    let strategies = vec![
        seat("shorts", Acts::says("X", &[-1.0]), 0),
        seat("buys", Acts::says("Y", &[f64::NAN, f64::NAN, f64::NAN]), 1),
    ];
    let mut setup = setup(vec![bars("X", &prices), bars("Y", &others)], strategies);
    setup.cash = Money::whole(1_000);
    setup.rules.limits.orders_per_minute_max = Some(1);
    let record = run(setup);
    balances(&record);
    assert_eq!(
        told(&record),
        ["sell 10 X at 60 filled 10 for 1000", "buy 10 X at 180 filled 10 for 1700 margin_call"]
    );
}

#[test]
fn a_run_that_is_ruined_ends_there_and_everything_says_so() {
    let record = short(&[100.0, 100.0, 150.0, 200.0, 50.0, 50.0], NO_LIQUIDATION);
    assert_eq!(record.ruined_at, Some(second(240)));
    assert_eq!((record.end.equity.to_string(), record.end.events), ("0".to_owned(), 4));
    assert_eq!(record.marks.last().map(|mark| (mark.at, mark.equity)), Some((second(240), 0.0)));
    // A gap goes through the margin: what is owed is told.
    let gap = short(&[100.0, 100.0, 250.0, 50.0], Margin::CASH);
    assert_eq!((gap.ruined_at, gap.end.equity.to_string()), (Some(second(180)), "-500".to_owned()));
    assert_eq!(gap.margin_calls.len(), 0);
}

#[test]
fn without_margin_no_order_is_too_large() {
    let prices: Vec<(f64, f64)> = [100.0, 100.0, 110.0].map(|price| (price, price)).to_vec();
    let mut setup = setup(vec![bars("X", &prices)], vec![seat("buys", Acts::says("X", &[1.0]), 0)]);
    setup.cash = Money::whole(100);
    setup.strategies[0].member.book = StrategyBook::new("buys", setup.cash);
    (setup.model.margin, setup.rules.margin) = (Margin::None, Margin::None);
    setup.model.on_short_cash = OnShortCash::Reject;
    let record = run(setup);
    balances(&record);
    assert_eq!(told(&record), ["buy 10 X at 60 filled 10 for 1000"]);
    assert_eq!(record.end.equity.to_string(), "200");
}

#[test]
fn half_an_initial_margin_carries_twice_the_equity() {
    let prices: Vec<(f64, f64)> = [100.0, 100.0, 110.0].map(|price| (price, price)).to_vec();
    let trade = |strength: f64, rule: &str| {
        let mut setup = setup(vec![bars("X", &prices)], vec![seat("all", Acts::says("X", &[strength]), 0)]);
        setup.cash = Money::whole(1_000);
        setup.strategies[0].member.book = StrategyBook::new("all", setup.cash);
        setup.strategies[0].member.sizing.rule = rule.parse().unwrap();
        let margin = Margin::Required { initial: Weight::percent(50), maintenance: Weight::percent(25) };
        (setup.model.margin, setup.rules.margin) = (margin, margin);
        told(&run(setup))
    };
    assert_eq!(trade(1.0, "20sh"), ["buy 20 X at 60 filled 20 for 2000"]);
    assert_eq!(trade(1.0, "21sh"), ["buy 0 X at 60 refused 0 for 0 insufficient_cash"]);
    assert_eq!(trade(-1.0, "20sh"), ["sell 20 X at 60 filled 20 for 2000"]);
}

#[test]
fn every_output_of_a_ruined_run_ends_where_it_was_ruined() {
    let mut csv = String::from("time,open,high,low,close,volume\n");
    for (day, price) in [100, 100, 120, 150, 260, 90, 80].iter().enumerate() {
        use std::fmt::Write as _;
        writeln!(csv, "2024-01-{:02},{price},{price},{price},{price},1000", day + 8).unwrap();
    }
    let manifest = r#"
[broker]
kind = "simulated"
cash = "1000"
margin = { maintenance = 0 }
[portfolio]
cash_buffer = 0
[risk]
short = true
[data.x]
kind = "csv"
path = "x.csv"
timeframe = "1d"
[[strategy]]
name = "shorts"
script = "shorts_strategy.rhai"
size = { rule = "10sh" }
"#;
    let script = "fn on_event(event) { signal(event.symbol, -1.0); }";
    let sweep = format!("{manifest}\n[sweep]\n\"broker.cash\" = [\"1000\", \"100000\"]\n");
    let files = [
        ("x.csv", csv.as_str()),
        ("run.toml", manifest),
        ("sweep.toml", &sweep),
        ("shorts_strategy.rhai", script),
    ];
    let folder = Folder::new(&files);
    let answer = folder.backtest("run.toml", &["--out", "out"]);
    let ruined = answer["ruined_at"].as_str().unwrap().to_owned();
    assert!(ruined.starts_with("2024-01-13T05:00"), "the day of the 12th is over, was {ruined}");
    assert_eq!((&answer["final_equity"], &answer["events"]), (&"-600".into(), &5.into()));
    let stats: serde_json::Value = serde_json::from_str(&folder.read("out/stats.json")).unwrap();
    assert_eq!(stats["headline"]["ruined_at"], ruined);
    let ratio = |name: &str| {
        let ratios = stats["ratios"].as_array().unwrap();
        ratios.iter().find(|ratio| ratio["name"] == name).unwrap()["value"].clone()
    };
    // One total return, whoever tells it.
    assert_eq!(stats["headline"]["total_return"], -1.6);
    assert!((ratio("total_return").as_f64().unwrap() + 1.6).abs() < 1e-12, "{}", ratio("total_return"));
    assert_eq!((ratio("sharpe_252"), ratio("risk_of_ruin")), (serde_json::Value::Null, 1.0.into()));
    let equity = folder.read("out/equity.csv");
    assert!(equity.trim_end().lines().last().unwrap().contains(",-600"), "{equity}");
    let report = folder.read("out/report.html");
    assert!(
        report.contains("<b>Ruined.</b>") && report.contains("Margin: equity must be 100% of the exposure")
    );
    let told = folder.bot(&["backtest", "run.toml", "--out", "out"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("RUINED on 2024-01-13"), "{}", said(&told));
    let swept = folder.bot(&["sweep", "sweep.toml", "--out", "swept"]);
    assert_eq!(swept.status.code(), Some(0), "{}", said(&swept));
    let table = folder.read("swept/sweep.csv");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert!(rows[0].contains("ruined at 2024-01-13") && rows[0].contains("-600"), "{table}");
    assert!(!rows[1].contains("ruined"), "{table}");
}

/// Short of A, and at the next open of B too; A rises by half in the bar at whose open B is sold.
#[track_caller]
fn sells_both_whole(sources: Vec<(String, Box<dyn Source>)>, main: usize) {
    let mut sells: VecDeque<&str> = ["A", "B"].into();
    let strategy = Acts::on_event(move |_, _, intents| match sells.pop_front() {
        Some(name) => intents.order_target_percent(symbol(name), -0.5),
        None => Ok(()),
    });
    let record = run(setup(sources, vec![also(seat("short", strategy, main), &[1 - main])]));
    assert_eq!(told(&record), ["sell 50 A at 60 filled 50 for 5000", "sell 50 B at 120 filled 50 for 5000"]);
    balances(&record);
}

#[test]
fn an_open_is_judged_by_the_prices_of_its_time_whatever_the_order_of_symbols() {
    let rises = || bars("A", &[(100.0, 100.0), (100.0, 100.0), (100.0, 150.0)]);
    let stays = || bars("B", &[(100.0, 100.0); 3]);
    sells_both_whole(vec![rises(), stays()], 0);
    sells_both_whole(vec![stays(), rises()], 1);
}
