//! The strategies' books as they are kept: in the step that settles a signal, and once more in the state directory.
//!
//! What is kept moves with what is settled, in that order, and not with what is decided: a crash loses neither a fill nor
//! takes one twice, because an entry that is not settled comes again.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::desk::Booked;
use crate::inbox::{KeptBooks, Settlement};
use crate::order::ClientOrderId;
use crate::portfolio::StrategyBook;
use crate::strategy_threads::KeptState;
use crate::units::Quantity;

/// One book with the number of its last change; the higher number is the newer one.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Numbered {
    version: u64,
    book: StrategyBook,
}

/// One line of the journal.
#[derive(Debug, Serialize, Deserialize)]
struct JournalLine {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    book: Option<Numbered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<(String, Quantity)>,
}

/// Keeps the books of a run's strategies.
#[derive(Debug, Default)]
pub(super) struct BookKeeper {
    /// In the order of the manifest.
    books: Vec<Numbered>,
    /// The places of those that changed and go along with no end.
    unwritten: BTreeSet<usize>,
    journal: Option<Journal>,
}

/// A file in the state directory that the books are appended to.
#[derive(Debug)]
struct Journal {
    file: File,
    path: PathBuf,
    failing: bool,
}

/// What is known of books from before this process.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// By strategy.
    books: HashMap<String, Numbered>,
    /// What they took of orders of the last day.
    pub booked: HashMap<ClientOrderId, Booked>,
    /// The last change that is known.
    pub last_at: Option<Timestamp>,
    /// The state directory knows more than the stream: what was pending there is lost too.
    pub has_lost_signals: bool,
}

const JOURNAL: &str = "books.jsonl";
/// Orders older than this do not come back.
const BOOKED_FOR: Duration = Duration::from_hours(24);

impl Restored {
    /// What is kept beside the stream, and in the state directory, where there is one; the newer of each wins.
    ///
    /// # Errors
    /// A state directory that cannot be read.
    pub(super) fn read(kept: &KeptBooks, state: Option<&Path>, now: Timestamp) -> io::Result<Self> {
        let mut restored = Self::default();
        for (strategy, text) in &kept.books {
            match serde_json::from_str(text) {
                Ok(book) => {
                    restored.take(book);
                }
                Err(error) => {
                    tracing::error!(strategy, %error, "a book beside the stream cannot be read and is left out");
                }
            }
        }
        for (id, filled, at) in &kept.booked {
            restored.take_order(id, *filled, *at, now);
        }
        if let Some(state) = state {
            restored.read_journal(&state.join(JOURNAL), now)?;
        }
        Ok(restored)
    }

    /// The book of a strategy, where one is known.
    pub(super) fn book(&self, strategy: &str) -> Option<&StrategyBook> {
        self.books.get(strategy).map(|numbered| &numbered.book)
    }

    /// The names of all books that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.books.keys().map(String::as_str)
    }

    fn read_journal(&mut self, path: &Path, now: Timestamp) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for line in BufReader::new(file).lines() {
            // A line that a crash tore is the last one.
            let Ok(JournalLine { at, book, order }) = serde_json::from_str(&line?) else { continue };
            if let Some(book) = book {
                self.has_lost_signals |= self.take(book);
            }
            if let Some((id, filled)) = order {
                self.take_order(&id, filled, at, now);
            }
            self.last_at = self.last_at.max(Some(at));
        }
        Ok(())
    }

    /// True when it is newer than what is known.
    fn take(&mut self, book: Numbered) -> bool {
        let is_newer = self.books.get(book.book.name()).is_none_or(|known| book.version > known.version);
        if is_newer {
            self.books.insert(book.book.name().to_owned(), book);
        }
        is_newer
    }

    fn take_order(&mut self, id: &str, filled: Quantity, at: Timestamp, now: Timestamp) {
        self.last_at = self.last_at.max(Some(at));
        if now.since(at) >= BOOKED_FOR {
            return;
        }
        if let Ok(id) = ClientOrderId::shared(id.into()) {
            let known = self.booked.entry(id).or_insert(Booked { filled, at });
            known.filled = known.filled.max(filled);
        }
    }
}

impl BookKeeper {
    /// Keeps `books`, which go on from what was restored; `state` is the directory of the journal.
    ///
    /// # Errors
    /// A state directory that cannot be written.
    pub(super) fn open(
        books: Vec<StrategyBook>,
        restored: &Restored,
        state: Option<&Path>,
        now: Timestamp,
    ) -> io::Result<Self> {
        let version = |book: &StrategyBook| restored.books.get(book.name()).map_or(0, |known| known.version);
        let mut numbered: Vec<Numbered> =
            books.into_iter().map(|book| Numbered { version: version(&book), book }).collect();
        for book in &mut numbered {
            book.version += 1;
        }
        let mut keeper = Self { books: numbered, unwritten: BTreeSet::new(), journal: None };
        if let Some(state) = state {
            keeper.journal = Some(Journal::begin(&state.join(JOURNAL), &keeper.books, restored, now)?);
        }
        Ok(keeper)
    }

    /// All books as they stand, to be written beside the stream.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.books.iter().map(|book| (book.book.name().to_owned(), text(book))).collect()
    }

    /// Puts the strategies' states, by place, into their books as they are now.
    pub(super) fn take_states(&mut self, states: &[KeptState]) {
        for (place, (numbered, state)) in self.books.iter_mut().zip(states).enumerate() {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if state.is_some_and(|state| numbered.book.keep_state(&state)) {
                numbered.version += 1;
                self.unwritten.insert(place);
            }
        }
    }

    /// Books that changed, and not by an end that takes them along.
    pub(super) fn unwritten(&self) -> Vec<(String, String)> {
        let books = self.unwritten.iter().filter_map(|place| self.books.get(*place));
        books.map(|book| (book.book.name().to_owned(), text(book))).collect()
    }

    /// These books are beside the stream: they are written down in the state directory as well.
    pub(super) fn wrote(&mut self, books: &[(String, String)], now: Timestamp) {
        self.unwritten.clear();
        let Some(journal) = &mut self.journal else { return };
        let mut lines = String::new();
        for (_, book) in books {
            lines.extend(["{\"at\":\"", &now.to_string(), "\",\"book\":", book, "}\n"]);
        }
        journal.append(&lines);
    }

    /// Moves the books by what a signal's end changed, and puts them as they stand then beside the outcome.
    pub(super) fn note(&mut self, settlement: &mut Settlement) {
        let Settlement::Followed { after, .. } = settlement else { return };
        for change in &after.changes {
            let Some(numbered) = self.books.get_mut(change.strategy) else { continue };
            numbered.book.apply(change);
            numbered.version += 1;
        }
        let mut changed: Vec<usize> = after.changes.iter().map(|change| change.strategy).collect();
        changed.sort_unstable();
        changed.dedup();
        self.unwritten.retain(|place| !changed.contains(place));
        let books = changed.into_iter().filter_map(|place| self.books.get(place));
        after.books = books.map(|book| (book.book.name().to_owned(), text(book))).collect();
    }

    /// What was settled is written down in the state directory as well.
    pub(super) fn kept(&mut self, batch: &[Settlement], now: Timestamp) {
        let Some(journal) = &mut self.journal else { return };
        let mut lines = String::new();
        for after in batch.iter().filter_map(Settlement::after) {
            for (name, book) in &after.books {
                let is_last = |numbered: &&Numbered| numbered.book.name() == name;
                if self.books.iter().any(|numbered| is_last(&numbered)) {
                    lines.extend(["{\"at\":\"", &now.to_string(), "\",\"book\":", book, "}\n"]);
                }
            }
            if let Some((id, filled)) = &after.booked {
                let order = Some((id.to_string(), *filled));
                lines.push_str(&line(&JournalLine { at: now, book: None, order }));
            }
        }
        journal.append(&lines);
    }
}

impl Journal {
    /// Begins it with what is known now, so that it does not grow for ever.
    fn begin(path: &Path, books: &[Numbered], restored: &Restored, now: Timestamp) -> io::Result<Self> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        let mut lines = String::new();
        for book in books.iter().chain(others(books, restored)) {
            lines.push_str(&line(&JournalLine { at: now, book: Some(book.clone()), order: None }));
        }
        for (id, booked) in &restored.booked {
            let order = Some((id.to_string(), booked.filled));
            lines.push_str(&line(&JournalLine { at: booked.at, book: None, order }));
        }
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { file, path: path.to_owned(), failing: false })
    }

    fn append(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        match self.file.write_all(lines.as_bytes()) {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                let path = self.path.display();
                tracing::error!(%path, %error, "books cannot be kept in the state directory; those beside the stream are");
            }
            Err(_) => {}
        }
    }
}

/// Books of strategies that this run does not have: they are theirs all the same.
fn others<'a>(books: &'a [Numbered], restored: &'a Restored) -> impl Iterator<Item = &'a Numbered> {
    restored.books.values().filter(|known| books.iter().all(|book| book.book.name() != known.book.name()))
}

fn text(book: &Numbered) -> String {
    serde_json::to_string(book).unwrap_or_default() // Texts and numbers are always JSON.
}

fn line(line: &JournalLine) -> String {
    serde_json::to_string(line).unwrap_or_default() + "\n"
}
