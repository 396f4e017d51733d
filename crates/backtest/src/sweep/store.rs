//! The events of all sources, read once and shared by all runs; where data are swept, the latest ones are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bot_core::clock::Timestamp;
use bot_data::{Chunk, DataError, Loaded, ReadReport, Source, Spec};

/// What is loaded.
#[derive(Debug)]
pub struct Store {
    /// The latest one at the end.
    entries: Mutex<VecDeque<Arc<StoredSource>>>,
    capacity: usize,
}

#[derive(Debug)]
struct StoredSource {
    spec: Spec,
    window: Option<EventWindow>,
    /// Whoever comes first loads, the others wait.
    events: Mutex<Option<Events>>,
}

/// A window of time: events known later than `after`, and not later than `until`. An event at midnight belongs to the
/// day before, as in the marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventWindow {
    /// The last instant before it.
    pub after: Timestamp,
    /// Its last instant.
    pub until: Timestamp,
}

/// Events in memory; cloning shares them.
#[derive(Debug, Clone)]
pub struct Events {
    chunks: Arc<[Arc<Chunk>]>,
    digest: Arc<str>,
}

impl Store {
    /// Keeps the events of so many sources and windows at the most.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity: capacity.max(1) }
    }

    /// The events that `spec` asks for, or those of a window of them. Nothing is saved, whatever the spec says.
    ///
    /// # Errors
    /// Data that cannot be read; the next one who asks tries again.
    pub fn events(&self, spec: &Spec, window: Option<EventWindow>) -> Result<Events, DataError> {
        let entry = self.entry(spec, window);
        let mut events = entry.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            return Ok(events.clone());
        }
        let read = match window {
            None => Events::load(spec)?,
            Some(window) => self.events(spec, None)?.cut(window),
        };
        Ok(events.insert(read).clone())
    }

    fn entry(&self, spec: &Spec, window: Option<EventWindow>) -> Arc<StoredSource> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.iter().position(|entry| entry.window == window && entry.spec == *spec);
        let entry = known.and_then(|place| entries.remove(place)).unwrap_or_else(|| {
            Arc::new(StoredSource { spec: spec.clone(), window, events: Mutex::default() })
        });
        entries.push_back(Arc::clone(&entry));
        if entries.len() > self.capacity {
            entries.pop_front();
        }
        entry
    }
}

impl EventWindow {
    fn holds(&self, at: Timestamp) -> bool {
        self.after < at && at <= self.until
    }
}

impl Events {
    fn load(spec: &Spec) -> Result<Self, DataError> {
        let loaded = Loaded::load(&mut *bot_data::open(&Spec { save: None, ..spec.clone() })?)?;
        Ok(Self { chunks: loaded.chunks().into(), digest: loaded.digest().into() })
    }

    /// The hash of what they say; of a window, that of the whole.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// When the first and the last one are known; `None` of nothing.
    pub fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        Some((ends(self.chunks.first()?)?.0, ends(self.chunks.last()?)?.1))
    }

    /// Gives them from the first on, without copying them.
    pub fn source(&self) -> Box<dyn Source> {
        Box::new(StoredEvents { chunks: Arc::clone(&self.chunks), next: 0 })
    }

    fn cut(&self, window: EventWindow) -> Self {
        let whole = |chunk: &Chunk| {
            ends(chunk).is_some_and(|(first, last)| window.holds(first) && window.holds(last))
        };
        let chunks = self
            .chunks
            .iter()
            .map(|chunk| if whole(chunk) { Arc::clone(chunk) } else { Arc::new(part(chunk, window)) })
            .filter(|chunk| !chunk.is_empty())
            .collect();
        Self { chunks, digest: Arc::clone(&self.digest) }
    }
}

/// When its first and last events are known.
fn ends(chunk: &Chunk) -> Option<(Timestamp, Timestamp)> {
    match chunk {
        Chunk::Rows { row_kind, rows, .. } => {
            Some((row_kind.known_at(rows.first()?.at), row_kind.known_at(rows.last()?.at)))
        }
        Chunk::Mixed(events) => Some((events.first()?.known_at(), events.last()?.known_at())),
    }
}

/// The events of a chunk that fall into the window; they stand in order of time.
fn part(chunk: &Chunk, window: EventWindow) -> Chunk {
    match chunk {
        Chunk::Rows { symbol, row_kind, rows } => {
            let place = |until| rows.partition_point(|row| row_kind.known_at(row.at) <= until);
            let rows = rows[place(window.after)..place(window.until)].to_vec();
            Chunk::Rows { symbol: *symbol, row_kind: *row_kind, rows }
        }
        Chunk::Mixed(events) => {
            let place = |until| events.partition_point(|event| event.known_at() <= until);
            Chunk::Mixed(events[place(window.after)..place(window.until)].to_vec())
        }
    }
}

#[derive(Debug)]
struct StoredEvents {
    chunks: Arc<[Arc<Chunk>]>,
    next: usize,
}

impl Source for StoredEvents {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let chunk = self.chunks.get(self.next).cloned();
        self.next += usize::from(chunk.is_some());
        Ok(chunk)
    }

    /// A sweep asks for none.
    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bot_data::{Row, RowKind};

    /// Numbers at the seconds `0..count`, `size` in a chunk.
    fn events(count: i64, size: usize) -> Events {
        let rows: Vec<Row> =
            (0..count).map(|at| Row { at: Timestamp::from_secs(at), values: [0.0; 5] }).collect();
        let symbol = "N".parse().unwrap();
        let chunks = rows
            .chunks(size)
            .map(|rows| Arc::new(Chunk::Rows { symbol, row_kind: RowKind::Number, rows: rows.to_vec() }));
        Events { chunks: chunks.collect(), digest: "".into() }
    }

    fn seconds(events: &Events) -> Vec<i64> {
        let rows = |chunk: &Arc<Chunk>| match &**chunk {
            Chunk::Rows { rows, .. } => rows.iter().map(|row| row.at.millis() / 1_000).collect::<Vec<_>>(),
            Chunk::Mixed(_) => Vec::new(),
        };
        events.chunks.iter().flat_map(rows).collect()
    }

    #[test]
    fn windows_that_touch_share_no_event_and_lose_none() {
        for size in 1..8 {
            let all = events(10, size);
            let cut = |after, until| {
                let window =
                    EventWindow { after: Timestamp::from_secs(after), until: Timestamp::from_secs(until) };
                seconds(&all.cut(window))
            };
            assert_eq!(cut(-1, 3), [0, 1, 2, 3]);
            assert_eq!(cut(3, 8), [4, 5, 6, 7, 8]);
            assert_eq!(cut(8, 100), [9]);
            assert_eq!(cut(100, 200), [0; 0]);
        }
    }

    #[test]
    fn whole_chunks_are_shared_and_not_copied() {
        let all = events(9, 3);
        let cut = all.cut(EventWindow { after: Timestamp::from_secs(0), until: Timestamp::from_secs(7) });
        assert!(Arc::ptr_eq(&all.chunks[1], &cut.chunks[1]));
        assert_eq!(seconds(&cut), [1, 2, 3, 4, 5, 6, 7]);
    }
}
