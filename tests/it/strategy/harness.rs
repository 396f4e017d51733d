//! A strategy is tried by hand, event by event, and shows what a run shows.

use bot::order::Side;
use bot::outcome::OutcomeKind;
use bot::script::Script;
use bot::signal::Wanted;
use bot::strategy::WrittenParams;
use bot::strategy::harness::Harness;
use bot::units::Money;

use super::symbol;

const SCRIPT: &str = r#"
fn init() { this.ends = 0; }
fn schedule() { ["15:55", "monday open"] }
fn on_bar(bars) {
    if bars.len() == 2 { set_holdings(#{ AAPL: 0.5 }); }
    if bars[0].close == 13.0 { throw "unlucky"; }
}
fn on_fill(fill) { if fill.side == "buy" { buy(fill.symbol, position(fill.symbol)); } }
fn on_order(end) { if end.outcome == "refused" { close(end.symbol); } }
fn on_schedule(name) { order_target_percent("NVDA", if name == "15:55" { 0.25 } else { -0.25 }); }
"#;

#[test]
fn a_script_is_tried_bar_by_bar_with_fills_ends_and_schedules() {
    let [nvda, aapl] = ["NVDA", "AAPL"].map(symbol);
    let strategy = Script::compile("tried_strategy.rhai", SCRIPT).unwrap();
    let strategy = strategy.make(&WrittenParams::new(), &[nvda, aapl]).unwrap();
    let mut test = Harness::new(strategy, &[nvda, aapl]);
    let said = |test: &mut Harness| -> Vec<String> {
        let word = |wanted| match wanted {
            Wanted::Weight(weight) => weight.get().to_string(),
            Wanted::Order { side, quantity, .. } => format!("{side} {}", quantity.unwrap()),
            Wanted::Strength(_) | Wanted::Target(_) => format!("{wanted:?}"),
        };
        test.signals().unwrap().iter().map(|one| format!("{} {}", one.symbol, word(one.wanted))).collect()
    };
    assert!(said(test.bar(nvda, 10.0)).is_empty());
    assert_eq!(said(test.fill(nvda, Side::Buy, "5".parse().unwrap(), "10".parse().unwrap())), ["NVDA buy 5"]);
    assert_eq!(
        (test.view().cash(), test.view().position(nvda)),
        (Money::whole(99_950), "5".parse().unwrap())
    );
    // What is held is sold first; what is bought is sent when that has ended.
    assert_eq!(said(test.bars(&[(nvda, 10.0), (aapl, 20.0)])), ["NVDA 0"]);
    assert_eq!(said(test.fill(nvda, Side::Sell, "5".parse().unwrap(), "10".parse().unwrap())), ["AAPL 0.5"]);
    assert_eq!(said(test.end(aapl, OutcomeKind::Refused, "spread: was wide")), ["AAPL 0"]);
    assert_eq!(said(test.schedule(&"15:55".parse().unwrap())), ["NVDA 0.25"]);
    // The schedules in between call too, each at its own time.
    assert_eq!(said(test.schedule(&"monday open".parse().unwrap())).len(), 5);
    let failed = test.bar(nvda, 13.0).signals().unwrap_err().to_string();
    assert_eq!(failed, "strategy \"test\" failed: tried_strategy.rhai:6:32: unlucky");
}
