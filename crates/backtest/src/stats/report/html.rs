//! Words and numbers for people: escaping, money, percent, dates, tables.

use std::fmt::{Display, Write};

use crate::stats::RatioUnit;
use bot_core::clock::Timestamp;

/// What stands where a number is not defined.
pub(super) const NOT_DEFINED: &str = "n/a";

/// Text that cannot be taken for markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters are allowed in no page, escaped or not.
            letter if letter.is_control() && letter != '\n' && letter != '\t' => escaped.push('\u{FFFD}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// `1,234,567.89` with so many decimals and a true minus.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NOT_DEFINED.to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let is_zero = text.bytes().all(|letter| matches!(letter, b'0' | b'.'));
    let mut grouped = String::from(if value < 0.0 && !is_zero { "\u{2212}" } else { "" });
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// `12,345`.
pub(super) fn counted(value: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    number(value as f64, 0)
}

/// `$1,234.56`, with cents.
pub(super) fn dollars(value: f64) -> String {
    let text = number(value, 2);
    match text.strip_prefix('\u{2212}') {
        Some(amount) => format!("\u{2212}${amount}"),
        None if value.is_finite() => format!("${text}"),
        None => text,
    }
}

/// `$123,456`: cents only where they matter.
pub(super) fn rounded_dollars(value: f64) -> String {
    let text = dollars(value);
    if value.abs() >= 10_000.0 { text[..text.len() - 3].to_owned() } else { text }
}

/// `12.34%` of a fraction.
pub(super) fn percent(fraction: f64) -> String {
    if fraction.is_finite() { number(fraction * 100.0, 2) + "%" } else { NOT_DEFINED.to_owned() }
}

/// The number in its own unit; `n/a` where it is not defined.
pub(super) fn in_unit(value: Option<f64>, unit: RatioUnit) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return NOT_DEFINED.to_owned() };
    match unit {
        RatioUnit::Percent => percent(value),
        RatioUnit::Money => dollars(value),
        RatioUnit::Days => number(value, usize::from(value.fract() != 0.0)) + " d",
        RatioUnit::Number => number(value, 2),
        RatioUnit::Count => number(value, 0),
    }
}

/// `+` before what is above 0.
pub(super) fn signed(value: f64, text: &str) -> String {
    if value > 0.0 && text.bytes().any(|letter| letter.is_ascii_digit() && letter != b'0') {
        format!("+{text}")
    } else {
        text.to_owned()
    }
}

/// `gain`, `loss` or nothing: the class of a number's colour.
pub(super) fn tone(value: f64) -> &'static str {
    match value {
        value if value > 0.0 => "gain",
        value if value < 0.0 => "loss",
        _ => "",
    }
}

/// `3 Nov 2025` in New York.
pub(super) fn day(at: Timestamp) -> String {
    at.to_new_york().format("%-d %b %Y").to_string()
}

/// `2025-11-03 09:31:00` in New York: sorts as it reads.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_new_york().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `1 day`, `2 days`.
pub(super) fn plural(count: u64, one: &str) -> String {
    let many = match one.strip_suffix('y') {
        Some(stem) if one.ends_with("ry") || one.ends_with("gy") => format!("{stem}ies"),
        Some(_) | None => format!("{one}s"),
    };
    format!("{} {}", counted(count), if count == 1 { one } else { &many })
}

/// One cell: what is written and how it stands.
#[derive(Debug, Clone)]
pub(super) struct HtmlCell {
    text: String,
    class: &'static str,
    hint: String,
    key: Option<f64>,
}

impl HtmlCell {
    /// Words, from outside or not.
    pub(super) fn words(text: impl Display) -> Self {
        Self { text: escape(&text.to_string()), class: "", hint: String::new(), key: None }
    }

    /// A number, written to the right, sorted by its value.
    pub(super) fn number(text: impl Display, value: f64) -> Self {
        Self { class: "n", key: value.is_finite().then_some(value), ..Self::words(text) }
    }

    /// A number in the colour of a gain or a loss.
    pub(super) fn gain(text: impl Display, value: f64) -> Self {
        let class = match tone(value) {
            "gain" => "n gain",
            "loss" => "n loss",
            _ => "n",
        };
        Self { class, ..Self::number(text, value) }
    }

    /// A count.
    pub(super) fn count(value: u64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        Self::number(counted(value), value as f64)
    }

    /// With words that show when the pointer rests on it.
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.hint = escape(hint);
        self
    }
}

/// A table in a box of its own, so that a wide one scrolls alone; numbers' heads start with `>`.
pub(super) fn table(heads: &[&str], rows: &[Vec<HtmlCell>]) -> String {
    let mut html = String::from("<div class=\"scroll\"><table><thead><tr>");
    for head in heads {
        let (class, head) = head.strip_prefix('>').map_or(("", *head), |head| (" class=\"n\"", head));
        let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(head));
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            html.push_str("<td");
            for (name, value) in [("class", cell.class), ("title", &cell.hint)] {
                if !value.is_empty() {
                    let _ = write!(html, " {name}=\"{value}\"");
                }
            }
            if let Some(key) = cell.key {
                let _ = write!(html, " data-k=\"{key}\"");
            }
            let _ = write!(html, ">{}</td>", cell.text);
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_signed_and_never_infinite() {
        for (value, decimals, text) in [
            (1_234_567.891, 2, "1,234,567.89"),
            (-999.0, 0, "−999"),
            (-1000.0, 0, "−1,000"),
            (-0.001, 2, "0.00"),
            (f64::INFINITY, 2, "n/a"),
            (f64::NAN, 2, "n/a"),
        ] {
            assert_eq!(number(value, decimals), text);
        }
        assert_eq!(dollars(-12.5), "−$12.50");
        assert_eq!(signed(0.1, &percent(0.1)), "+10.00%");
        assert_eq!(signed(0.000_001, &percent(0.000_001)), "0.00%");
    }

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(escape("a<b & \"c\"\u{7}'"), "a&lt;b &amp; &quot;c&quot;\u{FFFD}&#39;");
    }
}
