//! One manifest means the same live and over history: both are run on the same events, and all they did is compared.

mod compare;
mod data;
mod drive;
mod examples;
mod kept;
mod manifests;
mod venue;

use std::time::Duration;

use bot::clock::{Clock, SystemClock, Timestamp};
use bot::market::MarketEvent;
use bot::parity;
use tempfile::TempDir;

use bot::manifest::Combine;
use compare::{Deeds, What, differences};
use data::{MINUTES, Market, START};
use drive::{Keeps, Otherwise};
use manifests::{NET, SCRIPT, SEPARATE, whole};

use crate::redis_server::RedisServer;

/// Printed with every failure: the same seed makes the same events.
const SEED: u64 = 20_260_302;
/// More are not read.
const DIFFERENCES_SHOWN: usize = 20;

/// A manifest's text and its data in a folder of their own.
fn laid_out(strategies: &str, minutes: u32) -> (TempDir, Market) {
    laid_out_from(Timestamp::parse_rfc3339(START).unwrap(), strategies, minutes)
}

fn laid_out_from(start: Timestamp, strategies: &str, minutes: u32) -> (TempDir, Market) {
    let folder = TempDir::new().unwrap();
    let market = Market::made(SEED, start, minutes);
    market.write(folder.path());
    std::fs::write(folder.path().join("manifest.toml"), whole(strategies)).unwrap();
    std::fs::write(folder.path().join(SCRIPT.0), SCRIPT.1).unwrap();
    (folder, market)
}

#[track_caller]
fn agree(live: &Deeds, history: &Deeds) {
    let found = differences(live, history);
    let shown: Vec<String> = found.iter().take(DIFFERENCES_SHOWN).map(ToString::to_string).collect();
    let more = found.len() - shown.len();
    let shown = shown.join("\n");
    assert!(found.is_empty(), "seed {SEED}: live and history differ\n{shown}\nand {more} more");
}

#[test]
fn strategies_with_books_apart_do_the_same_live_and_over_history() {
    let (folder, market) = laid_out(SEPARATE, MINUTES);
    assert!(market.len() >= 20_000, "{} events", market.len());
    let history = drive::history(folder.path());
    let did = (history.count(What::Order), history.partial_fills, history.flips, history.steps);
    assert!(did.0 >= 300 && did.1 >= 20 && did.2 >= 20 && did.3 >= 5, "orders, parts, flips, steps: {did:?}");
    agree(&drive::live(folder.path(), &market.instants(), &Otherwise::default()), &history);
}

#[test]
fn strategies_that_are_netted_do_the_same_live_and_over_history() {
    let (folder, market) = laid_out(NET, MINUTES);
    let history = drive::history(folder.path());
    let did = (history.count(What::Order), history.partial_fills, history.flips, history.steps);
    assert!(did.0 >= 100 && did.1 >= 20 && did.3 >= 5, "orders, parts, flips, steps: {did:?}");
    agree(&drive::live(folder.path(), &market.instants(), &Otherwise::default()), &history);
}

/// So many minutes are enough for a planted disagreement to show.
const SHORT: u32 = 60;
/// And so many over a real Redis.
const REDIS_MINUTES: u32 = 25;

/// What is otherwise live turns the comparison red.
#[track_caller]
fn is_told(strategies: &str, otherwise: &Otherwise<'_>) {
    let (folder, market) = laid_out(strategies, SHORT);
    let history = drive::history(folder.path());
    let found = differences(&drive::live(folder.path(), &market.instants(), otherwise), &history);
    assert!(!found.is_empty(), "seed {SEED}: a planted disagreement is not seen");
}

#[test]
fn a_net_that_is_ignored_live_is_told() {
    is_told(NET, &Otherwise { combine: Some(Combine::Separate), ..Otherwise::default() });
}

#[test]
fn a_timeframe_that_is_ignored_live_is_told() {
    let strategies = SEPARATE.replace("_5m", "_1m");
    is_told(SEPARATE, &Otherwise { strategies: Some(&strategies), ..Otherwise::default() });
}

#[test]
fn steps_that_are_not_taken_live_are_told() {
    let strategies = SEPARATE.replace("times = 5", "times = 0");
    assert_ne!(strategies, SEPARATE);
    is_told(SEPARATE, &Otherwise { strategies: Some(&strategies), ..Otherwise::default() });
}

#[test]
fn another_price_for_sizing_is_told() {
    is_told(SEPARATE, &Otherwise { quotes_off_by: 1.0, ..Otherwise::default() });
}

#[test]
fn a_restart_whose_books_are_lost_is_told() {
    is_told(SEPARATE, &Otherwise { restarts: &quiet(), keeps: Keeps::Nothing, ..Otherwise::default() });
}

/// The places of instants half a minute after a bar, a third and two thirds into a short run: no step waits there.
fn quiet() -> Vec<usize> {
    let (_folder, market) = laid_out(SEPARATE, SHORT);
    let start = Timestamp::parse_rfc3339(START).unwrap();
    let instants = market.instants();
    let place = |seconds: u64| {
        let at = start + Duration::from_secs(seconds);
        instants.iter().position(|(instant, _)| *instant == at).unwrap()
    };
    vec![place(20 * 60 + 30), place(40 * 60 + 30)]
}

#[test]
fn a_run_that_starts_again_after_redis_was_emptied_buys_nothing_again() {
    let (folder, market) = laid_out(SEPARATE, SHORT);
    let otherwise = Otherwise { restarts: &quiet(), keeps: Keeps::State, ..Otherwise::default() };
    agree(&drive::live(folder.path(), &market.instants(), &otherwise), &drive::history(folder.path()));
}

#[test]
fn a_live_run_that_is_killed_at_any_bar_wants_what_one_that_was_not_wants() {
    for strategies in [SEPARATE, NET] {
        let (folder, market) = laid_out(strategies, SHORT);
        let is_bar =
            |events: &[MarketEvent]| events.iter().any(|event| matches!(event, MarketEvent::Bar { .. }));
        let instants = market.instants();
        let bars = instants.iter().enumerate().filter(|(_, (_, events))| is_bar(events));
        let restarts: Vec<usize> = bars.map(|(place, _)| place).collect();
        assert!(restarts.len() >= 50, "{}", restarts.len());
        let otherwise = Otherwise { restarts: &restarts[..restarts.len() - 1], ..Otherwise::default() };
        agree(&drive::live(folder.path(), &market.instants(), &otherwise), &drive::history(folder.path()));
    }
}

#[test]
fn a_recorded_run_replays_without_a_difference_and_so_does_each_of_its_sessions() {
    for (strategies, restarts) in [(SEPARATE, vec![]), (NET, vec![]), (SEPARATE, quiet()), (NET, quiet())] {
        let (folder, market) = laid_out(strategies, SHORT);
        drive::live(
            folder.path(),
            &market.instants(),
            &Otherwise { restarts: &restarts, ..Otherwise::default() },
        );
        let mut signals = 0;
        for session in 1..=restarts.len() + 1 {
            let options =
                parity::ParityOptions { session: Some(session), ..parity::ParityOptions::default() };
            let compared = parity::compare(&folder.path().join("recorded"), &options, &mut |_| true).unwrap();
            signals += compared.signals;
            let told: Vec<String> = compared.differences.iter().map(|one| format!("{one:?}")).collect();
            assert!(told.is_empty(), "seed {SEED}: session {session}: {}", told.join("\n"));
            let end = compared.end.unwrap();
            assert!(end.iter().all(|one| one.reason.is_none()), "session {session}: {end:?}");
        }
        assert!(signals >= 25, "{signals} signals");
    }
}

#[test]
fn signals_that_go_over_a_real_redis_do_the_same_with_data_of_now() {
    let redis = RedisServer::start();
    // The longest bars begin with the data.
    let bar = Duration::from_mins(5).as_secs().cast_signed();
    let start = Timestamp::from_secs(SystemClock.now().millis() / 1_000 / bar * bar);
    let (mut orders, mut steps) = (0, 0);
    for strategies in [SEPARATE, NET] {
        redis.run(&["FLUSHALL"]);
        let (folder, market) = laid_out_from(start, strategies, REDIS_MINUTES);
        let history = drive::history(folder.path());
        (orders, steps) = (orders + history.count(What::Order), steps + history.steps);
        let otherwise = Otherwise { redis: Some(redis.url()), ..Otherwise::default() };
        agree(&drive::live(folder.path(), &market.instants(), &otherwise), &history);
    }
    assert!(orders >= 20 && steps >= 5, "{orders} orders, {steps} steps");
}
