//! The fields of a stream entry, read into a signal and written from one: total, any bytes in, never a panic.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::{Entry, Signal, Step, Strength, Tag, TargetWeight, Wanted};
use crate::clock::Timestamp;
use crate::label::LABEL_RULE;
use crate::order::{Side, TimeInForce};
use crate::symbol::Symbol;
use crate::units::Quantity;

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
const FIELDS: [&str; 18] = [
    "ticker",
    "direction",
    "target",
    "weight",
    "id",
    "qty",
    "limit",
    "strategy",
    "tag",
    "strength",
    "ttl_ms",
    "tif",
    "first",
    "step",
    "retries",
    "reason",
    "due",
    OWN,
];
/// The field that a strategy's own signals have: they are of its book, and nobody else's.
pub const OWN: &str = "book";
const TIMES_IN_FORCE: [TimeInForce; 4] =
    [TimeInForce::Ioc, TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Fok];

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
        let step = fields.step()?;
        let due = step.as_ref().map_or(entry.sent_at, |step| step.due);
        Ok(Self {
            id: entry.id.clone(),
            producer_id: fields.optional("id").map(Arc::from),
            symbol,
            wanted: fields.wanted()?,
            limit: fields.read("limit", "a price above 0", |text| text.parse().ok())?,
            time_in_force: fields
                .read("tif", "one of ioc, day, gtc, fok", |text| {
                    TIMES_IN_FORCE.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text))
                })?
                .unwrap_or(TimeInForce::Ioc),
            strategy: fields.optional("strategy").unwrap_or_default().into(),
            tag: fields.read("tag", LABEL_RULE, |text| Tag::new(text).ok())?,
            is_own: fields.optional(OWN).is_some(),
            time_to_live: fields.read("ttl_ms", "a whole number of milliseconds", |text| {
                text.parse().ok().map(Duration::from_millis)
            })?,
            sent_at: entry.sent_at.max(due),
            step,
            redelivered: entry.deliveries > 1,
        })
    }

    /// The fields of its stream entry: read again they are the same signal.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("ticker", self.symbol.to_string())];
        let mut add = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
        match self.wanted {
            Wanted::Order { side, quantity, strength } => {
                add("direction", Some(side.as_str()[..1].to_owned()));
                add("qty", quantity.map(|quantity| quantity.to_string()));
                add("strength", strength.map(|strength| strength.get().to_string()));
            }
            Wanted::Target(shares) => add("target", Some(shares.to_string())),
            Wanted::Strength(strength) => add("strength", Some(strength.get().to_string())),
            Wanted::Weight(weight) => add("weight", Some(weight.get().to_string())),
        }
        add("limit", self.limit.map(|limit| limit.to_string()));
        add(
            "tif",
            Some(self.time_in_force)
                .filter(|tif| *tif != TimeInForce::Ioc)
                .map(|tif| tif.as_str().to_owned()),
        );
        add("id", self.producer_id.as_ref().map(ToString::to_string));
        add("strategy", Some(self.strategy.to_string()).filter(|name| !name.is_empty()));
        add("tag", self.tag.as_ref().map(|tag| tag.as_str().to_owned()));
        add(OWN, self.is_own.then(|| "own".to_owned()));
        add("ttl_ms", self.time_to_live.map(|span| span.as_millis().to_string()));
        if let Some(step) = &self.step {
            add("first", Some(step.first.to_string()));
            add("step", Some(step.number.to_string()));
            add("retries", Some(step.retries.to_string()));
            add("reason", Some(step.reason.to_string()).filter(|reason| !reason.is_empty()));
            add("due", Some(step.due.to_string()));
        }
        fields
    }
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

    /// A direction, a target, or a strength or weight alone with the strategy whose it is.
    fn wanted(&self) -> Result<Wanted, SignalError> {
        let quantity = self.read("qty", "a number of shares above 0, at most 9 decimals", |text| {
            shares(text).filter(|quantity| quantity.is_positive())
        })?;
        let strength = self.read("strength", "a number from -1 to 1", |text| {
            text.parse().ok().and_then(|number| Strength::new(number).ok())
        })?;
        let direction = self.optional("direction");
        let target = self.read("target", "a number of shares, at most 9 decimals", shares)?;
        let weight = self.read("weight", "a number from -10 to 10", |text| {
            text.parse().ok().and_then(|number| TargetWeight::new(number).ok())
        })?;
        let is_alone = direction.is_none() && target.is_none() && strength.is_none() && quantity.is_none();
        if let Some(weight) = weight {
            let is_whole = is_alone && self.optional("strategy").is_some();
            let rule = "alone, with the strategy whose equity it is a part of";
            let was = self.optional("weight").unwrap_or_default();
            return if is_whole { Ok(Wanted::Weight(weight)) } else { Err(bad("weight", rule, was)) };
        }
        match (direction, target, strength) {
            (Some(was), Some(_), _) => Err(bad("direction", "absent where there is a target", was)),
            (Some(direction), None, strength) => match direction.to_ascii_lowercase().as_str() {
                "b" | "buy" => Ok(Wanted::Order { side: Side::Buy, quantity, strength }),
                "s" | "sell" => Ok(Wanted::Order { side: Side::Sell, quantity, strength }),
                _ => Err(bad("direction", "b, s, buy or sell", direction)),
            },
            (None, Some(target), _) => Ok(Wanted::Target(target)),
            (None, None, Some(strength)) if self.optional("strategy").is_some() && quantity.is_none() => {
                Ok(Wanted::Strength(strength))
            }
            (None, None, _) => Err(SignalError::Missing("direction")),
        }
    }

    fn step(&self) -> Result<Option<Box<Step>>, SignalError> {
        let Some(first) = self.optional("first") else { return Ok(None) };
        let whole = |field| self.read(field, "a whole number", |text| text.parse().ok());
        let due = self
            .read("due", "a time such as 2026-11-20T15:30:00Z", |text| Timestamp::parse_rfc3339(text).ok())?;
        Ok(Some(Box::new(Step {
            first: first.into(),
            number: whole("step")?.ok_or(SignalError::Missing("step"))?,
            retries: whole("retries")?.unwrap_or(0),
            reason: self.optional("reason").unwrap_or_default().into(),
            due: due.ok_or(SignalError::Missing("due"))?,
        })))
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

fn shares(text: &str) -> Option<Quantity> {
    text.parse().ok()
}

fn bad(field: &'static str, allowed: impl Into<String>, was: &str) -> SignalError {
    SignalError::Bad { field, allowed: allowed.into(), was: was.chars().take(40).collect() }
}

fn one_of(symbols: &[Symbol]) -> String {
    let names: Vec<_> = symbols.iter().map(Symbol::as_str).collect();
    format!("one of {}", names.join(", "))
}

#[cfg(test)]
mod tests;
