//! What was understood, as lines for people.

use std::borrow::Cow;
use std::fmt;

/// One section of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryPart {
    /// The section's name, empty for what stands above all sections.
    pub name: Cow<'static, str>,
    /// Its keys.
    pub lines: Vec<KeyLine>,
}

/// One key with the value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The key within its section.
    pub key: &'static str,
    /// The value as a person writes it.
    pub value: String,
    /// True when the manifest does not say it.
    pub is_default: bool,
}

impl KeyLine {
    /// `default` is what holds, or a word such as `off`, when nothing is written.
    pub(super) fn new<T: fmt::Display>(
        key: &'static str,
        written: Option<T>,
        default: impl fmt::Display,
    ) -> Self {
        let is_default = written.is_none();
        let value = written.map_or_else(|| default.to_string(), |value| value.to_string());
        Self { key, value, is_default }
    }
}

impl fmt::Display for SummaryPart {
    /// Ends without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            writeln!(f, "[{}]", self.name)?;
        }
        let (key_len, value_len) = self.lines.iter().fold((0, 0), |(key, value), line| {
            (key.max(line.key.len()), value.max(line.value.chars().count()))
        });
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let KeyLine { key, value, is_default } = line;
            if *is_default {
                write!(f, "{separator}{key:key_len$} = {value:value_len$}  (default)")?;
            } else {
                write!(f, "{separator}{key:key_len$} = {value}")?;
            }
        }
        Ok(())
    }
}
