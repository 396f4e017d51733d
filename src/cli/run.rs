//! `bot run`: the live pool from flags, environment and manifest, in that order.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Global;
use super::exit::{Exit, Failure};
use super::interrupt::Interrupts;
use super::rate_limit::RateLimit;
use crate::activity::Activity;
use crate::broker::Venue;
use crate::broker::alpaca::{AlpacaConfig, AlpacaConfigError, AlpacaVenue};
use crate::clock::{Clock, SystemClock};
use crate::desk::{Pricing, Rules};
use crate::duration;
use crate::execution::Timeouts;
use crate::feed::Feed;
use crate::history::{RecordFormat, session};
use crate::inbox::redis_stream::{self, From, RedisConfig, RedisUrl};
use crate::inbox::{Inbox, Settler};
use crate::live::{self, Config, FeedSource, Stop, StrategyPlan, Summary};
use crate::manifest::pool::{QUEUE_RANGE, WORKERS_RANGE};
use crate::manifest::redis::check_key;
use crate::manifest::strategy::read_script;
use crate::manifest::{BrokerKind, Document, Manifest, ManifestError, Purpose, StrategySource, defaults};
use crate::risk::Limits;
use crate::signal::EntryId;
use crate::sizing::{SellRule, SizeRule};
use crate::spec::StrategySpec;
use crate::state_dir::StateDir;
use crate::strategy_threads::signal_sender::to_stream;
use crate::symbol::Symbol;
use crate::units::{Money, Price};
use bot_script::FILE_SUFFIX;
use bot_simulated::SimulatedVenue;

/// Turns signals into orders until it is stopped
///
/// Ends after SIGINT, SIGTERM, ENTER on a terminal, --for, --max-signals or --drain: the intake stops, orders in
/// flight become final and are recorded, a summary is printed. A second signal forces the end; what is in flight
/// stays pending and is taken up by the next process.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bot run -w 8                              eight workers, signals from the stream nvda\n  \
    bot run -w 8 --drain --json               work off what is there, then print the summary as JSON\n  \
    bot run live.toml --size 10%              a manifest; flags win over it\n  \
    bot run --order limit:5bps --symbols NVDA,SPY\n\n\
    Credentials come from the environment: APCA_API_KEY_ID and APCA_API_SECRET_KEY (or …_FILE)."
)]
pub struct Args {
    /// A manifest (TOML) with what flags do not say
    manifest: Option<PathBuf>,
    /// How many workers, 1 to 1024 [default: 4]
    #[arg(short, long, env = "BOT_WORKERS", allow_negative_numbers = true, value_name = "N", value_parser = in_range::<{ *WORKERS_RANGE.start() }, { *WORKERS_RANGE.end() }>)]
    workers: Option<usize>,
    #[arg(
        long,
        help = "Where signals come from [default: redis://127.0.0.1:6379]",
        env = "REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    redis_url: Option<String>,
    /// The signal stream [default: nvda]
    #[arg(long, value_name = "NAME", value_parser = check_key)]
    stream: Option<String>,
    /// The consumer group [default: bot]
    #[arg(long, value_name = "NAME", value_parser = check_key)]
    group: Option<String>,
    /// What is traded [default: what the manifest's strategies watch, else NVDA]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<Symbol>,
    /// Where a new group begins: start, new or an entry id
    #[arg(long, value_name = "WHERE", default_value = "start", value_parser = beginning)]
    from: From,
    /// Where orders go [default: alpaca, its paper account]
    #[arg(long, value_name = "BROKER", value_enum)]
    broker: Option<BrokerKind>,
    /// Allow a live endpoint: real money
    #[arg(long)]
    live: bool,
    /// How much one signal trades: all, 10%, 5sh or $1000; a signal's own qty wins
    #[arg(long, value_name = "RULE", default_value = "all")]
    size: SizeRule,
    /// When a sell signal is followed
    #[arg(long, value_name = "RULE", value_enum, default_value = "always")]
    sell_rule: SellWhen,
    /// Market orders, or limit orders so far through the quote; always immediate-or-cancel
    #[arg(long, value_name = "market|limit:5bps", default_value = "market", value_parser = pricing)]
    order: Pricing,
    /// The broker's request budget, or off
    #[arg(long, value_name = "N/60s|off", default_value = "200/60s")]
    rate_limit: RateLimit,
    /// Older signals are not traded [default: 5s]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    signal_age_max: Option<Duration>,
    /// Older quotes are not traded on [default: 5s]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    quote_age_max: Option<Duration>,
    /// How often prices are read
    #[arg(long, value_name = "DUR", value_parser = interval, default_value = "1s")]
    price_interval: Duration,
    /// How many signals wait in the lane of one symbol; more stay in the stream until there is room [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = in_range::<{ *QUEUE_RANGE.start() }, { *QUEUE_RANGE.end() }>)]
    queue: Option<usize>,
    /// Stop when the stream is drained and all orders are final
    #[arg(long)]
    drain: bool,
    /// Stop after this many signals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_signals: Option<u64>,
    /// Stop after this long
    #[arg(long = "for", value_name = "DUR", value_parser = duration::parse)]
    run_for: Option<Duration>,
    /// How long orders in flight may take to become final at the end
    #[arg(long, value_name = "DUR", value_parser = duration::parse, default_value = "20s")]
    drain_timeout: Duration,
    /// Fail at once when Redis or the broker cannot be reached at start-up
    #[arg(long)]
    no_wait: bool,
    /// Records quotes, trades and minute bars, one file per kind and day, and the session itself for `bot parity`
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// What recorded files are kept in: CSV, or Parquet, which CSV files are turned into when the run ends
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "csv", requires = "record")]
    record_format: RecordAs,
    /// Where recorded market data comes from: the broker's stream (polled prices stand in for it), or polled prices alone
    #[arg(long, value_enum, value_name = "SOURCE", default_value = "stream")]
    feed: FeedFrom,
    /// Instance name and lock; one directory for each process
    #[arg(long, env = "BOT_STATE", value_name = "DIR", default_value = "bot-state")]
    state: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RecordAs {
    Csv,
    Parquet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FeedFrom {
    Stream,
    Poll,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SellWhen {
    Always,
    InProfit,
}

/// How long an instance may be silent before others take over what it holds.
const LEASE: Duration = Duration::from_secs(30);

/// Runs the command.
pub fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let manifest = read_manifest(args)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let kind = args.broker.or(manifest.broker.kind).unwrap_or(defaults::BROKER);
    raise_file_limit();
    // Keys are looked at before anything is started or locked.
    let alpaca = match kind {
        BrokerKind::Alpaca => Some(alpaca(args, &clock)?),
        BrokerKind::Simulated => None,
    };
    let state = StateDir::open(&args.state)?;
    let redis = redis_config(args, &manifest, &state);
    let mut config = config(args, &manifest, &state, &redis.stream);
    config.rules.limits.flip_in_one = kind.flips_in_one();
    if let Some(place) = &args.record {
        config.record_files = record_files(args, &manifest, place)?;
    }
    config.strategies = strategies(&manifest, &redis, &config.symbols, &clock, &args.state);
    let (inbox, settler) = redis_stream::open(redis, Arc::clone(&clock));
    let ended = if let Some(venue) = alpaca {
        run_pool(&config, &venue, inbox, settler, &*clock, global)
    } else {
        let cash = manifest.broker.cash.unwrap_or(defaults::CASH);
        let market = simulation(&config, cash);
        let venue = SimulatedVenue::new(&market, Arc::clone(&clock));
        run_pool(&config, &venue, inbox, settler, &*clock, global)
    };
    drop(state); // The lock outlives all that writes.
    ended
}

/// Each worker needs a handful of files; systems often allow 1024 unless a process asks for more, as it may.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Runs the pool over any broker and any inbox, prints the summary and says how it ended.
pub(super) fn run_pool(
    config: &Config,
    venue: &impl Venue,
    inbox: impl Inbox,
    settler: impl Settler,
    clock: &dyn Clock,
    global: &Global,
) -> Result<(), Failure> {
    let stop = Stop::default();
    let _interrupts = Interrupts::listen(&stop)?;
    let show = |table: &str| {
        if !global.quiet {
            eprintln!("{table}");
        }
    };
    let summary = live::run(config, venue, inbox, settler, clock, &stop, show)?;
    print(&summary, global)?;
    if let Some(fault) = summary.fault {
        return Err(fault.into());
    }
    match summary.left_pending {
        0 => Ok(()),
        left => Err(Failure::message(
            Exit::DrainTimedOut,
            format!("{left} signals were not final in time; they stay pending for the next process"),
        )),
    }
}

fn print(summary: &Summary, global: &Global) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    if global.json {
        writeln!(stdout, "{}", summary.to_json())?;
    } else {
        write!(stdout, "{summary}")?;
    }
    Ok(())
}

/// The strategies that the manifest names, to run beside the pool.
fn strategies(
    manifest: &Manifest,
    redis: &RedisConfig,
    symbols: &[Symbol],
    clock: &Arc<dyn Clock>,
    state: &Path,
) -> Option<StrategyPlan> {
    let (url, stream) = (redis.url.clone(), redis.stream.clone());
    (!manifest.strategies.is_empty()).then(|| StrategyPlan {
        specs: StrategySpec::all(manifest, symbols),
        data: manifest.data.clone(),
        combine: manifest.portfolio.combine(),
        weights: manifest.portfolio.weights.clone().unwrap_or(defaults::WEIGHTS),
        sender: Arc::new(move || to_stream(&url, &stream)),
        numbers: Some(redis.url.clone()),
        state: Some(state.to_owned()),
        clock: Arc::clone(clock),
    })
}

fn read_manifest(args: &Args) -> Result<Manifest, Failure> {
    match &args.manifest {
        Some(path) => {
            let purpose = Purpose::Run { symbols: &args.symbols };
            Ok(Document::open(path)?.read(&[], purpose).map_err(ManifestError::from)?)
        }
        None => Ok(Manifest::default()),
    }
}

fn alpaca(args: &Args, clock: &Arc<dyn Clock>) -> Result<AlpacaVenue, Failure> {
    let config =
        AlpacaConfig::from_env(&|name| std::env::var(name).ok(), args.live).map_err(|error| match error {
            AlpacaConfigError::Credentials(_) => Failure::new(Exit::Credentials, error),
            AlpacaConfigError::Address { .. }
            | AlpacaConfigError::Live { .. }
            | AlpacaConfigError::Setting(_) => Failure::new(Exit::Usage, error),
        })?;
    let config = AlpacaConfig { rate_limit: args.rate_limit.requests(), ..config };
    Ok(AlpacaVenue::new(config, Arc::clone(clock))?)
}

fn redis_config(args: &Args, manifest: &Manifest, state: &StateDir) -> RedisConfig {
    let or = |flag: &Option<String>, written: &Option<String>, default: &str| {
        flag.clone().or_else(|| written.clone()).unwrap_or_else(|| default.to_owned())
    };
    RedisConfig {
        url: RedisUrl::new(or(&args.redis_url, &manifest.redis.url, defaults::REDIS_URL)),
        stream: or(&args.stream, &manifest.redis.stream, defaults::STREAM),
        group: or(&args.group, &manifest.redis.group, defaults::GROUP),
        consumer: state.instance().to_owned(),
        from: args.from.clone(),
        lease: LEASE,
        instance: state.instance().to_owned(),
    }
}

fn config(args: &Args, manifest: &Manifest, state: &StateDir, stream: &str) -> Config {
    let (pool, portfolio) = (&manifest.pool, &manifest.portfolio);
    let limits = Limits {
        signal_age_max: args.signal_age_max.or(pool.signal_age_max).unwrap_or(defaults::SIGNAL_AGE_MAX),
        quote_age_max: args.quote_age_max.or(pool.quote_age_max).unwrap_or(defaults::QUOTE_AGE_MAX),
        ..manifest.risk.limits()
    };
    let sell = match args.sell_rule {
        SellWhen::Always => SellRule::Always,
        SellWhen::InProfit => SellRule::InProfit,
    };
    let cash_buffer = portfolio.cash_buffer.unwrap_or(defaults::CASH_BUFFER);
    Config {
        symbols: manifest.traded_live(&args.symbols),
        workers: args.workers.or(pool.workers).unwrap_or(defaults::WORKERS),
        signal_queue_len: args.queue.or(pool.queue).unwrap_or(defaults::QUEUE),
        rules: Rules {
            size: args.size,
            sell,
            pricing: args.order,
            cash_buffer,
            limits,
            instruments: manifest.instruments(),
            margin: manifest.broker.margin.unwrap_or_default(),
        },
        weights: portfolio.weights.clone().unwrap_or(defaults::WEIGHTS),
        stream: stream.to_owned(),
        price_interval: args.price_interval,
        timeouts: Timeouts::default(),
        drain: args.drain,
        signals_max: args.max_signals,
        run_for: args.run_for,
        drain_timeout: args.drain_timeout,
        no_wait: args.no_wait,
        seed: state.seed(),
        prices: Arc::default(),
        activity: Activity::default(),
        feed: Feed::default(),
        strategies: None,
        feed_source: match args.feed {
            FeedFrom::Stream => FeedSource::Stream,
            FeedFrom::Poll => FeedSource::Poll,
        },
        record: args.record.clone(),
        record_format: match args.record_format {
            RecordAs::Csv => RecordFormat::Csv,
            RecordAs::Parquet => RecordFormat::Parquet,
        },
        record_files: Vec::new(),
    }
}

/// What is run, so that it can be replayed: the manifest without its secrets, and the text of each script and of what it imports.
fn record_files(args: &Args, manifest: &Manifest, place: &Path) -> Result<Vec<(String, String)>, Failure> {
    let Some(path) = &args.manifest else { return Ok(Vec::new()) };
    let text = Document::open(path)?.resolved(&[], &place.join("session")).map_err(ManifestError::from)?;
    let mut files = vec![(session::MANIFEST.to_owned(), text)];
    for section in &manifest.strategies {
        if let StrategySource::Script(path) = &section.source {
            let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            files.push((format!("{}{FILE_SUFFIX}", section.name), text));
            let script = read_script(path).map_err(|fault| Failure::message(Exit::Invalid, fault))?;
            for module in script.modules() {
                let file = format!("{}.rhai", module.name);
                match files.iter().find(|(other, _)| *other == file) {
                    Some((_, text)) if *text == module.text => {}
                    Some(_) => {
                        let message = format!(
                            "a recorded module must be one of its name, were two, was {}",
                            module.file
                        );
                        return Err(Failure::message(Exit::Invalid, message));
                    }
                    None => files.push((file, module.text.clone())),
                }
            }
        }
    }
    Ok(files)
}

/// The simulated market knows no real prices: every symbol starts at 100 dollars, and the market is always open.
fn simulation(run: &Config, cash: Money) -> bot_simulated::MarketConfig {
    bot_simulated::MarketConfig {
        symbols: run.symbols.iter().map(|symbol| (*symbol, Price::whole(100))).collect(),
        prices: bot_simulated::PriceModel::Walk,
        cash,
        seed: run.seed,
        hours: bot_simulated::Hours::Always,
        margin: run.rules.margin,
        fees: bot_simulated::Fees::None,
        shorting: run.rules.limits.short,
        flips_in_one: run.rules.limits.flip_in_one,
        instruments: run.rules.instruments.clone(),
    }
}

fn beginning(text: &str) -> Result<From, String> {
    let is_id = |id: &str| {
        let (millis, sequence) = id.split_once('-').unwrap_or((id, "0"));
        millis.parse::<u64>().is_ok() && sequence.parse::<u64>().is_ok()
    };
    match text {
        "start" => Ok(From::Start),
        "new" => Ok(From::New),
        id if is_id(id) => Ok(From::Id(EntryId::new(id))),
        _ => Err("must be start, new or an entry id such as 1700000000000-0".to_owned()),
    }
}

pub(super) fn in_range<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (MIN..=MAX).contains(number))
        .ok_or_else(|| format!("must be a whole number from {MIN} to {MAX}"))
}

fn interval(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .and_then(|span| if span.is_zero() { Err("must be above 0".to_owned()) } else { Ok(span) })
}

fn pricing(text: &str) -> Result<Pricing, String> {
    let through = match text.split_once(':') {
        None if text == "market" => return Ok(Pricing::Market),
        Some(("limit", through)) => through.strip_suffix("bps").and_then(|number| number.parse().ok()),
        Some(_) | None => None,
    };
    through
        .map(Pricing::Marketable)
        .ok_or_else(|| "must be market or limit:Nbps such as limit:5bps".to_owned())
}
