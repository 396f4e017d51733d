//! Instants, the only reader of the machine's time, and waiting by a clock.

pub mod times;

use std::fmt;
use std::ops::{Add, Deref, Sub};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::America::New_York;
use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, after, bounded, never,
    select,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use times::{Forms, Times};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, 1677 to 2262.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is no time, or none that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("time must {rule}, was \"{was}\"")]
pub struct TimestampError {
    /// What it breaks.
    pub rule: String,
    /// Its first characters.
    pub was: String,
}

impl Timestamp {
    /// The far future: later than any real instant.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since 1970.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From microseconds since 1970, saturating.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// From milliseconds since 1970, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since 1970, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since 1970.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970, rounded down.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long ago `earlier` was, zero when it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same instant in chrono's UTC.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.0)
    }

    /// The same instant on New York's clock, for people.
    pub fn to_new_york(self) -> DateTime<chrono_tz::Tz> {
        self.to_utc().with_timezone(&New_York)
    }

    /// Reads RFC 3339 with any offset and up to nine fractional digits; seconds and the offset's minutes may be left out.
    ///
    /// # Errors
    /// Anything else is refused; so are years outside 1678 to 2261.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        Times::new(Forms::Instants, chrono_tz::UTC).read(text)
    }
}

impl<Zone: chrono::TimeZone> From<DateTime<Zone>> for Timestamp {
    /// Saturates outside 1677 to 2262.
    fn from(time: DateTime<Zone>) -> Self {
        time.timestamp_nanos_opt().map_or_else(|| Self::from_secs(time.timestamp()), Self)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(span)))
    }
}

/// In 64 bits throughout, because every event's time is counted so.
#[inline]
fn nanos(span: Duration) -> i64 {
    let secs = i64::try_from(span.as_secs()).ok().and_then(|secs| secs.checked_mul(1_000_000_000));
    secs.and_then(|nanos| nanos.checked_add(span.subsec_nanos().into())).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 UTC, fraction only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

/// Where the time comes from: the machine, or a test or replay that sets it.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// What goes off once this clock shows `at` or later; at once when it already does, never for [`Timestamp::MAX`].
    fn alarm(&self, at: Timestamp) -> Alarm;
}

/// A channel on which something is received, or which is disconnected, once the clock shows the alarm's instant.
///
/// A loop that works by alarms keeps the one that went off until it has set the next: so long it counts as awake, see
/// [`ManualClock::is_at_rest`].
#[derive(Debug)]
pub struct Alarm {
    channel: Receiver<Instant>,
    /// Lives as long as somebody waits or works; only a manual clock looks.
    _held: Option<Arc<()>>,
}

impl Alarm {
    /// Waits until it goes off; in `select!` write `recv(*alarm)`.
    pub fn wait(&self) {
        let _ = self.channel.recv();
    }
}

impl Deref for Alarm {
    type Target = Receiver<Instant>;
    fn deref(&self) -> &Receiver<Instant> {
        &self.channel
    }
}

/// Waits until the clock shows that `span` has passed.
pub fn sleep(clock: &dyn Clock, span: Duration) {
    if !span.is_zero() {
        clock.alarm(clock.now() + span).wait();
    }
}

/// Receives, waiting until the clock shows `at`; a message that is there by then is never missed.
///
/// # Errors
/// As [`Receiver::recv_timeout`].
pub fn recv_until<T>(
    clock: &dyn Clock,
    receiver: &Receiver<T>,
    at: Timestamp,
) -> Result<T, RecvTimeoutError> {
    match receiver.try_recv() {
        Ok(message) => Ok(message),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        Err(TryRecvError::Empty) => recv_before(&clock.alarm(at), receiver),
    }
}

/// Receives, waiting until `alarm` goes off; a message that is there by then is never missed.
///
/// # Errors
/// As [`Receiver::recv_timeout`].
pub fn recv_before<T>(alarm: &Alarm, receiver: &Receiver<T>) -> Result<T, RecvTimeoutError> {
    select! {
        recv(receiver) -> message => message.map_err(|_| RecvTimeoutError::Disconnected),
        recv(*alarm) -> _ => receiver.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        }),
    }
}

/// Sends, waiting for room until the clock shows `at`.
///
/// # Errors
/// As [`Sender::send_timeout`].
pub fn send_until<T>(
    clock: &dyn Clock,
    sender: &Sender<T>,
    message: T,
    at: Timestamp,
) -> Result<(), SendTimeoutError<T>> {
    let message = match sender.try_send(message) {
        Ok(()) => return Ok(()),
        Err(TrySendError::Disconnected(message)) => return Err(SendTimeoutError::Disconnected(message)),
        Err(TrySendError::Full(message)) => message,
    };
    let alarm = clock.alarm(at);
    select! {
        send(sender, message) -> sent => sent.map_err(|error| SendTimeoutError::Disconnected(error.0)),
        recv(*alarm) -> _ => Err(SendTimeoutError::Timeout(message)),
    }
}

/// The machine's clock. Its alarms count spans, so that a clock that is set does not change when they go off.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's time")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::default() + since_epoch
    }

    fn alarm(&self, at: Timestamp) -> Alarm {
        let channel = if at == Timestamp::MAX { never() } else { after(at.since(self.now())) };
        Alarm { channel, _held: None }
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Dial>);

#[derive(Debug, Default)]
struct Dial {
    now: Timestamp,
    alarms: Vec<SetAlarm>,
}

/// One alarm, as long as somebody holds it.
#[derive(Debug)]
struct SetAlarm {
    at: Timestamp,
    /// `None` once it went off.
    waiting: Option<Sender<Instant>>,
    holder: Weak<()>,
}

impl ManualClock {
    /// Starts at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Dial { now, alarms: Vec::new() }))
    }

    /// Moves to `now`, forwards or backwards. Going back takes the alarms along, as the machine's count spans.
    pub fn set(&self, now: Timestamp) {
        let mut dial = self.dial();
        let back = dial.now.since(now);
        dial.now = now;
        for alarm in &mut dial.alarms {
            alarm.at = alarm.at - back;
            if alarm.at <= now {
                alarm.waiting = None;
            }
        }
    }

    /// Moves forward by `span`.
    pub fn advance(&self, span: Duration) {
        self.set(self.now() + span);
    }

    /// The earliest instant that somebody waits for; an alarm that was dropped no longer counts.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        self.dial().alarms.iter().filter(|alarm| alarm.waiting.is_some()).map(|alarm| alarm.at).min()
    }

    /// Whether no alarm that went off is still held: everybody who was woken has done its work, or waits for something else.
    pub fn is_at_rest(&self) -> bool {
        self.dial().alarms.iter().all(|alarm| alarm.waiting.is_some())
    }

    /// Without the alarms that nobody holds any more.
    fn dial(&self) -> MutexGuard<'_, Dial> {
        let mut dial = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dial.alarms.retain(|alarm| alarm.holder.strong_count() > 0);
        dial
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    fn alarm(&self, at: Timestamp) -> Alarm {
        if at == Timestamp::MAX {
            return Alarm { channel: never(), _held: None };
        }
        let (sender, channel) = bounded(1);
        let held = Arc::new(());
        let mut dial = self.dial();
        let waiting = (at > dial.now).then_some(sender);
        dial.alarms.push(SetAlarm { at, waiting, holder: Arc::downgrade(&held) });
        Alarm { channel, _held: Some(held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_times_keep_their_nanoseconds() {
        let time = Timestamp::parse_rfc3339("2026-10-08T11:10:18.909428548-04:00").unwrap();
        assert_eq!(time.nanos() % 1_000_000_000, 909_428_548);
        assert_eq!(time.to_string(), "2026-10-08T15:10:18.909428548Z");
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::from_secs(5).since(Timestamp::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn alarms_of_a_manual_clock_go_off_when_it_is_set_and_not_before() {
        let second = Timestamp::from_secs;
        let clock = ManualClock::new(second(10));
        let (early, late) = (clock.alarm(second(12)), clock.alarm(second(15)));
        assert_eq!((clock.next_alarm(), early.try_recv()), (Some(second(12)), Err(TryRecvError::Empty)));
        clock.set(second(13));
        assert_eq!(early.try_recv(), Err(TryRecvError::Disconnected));
        assert!(!clock.is_at_rest(), "the holder still works");
        drop(early);
        assert!(clock.is_at_rest());
        assert_eq!(clock.next_alarm(), Some(second(15)));
        clock.set(second(3));
        assert_eq!(clock.next_alarm(), Some(second(5)), "ten seconds back");
        drop(late);
        assert_eq!(clock.next_alarm(), None);
        clock.alarm(second(3)).wait();
    }

    #[test]
    fn a_message_that_is_there_is_received_however_late_it_is() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        let (sender, receiver) = bounded(1);
        let past = Timestamp::from_secs(9);
        assert_eq!(recv_until(&clock, &receiver, past), Err(RecvTimeoutError::Timeout));
        sender.send(1).unwrap();
        assert_eq!(send_until(&clock, &sender, 2, past), Err(SendTimeoutError::Timeout(2)));
        assert_eq!(recv_before(&clock.alarm(past), &receiver), Ok(1));
        drop(sender);
        assert_eq!(recv_until(&clock, &receiver, past), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_sleeper_is_woken_by_the_hand_that_moves_the_clock() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| sleep(&clock, Duration::from_hours(1)));
            while clock.next_alarm().is_none() {
                std::thread::yield_now();
            }
            clock.advance(Duration::from_hours(1));
            sleeper.join().unwrap();
        });
    }
}
