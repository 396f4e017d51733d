//! A real `redis-server` of a test's own: a free port, a directory of its own, gone when dropped.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bot::clock::{Clock, SystemClock};
use redis::Value;
use tempfile::TempDir;

/// Runs until it is killed or dropped.
pub struct RedisServer {
    port: u16,
    directory: TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// An empty server that forgets everything when it ends.
    pub fn start() -> Self {
        Self::start_with(&["--appendonly", "no"])
    }

    /// An empty server that writes every command to disk before it answers.
    pub fn start_durable() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// An empty server with options of its own.
    pub fn start_with(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = options.iter().map(ToString::to_string).collect();
        // Another test may take the port between finding and using it: then another one is found.
        let mut server = Self { port: 0, directory, options, process: None };
        for _ in 0..10 {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("redis-server did not start; is it installed?");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again on the same port and directory.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.launch(), "redis-server did not start again on port {}", self.port);
    }

    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Runs one command and returns its answer; panics when it is refused.
    pub fn run(&self, words: &[&str]) -> Value {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| drop(command.arg(word)));
        command.query(&mut self.connection()).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The answer as `redis-cli` would print it on one line.
    pub fn ask(&self, words: &[&str]) -> String {
        flat(&self.run(words))
    }

    fn launch(&mut self) -> bool {
        let mut process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.directory.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server must be on PATH");
        let answers = wait_until(Duration::from_secs(20), || {
            if process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            // Any answer will do: it may want a password.
            let client = redis::Client::open(self.url()).unwrap();
            let pinged =
                client.get_connection().and_then(|mut to| redis::cmd("PING").query::<Value>(&mut to));
            pinged.map_or_else(
                |error| error.code().filter(|code| *code != "LOADING").map(|_| true),
                |_| Some(true),
            )
        });
        self.process = Some(process);
        answers == Some(true)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks again until there is an answer; `None` when there is none in time.
pub fn wait_until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = SystemClock.now() + limit;
    loop {
        let answer = ask();
        if answer.is_some() || SystemClock.now() >= deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn flat(value: &Value) -> String {
    if let Value::Array(items) = value {
        return items.iter().map(flat).collect::<Vec<_>>().join(" ");
    }
    if *value == Value::Nil {
        return "-".to_owned();
    }
    redis::from_redis_value_ref::<String>(value).unwrap()
}
