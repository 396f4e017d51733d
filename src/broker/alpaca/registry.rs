//! The orders in flight: what is known of each, and who waits for news of it.
//!
//! A waiter gets a wake-up, not a message, and then reads the newest state: nothing can pile up, get lost or come late.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::clock::Timestamp;
use crate::order::{ClientOrderId, OrderReport, Phase};

/// All orders that some worker follows.
#[derive(Debug, Default)]
pub(super) struct Registry {
    orders: Mutex<HashMap<ClientOrderId, Followed>>,
    last_watch: AtomicU64,
}

/// One worker's interest in one order. Several may follow the same one: a producer can send an id twice.
#[derive(Debug)]
pub(super) struct Watch {
    number: u64,
    woken: Receiver<()>,
    seen: u64,
}

#[derive(Debug)]
struct Followed {
    since: Timestamp,
    known: Option<OrderReport>,
    /// Grows with each change of `known`.
    version: u64,
    waiters: Vec<(u64, Sender<()>)>,
}

impl Registry {
    /// Begins to follow an order; to be called before it is sent, so that no early event is missed.
    pub(super) fn watch(&self, id: &ClientOrderId, now: Timestamp) -> Watch {
        let number = self.last_watch.fetch_add(1, Ordering::Relaxed);
        let (wake, woken) = bounded(1);
        let mut orders = self.lock();
        let order = orders.entry(id.clone()).or_insert_with(|| Followed {
            since: now,
            known: None,
            version: 0,
            waiters: Vec::with_capacity(1),
        });
        order.waiters.push((number, wake));
        Watch { number, woken, seen: 0 }
    }

    /// Ends one interest; the order is forgotten with the last.
    pub(super) fn unwatch(&self, id: &ClientOrderId, watch: &Watch) {
        let mut orders = self.lock();
        if let Some(order) = orders.get_mut(id) {
            order.waiters.retain(|(number, _)| *number != watch.number);
            if order.waiters.is_empty() {
                orders.remove(id);
            }
        }
    }

    /// Takes in a report from the stream or the list and wakes who waits for it; reports that nobody follows are dropped.
    pub(super) fn deliver(&self, report: &OrderReport) {
        if let Some(order) = self.lock().get_mut(&report.client_order_id) {
            order.take_in(report, None);
        }
    }

    /// Takes in a worker's own answer, wakes the other workers, and returns the most that is known of the order.
    pub(super) fn merge(&self, report: OrderReport, watch: &mut Watch) -> OrderReport {
        match self.lock().get_mut(&report.client_order_id) {
            Some(order) => {
                order.take_in(&report, Some(watch.number));
                watch.seen = order.version;
                order.known.clone().unwrap_or(report)
            }
            None => report,
        }
    }

    /// Waits at most `span` for something that `watch` has not seen yet.
    pub(super) fn wait(&self, id: &ClientOrderId, watch: &mut Watch, span: Duration) -> Option<OrderReport> {
        // A wake-up may be left over from news that was read already. After this, each wake-up means news.
        while watch.woken.try_recv().is_ok() {}
        if let Some(news) = self.news(id, watch) {
            return Some(news);
        }
        watch.woken.recv_timeout(span).ok()?;
        self.news(id, watch)
    }

    /// The orders that are not known to be final; `None` when there are none.
    pub(super) fn in_flight(&self, now: Timestamp) -> Option<InFlight> {
        let mut flight: Option<InFlight> = None;
        for (id, order) in self.lock().iter_mut().filter(|(_, order)| !order.is_final()) {
            // A clock that was set back must not make an order look young for hours.
            order.since = order.since.min(now);
            let submitted = order.known.as_ref().and_then(|known| known.submitted_at).unwrap_or(order.since);
            let flight =
                flight.get_or_insert(InFlight { since: order.since, submitted, ids: HashSet::new() });
            flight.since = flight.since.min(order.since);
            flight.submitted = flight.submitted.min(submitted);
            flight.ids.insert(id.clone());
        }
        flight
    }

    fn news(&self, id: &ClientOrderId, watch: &mut Watch) -> Option<OrderReport> {
        let orders = self.lock();
        let order = orders.get(id).filter(|order| order.version > watch.seen)?;
        watch.seen = order.version;
        order.known.clone()
    }

    /// A thread that panicked here left at worst one order as it was before.
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientOrderId, Followed>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the tracker needs to know to ask for all orders in flight at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InFlight {
    /// Since when the oldest has been followed.
    pub(super) since: Timestamp,
    /// When the oldest was submitted, by the broker's clock where it is known.
    pub(super) submitted: Timestamp,
    /// Which ones.
    pub(super) ids: HashSet<ClientOrderId>,
}

impl Followed {
    fn take_in(&mut self, report: &OrderReport, own: Option<u64>) {
        let Some(newer) = advance(self.known.as_ref(), report) else { return };
        self.known = Some(newer);
        self.version += 1;
        for (_, wake) in self.waiters.iter().filter(|(number, _)| Some(*number) != own) {
            // Full means that a wake-up is on its way already.
            let _ = wake.try_send(());
        }
    }

    fn is_final(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.status.phase() == Phase::Final)
    }
}

/// What is known after `heard`, or `None` when it says nothing new: a final status is never undone and fills never
/// shrink, in whatever order and however often reports come.
fn advance(known: Option<&OrderReport>, heard: &OrderReport) -> Option<OrderReport> {
    let Some(known) = known else { return Some(heard.clone()) };
    let more_filled = heard.filled > known.filled
        || (heard.filled == known.filled && known.average_price.is_none() && heard.average_price.is_some());
    let newer_status = match (known.status.phase(), heard.status.phase()) {
        (Phase::Working, Phase::Final) => true,
        (Phase::Working, Phase::Working) => heard.filled >= known.filled && heard.status != known.status,
        (Phase::Final, Phase::Final | Phase::Working) => false,
    };
    if !more_filled && !newer_status {
        return None;
    }
    let mut after = known.clone();
    if more_filled {
        after.filled = heard.filled;
        after.average_price = heard.average_price.or(known.average_price);
    }
    if newer_status {
        after.status = heard.status.clone();
        after.submitted_at = heard.submitted_at.or(known.submitted_at);
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::order::{OrderId, OrderStatus, Side};
    use crate::units::Quantity;

    fn report(status: &str, filled: u32) -> OrderReport {
        OrderReport {
            client_order_id: "bot-1".parse().unwrap(),
            order_id: OrderId::new("o"),
            symbol: "NVDA".parse().unwrap(),
            side: Side::Buy,
            quantity: Quantity::new(10.into()),
            status: OrderStatus::from(status),
            filled: Quantity::new(filled.into()),
            average_price: (filled > 0).then(|| "180".parse().unwrap()),
            submitted_at: None,
        }
    }

    #[track_caller]
    fn check(known: (&str, u32), heard: (&str, u32), expected: Option<(&str, u32)>) {
        let after = advance(Some(&report(known.0, known.1)), &report(heard.0, heard.1));
        assert_eq!(
            after,
            expected.map(|(status, filled)| report(status, filled)),
            "{known:?} then {heard:?}"
        );
    }

    #[test]
    fn late_and_repeated_reports_change_nothing() {
        check(("new", 0), ("new", 0), None);
        check(("filled", 10), ("filled", 10), None);
        check(("filled", 10), ("new", 0), None);
        check(("canceled", 3), ("partially_filled", 2), None);
        check(("partially_filled", 3), ("new", 0), None);
        check(("expired", 0), ("canceled", 0), None);
    }

    #[test]
    fn fills_and_final_statuses_are_taken_whenever_they_come() {
        check(("pending_new", 0), ("new", 0), Some(("new", 0)));
        check(("new", 0), ("partially_filled", 3), Some(("partially_filled", 3)));
        check(("partially_filled", 3), ("canceled", 3), Some(("canceled", 3)));
        check(("partially_filled", 3), ("canceled", 0), Some(("canceled", 3)));
        check(("canceled", 0), ("partially_filled", 3), Some(("canceled", 3)));
        check(("canceled", 3), ("filled", 10), Some(("canceled", 10)));
        check(("new", 0), ("pending_review", 0), Some(("pending_review", 0)));
    }

    proptest! {
        #[test]
        fn whatever_order_reports_come_in_the_fills_never_shrink_and_the_end_stays(
            heard in prop::collection::vec((0..6_usize, 0..=10_u32), 1..20)
        ) {
            let words = ["pending_new", "new", "partially_filled", "filled", "canceled", "odd"];
            let mut known: Option<OrderReport> = None;
            for (word, filled) in heard {
                let before = known.clone();
                if let Some(after) = advance(known.as_ref(), &report(words[word], filled)) {
                    known = Some(after);
                }
                if let (Some(before), Some(after)) = (before, &known) {
                    prop_assert!(after.filled >= before.filled);
                    prop_assert!(before.status.phase() == Phase::Working || after.status == before.status);
                }
            }
        }
    }

    #[test]
    fn everyone_who_waits_for_the_same_order_hears_of_it_once() {
        let registry = Registry::default();
        let id: ClientOrderId = "bot-1".parse().unwrap();
        let mut first = registry.watch(&id, Timestamp::default());
        let mut second = registry.watch(&id, Timestamp::default());
        registry.deliver(&report("new", 0));
        registry.deliver(&report("filled", 10));
        registry.deliver(&report("filled", 10));
        for watch in [&mut first, &mut second] {
            assert_eq!(registry.wait(&id, watch, Duration::ZERO), Some(report("filled", 10)));
            assert_eq!(registry.wait(&id, watch, Duration::ZERO), None);
        }
        registry.unwatch(&id, &first);
        registry.deliver(&report("filled", 10));
        assert!(registry.in_flight(Timestamp::default()).is_none(), "a final order is not asked for");
        registry.unwatch(&id, &second);
        assert!(registry.lock().is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_the_streams_last_word_does_not_hide_it() {
        let registry = Registry::default();
        let id: ClientOrderId = "bot-1".parse().unwrap();
        let mut watch = registry.watch(&id, Timestamp::default());
        registry.deliver(&report("filled", 10));
        assert_eq!(registry.merge(report("pending_new", 0), &mut watch), report("filled", 10));
        assert_eq!(registry.wait(&id, &mut watch, Duration::ZERO), None, "nothing is said twice");
    }

    #[test]
    fn the_oldest_order_in_flight_bounds_the_list() {
        let registry = Registry::default();
        assert_eq!(registry.in_flight(Timestamp::from_secs(9)), None);
        let _first = registry.watch(&"bot-1".parse().unwrap(), Timestamp::from_secs(5));
        let _second = registry.watch(&"bot-2".parse().unwrap(), Timestamp::from_secs(7));
        registry.deliver(&OrderReport { submitted_at: Some(Timestamp::from_secs(4)), ..report("new", 0) });
        let flight = registry.in_flight(Timestamp::from_secs(9)).unwrap();
        assert_eq!((flight.since, flight.submitted), (Timestamp::from_secs(5), Timestamp::from_secs(4)));
        assert_eq!(flight.ids.len(), 2);
        let set_back = registry.in_flight(Timestamp::from_secs(1)).unwrap();
        assert_eq!(set_back.since, Timestamp::from_secs(1));
    }
}
