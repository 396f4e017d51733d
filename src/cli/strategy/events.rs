//! What happened in a test of a strategy: signals, ends of orders, positions and equity at any instant.

use std::time::Duration;

use crate::backtest::record::{FillRecord, OrderSummary, Record};
use crate::clock::Timestamp;
use crate::data::{RowKind, Spec};
use crate::order::Side;
use crate::signal::Wanted;
use crate::symbol::Symbol;
use crate::units::Quantity;

/// A run, and the instants between which it lay.
pub(super) struct TestRun<'a> {
    record: &'a Record,
    /// When its first bar began or its first tick came.
    pub(super) from: Timestamp,
    /// Its last event, or the last end of an order.
    pub(super) to: Timestamp,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum TestEvent<'a> {
    /// The strategy gave a signal.
    Signal(&'a OrderSummary),
    /// What was made of it came to its end.
    End(&'a OrderSummary),
}

impl TestEvent<'_> {
    fn at(&self) -> Timestamp {
        match self {
            Self::Signal(order) => order.at,
            Self::End(order) => order.final_at,
        }
    }
}

impl<'a> TestRun<'a> {
    pub(super) fn new(record: &'a Record, specs: &[Spec]) -> Self {
        let span = |spec: &Spec| match spec.row_kind {
            RowKind::Bar { span } => span,
            RowKind::Quote | RowKind::Trade | RowKind::Number => Duration::ZERO,
        };
        let longest = specs.iter().map(span).max().unwrap_or_default();
        let reports = || record.sources.iter().map(|(_, report)| report);
        let first = reports().filter_map(|report| report.first).min().unwrap_or_default();
        let ends = record.orders.iter().map(|order| order.final_at);
        let to = reports().filter_map(|report| report.last).chain(ends).max().unwrap_or_default();
        Self { record, from: first - longest, to }
    }

    pub(super) fn record(&self) -> &'a Record {
        self.record
    }

    /// Orders at the broker.
    pub(super) fn orders(&self) -> usize {
        self.record.orders.iter().filter(|order| order.is_order).count()
    }

    /// All that happened, in order of time.
    pub(super) fn events(&self) -> Vec<TestEvent<'a>> {
        let mut events = Vec::new();
        for order in &self.record.orders {
            events.extend(is_signal(order).then_some(TestEvent::Signal(order)));
            events.push(TestEvent::End(order));
        }
        events.sort_by_key(TestEvent::at); // Stable: what follows from something stands behind it.
        events
    }

    /// Signals in order of time.
    pub(super) fn signals(&self) -> impl Iterator<Item = &'a OrderSummary> {
        self.record.orders.iter().filter(|order| is_signal(order))
    }

    /// Shares held after all that happened in the millisecond of `at`.
    pub(super) fn position(&self, symbol: Symbol, at: Timestamp) -> Quantity {
        let until = |fill: &&FillRecord| fill.at.millis() <= at.millis();
        let mut held = Quantity::ZERO;
        for fill in self.record.fills.iter().filter(until) {
            if let Some(order) = self.order_of(fill).filter(|order| order.symbol == symbol) {
                match order.side {
                    Side::Buy => held += fill.quantity,
                    Side::Sell => held -= fill.quantity,
                }
            }
        }
        held
    }

    /// Cash and positions at the last prices of the millisecond of `at`.
    pub(super) fn equity(&self, at: Timestamp) -> f64 {
        let marks = self.record.marks.iter().rev();
        let last = marks.into_iter().find(|mark| mark.at.millis() <= at.millis());
        last.map_or_else(|| self.record.start_cash.to_f64(), |mark| mark.equity)
    }

    /// Each instant and symbol at which shares changed hands, in order of time.
    pub(super) fn moves(&self) -> Vec<(Timestamp, Symbol)> {
        let fills = self.record.fills.iter();
        let mut moves: Vec<(Timestamp, Symbol)> =
            fills.filter_map(|fill| Some((fill.at, self.order_of(fill)?.symbol))).collect();
        moves.sort();
        moves.dedup_by_key(|(at, symbol)| (at.millis(), *symbol));
        moves
    }

    fn order_of(&self, fill: &FillRecord) -> Option<&'a OrderSummary> {
        self.record.orders.get(usize::try_from(fill.order).ok()?)
    }
}

/// Not one that follows from another, and none by which the broker liquidates a position.
fn is_signal(order: &OrderSummary) -> bool {
    order.step == 0 && !matches!(order.wanted, Wanted::Target(_))
}

/// New York's time, to the microsecond.
pub(super) fn shown(at: Timestamp) -> String {
    Timestamp::from_nanos(at.nanos() - at.nanos().rem_euclid(1_000)).to_new_york().to_rfc3339()
}
