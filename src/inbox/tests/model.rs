//! A small model of the stream, its group and the keys beside it: what Redis and the scripts do, one step at a time.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::clock::Timestamp;
use crate::inbox::reading::{self, Loss, Pending, RawEntry, Whose};
use crate::inbox::settling::{self, HoldStep, RecordKind, SettledEntry};
use crate::inbox::{InboxError, KeptBooks};
use crate::signal::EntryId;

use super::{LEASE, number};

/// So few pending entries are on a page, so that walks turn pages.
const PAGE_LEN: usize = 2;

#[derive(Default)]
pub(super) struct Server {
    /// Which life of the stream this is.
    pub(super) life: u64,
    pub(super) now: Timestamp,
    last: u64,
    /// What is on the stream, and whether it is a strategy's own.
    pub(super) entries: BTreeMap<u64, bool>,
    group: Option<Group>,
    /// Whose end is recorded, in order.
    pub(super) recorded: Vec<u64>,
    /// Whose next step was sent, in order.
    pub(super) followed: Vec<u64>,
    /// The value, and the consumer's name.
    pub(super) holder: Option<(String, String)>,
    last_holder: Option<String>,
    pub(super) book: Option<String>,
    epoch: Option<u64>,
}

#[derive(Default)]
struct Group {
    delivered: u64,
    pending: BTreeMap<u64, Given>,
    /// Deleted before anybody was given them, and not recorded.
    missing: BTreeSet<u64>,
}

struct Given {
    consumer: String,
    at: Timestamp,
    deliveries: u64,
}

impl Server {
    pub(super) fn send(&mut self, is_own: bool) {
        self.last += 1;
        self.entries.insert(self.last, is_own);
    }

    /// Deletes the entry at this place among those there are.
    pub(super) fn delete(&mut self, place: usize) {
        let Some(id) = self.entries.keys().nth(place % self.entries.len().max(1)).copied() else { return };
        self.entries.remove(&id);
        if let Some(group) = self.group.as_mut().filter(|group| id > group.delivered) {
            group.missing.insert(id);
        }
    }

    /// Empties all of it.
    pub(super) fn flush(&mut self) {
        *self = Self { now: self.now, last: self.last, life: self.life + 1, ..Self::default() };
    }

    /// What is pending of one consumer and on the stream, but for strategies' own signals.
    pub(super) fn plain_pending_of(&self, consumer: &str) -> impl Iterator<Item = u64> {
        let pending = self.group.iter().flat_map(|group| &group.pending);
        let own = pending.filter(move |(_, given)| given.consumer == consumer).map(|(id, _)| *id);
        own.filter(|id| self.entries.get(id) == Some(&false))
    }

    pub(super) fn read(
        &mut self,
        command: reading::ReadCommand,
        consumer: &str,
    ) -> Result<reading::ReadAnswer, InboxError> {
        use reading::{ReadAnswer as Answer, ReadCommand as Command};
        if let Command::Connect { .. } = command {
            self.group.get_or_insert_default();
            let epoch = self.epoch.get_or_insert(self.life).to_string();
            return Ok(Answer::Connected { epoch, offset_nanos: 0 });
        }
        let with_loss_check = matches!(
            command,
            Command::LossCheck | Command::Group | Command::ReadNew { with_loss_check: true, .. }
        );
        let lost = if with_loss_check { self.check_losses() } else { None };
        let (now, holder) = (self.now, self.holder.clone().map(|(_, consumer)| consumer));
        let Some(group) = &mut self.group else {
            let gone = InboxError::Unavailable("NOGROUP".to_owned());
            let is_read = matches!(command, Command::ReadNew { .. });
            return if is_read { Ok(Answer::New { lost, entries: Err(gone) }) } else { Err(gone) };
        };
        let body = |id: &u64| body(&self.entries, *id);
        Ok(match command {
            Command::Connect { .. } | Command::LossCheck => Answer::Checked(lost),
            Command::CompareClocks => Answer::Offset(0),
            Command::ListPending { whose, after } => {
                let after = after.map_or(0, |after| number(&after));
                let is_listed = |given: &Given| match whose {
                    Whose::Own => given.consumer == consumer,
                    Whose::LeftBehind => now.since(given.at) >= LEASE,
                };
                let listed = group.pending.range(after + 1..).filter(|(_, given)| is_listed(given));
                let pending = |(id, given): (&u64, &Given)| Pending {
                    id: format!("{id}-0"),
                    consumer: given.consumer.clone(),
                    idle: now.since(given.at),
                };
                Answer::Listed(listed.take(PAGE_LEN).map(pending).collect())
            }
            Command::Take { whose, ids } => {
                let mut taken = Vec::new();
                for id in ids.iter().map(|id| number(id)) {
                    let Some(given) = group.pending.get_mut(&id) else { continue };
                    if whose == Whose::LeftBehind && now.since(given.at) < LEASE {
                        continue;
                    }
                    let entry = body(&id);
                    if entry.1.is_some() {
                        let deliveries = given.deliveries + 1;
                        *given = Given { consumer: consumer.to_owned(), at: now, deliveries };
                    }
                    taken.push((entry, given.deliveries));
                }
                Answer::Taken(taken)
            }
            Command::HandOver { id, deliveries } => {
                let id = number(id.as_str());
                let given = group.pending.get_mut(&id).filter(|given| given.consumer == consumer);
                let to = holder.filter(|holder| holder != consumer && self.entries.contains_key(&id));
                Answer::HandedOver(match (given, to) {
                    (Some(given), Some(to)) => {
                        let deliveries = if deliveries == 1 { 0 } else { given.deliveries };
                        *given = Given { consumer: to, at: now, deliveries };
                        true
                    }
                    _ => false,
                })
            }
            Command::ReadNew { count, .. } => {
                let new = self.entries.range(group.delivered + 1..).map(|(id, _)| *id).take(count);
                let new: Vec<u64> = new.collect();
                for id in &new {
                    group.delivered = *id;
                    let given = Given { consumer: consumer.to_owned(), at: now, deliveries: 1 };
                    group.pending.insert(*id, given);
                }
                let epoch = self.epoch.map(|epoch| epoch.to_string());
                Answer::New { lost, entries: Ok((new.iter().map(body).collect(), epoch)) }
            }
            Command::Group => {
                let pending = i64::try_from(group.pending.len()).unwrap();
                let newest = self.entries.keys().last().map(|id| format!("{id}-0"));
                Answer::Group { lost, pending, delivered: format!("{}-0", group.delivered), newest }
            }
            Command::Reread(ids) => {
                let found = |id: &EntryId| Some(body(&number(id.as_str()))).filter(|entry| entry.1.is_some());
                Answer::Reread(ids.iter().map(found).collect())
            }
        })
    }

    pub(super) fn settle(
        &mut self,
        command: settling::SettleCommand<'_>,
        consumer: &str,
    ) -> settling::SettleAnswer {
        use settling::{SettleAnswer as Answer, SettleCommand as Command};
        match command {
            Command::Settle { ends, which, holder, .. } => {
                let held_by = self.holder.as_ref().map(|(value, _)| &**value);
                if holder.as_deref().is_some_and(|holder| held_by != Some(holder)) {
                    return Answer::Settled(None);
                }
                let absent = ends.iter().filter(|end| !self.settle_one(end, which));
                Answer::Settled(Some(absent.map(|end| end.settlement.entry().to_string()).collect()))
            }
            Command::LookBack { signals, .. } => {
                let recorded: HashSet<String> = self.recorded.iter().map(|id| format!("{id}-0")).collect();
                Answer::Recorded(signals.intersection(&recorded).cloned().collect())
            }
            Command::Hold { step, own, kept } => Answer::Held(self.hold(&step, &own, &kept, consumer)),
            Command::Renew(ids) => {
                for id in ids.iter().map(|id| number(id.as_str())) {
                    let given = self.group.as_mut().and_then(|group| group.pending.get_mut(&id));
                    let given = given.filter(|given| given.consumer == consumer);
                    if let Some(given) = given.filter(|_| self.entries.contains_key(&id)) {
                        given.at = self.now;
                    }
                }
                Answer::Done
            }
            Command::FindHolder => Answer::Holder(self.holder.clone()),
            Command::ReadBooks => {
                let books = self.book.iter().map(|book| ("trend".to_owned(), book.clone())).collect();
                Answer::Books(KeptBooks { books, booked: Vec::new() })
            }
            Command::Forget(_) => Answer::Done,
        }
    }

    fn check_losses(&mut self) -> Loss {
        let missing = std::mem::take(&mut self.group.as_mut()?.missing);
        let newest = *missing.last()?;
        self.recorded.push(newest);
        Some((format!("{newest}-0"), "trimmed".to_owned()))
    }

    /// False when it is not pending and nothing was done.
    fn settle_one(&mut self, end: &SettledEntry<'_>, which: RecordKind) -> bool {
        let id = number(end.settlement.entry().as_str());
        let was_pending = self.group.as_mut().is_some_and(|group| group.pending.remove(&id).is_some());
        if !was_pending && which == RecordKind::Pending {
            return false;
        }
        self.recorded.push(id);
        if let Some((_, book)) = end.beside.books.last() {
            self.book = Some(book.clone());
        }
        if !end.beside.next.is_empty() {
            self.followed.push(id);
            self.send(false);
        }
        true
    }

    /// As `hold.lua`.
    fn hold(&mut self, step: &HoldStep, own: &str, kept: &KeptBooks, consumer: &str) -> Option<String> {
        let found = self.holder.as_ref().map_or("", |(value, _)| value).to_owned();
        let last = self.last_holder.clone();
        match step {
            HoldStep::Take(former) if found != *former => return Some(found),
            HoldStep::Keep | HoldStep::KeepWithBooks | HoldStep::Leave if found != own => return Some(found),
            HoldStep::Again if found != own && !found.is_empty() => return Some(found),
            HoldStep::Keep | HoldStep::KeepWithBooks if last.as_deref() != Some(own) => {
                return Some(String::new());
            }
            HoldStep::Again if last.as_ref().is_some_and(|last| last != own) => return last,
            HoldStep::Leave => {
                self.holder = None;
                return None;
            }
            HoldStep::Take(_) | HoldStep::Keep | HoldStep::KeepWithBooks | HoldStep::Again => {}
        }
        self.last_holder = Some(own.to_owned());
        if let Some((_, book)) = kept.books.last() {
            self.book = Some(book.clone());
        }
        self.holder = Some((own.to_owned(), consumer.to_owned()));
        None
    }
}

fn body(entries: &BTreeMap<u64, bool>, id: u64) -> RawEntry {
    let own = |is_own: &bool| vec![(b"book".to_vec(), if *is_own { b"own".to_vec() } else { Vec::new() })];
    (format!("{id}-0"), entries.get(&id).map(own))
}
