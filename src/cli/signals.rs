//! `bot signals`: the generator of random signals.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::ValueEnum;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use super::Global;
use super::calendar::written;
use super::exit::{Exit, Failure};
use super::send::{SendTarget, failure};
use crate::calendar;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::duration;
use crate::inbox::producer::Producer;
use crate::inbox::redis_stream::RedisFault;
use crate::order::Side;
use crate::signal::EntryId;
use crate::symbol::Symbol;

/// The signal generator
///
/// Sends random buy and sell signals in market hours until it is stopped. When Redis goes away it waits and goes on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bot signals                                    one in 200 seconds, in market hours\n  \
    bot signals --hours always --probability 1     one each second\n  \
    bot signals --hours always --probability 1 --interval 1ms --count 1000 --seed 7"
)]
pub struct Args {
    /// How likely a signal is at each tick, 0 to 1
    #[arg(long, default_value = "0.005", value_name = "P", value_parser = probability, allow_negative_numbers = true)]
    probability: f64,
    /// Time between two ticks
    #[arg(long, default_value = "1s", value_name = "DUR", value_parser = interval)]
    interval: Duration,
    /// When it sends: in regular market hours, or always
    #[arg(long, value_enum, default_value = "regular")]
    hours: SignalHours,
    /// Stops after so many signals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// The same seed makes the same sequence of signals
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What the signals name
    #[arg(long, default_value = "NVDA")]
    ticker: Symbol,
    #[command(flatten)]
    target: SendTarget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SignalHours {
    /// While the New York Stock Exchange is open
    Regular,
    /// At all times
    Always,
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let producer = args.target.producer()?;
    let seed = match args.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    let generator = SignalGenerator::new(seed, args.probability, args.hours);
    let (stop, stopped) = bounded(1);
    let signals = stop_signals()?;
    let handle = signals.handle();
    let sender = Sender { args, json: global.json, producer, stopped, is_down: false, is_closed: false };
    std::thread::scope(|scope| {
        // The main thread takes the signals: they would break off a read from Redis.
        let sending = scope.spawn(move || {
            let _ended = CloseOnDrop(handle);
            sender.run(generator)
        });
        wait_for_signal(signals, &stop);
        sending.join().unwrap_or_else(|_| Err(Failure::message(Exit::Unexpected, "the generator panicked")))
    })
}

/// What is decided at each tick: nothing else depends on the seed.
struct SignalGenerator {
    rng: ChaCha8Rng,
    probability: f64,
    hours: SignalHours,
}

impl SignalGenerator {
    fn new(seed: u64, probability: f64, hours: SignalHours) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), probability, hours }
    }

    /// Closed hours use up no randomness: the sequence goes on where it stood.
    fn decide(&mut self, now: Timestamp) -> Option<Side> {
        if self.hours == SignalHours::Regular && !calendar::clock_at(now).is_open {
            return None;
        }
        let is_due = self.rng.random_bool(self.probability);
        let side = if self.rng.random_bool(0.5) { Side::Buy } else { Side::Sell };
        is_due.then_some(side)
    }
}

struct Sender {
    args: Args,
    json: bool,
    producer: Producer,
    stopped: Receiver<()>,
    is_down: bool,
    is_closed: bool,
}

/// After standing still for this long (Redis was away, the machine slept) missed ticks are left out, not made up for.
const LATE_MAX: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_millis(500);

impl Sender {
    fn run(mut self, mut generator: SignalGenerator) -> Result<(), Failure> {
        let mut left = self.args.count.unwrap_or(u64::MAX);
        let mut tick = SystemClock.now();
        while left > 0 && self.sleep_until(tick) {
            self.say_whether_closed(SystemClock.now());
            if let Some(side) = generator.decide(SystemClock.now()) {
                let Some(id) = self.send(side)? else { break };
                if written(self.print(&id, side))?.is_none() {
                    break;
                }
                left -= 1;
            }
            tick = next_tick(tick, self.args.interval, SystemClock.now());
        }
        Ok(())
    }

    /// Tries until Redis takes it; `None` when it was stopped before. Where the connection broke it may be there twice.
    fn send(&mut self, side: Side) -> Result<Option<EntryId>, Failure> {
        let fields = [("ticker", self.args.ticker.as_str()), ("direction", direction(side))];
        loop {
            match self.producer.send(&self.args.target.stream, &fields) {
                Ok(id) => {
                    if self.is_down {
                        tracing::info!("redis is back");
                        self.is_down = false;
                    }
                    return Ok(Some(id));
                }
                Err(RedisFault::Unavailable(text)) => {
                    if !self.is_down {
                        tracing::warn!("redis is away, waiting for it: {text}");
                        self.is_down = true;
                    }
                    if !self.sleep_until(SystemClock.now() + RETRY_AFTER) {
                        return Ok(None);
                    }
                }
                Err(fault @ (RedisFault::Credentials(_) | RedisFault::Misused(_))) => {
                    return Err(failure(fault));
                }
            }
        }
    }

    /// Silence at night is no fault: it is said once, as is the end of it.
    fn say_whether_closed(&mut self, now: Timestamp) {
        if self.args.hours == SignalHours::Always {
            return;
        }
        let market = calendar::clock_at(now);
        if market.is_open == self.is_closed {
            self.is_closed = !market.is_open;
            if self.is_closed {
                tracing::info!("market is closed until {}", market.next_open.to_new_york().to_rfc3339());
            } else {
                tracing::info!("market is open");
            }
        }
    }

    fn print(&self, id: &EntryId, side: Side) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let (ticker, direction) = (self.args.ticker, direction(side));
        if self.json {
            let sent = serde_json::json!({ "id": id.as_str(), "ticker": ticker, "direction": direction });
            writeln!(stdout, "{sent}")
        } else {
            writeln!(stdout, "{id} {ticker} {direction}")
        }
    }

    /// False when it was stopped meanwhile.
    fn sleep_until(&self, time: Timestamp) -> bool {
        let stopped = self.stopped.recv_timeout(time.since(SystemClock.now()));
        stopped == Err(RecvTimeoutError::Timeout)
    }
}

/// Ticks stand on a grid, so that waking late does not add up.
fn next_tick(tick: Timestamp, interval: Duration, now: Timestamp) -> Timestamp {
    let next = tick + interval;
    // Waking a little early is no reason to move the grid; a clock that was set back is.
    let is_lost = now.since(next) > LATE_MAX || next.since(now) > interval * 2;
    if is_lost { now + interval } else { next }
}

fn direction(side: Side) -> &'static str {
    match side {
        Side::Buy => "b",
        Side::Sell => "s",
    }
}

/// The first signal stops it cleanly, a second one at once.
fn stop_signals() -> Result<Signals, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(Signals::new([SIGINT, SIGTERM])?)
}

/// Ends the wait for a signal, however its holder ends.
struct CloseOnDrop(Handle);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn wait_for_signal(mut signals: Signals, stop: &crossbeam_channel::Sender<()>) {
    if signals.forever().next().is_some() {
        let _ = stop.send(()); // Nobody listens any more: it has stopped.
    }
}

fn random_seed() -> Result<u64, Failure> {
    let mut rng = rand::rngs::SysRng;
    rand::TryRng::try_next_u64(&mut rng).map_err(|error| anyhow::anyhow!("no random seed: {error}").into())
}

fn probability(text: &str) -> Result<f64, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|probability| (0.0..=1.0).contains(probability))
        .ok_or_else(|| format!("probability must be 0 to 1, was \"{text}\""))
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse(text)?;
    if (Duration::from_micros(100)..=Duration::from_hours(24)).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("interval must be 100us to 1d, was \"{text}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "2026-11-20T15:30:00Z";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn decisions(seed: u64, count: usize) -> Vec<Option<Side>> {
        let mut generator = SignalGenerator::new(seed, 0.3, SignalHours::Regular);
        (0..count).map(|_| generator.decide(at(OPEN))).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_decisions_and_another_seed_others() {
        assert_eq!(decisions(7, 500), decisions(7, 500));
        assert_ne!(decisions(7, 500), decisions(8, 500));
    }

    #[test]
    fn both_sides_come_as_often_as_they_should() {
        let decisions = decisions(1, 10_000);
        let count = |side| decisions.iter().filter(|decision| **decision == Some(side)).count();
        for side in [Side::Buy, Side::Sell] {
            assert!((1_350..1_650).contains(&count(side)), "{side}: {}", count(side));
        }
    }

    #[test]
    fn closed_hours_send_nothing_and_leave_the_sequence_where_it_was() {
        let mut generator = SignalGenerator::new(7, 0.3, SignalHours::Regular);
        // Saturday, Thanksgiving, before the open, at the close, after an early close.
        for closed in [
            "2026-11-21T15:30:00Z",
            "2026-11-26T15:30:00Z",
            "2026-11-20T14:29:59Z",
            "2026-11-20T21:00:00Z",
            "2026-11-27T18:00:00Z",
        ] {
            for _ in 0..100 {
                assert_eq!(generator.decide(at(closed)), None, "{closed}");
            }
        }
        let after: Vec<_> = (0..50).map(|_| generator.decide(at(OPEN))).collect();
        assert_eq!(after, decisions(7, 50));
        let mut always = SignalGenerator::new(7, 1.0, SignalHours::Always);
        assert!(always.decide(at("2026-11-21T15:30:00Z")).is_some());
    }

    #[test]
    fn ticks_stay_on_their_grid_unless_too_many_were_missed() {
        let (second, start) = (Duration::from_secs(1), at(OPEN));
        let late = |millis| next_tick(start, second, start + Duration::from_millis(millis));
        assert_eq!(late(1), start + second);
        assert_eq!(late(1_900), start + second);
        assert_eq!(next_tick(start, second, start - Duration::from_millis(1)), start + second);
        assert_eq!(late(60_000), start + second * 61);
        assert_eq!(
            next_tick(start, second, start - Duration::from_hours(1)),
            start - Duration::from_secs(3_599)
        );
    }

    #[test]
    fn probability_and_interval_say_what_they_may_be() {
        assert_eq!(probability("1.5").unwrap_err(), "probability must be 0 to 1, was \"1.5\"");
        assert!(probability("nan").is_err());
        assert_eq!(interval("0s").unwrap_err(), "interval must be 100us to 1d, was \"0s\"");
        assert_eq!(interval("1ms"), Ok(Duration::from_millis(1)));
    }
}
