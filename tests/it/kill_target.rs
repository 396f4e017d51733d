//! A target is bought once, whatever happens to the process that wants it: killed at any moment, restarted, its Redis emptied.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use bot::broker::simulated::PaperOrder;
use bot::clock::{Clock, SystemClock};
use bot::control::{self, ControlRequest};
use bot::market::Quote;
use bot::order::Side;
use bot::units::Quantity;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::redis_server::{RedisServer, wait_until};
use crate::test_bed::{Bot, TestBed, exits, said, summary};

const LONG: Duration = Duration::from_mins(1);
const KILLS: usize = 20;
/// So many shares are displayed: a bigger step of the target takes more than one order.
const DISPLAYED: f64 = 20.0;

/// Wants what the stream of numbers says, in sixtieths.
const MANIFEST: &str = r#"
[risk]
short = true

[data.wants]
kind = "redis"
event = "number"
stream = "wants"

[[strategy]]
name = "follows"
data = "wants"
symbols = ["NVDA"]
size = { rule = "60sh", mode = "target" }
retry = { after = "200ms", times = 100 }
"#;
const SCRIPT: &str = "fn on_event(event) {\n    signal(\"NVDA\", event.price);\n}\n";
const HOLD: &str = r#"
[[strategy]]
name = "hold"
kind = "buy_and_hold"
symbols = ["NVDA"]
size = { rule = "5sh", mode = "target" }
"#;

fn bed() -> TestBed {
    TestBed::with(RedisServer::start(), |config| {
        config.latency = Duration::from_millis(40);
        config.market.shorting = true;
    })
}

/// Shows the quote again: what was taken of it is there again.
fn show_quote(bed: &TestBed) {
    let quote =
        Quote { at: SystemClock.now(), bid: 180.0, bid_size: DISPLAYED, ask: 180.01, ask_size: DISPLAYED };
    assert!(bed.exchange().with(|core| core.set_quote("NVDA".parse().unwrap(), quote)));
}

fn position(bed: &TestBed) -> i64 {
    let held = bed.exchange().with(|core| core.position("NVDA".parse().unwrap()).map(|held| held.quantity));
    held.unwrap_or_default().to_string().parse().unwrap()
}

/// How many signals, outcomes and orders there are.
fn counts(bed: &TestBed) -> [usize; 3] {
    let signals = bed.redis.ask(&["XLEN", "nvda"]).parse().unwrap();
    [signals, bed.outcomes_len(), bed.orders().len()]
}

/// The order that has no outcome yet.
fn is_in_flight(bed: &TestBed) -> bool {
    let outcomes = bed.outcomes();
    let is_settled = |order: &str| {
        outcomes.iter().any(|outcome| outcome.get("client_order_id").is_some_and(|id| id == order))
    };
    bed.orders().keys().any(|order| !is_settled(order))
}

/// A step is on the stream, nothing was ordered for it, and nothing else is open.
fn is_between_steps(bed: &TestBed) -> bool {
    let [signals, outcomes, _] = counts(bed);
    let last = bed.stream("nvda").pop();
    signals == outcomes + 1 && !is_in_flight(bed) && last.is_some_and(|last| last.contains_key("step"))
}

#[test]
#[allow(clippy::print_stdout, reason = "how the kills fell, for who looks")]
fn twenty_kills_leave_the_position_where_the_strategy_wants_it() {
    let bed = bed();
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("strategies")).unwrap();
    std::fs::write(place.path().join("strategies/follows_strategy.rhai"), SCRIPT).unwrap();
    let manifest = place.path().join("manifest.toml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    show_quote(&bed);
    let start =
        || Bot::start(bed.command("state", &["run", manifest.to_str().unwrap(), "--json", "-w", "2"]));

    let mut random = ChaCha8Rng::seed_from_u64(8);
    let (mut bot, mut held, mut in_flight, mut between) = (start(), 0, 0, 0);
    for round in 0..KILLS {
        // Between two steps there must be two: more than is displayed.
        let wants_steps = round % 3 == 2;
        let tenths = loop {
            let tenths: i32 = random.random_range(-10..=10);
            let change = (6 * i64::from(tenths) - held).abs();
            if change > 0 && (!wants_steps || change > 20) {
                break tenths;
            }
        };
        let target = 6 * i64::from(tenths);
        let before = bed.orders();
        show_quote(&bed);
        bed.redis.run(&["XADD", "wants", "*", "value", &format!("{}", f64::from(tenths) / 10.0)]);
        let seen = wait_until(LONG, || {
            show_quote(&bed);
            let is_there = if wants_steps { is_between_steps(&bed) } else { is_in_flight(&bed) };
            is_there.then_some(())
        });
        assert!(seen.is_some(), "round {round}: {held} to {target}, {:?}", bed.outcomes().last());
        bot.signal("KILL");
        let output = bot.end();
        assert_eq!(output.status.signal(), Some(9), "{}", said(&output));
        in_flight += usize::from(is_in_flight(&bed));
        between += usize::from(is_between_steps(&bed));

        bot = start();
        let reached = wait_until(LONG, || {
            show_quote(&bed);
            let [signals, outcomes, _] = counts(&bed);
            (position(&bed) == target && signals == outcomes && bed.pending() == 0).then_some(())
        });
        assert!(
            reached.is_some(),
            "round {round}: from {held} to {target}, is {}, {:?} signals, outcomes, orders\n{:#?}\n{:#?}\n{}\n{}",
            position(&bed),
            counts(&bed),
            bed.outcomes(),
            bed.stream("nvda"),
            bed.redis.ask(&["HGET", "{nvda}:books", "follows"]),
            said(&{
                bot.signal("TERM");
                bot.end()
            }),
        );
        // All went the one way, and no share too far.
        let side = if target > held { Side::Buy } else { Side::Sell };
        let orders = bed.orders();
        let new = orders.iter().filter(|(id, _)| !before.contains_key(*id)).map(|(_, order)| order);
        let new: Vec<&PaperOrder> = new.collect();
        assert!(new.iter().all(|order| order.side == side), "round {round}: {new:#?}");
        let filled: Quantity = new.iter().map(|order| order.filled).sum();
        assert_eq!(filled.to_string(), (target - held).abs().to_string(), "round {round}");
        held = target;
    }
    assert!(in_flight >= 10 && between >= 5, "{in_flight} in flight, {between} between two steps");
    // It may have been started a moment ago: it hears signals once it answers.
    let answers = || control::request(&bed.state("state"), &ControlRequest::Strategies).ok();
    assert!(wait_until(LONG, answers).is_some());
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    bed.check_books(&summary(&output));
    assert_eq!(bed.stream("{nvda}:dead").len(), 0);
    let book = bed.redis.ask(&["HGET", "{nvda}:books", "follows"]);
    let book: serde_json::Value = serde_json::from_str(&book).unwrap();
    assert_eq!(book["book"]["holdings"][0]["position"]["quantity"], held.to_string(), "{book}");
    println!("{KILLS} kills: {in_flight} with an order in flight, {between} between two steps");
}

/// Runs for a second, and says how many shares the exchange holds then.
fn run_for_a_second(bed: &TestBed, manifest: &str) -> i64 {
    exits(&bed.run(&["run", manifest, "--for", "1s", "--json"]), 0);
    position(bed)
}

#[test]
fn a_position_that_is_held_is_not_bought_again_whatever_was_lost() {
    let bed = bed();
    let place = tempfile::tempdir().unwrap();
    let manifest = place.path().join("manifest.toml");
    std::fs::write(&manifest, HOLD).unwrap();
    let manifest = manifest.to_str().unwrap();
    for _ in 0..3 {
        assert_eq!(run_for_a_second(&bed, manifest), 5);
    }
    for _ in 0..2 {
        let bot = Bot::start(bed.command("state", &["run", manifest]));
        let up = || bed.redis.ask(&["EXISTS", "{nvda}:strategies"]) == "1";
        assert!(wait_until(LONG, || up().then_some(())).is_some());
        bot.signal("KILL");
        bot.end();
    }
    assert_eq!(run_for_a_second(&bed, manifest), 5);
    bed.redis.run(&["FLUSHALL"]);
    assert_eq!(run_for_a_second(&bed, manifest), 5, "the state directory has the books");
    assert_eq!(bed.orders().len(), 1);
}
