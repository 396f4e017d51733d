//! The last position that a strategy wanted in one symbol, and how far it was sent.

use super::Tag;
use crate::clock::Timestamp;
use crate::signal::Wanted;
use crate::symbol::Symbol;

/// The last position that a strategy wanted in one symbol.
#[derive(Debug)]
pub(super) struct LastIntent {
    pub(super) symbol: Symbol,
    /// A strength or a weight; none where a process before this one said it as something else.
    pub(super) wanted: Option<Wanted>,
    /// What it called that.
    pub(super) tag: Option<Tag>,
    /// When it said so for the first time, and as what number of that time.
    pub(super) at: Timestamp,
    pub(super) number: u32,
    /// The last one that was sent and is not missed for good.
    pub(super) sent: Option<Wanted>,
    /// Until then all that it said is known to its book.
    pub(super) known_until: Timestamp,
    /// It came to want it while it was quiet.
    pub(super) is_due: bool,
}

impl LastIntent {
    /// Of a symbol in which nothing was wanted yet.
    pub(super) fn new(symbol: Symbol, at: Timestamp) -> Self {
        let known_until = Timestamp::from_nanos(i64::MIN);
        Self { symbol, wanted: None, tag: None, at, number: 0, sent: None, known_until, is_due: false }
    }
}
