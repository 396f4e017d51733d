//! One blocking connection to Redis: time-outs, TLS, authentication, and errors named by what can be done about them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Cmd, Connection, IntoConnectionInfo, Pipeline, RedisConnectionInfo, Value};
use thiserror::Error;

use super::InboxError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer than a command may take the answer is waited for: a blocking read needs it above BLOCK.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Plain errors that no waiting heals; others (too many clients, a script that is busy) may pass.
const ERRORS_FOR_GOOD: [&str; 6] =
    ["unknown command", "unknown subcommand", "wrong number", "syntax", "DB index", "without any password"];

/// Where Redis is; shown without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// Takes the text as it is; a bad one is found when connecting.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// # Errors
    /// Says why this is no Redis URL, without repeating it.
    pub fn check(&self) -> Result<(), RedisFault> {
        self.connection_info().map(drop)
    }

    fn connection_info(&self) -> Result<redis::ConnectionInfo, RedisFault> {
        self.0.as_str().into_connection_info().map_err(|error| {
            RedisFault::Misused(format!(
                "redis url must be such as redis://127.0.0.1:6379 or rediss://:password@host:6379/0 ({})",
                error.detail().unwrap_or("it cannot be read")
            ))
        })
    }
}

impl FromStr for RedisUrl {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(url) = url::Url::parse(&self.0) else { return f.write_str("(unreadable url)") };
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        url.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(url.path())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why Redis does not do what was asked, named by what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedisFault {
    /// Try again after a pause.
    #[error("{0}")]
    Unavailable(String),
    /// Stop: password missing or wrong, or no permission.
    #[error("{0}")]
    Credentials(String),
    /// Stop: wrong URL, wrong type of key, unknown command.
    #[error("{0}")]
    Misused(String),
}

impl RedisFault {
    pub(super) fn unexpected(command: &str) -> Self {
        Self::Unavailable(format!("answer to {command} is not of the expected shape"))
    }
}

impl From<RedisFault> for InboxError {
    fn from(fault: RedisFault) -> Self {
        match fault {
            RedisFault::Unavailable(text) => Self::Unavailable(text),
            RedisFault::Credentials(text) => Self::Credentials(text),
            RedisFault::Misused(text) => Self::Misconfigured(text),
        }
    }
}

/// A connection that is good until its first error; then it is dropped and another one is made.
pub(super) struct Link {
    connection: Connection,
    place: String,
    timeout: Duration,
}

impl Link {
    /// Connects, authenticates and selects the database.
    pub(super) fn open(url: &RedisUrl) -> Result<Self, RedisFault> {
        let info = url.connection_info()?;
        let place = url.to_string();
        if place.starts_with("rediss") || place.starts_with("valkeys") {
            // An error says that another part of the process installed it first.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let login = info.redis_settings().clone();
        // Logging in is done below: the library's own answers "password failed" to every refusal.
        let info = info
            .set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name())
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let connection = redis::Client::open(info)
            .and_then(|client| client.get_connection_with_timeout(CONNECT_TIMEOUT))
            .map_err(|error| io_fault(&place, &error, CONNECT_TIMEOUT))?;
        let mut link = Self { connection, place, timeout: Duration::ZERO };
        link.set_write_timeout()?;
        link.log_in(&login)?;
        Ok(link)
    }

    /// Sends one command and waits for its answer for at most `wait` longer than any answer may take.
    pub(super) fn call(&mut self, command: &Cmd, wait: Duration) -> Result<Value, RedisFault> {
        self.set_timeout(wait)?;
        self.send(&command.get_packed_command())?;
        self.receive().and_then(accepted)
    }

    /// Sends all commands at once; what the server refuses is left among the answers, see [`accepted`].
    pub(super) fn call_all(&mut self, commands: &Pipeline, wait: Duration) -> Result<Vec<Value>, RedisFault> {
        if commands.is_empty() {
            return Ok(Vec::new()); // The library takes it for an error.
        }
        self.set_timeout(wait)?;
        self.send(&commands.get_packed_pipeline())?;
        (0..commands.len()).map(|_| self.receive()).collect()
    }

    fn log_in(&mut self, login: &RedisConnectionInfo) -> Result<(), RedisFault> {
        if let Some(password) = login.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = login.username() {
                auth.arg(user);
            }
            // The server's text is not kept: an unknown command's repeats its arguments, here the password.
            self.call(auth.arg(password), Duration::ZERO).map_err(|fault| match fault {
                RedisFault::Unavailable(text) if !text.contains("AUTH") => RedisFault::Unavailable(text),
                RedisFault::Unavailable(_) | RedisFault::Credentials(_) | RedisFault::Misused(_) => {
                    RedisFault::Credentials(format!("{} refused user or password", self.place))
                }
            })?;
        }
        if login.db() != 0 {
            self.call(redis::cmd("SELECT").arg(login.db()), Duration::ZERO)?;
        }
        Ok(())
    }

    fn set_write_timeout(&self) -> Result<(), RedisFault> {
        self.connection
            .set_write_timeout(Some(REPLY_TIMEOUT))
            .map_err(|error| io_fault(&self.place, &error, REPLY_TIMEOUT))
    }

    fn set_timeout(&mut self, wait: Duration) -> Result<(), RedisFault> {
        let timeout = wait + REPLY_TIMEOUT;
        if timeout != self.timeout {
            self.connection
                .set_read_timeout(Some(timeout))
                .map_err(|error| io_fault(&self.place, &error, timeout))?;
            self.timeout = timeout;
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), RedisFault> {
        self.connection
            .send_packed_command(bytes)
            .map_err(|error| io_fault(&self.place, &error, REPLY_TIMEOUT))
    }

    fn receive(&mut self) -> Result<Value, RedisFault> {
        self.connection.recv_response().map_err(|error| io_fault(&self.place, &error, self.timeout))
    }
}

/// The answer itself, or the fault that the server's refusal stands for.
pub(super) fn accepted(answer: Value) -> Result<Value, RedisFault> {
    let Value::ServerError(error) = answer else { return Ok(answer) };
    Err(server_fault(error.code(), error.details().unwrap_or_default()))
}

fn server_fault(code: &str, detail: &str) -> RedisFault {
    let text = format!("{code} {detail}").trim_end().to_owned();
    match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => RedisFault::Credentials(text),
        "WRONGTYPE" | "MOVED" | "ASK" | "CROSSSLOT" => RedisFault::Misused(text),
        "ERR" if ERRORS_FOR_GOOD.iter().any(|words| detail.contains(words)) => RedisFault::Misused(text),
        _ => RedisFault::Unavailable(text),
    }
}

fn io_fault(place: &str, error: &redis::RedisError, timeout: Duration) -> RedisFault {
    let text = error.to_string();
    if error.is_timeout() {
        return RedisFault::Unavailable(format!("{place} did not answer within {} s", timeout.as_secs()));
    }
    let fault = if error.kind() == redis::ErrorKind::InvalidClientConfig || text.contains("certificate") {
        RedisFault::Misused
    } else {
        RedisFault::Unavailable
    };
    fault(format!("{place}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_shows_its_password() {
        let url = RedisUrl::new("rediss://me:hunter2@cache.example:6380/3");
        assert_eq!(format!("{url} {url:?}"), "rediss://cache.example:6380/3 rediss://cache.example:6380/3");
        for bad in ["http://:hunter2@x", "redis://:hunter2@x:port", ":hunter2", "redis://:hunter2@x/nodb", ""]
        {
            let error = RedisUrl::new(bad).check().unwrap_err();
            assert!(
                matches!(error, RedisFault::Misused(_)) && !error.to_string().contains("hunter2"),
                "{error}"
            );
            assert!(!RedisUrl::new(bad).to_string().contains("hunter2"), "{bad}");
        }
    }

    #[track_caller]
    fn check(code: &str, detail: &str, expected: fn(String) -> RedisFault) {
        assert_eq!(server_fault(code, detail), expected(format!("{code} {detail}")));
    }

    #[test]
    fn refusals_that_pass_are_told_from_those_that_stay() {
        for passing in [
            "NOGROUP",
            "UNBLOCKED",
            "LOADING",
            "READONLY",
            "MASTERDOWN",
            "TRYAGAIN",
            "CLUSTERDOWN",
            "NOSCRIPT",
            "OOM",
            "MISCONF",
        ] {
            check(passing, "text", RedisFault::Unavailable);
        }
        check("ERR", "max number of clients reached", RedisFault::Unavailable);
        for staying in ["WRONGTYPE", "MOVED"] {
            check(staying, "text", RedisFault::Misused);
        }
        check("ERR", "unknown command 'XREADGROUP'", RedisFault::Misused);
        for refused in ["NOAUTH", "WRONGPASS", "NOPERM"] {
            check(refused, "text", RedisFault::Credentials);
        }
    }
}
