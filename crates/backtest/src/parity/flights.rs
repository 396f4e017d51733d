//! Which live orders were in flight at an instant. Pure.

use super::order::{ComparedOrder, LiveSide};
use super::pair::Pair;
use bot_core::clock::Timestamp;

/// When live orders were in flight, in order of their beginning: a signal's, on the side that had it first.
pub(super) struct LiveFlights(Vec<Flight>);

struct Flight {
    place: usize,
    begun_at: Timestamp,
    final_at: Timestamp,
    /// The latest end of this one and all before it: who looks back need not look further.
    latest: Timestamp,
}

impl LiveFlights {
    pub(super) fn of(live: &[LiveSide], pairs: &[Pair]) -> Self {
        let mut flights = Vec::with_capacity(live.len());
        for pair in pairs {
            let Some(place) = pair.place().filter(|place| live[*place].order.is_order) else { continue };
            let (at, final_at) = (live[place].order.at, live[place].final_at);
            let begun_at = pair.replay().map_or(at, |replay| replay.at.min(at));
            flights.push(Flight { place, begun_at, final_at, latest: final_at });
        }
        flights.sort_by_key(|flight| flight.begun_at);
        let mut latest = Timestamp::from_nanos(i64::MIN);
        for flight in &mut flights {
            latest = latest.max(flight.final_at);
            flight.latest = latest;
        }
        Self(flights)
    }

    /// Whether another order was in flight between the order's signal and its decision.
    pub(super) fn besides(&self, place: usize, live: &[LiveSide]) -> bool {
        let (from, to) = (live[place].order.at, live[place].decided_at);
        self.between(from, to).any(|flight| flight.place != place)
    }

    /// Whether another order of the same strategy and symbol was in flight when the signal was made.
    pub(super) fn of_strategy(&self, order: &ComparedOrder, place: Option<usize>, live: &[LiveSide]) -> bool {
        !order.strategy.is_empty()
            && self.between(order.at, order.at).any(|flight| {
                let other = &live[flight.place].order;
                Some(flight.place) != place
                    && other.strategy == order.strategy
                    && other.symbol == order.symbol
            })
    }

    /// Those that began until `to`, and which were not final before `from`.
    fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Flight> {
        let begun = self.0.partition_point(|flight| flight.begun_at <= to);
        let recent = self.0[..begun].iter().rev().take_while(move |flight| flight.latest >= from);
        recent.filter(move |flight| flight.final_at >= from)
    }
}
