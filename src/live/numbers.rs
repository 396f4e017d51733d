//! Numbers from a Redis stream to the feed, such as news scores, as long as the run goes on.

use std::convert::Infallible;
use std::time::Duration;

use chrono_tz::America::New_York;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::backoff::Backoff;
use crate::clock::times::{Forms, Times};
use crate::clock::{Clock, Timestamp};
use crate::feed::Feed;
use crate::inbox::tail::{Tail, TailEntry};
use crate::market::{MarketEvent, Number};
use crate::symbol::Symbol;

/// How long one read waits: so soon a request to stop is heard.
const READ_WAIT: Duration = Duration::from_millis(200);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
const SHOWN_LEN_MAX: usize = 40;

/// What became of a stream's entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NumbersRead {
    /// Numbers that were published.
    pub numbers: u64,
    /// Entries that were none, and were left out.
    pub bad: u64,
    /// How often the connection was lost or could not be made.
    pub faults: u64,
}

/// Publishes the numbers of `tail` as the series `symbol`, the latest one there is at first, until the sender of `stop`
/// is dropped. A bad entry is logged, counted and left out; a lost connection is made again, and what came meanwhile is
/// published then. Runs on a thread of its own.
pub fn publish(
    tail: &mut Tail,
    symbol: Symbol,
    feed: &Feed,
    clock: &dyn Clock,
    stop: &Receiver<Infallible>,
) -> NumbersRead {
    let seed = clock.now().nanos().unsigned_abs();
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX, seed);
    let (mut read, mut is_lost) = (NumbersRead::default(), false);
    let mut pause = Duration::ZERO;
    while goes_on(stop, pause) {
        match tail.read(READ_WAIT) {
            Ok(entries) => {
                if std::mem::take(&mut is_lost) {
                    tracing::info!(stream = tail.stream(), series = %symbol, "numbers are read again");
                }
                backoff.reset();
                pause = Duration::ZERO;
                for entry in &entries {
                    match number(entry) {
                        Ok(number) => {
                            read.numbers += 1;
                            feed.publish(MarketEvent::Number { symbol, number });
                        }
                        Err(fault) => {
                            read.bad += 1;
                            note_bad(read.bad, entry, tail.stream(), &fault);
                        }
                    }
                }
            }
            Err(fault) => {
                read.faults += 1;
                if !std::mem::replace(&mut is_lost, true) {
                    let stream = tail.stream();
                    tracing::warn!(stream, series = %symbol, %fault, "numbers cannot be read; it is tried again");
                }
                pause = backoff.pause();
            }
        }
    }
    read
}

/// Waits for `span`; false as soon as somebody asks to stop.
fn goes_on(stop: &Receiver<Infallible>, span: Duration) -> bool {
    match stop.recv_timeout(span) {
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) => false,
        Ok(never) => match never {},
    }
}

/// The first one, then at rising intervals: 2, 4, 8 ...
fn note_bad(bad: u64, (id, _): &TailEntry, stream: &str, fault: &str) {
    if bad.is_power_of_two() {
        tracing::warn!(stream, entry.id = %id, bad, fault, "an entry is no number; it is left out");
    }
}

/// Reads an entry: `value` in any case, and `time` where it has one, as files write times; else the entry's own.
///
/// # Errors
/// The rule that it breaks, then what it was.
fn number((id, fields): &TailEntry) -> Result<Number, String> {
    let value = field(fields, "value")?.ok_or("field value is missing")?;
    let shown = || value.chars().take(SHOWN_LEN_MAX).collect::<String>();
    let finite = value.parse().ok().filter(|value: &f64| value.is_finite());
    let value = finite.ok_or_else(|| format!("field value must be a finite number, was \"{}\"", shown()))?;
    let at: Timestamp = match field(fields, "time")? {
        Some(time) => {
            Times::new(Forms::All, New_York).read(&time).map_err(|fault| format!("field {fault}"))?
        }
        None => {
            id.sent_at().ok_or_else(|| format!("entry must have an id of the usual shape, was \"{id}\""))?
        }
    };
    Ok(Number { at, value })
}

/// The text of a field, whatever the case of its name.
fn field(fields: &[(Vec<u8>, Vec<u8>)], name: &str) -> Result<Option<String>, String> {
    let mut found = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
    let Some((_, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(format!("field {name} is given twice"));
    }
    Ok(Some(String::from_utf8_lossy(value).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::EntryId;

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: &str) {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let found = match number(&(EntryId::new("1700000000123-0"), fields.collect())) {
            Ok(Number { at, value }) => format!("{value} {at}"),
            Err(fault) => fault,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_number_has_its_own_time_or_that_of_its_entry() {
        check(&[("value", "0.25")], "0.25 2023-11-14T22:13:20.123Z");
        check(&[("Value", " -1e3 "), ("source", "x")], "-1000 2023-11-14T22:13:20.123Z");
        check(&[("VALUE", "1"), ("Time", "2026-01-05T09:30:00-05:00")], "1 2026-01-05T14:30:00Z");
        for time in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            check(&[("value", "1"), ("time", time)], "1 2023-11-14T22:13:20Z");
        }
    }

    #[test]
    fn what_is_no_number_is_told_with_the_rule() {
        check(&[("score", "1")], "field value is missing");
        check(&[("value", "1"), ("VALUE", "1")], "field value is given twice");
        for bad in ["", "NaN", "inf", "1e999", "1,5", "up"] {
            check(&[("value", bad)], &format!("field value must be a finite number, was \"{bad}\""));
        }
        let rule = "field time must be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261, was \"noon\"";
        check(&[("value", "1"), ("time", "noon")], rule);
    }
}
