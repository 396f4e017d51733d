//! Whether the books add up: the record against itself, told in words where it does not.

use std::collections::BTreeMap;

use super::table::Integrity;
use super::trades::order_of;
use crate::record::{Mark, Record};
use bot_core::order::Side;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};

/// So many breaches of one kind are told in words; the last line counts the rest.
const TOLD_MAX: usize = 10;

/// Differences up to a cent are rounding.
const CENT: f64 = 0.01;

/// The run's own breaches, and what the fills say of cash, fees and positions.
pub(crate) fn integrity(record: &Record) -> Integrity {
    let mut breaches = record.end.breaches.clone();
    breaches.extend(told(record.marks.iter().filter_map(mark_breach).collect()));
    breaches.extend(fill_breaches(record));
    Integrity {
        ok: breaches.is_empty(),
        checks: vec![
            format!("equity is cash plus positions at {} marks", record.marks.len()),
            format!("cash at the end is the start's less {} fills and their fees", record.fills.len()),
            "positions at the end are the sums of the fills".to_owned(),
            "each order's filled shares are the sum of its fills".to_owned(),
        ],
        breaches,
    }
}

fn mark_breach(mark: &Mark) -> Option<String> {
    let wanted = mark.cash + mark.net;
    let off = (mark.equity - wanted).abs();
    // Equity is made of prices with 6 decimals, and positions here of prices as seen. A number that is none is a breach.
    let fine = off <= CENT + mark.gross.abs() * 1e-5 + mark.cash.abs() * 1e-9;
    (!fine)
        .then(|| format!("equity at {} must be cash plus positions {wanted}, was {}", mark.at, mark.equity))
}

fn fill_breaches(record: &Record) -> Vec<String> {
    let mut cash = record.start_cash;
    let mut fees = Money::ZERO;
    let mut positions: BTreeMap<Symbol, Quantity> = BTreeMap::new();
    let mut filled = vec![Quantity::ZERO; record.orders.len()];
    for fill in &record.fills {
        let Some(order) = order_of(record, fill) else {
            return vec![format!("a fill must belong to an order, was number {}", fill.order)];
        };
        let money = fill.price * fill.quantity;
        let (paid, shares) = match order.side {
            Side::Buy => (money, fill.quantity),
            Side::Sell => (-money, -fill.quantity),
        };
        cash = cash - paid - fill.fee;
        fees += fill.fee;
        *positions.entry(order.symbol).or_default() += shares;
        if let Some(sum) = usize::try_from(fill.order).ok().and_then(|place| filled.get_mut(place)) {
            *sum += fill.quantity;
        }
    }
    positions.retain(|_, quantity| !quantity.is_zero());
    let mut breaches = Vec::new();
    for (what, wanted, was) in [("cash", cash, record.end.cash), ("fees", fees, record.end.fees)] {
        if (wanted - was).abs().to_f64() > CENT {
            breaches.push(format!("{what} at the end must be {wanted} by the fills, was {was}"));
        }
    }
    if positions != record.end.positions {
        let text = |positions: &BTreeMap<Symbol, Quantity>| {
            positions
                .iter()
                .map(|(symbol, shares)| format!("{symbol} {shares}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        breaches.push(format!(
            "positions at the end must be \"{}\" by the fills, was \"{}\"",
            text(&positions),
            text(&record.end.positions)
        ));
    }
    let orders = record.orders.iter().zip(filled).enumerate();
    breaches.extend(told(
        orders
            .filter(|(_, (order, sum))| order.filled != *sum)
            .map(|(place, (order, sum))| {
                format!("order {place} must have {sum} filled shares by its fills, was {}", order.filled)
            })
            .collect(),
    ));
    breaches
}

/// At most [`TOLD_MAX`] of them.
fn told(mut breaches: Vec<String>) -> Vec<String> {
    let untold = breaches.len().saturating_sub(TOLD_MAX);
    breaches.truncate(TOLD_MAX);
    if untold > 0 {
        breaches.push(format!("and {untold} more of this kind"));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::SampleRun;

    fn sound() -> SampleRun {
        SampleRun::default().equity(&[100.0, 101.0]).fill("buy 10 5 0.1").fill("sell 4 6 0.1")
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Record), wanted: &[&str]) {
        let mut record = sound().done();
        change(&mut record);
        let found = integrity(&record);
        assert_eq!(found.breaches, wanted);
        assert_eq!(found.ok, wanted.is_empty());
    }

    #[test]
    fn books_that_do_not_add_up_are_told_in_words() {
        check(|_| (), &[]);
        check(
            |record| record.marks[1].cash = 90.0,
            &["equity at 2024-01-02T21:00:00Z must be cash plus positions 90, was 101"],
        );
        check(
            |record| record.marks[1].equity = f64::NAN,
            &["equity at 2024-01-02T21:00:00Z must be cash plus positions 101, was NaN"],
        );
        check(
            |record| record.end.cash = Money::whole(7),
            &["cash at the end must be -26.2 by the fills, was 7"],
        );
        check(|record| record.end.fees = Money::ZERO, &["fees at the end must be 0.2 by the fills, was 0"]);
        check(
            |record| record.end.positions.clear(),
            &["positions at the end must be \"A 6\" by the fills, was \"\""],
        );
        check(
            |record| record.orders[1].filled = Quantity::ZERO,
            &["order 1 must have 4 filled shares by its fills, was 0"],
        );
        check(|record| record.end.breaches.push("so".to_owned()), &["so"]);
    }

    #[test]
    fn many_breaches_of_a_kind_are_counted_rather_than_told() {
        let found = integrity(&SampleRun::default().equity(&[f64::NAN; 25]).done());
        assert_eq!(found.breaches.len(), 11);
        assert_eq!(found.breaches[10], "and 15 more of this kind");
    }
}
