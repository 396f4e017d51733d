//! The settler thread: records ends in batches, one transaction each, and renews what this process holds.

use std::collections::HashMap;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::backoff::Backoff;
use super::summary::Tally;
use crate::clock::Clock;
use crate::inbox::{InboxError, Settlement, Settler};
use crate::outcome::Outcome;
use crate::pool::GiveUp;

/// How often the stream is told that this process still works on what it holds.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// The most ends that go into one transaction.
const BATCH_LEN_MAX: usize = 128;
/// How long ends are gathered for one transaction: no order waits for it, and under load it saves a round trip for each.
const GATHER_FOR: Duration = Duration::from_millis(1);

/// What the settler works with.
pub(super) struct Settling<'a> {
    pub(super) settlements: &'a Receiver<Settlement>,
    pub(super) give_up: &'a GiveUp,
    pub(super) clock: &'a dyn Clock,
    /// Who hears, by strategy, what became of its signals.
    pub(super) listeners: &'a HashMap<String, Sender<Outcome>>,
    pub(super) seed: u64,
}

impl Settling<'_> {
    /// Settles until all senders are dropped. After `give_up` is due an unrecorded end is left pending, and counted.
    pub(super) fn run(&self, settler: &mut impl Settler, tally: &mut Tally) {
        let Self { settlements, clock, seed, .. } = *self;
        let mut renew_at = clock.now() + RENEW_EVERY;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed);
        loop {
            match settlements.recv_timeout(renew_at.since(clock.now())) {
                Ok(first) => {
                    std::thread::sleep(GATHER_FOR);
                    let batch: Vec<_> = std::iter::once(first)
                        .chain(settlements.try_iter().take(BATCH_LEN_MAX - 1))
                        .collect();
                    self.settle(settler, &batch, tally, &mut backoff);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if clock.now() >= renew_at {
                if let Err(error) = settler.renew() {
                    tracing::debug!(%error, "holdings could not be renewed");
                }
                renew_at = clock.now() + RENEW_EVERY;
            }
        }
    }

    fn settle(
        &self,
        settler: &mut impl Settler,
        batch: &[Settlement],
        tally: &mut Tally,
        backoff: &mut Backoff,
    ) {
        let Self { give_up, clock, .. } = *self;
        let mut failing = false;
        loop {
            match settler.settle(batch) {
                Ok(()) => {
                    if failing {
                        tracing::info!("outcomes are recorded again");
                    }
                    backoff.reset();
                    for settlement in batch {
                        tally.add(settlement);
                        self.tell(settlement);
                    }
                    return;
                }
                Err(error) => {
                    if give_up.is_due(clock.now()) {
                        tracing::error!(%error, count = batch.len(), "outcomes could not be recorded; they stay pending");
                        give_up.leave(u64::try_from(batch.len()).unwrap_or(u64::MAX));
                        return;
                    }
                    if !std::mem::replace(&mut failing, true) {
                        let kind = if matches!(error, InboxError::Misconfigured(_)) {
                            "refused"
                        } else {
                            "unavailable"
                        };
                        tracing::warn!(%error, kind, "outcomes cannot be recorded; trying again");
                    }
                    std::thread::sleep(backoff.pause());
                }
            }
        }
    }

    /// Nobody waits for a strategy that does not listen.
    fn tell(&self, settlement: &Settlement) {
        let Settlement::Outcome(outcome) = settlement else { return };
        let Some(listener) = self.listeners.get(&outcome.strategy) else { return };
        if listener.try_send(outcome.clone()).is_err() {
            tracing::warn!(strategy = outcome.strategy, signal.id = %outcome.signal, "a strategy missed an outcome");
        }
    }
}
