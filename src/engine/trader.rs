//! What a user of the engine writes and reads: the trader, how it is set up, and the news of it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::order::{OrderFault, TradeOrder};
use crate::clock::Timestamp;
use crate::symbol::Symbol;
use crate::ticks::Span;

/// Looks at one symbol's ticks from time to time and says what to do.
pub trait Trader: Send {
    /// Judges the window, which is never empty and holds what was known at `now`; the market goes on meanwhile.
    ///
    /// # Errors
    /// The trader cannot go on; it is reported, and [`OnFailure`] says what becomes of it.
    fn evaluate(&mut self, now: Timestamp, window: Span<'_>) -> Result<Option<TradeOrder>, TraderError>;
}

/// Why a trader failed, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct TraderError(String);

impl TraderError {
    /// A failure in words.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// A trader and how it is run; made again for every start and restart.
pub struct TraderSetup {
    pub(super) trader: Box<dyn Trader>,
    pub(super) eval_interval: Duration,
    pub(super) callback: Box<dyn FnMut(TradeOrder) + Send>,
    pub(super) name: Option<String>,
    pub(super) on_failure: OnFailure,
}

impl TraderSetup {
    /// A trader that is evaluated every `eval_interval`, and whose orders go to `callback`, on the trader's thread.
    pub fn new(
        trader: impl Trader + 'static,
        eval_interval: Duration,
        callback: impl FnMut(TradeOrder) + Send + 'static,
    ) -> Self {
        Self {
            trader: Box::new(trader),
            eval_interval,
            callback: Box::new(callback),
            name: None,
            on_failure: OnFailure::default(),
        }
    }

    /// The same, with a name for reports and its thread.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same, with another policy.
    #[must_use]
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        Self { on_failure, ..self }
    }
}

/// What becomes of a trader that fails or panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It ends.
    Stop,
    /// A new one takes its place and is evaluated after the next interval; it ends after so many failures in a row.
    Restart {
        /// How many restarts in a row, without a successful evaluation between them.
        times: u32,
    },
}

impl Default for OnFailure {
    fn default() -> Self {
        Self::Restart { times: 3 }
    }
}

/// One thing that a trader's owner should know.
#[derive(Debug, Clone, PartialEq)]
pub struct TraderReport {
    /// When.
    pub at: Timestamp,
    /// Whose trader.
    pub symbol: Symbol,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// A failure, a refused order, a restart, or an end.
    pub news: News,
}

/// What happened to a trader.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// It returned an error.
    Failed(TraderError),
    /// It, or its callback, panicked with this text.
    Panicked(String),
    /// It issued an order that may not leave.
    OrderRefused(TradeOrder, OrderFault),
    /// A new one took its place, for the n-th time in a row.
    Restarted(u32),
    /// It has ended after a failure and is evaluated no more.
    Ended,
    /// It did not end within this time after its stop; its thread was left behind, and no order of it will leave.
    Abandoned(Duration),
}

impl fmt::Display for TraderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trader of {}", self.symbol)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        match &self.news {
            News::Failed(error) => write!(f, " failed: {error}"),
            News::Panicked(text) => write!(f, " panicked: {text}"),
            News::OrderRefused(_, fault) => write!(f, " issued an order that may not leave: {fault}"),
            News::Restarted(times) => write!(f, " was restarted, {times} in a row"),
            News::Ended => f.write_str(" has ended after a failure"),
            News::Abandoned(grace) => write!(f, " must end within {grace:?} of its stop, was left behind"),
        }
    }
}

/// What a trader is doing and has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraderStatus {
    /// What it is doing.
    pub state: TraderState,
    /// How often it was evaluated.
    pub evaluations: u64,
    /// Orders that left.
    pub orders: u64,
    /// Orders that were not let out.
    pub orders_refused: u64,
    /// Errors and panics.
    pub failures: u64,
    /// The last of them.
    pub last_failure: Option<String>,
}

/// What a trader is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraderState {
    /// It waits for the first tick.
    #[default]
    Waiting,
    /// It waits for its next evaluation.
    Resting,
    /// It has been judging a window since then; for long, when it does not come back.
    Evaluating(Timestamp),
    /// It has ended after a failure; `start` begins again.
    Ended,
}
