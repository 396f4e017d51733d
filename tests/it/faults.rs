//! What machines and users break around the live pool, end to end: it ends in bounded time, says why, and loses nothing.

use std::process::Command;
use std::time::Duration;

use crate::redis_server::{RedisServer, wait_until};
use crate::test_bed::{Bot, SECRET, TestBed, exits, said, summary};

const PATIENT: [&str; 7] = ["run", "--json", "--rate-limit", "off", "--signal-age-max", "1h", "--size=1%"];
const A_WHILE: Duration = Duration::from_mins(1);

fn patient<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PATIENT[..], more].concat()
}

#[test]
fn a_redis_that_never_comes_back_ends_the_drain_in_time_with_the_number_left() {
    let mut bed =
        TestBed::with(RedisServer::start_durable(), |config| config.latency = Duration::from_millis(5));
    let signals = bed.send_mixed(300, 21);
    let bot = Bot::start(bed.command("state", &patient(&["-w", "4", "--drain-timeout", "500ms"])));
    bed.wait_for_outcomes(50);
    bed.redis.kill();
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 9);
    let left = summary(&output)["left_pending"].as_u64().unwrap();
    assert!(left > 0 && said(&output).contains(&format!("{left} signals were not final in time")), "{left}");

    bed.redis.restart();
    let output = bed.run(&patient(&["-w", "4", "--drain"]));
    exits(&output, 0);
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn an_exchange_that_is_gone_with_orders_pending_ends_the_drain_in_time_with_the_number_left() {
    let mut bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_secs(1));
    for _ in 0..3 {
        bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"]);
    }
    let slow = ["-w", "2", "--drain-timeout", "300ms", "--quote-age-max", "1h"];
    let bot = Bot::start(bed.command("state", &patient(&slow)));
    wait_until(A_WHILE, || (bed.exchange().counts().posts > 0).then_some(())).unwrap();
    bed.exchange = None;
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 9);
    let (left, recorded) = (summary(&output)["left_pending"].clone(), bed.outcomes_len());
    assert!(bed.pending() > 0 && left == bed.pending() && bed.pending() + recorded == 3, "{}", said(&output));
    let known = ["filled", "refused"];
    assert!(bed.outcomes().iter().all(|outcome| known.contains(&&*outcome["outcome"])), "{}", said(&output));
}

#[test]
fn outcomes_that_could_not_be_recorded_are_noticed_before_the_first_order() {
    let bed = TestBed::new();
    bed.redis.run(&["SET", "{nvda}:outcomes", "a string"]);
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"]);
    let output = bed.run(&patient(&[]));
    exits(&output, 3);
    assert!(said(&output).contains("{nvda}:outcomes must be a stream, was a string"), "{}", said(&output));
    assert_eq!(bed.exchange().counts().posts, 0);
}

#[test]
fn outcomes_that_become_unrecordable_stop_the_bot_and_the_summary_is_printed() {
    let bed = TestBed::new();
    let bot = Bot::start(bed.command("state", &patient(&["--drain-timeout", "300ms"])));
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"]);
    bed.wait_for_outcomes(1);
    bed.redis.run(&["SET", "{nvda}:outcomes", "a string"]);
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "2"]);
    let output = bot.end();
    exits(&output, 3);
    let first = summary(&output);
    assert_eq!((&first["left_pending"], &first["outcomes"]["filled"]), (&1.into(), &1.into()), "{first}");
    assert_eq!(first["positions"]["NVDA"], "3");

    bed.redis.run(&["DEL", "{nvda}:outcomes"]);
    exits(&bed.run(&patient(&["--drain"])), 0);
    assert_eq!(bed.orders().len(), 2, "the second order was found, not sent again");
    assert_eq!((bed.outcomes_len(), bed.pending()), (1, 0));
}

#[test]
fn neither_the_password_of_redis_nor_the_brokers_secret_is_ever_printed() {
    let bed = TestBed::with(RedisServer::start_with(&["--requirepass", "hunter2"]), |_| {});
    let place = bed.redis.url().replace("redis://", "");
    let ends = |url: &str, code: i32| {
        let mut command = bed.command("state", &patient(&["--drain", "--no-wait", "-vv"]));
        command.env("REDIS_URL", url).env("RUST_LOG", "trace");
        let output = Bot::start(command).end();
        exits(&output, code);
        let all = format!("{}{}", said(&output), String::from_utf8_lossy(&output.stdout));
        assert!(!all.contains("hunter") && !all.contains(SECRET), "{all}");
    };
    ends(&format!("redis://:hunter2@{place}"), 0);
    ends(&format!("redis://:hunter3@{place}"), 6);
    ends(&format!("redis://{place}"), 6);
    ends("redis://:hunter2@127.0.0.1:port", 3);
    ends("redis://:hunter2@no-such-host.invalid", 5);
}

#[test]
fn a_thousand_workers_start_where_a_process_may_open_a_thousand_files() {
    let bed = TestBed::new();
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"]);
    let bot = bed.command("state", &patient(&["-w", "1024", "--drain"]));
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 1024 && exec \"$0\" \"$@\""]).arg(bot.get_program());
    limited.args(bot.get_args()).envs(bot.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(bot.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = Bot::start(limited).end();
    exits(&output, 0);
    assert_eq!(summary(&output)["outcomes"]["filled"], 1);
}

#[test]
fn names_that_cannot_be_are_a_usage_error_and_an_unusable_state_directory_says_where() {
    let bed = TestBed::new();
    let ends = |arguments: &[&str], code: i32, says: &str| {
        let output = bed.run(&patient(arguments));
        exits(&output, code);
        assert!(said(&output).contains(says), "{}", said(&output));
    };
    for name in ["", "a b", "{a}"] {
        ends(&["--stream", name], 2, "name must be 1 to 200 bytes without spaces and braces");
        ends(&["--group", name], 2, "name must be 1 to 200 bytes without spaces and braces");
    }
    ends(&["--state", "/dev/null/state"], 1, "state directory /dev/null/state cannot be used: ");
    bed.redis.run(&["SET", "text", "a string"]);
    ends(&["--stream", "text"], 3, "WRONGTYPE");
}

#[test]
fn a_symbol_that_is_named_twice_keeps_its_whole_weight() {
    let bed = TestBed::new();
    bed.send(&["ticker", "NVDA", "direction", "b"]);
    exits(&bed.run(&["run", "--symbols", "NVDA,nvda,NVDA", "--drain"]), 0);
    let shares: u32 = bed.outcomes()[0]["qty"].parse().unwrap();
    assert!(shares > 500, "100000 dollars at 180 buy more than {shares} shares");
}

#[test]
fn one_request_that_is_told_twice_is_no_force() {
    let bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_millis(300));
    bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"]);
    let bot = Bot::start(bed.command("state", &patient(&[])));
    wait_until(A_WHILE, || (bed.exchange().counts().posts > 0).then_some(())).unwrap();
    bot.signal_times("TERM", 2);
    let output = bot.end();
    exits(&output, 0);
    assert_eq!((summary(&output)["left_pending"].clone(), bed.outcomes_len()), (0.into(), 1));
}

#[test]
fn two_instances_drain_one_stream_together() {
    let bed = TestBed::with(RedisServer::start(), |config| config.latency = Duration::from_millis(2));
    let signals = bed.send_mixed(300, 23);
    let start = |state: &str| Bot::start(bed.command(state, &patient(&["-w", "2", "--drain"])));
    let bots = [start("one"), start("two")];
    let taken = bots.map(|bot| {
        let output = bot.end();
        exits(&output, 0);
        summary(&output)["signals"].as_u64().unwrap()
    });
    assert_eq!(taken.iter().sum::<u64>(), 300);
    let output = bed.run(&patient(&["--drain"]));
    bed.check_worked_off(&signals, &summary(&output));
}

#[test]
fn a_run_that_ends_by_count_takes_no_more_than_that_and_leaves_the_rest() {
    let bed = TestBed::new();
    let signals = bed.send_mixed(50, 24);
    let output = bed.run(&patient(&["-w", "4", "--max-signals", "20"]));
    exits(&output, 0);
    assert_eq!((summary(&output)["signals"].clone(), bed.outcomes_len()), (20.into(), 20));
    exits(&bed.run(&patient(&["--for", "0s"])), 0);
    assert_eq!((bed.outcomes_len(), bed.pending()), (20, 0));
    let output = bed.run(&patient(&["--drain"]));
    bed.check_worked_off(&signals, &summary(&output));
}
