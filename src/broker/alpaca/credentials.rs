//! Keys and addresses from the environment: read once, checked before the first request, never printed.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use thiserror::Error;

/// Where the environment's variables come from, so that a test can bring its own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

const PAPER: &str = "https://paper-api.alpaca.markets";
const DATA: &str = "https://data.alpaca.markets";

/// All that connecting to Alpaca needs.
#[derive(Debug, Clone)]
pub struct AlpacaConfig {
    /// The account's keys.
    pub credentials: Credentials,
    /// Where to connect to.
    pub endpoints: Endpoints,
    /// Requests per window that the account may send, trading and data each; `None` for no budget of our own.
    pub rate_limit: Option<(u32, Duration)>,
    /// How long to wait for a TCP and TLS connection.
    pub connect_timeout: Duration,
    /// How long one request may take, connecting and reading the answer included.
    pub request_timeout: Duration,
    /// How often orders in flight are asked for while the order stream is not connected.
    pub poll_interval: Duration,
    /// Whether to listen to the order stream.
    pub stream: bool,
    /// How long a stream may be silent, pings unanswered, before it is taken for dead.
    pub stream_silence_max: Duration,
    /// How long the market data stream may bring no data in an open market; at least one and a half times
    /// `stream_silence_max`.
    pub data_quiet_max: Duration,
}

impl AlpacaConfig {
    /// Alpaca's own limit on the free plan.
    pub const RATE_LIMIT: Option<(u32, Duration)> = Some((200, Duration::from_mins(1)));

    /// The usual values around these keys and addresses.
    pub fn new(credentials: Credentials, endpoints: Endpoints) -> Self {
        Self {
            credentials,
            endpoints,
            rate_limit: Self::RATE_LIMIT,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(2),
            stream: true,
            stream_silence_max: Duration::from_secs(30),
            data_quiet_max: Duration::from_mins(1),
        }
    }

    /// Keys and addresses from the environment, the usual values for the rest.
    ///
    /// # Errors
    /// As [`Credentials::from_env`] and [`Endpoints::from_env`].
    pub fn from_env(env: Environment<'_>, live: bool) -> Result<Self, AlpacaConfigError> {
        let endpoints = Endpoints::from_env(env, live)?;
        Ok(Self::new(Credentials::from_env(env)?, endpoints))
    }
}

/// What is wrong with the keys or the addresses, before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlpacaConfigError {
    /// No complete pair of keys.
    #[error(
        "keys must be given as APCA_API_KEY_ID and APCA_API_SECRET_KEY (or ALPACA_API_KEY and ALPACA_SECRET_KEY, \
         or each name with _FILE), {0}"
    )]
    Credentials(String),
    /// An address that cannot be used.
    #[error("{name} must be {allowed}, was \"{was}\"")]
    Address {
        /// Which variable.
        name: &'static str,
        /// What it may be.
        allowed: &'static str,
        /// What it was.
        was: String,
    },
    /// A live address that nobody asked for in words.
    #[error("a live address needs --live, {name} was \"{was}\"")]
    Live {
        /// Which variable.
        name: &'static str,
        /// What it was.
        was: String,
    },
    /// A setting that cannot work.
    #[error("{0}")]
    Setting(String),
}

/// The keys of one account. Neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    key_id: String,
    secret: String,
}

impl Credentials {
    /// # Errors
    /// Empty keys and keys that no HTTP header can carry are refused; the error does not repeat them.
    pub fn new(key_id: &str, secret: &str) -> Result<Self, AlpacaConfigError> {
        for (what, key) in [("key id", key_id), ("secret key", secret)] {
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                let fault = format!("the {what} was not a word of printable ASCII");
                return Err(AlpacaConfigError::Credentials(fault));
            }
        }
        Ok(Self { key_id: key_id.to_owned(), secret: secret.to_owned() })
    }

    /// The first complete pair of keys: `APCA_API_KEY_ID` and `APCA_API_SECRET_KEY`, then `ALPACA_API_KEY` and
    /// `ALPACA_SECRET_KEY`, each also as a file's content under its name with `_FILE`.
    ///
    /// # Errors
    /// No complete pair, or a file that cannot be read. Nothing was sent.
    pub fn from_env(env: Environment<'_>) -> Result<Self, AlpacaConfigError> {
        let mut missing = "";
        for (key_name, secret_name) in
            [("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"), ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")]
        {
            match (value_or_file(env, key_name)?, value_or_file(env, secret_name)?) {
                (Some(key_id), Some(secret)) => return Self::new(&key_id, &secret),
                (Some(_), None) => missing = secret_name,
                (None, Some(_)) => missing = key_name,
                (None, None) => {}
            }
        }
        let fault =
            if missing.is_empty() { "none was set".to_owned() } else { format!("{missing} was not set") };
        Err(AlpacaConfigError::Credentials(fault))
    }

    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// An empty value counts as none: that is what an unset variable looks like in a compose file.
fn value_or_file(env: Environment<'_>, name: &str) -> Result<Option<String>, AlpacaConfigError> {
    let present =
        |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    if let Some(value) = present(name) {
        return Ok(Some(value));
    }
    let Some(path) = present(&format!("{name}_FILE")) else { return Ok(None) };
    let content = std::fs::read_to_string(&path).map_err(|error| {
        AlpacaConfigError::Credentials(format!("{name}_FILE \"{path}\" could not be read: {error}"))
    })?;
    Ok(Some(content.trim().to_owned()).filter(|value| !value.is_empty()))
}

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// Alpaca's paper trading.
    Paper,
    /// Alpaca with real money.
    Live,
    /// This machine.
    Local,
    /// Somewhere else, such as a paper exchange in the next container.
    Other,
}

impl HostKind {
    /// The environment's name, for people and for ids.
    pub fn environment(self) -> &'static str {
        match self {
            HostKind::Paper => "alpaca-paper",
            HostKind::Live => "alpaca-live",
            HostKind::Local => "alpaca-local",
            HostKind::Other => "alpaca-other",
        }
    }
}

/// Where trading, market data and the order stream are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    trading: Url,
    data: Url,
    stream: Url,
    data_stream: Url,
    kind: HostKind,
}

impl Endpoints {
    /// Alpaca paper trading unless `APCA_API_BASE_URL` says otherwise. At a host that is not Alpaca's own, market data
    /// and the order stream are expected at the same origin unless `APCA_API_DATA_URL` and `APCA_API_STREAM_URL` are set.
    /// The market data stream is that of the free feed, `/v2/iex`, unless `APCA_API_DATA_STREAM_URL` names another.
    ///
    /// # Errors
    /// Addresses that cannot be used, and live ones unless `live`.
    pub fn from_env(env: Environment<'_>, live: bool) -> Result<Self, AlpacaConfigError> {
        let given = |name| env(name).filter(|value| !value.trim().is_empty());
        let base = given("APCA_API_BASE_URL").unwrap_or_else(|| PAPER.to_owned());
        let trading = rest_url("APCA_API_BASE_URL", &base)?;
        let kind = host_kind(&trading);
        let data = match (given("APCA_API_DATA_URL"), kind) {
            (Some(text), _) => rest_url("APCA_API_DATA_URL", &text)?,
            (None, HostKind::Paper | HostKind::Live) => rest_url("APCA_API_DATA_URL", DATA)?,
            (None, HostKind::Local | HostKind::Other) => trading.clone(),
        };
        let stream = match given("APCA_API_STREAM_URL") {
            Some(text) => stream_url(&text)?,
            None => stream_url(trading.as_str())?,
        };
        let data_stream = match given("APCA_API_DATA_STREAM_URL") {
            Some(text) => data_stream_url(&text)?,
            None => data_stream_beside(&data)?,
        };
        for (name, url) in [("APCA_API_BASE_URL", &trading), ("APCA_API_STREAM_URL", &stream)] {
            if host_kind(url) == HostKind::Live && !live {
                return Err(AlpacaConfigError::Live { name, was: url.to_string() });
            }
        }
        Ok(Self { trading, data, stream, data_stream, kind })
    }

    /// Everything at one origin, as the paper exchange serves it.
    ///
    /// # Errors
    /// As [`Endpoints::from_env`]; live addresses are refused.
    pub fn at(origin: &str) -> Result<Self, AlpacaConfigError> {
        Self::from_env(&|name| (name == "APCA_API_BASE_URL").then(|| origin.to_owned()), false)
    }

    /// The trading address, without `/v2`.
    pub fn trading(&self) -> &Url {
        &self.trading
    }

    /// The market data address, without `/v2`.
    pub fn data(&self) -> &Url {
        &self.data
    }

    /// The order stream's address.
    pub fn stream(&self) -> &Url {
        &self.stream
    }

    /// The market data stream's address, its feed included.
    pub fn data_stream(&self) -> &Url {
        &self.data_stream
    }

    /// The address of the market data stream of coins, beside that of shares.
    pub fn coin_stream(&self) -> Url {
        let mut url = self.data_stream.clone();
        let base = url.path().split_once("/v2").map_or("", |(base, _)| base).to_owned();
        url.set_path(&format!("{base}/v1beta3/crypto/us"));
        url
    }

    /// The feed that the market data stream is of, by the name that requests for history know it by.
    pub fn feed(&self) -> &str {
        match self.data_stream.path().rsplit('/').next().unwrap_or_default() {
            feed @ ("sip" | "otc" | "boats") => feed,
            "delayed_sip" => "sip",
            _ => "iex",
        }
    }

    /// What kind of place trading happens at.
    pub fn kind(&self) -> HostKind {
        self.kind
    }
}

fn rest_url(name: &'static str, text: &str) -> Result<Url, AlpacaConfigError> {
    let mut url = checked_url(name, text, "an http or https address")?;
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v2").unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&path);
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(bad_address(name, text)) }
}

fn stream_url(text: &str) -> Result<Url, AlpacaConfigError> {
    let mut url = socket_url("APCA_API_STREAM_URL", text)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(if path.ends_with("/stream") { path } else { format!("{path}/stream") }.as_str());
    Ok(url)
}

/// An address with no feed gets the free one.
fn data_stream_url(text: &str) -> Result<Url, AlpacaConfigError> {
    let mut url = socket_url("APCA_API_DATA_STREAM_URL", text)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(if path.is_empty() { "/v2/iex" } else { &path });
    Ok(url)
}

/// Where the stream is that belongs to a data address: at Alpaca on a host of its own, elsewhere at the same origin.
fn data_stream_beside(data: &Url) -> Result<Url, AlpacaConfigError> {
    let mut url = data.clone();
    let failed = || bad_address("APCA_API_DATA_URL", data.as_str());
    if is_alpaca(&url) {
        let host = format!("stream.{}", host(&url));
        url.set_host(Some(&host)).map_err(|_| failed())?;
    }
    url.set_path(&format!("{}/v2/iex", data.path().trim_end_matches('/')));
    socket_url("APCA_API_DATA_STREAM_URL", url.as_str())
}

fn socket_url(name: &'static str, text: &str) -> Result<Url, AlpacaConfigError> {
    let mut url = checked_url(name, text, "a ws or wss address")?;
    let scheme = match url.scheme() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return Err(bad_address(name, text)),
    };
    url.set_scheme(scheme).map_err(|()| bad_address(name, text))?;
    Ok(url)
}

fn checked_url(name: &'static str, text: &str, allowed: &'static str) -> Result<Url, AlpacaConfigError> {
    let bad = |allowed| AlpacaConfigError::Address { name, allowed, was: text.to_owned() };
    let url = Url::parse(text.trim()).map_err(|_| bad(allowed))?;
    if !url.username().is_empty() || url.password().is_some() {
        let fault = "without a user name or password";
        return Err(AlpacaConfigError::Address {
            name,
            allowed: fault,
            was: "an address with one".to_owned(),
        });
    }
    if url.host_str().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("an address with a host and without a query"));
    }
    if is_alpaca(&url) && !matches!(url.scheme(), "https" | "wss") {
        return Err(bad("encrypted (https or wss) at alpaca.markets"));
    }
    Ok(url)
}

fn bad_address(name: &'static str, text: &str) -> AlpacaConfigError {
    AlpacaConfigError::Address { name, allowed: "an http, https, ws or wss address", was: text.to_owned() }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_end_matches('.')
}

fn is_alpaca(url: &Url) -> bool {
    host(url) == "alpaca.markets" || host(url).ends_with(".alpaca.markets")
}

/// Everything at Alpaca that is not known to be play money counts as live.
fn host_kind(url: &Url) -> HostKind {
    let host = host(url);
    if is_alpaca(url) {
        let paper = host == "paper-api.alpaca.markets" || host.ends_with(".sandbox.alpaca.markets");
        return if paper { HostKind::Paper } else { HostKind::Live };
    }
    let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback || host == "localhost" { HostKind::Local } else { HostKind::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[track_caller]
    fn check_addresses(pairs: &[(&str, &str)], expected: &str) {
        let found = match Endpoints::from_env(&env(pairs), false) {
            Ok(ends) => {
                let Endpoints { trading, data, stream, data_stream, kind } = ends;
                format!("{trading} {data} {stream} {data_stream} {}", kind.environment())
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn addresses_follow_from_the_base_address_unless_they_are_given() {
        check_addresses(
            &[],
            "https://paper-api.alpaca.markets/ https://data.alpaca.markets/ \
             wss://paper-api.alpaca.markets/stream wss://stream.data.alpaca.markets/v2/iex alpaca-paper",
        );
        check_addresses(
            &[("APCA_API_BASE_URL", "http://127.0.0.1:8900/v2/"), ("APCA_API_DATA_URL", "")],
            "http://127.0.0.1:8900/ http://127.0.0.1:8900/ ws://127.0.0.1:8900/stream ws://127.0.0.1:8900/v2/iex \
             alpaca-local",
        );
        check_addresses(
            &[
                ("APCA_API_BASE_URL", "http://exchange:8900"),
                ("APCA_API_STREAM_URL", "ws://other/x/stream/"),
                ("APCA_API_DATA_STREAM_URL", "http://more:1/v2/sip/"),
            ],
            "http://exchange:8900/ http://exchange:8900/ ws://other/x/stream ws://more:1/v2/sip alpaca-other",
        );
        check_addresses(
            &[
                ("APCA_API_BASE_URL", "http://[::1]:1/prefix/v2"),
                ("APCA_API_DATA_URL", "https://d.example/v2"),
            ],
            "http://[::1]:1/prefix https://d.example/ ws://[::1]:1/prefix/stream wss://d.example/v2/iex alpaca-local",
        );
    }

    #[test]
    fn a_live_host_needs_to_be_asked_for_in_words() {
        for url in
            ["https://api.alpaca.markets", "https://API.alpaca.markets./v2", "https://x.alpaca.markets"]
        {
            let pairs = [("APCA_API_BASE_URL", url)];
            let error = Endpoints::from_env(&env(&pairs), false).unwrap_err();
            assert!(
                error.to_string().starts_with("a live address needs --live, APCA_API_BASE_URL was"),
                "{error}"
            );
            assert_eq!(Endpoints::from_env(&env(&pairs), true).unwrap().kind(), HostKind::Live);
        }
        let stream = [("APCA_API_STREAM_URL", "wss://api.alpaca.markets/stream")];
        assert!(Endpoints::from_env(&env(&stream), false).is_err());
    }

    #[test]
    fn addresses_that_cannot_work_or_would_leak_are_refused() {
        for (url, rule) in [
            ("localhost:8900", "APCA_API_BASE_URL must be an address with a host and without a query"),
            ("ftp://x", "APCA_API_BASE_URL must be an http, https, ws or wss address"),
            ("http://paper-api.alpaca.markets", "APCA_API_BASE_URL must be encrypted (https or wss)"),
            ("http://me:hunter2@x", "APCA_API_BASE_URL must be without a user name or password"),
            ("nonsense", "APCA_API_BASE_URL must be an http or https address, was \"nonsense\""),
        ] {
            let error =
                Endpoints::from_env(&env(&[("APCA_API_BASE_URL", url)]), false).unwrap_err().to_string();
            assert!(error.starts_with(rule), "{error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn keys_come_from_the_first_complete_pair_or_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, " from-file \n").unwrap();
        let file = file.to_str().unwrap();
        let read = |pairs: &[(&str, &str)]| Credentials::from_env(&env(pairs));

        let apca = read(&[("APCA_API_KEY_ID", "a"), ("APCA_API_SECRET_KEY_FILE", file)]).unwrap();
        assert_eq!((apca.key_id(), apca.secret()), ("a", "from-file"));
        let other =
            read(&[("APCA_API_KEY_ID", "a"), ("ALPACA_API_KEY", "b"), ("ALPACA_SECRET_KEY", "c")]).unwrap();
        assert_eq!((other.key_id(), other.secret()), ("b", "c"));
    }

    #[test]
    fn missing_keys_are_named_and_given_ones_are_never_shown() {
        let message = |pairs: &[(&str, &str)]| Credentials::from_env(&env(pairs)).unwrap_err().to_string();
        assert!(message(&[]).ends_with(", none was set"));
        assert!(message(&[("APCA_API_KEY_ID", "a")]).ends_with(", APCA_API_SECRET_KEY was not set"));
        let missing_file = message(&[("APCA_API_KEY_ID_FILE", "/no/such/file")]);
        assert!(
            missing_file.contains("APCA_API_KEY_ID_FILE \"/no/such/file\" could not be read"),
            "{missing_file}"
        );
        let unprintable = message(&[("APCA_API_KEY_ID", "a"), ("APCA_API_SECRET_KEY", "hunter2 hunter3")]);
        assert!(!unprintable.contains("hunter"), "{unprintable}");
        let keys = Credentials::new("visible", "hunter2").unwrap();
        assert_eq!(format!("{keys:?}"), "Credentials(hidden)");
    }
}
