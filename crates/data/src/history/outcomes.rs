//! What became of one signal as one line, with all that it takes to decide once more. Pure, but for reading a file.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::path::Path;
use std::str::FromStr;

use super::HistoryError;
use super::lines::WholeLines;
use crate::tabular::cells::{quoted, short, split};
use crate::tabular::number;
use bot_core::clock::Timestamp;
use bot_core::market::Quote;
use bot_core::order::{ClientOrderId, OrderId, Side};
use bot_core::outcome::{Decision, Outcome, OutcomeKind};
use bot_core::signal::{Entry, EntryId, Signal};
use bot_core::symbol::Symbol;

/// The first line of each file.
pub(super) const HEADER: &str = "signal,client_order_id,ticker,direction,strategy,outcome,reason,order_id,qty,\
filled_qty,filled_avg_price,received,submitted,final,fields,sent,redelivered,decided,\
limit,quote_time,bid,bid_size,ask,ask_size";

/// Appends the outcome's line with its line feed.
pub(super) fn write(outcome: &Outcome, line: &mut String) {
    let mut line = OutcomeLine(line);
    line.add(Some(&outcome.signal));
    line.add(outcome.client_order_id.as_ref());
    line.add(outcome.symbol);
    line.add(outcome.side);
    line.text(&outcome.strategy);
    line.add(Some(outcome.kind.as_str()));
    line.text(&outcome.reason);
    line.text(outcome.order_id.as_ref().map_or("", OrderId::as_str));
    line.add(outcome.quantity);
    line.add(outcome.filled);
    line.add(outcome.average_price);
    line.add(outcome.received_at);
    line.add(outcome.submitted_at);
    line.add(outcome.final_at);
    let decision = outcome.decision.as_deref();
    let signal = decision.map(|decision| &decision.signal);
    line.text(&signal.map(fields).unwrap_or_default());
    line.add(signal.map(|signal| signal.sent_at));
    line.add(signal.map(|signal| signal.redelivered));
    line.add(decision.and_then(|decision| decision.at));
    line.add(decision.and_then(|decision| decision.limit));
    let quote = decision.and_then(|decision| decision.quote);
    line.add(quote.map(|quote| quote.at));
    line.add(quote.map(|quote| quote.bid));
    line.add(quote.map(|quote| quote.bid_size));
    line.add(quote.map(|quote| quote.ask));
    line.add(quote.map(|quote| quote.ask_size));
    line.end();
}

/// Reads a file's outcomes; a torn last line is left out.
///
/// # Errors
/// A file that cannot be read, or a line that is no outcome.
pub(super) fn read(path: &Path, outcomes: &mut Vec<Outcome>) -> Result<(), HistoryError> {
    let mut lines = WholeLines::open(path, HEADER)?;
    while let Some((number, line)) = lines.next()? {
        let outcome = parse(line);
        outcomes.push(outcome.map_err(|rule| lines.fault(number, rule))?);
    }
    Ok(())
}

/// Reads what [`write`] wrote, without the line feed.
///
/// # Errors
/// The rule that the line breaks and what it was.
fn parse(line: &str) -> Result<Outcome, String> {
    let cells = split(line.as_bytes(), b',')?;
    let names: Vec<&str> = HEADER.split(',').collect();
    if cells.len() != names.len() {
        return Err(format!("line must have {} cells, had {}", names.len(), cells.len()));
    }
    let text = |name: &str| {
        let place = names.iter().position(|other| *other == name);
        place.map_or("", |place| &*cells[place])
    };
    let time = |name| read_cell(name, text(name), Timestamp::parse_rfc3339);
    let symbol = read_cell("ticker", text("ticker"), Symbol::from_str)?;
    let side = read_cell("direction", text("direction"), side)?;
    let id = EntryId::new(text("signal"));
    let strategy = text("strategy").into();
    let sent = time("sent")?;
    let number = |name| {
        read_cell(name, text(name), |cell| number::read(cell).ok_or("must be a number"))
            .and_then(|found| found.ok_or_else(|| format!("{name} is missing")))
    };
    let quote = match time("quote_time")? {
        Some(at) => Some(Quote {
            at,
            bid: number("bid")?,
            bid_size: number("bid_size")?,
            ask: number("ask")?,
            ask_size: number("ask_size")?,
        }),
        None => None,
    };
    let decision = match (sent, symbol) {
        (Some(sent_at), Some(symbol)) => {
            let fields: BTreeMap<String, String> = read_cell("fields", text("fields"), serde_json::from_str)?
                .ok_or_else(|| "fields is missing".to_owned())?;
            let fields = fields.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes()));
            let deliveries = if text("redelivered") == "true" { 2 } else { 1 };
            let entry = Entry { id: id.clone(), fields: fields.collect(), sent_at, deliveries };
            let signal = Signal::parse(&entry, &[symbol]).map_err(|error| error.to_string())?;
            let limit = read_cell("limit", text("limit"), str::parse)?;
            Some(Box::new(Decision { signal, at: time("decided")?, quote, limit }))
        }
        (None, _) | (_, None) => None,
    };
    Ok(Outcome {
        signal: id,
        kind: kind(text("outcome"))?,
        reason: text("reason").to_owned(),
        client_order_id: read_cell("client_order_id", text("client_order_id"), |text| {
            ClientOrderId::shared(text.into())
        })?,
        symbol,
        side,
        strategy,
        order_id: Some(text("order_id")).filter(|id| !id.is_empty()).map(OrderId::new),
        quantity: read_cell("qty", text("qty"), str::parse)?,
        filled: read_cell("filled_qty", text("filled_qty"), str::parse)?,
        average_price: read_cell("filled_avg_price", text("filled_avg_price"), str::parse)?,
        received_at: time("received")?,
        submitted_at: time("submitted")?,
        final_at: time("final")?,
        decision,
    })
}

/// A signal as the fields of its entry.
fn fields(signal: &Signal) -> String {
    let fields: BTreeMap<&str, String> = signal.fields().into_iter().collect();
    serde_json::to_string(&fields).unwrap_or_default() // Texts by texts are always JSON.
}

fn read_cell<'a, T, E: Display>(
    name: &str,
    cell: &'a str,
    read: impl FnOnce(&'a str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    read(cell).map(Some).map_err(|error| format!("{name} cannot be read, was \"{}\": {error}", short(cell)))
}

fn side(text: &str) -> Result<Side, &'static str> {
    match text {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        _ => Err("must be buy or sell"),
    }
}

fn kind(text: &str) -> Result<OutcomeKind, String> {
    OutcomeKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| format!("outcome cannot be read, was \"{text}\""))
}

/// A line in the making.
struct OutcomeLine<'a>(&'a mut String);

impl OutcomeLine<'_> {
    fn add(&mut self, value: Option<impl Display>) {
        if let Some(value) = value {
            write!(self.0, "{value}").unwrap_or_else(|_| unreachable!("a string takes all"));
        }
        self.0.push(',');
    }

    /// Text that may hold anything; a line stays one line.
    fn text(&mut self, text: &str) {
        self.0.push_str(&quoted(text));
        self.0.push(',');
    }

    /// The last cell's comma becomes the line feed.
    fn end(&mut self) {
        self.0.pop();
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use bot_core::signal::{Step, Tag, Wanted};

    #[test]
    fn an_outcome_reads_back_as_it_was_written() {
        let at = Timestamp::from_nanos(1_800_000_000_123_456_789);
        let quantity = Some("7".parse().unwrap());
        let wanted = Wanted::Order { side: Side::Sell, quantity, strength: None };
        let step = Step {
            first: "seesaw-1-0".into(),
            number: 2,
            retries: 1,
            reason: "no_fill".into(),
            due: at - Duration::from_secs(2),
        };
        let signal = Signal {
            producer_id: Some("mine, \"7\"".into()),
            limit: Some("99.5".parse().unwrap()),
            strategy: "seesaw".into(),
            tag: Tag::new("break out").ok(),
            is_own: true,
            time_to_live: Some(Duration::from_millis(250)),
            step: Some(Box::new(step)),
            redelivered: true,
            ..Signal::plain(EntryId::new("1-0"), "NVDA".parse().unwrap(), wanted, at)
        };
        let quote = Quote { at, bid: 99.125, bid_size: 100.0, ask: 0.1 + 0.2, ask_size: 3.0 };
        let limit = Some("99.49".parse().unwrap());
        let outcome = Outcome {
            client_order_id: Some(ClientOrderId::shared("bot-1".into()).unwrap()),
            symbol: Some(signal.symbol),
            side: Some(Side::Sell),
            strategy: signal.strategy.to_string(),
            order_id: Some(OrderId::new("abc")),
            quantity,
            filled: Some("5".parse().unwrap()),
            average_price: Some("99.123456".parse().unwrap()),
            received_at: Some(at),
            submitted_at: Some(at),
            final_at: Some(at),
            decision: Some(Box::new(Decision { signal, at: Some(at), quote: Some(quote), limit })),
            ..Outcome::without_order(EntryId::new("1-0"), OutcomeKind::PartlyFilled, "x: y")
        };
        let mut line = String::new();
        write(&outcome, &mut line);
        assert_eq!(parse(line.trim_end()).unwrap(), outcome);
    }

    #[test]
    fn a_line_that_is_no_outcome_is_told_with_its_cell() {
        assert_eq!(parse("1-0").unwrap_err(), "line must have 24 cells, had 1");
        let line = "1-0,,,up,,filled,,,,,,,,,,,,,,,,,,";
        assert_eq!(parse(line).unwrap_err(), "direction cannot be read, was \"up\": must be buy or sell");
    }
}
