//! Cash and positions at the end: what the compared orders account for, and what they do not. Pure.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::explain::{cash, shares};
use super::order::LiveSide;
use super::pair::Pair;
use super::reason::Reason;
use crate::record::FinalAccount;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};
use bot_data::history::session::SessionEnd;

/// Cash, or the shares of one symbol, at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalBalance {
    /// `cash`, or the symbol.
    pub what: String,
    /// By the session.
    pub live: Decimal,
    /// By the replay.
    pub replay: Decimal,
    /// What the compared orders account for.
    pub by_orders: Decimal,
    /// Why it is more than that, or the orders' part.
    pub reason: Option<Reason>,
}

/// What is left over when the orders' part is taken away is not explained by them.
pub(super) fn balances(
    end: &SessionEnd,
    replay: &FinalAccount,
    pairs: &[Pair],
    live: &[LiveSide],
) -> Vec<FinalBalance> {
    let adopted = pairs.iter().filter_map(|pair| pair.live(live)).any(|live| live.redelivered);
    let judge = |what: String, ours: Decimal, theirs: Decimal, by_orders: Decimal, tolerance: Decimal| {
        let left = (ours - theirs - by_orders).abs();
        let reason = match (left <= tolerance, ours == theirs) {
            (true, true) => None,
            (true, false) => Some(Reason::Account),
            (false, _) if adopted || end.left_pending > 0 => Some(Reason::StartedLate),
            (false, _) => Some(Reason::Unexplained),
        };
        FinalBalance { what, live: ours, replay: theirs, by_orders, reason }
    };
    let paid: Money = pairs.iter().map(|pair| cash(pair, live)).sum();
    let mut moved: BTreeMap<Symbol, Quantity> = BTreeMap::new();
    for pair in pairs {
        *moved.entry(pair.any(live).symbol).or_default() += shares(pair, live);
    }
    // Brokers round the mean price of an order.
    let cents = Decimal::new(i64::try_from(pairs.len()).unwrap_or(i64::MAX), 2);
    let mut found = vec![judge("cash".to_owned(), end.cash.get(), replay.cash.get(), paid.get(), cents)];
    let symbols: BTreeSet<Symbol> =
        end.positions.keys().chain(replay.positions.keys()).chain(moved.keys()).copied().collect();
    for symbol in symbols {
        let held =
            |positions: &BTreeMap<Symbol, Quantity>| positions.get(&symbol).copied().unwrap_or_default();
        let (ours, theirs) = (held(&end.positions), held(&replay.positions));
        let by_orders = held(&moved);
        found.push(judge(symbol.to_string(), ours.get(), theirs.get(), by_orders.get(), Decimal::ZERO));
    }
    found
}
