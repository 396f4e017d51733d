//! What this process knows of the strategies' books beside the stream, and whether the strategies are its own. Pure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{After, KeptBooks};
use crate::clock::Timestamp;
use crate::order::ClientOrderId;
use crate::signal::OWN;
use crate::units::Quantity;

/// Orders older than this do not come back: nobody need know that they are booked.
const BOOKED_FOR: Duration = Duration::from_hours(24);

/// How this process stands with the strategies; shared by the reading and the settling half.
#[derive(Debug, Clone, Default)]
pub(super) struct StrategyHolder(Arc<Mutex<Ownership>>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ownership {
    /// It did not take them.
    #[default]
    Without,
    /// They are this process's.
    Holds,
    /// They were, until another process took them.
    Lost,
}

impl StrategyHolder {
    pub(super) fn get(&self) -> Ownership {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, ownership: Ownership) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ownership;
    }
}

/// Who holds the strategies, as far as another process need know.
#[derive(Debug, Deserialize)]
pub(super) struct Holder {
    pub(super) instance: String,
}

/// What is written beside the end of one entry.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) next: &'a [(&'static str, String)],
    pub(super) books: &'a [(String, String)],
    /// Id and shares.
    pub(super) booked: Option<&'a (ClientOrderId, Quantity)>,
}

/// The books as this process knows them.
pub(super) struct StrategyBooks {
    /// This process as the holder; empty before it took the strategies.
    own: Arc<str>,
    holding: StrategyHolder,
    /// As last written or read, by strategy.
    texts: BTreeMap<String, String>,
    /// By client order id.
    booked: BTreeMap<String, (Quantity, Timestamp)>,
    has_told: bool,
}

impl StrategyBooks {
    pub(super) fn new(holding: StrategyHolder) -> Self {
        let (texts, booked) = (BTreeMap::new(), BTreeMap::new());
        Self { own: "".into(), holding, texts, booked, has_told: false }
    }

    pub(super) fn holds(&self) -> bool {
        self.holding.get() == Ownership::Holds
    }

    pub(super) fn are_lost(&self) -> bool {
        self.holding.get() == Ownership::Lost
    }

    /// The holder as it must be found.
    pub(super) fn own(&self) -> Arc<str> {
        Arc::clone(&self.own)
    }

    /// From now on this process names itself so: an instance, with its name in the group and a token of this life of it.
    pub(super) fn name(&mut self, instance: &str, consumer: &str, names: &[String], token: &str) {
        let holder = json!({"token": token, "instance": instance, "consumer": consumer, "names": names});
        self.own = holder.to_string().into();
    }

    /// What of `after` this process may write: a plain signal's next step always, the rest while it holds the strategies.
    pub(super) fn beside<'a>(&mut self, after: &'a After) -> Beside<'a> {
        let next = after.next.as_deref().unwrap_or_default();
        if self.holds() {
            return Beside { next, books: &after.books, booked: after.booked.as_ref() };
        }
        let is_own = next.iter().any(|(name, _)| *name == OWN);
        let is_kept_back = is_own || !after.books.is_empty() || after.booked.is_some();
        if is_kept_back && !std::mem::replace(&mut self.has_told, true) {
            tracing::error!(
                "this process does not hold the strategies: their books and next steps are not written"
            );
        }
        Beside { next: if is_own { &[] } else { next }, ..Beside::default() }
    }

    /// Remembers what was written beside an end, if the books are this process's.
    pub(super) fn note(&mut self, after: &After, now: Timestamp) {
        if self.holds() {
            self.texts.extend(after.books.iter().cloned());
            self.booked.extend(after.booked.iter().map(|(id, filled)| (id.to_string(), (*filled, now))));
        }
    }

    /// Remembers what is about to be written.
    pub(super) fn note_kept(&mut self, kept: &KeptBooks) {
        self.texts.extend(kept.books.iter().cloned());
        self.booked.extend(kept.booked.iter().map(|(id, filled, at)| (id.clone(), (*filled, *at))));
    }

    /// This process holds the strategies, with what was read.
    pub(super) fn begin(&mut self, kept: &KeptBooks) {
        self.texts.clear();
        self.booked.clear();
        self.note_kept(kept);
        self.has_told = false;
        self.holding.set(Ownership::Holds);
    }

    /// Forgets booked orders that are too old to come back, and names them.
    pub(super) fn drop_old(&mut self, now: Timestamp) -> Vec<String> {
        self.booked.extract_if(.., |_, (_, at)| now.since(*at) >= BOOKED_FOR).map(|(id, _)| id).collect()
    }

    /// All that is known.
    pub(super) fn kept(&self) -> KeptBooks {
        let booked = self.booked.iter().map(|(id, (filled, at))| (id.clone(), *filled, *at));
        KeptBooks { books: self.texts.clone().into_iter().collect(), booked: booked.collect() }
    }

    /// Another process has the strategies: this one was silent for too long.
    pub(super) fn lose(&mut self, to: &str) {
        let instance =
            serde_json::from_str(to).map_or_else(|_| to.to_owned(), |holder: Holder| holder.instance);
        tracing::error!(instance, "another process took the strategies; this one writes their books no more");
        self.has_told = true;
        self.holding.set(Ownership::Lost);
    }
}
