//! A strategy that watches but may not trade before its time: how a stretch of test begins with a strategy that is warm.

use crate::clock::Timestamp;
use crate::market::MarketEvent;
use crate::strategy::{Fill, Strategy, StrategyError, Strength, View, Wish, Wishes};
use crate::symbol::Symbol;

/// Sees everything; what it wishes until `until` reaches nobody. The positions that it wants by then are wished for anew
/// on the first event after it, where signals are positions; orders of its own making are gone.
pub(super) struct Muted {
    strategy: Box<dyn Strategy>,
    until: Timestamp,
    is_target: bool,
    /// Its wishes while it is muted.
    scratch: Wishes,
    held_back: Vec<(Symbol, Strength)>,
}

impl Muted {
    pub(super) fn new(strategy: Box<dyn Strategy>, until: Timestamp, is_target: bool) -> Self {
        Self { strategy, until, is_target, scratch: Wishes::default(), held_back: Vec::new() }
    }

    /// Asks it, and keeps its wishes back or lets them out, by the time.
    fn ask(
        &mut self,
        view: &View<'_>,
        wishes: &mut Wishes,
        ask: impl FnOnce(&mut dyn Strategy, &mut Wishes) -> Result<(), StrategyError>,
    ) -> Result<(), StrategyError> {
        let is_muted = view.now() <= self.until;
        if !is_muted && self.held_back.is_empty() {
            return ask(&mut *self.strategy, wishes);
        }
        let asked = ask(&mut *self.strategy, &mut self.scratch);
        for wish in self.scratch.drain() {
            match wish {
                Wish::Signal { symbol, strength } if self.is_target => {
                    self.held_back.retain(|(known, _)| *known != symbol); // It changed its mind.
                    if is_muted {
                        self.held_back.push((symbol, strength));
                    } else {
                        wishes.push(Wish::Signal { symbol, strength });
                    }
                }
                Wish::Signal { .. } | Wish::Order { .. } | Wish::CancelAll => {
                    if !is_muted {
                        wishes.push(wish);
                    }
                }
            }
        }
        if !is_muted {
            for (symbol, strength) in self.held_back.drain(..) {
                wishes.push(Wish::Signal { symbol, strength });
            }
        }
        asked
    }
}

impl Strategy for Muted {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        wishes: &mut Wishes,
    ) -> Result<(), StrategyError> {
        self.ask(view, wishes, |strategy, wishes| strategy.on_event(event, view, wishes))
    }

    fn on_timer(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        wishes: &mut Wishes,
    ) -> Result<(), StrategyError> {
        self.ask(view, wishes, |strategy, wishes| strategy.on_timer(now, view, wishes))
    }

    fn on_fill(&mut self, fill: &Fill, view: &View<'_>, wishes: &mut Wishes) -> Result<(), StrategyError> {
        self.ask(view, wishes, |strategy, wishes| strategy.on_fill(fill, view, wishes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Trade;
    use crate::strategy::{Every, Runner};

    /// Wishes for what the price says: 1 is long, 2 is short, 3 is nothing.
    struct ByPrice;

    impl Strategy for ByPrice {
        fn on_event(
            &mut self,
            event: &MarketEvent,
            _: &View<'_>,
            wishes: &mut Wishes,
        ) -> Result<(), StrategyError> {
            match event.price() {
                1.0 => wishes.signal(event.symbol(), 1.0),
                2.0 => wishes.signal(event.symbol(), -1.0),
                _ => Ok(()),
            }
        }
    }

    /// What comes out at each second; it is muted until second 2.
    #[track_caller]
    fn check(is_target: bool, prices: &[f64], wanted: &[&[f64]]) {
        let symbol: Symbol = "A".parse().unwrap();
        let muted = Box::new(Muted::new(Box::new(ByPrice), Timestamp::from_secs(2), is_target));
        let mut runner = Runner::new("muted", muted, &[symbol], Every::Event);
        let found: Vec<Vec<f64>> = prices
            .iter()
            .zip(1..)
            .map(|(price, at)| {
                let trade = Trade { at: Timestamp::from_secs(at), price: *price, size: 1.0 };
                let wishes = runner.on_event(&MarketEvent::Trade { symbol, trade }).unwrap();
                wishes
                    .map(|wish| match wish {
                        Wish::Signal { strength, .. } => strength.get(),
                        Wish::Order { .. } | Wish::CancelAll => f64::NAN,
                    })
                    .collect()
            })
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_position_wanted_before_its_time_is_wished_for_on_the_first_event_after_it() {
        check(true, &[1.0, 2.0, 3.0, 1.0], &[&[], &[], &[-1.0], &[1.0]]);
    }

    #[test]
    fn a_strategy_that_changes_its_mind_on_that_event_wishes_once() {
        check(true, &[1.0, 3.0, 2.0, 3.0], &[&[], &[], &[-1.0], &[]]);
    }

    #[test]
    fn a_signal_that_is_an_order_is_gone() {
        check(false, &[1.0, 1.0, 3.0, 2.0], &[&[], &[], &[], &[-1.0]]);
    }
}
