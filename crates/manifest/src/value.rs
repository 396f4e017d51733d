//! Rules for single values: each turns a written value into a true one or says what is allowed.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use toml::Spanned;
use toml::de::DeValue;

use super::fault::near_or_allowed;
use bot_core::duration;
use bot_core::symbol::Symbol;
use bot_core::units::{BasisPoints, Money, Quantity, Weight};

const SHOWN_LEN_MAX: usize = 40;

/// One value as written, with its place.
pub(super) struct WrittenValue<'s> {
    /// What TOML makes of it.
    pub(super) kind: &'s DeValue<'s>,
    /// Its bytes in the text.
    pub(super) span: Range<usize>,
}

impl<'s> WrittenValue<'s> {
    /// Nothing when the parser only filled a gap, which it has reported already.
    pub(super) fn of(value: &'s Spanned<DeValue<'s>>) -> Option<Self> {
        let (kind, span) = (value.get_ref(), value.span());
        // A table that dotted keys imply has no place of its own either, and is real.
        (!span.is_empty() || kind.is_table()).then_some(Self { kind, span })
    }

    /// `rule`, then the value.
    pub(super) fn breaks(&self, rule: &str) -> String {
        match self.kind {
            DeValue::String(text) => {
                let shown: String = text.chars().take(SHOWN_LEN_MAX).collect();
                format!("{rule}, was \"{}\"", shown.escape_debug())
            }
            DeValue::Integer(number) => format!("{rule}, was integer \"{number}\""),
            DeValue::Float(number) => format!("{rule}, was float \"{number}\""),
            DeValue::Boolean(truth) => format!("{rule}, was boolean \"{truth}\""),
            DeValue::Datetime(_) => format!("{rule}, was a date or time"),
            DeValue::Array(_) => format!("{rule}, was a list"),
            DeValue::Table(_) => format!("{rule}, was a table"),
        }
    }

    /// The text of a string.
    pub(super) fn str(&self) -> Option<&'s str> {
        self.kind.as_str()
    }

    /// The entries of a table whose keys are the user's own, each with its key's place; empty for other values.
    pub(super) fn entries(&self) -> Vec<(&'s str, Range<usize>, Option<Self>)> {
        let DeValue::Table(table) = self.kind else { return Vec::new() };
        table.iter().map(|(key, value)| (&**key.get_ref(), key.span(), Self::of(value))).collect()
    }

    /// A number, exactly as it was written.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        let text = match self.kind {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return None,
        };
        Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
    }
}

/// A text for people: one line, not blank, at most 100 characters.
pub(super) fn text(value: &WrittenValue<'_>) -> Result<String, String> {
    value
        .str()
        .filter(|text| {
            !text.trim().is_empty() && text.chars().count() <= 100 && !text.contains(char::is_control)
        })
        .map(str::to_owned)
        .ok_or_else(|| value.breaks("must be a string of 1 to 100 characters in one line"))
}

/// `true` or `false`.
pub(super) fn truth(value: &WrittenValue<'_>) -> Result<bool, String> {
    value.kind.as_bool().ok_or_else(|| value.breaks("must be true or false"))
}

/// A whole number within a range.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl FnOnce(&WrittenValue<'_>) -> Result<T, String>
where
    T: TryFrom<u64> + PartialOrd + fmt::Display,
{
    move |value| {
        let integer = value.kind.as_integer();
        integer
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                value.breaks(&format!("must be a whole number from {} to {}", range.start(), range.end()))
            })
    }
}

/// A number of shares above 0, with at most 9 decimals.
pub(super) fn quantity(value: &WrittenValue<'_>) -> Result<Quantity, String> {
    value
        .decimal()
        .and_then(|number| Quantity::exact(number).ok())
        .filter(|quantity| quantity.is_positive())
        .ok_or_else(|| value.breaks("must be a number of shares above 0 with at most 9 decimals"))
}

/// Dollars above 0. Only as a string, because a TOML float is not exact.
pub(super) fn money(value: &WrittenValue<'_>) -> Result<Money, String> {
    value
        .str()
        .and_then(|text| Money::from_str(text).ok())
        .filter(|money| money.is_positive())
        .ok_or_else(|| value.breaks("must be dollars above 0, written as a string such as \"100000\""))
}

/// A time span above 0.
pub(super) fn span(value: &WrittenValue<'_>) -> Result<Duration, String> {
    let text =
        value.str().ok_or_else(|| value.breaks("must be a string such as \"250ms\", \"5s\" or \"2m\""))?;
    let span = duration::parse(text)?;
    if span.is_zero() { Err(value.breaks("must be a duration above 0")) } else { Ok(span) }
}

/// A time span of 0 or more.
pub(super) fn wait(value: &WrittenValue<'_>) -> Result<Duration, String> {
    let text = value.str().ok_or_else(|| value.breaks("must be a string such as \"0ms\" or \"250ms\""))?;
    duration::parse(text)
}

/// One of a few names.
pub(super) fn choice<T: Copy>(names: &[(&str, T)], value: &WrittenValue<'_>) -> Result<T, String> {
    let chosen = names.iter().find(|(name, _)| value.str() == Some(name));
    chosen.map(|(_, chosen)| *chosen).ok_or_else(|| {
        let allowed: Vec<String> = names.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        value.breaks(&format!("must be one of {}", allowed.join(", ")))
    })
}

/// A finite number that passes `is_allowed`; `what` names the allowed ones.
pub(super) fn number(
    what: &str,
    is_allowed: impl Fn(f64) -> bool,
) -> impl FnOnce(&WrittenValue<'_>) -> Result<f64, String> {
    move |value| {
        let number = value.decimal().and_then(|number| number.to_f64());
        number.filter(|number| is_allowed(*number)).ok_or_else(|| value.breaks(&format!("must be {what}")))
    }
}

/// Basis points, 0 or more.
pub(super) fn basis_points(value: &WrittenValue<'_>) -> Result<BasisPoints, String> {
    value
        .decimal()
        .and_then(|number| BasisPoints::new(number).ok())
        .ok_or_else(|| value.breaks("must be a number of basis points, 0 or more"))
}

/// Reads `0.25`, `"0.25"` and `"25%"`.
pub(super) fn fraction(value: &WrittenValue<'_>) -> Option<Weight> {
    match value.str() {
        Some(text) => Weight::from_str(text).ok(),
        None => Weight::new(value.decimal()?).ok(),
    }
}

/// A fraction as percent, for people.
pub(super) fn percent(weight: Weight) -> String {
    format!("{}%", (weight.get() * Decimal::ONE_HUNDRED).normalize())
}

/// One symbol.
pub(super) fn symbol(value: &WrittenValue<'_>) -> Result<Symbol, String> {
    let text = value.str().ok_or_else(|| value.breaks("must be a symbol such as \"NVDA\""))?;
    text.parse::<Symbol>().map_err(|error| error.to_string())
}

/// One of `names`, which are those of the data sections.
pub(super) fn data_name(value: &WrittenValue<'_>, names: &[String]) -> Result<String, String> {
    const RULE: &str = "must be the name of a data section";
    let name = value.str().ok_or_else(|| value.breaks(RULE))?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("{}{}", value.breaks(RULE), near_or_allowed(name, &names)))
}
