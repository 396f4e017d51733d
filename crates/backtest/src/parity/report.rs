//! What the comparison found, for people, for programs and as a table.

use std::fmt;
use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{ComparedOrder, Difference, FinalBalance, Parity, Reason};
use bot_core::duration;
use bot_data::tabular::cells::quoted;

/// So many differences are shown; all are in parity.csv.
const SHOWN_MAX: usize = 50;

impl Parity {
    /// One JSON object.
    pub fn to_json(&self) -> Value {
        let reasons: serde_json::Map<_, _> = Reason::ALL
            .into_iter()
            .filter(|reason| self.count(*reason) > 0)
            .map(|reason| (reason.as_str().to_owned(), json!(self.count(reason))))
            .collect();
        json!({
            "session": self.folder,
            "signals": self.signals,
            "same": self.signals - self.differences.len(),
            "different": self.differences.len(),
            "unexplained": self.count(Reason::Unexplained),
            "reasons": reasons,
            "money": self.money().to_string(),
            "repeats": self.repeats,
            "lost": self.lost,
            "latency_us": u64::try_from(self.latency.as_micros()).unwrap_or(u64::MAX),
            "events": self.events,
            "end": self.end.as_ref().map(|end| end.iter().map(balance_json).collect::<Vec<_>>()),
            "differences": self.differences.iter().take(SHOWN_MAX).map(difference_json).collect::<Vec<_>>(),
        })
    }

    /// All differences as CSV.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_csv(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(
            out,
            "time,strategy,id,symbol,side,fields,reason,price_bps,money,\
             live_decision,live_outcome,live_qty,live_limit,live_filled,live_price,live_reason,\
             replay_decision,replay_outcome,replay_qty,replay_limit,replay_filled,replay_price,replay_reason"
        )?;
        for difference in &self.differences {
            let Some(any) = difference.any() else { continue };
            let bps = difference.price_bps.map_or_else(String::new, |bps| format!("{bps:.4}"));
            write!(
                out,
                "{},{},{},{},{},{},{},{bps},{}",
                any.at,
                any.strategy,
                quoted(&any.id),
                any.symbol,
                any.side,
                difference.fields_text("+"),
                difference.reason,
                difference.money,
            )?;
            for order in [&difference.live, &difference.replay] {
                write!(out, ",{}", order.as_ref().map_or_else(|| ",,,,,,".to_owned(), cells))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

impl Difference {
    fn any(&self) -> Option<&ComparedOrder> {
        self.live.as_ref().or(self.replay.as_ref())
    }

    fn fields_text(&self, between: &str) -> String {
        self.fields.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(between)
    }
}

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let different = self.differences.len();
        writeln!(f, "session   {}", self.folder.display())?;
        write!(f, "signals   {}: {} the same", self.signals, self.signals - different)?;
        if different > 0 {
            write!(
                f,
                ", {different} otherwise; for that the session is {} dollars better off",
                self.money().cents()
            )?;
        }
        writeln!(f)?;
        for reason in Reason::ALL.into_iter().filter(|reason| self.count(*reason) > 0) {
            writeln!(f, "  {reason:<14} {}", self.count(reason))?;
        }
        if self.repeats + self.lost > 0 {
            writeln!(
                f,
                "not compared  {} sent again, {} lost before they were read",
                self.repeats, self.lost
            )?;
        }
        writeln!(
            f,
            "replayed  {} events; an order is on its way for {}",
            self.events,
            duration::format(self.latency)
        )?;
        match &self.end {
            None => writeln!(
                f,
                "end       not compared: the session says nothing of its end (it crashed, or runs)"
            )?,
            Some(end) => end.iter().try_for_each(|balance| writeln!(f, "end       {balance}"))?,
        }
        if different == 0 {
            return Ok(());
        }
        let table = self.table();
        table.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))?;
        if different > SHOWN_MAX {
            writeln!(f, "and {} more", different - SHOWN_MAX)?;
        }
        Ok(())
    }
}

impl Parity {
    /// The first differences, a row each.
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "time",
            "strategy",
            "symbol",
            "side",
            "live",
            "replay",
            "differ in",
            "bps",
            "dollars",
            "reason",
        ]);
        for difference in self.differences.iter().take(SHOWN_MAX) {
            let Some(any) = difference.any() else { continue };
            let side =
                |order: &Option<ComparedOrder>| order.as_ref().map_or_else(|| "none".to_owned(), story);
            table.add_row([
                any.at.to_new_york().format("%H:%M:%S%.3f").to_string(),
                any.strategy.clone(),
                any.symbol.to_string(),
                any.side.to_string(),
                side(&difference.live),
                side(&difference.replay),
                difference.fields_text(", "),
                difference.price_bps.map_or_else(String::new, |bps| format!("{bps:.2}")),
                format!("{:.2}", difference.money.cents().get()),
                difference.reason.to_string(),
            ]);
        }
        table
    }
}

impl fmt::Display for FinalBalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FinalBalance { what, live, replay, by_orders, reason } = self;
        let (live, replay) = (live.round_dp(4).normalize(), replay.round_dp(4).normalize());
        match reason {
            None => write!(f, "{what} {live}, the same"),
            Some(reason) => write!(
                f,
                "{what} {live}, replay {replay}: the orders account for {} ({reason})",
                by_orders.round_dp(4).normalize()
            ),
        }
    }
}

/// An order in few words.
fn story(order: &ComparedOrder) -> String {
    if !order.is_order {
        return order.decision();
    }
    let at = order.price.map_or_else(String::new, |price| format!(" at {}", price.get().round_dp(4)));
    format!("{} {} of {}{at}", order.outcome.as_str(), order.filled, order.quantity)
}

fn cells(order: &ComparedOrder) -> String {
    let limit = order.limit.map_or_else(String::new, |limit| limit.to_string());
    let price = order.price.map_or_else(String::new, |price| price.to_string());
    format!(
        "{},{},{},{},{},{},{}",
        order.decision(),
        order.outcome.as_str(),
        order.quantity,
        limit,
        order.filled,
        price,
        quoted(&order.reason)
    )
}

fn difference_json(difference: &Difference) -> Value {
    json!({
        "reason": difference.reason.as_str(),
        "fields": difference.fields.iter().map(|field| field.as_str()).collect::<Vec<_>>(),
        "price_bps": difference.price_bps,
        "money": difference.money.to_string(),
        "live": difference.live.as_ref().map(order_json),
        "replay": difference.replay.as_ref().map(order_json),
    })
}

fn order_json(order: &ComparedOrder) -> Value {
    json!({
        "id": order.id,
        "strategy": order.strategy,
        "symbol": order.symbol.to_string(),
        "side": order.side.as_str(),
        "time": order.at.to_string(),
        "decision": order.decision(),
        "outcome": order.outcome.as_str(),
        "reason": order.reason,
        "qty": order.quantity.to_string(),
        "limit": order.limit.map(|price| price.to_string()),
        "filled": order.filled.to_string(),
        "price": order.price.map(|price| price.to_string()),
        "price_seen": order.price_seen,
    })
}

fn balance_json(balance: &FinalBalance) -> Value {
    json!({
        "what": balance.what,
        "live": balance.live.to_string(),
        "replay": balance.replay.to_string(),
        "by_orders": balance.by_orders.to_string(),
        "reason": balance.reason.map(Reason::as_str),
    })
}
