//! The full blocks of a window, with a tree of totals over them: any run of blocks adds up in logarithmic time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::block::{BLOCK, Block, Total};

/// Full blocks, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    blocks: VecDeque<Arc<Block>>,
    /// The number of the front block; numbers wrap around, and a block keeps its own while it lives.
    first: usize,
    /// A binary tree in an array: the children of node `i` are `2i` and `2i + 1`, the leaves are the second half.
    /// The leaf of a block is its number modulo the number of leaves, which is a power of two.
    tree: Vec<Total>,
}

impl Sealed {
    pub(super) fn new() -> Self {
        Self { blocks: VecDeque::new(), first: 0, tree: vec![Total::NONE; 2] }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&Block> {
        self.blocks.get(index).map(|block| &**block)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Block> {
        self.blocks.get_mut(index).map(Arc::make_mut)
    }

    pub(super) fn push_back(&mut self, block: Arc<Block>) {
        self.blocks.push_back(block);
        self.grow();
        self.retotal(self.blocks.len() - 1);
    }

    pub(super) fn push_front(&mut self, block: Arc<Block>) {
        self.blocks.push_front(block);
        self.first = self.first.wrapping_sub(1);
        self.grow();
        self.retotal(0);
    }

    pub(super) fn pop_front(&mut self) -> Option<Arc<Block>> {
        self.first = self.first.wrapping_add(1);
        self.blocks.pop_front()
    }

    /// Adds a block up again after its ticks have changed.
    pub(super) fn retotal(&mut self, index: usize) {
        let Some(block) = self.blocks.get(index) else { return };
        let mut node = self.leaf(index);
        self.tree[node] = block.total(0, BLOCK);
        while node > 1 {
            node /= 2;
            self.tree[node] = self.tree[2 * node].join(self.tree[2 * node + 1]);
        }
    }

    /// What the blocks `from..to` add up to.
    pub(super) fn total(&self, from: usize, to: usize) -> Total {
        if from >= to {
            return Total::NONE;
        }
        let (start, end) = (self.leaf(from), self.leaf(to - 1) + 1);
        if start < end {
            self.total_of_leaves(start, end)
        } else {
            let leaves = self.leaves();
            self.total_of_leaves(start, 2 * leaves).join(self.total_of_leaves(leaves, end))
        }
    }

    fn total_of_leaves(&self, mut start: usize, mut end: usize) -> Total {
        let mut total = Total::NONE;
        while start < end {
            if start % 2 == 1 {
                total = total.join(self.tree[start]);
                start += 1;
            }
            if end % 2 == 1 {
                end -= 1;
                total = total.join(self.tree[end]);
            }
            start /= 2;
            end /= 2;
        }
        total
    }

    fn leaf(&self, index: usize) -> usize {
        let leaves = self.leaves();
        leaves + (self.first.wrapping_add(index) & (leaves - 1))
    }

    fn leaves(&self) -> usize {
        self.tree.len() / 2
    }

    /// Doubles the tree when there are more blocks than leaves.
    fn grow(&mut self) {
        if self.blocks.len() <= self.leaves() {
            return;
        }
        let leaves = self.blocks.len().next_power_of_two();
        self.tree = vec![Total::NONE; 2 * leaves];
        for (index, block) in self.blocks.iter().enumerate() {
            let leaf = leaves + (self.first.wrapping_add(index) & (leaves - 1));
            self.tree[leaf] = block.total(0, BLOCK);
        }
        for node in (1..leaves).rev() {
            self.tree[node] = self.tree[2 * node].join(self.tree[2 * node + 1]);
        }
    }
}
