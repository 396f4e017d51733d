//! What a script shows: plots, and tags of what it wants.

use super::*;
use bot_core::strategy::{PlotRoom, Tag};

#[test]
fn what_a_script_plots_is_kept_by_name_and_time() {
    let mut runner = runner(
        "fn on_event(event) {
            plot(\"price\", event.price);
            if event.time > 1000 { plot(\"two\", 2); }
            if event.price > 101.0 { throw \"too high\"; }
        }",
    );
    runner.keep_plots(PlotRoom::of(100));
    assert_eq!(runner.on_event(&tick(1, 100.0)).unwrap().count(), 0);
    assert!(runner.on_event(&tick(2, 102.0)).is_err());
    assert_eq!(runner.on_event(&tick(3, 101.0)).unwrap().count(), 0);
    let (names, points) = runner.plotted();
    assert_eq!(names, ["price", "two"]);
    let points: Vec<_> = points.iter().map(|point| (point.at.millis(), point.name, point.value)).collect();
    assert_eq!(points, [(1_000, 0, 100.0), (3_000, 0, 101.0), (3_000, 1, 2.0)]);
}

#[test]
fn what_cannot_be_plotted_is_an_error_with_its_line() {
    check("plot(\"z\", 0.0 / 0.0);", "x_strategy.rhai:2:5: plot \"z\" must be of a finite number, was NaN");
    check("plot(\"z\", ());", "x_strategy.rhai:2:5: plot \"z\" must be a number, was ()");
    check("plot(\"a,b\", 1);", "x_strategy.rhai:2:5: name of a plot must be 1 to 32 printable characters");
    check(
        "for name in 0..21 { plot(name.to_string(), 1); }",
        "x_strategy.rhai:2:25: a strategy must plot under at most 20 names, was \"20\" beside those",
    );
    check(
        "loop { plot(\"z\", 1); }",
        "x_strategy.rhai:2:12: one call must want and plot at most 1000 things",
    );
}

#[test]
fn an_option_that_is_not_honoured_is_refused_by_its_name() {
    check(
        "buy(event.symbol, 1, #{ tga: \"x\" });",
        "x_strategy.rhai:2:5: option must be tag, was \"tga\", did you mean \"tag\"?",
    );
    check("close(event.symbol, #{ size: 1 });", "x_strategy.rhai:2:5: option must be tag, was \"size\"");
    for option in ["take_profit", "stop_loss", "stop", "limit", "tif", "trail"] {
        check(
            &format!("signal(event.symbol, 1, #{{ tag: \"x\", {option}: 1 }});"),
            &format!(
                "x_strategy.rhai:2:5: option {option} comes with standing orders, is refused until then"
            ),
        );
    }
    check(
        "sell(event.symbol, 1, #{ stop_los: 1 });",
        "x_strategy.rhai:2:5: option must be tag, was \"stop_los\", did you mean \"stop_loss\"?",
    );
    check("close(event.symbol, #{ tag: 5 });", "x_strategy.rhai:2:5: tag must be a text, was i64");
    check(
        "set_holdings(#{ NVDA: 1 }, #{ tag: \"a,b\" });",
        "x_strategy.rhai:2:5: tag must be 1 to 32 printable characters, no comma, no quote and no space at its ends, was \"a,b\"",
    );
}

#[test]
fn a_tag_of_each_function_goes_with_its_signal() {
    let script = r#"fn on_event(event) {
        let s = event.symbol;
        buy(s, 1, #{ tag: "a" });
        sell(s, 1, 2.0, "ioc", #{ tag: "b" });
        signal(s, 1, #{ tag: "c" });
        order_target_percent(s, 0.5, #{ tag: "d" });
        close(s, #{ tag: "e" });
        set_holdings(#{ NVDA: 0.5 }, #{ tag: "f" });
        s.buy("10%", #{});
        buy(s, 1, 2.0, "ioc");
    }"#;
    assert_eq!(Script::compile("x_strategy.rhai", script).unwrap().standing_orders(), []);
    let mut run = StrategyRun::new(runner(script), true, false);
    let mut strategy_signals = Vec::new();
    assert!(run.show(&tick(1, 5.0)));
    run.evaluate(&mut [tick(1, 5.0)], &mut strategy_signals).unwrap();
    let tags: Vec<_> =
        strategy_signals.iter().map(|signal| signal.tag.as_ref().map_or("", Tag::as_str)).collect();
    assert_eq!(tags, ["a", "b", "c", "d", "e", "f", "", ""]);
}

#[test]
fn what_waits_is_sent_under_its_tag() {
    let script = r#"fn on_event(event) {
        if event.price == 5.0 { signal("NVDA", 1, #{ tag: "early" }); }
        if event.price == 6.0 { set_holdings(#{ SPY: 1.0 }, #{ tag: "swap" }); }
    }"#;
    let spy: Symbol = "SPY".parse().unwrap();
    let strategy =
        Script::compile("x_strategy.rhai", script).unwrap().make(&WrittenParams::new(), &[]).unwrap();
    let runner = Runner::new("x", strategy, &[nvda(), spy], Every::Event);
    let mut run = StrategyRun::new(runner, true, false);
    run.set_cash(Money::whole(1_000));
    let told = |signals: &mut Vec<StrategySignal>| -> Vec<String> {
        let words = |signal: StrategySignal| format!("{} {}", signal.symbol, signal.tag.unwrap().as_str());
        signals.drain(..).map(words).collect()
    };
    let mut signals = Vec::new();
    run.set_quiet(true);
    run.show(&tick(1, 5.0));
    run.evaluate(&mut [tick(1, 5.0)], &mut signals).unwrap();
    assert_eq!(signals, []);
    run.end_quiet(&mut signals);
    assert_eq!(told(&mut signals), ["NVDA early"]);
    let end = |position: i64, cash| OrderEnd {
        at: Timestamp::from_secs(2),
        symbol: nvda(),
        outcome: Some(OutcomeKind::Filled),
        reason: String::new(),
        fill: None,
        position: Position::held(Quantity::new(position.into()), None),
        cash: Money::whole(cash),
        goes_on: false,
    };
    run.on_order(&end(100, 500), &mut signals).unwrap();
    run.show(&tick(3, 6.0));
    run.evaluate(&mut [tick(3, 6.0)], &mut signals).unwrap();
    assert_eq!(told(&mut signals), ["NVDA swap"], "what is not named is sold under the tag, too");
    run.on_order(&end(0, 1_000), &mut signals).unwrap();
    assert_eq!(told(&mut signals), ["SPY swap"]);
}
