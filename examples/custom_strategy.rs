//! A strategy of one's own in Rust: register it, then be `bot`.
//!
//! A crate of one's own has `bot = { git = "..." }` in its Cargo.toml and this as its `main.rs`. Its binary has all commands of `bot`,
//! and `kind = "momentum"` works in manifests: `cargo run --example custom_strategy -- strategy test momentum`.

use std::process::ExitCode;

use bot::market::MarketEvent;
use bot::strategy::{self, Intents, Kind, Param, Strategy, StrategyError, View, usable_price};

/// Long after so many rising prices in a row, flat after the first falling one. Of one symbol.
struct Momentum {
    rises_needed: i64,
    rises: i64,
    last: Option<f64>,
    is_long: bool,
}

impl Strategy for Momentum {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let Some(price) = usable_price(event) else { return Ok(()) };
        let Some(last) = self.last.replace(price) else { return Ok(()) };
        self.rises = if price > last { self.rises + 1 } else { 0 };
        if !self.is_long && self.rises >= self.rises_needed {
            self.is_long = true;
            intents.signal(event.symbol(), 1.0)?;
        } else if self.is_long && price < last {
            self.is_long = false;
            intents.signal(event.symbol(), 0.0)?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let momentum = Kind::new(
        "momentum",
        "Long after a number of rising prices in a row, flat after a falling one.",
        vec![Param::whole("rises", 3, 1, 100, "Rising prices in a row that are needed.")],
        |params, _symbols| {
            let rises_needed = params.whole("rises")?;
            Ok(Box::new(Momentum { rises_needed, rises: 0, last: None, is_long: false }))
        },
    );
    if let Err(error) = strategy::register(momentum) {
        eprintln!("custom_strategy: {error}");
        return ExitCode::FAILURE;
    }
    bot::cli::main()
}
