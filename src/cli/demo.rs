//! `bot demo`.

use super::Global;
use super::exit::Failure;

/// See it work
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args, _global: &Global) -> Result<(), Failure> {
    Ok(())
}
