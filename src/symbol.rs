//! A ticker symbol, small enough to copy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const LEN_MAX: usize = 15;

/// A ticker: 1 to 15 of `A-Z`, `0-9`, `.`, `/`, `-`, upper case (`F`, `GOOGL`, `BRK.B`, `BTC/USD`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol {
    bytes: [u8; LEN_MAX],
    len: u8,
}

/// A text that is no ticker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "symbol must be 1 to 15 letters, digits, dots, slashes or hyphens, starting with a letter, was \"{0}\""
)]
pub struct SymbolError(String);

impl Symbol {
    /// The ticker as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
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
        let mut bytes = [0; LEN_MAX];
        for (to, from) in bytes.iter_mut().zip(ticker.bytes()) {
            *to = from.to_ascii_uppercase();
        }
        Ok(Self { bytes, len: u8::try_from(ticker.len()).map_err(|_| bad())? })
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
    fn what_is_no_ticker_is_refused() {
        for text in ["", " ", "1A", "NV DA", "NVDA\n;", "ABCDEFGHIJKLMNOP", "ñ"] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
    }
}
