//! A strategy's parameters: what may be set, what was written, and all that is wrong with it at once. Pure.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

/// One value as written in a manifest or on the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Number(f64),
    /// Words.
    Text(String),
}

/// What was written, by name; not yet checked.
pub type WrittenParams = BTreeMap<String, Value>;

/// One parameter that a strategy has.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What it does, in one sentence.
    pub about: String,
    /// What holds when it is not written; its type is the parameter's type.
    pub default: Value,
    /// The least and the greatest number allowed, where there are such.
    pub range: Option<(f64, f64)>,
}

/// One parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{param}: {message}")]
pub struct ParamFault {
    /// Which one.
    pub param: String,
    /// The rule, then the value.
    pub message: String,
}

impl Value {
    /// Reads a value as the command line has it: `true`, `5`, `0.5`, else words.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let truth = text.parse::<bool>().map(Self::Truth);
        let whole = || text.parse::<i64>().map(Self::Whole);
        let number = || text.parse::<f64>().map(Self::Number);
        truth.or_else(|_| whole()).or_else(|_| number()).unwrap_or_else(|_| Self::Text(text.to_owned()))
    }

    /// The name of its type: `truth`, `whole`, `number` or `text`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Truth(_) => "truth",
            Self::Whole(_) => "whole",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(truth) => truth.fmt(f),
            Self::Whole(whole) => whole.fmt(f),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
        }
    }
}

impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Truth(truth) => truth.into(),
            Value::Whole(whole) => whole.into(),
            Value::Number(number) => number.into(),
            Value::Text(text) => text.into(),
        }
    }
}

impl Param {
    /// A whole number from `from` to `to`.
    #[allow(clippy::cast_precision_loss, reason = "ranges are far below 2^53")]
    pub fn whole(name: &str, default: i64, from: i64, to: i64, about: &str) -> Self {
        Self::new(name, Value::Whole(default), Some((from as f64, to as f64)), about)
    }

    /// A number from `from` to `to`.
    pub fn number(name: &str, default: f64, from: f64, to: f64, about: &str) -> Self {
        Self::new(name, Value::Number(default), Some((from, to)), about)
    }

    /// `true` or `false`.
    pub fn truth(name: &str, default: bool, about: &str) -> Self {
        Self::new(name, Value::Truth(default), None, about)
    }

    /// Anything of the default's type, numbers within `range`.
    pub fn new(name: &str, default: Value, range: Option<(f64, f64)>, about: &str) -> Self {
        Self { name: name.to_owned(), about: about.to_owned(), default, range }
    }

    /// What it may be, as faults and lists say it: `a whole number from 1 to 100`.
    pub fn allowed(&self) -> String {
        let kind = match self.default {
            Value::Truth(_) => "true or false",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
        };
        match self.range {
            Some((from, to)) => format!("{kind} from {from} to {to}"),
            None => kind.to_owned(),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "only compared with a range")]
    fn check(&self, written: &Value) -> Result<Value, ParamFault> {
        let within = |number: f64| {
            number.is_finite() && self.range.is_none_or(|(from, to)| (from..=to).contains(&number))
        };
        match (&self.default, written) {
            (Value::Truth(_), Value::Truth(_)) | (Value::Text(_), Value::Text(_)) => Some(written.clone()),
            (Value::Whole(_), Value::Whole(whole)) => within(*whole as f64).then(|| written.clone()),
            (Value::Number(_), Value::Number(number)) => within(*number).then(|| written.clone()),
            (Value::Number(_), Value::Whole(whole)) => {
                within(*whole as f64).then_some(Value::Number(*whole as f64))
            }
            (Value::Truth(_) | Value::Whole(_) | Value::Number(_) | Value::Text(_), _) => None,
        }
        .ok_or_else(|| {
            let was = match written {
                Value::Text(text) => text.chars().take(40).collect::<String>().escape_debug().to_string(),
                Value::Truth(_) | Value::Whole(_) | Value::Number(_) => written.to_string(),
            };
            ParamFault::new(&self.name, format!("must be {}, was \"{was}\"", self.allowed()))
        })
    }
}

impl ParamFault {
    /// `message` about the parameter `param`.
    pub fn new(param: &str, message: String) -> Self {
        Self { param: param.to_owned(), message }
    }
}

/// Parameters that were checked, defaults filled in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(BTreeMap<String, Value>);

impl Params {
    /// Checks what was written against what there is.
    ///
    /// # Errors
    /// All faults at once: unknown names, wrong types, numbers out of range.
    pub fn check(known: &[Param], written: &WrittenParams) -> Result<Self, Vec<ParamFault>> {
        let mut faults: Vec<ParamFault> = written
            .keys()
            .filter(|name| !known.iter().any(|param| param.name == **name))
            .map(|name| ParamFault::new(name, unknown(known)))
            .collect();
        let mut params = BTreeMap::new();
        for param in known {
            match written.get(&param.name).map_or_else(|| Ok(param.default.clone()), |was| param.check(was)) {
                Ok(value) => drop(params.insert(param.name.clone(), value)),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Self(params)) } else { Err(faults) }
    }

    /// A whole number.
    ///
    /// # Errors
    /// The strategy does not have such a parameter: a mistake in its own code.
    pub fn whole(&self, name: &str) -> Result<i64, ParamFault> {
        match self.0.get(name) {
            Some(Value::Whole(whole)) => Ok(*whole),
            other => Err(mistyped(name, "whole", other)),
        }
    }

    /// A whole number of 0 or more, as a count.
    ///
    /// # Errors
    /// As [`Params::whole`]; and below 0.
    pub fn count(&self, name: &str) -> Result<usize, ParamFault> {
        let whole = self.whole(name)?;
        usize::try_from(whole).map_err(|_| {
            ParamFault::new(name, format!("must be a whole number of 0 or more, was \"{whole}\""))
        })
    }

    /// A number.
    ///
    /// # Errors
    /// As [`Params::whole`].
    pub fn number(&self, name: &str) -> Result<f64, ParamFault> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            other => Err(mistyped(name, "number", other)),
        }
    }

    /// A truth.
    ///
    /// # Errors
    /// As [`Params::whole`].
    pub fn truth(&self, name: &str) -> Result<bool, ParamFault> {
        match self.0.get(name) {
            Some(Value::Truth(truth)) => Ok(*truth),
            other => Err(mistyped(name, "truth", other)),
        }
    }

    /// Words.
    ///
    /// # Errors
    /// As [`Params::whole`].
    pub fn text(&self, name: &str) -> Result<&str, ParamFault> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(mistyped(name, "text", other)),
        }
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

fn unknown(known: &[Param]) -> String {
    if known.is_empty() {
        return "unknown parameter, there are none".to_owned();
    }
    let names: Vec<&str> = known.iter().map(|param| param.name.as_str()).collect();
    format!("unknown parameter, allowed are {}", names.join(", "))
}

fn mistyped(name: &str, asked: &str, found: Option<&Value>) -> ParamFault {
    let was = found.map_or("not declared", Value::type_name);
    ParamFault::new(name, format!("must be declared as {asked} by the strategy, was {was}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &[(&str, &str)], expected: &str) {
        let known = [
            Param::whole("fast", 10, 1, 100, "Fast."),
            Param::number("share", 0.5, 0.0, 1.0, "Share."),
            Param::truth("short", false, "Short."),
            Param::new("word", Value::Text("a".into()), None, "Word."),
        ];
        let written = written.iter().map(|(name, text)| ((*name).to_owned(), Value::parse(text))).collect();
        let found = match Params::check(&known, &written) {
            Ok(params) => params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(found.join("; "), expected);
    }

    #[test]
    fn what_is_not_written_has_its_default_and_whole_numbers_are_numbers() {
        check(&[], r#"fast=10; share=0.5; short=false; word="a""#);
        check(
            &[("fast", "100"), ("share", "1"), ("short", "true")],
            r#"fast=100; share=1.0; short=true; word="a""#,
        );
    }

    #[test]
    fn every_fault_is_told_at_once_with_rule_and_value() {
        check(
            &[("fast", "0"), ("share", "nan"), ("short", "5"), ("word", "7"), ("slwo", "1")],
            "slwo: unknown parameter, allowed are fast, share, short, word; \
             fast: must be a whole number from 1 to 100, was \"0\"; share: must be a number from 0 to 1, was \"NaN\"; \
             short: must be true or false, was \"5\"; word: must be a string, was \"7\"",
        );
        check(&[("fast", "1.5")], "fast: must be a whole number from 1 to 100, was \"1.5\"");
        check(&[("fast", "many")], "fast: must be a whole number from 1 to 100, was \"many\"");
    }
}
