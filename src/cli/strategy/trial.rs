//! `bot strategy test`: runs a strategy over events and prints what it wants, the same each time.

use std::io::Write;
use std::time::Duration;

use chrono_tz::Tz;
use serde_json::{Map, Value as Json, json};

use super::simulated::{self, SimulatedArgs};
use super::{Folder, Named, ticks};
use crate::cli::Global;
use crate::cli::calendar::written;
use crate::cli::data::timezone;
use crate::cli::exit::{Exit, Failure};
use crate::clock::Timestamp;
use crate::data::Spec;
use crate::duration;
use crate::market::MarketEvent;
use crate::order::OrderType;
use crate::sizing::SizeRule;
use crate::strategy::{Every, Intent, Runner, Value, WrittenParams};
use crate::symbol::Symbol;

/// Runs a strategy over ticks and prints its intents, or its trades, with their times
///
/// Without --simulate nothing is traded: it hears of no fill, and has no position. The same strategy, parameters and ticks
/// print the same lines. Exit code 10 says that an expectation was not met. What it logs
/// goes to stderr; what it plots is counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot strategy test ema_cross --params fast=5 --params slow=10\n  \
    bot strategy test dip --seed 7 --count 10000\n  \
    bot strategy test dip --timeframe 1min\n  \
    bot strategy test strategies/dip_strategy.rhai --ticks NVDA.csv --json\n  \
    bot strategy test dip --simulate --symbol NVDA,AAPL --cash 50000 --fill same_close\n  \
    bot strategy test dip --simulate --ticks NVDA=nvda.csv --ticks AAPL=aapl.csv\n  \
    bot strategy test dip --simulate --write dip.toml     what happened, as expectations to begin from\n  \
    bot strategy test dip --simulate --expect dip.toml    exit code 10 where one is not met\n\n\
    --ticks takes a file with a header, time,price[,size] or time,open,high,low,close[,volume], and judges it as a backtest does.\n\n\
    Expectations are tables [[expect]]. With at = \"2024-01-02 10:15\", New York's or RFC 3339:\n  \
    signal = { symbol = \"NVDA\", strength = 1.0 }    or weight = 0.5, side = \"buy\", quantity = 5\n  \
    position = { NVDA = 100 }                       after all that happened until then\n  \
    equity = 100250.0, tolerance = 5.0              tolerance is 1 dollar where none is written\n\
    Without at:\n  \
    none = true, from = \"...\", to = \"...\"          no signal between, of symbol where one is written\n  \
    orders = 3                                      at the broker in all\n\n\
    A time is met by what happens in its millisecond.")]
pub(super) struct Args {
    /// A script's file or name, or a kind
    #[arg(value_name = "FILE|KIND")]
    pub(super) name: String,
    /// Sets a parameter; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = param, value_delimiter = ',', num_args = 1)]
    params: Vec<(String, Value)>,
    /// A CSV file of bars or ticks, a Parquet file of bars, or a recorded directory; without it a random walk. With
    /// --simulate several as SYMBOL=FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "count"])]
    pub(super) ticks: Vec<ticks::TicksFile>,
    /// Whose ticks they are [default: NVDA]; with --simulate several, each with a random walk of its own
    #[arg(long = "symbol", value_name = "SYMBOL", value_delimiter = ',', num_args = 1)]
    pub(super) symbols: Vec<Symbol>,
    /// How long each bar of the file is, or the bars that finer rows make [default: 1min]; the random walk is of such
    /// bars then, and not of trades
    #[arg(long, value_name = "DUR", value_parser = timeframe)]
    pub(super) timeframe: Option<Duration>,
    /// The clock of the file's times without an offset [default: New York's]
    #[arg(long, value_name = "ZONE", value_parser = timezone, requires = "ticks")]
    pub(super) timezone: Option<Tz>,
    /// Ticks of the random walk, one a second, or its bars
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// Another seed, another walk
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) simulated: SimulatedArgs,
    #[command(flatten)]
    pub(super) folder: Folder,
}

impl Args {
    pub(super) fn params(&self) -> WrittenParams {
        self.params.iter().cloned().collect()
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    if args.simulated.is_asked_for {
        return simulated::run(args, global);
    }
    let specs = ticks::specs(args)?;
    let [spec] = specs.as_slice() else {
        let message = format!("--symbol must be one without --simulate, were {}", specs.len());
        return Err(Failure::message(Exit::Usage, message));
    };
    let strategy = Named::find(&args.name, &args.folder)?
        .make(&args.params(), &[spec.symbol])
        .map_err(|error| Failure::new(Exit::Invalid, error))?;
    let mut trial = StrategyTrial {
        runner: Runner::new(&args.name, strategy, &[], Every::Event),
        out: std::io::BufWriter::new(std::io::stdout().lock()),
        json: global.json,
        events: 0,
        intents: 0,
    };
    let shown = trial.show_all(spec);
    // What it wanted until then is still shown, then the first failure ends the trial.
    written(trial.out.flush())?;
    if shown? {
        let used = trial.runner.used().map_or_else(String::new, |used| format!("; {used}"));
        let plotted = match trial.runner.plot_count() {
            0 => String::new(),
            points => format!(", {points} points plotted"),
        };
        eprintln!("{} events, {} intents{plotted}{used}", trial.events, trial.intents);
    }
    Ok(())
}

/// A strategy that is shown events.
struct StrategyTrial<'a> {
    runner: Runner,
    out: std::io::BufWriter<std::io::StdoutLock<'a>>,
    json: bool,
    events: u64,
    intents: u64,
}

impl StrategyTrial<'_> {
    /// Shows all events; false when nobody reads what it wants any more.
    fn show_all(&mut self, spec: &Spec) -> Result<bool, Failure> {
        let mut source = ticks::open(spec)?;
        while let Some(chunk) = source.next_chunk()? {
            if !self.show(chunk.events())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn show(&mut self, events: impl IntoIterator<Item = MarketEvent>) -> Result<bool, Failure> {
        for event in events {
            self.events += 1;
            let at = event.known_at();
            let failed = |failure| Failure::message(Exit::Invalid, format!("at {at}: {failure}"));
            for intent in self.runner.on_event(&event).map_err(failed)? {
                self.intents += 1;
                let line = if self.json { as_json(at, &intent).to_string() } else { as_text(at, &intent) };
                if written(writeln!(self.out, "{line}"))?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

fn as_text(at: Timestamp, intent: &Intent) -> String {
    let time = at.to_new_york().to_rfc3339();
    let tag = intent.tag().map_or_else(String::new, |tag| format!(" tag \"{}\"", tag.as_str()));
    let said = match intent {
        Intent::Signal { symbol, strength, .. } => format!("{symbol} signal {:+}", strength.get()),
        Intent::Order { symbol, side, size, order_type, .. } => {
            let size = size.to_string();
            let size = size.strip_suffix("sh").unwrap_or(&size);
            match order_type {
                OrderType::Market => format!("{symbol} {side} {size} market"),
                OrderType::Limit(limit) => format!("{symbol} {side} {size} limit {limit}"),
            }
        }
        Intent::Weight { symbol, weight, .. } => format!("{symbol} weight {:+}", weight.get()),
        Intent::Holdings { weights, .. } => {
            let each = weights.iter().map(|(symbol, weight)| format!("{symbol} {:+}", weight.get()));
            format!("holdings {}", each.collect::<Vec<_>>().join(", "))
        }
        Intent::CancelAll => "cancel all".to_owned(),
    };
    format!("{time} {said}{tag}")
}

fn as_json(at: Timestamp, intent: &Intent) -> Json {
    let mut said = match intent {
        Intent::Signal { symbol, strength, .. } => {
            json!({ "time": at, "intent": "signal", "symbol": symbol, "strength": strength.get() })
        }
        Intent::Order { symbol, side, size, order_type, .. } => {
            let (key, size) = match size {
                SizeRule::Shares(shares) => ("qty", shares.to_string()),
                SizeRule::All | SizeRule::Fraction(_) | SizeRule::Notional(_) => ("size", size.to_string()),
            };
            let limit = match order_type {
                OrderType::Market => None,
                OrderType::Limit(limit) => Some(limit.to_string()),
            };
            json!({ "time": at, "intent": "order", "symbol": symbol, "side": side.as_str(), key: size, "limit": limit })
        }
        Intent::Weight { symbol, weight, .. } => {
            json!({ "time": at, "intent": "weight", "symbol": symbol, "weight": weight.get() })
        }
        Intent::Holdings { weights, .. } => {
            let weights: Map<String, Json> =
                weights.iter().map(|(symbol, weight)| (symbol.to_string(), weight.get().into())).collect();
            json!({ "time": at, "intent": "holdings", "weights": weights })
        }
        Intent::CancelAll => json!({ "time": at, "intent": "cancel_all" }),
    };
    if let Some(tag) = intent.tag() {
        said["tag"] = tag.as_str().into();
    }
    said
}

fn timeframe(text: &str) -> Result<Duration, String> {
    duration::parse_timeframe(text).map_err(|rule| format!("{rule}, was \"{text}\""))
}

fn param(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("must be NAME=VALUE, was \"{text}\""))?;
    Ok((name.trim().to_owned(), Value::parse(value)))
}
