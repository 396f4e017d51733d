//! What a strategy keeps, is called with and says, in a live run whose clock is moved by hand.

use super::by_hand::{ByHand, START, at, nvda, shares};
use super::*;
use bot::broker::simulated::{Hours, PriceModel};
use bot::market::Bar;
use bot::series::MINUTE;

const TRADES_OF_NVDA: &str = "[data.nvda]\nkind = \"redis\"\nevent = \"trade\"\n";

fn section(name: &str, more: &str) -> String {
    format!("[[strategy]]\nname = \"{name}\"\nscript = \"{name}_strategy.rhai\"\n{more}\n")
}

#[test]
fn what_a_script_keeps_in_its_state_outlives_a_restart_and_a_stream_that_was_lost() {
    let mut bed = ByHand::new();
    bed.write(
        "three_strategy.rhai",
        "fn init() { this.state.bought = 0; this.bought = 0; }\n\
         fn on_event(event) {\n    if this.bought != 0 { throw \"what is not in this.state is of this life\"; }\n    \
         if this.state.bought < 3 { buy(event.symbol, 1); }\n}\n\
         fn on_fill(fill) { this.state.bought += fill.quantity.to_int(); }\n",
    );
    let manifest = format!("{TRADES_OF_NVDA}{}", section("three", ""));
    for start in 0..5 {
        if start == 2 {
            // Of the signal stream nothing is left; the books are in the state directory as well.
            bed.flush();
        }
        let summary = bed.run(&manifest, |hand| {
            hand.trade(101.0);
            hand.quiet();
        });
        assert_eq!(
            (summary.strategies[0].failures, bed.held()),
            (0, shares((start + 1).min(3))),
            "start {start}"
        );
        bed.clock.advance(Duration::from_mins(1));
    }
}

#[test]
fn a_schedule_calls_a_script_with_all_that_was_known_at_its_instant() {
    let bed = ByHand::new();
    bed.write(
        "clock_strategy.rhai",
        "fn schedule() { [\"10:02\", \"monday 10:03\"] }\n\
         fn on_schedule(name) {\n    let shares = if name == \"10:02\" { 2 } else { 3 };\n    \
         if latest(\"NVDA\").price == 100.0 + shares && now().time == `10:0${shares}` { buy(\"NVDA\", shares); }\n}\n",
    );
    let manifest = format!("[data.nvda]\nkind = \"redis\"\n{}", section("clock", "symbols = [\"NVDA\"]"));
    bed.run(&manifest, |hand| {
        for minute in 0..4 {
            let price = f64::from(minute) + 101.0;
            let at = at(START) + MINUTE * minute;
            hand.bar(nvda(), Bar { at, open: price, high: price, low: price, close: price, volume: 1.0 });
        }
        hand.advance(Duration::from_secs(5));
        hand.quiet();
    });
    assert_eq!(bed.story(), ["clock buy 2 of 2 filled", "clock buy 3 of 3 filled"]);
    let ids: Vec<String> = bed
        .stream
        .outcomes()
        .iter()
        .map(|outcome| outcome.decision.as_ref().unwrap().signal.producer_id.as_ref().unwrap().to_string())
        .collect();
    let of = |minutes: u32| format!("clock-{}-0", (at(START) + MINUTE * minutes).nanos() + 1);
    assert_eq!(ids, [of(2), of(3)]);
}

#[test]
fn holdings_are_sold_before_others_are_bought_with_their_money() {
    let bed = ByHand::new();
    bed.write(
        "swap_strategy.rhai",
        "fn on_bar(bars) {\n    if bars.len() != 2 && !is_warming_up() { throw `${bars.len()} bars`; }\n    \
         if is_warming_up() { return; }\n    \
         this.bars += 1;\n    \
         if this.bars == 1 { set_holdings(#{ NVDA: 1.0 }); }\n    \
         if this.bars == 2 { set_holdings(#{ SPY: 0.99 }); }\n}\n\
         fn init() { this.bars = 0; }\n",
    );
    let manifest = format!(
        "[portfolio]\ncash_buffer = \"0%\"\n[data.nvda]\nkind = \"redis\"\n[data.spy]\nkind = \"redis\"\n{}",
        section("swap", "data = [\"spy\", \"nvda\"]\ncapital = \"10000\"")
    );
    let summary = bed.run(&manifest, |hand| {
        for minute in 0..2 {
            let bar = |price| Bar {
                at: at(START) + MINUTE * minute,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 1.0,
            };
            hand.bar(nvda(), bar(100.0));
            hand.bar("SPY".parse().unwrap(), bar(500.0));
            hand.quiet();
        }
    });
    assert_eq!(summary.strategies[0].last_failure, None);
    assert_eq!(
        bed.story(),
        ["swap buy 100 of 100 filled", "swap sell 100 of 100 filled", "swap buy 19 of 19 filled"]
    );
}

#[test]
fn what_a_strategy_needs_to_be_warm_is_filled_from_the_brokers_past() {
    for (needed, expected) in [(2, [1, 1]), (1_000_000, [0, 0])] {
        let bed = ByHand::new();
        let script = format!("fn warm_up() {{ {needed} }}\nfn on_bar(bars) {{ signal(\"NVDA\", 1.0); }}\n");
        bed.write("warm_strategy.rhai", &script);
        let manifest = format!(
            "[data.nvda]\nkind = \"redis\"\n{}",
            section("warm", "symbols = [\"NVDA\"]\nsize = { rule = \"10sh\", mode = \"target\" }")
        );
        let mut sent = Vec::new();
        bed.run(&manifest, |hand| {
            for minute in 0..2 {
                let at = at(START) + MINUTE * minute;
                hand.bar(nvda(), Bar { at, open: 100.0, high: 100.0, low: 100.0, close: 100.0, volume: 1.0 });
                sent.push(bed.stream.outcomes().len());
            }
        });
        assert_eq!(sent, expected, "{needed}");
    }
}

#[test]
fn a_position_that_is_wanted_over_night_is_taken_at_the_open() {
    let bed = ByHand::open(PriceModel::Still, Hours::Regular);
    bed.quote(100.0, 1_000.0);
    bed.write(
        "daily_strategy.rhai",
        "fn on_bar(bars) { if !is_warming_up() { order_target_percent(\"NVDA\", 0.5); buy(\"NVDA\", 1); } }\n\
         fn on_order(end) { if end.goes_on != (end.reason.starts_with(\"session_closed\") && end.position == 0.0) { this.odd = 1; } }\n",
    );
    let manifest = format!(
        "[data.nvda]\nkind = \"redis\"\ntimeframe = \"1day\"\n{}",
        section("daily", "symbols = [\"NVDA\"]\ncapital = \"10000\"")
    );
    let next_open = at("2026-11-24T14:30:00Z");
    bed.run(&manifest, |hand| {
        // The day's bar ends at midnight in New York.
        let last = at("2026-11-24T04:59:00Z");
        hand.bar(nvda(), Bar { at: last, open: 100.0, high: 100.0, low: 100.0, close: 100.0, volume: 1.0 });
        hand.advance(Duration::from_secs(5));
        hand.quiet();
        hand.advance(next_open.since(hand.now()) + Duration::from_secs(1));
        bed.quote(100.0, 1_000.0);
        hand.advance(Duration::from_secs(5));
        hand.quiet();
    });
    assert_eq!(
        bed.story(),
        ["daily refused: session_closed", "daily refused: session_closed", "daily.1 buy 50 of 50 filled"]
    );
}
