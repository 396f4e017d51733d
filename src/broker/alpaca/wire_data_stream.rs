//! What the market data socket sends: arrays of items, each told apart by its `T`.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire_market::{WireBar, WireQuote, WireTrade};
use crate::market::{self, MarketEvent};
use crate::symbol::Symbol;

/// One item of a frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// `connected` or `authenticated`.
    Success(String),
    /// The server's number for what is wrong, and its words.
    Error { code: u64, message: String },
    /// All that is subscribed to by now.
    Subscription(Subscribed),
    /// A quote, a trade or a minute bar.
    Event(MarketEvent),
    /// A kind that nobody here wants, by its name.
    Other(String),
}

/// The tickers that the server says it sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Subscribed {
    pub(super) trades: Vec<String>,
    pub(super) quotes: Vec<String>,
    pub(super) bars: Vec<String>,
}

/// Reads a frame; each item is read by itself, so that an odd one does not spoil the others.
///
/// # Errors
/// A frame that is no array of JSON.
pub(super) fn items(frame: &[u8]) -> serde_json::Result<impl Iterator<Item = Result<Item, String>>> {
    let raw: Vec<&RawValue> = serde_json::from_slice(frame)?;
    Ok(raw.into_iter().map(|raw| item(raw.get())))
}

#[derive(Deserialize)]
struct ItemHead<'a> {
    #[serde(rename = "T", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "S", borrow)]
    symbol: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Word {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    msg: String,
}

const MINUTE: Duration = Duration::from_mins(1);

fn item(text: &str) -> Result<Item, String> {
    let head: ItemHead<'_> = read(text)?;
    let symbol = || -> Result<Symbol, String> {
        head.symbol.as_deref().unwrap_or_default().parse().map_err(|error| format!("{error}"))
    };
    let event = match head.kind.as_ref() {
        "success" => return Ok(Item::Success(read::<Word>(text)?.msg)),
        "error" => {
            let Word { code, msg } = read(text)?;
            return Ok(Item::Error { code, message: msg });
        }
        "subscription" => return Ok(Item::Subscription(read(text)?)),
        "q" => {
            let quote = market::Quote::from(&read::<WireQuote>(text)?);
            sound(&[quote.bid, quote.bid_size, quote.ask, quote.ask_size], false)?;
            MarketEvent::Quote { symbol: symbol()?, quote }
        }
        "t" => {
            let trade = market::Trade::from(&read::<WireTrade>(text)?);
            sound(&[trade.price], true)?;
            sound(&[trade.size], false)?;
            MarketEvent::Trade { symbol: symbol()?, trade }
        }
        "b" => {
            let bar = market::Bar::from(&read::<WireBar>(text)?);
            sound(&[bar.open, bar.high, bar.low, bar.close], true)?;
            sound(&[bar.volume], false)?;
            MarketEvent::Bar { symbol: symbol()?, bar, span: MINUTE }
        }
        other => return Ok(Item::Other(other.to_owned())),
    };
    Ok(Item::Event(event))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn sound(numbers: &[f64], above_zero: bool) -> Result<(), String> {
    let rule = if above_zero { "above 0" } else { "0 or more" };
    let odd = numbers.iter().find(|n| !n.is_finite() || **n < 0.0 || (above_zero && **n == 0.0));
    odd.map_or(Ok(()), |odd| Err(format!("numbers must be {rule}, was {odd}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: &str, expected: &[&str]) {
        let found: Vec<String> = match items(frame.as_bytes()) {
            Ok(items) => items
                .map(|item| match item {
                    Ok(Item::Event(event)) => {
                        format!("{} {} {}", event.symbol(), event.known_at(), event.price())
                    }
                    Ok(other) => format!("{other:?}"),
                    Err(odd) => format!("odd: {odd}"),
                })
                .collect(),
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn items_are_told_apart_by_their_kind() {
        check(
            r#"[{"T":"success","msg":"connected"},{"T":"error","code":402,"msg":"auth failed"},
                {"T":"subscription","trades":["A"],"quotes":[],"news":["*"]},{"T":"u","S":"A"}]"#,
            &[
                "Success(\"connected\")",
                "Error { code: 402, message: \"auth failed\" }",
                "Subscription(Subscribed { trades: [\"A\"], quotes: [], bars: [] })",
                "Other(\"u\")",
            ],
        );
        check(
            r#"[{"T":"q","S":"NVDA","bx":"V","bp":179.5,"bs":3,"ax":"V","ap":180.5,"as":2,"c":["R"],"t":"2026-11-20T15:30:00.000000001Z","z":"C"},
                {"T":"t","S":"BRK.B","i":1,"x":"V","p":"480.25","s":10,"c":["@"],"t":"2026-11-20T15:30:00Z","z":"A"},
                {"T":"b","S":"NVDA","o":1,"h":3,"l":1,"c":2.5,"v":100,"vw":2,"n":4,"t":"2026-11-20T15:30:00Z"}]"#,
            &[
                "NVDA 2026-11-20T15:30:00.000000001Z 180",
                "BRK.B 2026-11-20T15:30:00Z 480.25",
                "NVDA 2026-11-20T15:31:00Z 2.5",
            ],
        );
    }

    #[test]
    fn an_odd_item_does_not_spoil_its_neighbours() {
        check(
            r#"[{"T":"t","S":"A","p":"NaN","t":"2026-11-20T15:30:00Z"},{"T":"t","S":"A","p":0,"t":"2026-11-20T15:30:00Z"},
                {"T":"t","S":"A","p":2,"t":"2026-11-20T15:30:00Z"},{"S":"A"},7]"#,
            &[
                "odd: numbers must be above 0, was NaN",
                "odd: numbers must be above 0, was 0",
                "A 2026-11-20T15:30:00Z 2",
                "odd: missing field `T` at line 1 column 9",
                "odd: invalid type: integer `7`, expected struct ItemHead at line 1 column 1",
            ],
        );
        check("{}", &["invalid type: map, expected a sequence at line 1 column 0"]);
    }
}
