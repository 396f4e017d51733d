//! `bot signals`, `bot send` and `bot calendar` as a user runs them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use bot::clock::{Clock, SystemClock};

use crate::redis_server::{RedisServer, free_port, wait_until};

const SOON: Duration = Duration::from_secs(20);

fn bot(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    command.args(arguments).env_remove("REDIS_URL").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], server: &RedisServer) -> Output {
    bot(arguments).env("REDIS_URL", server.url()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code and what was said on stderr.
fn failure(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), text(&output.stderr))
}

fn sent(server: &RedisServer) -> Vec<(String, Vec<(String, String)>)> {
    redis::cmd("XRANGE").arg("nvda").arg("-").arg("+").query(&mut server.connection()).unwrap()
}

const ALWAYS: [&str; 7] = ["signals", "--hours", "always", "--probability", "0.5", "--interval", "1ms"];

fn seeded(seed: &str, server: &RedisServer) -> Vec<String> {
    let output = run(&[&ALWAYS[..], &["--count", "40", "--seed", seed]].concat(), server);
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn the_same_seed_sends_the_same_signals() {
    let server = RedisServer::start();
    let first = seeded("7", &server);
    assert_eq!(first, seeded("7", &server));
    assert_ne!(first, seeded("8", &server));
    let fields: Vec<String> = sent(&server)
        .iter()
        .take(40)
        .map(|(_, fields)| fields.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(fields, first);
    assert_eq!(sent(&server)[0].1[0].0, "ticker");
    assert_eq!(sent(&server)[0].1[1].0, "direction");
}

#[test]
fn the_generator_keeps_its_pace() {
    let server = RedisServer::start();
    let before = SystemClock.now();
    let arguments =
        ["signals", "--hours", "always", "--probability", "1", "--interval", "1ms", "--count", "1000"];
    let output = run(&[&arguments[..], &["--json", "--ticker", "SPY"]].concat(), &server);
    let took = SystemClock.now().since(before);
    assert!(took > Duration::from_millis(990) && took < Duration::from_secs(10), "{took:?}");
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().count(), 1_000);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["ticker"], &first["id"]), (&"SPY".into(), &sent(&server)[0].0.as_str().into()));
}

#[test]
fn the_generator_goes_on_where_it_was_when_redis_comes_back() {
    let mut server = RedisServer::start_durable();
    let mut generator = Running::start(&[&ALWAYS[..], &["--seed", "7"]].concat(), &server);
    let mut lines: Vec<String> = generator.lines(10);
    server.kill();
    generator.wait_for_stderr("redis is away");
    server.restart();
    generator.wait_for_stderr("redis is back");
    lines.extend(generator.lines(30));
    let (code, rest) = generator.stop("TERM");
    assert_eq!(code, Some(0));
    assert!(!rest.contains("redis is"), "said more than once per change: {rest}");
    let decided: Vec<_> = lines.iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(decided, seeded("7", &server));
}

#[test]
fn the_generator_stops_cleanly_while_redis_is_away_and_between_two_ticks() {
    let mut server = RedisServer::start();
    let slow = ["signals", "--hours", "always", "--probability", "1", "--interval", "1h"];
    let mut generator = Running::start(&slow, &server);
    generator.lines(1);
    assert_eq!(generator.stop("INT").0, Some(0));
    server.kill();
    let mut generator = Running::start(&slow, &server);
    generator.wait_for_stderr("redis is away");
    assert_eq!(generator.stop("TERM").0, Some(0));
}

#[test]
fn one_signal_is_sent_as_it_was_asked_for() {
    let server = RedisServer::start();
    let output = run(&["send", "b"], &server);
    assert_eq!(text(&output.stdout).trim(), sent(&server)[0].0);
    let output =
        run(&["--json", "send", "sell", "--qty", "2.50", "--id", "mine-7", "--ticker", "nvda"], &server);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["direction"], "s");
    let pairs = |index: usize| {
        let show = |(name, value): &(String, String)| format!("{name}={value}");
        sent(&server)[index].1.iter().map(show).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(pairs(0), "ticker=NVDA direction=b");
    assert_eq!(pairs(1), "ticker=NVDA direction=s qty=2.5 id=mine-7");
}

#[test]
fn wrong_values_exit_2_and_say_what_is_allowed() {
    for (arguments, word) in [
        (&["send", "hold"][..], "possible values"),
        (&["send", "b", "--qty", "0"], "qty must be a number of shares above 0"),
        (&["send", "b", "--qty", "-3"], "qty must be a number of shares above 0"),
        (&["send", "b", "--ticker", "N V"], "symbol must be"),
        (&["send", "b", "--id", ""], "id must be"),
        (&["send", "b", "--redis-url", "http://:hunter2@x"], "redis url must be"),
        (&["signals", "--probability", "2"], "probability must be 0 to 1"),
        (&["signals", "--interval", "0s"], "interval must be"),
        (&["signals", "--interval", "5"], "duration must be"),
        (&["signals", "--count", "0"], "1.."),
        (&["calendar", "--from", "2026-02-30"], "date must be YYYY-MM-DD"),
        (
            &["calendar", "--from", "2026-12-02", "--to", "2026-12-01"],
            "--to must not be before --from 2026-12-02",
        ),
    ] {
        let (code, said) = failure(&bot(arguments).output().unwrap());
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(word) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
}

#[test]
fn redis_down_exits_5_and_a_refused_password_6() {
    let url = format!("redis://:hunter2@127.0.0.1:{}", free_port());
    let (code, said) = failure(&bot(&["send", "b", "--redis-url", &url]).output().unwrap());
    assert_eq!(code, 5);
    assert!(
        said.contains("Connection refused") && said.contains("127.0.0.1") && !said.contains("hunter2"),
        "{said}"
    );
    let locked = RedisServer::start_with(&["--requirepass", "hunter2"]);
    assert_eq!(failure(&run(&["send", "b"], &locked)).0, 6);
    assert_eq!(failure(&run(&["signals", "--hours", "always", "--probability", "1"], &locked)).0, 6);
    let help = bot(&["send", "--help"]).env("REDIS_URL", "redis://:hunter2@x").output().unwrap();
    assert!(text(&help.stdout).contains("Examples:") && !text(&help.stdout).contains("hunter2"));
}

#[test]
fn the_calendar_knows_holidays_early_closes_and_summer_time() {
    let week = ["calendar", "--from", "2026-11-23", "--to", "2026-11-29"];
    let output = bot(&week).output().unwrap();
    let expected =
        "2026-11-23 09:30 16:00\n2026-11-24 09:30 16:00\n2026-11-25 09:30 16:00\n2026-11-27 09:30 13:00\n";
    assert_eq!(text(&output.stdout), expected);
    let output = bot(&["calendar", "--json", "--from", "2026-07-02", "--to", "2026-07-05"]).output().unwrap();
    let session: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "date": "2026-07-02", "open": "2026-07-02T13:30:00Z", "close": "2026-07-02T20:00:00Z"
    });
    assert_eq!(session, expected, "the third is a holiday, the fourth and fifth a weekend");
    let lines = text(&bot(&["calendar"]).output().unwrap().stdout).lines().count();
    assert!((18..=23).contains(&lines), "{lines} sessions in 31 days");
}

/// A generator that runs beside the test; ended when dropped.
struct Running {
    process: Child,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(arguments: &[&str], server: &RedisServer) -> Self {
        let mut process = bot(arguments)
            .env("REDIS_URL", server.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        Self { process, stdout, stderr }
    }

    fn lines(&mut self, count: usize) -> Vec<String> {
        self.stdout.by_ref().lines().take(count).map(Result::unwrap).collect()
    }

    fn wait_for_stderr(&mut self, words: &str) {
        let found = self.stderr.by_ref().lines().map_while(Result::ok).any(|line| line.contains(words));
        assert!(found, "never said: {words}");
    }

    /// Sends a signal and returns the exit code, and what was said since.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        // A full pipe would keep it from ending.
        let rest: Vec<_> = self.stderr.by_ref().lines().map_while(Result::ok).collect();
        let status = wait_until(SOON, || self.process.try_wait().unwrap()).expect("it did not stop");
        (status.code(), rest.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}
