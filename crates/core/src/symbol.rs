//! A ticker symbol, small enough to copy.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const LEN_MAX: usize = 15;

/// A ticker: 1 to 15 of `A-Z`, `0-9`, `.`, `/`, `-`, upper case (`F`, `GOOGL`, `BRK.B`, `BTC/USD`).
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol {
    /// The text, zeros, and in the last byte how long the text is: one number to compare.
    bytes: [u8; LEN_MAX + 1],
}

/// A text that is no ticker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "symbol must be 1 to 15 letters, digits, dots, slashes or hyphens, starting with a letter, was \"{0}\""
)]
pub struct SymbolError(String);

impl Symbol {
    /// US dollars, where money goes by a name.
    pub const USD: Self = Self { bytes: [b'U', b'S', b'D', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3] };

    /// Whether it is a pair such as `BTC/USD`.
    pub fn is_pair(&self) -> bool {
        self.bytes.contains(&b'/')
    }

    /// The ticker as text.
    pub fn as_str(&self) -> &str {
        let len = usize::from(self.bytes[LEN_MAX]);
        std::str::from_utf8(&self.bytes[..len]).unwrap_or_default()
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;
    /// Trims and turns into upper case.
    fn from_str(text: &str) -> Result<Self, SymbolError> {
        let ticker = text.trim();
        let bad = || SymbolError(text.chars().take(40).collect());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'-');
        if ticker.is_empty()
            || ticker.len() > LEN_MAX
            || !ticker.as_bytes()[0].is_ascii_alphabetic()
            || !ticker.bytes().all(allowed)
        {
            return Err(bad());
        }
        let mut bytes = [0; LEN_MAX + 1];
        for (to, from) in bytes.iter_mut().zip(ticker.bytes()) {
            *to = from.to_ascii_uppercase();
        }
        bytes[LEN_MAX] = u8::try_from(ticker.len()).map_err(|_| bad())?;
        Ok(Self { bytes })
    }
}

impl PartialEq for Symbol {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        u128::from_ne_bytes(self.bytes) == u128::from_ne_bytes(other.bytes)
    }
}

impl Eq for Symbol {}

impl Hash for Symbol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl PartialOrd for Symbol {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Symbol {
    /// By the alphabet.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.bytes).cmp(&u128::from_be_bytes(other.bytes))
    }
}

impl TryFrom<String> for Symbol {
    type Error = SymbolError;
    fn try_from(text: String) -> Result<Self, SymbolError> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> String {
        symbol.as_str().to_owned()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_tickers_are_read_in_any_case() {
        for (text, ticker) in [(" nvda ", "NVDA"), ("F", "F"), ("brk.b", "BRK.B"), ("BTC/USD", "BTC/USD")] {
            assert_eq!(text.parse::<Symbol>().unwrap().as_str(), ticker);
        }
    }

    #[test]
    fn symbols_are_in_the_order_of_the_alphabet() {
        let mut symbols: Vec<Symbol> =
            ["SPY", "F", "BRK.B", "BRK", "FA", "AAPL"].iter().map(|text| text.parse().unwrap()).collect();
        symbols.sort_unstable();
        assert_eq!(format!("{symbols:?}"), "[AAPL, BRK, BRK.B, F, FA, SPY]");
        assert!(symbols[1] == "brk".parse().unwrap() && symbols[1] != symbols[2]);
    }

    #[test]
    fn what_is_no_ticker_is_refused() {
        for text in ["", " ", "1A", "NV DA", "NVDA\n;", "ABCDEFGHIJKLMNOP", "ñ"] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
    }
}
