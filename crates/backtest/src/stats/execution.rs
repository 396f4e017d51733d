//! How well orders were carried out: how many came how far, at what price, how late.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::measure::divide;
use super::number::{finite, mean, quantile, quantile_of_sorted};
use super::table::{ExecutionQuality, Funnel, OrderLatency, ReasonCount, Slippage};
use crate::record::{OrderSummary, Record};
use bot_core::order::Side;
use bot_core::outcome::OutcomeKind;
use bot_core::portfolio::OffTarget;
use bot_core::units::Quantity;

/// Of all orders of the record.
pub(crate) fn execution(record: &Record) -> ExecutionQuality {
    let orders = || record.orders.iter().filter(|order| order.is_order);
    let filled: Quantity = orders().map(|order| order.filled).sum();
    let asked: Quantity = orders().map(|order| order.quantity).sum();
    let off_target =
        record.strategies.iter().fold(OffTarget::default(), |sum, strategy| sum.plus(&strategy.off_target));
    ExecutionQuality {
        funnel: funnel(record),
        fill_ratio: divide(Some(filled.to_f64()), Some(asked.to_f64())),
        slippage: slippage(orders()),
        latency: latency(orders()),
        off_target: off_target.figures(),
    }
}

fn funnel(record: &Record) -> Funnel {
    let mut funnel = Funnel {
        events: record.end.events,
        signals: record.strategies.iter().map(|strategy| strategy.signals).sum(),
        idle: record.strategies.iter().map(|strategy| strategy.idle).sum(),
        transactions: record.orders.len() as u64,
        ..Funnel::default()
    };
    let mut stopped = BTreeMap::new();
    let mut reasons = BTreeMap::new();
    for order in &record.orders {
        let key = (order.outcome, code(&order.reason));
        if !order.is_order {
            *stopped.entry(key).or_default() += 1;
            continue;
        }
        funnel.orders += 1;
        let (count, whole) = match order.outcome {
            OutcomeKind::Filled => (&mut funnel.filled, true),
            OutcomeKind::PartlyFilled => (&mut funnel.partly_filled, false),
            OutcomeKind::Unfilled => (&mut funnel.unfilled, false),
            OutcomeKind::Rejected => (&mut funnel.rejected, false),
            OutcomeKind::Refused
            | OutcomeKind::Skipped
            | OutcomeKind::Expired
            | OutcomeKind::ExpiredUnconfirmed
            | OutcomeKind::Lost => (&mut funnel.other, false),
        };
        *count += 1;
        if !whole {
            *reasons.entry(key).or_default() += 1;
        }
    }
    funnel.stopped = listed(stopped);
    funnel.reasons = listed(reasons);
    funnel
}

/// The code of `code: text`.
fn code(reason: &str) -> &str {
    reason.split_once(':').map_or(reason, |(code, _)| code).trim()
}

fn listed(counts: BTreeMap<(OutcomeKind, &str), u64>) -> Vec<ReasonCount> {
    let mut reasons: Vec<_> = counts
        .into_iter()
        .map(|((outcome, code), count)| ReasonCount { outcome, code: code.to_owned(), count })
        .collect();
    reasons.sort_by_key(|reason| Reverse(reason.count)); // Stable: equals stay in the order of their names.
    reasons
}

fn slippage<'a>(orders: impl Iterator<Item = &'a OrderSummary>) -> Slippage {
    let mut points = Vec::new();
    let mut money = 0.0;
    for order in orders {
        let (shares, total) = (order.filled.to_f64(), order.total.to_f64());
        let seen = order.price_seen * shares;
        let cost = match order.side {
            Side::Buy => total - seen,
            Side::Sell => seen - total,
        };
        if let Some(bps) = divide(Some(cost * 10_000.0), Some(seen)) {
            points.push(bps);
            money += cost;
        }
    }
    Slippage {
        orders: points.len() as u64,
        mean_bps: mean(&points).and_then(finite),
        p50_bps: quantile(&mut points, 0.5).and_then(finite),
        p95_bps: quantile_of_sorted(&points, 0.95).and_then(finite),
        money: (!points.is_empty()).then_some(money).and_then(finite),
    }
}

fn latency<'a>(orders: impl Iterator<Item = &'a OrderSummary>) -> OrderLatency {
    let mut micros: Vec<u64> = orders
        .map(|order| u64::try_from(order.final_at.since(order.at).as_micros()).unwrap_or(u64::MAX))
        .collect();
    micros.sort_unstable();
    // The nearest rank: a latency that was really seen.
    let at = |percent: usize| micros.get((micros.len() * percent).div_ceil(100).max(1) - 1).copied();
    OrderLatency {
        orders: micros.len() as u64,
        p50_us: at(50),
        p90_us: at(90),
        p99_us: at(99),
        max_us: micros.last().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::{SampleRun, off_target};

    #[test]
    fn the_funnel_counts_every_transaction_once() {
        let record = SampleRun::default()
            .fill("buy 10 5 0")
            .order(|run| OrderSummary {
                is_order: false,
                outcome: OutcomeKind::Refused,
                reason: "order_notional_max: order must be at most 100, was 200".to_owned(),
                ..run.blank()
            })
            .order(|run| OrderSummary { outcome: OutcomeKind::Unfilled, ..run.blank() })
            .with(|record| {
                record.strategies[0].signals = 5;
                record.strategies[0].idle = 2;
                record.end.events = 100;
            })
            .done();
        let funnel = execution(&record).funnel;
        assert_eq!((funnel.events, funnel.signals, funnel.idle, funnel.transactions), (100, 5, 2, 3));
        assert_eq!((funnel.orders, funnel.filled, funnel.unfilled), (2, 1, 1));
        assert_eq!(
            funnel.stopped,
            [ReasonCount { outcome: OutcomeKind::Refused, code: "order_notional_max".to_owned(), count: 1 }]
        );
        assert_eq!(
            funnel.reasons,
            [ReasonCount { outcome: OutcomeKind::Unfilled, code: String::new(), count: 1 }]
        );
    }

    #[test]
    fn slippage_above_zero_is_to_our_cost_on_both_sides() {
        let record = SampleRun::default()
            .fill("buy 10 101 0")
            .fill("sell 10 98 0")
            .with(|record| record.orders.iter_mut().for_each(|order| order.price_seen = 100.0))
            .done();
        let found = execution(&record);
        assert_eq!(found.slippage.mean_bps, Some(150.0));
        assert_eq!((found.slippage.orders, found.slippage.money), (2, Some(30.0)));
        assert_eq!(found.fill_ratio, Some(1.0));
        assert_eq!((found.latency.p50_us, found.latency.max_us), (Some(1_000), Some(1_000)));
    }

    #[test]
    fn the_time_off_target_is_that_of_all_strategies_together() {
        let run = |gaps: [OffTarget; 2]| {
            let change = |record: &mut Record| {
                for (strategy, off) in record.strategies.iter_mut().zip(gaps) {
                    strategy.off_target = off;
                }
            };
            execution(&SampleRun::default().with(change).done()).off_target
        };
        let found = run([off_target(4, 10), off_target(-10, 20)]);
        assert_eq!((found.time, found.mean_shares), (Some(0.15), Some(8.0)));
        assert_eq!(found.worst_shares.to_string(), "10");
        let found = run([off_target(0, 10), OffTarget::default()]);
        assert_eq!((found.time, found.mean_shares), (Some(0.0), None), "it had a target and was there");
    }

    #[test]
    fn without_orders_nothing_is_measured() {
        let found = execution(&Record::default());
        assert_eq!(found, ExecutionQuality::default());
    }
}
