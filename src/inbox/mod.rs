//! Where signals come from and where their outcomes go.

mod books;
mod held;
mod link;
pub mod memory;
pub mod producer;
mod reading;
mod redis_session;
mod redis_settler;
pub mod redis_stream;
mod reply;
mod settling;
pub mod tail;
#[cfg(test)]
mod tests;

use std::time::Duration;

use thiserror::Error;

use crate::clock::Timestamp;
use crate::order::ClientOrderId;
use crate::outcome::Outcome;
use crate::portfolio::BookChange;
use crate::signal::{Entry, EntryId, StreamPlace};
use crate::strategy::OrderEnd;
use crate::units::Quantity;

/// What the inbox finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// An entry to handle. It stays pending until it is settled.
    Entry(Entry),
    /// An entry that was trimmed or deleted before anyone could handle it; settle it as lost.
    Lost {
        /// Its id (of the newest, when several were trimmed unread).
        id: EntryId,
        /// What is known of it.
        reason: String,
    },
}

/// The end of one entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It became this.
    Outcome(Outcome),
    /// It became this, and more belongs to it.
    Followed {
        /// What it became.
        outcome: Outcome,
        /// What is done in the same step.
        after: Box<After>,
    },
    /// It was no signal (or poison): the entry itself is kept on the dead-letter stream.
    Dead {
        /// The entry as read.
        entry: Entry,
        /// Why.
        reason: String,
    },
}

/// What belongs to an outcome and is done in the step that records it, or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct After {
    /// The fields of the signal that follows.
    pub next: Option<Vec<(&'static str, String)>>,
    /// What changes in the strategies' books.
    pub changes: Vec<BookChange>,
    /// The books as they stand after it: by strategy, as text.
    pub books: Vec<(String, String)>,
    /// The order that the books took, with the shares filled by then.
    pub booked: Option<(ClientOrderId, Quantity)>,
    /// What each strategy, by its place, is told once it is done.
    pub told: Vec<(usize, OrderEnd)>,
}

impl Settlement {
    /// Its outcome; none for a dead letter.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Settlement::Outcome(outcome) | Settlement::Followed { outcome, .. } => Some(outcome),
            Settlement::Dead { .. } => None,
        }
    }

    /// What belongs to it.
    pub fn after(&self) -> Option<&After> {
        match self {
            Settlement::Followed { after, .. } => Some(after),
            Settlement::Outcome(_) | Settlement::Dead { .. } => None,
        }
    }

    /// The entry that it ends.
    pub fn entry(&self) -> &EntryId {
        match self {
            Settlement::Outcome(outcome) | Settlement::Followed { outcome, .. } => &outcome.signal,
            Settlement::Dead { entry, .. } => &entry.id,
        }
    }
}

/// The strategies' books as they are kept beside the stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptBooks {
    /// By strategy, as text.
    pub books: Vec<(String, String)>,
    /// Orders that are in them: client order id, shares filled, when.
    pub booked: Vec<(String, Quantity, Timestamp)>,
}

/// Who keeps the strategies' books.
#[derive(Debug, Clone, PartialEq)]
pub enum Keeper {
    /// This process from now on, with what is kept.
    Us(KeptBooks),
    /// Another process, of this name: it runs the strategies.
    Other(String),
}

/// Why the inbox cannot go on, named by what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InboxError {
    /// Try again after a pause: connection lost, server loading, read-only replica, group gone (it is made again).
    #[error("signal stream is unavailable: {0}")]
    Unavailable(String),
    /// Stop: missing or wrong password, no permission.
    #[error("signal stream refused the credentials: {0}")]
    Credentials(String),
    /// Stop: wrong type of key, wrong address.
    #[error("signal stream cannot be used: {0}")]
    Misconfigured(String),
}

impl InboxError {
    /// Whether waiting may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, InboxError::Unavailable(_))
    }
}

/// The reading half; lives on the inbox thread with a connection of its own.
pub trait Inbox: Send {
    /// Returns at most `room` deliveries, waiting for the first until the clock shows `until`; own pending entries come before new ones.
    /// An entry that was returned is not returned again by this process until it is settled.
    /// After an error the next call reconnects and re-reads own pending entries.
    fn read(&mut self, room: usize, until: Timestamp) -> Result<Vec<Delivery>, InboxError>;

    /// Reads entries again that were returned and are not settled, in this order; one that is gone is lost.
    fn reread(&mut self, places: &[StreamPlace]) -> Result<Vec<Delivery>, InboxError>;

    /// A random value made once per life of the stream, as of the last successful call.
    fn epoch(&self) -> String;

    /// True when nothing is unread and nothing is pending.
    fn is_drained(&mut self) -> Result<bool, InboxError>;
}

/// The settling half; lives on the settler thread with a connection of its own.
pub trait Settler: Send {
    /// Records each settlement and acknowledges its entry, both or neither. Safe to repeat after an error.
    fn settle(&mut self, batch: &[Settlement]) -> Result<(), InboxError>;

    /// Tells the stream that this process still works on what it holds; called every few seconds.
    fn renew(&mut self) -> Result<(), InboxError>;

    /// Takes the strategies of these names for this process, if nobody else has them, and reads their books.
    fn take_books(&mut self, strategies: &[String]) -> Result<Keeper, InboxError>;

    /// Writes books that something else than the end of a signal changed.
    fn write_books(&mut self, kept: &KeptBooks) -> Result<(), InboxError>;

    /// True once another process took the strategies from this one, which was silent for too long: their books and next
    /// steps are not written any more.
    fn has_lost_books(&self) -> bool {
        false
    }

    /// How long ends are gathered for one batch: no order waits for it, and under load it saves a round trip for each.
    fn gather_for(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// The next step of a call.
enum CallStep<A, T> {
    /// This is to be asked first, and the answer given.
    Command(A),
    /// It is done, and returns this.
    Done(T),
}
