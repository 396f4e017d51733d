//! Which cores may be used: all, or one for everything, where no halted core has to be woken.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// How many cores the whole run may use: subject, Redis, order server and sender alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    Free,
    One,
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Cores::Free => "free",
            Cores::One => "one core",
        })
    }
}

/// The cores that this process was given.
pub(crate) struct Pinning {
    all: String,
    first: String,
}

impl Pinning {
    pub(crate) fn of_this_process() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
        let all = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .context("find Cpus_allowed_list in /proc/self/status")?
            .trim()
            .to_owned();
        let first = all.chars().take_while(char::is_ascii_digit).collect();
        Ok(Self { all, first })
    }

    /// Moves running processes with all their threads; children that they start later inherit it.
    pub(crate) fn apply(&self, cores: Cores, pids: &[u32]) -> anyhow::Result<()> {
        let list = match cores {
            Cores::Free => &self.all,
            Cores::One => &self.first,
        };
        for pid in pids {
            let moved = Command::new("taskset")
                .args(["--all-tasks", "--cpu-list", "--pid", list, &pid.to_string()])
                .stdout(Stdio::null())
                .status()
                .context("run taskset (Debian: apt-get install util-linux)")?;
            if !moved.success() {
                bail!("taskset must move process {pid} to core {list}, was \"{moved}\"");
            }
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.all
            .split(',')
            .map(|range| match range.split_once('-') {
                Some((from, to)) => to.parse::<usize>().unwrap_or(0) - from.parse::<usize>().unwrap_or(0) + 1,
                None => 1,
            })
            .sum()
    }
}
