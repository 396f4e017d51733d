//! Values that replace what a manifest says, key by key, before anything is checked.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::near_or_allowed;

const STRATEGY: &str = "strategy";

/// Splits `key=value` at its first `=`.
///
/// # Errors
/// Says what is allowed.
pub fn split(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !segments(key).is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        Some(_) | None => {
            Err(format!("must be KEY=VALUE such as broker.cash=\"100000\", was \"{}\"", text.escape_debug()))
        }
    }
}

/// The value as TOML, or, where it is none, as a string; it stands at `at` in all of its parts.
pub(super) fn value<'i>(text: &'i str, at: &Range<usize>) -> Spanned<DeValue<'i>> {
    let bare = || Spanned::new(at.clone(), DeValue::String(Cow::Borrowed(text)));
    placed(DeValue::parse(text.trim()).unwrap_or_else(|_| bare()), at)
}

/// Puts `value` where `key` leads. Tables on the way are made where they are missing; a strategy goes by its name.
///
/// # Errors
/// Why the key leads nowhere.
pub(super) fn set<'i>(
    root: &mut DeTable<'i>,
    key: &str,
    at: &Range<usize>,
    value: Spanned<DeValue<'i>>,
) -> Result<(), String> {
    let segments = segments(key);
    let Some((last, way)) = segments.split_last() else {
        return Err("must be a dotted key such as broker.cash".to_owned());
    };
    let mut way = way.iter().map(String::as_str);
    let mut table = root;
    let mut is_root = true;
    while let Some(segment) = way.next() {
        let is_strategy = is_root && segment == STRATEGY;
        is_root = false;
        if is_strategy {
            table = strategy(table, way.next())?;
            continue;
        }
        let name = Spanned::new(at.clone(), Cow::Owned(segment.to_owned()));
        let inner =
            table.entry(name).or_insert_with(|| Spanned::new(at.clone(), DeValue::Table(DeTable::new())));
        match inner.get_mut() {
            DeValue::Table(inner) => table = inner,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => return Err(format!("leads nowhere: {segment} is no table")),
        }
    }
    if is_root && last == STRATEGY {
        return Err("must name a strategy and one of its keys, such as strategy.cross.params.fast".to_owned());
    }
    match table.get_mut(last.as_str()) {
        Some(old) => *old = value,
        None => {
            table.insert(Spanned::new(at.clone(), Cow::Owned(last.clone())), value);
        }
    }
    Ok(())
}

/// The table of the strategy of that name.
fn strategy<'a, 'i>(root: &'a mut DeTable<'i>, name: Option<&str>) -> Result<&'a mut DeTable<'i>, String> {
    let Some(DeValue::Array(items)) = root.get_mut(STRATEGY).map(Spanned::get_mut) else {
        return Err("leads nowhere: there is no [[strategy]]".to_owned());
    };
    let name_of = |item: &Spanned<DeValue<'_>>| {
        let name = item.get_ref().as_table().and_then(|table| table.get("name"))?;
        name.get_ref().as_str().map(str::to_owned)
    };
    let names: Vec<String> = items.iter().filter_map(name_of).collect();
    let missing = || {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let near = near_or_allowed(name.unwrap_or(""), &known);
        let key = "must name a strategy and one of its keys, such as strategy.cross.params.fast";
        name.map_or(key.to_owned(), |name| format!("must name a strategy, was \"{name}\"{near}"))
    };
    let found = items.iter_mut().find(|item| name.is_some() && name_of(item).as_deref() == name);
    match found.map(Spanned::get_mut) {
        Some(DeValue::Table(table)) => Ok(table),
        Some(_) | None => Err(missing()),
    }
}

/// The parts of a dotted key, which may be quoted; none when it is no key.
fn segments(key: &str) -> Vec<String> {
    let text = format!("{key} = 0");
    let Ok(document) = DeTable::parse(&text) else { return Vec::new() };
    let mut segments = Vec::new();
    let mut table = document.get_ref();
    while let (1, Some((key, value))) = (table.len(), table.iter().next()) {
        segments.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            DeValue::Integer(_) => return segments,
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => break,
        }
    }
    Vec::new()
}

/// The same value, every part of it at `at`.
fn placed<'i>(value: Spanned<DeValue<'i>>, at: &Range<usize>) -> Spanned<DeValue<'i>> {
    let value = match value.into_inner() {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| placed(item, at)).collect()),
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| (Spanned::new(at.clone(), key.into_inner()), placed(value, at)))
                .collect(),
        ),
        plain @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => plain,
    };
    Spanned::new(at.clone(), value)
}
