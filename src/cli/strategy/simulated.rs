//! `bot strategy test --simulate`: a strategy trades on the simulated broker, by a manifest that is put together in memory.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};

use super::events::{TestEvent, TestRun, shown};
use super::trial::Args;
use super::{expected, locate, ticks};
use crate::backtest::record::{OrderSummary, Record};
use crate::backtest::{self, wiring};
use crate::cli::Global;
use crate::cli::calendar::written;
use crate::cli::exit::{Exit, Failure};
use crate::data::{Origin, Spec};
use crate::manifest::{BrokerKind, Expectations, Manifest, ManifestError, Period};
use crate::order::OrderType;
use crate::signal::Wanted;
use crate::sizing::SizeRule;
use crate::symbol::Symbol;
use crate::units::{Money, Price};
use bot_simulated::FillModel;

#[derive(Debug, clap::Args)]
pub(super) struct SimulatedArgs {
    /// Trades on the simulated broker, so that it hears of fills and has a position: as a backtest does
    #[arg(long = "simulate")]
    pub(super) is_asked_for: bool,
    /// Dollars that it starts with [default: 100000]
    #[arg(long, value_name = "DOLLARS", value_parser = cash, requires = "is_asked_for")]
    cash: Option<Money>,
    /// Whether an order fills at the next open or the same close: `next_open` or `same_close` [default: `next_open`]
    #[arg(long, value_name = "MODEL", value_parser = fill, requires = "is_asked_for")]
    fill: Option<FillModel>,
    /// What full strength stands for: all, 10%, 5sh or $1000 [default: all]
    #[arg(long, value_name = "RULE", requires = "is_asked_for")]
    size: Option<SizeRule>,
    /// Allows short positions
    #[arg(long, requires = "is_asked_for")]
    short: bool,
    /// Holds what happens against this file of expectations
    #[arg(long, value_name = "FILE", requires = "is_asked_for")]
    expect: Option<PathBuf>,
    /// Writes what happened as such a file, which must be a new one
    #[arg(long, value_name = "FILE", requires = "is_asked_for", conflicts_with = "expect")]
    write: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let simulated = &args.simulated;
    let expectations = simulated.expect.as_deref().map(Expectations::read).transpose().map_err(not_read)?;
    let specs = ticks::specs(args)?;
    let symbols = symbols_of(args, &specs);
    let manifest = manifest(args, &specs, &symbols)?;
    let mut setup = wiring::wire(&manifest, &mut ticks::open)?;
    if simulated.write.is_some() || expectations.is_some() {
        setup.period = expected::PERIOD;
    }
    let record = backtest::run(setup, &mut |_progress| true)?;
    let run = TestRun::new(&record, &specs);
    if print(&run, global)?.is_none() {
        return Ok(());
    }
    let strategy = record.strategies.first();
    if let Some(failure) = strategy.and_then(|strategy| strategy.last_failure.clone()) {
        return Err(Failure::message(Exit::Invalid, failure));
    }
    if let Some(path) = &simulated.write {
        expected::write(path, &run, &args.name)?;
    }
    match &expectations {
        Some(expectations) => expected::check(expectations, &run, &symbols, global),
        None => Ok(()),
    }
}

fn not_read(error: ManifestError) -> Failure {
    match error {
        ManifestError::NotFound(path) => {
            let message = format!("--expect must be a file that exists, was \"{}\"", path.display());
            Failure::message(Exit::NotFound, message)
        }
        ManifestError::Unreadable { path, source } => {
            let error = anyhow::Error::new(source).context(format!("read {}", path.display()));
            Failure::new(Exit::Invalid, error)
        }
        error @ ManifestError::Invalid(_) => Failure::new(Exit::Invalid, error),
    }
}

/// What is traded; none where a recording says so itself.
fn symbols_of(args: &Args, specs: &[Spec]) -> Vec<Symbol> {
    let is_told = |spec: &&Spec| !matches!(spec.origin, Origin::Recorded { .. }) || !args.symbols.is_empty();
    specs.iter().filter(is_told).map(|spec| spec.symbol).collect()
}

/// The manifest of a backtest of this strategy alone.
fn manifest(args: &Args, specs: &[Spec], symbols: &[Symbol]) -> Result<Manifest, Failure> {
    let mut text = "[[strategy]]\nname = \"tested\"\nkind = \"buy_and_hold\"\n".to_owned();
    for (place, _) in specs.iter().enumerate() {
        // What it reads is put in below.
        let _ = writeln!(text, "[data.s{place}]\nkind = \"generator\"\nsymbol = \"A\"");
    }
    let mut manifest = Manifest::parse("strategy test", &text).map_err(ManifestError::from)?;
    for (section, spec) in manifest.data.iter_mut().zip(specs) {
        let mut spec = spec.clone();
        if let Origin::Recorded { only, .. } = &mut spec.origin {
            *only = symbols.to_vec();
        }
        let is_traded = symbols.contains(&spec.symbol);
        section.symbols = is_traded.then_some(spec.symbol).into_iter().collect();
        section.row_kind = spec.row_kind;
        section.spec = Some(spec);
    }
    let SimulatedArgs { cash, fill, size, short, .. } = &args.simulated;
    manifest.broker.kind = Some(BrokerKind::Simulated);
    (manifest.broker.cash, manifest.broker.fill) = (*cash, *fill);
    manifest.risk.short = short.then_some(true);
    manifest.statistics.period = Some(Period::Day);
    let data: Vec<String> = manifest.data.iter().map(|section| section.name.clone()).collect();
    for strategy in &mut manifest.strategies {
        strategy.name.clone_from(&args.name);
        strategy.source = locate(&args.name, &args.folder)?;
        strategy.params = args.params();
        strategy.size_rule = *size;
        strategy.data.clone_from(&data);
    }
    Ok(manifest)
}

/// All that happened, in order of time, and what is left; none when nobody reads it any more.
fn print(run: &TestRun<'_>, global: &Global) -> Result<Option<()>, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let events = run.events();
    for event in &events {
        let line = if global.json { event_json(event).to_string() } else { event_text(event) };
        if written(writeln!(out, "{line}"))?.is_none() {
            return Ok(None);
        }
    }
    let end = if global.json { end_json(run.record()).to_string() } else { end_text(run.record()) };
    if written(writeln!(out, "{end}"))?.is_none() || written(out.flush())?.is_none() {
        return Ok(None);
    }
    if !global.json {
        let signals = events.iter().filter(|event| matches!(event, TestEvent::Signal(_))).count();
        eprintln!("{} events, {signals} signals, {} orders", run.record().end.events, run.orders());
    }
    Ok(Some(()))
}

fn event_text(event: &TestEvent<'_>) -> String {
    match event {
        TestEvent::Signal(order) => format!("{} {} {}", shown(order.at), order.symbol, wanted_text(order)),
        TestEvent::End(order) => {
            let (time, symbol, outcome) = (shown(order.final_at), order.symbol, order.outcome.as_str());
            let reason = if order.reason.is_empty() { String::new() } else { format!(": {}", order.reason) };
            let Some(price) = Price::mean(order.total, order.filled) else {
                return format!("{time} {symbol} {outcome}{reason}");
            };
            let of = if order.filled == order.quantity {
                String::new()
            } else {
                format!(" of {}", order.quantity)
            };
            format!("{time} {symbol} {outcome} {} {}{of} at {price}{reason}", order.side, order.filled)
        }
    }
}

/// What a signal wants, as the strategy said it.
pub(super) fn wanted_text(order: &OrderSummary) -> String {
    match order.wanted {
        Wanted::Strength(strength) => format!("signal {:+}", strength.get()),
        Wanted::Weight(weight) => format!("weight {:+}", weight.get()),
        Wanted::Target(shares) => format!("target {shares}"),
        Wanted::Order { side, quantity, .. } => {
            let quantity = quantity.map_or_else(String::new, |quantity| format!(" {quantity}"));
            let order_type = order.limit.map_or(OrderType::Market, OrderType::Limit);
            match order_type {
                OrderType::Market => format!("{side}{quantity} market"),
                OrderType::Limit(limit) => format!("{side}{quantity} limit {limit}"),
            }
        }
    }
}

fn event_json(event: &TestEvent<'_>) -> Json {
    match event {
        TestEvent::Signal(order) => {
            let (time, symbol) = (order.at, order.symbol);
            let mut line = json!({ "time": time, "event": "signal", "symbol": symbol });
            match order.wanted {
                Wanted::Strength(strength) => line["strength"] = strength.get().into(),
                Wanted::Weight(weight) => line["weight"] = weight.get().into(),
                Wanted::Target(shares) => line["target"] = shares.to_string().into(),
                Wanted::Order { side, quantity, .. } => {
                    line["side"] = side.as_str().into();
                    line["qty"] = quantity.map(|quantity| quantity.to_string()).into();
                    line["limit"] = order.limit.map(|limit| limit.to_string()).into();
                }
            }
            line
        }
        TestEvent::End(order) => json!({
            "time": order.final_at,
            "event": "order",
            "symbol": order.symbol,
            "outcome": order.outcome.as_str(),
            "side": order.side.as_str(),
            "qty": order.quantity.to_string(),
            "filled": order.filled.to_string(),
            "price": Price::mean(order.total, order.filled).map(|price| price.to_string()),
            "reason": order.reason,
        }),
    }
}

fn end_text(record: &Record) -> String {
    let mut text = String::new();
    for (symbol, shares) in &record.end.positions {
        let _ = writeln!(text, "position {symbol} {shares}");
    }
    let (cash, equity) = (record.end.cash.cents(), record.end.equity.cents());
    let _ = write!(text, "cash {cash}\nequity {equity}");
    if let Some(used) = record.strategies.first().and_then(|strategy| strategy.used.as_ref()) {
        let _ = write!(text, "\nused {used}");
    }
    text
}

fn end_json(record: &Record) -> Json {
    let positions: Map<String, Json> = record
        .end
        .positions
        .iter()
        .map(|(symbol, shares)| (symbol.to_string(), json!(shares.to_string())))
        .collect();
    json!({
        "event": "end",
        "positions": positions,
        "cash": record.end.cash.to_string(),
        "equity": record.end.equity.to_string(),
        "events": record.end.events,
        "used": record.strategies.first().and_then(|strategy| strategy.used.clone()),
    })
}

fn cash(text: &str) -> Result<Money, String> {
    let cash = text.parse().ok().filter(|cash: &Money| cash.is_positive());
    cash.ok_or_else(|| format!("must be dollars above 0, was \"{text}\""))
}

fn fill(text: &str) -> Result<FillModel, String> {
    let models = [FillModel::NextOpen, FillModel::SameClose];
    let model = models.into_iter().find(|model| model.name() == text);
    model.ok_or_else(|| format!("must be next_open or same_close, was \"{text}\""))
}
