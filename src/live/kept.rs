//! Deferred entries that need not be read again: packed and bounded by their bytes, so that a burst is read once.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::signal::{Entry, EntryId, StreamPlace};

/// Entries by their places in the stream.
#[derive(Debug, Default)]
pub(super) struct KeptEntries {
    by_place: HashMap<StreamPlace, Packed>,
    bytes: usize,
}

/// An entry's fields in one piece, which takes far less than each by itself.
#[derive(Debug)]
struct Packed {
    sent_at: Timestamp,
    bytes: Box<[u8]>,
    /// Where each name and each value ends, in turn.
    ends: Box<[usize]>,
}

/// They take so many bytes at most: those of some ten thousand signals of a few fields.
const BYTES_MAX: usize = 8 << 20;
/// What an entry takes beside its fields.
const BYTES_BESIDE: usize = 128;

impl KeptEntries {
    /// Keeps an entry, where there is room.
    pub(super) fn keep(&mut self, place: StreamPlace, entry: &Entry) {
        let packed = Packed::new(entry);
        if self.bytes + packed.len() <= BYTES_MAX {
            self.bytes += packed.len();
            self.by_place.insert(place, packed);
        }
    }

    /// Whether the entry of this place is kept.
    pub(super) fn has(&self, place: StreamPlace) -> bool {
        self.by_place.contains_key(&place)
    }

    /// Takes an entry out that was delivered so often.
    pub(super) fn take(&mut self, place: StreamPlace, deliveries: u64) -> Option<Entry> {
        let packed = self.by_place.remove(&place)?;
        self.bytes -= packed.len();
        let (id, sent_at) = (EntryId::at(place), packed.sent_at);
        Some(Entry { id, fields: packed.fields(), sent_at, deliveries })
    }
}

impl Packed {
    fn new(entry: &Entry) -> Self {
        let parts: Vec<&[u8]> =
            entry.fields.iter().flat_map(|(name, value)| [name.as_slice(), value]).collect();
        let end = |sum: &mut usize, part: &&[u8]| {
            *sum += part.len();
            Some(*sum)
        };
        let ends = parts.iter().scan(0, end).collect();
        Self { sent_at: entry.sent_at, bytes: parts.concat().into(), ends }
    }

    fn fields(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut start = 0;
        let mut part = |end: usize| self.bytes[std::mem::replace(&mut start, end)..end].to_vec();
        self.ends.chunks_exact(2).map(|pair| (part(pair[0]), part(pair[1]))).collect()
    }

    fn len(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.ends) + BYTES_BESIDE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, value: &[u8]) -> Entry {
        let fields = vec![(b"ticker".to_vec(), b"NVDA".to_vec()), (Vec::new(), value.to_vec())];
        Entry { id: EntryId::at((number, 0)), fields, sent_at: Timestamp::from_secs(7), deliveries: 3 }
    }

    #[test]
    fn an_entry_is_taken_out_once_and_as_it_was_kept() {
        let mut kept = KeptEntries::default();
        kept.keep((1, 0), &entry(1, b"\xff"));
        kept.keep((2, 0), &Entry { fields: Vec::new(), ..entry(2, b"") });
        assert_eq!(kept.take((1, 0), 3), Some(entry(1, b"\xff")));
        assert_eq!(kept.take((1, 0), 3), None);
        assert_eq!(kept.take((2, 0), 1).unwrap().fields, []);
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn what_is_kept_is_bounded_however_large_entries_are() {
        let mut kept = KeptEntries::default();
        for number in 0..9 {
            kept.keep((number, 0), &entry(number, &vec![0; 1 << 20]));
        }
        assert!(kept.has((6, 0)) && !kept.has((7, 0)) && kept.bytes <= BYTES_MAX);
        kept.take((0, 0), 1);
        kept.keep((8, 0), &entry(8, &vec![0; 1 << 20]));
        assert!(kept.has((8, 0)));
    }
}
