//! Rules for times: dates and instants in a time zone, time zones, timeframes.

use std::str::FromStr;
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use strsim::damerau_levenshtein;

use toml::de::DeValue;

use super::value::Value;
use crate::clock::Timestamp;
use crate::duration;

/// A date or an instant, as a string or as TOML's own.
pub(super) fn read(value: &Value<'_>, timezone: Tz) -> Result<Timestamp, String> {
    let text = match value.kind {
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err(value.breaks(RULE)),
    };
    parse(&text, timezone).map_err(|()| format!("{RULE}, was \"{}\"", text.escape_debug()))
}

const RULE: &str = "must be a date such as \"2024-01-31\" or a time such as \"2024-01-31T14:30:00Z\"";

/// A date is its midnight, and a time without an offset is one, in `timezone`.
pub(super) fn parse(text: &str, timezone: Tz) -> Result<Timestamp, ()> {
    let text = text.trim();
    if let Ok(instant) = Timestamp::parse_rfc3339(text) {
        return Ok(instant);
    }
    let local = NaiveDate::from_str(text)
        .map(|date| date.and_time(NaiveTime::MIN))
        .or_else(|_| NaiveDateTime::from_str(&text.replacen(' ', "T", 1)))
        .map_err(|_| ())?;
    // Where clocks are set forward an hour is missing; then the hour after it is meant.
    let instant = timezone
        .from_local_datetime(&local)
        .earliest()
        .or_else(|| timezone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest());
    let instant = instant.ok_or(())?;
    instant.timestamp_nanos_opt().map(Timestamp::from_nanos).ok_or(())
}

/// A zone by its name in the time zone database.
pub(super) fn timezone(value: &Value<'_>) -> Result<Tz, String> {
    let rule = "must be a time zone such as \"America/New_York\" or \"UTC\"";
    let name = value.str().ok_or_else(|| value.breaks(rule))?;
    Tz::from_str(name).map_err(|_| {
        let broken = value.breaks(rule);
        nearest_zone(name).map_or(broken.clone(), |near| format!("{broken}, did you mean \"{near}\"?"))
    })
}

fn nearest_zone(name: &str) -> Option<&'static str> {
    const COMPARED_LEN_MAX: usize = 64; // The distance takes quadratic time.
    if name.len() > COMPARED_LEN_MAX {
        return None;
    }
    let name = name.to_lowercase();
    let distance = |zone: &str| {
        let zone = zone.to_lowercase();
        let city = zone.rsplit('/').next().unwrap_or(&zone);
        damerau_levenshtein(&name, &zone).min(damerau_levenshtein(&name, city))
    };
    TZ_VARIANTS
        .iter()
        .map(|zone| (distance(zone.name()), zone.name()))
        .filter(|(distance, _)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, zone)| zone)
}

/// How long a bar is: `1min`, `5min`, `1h`, `1day`, at most a day.
pub(super) fn timeframe(value: &Value<'_>) -> Result<Duration, String> {
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
