//! Rules for times: dates and instants in a time zone, time zones, timeframes.

use std::str::FromStr;
use std::time::Duration;

use chrono_tz::{TZ_VARIANTS, Tz};
use toml::de::DeValue;

use super::value::WrittenValue;
use bot_core::clock::times::{Forms, Times};
use bot_core::clock::{Timestamp, TimestampError};
use bot_core::duration;
use bot_core::spelling::nearest;

/// A date, whose first instant it is, or a time, as a string or as TOML's own; without an offset by the clock of `timezone`.
pub(super) fn read(value: &WrittenValue<'_>, timezone: Tz) -> Result<Timestamp, String> {
    let text = match value.kind {
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err(value.breaks(&format!("must {}", Forms::Locals.rule()))),
    };
    parse(&text, timezone).map_err(|error| format!("must {}, was \"{}\"", error.rule, text.escape_debug()))
}

/// The same of a text.
pub(super) fn parse(text: &str, timezone: Tz) -> Result<Timestamp, TimestampError> {
    Times::new(Forms::Locals, timezone).read(text.trim())
}

/// A zone by its name in the time zone database.
pub(super) fn timezone(value: &WrittenValue<'_>) -> Result<Tz, String> {
    let rule = "must be a time zone such as \"America/New_York\" or \"UTC\"";
    let name = value.str().ok_or_else(|| value.breaks(rule))?;
    Tz::from_str(name).map_err(|_| {
        let broken = value.breaks(rule);
        nearest_zone(name).map_or(broken.clone(), |near| format!("{broken}, did you mean \"{near}\"?"))
    })
}

/// By its whole name, or by that of its city.
fn nearest_zone(name: &str) -> Option<&'static str> {
    let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
    let zones = || TZ_VARIANTS.iter().map(|zone| zone.name());
    nearest(name, zones()).or_else(|| {
        let near = nearest(name, zones().map(city))?;
        zones().find(|zone| city(zone) == near)
    })
}

/// How long a bar is: `1min`, `5min`, `1h`, `1day`, at most a day.
pub(super) fn timeframe(value: &WrittenValue<'_>) -> Result<Duration, String> {
    // What is no text is no timeframe either.
    duration::parse_timeframe(value.str().unwrap_or_default()).map_err(|rule| value.breaks(rule))
}

/// A timeframe as [`timeframe`] reads it.
pub(super) fn format_timeframe(span: Duration) -> String {
    let text = duration::format(span);
    match text.strip_suffix('m') {
        Some(minutes) => format!("{minutes}min"),
        None => text.strip_suffix('d').map(|days| format!("{days}day")).unwrap_or(text),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = parse(text, New_York);
        assert_eq!(found.map_or_else(|error| error.to_string(), |at| at.to_string()), expected, "{text}");
    }

    #[test]
    fn a_moment_is_read_as_a_row_s_time_is_but_for_unix_numbers() {
        check(" 2026-03-08 ", "2026-03-08T05:00:00Z");
        check("2026-03-08 03:30", "2026-03-08T07:30:00Z");
        check("2026-03-08T03:30:00+01:00", "2026-03-08T02:30:00Z");
        check(
            "2026-03-08 02:30",
            "time must exist in America/New_York, where the clocks leap over it, was \"2026-03-08 02:30\"",
        );
        check("1767623400", &format!("time must {}, was \"1767623400\"", Forms::Locals.rule()));
    }

    #[test]
    fn a_misspelt_zone_is_guessed_by_its_whole_name_or_its_city() {
        assert_eq!(nearest_zone("America/NewYork"), Some("America/New_York"));
        assert_eq!(nearest_zone("new york"), Some("America/New_York"));
        assert_eq!(nearest_zone("Londn"), Some("Europe/London"));
        assert_eq!(nearest_zone("Nowhere at all"), None);
    }
}
