//! A worker: takes one signal at a time, steps its order task against the real broker, hands on what became of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::broker::{Broker, Reply, Venue};
use crate::clock::{Clock, Timestamp};
use crate::desk::MarketView;
use crate::gate::Place;
use crate::inbox::{After, Settlement};
use crate::market::{Board, Quote};
use crate::order::{ClientOrderId, OrderReport, OrderType};
use crate::outcome::{Decision, Outcome, OutcomeKind};
use crate::prices::PriceCache;
use crate::risk::{Limits, Refusal};
use crate::shared_desk::SharedDesk;
use crate::signal::{Entry, Signal};
use crate::task::{Ending, OrderTask, Patience, Step};

/// A signal on its way to a worker.
#[derive(Debug)]
pub struct Job {
    /// The entry as read, for the dead-letter stream.
    pub entry: Entry,
    /// What it says.
    pub signal: Signal,
    /// The one id of its order.
    pub client_order_id: ClientOrderId,
    /// Its place in the symbol's line; given up when the job is dropped.
    pub place: Place,
    /// When it reached this process.
    pub received_at: Timestamp,
}

/// What all workers share.
pub struct Floor<'a, V: Venue> {
    /// Where orders go.
    pub venue: &'a V,
    /// Who decides.
    pub desk: &'a SharedDesk,
    /// What the market shows.
    pub prices: &'a PriceCache,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// What may be traded.
    pub limits: &'a Limits,
    /// How long things are waited for.
    pub patience: &'a Patience,
    /// When to leave what is not final to the next process.
    pub give_up: &'a GiveUp,
    /// Where ends are recorded.
    pub settlements: Sender<Settlement>,
    /// Tells the intake that half of the queue is free.
    pub half_empty: Sender<()>,
}

/// The instant after which workers leave what is not final pending, and how many signals they left.
#[derive(Debug)]
pub struct GiveUp {
    at: AtomicI64,
    left: AtomicU64,
}

impl Default for GiveUp {
    fn default() -> Self {
        Self { at: AtomicI64::new(Timestamp::MAX.nanos()), left: AtomicU64::new(0) }
    }
}

impl GiveUp {
    /// Sets the instant.
    pub fn set(&self, at: Timestamp) {
        self.at.store(at.nanos(), Ordering::SeqCst);
    }

    /// Whether the instant has come.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.nanos() >= self.at.load(Ordering::SeqCst)
    }

    /// How long it is until the instant.
    pub fn within(&self, now: Timestamp) -> Duration {
        Timestamp::from_nanos(self.at.load(Ordering::SeqCst)).since(now)
    }

    /// Counts signals that stay pending.
    pub fn leave(&self, signals: u64) {
        self.left.fetch_add(signals, Ordering::SeqCst);
    }

    /// How many signals stay pending.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }
}

/// What the desk saw when it decided.
#[derive(Debug, Clone, Copy, Default)]
struct Sight {
    at: Option<Timestamp>,
    quote: Option<Quote>,
}

/// The longest a worker waits without looking whether it should give up.
const GLANCE: Duration = Duration::from_millis(100);

/// Handles jobs until their sender is dropped.
pub fn work<V: Venue>(floor: &Floor<'_, V>, broker: &mut V::Broker, jobs: &Receiver<Job>) {
    for job in jobs {
        if jobs.len() * 2 <= jobs.capacity().unwrap_or(0) {
            let _ = floor.half_empty.try_send(()); // Full means that it is rung already.
        }
        let span = tracing::info_span!("signal", id = %job.signal.id);
        let _entered = span.enter();
        match handle(floor, broker, &job) {
            // The receiver lives until all workers have ended, so a failed send cannot lose an outcome silently.
            Some(settlement) => {
                if floor.settlements.send(settlement).is_err() {
                    tracing::error!("the settler has gone; the signal stays pending");
                    floor.give_up.leave(1);
                }
            }
            None => floor.give_up.leave(1),
        }
    }
}

/// One signal from beginning to end; `None` when it stays pending.
fn handle<V: Venue>(floor: &Floor<'_, V>, broker: &mut V::Broker, job: &Job) -> Option<Settlement> {
    let stale_at = floor.limits.stale_at(&job.signal);
    let (id, now) = (job.client_order_id.clone(), floor.clock.now());
    let mut task = OrderTask::new(id, job.entry.deliveries, stale_at, floor.patience.clone(), now);
    let mut sight = Sight::default();
    let ended = catch_unwind(AssertUnwindSafe(|| step_until_done(floor, broker, job, &mut task, &mut sight)));
    let (ending, panicked) = match ended {
        Ok(ending) => (ending, false),
        Err(panic) => {
            let cause = panic_text(panic.as_ref());
            tracing::error!(cause, "a panic while handling a signal; the pool goes on");
            (after_panic(floor, broker, job, &mut task, cause), true)
        }
    };
    broker.forget(&job.client_order_id);
    let unknown_to_books = panicked || task.is_adopted() || task.report().is_some_and(has_no_price);
    let now = floor.clock.now();
    match ending {
        Some(Ending::Outcome { kind, reason }) => {
            Some(settlement(floor, job, &task, (kind, reason), unknown_to_books, sight, now))
        }
        Some(Ending::Poison(reason)) => {
            floor.desk.drop_signal(&job.signal.id, unknown_to_books);
            Some(Settlement::Dead { entry: job.entry.clone(), reason })
        }
        None => {
            floor.desk.drop_signal(&job.signal.id, unknown_to_books);
            None
        }
    }
}

fn step_until_done<V: Venue>(
    floor: &Floor<'_, V>,
    broker: &mut V::Broker,
    job: &Job,
    task: &mut OrderTask,
    sight: &mut Sight,
) -> Option<Ending> {
    let id = &job.client_order_id;
    loop {
        let now = floor.clock.now();
        let step = task.next(now);
        if let Step::Done(ending) = step {
            return Some(ending);
        }
        if floor.give_up.is_due(now) {
            tracing::warn!(client_order_id = %id, ?step, "not final in time; it stays pending");
            return None;
        }
        let reply = match step {
            Step::Decide => {
                if job.place.wait_until(floor.clock, now + GLANCE) {
                    *sight = decide(floor, job, task);
                }
                continue;
            }
            Step::Submit(order) => broker.submit(&order),
            Step::Query => broker.query(id),
            Step::Cancel(order_id) => broker.cancel(&order_id),
            Step::Wait(until) => match broker.wait(id, until.since(now).min(GLANCE)) {
                Some(report) => Reply::Report(report),
                None => continue,
            },
            Step::Done(ending) => return Some(ending),
        };
        tracing::debug!(client_order_id = %id, ?reply, "the broker answered");
        task.on(reply, floor.clock.now());
        if let Some(report) = task.report().filter(|_| !task.is_adopted()) {
            floor.desk.apply(&job.signal.id, report);
        }
    }
}

fn decide<V: Venue>(floor: &Floor<'_, V>, job: &Job, task: &mut OrderTask) -> Sight {
    if job.place.is_superseded() {
        task.decided(Err(Refusal::Superseded(job.signal.symbol)), floor.clock.now());
        return Sight::default();
    }
    let snapshots = floor.prices.snapshots();
    let market = MarketView { board: &*snapshots, session: floor.prices.session() };
    let now = floor.clock.now();
    task.decided(floor.desk.decide(&job.signal, &job.client_order_id, market, now), now);
    Sight { at: Some(now), quote: snapshots.snapshot(job.signal.symbol).and_then(|seen| seen.quote) }
}

/// A panic before anything was sent refuses the signal; afterwards the order is looked for, never sent again.
fn after_panic<V: Venue>(
    floor: &Floor<'_, V>,
    broker: &mut V::Broker,
    job: &Job,
    task: &mut OrderTask,
    cause: &str,
) -> Option<Ending> {
    if let Ok(fresh) = floor.venue.connect() {
        *broker = fresh;
    }
    if task.submitted_at().is_none() && job.entry.deliveries <= 1 {
        let refusal = Refusal::Internal(cause.to_owned());
        let reason = format!("{}: {refusal}", refusal.code());
        return Some(Ending::Outcome { kind: OutcomeKind::Refused, reason });
    }
    *task = OrderTask::find_only(job.client_order_id.clone(), floor.patience.clone(), floor.clock.now());
    let ending =
        catch_unwind(AssertUnwindSafe(|| step_until_done(floor, broker, job, task, &mut Sight::default())));
    // Left pending it would be held by this process, which is not given it again.
    ending.unwrap_or_else(|_| {
        let reason = format!("internal_error: {cause}; the order may have been sent");
        Some(Ending::Outcome { kind: OutcomeKind::ExpiredUnconfirmed, reason })
    })
}

/// Fills without a price could not be booked.
fn has_no_price(report: &OrderReport) -> bool {
    report.filled.is_positive() && report.average_price.is_none()
}

/// What became of a signal, with what belongs to it: the step that follows, the books, who is told.
fn settlement<V: Venue>(
    floor: &Floor<'_, V>,
    job: &Job,
    task: &OrderTask,
    (kind, reason): (OutcomeKind, String),
    unknown_to_books: bool,
    sight: Sight,
    now: Timestamp,
) -> Settlement {
    let report = task.report();
    let latency_us = now.since(job.received_at).as_micros();
    tracing::info!(
        outcome = kind.as_str(),
        reason = Some(&reason).filter(|reason| !reason.is_empty()),
        ticker = %job.signal.symbol,
        filled = report.map(|report| report.filled.to_string()),
        price = report.and_then(|report| report.average_price).map(|price| price.to_string()),
        latency_us,
        "signal is settled"
    );
    let (ended, told) = floor.desk.end(&job.signal, (kind, &reason), report, unknown_to_books, now);
    let side = report
        .map(|report| report.side)
        .or(task.approved().map(|approved| approved.request().side))
        .or(job.signal.wanted.side());
    let outcome = Outcome {
        signal: job.signal.id.clone(),
        kind,
        reason,
        client_order_id: Some(job.client_order_id.clone())
            .filter(|_| report.is_some() || task.submitted_at().is_some()),
        symbol: Some(job.signal.symbol),
        side,
        strategy: job.signal.strategy.to_string(),
        order_id: report.map(|report| report.order_id.clone()),
        quantity: report
            .map(|report| report.quantity)
            .or(task.approved().map(|approved| approved.request().quantity)),
        filled: report.map(|report| report.filled),
        average_price: report.and_then(|report| report.average_price),
        received_at: Some(job.received_at),
        submitted_at: task.submitted_at(),
        final_at: Some(now),
        decision: Some(Box::new(Decision {
            signal: job.signal.clone(),
            at: sight.at,
            quote: sight.quote,
            limit: task.approved().and_then(|approved| match approved.request().order_type {
                OrderType::Market => None,
                OrderType::Limit(limit) => Some(limit),
            }),
        })),
    };
    if ended.next.is_none() && ended.own.is_none() && told.is_empty() {
        return Settlement::Outcome(outcome);
    }
    let booked = report.filter(|report| report.filled.is_positive() && ended.own.is_some());
    let after = After {
        next: ended.next.map(|step| job.signal.followed_by(step).fields()),
        changes: ended.own.into_iter().chain(ended.others).collect(),
        books: Vec::new(),
        booked: booked.map(|report| (job.client_order_id.clone(), report.filled)),
        told,
    };
    Settlement::Followed { outcome, after: Box::new(after) }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic without a text")
}
