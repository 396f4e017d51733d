//! Where signals come from and where their outcomes go.

mod held;
mod link;
pub mod memory;
pub mod producer;
mod redis_session;
mod redis_settler;
pub mod redis_stream;
mod reply;

use std::time::Duration;

use thiserror::Error;

use crate::outcome::Outcome;
use crate::signal::{Entry, EntryId};

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
    /// It was no signal (or poison): the entry itself is kept on the dead-letter stream.
    Dead {
        /// The entry as read.
        entry: Entry,
        /// Why.
        reason: String,
    },
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
    /// Returns at most `room` deliveries, waiting at most `wait` for the first; own pending entries come before new ones.
    /// An entry that was returned is not returned again by this process until it is settled.
    /// After an error the next call reconnects and re-reads own pending entries.
    fn read(&mut self, room: usize, wait: Duration) -> Result<Vec<Delivery>, InboxError>;

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
}
