//! Two of `examples/strategies` in Rust: a program that is `bot` and knows two kinds more.
//!
//! `cargo run --example rust_strategies -- backtest run.toml` runs a manifest in which `kind = "own_momentum"` stands.

mod momentum;
mod sma_cross;

use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = register() {
        eprintln!("rust_strategies: {error}");
        return ExitCode::FAILURE;
    }
    bot::cli::main()
}

fn register() -> Result<(), Box<dyn Error>> {
    bot::strategy::register(sma_cross::kind())?;
    bot::strategy::register(momentum::kind()?)?;
    Ok(())
}
