//! Market events from whoever sees them to whoever listens; nobody waits for a slow listener.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::activity::Activity;
use crate::market::MarketEvent;

/// The one place that events pass; clones are the same feed.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    subscribers: Arc<Mutex<Subscribers>>,
    activity: Activity,
}

#[derive(Debug, Default)]
struct Subscribers {
    listeners: Vec<Subscriber>,
    closed: bool,
}

#[derive(Debug)]
struct Subscriber {
    /// `None` once it hears no more: it has left, or the feed is closed.
    events: Option<Sender<MarketEvent>>,
    heard: Heard,
}

/// What one listener got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Who listens.
    pub name: String,
    /// Events that were put into its queue.
    pub events: u64,
    /// Events that it missed because its queue was full.
    pub dropped: u64,
}

impl Feed {
    /// An event counts as under way from here to the end of each listener's work.
    pub fn counted(activity: Activity) -> Self {
        Self { subscribers: Arc::default(), activity }
    }

    /// Where a listener says that it has dealt with an event.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Listens from now on with a queue of `queue_len` events; the queue ends when the feed is closed.
    pub fn subscribe(&self, name: &str, queue_len: usize) -> Receiver<MarketEvent> {
        let (sender, receiver) = bounded(queue_len);
        let mut subscribers = self.lock();
        let events = (!subscribers.closed).then_some(sender);
        subscribers
            .listeners
            .push(Subscriber { events, heard: Heard { name: name.to_owned(), events: 0, dropped: 0 } });
        receiver
    }

    /// Whether nobody listens, so that nothing has to be looked for.
    pub fn is_idle(&self) -> bool {
        self.lock().listeners.iter().all(|listener| listener.events.is_none())
    }

    /// Tells all listeners at once. One whose queue is full misses the event; that is counted, and logged the first time.
    pub fn publish(&self, event: MarketEvent) {
        for listener in &mut self.lock().listeners {
            listener.tell(event, &self.activity);
        }
    }

    /// Tells nobody anything any more: listeners read what is left in their queues and come to its end.
    pub fn close(&self) {
        let mut subscribers = self.lock();
        subscribers.closed = true;
        for listener in &mut subscribers.listeners {
            listener.events = None;
        }
    }

    /// What each listener got so far, in the order of subscription; those who left are among them.
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().listeners.iter().map(|listener| listener.heard.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn tell(&mut self, event: MarketEvent, activity: &Activity) {
        let Some(events) = &self.events else { return };
        activity.begin();
        let sent = events.try_send(event);
        if sent.is_err() {
            activity.end();
        }
        match sent {
            Ok(()) => self.heard.events += 1,
            Err(TrySendError::Full(_)) => {
                if self.heard.dropped == 0 {
                    tracing::warn!(
                        listener = self.heard.name,
                        "a listener is too slow; it misses market events"
                    );
                }
                self.heard.dropped += 1;
            }
            Err(TrySendError::Disconnected(_)) => self.events = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::market::Trade;

    fn trade(number: i64) -> MarketEvent {
        let trade = Trade { at: Timestamp::from_secs(number), price: 1.0, size: 1.0 };
        MarketEvent::Trade { symbol: "NVDA".parse().unwrap(), trade }
    }

    fn seconds(events: &Receiver<MarketEvent>) -> Vec<i64> {
        events.try_iter().map(|event| event.known_at().millis() / 1_000).collect()
    }

    fn heard(name: &str, events: u64, dropped: u64) -> Heard {
        Heard { name: name.to_owned(), events, dropped }
    }

    #[test]
    fn every_listener_hears_every_event_in_order() {
        let feed = Feed::default();
        let (one, two) = (feed.subscribe("one", 8), feed.subscribe("two", 8));
        (1..=3).for_each(|number| feed.publish(trade(number)));
        assert_eq!((seconds(&one), seconds(&two)), (vec![1, 2, 3], vec![1, 2, 3]));
    }

    #[test]
    fn a_slow_listener_misses_events_that_its_neighbour_hears_and_they_are_counted() {
        let feed = Feed::default();
        let (slow, quick) = (feed.subscribe("slow", 2), feed.subscribe("quick", 9));
        (1..=5).for_each(|number| feed.publish(trade(number)));
        assert_eq!((seconds(&slow), seconds(&quick)), (vec![1, 2], vec![1, 2, 3, 4, 5]));
        assert_eq!(feed.heard(), [heard("slow", 2, 3), heard("quick", 5, 0)]);
    }

    #[test]
    fn a_listener_that_left_is_told_nothing_and_the_feed_knows_when_it_is_alone() {
        let feed = Feed::default();
        assert!(feed.is_idle());
        let events = feed.subscribe("one", 2);
        assert!(!feed.is_idle());
        drop(events);
        feed.publish(trade(1));
        assert!(feed.is_idle());
        assert_eq!(feed.heard(), [heard("one", 0, 0)]);
    }

    #[test]
    fn a_closed_feed_lets_queues_be_read_to_their_end() {
        let feed = Feed::default();
        let events = feed.clone().subscribe("one", 2);
        feed.publish(trade(1));
        feed.close();
        feed.publish(trade(2));
        assert_eq!(events.iter().count(), 1);
        assert_eq!(feed.subscribe("late", 2).iter().count(), 0);
    }
}
