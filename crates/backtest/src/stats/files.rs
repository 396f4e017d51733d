//! The files of a run: `stats.json`, `trades.csv`, `orders.csv`, `equity.csv`, `plots.csv`. Equal runs give equal bytes.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};

use super::number::finite;
use super::table::{RoundTrip, Statistics};
use crate::record::{OrderSummary, PlotRecord, Record};
use bot_core::order::Side;
use bot_core::signal::Tag;
use bot_core::strategy::signal_id;
use bot_core::units::Money;
use bot_data::tabular::cells::quoted;

/// How a run was made: what it takes to make it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The program's name and version.
    pub version: String,
    /// Of everything random in the statistics.
    pub seed: u64,
    /// What was read, by name, with the hash of its events.
    #[serde(serialize_with = "as_map")]
    pub data: Vec<(String, String)>,
    /// Of orders and fills, in order.
    pub hash: String,
}

#[derive(Serialize)]
struct Both<'a> {
    made: &'a Made,
    #[serde(flatten)]
    statistics: &'a Statistics,
}

fn as_map<S: Serializer>(data: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(data.iter().map(|(name, hash)| (name, hash)))
}

/// `stats.json`: all statistics but the returns and the round trips, which `equity.csv` and `trades.csv` have.
///
/// # Errors
/// What `out` says.
pub fn write_stats_json(statistics: &Statistics, made: &Made, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, &Both { made, statistics })?;
    out.write_all(b"\n")?;
    out.flush()
}

/// `trades.csv`: one row for each round trip.
///
/// # Errors
/// What `out` says.
pub fn write_trades_csv(statistics: &Statistics, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    writeln!(
        out,
        "strategy,symbol,side,quantity,entry_time,entry_price,exit_time,exit_price,profit,fees,return,seconds,state,\
         entry_tag,exit_tag"
    )?;
    for trade in &statistics.trades {
        trade_row(statistics, trade, &mut out)?;
    }
    out.flush()
}

fn trade_row(statistics: &Statistics, trade: &RoundTrip, out: &mut impl Write) -> io::Result<()> {
    let strategy = statistics.strategies.get(usize::from(trade.strategy)).map_or("", |row| row.name.as_str());
    writeln!(
        out,
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        quoted(strategy),
        trade.symbol,
        match trade.side {
            Side::Buy => "long",
            Side::Sell => "short",
        },
        trade.quantity,
        trade.entry_at,
        trade.entry_price,
        trade.exit_at,
        trade.exit_price,
        trade.profit,
        trade.fees,
        seen(trade.gain),
        trade.held().as_secs_f64(),
        if trade.open { "open" } else { "closed" },
        tagged(trade.entry_tag.as_ref()),
        tagged(trade.exit_tag.as_ref()),
    )
}

/// `orders.csv`: one row for each signal that asked for an order. `amount` is in shares filled, `total` the money for them,
/// `price` their mean; `buy` and `sell` say what came and what went; `signal_id` is the id that the first signal has live, too,
/// `step` says which step after it this one is, 0 for itself, and `tag` what the strategy calls it.
///
/// # Errors
/// What `out` says.
pub fn write_orders_csv(record: &Record, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    writeln!(
        out,
        "time,strategy,symbol,signal,amount,total,price,buy,sell,operation,status,reason,fees,final_time,\
         asked,limit,price_seen,signal_id,step,tag"
    )?;
    for order in &record.orders {
        order_row(record, order, &mut out)?;
    }
    out.flush()
}

fn order_row(record: &Record, order: &OrderSummary, out: &mut impl Write) -> io::Result<()> {
    let name = |place: u16| record.strategies.get(usize::from(place)).map_or("", |strategy| &strategy.name);
    let strategy = name(order.strategy);
    let symbol = order.symbol.as_str();
    let (buy, sell) = match order.side {
        Side::Buy => (symbol, "USD"),
        Side::Sell => ("USD", symbol),
    };
    let price = order.total.get().checked_div(order.filled.get()).map(Money::new);
    writeln!(
        out,
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        order.at,
        quoted(strategy),
        symbol,
        order.wanted.strength().map_or_else(String::new, seen),
        order.filled,
        order.total,
        maybe(price),
        buy,
        sell,
        if order.limit.is_some() { "limit" } else { "market" },
        order.outcome.as_str(),
        quoted(&order.reason),
        order.fees,
        order.final_at,
        order.quantity,
        maybe(order.limit),
        seen(order.price_seen),
        quoted(&signal_id(name(order.by), order.made_at, order.number)),
        order.step,
        tagged(order.tag.as_ref()),
    )
}

/// `equity.csv`: one row for each mark, then each strategy's equity in a column of its name.
///
/// # Errors
/// What `out` says.
pub fn write_equity_csv(record: &Record, statistics: &Statistics, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    write!(out, "time,equity,cash,net,gross,return,drawdown,benchmark")?;
    for strategy in &record.strategies {
        write!(out, ",{}", quoted(&strategy.name))?;
    }
    writeln!(out)?;
    let returns: Vec<f64> = statistics.returns.iter().map(|period| period.value).collect();
    let underwater = super::drawdown::underwater(&returns);
    for (place, mark) in record.marks.iter().enumerate() {
        let period = place.checked_sub(1); // The first mark begins the first return.
        let value =
            |list: &[f64]| period.and_then(|place| list.get(place).copied()).map_or_else(String::new, seen);
        write!(
            out,
            "{},{},{},{},{},{},{},{}",
            mark.at,
            seen(mark.equity),
            seen(mark.cash),
            seen(mark.net),
            seen(mark.gross),
            value(&returns),
            if place == 0 { "0".to_owned() } else { value(&underwater) },
            seen(mark.benchmark),
        )?;
        for strategy in &record.strategies {
            write!(out, ",{}", strategy.equity.get(place).copied().map_or_else(String::new, seen))?;
        }
        writeln!(out)?;
    }
    out.flush()
}

/// `plots.csv`: one row for each point that a strategy plotted, in order of time; at one instant by strategy and name.
///
/// # Errors
/// What `out` says.
pub fn write_plots_csv(record: &Record, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    writeln!(out, "time,strategy,name,value")?;
    let rows = |(place, plot): (usize, &PlotRecord)| {
        plot.points.iter().map(move |(at, value)| (*at, place, *value)).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = record.plots.iter().enumerate().flat_map(rows).collect();
    rows.sort_by_key(|(at, ..)| *at); // Stable.
    for (at, place, value) in rows {
        let plot = &record.plots[place];
        let strategy = record.strategies.get(usize::from(plot.strategy)).map_or("", |row| &row.name);
        writeln!(out, "{at},{},{},{}", quoted(strategy), quoted(&plot.name), seen(value))?;
    }
    out.flush()
}

/// The shortest text that reads back as the same number; empty for what is no number.
fn seen(value: f64) -> String {
    let near = |value: f64| value == 0.0 || (1e-7..1e16).contains(&value.abs());
    finite(value).map_or_else(String::new, |value| {
        if near(value) { value.to_string() } else { format!("{value:e}") } // Not hundreds of zeros.
    })
}

/// A tag has nothing that a cell would have to quote.
fn tagged(tag: Option<&Tag>) -> &str {
    tag.map_or("", Tag::as_str)
}

fn maybe(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}
