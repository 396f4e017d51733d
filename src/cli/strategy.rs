//! `bot strategy`: what there is, a new one, a check, a try.

mod check;
mod events;
mod expected;
mod list;
mod new;
mod simulated;
mod switch;
mod ticks;
mod trial;

use std::path::PathBuf;

use clap::Subcommand;

use super::Global;
use super::exit::{Exit, Failure};
use crate::manifest::StrategySource;
use crate::manifest::strategy::read_script;
use crate::strategy::{MakeError, Registry, ScriptFault, Strategy, WrittenParams};
use crate::symbol::Symbol;
use bot_script::{FILE_SUFFIX, Script};

/// Strategies: lists them, starts a new one, checks and tries them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bot strategy list                               built-in kinds and scripts\n  \
    bot strategy new dip                            writes strategies/dip_strategy.rhai\n  \
    bot strategy check dip                          compiles it and shows it a few events\n  \
    bot strategy test dip --params step=0.02        runs it over a random walk and prints its intents\n  \
    bot strategy test ema_cross --ticks NVDA.csv    runs a built-in kind over a file of bars\n  \
    bot strategy test dip --simulate --expect dip.toml    trades on the simulated broker, held against a file\n  \
    bot strategy stop cross                         stops it in the bot that runs here; start, status\n\n\
    Exit codes: 0 all well, 2 usage, 3 the strategy is wrong, 4 there is none, 10 an expectation is not met."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    List(list::Args),
    Check(check::Args),
    Test(Box<trial::Args>),
    Start(switch::Args),
    Stop(switch::Args),
    Status(switch::StatusArgs),
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.command {
        Command::New(args) => new::run(&args, global),
        Command::List(args) => list::run(&args, global),
        Command::Check(args) => check::run(&args, global),
        Command::Test(args) => trial::run(&args, global),
        Command::Start(args) => switch::run(&args, true, global),
        Command::Stop(args) => switch::run(&args, false, global),
        Command::Status(args) => switch::status(&args, global),
    }
}

/// Where scripts lie.
#[derive(Debug, clap::Args)]
struct Folder {
    /// The folder of scripts
    #[arg(long, value_name = "DIR", default_value = "strategies")]
    dir: PathBuf,
}

/// A strategy as it is named on the command line.
enum Named {
    Script(Box<Result<Script, ScriptFault>>),
    Kind(Registry, String),
}

impl Named {
    /// A file, a registered kind, or a script of the folder.
    fn find(name: &str, folder: &Folder) -> Result<Self, Failure> {
        Ok(match locate(name, folder)? {
            StrategySource::Kind(kind) => Self::Kind(crate::strategy::registry(), kind),
            StrategySource::Script(path) => Self::Script(Box::new(read_script(&path))),
        })
    }

    fn make(&self, written: &WrittenParams, symbols: &[Symbol]) -> Result<Box<dyn Strategy>, MakeError> {
        match self {
            Self::Script(script) => script
                .as_ref()
                .as_ref()
                .map_err(|fault| MakeError::Script(fault.clone()))?
                .make(written, symbols),
            Self::Kind(registry, kind) => registry.make(kind, written, symbols),
        }
    }
}

/// A kind, or a file that is there.
fn locate(name: &str, folder: &Folder) -> Result<StrategySource, Failure> {
    let is_path = name.contains(['.', '/']);
    if !is_path && crate::strategy::registry().kind(name).is_ok() {
        return Ok(StrategySource::Kind(name.to_owned()));
    }
    let path = if is_path { PathBuf::from(name) } else { folder.file(name) };
    if !path.to_string_lossy().ends_with(FILE_SUFFIX) {
        let message = format!("strategy must be a kind or a file that ends in {FILE_SUFFIX}, was \"{name}\"");
        return Err(Failure::message(Exit::Usage, message));
    }
    if !path.is_file() {
        let message = format!(
            "strategy must be a kind (see `bot strategy list`) or a script that exists, was \"{}\"",
            path.display()
        );
        return Err(Failure::message(Exit::NotFound, message));
    }
    Ok(StrategySource::Script(path))
}

impl Folder {
    /// The file of the script `name`, with or without what all of them end in.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}{FILE_SUFFIX}", bare(name)))
    }

    /// Its scripts in the order of their names; none where there is no folder.
    fn scripts(&self) -> Result<Vec<PathBuf>, Failure> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(anyhow::Error::new(error).context(format!("read {}", self.dir.display())).into());
            }
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(FILE_SUFFIX) && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

fn bare(name: &str) -> &str {
    let name = name.strip_suffix(".rhai").unwrap_or(name);
    name.strip_suffix("_strategy").unwrap_or(name)
}
