//! What is wrong with a manifest, and where.

use std::fmt;

use serde::Serialize;

use bot_core::spelling::did_you_mean;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, as it was named by the caller, or the override, as `--set key=value`.
    pub file: String,
    /// From 1; 0 for an override.
    pub line: usize,
    /// From 1, in characters; 0 for an override.
    pub column: usize,
    /// The dotted key; empty where the text is no TOML.
    pub key: String,
    /// The rule, then the value.
    pub message: String,
}

impl Fault {
    /// At the end of `before`, which is the text up to the place.
    pub(super) fn after(before: &str, file: &str, key: String, message: String) -> Self {
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key,
            message,
        }
    }
}

impl fmt::Display for Fault {
    /// `file:line:column: key: message`, as editors jump to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file)?,
            line => write!(f, "{}:{line}:{}: ", self.file, self.column)?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    file: String,
    all: Vec<Fault>,
}

impl Faults {
    /// The value when nothing is wrong with it.
    pub(super) fn unless_none<T>(file: &str, value: T, mut all: Vec<Fault>) -> Result<T, Self> {
        all.sort_by_key(|fault| (fault.line, fault.column));
        if all.is_empty() { Ok(value) } else { Err(Self { file: file.to_owned(), all }) }
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[Fault] {
        &self.all
    }

    /// How many, and where: `3 faults in run.toml`.
    pub fn headline(&self) -> String {
        let file = &self.file;
        match self.all.len() {
            1 => format!("1 fault in {file}"),
            count => format!("{count} faults in {file}"),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        self.all.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for Faults {}

/// The bytes as text.
pub(super) fn decode<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Faults> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let message = format!("must be UTF-8, was the byte \"{:#04x}\"", rest.first().copied().unwrap_or(0));
        let fault = Fault::after(std::str::from_utf8(before).unwrap_or(""), file, String::new(), message);
        Faults { file: file.to_owned(), all: vec![fault] }
    })
}

/// The nearest of the known names, where there is one near, and all of them.
pub(super) fn near_or_allowed(name: &str, known: &[&str]) -> String {
    let near = did_you_mean(name, known.iter().copied());
    let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let stop = if near.is_empty() { "," } else { "" };
    format!("{near}{stop} allowed are {allowed}")
}
