//! What this process was given and has not settled: shared by the reading and the settling half.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::signal::EntryId;

/// How an entry that is held stands with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryState {
    /// Pending: settling it records its outcome.
    Pending,
    /// A loss whose outcome was recorded in the step that found it: settling it records nothing more.
    Recorded,
}

/// The entries held, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldEntries(Arc<Mutex<HashMap<EntryId, EntryState>>>);

impl HeldEntries {
    /// False when it is held already.
    pub(super) fn add(&self, id: &EntryId, hold: EntryState) -> bool {
        self.lock().insert(id.clone(), hold).is_none()
    }

    pub(super) fn get(&self, id: &EntryId) -> Option<EntryState> {
        self.lock().get(id).copied()
    }

    pub(super) fn remove(&self, id: &EntryId) {
        self.lock().remove(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The ids that the stream should know to be worked on.
    pub(super) fn pending(&self) -> Vec<EntryId> {
        let pending =
            |(id, hold): (&EntryId, &EntryState)| (*hold == EntryState::Pending).then(|| id.clone());
        self.lock().iter().filter_map(pending).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntryId, EntryState>> {
        // Each change is one call on the map: a panic elsewhere cannot have left it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
