//! What a test of a strategy must give is held against what it gave, and written to begin from.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::events::{TestRun, shown};
use super::simulated::wanted_text;
use crate::backtest::record::OrderSummary;
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::clock::Timestamp;
use crate::manifest::{Expectation, Expectations, Expected, ExpectedWanted, ManifestError, Period};
use crate::signal::Wanted;
use crate::symbol::Symbol;

/// How often the account is marked, so that its equity is known at each instant.
pub(super) const PERIOD: Period = Period::Span(Duration::from_millis(1));

/// Tells each expectation that is not met.
///
/// # Errors
/// Expectations of what the run cannot have, and some that are not met.
pub(super) fn check(
    expectations: &Expectations,
    run: &TestRun<'_>,
    symbols: &[Symbol],
    global: &Global,
) -> Result<(), Failure> {
    expectations.check(run.from, run.to, symbols).map_err(ManifestError::from)?;
    let mut out = std::io::stdout().lock();
    let mut unmet = 0;
    for Expectation { line, column, expected } in expectations.all() {
        let Some((must, was)) = miss(expected, run) else { continue };
        unmet += 1;
        let file = expectations.file();
        if global.json {
            let place = json!({ "event": "unmet", "file": file, "line": line, "expected": must, "was": was });
            writeln!(out, "{place}")?;
        } else {
            writeln!(out, "{file}:{line}:{column}: {must}, was {was}")?;
        }
    }
    let count = expectations.all().len();
    if unmet > 0 {
        let message = format!("{unmet} of {count} expectations are not met");
        return Err(Failure::message(Exit::CheckFailed, message));
    }
    if !global.json {
        eprintln!("{count} expectations are met");
    }
    Ok(())
}

/// What must be and what was, where that differs.
fn miss(expected: &Expected, run: &TestRun<'_>) -> Option<(String, String)> {
    let met = match expected {
        Expected::Signal { at, symbol, wanted } => {
            let must = format!("there must be {symbol} {} at {}", wanted_name(*wanted), shown(*at));
            let own = || run.signals().filter(|order| order.symbol == *symbol);
            let then: Vec<&OrderSummary> = own().filter(|order| order.at.millis() == at.millis()).collect();
            if then.iter().any(|order| wanted.is_none_or(|wanted| is_wanted(wanted, order))) {
                return None;
            }
            let was = match then.as_slice() {
                [] => none_then(own(), *at),
                then => then.iter().map(|order| wanted_text(order)).collect::<Vec<_>>().join(", "),
            };
            (must, was)
        }
        Expected::Position { at, symbol, shares } => {
            let held = run.position(*symbol, *at);
            if held == *shares {
                return None;
            }
            (format!("position must be {symbol} {shares} at {}", shown(*at)), held.to_string())
        }
        Expected::Equity { at, equity, tolerance } => {
            let was = run.equity(*at);
            if (was - equity.to_f64()).abs() <= tolerance.to_f64() + 1e-6 {
                return None;
            }
            (format!("equity must be {equity} within {tolerance} at {}", shown(*at)), format!("{was:.2}"))
        }
        Expected::NoSignal { from, to, symbol } => {
            let span = from.millis()..to.millis();
            let first = run
                .signals()
                .filter(|order| symbol.is_none_or(|symbol| order.symbol == symbol))
                .find(|order| span.contains(&order.at.millis()))?;
            let of = symbol.map_or_else(String::new, |symbol| format!(" {symbol}"));
            (format!("there must be no signal{of} from {} to {}", shown(*from), shown(*to)), told(first))
        }
        Expected::Orders(count) => {
            let was = run.orders();
            if was as u64 == *count {
                return None;
            }
            (format!("orders must be {count} in all"), was.to_string())
        }
    };
    Some(met)
}

fn told(order: &OrderSummary) -> String {
    format!("{} {} at {}", order.symbol, wanted_text(order), shown(order.at))
}

/// Of signals none came at `at`: the one that is nearest to it.
fn none_then<'a>(signals: impl Iterator<Item = &'a OrderSummary>, at: Timestamp) -> String {
    let nearest = signals.min_by_key(|order| order.at.nanos().abs_diff(at.nanos()));
    nearest.map_or_else(|| "none at all".to_owned(), |order| format!("none; the nearest is {}", told(order)))
}

fn wanted_name(wanted: Option<ExpectedWanted>) -> String {
    match wanted {
        None => "with any signal".to_owned(),
        Some(ExpectedWanted::Strength(strength)) => format!("signal {strength:+}"),
        Some(ExpectedWanted::Weight(weight)) => format!("weight {weight:+}"),
        Some(ExpectedWanted::Order { side, quantity: None }) => side.to_string(),
        Some(ExpectedWanted::Order { side, quantity: Some(quantity) }) => format!("{side} {quantity}"),
    }
}

fn is_wanted(expected: ExpectedWanted, order: &OrderSummary) -> bool {
    let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
    match (expected, order.wanted) {
        (ExpectedWanted::Strength(expected), Wanted::Strength(strength)) => near(expected, strength.get()),
        (ExpectedWanted::Weight(expected), Wanted::Weight(weight)) => near(expected, weight.get()),
        (ExpectedWanted::Order { side, quantity }, Wanted::Order { side: own, quantity: shares, .. }) => {
            side == own && quantity.is_none_or(|quantity| Some(quantity) == shares)
        }
        (
            ExpectedWanted::Strength(_) | ExpectedWanted::Weight(_) | ExpectedWanted::Order { .. },
            Wanted::Strength(_) | Wanted::Weight(_) | Wanted::Order { .. } | Wanted::Target(_),
        ) => false,
    }
}

/// Writes what happened as expectations.
///
/// # Errors
/// A file that is there already, or cannot be written.
pub(super) fn write(path: &Path, run: &TestRun<'_>, strategy: &str) -> Result<(), Failure> {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("--write must be a new file, {} exists already", path.display());
            return Err(Failure::message(Exit::Usage, message));
        }
        Err(error) => {
            return Err(anyhow::Error::new(error).context(format!("create {}", path.display())).into());
        }
    };
    file.write_all(as_toml(run, strategy).as_bytes()).with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

fn as_toml(run: &TestRun<'_>, strategy: &str) -> String {
    let mut entries: Vec<(Timestamp, String)> = run
        .signals()
        .filter_map(|order| {
            let wanted = match order.wanted {
                Wanted::Strength(strength) => format!("strength = {:?}", strength.get()),
                Wanted::Weight(weight) => format!("weight = {:?}", weight.get()),
                Wanted::Order { side, quantity, .. } => {
                    let quantity =
                        quantity.map_or_else(String::new, |quantity| format!(", quantity = {quantity}"));
                    format!("side = \"{side}\"{quantity}")
                }
                Wanted::Target(_) => return None,
            };
            Some((order.at, format!("signal = {{ symbol = \"{}\", {wanted} }}", order.symbol)))
        })
        .collect();
    for (at, symbol) in run.moves() {
        entries.push((at, format!("position = {{ \"{symbol}\" = {} }}", run.position(symbol, at))));
    }
    entries.sort_by_key(|(at, _)| *at); // Stable.
    let mut text = format!("# What `bot strategy test {strategy} --simulate` did. Times are New York's.\n");
    for (at, expected) in entries {
        let _ = write!(text, "\n[[expect]]\nat = \"{}\"\n{expected}\n", shown(at));
    }
    let equity = run.equity(run.to);
    let _ =
        write!(text, "\n[[expect]]\nat = \"{}\"\nequity = {equity:.2}\ntolerance = 0.01\n", shown(run.to));
    let _ = write!(text, "\n[[expect]]\norders = {}\n", run.orders());
    text
}
