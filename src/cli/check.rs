//! `bot check`: what a manifest says, or all that is wrong with it. Offline.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Global;
use super::exit::{Exit, Failure};
use crate::manifest::{Document, Fault, Faults, Manifest, ManifestError, Purpose, overrides};

/// Reads a manifest and says what it means, or all that is wrong with it
///
/// Offline: nothing is connected to. Exit code 3 says that the manifest is wrong, 4 that there is none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The TOML file
    manifest: PathBuf,
    /// Replaces what the manifest says, such as strategy.cross.params.fast=5; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = overrides::split)]
    overrides: Vec<(String, String)>,
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { manifest: path, overrides } = args;
    let mut out = std::io::stdout().lock();
    match read(&path, &overrides) {
        Ok((manifest, history)) => {
            if global.json {
                let backtest =
                    history.as_ref().map(|faults| faults.as_ref().map_or(&[][..], Faults::as_slice));
                let answer = Answer { ok: true, faults: &[], backtest };
                writeln!(out, "{}", serde_json::to_string(&answer)?)?;
            } else {
                write_summary(&mut out, &path, &manifest)?;
                write_history(&mut out, history.as_ref())?;
            }
            Ok(())
        }
        Err(ManifestError::Invalid(faults)) => {
            if global.json {
                let answer = Answer { ok: false, faults: faults.as_slice(), backtest: None };
                writeln!(out, "{}", serde_json::to_string(&answer)?)?;
            } else {
                for fault in faults.as_slice() {
                    writeln!(out, "{fault}")?;
                }
            }
            Err(Failure::message(Exit::Invalid, faults.headline()))
        }
        Err(error) => Err(error.into()),
    }
}

/// The manifest, and, where it has data sections, what it lacks for a backtest.
type Checked = (Manifest, Option<Option<Faults>>);

fn read(path: &Path, overrides: &[(String, String)]) -> Result<Checked, ManifestError> {
    let document = Document::open(path)?;
    let manifest = document.read(overrides, Purpose::Any)?;
    let history = (!manifest.data.is_empty()).then(|| document.read(overrides, Purpose::Backtest).err());
    Ok((manifest, history))
}

/// The JSON that the command answers.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    ok: bool,
    faults: &'a [Fault],
    /// What it lacks for a backtest; absent where it has no data sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    backtest: Option<&'a [Fault]>,
}

fn write_summary(out: &mut impl Write, file: &Path, manifest: &Manifest) -> std::io::Result<()> {
    writeln!(out, "{} has no faults", file.display())?;
    manifest.describe().iter().try_for_each(|part| writeln!(out, "\n{part}"))
}

/// Whether `bot backtest` would take it, which a live run does not depend on.
fn write_history(out: &mut impl Write, history: Option<&Option<Faults>>) -> std::io::Result<()> {
    match history {
        None => Ok(()),
        Some(None) => writeln!(out, "\nready for bot backtest"),
        Some(Some(faults)) => {
            writeln!(out, "\nnot ready for bot backtest:")?;
            faults.as_slice().iter().try_for_each(|fault| writeln!(out, "{fault}"))
        }
    }
}
