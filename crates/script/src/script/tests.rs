//! What a script may do, and what is said of one that does what it may not.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test says what it did not expect")]

use super::*;
use bot_core::market::{Bar, Number, Trade};
use bot_core::order::{Side, TimeInForce};
use bot_core::outcome::OutcomeKind;
use bot_core::position::Position;
use bot_core::strategy::{Every, Intent, Runner, StrategyRun, StrategySignal};
use bot_core::units::{Money, Price, Quantity};
use std::time::Duration;

mod contract;
mod modules;
mod params;
mod shows;

fn nvda() -> Symbol {
    "NVDA".parse().unwrap()
}

fn tick(second: i64, price: f64) -> MarketEvent {
    let at = Timestamp::from_secs(second);
    MarketEvent::Trade { symbol: nvda(), trade: Trade { at, price, size: 1.0 } }
}

fn runner(source: &str) -> Runner {
    let script = Script::compile("x_strategy.rhai", source).unwrap();
    let strategy = script.make(&WrittenParams::new(), &[nvda()]).unwrap();
    Runner::new("x", strategy, &[nvda()], Every::Event)
        .looking_at(&["SPY", "NEWS"].map(|name| name.parse().unwrap()))
        .with_failures_max(0)
}

/// What is said of a script whose `on_event` is `body`.
#[track_caller]
fn check(body: &str, expected: &str) {
    let mut runner = runner(&format!("fn on_event(event) {{\n    {body}\n}}\n"));
    let mut said = String::from("nothing");
    for second in 1..=20_000 {
        match runner.on_event(&tick(second, 100.0)) {
            Ok(intents) => drop(intents),
            Err(failure) => {
                said = failure.error.to_string();
                break;
            }
        }
    }
    assert!(said.starts_with(expected), "{body}\nsaid     {said}\nexpected {expected}");
}

#[test]
fn what_a_script_may_not_do_is_an_error_with_file_and_line() {
    check(
        "loop { }",
        "x_strategy.rhai:1: one call must take at most 1000000 steps, took more: a loop without end?",
    );
    check("while true { let x = 1; }", "x_strategy.rhai:1: one call must take");
    check(
        "signal(event.symbol, 0.0 / 0.0);",
        "x_strategy.rhai:2:5: signal must be a number from -1 to 1, was NaN",
    );
    check("signal(event.symbol, 2);", "x_strategy.rhai:2:5: signal must be a number from -1 to 1, was 2");
    check("signal(\"N V\", 1);", "x_strategy.rhai:2:5: symbol must be 1 to 15 letters");
    check("buy(event.symbol, 0);", "x_strategy.rhai:2:5: quantity must be a number of shares above 0, was 0");
    check(
        "sell(event.symbol, 1, -1.0);",
        "x_strategy.rhai:2:5: price must be a finite number above 0, was \"-1\"",
    );
    check(
        "sell(event.symbol, 1, 1.0, \"day\");",
        "x_strategy.rhai:2:5: time in force must be \"ioc\", was \"day\"",
    );
    check(
        "buy(event.symbol, \"1\");",
        "x_strategy.rhai:2:5: size must be all, a percentage such as 10%, shares such as 5sh or dollars such as $1000, was \"1\"",
    );
    check("throw \"no idea\";", "x_strategy.rhai:2:5: no idea");
    check("let x = 1 / 0;", "x_strategy.rhai:2:15: Division by zero");
    check("let x = [1, 2][5];", "x_strategy.rhai:2:");
    check("let x = this.no_such;", "x_strategy.rhai:2:");
    check("let x = event.bid + 1.0;", "x_strategy.rhai:2:");
    check("event.no_such;", "x_strategy.rhai:2:");
    check("on_event(event);", "x_strategy.rhai:1: functions must call each other at most 32 deep, was more");
    check("let s = \"x\"; loop { s += s; }", "x_strategy.rhai:");
    check("let a = [1]; loop { a += a; }", "x_strategy.rhai:");
    check("let s = \"\"; s.pad(1000000000, \"x\");", "x_strategy.rhai:");
    check("let a = []; a.pad(1000000000, 1);", "x_strategy.rhai:");
    check("let b = blob(1000000000);", "x_strategy.rhai:");
    check("loop { cancel_all(); }", "x_strategy.rhai:2:12: one call must want and plot at most 1000 things");
    check("sleep(1000000);", "x_strategy.rhai:2:5: a strategy must not sleep");
    check("sleep(1e9);", "x_strategy.rhai:2:5: a strategy must not sleep");
}

#[test]
fn what_is_not_there_is_an_error_and_never_false() {
    check(
        "if event.close > 1.0 { signal(event.symbol, 1); }",
        "x_strategy.rhai:2:14: event.close must be a field of the event, which is a trade and has kind, symbol, time, price, volume",
    );
    let nothing = "must compare two numbers or two texts, was () (nothing is known yet)";
    check(
        "if latest(\"SPY\") > 1.0 {}",
        &format!("x_strategy.rhai:2:22: > {nothing} > a value of type f64: ask `value != ()`"),
    );
    check("if () <= () {}", &format!("x_strategy.rhai:2:11: <= {nothing} <= ()"));
    check(
        "if 1 < event {}",
        "x_strategy.rhai:2:10: < must compare two numbers or two texts, was a value of type i64 < a value of type Event",
    );
    check(
        "if event.symbol >= 1.0 {}",
        "x_strategy.rhai:2:21: >= must compare two numbers or two texts, was a value of type string >= ",
    );
    check(
        "if [1] > 0 {}",
        "x_strategy.rhai:2:12: > must compare two numbers or two texts, was a value of type array > ",
    );
    // These are compared.
    check(
        "if 1 < 2.0 && 3.0 >= 3 && \"a\" < \"b\" && () != 1.0 && () == () { throw \"compared\"; }",
        "x_strategy.rhai:2:68: compared",
    );
}

#[test]
fn a_handler_that_is_never_called_is_told_and_a_helper_is_not() {
    for handler in
        ["onfill(fill)", "on_fil(fill)", "OnEvent(event)", "parms()", "on_bars(bars)", "on_order_end(end)"]
    {
        let source = format!("fn on_event(event) {{}}\nfn {handler} {{}}");
        let fault = Script::compile("x_strategy.rhai", &source).unwrap_err().to_string();
        assert!(
            fault.starts_with("x_strategy.rhai:2: a function that nobody calls must be one of params, init"),
            "{fault}"
        );
    }
    Script::compile("x_strategy.rhai", "fn on_event(event) { param(1); }\nfn param(x) { x }").unwrap();
    Script::compile("x_strategy.rhai", "fn on_event(event) {}\nfn helper(x) { x }").unwrap();
}

#[test]
fn a_state_that_grows_without_end_is_an_error() {
    let grow = "if !(\"all\" in this) { this.all = []; }";
    check(&format!("{grow} for i in 0..100 {{ this.all.push(event.price); }}"), "x_strategy.rhai:");
    check(&format!("{grow} for i in 0..50 {{ this.all.push([1, 2, 3, 4]); }}"), "x_strategy.rhai:");
    check("for i in 0..1_900 { this[`key ${i} ${event.time}`] = 1; }", "x_strategy.rhai:1: `this` must hold");
    check(
        "let big = []; big.pad(1900, 1); for i in 0..100 { this[`key ${i} ${event.time}`] = big; }",
        "x_strategy.rhai:1: `this` must hold at most 100000 values, was more; most are in this.key",
    );
    check("this[`key ${event.time}`] = blob(1900);", "x_strategy.rhai:1: `this` must hold");
    check(&format!("{grow} this.all += [this.all];"), "x_strategy.rhai:");
}

#[test]
fn a_failing_call_wants_nothing_and_the_next_event_is_served() {
    let mut runner =
        runner("fn on_event(event) { signal(event.symbol, 1); if event.price > 100.0 { throw \"dear\" } }");
    assert_eq!(runner.on_event(&tick(1, 100.0)).unwrap().count(), 1);
    assert!(runner.on_event(&tick(2, 101.0)).is_err());
    assert_eq!(runner.on_event(&tick(3, 99.0)).unwrap().count(), 1);
}

#[test]
fn a_script_keeps_its_state_and_sees_every_field() {
    let mut runner = runner(
        "fn params() { #{ step: 2 } }
         fn init() { this.count = 0; }
         fn on_event(event) {
             this.count += this.params.step;
             if event.kind == \"bar\" {
                 let sum = event.open + event.high + event.low + event.close + event.volume + event.price;
                 if sum == 41.0 && event.time == 70_000 && this.symbols == [\"NVDA\"] {
                     buy(event.symbol, this.count);
                     sell(event.symbol, 0.5, 10.25);
                     buy(event.symbol, 1, 10, \"ioc\");
                     cancel_all();
                 }
             }
         }",
    );
    let bar = Bar { at: Timestamp::from_secs(10), open: 1.0, high: 10.0, low: 1.0, close: 9.5, volume: 10.0 };
    let span = Duration::from_mins(1);
    assert_eq!(runner.on_event(&tick(1, 5.0)).unwrap().count(), 0);
    let found: Vec<String> = runner
        .on_event(&MarketEvent::Bar { symbol: nvda(), bar, span })
        .unwrap()
        .map(|intent| match intent {
            Intent::Order { side, size, order_type, time_in_force, .. } => {
                format!("{side} {size} {order_type:?} {time_in_force:?}")
            }
            Intent::CancelAll => "cancel all".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            "buy 4sh Market Ioc",
            "sell 0.5sh Limit(Price(10.25)) Day",
            "buy 1sh Limit(Price(10)) Ioc",
            "cancel all"
        ]
    );
}

#[test]
fn each_call_that_needs_standing_orders_is_told_with_its_line() {
    let source = r#"
fn own(event) { buy(event.symbol, 1); sell(event.symbol, 1, 2.0, "ioc"); signal(event.symbol, 1) }
fn cancel_all(x) { x }
fn on_event(event) {
    own(event);
    if event.price > 1.0 { cancel_all(); }
    let x = buy(event.symbol, 1, 2.0);
    event.symbol.sell(1, 2.0);
    cancel_all(5);
}
"#;
    let told = |source: &str| {
        let script = Script::compile("x_strategy.rhai", source).unwrap();
        script.standing_orders().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let limit = |name: &str, at: &str| {
        let rule = format!("a limit order must be {name}(symbol, quantity, limit, \"ioc\")");
        let was = format!(
            "was {name}(symbol, quantity, limit); options stand in the call as #{{ tag: \"entry\" }}"
        );
        format!("x_strategy.rhai:{at}: {rule} until standing orders exist, {was}")
    };
    let cancel =
        "x_strategy.rhai:6:28: nothing must be cancelled until standing orders exist, was cancel_all()";
    assert_eq!(told(source), [cancel.to_owned(), limit("buy", "7:13"), limit("sell", "8:18")]);
}

#[test]
fn what_escapes_the_check_for_standing_orders_is_refused_one_by_one() {
    let source = r#"fn on_event(event) {
        Fn("cancel_all").call();
        Fn("buy").call(event.symbol, 1, 2.0);
        signal(event.symbol, 0.5);
    }"#;
    let script = Script::compile("x_strategy.rhai", source).unwrap();
    assert_eq!(script.standing_orders(), []);
    let mut run = StrategyRun::new(runner(source), true, false);
    let mut strategy_signals: Vec<StrategySignal> = Vec::new();
    for second in 1..=2 {
        assert!(run.show(&tick(second, 5.0)));
        run.evaluate(&mut [tick(second, 5.0)], &mut strategy_signals).unwrap();
    }
    assert_eq!(run.refused(), 2, "each cancellation is refused, and the strategy goes on");
    let sent: Vec<_> = strategy_signals.iter().map(|strategy_signal| strategy_signal.time_in_force).collect();
    // The desk refuses what is not immediate-or-cancel.
    assert_eq!(sent, [TimeInForce::Day, TimeInForce::Ioc, TimeInForce::Day, TimeInForce::Ioc]);
}

#[test]
fn a_script_hears_every_end_of_its_orders_and_knows_its_position() {
    let mut runner = runner(
        r#"fn init() { this.fills = 0; }
        fn say(number) { signal("NVDA", number / 100.0); }
        fn on_event(event) { say(position(event.symbol)); say(position("SPY")); }
        fn on_fill(fill) { this.fills += 1; }
        fn on_order(end) {
            if end.symbol != "NVDA" || end.time != 7_000 { throw "another end"; }
            say(end.filled);
            say(end.position + position(end.symbol));
            say(this.fills.to_float());
            if end.goes_on { say(99.0); }
            if end.outcome == "refused" {
                if end.reason != "no_short: never" || end.side != () || end.price != () { throw end.reason; }
            } else {
                if end.outcome != "partly_filled" || end.reason != "" || end.side != "sell" { throw end.outcome; }
                say(end.price);
            }
        }"#,
    );
    let percent = |intent| match intent {
        Intent::Signal { strength, .. } => (strength.get() * 100.0).round(),
        other => panic!("{other:?}"),
    };
    let shares = |many: i64| Quantity::new(many.into());
    let at = Timestamp::from_secs(7);
    let fill = Fill { at, symbol: nvda(), side: Side::Sell, quantity: shares(3), price: Price::whole(20) };
    let part = OrderEnd {
        at,
        symbol: nvda(),
        outcome: Some(OutcomeKind::PartlyFilled),
        reason: String::new(),
        fill: Some(fill),
        position: Position::held(shares(-3), None),
        cash: Money::ZERO,
        goes_on: true,
    };
    let refused = OrderEnd {
        outcome: Some(OutcomeKind::Refused),
        reason: "no_short: never".to_owned(),
        fill: None,
        goes_on: false,
        ..part.clone()
    };
    let mut said = |end: &OrderEnd| -> Vec<f64> { runner.on_order(end).unwrap().map(percent).collect() };
    assert_eq!(said(&part), [3.0, -6.0, 1.0, 99.0, 20.0]);
    assert_eq!(said(&refused), [0.0, -6.0, 1.0]);
    // What another strategy's order filled for it is a fill and no end of its own.
    assert_eq!(
        said(&OrderEnd { outcome: None, position: Position::held(shares(-6), None), ..part.clone() }),
        [0.0; 0]
    );
    let held: Vec<f64> = runner.on_event(&tick(8, 5.0)).unwrap().map(percent).collect();
    assert_eq!(held, [-6.0, 0.0]);
}

#[test]
fn a_script_asks_for_the_latest_bar_of_a_timeframe() {
    let mut runner = runner(
        r#"fn say(bar) { if bar != () { signal(bar.symbol, bar.close / 100.0); } }
        fn on_event(event) {
            say(latest("NVDA", "1m"));
            say(latest("NVDA", "1min"));
            say(latest("NVDA", "1day"));
            say(latest("SPY", "1m"));
        }"#,
    );
    let mut said = |second, close, minutes| -> Vec<f64> {
        let at = Timestamp::from_secs(second);
        let bar = Bar { at, open: close, high: close, low: close, close, volume: 1.0 };
        let span = Duration::from_mins(minutes);
        let strength = |intent| match intent {
            Intent::Signal { strength, .. } => (strength.get() * 100.0).round(),
            other => panic!("{other:?}"),
        };
        runner.on_event(&MarketEvent::Bar { symbol: nvda(), bar, span }).unwrap().map(strength).collect()
    };
    assert_eq!(said(0, 10.0, 24 * 60), [10.0]);
    assert_eq!(said(60, 20.0, 1), [20.0, 20.0, 10.0]);
    assert_eq!(said(120, 30.0, 5), [20.0, 20.0, 10.0], "bars of five minutes are another series");
}

#[track_caller]
fn check_compile(source: &str, expected: &str) {
    let said = Script::compile("x_strategy.rhai", source).err().map(|fault| fault.to_string());
    assert_eq!(said.as_deref(), Some(expected));
}

#[test]
fn a_script_that_cannot_work_is_refused_before_it_runs() {
    check_compile(
        "",
        "x_strategy.rhai: script must have one of fn on_event(event), fn on_bar(bars), fn on_quote(quote), fn on_trade(trade), \
         fn on_number(number), fn on_timer(now), fn on_schedule(name), was without any",
    );
    check_compile(
        "\nfn on_event() {}",
        "x_strategy.rhai:2: on_event must be written as fn on_event(event), was with 0 arguments",
    );
    check_compile(
        "fn on_event(event) {}\nfn on_evnt(e) {}",
        "x_strategy.rhai:2: a function that nobody calls must be one of params, init, on_event, on_timer, on_fill, on_order, \
         horizon, warm_up, indicators, schedule, on_bar, on_quote, on_trade, on_number, on_schedule, was on_evnt, did you mean \"on_event\"?",
    );
    check_compile(
        "fn on_event(event) {}\nlet count = 0;",
        "x_strategy.rhai:2: a script must be functions only, its state is `this`, was `count` outside of them",
    );
    check_compile(
        "fn params() { 5 }\nfn on_event(event) {}",
        "x_strategy.rhai:1: params() must return a map such as #{ fast: 10 }",
    );
    check_compile(
        "fn params() { #{ list: [] } }\nfn on_event(event) {}",
        "x_strategy.rhai:1: parameter list must be true, false, a number or a string, was array",
    );
    check_compile("fn on_event(event) {\n    let x = ;\n}", "x_strategy.rhai:2:13: Unexpected ';'");
    check_compile("fn on_event(event) {\n    x = 1;\n}", "x_strategy.rhai:2:5: Undefined variable: x");
    check_compile(
        "fn on_event(event) {\n    eval(\"1\");\n}",
        "x_strategy.rhai:2:5: reserved keyword 'eval' is disabled",
    );
    check_compile(
        "fn on_event(event) {\n    let default = 1;\n}",
        "x_strategy.rhai:2:9: 'default' is a reserved keyword",
    );
    check_compile(
        "fn on_event(event) { }\nfn switch() { }",
        "x_strategy.rhai:2:4: Expecting function name in function declaration, was \"switch\"",
    );
    check_compile(
        "fn on_event(event) {\n    let if = 1;\n}",
        "x_strategy.rhai:2:9: Expecting name of a variable, was \"if\"",
    );
    for name in ["signal(s, n)", "buy(a, b, c)", "close(s)", "high(s, n)", "cash()"] {
        let said = format!(
            "x_strategy.rhai:2: a function must not take the place of the bot's own {}, was fn {name}",
            name.split('(').next().unwrap()
        );
        check_compile(&format!("fn on_event(event) {{ }}\nfn {name} {{ }}"), &said);
    }
    Script::compile("x_strategy.rhai", "fn on_event(event) { mean([1]); }\nfn mean(list) { list[0] }")
        .unwrap();
}

#[test]
fn a_script_looks_back_as_far_as_its_horizon() {
    let mut runner = runner(
        r#"fn params() { #{ horizon: "10s" } }
        fn horizon() { this.params.horizon }
        fn say(symbol, number) { signal(symbol, number / 100.0); }
        fn on_event(event) {
            let s = event.symbol;
            say(s, mean(s, "5s"));
            say(s, high(s, "5s") - low(s, "5s"));
            say(s, open(s, "10s") + close(s, "10s"));
            say(s, vwap(s, "5s") + volume(s, "5s"));
            say(s, count(s, "10s"));
            if mean("SPY", "5s") != () || count("SPY", "5s") != 0 { throw "no SPY was seen"; }
            let news = latest("NEWS");
            if news != () { say(s, news.price); }
        }"#,
    );
    let mut said = |second, price| -> Vec<f64> {
        let number = Number { at: Timestamp::from_secs(8), value: -50.0 };
        if second > 8 {
            runner.observe(&MarketEvent::Number { symbol: "NEWS".parse().unwrap(), number });
        }
        let strength = |intent| match intent {
            Intent::Signal { strength, .. } => (strength.get() * 100.0).round(),
            other => panic!("{other:?}"),
        };
        runner.on_event(&tick(second, price)).unwrap().map(strength).collect()
    };
    assert_eq!(said(1, 10.0), [10.0, 0.0, 20.0, 11.0, 1.0]);
    assert_eq!(said(7, 20.0), [20.0, 0.0, 30.0, 21.0, 2.0]);
    assert_eq!(said(12, 30.0), [25.0, 10.0, 50.0, 27.0, 2.0, -50.0]);
}

#[test]
fn a_look_that_is_none_is_an_error_with_file_and_line() {
    check(
        "mean(event.symbol, \"5s\");",
        "x_strategy.rhai:2:5: a script must have fn horizon() to look at ticks",
    );
    check("latest(\"N V\");", "x_strategy.rhai:2:5: symbol must be 1 to 15 letters");
    check("position(\"N V\");", "x_strategy.rhai:2:5: symbol must be 1 to 15 letters");
    check(
        "latest(event.symbol, \"5\");",
        "x_strategy.rhai:2:5: timeframe must be a timeframe such as \"1min\", \"5min\", \"1h\" or \"1day\", was \"5\"",
    );
    check(
        "latest(event.symbol, \"2d\");",
        "x_strategy.rhai:2:5: timeframe must be a timeframe from 1ms to 1day, was \"2d\"",
    );
    let early = Script::compile(
        "x_strategy.rhai",
        "fn on_event(event) {}\nfn init() {\n    this.held = position(\"NVDA\");\n}",
    );
    let error = early.unwrap().make(&WrittenParams::new(), &[]).err().unwrap().to_string();
    assert!(
        error.starts_with("x_strategy.rhai:3:17: position(...) must be asked in a function on_..."),
        "{error}"
    );
    check(
        "low(event.symbol, \"2h\");\n}\nfn horizon() {\n    \"1h\"",
        "x_strategy.rhai:2:5: span must be at most the horizon 1h, was 2h",
    );
    check(
        "low(event.symbol, \"5\");\n}\nfn horizon() {\n    \"1h\"",
        "x_strategy.rhai:2:5: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was \"5\"",
    );
    for (body, said) in [
        ("\"0s\"", "2: horizon() must return a duration above 0 such as \"1h\", was \"0s\""),
        ("3600", "2: horizon() must return a duration above 0 such as \"1h\", was \"3600\""),
        ("this.no_such", "2:21: Property not found: no_such"),
    ] {
        let source = format!("fn on_event(event) {{}}\nfn horizon() {{ {body} }}");
        let script = Script::compile("x_strategy.rhai", &source).unwrap();
        let error = script.make(&WrittenParams::new(), &[]).err().unwrap().to_string();
        assert!(error.starts_with(&format!("x_strategy.rhai:{said}")), "{error}");
    }
}
