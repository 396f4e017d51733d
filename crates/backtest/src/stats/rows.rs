//! The tables by strategy and by symbol.

use std::collections::BTreeMap;

use super::StatisticsOptions;
use super::measure::divide;
use super::number::{count, finite};
use super::ratios::Sample;
use super::series::ReturnSeries;
use super::table::{RoundTrip, StrategyRow, SymbolRow};
use super::trades::order_of;
use crate::record::{Record, StrategyRecord};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};

/// One row for each strategy, in the order of the manifest.
pub(crate) fn strategies(
    record: &Record,
    trades: &[RoundTrip],
    options: &StatisticsOptions,
) -> Vec<StrategyRow> {
    let mut tallies = vec![ReasonTally::default(); record.strategies.len()];
    tally(record, trades, |strategy, _, count| {
        if let Some(tally) = tallies.get_mut(usize::from(strategy)) {
            count(tally);
        }
    });
    record
        .strategies
        .iter()
        .zip(tallies)
        .map(|(strategy, tally)| strategy_row(record, strategy, &tally, options))
        .collect()
}

fn strategy_row(
    record: &Record,
    strategy: &StrategyRecord,
    tally: &ReasonTally,
    options: &StatisticsOptions,
) -> StrategyRow {
    let at: Vec<_> = record.marks.iter().map(|mark| mark.at).collect();
    let sample = Sample::new(ReturnSeries::of_equity(&at, &strategy.equity), options);
    let capital = strategy.capital.to_f64();
    let final_equity = strategy.equity.last().copied().and_then(finite);
    let profit = final_equity.and_then(|equity| finite(equity - capital));
    StrategyRow {
        name: strategy.name.clone(),
        capital: strategy.capital,
        final_equity,
        profit,
        total_return: divide(profit, Some(capital)),
        sharpe: sample.sharpe().and_then(finite),
        max_drawdown: sample.max_drawdown(),
        fees: tally.fees,
        events: strategy.events,
        signals: strategy.signals,
        idle: strategy.idle,
        orders: tally.orders,
        fills: tally.fills,
        trades: tally.trades,
        win_rate: tally.win_rate(),
        off_target: strategy.off_target.figures(),
        failures: strategy.failures,
        last_failure: strategy.last_failure.clone(),
        stopped: strategy.is_stopped,
    }
}

/// One row for each traded symbol, in the order of the record.
pub(crate) fn symbols(record: &Record, trades: &[RoundTrip]) -> Vec<SymbolRow> {
    let mut tallies: BTreeMap<Symbol, ReasonTally> = BTreeMap::new();
    tally(record, trades, |_, symbol, count| count(tallies.entry(symbol).or_default()));
    record
        .symbols
        .iter()
        .map(|symbol| {
            let tally = tallies.remove(symbol).unwrap_or_default();
            SymbolRow {
                symbol: *symbol,
                profit: tally.profit,
                fees: tally.fees,
                orders: tally.orders,
                fills: tally.fills,
                trades: tally.trades,
                win_rate: tally.win_rate(),
                shares: tally.shares,
                volume: tally.volume,
                position: record.end.positions.get(symbol).copied().unwrap_or_default(),
            }
        })
        .collect()
}

#[derive(Clone, Default)]
struct ReasonTally {
    profit: Money,
    fees: Money,
    shares: Quantity,
    volume: Money,
    orders: u64,
    fills: u64,
    trades: u64,
    wins: u64,
}

impl ReasonTally {
    fn win_rate(&self) -> Option<f64> {
        let number = |many: u64| usize::try_from(many).ok().map(count);
        divide(number(self.wins), number(self.trades))
    }
}

/// Gives every order, fill and round trip to the tally of its strategy or symbol.
fn tally(record: &Record, trades: &[RoundTrip], mut to: impl FnMut(u16, Symbol, &dyn Fn(&mut ReasonTally))) {
    for order in record.orders.iter().filter(|order| order.is_order) {
        to(order.strategy, order.symbol, &|tally| tally.orders += 1);
    }
    for fill in &record.fills {
        let Some(order) = order_of(record, fill) else { continue };
        to(order.strategy, order.symbol, &|tally| {
            tally.fills += 1;
            tally.fees += fill.fee;
            tally.shares += fill.quantity;
            tally.volume += fill.price * fill.quantity;
        });
    }
    for trade in trades {
        to(trade.strategy, trade.symbol, &|tally| {
            tally.profit += trade.profit;
            tally.trades += u64::from(!trade.open);
            tally.wins += u64::from(!trade.open && trade.profit.is_positive());
        });
    }
}
