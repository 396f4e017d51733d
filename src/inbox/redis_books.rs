//! The strategies' books on Redis: which process holds the strategies, and what this one knows of their books.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, Value};
use serde::{Deserialize, Serialize};

use super::link::RedisFault;
use super::redis_stream::RedisConfig;
use super::reply::{self, expect};
use super::{After, KeptBooks};
use crate::clock::Timestamp;
use crate::signal::OWN;
use crate::units::Quantity;

/// How long a process may be silent before another one may take the strategies.
const HOLD: Duration = Duration::from_secs(30);
/// Orders older than this do not come back: nobody need know that they are booked.
const BOOKED_FOR: Duration = Duration::from_hours(24);

/// How this process stands with the strategies; shared by the reading and the settling half.
#[derive(Debug, Clone, Default)]
pub(super) struct Holding(Arc<Mutex<Standing>>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It did not take them.
    #[default]
    Without,
    /// They are this process's.
    Holds,
    /// They were, until another process took them.
    Lost,
}

impl Holding {
    pub(super) fn get(&self) -> Standing {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

/// The value of the key that names who holds the strategies.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    /// Of one life of one process.
    token: String,
    instance: String,
    /// Its name in the group.
    consumer: String,
    /// The strategies.
    names: Vec<String>,
}

/// What is done with the hold on the strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldStep<'a> {
    /// Take them from nobody (empty), or from the former life whose value is given.
    Take(&'a str),
    /// Go on.
    Keep,
    /// Go on, and write the books that are known.
    KeepWithBooks,
    /// Go on though the hold ran out or books were lost; all that is known is written.
    Again,
    /// End it.
    Leave,
}

/// What is written beside the end of one entry.
#[derive(Debug, Default)]
pub(super) struct Beside<'a> {
    pub(super) next: &'a [(&'static str, String)],
    pub(super) books: &'a [(String, String)],
    /// Id, and shares with when they were booked.
    pub(super) booked: Option<(String, String)>,
}

/// The books as this process knows them, and the keys where they are.
pub(super) struct RedisBooks {
    holder_key: String,
    books_key: String,
    booked_key: String,
    instance: String,
    consumer: String,
    /// The holder key's value while this process holds the strategies; empty before it took them.
    own: String,
    holding: Holding,
    /// As last written or read, by strategy.
    books: BTreeMap<String, String>,
    /// By client order id.
    booked: BTreeMap<String, (Quantity, Timestamp)>,
    has_told: bool,
}

impl RedisBooks {
    pub(super) fn new(config: &RedisConfig, holding: Holding) -> Self {
        Self {
            holder_key: config.group_key("strategies"),
            books_key: config.group_key("books"),
            booked_key: config.group_key("booked"),
            instance: config.instance.clone(),
            consumer: config.consumer.clone(),
            own: String::new(),
            holding,
            books: BTreeMap::new(),
            booked: BTreeMap::new(),
            has_told: false,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.holding.get()
    }

    /// Asks who holds the strategies.
    pub(super) fn find_holder(&self) -> Cmd {
        redis::cmd("GET").arg(&self.holder_key).clone()
    }

    /// The name of the other instance that holds the strategies; `None` when this one may take them.
    pub(super) fn other_instance(&self, found: &str) -> Result<Option<String>, RedisFault> {
        if found.is_empty() {
            return Ok(None);
        }
        let holder = serde_json::from_str(found).map_err(|error| {
            let key = &self.holder_key;
            RedisFault::Misused(format!(
                "{key} must be who runs the strategies, was \"{found:.80}\" ({error})"
            ))
        });
        // A process of the same instance is dead: the state directory admits one.
        holder.map(|holder: Holder| Some(holder.instance).filter(|instance| *instance != self.instance))
    }

    /// From now on this process names itself so.
    pub(super) fn name(&mut self, token: String, strategies: &[String]) -> Result<(), RedisFault> {
        let (instance, consumer) = (self.instance.clone(), self.consumer.clone());
        let holder = Holder { token, instance, consumer, names: strategies.to_vec() };
        self.own = serde_json::to_string(&holder).map_err(|error| RedisFault::Misused(error.to_string()))?;
        Ok(())
    }

    /// The call of `hold.lua`, whose name on the server is `script`.
    pub(super) fn hold(&self, script: &str, step: HoldStep<'_>) -> Cmd {
        let (what, former, with_books) = match step {
            HoldStep::Take(former) => ("take", former, false),
            HoldStep::Keep => ("keep", "", false),
            HoldStep::KeepWithBooks => ("keep", "", true),
            HoldStep::Again => ("again", "", true),
            HoldStep::Leave => ("leave", "", false),
        };
        let mut hold = redis::cmd("EVALSHA");
        hold.arg(script).arg(3).arg(&self.holder_key).arg(&self.books_key).arg(&self.booked_key);
        hold.arg(what).arg(&self.own).arg(former).arg(HOLD.as_secs() * 1_000);
        hold.arg(if with_books { self.books.len() * 2 } else { 0 });
        if with_books {
            for (strategy, book) in &self.books {
                hold.arg(strategy).arg(book);
            }
            for (id, (filled, at)) in &self.booked {
                hold.arg(id).arg(booked_text(*filled, *at));
            }
        }
        hold
    }

    /// The keys that `settle.lua` needs where something of the strategies belongs to an end.
    pub(super) fn keys(&self) -> [&str; 3] {
        [&self.holder_key, &self.books_key, &self.booked_key]
    }

    /// The holder key's value as it must be found.
    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// What of `after` this process may write: a plain signal's next step always, the rest while it holds the strategies.
    pub(super) fn beside<'a>(&mut self, after: &'a After, now: Timestamp) -> Beside<'a> {
        let next = after.next.as_deref().unwrap_or_default();
        if self.standing() == Standing::Holds {
            let booked =
                after.booked.as_ref().map(|(id, filled)| (id.to_string(), booked_text(*filled, now)));
            return Beside { next, books: &after.books, booked };
        }
        let is_own = next.iter().any(|(name, _)| *name == OWN);
        if (is_own || !after.books.is_empty() || after.booked.is_some()) && !self.has_told {
            self.has_told = true;
            tracing::error!(
                "this process does not hold the strategies: their books and next steps are not written"
            );
        }
        Beside { next: if is_own { &[] } else { next }, ..Beside::default() }
    }

    /// Remembers what was written beside an end.
    pub(super) fn note(&mut self, after: &After, now: Timestamp) {
        self.books.extend(after.books.iter().cloned());
        self.booked.extend(after.booked.iter().map(|(id, filled)| (id.to_string(), (*filled, now))));
    }

    /// Remembers what is about to be written.
    pub(super) fn note_kept(&mut self, kept: &KeptBooks) {
        self.books.extend(kept.books.iter().cloned());
        self.booked.extend(kept.booked.iter().map(|(id, filled, at)| (id.clone(), (*filled, *at))));
    }

    /// Asks for books and booked orders.
    pub(super) fn read(&self) -> [Cmd; 2] {
        [&self.books_key, &self.booked_key].map(|key| redis::cmd("HGETALL").arg(key).clone())
    }

    /// Takes in what was read: this process holds the strategies.
    pub(super) fn begin(&mut self, books: Value, booked: Value) -> Result<(), RedisFault> {
        let books = expect(reply::texts(books), "HGETALL")?;
        let booked = expect(reply::texts(booked), "HGETALL")?;
        let named = books.chunks_exact(2).filter(|pair| !pair[0].is_empty());
        self.books = named.map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        self.booked.clear();
        for pair in booked.chunks_exact(2) {
            match read_booked(&pair[1]) {
                Some(read) => drop(self.booked.insert(pair[0].clone(), read)),
                None => {
                    tracing::error!(client_order_id = %pair[0], "a booked order cannot be read and is left out");
                }
            }
        }
        self.has_told = false;
        self.holding.set(Standing::Holds);
        Ok(())
    }

    /// Forgets booked orders that are too old to come back; the command that deletes them, where there are any.
    pub(super) fn drop_old(&mut self, now: Timestamp) -> Option<Cmd> {
        let mut delete = redis::cmd("HDEL");
        delete.arg(&self.booked_key);
        let before = self.booked.len();
        self.booked.retain(|id, (_, at)| {
            let is_young = now.since(*at) < BOOKED_FOR;
            if !is_young {
                delete.arg(id);
            }
            is_young
        });
        (self.booked.len() < before).then_some(delete)
    }

    /// All that is known.
    pub(super) fn kept(&self) -> KeptBooks {
        let booked = self.booked.iter().map(|(id, (filled, at))| (id.clone(), *filled, *at));
        KeptBooks { books: self.books.clone().into_iter().collect(), booked: booked.collect() }
    }

    /// Another process has the strategies: this one was silent for too long.
    pub(super) fn lose(&mut self, to: &str) {
        let instance =
            serde_json::from_str(to).map_or_else(|_| to.to_owned(), |holder: Holder| holder.instance);
        tracing::error!(instance, "another process took the strategies; this one writes their books no more");
        self.has_told = true;
        self.holding.set(Standing::Lost);
    }
}

fn booked_text(filled: Quantity, at: Timestamp) -> String {
    format!("{filled} {}", at.millis())
}

fn read_booked(text: &str) -> Option<(Quantity, Timestamp)> {
    let (filled, millis) = text.split_once(' ')?;
    Some((filled.parse().ok()?, Timestamp::from_millis(millis.parse().ok()?)))
}
