//! The query of a request, read leniently: `True` is true, a `+` that became a space is a `+` again.

use std::str::FromStr;

use chrono_tz::America::New_York;

use bot_core::clock::Timestamp;
use bot_core::clock::times::{Forms, Times};
use bot_core::symbol::Symbol;

/// Names and values as they came.
#[derive(Debug, Default)]
pub(super) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    pub(super) fn read(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The last value of this name that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// A value of any type; the error says the name and the value.
    pub(super) fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name).map(|text| text.parse().map_err(|_| format!("invalid {name}: {text}"))).transpose()
    }

    /// Symbols between commas; empty when there are none.
    pub(super) fn symbols(&self) -> Result<Vec<Symbol>, String> {
        let Some(text) = self.text("symbols") else { return Ok(Vec::new()) };
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        parts.map(|part| part.parse().map_err(|_| format!("invalid symbol: {part}"))).collect()
    }

    /// RFC 3339, or a date, which stands for its midnight in New York.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let read = Times::new(Forms::Dates, New_York).read(&text.replace(' ', "+"));
        read.map(Some).map_err(|_| format!("failed to parse {name}: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_a_plus_that_became_a_space() {
        let params =
            QueryParams::read(Some("start=2026-10-08T00:00:00+00:00&end=2026-10-08&bad=x&symbols=nvda,,SPY"));
        assert_eq!(params.time("start").unwrap().unwrap().to_string(), "2026-10-08T00:00:00Z");
        assert_eq!(params.time("end").unwrap().unwrap().to_string(), "2026-10-08T04:00:00Z");
        assert_eq!(params.time("bad").unwrap_err(), "failed to parse bad: x");
        assert_eq!(params.time("missing"), Ok(None));
        assert_eq!(params.symbols().unwrap().len(), 2);
    }
}
