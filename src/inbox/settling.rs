//! How ends are recorded and what a lost answer means, what is renewed, and whether the strategies' books are still this
//! process's. Pure: it asks, and takes in answers.

use std::collections::HashSet;
use std::sync::Arc;

use super::books::{Beside, Books, Holding};
use super::held::{Held, Hold};
use super::{InboxError, Keeper, KeptBooks, Settlement, Step};
use crate::clock::Timestamp;
use crate::signal::EntryId;

/// What the stream is asked; each is answered by the [`Answer`] named.
#[derive(Debug)]
pub(super) enum Command<'a> {
    /// All of these ends in one transaction, if the strategies' holder is this one where one is named; what is booked is
    /// booked at that instant: `Settled`.
    Settle { ends: Vec<End<'a>>, which: Which, holder: Option<Arc<str>>, at: Timestamp },
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
pub(super) struct End<'a> {
    pub(super) settlement: &'a Settlement,
    pub(super) beside: Beside<'a>,
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
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
pub(super) enum Answer {
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
pub(super) struct Settling {
    instance: String,
    consumer: String,
    held: Held,
    books: Books,
    /// What is to be done with the hold before anything else.
    hold: Option<HoldStep>,
    stage: Stage,
}

/// How far a call got. After a failure it begins again: the whole batch is repeated, and what was done already is found to
/// be no longer pending.
#[derive(Default)]
enum Stage {
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

impl Settling {
    pub(super) fn new(instance: String, consumer: String, held: Held, holding: Holding) -> Self {
        let (books, stage) = (Books::new(holding), Stage::Begin);
        Self { instance, consumer, held, books, hold: None, stage }
    }

    /// The next step of [`super::Settler::settle`]. What is pending is settled; what is not was settled before (the answer
    /// was lost, or a peer took over), or its stream was emptied: only then it is recorded without an acknowledgement,
    /// and all books are written back.
    pub(super) fn settle<'a>(&mut self, batch: &'a [Settlement], now: Timestamp) -> Step<Command<'a>, ()> {
        if let Some(command) = self.hold_first() {
            return Step::Command(command);
        }
        match &self.stage {
            Stage::Missing(missing) => {
                let is_missing = |settlement: &&Settlement| missing.contains(settlement.entry().as_str());
                let ends = batch.iter().filter(is_missing).collect();
                return Step::Command(self.settle_ask(ends, Which::Emptied, now));
            }
            Stage::Settled(absent) => {
                let absent = absent.clone();
                batch.iter().filter_map(Settlement::after).for_each(|after| self.books.note(after, now));
                if !absent.is_empty() {
                    let since_ms = earliest(&absent, now);
                    return Step::Command(Command::LookBack { signals: absent, since_ms });
                }
            }
            Stage::Over => {}
            Stage::Begin | Stage::Again | Stage::Found(_) | Stage::Taken | Stage::Forget | Stage::Kept => {
                // A loss that was recorded in the step that found it needs nothing more.
                let is_open =
                    |settlement: &&Settlement| self.held.get(settlement.entry()) != Some(Hold::Recorded);
                let ends: Vec<_> = batch.iter().filter(is_open).collect();
                if !ends.is_empty() {
                    return Step::Command(self.settle_ask(ends, Which::Pending, now));
                }
            }
        }
        for settlement in batch {
            self.held.remove(settlement.entry());
        }
        self.end(())
    }

    /// The next step of [`super::Settler::renew`].
    pub(super) fn renew(&mut self, now: Timestamp) -> Step<Command<'static>, ()> {
        if let Some(command) = self.hold_first() {
            return Step::Command(command);
        }
        if let Stage::Begin = self.stage {
            return Step::Command(Command::Renew(self.held.pending()));
        }
        self.forget(now).map_or_else(|| self.end(()), Step::Command)
    }

    /// The next step of [`super::Settler::take_books`]; `token` is random.
    pub(super) fn take(
        &mut self,
        names: &[String],
        token: &str,
        now: Timestamp,
    ) -> Step<Command<'static>, Keeper> {
        if let Stage::Found(found) = &mut self.stage {
            let former = match found.take() {
                Some((_, instance)) if instance != self.instance => return self.end(Keeper::Other(instance)),
                // A process of the same instance is dead: the state directory admits one.
                Some((former, _)) => former,
                None => String::new(),
            };
            self.books.name(&self.instance, &self.consumer, names, token);
            self.hold = Some(HoldStep::Take(former));
            self.stage = Stage::Taken;
        }
        if let Some(command) = self.hold_first() {
            return Step::Command(command);
        }
        if let Stage::Taken = self.stage {
            return Step::Command(Command::ReadBooks);
        }
        if let Stage::Begin = self.stage {
            return Step::Command(Command::FindHolder);
        }
        self.forget(now).map_or_else(|| self.end(Keeper::Us(self.books.kept())), Step::Command)
    }

    /// The next step of [`super::Settler::write_books`].
    pub(super) fn write_books(&mut self, kept: &KeptBooks) -> Step<Command<'static>, ()> {
        if let Stage::Begin = self.stage {
            self.keep(HoldStep::Keep);
            self.stage = Stage::Kept;
        }
        if let (Stage::Kept, None) = (&self.stage, &self.hold) {
            self.books.note_kept(kept);
            self.keep(HoldStep::KeepWithBooks);
            self.stage = Stage::Over;
        }
        self.hold_first().map_or_else(|| self.end(()), Step::Command)
    }

    /// Ends the hold, where there is one, and needs no answer.
    pub(super) fn leave(&self) -> Option<Command<'static>> {
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
    pub(super) fn on(&mut self, answer: Answer) -> Result<(), InboxError> {
        let stage = std::mem::take(&mut self.stage);
        self.stage = match (answer, stage) {
            (Answer::Settled(None), Stage::Begin) => {
                // The hold ran out, or Redis was emptied; or another process has the strategies now.
                self.keep(HoldStep::Keep);
                Stage::Again
            }
            (Answer::Settled(None), _) => return Err(changed_hands()),
            (Answer::Settled(Some(_)), Stage::Missing(_)) => Stage::Over,
            (Answer::Settled(Some(absent)), _) => Stage::Settled(absent),
            (Answer::Recorded(found), Stage::Settled(absent)) if absent.is_subset(&found) => Stage::Over,
            (Answer::Recorded(found), Stage::Settled(mut absent)) => {
                absent.retain(|signal| !found.contains(signal));
                self.keep(HoldStep::KeepWithBooks);
                Stage::Missing(absent)
            }
            (Answer::Held(in_the_way), stage) => {
                self.on_held(in_the_way)?;
                stage
            }
            (Answer::Holder(found), _) => Stage::Found(found),
            (Answer::Books(kept), _) => {
                self.books.begin(&kept);
                Stage::Forget
            }
            (Answer::Done, Stage::Begin) => {
                self.keep(HoldStep::Keep);
                Stage::Forget
            }
            (Answer::Done | Answer::Recorded(_), _) => Stage::Over,
        };
        Ok(())
    }

    /// The answer to what was asked last is lost: whoever called may call again with the same.
    pub(super) fn disconnected(&mut self) {
        (self.hold, self.stage) = (None, Stage::Begin);
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

    fn hold_first(&self) -> Option<Command<'static>> {
        self.hold.clone().map(|step| self.hold_ask(step))
    }

    fn hold_ask(&self, step: HoldStep) -> Command<'static> {
        let kept = match step {
            HoldStep::KeepWithBooks | HoldStep::Again => self.books.kept(),
            HoldStep::Take(_) | HoldStep::Keep | HoldStep::Leave => KeptBooks::default(),
        };
        Command::Hold { step, own: self.books.own(), kept }
    }

    fn settle_ask<'a>(&mut self, batch: Vec<&'a Settlement>, which: Which, at: Timestamp) -> Command<'a> {
        let end = |settlement: &'a Settlement| {
            let beside = settlement.after().map(|after| self.books.beside(after)).unwrap_or_default();
            let beside = match which {
                Which::Pending => beside,
                // A later change of the same book may be written already.
                Which::Emptied => Beside { next: beside.next, ..Beside::default() },
            };
            End { settlement, beside }
        };
        let ends: Vec<_> = batch.into_iter().map(end).collect();
        let needs_holder = self.books.holds() && ends.iter().any(|end| end.settlement.after().is_some());
        Command::Settle { ends, which, holder: needs_holder.then(|| self.books.own()), at }
    }

    fn forget(&mut self, now: Timestamp) -> Option<Command<'static>> {
        Some(self.books.drop_old(now)).filter(|old| !old.is_empty()).map(Command::Forget)
    }

    fn end<A, T>(&mut self, value: T) -> Step<A, T> {
        self.stage = Stage::Begin;
        Step::Done(value)
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
