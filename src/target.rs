//! From a strategy's wish to the shares of one signal: its own position, what is under way, and where it wants to be. Pure.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use crate::order::Side;
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
    symbols: BTreeMap<Symbol, Target>,
    /// Signals that are not settled, few at any time: whose, which, and the signed shares they ask for.
    under_way: Vec<(EntryId, Symbol, Quantity)>,
    flip_in_one: bool,
}

#[derive(Debug, Default)]
struct Target {
    held: Quantity,
    /// The sum of what is under way.
    under_way: Quantity,
    /// Where it wants to be, until it is there.
    wanted: Option<Quantity>,
}

impl Targets {
    /// Turns a position round in one order, for brokers that take one.
    #[must_use]
    pub fn flipping_in_one(self, flip_in_one: bool) -> Self {
        Self { flip_in_one, ..self }
    }

    /// What a signal of `strength` asks for at `price`.
    pub fn ask(&mut self, sizing: &Sizing, symbol: Symbol, strength: Strength, price: f64) -> Ask {
        let side = if strength.get() > 0.0 { Side::Buy } else { Side::Sell };
        if sizing.is_target {
            return match target(sizing, strength, price) {
                Some(wanted) => self.want(symbol, wanted),
                None => Ask::DeskSized(side),
            };
        }
        let Some(full) = full_size(sizing, price) else { return Ask::DeskSized(side) };
        let shares = if strength.get() == 0.0 { self.held(symbol).abs() } else { full };
        if shares.is_positive() { Ask::Shares(side, shares) } else { Ask::Nothing }
    }

    /// The next step to a position of `shares`, negative for short.
    pub fn want(&mut self, symbol: Symbol, shares: Quantity) -> Ask {
        self.symbols.entry(symbol).or_default().wanted = Some(shares);
        self.step(symbol)
    }

    /// The next step to where it wants to be. A flip is two steps, the second after the first is final, unless the
    /// broker takes one.
    pub fn step(&mut self, symbol: Symbol) -> Ask {
        let Some(target) = self.symbols.get_mut(&symbol) else { return Ask::Nothing };
        let Some(wanted) = target.wanted else { return Ask::Nothing };
        let expected = target.held + target.under_way;
        let crosses =
            !self.flip_in_one && expected.is_positive() != wanted.is_positive() && !expected.is_zero();
        let crosses = crosses && !wanted.is_zero();
        let missing = if crosses { -expected } else { wanted - expected };
        if missing.is_zero() {
            if !crosses && target.under_way.is_zero() {
                target.wanted = None;
            }
            return Ask::Nothing;
        }
        let side = if missing.is_positive() { Side::Buy } else { Side::Sell };
        Ask::Shares(side, missing.abs())
    }

    /// A signal was sent.
    pub fn sent(&mut self, id: EntryId, symbol: Symbol, side: Side, shares: Quantity) {
        let shares = signed(side, shares);
        self.symbols.entry(symbol).or_default().under_way += shares;
        self.under_way.push((id, symbol, shares));
    }

    /// A signal is settled with so many shares filled; true when that was the whole of it, so that a second step may follow.
    pub fn settled(&mut self, signal: &EntryId, filled: Quantity) -> bool {
        // Signals of an earlier process and repeats of one that was sent twice are not ours to count.
        let Some(place) = self.under_way.iter().position(|(id, ..)| id == signal) else { return false };
        let (_, symbol, asked) = self.under_way.swap_remove(place);
        let filled = if asked.is_positive() { filled } else { -filled };
        let target = self.symbols.entry(symbol).or_default();
        target.under_way -= asked;
        target.held += filled;
        let whole = asked == filled;
        if !whole {
            target.wanted = None; // What the market or the desk refused is not asked for again by itself.
        }
        whole
    }

    fn held(&self, symbol: Symbol) -> Quantity {
        self.symbols.get(&symbol).map_or(Quantity::ZERO, |target| target.held)
    }
}

/// The position that a signal of `strength` stands for at `price`; `None` where only the desk can tell.
pub fn target(sizing: &Sizing, strength: Strength, price: f64) -> Option<Quantity> {
    let full = full_size(sizing, price)?;
    let target = match strength.get() {
        1.0 => full,
        -1.0 => -full,
        part => Quantity::new(full.get().saturating_mul(Decimal::from_f64(part).unwrap_or_default())).whole(),
    };
    Some(if sizing.short { target } else { target.max(Quantity::ZERO) })
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
                let whole = targets.settled(&id, part);
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
