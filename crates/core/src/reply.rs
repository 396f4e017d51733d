//! A broker's answer to one request, classified by what it proves.

use thiserror::Error;

use crate::clock::Timestamp;
use crate::order::OrderReport;

/// What the broker answered to a submit, a query or a cancel. Only a report or a rejection proves anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The order exists and stands so.
    Report(OrderReport),
    /// Proof that the request was not accepted; for a cancel: too late or unknown.
    Rejected(Rejection),
    /// Proof that the request was not accepted for now: send the same again, not before `until`.
    RateLimited {
        /// The earliest time to try again.
        until: Timestamp,
    },
    /// An order with this client order id exists already.
    Duplicate,
    /// The broker does not know the order (yet): no proof that it never will.
    NotFound,
    /// The cancel was taken; whether it wins is told by the next report.
    CancelAccepted,
    /// No proof either way: time-out, lost connection, 5xx, unreadable body.
    Unknown(String),
}

/// A refusal in the broker's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (http {status}, code {})", code.map_or("none".to_owned(), |code| code.to_string()))]
pub struct Rejection {
    /// HTTP status; 0 where no HTTP lies between: then the text is `code: text` itself.
    pub status: u16,
    /// The broker's own code, where it sends one.
    pub code: Option<u64>,
    /// The broker's text, kept for the outcome.
    pub message: String,
}

impl Rejection {
    /// The refusal of a broker over history.
    pub fn without_http(message: String) -> Self {
        Self { status: 0, code: None, message }
    }

    /// Why there is no order, as `code: text`.
    pub fn reason(&self) -> String {
        if self.status == 0 { self.message.clone() } else { format!("broker: {self}") }
    }
}
