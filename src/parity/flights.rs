//! Which live orders were in flight at an instant. Pure.

use super::order::{Live, Order};
use crate::clock::Timestamp;

/// When live orders were in flight, in order of their signals.
pub(super) struct Flights(Vec<Flight>);

struct Flight {
    place: usize,
    signal_at: Timestamp,
    decided_at: Timestamp,
    final_at: Timestamp,
    /// The latest end of this one and all before it: who looks back need not look further.
    latest: Timestamp,
}

impl Flights {
    /// The orders stand in order of their signals.
    pub(super) fn of(live: &[Live]) -> Self {
        let mut latest = Timestamp::from_nanos(i64::MIN);
        let orders = live.iter().enumerate().filter(|(_, live)| live.order.is_order);
        let flights = orders.map(|(place, live)| {
            latest = latest.max(live.final_at);
            let (signal_at, decided_at, final_at) = (live.order.at, live.decided_at, live.final_at);
            Flight { place, signal_at, decided_at, final_at, latest }
        });
        Self(flights.collect())
    }

    /// Whether another order was in flight between the order's signal and its decision.
    pub(super) fn besides(&self, place: usize, live: &[Live]) -> bool {
        let (from, to) = (live[place].order.at, live[place].decided_at);
        self.between(from, to).any(|flight| flight.place != place && flight.decided_at <= to)
    }

    /// Whether another order of the same strategy and symbol was in flight when the signal was made.
    pub(super) fn of_strategy(&self, order: &Order, place: Option<usize>, live: &[Live]) -> bool {
        !order.strategy.is_empty()
            && self.between(order.at, order.at).any(|flight| {
                let other = &live[flight.place].order;
                Some(flight.place) != place
                    && other.strategy == order.strategy
                    && other.symbol == order.symbol
            })
    }

    /// Those whose signal came until `to`, and which were not final before `from`.
    fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Flight> {
        let begun = self.0.partition_point(|flight| flight.signal_at <= to);
        let recent = self.0[..begun].iter().rev().take_while(move |flight| flight.latest >= from);
        recent.filter(move |flight| flight.final_at >= from)
    }
}
