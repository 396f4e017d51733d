//! The cells of a CSV line, read and written: one in double quotes may hold separators, and two double quotes for one. Pure.

use std::borrow::Cow;

/// The cells of one line, as they stand; after an error there is nothing more.
#[derive(Debug)]
pub struct LineCells<'a> {
    separator: char,
    /// `None` behind the last cell.
    rest: Option<&'a str>,
}

impl<'a> LineCells<'a> {
    /// Of a line, whose cells stand between ASCII separators.
    pub fn new(line: &'a str, separator: u8) -> Self {
        Self { separator: char::from(separator), rest: Some(line) }
    }

    /// Of a line that must be UTF-8.
    pub fn of(line: &'a [u8], separator: u8) -> Result<Self, String> {
        let text = std::str::from_utf8(line)
            .map_err(|_| format!("a line must be UTF-8, was \"{}\"", short(&String::from_utf8_lossy(line))));
        text.map(|text| Self::new(text, separator))
    }

    fn cell(&mut self, rest: &'a str) -> Result<Cow<'a, str>, String> {
        let (cell, behind) = if let Some(quoted) = rest.trim_start_matches(' ').strip_prefix('"') {
            unquote(quoted)?
        } else {
            let (cell, behind) = rest.split_at(rest.find(self.separator).unwrap_or(rest.len()));
            (Cow::Borrowed(cell), behind)
        };
        let behind = behind.trim_start_matches(' ');
        self.rest = behind.strip_prefix(self.separator);
        if self.rest.is_none() && !behind.is_empty() {
            let on = short(behind);
            return Err(format!("a quoted cell must end at its separator, went on with \"{on}\""));
        }
        Ok(cell)
    }
}

impl<'a> Iterator for LineCells<'a> {
    type Item = Result<Cow<'a, str>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        Some(self.cell(rest))
    }
}

/// All cells of a line.
pub fn split(line: &[u8], separator: u8) -> Result<Vec<Cow<'_, str>>, String> {
    LineCells::of(line, separator)?.collect()
}

/// Which of comma, semicolon and tab a line has most of.
pub fn separator(line: &[u8]) -> u8 {
    let count = |wanted: u8| memchr::memchr_iter(wanted, line).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|wanted| count(*wanted)).unwrap_or(b',')
}

/// A text as a cell: in quotes where it must be, its line breaks as blanks, so that a row stays one line.
pub fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"").replace(['\n', '\r'], " ")))
    } else {
        Cow::Borrowed(text)
    }
}

/// The first characters of a text, for a fault.
pub fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What stands before the closing quote, and what behind it.
fn unquote(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut from = 0;
    while let Some(quote) = text[from..].find('"').map(|place| from + place) {
        let behind = &text[quote + 1..];
        if !behind.starts_with('"') {
            let cell = &text[..quote];
            let cell =
                if cell.contains('"') { Cow::Owned(cell.replace("\"\"", "\"")) } else { Cow::Borrowed(cell) };
            return Ok((cell, behind));
        }
        from = quote + 2;
    }
    Err(format!("a quoted cell must end on its line, was \"{}\"", short(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let found = split(line.as_bytes(), b',').map_or_else(|fault| fault, |cells| cells.join("|"));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn cells_stand_between_separators_and_quotes() {
        check("", "");
        check("a, b ,", "a| b |");
        check("\"a,b\", \"c\"\"d\" ,e\"f", "a,b|c\"d|e\"f");
        check("\"a", "a quoted cell must end on its line, was \"a\"");
        check("\"a\"b,c", "a quoted cell must end at its separator, went on with \"b,c\"");
        assert_eq!(split(b"\xff", b',').unwrap_err(), "a line must be UTF-8, was \"\u{fffd}\"");
        assert_eq!((separator(b"a;b,c;d"), separator(b"a\tb"), separator(b"a")), (b';', b'\t', b','));
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back_but_for_line_breaks(cells in prop::collection::vec("[a,\" \n\r;é]{0,6}", 1..5)) {
            let line = cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
            let found = split(line.as_bytes(), b',').unwrap();
            let expected: Vec<_> = cells.iter().map(|cell| cell.replace(['\n', '\r'], " ")).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
