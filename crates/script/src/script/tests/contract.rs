//! What a script is called with, knows and may say.

use super::*;
use bot_core::strategy::Schedule;

const MINUTE: Duration = Duration::from_mins(1);

/// The bar that begins so many minutes after half past nine in New York, on Monday, 2026-01-05.
fn bar(symbol: &str, number: i64, close: f64) -> MarketEvent {
    let at = Timestamp::from_secs(1_767_623_400 + number * 60);
    let bar = Bar { at, open: close, high: close + 1.0, low: close - 1.0, close, volume: 10.0 };
    MarketEvent::Bar { symbol: symbol.parse().unwrap(), bar, span: MINUTE }
}

fn run(source: &str) -> StrategyRun {
    let runner = runner(source).on_bars_of(Some(MINUTE));
    let mut run = StrategyRun::new(runner, true, false);
    run.set_cash(Money::whole(10_000));
    run
}

/// What is said of `on_bar` with this body after two bars, the last one closing at 102 at 09:32.
#[track_caller]
fn says(functions: &str, body: &str, expected: &str) {
    let source = format!("{functions}\nfn on_bar(bars) {{ let bar = bars[0]; throw `${{{body}}}`; }}");
    let mut run = run(&source);
    let mut said = String::new();
    for number in 0..2 {
        let event = bar("NVDA", number, 101.0 + f64::from(i32::try_from(number).unwrap()));
        assert!(run.show(&event));
        said = run.evaluate(&mut [event], &mut Vec::new()).unwrap_err().error.to_string();
    }
    let told = said.split_once(": ").map_or("", |(_, told)| told);
    assert_eq!(told, expected, "{body}");
}

#[test]
fn a_script_knows_time_session_bars_and_its_book() {
    for (body, expected) in [
        ("now().date", "2026-01-05"),
        ("now().time", "09:32"),
        ("now().weekday", "monday"),
        ("[now().year, now().month, now().day, now().hour, now().minute]", "[2026, 1, 5, 9, 32]"),
        ("now().ms - bar.time", "0"),
        ("bar.time - bar.start", "60000"),
        ("time_of(bar.start).time", "09:31"),
        ("session().is_open", "true"),
        ("session().open.time", "09:30"),
        ("session().close.time", "16:00"),
        ("session().minutes_since_open", "2.0"),
        ("session().minutes_to_close", "388.0"),
        ("session().is_last_bar", "false"),
        ("bar_index(bar.symbol)", "2"),
        ("is_warming_up()", "false"),
        ("[cash(), equity(), buying_power()]", "[10000.0, 10000.0, 10000.0]"),
        ("[position(\"NVDA\"), profit(\"NVDA\"), bars_held(\"NVDA\")]", "[0.0, 0.0, 0]"),
        ("average_price(\"NVDA\") == ()", "true"),
        ("holdings().len()", "0"),
        ("[high(\"NVDA\", 2), low(\"NVDA\", 2), mean(\"NVDA\", 2)]", "[103.0, 100.0, 101.5]"),
        ("history(\"NVDA\", 5).len()", "2"),
        ("history(\"NVDA\", \"1min\", 5)[0].close", "101.0"),
        ("history(\"NVDA\", \"1d\", 5).len()", "0"),
    ] {
        says("", body, expected);
    }
}

#[test]
fn indicators_are_read_from_the_bar_and_by_how_long_ago() {
    let all = r#"fn indicators() { #{
        fast: sma(2), slow: sma("open", 3), band: bollinger(2, 2.0).upper, top: highest(2), up: crossover(sma(1), 101.5),
        day: sma(2).on("1d"), smooth: ema(rsi(1), 1),
    } }"#;
    for (body, expected) in [
        ("bar.fast", "101.5"),
        ("bar.slow == ()", "true"),
        ("indicator(\"NVDA\", \"fast\") == bar.fast", "true"),
        ("indicator(\"NVDA\", \"fast\", 1) == ()", "true"),
        ("bar.band", "102.5"),
        ("bar.top", "103.0"),
        ("bar.up", "1.0"),
        ("bar.day == ()", "true"),
        ("bar.smooth", "100.0"),
        ("history(\"NVDA\", 1)[0].fast", "101.5"),
        (
            "history(\"NVDA\", 2)[0].fast",
            "event.fast must be asked of the latest event of NVDA, was of an older one: indicator(symbol, name, ago) knows \
             earlier values",
        ),
        (
            "bar.quick",
            "event.quick must be a field of the event, which is a bar and has kind, symbol, time, price, start, open, \
             high, low, close, volume, band, day, fast, slow, smooth, top, up",
        ),
        (
            "indicator(\"NVDA\", \"fsat\")",
            "indicator must be one that indicators() names (band, day, fast, slow, smooth, top, up), was \"fsat\", did you mean \
             \"fast\"?",
        ),
        (
            "indicator(\"NVDA\", \"fast\", 100)",
            "indicator(symbol, name, ago) must be asked for 0 to 99 bars ago, was 100",
        ),
        (
            "latest(\"NVDX\")",
            "symbol must be one that the strategy hears of, NVDA, SPY, NEWS, was NVDX, did you mean \"NVDA\"?",
        ),
    ] {
        says(all, body, expected);
    }
}

#[test]
fn what_a_script_needs_is_checked_when_it_is_made() {
    for (function, said) in [
        (
            "fn indicators() { #{ fast: sma(0) } }",
            "period must be a whole number from 1 to 100000, was \"0\"",
        ),
        (
            "fn indicators() { #{ fast: 5 } }",
            "indicators() must return indicators such as sma(10), was a value of type i64 under fast",
        ),
        ("fn indicators() { #{ a: macd(9, 5, 3) } }", "fast must be below slow 5, was \"9\""),
        (
            "fn indicators() { #{ a: sma(5).upper } }",
            "upper must be an output of the indicator, which has no such",
        ),
        (
            "fn indicators() { #{ a: sma(\"clsoe\", 5) } }",
            "source must be one of open, high, low, close, volume, typical, a number, \
             a symbol or an indicator, was \"clsoe\"",
        ),
        ("fn indicators() { #{ a: sma(5).on(\"7x\") } }", "timeframe must be a timeframe such as"),
        ("fn schedule() { \"noon\" }", "schedule must be a day (monday to sunday"),
        ("fn warm_up() { -1 }", "warm_up() must return a number of events from 0 to 1000000, was \"-1\""),
    ] {
        let source = format!("fn on_bar(bars) {{}}\n{function}");
        let script = Script::compile("x_strategy.rhai", &source).unwrap();
        let made = script.make(&WrittenParams::new(), &[nvda()]);
        let error = made.err().unwrap_or_else(|| panic!("{function} is made")).to_string();
        assert!(error.starts_with("x_strategy.rhai:2") && error.contains(said), "{function}\n{error}");
    }
    let source = "fn on_schedule(name) {}\nfn schedule() { [\"15:55\", \"month end\"] }\nfn warm_up() { 7 }\n\
                  fn horizon() { \"1h\" }\nfn indicators() { #{ a: atr(14) } }\nfn on_bar(bars) { high(\"NVDA\", 3); }";
    let needs =
        Script::compile("x_strategy.rhai", source).unwrap().make(&WrittenParams::new(), &[]).unwrap().needs();
    let texts: Vec<&str> = needs.schedules.iter().map(Schedule::as_str).collect();
    assert_eq!(
        (texts, needs.warm_up, needs.horizon),
        (vec!["15:55", "month end"], 7, Some(Duration::from_hours(1)))
    );
    assert_eq!((needs.indicators.len(), needs.history), (1, 2_000));
}

#[test]
fn an_event_comes_to_the_function_of_its_kind_and_else_to_that_of_all() {
    let source = "fn on_bar(bars) { signal(\"NVDA\", 0.1); }\nfn on_number(number) { signal(\"NVDA\", number.value); }\n\
                  fn on_event(event) { signal(\"NVDA\", 0.3); }";
    let mut runner = runner(source);
    let number = Number { at: Timestamp::from_secs(1), value: 0.2 };
    let number = MarketEvent::Number { symbol: "NEWS".parse().unwrap(), number };
    let mut strengths = Vec::new();
    for event in [bar("NVDA", 0, 5.0), number, tick(2_000_000_000, 5.0)] {
        strengths.extend(runner.on_event(&event).unwrap().map(|intent| format!("{intent:?}")));
    }
    let wanted = |strength: f64| {
        format!(
            "{:?}",
            Intent::Signal {
                symbol: nvda(),
                strength: bot_core::strategy::Strength::new(strength).unwrap(),
                tag: None
            }
        )
    };
    assert_eq!(strengths, [0.1, 0.2, 0.3].map(wanted));
}

#[test]
fn a_call_that_fails_leaves_no_half_state() {
    let mut runner = runner(
        "fn init() { this.calls = 0; this.list = []; this.map = #{ deep: [0] }; }\n\
         fn on_event(event) {\n    this.calls += 1;\n    this.list.push(event.price);\n    this.map.deep[0] += 1;\n    \
         if event.price > 1.0 { this.fresh = 1; let x = event.no_such; }\n    \
         if this.calls != this.list.len() || this.calls != this.map.deep[0] || \"fresh\" in this { throw \"half\"; }\n    \
         signal(event.symbol, this.calls / 100.0);\n}",
    );
    let mut wanted = Vec::new();
    for (second, price) in [(1, 1.0), (2, 2.0), (3, 1.0), (4, 2.0), (5, 1.0)] {
        match runner.on_event(&tick(second, price)) {
            Ok(intents) => wanted.extend(intents.map(|intent| format!("{intent:?}"))),
            Err(failure) => assert!(failure.error.to_string().contains("no_such"), "{failure}"),
        }
    }
    assert!(wanted.len() == 3 && wanted[2].contains("0.03"), "{wanted:?}");
}

#[test]
fn a_year_of_a_strategy_over_twenty_symbols_fits_into_the_limits() {
    let mut runner = runner(
        "fn init() { this.closes = #{}; for number in 0..20 { this.closes[`S${number}`] = []; } }\n\
         fn on_event(event) {\n    let sum = 0.0;\n    for number in 0..20 {\n        let closes = this.closes[`S${number}`];\n        \
         closes.push(event.price);\n        if closes.len() > 252 { closes.remove(0); }\n        \
         this.closes[`S${number}`] = closes;\n    }\n    for round in 0..22 { for number in 0..1_000 { sum += number; } }\n}",
    );
    for second in 1..=260 {
        runner.on_event(&tick(second, 5.0)).unwrap().count();
    }
    let used = runner.used().unwrap();
    assert!(
        used.contains(" of 1000000 steps in one call, 5066") && used.ends_with(" of 100000 values in `this`"),
        "{used}"
    );
}

#[test]
fn the_limit_that_was_met_is_named_with_what_met_it() {
    check("let big = []; big.pad(10_001, 1);", "x_strategy.rhai:1: a list must have at most 10000 elements");
    check(
        "let text = \"x\"; loop { text += text; }",
        "x_strategy.rhai:1: a text must have at most 10000 bytes",
    );
    check(
        "let map = #{}; for i in 0..3_000 { map[`${i}`] = i; } let other = map + map;",
        "x_strategy.rhai:1: a map must have at most 2000 entries",
    );
}
