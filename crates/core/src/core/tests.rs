//! The core driven by hand, without a thread: whole lives of orders.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names the actions that it expects")]

mod any_order;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;
use crate::account::Account;
use crate::desk::{MarketView, Rules};
use crate::execution::Claim;
use crate::market::{Quote, SessionClock, Snapshot};
use crate::order::{OrderId, OrderRequest, OrderStatus, Side};
use crate::signal::{Entry, Signal, Wanted};
use crate::symbol::Symbol;
use crate::units::{Quantity, Weight};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const OPEN: SessionClock =
    SessionClock { is_open: true, next_open: Timestamp::MAX, next_close: Timestamp::MAX };

fn symbols() -> [Symbol; 3] {
    ["NVDA", "SPY", "AAPL"].map(|text| text.parse().unwrap())
}

fn latest_prices(now: Timestamp) -> HashMap<Symbol, Snapshot> {
    let quote = Quote { at: now, bid: 99.9, bid_size: 100.0, ask: 100.0, ask_size: 100.0 };
    symbols()
        .into_iter()
        .map(|symbol| (symbol, Snapshot { symbol, quote: Some(quote), trade: None, read_at: now }))
        .collect()
}

fn lanes() -> LanesConfig {
    LanesConfig { sides_wait: true, waiting_max: 64, deferred_max: 1_000 }
}

fn core() -> Core {
    let cash = "1000000".parse().unwrap();
    let account = Account { cash, buying_power: cash, equity: cash, ..Account::default() };
    let rules = Rules { size: "5sh".parse().unwrap(), ..Rules::default() };
    let desk = Desk::new(
        rules,
        symbols().map(|symbol| (symbol, Weight::percent(33))),
        &account,
        &latest_prices(START),
    );
    Core::with_lanes(desk, lanes(), Timeouts::default())
}

/// A core, its clock, and what it wanted done.
struct Driver {
    core: Core,
    now: Timestamp,
    signals: usize,
    /// Requests that are not answered.
    out: Vec<Action>,
    waits: BTreeMap<OrderKey, Timestamp>,
    ended: Vec<OrderEnded>,
    notices: Vec<Notice>,
    trace: Sha256,
}

impl Driver {
    fn new() -> Self {
        Self {
            core: core(),
            now: START,
            signals: 0,
            out: Vec::new(),
            waits: BTreeMap::new(),
            ended: Vec::new(),
            notices: Vec::new(),
            trace: Sha256::new(),
        }
    }

    fn on(&mut self, event: Event<'_>) {
        let mut actions = Vec::new();
        self.core.on(event, self.now, &mut actions);
        for action in actions {
            self.trace.update(format!("{} {action:?}\n", self.now));
            match action {
                Action::Decide { order } => {
                    let latest_prices = latest_prices(self.now);
                    self.on(Event::Turn {
                        order,
                        market: MarketView { latest_prices: &latest_prices, session: OPEN, version: None },
                    });
                }
                Action::Wait { order, until } => {
                    self.waits.insert(order, until);
                }
                Action::Park { order } => {
                    self.waits.remove(&order);
                }
                Action::Submit { .. } | Action::Query { .. } | Action::Cancel { .. } => {
                    self.waits.remove(&action.order().unwrap());
                    self.out.push(action);
                }
                Action::Ended(ended) => {
                    self.waits.remove(&ended.record.key);
                    self.ended.push(*ended);
                }
                Action::DeadLetter { order, .. } => panic!("{order:?}"),
                Action::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    fn signal(&mut self, symbol: Symbol, side: Side) -> usize {
        self.signals += 1;
        let wanted = Wanted::Order { side, quantity: None, strength: None };
        let signal = Signal::plain(EntryId::new(&format!("{}-0", self.signals)), symbol, wanted, self.now);
        let id = signal.id.clone();
        let client_order_id = format!("bot-{}", self.signals).parse().unwrap();
        let entry = Entry { id, fields: Vec::new(), sent_at: self.now, deliveries: 1 };
        let claim = Claim { side: Some(side), target_of: None, is_step: false };
        let (entry, received_at) = (Some(entry), self.now);
        self.on(Event::Signal(Arrival { entry, signal, client_order_id, claim, received_at }));
        self.signals
    }

    /// A worker takes what it finds; false when that is nothing.
    fn take(&mut self) -> bool {
        let Some(order) = self.core.take() else { return false };
        self.on(Event::Due { order });
        true
    }

    fn take_all(&mut self) {
        while self.take() {}
    }

    /// Time passes; whoever waited that long looks again, and deadlines come.
    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        let due: Vec<OrderKey> =
            self.waits.iter().filter(|(_, until)| **until <= self.now).map(|(order, _)| *order).collect();
        for order in due {
            self.waits.remove(&order);
            self.on(Event::Due { order });
        }
        self.on(Event::Timer);
    }

    /// The first request that is not answered.
    fn asked(&mut self) -> Action {
        self.out.remove(0)
    }

    fn reply(&mut self, action: &Action, reply: Reply) {
        let order = action.order().unwrap();
        self.on(Event::Reply { order, reply });
    }

    fn outcomes(&self) -> Vec<(String, &'static str)> {
        self.ended.iter().map(|end| (end.record.signal().id.to_string(), end.record.kind.as_str())).collect()
    }
}

fn request(action: &Action) -> OrderRequest {
    let Action::Submit { request, .. } = action else { panic!("{action:?}") };
    request.clone()
}

fn report(request: &OrderRequest, status: &str, filled: i64) -> OrderReport {
    OrderReport {
        client_order_id: request.client_order_id.clone(),
        order_id: OrderId::new(request.client_order_id.as_str()),
        symbol: request.symbol,
        side: request.side,
        quantity: request.quantity,
        status: status.into(),
        filled: Quantity::new(filled.into()),
        average_price: (filled > 0).then(|| "100".parse().unwrap()),
        submitted_at: None,
    }
}

#[test]
fn a_signal_becomes_one_order_that_is_followed_until_it_is_filled() {
    let mut driver = Driver::new();
    driver.signal(symbols()[0], Side::Buy);
    driver.take_all();
    let submit = driver.asked();
    let request = request(&submit);
    driver.reply(&submit, Reply::Report(report(&request, "new", 0)));
    assert_eq!(driver.core.in_flight().unwrap().ids.len(), 1);
    driver.on(Event::Report(report(&request, "partially_filled", 2)));
    driver.on(Event::Report(report(&request, "filled", 5)));
    driver.on(Event::Report(report(&request, "filled", 5)));
    assert_eq!(driver.outcomes(), [("1-0".to_owned(), "filled")]);
    assert_eq!(driver.core.desk().statement().cash, "999500".parse().unwrap());
    assert!(driver.core.orders().is_empty() && driver.core.in_flight().is_none());
}

#[test]
fn news_of_an_order_that_was_there_before_are_not_booked_as_this_ones() {
    let mut driver = Driver::new();
    driver.signal(symbols()[0], Side::Buy);
    driver.take_all();
    let submit = driver.asked();
    let earlier = report(&request(&submit), "filled", 5);
    driver.on(Event::Report(earlier)); // The producer's id was used before.
    assert_eq!(driver.outcomes(), [], "the request is not answered");
    driver.reply(&submit, Reply::Duplicate);
    assert_eq!(driver.outcomes(), [("1-0".to_owned(), "filled")]);
    assert!(driver.core.must_reread(), "the account has it already");
    assert!(driver.core.desk().statement().positions.is_empty());
}

#[test]
fn opposite_sides_of_one_symbol_hold_up_no_other_symbol_and_no_worker() {
    let mut driver = Driver::new();
    let [nvda, spy, _] = symbols();
    for (symbol, side) in
        [(nvda, Side::Buy), (nvda, Side::Sell), (nvda, Side::Sell), (nvda, Side::Sell), (spy, Side::Buy)]
    {
        driver.signal(symbol, side);
    }
    driver.take_all();
    let sent: Vec<_> = driver.out.iter().map(|action| request(action).symbol).collect();
    assert_eq!(sent, [nvda, spy], "two workers are busy, all others are free");
}

#[test]
fn an_order_that_does_not_end_is_parked_told_of_and_cancelled_by_rising_intervals() {
    let mut driver = Driver::new();
    driver.signal(symbols()[0], Side::Buy);
    driver.take_all();
    let submit = driver.asked();
    let request = request(&submit);
    driver.reply(&submit, Reply::Report(report(&request, "suspended", 0)));
    assert_eq!(driver.waits.len(), 1, "its worker follows it");
    driver.pass(Duration::from_secs(1));
    assert!(driver.waits.is_empty(), "its worker is free");
    let (mut told, mut cancels, mut queries) = (Vec::new(), Vec::new(), Vec::new());
    for second in 1..=240 {
        driver.pass(Duration::from_secs(1));
        for notice in driver.notices.drain(..) {
            let Notice::NotFinal { status, .. } = notice else { panic!("{notice:?}") };
            assert_eq!(status, Some(OrderStatus::Suspended));
            told.push(second + 1);
        }
        while !driver.out.is_empty() {
            let action = driver.asked();
            match action {
                Action::Cancel { .. } => cancels.push(second + 1),
                Action::Query { .. } => queries.push(second + 1),
                _ => panic!("{action:?}"),
            }
            driver.reply(&action, Reply::Unknown("timed out".to_owned()));
        }
    }
    assert_eq!(told, [5, 10, 20, 40, 80, 160]);
    assert_eq!(cancels[..3], [15, 45, 105]);
    assert!(queries.len() < 60, "{queries:?}");
    assert_eq!(driver.ended.len(), 0);
    driver.on(Event::Report(report(&request, "canceled", 3)));
    assert_eq!(driver.outcomes(), [("1-0".to_owned(), "partly_filled")]);
}

#[test]
fn signals_that_wait_in_a_lane_end_when_they_are_too_old_whatever_holds_it_up() {
    let mut driver = Driver::new();
    let nvda = symbols()[0];
    driver.signal(nvda, Side::Buy);
    driver.take_all();
    let submit = driver.asked();
    driver.reply(&submit, Reply::Report(report(&request(&submit), "suspended", 0)));
    driver.signal(nvda, Side::Sell);
    driver.pass(Duration::from_secs(5));
    assert_eq!(driver.outcomes(), []);
    driver.pass(Duration::from_millis(1));
    assert_eq!(driver.outcomes(), [("2-0".to_owned(), "expired")]);
    assert!(driver.notices.iter().any(|notice| matches!(notice, Notice::Overload(_))));
}

#[test]
fn a_pause_holds_decisions_back_and_nothing_is_lost() {
    let mut driver = Driver::new();
    driver.signal(symbols()[0], Side::Buy);
    let order = driver.core.take().unwrap();
    driver.core.set_state(TradingState::Reading);
    driver.on(Event::Due { order });
    driver.signal(symbols()[1], Side::Buy);
    assert!(!driver.take() && driver.out.is_empty() && !driver.core.is_ready());
    driver.core.set_state(TradingState::Active);
    driver.take_all();
    assert_eq!(driver.out.len(), 2);
}

#[test]
fn signals_that_come_too_fast_are_told_of_once_and_then_by_rising_intervals() {
    let mut driver = Driver::new();
    let mut told = Vec::new();
    for tick in 0..1_000_u64 {
        driver.signal(symbols()[0], Side::Buy);
        driver.pass(Duration::from_millis(50));
        for notice in driver.notices.drain(..) {
            let Notice::Overload(overload) = notice else { panic!("{notice:?}") };
            assert!((18.0..=21.0).contains(&overload.came_per_second), "{overload:?}");
            assert!(overload.sent_per_second.abs() < 1e-9, "{overload:?}");
            told.push(tick * 50 / 1_000);
        }
    }
    assert_eq!(told, [5, 15, 35]);
    assert!(driver.core.overload().expired > 800);
}

#[test]
fn giving_up_leaves_everything_to_the_next_process() {
    let mut driver = Driver::new();
    for _ in 0..3 {
        driver.signal(symbols()[0], Side::Buy);
    }
    driver.take();
    let (left, sent) = driver.core.give_up();
    assert_eq!((left, sent.len()), (3, 1));
    assert_eq!(driver.core.desk().in_flight(), 0);
    let submit = driver.asked();
    driver.reply(&submit, Reply::Report(report(&request(&submit), "filled", 5)));
    assert_eq!(driver.outcomes(), [], "an answer that comes too late changes nothing");
}
