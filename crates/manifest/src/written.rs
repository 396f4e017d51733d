//! What was written: a TOML table with places, from which sections take what they know.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Section;
use super::fault::{Fault, Faults, near_or_allowed};
use super::overrides;
use super::value::WrittenValue;
use bot_core::symbol::Symbol;

/// Parses `text`, puts the `overrides` in, lets `edit` change and `read` take what they know of the root table, and
/// reports all that is wrong.
pub(super) fn parse<T>(
    file: &str,
    text: &str,
    folder: Option<&Path>,
    overrides: &[(String, String)],
    edit: impl FnOnce(&mut DeTable<'_>),
    read: impl FnOnce(&mut Written<'_, '_>) -> T,
) -> Result<T, Faults> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut root = root.into_inner();
    let labels: Vec<String> = overrides.iter().map(label).collect();
    let mut source = SourceText { file, text, folder, labels: &labels, faults: Vec::new() };
    for error in errors {
        source.fault(&error.span().unwrap_or_default(), String::new(), error.message().to_owned());
    }
    let syntax = source.faults.len();
    for (index, (key, value)) in overrides.iter().enumerate() {
        let at = source.override_at(index);
        let value = overrides::value(value, &at);
        if let Err(message) = overrides::set(&mut root, key, &at, value) {
            source.fault(&at, key.clone(), message);
        }
    }
    edit(&mut root);
    let mut written = Written::new(&mut source, String::new(), Some(&root));
    let value = read(&mut written);
    written.finish();
    let faults = without_aftermath(source.faults, syntax);
    Faults::unless_none(file, value, faults.into_iter().map(|(_, fault)| fault).collect())
}

/// An override as its faults name it; a URL may hold a password.
fn label((key, value): &(String, String)) -> String {
    if key.trim_start().starts_with("redis") {
        format!("--set {key}")
    } else {
        format!("--set {key}={value}")
    }
}

/// On a line that is no TOML the parser guesses what was meant; what is wrong with its guess is nobody's fault.
fn without_aftermath(mut faults: Vec<Placed>, syntax: usize) -> Vec<Placed> {
    let broken: Vec<usize> = faults[..syntax].iter().map(|(_, fault)| fault.line).collect();
    let mut index = 0;
    faults.retain(|(_, fault)| {
        index += 1;
        index <= syntax || !broken.contains(&fault.line)
    });
    faults
}

/// A fault with its place in the text, in bytes.
pub(super) type Placed = (usize, Fault);

/// The text and what was found wrong with it so far.
struct SourceText<'t> {
    file: &'t str,
    text: &'t str,
    folder: Option<&'t Path>,
    /// The overrides, as their faults name them; each has one byte of its own after the text.
    labels: &'t [String],
    faults: Vec<Placed>,
}

impl SourceText<'_> {
    fn fault(&mut self, at: &Range<usize>, key: String, message: String) {
        let label = at.start.checked_sub(self.override_at(0).start).and_then(|index| self.labels.get(index));
        let fault = if let Some(label) = label {
            Fault { file: label.clone(), line: 0, column: 0, key, message }
        } else {
            let before = self.text.get(..at.start).unwrap_or(self.text);
            Fault::after(before, self.file, key, message)
        };
        self.faults.push((at.start, fault));
    }

    fn override_at(&self, index: usize) -> Range<usize> {
        let start = self.text.len() + 1 + index;
        start..start + 1
    }
}

/// One table as written. What is taken from it is known; the rest is a fault when it is finished.
pub(super) struct Written<'s, 't> {
    source: &'s mut SourceText<'t>,
    path: String,
    table: Option<&'s DeTable<'s>>,
    known: Vec<&'s str>,
}

impl<'s, 't> Written<'s, 't> {
    fn new(source: &'s mut SourceText<'t>, path: String, table: Option<&'s DeTable<'s>>) -> Self {
        Self { source, path, table, known: Vec::new() }
    }

    /// The value of `key` when it is written and keeps `rule`; where it breaks the rule, that is a fault.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        rule: impl FnOnce(&WrittenValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        match rule(&value) {
            Ok(taken) => Some(taken),
            Err(message) => {
                self.fault_at(&value.span, &[key], message);
                None
            }
        }
    }

    /// The value of `key` with its place, for rules that [`Self::take`] cannot say.
    pub(super) fn value(&mut self, key: &'static str) -> Option<WrittenValue<'s>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        WrittenValue::of(self.table?.get(key)?)
    }

    /// The section `S`, as written or empty.
    pub(super) fn section<S: Section>(&mut self) -> S {
        self.section_by(S::NAME, S::read)
    }

    /// What `read` makes of the table `[name]`, as written or empty.
    pub(super) fn section_by<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Written<'_, 't>) -> T,
    ) -> T {
        let table = match self.value(name) {
            None => None,
            Some(WrittenValue { kind: DeValue::Table(table), .. }) => Some(table),
            Some(value) => {
                let rule = format!("must be one table, written as [{name}]");
                self.fault_at(&value.span, &[name], value.breaks(&rule));
                None
            }
        };
        let mut written = Written::new(self.source, join(&self.path, name), table);
        let section = read(&mut written);
        written.finish();
        section
    }

    /// What `read` makes of the table `key`, where there is one; `shape` is how such a table is written.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        row_kind: &str,
        read: impl FnOnce(&mut Written<'_, 't>) -> T,
    ) -> Option<T> {
        let value = self.value(key)?;
        let DeValue::Table(table) = value.kind else {
            self.fault_at(&value.span, &[key], value.breaks(&format!("must be {row_kind}")));
            return None;
        };
        Some(self.inside(join(&self.path, key), table, read))
    }

    /// Every key that was not asked for yet, in the order of the text, each with its place; now they are known.
    pub(super) fn others(&mut self) -> Vec<(&'s str, Range<usize>, Option<WrittenValue<'s>>)> {
        let Some(table) = self.table else { return Vec::new() };
        let mut others: Vec<_> = table
            .iter()
            .map(|(key, value)| (&**key.get_ref(), key.span(), WrittenValue::of(value)))
            .filter(|(key, ..)| !self.known.contains(key))
            .collect();
        others.sort_by_key(|(_, at, _)| at.start);
        self.known.extend(others.iter().map(|(key, ..)| *key));
        others
    }

    /// What `read` makes of the table `key`, which is `table`.
    pub(super) fn table_of<T>(
        &mut self,
        key: &str,
        table: &DeTable<'_>,
        read: impl FnOnce(&mut Written<'_, 't>) -> T,
    ) -> T {
        self.inside(join(&self.path, key), table, read)
    }

    /// What `read` makes of each table `[[key]]`. In faults a table goes by its `name`, or by its number from 1.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Written<'_, 't>, &Range<usize>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let rule = format!("must be tables, each written as [[{key}]]");
        let DeValue::Array(items) = value.kind else {
            self.fault_at(&value.span, &[key], value.breaks(&rule));
            return Vec::new();
        };
        let mut taken = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(value) = WrittenValue::of(item) else { continue };
            let DeValue::Table(table) = value.kind else {
                self.fault_at(&value.span, &[key], value.breaks(&rule));
                continue;
            };
            let name = table.get("name").and_then(|name| name.get_ref().as_str());
            let name = name.map_or_else(|| (index + 1).to_string(), str::to_owned);
            let path = join(&join(&self.path, key), &name);
            taken.push(self.inside(path, table, |written| read(written, &value.span)));
        }
        taken
    }

    /// What `read` makes of each table `[key.NAME]`, in the order of the text; it gets the name and its place.
    pub(super) fn named_tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Written<'_, 't>, &str, &Range<usize>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let rule = format!("must be tables, each written as [{key}.NAME]");
        if !value.kind.is_table() {
            self.fault_at(&value.span, &[key], value.breaks(&rule));
        }
        let mut entries = value.entries();
        entries.sort_by_key(|(_, at, _)| at.start);
        let mut taken = Vec::new();
        for (name, at, value) in entries {
            let Some(value) = value else { continue };
            let DeValue::Table(table) = value.kind else {
                self.fault_at(&value.span, &[key, name], value.breaks(&rule));
                continue;
            };
            let path = join(&join(&self.path, key), name);
            taken.push(self.inside(path, table, |written| read(written, name, &at)));
        }
        taken
    }

    /// The value that `keys` lead to, with its place; one of several tables goes by its `name`.
    pub(super) fn at(&self, keys: &[&str]) -> Option<WrittenValue<'s>> {
        let (first, others) = keys.split_first()?;
        let name_of =
            |item: &'s Spanned<DeValue<'s>>| item.get_ref().as_table()?.get("name")?.get_ref().as_str();
        let found =
            others.iter().try_fold(self.table?.get(*first)?, |value, key| match value.get_ref().as_array() {
                Some(items) => items.iter().find(|item| name_of(item) == Some(*key)),
                None => value.get_ref().as_table()?.get(*key),
            });
        WrittenValue::of(found?)
    }

    /// The table itself, to be tried with other values.
    pub(super) fn copy(&self) -> DeTable<'s> {
        self.table.cloned().unwrap_or_default()
    }

    /// What `read` finds wrong with `table` in the place of this one.
    pub(super) fn faults_of(
        &self,
        table: &DeTable<'_>,
        read: impl FnOnce(&mut Written<'_, 't>),
    ) -> Vec<Placed> {
        let SourceText { file, text, folder, labels, .. } = *self.source;
        let mut source = SourceText { file, text, folder, labels, faults: Vec::new() };
        let mut written = Written::new(&mut source, String::new(), Some(table));
        read(&mut written);
        written.finish();
        source.faults
    }

    /// Reports a fault that was found elsewhere.
    pub(super) fn report(&mut self, fault: Placed) {
        if !self.source.faults.contains(&fault) {
            self.source.faults.push(fault);
        }
    }

    /// Where the manifest lies; none when it is a text only.
    pub(super) fn folder(&self) -> Option<&'t Path> {
        self.source.folder
    }

    fn inside<T>(
        &mut self,
        path: String,
        table: &DeTable<'_>,
        read: impl FnOnce(&mut Written<'_, 't>) -> T,
    ) -> T {
        let mut written = Written::new(self.source, path, Some(table));
        let value = read(&mut written);
        written.finish();
        value
    }

    /// Reports `message` about the key that `keys` lead to, at a place in the text.
    pub(super) fn fault_at(&mut self, at: &Range<usize>, keys: &[&str], message: String) {
        let path = keys.iter().fold(self.path.clone(), |path, key| join(&path, key));
        self.source.fault(at, path, message);
    }

    fn finish(mut self) {
        let Some(table) = self.table else { return };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let message = unknown(name, &self.known);
                self.fault_at(&key.span(), &[name], message);
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    // A key that TOML would quote is quoted, so that it cannot be mistaken for two keys or for text of ours.
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let key = if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        format!("\"{}\"", key.chars().take(40).collect::<String>().escape_debug())
    };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn unknown(name: &str, known: &[&str]) -> String {
    format!("unknown key{}", near_or_allowed(name, known))
}

/// The list of symbols `key`, each once; empty when it is not written.
pub(super) fn symbols(written: &mut Written<'_, '_>, key: &'static str) -> Vec<Symbol> {
    let Some(value) = written.value(key) else { return Vec::new() };
    let rule = "must be a list of symbols such as [\"NVDA\", \"SPY\"]";
    let DeValue::Array(items) = value.kind else {
        written.fault_at(&value.span, &[key], value.breaks(rule));
        return Vec::new();
    };
    if items.is_empty() {
        written.fault_at(&value.span, &[key], format!("{rule}, was empty"));
    }
    let mut symbols = Vec::new();
    for item in items.iter().filter_map(WrittenValue::of) {
        let read = item.str().ok_or_else(|| item.breaks(rule));
        match read.and_then(|text| text.parse::<Symbol>().map_err(|error| error.to_string())) {
            Ok(symbol) if symbols.contains(&symbol) => {
                let message = format!("symbol must be written once, was \"{symbol}\" before");
                written.fault_at(&item.span, &[key], message);
            }
            Ok(symbol) => symbols.push(symbol),
            Err(message) => written.fault_at(&item.span, &[key], message),
        }
    }
    symbols
}
