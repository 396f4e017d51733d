//! The end of a Redis stream that no group reads: the latest entry at first, then each as it comes.

use std::time::Duration;

use super::link::{Link, RedisFault, RedisUrl};
use super::reading::RawEntry;
use super::reply::{self, expect};
use crate::signal::EntryId;

/// So many entries are read at once, at most.
const ENTRIES_MAX: usize = 1_000;

/// One entry: its id, and its fields in order, as bytes.
pub type TailEntry = (EntryId, Vec<(Vec<u8>, Vec<u8>)>);

/// Reads one stream with a connection of its own. Nothing is acknowledged, so any number of readers have all entries.
pub struct Tail {
    url: RedisUrl,
    stream: String,
    link: Option<Link>,
    /// The last entry that was read; `None` before the first connection.
    last: Option<String>,
}

impl Tail {
    /// Connects when it is read.
    pub fn new(url: RedisUrl, stream: impl Into<String>) -> Self {
        Self { url, stream: stream.into(), link: None, last: None }
    }

    /// Which stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The entries that came since the last call, at most 1,000, waiting at most `wait` for the first; the first call of
    /// all returns the latest entry there is and does not wait. What came while there was no connection comes after it.
    ///
    /// # Errors
    /// Those of Redis; the next call connects again and goes on where this one stood.
    pub fn read(&mut self, wait: Duration) -> Result<Vec<TailEntry>, RedisFault> {
        let found = self.try_read(wait);
        if found.is_err() {
            self.link = None;
        }
        let entries = found?;
        if let Some((id, _)) = entries.last() {
            self.last = Some(id.clone());
        }
        // An entry that was deleted has no fields.
        let whole = |(id, fields): RawEntry| Some((EntryId::new(&id), fields?));
        Ok(entries.into_iter().filter_map(whole).collect())
    }

    fn try_read(&mut self, wait: Duration) -> Result<Vec<RawEntry>, RedisFault> {
        if self.link.is_none() {
            self.link = Some(Link::open(&self.url)?);
            if let Some(entries) = self.begin()? {
                return Ok(entries);
            }
        }
        let (Some(link), Some(last)) = (&mut self.link, &self.last) else { return Ok(Vec::new()) };
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(ENTRIES_MAX);
        if !wait.is_zero() {
            // To Redis 0 means for ever.
            read.arg("BLOCK").arg(wait.as_millis().max(1).to_string());
        }
        let answer = link.call(read.arg("STREAMS").arg(&self.stream).arg(last), wait)?;
        expect(reply::stream_entries(answer), "XREAD")
    }

    /// Finds out where to read on; the latest entry, if reading begins with it.
    fn begin(&mut self) -> Result<Option<Vec<RawEntry>>, RedisFault> {
        let Some(link) = &mut self.link else { return Ok(None) };
        let mut latest = redis::cmd("XREVRANGE");
        latest.arg(&self.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let latest = expect(reply::entries(link.call(&latest, Duration::ZERO)?), "XREVRANGE")?;
        let Some((newest, _)) = latest.first() else {
            // Whatever comes is new.
            self.last = Some("0-0".to_owned());
            return Ok(None);
        };
        // A stream that ends before what was read of it is another one.
        let goes_on = self.last.as_ref().is_some_and(|last| number(last) <= number(newest));
        Ok((!goes_on).then_some(latest))
    }
}

/// The two numbers of an entry's id.
fn number(id: &str) -> Option<(u64, u64)> {
    let (millis, count) = id.split_once('-')?;
    Some((millis.parse().ok()?, count.parse().ok()?))
}
