//! What the market data API answers: latest quotes, trades and bars, snapshots, and pages of history.

use std::collections::{BTreeMap, HashMap};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::clock::Timestamp;
use crate::market::{self, Snapshot};
use crate::symbol::Symbol;

/// The best bid and ask; a price of 0 means that nobody quotes this side.
#[derive(Debug, Clone, Deserialize)]
pub struct WireQuote {
    t: Timestamp,
    #[serde(default)]
    bp: WireNumber,
    #[serde(default)]
    bs: WireNumber,
    #[serde(default)]
    ap: WireNumber,
    #[serde(default, rename = "as")]
    ask_size: WireNumber,
}

impl From<&WireQuote> for market::Quote {
    fn from(quote: &WireQuote) -> Self {
        Self {
            at: quote.t,
            bid: quote.bp.0,
            bid_size: quote.bs.0,
            ask: quote.ap.0,
            ask_size: quote.ask_size.0,
        }
    }
}

/// One print on the tape.
#[derive(Debug, Clone, Deserialize)]
pub struct WireTrade {
    t: Timestamp,
    p: WireNumber,
    #[serde(default)]
    s: WireNumber,
}

impl From<&WireTrade> for market::Trade {
    fn from(trade: &WireTrade) -> Self {
        Self { at: trade.t, price: trade.p.0, size: trade.s.0 }
    }
}

/// Open, high, low, close and volume of one span.
#[derive(Debug, Clone, Deserialize)]
pub struct WireBar {
    t: Timestamp,
    o: WireNumber,
    h: WireNumber,
    l: WireNumber,
    c: WireNumber,
    #[serde(default)]
    v: WireNumber,
}

impl From<&WireBar> for market::Bar {
    fn from(bar: &WireBar) -> Self {
        Self { at: bar.t, open: bar.o.0, high: bar.h.0, low: bar.l.0, close: bar.c.0, volume: bar.v.0 }
    }
}

/// All that is known of one symbol now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SymbolSnapshot {
    /// The newest quote.
    pub latest_quote: Option<WireQuote>,
    /// The newest trade.
    pub latest_trade: Option<WireTrade>,
    /// Today so far.
    pub daily_bar: Option<WireBar>,
    /// The session before.
    pub prev_daily_bar: Option<WireBar>,
}

impl SymbolSnapshot {
    /// The same in the bot's words.
    pub fn to_market(&self, symbol: Symbol, read_at: Timestamp) -> Snapshot {
        Snapshot {
            symbol,
            quote: self.latest_quote.as_ref().map(market::Quote::from),
            trade: self.latest_trade.as_ref().map(market::Trade::from),
            read_at,
        }
    }
}

/// Snapshots by symbol; symbols that the feed does not know are missing or `null`.
pub type Snapshots = HashMap<String, Option<SymbolSnapshot>>;

/// Snapshots of coins.
#[derive(Debug, Clone, Deserialize)]
pub struct CoinSnapshots {
    /// By symbol.
    pub snapshots: Option<Snapshots>,
}

/// The newest quotes by symbol.
#[derive(Debug, Clone, Deserialize)]
pub struct LatestQuotes {
    /// Symbols that the feed does not know are missing.
    pub quotes: Option<HashMap<String, WireQuote>>,
}

/// The newest trades by symbol.
#[derive(Debug, Clone, Deserialize)]
pub struct LatestTrades {
    /// Symbols that the feed does not know are missing.
    pub trades: Option<HashMap<String, WireTrade>>,
}

/// The newest minute bars by symbol.
#[derive(Debug, Clone, Deserialize)]
pub struct LatestBars {
    /// Symbols that the feed does not know are missing.
    pub bars: Option<HashMap<String, WireBar>>,
}

/// One page of historical bars.
#[derive(Debug, Clone, Deserialize)]
pub struct BarsPage {
    /// Bars by symbol, oldest first; one symbol may be spread over several pages.
    pub bars: Option<HashMap<String, Vec<WireBar>>>,
    /// Where the next page begins; `None` on the last one.
    pub next_page_token: Option<String>,
}

/// One page of history: bars, trades or quotes, whichever was asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct HistoryPage<Row> {
    /// Rows by symbol, oldest first; `null` where there is nothing, but never left out: a day is taken for empty only
    /// when the answer says so.
    #[serde(alias = "bars", alias = "trades", alias = "quotes", deserialize_with = "Option::deserialize")]
    #[serde(bound(deserialize = "Row: Deserialize<'de>"))]
    pub rows: Option<BTreeMap<String, Option<Vec<Row>>>>,
    /// Where the next page begins; `None` on the last one.
    pub next_page_token: Option<String>,
}

/// A number as market data sends it, or a string with one; `null` is 0, as is what nobody quotes.
#[derive(Debug, Clone, Copy, Default)]
struct WireNumber(f64);

impl<'de> Deserialize<'de> for WireNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor).map(WireNumber)
    }
}

struct NumberVisitor;

#[allow(
    clippy::cast_precision_loss,
    reason = "volumes beyond 2^53 do not occur, and market data is only seen"
)]
impl Visitor<'_> for NumberVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number or a string with one")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        text.trim().parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_read_numbers_and_strings_and_tolerate_what_is_missing() {
        let text = r#"{"NVDA":{"latestQuote":{"t":"2026-10-08T15:10:18.9Z","bp":180.1,"bs":"3","ap":181,"as":2,"c":["R"]},
            "latestTrade":null,"minuteBar":{"odd":1}},"ZZZ":null}"#;
        let snapshots: Snapshots = serde_json::from_str(text).unwrap();
        assert!(snapshots["ZZZ"].is_none());
        let nvda =
            snapshots["NVDA"].as_ref().unwrap().to_market("NVDA".parse().unwrap(), Timestamp::default());
        let quote = nvda.quote.unwrap();
        assert_eq!((quote.bid, quote.bid_size, quote.ask, quote.ask_size), (180.1, 3.0, 181.0, 2.0));
        assert_eq!(nvda.trade, None);
    }

    #[test]
    fn a_page_of_history_may_have_nothing_for_one_symbol_or_for_all() {
        let text = r#"{"bars":{"A":null,"B":[{"t":"2026-10-08T15:10:00Z","o":1,"h":1,"l":1,"c":1,"n":3,"odd":[]}]},"currency":"USD"}"#;
        let page: HistoryPage<WireBar> = serde_json::from_str(text).unwrap();
        let bars = page.rows.unwrap();
        assert_eq!((bars["A"].as_ref().map(Vec::len), bars["B"].as_ref().map(Vec::len)), (None, Some(1)));
        let nothing = r#"{"trades":null,"next_page_token":"x"}"#;
        let page: HistoryPage<WireTrade> = serde_json::from_str(nothing).unwrap();
        assert!(page.rows.is_none() && page.next_page_token.is_some());
        for odd in ["{}", "[]", r#"{"next_page_token":null}"#, r#"{"quotes":[]}"#] {
            assert!(serde_json::from_str::<HistoryPage<WireQuote>>(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_empty_page_of_bars_may_be_null() {
        let page: BarsPage = serde_json::from_str(r#"{"bars":null,"next_page_token":null}"#).unwrap();
        assert!(page.bars.is_none() && page.next_page_token.is_none());
    }
}
