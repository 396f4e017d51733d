//! Short texts that people give to things and find again in files and tables. Pure.

/// What a label must be, for errors.
pub const LABEL_RULE: &str = "1 to 32 printable characters, no comma, no quote and no space at its ends";

/// Whether `text` keeps [`LABEL_RULE`]; so it is the same on the stream, in a CSV file and in a table.
pub fn is_label(text: &str) -> bool {
    let is_printable = |letter: char| {
        letter == ' '
            || !(letter.is_control() || letter.is_whitespace() || matches!(letter, ',' | '"' | '\''))
    };
    (1..=32).contains(&text.chars().count()) && text.trim() == text && text.chars().all(is_printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_same_in_a_file_and_in_a_table() {
        for good in ["z", "stop loss", "entry/1", "été", &"x".repeat(32)] {
            assert!(is_label(good), "{good}");
        }
        for bad in
            ["", " ", "a ", " a", "a,b", "a\"b", "it's", "a\nb", "a\u{2028}b", "a\u{7f}", &"x".repeat(33)]
        {
            assert!(!is_label(bad), "{bad:?}");
        }
    }
}
