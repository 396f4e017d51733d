//! Recorded events in the order in which they came: files keep one order for each kind, the session keeps how the kinds
//! of one instant were mixed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bot_core::clock::Timestamp;
use bot_core::market::MarketEvent;
use bot_data::history::session::kind_letter;
use bot_data::{Chunk, DataError, ReadReport, Source};

/// A recording's events, with those of one instant as they came.
pub(super) struct InArrival {
    inner: Box<dyn Source>,
    order: HashMap<Timestamp, String>,
    /// Events of the last instant so far: more of it may come in the next chunk.
    held: Vec<MarketEvent>,
    ended: bool,
}

impl InArrival {
    /// `order` says by instant of what kinds its events were, in order.
    pub(super) fn new(inner: Box<dyn Source>, order: HashMap<Timestamp, String>) -> Self {
        Self { inner, order, held: Vec::new(), ended: false }
    }

    fn release(&mut self, into: &mut Vec<MarketEvent>) {
        let events = std::mem::take(&mut self.held);
        let order = events.first().and_then(|first| self.order.get(&first.known_at()));
        let Some(order) = order else { return into.extend(events) };
        let mut kinds: HashMap<char, VecDeque<MarketEvent>> = HashMap::new();
        for event in &events {
            kinds.entry(kind_letter(event)).or_default().push_back(*event);
        }
        for letter in order.chars() {
            into.extend(kinds.get_mut(&letter).and_then(VecDeque::pop_front));
        }
        // What the order does not tell of stands as the files have it.
        for event in &events {
            into.extend(kinds.remove(&kind_letter(event)).into_iter().flatten());
        }
    }
}

impl Source for InArrival {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let mut ready = Vec::new();
        while ready.is_empty() && !self.ended {
            let Some(chunk) = self.inner.next_chunk()? else {
                self.ended = true;
                self.release(&mut ready);
                break;
            };
            let mut take = |event: MarketEvent| {
                if self.held.first().is_some_and(|first| first.known_at() != event.known_at()) {
                    self.release(&mut ready);
                }
                self.held.push(event);
            };
            match &*chunk {
                Chunk::Rows { symbol, row_kind, rows } => {
                    for row in rows {
                        take(row.event(*symbol, *row_kind));
                    }
                }
                Chunk::Mixed(events) => events.iter().copied().for_each(take),
            }
        }
        Ok(Some(ready).filter(|ready| !ready.is_empty()).map(|ready| Arc::new(Chunk::Mixed(ready))))
    }

    fn report(&self) -> ReadReport {
        self.inner.report()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bot_core::market::{Quote, Trade};

    struct Chunks(VecDeque<Vec<MarketEvent>>);

    impl Source for Chunks {
        fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
            Ok(self.0.pop_front().map(|events| Arc::new(Chunk::Mixed(events))))
        }

        fn report(&self) -> ReadReport {
            ReadReport::default()
        }
    }

    #[test]
    fn events_of_one_instant_come_as_they_came_also_across_chunks() {
        let symbol = "NVDA".parse().unwrap();
        let second = Timestamp::from_secs;
        let quote = |at, bid| {
            let quote = Quote { at: second(at), bid, bid_size: 1.0, ask: bid, ask_size: 1.0 };
            MarketEvent::Quote { symbol, quote }
        };
        let trade =
            |at, price| MarketEvent::Trade { symbol, trade: Trade { at: second(at), price, size: 1.0 } };
        let chunks = [vec![quote(1, 1.0), quote(2, 2.0), quote(2, 3.0)], vec![trade(2, 4.0), trade(3, 5.0)]];
        let order = HashMap::from([(second(2), "qtq".to_owned())]);
        let mut source = InArrival::new(Box::new(Chunks(chunks.into())), order);
        let mut prices = Vec::new();
        while let Some(chunk) = source.next_chunk().unwrap() {
            let Chunk::Mixed(events) = &*chunk else { panic!("rows") };
            prices.extend(events.iter().map(MarketEvent::price));
        }
        assert_eq!(prices, [1.0, 2.0, 4.0, 3.0, 5.0]);
    }
}
