//! The sending end of a signal stream: one entry at a time.

use std::time::Duration;

use super::link::Link;
use super::redis_stream::{RedisFault, RedisUrl};
use super::reply::{self, expect};
use crate::signal::EntryId;

/// Sends entries to one Redis; connects when it is used, and again after an error.
pub struct Producer {
    url: RedisUrl,
    link: Option<Link>,
}

impl Producer {
    /// Does not connect yet.
    pub fn new(url: RedisUrl) -> Self {
        Self { url, link: None }
    }

    /// Appends one entry to `stream`.
    ///
    /// # Errors
    /// When the connection was lost the entry may have been appended all the same.
    pub fn send(&mut self, stream: &str, fields: &[(&str, &str)]) -> Result<EntryId, RedisFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.url)?,
        };
        let mut add = redis::cmd("XADD");
        add.arg(stream).arg("*");
        for (name, value) in fields {
            add.arg(name).arg(value);
        }
        let id = expect(reply::text(link.call(&add, Duration::ZERO)?), "XADD")?;
        self.link = Some(link);
        Ok(EntryId::new(&id))
    }
}
