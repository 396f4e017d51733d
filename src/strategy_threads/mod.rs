//! The strategies of a live run: one thread each, market events in, signals onto the stream that the pool reads.
//!
//! A strategy is a producer like any other: what it wants becomes a stream entry with an id of its own, so that its
//! orders have all the pool's promises. A strategy that fails, panics or never returns hurts only itself.

mod strategy_thread;
pub mod signal_sender;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::{self, Clock, recv_until, send_until};
use crate::feed::Feed;
use crate::strategy::{Listener, OrderEnd};
pub use signal_sender::SignalSender;
use strategy_thread::StrategyThread;

/// How a strategy is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name in the manifest.
    pub name: String,
    /// Whether it is shown market events.
    pub active: bool,
    /// Market events that it was offered.
    pub events: u64,
    /// Signals that it sent.
    pub signals: u64,
    /// Signals that could not be sent.
    pub unsent: u64,
    /// Its signals that were settled.
    pub settled: u64,
    /// How often it failed.
    pub failures: u32,
    /// Its last failure.
    pub last_failure: Option<String>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.active { "active" } else { "stopped" };
        write!(f, "{}: {state}, {} events, {} signals", self.name, self.events, self.signals)?;
        if self.unsent > 0 {
            write!(f, ", {} unsent", self.unsent)?;
        }
        match &self.last_failure {
            Some(failure) => write!(f, ", {} failures, the last: {failure}", self.failures),
            None => Ok(()),
        }
    }
}

/// A strategy cannot be started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StrategyThreadsError {
    /// Nobody is called so.
    #[error("strategy must be one of {allowed}, was \"{was}\"")]
    Unknown {
        /// Who there is.
        allowed: String,
        /// Who was asked for.
        was: String,
    },
    /// It is busy with an event, perhaps for ever.
    #[error("strategy \"{0}\" does not answer")]
    Busy(String),
    /// It was stopped for its failures.
    #[error("{0}")]
    Broken(String),
}

/// All strategies of a run.
#[derive(Debug, Default)]
pub struct StrategyThreads {
    members: Vec<StrategyThreadHandle>,
}

struct StrategyThreadHandle {
    name: String,
    switches: Sender<SwitchRequest>,
    ends: Sender<OrderEnd>,
    status: Arc<Mutex<Status>>,
    state: KeptState,
    thread: JoinHandle<()>,
    clock: Arc<dyn Clock>,
}

/// What of a strategy's state outlives a restart, as it is now.
pub type KeptState = Arc<Mutex<Option<Arc<str>>>>;

/// A request to start or stop one strategy.
struct SwitchRequest {
    active: bool,
    answer: Sender<Result<(), String>>,
}

/// Events that wait for a strategy at the most; it misses what comes beyond, and the feed counts it.
const EVENT_QUEUE_LEN: usize = 4_096;
/// Settled signals that wait for their strategy at the most.
const END_QUEUE_LEN: usize = 1_024;
/// How long a strategy may take to obey a start or a stop.
const SWITCH_WITHIN: Duration = Duration::from_secs(2);

impl StrategyThreads {
    /// Starts a thread for each strategy; each listens to `feed` and sends by an outbox of its own.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        strategies: Vec<Listener>,
        feed: &Feed,
        clock: &Arc<dyn Clock>,
        sender: &dyn Fn() -> SignalSender,
    ) -> io::Result<Self> {
        let mut members = Vec::with_capacity(strategies.len());
        for listener in strategies {
            let run = listener.run();
            let (name, active) = (run.name().to_string(), run.runner().is_active());
            let status = Arc::new(Mutex::new(Status { name: name.clone(), active, ..Status::default() }));
            let (switches, told) = bounded(1);
            let (ends, ended) = bounded(END_QUEUE_LEN);
            let events = feed.subscribe(&name, EVENT_QUEUE_LEN);
            let state = KeptState::default();
            let shared = (Arc::clone(&status), Arc::clone(&state));
            let thread = StrategyThread::new(listener, shared, Arc::clone(clock), sender());
            let activity = feed.activity().clone();
            let thread = std::thread::Builder::new()
                .name(name.clone())
                .spawn(move || thread.work(&events, &ended, &told, &activity))?;
            members.push(StrategyThreadHandle {
                name,
                switches,
                ends,
                status,
                state,
                thread,
                clock: Arc::clone(clock),
            });
        }
        Ok(Self { members })
    }

    /// Starts or stops a strategy by name, at once.
    ///
    /// # Errors
    /// Nobody has that name, it does not answer, or it was stopped for its failures.
    pub fn switch(&self, name: &str, active: bool) -> Result<(), StrategyThreadsError> {
        let member = self.members.iter().find(|member| member.name == name).ok_or_else(|| {
            StrategyThreadsError::Unknown {
                allowed: self
                    .members
                    .iter()
                    .map(|member| member.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                was: name.to_owned(),
            }
        })?;
        let busy = || StrategyThreadsError::Busy(name.to_owned());
        let (answer, answered) = bounded(1);
        let (clock, switch) = (&*member.clock, SwitchRequest { active, answer });
        let until = || clock.now() + SWITCH_WITHIN;
        send_until(clock, &member.switches, switch, until()).map_err(|_| busy())?;
        recv_until(clock, &answered, until()).map_err(|_| busy())?.map_err(StrategyThreadsError::Broken)
    }

    /// Where each strategy, by its place in the manifest, hears what became of its signals.
    pub fn listeners(&self) -> Vec<Sender<OrderEnd>> {
        self.members.iter().map(|member| member.ends.clone()).collect()
    }

    /// What each strategy keeps over a restart, by its place in the manifest.
    pub fn states(&self) -> Vec<KeptState> {
        self.members.iter().map(|member| Arc::clone(&member.state)).collect()
    }

    /// How each strategy is doing, in the order of the manifest.
    pub fn status(&self) -> Vec<Status> {
        self.members.iter().map(|member| lock(&member.status).clone()).collect()
    }

    /// Waits for the strategies to end after the feed was closed, at most `span` for all; names those that did not.
    pub fn end(self, clock: &dyn Clock, span: Duration) -> (Vec<Status>, Vec<String>) {
        let deadline = clock.now() + span;
        let (mut ended, mut hanging) = (Vec::new(), Vec::new());
        for member in self.members {
            while !member.thread.is_finished() && clock.now() < deadline {
                clock::sleep(clock, Duration::from_millis(2));
            }
            if member.thread.is_finished() {
                let _ = member.thread.join(); // The runner catches a strategy's panics.
            } else {
                hanging.push(member.name);
            }
            ended.push(lock(&member.status).clone());
        }
        (ended, hanging)
    }
}

impl fmt::Debug for StrategyThreadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("name", &self.name).finish_non_exhaustive()
    }
}

fn lock<Shared>(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
