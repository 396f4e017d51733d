//! What strategies want and what becomes of it, live: books, netting, missed parts, newer intents.

use std::time::Duration;

use super::by_hand::{ByHand, shares};

/// The strategy wants to be as long as the last trade is above 100 dollars: 100.5 is half, 99 is short.
const FOLLOWS: &str = "fn on_event(event) { signal(event.symbol, event.price - 100.0); }";
const TRADES: &str = "[data.nvda]\nkind = \"redis\"\nevent = \"trade\"\n";

/// A manifest of strategies that follow the trades, each by its name and more lines of its own.
fn manifest(bed: &ByHand, head: &str, strategies: &[(&str, &str)]) -> String {
    bed.write("follows_strategy.rhai", FOLLOWS);
    let one = |(name, more): &(&str, &str)| {
        format!("[[strategy]]\nname = \"{name}\"\nscript = \"follows_strategy.rhai\"\n{more}\n")
    };
    format!("{head}{TRADES}{}", strategies.iter().map(one).collect::<String>())
}

const TEN: &str = "size = { rule = \"10sh\", mode = \"target\" }";

#[test]
fn two_strategies_of_half_a_weight_that_want_ten_shares_hold_ten() {
    let bed = ByHand::new();
    let ten = format!("{TEN}\nweight = 0.5");
    let net = manifest(&bed, "[portfolio]\ncombine = \"net\"\n", &[("one", &ten), ("two", &ten)]);
    bed.run(&net, |hand| {
        hand.trade(101.0);
        hand.quiet();
    });
    assert_eq!(bed.held(), shares(10));
    assert_eq!((bed.kept("one"), bed.kept("two")), (shares(5), shares(5)));
}

#[test]
fn opposite_intents_of_a_net_portfolio_meet_without_an_order() {
    let bed = ByHand::new();
    bed.write("against_strategy.rhai", "fn on_event(event) { signal(event.symbol, 100.0 - event.price); }");
    let half = format!("{TEN}\nweight = 0.5");
    let head = "[risk]\nshort = true\n[portfolio]\ncombine = \"net\"\n";
    let net = manifest(&bed, head, &[("one", &half)]);
    let net = format!("{net}[[strategy]]\nname = \"two\"\nscript = \"against_strategy.rhai\"\n{half}\n");
    bed.run(&net, |hand| {
        hand.trade(101.0);
        hand.quiet();
    });
    assert_eq!(bed.held(), shares(0));
    assert_eq!((bed.kept("one"), bed.kept("two")), (shares(5), shares(-5)));
}

#[test]
fn the_missing_part_of_a_target_is_asked_for_again_until_it_is_reached() {
    let bed = ByHand::new();
    let manifest = manifest(&bed, "", &[("one", TEN)]);
    bed.quote(100.0, 4.0);
    bed.run(&manifest, |hand| {
        hand.trade(101.0);
        for count in 1..=3 {
            hand.outcomes(count);
            bed.quote(100.0, 4.0);
            hand.advance(Duration::from_secs(2));
        }
        hand.quiet();
    });
    assert_eq!(
        bed.story(),
        ["one buy 4 of 10 partly_filled", "one.1 buy 4 of 6 partly_filled", "one.2 buy 2 of 2 filled"]
    );
    assert_eq!((bed.held(), bed.kept("one")), (shares(10), shares(10)));
}

#[test]
fn a_target_that_stays_out_of_reach_is_asked_for_as_often_as_the_manifest_says() {
    let bed = ByHand::new();
    let twice = format!("{TEN}\nretry = {{ after = \"5s\", times = 2 }}");
    let manifest = manifest(&bed, "", &[("one", &twice)]);
    bed.quote(100.0, 1.0);
    bed.run(&manifest, |hand| {
        hand.trade(101.0);
        for count in 1..=3 {
            hand.outcomes(count);
            bed.quote(100.0, 1.0);
            hand.advance(Duration::from_secs(5));
        }
        hand.quiet();
    });
    assert_eq!(
        bed.story(),
        ["one buy 1 of 10 partly_filled", "one.1 buy 1 of 9 partly_filled", "one.2 buy 1 of 8 partly_filled"]
    );
}

#[test]
fn a_refusal_whose_reason_repeats_ends_the_asking() {
    let bed = ByHand::new();
    let manifest = manifest(&bed, "[risk]\norder_qty_max = 5\n", &[("one", TEN)]);
    bed.run(&manifest, |hand| {
        hand.trade(101.0);
        hand.outcomes(1);
        hand.advance(Duration::from_secs(2));
        hand.outcomes(2);
        hand.advance(Duration::from_mins(1));
        hand.quiet();
    });
    assert_eq!(bed.story(), ["one refused: order_quantity", "one.1 refused: order_quantity"]);
}

#[test]
fn a_step_of_a_target_that_is_not_wanted_any_more_trades_nothing() {
    let bed = ByHand::new();
    let manifest = manifest(&bed, "", &[("one", TEN)]);
    bed.quote(100.0, 4.0);
    bed.run(&manifest, |hand| {
        hand.trade(101.0);
        hand.outcomes(1);
        bed.quote(100.0, 1_000.0);
        hand.advance(Duration::from_secs(1));
        hand.trade(100.5);
        hand.outcomes(2);
        hand.advance(Duration::from_secs(2));
        hand.quiet();
    });
    let told = ["one buy 4 of 10 partly_filled", "one buy 1 of 1 filled", "one.1 skipped: superseded"];
    assert_eq!(bed.story(), told);
    assert_eq!(bed.held(), shares(5));
}

#[test]
fn the_same_target_twice_changes_nothing() {
    let bed = ByHand::new();
    let dollars = "size = { rule = \"$1000\", mode = \"target\" }";
    let manifest = manifest(&bed, "", &[("one", TEN), ("two", dollars)]);
    bed.run(&manifest, |hand| {
        for _ in 0..2 {
            hand.trade(101.0);
            hand.quiet();
            hand.advance(Duration::from_secs(1));
        }
    });
    let mut story = bed.story();
    story.sort();
    // Ten shares are ten shares; what 1,000 dollars are is looked at again.
    assert_eq!(story, ["one buy 10 of 10 filled", "two buy 10 of 10 filled", "two skipped: at_target"]);
    assert_eq!(bed.held(), shares(20));
}

#[test]
fn of_the_intents_that_wait_only_the_newest_is_followed() {
    let bed = ByHand::new();
    let manifest = manifest(&bed, "", &[("one", TEN)]);
    bed.run(&manifest, |hand| {
        // The exchange answers nobody until all three are lined up behind another order.
        bed.venue.with(|_| {
            bed.stream.send(&[("ticker", "NVDA"), ("direction", "b"), ("qty", "3")]).unwrap();
            hand.lined_up(1);
            for (count, price) in (2..).zip([101.0, 100.0, 100.5]) {
                hand.trade(price);
                hand.lined_up(count);
            }
        });
        hand.quiet();
    });
    let told = [
        "one skipped: superseded",
        "one skipped: superseded",
        "signals buy 3 of 3 filled",
        "one buy 5 of 5 filled",
    ];
    assert_eq!(bed.story(), told);
}

#[test]
fn signals_of_others_neither_sell_what_is_a_strategys_nor_move_its_book() {
    let bed = ByHand::new();
    let own = format!("{TEN}\ncapital = \"5000\"");
    let manifest = manifest(&bed, "", &[("one", &own)]);
    bed.run(&manifest, |hand| {
        hand.trade(101.0);
        hand.outcomes(1);
        let send = |fields: &[(&str, &str)]| {
            let before = bed.stream.outcomes().len();
            bed.stream.send(&[&[("ticker", "NVDA")], fields].concat()).unwrap();
            hand.outcomes(before + 1);
        };
        send(&[("direction", "s")]);
        send(&[("direction", "s"), ("qty", "5")]);
        send(&[("direction", "b"), ("qty", "3")]);
        send(&[("direction", "s"), ("qty", "4")]);
        send(&[("direction", "s")]);
        hand.quiet();
    });
    let told = [
        "one buy 10 of 10 filled",
        "signals skipped: nothing_to_sell",
        "signals refused: insufficient_shares",
        "signals buy 3 of 3 filled",
        "signals refused: insufficient_shares",
        "signals sell 3 of 3 filled",
    ];
    assert_eq!(bed.story(), told);
    assert_eq!((bed.held(), bed.kept("one")), (shares(10), shares(10)));
}

#[test]
fn an_order_that_would_rest_is_refused_with_the_reason() {
    let bed = ByHand::new();
    bed.write("rests_strategy.rhai", "fn on_event(event) { buy(event.symbol, 5, 90.0, \"ioc\"); }");
    let manifest = format!(
        "{TRADES}[[strategy]]\nname = \"rests\"\nscript = \"rests_strategy.rhai\"\nsize = {{ mode = \"order\" }}\n"
    );
    bed.run(&manifest, |hand| {
        hand.trade(101.0);
        hand.quiet();
        let day = [("ticker", "NVDA"), ("direction", "b"), ("qty", "5"), ("limit", "90"), ("tif", "day")];
        bed.stream.send(&day).unwrap();
        hand.quiet();
    });
    assert_eq!(bed.story(), ["rests buy 0 of 5 unfilled", "signals refused: standing_order"]);
}

#[test]
fn a_target_is_not_bought_again_at_a_restart() {
    let mut bed = ByHand::new();
    let hold = format!(
        "[data.nvda]\nkind = \"redis\"\nevent = \"trade\"\n[[strategy]]\nname = \"hold\"\nkind = \"buy_and_hold\"\n{TEN}\n"
    );
    for start in 0..4 {
        if start == 3 {
            // Of the signal stream nothing is left; the books are in the state directory as well.
            bed.flush();
        }
        bed.run(&hold, |hand| {
            hand.trade(101.0);
            hand.quiet();
        });
        assert_eq!(bed.held(), shares(10), "start {start}");
        bed.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(bed.kept("hold"), shares(10));
}

#[test]
fn an_intent_of_a_strategy_that_runs_nowhere_is_refused_and_never_traded_as_nobodys() {
    let bed = ByHand::new();
    bed.run("", |hand| {
        let own = [("ticker", "NVDA"), ("strength", "1"), ("strategy", "one"), ("book", "own")];
        bed.stream.send(&own).unwrap();
        let order =
            [("ticker", "NVDA"), ("direction", "b"), ("qty", "5"), ("strategy", "one"), ("book", "own")];
        bed.stream.send(&order).unwrap();
        // Without the mark of its book the name is a tag.
        bed.stream.send(&order[..4]).unwrap();
        hand.quiet();
    });
    let told = ["one refused: not_run_here", "one refused: not_run_here", "one buy 5 of 5 filled"];
    assert_eq!(bed.story(), told);
}
