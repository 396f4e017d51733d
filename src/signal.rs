//! A stream entry parsed into a signal: pure and total, any bytes in, never a panic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::order::{ClientOrderId, Side};
use crate::symbol::Symbol;
use crate::units::{Price, Quantity};

/// The name of one stream entry, `<milliseconds>-<sequence>`; in-process sources make their own of the same shape.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(Arc<str>);

impl EntryId {
    /// Takes the id as the stream gives it.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Takes the id of an in-process source.
    pub fn shared(text: Arc<str>) -> Self {
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the stream took the entry, by the stream's own clock; `None` when the id is not of the usual shape.
    pub fn sent_at(&self) -> Option<Timestamp> {
        let (millis, _) = self.0.split_once('-')?;
        millis.parse().ok().map(Timestamp::from_millis)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of the signal stream, as read: nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Its fields in order, as bytes.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// When it was sent, on this machine's clock (the stream's clock may differ).
    pub sent_at: Timestamp,
    /// How often it was delivered, this time included; above 1 an order may already exist.
    pub deliveries: u64,
}

/// A wish to buy or sell one symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The entry it came from.
    pub id: EntryId,
    /// The producer's own id: the same id is the same signal.
    pub producer_id: Option<String>,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How many shares, where the producer says so; above 0.
    pub quantity: Option<Quantity>,
    /// The worst price, where the producer says so.
    pub limit: Option<Price>,
    /// Which strategy it speaks for, empty for none.
    pub strategy: String,
    /// How sure, -1 to 1, where the producer says so.
    pub strength: Option<f64>,
    /// How long it may be acted on, where the producer says so.
    pub time_to_live: Option<Duration>,
    /// When it was sent, on this machine's clock.
    pub sent_at: Timestamp,
    /// True when it may have been handled before: look the order up first.
    pub redelivered: bool,
}

/// Why an entry is no signal. Such an entry is dead-lettered, never retried.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignalError {
    /// A required field is not there.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field is there twice with different values.
    #[error("field {0} is given twice")]
    Twice(&'static str),
    /// A value does not fit.
    #[error("field {field} must be {allowed}, was \"{was}\"")]
    Bad {
        /// Which field.
        field: &'static str,
        /// What it may be.
        allowed: String,
        /// What it was, shortened.
        was: String,
    },
}

const VALUE_LEN_MAX: usize = 128;
const FIELDS: [&str; 8] = ["ticker", "direction", "id", "qty", "limit", "strategy", "strength", "ttl_ms"];

impl Signal {
    /// Reads an entry; `traded` are the symbols this bot trades.
    ///
    /// Field names and directions are read in any case, values are trimmed, unknown fields are ignored.
    ///
    /// # Errors
    /// A missing, doubled or unreadable field, or a symbol that is not traded.
    pub fn parse(entry: &Entry, traded: &[Symbol]) -> Result<Self, SignalError> {
        let fields = Fields::collect(entry)?;
        let ticker = fields.required("ticker")?;
        let symbol = ticker
            .parse::<Symbol>()
            .ok()
            .filter(|symbol| traded.contains(symbol))
            .ok_or_else(|| bad("ticker", one_of(traded), ticker))?;
        let direction = fields.required("direction")?;
        let side = match direction.to_ascii_lowercase().as_str() {
            "b" | "buy" => Side::Buy,
            "s" | "sell" => Side::Sell,
            _ => return Err(bad("direction", "b, s, buy or sell", direction)),
        };
        Ok(Self {
            id: entry.id.clone(),
            producer_id: fields.optional("id").map(str::to_owned),
            symbol,
            side,
            quantity: fields.read("qty", "a number of shares above 0, at most 9 decimals", |text| {
                text.parse::<Quantity>().ok().filter(|q| q.is_positive() && q.get().normalize().scale() <= 9)
            })?,
            limit: fields.read("limit", "a price above 0", |text| text.parse().ok())?,
            strategy: fields.optional("strategy").unwrap_or_default().to_owned(),
            strength: fields.read("strength", "a number from -1 to 1", |text| {
                text.parse::<f64>().ok().filter(|strength| (-1.0..=1.0).contains(strength))
            })?,
            time_to_live: fields.read("ttl_ms", "a whole number of milliseconds", |text| {
                text.parse().ok().map(Duration::from_millis)
            })?,
            sent_at: entry.sent_at,
            redelivered: entry.deliveries > 1,
        })
    }

    /// The one id of this signal's order: the same signal gives the same id in every process, for good.
    pub fn client_order_id(&self, space: &IdSpace) -> ClientOrderId {
        let origin = self.producer_id.as_deref().unwrap_or(self.id.as_str());
        let mut hash = Sha256::new();
        let kind = if self.producer_id.is_some() { "producer" } else { "entry" };
        for part in [
            &*space.environment,
            &space.stream,
            &space.epoch,
            kind,
            origin,
            self.symbol.as_str(),
            self.side.as_str(),
        ] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        let digest = data_encoding::BASE32_NOPAD.encode(&hash.finalize()[..16]);
        let tag: String = self
            .strategy
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(16)
            .collect::<String>()
            .to_lowercase();
        let tag = if tag.is_empty() { "sig" } else { &tag };
        // Prefix 4 + tag 16 + hyphen 1 + digest 26 = 47 of 48.
        ClientOrderId::from_allowed(&format!("{CLIENT_ORDER_ID_PREFIX}{tag}-{digest}"))
    }
}

/// Every client order id of ours starts so.
pub const CLIENT_ORDER_ID_PREFIX: &str = "bot-";

/// What makes entry ids of different accounts, streams and stream lives differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSpace {
    /// The broker account's environment, such as `alpaca-paper`.
    pub environment: String,
    /// The stream's name.
    pub stream: String,
    /// A random value made once per life of the stream.
    pub epoch: String,
}

struct Fields<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Fields<'a> {
    fn collect(entry: &'a Entry) -> Result<Self, SignalError> {
        let mut known: Vec<(&'static str, &'a str)> =
            Vec::with_capacity(entry.fields.len().min(FIELDS.len()));
        for (name, value) in &entry.fields {
            let Some(field) =
                FIELDS.iter().find(|field| name.trim_ascii().eq_ignore_ascii_case(field.as_bytes()))
            else {
                continue;
            };
            let shortened = || String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
            if value.len() > VALUE_LEN_MAX {
                return Err(bad(field, format!("at most {VALUE_LEN_MAX} bytes"), &shortened()));
            }
            let text = std::str::from_utf8(value).map_err(|_| bad(field, "UTF-8 text", &shortened()))?.trim();
            match known.iter().find(|(seen, _)| seen == field) {
                None => known.push((field, text)),
                Some((_, first)) if *first == text => {}
                Some(_) => return Err(SignalError::Twice(field)),
            }
        }
        Ok(Self(known))
    }

    fn optional(&self, field: &str) -> Option<&'a str> {
        self.0.iter().find(|(name, text)| *name == field && !text.is_empty()).map(|(_, text)| *text)
    }

    fn required(&self, field: &'static str) -> Result<&'a str, SignalError> {
        self.optional(field).ok_or(SignalError::Missing(field))
    }

    fn read<T>(
        &self,
        field: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SignalError> {
        self.optional(field).map(|text| parse(text).ok_or_else(|| bad(field, allowed, text))).transpose()
    }
}

fn bad(field: &'static str, allowed: impl Into<String>, was: &str) -> SignalError {
    SignalError::Bad { field, allowed: allowed.into(), was: was.chars().take(40).collect() }
}

fn one_of(symbols: &[Symbol]) -> String {
    let names: Vec<_> = symbols.iter().map(Symbol::as_str).collect();
    format!("one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(fields: &[(&str, &[u8])]) -> Entry {
        Entry {
            id: EntryId::new("1700000000000-0"),
            fields: fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect(),
            sent_at: Timestamp::from_millis(1_700_000_000_000),
            deliveries: 1,
        }
    }

    fn nvda() -> Vec<Symbol> {
        vec!["NVDA".parse().unwrap()]
    }

    #[track_caller]
    fn check(fields: &[(&str, &[u8])], expected: &str) {
        let found = match Signal::parse(&entry(fields), &nvda()) {
            Ok(signal) => format!("{} {}", signal.symbol, signal.side),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn names_and_directions_are_read_in_any_case_and_trimmed() {
        check(&[("ticker", b"NVDA"), ("direction", b"b")], "NVDA buy");
        check(&[("Ticker", b" nvda "), ("Direction", b"SELL\n")], "NVDA sell");
        check(&[("TICKER", b"NVDA"), ("direction", b"Buy"), ("extra", b"\xff")], "NVDA buy");
        check(&[("ticker", b"NVDA"), ("Ticker", b"NVDA"), ("direction", b"s")], "NVDA sell");
    }

    #[test]
    fn a_missing_direction_never_becomes_a_buy() {
        check(&[("ticker", b"NVDA")], "field direction is missing");
        check(&[("ticker", b"NVDA"), ("direction", b"  ")], "field direction is missing");
    }

    #[test]
    fn malformed_entries_say_which_field_and_what_is_allowed() {
        check(&[("direction", b"b")], "field ticker is missing");
        check(
            &[("ticker", b"NVDA"), ("direction", b"b"), ("DIRECTION", b"s")],
            "field direction is given twice",
        );
        check(
            &[("ticker", b"NVDA"), ("direction", b"\xff\xfe")],
            "field direction must be UTF-8 text, was \"\u{fffd}\u{fffd}\"",
        );
        check(&[("ticker", b"TSLA"), ("direction", b"b")], "field ticker must be one of NVDA, was \"TSLA\"");
        check(
            &[("ticker", b"NVDA"), ("direction", b"hold")],
            "field direction must be b, s, buy or sell, was \"hold\"",
        );
        check(
            &[("ticker", b"NVDA"), ("direction", b"b"), ("qty", b"-1")],
            "field qty must be a number of shares above 0, at most 9 decimals, was \"-1\"",
        );
        check(
            &[("ticker", b"NVDA"), ("direction", b"b"), ("strength", b"nan")],
            "field strength must be a number from -1 to 1, was \"nan\"",
        );
        let long = [b'x'; 200];
        assert!(Signal::parse(&entry(&[("ticker", &long), ("direction", b"b")]), &nvda()).is_err());
    }

    #[test]
    fn the_order_id_depends_on_content_epoch_and_the_producers_id_alone() {
        let space = IdSpace { environment: "paper".into(), stream: "nvda".into(), epoch: "e1".into() };
        let buy = Signal::parse(&entry(&[("ticker", b"NVDA"), ("direction", b"b")]), &nvda()).unwrap();
        let sell = Signal { side: Side::Sell, ..buy.clone() };
        let id = buy.client_order_id(&space);
        assert_eq!(id, Signal { redelivered: true, ..buy.clone() }.client_order_id(&space));
        assert_ne!(id, sell.client_order_id(&space));
        assert_ne!(id, buy.client_order_id(&IdSpace { epoch: "e2".into(), ..space.clone() }));
        let resent = |entry: &str| Signal {
            id: EntryId::new(entry),
            producer_id: Some("mine-7".into()),
            ..buy.clone()
        };
        assert_eq!(resent("1-0").client_order_id(&space), resent("2-0").client_order_id(&space));
        assert!(id.as_str().starts_with(CLIENT_ORDER_ID_PREFIX));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_signal_or_an_error_never_a_panic(
            fields in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..12), prop::collection::vec(any::<u8>(), 0..200)), 0..8)
        ) {
            let entry = Entry { fields, ..entry(&[]) };
            let _ = Signal::parse(&entry, &nvda());
        }

        #[test]
        fn every_strategy_name_gives_a_legal_order_id(strategy in ".{0,200}") {
            let signal = Signal { strategy, ..Signal::parse(&entry(&[("ticker", b"NVDA"), ("direction", b"b")]), &nvda()).unwrap() };
            let space = IdSpace { environment: String::new(), stream: String::new(), epoch: String::new() };
            prop_assert!(signal.client_order_id(&space).as_str().len() <= 48);
        }
    }
}
