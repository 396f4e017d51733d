//! One symbol's rolling window: takes ticks in any order of time, lets the old ones go.
//!
//! Ticks lie in blocks of fixed size: full ones are sealed and shared with snapshots, the newest is open and being
//! filled. A block that has left is used again, so a window that keeps its size allocates nothing.
//! Costs: a tick in order, and one leaving, constant time; a late tick, as many moves as there are ticks between it
//! and the nearer end; a snapshot, one block's copy, whatever the size.

use std::sync::Arc;
use std::time::Duration;

use super::block::{BLOCK, Block};
use super::sealed::Sealed;
use super::span::Span;
use super::{Placement, TickError, WindowLimits};
use crate::clock::Timestamp;
use crate::market::Trade;

/// The ticks of one symbol over one horizon, oldest first.
#[derive(Debug)]
pub struct Window {
    limits: WindowLimits,
    horizon_ns: i64,
    count_max: usize,
    /// The latest time that it was told.
    now: Timestamp,
    pub(super) sealed: Arc<Sealed>,
    open: Block,
    open_len: usize,
    /// Ticks of the front block that have left.
    pub(super) gone: usize,
    len: usize,
    /// Times of the first and the last tick, while there are any.
    oldest: i64,
    newest: i64,
    spare: Option<Arc<Block>>,
}

impl Window {
    /// An empty window.
    pub fn new(limits: WindowLimits) -> Self {
        Self {
            limits,
            horizon_ns: i64::try_from(limits.horizon.as_nanos()).unwrap_or(i64::MAX),
            count_max: limits.count_max.map_or(usize::MAX, std::num::NonZeroUsize::get),
            now: Timestamp::from_nanos(i64::MIN),
            sealed: Arc::new(Sealed::new()),
            open: Block::new(limits.with_sizes),
            open_len: 0,
            gone: 0,
            len: 0,
            oldest: 0,
            newest: 0,
            spare: None,
        }
    }

    /// Takes a tick at the time `now`, and lets go what has become too old.
    ///
    /// # Errors
    /// A bad price or size, and a time too far ahead of `now`, are refused and change nothing.
    #[inline]
    pub fn push(&mut self, now: Timestamp, trade: Trade) -> Result<Placement, TickError> {
        self.limits.check(now, &trade)?;
        self.now = self.now.max(now);
        let at = trade.at.nanos();
        let placement = if at < self.oldest_kept() {
            Placement::Expired
        } else if self.len == 0 || at >= self.newest {
            self.append(trade);
            Placement::Newest
        } else {
            self.insert(trade)
        };
        self.evict();
        Ok(placement)
    }

    /// Moves on to `now`: ticks older than one horizon leave. An earlier `now` changes nothing.
    pub fn move_on(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.evict();
    }

    /// How many ticks there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How far back it reaches.
    pub fn horizon(&self) -> Duration {
        self.limits.horizon
    }

    /// The newest tick.
    pub fn last(&self) -> Option<Trade> {
        self.all().last()
    }

    /// All ticks.
    pub fn all(&self) -> Span<'_> {
        Span::new(self, 0, self.len)
    }

    /// The ticks at `from` and later.
    pub fn since(&self, from: Timestamp) -> Span<'_> {
        if self.oldest >= from.nanos() {
            return self.all(); // Nothing to look for, also in an empty window.
        }
        self.all().since(from)
    }

    /// The ticks from `from` (included) to `to` (excluded).
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Span<'_> {
        self.all().between(from, to)
    }

    /// The newest `count` ticks, or all when there are fewer.
    pub fn newest(&self, count: usize) -> Span<'_> {
        self.all().newest(count)
    }

    pub(super) fn get(&self, index: usize) -> Trade {
        let at = self.gone + index;
        self.block(at / BLOCK).get(at % BLOCK)
    }

    pub(super) fn time(&self, index: usize) -> Timestamp {
        Timestamp::from_nanos(self.nanos(index))
    }

    #[inline]
    pub(super) fn block(&self, number: usize) -> &Block {
        self.sealed.get(number).unwrap_or(&self.open)
    }

    pub(super) fn with_sizes(&self) -> bool {
        self.limits.with_sizes
    }

    #[inline]
    fn nanos(&self, index: usize) -> i64 {
        let at = self.gone + index;
        self.block(at / BLOCK).time(at % BLOCK)
    }

    #[inline]
    fn oldest_kept(&self) -> i64 {
        self.now.nanos().saturating_sub(self.horizon_ns)
    }

    #[inline]
    fn append(&mut self, trade: Trade) {
        self.newest = trade.at.nanos();
        if self.len == 0 {
            self.oldest = self.newest;
        }
        self.open.set(self.open_len % BLOCK, trade);
        self.open_len += 1;
        self.len += 1;
        if self.open_len == BLOCK {
            self.seal();
        }
    }

    #[cold]
    fn insert(&mut self, trade: Trade) -> Placement {
        let index = self.all().position(trade.at.nanos().saturating_add(1)); // After all of its instant.
        if index == 0 && self.len == self.count_max {
            return Placement::Expired; // It would be the first to leave.
        }
        if index < self.len / 2 {
            self.insert_from_front(index, trade);
        } else {
            self.insert_from_back(index, trade);
        }
        self.oldest = self.nanos(0);
        Placement::Earlier
    }

    /// Moves everything before `index` one to the front.
    fn insert_from_front(&mut self, index: usize, trade: Trade) {
        if self.gone == 0 {
            let block = self.empty_block();
            Arc::make_mut(&mut self.sealed).push_front(block);
            self.gone = BLOCK;
        }
        self.gone -= 1;
        self.len += 1;
        let (mut carried, mut at) = (trade, self.gone + index);
        loop {
            let from = (at - at % BLOCK).max(self.gone);
            carried = self.block_mut(at / BLOCK).shift_front(from % BLOCK, at % BLOCK, carried);
            Arc::make_mut(&mut self.sealed).retotal(at / BLOCK);
            if from == self.gone {
                break; // What fell off is the free place we began with.
            }
            at = from - 1;
        }
    }

    /// Moves everything from `index` on one to the back.
    fn insert_from_back(&mut self, index: usize, trade: Trade) {
        let (mut carried, mut at, end) = (trade, self.gone + index, self.gone + self.len);
        while at < end {
            let to = (at - at % BLOCK + BLOCK).min(end);
            let block = at / BLOCK;
            carried = self.block_mut(block).shift_back(at % BLOCK, to - block * BLOCK, carried);
            Arc::make_mut(&mut self.sealed).retotal(block);
            at = to;
        }
        self.append(carried);
    }

    fn block_mut(&mut self, number: usize) -> &mut Block {
        if number < self.sealed.len()
            && let Some(block) = Arc::make_mut(&mut self.sealed).get_mut(number)
        {
            return block;
        }
        &mut self.open
    }

    #[cold]
    fn seal(&mut self) {
        let mut block = self.empty_block();
        if let Some(own) = Arc::get_mut(&mut block) {
            std::mem::swap(own, &mut self.open);
        }
        Arc::make_mut(&mut self.sealed).push_back(block);
        self.open_len = 0;
    }

    /// A block that nobody else holds: the last one that left, or a new one.
    fn empty_block(&mut self) -> Arc<Block> {
        self.spare
            .take()
            .and_then(|mut spare| Arc::get_mut(&mut spare).is_some().then_some(spare))
            .unwrap_or_else(|| Arc::new(Block::new(self.limits.with_sizes)))
    }

    #[inline]
    fn evict(&mut self) {
        let kept = self.oldest_kept();
        while self.len > 0 && (self.oldest < kept || self.len > self.count_max) {
            self.drop_first();
        }
    }

    #[inline]
    fn drop_first(&mut self) {
        self.gone += 1;
        self.len -= 1;
        if self.len == 0 {
            self.clear();
            return;
        }
        if self.gone == BLOCK {
            self.drop_block();
        }
        self.oldest = self.nanos(0);
    }

    #[cold]
    fn drop_block(&mut self) {
        self.spare = Arc::make_mut(&mut self.sealed).pop_front();
        self.gone = 0;
    }

    #[cold]
    fn clear(&mut self) {
        while self.sealed.len() > 0 {
            self.drop_block();
        }
        self.gone = 0;
        self.open_len = 0;
    }
}

impl Clone for Window {
    /// A snapshot: it shares the sealed blocks, and the original goes on without it.
    fn clone(&self) -> Self {
        Self { sealed: Arc::clone(&self.sealed), open: self.open.clone(), spare: None, ..*self }
    }
}
