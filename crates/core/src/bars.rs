//! Bars of one span, made from finer bars or from trades; spans are counted from midnight in New York. Pure.

use std::time::Duration;

use thiserror::Error;

use crate::calendar::{date_of, midnight, midnight_after};
use crate::clock::Timestamp;
use crate::duration;
use crate::market::{Bar, Trade};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// A bar that spans of this length cannot be made of, because it belongs to more than one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a bar of {} must lie within one span of {}, counted from midnight in New York, was from {at}",
    duration::format(*piece),
    duration::format(*span)
)]
pub struct Misfit {
    /// The bar's start.
    pub at: Timestamp,
    /// How long the bar is that does not fit.
    pub piece: Duration,
    /// The span of the bars that are made.
    pub span: Duration,
}

/// Whether spans of this length begin at `at`.
pub fn is_start_of_span(at: Timestamp, span: Duration) -> bool {
    if HOUR.as_nanos().is_multiple_of(span.as_nanos().max(1)) {
        // New York is whole hours away, so that its midnight need not be known.
        return at.nanos().rem_euclid(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).max(1)) == 0;
    }
    let into_day = at.since(midnight(date_of(at))).as_nanos();
    into_day == 0 || span < DAY && into_day.is_multiple_of(span.as_nanos())
}

/// Makes bars of one span from finer ones: first open, highest high, lowest low, last close, sum of volumes.
///
/// A made bar's `at` is the start of its span. Where spans do not divide the day the last one ends at midnight; a day
/// is a day, also one of 23 or 25 hours. A span without any piece makes no bar. An unknown volume (NaN) makes the
/// sum of volumes unknown.
#[derive(Debug, Clone)]
pub struct Resampler {
    place: OpenBucket,
    /// Of the open span, in order of time.
    pieces: Vec<Bar>,
}

impl Resampler {
    /// For bars of `span`: above 0 and at most a day, as timeframes are; what lies beyond is taken as the bound.
    pub fn new(span: Duration) -> Self {
        Self { place: OpenBucket::new(span), pieces: Vec::new() }
    }

    /// Takes a bar of `bar_span` and puts the bars that it completes, at most two, behind those in `finished`.
    ///
    /// A span is complete when the piece that ends with it is in, or a piece of a later span. Within the open span a
    /// piece may come out of order, and one with the same start replaces the one that is there. One for a span that is
    /// already closed changes nothing and is counted, see [`Self::late`].
    ///
    /// # Errors
    /// A bar that does not lie within one span; it is left out.
    pub fn push(&mut self, bar: Bar, bar_span: Duration, finished: &mut Vec<Bar>) -> Result<(), Misfit> {
        let misfit = Misfit { at: bar.at, piece: bar_span, span: self.place.span };
        if bar_span > self.place.span {
            return Err(misfit);
        }
        // A day's bar may start at midnight of any clock; twelve hours later it is that day everywhere in America.
        let is_whole_day = bar_span == DAY;
        let bucket = self.place.bucket(if is_whole_day { bar.at + DAY / 2 } else { bar.at });
        let end = if is_whole_day { bucket.end } else { bar.at + bar_span };
        if end > bucket.end {
            return Err(misfit);
        }
        if self.place.is_late(bucket) {
            return Ok(());
        }
        if self.place.open != Some(bucket) {
            finished.extend(self.finish());
            self.place.open = Some(bucket);
        }
        match self.pieces.binary_search_by_key(&bar.at, |piece| piece.at) {
            Ok(place) => self.pieces[place] = bar,
            Err(place) => self.pieces.insert(place, bar),
        }
        if end == bucket.end {
            finished.extend(self.finish());
        }
        Ok(())
    }

    /// The bar of the open span, if that is over at `now`; [`Timestamp::MAX`] when nothing more comes.
    pub fn close_until(&mut self, now: Timestamp) -> Option<Bar> {
        if self.place.is_over(now) { self.finish() } else { None }
    }

    /// When the open span ends; none while none is open.
    pub fn open_until(&self) -> Option<Timestamp> {
        self.place.open.map(|open| open.end)
    }

    /// How many pieces came for a span that was already closed.
    pub fn late(&self) -> u64 {
        self.place.late
    }

    fn finish(&mut self) -> Option<Bar> {
        let start = self.place.close()?.start;
        let mut pieces = self.pieces.drain(..);
        let first = Bar { at: start, ..pieces.next()? };
        Some(pieces.fold(first, |bar, piece| Bar {
            high: bar.high.max(piece.high),
            low: bar.low.min(piece.low),
            close: piece.close,
            volume: bar.volume + piece.volume,
            ..bar
        }))
    }
}

/// Makes bars of one span from trades, in the spans of [`Resampler`]; for spans that no bar of the broker's is finer than.
#[derive(Debug, Clone)]
pub struct TradeBars {
    place: OpenBucket,
    /// Of the open span, with the times of its first and last trade.
    bar: Option<(Bar, Timestamp, Timestamp)>,
}

impl TradeBars {
    /// For bars of `span`, as for [`Resampler::new`].
    pub fn new(span: Duration) -> Self {
        Self { place: OpenBucket::new(span), bar: None }
    }

    /// Takes a trade and returns the bar of the span before it, if it is the first of a later one. Trades of the open
    /// span may come out of order; of those of one instant the first to come is the earlier one. A trade of a span that
    /// is already closed changes nothing and is counted, see [`Self::late`].
    pub fn push(&mut self, trade: Trade) -> Option<Bar> {
        let bucket = self.place.bucket(trade.at);
        if self.place.is_late(bucket) {
            return None;
        }
        let finished = if self.place.open == Some(bucket) { None } else { self.finish() };
        self.place.open = Some(bucket);
        let Trade { at, price, size } = trade;
        let Some((bar, first_at, last_at)) = &mut self.bar else {
            let bar =
                Bar { at: bucket.start, open: price, high: price, low: price, close: price, volume: size };
            self.bar = Some((bar, at, at));
            return finished;
        };
        if at < *first_at {
            (*first_at, bar.open) = (at, price);
        }
        if at >= *last_at {
            (*last_at, bar.close) = (at, price);
        }
        bar.high = bar.high.max(price);
        bar.low = bar.low.min(price);
        bar.volume += size;
        finished
    }

    /// The bar of the open span, if that is over at `now`.
    pub fn close_until(&mut self, now: Timestamp) -> Option<Bar> {
        if self.place.is_over(now) { self.finish() } else { None }
    }

    /// When the open span ends; none while none is open.
    pub fn open_until(&self) -> Option<Timestamp> {
        self.place.open.map(|open| open.end)
    }

    /// How many trades came for a span that was already closed.
    pub fn late(&self) -> u64 {
        self.place.late
    }

    fn finish(&mut self) -> Option<Bar> {
        self.place.close()?;
        self.bar.take().map(|(bar, _, _)| bar)
    }
}

/// One span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    start: Timestamp,
    /// The first instant after the span.
    end: Timestamp,
}

/// Which span is open and which are closed.
#[derive(Debug, Clone)]
struct OpenBucket {
    span: Duration,
    /// The New York day that was last looked at.
    day: Bucket,
    open: Option<Bucket>,
    /// The end of the last span that made a bar: what belongs before it is late.
    closed: Timestamp,
    late: u64,
}

impl OpenBucket {
    fn new(span: Duration) -> Self {
        let never = Timestamp::from_nanos(i64::MIN);
        let day = Bucket { start: never, end: never };
        Self { span: span.clamp(Duration::from_nanos(1), DAY), day, open: None, closed: never, late: 0 }
    }

    fn bucket(&mut self, at: Timestamp) -> Bucket {
        if let Some(open) = self.open.filter(|open| open.start <= at && at < open.end) {
            return open;
        }
        if at < self.day.start || at >= self.day.end {
            let date = date_of(at);
            self.day = Bucket { start: midnight(date), end: midnight_after(date) };
        }
        if self.span == DAY {
            return self.day;
        }
        let into_bucket = at.since(self.day.start).as_nanos() % self.span.as_nanos();
        let start = at - Duration::from_nanos(u64::try_from(into_bucket).unwrap_or(0));
        Bucket { start, end: (start + self.span).min(self.day.end) }
    }

    /// Whether `bucket` is closed; then what came for it is counted.
    fn is_late(&mut self, bucket: Bucket) -> bool {
        let is_late = bucket.start < self.open.map_or(self.closed, |open| open.start);
        self.late += u64::from(is_late);
        is_late
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.open.is_some_and(|open| open.end <= now)
    }

    fn close(&mut self) -> Option<Bucket> {
        let open = self.open.take()?;
        self.closed = open.end;
        Some(open)
    }
}

#[cfg(test)]
mod tests;
