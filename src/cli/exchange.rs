//! `bot exchange`: the paper exchange as a process of its own.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono_tz::America::New_York;
use clap::ValueEnum;
use crossbeam_channel::select;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::info;

use super::Global;
use super::exit::{Exit, Failure};
use super::rate_limit::RateLimit;
use crate::clock::SystemClock;
use crate::exchange::{Answer, Config, Exchange, RequestLimit};
use crate::instrument::Instruments;
use crate::margin::Margin;
use crate::symbol::Symbol;
use crate::units::{Money, Price};
use crate::{data, duration};
use bot_simulated::{Fees, Hours, MarketConfig, PriceModel};

/// The paper exchange: Alpaca's trading and data API with a simulated market and account behind it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bot exchange                                       NVDA from 180, regular hours, any key\n  \
    bot exchange --hours always --symbols NVDA=180,SPY=650\n  \
    bot exchange --hours always --margin               a margin account: long/short strategies are rehearsed\n  \
    bot exchange --prices NVDA_1min.csv --speed 60     a minute of the file each second\n  \
    bot exchange --listen 127.0.0.1:0 --latency 20ms --jitter 10ms --rate-limit off\n\n\
    Then point a client at it: APCA_API_BASE_URL and APCA_API_DATA_URL are both http://127.0.0.1:8900,\n\
    APCA_API_STREAM_URL is ws://127.0.0.1:8900/stream, and the keys are any two words."
)]
pub struct Args {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8900")]
    listen: SocketAddr,
    /// What is traded, with start prices
    #[arg(long, value_name = "SYMBOL=PRICE,...", value_delimiter = ',', default_value = "NVDA=180")]
    symbols: Vec<Start>,
    /// Replays a bar file (datetime,open,high,low,close,volume) instead of the seeded random walk; its first price is the start price
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Seconds of the bar file per second
    #[arg(long, value_name = "X", default_value = "1", requires = "prices", value_parser = speed)]
    speed: f64,
    /// What the account starts with, in dollars
    #[arg(long, value_name = "DOLLARS", default_value = "100000", value_parser = cash, allow_negative_numbers = true)]
    cash: Money,
    /// A margin account: shares that are not held are sold short, and positions may be worth twice the equity; without it a
    /// cash account, which refuses shorts
    #[arg(long)]
    margin: bool,
    /// Decides on prices and ids
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// When the market is open: in New York's sessions, or around the clock
    #[arg(long, value_enum, value_name = "HOURS", default_value = "regular")]
    hours: HoursArg,
    /// Delays every answer
    #[arg(long, value_name = "DUR", default_value = "0ms", value_parser = duration::parse)]
    latency: Duration,
    /// Delays every answer by up to this much more, at random
    #[arg(long, value_name = "DUR", default_value = "0ms", value_parser = duration::parse)]
    jitter: Duration,
    /// Requests per key, for trading and for data each
    #[arg(long, value_name = "N/DUR|off", default_value = "200/60s")]
    rate_limit: RateLimit,
    /// The only key id that is let in; any that is not empty otherwise
    #[arg(long, value_name = "K")]
    key: Option<Hidden>,
    /// The only secret that is let in; any that is not empty otherwise
    #[arg(long, value_name = "S")]
    secret: Option<Hidden>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HoursArg {
    Regular,
    Always,
}

/// A symbol and its start price.
#[derive(Debug, Clone, Copy)]
struct Start {
    symbol: Symbol,
    price: Price,
}

impl FromStr for Start {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (symbol, price) = text
            .split_once('=')
            .ok_or_else(|| format!("must be SYMBOL=PRICE such as NVDA=180, was \"{text}\""))?;
        Ok(Self {
            symbol: symbol.parse().map_err(|error| format!("{error}"))?,
            price: price.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

/// A text that stays out of logs.
#[derive(Clone)]
struct Hidden(String);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

/// Serves until SIGINT or SIGTERM.
pub fn run(args: Args, _global: &Global) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listen for signals")?;
    let (told, stop) = crossbeam_channel::bounded(1);
    let running = Exchange::start(config(args)?, Arc::new(SystemClock))?;
    // Ends with the process: it waits for a signal that may never come.
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().next().map(|signal| told.send(signal)))
        .context("start the signals thread")?;
    let listening = serde_json::json!({"listening": running.addr().to_string()});
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{listening}").and_then(|()| stdout.flush()).context("write to stdout")?;
    drop(stdout);
    info!(address = %running.addr(), "the exchange is open");
    select! {
        recv(stop) -> _ => info!("stopping"),
        recv(running.ended()) -> _ => {
            running.stop().context("serve")?;
            return Err(anyhow!("the exchange's thread ended by itself").into());
        }
    }
    let counts = running.counts();
    running.stop().context("stop serving")?;
    info!(requests = counts.requests, orders = counts.posts, connections = counts.connections, "closed");
    Ok(())
}

fn config(args: Args) -> Result<Config, Failure> {
    let symbols = symbols(&args)?;
    let prices = match (&args.prices, symbols.as_slice()) {
        (None, _) => PriceModel::Walk,
        (Some(path), [(symbol, _)]) => {
            let bars = data::bars(path, *symbol, New_York)?;
            if bars.is_empty() {
                let text = format!("{}: file must hold at least one bar, held none", path.display());
                return Err(Failure::message(Exit::Invalid, text));
            }
            PriceModel::Replay { bars, speed: args.speed }
        }
        (Some(_), symbols) => {
            let count = symbols.len();
            return Err(Failure::message(
                Exit::Usage,
                format!("--prices replays one symbol, --symbols named {count}"),
            ));
        }
    };
    let hours = match args.hours {
        HoursArg::Regular => Hours::Regular,
        HoursArg::Always => Hours::Always,
    };
    let market = MarketConfig {
        symbols,
        prices,
        cash: args.cash,
        seed: args.seed,
        hours,
        margin: Margin::CASH,
        fees: Fees::None,
        shorting: false,
        flips_in_one: false,
        instruments: Instruments::default(),
    };
    Ok(Config {
        listen: args.listen,
        market: if args.margin { market.on_margin() } else { market },
        latency: args.latency,
        jitter: args.jitter,
        limit: match args.rate_limit {
            RateLimit::Off => None,
            RateLimit::Limited { requests, span } => Some(RequestLimit { requests, span }),
        },
        key: args.key.map(|hidden| hidden.0),
        secret: args.secret.map(|hidden| hidden.0),
        answer: Answer::Accepted,
    })
}

/// Each once, and with `--margin` no coins: Alpaca lends on shares alone.
fn symbols(args: &Args) -> Result<Vec<(Symbol, Price)>, Failure> {
    let usage = |text: String| Err(Failure::message(Exit::Usage, text));
    let mut symbols: Vec<(Symbol, Price)> = Vec::new();
    for Start { symbol, price } in &args.symbols {
        if symbols.iter().any(|(known, _)| known == symbol) {
            return usage(format!("--symbols must name each symbol once, {symbol} came twice"));
        }
        if args.margin && symbol.is_pair() {
            return usage(format!("--symbols must be shares with --margin, was {symbol}"));
        }
        symbols.push((*symbol, *price));
    }
    Ok(symbols)
}

fn speed(text: &str) -> Result<f64, String> {
    let bad = || format!("speed must be a number from 0.001 to 1000000, was \"{text}\"");
    text.parse().ok().filter(|speed| (0.001..=1e6).contains(speed)).ok_or_else(bad)
}

fn cash(text: &str) -> Result<Money, String> {
    let bad = || format!("cash must be 0 or more dollars, was \"{text}\"");
    text.parse().ok().filter(|cash: &Money| *cash >= Money::ZERO).ok_or_else(bad)
}
