//! Numbers as people read them.

use super::table::{Ratio, RatioUnit};
use bot_core::units::Money;

/// What stands for a value that is not defined.
pub const NOT_DEFINED: &str = "n/a";

impl RatioUnit {
    /// `12.35 %`, `1.234`, `12,345.67`, `3.5 days`, `4.2 h`, `42`; `n/a` where there is no value.
    pub fn text(self, value: Option<f64>) -> String {
        let scale = if self == RatioUnit::Percent { 100.0 } else { 1.0 };
        let Some(value) = value.map(|value| value * scale).filter(|value| value.is_finite()) else {
            return NOT_DEFINED.to_owned();
        };
        match self {
            RatioUnit::Percent => format!("{} %", grouped(value, 2)),
            RatioUnit::Number => grouped(value, 3),
            RatioUnit::Money => grouped(value, 2),
            RatioUnit::Days => span(value),
            RatioUnit::Count => grouped(value, usize::from(value.fract() != 0.0)),
        }
    }
}

impl Ratio {
    /// The value as people read it.
    pub fn text(&self) -> String {
        self.unit.text(self.value)
    }

    /// The interval as people read it; empty where there is none.
    pub fn interval_text(&self) -> String {
        self.interval.map_or_else(String::new, |(low, high)| {
            format!("{} to {}", self.unit.text(Some(low)), self.unit.text(Some(high)))
        })
    }
}

/// Dollars with cents, thousands apart.
pub fn dollars(money: Money) -> String {
    apart(&format!("{:.2}", money.cents().get()))
}

/// A count, thousands apart.
pub fn number(count: u64) -> String {
    apart(&count.to_string())
}

/// A latency: microseconds while they are few, then the unit that is read at a glance.
#[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub fn latency(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{micros} us"),
        10_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => span(micros as f64 / 86_400e6),
    }
}

/// Days, or what is left of one.
fn span(days: f64) -> String {
    let decimals = |value: f64| usize::from(value.fract() != 0.0);
    match days.abs() * 86_400.0 {
        86_400.0.. => format!("{} days", grouped(days, decimals(days))),
        3_600.0.. => format!("{:.1} h", days * 24.0),
        60.0.. => format!("{:.1} min", days * 1_440.0),
        _ => format!("{:.1} s", days * 86_400.0),
    }
}

/// With so many decimals, thousands apart; numbers beyond 15 digits by their exponent.
fn grouped(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e15 {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.decimals$}");
    let zero = text.trim_start_matches('-').bytes().all(|byte| matches!(byte, b'0' | b'.'));
    apart(if zero { text.trim_start_matches('-') } else { &text })
}

/// Puts a comma between thousands of a plain decimal number.
fn apart(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    let mut text = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(RatioUnit::Percent.text(Some(-0.123_456)), "-12.35 %");
        assert_eq!(RatioUnit::Percent.text(Some(-0.000_001)), "0.00 %");
        assert_eq!(RatioUnit::Money.text(Some(1_234_567.891)), "1,234,567.89");
        assert_eq!(RatioUnit::Number.text(Some(-999.999_9)), "-1,000.000");
        assert_eq!(RatioUnit::Number.text(Some(1e300)), "1.000e300");
        let spans = [12.0, 1_234.56, 0.5, 0.01, 0.000_1, 0.0].map(|days| RatioUnit::Days.text(Some(days)));
        assert_eq!([0, 9_999, 10_000, 1_500_000].map(latency), ["0 us", "9999 us", "10.0 ms", "1.5 s"]);
        assert_eq!(spans, ["12 days", "1,234.6 days", "12.0 h", "14.4 min", "8.6 s", "0.0 s"]);
        assert_eq!(RatioUnit::Count.text(None), "n/a");
        assert_eq!(RatioUnit::Number.text(Some(f64::NAN)), "n/a");
        assert_eq!(dollars("-1000.005".parse().unwrap()), "-1,000.00");
        assert_eq!(number(100_000), "100,000");
    }
}
