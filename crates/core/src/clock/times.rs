//! Written times: calendar times with or without an offset, dates, and Unix numbers. Pure.

use chrono::offset::LocalResult;
use chrono::{NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::{Timestamp, TimestampError};

/// In which ways a time may be written; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forms {
    /// A calendar time with its offset from UTC, as in RFC 3339.
    Instants,
    /// A date: its first instant by the zone's clock.
    Dates,
    /// A calendar time by the zone's clock.
    Locals,
    /// A Unix number of seconds, milli-, micro- or nanoseconds.
    All,
}

/// Reads times one after the other and remembers the last day and hour, since the next row's is mostly the same.
#[derive(Debug)]
pub struct Times {
    forms: Forms,
    zone: Tz,
    /// The last date as written, and its days since 1970.
    date: [u8; 10],
    days: i64,
    /// The last hour whose offset does not change within it: hours since 1970 by the zone's clock, seconds east.
    hour: i64,
    offset: i64,
}

impl Forms {
    /// What a text must be, to stand behind "must".
    pub fn rule(self) -> &'static str {
        match self {
            Self::Instants => "be RFC 3339 such as 2026-11-20T15:30:00Z",
            Self::Dates => "be a date or RFC 3339 such as 2026-11-20T15:30:00Z",
            Self::Locals => "be a date such as \"2024-01-31\" or a time such as \"2024-01-31T14:30:00Z\"",
            Self::All => "be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261",
        }
    }
}

/// Why a time cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It is written in no way that is known.
    Form,
    /// The clocks of the zone leap over it.
    Skipped,
}

impl Times {
    /// Times without an offset are by the clock of `zone`.
    pub fn new(forms: Forms, zone: Tz) -> Self {
        Self { forms, zone, date: [0; 10], days: 0, hour: i64::MIN, offset: 0 }
    }

    /// Reads a time from the start of `text`: the instant and how many bytes it took. `None` when it is none.
    #[inline]
    pub fn quick(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        if text.get(4) == Some(&b'-') {
            self.calendar(text).ok()
        } else {
            unix(text).filter(|_| self.forms == Forms::All)
        }
    }

    /// Reads all of `text`.
    ///
    /// # Errors
    /// A form that is not allowed or known, a year before 1678 or after 2261, or a time that the zone's clock leaps over.
    pub fn read(&mut self, text: &str) -> Result<Timestamp, TimestampError> {
        let bytes = text.as_bytes();
        let wrong = match self.calendar(bytes) {
            Ok((at, taken)) if taken == bytes.len() => return Ok(at),
            Ok(_) => Wrong::Form,
            Err(wrong) => wrong,
        };
        match unix(bytes) {
            Some((at, taken)) if taken == bytes.len() && self.forms == Forms::All => Ok(at),
            Some(_) | None => Err(self.error(wrong, text)),
        }
    }

    fn error(&self, wrong: Wrong, was: &str) -> TimestampError {
        let rule = match wrong {
            Wrong::Form => self.forms.rule().to_owned(),
            Wrong::Skipped => format!("exist in {}, where the clocks leap over it", self.zone),
        };
        TimestampError { rule, was: was.chars().take(40).collect() }
    }

    /// The instant at which the zone's clock shows so many nanoseconds since 1970.
    ///
    /// # Errors
    /// A time that the clock leaps over, or beyond what is known.
    pub fn local(&mut self, nanos: i64) -> Result<Timestamp, TimestampError> {
        let east = self.east(nanos.div_euclid(1_000_000_000));
        let instant = east.and_then(|east| nanos.checked_sub(east * 1_000_000_000).ok_or(Wrong::Form));
        instant.map(Timestamp::from_nanos).map_err(|wrong| {
            self.error(wrong, &chrono::DateTime::from_timestamp_nanos(nanos).naive_utc().to_string())
        })
    }

    /// `YYYY-MM-DD[( |T)HH:MM[:SS[.fraction]][Z|(+|-)HH[:]MM]]`.
    #[inline]
    fn calendar(&mut self, text: &[u8]) -> Result<(Timestamp, usize), Wrong> {
        let date = text.first_chunk::<10>().ok_or(Wrong::Form)?;
        if *date != self.date {
            self.days = days(date).ok_or(Wrong::Form)?;
            self.date = *date;
        }
        let (mut second, mut nanos, mut place) = (0, 0, 10);
        let (mut form, mut east) = (Forms::Dates, None);
        if matches!(text.get(10), Some(b' ' | b'T' | b't'))
            && let Some((hour, minute)) = clock(text, 11)
        {
            second = hour * 3_600 + minute * 60;
            place = 16;
            if text.get(place) == Some(&b':') {
                second += pair(text, 17).filter(|seconds| *seconds < 60).ok_or(Wrong::Form)?;
                place = 19;
                if text.get(place) == Some(&b'.') {
                    let digits = digits(&text[20..]).ok_or(Wrong::Form)?;
                    nanos = digits.0 * 10_i64.pow(9 - digits.1);
                    place += 1 + digits.1 as usize;
                }
            }
            (east, place) = offset(text, place)?;
            form = if east.is_some() { Forms::Instants } else { Forms::Locals };
        }
        if form > self.forms {
            return Err(Wrong::Form);
        }
        let mut local = self.days * 86_400 + second;
        let east = match east {
            Some(east) => east,
            None => match self.east(local) {
                Err(Wrong::Skipped) if form == Forms::Dates => {
                    local = self.first_of_day(local)?;
                    self.east(local)?
                }
                east => east?,
            },
        };
        let instant = (local - east).checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanos));
        instant.map(|nanos| (Timestamp::from_nanos(nanos), place)).ok_or(Wrong::Form)
    }

    /// Seconds by which the zone's clock is ahead of UTC at a second of its own; of two that show it, at the first.
    #[inline]
    fn east(&mut self, local: i64) -> Result<i64, Wrong> {
        let hour = local.div_euclid(3_600);
        if hour == self.hour {
            return Ok(self.offset);
        }
        let east = self.look_up(local)?;
        let (first, last) = (self.look_up(hour * 3_600), self.look_up(hour * 3_600 + 3_599));
        if first == Ok(east) && last == Ok(east) {
            (self.hour, self.offset) = (hour, east);
        }
        Ok(east)
    }

    /// The first second that the zone's clock shows on a day whose midnight it leaps over.
    #[cold]
    fn first_of_day(&self, midnight: i64) -> Result<i64, Wrong> {
        const QUARTER: i64 = 900; // Clocks are set by whole quarters of an hour.
        let quarters = (1..96).map(|quarter| midnight + quarter * QUARTER);
        quarters.into_iter().find(|local| self.look_up(*local).is_ok()).ok_or(Wrong::Skipped)
    }

    fn look_up(&self, local: i64) -> Result<i64, Wrong> {
        let local: NaiveDateTime = chrono::DateTime::from_timestamp(local, 0).ok_or(Wrong::Form)?.naive_utc();
        match self.zone.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => {
                Ok(i64::from(offset.fix().local_minus_utc()))
            }
            LocalResult::None => Err(Wrong::Skipped),
        }
    }
}

/// A Unix number; whether of seconds, milli-, micro- or nanoseconds shows in its size: seconds up to the year 5138,
/// milliseconds from 1973 on.
#[inline]
fn unix(text: &[u8]) -> Option<(Timestamp, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut whole, mut place) = (0_i64, start);
    while let Some(digit) = text.get(place).filter(|byte| byte.is_ascii_digit()) {
        whole = whole.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        place += 1;
    }
    if place == start {
        return None;
    }
    let unit = unix_unit(whole);
    let mut nanos = whole.checked_mul(unit)?;
    if text.get(place) == Some(&b'.') {
        let mut part = unit;
        place += 1;
        while let Some(digit) = text.get(place).filter(|byte| byte.is_ascii_digit()) {
            part /= 10;
            nanos = nanos.checked_add(i64::from(digit - b'0') * part)?;
            place += 1;
        }
    }
    Some((Timestamp::from_nanos(if negative { -nanos } else { nanos }), place))
}

/// How many nanoseconds the unit of a Unix number has.
pub fn unix_unit(number: i64) -> i64 {
    match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        100_000_000_000_000_000.. => 1,
    }
}

fn days(date: &[u8; 10]) -> Option<i64> {
    if (date[4], date[7]) != (b'-', b'-') {
        return None;
    }
    let year = pair(date, 0)? * 100 + pair(date, 2)?;
    let part = |place| pair(date, place).and_then(|part| u32::try_from(part).ok());
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, part(5)?, part(8)?)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// `HH:MM` at `place`.
#[inline]
fn clock(text: &[u8], place: usize) -> Option<(i64, i64)> {
    let hour = pair(text, place).filter(|hour| *hour < 24)?;
    let minute = pair(text, place + 3).filter(|minute| *minute < 60)?;
    (text[place + 2] == b':').then_some((hour, minute))
}

/// What stands behind the clock time: seconds east of UTC where it says, and where it ends.
#[inline]
fn offset(text: &[u8], place: usize) -> Result<(Option<i64>, usize), Wrong> {
    let sign = match text.get(place) {
        Some(b'Z' | b'z') => return Ok((Some(0), place + 1)),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Ok((None, place)),
    };
    let hours = pair(text, place + 1).filter(|hours| *hours < 24).ok_or(Wrong::Form)?;
    let colon = usize::from(text.get(place + 3) == Some(&b':'));
    let minutes = pair(text, place + 3 + colon);
    if colon == 1 && minutes.is_none() || minutes.is_some_and(|minutes| minutes >= 60) {
        return Err(Wrong::Form);
    }
    let end = place + 3 + if minutes.is_some() { colon + 2 } else { 0 };
    Ok((Some(sign * (hours * 3_600 + minutes.unwrap_or(0) * 60)), end))
}

/// Two digits.
#[inline]
fn pair(text: &[u8], place: usize) -> Option<i64> {
    let [tens, ones] = *text.get(place..)?.first_chunk::<2>()?;
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// One to nine digits, and how many they were.
#[inline]
fn digits(text: &[u8]) -> Option<(i64, u32)> {
    let (mut number, mut count) = (0, 0);
    while let Some(digit) = text.get(count as usize).filter(|byte| byte.is_ascii_digit()) {
        if count == 9 {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
        count += 1;
    }
    (count > 0).then_some((number, count))
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;
    use chrono_tz::Australia::Lord_Howe;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = Times::new(Forms::All, New_York)
            .read(text)
            .map_or_else(|fault| fault.to_string(), |at| at.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn times_of_all_forms_are_read() {
        check("2025-09-15 09:30:00", "2025-09-15T13:30:00Z");
        check("2025-09-15T09:30", "2025-09-15T13:30:00Z");
        check("2025-01-15", "2025-01-15T05:00:00Z");
        check("2025-09-15 09:30:00.5", "2025-09-15T13:30:00.500Z");
        check("2025-09-15T09:30:00.123456789Z", "2025-09-15T09:30:00.123456789Z");
        check("2025-09-15T09:30:00+02:00", "2025-09-15T07:30:00Z");
        check("2025-09-15 09:30:00-0400", "2025-09-15T13:30:00Z");
        check("2025-09-15 09:30+01", "2025-09-15T08:30:00Z");
        check("1757943000", "2025-09-15T13:30:00Z");
        check("1757943000.25", "2025-09-15T13:30:00.250Z");
        check("1757943000123", "2025-09-15T13:30:00.123Z");
        check("1757943000123456", "2025-09-15T13:30:00.123456Z");
        check("1757943000123456789", "2025-09-15T13:30:00.123456789Z");
        check("-1", "1969-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_rule() {
        for text in [
            "",
            "x",
            "-",
            "2025-13-01",
            "2025-02-29",
            "2025-09-15 24:00:00",
            "2025-09-15 09:60",
            "2025-09-15 09:30:60",
            "2025-09-15 09:30:00.",
            "2025-09-15 09:30:00.1234567890",
            "2025-09-15 09:30:00 ",
            "2025-09-15T09:30:00+2:00",
            "2025-09-15T09:30:00+02:",
            "9999-01-01",
            "1500-01-01",
            "99999999999999999999",
            "2025-09-15 é",
        ] {
            check(
                text,
                &format!(
                    "time must be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261, was \"{text}\""
                ),
            );
        }
    }

    #[test]
    fn an_hour_that_is_there_twice_is_the_first_and_one_that_is_not_there_is_refused() {
        check("2025-11-02 01:30:00", "2025-11-02T05:30:00Z");
        check(
            "2025-03-09 02:30:00",
            "time must exist in America/New_York, where the clocks leap over it, was \"2025-03-09 02:30:00\"",
        );
    }

    #[test]
    fn a_date_is_its_first_instant_also_where_the_clocks_leap_over_midnight() {
        let check = |zone: Tz, text: &str, expected: &str| {
            let found = Times::new(Forms::Dates, zone).read(text);
            assert_eq!(found.map_or_else(|fault| fault.to_string(), |at| at.to_string()), expected);
        };
        check(chrono_tz::America::Sao_Paulo, "2018-11-04", "2018-11-04T03:00:00Z");
        check(New_York, "2025-03-09", "2025-03-09T05:00:00Z");
        let rule = "time must exist in Pacific/Apia, where the clocks leap over it, was \"2011-12-30\"";
        check(chrono_tz::Pacific::Apia, "2011-12-30", rule);
    }

    #[test]
    fn forms_that_are_not_allowed_are_refused_with_those_that_are() {
        let texts = ["2025-09-15T09:30:00Z", "2025-09-15", "2025-09-15 09:30", "1757943000"];
        for (forms, allowed) in [(Forms::Instants, 1), (Forms::Dates, 2), (Forms::Locals, 3), (Forms::All, 4)]
        {
            let mut times = Times::new(forms, New_York);
            for (place, text) in texts.into_iter().enumerate() {
                let (read, quick) = (times.read(text), times.quick(text.as_bytes()));
                assert_eq!(
                    (read.is_ok(), quick.is_some()),
                    (place < allowed, place < allowed),
                    "{forms:?} {text}"
                );
                let rule = format!("time must {}, was \"{text}\"", forms.rule());
                assert!(read.is_ok() || read.unwrap_err().to_string() == rule);
            }
        }
    }

    proptest! {
        #[test]
        fn the_day_and_hour_kept_never_change_an_answer(
            seconds in proptest::collection::vec(1_743_800_000_i64..1_743_900_000, 1..50),
        ) {
            // Lord Howe sets its clocks by half an hour, within an hour, in these days.
            let mut times = Times::new(Forms::All, Lord_Howe);
            for second in seconds {
                let text = chrono::DateTime::from_timestamp(second, 0).unwrap().format("%Y-%m-%d %H:%M:%S").to_string();
                prop_assert_eq!(times.read(&text), Times::new(Forms::All, Lord_Howe).read(&text));
            }
        }

        #[test]
        fn every_instant_written_is_read_back(nanos in any::<i64>()) {
            let at = Timestamp::from_nanos(nanos);
            prop_assert_eq!(Times::new(Forms::All, New_York).read(&at.to_string()), Ok(at));
        }

        #[test]
        fn any_bytes_are_read_without_panic(text in "\\PC{0,40}") {
            let _ = Times::new(Forms::All, New_York).read(&text);
        }
    }
}
