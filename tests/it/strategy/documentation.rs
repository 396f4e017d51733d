//! The page of strategies says what is true.

use bot::clock::Timestamp;
use bot::market::{Bar, MarketEvent};
use bot::strategy::Runner;
use bot_script::Script;

use super::*;

const PAGE: &str = include_str!("../../../docs/strategies.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    PAGE.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn its_scripts_work_and_its_manifest_is_one() {
    let scripts = blocks("rhai");
    assert_eq!(scripts.len(), 2);
    for source in scripts {
        let script = Script::compile("page_strategy.rhai", source).unwrap();
        let strategy = script.make(&WrittenParams::new(), &[symbol("NVDA")]).unwrap();
        let span = Duration::from_mins(1);
        let mut runner =
            Runner::new("page", strategy, &[symbol("NVDA")], Every::Event).on_bars_of(Some(span));
        let intents = (0..60).map(|number| {
            let close = 100.0 + f64::from(number % 29);
            let at = Timestamp::from_secs(i64::from(number) * 60);
            let bar = Bar { at, open: close, high: close, low: close, close, volume: 1.0 };
            runner.on_event(&MarketEvent::Bar { symbol: symbol("NVDA"), bar, span }).unwrap().count()
        });
        assert!(intents.sum::<usize>() >= 40);
    }
    let [manifest] = blocks("toml")[..] else { panic!("one manifest") };
    let text = manifest.replace("name = \"cross\" ", "name = \"cross\"\nkind = \"sma_cross\" ");
    let manifest = Manifest::parse("cross.toml", &text).unwrap();
    assert_eq!(manifest.strategies[0].params.len(), 2);
}

#[test]
fn it_names_every_function_that_is_called_and_every_formula() {
    let names = [
        "params",
        "init",
        "on_event",
        "on_timer",
        "on_fill",
        "on_order",
        "horizon",
        "warm_up",
        "indicators",
        "schedule",
        "on_bar",
        "on_quote",
        "on_trade",
        "on_number",
        "on_schedule",
    ];
    for name in names {
        assert!(PAGE.contains(&format!("`{name}(")), "{name} is missing");
    }
    let formulas = [
        "sma",
        "ema",
        "wma",
        "rma",
        "rsi",
        "roc",
        "macd",
        "stochastic",
        "cci",
        "std_dev",
        "z_score",
        "atr",
        "true_range",
        "bollinger",
        "keltner",
        "volatility",
        "highest",
        "lowest",
        "adx",
        "supertrend",
        "parabolic_sar",
        "regression",
        "obv",
        "session_vwap",
        "correlation",
        "beta",
        "ratio",
        "crossover",
        "crossunder",
        "percent_rank",
        "bars_since",
        "value",
    ];
    for name in formulas {
        assert!(PAGE.contains(&format!("`{name}(")), "{name} is missing");
    }
}
