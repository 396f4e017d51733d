//! Fractions of shares and coins through `bot run`, real HTTP and the paper exchange.

use std::time::Duration;

use bot::broker::simulated::PriceModel;
use bot::clock::Timestamp;
use bot::instrument::{Instrument, Instruments};
use bot::market::{Bar, Quote};
use bot::order::TimeInForce;
use bot::units::Price;

use crate::redis_server::{RedisServer, wait_until};
use crate::test_bed::{Bot, TestBed, exits, said, summary};

const PATIENT: [&str; 8] =
    ["run", "--json", "--rate-limit", "off", "--signal-age-max", "1h", "--quote-age-max", "1h"];

/// NVDA at 400 and BTC/USD at 60,000, which stand still.
fn bed() -> TestBed {
    let bed = TestBed::with(RedisServer::start(), |config| {
        config.market.cash = "200000".parse().unwrap();
        config.market.symbols.push(("BTC/USD".parse().unwrap(), Price::whole(60_000)));
    });
    for (symbol, price) in [("NVDA", 400.0), ("BTC/USD", 60_000.0)] {
        let shown = bed.exchange().with(|core| {
            let at = core.now();
            let quote = Quote { at, bid: price, bid_size: 0.75, ask: price, ask_size: 100.5 };
            core.set_quote(symbol.parse().unwrap(), quote)
        });
        assert!(shown, "{symbol}");
    }
    bed
}

/// Runs until the stream is drained.
#[track_caller]
fn drain(bed: &TestBed, manifest: &str, more: &[&str]) -> serde_json::Value {
    let path = bed.state("run.toml");
    std::fs::write(&path, manifest).unwrap();
    let output = bed.run(&[&PATIENT[..], &[path.to_str().unwrap(), "--drain"], more].concat());
    exits(&output, 0);
    summary(&output)
}

/// The outcomes in order, as `filled 0.25`.
fn outcomes(bed: &TestBed) -> Vec<String> {
    let quantity = |fields: &crate::test_bed::Fields| fields.get("filled_qty").cloned().unwrap_or_default();
    bed.outcomes().iter().map(|one| format!("{} {}", one["outcome"], quantity(one))).collect()
}

const FRACTIONS: &str = "[instrument.NVDA]\nfractions = true\n";

#[test]
fn a_hundred_dollars_buy_a_quarter_of_a_share_which_is_sent_for_the_day() {
    let bed = bed();
    let signals = [bed.send(&["ticker", "NVDA", "direction", "b"])];
    let summary = drain(&bed, FRACTIONS, &["--size", "$100"]);
    assert_eq!(outcomes(&bed), ["filled 0.25"]);
    assert_eq!(summary["positions"]["NVDA"], "0.25", "{summary}");
    let orders = bed.orders();
    let order = orders.values().next().unwrap();
    assert_eq!((order.quantity.to_string(), order.time_in_force), ("0.25".to_owned(), TimeInForce::Day));
    bed.check_worked_off(&signals, &summary);
}

#[test]
fn the_rest_of_a_fraction_is_cancelled_like_that_of_an_immediate_order() {
    let bed = bed();
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "101.5"]);
    drain(&bed, FRACTIONS, &[]);
    assert_eq!(outcomes(&bed), ["partly_filled 100.5"]);
    assert_eq!(bed.outcomes()[0]["reason"], "canceled: 100.5 of 101.5 shares were filled");
}

#[test]
fn whole_shares_of_a_fractional_instrument_are_sent_as_immediate_orders() {
    let bed = bed();
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "2"]);
    drain(&bed, FRACTIONS, &[]);
    assert_eq!(outcomes(&bed), ["filled 2"]);
    assert_eq!(bed.orders().values().next().unwrap().time_in_force, TimeInForce::Ioc);
}

#[test]
fn a_twentieth_of_a_coin_is_bought_and_sold_as_immediate_orders() {
    let bed = bed();
    bed.send(&["ticker", "BTC/USD", "direction", "b", "qty", "0.05"]);
    bed.send(&["ticker", "BTC/USD", "direction", "s"]);
    let summary = drain(&bed, "", &["--symbols", "NVDA,BTC/USD"]);
    assert_eq!(outcomes(&bed), ["filled 0.05", "filled 0.05"], "{summary}");
    let orders = bed.orders();
    assert!(orders.values().all(|order| order.time_in_force == TimeInForce::Ioc), "{orders:?}");
}

#[test]
fn a_fraction_that_the_instrument_does_not_allow_is_refused_with_the_lot() {
    let bed = bed();
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "0.5"]);
    bed.send(&["ticker", "NVDA", "target", "1.5"]);
    drain(&bed, "", &[]);
    for (outcome, was) in bed.outcomes().iter().zip(["0.5", "1.5"]) {
        assert_eq!(outcome["outcome"], "refused");
        let expected =
            format!("fractional_quantity: quantity of NVDA must be a multiple of its lot of 1, was {was}");
        assert_eq!(outcome["reason"], expected);
    }
    assert!(bed.orders().is_empty());
}

#[test]
fn what_the_broker_does_not_trade_in_fractions_is_rejected_in_its_words() {
    let bed = TestBed::with(RedisServer::start(), |config| {
        config.market.instruments = Instruments::new([Instrument::of("NVDA".parse().unwrap())]);
    });
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "0.5"]);
    drain(&bed, FRACTIONS, &[]);
    let outcome = &bed.outcomes()[0];
    assert_eq!(outcome["outcome"], "rejected");
    assert!(outcome["reason"].contains("asset \"NVDA\" is not fractionable"), "{}", outcome["reason"]);
}

#[test]
fn a_coin_and_a_share_of_their_two_streams_come_out_of_the_replay_as_they_were_traded() {
    // PriceModel that are printed and do not move: on a busy machine others would, between a decision and its fill.
    let bar = |minute: i64| Bar {
        at: Timestamp::from_secs(60 * minute),
        open: 400.0,
        high: 400.0,
        low: 400.0,
        close: 400.0,
        volume: 1e6,
    };
    let bed = TestBed::with(RedisServer::start(), |config| {
        config.market.symbols.push(("BTC/USD".parse().unwrap(), Price::whole(400)));
        config.market.prices = PriceModel::Replay { bars: (0..2_000).map(bar).collect(), speed: 150.0 };
    });
    let section = |name: &str, symbol: &str| {
        format!("[data.{name}]\nkind = \"redis\"\nevent = \"trade\"\nsymbol = \"{symbol}\"\n")
    };
    let strategy = |name: &str, data: &str, rule: &str| {
        let head = format!("[[strategy]]\nname = \"{name}\"\nkind = \"buy_and_hold\"\ndata = \"{data}\"\n");
        format!("{head}size = {{ rule = \"{rule}\" }}\n")
    };
    let text = [
        FRACTIONS.to_owned(),
        section("btc", "BTC/USD"),
        section("nvda", "NVDA"),
        strategy("coin", "btc", "0.05sh"),
        strategy("share", "nvda", "0.5sh"),
    ];
    let path = bed.state("run.toml");
    std::fs::write(&path, text.concat()).unwrap();
    let tape = bed.state("tape");
    let arguments = ["run", path.to_str().unwrap(), "--json", "--record", tape.to_str().unwrap()];
    let bot = Bot::start(bed.command("state", &arguments));
    let done = wait_until(Duration::from_mins(1), || (bed.outcomes_len() >= 2).then_some(()));
    bot.signal("TERM");
    let output = bot.end();
    assert!(done.is_some(), "{}", said(&output));
    exits(&output, 0);
    let mut found = outcomes(&bed);
    found.sort_unstable();
    assert_eq!(found, ["filled 0.05", "filled 0.5"], "{}", said(&output));
    let output = bed.run(&["parity", tape.to_str().unwrap(), "--json"]);
    exits(&output, 0);
    let found = summary(&output);
    assert_eq!(found["same"], 2, "{found:#}");
}
