//! What is wrong with a manifest, and where.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, as it was named by the caller.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
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
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The value when nothing is wrong with it.
    pub(super) fn unless_none<T>(value: T, mut faults: Vec<Fault>) -> Result<T, Self> {
        faults.sort_by_key(|fault| (fault.line, fault.column));
        if faults.is_empty() { Ok(value) } else { Err(Self(faults)) }
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }

    /// How many, and where: `3 faults in run.toml`.
    pub fn headline(&self) -> String {
        let file = self.0.first().map_or("", |fault| fault.file.as_str());
        match self.0.len() {
            1 => format!("1 fault in {file}"),
            count => format!("{count} faults in {file}"),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for Faults {}

/// The bytes as text.
pub(super) fn decode<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Faults> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let message = format!("must be UTF-8, was the byte \"{:#04x}\"", rest.first().copied().unwrap_or(0));
        Faults(vec![Fault::after(std::str::from_utf8(before).unwrap_or(""), file, String::new(), message)])
    })
}
