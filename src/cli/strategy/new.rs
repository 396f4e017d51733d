//! `bot strategy new`: a script to start from.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};

use anyhow::Context;

use super::{Folder, bare};
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::strategy::registry::{is_name, registry};

const TEMPLATE: &str = include_str!("template.rhai");

/// Writes a commented script to start from
///
/// What is there already is never written over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bot strategy new dip      writes strategies/dip_strategy.rhai")]
pub(super) struct Args {
    /// 1 to 40 of a-z, 0-9 and _, starting with a letter
    name: String,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let name = bare(&args.name);
    if !is_name(name) {
        let message =
            format!("name must be 1 to 40 of a-z, 0-9 and _, starting with a letter, was \"{}\"", args.name);
        return Err(Failure::message(Exit::Usage, message));
    }
    if registry().kind(name).is_ok() {
        let message = format!("name must not be that of a kind, was \"{name}\"");
        return Err(Failure::message(Exit::Usage, message));
    }
    let path = args.folder.file(name);
    fs::create_dir_all(&args.folder.dir).with_context(|| format!("create {}", args.folder.dir.display()))?;
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("strategy must be a new one, {} exists already", path.display());
            return Err(Failure::message(Exit::Usage, message));
        }
        Err(error) => {
            return Err(anyhow::Error::new(error).context(format!("create {}", path.display())).into());
        }
    };
    file.write_all(TEMPLATE.replace("NAME", name).as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    let mut out = std::io::stdout().lock();
    if global.json {
        writeln!(out, "{}", serde_json::json!({ "created": path }))?;
    } else {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
