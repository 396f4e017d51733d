//! `bot data`.

mod download;

use super::Global;
use super::exit::Failure;

/// History
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Download(download::Args),
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.command {
        Command::Download(args) => download::run(&args, global),
    }
}
