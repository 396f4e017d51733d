//! What a run did: counted while it runs, shown to people or programs at its end.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::market_data::RecordingEnd;
use crate::clock::Timestamp;
use crate::core::Overload;
use crate::desk::Statement;
use crate::inbox::{InboxError, Settlement};
use crate::outcome::{Outcome, OutcomeKind};
use crate::portfolio::OffTarget;
use crate::prices::Health;
use crate::strategy_threads::Status;

/// Counts of recorded ends.
#[derive(Debug)]
pub struct Tally {
    outcomes: BTreeMap<OutcomeKind, u64>,
    dead: u64,
    /// From the signal's arrival here to the first POST, microseconds.
    decide_us: Histogram<u64>,
    /// From the first POST to the known end, microseconds.
    order_us: Histogram<u64>,
    /// From the signal's arrival here to the known end, microseconds.
    whole_us: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            outcomes: BTreeMap::new(),
            dead: 0,
            decide_us: histogram(),
            order_us: histogram(),
            whole_us: histogram(),
        }
    }
}

/// An hour in microseconds: longer lives of an order are counted as this long.
const LATENCY_US_MAX: u64 = 3_600_000_000;

fn histogram() -> Histogram<u64> {
    // The bounds are constants that the library takes; it refuses a maximum below 2 and more than 5 digits.
    Histogram::new_with_max(LATENCY_US_MAX, 3).unwrap_or_else(|_| unreachable!("bounds that are allowed"))
}

impl Tally {
    /// Counts one recorded end.
    pub fn add(&mut self, settlement: &Settlement) {
        match settlement {
            Settlement::Dead { .. } => self.dead += 1,
            Settlement::Outcome(outcome) | Settlement::Followed { outcome, .. } => {
                *self.outcomes.entry(outcome.kind).or_default() += 1;
                self.time(outcome);
            }
        }
    }

    /// How many signals came to this end.
    pub fn count(&self, kind: OutcomeKind) -> u64 {
        self.outcomes.get(&kind).copied().unwrap_or(0)
    }

    /// How many ends were recorded, dead letters included.
    pub fn recorded(&self) -> u64 {
        self.dead + self.outcomes.values().sum::<u64>()
    }

    fn time(&mut self, outcome: &Outcome) {
        let add = |histogram: &mut Histogram<u64>, from: Option<Timestamp>, to: Option<Timestamp>| {
            if let (Some(from), Some(to)) = (from, to) {
                histogram
                    .saturating_record(u64::try_from(to.since(from).as_micros()).unwrap_or(u64::MAX).max(1));
            }
        };
        add(&mut self.decide_us, outcome.received_at, outcome.submitted_at);
        add(&mut self.order_us, outcome.submitted_at, outcome.final_at);
        if outcome.submitted_at.is_some() {
            add(&mut self.whole_us, outcome.received_at, outcome.final_at);
        }
    }
}

/// The end of a run in figures.
#[derive(Debug)]
pub struct Summary {
    /// Entries taken from the stream.
    pub signals: u64,
    /// Ends recorded.
    pub tally: Tally,
    /// Reports that brought new fills.
    pub fills: u64,
    /// Signals that stay pending for the next process.
    pub left_pending: u64,
    /// Signals that grew too old while they waited, and why.
    pub overload: Overload,
    /// Money and positions by our books.
    pub statement: Statement,
    /// Books against broker at the end: differences, or why they could not be compared.
    pub broker: Result<Vec<String>, String>,
    /// How the price polling went.
    pub prices: Health,
    /// What was recorded, when that was asked for.
    pub recorded: Option<RecordingEnd>,
    /// How each strategy did.
    pub strategies: Vec<Status>,
    /// For how much of the time, and by how much, each strategy was off its targets.
    pub off_target: Vec<(String, OffTarget)>,
    /// Why the signal stream became unusable, where it did; what was in hand is finished.
    pub fault: Option<InboxError>,
}

impl Summary {
    /// One JSON object.
    pub fn to_json(&self) -> Value {
        let outcomes: serde_json::Map<_, _> = OutcomeKind::ALL
            .iter()
            .filter(|kind| self.tally.count(**kind) > 0)
            .map(|kind| (kind.as_str().to_owned(), json!(self.tally.count(*kind))))
            .collect();
        let positions: serde_json::Map<_, _> = self
            .statement
            .positions
            .iter()
            .map(|(symbol, position)| (symbol.to_string(), json!(position.quantity().to_string())))
            .collect();
        let mut json = json!({
            "signals": self.signals,
            "outcomes": outcomes,
            "dead": self.tally.dead,
            "fills": self.fills,
            "left_pending": self.left_pending,
            "overload": (self.overload.expired > 0).then(|| json!({
                "expired": self.overload.expired,
                "came_per_second": self.overload.came_per_second,
                "sent_per_second": self.overload.sent_per_second,
            })),
            "latency_us": {
                "signal_to_order": percentiles_json(&self.tally.decide_us),
                "order_to_final": percentiles_json(&self.tally.order_us),
                "signal_to_final": percentiles_json(&self.tally.whole_us),
            },
            "positions": positions,
            "cash": self.statement.cash.to_string(),
            "equity": self.statement.equity.cents().to_string(),
            "profit": self.statement.profit.cents().to_string(),
            "broker": match &self.broker {
                Ok(differences) => json!({ "compared": true, "agrees": differences.is_empty(), "differences": differences }),
                Err(reason) => json!({ "compared": false, "reason": reason }),
            },
            "prices": { "cycles": self.prices.cycles, "failures": self.prices.failures },
            "recorded": self.recorded.as_ref().map(|recorded| json!({
                "directory": recorded.directory,
                "events": recorded.events,
                "dropped": recorded.dropped,
                "failed": recorded.failed,
                "outcomes": recorded.outcomes,
                "outcomes_lost": recorded.outcomes_lost,
            })),
        });
        if !self.strategies.is_empty() {
            json["strategies"] = self.strategies.iter().map(|status| self.strategy_json(status)).collect();
        }
        json
    }

    fn strategy_json(&self, status: &Status) -> Value {
        let mut json = serde_json::to_value(status).unwrap_or_default(); // A status is always JSON.
        if let Some((_, off)) = self.off_target.iter().find(|(name, _)| *name == status.name) {
            json["off_target"] = json!(off.figures());
        }
        json
    }
}

const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p99", 99.0), ("p99_9", 99.9), ("max", 100.0)];

fn percentiles_json(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    PERCENTILES
        .iter()
        .map(|(name, p)| ((*name).to_owned(), json!(histogram.value_at_percentile(*p))))
        .collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row("signals", self.signals.to_string());
        for kind in OutcomeKind::ALL.into_iter().filter(|kind| self.tally.count(*kind) > 0) {
            row(&format!("  {}", kind.as_str()), self.tally.count(kind).to_string());
        }
        if self.tally.dead > 0 {
            row("  dead letters", self.tally.dead.to_string());
        }
        if self.left_pending > 0 {
            row("  left pending", self.left_pending.to_string());
        }
        if self.overload.expired > 0 {
            row("too fast", self.overload.to_string());
        }
        row("fills", self.fills.to_string());
        for (name, histogram) in
            [("signal to order", &self.tally.decide_us), ("order to final", &self.tally.order_us)]
        {
            if !histogram.is_empty() {
                row(name, percentiles_text(histogram));
            }
        }
        for (symbol, position) in &self.statement.positions {
            let entry = position
                .average_price()
                .map_or_else(String::new, |price| format!(" at {}", price.get().round_dp(4)));
            let unit = if symbol.is_pair() { "" } else { " shares" };
            row(&format!("position {symbol}"), format!("{}{unit}{entry}", position.quantity()));
        }
        row("cash", format!("{:.2}", self.statement.cash.cents().get()));
        row("equity", format!("{:.2}", self.statement.equity.cents().get()));
        row("profit", format!("{:.2}", self.statement.profit.cents().get()));
        row("books and broker", self.broker_text());
        if self.prices.failures > 0 {
            row("price polls", format!("{} good, {} failed", self.prices.cycles, self.prices.failures));
        }
        if let Some(recorded) = &self.recorded {
            row("recorded", recorded_text(recorded));
        }
        if let Some(column) = table.column_mut(0) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        for line in table.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        for status in &self.strategies {
            write!(f, " strategy {status}")?;
            let off = self.off_target.iter().find(|(name, _)| *name == status.name);
            match off.map(|(_, off)| off.figures()).filter(|off| off.time.is_some()) {
                Some(off) => writeln!(f, ", {off}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl Summary {
    fn broker_text(&self) -> String {
        match &self.broker {
            Ok(differences) if differences.is_empty() => "agree to the cent".to_owned(),
            Ok(differences) => format!("differ: {}", differences.join("; ")),
            Err(reason) => format!("not compared: {reason}"),
        }
    }
}

fn recorded_text(recorded: &RecordingEnd) -> String {
    let RecordingEnd { directory, events, dropped, failed, outcomes, outcomes_lost } = recorded;
    let lost = |count: u64, what| if count > 0 { format!(", {count} {what}") } else { String::new() };
    let (dropped, failed) = (lost(*dropped, "dropped"), lost(*failed, "failed"));
    let outcomes_lost = lost(*outcomes_lost, "outcomes lost");
    let directory = directory.display();
    format!("{events} market events in {directory}{dropped}{failed}; {outcomes} outcomes{outcomes_lost}")
}

fn percentiles_text(histogram: &Histogram<u64>) -> String {
    let one = |(name, p): &(&str, f64)| {
        format!("{} {} us", name.replace('_', "."), histogram.value_at_percentile(*p))
    };
    PERCENTILES.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::EntryId;

    #[test]
    fn latencies_are_counted_from_microseconds_to_minutes() {
        let mut tally = Tally::default();
        let start = Timestamp::from_secs(1_000);
        for micros in [3, 700, 90_000_000] {
            let outcome = Outcome::without_order(EntryId::new("1-0"), OutcomeKind::Filled, "");
            tally.add(&Settlement::Outcome(Outcome {
                received_at: Some(start),
                submitted_at: Some(start),
                final_at: Some(start + std::time::Duration::from_micros(micros)),
                ..outcome
            }));
        }
        assert_eq!(tally.count(OutcomeKind::Filled), 3);
        let found = percentiles_json(&tally.order_us);
        assert_eq!(found["p50"], 700);
        let longest = found["max"].as_u64().unwrap();
        assert!(longest.abs_diff(90_000_000) < 90_000, "three digits are kept: {longest}");
    }
}
