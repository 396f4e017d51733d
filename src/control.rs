//! The control socket of a running bot: `control.sock` in its state directory, for its owner alone, one JSON line each way.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stop::Stop;
use crate::strategy_threads::{Status, StrategyThreads};

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlRequest {
    /// How the strategies are doing.
    Strategies,
    /// Start this strategy.
    Start(String),
    /// Stop this strategy.
    Stop(String),
}

/// What is answered: the strategies as they stand afterwards, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ControlReply {
    Ok(Vec<Status>),
    Error(String),
}

/// Why there is no answer from a running bot.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody listens there.
    #[error("no bot with strategies is running with state directory {}", .0.display())]
    NotRunning(PathBuf),
    /// It answered that it will not.
    #[error("{0}")]
    Refused(String),
    /// The conversation broke off.
    #[error("control socket: {0}")]
    Io(#[from] io::Error),
}

const SOCKET: &str = "control.sock";
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LINE_LEN_MAX: u64 = 4_096;

/// Listens for owners of the state directory until it is dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Opens the socket in the locked state directory; a socket that a crash left behind is replaced.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn open(state: &Path) -> io::Result<Self> {
        let path = state.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    /// Answers one request after the other until `stop` is raised; each start and stop that was done is told to `switched`.
    pub fn serve(&self, host: &StrategyThreads, stop: &Stop, switched: &dyn Fn(&str, bool)) {
        let glance = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while !stop.is_requested() {
            let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
            if poll(&mut ready, Some(&glance)).is_ok_and(|count| count > 0)
                && let Ok((stream, _)) = self.listener.accept()
                && let Err(error) = answer(&stream, host, switched)
            {
                tracing::debug!(%error, "a control request broke off");
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn answer(stream: &UnixStream, host: &StrategyThreads, switched: &dyn Fn(&str, bool)) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let mut line = String::new();
    BufReader::new(stream).take(LINE_LEN_MAX).read_line(&mut line)?;
    let done = match serde_json::from_str(&line) {
        Ok(ControlRequest::Strategies) => Ok(()),
        Ok(ControlRequest::Start(name)) => switch(host, &name, true, switched),
        Ok(ControlRequest::Stop(name)) => switch(host, &name, false, switched),
        Err(error) => Err(format!("request must be one JSON line, {error}")),
    };
    let answer = match done {
        Ok(()) => ControlReply::Ok(host.status()),
        Err(text) => ControlReply::Error(text),
    };
    let mut writer = stream;
    writeln!(writer, "{}", serde_json::to_string(&answer)?)
}

fn switch(
    host: &StrategyThreads,
    name: &str,
    active: bool,
    switched: &dyn Fn(&str, bool),
) -> Result<(), String> {
    host.switch(name, active).map_err(|error| error.to_string())?;
    switched(name, active);
    Ok(())
}

/// Asks the bot that runs with this state directory; the answer is its strategies as they stand afterwards.
///
/// # Errors
/// Nobody runs there, it refuses, or it does not answer in time.
pub fn request(state: &Path, request: &ControlRequest) -> Result<Vec<Status>, ControlError> {
    let mut stream =
        UnixStream::connect(state.join(SOCKET)).map_err(|_| ControlError::NotRunning(state.to_owned()))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    writeln!(stream, "{}", serde_json::to_string(request).map_err(io::Error::other)?)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    match serde_json::from_str(&line).map_err(io::Error::other)? {
        ControlReply::Ok(strategies) => Ok(strategies),
        ControlReply::Error(text) => Err(ControlError::Refused(text)),
    }
}
