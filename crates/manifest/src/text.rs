//! Writes TOML values as text that reads back as the same values.

use std::fmt::Write as _;

use toml::de::{DeInteger, DeTable, DeValue};

/// The value in one line.
pub(super) fn inline(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) if table.is_empty() => "{}".to_owned(),
        DeValue::Table(table) => {
            let entries: Vec<String> = in_order(table)
                .into_iter()
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A whole document: sections as `[name]`, lists of tables as `[[name]]`, in the order of the text.
pub(super) fn document(root: &DeTable<'_>) -> String {
    let mut text = String::new();
    section(&mut text, "", root);
    text
}

/// A key, in quotes where TOML wants it so.
pub(super) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A string in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn integer(number: &DeInteger<'_>) -> String {
    let prefix = match number.radix() {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    };
    format!("{prefix}{}", number.as_str())
}

fn section(text: &mut String, path: &str, table: &DeTable<'_>) {
    let entries = in_order(table);
    let (sections, plain): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(_, value)| is_section(path, value));
    for (name, value) in plain {
        let _ = writeln!(text, "{} = {}", key(name), inline(value));
    }
    for (name, value) in sections {
        let path = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
        match value {
            DeValue::Table(table) => {
                // `[data]` alone says nothing: its own tables do.
                if table.values().any(|value| !is_section(&path, value.get_ref())) || table.is_empty() {
                    let _ = writeln!(text, "\n[{path}]");
                }
                section(text, &path, table);
            }
            DeValue::Array(items) => {
                for item in items {
                    let _ = writeln!(text, "\n[[{path}]]");
                    if let DeValue::Table(table) = item.get_ref() {
                        section(text, &path, table);
                    }
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
}

/// The manifest's own sections, `[data.NAME]` among them, get a header; tables within them stand in one line.
fn is_section(path: &str, value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => path.is_empty() || path == "data",
        DeValue::Array(items) => {
            path.is_empty() && !items.is_empty() && items.iter().all(|item| item.get_ref().is_table())
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t str, &'t DeValue<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(|(key, value)| (&**key.get_ref(), value.get_ref())).collect()
}
