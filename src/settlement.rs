//! From the end of an order to what is recorded of it: the outcome, and what is done in the same step. Pure.

use crate::core::OrderEnded;
use crate::inbox::{After, Settlement};
use crate::order::OrderType;
use crate::outcome::{Decision, Outcome};

/// What became of a signal, with what belongs to it: the step that follows, the books, who is told.
pub fn of_end(end: OrderEnded) -> Settlement {
    let OrderEnded { record, ended, told } = end;
    let latency_us = record.ended_at.since(record.received_at()).as_micros();
    let (report, request) = (record.report(), record.request());
    tracing::info!(
        signal.id = %record.signal().id,
        outcome = record.kind.as_str(),
        reason = Some(&record.reason).filter(|reason| !reason.is_empty()),
        ticker = %record.signal().symbol,
        filled = report.map(|report| report.filled.to_string()),
        price = report.and_then(|report| report.average_price).map(|price| price.to_string()),
        latency_us,
        "signal is settled"
    );
    let booked = report.filter(|report| report.filled.is_positive() && ended.own.is_some());
    let after = After {
        next: ended.next.map(|step| record.signal().followed_by(step).fields()),
        booked: booked.map(|report| (record.client_order_id().clone(), report.filled)),
        changes: ended.own.into_iter().chain(ended.others).collect(),
        books: Vec::new(),
        told: told.into_iter().collect(),
    };
    let side = report.map(|report| report.side).or(request.map(|request| request.side));
    let limit = request.and_then(|request| match request.order_type {
        OrderType::Market => None,
        OrderType::Limit(limit) => Some(limit),
    });
    let outcome = Outcome {
        signal: record.signal().id.clone(),
        kind: record.kind,
        reason: record.reason.clone(),
        client_order_id: Some(record.client_order_id().clone())
            .filter(|_| report.is_some() || record.submitted_at().is_some()),
        symbol: Some(record.signal().symbol),
        side: side.or(record.signal().wanted.side()),
        strategy: record.signal().strategy.to_string(),
        order_id: report.map(|report| report.order_id.clone()),
        quantity: report.map(|report| report.quantity).or(request.map(|request| request.quantity)),
        filled: report.map(|report| report.filled),
        average_price: report.and_then(|report| report.average_price),
        received_at: Some(record.received_at()),
        submitted_at: record.submitted_at(),
        final_at: Some(record.ended_at),
        decision: Some(Box::new(Decision {
            at: record.decided().map(|(at, _)| at),
            quote: record.decided().and_then(|(_, quote)| quote),
            limit,
            signal: record.signal().clone(),
        })),
    };
    if after == After::default() {
        return Settlement::Outcome(outcome);
    }
    Settlement::Followed { outcome, after: Box::new(after) }
}
