//! New York Stock Exchange sessions: rules, observed holidays, early closes and the exceptions of history.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};
use chrono_tz::America::New_York;

use crate::clock::Timestamp;
use crate::market::SessionClock;

/// One regular trading session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// New York date.
    pub date: NaiveDate,
    /// 09:30 New York time.
    pub open: Timestamp,
    /// 16:00 New York time, 13:00 on early closes.
    pub close: Timestamp,
}

/// The session of a New York date; `None` when the exchange is closed all day.
///
/// Source: NYSE rule 7.2 and its published holiday calendars; special closures by date.
pub fn session_on(date: NaiveDate) -> Option<Session> {
    if is_closed(date) {
        return None;
    }
    let close_hour = if closes_early(date) { 13 } else { 16 };
    Some(Session { date, open: new_york(date, 9, 30)?, close: new_york(date, close_hour, 0)? })
}

/// All sessions from `first` to `last`, both included.
pub fn sessions(first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = Session> {
    first.iter_days().take_while(move |date| *date <= last).filter_map(session_on)
}

/// Whether the exchange is open at `now`, and when that changes.
pub fn clock_at(now: Timestamp) -> SessionClock {
    let today = date_of(now);
    // The longest run of closed days is six (September 2001); 15 is ample.
    let last = today.checked_add_days(Days::new(15)).unwrap_or(NaiveDate::MAX);
    let mut ahead = sessions(today, last).filter(|session| session.close > now);
    let Some(first) = ahead.next() else {
        return SessionClock { is_open: false, next_open: Timestamp::MAX, next_close: Timestamp::MAX };
    };
    let is_open = first.open <= now;
    let next_open = if is_open { ahead.next().map_or(Timestamp::MAX, |next| next.open) } else { first.open };
    SessionClock { is_open, next_open, next_close: first.close }
}

/// The New York date of an instant.
pub fn date_of(at: Timestamp) -> NaiveDate {
    at.to_new_york().date_naive()
}

/// The first instant of a New York date.
pub fn midnight(date: NaiveDate) -> Timestamp {
    let naive = date.and_time(NaiveTime::MIN);
    // New York's clocks change at two in the morning: there is one midnight each day.
    at_clock(naive).unwrap_or_else(|| naive.and_utc().into())
}

/// The first instant after a New York date, 23 to 25 hours after its midnight.
pub fn midnight_after(date: NaiveDate) -> Timestamp {
    date.succ_opt().map_or(Timestamp::MAX, midnight)
}

/// The first instant at which New York's clocks show this; `None` where they leap over it.
pub fn at_clock(local: NaiveDateTime) -> Option<Timestamp> {
    New_York.from_local_datetime(&local).earliest().map(Timestamp::from)
}

fn new_york(date: NaiveDate, hour: u32, minute: u32) -> Option<Timestamp> {
    at_clock(date.and_time(NaiveTime::from_hms_opt(hour, minute, 0)?))
}

/// Attacks, storm and days of mourning, since 1998.
const SPECIAL_CLOSURES: [(i32, u32, u32); 10] = [
    (2001, 9, 11),
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),
    (2007, 1, 2),
    (2012, 10, 29),
    (2012, 10, 30),
    (2018, 12, 5),
    (2025, 1, 9),
];

fn is_closed(date: NaiveDate) -> bool {
    is_weekend(date)
        || is_holiday(date)
        || SPECIAL_CLOSURES.contains(&(date.year(), date.month(), date.day()))
}

fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

fn is_holiday(date: NaiveDate) -> bool {
    let year = date.year();
    let nth = |month, weekday, n| NaiveDate::from_weekday_of_month_opt(year, month, weekday, n) == Some(date);
    let fixed = |month, day| NaiveDate::from_ymd_opt(year, month, day).map(observed) == Some(date);
    // New Year's Day on a Saturday is not moved into the old year.
    let new_year = NaiveDate::from_ymd_opt(year, 1, 1)
        .is_some_and(|day| day.weekday() != Weekday::Sat && observed(day) == date);
    new_year
        || (year >= 1998 && nth(1, Weekday::Mon, 3))
        || nth(2, Weekday::Mon, 3)
        || good_friday(year) == Some(date)
        || (date.month() == 5 && date.weekday() == Weekday::Mon && date.day() > 24)
        || (year >= 2022 && fixed(6, 19))
        || fixed(7, 4)
        || nth(9, Weekday::Mon, 1)
        || nth(11, Weekday::Thu, 4)
        || fixed(12, 25)
}

fn observed(holiday: NaiveDate) -> NaiveDate {
    match holiday.weekday() {
        Weekday::Sat => holiday.pred_opt().unwrap_or(holiday),
        Weekday::Sun => holiday.succ_opt().unwrap_or(holiday),
        Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri => holiday,
    }
}

fn closes_early(date: NaiveDate) -> bool {
    let after_thanksgiving = NaiveDate::from_weekday_of_month_opt(date.year(), 11, Weekday::Thu, 4)
        .and_then(|day| day.succ_opt())
        == Some(date);
    let eve = matches!((date.month(), date.day()), (7, 3) | (12, 24));
    after_thanksgiving || (eve && date.succ_opt().is_some_and(|next| !is_weekend(next)))
}

/// Two days before Easter Sunday. Source: the anonymous Gregorian computus (Meeus, Astronomical Algorithms, 1991).
#[allow(clippy::many_single_char_names, reason = "the letters of the published algorithm")]
fn good_friday(year: i32) -> Option<NaiveDate> {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let f = (b + 8) / 25;
    let g = (b - f + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    let easter = NaiveDate::from_ymd_opt(year, u32::try_from(n / 31).ok()?, u32::try_from(n % 31 + 1).ok()?)?;
    easter.checked_sub_days(Days::new(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(date: &str, expected: &str) {
        let session = session_on(date.parse().unwrap());
        let found = session.map_or("closed".to_owned(), |session| {
            format!(
                "{}-{}",
                session.open.to_new_york().format("%H:%M"),
                session.close.to_new_york().format("%H:%M")
            )
        });
        assert_eq!(found, expected, "{date}");
    }

    #[test]
    fn sessions_agree_with_the_exchange_on_the_dates_that_others_get_wrong() {
        check("2021-12-31", "09:30-16:00");
        check("2022-06-20", "closed");
        check("2025-01-09", "closed");
        check("2025-04-18", "closed");
        check("2025-07-03", "09:30-13:00");
        check("2025-11-28", "09:30-13:00");
        check("2025-12-24", "09:30-13:00");
        check("2026-04-03", "closed");
        check("2026-07-03", "closed");
        check("2026-11-27", "09:30-13:00");
        check("2026-12-24", "09:30-13:00");
        check("2027-12-24", "closed");
        check("2018-12-05", "closed");
        check("2012-10-29", "closed");
        check("2026-11-21", "closed");
        check("2020-06-19", "09:30-16:00");
    }

    #[test]
    fn the_clock_knows_daylight_saving_and_the_next_boundary() {
        let winter = clock_at(Timestamp::parse_rfc3339("2026-11-20T14:29:59Z").unwrap());
        assert!(!winter.is_open);
        assert_eq!(winter.next_open.to_string(), "2026-11-20T14:30:00Z");
        let summer = clock_at(Timestamp::parse_rfc3339("2026-10-08T13:30:00Z").unwrap());
        assert!(summer.is_open);
        assert_eq!(summer.next_close.to_string(), "2026-10-08T20:00:00Z");
        let after_close = clock_at(Timestamp::parse_rfc3339("2026-11-25T21:00:00Z").unwrap());
        assert!(!after_close.is_open);
        assert_eq!(after_close.next_open.to_string(), "2026-11-27T14:30:00Z");
        assert_eq!(after_close.next_close.to_string(), "2026-11-27T18:00:00Z");
    }

    #[test]
    fn every_year_has_as_many_sessions_as_the_exchange_publishes() {
        let count = |year: i32| {
            let day = |month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
            sessions(day(1, 1), day(12, 31)).count()
        };
        for (year, published) in
            [(2001, 248), (2018, 251), (2019, 252), (2020, 253), (2021, 252), (2022, 251)]
        {
            assert_eq!(count(year), published, "{year}");
        }
        for (year, published) in [(2023, 250), (2024, 252), (2025, 250)] {
            assert_eq!(count(year), published, "{year}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_lies_within_its_day_also_when_the_clocks_change(nanos in 0_i64..4_000_000_000_000_000_000) {
            let at = Timestamp::from_nanos(nanos);
            let date = date_of(at);
            prop_assert!(midnight(date) <= at && at < midnight_after(date));
            prop_assert_eq!((date_of(midnight(date)), date_of(midnight_after(date))), (date, date.succ_opt().unwrap()));
        }

        #[test]
        fn a_session_is_three_and_a_half_or_six_and_a_half_hours_of_one_working_day(days in 0_u64..60_000) {
            let date = NaiveDate::from_ymd_opt(1998, 1, 1).unwrap() + Days::new(days);
            if let Some(session) = session_on(date) {
                let minutes = session.close.since(session.open).as_secs() / 60;
                prop_assert!(minutes == 210 || minutes == 390);
                prop_assert!(!is_weekend(date));
                for time in [session.open, session.close] {
                    prop_assert_eq!(time.to_new_york().date_naive(), date);
                }
            }
        }

        #[test]
        fn the_clock_and_the_sessions_never_disagree(seconds in 883_612_800_i64..6_000_000_000) {
            let now = Timestamp::from_secs(seconds);
            let clock = clock_at(now);
            let today = session_on(now.to_new_york().date_naive());
            prop_assert_eq!(clock.is_open, today.is_some_and(|session| session.open <= now && now < session.close));
            prop_assert!(clock.next_open > now && clock.next_close > now);
            prop_assert_eq!(clock.is_open, clock.next_close < clock.next_open);
            // At each boundary the answer changes, and not a moment earlier.
            let boundary = clock.next_open.min(clock.next_close);
            prop_assert_eq!(clock_at(boundary).is_open, !clock.is_open);
            prop_assert_eq!(clock_at(boundary - std::time::Duration::from_secs(1)).is_open, clock.is_open);
        }
    }
}
