//! `bot strategy start|stop|status`: the strategies of a running bot.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::control::{self, ControlError, ControlRequest};
use crate::strategy_threads::Status;

/// Starts or stops a strategy of a running bot by its name in the manifest
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its name in the manifest
    name: String,
    #[command(flatten)]
    place: StatusArgs,
}

/// Shows how the strategies of a running bot are doing
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// The state directory of the running bot
    #[arg(long, env = "BOT_STATE", value_name = "DIR", default_value = "bot-state")]
    state: PathBuf,
}

pub(super) fn run(args: &Args, start: bool, global: &Global) -> Result<(), Failure> {
    let request = if start {
        ControlRequest::Start(args.name.clone())
    } else {
        ControlRequest::Stop(args.name.clone())
    };
    show(&args.place, &request, global)
}

pub(super) fn status(args: &StatusArgs, global: &Global) -> Result<(), Failure> {
    show(args, &ControlRequest::Strategies, global)
}

fn show(place: &StatusArgs, request: &ControlRequest, global: &Global) -> Result<(), Failure> {
    let strategies = control::request(&place.state, request).map_err(|error| {
        let exit = match error {
            ControlError::NotRunning(_) | ControlError::Refused(_) => Exit::NotFound,
            ControlError::Io(_) => Exit::Unexpected,
        };
        Failure::new(exit, error)
    })?;
    let mut out = std::io::stdout().lock();
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&strategies)?)?;
        return Ok(());
    }
    strategies.iter().try_for_each(|status: &Status| writeln!(out, "{status}"))?;
    Ok(())
}
