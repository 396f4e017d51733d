//! The live pool end to end: real Redis, real HTTP to the paper exchange, the real `bot` process.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::redis_server::{RedisServer, free_port, wait_until};
use crate::test_bed::{Bot, SECRET, TestBed, exits, said, summary};

const PATIENT: [&str; 7] = ["run", "--json", "--rate-limit", "off", "--signal-age-max", "1h", "--size=10%"];

fn patient<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PATIENT[..], more].concat()
}

#[track_caller]
fn check_thousand_signals(workers: &str) {
    let bed = TestBed::new();
    let signals = bed.send_mixed(1_000, 7);
    let output = bed.run(&patient(&["-w", workers, "--drain"]));
    exits(&output, 0);
    let summary = summary(&output);
    assert_eq!(summary["signals"], 1_000);
    bed.check_worked_off(&signals, &summary);
}

#[test]
fn a_thousand_signals_become_exactly_one_order_each_with_one_worker() {
    check_thousand_signals("1");
}

#[test]
fn a_thousand_signals_become_exactly_one_order_each_with_eight_workers() {
    check_thousand_signals("8");
}

#[test]
fn a_thousand_signals_become_exactly_one_order_each_with_sixty_four_workers() {
    check_thousand_signals("64");
}

#[test]
fn kill_minus_nine_in_the_middle_of_a_thousand_signals_makes_no_order_twice() {
    let bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_millis(2));
    let signals = bed.send_mixed(1_000, 8);
    for killed_after in [100, 400, 700] {
        let bot = Bot::start(bed.command("state", &patient(&["-w", "8"])));
        bed.wait_for_outcomes(killed_after);
        bot.signal("KILL");
        assert_eq!(bot.end().status.signal(), Some(9));
    }
    let output = bed.run(&patient(&["-w", "8", "--drain"]));
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn a_redis_that_is_killed_and_comes_back_loses_nothing() {
    let mut bed =
        TestBed::with(RedisServer::start_durable(), |config| config.latency = Duration::from_millis(1));
    let signals = bed.send_mixed(400, 9);
    let bot = Bot::start(bed.command("state", &patient(&["-w", "4", "--drain"])));
    bed.wait_for_outcomes(60);
    bed.redis.restart();
    let output = bot.end();
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
    assert!(said(&output).contains("signals cannot be read; trying again"), "{}", said(&output));
}

#[test]
fn sigterm_finishes_what_is_in_hand_and_leaves_the_rest_to_the_next_process() {
    let bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_millis(5));
    let signals = bed.send_mixed(500, 10);
    let bot = Bot::start(bed.command("state", &patient(&["-w", "4"])));
    bed.wait_for_outcomes(50);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let first = summary(&output);
    assert_eq!(first["left_pending"], 0);
    assert_eq!(bed.pending(), 0, "what was taken is settled");
    assert_eq!(first["signals"].as_u64().unwrap(), bed.outcomes_len() as u64);
    let output = bed.run(&patient(&["-w", "4", "--drain"]));
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn a_second_signal_forces_the_end_and_nothing_is_lost() {
    let bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_secs(3));
    let signals = [bed.send(&["ticker", "NVDA", "direction", "b"])];
    let bot = Bot::start(bed.command("state", &patient(&["-w", "1", "--quote-age-max", "1h"])));
    wait_until(Duration::from_mins(1), || (bed.exchange().counts().posts > 0).then_some(())).unwrap();
    bot.signal("INT");
    // Signals that come close together are one intent; this one is another.
    std::thread::sleep(Duration::from_millis(200));
    bot.signal("INT");
    exits(&bot.end(), 130);
    let output = bed.run(&patient(&["-w", "1", "--drain", "--quote-age-max", "1h"]));
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn a_partial_fill_of_an_immediate_order_is_counted_by_its_quantity() {
    let bed = TestBed::new();
    bed.exchange().with(|core| {
        let symbol = "NVDA".parse().unwrap();
        let (quote, _) = core.latest(symbol).unwrap();
        core.set_quote(symbol, bot::market::Quote { ask_size: 7.0, ..quote })
    });
    let signals = [bed.send(&["ticker", "nvda", "direction", "BUY", "qty", "10"])];
    let output = bed.run(&patient(&["--quote-age-max", "1h", "--drain"]));
    exits(&output, 0);
    let outcome = &bed.outcomes()[0];
    assert_eq!(
        (&*outcome["outcome"], &*outcome["filled_qty"], &*outcome["qty"]),
        ("partly_filled", "7", "10")
    );
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn a_request_limit_slows_the_pool_down_and_loses_nothing() {
    let limit =
        bot::exchange::RequestLimit { requests: 20.try_into().unwrap(), span: Duration::from_secs(1) };
    let bed = TestBed::with(RedisServer::start(), |config| config.limit = Some(limit));
    let signals = bed.send_mixed(60, 11);
    let output = bed.run(&patient(&["-w", "8", "--drain"]));
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn what_is_no_signal_goes_to_the_dead_letters_and_the_same_producers_id_is_the_same_order() {
    let bed = TestBed::new();
    bed.send(&["ticker", "NVDA"]);
    bed.send(&["ticker", "TSLA", "direction", "b"]);
    bed.send(&["Ticker", "NVDA", "Direction", "B", "id", "mine-1", "qty", "3"]);
    bed.send(&["ticker", "NVDA", "direction", "b", "id", "mine-1", "qty", "3"]);
    bed.redis.run(&["XADD", "nvda", "99999999999999-0", "ticker", "NVDA", "direction", "b"]);
    let output = bed.run(&patient(&["-w", "2", "--drain"]));
    exits(&output, 0);
    let reasons: Vec<_> = bed.stream("{nvda}:dead").iter().map(|dead| dead["reason"].clone()).collect();
    assert_eq!(
        reasons[..2],
        ["field direction is missing", "field ticker must be one of NVDA, was \"TSLA\""]
    );
    assert!(reasons[2].starts_with("id must be at most 2000 ms in the future"), "{reasons:?}");
    assert_eq!(bed.orders().len(), 1);
    assert_eq!(bed.outcomes().len(), 2);
    bed.check_books(&summary(&output));
}

#[test]
fn old_signals_are_recorded_as_expired_and_never_traded() {
    let bed = TestBed::new();
    for _ in 0..50 {
        bed.redis.run(&["XADD", "nvda", "*", "ticker", "NVDA", "direction", "b", "ttl_ms", "0"]);
    }
    bed.redis.run(&["XADD", "nvda", "*", "ticker", "NVDA", "direction", "b", "qty", "1"]);
    let output = bed.run(&patient(&["--drain"]));
    exits(&output, 0);
    assert_eq!(summary(&output)["outcomes"]["expired"], 50);
    assert_eq!(bed.orders().len(), 1);
}

#[test]
fn no_secret_is_ever_printed() {
    let bed = TestBed::new();
    bed.send_mixed(5, 12);
    let mut command = bed.command("state", &patient(&["--drain", "-vv"]));
    command.env("RUST_LOG", "trace");
    let output = Bot::start(command).end();
    exits(&output, 0);
    assert!(said(&output).len() > 10_000, "the log is there");
    assert!(!said(&output).contains(SECRET) && !String::from_utf8_lossy(&output.stdout).contains(SECRET));
}

#[test]
fn the_summary_is_printed_even_when_the_broker_is_gone() {
    let mut bed = TestBed::new();
    let bot = Bot::start(bed.command("state", &patient(&[])));
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "2"]);
    bed.wait_for_outcomes(1);
    bed.exchange = None;
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let summary = summary(&output);
    assert_eq!(summary["positions"]["NVDA"], "2");
    assert_eq!(summary["broker"]["compared"], false);
}

#[test]
fn a_broker_that_comes_later_is_waited_for_with_a_message() {
    let mut bed = TestBed::new();
    let address = bed.exchange.take().unwrap().addr();
    let bot = Bot::start(bed.command("state", &patient(&["--max-signals", "1"])));
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "2"]);
    // The bot cannot read signals before it has seen the account.
    let waits = wait_until(Duration::from_millis(300), || (bed.outcomes_len() > 0).then_some(()));
    assert_eq!(waits, None);
    let late = TestBed::with(RedisServer::start(), |config| config.listen = address);
    let output = bot.end();
    exits(&output, 0);
    assert!(said(&output).contains("waiting for the broker"), "{}", said(&output));
    assert_eq!(late.orders().len(), 1);
}

#[test]
fn a_stop_while_waiting_at_start_up_is_a_clean_end() {
    let mut bed = TestBed::new();
    bed.exchange = None;
    let bot = Bot::start(bed.command("state", &patient(&[])));
    // The consumer group is there when the bot has come as far as the broker.
    wait_until(Duration::from_mins(1), || (bed.redis.ask(&["EXISTS", "nvda"]) == "1").then_some(())).unwrap();
    bot.signal("TERM");
    exits(&bot.end(), 0);
}

#[test]
fn wrong_words_end_with_the_code_that_says_so() {
    let bed = TestBed::new();
    let ends = |arguments: &[&str], change: &dyn Fn(&mut std::process::Command), code: i32, says: &str| {
        let mut command = bed.command("state", arguments);
        change(&mut command);
        let output = Bot::start(command).end();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(says), "{arguments:?}: {}", said(&output));
    };
    for workers in ["0", "-1", "1025", "eight", "99999999999999999999"] {
        ends(&["-w", workers], &|_| {}, 2, "1 to 1024");
    }
    ends(&["run", "--size", "everything"], &|_| {}, 2, "size must be all, a percentage");
    ends(&["run", "--order", "limit"], &|_| {}, 2, "limit:5bps");
    ends(&["run", "--rate-limit", "0/60s"], &|_| {}, 2, "200/60s");
    ends(&["run", "no-such.toml"], &|_| {}, 4, "no-such.toml");
    ends(&["run"], &|c| _ = c.env_remove("APCA_API_SECRET_KEY"), 6, "APCA_API_SECRET_KEY");
    let live = |c: &mut std::process::Command| _ = c.env("APCA_API_BASE_URL", "https://api.alpaca.markets");
    ends(&["run"], &live, 2, "--live");
    let gone = format!("redis://127.0.0.1:{}", free_port());
    ends(&["run", "--no-wait"], &|c| _ = c.env("REDIS_URL", &gone), 5, "signal stream is unavailable");
    let no_broker = format!("http://127.0.0.1:{}", free_port());
    ends(&["run", "--no-wait"], &|c| _ = c.env("APCA_API_BASE_URL", &no_broker), 5, "broker is unreachable");
}

#[test]
fn a_second_process_in_the_same_state_directory_is_kept_out() {
    let bed = TestBed::new();
    let bot = Bot::start(bed.command("state", &patient(&["-w", "1"])));
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"]);
    bed.wait_for_outcomes(1);
    exits(&bed.run(&["run"]), 8);
    bot.signal("TERM");
    exits(&bot.end(), 0);
}

#[test]
fn each_worker_keeps_one_connection() {
    let bed = TestBed::new();
    bed.send_mixed(500, 13);
    exits(&bed.run(&patient(&["-w", "4", "--drain"])), 0);
    let counts = bed.exchange().counts();
    // Four workers, start-up (six parallel reads), prices, books, tracker and its socket.
    assert!(counts.connections <= 4 + 6 + 4, "{counts:?}");
}

#[test]
fn three_instances_share_the_stream_and_still_make_one_order_each() {
    let bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_millis(2));
    let signals = bed.send_mixed(600, 14);
    let start = |state: &str| Bot::start(bed.command(state, &patient(&["-w", "4"])));
    let bots = [start("one"), start("two"), start("three")];
    bed.wait_for_outcomes(signals.len());
    for bot in bots {
        bot.signal("TERM");
        exits(&bot.end(), 0);
    }
    // Each instance's books follow the others' trades later; a fresh look shows the account as it is.
    let output = bed.run(&patient(&["--drain"]));
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
}
