//! What comes back from one request: the value with the answer's head, or an error that says how far it got.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use thiserror::Error;

use super::wire::ErrorBody;
use crate::broker::ReportedLimit;
use crate::clock::Timestamp;

/// A value read from an answer, and the head it came with.
#[derive(Debug, Clone)]
pub struct Answered<T> {
    /// What was asked for.
    pub value: T,
    /// The answer's head.
    pub head: AnswerHead,
}

/// What every answer says beside its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// HTTP status.
    pub status: u16,
    /// `X-Request-ID`: what the broker's support asks for.
    pub request_id: Option<Box<str>>,
    /// `X-RateLimit-*`.
    pub rate_limit: ReportedLimit,
}

impl AnswerHead {
    pub(super) fn read(status: u16, headers: &HeaderMap) -> Self {
        fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
            headers.get(name)?.to_str().ok()?.trim().parse().ok()
        }
        Self {
            status,
            request_id: headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(Box::from),
            rate_limit: ReportedLimit {
                limit: number(headers, "x-ratelimit-limit"),
                remaining: number(headers, "x-ratelimit-remaining"),
                reset: number(headers, "x-ratelimit-reset").map(Timestamp::from_secs),
            },
        }
    }
}

/// Why a request has no value, told apart by what it proves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The broker answered with an error.
    #[error("broker answered {}{}{}", .head, code_text(*.code), message_text(.message.as_deref()))]
    Api {
        /// The answer's head.
        head: AnswerHead,
        /// The broker's own code, where it sends one.
        code: Option<u64>,
        /// The broker's text; `None` when the body is empty, truncated or not of the broker's shape.
        message: Option<String>,
    },
    /// The broker refused for now: too many requests.
    #[error("broker answered {}{}", .head, message_text(.message.as_deref()))]
    RateLimited {
        /// The answer's head.
        head: AnswerHead,
        /// The broker's text.
        message: Option<String>,
    },
    /// The answer's head arrived, but the body is truncated or not what it should be.
    #[error("broker answered {head} with a body that cannot be read: {reason}")]
    Unreadable {
        /// The answer's head.
        head: AnswerHead,
        /// What is wrong with the body.
        reason: String,
    },
    /// No answer in time; the request may have been carried out.
    #[error("broker must answer within {}, did not", SpanText(*.within))]
    Timeout {
        /// The time allowed.
        within: Duration,
    },
    /// No connection, or it was lost; the request may have been carried out.
    #[error("connection to the broker failed: {0}")]
    Transport(String),
}

impl ClientError {
    /// What the broker says of our request count, where it answered.
    pub fn rate_limit(&self) -> ReportedLimit {
        match self {
            ClientError::Api { head, .. }
            | ClientError::RateLimited { head, .. }
            | ClientError::Unreadable { head, .. } => head.rate_limit,
            ClientError::Timeout { .. } | ClientError::Transport(_) => ReportedLimit::default(),
        }
    }

    /// An answer with a status that is no success.
    pub(super) fn from_answer(head: AnswerHead, body: &[u8]) -> Self {
        let ErrorBody { code, message } = serde_json::from_slice(body).unwrap_or_default();
        if head.status == 429 {
            return ClientError::RateLimited { head, message };
        }
        ClientError::Api { head, code, message }
    }

    /// A request that failed before its answer's head arrived.
    pub(super) fn from_transport(error: &reqwest::Error, within: Duration) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return ClientError::Timeout { within };
        }
        ClientError::Transport(innermost(error))
    }

    /// A body that broke off.
    pub(super) fn from_body(error: &reqwest::Error, head: AnswerHead) -> Self {
        let reason = if error.is_timeout() { "it did not end in time".to_owned() } else { innermost(error) };
        ClientError::Unreadable { head, reason }
    }
}

impl fmt::Display for AnswerHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http {}", self.status)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

fn code_text(code: Option<u64>) -> String {
    code.map_or_else(String::new, |code| format!(", code {code}"))
}

fn message_text(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message}"))
}

/// `500ms`, `10s`.
struct SpanText(Duration);

impl fmt::Display for SpanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{}s", self.0.as_secs())
        } else {
            write!(f, "{}ms", self.0.as_millis())
        }
    }
}

/// The cause at the bottom says most: `connection refused` rather than `error sending request`.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_status_request_code_and_message_as_far_as_they_are_there() {
        let head =
            AnswerHead { status: 422, request_id: Some("r1".into()), rate_limit: ReportedLimit::default() };
        let full = ClientError::from_answer(head.clone(), br#"{"code":42210000,"message":"no"}"#);
        assert_eq!(full.to_string(), "broker answered http 422 (request r1), code 42210000: no");
        for body in [&b""[..], b"<html>", br#"{"mess"#, b"[]", br#"{"message":""}"#] {
            let bare = ClientError::from_answer(AnswerHead { status: 502, ..AnswerHead::default() }, body);
            assert_eq!(bare.to_string(), "broker answered http 502");
        }
        let slow = ClientError::Timeout { within: Duration::from_millis(1500) };
        assert_eq!(slow.to_string(), "broker must answer within 1500ms, did not");
    }
}
