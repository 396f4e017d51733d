//! The life of one signal's order, stepped from outside: [`OrderTask::next`] says what to do, [`OrderTask::on`] takes the answer. Pure.
//!
//! Only proof makes an order final. Whatever is repeated carries the same client order id, so the broker refuses a second order.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus, Phase};
use crate::outcome::OutcomeKind;
use crate::reply::Reply;
use crate::risk::{Approved, Refusal};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the desk, then call [`OrderTask::decided`].
    Decide,
    /// Send this order.
    Submit(OrderRequest),
    /// Look the order up by its client order id.
    Query,
    /// Ask the broker to cancel it.
    Cancel(OrderId),
    /// Wait for news, at most until then.
    Wait(Timestamp),
    /// It is over.
    Done(Ending),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With an outcome to record.
    Outcome {
        /// Its kind.
        kind: OutcomeKind,
        /// Why, `code: text`, empty where the kind says all.
        reason: String,
    },
    /// As poison: delivered too often, and there is no order.
    Poison(String),
}

/// The waits of an order's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// How long a working order goes without news before it is looked up.
    pub poll_after: Duration,
    /// How long an immediate-or-cancel order may work before it is cancelled (and again, while it still works).
    pub cancel_after: Duration,
    /// The first pause after an answer that proves nothing; it doubles up to `pause_max`.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long an order that may have been sent is looked for before it is given up as unconfirmed.
    pub look_for: Duration,
    /// More deliveries than this without an order at the broker make a signal poison.
    pub deliveries_max: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            poll_after: Duration::from_secs(2),
            cancel_after: Duration::from_secs(15),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(5),
            look_for: Duration::from_secs(5),
            deliveries_max: 5,
        }
    }
}

/// One signal on its way to exactly one order.
#[derive(Debug, Clone)]
pub struct OrderTask {
    client_order_id: ClientOrderId,
    patience: Patience,
    deliveries: u64,
    /// From when on nothing is sent any more.
    stale_at: Timestamp,
    state: State,
    approved: Option<Approved>,
    report: Option<OrderReport>,
    /// When a POST was first sent, by this task.
    submitted_at: Option<Timestamp>,
    /// An order may exist: by an earlier process, or by a POST whose answer proved nothing.
    maybe_sent: bool,
    /// The order was there before this task sent anything: its fills may be in the books already.
    adopted: bool,
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Asking whether an order exists, because one may.
    Looking {
        at: Timestamp,
        until: Timestamp,
    },
    /// The desk's turn.
    Deciding,
    /// Ready to be sent, not before `at`.
    Sending {
        at: Timestamp,
    },
    /// The broker has it and it works.
    Working {
        poll_at: Timestamp,
        cancel_at: Timestamp,
    },
    /// The broker says that it has it, but has not shown it yet.
    Fetching {
        at: Timestamp,
    },
    Done(Ending),
}

impl OrderTask {
    /// A task for a signal that may be sent until `stale_at`; a redelivered one (`deliveries` above 1) is looked up first.
    pub fn new(
        client_order_id: ClientOrderId,
        deliveries: u64,
        stale_at: Timestamp,
        patience: Patience,
        now: Timestamp,
    ) -> Self {
        let mut task = Self {
            client_order_id,
            patience,
            deliveries,
            stale_at,
            state: State::Deciding,
            approved: None,
            report: None,
            submitted_at: None,
            maybe_sent: deliveries > 1,
            adopted: false,
            failures: 0,
        };
        if task.maybe_sent {
            task.look(now, now);
        }
        task
    }

    /// A task that only looks for an order that may exist and never sends one.
    pub fn find_only(client_order_id: ClientOrderId, patience: Patience, now: Timestamp) -> Self {
        let mut task = Self::new(client_order_id, 2, now, patience, now);
        task.stale_at = Timestamp::default();
        task
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Timestamp) -> Step {
        match &self.state {
            State::Deciding => Step::Decide,
            State::Looking { at, .. } | State::Fetching { at } if now >= *at => Step::Query,
            State::Looking { at, .. } | State::Fetching { at } => Step::Wait(*at),
            State::Sending { at } => {
                let at = *at;
                self.next_sending(at, now)
            }
            State::Working { poll_at, cancel_at } => match &self.report {
                Some(report) if now >= *cancel_at => Step::Cancel(report.order_id.clone()),
                _ if now >= *poll_at => Step::Query,
                _ => Step::Wait(*poll_at.min(cancel_at)),
            },
            State::Done(ending) => Step::Done(ending.clone()),
        }
    }

    fn next_sending(&mut self, at: Timestamp, now: Timestamp) -> Step {
        if now > self.stale_at {
            self.became_stale(now);
            return self.next(now);
        }
        if now < at {
            // Past `stale_at` nothing is sent, so waiting beyond it is of no use.
            return Step::Wait(at.min(self.stale_at + Duration::from_nanos(1)));
        }
        match &self.approved {
            Some(approved) => {
                self.submitted_at.get_or_insert(now);
                Step::Submit(approved.request().clone())
            }
            None => Step::Decide,
        }
    }

    /// Takes the desk's decision.
    pub fn decided(&mut self, decision: Result<Approved, Refusal>, now: Timestamp) {
        match decision {
            Ok(approved) => {
                self.approved = Some(approved);
                self.state = State::Sending { at: now };
            }
            Err(refusal) if self.maybe_sent => {
                // An earlier process may have sent it a moment ago: a refusal now says nothing about that.
                tracing::debug!(client_order_id = %self.client_order_id, %refusal, "not sent again");
                self.look_only(now);
            }
            Err(refusal) => self.finish(refusal.outcome(), format!("{}: {refusal}", refusal.code())),
        }
    }

    /// Takes the broker's answer to the last step, or a report that came by itself.
    pub fn on(&mut self, reply: Reply, now: Timestamp) {
        if let Reply::Report(report) = reply {
            self.observe(report, now);
            return;
        }
        match self.state.clone() {
            State::Looking { until, .. } => self.on_looking(&reply, until, now),
            State::Fetching { .. } => self.state = State::Fetching { at: now + self.pause() },
            State::Sending { .. } => self.on_sending(reply, now),
            State::Working { cancel_at, .. } => self.on_working(&reply, cancel_at, now),
            State::Deciding | State::Done(_) => {}
        }
    }

    /// The last report of the order, where there is one.
    pub fn report(&self) -> Option<&OrderReport> {
        self.report.as_ref()
    }

    /// The order that was approved, where one was.
    pub fn approved(&self) -> Option<&Approved> {
        self.approved.as_ref()
    }

    /// When this task first sent the order.
    pub fn submitted_at(&self) -> Option<Timestamp> {
        self.submitted_at
    }

    /// True when the order was there before this task sent anything.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    fn on_looking(&mut self, reply: &Reply, until: Timestamp, now: Timestamp) {
        match reply {
            Reply::NotFound if self.deliveries > self.patience.deliveries_max => {
                let reason =
                    format!("delivered {} times and there is no order at the broker", self.deliveries);
                self.state = State::Done(Ending::Poison(reason));
            }
            Reply::NotFound if now <= self.stale_at => {
                self.failures = 0;
                let approved = self.approved.is_some();
                self.state = if approved { State::Sending { at: now } } else { State::Deciding };
            }
            Reply::NotFound if now >= until => self.finish(
                OutcomeKind::ExpiredUnconfirmed,
                "unconfirmed: it may have been sent, is too old to be sent again and was not found"
                    .to_owned(),
            ),
            Reply::NotFound
            | Reply::Unknown(_)
            | Reply::Rejected(_)
            | Reply::Duplicate
            | Reply::CancelAccepted
            | Reply::Report(_) => self.state = State::Looking { at: now + self.pause(), until },
            Reply::RateLimited { until: at } => {
                let at = (*at).max(now + self.patience.pause_min);
                self.state = State::Looking { at, until: until.max(at) };
            }
        }
    }

    fn on_sending(&mut self, reply: Reply, now: Timestamp) {
        match reply {
            Reply::Rejected(rejection) if self.maybe_sent => {
                // The refusal is of this POST; an earlier one may have landed.
                tracing::debug!(client_order_id = %self.client_order_id, %rejection, "refused on repeat");
                self.look_only(now);
            }
            Reply::Rejected(rejection) => {
                self.finish(OutcomeKind::Rejected, format!("broker: {rejection}"));
            }
            Reply::RateLimited { until } => {
                if !self.maybe_sent {
                    self.submitted_at = None; // Proof that nothing was taken.
                }
                self.state = State::Sending { at: until.max(now + self.patience.pause_min) };
            }
            Reply::Duplicate => {
                // Only a POST of this very task, on a first delivery, can have made the order otherwise.
                self.adopted = !self.maybe_sent || self.deliveries > 1;
                self.state = State::Fetching { at: now };
            }
            Reply::Unknown(_) | Reply::NotFound | Reply::CancelAccepted | Reply::Report(_) => {
                self.maybe_sent = true;
                let at = now + self.pause();
                self.look(at, now);
            }
        }
    }

    fn on_working(&mut self, reply: &Reply, cancel_at: Timestamp, now: Timestamp) {
        let next_cancel = if now >= cancel_at { now + self.patience.cancel_after } else { cancel_at };
        let poll_at = match reply {
            // Whether the cancel won is told by the order itself.
            Reply::CancelAccepted | Reply::Rejected(_) => now + self.patience.pause_min,
            Reply::RateLimited { until } => (*until).max(now + self.patience.pause_min),
            Reply::NotFound | Reply::Unknown(_) | Reply::Duplicate | Reply::Report(_) => now + self.pause(),
        };
        self.state = State::Working { poll_at, cancel_at: next_cancel };
    }

    fn became_stale(&mut self, now: Timestamp) {
        if self.maybe_sent {
            self.look(now, now);
        } else {
            self.finish(
                OutcomeKind::Expired,
                "stale_signal: too old before the order could be sent".to_owned(),
            );
        }
    }

    /// Looks for the order from `at` on. Nobody sends it after `stale_at`, so an order that is not seen `look_for` later
    /// than that is given up.
    fn look(&mut self, at: Timestamp, now: Timestamp) {
        self.state = State::Looking { at, until: now.min(self.stale_at) + self.patience.look_for };
    }

    /// Looks for the order and never sends it again.
    fn look_only(&mut self, now: Timestamp) {
        self.failures = 0;
        self.look(now, now);
        self.stale_at = Timestamp::default();
    }

    fn observe(&mut self, report: OrderReport, now: Timestamp) {
        if matches!(self.state, State::Done(_)) {
            return;
        }
        if self.report.is_none() {
            let answers_a_post = matches!(self.state, State::Sending { .. }) && self.submitted_at.is_some();
            let ours = self.submitted_at.is_some() && self.deliveries <= 1;
            self.adopted |= !answers_a_post && !ours;
        }
        self.failures = 0;
        if self.report.as_ref().is_none_or(|before| is_newer(before, &report)) {
            self.report = Some(report);
        }
        let Some(report) = &self.report else { return };
        match report.status.phase() {
            Phase::Final => {
                let (kind, reason) = verdict(report);
                self.finish(kind, reason);
            }
            Phase::Working => {
                let first_cancel = now + self.patience.cancel_after;
                let cancel_at = match self.state {
                    State::Working { cancel_at, .. } => cancel_at,
                    State::Looking { .. }
                    | State::Fetching { .. }
                    | State::Sending { .. }
                    | State::Deciding => first_cancel,
                    State::Done(_) => return,
                };
                self.state = State::Working { poll_at: now + self.patience.poll_after, cancel_at };
            }
        }
    }

    fn finish(&mut self, kind: OutcomeKind, reason: String) {
        self.state = State::Done(Ending::Outcome { kind, reason });
    }

    fn pause(&mut self) -> Duration {
        let pause =
            self.patience.pause_min.saturating_mul(1 << self.failures.min(16)).min(self.patience.pause_max);
        self.failures += 1;
        pause
    }
}

/// Whether `after` is not less advanced than `before`: reports of one order may repeat or come out of order.
fn is_newer(before: &OrderReport, after: &OrderReport) -> bool {
    let steps_back = before.status.phase() == Phase::Final && after.status.phase() == Phase::Working;
    !steps_back && after.filled >= before.filled
}

/// The outcome of a final order. Fills count, whatever the status says.
fn verdict(report: &OrderReport) -> (OutcomeKind, String) {
    let status = report.status.as_str();
    if report.filled >= report.quantity {
        (OutcomeKind::Filled, String::new())
    } else if report.filled.is_positive() {
        (
            OutcomeKind::PartlyFilled,
            format!("{status}: {} of {} shares were filled", report.filled, report.quantity),
        )
    } else if report.status == OrderStatus::Rejected {
        (OutcomeKind::Rejected, format!("{status}: the broker refused the order after it had taken it"))
    } else {
        (OutcomeKind::Unfilled, format!("{status}: no share was filled"))
    }
}

#[cfg(test)]
mod tests;
