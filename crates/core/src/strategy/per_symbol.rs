//! One state for each symbol, the last one found first.

use crate::symbol::Symbol;

/// States by symbol; the one that was asked for last is found with one comparison.
#[derive(Debug)]
pub(super) struct PerSymbol<T> {
    states: Vec<(Symbol, T)>,
    last: usize,
}

impl<T> PerSymbol<T> {
    /// Room for `symbols`, more come as they are seen.
    pub(super) fn new(symbols: &[Symbol]) -> Self {
        Self { states: Vec::with_capacity(symbols.len().max(1)), last: 0 }
    }

    /// The state of `symbol`, made when it is seen for the first time.
    #[inline]
    pub(super) fn of(&mut self, symbol: Symbol, new: impl FnOnce() -> T) -> &mut T {
        if self.states.get(self.last).is_none_or(|(known, _)| *known != symbol) {
            self.last = self.place_of(symbol, new);
        }
        &mut self.states[self.last].1
    }

    /// The state of `symbol`, where there is one.
    #[inline]
    pub(super) fn get(&self, symbol: Symbol) -> Option<&T> {
        if let Some((_, state)) = self.states.get(self.last).filter(|(known, _)| *known == symbol) {
            return Some(state);
        }
        let place = self.states.binary_search_by_key(&symbol, |(known, _)| *known).ok()?;
        Some(&self.states[place].1)
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, symbol: Symbol) -> Option<&mut T> {
        let place = self.states.binary_search_by_key(&symbol, |(known, _)| *known).ok()?;
        Some(&mut self.states[place].1)
    }

    #[cold]
    fn place_of(&mut self, symbol: Symbol, new: impl FnOnce() -> T) -> usize {
        self.states.binary_search_by_key(&symbol, |(known, _)| *known).unwrap_or_else(|place| {
            self.states.insert(place, (symbol, new()));
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_symbol_keeps_its_own_state() {
        let mut counts = PerSymbol::new(&[]);
        for name in ["SPY", "NVDA", "SPY", "F", "NVDA", "NVDA", "SPY"] {
            *counts.of(name.parse().unwrap(), || 0) += 1;
        }
        let count = |counts: &mut PerSymbol<i32>, name: &str| *counts.of(name.parse().unwrap(), || 0);
        assert_eq!(["F", "NVDA", "SPY"].map(|name| count(&mut counts, name)), [1, 3, 3]);
        assert_eq!(
            ["F", "SPY", "GE"].map(|name| counts.get(name.parse().unwrap()).copied()),
            [Some(1), Some(3), None]
        );
    }
}
