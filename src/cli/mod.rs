//! The command line: one file per command; here they are told apart and their ends become exit codes.

pub mod backtest;
pub mod calendar;
pub mod check;
pub mod data;
#[cfg(feature = "exchange")]
pub mod demo;
#[cfg(feature = "exchange")]
pub mod exchange;
pub mod exit;
pub mod interrupt;
pub mod parity;
pub mod rate_limit;
pub mod progress;
pub mod run;
pub mod send;
pub mod signals;
pub mod strategy;
pub mod sweep;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use exit::Exit;

/// Turns trading signals into orders: one signal, exactly one order.
#[derive(Debug, Parser)]
#[command(name = "bot", version, override_usage = "bot [OPTIONS] [COMMAND]")]
#[command(
    after_help = "Examples:\n  bot demo                 see it work: exchange, signals and pool in one command\n  \
    bot -w 8                 the live pool with eight workers (the same as: bot run -w 8)\n  \
    bot send b               send one buy signal\n  \
    bot backtest examples/backtest/manifest.toml   a strategy over history, and a report of it\n\nWithout a command, `run` is meant."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Answer as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Log lines on stderr as text or as json
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Backtest(backtest::Args),
    Parity(parity::Args),
    Sweep(sweep::Args),
    #[cfg(feature = "exchange")]
    Demo(demo::Args),
    #[cfg(feature = "exchange")]
    Exchange(exchange::Args),
    Signals(signals::Args),
    Send(send::Args),
    Calendar(calendar::Args),
    Check(check::Args),
    Data(Box<data::Args>),
    Strategy(strategy::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // A missing .env file is the usual case; one that cannot be read is said by whoever misses its keys.
    let _ = dotenvy::dotenv();
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    start_logging(&cli.global);
    crate::data::register_alpaca(crate::download::open);
    let ended = match cli.command {
        Command::Run(args) => run::run(&args, &cli.global),
        Command::Backtest(args) => backtest::run(&args, &cli.global),
        Command::Parity(args) => parity::run(&args, &cli.global),
        Command::Sweep(args) => sweep::run(&args, &cli.global),
        #[cfg(feature = "exchange")]
        Command::Demo(args) => demo::run(&args, &cli.global),
        #[cfg(feature = "exchange")]
        Command::Exchange(args) => exchange::run(args, &cli.global),
        Command::Signals(args) => signals::run(args, &cli.global),
        Command::Send(args) => send::run(args, &cli.global),
        Command::Calendar(args) => calendar::run(args, &cli.global),
        Command::Check(args) => check::run(args, &cli.global),
        Command::Data(args) => data::run(*args, &cli.global),
        Command::Strategy(args) => strategy::run(args, &cli.global),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bot: {:#}", failure.error);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn parse(mut arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let command = Cli::command();
    if !names_a_command(&arguments, &command) {
        arguments.insert(1.min(arguments.len()), "run".into());
    }
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// `bot -w 8` means `bot run -w 8`, while `bot --json status`, `bot --help` and a mistyped command stay as they are.
fn names_a_command(arguments: &[OsString], command: &clap::Command) -> bool {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match word.as_ref() {
            "--json" | "-q" | "--quiet" | "-v" | "-vv" | "--verbose" => {}
            "--log-format" => {
                words.next();
            }
            "-h" | "--help" | "-V" | "--version" | "help" => return true,
            word if word.starts_with("--log-format=") => {}
            word => return !word.starts_with('-') || command.find_subcommand(word).is_some(),
        }
    }
    false
}

/// How many columns the terminal has; 100 where the answer goes elsewhere.
fn terminal_width() -> u16 {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
    if columns == 0 { 100 } else { columns.max(40) }
}

/// Whether the answer may be coloured.
fn has_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn start_logging(global: &Global) {
    let default = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "bot=debug,info",
        (false, _) => "bot=trace,debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match global.log_format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
