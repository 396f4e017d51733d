//! `bot send`.

use std::io::Write;

use clap::ValueEnum;

use super::Global;
use super::exit::{Exit, Failure};
use crate::inbox::producer::Producer;
use crate::inbox::redis_stream::{RedisFault, RedisUrl};
use crate::symbol::Symbol;
use crate::units::Quantity;

/// Send one signal
///
/// Appends one entry to the stream and prints its id.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bot send b                         buy NVDA, as much as the sizing rule says\n  \
    bot send s --qty 5                 sell five shares\n  \
    bot send b --id mine-7             sending it twice is the same signal"
)]
pub struct Args {
    /// Which way
    #[arg(value_enum)]
    direction: Direction,
    /// What
    #[arg(long, default_value = "NVDA")]
    ticker: Symbol,
    /// How many shares; without it the sizing rule decides
    #[arg(long, value_name = "N", value_parser = quantity, allow_negative_numbers = true)]
    qty: Option<Quantity>,
    /// The signal's own id: the same id is the same signal, however often it is sent
    #[arg(long, value_parser = signal_id)]
    id: Option<String>,
    #[command(flatten)]
    target: SendTarget,
}

/// The stream that signals are sent to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SendTarget {
    /// The stream of signals
    #[arg(long, default_value = "nvda", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) stream: String,
    /// Where Redis is (rediss:// for TLS)
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379",
        value_name = "URL"
    )]
    pub(super) redis_url: RedisUrl,
}

/// As the stream spells it, and as people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Buy
    #[value(alias = "buy")]
    B,
    /// Sell
    #[value(alias = "sell")]
    S,
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { direction, ticker, qty, id, target } = args;
    let mut producer = target.producer()?;
    let direction = match direction {
        Direction::B => "b",
        Direction::S => "s",
    };
    let qty = qty.map(|quantity| quantity.to_string());
    let mut fields = vec![("ticker", ticker.as_str()), ("direction", direction)];
    fields.extend(qty.as_deref().map(|qty| ("qty", qty)));
    fields.extend(id.as_deref().map(|id| ("id", id)));
    let sent = producer.send(&target.stream, &fields).map_err(failure)?;
    let mut stdout = std::io::stdout().lock();
    if global.json {
        let answer = serde_json::json!({ "id": sent.as_str(), "ticker": ticker, "direction": direction });
        writeln!(stdout, "{answer}")?;
    } else {
        writeln!(stdout, "{sent}")?;
    }
    Ok(())
}

impl SendTarget {
    /// A producer that has not connected yet; a URL that cannot be read is a usage error.
    pub(super) fn producer(&self) -> Result<Producer, Failure> {
        self.redis_url.check().map_err(|fault| Failure::new(Exit::Usage, fault))?;
        Ok(Producer::new(self.redis_url.clone()))
    }
}

/// The exit code that a producer's fault ends in.
pub(super) fn failure(fault: RedisFault) -> Failure {
    let exit = match &fault {
        RedisFault::Unavailable(_) => Exit::Unreachable,
        RedisFault::Credentials(_) => Exit::Credentials,
        RedisFault::Misused(_) => Exit::Invalid,
    };
    Failure::new(exit, anyhow::Error::new(fault).context("redis does not take the signal"))
}

fn quantity(text: &str) -> Result<Quantity, String> {
    text.parse()
        .ok()
        .filter(|quantity: &Quantity| quantity.is_positive())
        .ok_or_else(|| format!("qty must be a number of shares above 0, at most 9 decimals, was \"{text}\""))
}

fn signal_id(text: &str) -> Result<String, String> {
    let id = text.trim();
    if id.is_empty() || id.len() > 128 {
        return Err(format!("id must be 1 to 128 bytes, was {}", id.len()));
    }
    Ok(id.to_owned())
}
