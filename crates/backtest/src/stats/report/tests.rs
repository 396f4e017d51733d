//! What a report keeps for every run: one small, whole page with nothing from outside in it.

use insta::assert_snapshot;

use super::{About, render};
use crate::record::{FillRecord, Mark, OrderSummary, PlotRecord, Record, StrategyRecord};
use crate::stats::sample::{SampleRun, off_target};
use crate::stats::{Statistics, StatisticsOptions, compute};
use bot_core::clock::Timestamp;
use bot_core::order::Side;
use bot_core::outcome::OutcomeKind;
use bot_core::signal::Tag;
use bot_core::units::Money;

const EVIL: &str = "<script>alert(1)</script> & \"more\" '";
const EVIL_SHOWN: &str = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot; &#39;";

fn report(record: &Record) -> String {
    let options = StatisticsOptions { bootstrap: 50, ..StatisticsOptions::default() };
    let about =
        About { manifest: "name = \"sample\"".to_owned(), version: "bot 1".to_owned(), ..About::default() };
    render(record, &compute(record, &options), &about)
}

/// Faults of the markup: tags that do not match, attributes without quotes, stray characters.
fn faults(html: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut faults = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>").unwrap_or("");
    while let Some((text, after)) = rest.split_once('<') {
        if text.contains('>') && !matches!(open.last(), Some(&"script" | &"style")) {
            faults.push(format!("a > outside of tags in \"{text}\""));
        }
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        rest = after;
        let name = tag.split([' ', '\n']).next().unwrap_or("");
        if let Some(name) = name.strip_prefix('/') {
            if open.pop() != Some(name) {
                faults.push(format!("</{name}> closes what is not open"));
            }
            continue;
        }
        if !tag.matches('"').count().is_multiple_of(2)
            || tag.replace("=\"", "").contains('=') && !tag.contains("content=")
        {
            faults.push(format!("attributes of <{tag}>"));
        }
        if !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
        if matches!(name, "script" | "style") {
            rest = rest
                .split_once(&format!("</{name}"))
                .map_or("", |(_, after)| after.strip_prefix('>').unwrap_or(after));
            open.pop();
        }
    }
    faults.extend(open.into_iter().map(|name| format!("<{name}> is not closed")));
    faults
}

/// What a reader without eyes for charts would be told: all text, a line for each block.
fn text(html: &str) -> String {
    let mut text = String::new();
    let body = html.split_once("<main>").map_or("", |(_, body)| body);
    let body = body.split_once("<script>").map_or(body, |(body, _)| body);
    for piece in body.split('<') {
        let (tag, words) = piece.split_once('>').unwrap_or(("", piece));
        match tag.split(' ').next().unwrap_or("") {
            "h1" | "h2" | "h3" | "p" | "tr" | "li" | "summary" | "div" | "figure" | "dt" | "pre" => {
                text.push('\n');
            }
            "td" | "th" | "dd" | "span" | "b" | "/b" => text.push(' '),
            "text" | "/text" => continue,
            _ => {}
        }
        text.push_str(words.trim_matches('\n'));
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The part of `text` from the line `from` up to the line `to`.
fn part(text: &str, from: &str, to: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != from).take_while(|line| *line != to);
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(record: &Record) -> String {
    let html = report(record);
    assert_eq!(faults(&html), [""; 0]);
    let foreign = html.replace("http://www.w3.org/2000/svg", "");
    for address in ["http:", "https:", "//www", "src=", "href=", "url(", "@import"] {
        assert!(!foreign.contains(address), "{address}");
    }
    for number in
        [">NaN", ">inf", ">-inf", "\u{2212}n/a", "$n/a", "\"NaN", ",NaN", "2147483647", "-2147483648"]
    {
        assert!(!html.contains(number), "{number}");
    }
    assert_eq!(html, report(record), "the same run must give the same bytes");
    html
}

fn good_run() -> Record {
    let equity: Vec<f64> =
        (0..60).map(|day| 1_000.0 + f64::from(day) * 2.0 + f64::from(day * 7 % 11) * 5.0).collect();
    let prices: Vec<f64> = (0..60).map(|day| 50.0 + f64::from(day % 9)).collect();
    let mut record = SampleRun::default()
        .with(|record| record.start_cash = Money::whole(1_000))
        .equity(&equity)
        .benchmark(&prices)
        .fill("buy 10 50 0.10")
        .fill("sell 10 55 0.10")
        .fill("buy 10 52 0.10")
        .strategy(1)
        .fill("sell 5 53.5 0")
        .done();
    record.prices = vec![prices];
    for (strategy, share) in record.strategies.iter_mut().zip([0.75, 0.25]) {
        strategy.equity = equity.iter().map(|equity| equity * share).collect();
    }
    record.strategies[0].off_target = off_target(7, 20);
    record.connector = vec!["Orders fill at the next bar's open.".to_owned()];
    record
}

#[test]
fn a_good_run_says_what_is_seen() {
    let html = check(&good_run());
    assert_eq!(html.matches("<figure").count(), 7);
    let text = text(&html);
    assert_snapshot!(part(&text, "Equity against the benchmark", "Ratios"), @r#"
    Equity against the benchmark
    $1,000.00 became $1,148.00 (+14.80%). The same money in BENCH would have become $1,100.00 (+10.00%).
    Equity, US dollars This run BENCH, from the same start
    Drawdown
    The deepest fall was −3.41%, from 4 Jan 2024 to 6 Jan 2024; made up for on 7 Jan 2024. The run was below its high at 62% of the marks.
    Fall from the highest equity so far, per cent
    Monthly returns
    2 of 2 months ended higher; the best +7.79%, the worst +6.50%.
    Return, per cent Gain Loss
    Returns by day
    One day brought +0.26% on average; one in twenty brought −1.73% or worse.
    How many, by return in per cent Gain Loss Mean Value at risk, 95%
    A: price and fills
    2 purchases and 2 sales of A.
    US dollars per share A Bought Sold
    Exposure
    Positions were held at 0% of the marks and were worth 0.00% of equity on average, 0.00% at the most.
    Worth of positions, per cent of equity Positions (no short ones)
    Profit of each strategy
    one ended at +$111.00, two at +$37.00.
    Equity of its book less the start, US dollars one two
    "#);
    assert_snapshot!(part(&text, "Drawdowns", "How this was made"), @r#"
    Drawdowns
    Depth First below the high Lowest Last below the high Days
    −3.41% 5 Jan 2024 6 Jan 2024 6 Jan 2024 2
    −3.41% 8 Jan 2024 9 Jan 2024 9 Jan 2024 2
    −3.40% 11 Jan 2024 12 Jan 2024 12 Jan 2024 2
    −3.34% 16 Jan 2024 17 Jan 2024 17 Jan 2024 2
    −3.34% 19 Jan 2024 20 Jan 2024 20 Jan 2024 2
    −3.33% 22 Jan 2024 23 Jan 2024 23 Jan 2024 2
    −3.27% 27 Jan 2024 28 Jan 2024 28 Jan 2024 2
    −3.27% 30 Jan 2024 31 Jan 2024 31 Jan 2024 2
    −3.27% 2 Feb 2024 3 Feb 2024 3 Feb 2024 2
    −3.21% 7 Feb 2024 8 Feb 2024 8 Feb 2024 2
    Years and months
    Year Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Year BENCH
    2024 6.50% 7.79% 14.80% 10.00%
    Strategies
    Strategy Capital Profit Return Sharpe (252) Max drawdown Trades Win rate Orders Fees Signals Off target Shares off, mean Failures
    one $0.00 +$861.00 n/a 1.68 −3.41% 1 100.00% 3 $0.30 0 20.00% 7.0 0
    two $0.00 +$287.00 n/a 1.68 −3.41% 0 n/a 1 $0.00 0 n/a n/a 0
    Off target: for how much of the time with a target the position was another one, and by how many shares it was off then. An order under way counts as filled.
    Symbols
    Symbol Profit Trades Win rate Orders Fills Shares Turnover Fees Held at the end
    A +$72.20 1 100.00% 4 4 35 $1,837.50 $0.30 5
    Execution
    0 events were shown to the strategies.
    Signals of strategies 0
    asked for an order 4
    Orders at the broker 4
    filled whole 4
    Fills and their price
    Measure Value
    Shares filled of those ordered 100.00%
    Price paid against price seen, mean 0.00 bps
    Half of the orders paid at most 0.00 bps
    95 of 100 paid at most 0.00 bps
    What it cost in all $0.00
    From decided to final
    Measure Value
    Half of the orders within 1.0 ms
    90 of 100 within 1.0 ms
    99 of 100 within 1.0 ms
    The longest 1.0 ms
    Positions and their targets
    Measure Value
    Part of the time off target 20.00%
    Shares off then, mean 7.0
    Shares off, at the most 7
    Trades
    Round trips, first in, first out; profits are after fees.
    Entry Exit Strategy Symbol Side Shares Entry price Exit price Profit Return Fees Held
    2024-01-02 10:00:01 2024-01-02 10:00:02 one A long 10 50.00 55.00 +$49.80 +9.96% $0.20 1 s
    2024-01-02 10:00:03 open one A long 10 52.00 55.00 +$29.90 +5.75% $0.10 58 d 5 h
    2024-01-02 10:00:04 open two A short 5 53.50 55.00 −$7.50 −2.80% $0.00 58 d 5 h
    The first 40 rows are printed.
    "#);
}

#[test]
fn tags_have_columns_where_a_trade_has_one() {
    let mut record = good_run();
    assert!(!check(&record).contains("Entry tag"));
    record.orders[0].tag = Tag::new("<b>up</b>").ok();
    let text = text(&check(&record));
    assert!(text.contains("Fees Held Entry tag Exit tag\n"), "{text}");
    assert!(text.contains("+$49.80 +9.96% $0.20 1 s &lt;b&gt;up&lt;/b&gt;\n"), "{text}");
}

#[test]
fn runs_at_the_edge_are_whole_pages() {
    let constant = vec![1_000.0; 30];
    let losing: Vec<f64> = (0..40).map(|day| 1_000.0 - 30.0 * f64::from(day)).collect();
    check(&SampleRun::default().equity(&[1_000.0]).done());
    check(&SampleRun::default().equity(&constant).done());
    check(&SampleRun::default().equity(&losing).done());
    check(&SampleRun::default().equity(&[0.0, 0.0, 0.0]).done());
    check(&SampleRun::default().equity(&[1_000.0, f64::NAN, 1_000.0]).done());
    check(&SampleRun::default().equity(&[1_000.0, 1_001.0]).fill("buy 1 10 0").done());
}

#[test]
fn a_run_without_data_says_so() {
    let html = check(&Record::default());
    assert_snapshot!(text(&html), @r#"
    Backtest report
    Backtest
    0 events
    Profit
    $0.00
    $0.00 became $0.00
    Return
    n/a
    Sharpe (252)
    n/a
    Max drawdown
    n/a
    Trades
    0
    round trips
    Win rate
    n/a
    of closed round trips, after fees
    Fees
    $0.00
    0 orders, 0 fills
    Nothing to check. The run left no marks: it saw no data, or stopped before the first period ended.
    There are no charts: a line needs two marks, and the run left fewer.
    Ratios
    There are none: ratios are made of the returns between marks, and there was no return.
    Trades
    There were no trades.
    How this was made
    Version bot 1
    The manifest, with all defaults
    name = &quot;sample&quot;
    Times are New York's. Ratios are explained where the pointer rests on their name. Colours are chosen to be told apart by colour-blind readers.
    "#);
}

#[test]
fn an_interrupted_run_says_so_at_the_top() {
    let html = check(&Record { interrupted: true, ..good_run() });
    let before_the_figures = html.split_once("class=\"tiles\"").unwrap().0;
    assert!(before_the_figures.contains("<b>Interrupted.</b>"));
}

#[test]
fn books_that_do_not_add_up_are_red_with_the_breaches() {
    let mut record = good_run();
    record.end.breaches = vec!["equity at noon must be 1, was 2".to_owned()];
    let html = check(&record);
    assert!(html.contains("notice bad") && html.contains("<li>equity at noon must be 1, was 2</li>"));
    assert!(!html.contains("The books add up"));
}

#[test]
fn no_name_from_outside_becomes_markup() {
    let mut record = good_run();
    record.name = EVIL.to_owned();
    record.benchmark = Some(EVIL.to_owned());
    record.connector = vec![EVIL.to_owned()];
    record.end.breaches = vec![EVIL.to_owned()];
    record.sources =
        vec![(EVIL.to_owned(), bot_data::ReadReport { notes: vec![EVIL.to_owned()], ..Default::default() })];
    for strategy in &mut record.strategies {
        EVIL.clone_into(&mut strategy.name);
        strategy.last_failure = Some(EVIL.to_owned());
    }
    record.orders[0].is_order = false;
    record.orders[0].outcome = OutcomeKind::Refused;
    record.orders[0].reason = format!("{EVIL}: {EVIL}");
    let statistics = compute(&record, &StatisticsOptions { bootstrap: 0, ..StatisticsOptions::default() });
    let about = About {
        title: EVIL.to_owned(),
        manifest: EVIL.to_owned(),
        version: EVIL.to_owned(),
        data: vec![(EVIL.to_owned(), EVIL.to_owned())],
        seed: Some(1),
        command: EVIL.to_owned(),
        took: None,
    };
    let html = render(&record, &statistics, &about);
    assert_eq!(faults(&html), [""; 0]);
    assert!(!html.contains("<script>alert"));
    assert!(html.matches(EVIL_SHOWN).count() >= 12, "{}", html.matches(EVIL_SHOWN).count());
}

#[test]
fn the_report_of_a_huge_run_is_below_one_megabyte() {
    let mut record = huge(90_000, 45_000);
    for name in 0..30 {
        let points =
            (0..1_500).map(|hour| (hour, f64::from(u32::try_from(hour * 7_919 % 1_009).unwrap()) / 7.0));
        record.plots.push(plot(0, &name.to_string(), points));
    }
    let statistics = compute(&record, &StatisticsOptions { bootstrap: 0, ..StatisticsOptions::default() });
    let html = render(&record, &statistics, &About::default());
    assert_eq!(faults(&html), [""; 0]);
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    assert_eq!(rows_of(&html, "scroll tall"), 500);
    let trades = statistics.trades.len();
    assert!(trades > 20_000 && html.contains("round trips are shown; the other"), "{trades}");
    assert!(html.contains("one fill in "));
}

fn rows_of(html: &str, class: &str) -> usize {
    let table = html.split_once(class).map_or("", |(_, table)| table);
    table.split_once("</table>").map_or("", |(table, _)| table).matches("<tr>").count() - 1
}

fn plot(strategy: u16, name: &str, points: impl Iterator<Item = (i64, f64)>) -> PlotRecord {
    let start = Timestamp::parse_rfc3339("2024-01-01T21:00:00Z").unwrap();
    let points = points
        .map(|(hour, value)| (start + std::time::Duration::from_secs(hour.cast_unsigned() * 3_600), value));
    PlotRecord { strategy, name: name.to_owned(), points: points.collect() }
}

#[test]
fn each_plot_of_a_strategy_is_a_small_chart_below_the_equity() {
    let mut record = good_run();
    record.plots = vec![
        plot(0, "z", (0..500).map(|hour| (hour, f64::from(u16::try_from(hour).unwrap() % 7) - 3.0))),
        plot(0, "<b> & level", [(5, 1e9)].into_iter()),
        plot(1, "tiny", [(0, 0.0), (10, 4e-9), (90_000, -1e-300)].into_iter()),
    ];
    let html = check(&record);
    assert_eq!(html.matches("<figure").count(), 10);
    assert_snapshot!(part(&text(&html), "one: z", "Monthly returns"), @"
    one: z
    500 points from −3 to 3, −1 at the end.
    As the strategy plotted it
    one: &lt;b&gt; &amp; level
    1 point from 1e9 to 1e9, 1e9 at the end.
    As the strategy plotted it
    two: tiny
    3 points from −1e−300 to 4e−9, −1e−300 at the end.
    As the strategy plotted it
    ");
    record.plots_left_out = 1_234;
    record.plots = (0..30).map(|name| plot(0, &name.to_string(), [(0, 1.0)].into_iter())).collect();
    let html = check(&record);
    assert_eq!(html.matches("<figure").count(), 7 + 24);
    assert!(html.contains(
        "The other plots had no room here and are in plots.csv. Of all plots, 1,234 later points had no room"
    ));
}

/// Many marks, four symbols, nine strategies, fills all over: as much as a page can be asked to show.
fn huge(marks: u32, fills: u32) -> Record {
    let symbols: Vec<bot_core::symbol::Symbol> =
        ["AAA", "BBB", "CCC", "DDD"].map(|name| name.parse().unwrap()).to_vec();
    let start = Timestamp::parse_rfc3339("2020-01-02T15:00:00Z").unwrap();
    let at = |mark: u32| Timestamp::from_secs(start.millis() / 1000 + i64::from(mark) * 60);
    let noise = |mark: u32, salt: u32| {
        f64::from(mark.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)) >> 16) / 65_536.0
    };
    let price = |mark: u32, salt: u32| {
        100.0 + (f64::from(mark) / 9_000.0 + f64::from(salt)).sin() * 20.0 + noise(mark, salt) * 5.0
    };
    let mut record = Record {
        name: "huge".to_owned(),
        start_cash: Money::whole(1_000_000),
        benchmark: Some("AAA".to_owned()),
        ..Record::default()
    };
    record.marks = (0..marks)
        .map(|mark| {
            let net = 50_000.0 * (noise(mark, 9) - 0.5);
            let equity = 10_000.0 * price(mark, 1);
            Mark {
                at: at(mark),
                equity,
                cash: equity - net,
                net,
                gross: net.abs() + 9_000.0,
                benchmark: price(mark, 2),
            }
        })
        .collect();
    record.prices = (0..4).map(|salt| (0..marks).map(|mark| price(mark, salt)).collect()).collect();
    record.strategies = (0..9)
        .map(|salt| StrategyRecord {
            name: format!("strategy {salt}"),
            capital: Money::whole(100_000),
            equity: (0..marks).map(|mark| 1_000.0 * price(mark, salt)).collect(),
            ..StrategyRecord::default()
        })
        .collect();
    for fill in 0..fills {
        let (symbol, mark) = (fill % 4, fill * (marks / fills));
        let paid = bot_core::units::Price::from_f64((price(mark, symbol) * 100.0).round() / 100.0).unwrap();
        let quantity = "100".parse().unwrap();
        record.fills.push(FillRecord { order: fill, at: at(mark), quantity, price: paid, fee: Money::ZERO });
        record.orders.push(OrderSummary {
            strategy: 0,
            by: 0,
            symbol: symbols[symbol as usize],
            side: if fill / 4 % 2 == 0 { Side::Buy } else { Side::Sell },
            wanted: bot_core::signal::Wanted::Order { side: Side::Buy, quantity: None, strength: None },
            at: at(mark),
            made_at: at(mark),
            number: 0,
            step: 0,
            price_seen: paid.to_f64(),
            quantity,
            limit: None,
            is_order: true,
            final_at: at(mark),
            filled: quantity,
            total: paid * quantity,
            fees: Money::ZERO,
            outcome: OutcomeKind::Filled,
            reason: String::new(),
            tag: None,
        });
    }
    record.symbols = symbols;
    record
}

#[test]
fn statistics_that_say_nothing_make_a_page_all_the_same() {
    let html = render(&good_run(), &Statistics::default(), &About::default());
    assert_eq!(faults(&html), [""; 0]);
}
