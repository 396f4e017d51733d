//! One strategy's own money and positions, and where it wants to be: for life, whatever its neighbours do. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::off_target::OffTarget;
use crate::clock::Timestamp;
use crate::margin::Balance;
use crate::order::Side;
use crate::position::Position;
use crate::strategy::{Remembered, StrategyRun, StrategySignal, Strength};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// Capital, cash, positions and targets of one strategy. What it serialises to is its snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategyBook {
    /// The strategy's name in the manifest.
    name: Arc<str>,
    /// What it started with.
    capital: Money,
    cash: Money,
    /// Few, in the order in which they came.
    holdings: Vec<BookHolding>,
    /// What of the strategy's state outlives a restart, as its own text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Arc<str>>,
}

/// One symbol of a book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BookHolding {
    symbol: Symbol,
    position: Position,
    /// When the position was opened or last changed sides; none while it is flat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened_at: Option<Timestamp>,
    target: Option<Target>,
    off_target: OffTarget,
    /// Signed shares of orders that are not final; of this process alone.
    #[serde(skip)]
    under_way: Quantity,
    /// The place in the stream of the newest intent that this process saw.
    #[serde(skip)]
    newest: (u64, u64),
}

/// Where a strategy wants to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Shares, negative for short; where intents are combined, the part of them that is its strategy's weight.
    pub shares: Quantity,
    /// The identity of the signal that said so.
    pub first: Arc<str>,
    /// How sure it was, where it said so.
    pub strength: Option<f64>,
    /// Whether a part of it is missing for good: it is asked for again when it is wanted again.
    #[serde(default)]
    pub is_missed: bool,
    /// What orders are multiples of: less than that is not missing.
    #[serde(default = "whole_share", skip_serializing_if = "is_whole_share")]
    pub lot: Quantity,
}

/// What the end of one signal changes in one book.
#[derive(Debug, Clone, PartialEq)]
pub struct BookChange {
    /// Place of the strategy in the run.
    pub strategy: usize,
    /// In what.
    pub symbol: Symbol,
    /// Shares bought, negative when sold.
    pub shares: Quantity,
    /// Money paid for them without fees, negative when received.
    pub paid: Money,
    /// Fees paid.
    pub fee: Money,
    /// Where the strategy wants to be from now on.
    pub target: Option<Target>,
    /// When.
    pub at: Timestamp,
}

impl Target {
    /// What a strategy is reminded of when it starts again.
    pub fn remembered(&self) -> Remembered {
        let strength = self.strength.and_then(|strength| Strength::new(strength).ok());
        let at = StrategySignal::time_of(&self.first).unwrap_or(Timestamp::from_nanos(i64::MIN));
        Remembered { strength, at, is_missed: self.is_missed }
    }
}

impl StrategyBook {
    /// Nothing but its capital.
    pub fn new(name: &str, capital: Money) -> Self {
        Self { name: name.into(), capital, cash: capital, holdings: Vec::new(), state: None }
    }

    /// The strategy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it started with.
    pub fn capital(&self) -> Money {
        self.capital
    }

    /// Cash, orders that are not final not counted.
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// Another capital than before is a deposit or a withdrawal.
    pub fn set_capital(&mut self, capital: Money) {
        self.cash += capital - self.capital;
        self.capital = capital;
    }

    /// Shares held of `symbol`, negative when short.
    pub fn held(&self, symbol: Symbol) -> Quantity {
        self.holding(symbol).map_or(Quantity::ZERO, |holding| holding.position.quantity())
    }

    /// What is held of `symbol` and what it cost.
    pub fn position(&self, symbol: Symbol) -> Position {
        self.holding(symbol).map_or_else(Position::default, |holding| holding.position)
    }

    /// Tells a strategy what its book holds, where it wants to be, and how much cash it has.
    pub fn restore(&self, run: &mut StrategyRun) {
        for holding in &self.holdings {
            let remembered = holding.target.as_ref().map(Target::remembered);
            run.restore(holding.symbol, holding.position, holding.opened_at, remembered);
        }
        run.set_cash(self.cash);
        run.keep_state(self.state.clone());
    }

    /// Keeps what of the strategy's state outlives a restart; true when it is another one than before.
    pub fn keep_state(&mut self, state: &Arc<str>) -> bool {
        let is_new = self.state.as_ref() != Some(state);
        if is_new {
            self.state = Some(Arc::clone(state));
        }
        is_new
    }

    /// Shares held once all orders that are not final have filled.
    pub fn expected(&self, symbol: Symbol) -> Quantity {
        self.holding(symbol).map_or(Quantity::ZERO, BookHolding::expected)
    }

    /// Where it wants to be.
    pub fn target(&self, symbol: Symbol) -> Option<&Target> {
        self.holding(symbol)?.target.as_ref()
    }

    /// All symbols that it ever had an intent for or shares of.
    pub fn positions(&self) -> impl Iterator<Item = (Symbol, &Position)> {
        self.holdings.iter().map(|holding| (holding.symbol, &holding.position))
    }

    /// Cash plus positions at the prices that `mark` gives; one without a price counts what was paid for it.
    pub fn equity(&self, mark: impl Fn(Symbol) -> Option<Price>) -> Money {
        self.balance(mark).equity()
    }

    /// Cash and the worth of the positions at the prices that `mark` gives.
    pub fn balance(&self, mark: impl Fn(Symbol) -> Option<Price>) -> Balance {
        let mut balance = Balance { cash: self.cash, ..Balance::default() };
        for BookHolding { symbol, position, .. } in &self.holdings {
            if !position.quantity().is_zero() {
                let value = mark(*symbol).map_or(position.cost(), |price| position.value(price));
                balance.revalue(Money::ZERO, value);
            }
        }
        balance
    }

    /// Notes where in the stream an intent stands; false when a newer one overtook it.
    pub fn is_newest(&mut self, symbol: Symbol, place: (u64, u64)) -> bool {
        let newest = &mut self.holding_mut(symbol).newest;
        *newest = place.max(*newest);
        *newest == place
    }

    /// Wants another position from now on; whether it is off that is noted once it is ordered, or ended without an order.
    pub fn want(&mut self, symbol: Symbol, target: Target) {
        self.holding_mut(symbol).target = Some(target);
    }

    /// A part of where it wants to be is missing for good.
    pub(super) fn miss(&mut self, symbol: Symbol) {
        if let Some(target) = &mut self.holding_mut(symbol).target {
            target.is_missed = true;
        }
    }

    /// An order of so many shares, negative to sell, is under way.
    pub fn ordered(&mut self, symbol: Symbol, shares: Quantity, now: Timestamp) {
        let holding = self.holding_mut(symbol);
        holding.under_way += shares;
        holding.note(now);
    }

    /// An order of so many shares is final; what it filled comes as a change.
    pub fn ended(&mut self, symbol: Symbol, shares: Quantity) {
        self.holding_mut(symbol).under_way -= shares;
    }

    /// Books what a signal's end changed, and where its strategy wants to be from then on.
    pub fn apply(&mut self, change: &BookChange) {
        if let Some(target) = &change.target {
            self.want(change.symbol, target.clone());
        }
        self.fill(change);
    }

    /// Books what a signal's end filled.
    pub(super) fn fill(&mut self, change: &BookChange) {
        self.cash -= change.paid;
        if !change.fee.is_zero() {
            self.cash -= change.fee;
        }
        let holding = self.holding_mut(change.symbol);
        if !change.shares.is_zero() {
            let side = if change.shares.is_negative() { Side::Sell } else { Side::Buy };
            let was = holding.position.quantity();
            holding.position.fill(side, change.shares.abs(), change.paid.abs());
            let is = holding.position.quantity();
            let is_same_side = !was.is_zero() && !is.is_zero() && was.is_negative() == is.is_negative();
            if !is_same_side {
                holding.opened_at = (!is.is_zero()).then_some(change.at);
            }
        }
        holding.note(change.at);
    }

    /// How much of the time, and by how much, positions were off their targets until `now`.
    pub fn off_target(&self, now: Timestamp) -> OffTarget {
        self.holdings
            .iter()
            .fold(OffTarget::default(), |sum, holding| sum.plus(&holding.off_target.until(now)))
    }

    /// Makes room for one more symbol, so that it has the next place.
    pub fn list(&mut self, symbol: Symbol) {
        self.holding_mut(symbol);
    }

    fn holding(&self, symbol: Symbol) -> Option<&BookHolding> {
        self.holdings.iter().find(|holding| holding.symbol == symbol)
    }

    fn holding_mut(&mut self, symbol: Symbol) -> &mut BookHolding {
        let place = self.holdings.iter().position(|holding| holding.symbol == symbol).unwrap_or_else(|| {
            self.holdings.push(BookHolding {
                symbol,
                position: Position::default(),
                opened_at: None,
                target: None,
                off_target: OffTarget::default(),
                under_way: Quantity::ZERO,
                newest: (0, 0),
            });
            self.holdings.len() - 1
        });
        &mut self.holdings[place]
    }
}

impl BookHolding {
    fn expected(&self) -> Quantity {
        self.position.quantity() + self.under_way
    }

    fn note(&mut self, now: Timestamp) {
        if let Some(target) = &self.target {
            // Orders are of whole lots, a part of a net position need not be.
            let gap = target.shares - (self.position.quantity() + self.under_way);
            self.off_target.note(gap.floor_to(target.lot), now);
        }
    }
}

fn whole_share() -> Quantity {
    Quantity::ONE
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_whole_share(lot: &Quantity) -> bool {
    *lot == Quantity::ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x() -> Symbol {
        "X".parse().unwrap()
    }

    fn shares(number: i64) -> Quantity {
        Quantity::new(number.into())
    }

    fn change(count: i64, paid: &str, second: i64) -> BookChange {
        let at = Timestamp::from_secs(second);
        let (shares, paid) = (shares(count), paid.parse().unwrap());
        BookChange { strategy: 0, symbol: x(), shares, paid, fee: Money::ZERO, target: None, at }
    }

    fn target(count: i64) -> Target {
        Target {
            shares: shares(count),
            first: "a".into(),
            strength: None,
            is_missed: false,
            lot: Quantity::ONE,
        }
    }

    #[test]
    fn a_book_that_is_restored_is_the_book_that_was_stored() {
        let mut book = StrategyBook::new("cross", Money::whole(1_000));
        book.want(x(), target(10));
        book.apply(&BookChange { fee: "0.5".parse().unwrap(), ..change(4, "400", 2) });
        let stored = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<StrategyBook>(&stored).unwrap(), book);
        assert_eq!((book.cash(), book.held(x())), ("599.5".parse().unwrap(), shares(4)));
        assert_eq!(book.equity(|_| "110".parse().ok()), "1039.5".parse().unwrap());
        assert_eq!(book.equity(|_| None), "999.5".parse().unwrap());
    }

    #[test]
    fn a_position_is_open_since_it_was_last_flat_or_on_the_other_side() {
        let mut book = StrategyBook::new("cross", Money::whole(1_000));
        let opened = [(5, 1), (5, 2), (-4, 3), (-6, 4), (-4, 5), (4, 6)].map(|(shares, second)| {
            book.apply(&change(shares, "0", second));
            book.holdings[0].opened_at
        });
        assert_eq!(
            opened,
            [Some(1), Some(1), Some(1), None, Some(5), None].map(|at| at.map(Timestamp::from_secs))
        );
    }

    #[test]
    fn time_off_the_target_is_counted_while_nothing_is_under_way() {
        let mut book = StrategyBook::new("cross", Money::whole(1_000));
        let at = Timestamp::from_secs;
        book.want(x(), target(10));
        book.ordered(x(), shares(10), at(0));
        book.ended(x(), shares(10));
        book.apply(&change(4, "400", 10)); // 6 shares are missing from second 10 to 30.
        book.ordered(x(), shares(6), at(30));
        book.ended(x(), shares(6));
        book.apply(&change(6, "600", 40));
        let off = book.off_target(at(100)).figures();
        assert_eq!((off.time, off.mean_shares, off.worst_shares), (Some(0.2), Some(6.0), shares(6)));
    }

    #[test]
    fn another_capital_is_a_deposit() {
        let mut book = StrategyBook::new("cross", Money::whole(1_000));
        book.apply(&change(4, "400", 2));
        book.set_capital(Money::whole(1_500));
        assert_eq!((book.capital(), book.cash()), (Money::whole(1_500), Money::whole(1_100)));
    }
}
