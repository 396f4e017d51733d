//! `bot check`: what a manifest says and what each command can do with it, or all that is wrong with it. Offline.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::Global;
use super::exit::{Exit, Failure};
use crate::manifest::{Document, Fault, Faults, Manifest, Purpose, Warnings, overrides};
use crate::sweep::SweepPlan;
use crate::symbol::Symbol;

/// Reads a manifest and says what it means and which commands can run it, or all that is wrong with it
///
/// Offline: nothing is connected to. Exit code 3 says that the manifest is wrong, or that neither run, nor backtest, nor
/// sweep can do anything with it; 4 that there is none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The TOML file
    manifest: PathBuf,
    /// Replaces what the manifest says, such as strategy.cross.params.fast=5; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = overrides::split)]
    overrides: Vec<(String, String)>,
    /// What bot run is given with --symbols
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<Symbol>,
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { manifest: path, overrides, symbols } = args;
    let document = Document::open(&path)?;
    let read = document.read(&overrides, Purpose::Any);
    let Warnings { live, history } =
        read.as_ref().map(|manifest| document.warnings(&overrides, manifest)).unwrap_or_default();
    let plan = SweepPlan::new(document.clone(), overrides.clone());
    let axes = plan.as_ref().map_or(&[][..], |plan| &plan.sweep().axes);
    let is_swept = |warning: &Fault| axes.iter().any(|axis| axis.key == warning.key);
    let swept = history.iter().filter(|warning| !is_swept(warning)).cloned().collect();
    let commands = Commands {
        run: Verdict::new(document.read(&overrides, Purpose::Run { symbols: &symbols }), live),
        backtest: Verdict::new(document.read(&overrides, Purpose::Backtest), history),
        sweep: Verdict::new(plan, swept),
    };
    let faults = read.as_ref().err();
    let ok = faults.is_none() && commands.each().iter().any(|(_, command)| command.ready);
    let mut out = io::stdout().lock();
    if global.json {
        let faults = faults.map_or(&[][..], Faults::as_slice);
        writeln!(out, "{}", serde_json::to_string(&CheckAnswer { ok, faults, commands: &commands })?)?;
    } else {
        match &read {
            Ok(manifest) => write_summary(&mut out, &path.display().to_string(), manifest, &commands)?,
            Err(faults) => faults.as_slice().iter().try_for_each(|fault| writeln!(out, "{fault}"))?,
        }
    }
    match faults {
        Some(faults) => Err(Failure::message(Exit::Invalid, faults.headline())),
        None if ok => Ok(()),
        None => Err(Failure::message(Exit::Invalid, format!("no command can run {}", path.display()))),
    }
}

/// The JSON that the command answers.
#[derive(Debug, Serialize)]
struct CheckAnswer<'a> {
    /// Whether the manifest has no fault of its own and a command can run it.
    ok: bool,
    /// What is wrong with it for every command.
    faults: &'a [Fault],
    #[serde(flatten)]
    commands: &'a Commands,
}

/// What each command would say of the manifest.
#[derive(Debug, Serialize)]
struct Commands {
    run: Verdict,
    backtest: Verdict,
    sweep: Verdict,
}

#[derive(Debug, Serialize)]
struct Verdict {
    ready: bool,
    /// Why it is not, those of the manifest itself included.
    faults: Vec<Fault>,
    /// What can never trade all the same; empty where it is not ready.
    warnings: Vec<Fault>,
}

impl Verdict {
    fn new<T>(read: Result<T, Faults>, warnings: Vec<Fault>) -> Self {
        match read {
            Ok(_) => Self { ready: true, faults: Vec::new(), warnings },
            Err(faults) => Self { ready: false, faults: faults.as_slice().to_vec(), warnings: Vec::new() },
        }
    }
}

impl Commands {
    fn each(&self) -> [(&'static str, &Verdict); 3] {
        [("run", &self.run), ("backtest", &self.backtest), ("sweep", &self.sweep)]
    }
}

fn write_summary(
    out: &mut impl Write,
    file: &str,
    manifest: &Manifest,
    commands: &Commands,
) -> io::Result<()> {
    writeln!(out, "{file} has no faults")?;
    manifest.describe().iter().try_for_each(|part| writeln!(out, "\n{part}"))?;
    writeln!(out)?;
    for (name, command) in commands.each() {
        writeln!(out, "{name:8}  {}", if command.ready { "ready" } else { "not ready" })?;
        command.faults.iter().chain(&command.warnings).try_for_each(|fault| writeln!(out, "  {fault}"))?;
    }
    Ok(())
}
