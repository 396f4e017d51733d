//! One subject's turn: start, a paced block for latency, a burst for throughput, stop.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::broker::{Arrival, OrderServer};
use crate::signals::{Sender, SignalServer};
use crate::subject::{Process, Subject};

/// How long anything may take before the run is given up.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The servers that every subject works between.
pub(crate) struct Rig {
    pub(crate) orders: OrderServer,
    pub(crate) signals: SignalServer,
}

/// How much is sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Load {
    /// Paced signals before anything is measured.
    pub(crate) warm_up: u32,
    /// Paced signals whose latency is measured.
    pub(crate) paced: u32,
    pub(crate) paced_per_second: u32,
    /// Signals that are all there at once.
    pub(crate) burst: u32,
}

impl Load {
    pub(crate) fn full() -> Self {
        Self { warm_up: 200, paced: 1_000, paced_per_second: 200, burst: 20_000 }
    }

    pub(crate) fn quick() -> Self {
        Self { warm_up: 40, paced: 200, burst: 2_000, ..Self::full() }
    }
}

/// What one turn showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) start: Start,
    pub(crate) latency: Latency,
    pub(crate) burst: Burst,
    pub(crate) memory_peak_mib: f64,
}

/// How soon a process works, in milliseconds from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// To its first XREADGROUP.
    pub(crate) first_read: f64,
    /// To the order for a signal that was waiting.
    pub(crate) first_order: f64,
}

/// Microseconds from right before XADD is written to the order's last byte at the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// What a burst showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    /// From the first order to the last.
    pub(crate) orders_per_second: f64,
    /// From the first order until nothing is pending in the group.
    pub(crate) settled_per_second: f64,
    /// Look-ups, polls and cancels of orders.
    pub(crate) follow_ups: f64,
    /// Prices, account and the like.
    pub(crate) other_requests: f64,
    /// User and system time.
    pub(crate) cpu_seconds_per_1000: f64,
}

pub(crate) fn run(rig: &Rig, subject: Subject, load: Load) -> anyhow::Result<Sample> {
    let mut sender = rig.signals.sender()?;
    rig.orders.reset();
    let warm_up = 2..2 + load.warm_up;
    let paced = warm_up.end..warm_up.end + load.paced;
    let burst = paced.end..paced.end + load.burst;

    sender.send(1)?;
    sender.take_answers()?;
    let first_read = rig.signals.watch_first_read()?;
    let started = Instant::now();
    let mut turn = Turn { process: Process::start(subject, rig)?, rig, sender };
    turn.wait_for_orders(1)?;
    let arrivals = rig.orders.arrivals()?;
    let first_order = arrivals.first().context("find the first order")?.at;
    let first_read = first_read.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))?;

    let start = Start {
        first_read: milliseconds(first_read - started),
        first_order: milliseconds(first_order - started),
    };

    turn.pace(warm_up, load.paced_per_second)?;
    let latency = turn.pace(paced, load.paced_per_second)?;
    let burst = turn.burst(burst)?;
    let memory_peak_mib = turn.process.memory_peak_mib()?;
    check_one_order_each(&rig.orders.arrivals()?, 1 + load.warm_up + load.paced + load.burst)?;
    turn.process.stop()?;
    Ok(Sample { start, latency, burst, memory_peak_mib })
}

struct Turn<'a> {
    process: Process,
    rig: &'a Rig,
    sender: Sender,
}

impl Turn<'_> {
    /// Sends signals one by one and measures how long each takes to become an order.
    fn pace(&mut self, numbers: Range<u32>, per_second: u32) -> anyhow::Result<Latency> {
        let arrived = self.rig.orders.arrived();
        let begin = Instant::now() + Duration::from_millis(5);
        let mut sent = Vec::with_capacity(numbers.len());
        for (index, number) in (0..).zip(numbers.clone()) {
            // Up to a millisecond aside, so that no timer of the subject's keeps step with us.
            let aside = Duration::from_micros(u64::from(index * 617 % 1_000));
            let due = begin + Duration::from_secs(1) / per_second * index + aside;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent.push(self.sender.send(number)?);
        }
        self.sender.take_answers()?;
        self.wait_until_settled(arrived + sent.len())?;

        let mut latencies: Vec<_> = self.rig.orders.arrivals()?[arrived..]
            .iter()
            .filter_map(|order| {
                let sent = sent.get(usize::try_from(order.number.checked_sub(numbers.start)?).ok()?)?;
                Some((order.at - *sent).as_secs_f64() * 1e6)
            })
            .collect();
        latencies.sort_by(f64::total_cmp);
        Ok(Latency {
            p50: percentile(&latencies, 0.5),
            p99: percentile(&latencies, 0.99),
            p999: percentile(&latencies, 0.999),
        })
    }

    /// Sends signals all at once and measures how fast they become orders, and what that costs.
    fn burst(&mut self, numbers: Range<u32>) -> anyhow::Result<Burst> {
        let arrived = self.rig.orders.arrived();
        let others = self.rig.orders.other_requests();
        let cpu = self.process.cpu_seconds()?;
        self.sender.send_at_once(numbers.clone())?;
        let settled = self.wait_until_settled(arrived + numbers.len())?;
        let cpu = self.process.cpu_seconds()? - cpu;
        let others_after = self.rig.orders.other_requests();

        let arrivals = self.rig.orders.arrivals()?;
        let (Some(first), Some(last)) = (arrivals.get(arrived), arrivals.last()) else {
            bail!("a burst must be answered by orders");
        };
        let count = f64::from(numbers.end - numbers.start);
        Ok(Burst {
            orders_per_second: count / (last.at - first.at).as_secs_f64(),
            settled_per_second: count / (settled - first.at).as_secs_f64(),
            follow_ups: count_between(others.follow_ups, others_after.follow_ups),
            other_requests: count_between(others.rest, others_after.rest),
            cpu_seconds_per_1000: cpu / count * 1_000.0,
        })
    }

    /// Returns when `count` orders arrived and nothing was pending any more.
    fn wait_until_settled(&mut self, count: usize) -> anyhow::Result<Instant> {
        self.wait_for_orders(count)?;
        let until = Instant::now() + WAIT_MAX;
        loop {
            let pending = self.sender.pending()?;
            let now = Instant::now();
            if pending == 0 {
                return Ok(now);
            }
            if now > until {
                bail!("all signals must be acknowledged, {pending} are pending{}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_for_orders(&mut self, count: usize) -> anyhow::Result<()> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let arrived = self.rig.orders.arrived();
            if arrived >= count {
                return Ok(());
            }
            self.process.check_alive()?;
            if Instant::now() > until {
                bail!("{count} orders must arrive, were {arrived}{}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn last_words(&mut self) -> String {
        self.process.last_words() + &self.sender.last_record()
    }
}

/// A fast subject that skips or doubles orders is no subject.
fn check_one_order_each(arrivals: &[Arrival], count: u32) -> anyhow::Result<()> {
    let mut numbers: Vec<_> = arrivals.iter().map(|order| order.number).collect();
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(1..=count) {
        bail!("every signal must give exactly one order, {} orders came for {count} signals", numbers.len());
    }
    Ok(())
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let rank = (sorted.len() as f64 * part).ceil() as usize; // Nearest rank: a value that was measured.
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn count_between(before: usize, after: usize) -> f64 {
    (after - before) as f64
}
