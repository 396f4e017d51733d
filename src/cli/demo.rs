//! `bot demo`: exchange, signals and pool in one command, so that the first result needs nothing.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Global;
use super::exit::{Exit, Failure};
use super::run::{in_range, run_pool};
use crate::activity::Activity;
use crate::broker::alpaca::{AlpacaConfig, AlpacaVenue, Credentials, Endpoints};
use crate::clock::{Clock, SystemClock};
use crate::desk::Rules;
use crate::duration;
use crate::exchange::{self, Exchange};
use crate::execution::Timeouts;
use crate::feed::Feed;
use crate::history::RecordFormat;
use crate::inbox::memory::MemoryStream;
use crate::inbox::producer::Producer;
use crate::inbox::redis_stream::{self, From, RedisConfig, RedisUrl};
use crate::live::{Config, FeedSource};
use crate::manifest::defaults;
use crate::manifest::pool::WORKERS_RANGE;
use crate::sizing::SizeRule;
use crate::symbol::Symbol;
use crate::units::{Price, Weight};

/// Shows it working: paper exchange, signals and pool in one command
///
/// A paper exchange is started in this process, random signals are sent about ten times a second, and the pool
/// trades them. A redis-server from the PATH carries the signals, on a free port and without touching the disk; where
/// there is none, they stay in memory. Nothing is left behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot demo\n  bot demo -w 8 --for 30s --json")]
pub struct Args {
    /// How many workers, 1 to 1024
    #[arg(short, long, value_name = "N", default_value = "4", value_parser = in_range::<{ *WORKERS_RANGE.start() }, { *WORKERS_RANGE.end() }>)]
    workers: usize,
    /// How long
    #[arg(long = "for", value_name = "DUR", value_parser = duration::parse, default_value = "10s")]
    run_for: Duration,
    /// Decides on prices and signals
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
}

/// A signal about this often.
const SIGNAL_EVERY: Duration = Duration::from_millis(100);
const STREAM: &str = "nvda";
const SYMBOL: &str = "NVDA";

/// Runs the command.
pub fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let symbol: Symbol = SYMBOL.parse()?;
    let mut market = bot_simulated::MarketConfig::new(symbol, Price::whole(180));
    market.seed = args.seed;
    market.hours = bot_simulated::Hours::Always;
    let exchange = Exchange::start(exchange::Config::new(market), Arc::clone(&clock))?;
    let endpoints =
        Endpoints::from_env(&|name| (name == "APCA_API_BASE_URL").then(|| exchange.url()), false)?;
    let alpaca =
        AlpacaConfig { rate_limit: None, ..AlpacaConfig::new(Credentials::new("demo", "demo")?, endpoints) };
    let venue = AlpacaVenue::new(alpaca, Arc::clone(&clock))?;
    let config = config(args, symbol);
    say(global, &format!("paper exchange on {}", exchange.url()));
    if let Some(redis) = LocalRedis::start()? {
        say(global, &format!("signals over redis-server on {}", redis.url));
        let (inbox, settler) = redis_stream::open(redis.config(), Arc::clone(&clock));
        let mut producer = Producer::new(RedisUrl::new(redis.url.clone()));
        return with_signals(
            args,
            |fields| producer.send(STREAM, fields).is_ok(),
            || run_pool(&config, &venue, inbox, settler, &*clock, global),
        );
    }
    say(global, "signals in memory: there is no redis-server on the PATH");
    let stream = MemoryStream::new(1_024, Arc::clone(&clock));
    let (inbox, settler) = stream.open();
    with_signals(
        args,
        |fields| stream.send(fields).is_ok(),
        || run_pool(&config, &venue, inbox, settler, &*clock, global),
    )
}

fn say(global: &Global, text: &str) {
    if !global.quiet {
        eprintln!("bot demo: {text}");
    }
}

fn config(args: &Args, symbol: Symbol) -> Config {
    Config {
        symbols: vec![symbol],
        workers: args.workers,
        signal_queue_len: defaults::QUEUE,
        rules: Rules {
            size: SizeRule::Fraction(Weight::percent(20)),
            cash_buffer: defaults::CASH_BUFFER,
            ..Rules::default()
        },
        weights: defaults::WEIGHTS,
        stream: STREAM.to_owned(),
        price_interval: Duration::from_millis(200),
        timeouts: Timeouts::default(),
        drain: false,
        signals_max: None,
        run_for: Some(args.run_for),
        drain_timeout: Duration::from_secs(20),
        no_wait: false,
        seed: args.seed,
        prices: Arc::default(),
        activity: Activity::default(),
        feed: Feed::default(),
        strategies: None,
        feed_source: FeedSource::default(),
        record: None,
        record_format: RecordFormat::default(),
        record_files: Vec::new(),
    }
}

/// Sends random signals while `run` runs, and stops sending when it returns.
fn with_signals<T>(
    args: &Args,
    mut send: impl FnMut(&[(&str, &str)]) -> bool + Send,
    run: impl FnOnce() -> T,
) -> T {
    let (over, is_over) = crossbeam_channel::bounded::<std::convert::Infallible>(0);
    let mut random = ChaCha8Rng::seed_from_u64(args.seed);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let ended = Err(crossbeam_channel::RecvTimeoutError::Disconnected);
            while is_over.recv_timeout(SIGNAL_EVERY) != ended {
                let direction = if random.random_bool(0.5) { "b" } else { "s" };
                // A demo's signal that cannot be sent is one signal less.
                send(&[("ticker", SYMBOL), ("direction", direction)]);
            }
        });
        let result = run();
        drop(over);
        result
    })
}

/// A redis-server of our own: loopback, a free port, nothing on disk, gone with this process.
struct LocalRedis {
    url: String,
    process: Child,
    directory: PathBuf,
}

impl LocalRedis {
    /// `None` when there is no redis-server to start.
    fn start() -> Result<Option<Self>, Failure> {
        let directory = std::env::temp_dir().join(format!("bot-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let process = match spawn(port, &directory) {
                Ok(process) => process,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let _ = std::fs::remove_dir(&directory);
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            let mut redis =
                Self { url: format!("redis://127.0.0.1:{port}"), process, directory: directory.clone() };
            if redis.is_up() {
                return Ok(Some(redis));
            }
            // Somebody else took the port in the meantime: another try.
        }
        Err(Failure::message(Exit::Unreachable, "redis-server is on the PATH but does not start"))
    }

    fn is_up(&mut self) -> bool {
        for _ in 0..200 {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return false;
            }
            if self
                .url
                .strip_prefix("redis://")
                .is_some_and(|address| std::net::TcpStream::connect(address).is_ok())
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn config(&self) -> RedisConfig {
        RedisConfig {
            url: RedisUrl::new(self.url.clone()),
            stream: STREAM.to_owned(),
            group: defaults::GROUP.to_owned(),
            consumer: "demo".to_owned(),
            from: From::Start,
            lease: Duration::from_secs(30),
            instance: "demo".to_owned(),
        }
    }
}

impl Drop for LocalRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(port: u16, directory: &Path) -> io::Result<Child> {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ])
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
