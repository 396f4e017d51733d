//! The event queue: all sources merged by (time, series, sequence), one chunk of each in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use super::{Chunk, DataError, Source};
use bot_core::clock::Timestamp;

/// Sources in the order of their series; at one instant the first one's events come first.
pub struct Queue {
    feeds: Vec<QueuedSource>,
    /// The next event of each feed but the leading one.
    heap: BinaryHeap<Reverse<QueueKey>>,
    /// The feed that was read from last; it is not in the heap.
    leading: Option<usize>,
}

/// Some events of one source.
pub struct Batch {
    /// The place of the source.
    pub source: usize,
    /// Where they are.
    pub chunk: Arc<Chunk>,
    /// Which of the chunk's events, never empty.
    pub range: Range<usize>,
    /// When the next event after them is known; none where that is not known yet.
    pub next_at: Option<Timestamp>,
}

/// When, and of which source.
type QueueKey = (Timestamp, usize);

const NOBODY: QueueKey = (Timestamp::MAX, usize::MAX);

struct QueuedSource {
    source: Box<dyn Source>,
    chunk: Arc<Chunk>,
    place: usize,
}

impl Queue {
    /// Reads the first chunk of each source.
    ///
    /// # Errors
    /// A source that cannot be read.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Result<Self, DataError> {
        let mut queue = Self { feeds: Vec::new(), heap: BinaryHeap::new(), leading: None };
        for (place, source) in sources.into_iter().enumerate() {
            let mut feed = QueuedSource { source, chunk: Arc::new(Chunk::Mixed(Vec::new())), place: 0 };
            if let Some(at) = feed.peek()? {
                queue.heap.push(Reverse((at, place)));
            }
            queue.feeds.push(feed);
        }
        Ok(queue)
    }

    /// The next events of one source, as many as come before all others'.
    ///
    /// # Errors
    /// A source that cannot be read any further.
    pub fn pop(&mut self) -> Result<Option<Batch>, DataError> {
        if let Some(place) = self.leading.take()
            && let Some(at) = self.feeds[place].peek()?
        {
            self.heap.push(Reverse((at, place)));
        }
        let Some(Reverse((_, place))) = self.heap.pop() else { return Ok(None) };
        self.leading = Some(place);
        let rival = self.heap.peek().map_or(NOBODY, |Reverse(key)| *key);
        let feed = &mut self.feeds[place];
        let from = feed.place;
        feed.place = feed.end((rival.0, place), rival.1);
        // At the chunk's end the source's own next event has not been read.
        let next_at = (feed.place < feed.chunk.len()).then(|| feed.at(feed.place).min(rival.0));
        Ok(Some(Batch { source: place, chunk: Arc::clone(&feed.chunk), range: from..feed.place, next_at }))
    }

    /// The sources, for their accounts.
    pub fn sources(&self) -> impl Iterator<Item = &dyn Source> {
        self.feeds.iter().map(|feed| &*feed.source)
    }
}

impl QueuedSource {
    /// When the next event is known, of this chunk or the next one; `None` at the end of the source.
    fn peek(&mut self) -> Result<Option<Timestamp>, DataError> {
        while self.place >= self.chunk.len() {
            let Some(chunk) = self.source.next_chunk()? else { return Ok(None) };
            self.chunk = chunk;
            self.place = 0;
        }
        Ok(Some(self.at(self.place)))
    }

    /// The place behind the last event that comes before the rival's, which is of source `rival`.
    fn end(&self, (until, own): QueueKey, rival: usize) -> usize {
        let comes_first = |at: Timestamp| at < until || (at == until && own < rival);
        if until == Timestamp::MAX {
            return self.chunk.len();
        }
        (self.place..self.chunk.len()).find(|place| !comes_first(self.at(*place))).unwrap_or(self.chunk.len())
    }

    /// When an event of this chunk is known.
    #[inline]
    fn at(&self, place: usize) -> Timestamp {
        match &*self.chunk {
            Chunk::Rows { row_kind, rows, .. } => row_kind.known_at(rows[place].at),
            Chunk::Mixed(events) => events[place].known_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ReadReport, Row, RowKind};

    /// Chunks in memory.
    struct Chunks(std::vec::IntoIter<Arc<Chunk>>);

    impl Source for Chunks {
        fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
            Ok(self.0.next())
        }

        fn report(&self) -> ReadReport {
            ReadReport::default()
        }
    }

    /// Numbers at these seconds; a number's value is its place in the source. Chunks hold `size` rows.
    fn source(seconds: &[i64], size: usize) -> Box<dyn Source> {
        let symbol = "N".parse().unwrap();
        let rows: Vec<Row> = seconds
            .iter()
            .enumerate()
            .map(|(place, at)| Row {
                at: Timestamp::from_secs(*at),
                values: [f64::from(u32::try_from(place).unwrap()), 0.0, 0.0, 0.0, 0.0],
            })
            .collect();
        let chunks: Vec<_> = rows
            .chunks(size)
            .map(|rows| Arc::new(Chunk::Rows { symbol, row_kind: RowKind::Number, rows: rows.to_vec() }))
            .collect();
        Box::new(Chunks(chunks.into_iter()))
    }

    fn drain(sources: Vec<Box<dyn Source>>) -> Vec<(i64, usize, f64)> {
        let mut queue = Queue::new(sources).unwrap();
        let mut found = Vec::new();
        while let Some(Batch { source, chunk, range, .. }) = queue.pop().unwrap() {
            let Chunk::Rows { rows, .. } = &*chunk else { unreachable!("sources are of rows") };
            found.extend(rows[range].iter().map(|row| (row.at.millis() / 1_000, source, row.values[0])));
        }
        found
    }

    #[test]
    fn at_one_instant_the_first_source_comes_first_and_an_ended_one_blocks_nobody() {
        let found =
            drain(vec![source(&[1, 1, 3], 2), source(&[1], 2), source(&[], 2), source(&[0, 3, 9], 2)]);
        assert_eq!(
            found,
            [(0, 3, 0.0), (1, 0, 0.0), (1, 0, 1.0), (1, 1, 0.0), (3, 0, 2.0), (3, 3, 1.0), (9, 3, 2.0)]
        );
        assert_eq!(drain(Vec::new()), []);
    }

    proptest! {
        #[test]
        fn the_order_is_total_however_sources_are_cut_into_chunks(
            mut sources in prop::collection::vec(prop::collection::vec(0i64..20, 0..30), 0..6),
            size in 1usize..7,
        ) {
            for seconds in &mut sources {
                seconds.sort_unstable();
            }
            let found = drain(sources.iter().map(|seconds| source(seconds, size)).collect());
            let mut expected: Vec<(i64, usize, f64)> = Vec::new();
            for (place, seconds) in sources.iter().enumerate() {
                expected.extend(seconds.iter().zip(0u32..).map(|(at, number)| (*at, place, f64::from(number))));
            }
            expected.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
            prop_assert_eq!(found, expected);
        }
    }
}
