//! A real Redis of our own and the signals that are sent through it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tempfile::TempDir;

pub(crate) const STREAM: &str = "nvda";
pub(crate) const GROUP: &str = "bot";
const START_MAX: Duration = Duration::from_secs(10);

/// A redis-server on a free port that keeps nothing on disk; stopped when dropped.
pub(crate) struct SignalServer {
    process: Child,
    address: SocketAddr,
    client: redis::Client,
    _directory: TempDir,
}

impl SignalServer {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = TempDir::new().context("make a directory for redis-server")?;
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr())?;
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning", "--daemonize", "no"])
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                if error.kind() == ErrorKind::NotFound {
                    anyhow!("redis-server is not installed (Debian: apt-get install redis-server)")
                } else {
                    anyhow!(error).context("start redis-server")
                }
            })?;
        let client = redis::Client::open(format!("redis://{address}"))?;
        let mut server = Self { process, address, client, _directory: directory };
        server.wait_until_ready()?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// An empty server and a connection of its own to send with.
    pub(crate) fn sender(&self) -> anyhow::Result<Sender> {
        let mut connection = self.client.get_connection()?;
        redis::cmd("FLUSHALL").exec(&mut connection)?;
        let paced = TcpStream::connect(self.address)?;
        paced.set_nodelay(true)?;
        let paced_answers = BufReader::new(paced.try_clone()?);
        Ok(Sender { connection, paced, paced_answers, paced_unanswered: 0 })
    }

    /// Says when the next XREADGROUP arrives, whoever sends it.
    pub(crate) fn watch_first_read(&self) -> anyhow::Result<JoinHandle<std::io::Result<Instant>>> {
        let mut monitor = TcpStream::connect(self.address)?;
        monitor.set_read_timeout(Some(START_MAX))?;
        monitor.write_all(b"MONITOR\r\n")?;
        monitor.read_exact(&mut [0; b"+OK\r\n".len()])?;
        Ok(std::thread::spawn(move || {
            let mut seen = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                let len = monitor.read(&mut chunk)?;
                let now = Instant::now();
                if len == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                seen.extend_from_slice(&chunk[..len]);
                if seen.to_ascii_uppercase().windows(10).any(|window| window == b"XREADGROUP") {
                    return Ok(now);
                }
            }
        }))
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + START_MAX;
        loop {
            let answer = self.client.get_connection().and_then(|mut c| redis::cmd("PING").exec(&mut c));
            match answer {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > until => {
                    return Err(error).context("wait for redis-server to answer");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("redis-server must keep running, was \"{status}\"");
            }
        }
    }
}

impl Drop for SignalServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends signals; each carries its number as its quantity, so that its order can be told from the others.
pub(crate) struct Sender {
    connection: redis::Connection,
    paced: TcpStream,
    paced_answers: BufReader<TcpStream>,
    paced_unanswered: usize,
}

impl Sender {
    /// Writes one XADD and says when; its answer is left for `take_answers`, so that no thread of ours wakes for it.
    pub(crate) fn send(&mut self, number: u32) -> anyhow::Result<Instant> {
        let mut command = redis::cmd("XADD");
        command.arg(STREAM).arg("*").arg(&["ticker", "NVDA", "direction", "b"]).arg("qty").arg(number);
        let bytes = command.get_packed_command();
        self.paced_unanswered += 1;
        let sent = Instant::now();
        self.paced.write_all(&bytes)?;
        Ok(sent)
    }

    /// Reads the answers to all that `send` wrote.
    pub(crate) fn take_answers(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        for _ in 0..std::mem::take(&mut self.paced_unanswered) {
            line.clear();
            self.paced_answers.read_line(&mut line)?; // The length of the new entry's id, or an error.
            if !line.starts_with('$') {
                bail!("XADD must succeed, was \"{}\"", line.trim());
            }
            self.paced_answers.read_line(&mut line)?;
        }
        Ok(())
    }

    /// Puts all of `numbers` on the stream in one step: no reader sees the first before the last is there.
    pub(crate) fn send_at_once(&mut self, numbers: std::ops::Range<u32>) -> anyhow::Result<()> {
        const SCRIPT: &str = "for number = ARGV[1], ARGV[2] do \
             redis.call('XADD', KEYS[1], '*', 'ticker', 'NVDA', 'direction', 'b', 'qty', number) end";
        redis::cmd("EVAL")
            .arg(SCRIPT)
            .arg(1)
            .arg(STREAM)
            .arg(numbers.start)
            .arg(numbers.end - 1)
            .exec(&mut self.connection)
            .context("send a burst")
    }

    /// How many signals were delivered and are not acknowledged yet.
    pub(crate) fn pending(&mut self) -> anyhow::Result<u64> {
        type Summary = (u64, Option<String>, Option<String>, Option<Vec<(String, String)>>);
        let (pending, ..): Summary =
            redis::cmd("XPENDING").arg(STREAM).arg(GROUP).query(&mut self.connection)?;
        Ok(pending)
    }

    /// The newest outcome or dead letter, for an error's end; empty where there is none.
    pub(crate) fn last_record(&mut self) -> String {
        type Records = Vec<(String, Vec<String>)>;
        for stream in ["{nvda}:dead", "{nvda}:outcomes"] {
            let mut newest = redis::cmd("XREVRANGE");
            newest.arg(&[stream, "+", "-", "COUNT", "1"]);
            let records: Records = newest.query(&mut self.connection).unwrap_or_default();
            if let Some((_, fields)) = records.first() {
                return format!("\n  last in {stream}: {}", fields.join(" "));
            }
        }
        String::new()
    }
}
