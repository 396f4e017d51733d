//! What is measured: a process that turns the stream's signals into orders, and what it costs.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::floor;
use crate::session::Rig;
use crate::signals::{GROUP, STREAM};

/// Linux counts a process's CPU time in units of 10 ms for its readers, whatever the kernel's own tick.
const CPU_TICKS_PER_SECOND: f64 = 100.0;
const STOP_MAX: Duration = Duration::from_secs(15);

/// Who turns signals into orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Floor { connections: usize },
    Bot { workers: usize },
}

impl Subject {
    /// In the order of measuring: each of ours follows its floor.
    pub(crate) const ALL: [Self; 4] = [
        Self::Floor { connections: 1 },
        Self::Bot { workers: 1 },
        Self::Floor { connections: 8 },
        Self::Bot { workers: 8 },
    ];

    /// In the order of reading.
    pub(crate) const FLOORS_FIRST: [Self; 4] = [
        Self::Floor { connections: 1 },
        Self::Floor { connections: 8 },
        Self::Bot { workers: 1 },
        Self::Bot { workers: 8 },
    ];

    pub(crate) fn is_floor(self) -> bool {
        match self {
            Subject::Floor { .. } => true,
            Subject::Bot { .. } => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Floor { connections: 1 } => f.pad("floor, 1 connection"),
            Subject::Floor { connections } => f.pad(&format!("floor, {connections} connections")),
            Subject::Bot { workers } => f.pad(&format!("bot -w {workers}")),
        }
    }
}

/// A running subject; killed when dropped.
pub(crate) struct Process {
    child: Child,
    subject: Subject,
    directory: TempDir,
}

impl Process {
    pub(crate) fn start(subject: Subject, rig: &Rig) -> anyhow::Result<Self> {
        let directory = TempDir::new().context("make a directory for the subject")?;
        let mut command = match subject {
            Subject::Floor { connections } => floor_command(connections, rig)?,
            Subject::Bot { workers } => bot_command(workers, rig, directory.path()),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("stderr"))?)
            .spawn()
            .with_context(|| format!("start {subject}"))?;
        Ok(Self { child, subject, directory })
    }

    /// # Errors
    /// It ended; the error carries the last lines it wrote.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} must keep running, was \"{status}\"{}", self.subject, self.last_words())
            }
        }
    }

    /// The last lines that it wrote to stderr, for an error's end.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(10)..];
        if last.is_empty() { String::new() } else { format!("\n  {}", last.join("\n  ")) }
    }

    /// User and system time so far, of all its threads.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.read_proc("stat")?;
        // The name may hold spaces and brackets; after its last bracket the state is field 3.
        let (_, fields) = stat.rsplit_once(')').context("find the name in /proc/PID/stat")?;
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / CPU_TICKS_PER_SECOND)
    }

    /// The most memory it ever had resident.
    pub(crate) fn memory_peak_mib(&self) -> anyhow::Result<f64> {
        let status = self.read_proc("status")?;
        let kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .context("find VmHWM in /proc/PID/status")?
            .trim()
            .parse()?;
        Ok(kib / 1024.0)
    }

    /// Asks it to end, and says how it did.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &pid]).status().context("run kill")?;
        let status = self.wait()?;
        // The floor knows no signals: SIGTERM is its end.
        if !self.subject.is_floor() && !status.success() {
            bail!("{} must end well after SIGTERM, was \"{status}\"{}", self.subject, self.last_words());
        }
        Ok(())
    }

    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let until = Instant::now() + STOP_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("{} must end within {STOP_MAX:?} of SIGTERM{}", self.subject, self.last_words());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn read_proc(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn floor_command(connections: usize, rig: &Rig) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(floor::COMMAND)
        .arg(rig.signals.url())
        .arg(rig.orders.address().to_string())
        .arg(connections.to_string());
    Ok(command)
}

fn bot_command(workers: usize, rig: &Rig, directory: &Path) -> Command {
    let broker = format!("http://{}", rig.orders.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    command
        .args(["run", "-w", &workers.to_string(), "--redis-url", &rig.signals.url()])
        .args(["--stream", STREAM, "--group", GROUP, "--symbols", "NVDA"])
        .args(["--rate-limit", "off", "--drain-timeout", "5s", "--price-interval", "200ms", "--queue", "64"])
        .args(["--signal-age-max", "1h", "--quote-age-max", "1h", "--state"])
        .arg(directory.join("state"))
        .current_dir(directory)
        // Nobody's own keys, proxies or settings take part.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("APCA_API_BASE_URL", &broker)
        .env("APCA_API_DATA_URL", &broker)
        .env("APCA_API_STREAM_URL", format!("ws://{}/stream", rig.orders.address()))
        .env("APCA_API_KEY_ID", "bench")
        .env("APCA_API_SECRET_KEY", "bench")
        .env("NO_COLOR", "1")
        .env("RUST_LOG", "warn");
    command
}
