//! `bot strategy check`: compiles a script and shows it one event of each kind.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::{Folder, Named};
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::clock::Timestamp;
use crate::market::{Bar, MarketEvent, Quote, Trade};
use crate::order::Side;
use crate::outcome::OutcomeKind;
use crate::strategy::{Every, Fill, OrderEnd, Runner, Strategy, WrittenParams};
use crate::symbol::Symbol;
use crate::units::{Price, Quantity};

/// Compiles a script and shows it a bar, a trade, a quote, a fill, the ends of two orders and a timer
///
/// Exit code 3 says that it does not work, with file and line; 4 that there is none.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bot strategy check dip\n  bot strategy check strategies/dip_strategy.rhai --json"
)]
pub(super) struct Args {
    /// A script's file or name, or a kind
    #[arg(value_name = "FILE|NAME")]
    name: String,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let named = Named::find(&args.name, &args.folder)?;
    let symbol: Symbol = "NVDA".parse()?;
    let made = named.make(&WrittenParams::new(), &[symbol]).map_err(|error| error.to_string());
    let fault = made.and_then(|strategy| try_out(strategy, symbol)).err();
    let mut out = std::io::stdout().lock();
    if global.json {
        let faults: Vec<&String> = fault.iter().collect();
        writeln!(out, "{}", json!({ "ok": fault.is_none(), "faults": faults }))?;
    } else {
        writeln!(out, "{}", fault.clone().unwrap_or_else(|| format!("{} has no faults", args.name)))?;
    }
    match fault {
        None => Ok(()),
        Some(_) => Err(Failure::message(Exit::Invalid, format!("{} does not work", args.name))),
    }
}

fn try_out(strategy: Box<dyn Strategy>, symbol: Symbol) -> Result<(), String> {
    let span = Duration::from_mins(1);
    let start = Timestamp::from_secs(1_767_623_400); // 2026-01-05 09:30 in New York, as good as any.
    let mut runner = Runner::new("check", strategy, &[symbol], Every::Event);
    let bar = Bar { at: start, open: 100.0, high: 101.0, low: 99.0, close: 100.5, volume: 1_000.0 };
    let quote = Quote { at: start + span, bid: 100.4, bid_size: 1.0, ask: 100.6, ask_size: 1.0 };
    let trade = Trade { at: start + span, price: 100.5, size: 1.0 };
    for event in [
        MarketEvent::Bar { symbol, bar, span },
        MarketEvent::Quote { symbol, quote },
        MarketEvent::Trade { symbol, trade },
        MarketEvent::Bar { symbol, bar, span },
    ] {
        runner.on_event(&event).map(drop).map_err(|failure| failure.error.to_string())?;
    }
    let (quantity, price) = (Quantity::new(1.into()), Price::whole(100));
    let fill = Fill { at: start + span, symbol, side: Side::Buy, quantity, price };
    let end = OrderEnd {
        at: fill.at,
        symbol,
        outcome: Some(OutcomeKind::Filled),
        reason: String::new(),
        position: fill.quantity,
        fill: Some(fill),
        goes_on: false,
    };
    let refused = OrderEnd {
        outcome: Some(OutcomeKind::Refused),
        reason: "order_notional_max: order must be at most $100.00, was $200.00".to_owned(),
        fill: None,
        ..end.clone()
    };
    for end in [end, refused] {
        runner.on_order_end(&end).map(drop).map_err(|failure| failure.error.to_string())?;
    }
    runner.ring(start + span).map(drop).map_err(|failure| failure.error.to_string())
}
