//! `bot strategy check`: compiles a script and shows it events of each kind.

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
use crate::position::Position;
use crate::strategy::{Every, Fill, OrderEnd, Runner, Strategy, WrittenParams};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};
use bot_script::NO_FIELD;

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

/// 2026-01-05 09:30 in New York, as good as any.
const START: Timestamp = Timestamp::from_secs(1_767_623_400);
const SPAN: Duration = Duration::from_mins(1);

pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let named = Named::find(&args.name, &args.folder)?;
    let symbol: Symbol = "NVDA".parse()?;
    let tried = try_out(&named, symbol);
    let mut out = std::io::stdout().lock();
    if global.json {
        let faults: Vec<&String> = tried.as_ref().err().into_iter().collect();
        let mut answer = json!({ "ok": tried.is_ok(), "faults": faults });
        if let Some(not_for) = tried.as_ref().ok().filter(|not_for| !not_for.is_empty()) {
            answer["not_for"] = json!(not_for);
        }
        writeln!(out, "{answer}")?;
    } else {
        match &tried {
            Ok(not_for) if not_for.is_empty() => writeln!(out, "{} has no faults", args.name)?,
            Ok(not_for) => {
                writeln!(out, "{} has no faults, but is not meant for all kinds of events:", args.name)?;
                not_for.iter().try_for_each(|fault| writeln!(out, "  {fault}"))?;
            }
            Err(fault) => writeln!(out, "{fault}")?,
        }
    }
    match tried {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::message(Exit::Invalid, format!("{} does not work", args.name))),
    }
}

/// What it fails on because it reads a field of other kinds of events; any other failure is a fault.
fn try_out(named: &Named, symbol: Symbol) -> Result<Vec<String>, String> {
    let make = || named.make(&WrittenParams::new(), &[symbol]).map_err(|error| error.to_string());
    let all = events(symbol);
    let is_of_others = |fault: &String| fault.contains(NO_FIELD);
    match show(make()?, symbol, &all) {
        Err(fault) if is_of_others(&fault) => {}
        ended => return ended.map(|()| Vec::new()),
    }
    let mut not_for = Vec::new();
    for event in all {
        match show(make()?, symbol, &[event, event]) {
            Err(fault) if is_of_others(&fault) => not_for.push(fault),
            ended => ended?,
        }
    }
    if not_for.len() < all.len() { Ok(not_for) } else { Err(not_for.swap_remove(0)) }
}

fn events(symbol: Symbol) -> [MarketEvent; 3] {
    let bar = Bar { at: START, open: 100.0, high: 101.0, low: 99.0, close: 100.5, volume: 1_000.0 };
    let quote = Quote { at: START + SPAN, bid: 100.4, bid_size: 1.0, ask: 100.6, ask_size: 1.0 };
    let trade = Trade { at: START + SPAN, price: 100.5, size: 1.0 };
    let bar = MarketEvent::Bar { symbol, bar, span: SPAN };
    [bar, MarketEvent::Quote { symbol, quote }, MarketEvent::Trade { symbol, trade }]
}

/// Shows it these events, the first of them once more, and then the ends of two orders and a timer.
fn show(strategy: Box<dyn Strategy>, symbol: Symbol, events: &[MarketEvent]) -> Result<(), String> {
    let mut runner = Runner::new("check", strategy, &[], Every::Event);
    for event in events.iter().chain(&events[..1]) {
        runner.on_event(event).map(drop).map_err(|failure| failure.error.to_string())?;
    }
    let (quantity, price) = (Quantity::new(1.into()), Price::whole(100));
    let fill = Fill { at: START + SPAN, symbol, side: Side::Buy, quantity, price };
    let end = OrderEnd {
        at: fill.at,
        symbol,
        outcome: Some(OutcomeKind::Filled),
        reason: String::new(),
        position: Position::held(quantity, None),
        cash: Money::ZERO,
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
        runner.on_order(&end).map(drop).map_err(|failure| failure.error.to_string())?;
    }
    runner.ring(START + SPAN).map(drop).map_err(|failure| failure.error.to_string())
}
