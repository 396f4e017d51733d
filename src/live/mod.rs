//! The live pool's wiring: who owns which thread and queue, start-up, shutdown in the direction of the data.

mod backoff;
mod bars;
mod books;
mod intake;
mod kept;
mod market_data;
pub mod numbers;
mod reconcile;
mod session_log;
mod settling;
mod start_up;
mod strategies;
mod summary;
mod threads;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::activity::Activity;
use crate::broker::{AccountReader, Broker, BrokerSnapshot, Venue};
use crate::clock::{Clock, Timestamp};
use crate::control::Control;
use crate::core::Core;
use crate::desk::{Desk, Rules};
use crate::execution::{LanesConfig, Timeouts};
use crate::feed::Feed;
use crate::history::session::{SessionEnd, Switch};
use crate::history::{self, RecordFormat};
use crate::inbox::{Inbox, Settlement, Settler};
use crate::portfolio::{Member, OffTarget};
use crate::prices::{self, PriceCache};
use crate::shared_core::SharedCore;
use crate::sizing::WeightRule;
use crate::strategy::OrderEnd;
use crate::strategy_threads::{KeptState, Status, StrategyThreads};
use crate::symbol::Symbol;
use crate::workers::{DrainDeadline, Workers};

use bars::BarGaps;
use books::{BookKeeper, Restored};
use intake::{Intake, IntakeEnd};
use kept::KeptEntries;
use market_data::{Closing, LoggedRecording, Recording};
use session_log::{OutcomeTap, SessionLog};
use settling::Settling;
use start_up::StartWait;
use strategies::{Ready, Recordings};
use threads::{start, start_workers, until_done};

pub use crate::stop::Stop;
pub use market_data::{FeedSource, RecordingEnd};
pub use start_up::{LiveError, StartError};
pub use strategies::StrategyPlan;
pub use summary::{Summary, Tally};

/// What a run is made of, all decided.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is traded.
    pub symbols: Vec<Symbol>,
    /// How many workers, 1 or more.
    pub workers: usize,
    /// How many signals wait in a symbol's lane at the most; of those beyond it only the ids are kept.
    pub signal_queue_len: usize,
    /// Sizing, pricing, limits.
    pub rules: Rules,
    /// How the equity is spread.
    pub weights: WeightRule,
    /// The stream's name, part of every order id.
    pub stream: String,
    /// How often prices are read.
    pub price_interval: Duration,
    /// The latest prices: what the run reads goes in, and a test puts in what it likes.
    pub prices: Arc<PriceCache>,
    /// The waits of an order's life.
    pub timeouts: Timeouts,
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
    /// What is under way, from a signal's entry to what strategies are told. Share it with the feeds and the stream.
    pub activity: Activity,
    /// Who listens to market events; subscribe before the run. Closed when the run ends.
    pub feed: Feed,
    /// The strategies that run beside the pool.
    pub strategies: Option<StrategyPlan>,
    /// Where market events come from.
    pub feed_source: FeedSource,
    /// The directory that market events are recorded in.
    pub record: Option<PathBuf>,
    /// What they are kept in.
    pub record_format: RecordFormat,
    /// Files that are kept with the recording, by name: the manifest and the scripts that are run.
    pub record_files: Vec<(String, String)>,
}

/// How many signals may be deferred, by their ids: 24 MB.
const DEFERRED_MAX: usize = 1_000_000;
/// How many ends may wait to be recorded.
const SETTLEMENT_QUEUE_LEN: usize = 1_024;

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
    let waiting = StartWait { clock, stop, no_wait: config.no_wait, seed: config.seed };
    start_up::open_inbox(&mut inbox, &waiting)?;
    let mut broker = venue.connect().map_err(StartError::from)?;
    let broker_snapshot = start_up::broker_snapshot(&mut broker, &config.symbols, &config.weights, &waiting)?;
    let (desk, weights) =
        start_up::open_desk(config.rules.clone(), &config.weights, &config.symbols, &broker_snapshot)?;
    config.prices.begin(broker_snapshot.snapshots.clone(), broker_snapshot.session);
    started(&start_up::table(venue.environment(), &broker_snapshot, &weights, clock.now()));
    let restored = config.strategies.as_ref().map(|plan| strategies::take(plan, &mut settler, &waiting));
    let own = config.strategies.as_ref().zip(restored.transpose()?.flatten());
    let started_at = clock.now();
    let plan = own.as_ref().map(|(plan, _)| *plan);
    let (desk, ready) = match own {
        Some(own) => {
            let ends = (&mut broker, &mut settler);
            with_strategies(own, config, desk, &broker_snapshot, ends, (&waiting, started_at))?
        }
        None => (desk, Ready::default()),
    };
    let books = strategies::session_books(desk.portfolio());
    let session =
        session_log::session(config, venue.environment(), &broker_snapshot, &weights, books, started_at);
    let (tap, recording) =
        recording.map(|recording| recording.begin(&session, &config.record_files)).transpose()?.unzip();

    let Ready { listeners, keeper, targets } = ready;
    let watched = strategies::watched(&config.symbols, &listeners);
    let bars = BarGaps::new(strategies::bar_symbols(&listeners), started_at);
    let host = match plan {
        Some(plan) => StrategyThreads::start(listeners, &config.feed, &plan.clock, &*plan.sender),
        None => Ok(StrategyThreads::default()),
    };
    let host = host.map_err(|error| LiveError::Thread(format!("strategy ({error})")))?;
    let lanes =
        LanesConfig { sides_wait: true, waiting_max: config.signal_queue_len, deferred_max: DEFERRED_MAX };
    let core = Core::with_lanes(desk, lanes, config.timeouts.clone());
    let (settlement_sender, settlements) = bounded(SETTLEMENT_QUEUE_LEN);
    let live = LiveRun {
        config,
        plan,
        listeners: host.listeners(),
        states: host.states(),
        keeper: Mutex::new(keeper),
        targets,
        watched,
        bars,
        venue,
        clock,
        stop,
        core: SharedCore::new(core, config.workers, clock, settlement_sender),
        drain_deadline: DrainDeadline::default(),
        unrecorded: AtomicU64::new(0),
        tally: Mutex::default(),
        stream_is_up: AtomicBool::new(false),
        stream_times: Mutex::default(),
        tap,
    };
    let worked = live.run(&mut inbox, &mut settler, &settlements, &host, recording)?;
    let (strategies, hanging) = host.end(clock, END_WITHIN);
    for name in hanging {
        tracing::error!(strategy = name, "a strategy did not end; it is left behind");
    }
    Ok(live.summary(worked, strategies, &mut broker))
}

/// The desk with the books of the strategies as they were left, and the strategies, ready to be started.
fn with_strategies(
    (plan, restored): (&StrategyPlan, Restored),
    config: &Config,
    desk: Desk,
    broker_snapshot: &BrokerSnapshot,
    (broker, settler): (&mut impl Broker, &mut impl Settler),
    (waiting, started_at): (&StartWait<'_>, Timestamp),
) -> Result<(Desk, Ready), LiveError> {
    let portfolio = strategies::portfolio(plan, &restored, broker_snapshot)?;
    let mut desk = desk.with_portfolio(portfolio).remembering(restored.booked.clone());
    strategies::find_lost_orders(plan, &restored, &mut desk, broker, waiting)?;
    let recordings = config
        .record
        .as_deref()
        .map(|own| Recordings { own, session: history::session::session_folder(own, started_at) });
    let (ends, at) = ((broker, settler), (waiting, started_at));
    let ready = strategies::ready(plan, &restored, &desk, ends, recordings.as_ref(), at)?;
    Ok((desk, ready))
}

/// How long strategies may take to end after the run.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What the threads leave when they have ended.
struct Worked {
    signals: u64,
    end: IntakeEnd,
    intake_ended_at: Timestamp,
    recorded: Option<(RecordingEnd, SessionLog)>,
}

struct LiveRun<'a, V: Venue> {
    config: &'a Config,
    /// Of the strategies, where this process runs them.
    plan: Option<&'a StrategyPlan>,
    /// Where each strategy, by its place, hears what became of its signals.
    listeners: Vec<Sender<OrderEnd>>,
    states: Vec<KeptState>,
    keeper: Mutex<BookKeeper>,
    /// By name: whether a strategy's strengths are positions.
    targets: HashMap<Arc<str>, bool>,
    /// What is traded, and what strategies look at beside it; each once.
    watched: Vec<Symbol>,
    /// Minute bars that no stream told.
    bars: BarGaps,
    venue: &'a V,
    clock: &'a dyn Clock,
    stop: &'a Stop,
    core: SharedCore<'a>,
    drain_deadline: DrainDeadline,
    /// Ends that could not be recorded.
    unrecorded: AtomicU64,
    tally: Mutex<Tally>,
    /// While it is, polled prices are no news.
    stream_is_up: AtomicBool,
    /// When it came up, and when it was lost.
    stream_times: Mutex<Vec<(Timestamp, Option<Timestamp>)>>,
    /// Where settled signals are told to be recorded.
    tap: Option<OutcomeTap>,
}

impl<V: Venue> LiveRun<'_, V> {
    /// Starts all threads and joins them in the direction of the data: inbox, workers, settler, then those beside it, and
    /// the recorder after those who tell market events.
    fn run(
        &self,
        inbox: &mut impl Inbox,
        settler: &mut impl Settler,
        settlements: &Receiver<Settlement>,
        host: &StrategyThreads,
        recording: Option<LoggedRecording>,
    ) -> Result<Worked, LiveError> {
        let connect = || self.venue.connect().map_err(StartError::from);
        let connections = (0..self.config.workers).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        let (parked, beside) = (connect()?, [connect()?, connect()?]);
        let workers = self.workers();
        std::thread::scope(|scope| {
            let stopped = Stop::default();
            let stop_beside = stopped.at_drop();
            let market = self.start_market(scope, recording)?;
            self.start_control(scope, host)?;
            let beside = self.start_beside(scope, beside, &stopped)?;
            let settling = start(scope, "settler", || {
                until_done("settler", self.clock, || {
                    let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
                    self.settling(settlements).run(settler, &mut tally)
                })
            })?;
            let threads = start_workers(scope, &workers, connections, parked)?;
            let intake = self.intake();
            let reading = start(scope, "inbox", move || intake.run(inbox))?;

            let end = reading.join().map_err(|_| LiveError::Thread("inbox".to_owned()));
            self.stop.request();
            if end.is_err() {
                self.drain_deadline.set(self.clock.now() + self.config.drain_timeout);
            }
            let intake_ended_at = self.drain_deadline.at() - self.config.drain_timeout;
            self.core.close();
            self.core.look_again();
            let worked = threads.into_iter().map(ScopedJoinHandle::join).filter(Result::is_err).count();
            self.core.give_up(); // What was deferred and not read again stays pending.
            self.core.end_settling();
            let settled = settling.join();
            drop(stop_beside);
            for thread in beside {
                let _ = thread.join();
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

    /// Starts what keeps the run informed beside the orders: news of them, prices, and whether books and broker agree.
    fn start_beside<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        [mut poller, mut books]: [V::Broker; 2],
        stop: &Stop,
    ) -> Result<[ScopedJoinHandle<'scope, ()>; 3], LiveError>
    where
        V::Broker: 'scope,
    {
        let stopped = stop.clone();
        let tracker = start(scope, "tracker", move || {
            until_done("tracker", self.clock, || self.venue.track(&self.core, &stopped));
        })?;
        let stopped = stop.clone();
        let prices = start(scope, "prices", move || {
            until_done("prices", self.clock, || {
                let Config { prices, price_interval, .. } = self.config;
                let tell = &mut |event| self.hear_poll(event);
                let (symbols, stopped) = (&self.watched, stopped.channel());
                prices::poll(&mut poller, prices, symbols, *price_interval, self.clock, stopped, tell);
            });
        })?;
        let stopped = stop.clone();
        let books = start(scope, "books", move || {
            until_done("books", self.clock, || {
                reconcile::reconcile(&mut books, &self.core, self.clock, stopped.channel());
            });
        })?;
        Ok([tracker, prices, books])
    }

    fn workers(&self) -> Workers<'_, V> {
        Workers {
            venue: self.venue,
            core: &self.core,
            prices: &self.config.prices,
            clock: self.clock,
            drain_deadline: &self.drain_deadline,
        }
    }

    fn intake(&self) -> Intake<'_> {
        Intake {
            symbols: &self.config.symbols,
            environment: self.venue.environment(),
            stream: &self.config.stream,
            clock: self.clock,
            stop: self.stop,
            drain: self.config.drain,
            signals_max: self.config.signals_max,
            until: self.config.run_for.map(|span| self.clock.now() + span),
            drain_deadline: &self.drain_deadline,
            drain_timeout: self.config.drain_timeout,
            core: &self.core,
            strategies: &self.targets,
            later: Vec::new(),
            kept: KeptEntries::default(),
            activity: &self.config.activity,
            seed: self.config.seed,
        }
    }

    fn settling<'s>(&'s self, settlements: &'s Receiver<Settlement>) -> Settling<'s> {
        Settling {
            settlements,
            drain_deadline: &self.drain_deadline,
            left: &self.unrecorded,
            stop: self.stop,
            clock: self.clock,
            activity: &self.config.activity,
            listeners: &self.listeners,
            states: &self.states,
            keeper: &self.keeper,
            tap: self.tap.as_ref(),
            seed: self.config.seed,
        }
    }

    /// Compares books and broker once more, when that can be done without waiting long.
    fn summary(
        self,
        Worked { signals, end, intake_ended_at, recorded }: Worked,
        strategies: Vec<Status>,
        broker: &mut V::Broker,
    ) -> Summary {
        let off_target = self.off_target();
        if self.core.must_reread() {
            reconcile::reread(broker, &self.core, self.clock);
        }
        let broker = match (self.core.books_at_rest(), broker.account()) {
            (Some(version), Ok(account)) => {
                self.core.differences(&account, version).ok_or_else(|| "the books still move".to_owned())
            }
            (None, _) => Err("orders are still in flight".to_owned()),
            (_, Err(error)) => Err(error.to_string()),
        };
        let recorded = recorded.map(|(recorded, log)| {
            let recorded = RecordingEnd {
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
        let left_pending = self.left();
        Summary {
            signals,
            tally: self.tally.into_inner().unwrap_or_else(PoisonError::into_inner),
            fills: self.core.fills(),
            left_pending,
            overload: self.core.overload(),
            statement: self.core.statement(),
            broker,
            prices: self.config.prices.health(),
            recorded,
            fault,
            strategies,
            off_target,
        }
    }

    fn left(&self) -> u64 {
        self.core.left() + self.unrecorded.load(Ordering::SeqCst)
    }

    /// For how much of the time, and by how much, each strategy was off its targets.
    fn off_target(&self) -> Vec<(String, OffTarget)> {
        let (portfolio, now) = (self.core.portfolio(), self.clock.now());
        let of = |member: &Member| (member.book.name().to_owned(), member.book.off_target(now));
        portfolio.members().iter().map(of).collect()
    }

    /// Answers who starts and stops strategies by name, where there is a state directory.
    fn start_control<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        host: &'scope StrategyThreads,
    ) -> Result<(), LiveError> {
        let Some(state) = self.plan.and_then(|plan| plan.state.as_deref()) else { return Ok(()) };
        let control =
            Control::open(state).map_err(|error| LiveError::Thread(format!("control ({error})")))?;
        let switched = |strategy: &str, active: bool| {
            if let Some(tap) = &self.tap {
                tap.tell_switch(Switch { at: self.clock.now(), strategy: strategy.to_owned(), active });
            }
        };
        start(scope, "control", move || control.serve(host, self.stop, &switched)).map(drop)
    }

    fn session_end(&self, recorded: &RecordingEnd, intake_ended_at: Timestamp) -> SessionEnd {
        let statement = self.core.statement();
        let missed = self.config.feed.heard().into_iter().filter(|heard| heard.dropped > 0);
        let positions = statement.positions.iter().map(|(symbol, held)| (*symbol, held.quantity()));
        SessionEnd {
            intake_ended_at,
            ended_at: self.clock.now(),
            events_lost: recorded.dropped + recorded.failed,
            outcomes_lost: recorded.outcomes_lost,
            streamed: self.stream_times.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            strategies_missed: missed.map(|heard| (heard.name, heard.dropped)).collect(),
            left_pending: self.left(),
            cash: statement.cash,
            positions: positions.collect(),
        }
    }
}
