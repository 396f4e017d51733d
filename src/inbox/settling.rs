//! How ends are recorded and what a lost answer means, what is renewed, and whether the strategies' books are still this
//! process's. Pure: it asks, and takes in answers.

use std::collections::HashSet;
use std::sync::Arc;

use super::books::{Beside, StrategyBooks, StrategyHolder};
use super::held::{EntryState, HeldEntries};
use super::{CallStep, InboxError, Keeper, KeptBooks, Settlement};
use crate::clock::Timestamp;
use crate::signal::EntryId;

/// What the stream is asked; each is answered by the [`SettleAnswer`] named.
#[derive(Debug)]
pub(super) enum SettleCommand<'a> {
    /// All of these ends in one transaction, if the strategies' holder is this one where one is named; what is booked is
    /// booked at that instant: `Settled`.
    Settle { ends: Vec<SettledEntry<'a>>, which: RecordKind, holder: Option<Arc<str>>, at: Timestamp },
    /// Which of these signals have their end on record, looked for from this millisecond of the stream on: `Recorded`.
    LookBack { signals: HashSet<String>, since_ms: i64 },
    /// The strategies' holder is asked for, or kept; some steps write books: `Held`.
    Hold { step: HoldStep, own: Arc<str>, kept: KeptBooks },
    /// That these entries are being worked on: `Done`.
    Renew(Vec<EntryId>),
    /// Who holds the strategies: `Holder`.
    FindHolder,
    /// The strategies' books: `Books`.
    ReadBooks,
    /// Delete these booked orders: `Done`.
    Forget(Vec<String>),
}

/// The end of one entry with what is written beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SettledEntry<'a> {
    pub(super) settlement: &'a Settlement,
    pub(super) beside: Beside<'a>,
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// What is pending, with what belongs to it.
    Pending,
    /// What was pending on a stream that is gone; the books were written back before.
    Emptied,
}

/// What is done with the hold on the strategies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HoldStep {
    /// Take them from nobody (empty), or from the former life whose value is given.
    Take(String),
    /// Go on.
    Keep,
    /// Go on, and write the books that are known.
    KeepWithBooks,
    /// Go on though the hold ran out or books were lost; all that is known is written.
    Again,
    /// End it.
    Leave,
}

/// What the stream answers.
#[derive(Debug)]
pub(super) enum SettleAnswer {
    /// The signals that were not pending; `None` when another process may hold the strategies and nothing was done.
    Settled(Option<HashSet<String>>),
    Recorded(HashSet<String>),
    /// Who is in the way, and then nothing was done; empty for nobody, where there was nothing to go on with.
    Held(Option<String>),
    /// The holder as it is written, and the instance's name; `None` when there is none.
    Holder(Option<(String, String)>),
    Books(KeptBooks),
    Done,
}

/// The settling half of one process, from its start to its end.
pub(super) struct StreamSettler {
    instance: String,
    consumer: String,
    held: HeldEntries,
    books: StrategyBooks,
    /// What is to be done with the hold before anything else.
    hold: Option<HoldStep>,
    stage: SettleStage,
}

/// How far a call got. After a failure it begins again: the whole batch is repeated, and what was done already is found to
/// be no longer pending.
#[derive(Default)]
enum SettleStage {
    #[default]
    Begin,
    /// The holder was not this process: once the hold was looked after, the batch is tried once more.
    Again,
    /// It was settled but for these signals, which were not pending.
    Settled(HashSet<String>),
    /// These have no end on record.
    Missing(HashSet<String>),
    Found(Option<(String, String)>),
    Taken,
    /// All but the old booked orders, which are forgotten.
    Forget,
    Kept,
    Over,
}

impl StreamSettler {
    pub(super) fn new(
        instance: String,
        consumer: String,
        held: HeldEntries,
        holding: StrategyHolder,
    ) -> Self {
        let (books, stage) = (StrategyBooks::new(holding), SettleStage::Begin);
        Self { instance, consumer, held, books, hold: None, stage }
    }

    /// The next step of [`super::Settler::settle`]. What is pending is settled; what is not was settled before (the answer
    /// was lost, or a peer took over), or its stream was emptied: only then it is recorded without an acknowledgement,
    /// and all books are written back.
    pub(super) fn settle<'a>(
        &mut self,
        batch: &'a [Settlement],
        now: Timestamp,
    ) -> CallStep<SettleCommand<'a>, ()> {
        if let Some(command) = self.hold_first() {
            return CallStep::Command(command);
        }
        match &self.stage {
            SettleStage::Missing(missing) => {
                let is_missing = |settlement: &&Settlement| missing.contains(settlement.entry().as_str());
                let ends = batch.iter().filter(is_missing).collect();
                return CallStep::Command(self.settle_ask(ends, RecordKind::Emptied, now));
            }
            SettleStage::Settled(absent) => {
                let absent = absent.clone();
                batch.iter().filter_map(Settlement::after).for_each(|after| self.books.note(after, now));
                if !absent.is_empty() {
                    let since_ms = earliest(&absent, now);
                    return CallStep::Command(SettleCommand::LookBack { signals: absent, since_ms });
                }
            }
            SettleStage::Over => {}
            SettleStage::Begin
            | SettleStage::Again
            | SettleStage::Found(_)
            | SettleStage::Taken
            | SettleStage::Forget
            | SettleStage::Kept => {
                // A loss that was recorded in the step that found it needs nothing more.
                let is_open = |settlement: &&Settlement| {
                    self.held.get(settlement.entry()) != Some(EntryState::Recorded)
                };
                let ends: Vec<_> = batch.iter().filter(is_open).collect();
                if !ends.is_empty() {
                    return CallStep::Command(self.settle_ask(ends, RecordKind::Pending, now));
                }
            }
        }
        for settlement in batch {
            self.held.remove(settlement.entry());
        }
        self.end(())
    }

    /// The next step of [`super::Settler::renew`].
    pub(super) fn renew(&mut self, now: Timestamp) -> CallStep<SettleCommand<'static>, ()> {
        if let Some(command) = self.hold_first() {
            return CallStep::Command(command);
        }
        if let SettleStage::Begin = self.stage {
            return CallStep::Command(SettleCommand::Renew(self.held.pending()));
        }
        self.forget(now).map_or_else(|| self.end(()), CallStep::Command)
    }

    /// The next step of [`super::Settler::take_books`]; `token` is random.
    pub(super) fn take(
        &mut self,
        names: &[String],
        token: &str,
        now: Timestamp,
    ) -> CallStep<SettleCommand<'static>, Keeper> {
        if let SettleStage::Found(found) = &mut self.stage {
            let former = match found.take() {
                Some((_, instance)) if instance != self.instance => return self.end(Keeper::Other(instance)),
                // A process of the same instance is dead: the state directory admits one.
                Some((former, _)) => former,
                None => String::new(),
            };
            self.books.name(&self.instance, &self.consumer, names, token);
            self.hold = Some(HoldStep::Take(former));
            self.stage = SettleStage::Taken;
        }
        if let Some(command) = self.hold_first() {
            return CallStep::Command(command);
        }
        if let SettleStage::Taken = self.stage {
            return CallStep::Command(SettleCommand::ReadBooks);
        }
        if let SettleStage::Begin = self.stage {
            return CallStep::Command(SettleCommand::FindHolder);
        }
        self.forget(now).map_or_else(|| self.end(Keeper::Us(self.books.kept())), CallStep::Command)
    }

    /// The next step of [`super::Settler::write_books`].
    pub(super) fn write_books(&mut self, kept: &KeptBooks) -> CallStep<SettleCommand<'static>, ()> {
        if let SettleStage::Begin = self.stage {
            self.keep(HoldStep::Keep);
            self.stage = SettleStage::Kept;
        }
        if let (SettleStage::Kept, None) = (&self.stage, &self.hold) {
            self.books.note_kept(kept);
            self.keep(HoldStep::KeepWithBooks);
            self.stage = SettleStage::Over;
        }
        self.hold_first().map_or_else(|| self.end(()), CallStep::Command)
    }

    /// Ends the hold, where there is one, and needs no answer.
    pub(super) fn leave(&self) -> Option<SettleCommand<'static>> {
        self.books.holds().then(|| self.hold_ask(HoldStep::Leave))
    }

    /// See [`super::Settler::has_lost_books`].
    pub(super) fn has_lost_books(&self) -> bool {
        self.books.are_lost()
    }

    /// Takes in the answer to what was asked last.
    ///
    /// # Errors
    /// The strategies changed hands meanwhile; as after any failure [`Self::disconnected`] is due.
    pub(super) fn on(&mut self, answer: SettleAnswer) -> Result<(), InboxError> {
        let stage = std::mem::take(&mut self.stage);
        self.stage = match (answer, stage) {
            (SettleAnswer::Settled(None), SettleStage::Begin) => {
                // The hold ran out, or Redis was emptied; or another process has the strategies now.
                self.keep(HoldStep::Keep);
                SettleStage::Again
            }
            (SettleAnswer::Settled(None), _) => return Err(changed_hands()),
            (SettleAnswer::Settled(Some(_)), SettleStage::Missing(_)) => SettleStage::Over,
            (SettleAnswer::Settled(Some(absent)), _) => SettleStage::Settled(absent),
            (SettleAnswer::Recorded(found), SettleStage::Settled(absent)) if absent.is_subset(&found) => {
                SettleStage::Over
            }
            (SettleAnswer::Recorded(found), SettleStage::Settled(mut absent)) => {
                absent.retain(|signal| !found.contains(signal));
                self.keep(HoldStep::KeepWithBooks);
                SettleStage::Missing(absent)
            }
            (SettleAnswer::Held(in_the_way), stage) => {
                self.on_held(in_the_way)?;
                stage
            }
            (SettleAnswer::Holder(found), _) => SettleStage::Found(found),
            (SettleAnswer::Books(kept), _) => {
                self.books.begin(&kept);
                SettleStage::Forget
            }
            (SettleAnswer::Done, SettleStage::Begin) => {
                self.keep(HoldStep::Keep);
                SettleStage::Forget
            }
            (SettleAnswer::Done | SettleAnswer::Recorded(_), _) => SettleStage::Over,
        };
        Ok(())
    }

    /// The answer to what was asked last is lost: whoever called may call again with the same.
    pub(super) fn disconnected(&mut self) {
        (self.hold, self.stage) = (None, SettleStage::Begin);
    }

    /// Where Redis lost the hold or the books they are written back, where another process took them they are lost.
    fn on_held(&mut self, in_the_way: Option<String>) -> Result<(), InboxError> {
        match (self.hold.take(), in_the_way) {
            (Some(HoldStep::Take(_)), Some(_)) => return Err(changed_hands()),
            (Some(HoldStep::Keep | HoldStep::KeepWithBooks), Some(other)) if other.is_empty() => {
                self.hold = Some(HoldStep::Again);
            }
            (Some(HoldStep::Again), None) => tracing::warn!(
                "the signal stream lost the strategies' books or their holder; they are written back"
            ),
            (_, Some(other)) => self.books.lose(&other),
            (_, None) => {}
        }
        Ok(())
    }

    /// The strategies are kept first, while they are this process's.
    fn keep(&mut self, step: HoldStep) {
        self.hold = self.books.holds().then_some(step);
    }

    fn hold_first(&self) -> Option<SettleCommand<'static>> {
        self.hold.clone().map(|step| self.hold_ask(step))
    }

    fn hold_ask(&self, step: HoldStep) -> SettleCommand<'static> {
        let kept = match step {
            HoldStep::KeepWithBooks | HoldStep::Again => self.books.kept(),
            HoldStep::Take(_) | HoldStep::Keep | HoldStep::Leave => KeptBooks::default(),
        };
        SettleCommand::Hold { step, own: self.books.own(), kept }
    }

    fn settle_ask<'a>(
        &mut self,
        batch: Vec<&'a Settlement>,
        which: RecordKind,
        at: Timestamp,
    ) -> SettleCommand<'a> {
        let end = |settlement: &'a Settlement| {
            let beside = settlement.after().map(|after| self.books.beside(after)).unwrap_or_default();
            let beside = match which {
                RecordKind::Pending => beside,
                // A later change of the same book may be written already.
                RecordKind::Emptied => Beside { next: beside.next, ..Beside::default() },
            };
            SettledEntry { settlement, beside }
        };
        let ends: Vec<_> = batch.into_iter().map(end).collect();
        let needs_holder = self.books.holds() && ends.iter().any(|end| end.settlement.after().is_some());
        SettleCommand::Settle { ends, which, holder: needs_holder.then(|| self.books.own()), at }
    }

    fn forget(&mut self, now: Timestamp) -> Option<SettleCommand<'static>> {
        Some(self.books.drop_old(now)).filter(|old| !old.is_empty()).map(SettleCommand::Forget)
    }

    fn end<A, T>(&mut self, value: T) -> CallStep<A, T> {
        self.stage = SettleStage::Begin;
        CallStep::Done(value)
    }
}

/// An end is recorded after its signal was sent; an id from the future says nothing of when that was.
fn earliest(signals: &HashSet<String>, now: Timestamp) -> i64 {
    let sent_at = |id: &String| EntryId::new(id).sent_at().filter(|sent_at| *sent_at < now);
    let earliest = signals.iter().map(|id| sent_at(id).map_or(0, Timestamp::millis)).min();
    earliest.unwrap_or(0).saturating_sub(60_000).max(0)
}

fn changed_hands() -> InboxError {
    InboxError::Unavailable("the strategies changed hands".to_owned())
}
