//! Real parts for one test: a redis-server, the paper exchange, and `bot` processes between them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bot::broker::simulated::{self, Filter, OrderFilter, PaperOrder};
use bot::clock::SystemClock;
use bot::exchange::{self, Exchange, Running};
use bot::units::Price;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redis::Value;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::redis_server::{RedisServer, wait_until};

pub const SECRET: &str = "do-not-print-this-secret";
const LONG: Duration = Duration::from_mins(2);

pub struct TestBed {
    pub redis: RedisServer,
    pub exchange: Option<Running>,
    pub address: String,
    directory: TempDir,
}

/// One entry of the outcomes stream.
pub type Fields = HashMap<String, String>;

impl TestBed {
    pub fn new() -> Self {
        Self::with(RedisServer::start(), |_| {})
    }

    pub fn with(redis: RedisServer, change: impl FnOnce(&mut exchange::Config)) -> Self {
        let mut market = simulated::MarketConfig::new("NVDA".parse().unwrap(), Price::whole(180));
        market.hours = simulated::Hours::Always;
        let mut config = exchange::Config::new(market);
        change(&mut config);
        let exchange = Exchange::start(config, Arc::new(SystemClock)).unwrap();
        let address = exchange.url();
        Self { redis, exchange: Some(exchange), address, directory: tempfile::tempdir().unwrap() }
    }

    pub fn exchange(&self) -> &Running {
        self.exchange.as_ref().unwrap()
    }

    /// Sends a signal and returns its entry id.
    pub fn send(&self, fields: &[&str]) -> String {
        self.redis.ask(&[&["XADD", "nvda", "*"], fields].concat())
    }

    /// Sends seeded random signals: buys and sells, with and without a quantity of their own.
    pub fn send_mixed(&self, count: usize, seed: u64) -> Vec<String> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut pipeline = redis::pipe();
        for _ in 0..count {
            let direction = if random.random_bool(0.5) { "b" } else { "s" };
            let add = pipeline
                .cmd("XADD")
                .arg("nvda")
                .arg("*")
                .arg("ticker")
                .arg("NVDA")
                .arg("direction")
                .arg(direction);
            if random.random_bool(0.7) {
                add.arg("qty").arg(random.random_range(1..20));
            }
        }
        pipeline.query(&mut self.redis.connection()).unwrap()
    }

    /// A `bot` command with this bed's addresses and keys, in a state directory of its own.
    pub fn command(&self, state: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("REDIS_URL", self.redis.url())
            .env("APCA_API_BASE_URL", &self.address)
            .env("APCA_API_KEY_ID", "key")
            .env("APCA_API_SECRET_KEY", SECRET)
            .env("BOT_STATE", self.state(state))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn state(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Bot::start(self.command("state", arguments)).end()
    }

    /// The outcomes recorded so far, in order.
    pub fn outcomes(&self) -> Vec<Fields> {
        self.stream("{nvda}:outcomes")
    }

    pub fn stream(&self, key: &str) -> Vec<Fields> {
        let Value::Array(entries) = self.redis.run(&["XRANGE", key, "-", "+"]) else { panic!("no array") };
        entries
            .into_iter()
            .map(|entry| {
                let (_, fields): (String, HashMap<String, String>) = redis::from_redis_value(entry).unwrap();
                fields
            })
            .collect()
    }

    pub fn outcomes_len(&self) -> usize {
        self.redis.ask(&["XLEN", "{nvda}:outcomes"]).parse().unwrap()
    }

    pub fn wait_for_outcomes(&self, count: usize) {
        let enough = wait_until(LONG, || (self.outcomes_len() >= count).then_some(()));
        assert!(enough.is_some(), "{} of {count} outcomes", self.outcomes_len());
    }

    /// How many entries are pending for the group.
    pub fn pending(&self) -> usize {
        let Value::Array(summary) = self.redis.run(&["XPENDING", "nvda", "bot"]) else { panic!("no array") };
        redis::from_redis_value(summary[0].clone()).unwrap()
    }

    /// All orders that the exchange ever took, by client order id.
    pub fn orders(&self) -> BTreeMap<String, PaperOrder> {
        let filter = Filter { which: OrderFilter::All, limit: usize::MAX, ..Filter::default() };
        self.exchange().with(|core| {
            let orders = core.orders(&filter);
            orders.into_iter().map(|order| (order.client_order_id.to_string(), order.clone())).collect()
        })
    }

    /// Every promise about a stream that was worked off: one outcome each, one order each, nothing pending, books right.
    #[track_caller]
    pub fn check_worked_off(&self, signals: &[String], summary: &Json) {
        let outcomes = self.outcomes();
        let mut settled: Vec<_> = outcomes.iter().map(|outcome| outcome["signal"].clone()).collect();
        settled.sort();
        let mut expected = signals.to_vec();
        expected.sort();
        assert_eq!(settled, expected, "exactly one outcome for each signal");
        assert_eq!(self.pending(), 0, "nothing is pending");
        let orders = self.orders();
        let mut named: Vec<_> = outcomes
            .iter()
            .filter(|outcome| outcome.contains_key("order_id"))
            .map(|outcome| outcome["client_order_id"].clone())
            .collect();
        named.sort();
        assert_eq!(
            named,
            orders.keys().cloned().collect::<Vec<_>>(),
            "exactly one order for each signal that got one"
        );
        for outcome in outcomes.iter().filter(|outcome| outcome.contains_key("order_id")) {
            let order = &orders[&outcome["client_order_id"]];
            assert_eq!(outcome["filled_qty"], order.filled.to_string(), "{outcome:?}");
            assert_eq!(outcome["order_id"], order.id.to_string());
        }
        self.check_books(summary);
    }

    /// Cash and position of the summary equal those of the exchange to the cent.
    #[track_caller]
    pub fn check_books(&self, summary: &Json) {
        let (cash, shares) = self.exchange().with(|core| {
            let shares = core.position("NVDA".parse().unwrap()).map(|found| found.quantity);
            (core.account().cash.cents(), shares.unwrap_or_default().to_string())
        });
        let books: bot::units::Money = summary["cash"].as_str().unwrap().parse().unwrap();
        assert_eq!(books.cents(), cash, "{summary}");
        assert_eq!(summary["positions"]["NVDA"].as_str().unwrap_or("0"), shares, "{summary}");
        assert_eq!(summary["broker"]["agrees"], true, "{summary}");
    }
}

/// A running `bot`, killed when dropped; what it prints is read all the while so that it never blocks.
pub struct Bot {
    child: Child,
    stdout: std::thread::JoinHandle<Vec<u8>>,
    stderr: std::thread::JoinHandle<Vec<u8>>,
}

impl Bot {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let read = |source: &mut dyn Read| {
            let mut bytes = Vec::new();
            let _ = source.read_to_end(&mut bytes);
            bytes
        };
        let stdout = std::thread::spawn(move || read(&mut out));
        let stderr = std::thread::spawn(move || read(&mut err));
        Self { child, stdout, stderr }
    }

    pub fn signal(&self, name: &str) {
        self.signal_times(name, 1);
    }

    /// Sends a signal so often in one go.
    pub fn signal_times(&self, name: &str, times: usize) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).args(vec![&process; times]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Output {
        let ended = wait_until(LONG, || self.child.try_wait().unwrap());
        if ended.is_none() {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        let output =
            Output { status, stdout: self.stdout.join().unwrap(), stderr: self.stderr.join().unwrap() };
        assert!(ended.is_some(), "did not end: {}", said(&output));
        output
    }
}

/// What a process wrote to stderr.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON that it ended with on stdout; shows what it said when there is none.
#[track_caller]
pub fn summary(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {:?}\n{}", String::from_utf8_lossy(&output.stdout), said(output))
    })
}

#[track_caller]
pub fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
}
