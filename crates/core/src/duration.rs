//! Durations as people write them: `250ms`, `5s`, `2m`, `1h`, `1d`; and timeframes: `1min`, `1h`, `1day`.

use std::time::Duration;

/// Reads a whole or decimal number with its unit: `us`, `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// Says what is allowed; a bare number is refused because nobody knows its unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let bad =
        || format!("duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was \"{text}\"");
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let number: f64 = trimmed[..digits].parse().map_err(|_| bad())?;
    let seconds = match &trimmed[digits..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| bad())
}

/// Reads how long a bar is: `1min`, `5m`, `1h`, `1hour`, `1d`, `1day`.
///
/// # Errors
/// The rule that it breaks, without the value.
pub fn parse_timeframe(text: &str) -> Result<Duration, &'static str> {
    const DAY: Duration = Duration::from_hours(24);
    let short = text.strip_suffix("ay").filter(|short| short.ends_with('d'));
    let short =
        short.or_else(|| text.strip_suffix("our").filter(|short| short.ends_with('h'))).unwrap_or(text);
    let span =
        parse(short).map_err(|_| "must be a timeframe such as \"1min\", \"5min\", \"1h\" or \"1day\"")?;
    if span.is_zero() || span > DAY || !span.as_nanos().is_multiple_of(1_000_000) {
        return Err("must be a timeframe from 1ms to 1day");
    }
    Ok(span)
}

/// Writes a duration as [`parse`] reads it, in the largest unit that keeps it whole.
pub fn format(span: Duration) -> String {
    let micros = span.as_micros();
    [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "us"),
    ]
    .into_iter()
    .find(|(unit, _)| micros > 0 && micros.is_multiple_of(*unit))
    .map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", micros / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit_and_written_back() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5_000), ("1.5s", 1_500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            let span = parse(text).unwrap();
            assert_eq!(span, Duration::from_millis(millis));
            assert_eq!(parse(&format(span)).unwrap(), span);
        }
        for text in ["5", "", "s", "-1s", "5 apples", "1..2s"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(format(Duration::ZERO), "0s");
    }
}
