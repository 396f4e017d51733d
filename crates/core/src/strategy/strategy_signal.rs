//! What a strategy wants of the desk, under an identity that is the same in every process.

use std::sync::Arc;

use super::{Strength, Tag};
use crate::clock::Timestamp;
use crate::order::TimeInForce;
use crate::signal::{EntryId, Signal, Wanted};
use crate::symbol::Symbol;
use crate::units::Price;

/// What a strategy wants, with what makes it the same signal in every process.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategySignal {
    /// In what.
    pub symbol: Symbol,
    /// An order, a position, or a strength.
    pub wanted: Wanted,
    /// The worst price, where it says so.
    pub limit: Option<Price>,
    /// How long an order may rest.
    pub time_in_force: TimeInForce,
    /// What the strategy calls it.
    pub tag: Option<Tag>,
    /// The time of the event that it came of.
    pub at: Timestamp,
    /// Its number among those of that time, from 0.
    pub number: u32,
}

/// What a book knows of a strategy's intents in one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Remembered {
    /// The last strength that it asked for, where it did.
    pub strength: Option<Strength>,
    /// The time of the event that it came of.
    pub at: Timestamp,
    /// Whether a part of it is missing for good.
    pub is_missed: bool,
}

/// The producer's id of the signal that a strategy gave `number`th, from 0, at the time `at` of an event.
pub fn signal_id(strategy: &str, at: Timestamp, number: u32) -> String {
    format!("{strategy}-{}-{number}", at.nanos())
}

impl StrategySignal {
    /// An order that is sent at once, of the time and number `id`.
    pub(super) fn of(
        symbol: Symbol,
        wanted: Wanted,
        tag: Option<Tag>,
        (at, number): (Timestamp, u32),
    ) -> Self {
        Self { symbol, wanted, limit: None, time_in_force: TimeInForce::Ioc, tag, at, number }
    }

    /// The producer's id of the signal: the same events give the same ids.
    pub fn id(&self, strategy: &str) -> String {
        signal_id(strategy, self.at, self.number)
    }

    /// The time of the signal that has this id; none where no strategy made it.
    pub fn time_of(id: &str) -> Option<Timestamp> {
        id.rsplit('-').nth(1)?.parse().ok().map(Timestamp::from_nanos)
    }

    /// This as the signal of entry `id`; over history the entry's id is all the identity that it needs.
    pub fn signal(
        &self,
        strategy: &Arc<str>,
        id: EntryId,
        producer_id: Option<Arc<str>>,
        now: Timestamp,
    ) -> Signal {
        Signal {
            id,
            producer_id,
            symbol: self.symbol,
            wanted: self.wanted,
            limit: self.limit,
            time_in_force: self.time_in_force,
            strategy: Arc::clone(strategy),
            tag: self.tag.clone(),
            is_own: true,
            time_to_live: None,
            sent_at: now,
            step: None,
            redelivered: false,
        }
    }
}
