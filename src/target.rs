//! From a strategy's wish to the shares of one signal: its own position, what is under way, and where it wants to be. Pure.

use std::collections::HashMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use crate::order::Side;
use crate::outcome::Outcome;
use crate::signal::EntryId;
use crate::sizing::SizeRule;
use crate::strategy::Strength;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// How a strategy's signals are sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// How much full strength is.
    pub rule: SizeRule,
    /// True: the position follows the strength. False: each signal is one order of that size.
    pub is_target: bool,
    /// What it may have in one symbol at the most.
    pub capital: Option<Money>,
    /// Whether it may go short.
    pub short: bool,
}

/// What a signal should ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// So many shares.
    Shares(Side, Quantity),
    /// As many as the desk's own sizing gives.
    DeskSized(Side),
    /// Nothing: it is where it wants to be.
    Nothing,
}

/// One strategy's own positions since the run began.
#[derive(Debug, Default)]
pub struct Targets {
    held: HashMap<Symbol, Quantity>,
    /// Signed shares of signals that are not settled.
    under_way: HashMap<EntryId, (Symbol, Quantity)>,
    /// Where it wants to be, until it is there.
    wanted: HashMap<Symbol, Quantity>,
}

impl Targets {
    /// What a signal of `strength` asks for at `price`.
    pub fn ask(&mut self, sizing: &Sizing, symbol: Symbol, strength: Strength, price: f64) -> Ask {
        let side = if strength.get() > 0.0 { Side::Buy } else { Side::Sell };
        let Some(full) = full_size(sizing, price) else { return Ask::DeskSized(side) };
        if !sizing.is_target {
            let shares = if strength.get() == 0.0 { self.held(symbol).abs() } else { full };
            return if shares.is_positive() { Ask::Shares(side, shares) } else { Ask::Nothing };
        }
        let exact = Decimal::from_f64(strength.get()).unwrap_or_default();
        let target = Quantity::new(full.get().saturating_mul(exact)).whole();
        let floor = if sizing.short { target } else { target.max(Quantity::ZERO) };
        self.wanted.insert(symbol, floor);
        self.step(symbol)
    }

    /// The next step to where it wants to be. A flip is two steps, the second after the first is final.
    pub fn step(&mut self, symbol: Symbol) -> Ask {
        let Some(wanted) = self.wanted.get(&symbol).copied() else { return Ask::Nothing };
        let under_way: Quantity =
            self.under_way.values().filter(|(other, _)| *other == symbol).map(|(_, shares)| *shares).sum();
        let expected = self.held(symbol) + under_way;
        let crosses = expected.get() * wanted.get() < Decimal::ZERO;
        let missing = if crosses { -expected } else { wanted - expected };
        if missing.is_zero() {
            if !crosses && under_way.is_zero() {
                self.wanted.remove(&symbol);
            }
            return Ask::Nothing;
        }
        let side = if missing.is_positive() { Side::Buy } else { Side::Sell };
        Ask::Shares(side, missing.abs())
    }

    /// A signal was sent.
    pub fn sent(&mut self, id: EntryId, symbol: Symbol, side: Side, shares: Quantity) {
        self.under_way.insert(id, (symbol, signed(side, shares)));
    }

    /// A signal is settled; true when the whole of it was filled, so that a second step may follow.
    pub fn settled(&mut self, outcome: &Outcome) -> bool {
        // Signals of an earlier process and repeats of one that was sent twice are not ours to count.
        let Some((symbol, asked)) = self.under_way.remove(&outcome.signal) else { return false };
        let filled = outcome.filled.unwrap_or_default();
        let filled = if asked.is_positive() { filled } else { -filled };
        *self.held.entry(symbol).or_default() += filled;
        let whole = asked == filled;
        if !whole {
            self.wanted.remove(&symbol); // What the market or the desk refused is not asked for again by itself.
        }
        whole
    }

    fn held(&self, symbol: Symbol) -> Quantity {
        self.held.get(&symbol).copied().unwrap_or_default()
    }
}

/// Whole shares of full strength; `None` where only the desk can tell, because no capital is named.
fn full_size(sizing: &Sizing, price: f64) -> Option<Quantity> {
    let price = Price::from_seen(price).ok()?;
    let affordable = sizing.capital.map(|capital| capital.buys(price).whole());
    let shares = match (sizing.rule, sizing.capital) {
        (SizeRule::Shares(shares), _) => shares.whole(),
        (SizeRule::Notional(dollars), _) => dollars.buys(price).whole(),
        (SizeRule::All, Some(capital)) => capital.buys(price).whole(),
        (SizeRule::Fraction(part), Some(capital)) => (capital * part).buys(price).whole(),
        (SizeRule::All | SizeRule::Fraction(_), None) => return None,
    };
    Some(affordable.map_or(shares, |affordable| shares.min(affordable)))
}

fn signed(side: Side, shares: Quantity) -> Quantity {
    match side {
        Side::Buy => shares,
        Side::Sell => -shares,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::OutcomeKind;

    fn nvda() -> Symbol {
        "NVDA".parse().unwrap()
    }

    fn sizing(rule: &str, is_target: bool, capital: Option<&str>, short: bool) -> Sizing {
        Sizing {
            rule: rule.parse().unwrap(),
            is_target,
            capital: capital.map(|text| text.parse().unwrap()),
            short,
        }
    }

    /// Plays strengths at a price of 100; each ask is filled by the given part before the next one.
    #[track_caller]
    fn check(sizing: &Sizing, strengths: &[f64], filled: f64, expected: &str) {
        let mut targets = Targets::default();
        let mut asks = Vec::new();
        for (number, strength) in strengths.iter().enumerate() {
            let mut ask = targets.ask(sizing, nvda(), Strength::new(*strength).unwrap(), 100.0);
            for step in 0..3 {
                let Ask::Shares(side, shares) = ask else { break };
                asks.push(format!("{side} {shares}"));
                let id = EntryId::new(&format!("{number}-{step}"));
                targets.sent(id.clone(), nvda(), side, shares);
                let part = Quantity::new(shares.get() * Decimal::from_f64(filled).unwrap()).whole();
                let whole = targets.settled(&Outcome {
                    symbol: Some(nvda()),
                    side: Some(side),
                    filled: Some(part),
                    ..Outcome::without_order(id, OutcomeKind::Filled, "")
                });
                ask = if whole { targets.step(nvda()) } else { Ask::Nothing };
            }
            if let Ask::DeskSized(side) = ask {
                asks.push(format!("{side} by the desk"));
            }
        }
        assert_eq!(asks.join(", "), expected);
    }

    #[test]
    fn the_position_follows_the_strength() {
        let hundred = sizing("100sh", true, None, false);
        check(&hundred, &[1.0, 1.0, 0.5, 0.0], 1.0, "buy 100, sell 50, sell 50");
        check(&hundred, &[1.0, -1.0], 1.0, "buy 100, sell 100");
        check(&hundred, &[-1.0], 1.0, "");
    }

    #[test]
    fn a_flip_is_two_orders_the_second_after_the_first_is_final() {
        check(
            &sizing("100sh", true, None, true),
            &[1.0, -1.0, 1.0],
            1.0,
            "buy 100, sell 100, sell 100, buy 100, buy 100",
        );
    }

    #[test]
    fn what_was_not_filled_is_not_asked_for_again_by_itself() {
        check(&sizing("100sh", true, None, false), &[1.0, 1.0], 0.5, "buy 100, buy 50");
        check(&sizing("100sh", true, None, true), &[1.0, -1.0], 0.5, "buy 100, sell 50");
    }

    #[test]
    fn capital_bounds_what_is_asked_for() {
        check(&sizing("100sh", true, Some("5000"), false), &[1.0], 1.0, "buy 50");
        check(&sizing("10%", true, Some("5000"), false), &[1.0], 1.0, "buy 5");
        check(&sizing("$1000", false, None, false), &[1.0, -1.0], 1.0, "buy 10, sell 10");
        check(&sizing("all", true, None, false), &[1.0, -1.0], 1.0, "buy by the desk, sell by the desk");
    }
}
