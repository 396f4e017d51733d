//! What nobody waits for: parked orders, which their deadlines and news wake, and signals that grow too old in a lane.

use super::{Action, Core, Notice};
use crate::clock::Timestamp;
use crate::execution::table::Stage;
use crate::execution::{OrderKey, TaskEnd, TaskStep};
use crate::outcome::OutcomeKind;

impl Core {
    /// Says when a parked order is to be looked at, or hands it to whoever is free when it is to be sent.
    pub(super) fn go_on_later(&mut self, key: OrderKey, now: Timestamp, out: &mut Vec<Action>) {
        let Some(order) = self.orders.get_mut(key) else { return };
        match order.task.next(now, &self.timeouts) {
            TaskStep::Decide | TaskStep::Submit(_) => {
                self.orders.set_deadline(key, None);
                self.resumed.push_back(key);
            }
            TaskStep::Query | TaskStep::Cancel(_) => self.orders.set_deadline(key, Some(now)),
            TaskStep::Wait(until) => {
                let until = until.min(order.tell_at);
                self.orders.set_deadline(key, Some(until));
            }
            TaskStep::Done(ending) => self.end(key, ending, now, out),
        }
    }

    /// Deadlines have come: signals that wait grow too old, parked orders are told of, looked up and cancelled.
    pub(super) fn ring(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        while let Some(key) = self.orders.pop_due(now) {
            let Some(order) = self.orders.get_mut(key) else { continue };
            match order.stage {
                Stage::Waiting => {
                    let symbol = order.signal.symbol;
                    if let Some(lanes) = &mut self.lanes {
                        lanes.withdraw(symbol, key);
                    }
                    let reason = "stale_signal: too old before the order could be sent".to_owned();
                    self.end(key, TaskEnd::Outcome { kind: OutcomeKind::Expired, reason }, now, out);
                }
                Stage::Parked(false) => self.ring_parked(key, now, out),
                Stage::Followed(_) | Stage::Parked(true) => {}
            }
        }
    }

    fn ring_parked(&mut self, key: OrderKey, now: Timestamp, out: &mut Vec<Action>) {
        let Some(order) = self.orders.get_mut(key) else { return };
        if now >= order.tell_at {
            let since = order.task.submitted_at().unwrap_or(order.received_at);
            let worked = now.since(since);
            order.tell_at = now + worked.max(self.timeouts.tell_after);
            out.push(Action::Notice(Notice::NotFinal {
                signal: order.signal.id.clone(),
                id: order.client_order_id.clone(),
                status: order.task.report().map(|report| report.status.clone()),
                worked,
            }));
        }
        match order.task.next(now, &self.timeouts) {
            TaskStep::Query => {
                order.stage = Stage::Parked(true);
                out.push(Action::Query { order: key, id: order.client_order_id.clone() });
            }
            TaskStep::Cancel(id) => {
                order.stage = Stage::Parked(true);
                out.push(Action::Cancel { order: key, id });
            }
            TaskStep::Decide | TaskStep::Submit(_) | TaskStep::Wait(_) | TaskStep::Done(_) => {
                self.go_on_later(key, now, out);
            }
        }
    }
}
