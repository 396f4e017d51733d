//! Promises of the statistics: defined or absent, equal for equal runs, readable.

use proptest::prelude::*;
use serde_json::Value;

use super::sample::{SampleRun, off_target};
use super::{
    Made, StatisticsOptions, compute, summary, write_equity_csv, write_orders_csv, write_plots_csv,
    write_stats_json, write_trades_csv,
};
use crate::record::{Extremes, PlotRecord, Record};
use bot_core::outcome::OutcomeKind;
use bot_core::signal::Tag;
use bot_core::units::Money;

/// A year of a run with two strategies, two symbols, a benchmark and every kind of end.
fn whole() -> Record {
    let curve = |drift: f64, swing: f64| -> Vec<f64> {
        (0..252_u32)
            .map(|day| 100_000.0 * (1.0 + drift * f64::from(day)) + swing * f64::from(day * 37 % 23))
            .map(|equity: f64| (equity * 100.0).round() / 100.0)
            .collect()
    };
    SampleRun::default()
        .with(|record| record.start_cash = Money::whole(100_000))
        .equity(&curve(0.000_4, 120.0))
        .benchmark(&curve(0.000_2, 200.0))
        .fill("buy 100 50.10 1")
        .fill("sell 60 51.00 0.5")
        .fill("sell 60 49.00 0.5")
        .strategy(1)
        .symbol("B")
        .fill("buy 2.5 1000 0.25")
        .fill("sell 2.5 1010.50 0.25")
        .order(|run| crate::record::OrderSummary {
            is_order: false,
            outcome: OutcomeKind::Refused,
            reason: "order_notional_max: order must be at most 100, was \"200\"".to_owned(),
            wanted: bot_core::signal::Wanted::Strength(bot_core::signal::Strength::new(-0.5).unwrap()),
            ..run.blank()
        })
        .order(|run| crate::record::OrderSummary {
            outcome: OutcomeKind::Unfilled,
            limit: Some("900".parse().unwrap()),
            ..run.blank()
        })
        .last_price("A", 49.5)
        .last_price("B", 1011.0)
        .with(|record| {
            record.orders[0].price_seen = 50.0;
            record.orders[0].tag = Tag::new("break out").ok();
            record.orders[1].tag = Tag::new("stop").ok();
            record.strategies[0].equity = curve(0.000_4, 120.0);
            record.strategies[1].equity = curve(-0.000_1, 60.0);
            for strategy in &mut record.strategies {
                strategy.capital = Money::whole(100_000);
                (strategy.events, strategy.signals, strategy.idle) = (500, 12, 5);
            }
            record.strategies[0].off_target = off_target(0, 10);
            record.strategies[1].off_target = off_target(25, 5);
            record.end.events = 1_000;
            record.end.equity = Money::whole(112_200);
            record.extremes = Extremes { equity_high: 112_000.0, equity_low: 99_000.0, drawdown: -0.03 };
        })
        .done()
}

fn json(record: &Record, options: &StatisticsOptions) -> String {
    let mut bytes = Vec::new();
    write_stats_json(&compute(record, options), &Made::default(), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_terminal_says_how_the_run_went() {
    let statistics = compute(&whole(), &StatisticsOptions { bootstrap: 100, ..StatisticsOptions::default() });
    insta::assert_snapshot!(summary(&statistics, 110, false), @r#"
    sample  2024-01-01 to 2024-09-08, 251 periods
    equity 100,000.00 -> 112,200.00, profit 12,200.00 (12.20 %), fees 2.50
    1,000 events, 6 orders, 5 fills, 3 trades closed, 1 open

                                        run        95 % interval     BENCH
     Total return                   12.20 %                         8.62 %
     CAGR (252)                     12.25 %   -1.64 % to 27.87 %    8.66 %
     Sharpe (252)                     0.671       0.017 to 1.310     0.412
     Probabilistic Sharpe           75.00 %                        66.00 %
     Sortino (252)                    1.130       0.028 to 2.262     0.679
     Calmar (252)                     5.190                          2.109
     Omega                            1.091                          1.055
     Volatility (252)               20.27 %   20.01 % to 20.56 %   34.34 %
     Max drawdown                   -2.36 %  -11.70 % to -3.67 %   -4.10 %
     Longest drawdown               12 days                        17 days
     Value at risk, 95 %, per day   -2.05 %                        -3.50 %
     Time in market                100.00 %                       100.00 %
     Winning days                   39.44 %                        39.44 %
     Best day                        1.72 %                         2.82 %
     Worst day                      -1.03 %                        -1.74 %
     Beta                             0.590
     Alpha (252)                     5.25 %
     Winning trades                 66.67 %
     Mean profit a trade              11.31
     Profit factor of trades          1.758
     System quality number            0.389
     Mean time in a trade             1.3 s
     Marks with a position           0.00 %

     strategy      equity     profit   return  Sharpe  drawdown  orders  trades       won
     one       112,200.00  12,200.00  12.20 %   0.671   -2.36 %       3       2   50.00 %
     two        98,570.00  -1,430.00  -1.43 %  -0.080   -3.40 %       3       1  100.00 %

     symbol  profit  fees  orders  trades       won     volume  position
     A        -2.00  2.00       3       2   50.00 %  11,010.00       -20
     B        25.75  0.50       3       1  100.00 %   5,026.25         0

     drawdown        from      lowest       until  days
     -2.36 %   2024-01-20  2024-01-24  2024-01-31    12
     -2.34 %   2024-02-12  2024-02-16  2024-02-23    12
     -2.32 %   2024-03-06  2024-03-10  2024-03-17    12

     signals                       24
       no order needed             10
       refused order_notional_max  1
     orders                        6
       filled                      5
       unfilled                    1
     shares filled                 99.56 %
     slippage                      mean 4.00 bps, p50 0.00, p95 16.00, cost 10.00
     decided to final              p50 1000 us, p99 1000 us, max 1000 us
     off target                    2.50 % of the time, by 25.0 shares, at most 25
       two                         5.00 % of the time, by 25.0 shares, at most 25

    integrity  books add up
    "#);
}

#[test]
fn the_terminal_says_of_an_empty_run_what_is_not_defined() {
    insta::assert_snapshot!(summary(&compute(&Record::default(), &StatisticsOptions::default()), 80, false), @r#"
      n/a to n/a, 0 periods
    equity 0.00 -> 0.00, profit 0.00 (n/a), fees 0.00
    0 events, 0 orders, 0 fills, 0 trades closed, 0 open

                                   run
     Total return                  n/a
     CAGR (252)                    n/a
     Sharpe (252)                  n/a
     Probabilistic Sharpe          n/a
     Sortino (252)                 n/a
     Calmar (252)                  n/a
     Omega                         n/a
     Volatility (252)              n/a
     Max drawdown                  n/a
     Longest drawdown              n/a
     Value at risk, 95 %, per day  n/a
     Time in market                n/a
     Winning days                  n/a
     Best day                      n/a
     Worst day                     n/a
     Winning trades                n/a
     Mean profit a trade           n/a
     Profit factor of trades       n/a
     System quality number         n/a
     Mean time in a trade          n/a
     Marks with a position         n/a

     signals            0
       no order needed  0

    integrity  books add up
    "#);
}

#[test]
fn a_breach_is_red_and_told() {
    let mut record = whole();
    record.end.fees = Money::ZERO;
    let text = summary(&compute(&record, &StatisticsOptions::default()), 100, true);
    assert!(text.contains(
        "\u{1b}[31mbooks do not add up\u{1b}[0m\n  fees at the end must be 2.5 by the fills, was 0"
    ));
    assert!(text.contains("profit \u{1b}[32m12,200.00 (12.20 %)\u{1b}[0m"), "{text}");
}

#[test]
fn the_files_have_a_row_for_everything() {
    let record = whole();
    let statistics = compute(&record, &StatisticsOptions { bootstrap: 0, ..StatisticsOptions::default() });
    insta::assert_snapshot!(text(|out| write_trades_csv(&statistics, out)), @r#"
    strategy,symbol,side,quantity,entry_time,entry_price,exit_time,exit_price,profit,fees,return,seconds,state,entry_tag,exit_tag
    one,A,long,60,2024-01-02T15:00:01Z,50.1,2024-01-02T15:00:02Z,51,52.9,1.1,0.017598137059214904,1,closed,break out,stop
    one,A,long,40,2024-01-02T15:00:01Z,50.1,2024-01-02T15:00:03Z,49,-44.733333333,0.733333333,-0.022322022621257483,2,closed,break out,
    two,B,long,2.5,2024-01-02T15:00:04Z,1000,2024-01-02T15:00:05Z,1010.5,25.75,0.5,0.0103,1,closed,,
    one,A,short,20,2024-01-02T15:00:03Z,49,2024-09-08T21:00:00Z,49.5,-10.166666667,0.166666667,-0.010374149660204082,21621597,open,,
    "#);
    insta::assert_snapshot!(text(|out| write_orders_csv(&record, out)), @r#"
    time,strategy,symbol,signal,amount,total,price,buy,sell,operation,status,reason,fees,final_time,asked,limit,price_seen,signal_id,step,tag
    2024-01-02T15:00:00.999Z,one,A,,100,5010,50.1,A,USD,market,filled,,1,2024-01-02T15:00:01Z,100,,50,one-1704207600999000000-0,0,break out
    2024-01-02T15:00:01.999Z,one,A,,60,3060,51,USD,A,market,filled,,0.5,2024-01-02T15:00:02Z,60,,51,one-1704207601999000000-0,0,stop
    2024-01-02T15:00:02.999Z,one,A,,60,2940,49,USD,A,market,filled,,0.5,2024-01-02T15:00:03Z,60,,49,one-1704207602999000000-0,0,
    2024-01-02T15:00:03.999Z,two,B,,2.5,2500,1000,B,USD,market,filled,,0.25,2024-01-02T15:00:04Z,2.5,,1000,two-1704207603999000000-0,0,
    2024-01-02T15:00:04.999Z,two,B,,2.5,2526.25,1010.5,USD,B,market,filled,,0.25,2024-01-02T15:00:05Z,2.5,,1010.5,two-1704207604999000000-0,0,
    2024-01-02T15:00:05.999Z,two,B,-0.5,0,0,,B,USD,market,refused,"order_notional_max: order must be at most 100, was ""200""",0,2024-01-02T15:00:06Z,1,,1,two-1704207605999000000-0,0,
    2024-01-02T15:00:06.999Z,two,B,,0,0,,B,USD,limit,unfilled,,0,2024-01-02T15:00:07Z,1,900,1,two-1704207606999000000-0,0,
    "#);
    let equity = text(|out| write_equity_csv(&record, &statistics, out));
    insta::assert_snapshot!(equity.lines().take(5).collect::<Vec<_>>().join("\n"), @r#"
    time,equity,cash,net,gross,return,drawdown,benchmark,one,two
    2024-01-01T21:00:00Z,100000,100000,0,0,,0,100000,100000,100000
    2024-01-02T21:00:00Z,101720,101720,0,0,0.017200000000000104,0,102820,101720,100830
    2024-01-03T21:00:00Z,100680,100680,0,0,-0.010224144710971328,-0.010224144710971217,101040,100680,100280
    2024-01-04T21:00:00Z,102400,102400,0,0,0.017083829956297203,0,103860,102400,101110
    "#);
    assert_eq!(equity.lines().count(), 1 + 252);
}

#[test]
fn stats_json_is_the_same_for_the_same_run_and_says_its_annualisation() {
    let record = whole();
    let options = StatisticsOptions { bootstrap: 50, ..StatisticsOptions::default() };
    assert_eq!(json(&record, &options), json(&record.clone(), &options));
    let value: Value = serde_json::from_str(&json(&record, &options)).unwrap();
    let names: Vec<_> =
        value["ratios"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"sharpe_252") && names.contains(&"cagr_252"), "{names:?}");
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    assert_eq!(value["headline"]["profit"], "12200");
    assert_eq!(value["headline"]["start"], "2024-01-01T21:00:00Z");
    let statistics = compute(&record, &StatisticsOptions { periods_per_year: 98_280.0, ..options });
    assert!(statistics.ratio("sharpe_98280").is_some_and(|ratio| ratio.stem() == "sharpe"));
}

#[track_caller]
fn check_finite(record: &Record) {
    let options = StatisticsOptions { bootstrap: 20, ..StatisticsOptions::default() };
    let statistics = compute(record, &options);
    for ratio in &statistics.ratios {
        let numbers =
            [ratio.value, ratio.benchmark, ratio.interval.map(|i| i.0), ratio.interval.map(|i| i.1)];
        assert!(numbers.iter().flatten().all(|value| value.is_finite()), "{ratio:?}");
    }
    let json = json(record, &options);
    let _: Value = serde_json::from_str(&json).unwrap();
    let csv = text(|out| write_equity_csv(record, &statistics, out));
    let summary = summary(&statistics, 100, false);
    let (summary, _) = summary.split_once("integrity").unwrap(); // A breach quotes what it found.
    for (file, text) in [("summary", summary), ("equity.csv", &csv)] {
        assert!(!text.contains("NaN") && !text.contains("inf"), "{file}: {text}");
    }
}

#[test]
fn small_and_strange_runs_have_defined_values_or_none() {
    check_finite(&Record::default());
    check_finite(&whole());
    let losing: Vec<f64> = (0..60).map(|day| 1_000.0 - 10.0 * f64::from(day)).collect();
    for equity in [
        vec![100.0],
        vec![100.0, 100.0],
        vec![100.0, 101.0],
        vec![100.0; 300],
        losing,
        vec![0.0; 40],
        vec![100.0, 0.0, 0.0, 50.0],
        vec![100.0, -20.0, -30.0, 100.0],
        vec![-5.0, -6.0],
        vec![f64::NAN; 40],
        vec![1e-320, 1e300, -1e300, f64::INFINITY],
    ] {
        check_finite(&SampleRun::default().equity(&equity).benchmark(&equity).done());
    }
    check_finite(&SampleRun::default().equity(&[1_000.0; 3]).fill("buy 1 5 0").fill("sell 1 6 0").done());
}

#[test]
fn a_flat_run_earns_nothing_and_has_no_ratio_of_risk() {
    let flat = compute(&SampleRun::default().equity(&[100.0; 100]).done(), &StatisticsOptions::default());
    let value = |name: &str| flat.ratio(name).unwrap().value;
    assert_eq!(value("total_return"), Some(0.0));
    assert_eq!(value("max_drawdown"), Some(0.0));
    assert_eq!(value("volatility_252"), Some(0.0));
    for name in ["sharpe_252", "sortino_252", "calmar_252", "skew", "win_periods", "profit_factor", "beta"] {
        assert_eq!(value(name), None, "{name}");
    }
}

#[test]
fn a_run_that_lost_everything_says_so() {
    let lost =
        compute(&SampleRun::default().equity(&[100.0, 50.0, 0.0, 0.0]).done(), &StatisticsOptions::default());
    let value = |name: &str| lost.ratio(name).unwrap().value;
    assert_eq!((value("total_return"), value("max_drawdown")), (Some(-1.0), Some(-1.0)));
    assert_eq!(lost.returns.len(), 2, "there are no returns on nothing");
}

#[test]
fn the_run_back_at_its_high_is_not_below_it() {
    let values: Vec<f64> = (0..400).map(|day| if day % 2 == 0 { 100_000.07 } else { 99_000.01 }).collect();
    let found = compute(&SampleRun::default().equity(&values).done(), &StatisticsOptions::default());
    assert!(found.drawdowns.iter().take(9).all(|fall| fall.days == 1), "{:?}", found.drawdowns);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn finite_equities_never_give_a_number_that_is_none(
        equity in prop::collection::vec(prop_oneof![
            8 => 1.0..1_000_000.0_f64,
            1 => -1_000.0..1_000.0_f64,
            1 => any::<f64>().prop_filter("finite", |value| value.is_finite()),
        ], 0..80),
        prices in prop::collection::vec(prop_oneof![
            8 => 1.0..1_000.0_f64,
            1 => Just(f64::NAN),
            1 => Just(0.0),
        ], 0..80),
    ) {
        let record = SampleRun::default()
            .equity(&equity)
            .benchmark(&prices)
            .with(|record| record.strategies[0].equity = equity.clone())
            .done();
        check_finite(&record);
    }
}

#[test]
fn points_of_plots_stand_in_order_of_time() {
    let mut record = whole();
    let point = |second, value| (bot_core::clock::Timestamp::from_secs(second), value);
    let plot = |strategy, name: &str, points| PlotRecord { strategy, name: name.to_owned(), points };
    record.plots = vec![
        plot(0, "z", vec![point(60, 0.1), point(120, -2.0), point(120, 1e21)]),
        plot(1, "up", vec![point(60, 1.0), point(90, 0.0)]),
    ];
    insta::assert_snapshot!(text(|out| write_plots_csv(&record, out)), @"
    time,strategy,name,value
    1970-01-01T00:01:00Z,one,z,0.1
    1970-01-01T00:01:00Z,two,up,1
    1970-01-01T00:01:30Z,two,up,0
    1970-01-01T00:02:00Z,one,z,-2
    1970-01-01T00:02:00Z,one,z,1e21
    ");
}
