//! Exit codes: what the process says when it ends.

use std::fmt;

use crate::backtest::wiring::WiringError;
use crate::broker::BrokerError;
use crate::broker::alpaca::AlpacaConfigError;
use crate::data::DataError;
use crate::download::DownloadError;
use crate::inbox::InboxError;
use crate::live::{LiveError, StartError};
use crate::manifest::ManifestError;
use crate::parity::ParityError;
use crate::state_dir::StateDirError;

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
    /// The exit code follows from the error; one that nothing is known of is unexpected.
    fn from(error: E) -> Self {
        let error = error.into();
        Self { exit: exit_of(&error), error }
    }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<LiveError>() {
        return of_live(error);
    }
    if let Some(error) = error.downcast_ref::<BrokerError>() {
        return of_broker(error);
    }
    if let Some(error) = error.downcast_ref::<DownloadError>() {
        return of_download(error);
    }
    if let Some(error) = error.downcast_ref::<InboxError>() {
        return of_inbox(error);
    }
    if let Some(error) = error.downcast_ref::<ManifestError>() {
        return of_manifest(error);
    }
    if let Some(error) = error.downcast_ref::<ParityError>() {
        return of_parity(error);
    }
    if let Some(error) = error.downcast_ref::<DataError>() {
        return of_data(error);
    }
    match error.downcast_ref::<WiringError>() {
        Some(WiringError::Data(error)) => return of_data(error),
        Some(WiringError::Strategy(_) | WiringError::Weights(_) | WiringError::NoSource(_)) => {
            return Exit::Invalid;
        }
        None => {}
    }
    match error.downcast_ref::<StateDirError>() {
        Some(StateDirError::Held(_)) => Exit::AlreadyRunning,
        Some(StateDirError::Unusable { .. }) | None => Exit::Unexpected,
    }
}

fn of_live(error: &LiveError) -> Exit {
    match error {
        LiveError::Start(StartError::Broker(error)) => of_broker(error),
        LiveError::Start(StartError::Inbox(error)) => of_inbox(error),
        LiveError::Start(StartError::Weights(_) | StartError::Strategy(_)) => Exit::Invalid,
        LiveError::Start(StartError::Data(error)) => of_data(error),
        LiveError::Start(StartError::Blocked { .. }) => Exit::CheckFailed,
        LiveError::Start(StartError::Stopped(_)) => Exit::Success, // Asked to end with nothing in hand.
        LiveError::Start(StartError::State(_)) | LiveError::Record(_) | LiveError::Thread(_) => {
            Exit::Unexpected
        }
    }
}

fn of_broker(error: &BrokerError) -> Exit {
    match error {
        BrokerError::Unreachable(_) => Exit::Unreachable,
        BrokerError::Credentials(_) => Exit::Credentials,
        BrokerError::Refused(_) => Exit::Unexpected,
    }
}

fn of_download(error: &DownloadError) -> Exit {
    match error {
        DownloadError::Settings(_) | DownloadError::Row { .. } => Exit::Invalid,
        DownloadError::Config(AlpacaConfigError::Credentials(_)) => Exit::Credentials,
        DownloadError::Config(
            AlpacaConfigError::Address { .. }
            | AlpacaConfigError::Live { .. }
            | AlpacaConfigError::Setting(_),
        ) => Exit::Usage,
        DownloadError::Broker(error) => of_broker(error),
        DownloadError::Stopped => Exit::Success,
        DownloadError::Disorder { .. } | DownloadError::Io { .. } => Exit::Unexpected,
    }
}

fn of_manifest(error: &ManifestError) -> Exit {
    match error {
        ManifestError::NotFound(_) => Exit::NotFound,
        ManifestError::Unreadable { .. } | ManifestError::Invalid(_) => Exit::Invalid,
    }
}

fn of_parity(error: &ParityError) -> Exit {
    match error {
        ParityError::NotFound(_)
        | ParityError::NoSession(_)
        | ParityError::NoSuchSession { .. }
        | ParityError::NoOutcome(_) => Exit::NotFound,
        ParityError::NoSymbols | ParityError::Strategy(_) | ParityError::History(_) => Exit::Invalid,
        ParityError::Manifest(error) => of_manifest(error),
        ParityError::Data(error) => of_data(error),
    }
}

fn of_data(error: &DataError) -> Exit {
    match error {
        DataError::NotFound { .. } => Exit::NotFound,
        DataError::Io { .. } | DataError::Row { .. } | DataError::History(_) | DataError::NoBroker { .. } => {
            Exit::Invalid
        }
        DataError::Broker(error) => error.downcast_ref().map_or(Exit::Unexpected, of_download),
    }
}

fn of_inbox(error: &InboxError) -> Exit {
    match error {
        InboxError::Unavailable(_) => Exit::Unreachable,
        InboxError::Credentials(_) => Exit::Credentials,
        InboxError::Misconfigured(_) => Exit::Invalid,
    }
}
