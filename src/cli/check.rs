//! `bot check`: what a manifest says, or all that is wrong with it. Offline.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Global;
use super::exit::{Exit, Failure};
use crate::manifest::{Fault, Manifest, ManifestError};

/// Reads a manifest and says what it means, or all that is wrong with it
///
/// Offline: nothing is connected to. Exit code 3 says that the manifest is wrong, 4 that there is none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The TOML file
    manifest: PathBuf,
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { manifest: path } = args;
    let mut out = std::io::stdout().lock();
    match Manifest::read(&path) {
        Ok(manifest) => {
            if global.json {
                writeln!(out, "{}", serde_json::to_string(&Answer { ok: true, faults: &[] })?)?;
            } else {
                write_summary(&mut out, &path, &manifest)?;
            }
            Ok(())
        }
        Err(ManifestError::Invalid(faults)) => {
            if global.json {
                let answer = Answer { ok: false, faults: faults.as_slice() };
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

/// The JSON that the command answers.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    ok: bool,
    faults: &'a [Fault],
}

fn write_summary(out: &mut impl Write, file: &Path, manifest: &Manifest) -> std::io::Result<()> {
    writeln!(out, "{} has no faults", file.display())?;
    manifest.describe().iter().try_for_each(|part| writeln!(out, "\n{part}"))
}
