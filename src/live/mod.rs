//! The live pool's wiring: who owns which thread and queue, start-up, shutdown in the direction of the data.

mod backoff;
mod intake;
mod market_data;
mod reconcile;
mod session_log;
mod settling;
mod start_up;
mod stop;
mod summary;

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use thiserror::Error;

use crate::broker::{Broker, Venue};
use crate::clock::{Clock, Timestamp};
use crate::desk::Rules;
use crate::feed::Feed;
use crate::gate::Gate;
use crate::history::session::SessionEnd;
use crate::history::{HistoryError, RecordFormat};
use crate::inbox::{Inbox, Settlement, Settler};
use crate::outcome::Outcome;
use crate::pool::{self, Floor, GiveUp, Job};
use crate::prices::{self, PriceCache};
use crate::shared_desk::SharedDesk;
use crate::sizing::WeightRule;
use crate::symbol::Symbol;
use crate::task::Patience;

use intake::{Intake, IntakeEnd};
use market_data::{Closing, LoggedRecording, Recording};
use session_log::{OutcomeTap, SessionLog};
use settling::Settling;
use start_up::Waiting;
use stop::Lives;

pub use market_data::{FeedSource, Recorded};
pub use start_up::StartError;
pub use stop::Stop;
pub use summary::{Summary, Tally};

/// What a run is made of, all decided.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is traded.
    pub symbols: Vec<Symbol>,
    /// How many workers, 1 or more.
    pub workers: usize,
    /// How many signals wait for a worker at the most.
    pub signal_queue_len: usize,
    /// Sizing, pricing, limits.
    pub rules: Rules,
    /// How the equity is spread.
    pub weights: WeightRule,
    /// The stream's name, part of every order id.
    pub stream: String,
    /// How often prices are read.
    pub price_interval: Duration,
    /// The waits of an order's life.
    pub patience: Patience,
    /// End when the stream is drained and all orders are final.
    pub drain: bool,
    /// End after this many signals.
    pub signals_max: Option<u64>,
    /// End after this long.
    pub run_for: Option<Duration>,
    /// How long orders in flight may take to become final at the end.
    pub drain_timeout: Duration,
    /// Do not wait for Redis or the broker at start-up.
    pub no_wait: bool,
    /// Makes pauses differ between instances.
    pub seed: u64,
    /// Who listens to market events; subscribe before the run. Closed when the run ends.
    pub feed: Feed,
    /// Who hears, by strategy, what became of its signals.
    pub outcome_listeners: HashMap<String, Sender<Outcome>>,
    /// Where market events come from.
    pub feed_source: FeedSource,
    /// The directory that market events are recorded in.
    pub record: Option<PathBuf>,
    /// What they are kept in.
    pub record_format: RecordFormat,
    /// Files that are kept with the recording, by name: the manifest and the scripts that are run.
    pub record_files: Vec<(String, String)>,
}

/// Why a run failed.
#[derive(Debug, Error)]
pub enum LiveError {
    /// It never began.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The directory for recordings is not usable.
    #[error("cannot record: {0}")]
    Record(#[from] HistoryError),
    /// A thread could not be started or ended early.
    #[error("thread {0} failed")]
    Thread(String),
}

/// How many ends may wait to be recorded.
const SETTLEMENT_QUEUE_LEN: usize = 1_024;
/// So that a thread that panics at once does not fill the log.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// A worker waits for signals, a decision or an answer: its stack holds one request.
const STACK_BYTES: usize = 1 << 20;

/// Runs until it is asked to stop, drained, or failed; `started` is shown the start-up table.
///
/// # Errors
/// When the start fails or a thread does. A signal stream that becomes unusable ends the run; the summary says so.
pub fn run<V: Venue>(
    config: &Config,
    venue: &V,
    mut inbox: impl Inbox,
    mut settler: impl Settler,
    clock: &dyn Clock,
    stop: &Stop,
    started: impl FnOnce(&str),
) -> Result<Summary, LiveError> {
    let _closed_at_last = Closing(&config.feed);
    let recording = config.record.as_deref();
    let recording =
        recording.map(|place| Recording::open(place, config.record_format, &config.feed)).transpose()?;
    let waiting = Waiting { clock, stop, no_wait: config.no_wait, seed: config.seed };
    start_up::open_inbox(&mut inbox, &waiting)?;
    let mut broker = venue.connect().map_err(StartError::from)?;
    let survey = start_up::survey(&mut broker, &config.symbols, &config.weights, &waiting)?;
    let (desk, weights) =
        start_up::open_desk(config.rules.clone(), &config.weights, &config.symbols, &survey)?;
    started(&start_up::table(venue.environment(), &survey, &weights, clock.now()));
    let session = session_log::session(config, venue.environment(), &survey, &weights, clock.now());
    let (tap, recording) =
        recording.map(|recording| recording.begin(&session, &config.record_files)).transpose()?.unzip();

    let house = House {
        config,
        venue,
        clock,
        stop,
        desk: SharedDesk::new(desk),
        prices: PriceCache::new(survey.snapshots, survey.session),
        give_up: GiveUp::default(),
        tally: Mutex::default(),
        stream_is_up: AtomicBool::new(false),
        stream_times: Mutex::default(),
        tap,
    };
    let worked = house.run(&mut inbox, &mut settler, recording)?;
    Ok(house.summary(worked, &mut broker))
}

/// What the threads leave when they have ended.
struct Worked {
    signals: u64,
    end: IntakeEnd,
    intake_ended_at: Timestamp,
    recorded: Option<(Recorded, SessionLog)>,
}

struct House<'a, V: Venue> {
    config: &'a Config,
    venue: &'a V,
    clock: &'a dyn Clock,
    stop: &'a Stop,
    desk: SharedDesk,
    prices: PriceCache,
    give_up: GiveUp,
    tally: Mutex<Tally>,
    /// While it is, polled prices are no news.
    stream_is_up: AtomicBool,
    /// When it came up, and when it was lost.
    stream_times: Mutex<Vec<(Timestamp, Option<Timestamp>)>>,
    /// Where settled signals are told to be recorded.
    tap: Option<OutcomeTap>,
}

impl<V: Venue> House<'_, V> {
    /// Starts all threads and joins them in the direction of the data: inbox, workers, settler, then those beside it, and
    /// the recorder after those who tell market events.
    fn run(
        &self,
        inbox: &mut impl Inbox,
        settler: &mut impl Settler,
        recording: Option<LoggedRecording>,
    ) -> Result<Worked, LiveError> {
        let (job_sender, jobs) = bounded(self.config.signal_queue_len);
        let (settlement_sender, settlements) = bounded(SETTLEMENT_QUEUE_LEN);
        let (ring, half_empty) = bounded(1);
        let mut connections = Vec::with_capacity(self.config.workers);
        for _ in 0..self.config.workers {
            connections.push(self.venue.connect().map_err(StartError::from)?);
        }
        let mut poller_broker = self.venue.connect().map_err(StartError::from)?;
        let mut books_broker = self.venue.connect().map_err(StartError::from)?;
        let lives = Lives::default();
        std::thread::scope(|scope| {
            let last_life = lives.end_at_drop();
            let (beside_stop, beside_stopped) = bounded::<Infallible>(0);
            let tracker = start(scope, "tracker", || {
                until_done("tracker", || {
                    while let Some(stopped) = lives.next() {
                        self.venue.track(stopped);
                        lives.pause(RESTART_PAUSE);
                    }
                });
            })?;
            let market = self.start_market(scope, recording)?;
            let poller_stopped = beside_stopped.clone();
            let poller = start(scope, "prices", move || {
                until_done("prices", || {
                    let (symbols, interval) = (&self.config.symbols, self.config.price_interval);
                    prices::poll(
                        &mut poller_broker,
                        &self.prices,
                        symbols,
                        interval,
                        self.clock,
                        &poller_stopped,
                        &mut |event| self.hear_poll(event),
                    );
                });
            })?;
            let books = start(scope, "books", move || {
                until_done("books", || {
                    reconcile::reconcile(&mut books_broker, &self.desk, self.clock, &beside_stopped);
                });
            })?;
            let settling = start(scope, "settler", || {
                until_done("settler", || {
                    let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
                    self.settling(&settlements).run(settler, &mut tally)
                })
            })?;
            let mut workers = Vec::with_capacity(connections.len());
            for (number, connection) in (1..).zip(connections) {
                let (floor, jobs, mut connection) =
                    (self.floor(settlement_sender.clone(), ring.clone()), jobs.clone(), connection);
                workers.push(start(scope, &format!("worker-{number}"), move || {
                    until_done("worker", || pool::work(&floor, &mut connection, &jobs));
                })?);
            }
            drop(jobs);
            let intake = self.intake(job_sender, half_empty, settlement_sender);
            let reading = start(scope, "inbox", move || intake.run(inbox))?;

            let end = reading.join().map_err(|_| LiveError::Thread("inbox".to_owned()));
            self.stop.request();
            let intake_ended_at = self.clock.now();
            self.give_up.set(intake_ended_at + self.config.drain_timeout);
            let worked = workers.into_iter().map(ScopedJoinHandle::join).filter(Result::is_err).count();
            let settled = settling.join();
            drop((beside_stop, last_life));
            for beside in [tracker, poller, books] {
                let _ = beside.join();
            }
            let recorded = market.end()?;
            let (Ok(fault), 0) = (settled, worked) else {
                return Err(LiveError::Thread("worker or settler".to_owned()));
            };
            let (signals, end) = end?;
            let end = fault.map_or(end, IntakeEnd::Failed);
            Ok(Worked { signals, end, intake_ended_at, recorded })
        })
    }

    fn floor(&self, settlements: Sender<Settlement>, half_empty: Sender<()>) -> Floor<'_, V> {
        Floor {
            venue: self.venue,
            desk: &self.desk,
            prices: &self.prices,
            clock: self.clock,
            limits: &self.config.rules.limits,
            patience: &self.config.patience,
            give_up: &self.give_up,
            settlements,
            half_empty,
        }
    }

    fn intake(
        &self,
        jobs: Sender<Job>,
        half_empty: Receiver<()>,
        settlements: Sender<Settlement>,
    ) -> Intake<'_> {
        Intake {
            symbols: &self.config.symbols,
            environment: self.venue.environment(),
            stream: &self.config.stream,
            clock: self.clock,
            stop: self.stop,
            drain: self.config.drain,
            signals_max: self.config.signals_max,
            until: self.config.run_for.map(|span| self.clock.now() + span),
            jobs,
            half_empty,
            settlements,
            give_up: &self.give_up,
            gate: Gate::default(),
            seed: self.config.seed,
        }
    }

    fn settling<'s>(&'s self, settlements: &'s Receiver<Settlement>) -> Settling<'s> {
        Settling {
            settlements,
            give_up: &self.give_up,
            stop: self.stop,
            clock: self.clock,
            listeners: &self.config.outcome_listeners,
            tap: self.tap.as_ref(),
            seed: self.config.seed,
        }
    }

    /// Compares books and broker once more, when that can be done without waiting long.
    fn summary(
        self,
        Worked { signals, end, intake_ended_at, recorded }: Worked,
        broker: &mut V::Broker,
    ) -> Summary {
        if self.desk.must_reread() {
            reconcile::reread(broker, &self.desk);
        }
        let broker = match (self.desk.standstill(), broker.account()) {
            (Some(standstill), Ok(account)) => {
                self.desk.differences(&account, standstill).ok_or_else(|| "the books still move".to_owned())
            }
            (None, _) => Err("orders are still in flight".to_owned()),
            (_, Err(error)) => Err(error.to_string()),
        };
        let recorded = recorded.map(|(recorded, log)| {
            let recorded = Recorded {
                outcomes_lost: recorded.outcomes_lost + self.tap.as_ref().map_or(0, OutcomeTap::dropped),
                ..recorded
            };
            log.end(&self.session_end(&recorded, intake_ended_at));
            recorded
        });
        let fault = match end {
            IntakeEnd::Asked => None,
            IntakeEnd::Failed(error) => Some(error),
        };
        Summary {
            signals,
            tally: self.tally.into_inner().unwrap_or_else(PoisonError::into_inner),
            fills: self.desk.fills(),
            left_pending: self.give_up.left(),
            statement: self.desk.statement(),
            broker,
            prices: self.prices.health(),
            recorded,
            fault,
        }
    }

    fn session_end(&self, recorded: &Recorded, intake_ended_at: Timestamp) -> SessionEnd {
        let statement = self.desk.statement();
        let missed = self.config.feed.heard().into_iter().filter(|heard| heard.dropped > 0);
        let positions = statement.positions.iter().map(|(symbol, held)| (*symbol, held.quantity()));
        SessionEnd {
            intake_ended_at,
            ended_at: self.clock.now(),
            events_lost: recorded.dropped + recorded.failed,
            outcomes_lost: recorded.outcomes_lost,
            streamed: self.stream_times.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            strategies_missed: missed.map(|heard| (heard.name, heard.dropped)).collect(),
            left_pending: self.give_up.left(),
            cash: statement.cash,
            positions: positions.collect(),
        }
    }
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, LiveError> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn_scoped(scope, run).map_err(|error| LiveError::Thread(format!("{name} ({error})")))
}

/// Runs `work` until it returns; a panic is logged and the work taken up again, so no thread is ever alive but deaf.
fn until_done<T>(name: &str, mut work: impl FnMut() -> T) -> T {
    loop {
        if let Ok(done) = catch_unwind(AssertUnwindSafe(&mut work)) {
            return done;
        }
        tracing::error!(thread = name, "a thread panicked; it starts over");
        std::thread::sleep(RESTART_PAUSE);
    }
}
