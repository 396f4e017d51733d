//! The life of one signal's order, stepped from outside: [`OrderTask::next`] says what to do, [`OrderTask::on`] takes the answer. Pure.
//!
//! Only proof makes an order final. Whatever is repeated carries the same client order id, so the broker refuses a second order.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus, Phase, TimeInForce};
use crate::outcome::OutcomeKind;
use crate::reply::Reply;
use crate::risk::{Approved, Refusal};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStep {
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
    Done(TaskEnd),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
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
pub struct Timeouts {
    /// How long a working order goes without news before it is looked up; it doubles up to `poll_max`.
    pub poll_after: Duration,
    /// The longest that a working order goes without being looked up.
    pub poll_max: Duration,
    /// How long an immediate-or-cancel order may work before it is cancelled; each further cancel waits twice as long.
    pub cancel_after: Duration,
    /// The same of an order for the day, which stands for an immediate one where the broker takes no such order.
    pub cancel_day_after: Duration,
    /// The first pause after an answer that proves nothing; it doubles up to `pause_max`.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long an order that may have been sent is looked for before it is given up as unconfirmed.
    pub look_for: Duration,
    /// How long the one who sent an order waits for its end; then the order is parked, and whoever is free goes on with it.
    pub park_after: Duration,
    /// How long an order works before it is told of; it is told of again each time it has worked twice as long.
    pub tell_after: Duration,
    /// More deliveries than this without an order at the broker make a signal poison.
    pub deliveries_max: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            poll_after: Duration::from_secs(2),
            poll_max: Duration::from_secs(30),
            cancel_after: Duration::from_secs(15),
            cancel_day_after: Duration::from_secs(1),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(5),
            look_for: Duration::from_secs(5),
            park_after: Duration::from_secs(1),
            tell_after: Duration::from_secs(5),
            deliveries_max: 5,
        }
    }
}

/// One signal on its way to exactly one order.
#[derive(Debug, Clone)]
pub struct OrderTask {
    client_order_id: ClientOrderId,
    deliveries: u64,
    /// When this process took the signal: then no other one sends it any more.
    taken_at: Timestamp,
    /// From when on nothing is sent any more.
    stale_at: Timestamp,
    state: TaskState,
    approved: Option<Approved>,
    report: Option<OrderReport>,
    /// When a POST was first sent, by this task.
    submitted_at: Option<Timestamp>,
    /// An order may exist: by an earlier process, or by a POST whose answer proved nothing.
    maybe_sent: bool,
    /// The order was there before this task sent anything: its fills may be in the books already.
    adopted: bool,
    failures: u32,
    /// Looks at the working order since something new was told of it.
    looks: u32,
    cancels: u32,
    sends: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TaskState {
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
    Done(TaskEnd),
}

impl OrderTask {
    /// A task for a signal that this process took at `taken_at` and that may be sent until `stale_at`; a redelivered one
    /// (`deliveries` above 1) is looked up first.
    pub fn new(
        client_order_id: ClientOrderId,
        deliveries: u64,
        (taken_at, stale_at): (Timestamp, Timestamp),
        timeouts: &Timeouts,
        now: Timestamp,
    ) -> Self {
        let mut task = Self {
            client_order_id,
            deliveries,
            taken_at,
            stale_at,
            state: TaskState::Deciding,
            approved: None,
            report: None,
            submitted_at: None,
            maybe_sent: deliveries > 1,
            adopted: false,
            failures: 0,
            looks: 0,
            cancels: 0,
            sends: 0,
        };
        if task.maybe_sent {
            task.look(now, now, timeouts);
        }
        task
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Timestamp, timeouts: &Timeouts) -> TaskStep {
        match &self.state {
            TaskState::Deciding => TaskStep::Decide,
            TaskState::Looking { at, .. } | TaskState::Fetching { at } if now >= *at => TaskStep::Query,
            TaskState::Looking { at, .. } | TaskState::Fetching { at } => TaskStep::Wait(*at),
            TaskState::Sending { at } => {
                let at = *at;
                self.next_sending(at, now, timeouts)
            }
            TaskState::Working { poll_at, cancel_at } => match &self.report {
                Some(report) if now >= *cancel_at => TaskStep::Cancel(report.order_id.clone()),
                _ if now >= *poll_at => TaskStep::Query,
                _ => TaskStep::Wait(*poll_at.min(cancel_at)),
            },
            TaskState::Done(ending) => TaskStep::Done(ending.clone()),
        }
    }

    fn next_sending(&mut self, at: Timestamp, now: Timestamp, timeouts: &Timeouts) -> TaskStep {
        if now > self.stale_at {
            self.became_stale(now, timeouts);
            return self.next(now, timeouts);
        }
        if now < at {
            // Past `stale_at` nothing is sent, so waiting beyond it is of no use.
            return TaskStep::Wait(at.min(self.stale_at + Duration::from_nanos(1)));
        }
        match &self.approved {
            Some(approved) => {
                self.submitted_at.get_or_insert(now);
                self.sends = self.sends.saturating_add(1);
                TaskStep::Submit(approved.request().clone())
            }
            None => TaskStep::Decide,
        }
    }

    /// Takes the desk's decision.
    pub fn decided(&mut self, decision: Result<Approved, Refusal>, now: Timestamp, timeouts: &Timeouts) {
        match decision {
            Ok(approved) => {
                self.approved = Some(approved);
                self.state = TaskState::Sending { at: now };
            }
            Err(refusal) if self.maybe_sent => {
                // An earlier process may have sent it a moment ago: a refusal now says nothing about that.
                tracing::debug!(client_order_id = %self.client_order_id, %refusal, "not sent again");
                self.look_only(now, timeouts);
            }
            Err(refusal) => self.finish(refusal.outcome(), format!("{}: {refusal}", refusal.code())),
        }
    }

    /// Takes the broker's answer to the last step, or a report that came by itself.
    pub fn on(&mut self, reply: Reply, now: Timestamp, timeouts: &Timeouts) {
        if let Reply::Report(report) = reply {
            self.observe(report, now, timeouts);
            return;
        }
        match self.state.clone() {
            TaskState::Looking { until, .. } => self.on_looking(&reply, until, now, timeouts),
            TaskState::Fetching { .. } => self.state = TaskState::Fetching { at: now + self.pause(timeouts) },
            TaskState::Sending { .. } => self.on_sending(reply, now, timeouts),
            TaskState::Working { cancel_at, .. } => self.on_working(&reply, cancel_at, now, timeouts),
            TaskState::Deciding | TaskState::Done(_) => {}
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

    /// How often it was to be sent, always with the same id.
    pub fn sends(&self) -> u32 {
        self.sends
    }

    /// True when the order was there before this task sent anything.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// Whether a signal that came then could still be sent.
    pub fn came_in_time(&self, received_at: Timestamp) -> bool {
        received_at <= self.stale_at
    }

    /// Whether it is to be decided on.
    pub fn awaits_decision(&self) -> bool {
        match self.state {
            TaskState::Deciding => true,
            TaskState::Looking { .. }
            | TaskState::Sending { .. }
            | TaskState::Working { .. }
            | TaskState::Fetching { .. }
            | TaskState::Done(_) => false,
        }
    }

    /// Whether an order of it is at the broker as far as is known: sent or perhaps sent, and not known to be final.
    pub fn may_be_at_broker(&self) -> bool {
        !self.is_over() && (self.maybe_sent || self.submitted_at.is_some())
    }

    /// Whether it has its end.
    pub fn is_over(&self) -> bool {
        match self.state {
            TaskState::Done(_) => true,
            TaskState::Deciding
            | TaskState::Looking { .. }
            | TaskState::Sending { .. }
            | TaskState::Working { .. }
            | TaskState::Fetching { .. } => false,
        }
    }

    fn on_looking(&mut self, reply: &Reply, until: Timestamp, now: Timestamp, timeouts: &Timeouts) {
        match reply {
            Reply::NotFound if self.deliveries > timeouts.deliveries_max => {
                let reason =
                    format!("delivered {} times and there is no order at the broker", self.deliveries);
                self.state = TaskState::Done(TaskEnd::Poison(reason));
            }
            Reply::NotFound if now <= self.stale_at => {
                self.failures = 0;
                let approved = self.approved.is_some();
                self.state = if approved { TaskState::Sending { at: now } } else { TaskState::Deciding };
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
            | Reply::Report(_) => self.state = TaskState::Looking { at: now + self.pause(timeouts), until },
            Reply::RateLimited { until: at } => {
                let at = (*at).max(now + timeouts.pause_min);
                self.state = TaskState::Looking { at, until: until.max(at) };
            }
        }
    }

    fn on_sending(&mut self, reply: Reply, now: Timestamp, timeouts: &Timeouts) {
        match reply {
            Reply::Rejected(rejection) if self.maybe_sent => {
                // The refusal is of this POST; an earlier one may have landed.
                tracing::debug!(client_order_id = %self.client_order_id, %rejection, "refused on repeat");
                self.look_only(now, timeouts);
            }
            Reply::Rejected(rejection) => {
                self.finish(OutcomeKind::Rejected, rejection.reason());
            }
            Reply::RateLimited { until } => {
                if !self.maybe_sent {
                    self.submitted_at = None; // Proof that nothing was taken.
                }
                self.state = TaskState::Sending { at: until.max(now + timeouts.pause_min) };
            }
            Reply::Duplicate => {
                // Only a POST of this very task, on a first delivery, can have made the order otherwise.
                self.adopted = !self.maybe_sent || self.deliveries > 1;
                self.state = TaskState::Fetching { at: now };
            }
            Reply::Unknown(_) | Reply::NotFound | Reply::CancelAccepted | Reply::Report(_) => {
                self.maybe_sent = true;
                let at = now + self.pause(timeouts);
                self.look(at, now, timeouts);
            }
        }
    }

    fn on_working(&mut self, reply: &Reply, cancel_at: Timestamp, now: Timestamp, timeouts: &Timeouts) {
        let cancel_at = if now >= cancel_at {
            self.cancels = self.cancels.saturating_add(1);
            now + self.cancel_after(timeouts).saturating_mul(1 << self.cancels.min(16))
        } else {
            cancel_at
        };
        let poll_at = match reply {
            // Whether the cancel won is told by the order itself.
            Reply::CancelAccepted | Reply::Rejected(_) => now + timeouts.pause_min,
            Reply::RateLimited { until } => (*until).max(now + timeouts.pause_min),
            Reply::NotFound | Reply::Unknown(_) | Reply::Duplicate | Reply::Report(_) => {
                now + self.pause(timeouts)
            }
        };
        self.state = TaskState::Working { poll_at, cancel_at };
    }

    fn became_stale(&mut self, now: Timestamp, timeouts: &Timeouts) {
        if self.maybe_sent {
            self.look(now, now, timeouts);
        } else {
            self.finish(
                OutcomeKind::Expired,
                "stale_signal: too old before the order could be sent".to_owned(),
            );
        }
    }

    /// Looks for the order from `at` on. Nobody sends it after `stale_at`, and another process not after this one took the
    /// signal, so an order that is not seen `look_for` later than that is given up. However long signals wait for each other
    /// here, they are looked for at the same time.
    fn look(&mut self, at: Timestamp, now: Timestamp, timeouts: &Timeouts) {
        let last_sent = if self.submitted_at.is_some() { now } else { self.taken_at };
        self.state = TaskState::Looking { at, until: last_sent.min(self.stale_at) + timeouts.look_for };
    }

    /// Looks for the order and never sends it again.
    pub fn look_only(&mut self, now: Timestamp, timeouts: &Timeouts) {
        self.failures = 0;
        self.look(now, now, timeouts);
        self.stale_at = Timestamp::default();
    }

    fn observe(&mut self, report: OrderReport, now: Timestamp, timeouts: &Timeouts) {
        if matches!(self.state, TaskState::Done(_)) {
            return;
        }
        if self.report.is_none() {
            let answers_a_post =
                matches!(self.state, TaskState::Sending { .. }) && self.submitted_at.is_some();
            let ours = self.submitted_at.is_some() && self.deliveries <= 1;
            self.adopted |= !answers_a_post && !ours;
        }
        self.failures = 0;
        let advanced = match &self.report {
            Some(known) => known.advanced_by(&report),
            None => Some(report),
        };
        match advanced {
            Some(report) => {
                self.report = Some(report);
                self.looks = 0;
            }
            None => self.looks = self.looks.saturating_add(1),
        }
        let Some(report) = &self.report else { return };
        match report.status.phase() {
            Phase::Final => {
                let (kind, reason) = verdict(report);
                self.finish(kind, reason);
            }
            Phase::Working => {
                let first_cancel = now + self.cancel_after(timeouts);
                let cancel_at = match self.state {
                    TaskState::Working { cancel_at, .. } => cancel_at,
                    TaskState::Looking { .. }
                    | TaskState::Fetching { .. }
                    | TaskState::Sending { .. }
                    | TaskState::Deciding => first_cancel,
                    TaskState::Done(_) => return,
                };
                let pause =
                    timeouts.poll_after.saturating_mul(1 << self.looks.min(16)).min(timeouts.poll_max);
                self.state = TaskState::Working { poll_at: now + pause, cancel_at };
            }
        }
    }

    fn cancel_after(&self, timeouts: &Timeouts) -> Duration {
        match self.approved.as_ref().map(|approved| approved.request().time_in_force) {
            Some(TimeInForce::Day | TimeInForce::Gtc) => timeouts.cancel_day_after,
            Some(TimeInForce::Ioc | TimeInForce::Fok) | None => timeouts.cancel_after,
        }
    }

    fn finish(&mut self, kind: OutcomeKind, reason: String) {
        self.state = TaskState::Done(TaskEnd::Outcome { kind, reason });
    }

    fn pause(&mut self, timeouts: &Timeouts) -> Duration {
        let pause = timeouts.pause_min.saturating_mul(1 << self.failures.min(16)).min(timeouts.pause_max);
        self.failures += 1;
        pause
    }
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
