//! Exit codes: what the process says when it ends.

use std::fmt;

/// Why the process ends; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// Something nobody expected.
    Unexpected = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Manifest, strategy or data is invalid.
    Invalid = 3,
    /// What was asked for does not exist.
    NotFound = 4,
    /// Redis or the broker cannot be reached.
    Unreachable = 5,
    /// Credentials are missing or refused.
    Credentials = 6,
    /// Another process holds the state directory.
    AlreadyRunning = 8,
    /// The drain timed out; the rest stays pending.
    DrainTimedOut = 9,
    /// It ran, but a check failed.
    CheckFailed = 10,
    /// Books and broker differ.
    BooksDiffer = 12,
}

/// An error with the exit code it ends in.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// What went wrong.
    pub error: anyhow::Error,
}

impl Failure {
    /// `error` ends the process with `exit`.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// A message of our own ends the process with `exit`.
    pub fn message(exit: Exit, text: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { exit, error: anyhow::Error::msg(text) }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    /// Without another word an error is unexpected.
    fn from(error: E) -> Self {
        Self::new(Exit::Unexpected, error)
    }
}
