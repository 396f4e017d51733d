//! Every order of events that an order can meet.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names the steps that it expects")]

use proptest::prelude::*;

use super::*;
use crate::instrument::Instrument;
use crate::order::{OrderType, Side, TimeInForce};
use crate::reply::Rejection;
use crate::risk::{AccountState, Limits, Plan, judge};
use crate::units::Quantity;

const START: Timestamp = Timestamp::from_secs(1_000);

fn id() -> ClientOrderId {
    "bot-sig-X".parse().unwrap()
}

fn stale_at() -> Timestamp {
    START + Duration::from_secs(5)
}

fn approved() -> Approved {
    approved_for(TimeInForce::Ioc)
}

fn approved_for(time_in_force: TimeInForce) -> Approved {
    let request = OrderRequest {
        client_order_id: id(),
        symbol: "NVDA".parse().unwrap(),
        side: Side::Buy,
        quantity: "10".parse().unwrap(),
        order_type: OrderType::Market,
        time_in_force,
    };
    let account_state = AccountState {
        margin: crate::margin::Margin::CASH,
        short_shares: Quantity::ZERO,
        available_cash: "5000".parse().unwrap(),
        available_shares: Quantity::ZERO,
        held: Quantity::ZERO,
        orders_last_minute: 0,
    };
    judge(
        Plan { instrument: Instrument::of(request.symbol), request, price: "100".parse().unwrap() },
        &account_state,
        &Limits::default(),
    )
    .unwrap()
}

fn report(status: &str, filled: &str) -> Reply {
    Reply::Report(OrderReport {
        client_order_id: id(),
        order_id: OrderId::new("o-1"),
        symbol: "NVDA".parse().unwrap(),
        side: Side::Buy,
        quantity: "10".parse().unwrap(),
        status: status.into(),
        filled: filled.parse().unwrap(),
        average_price: "100".parse().ok(),
        submitted_at: None,
    })
}

fn rejected() -> Reply {
    Reply::Rejected(Rejection {
        status: 403,
        code: Some(40_310_000),
        message: "insufficient buying power".into(),
    })
}

fn unknown() -> Reply {
    Reply::Unknown("timed out".into())
}

fn task(deliveries: u64) -> OrderTask {
    OrderTask::new(id(), deliveries, (START, stale_at()), &Timeouts::default(), START)
}

/// Feeds the replies to whatever asks the broker, jumping over waits, and writes down each step and the end.
fn play(deliveries: u64, replies: Vec<Reply>) -> String {
    let mut task = task(deliveries);
    let mut now = START;
    let mut replies = replies.into_iter();
    let mut story = Vec::new();
    for _ in 0..200 {
        let (word, asks) = match task.next(now, &Timeouts::default()) {
            TaskStep::Decide => {
                task.decided(Ok(approved()), now, &Timeouts::default());
                ("decide", false)
            }
            TaskStep::Wait(until) => {
                now = until;
                continue;
            }
            TaskStep::Submit(order) => {
                assert_eq!(order.client_order_id, id());
                ("submit", true)
            }
            TaskStep::Query => ("query", true),
            TaskStep::Cancel(_) => ("cancel", true),
            TaskStep::Done(TaskEnd::Poison(_)) => ("poison", false),
            TaskStep::Done(TaskEnd::Outcome { kind, .. }) => (kind.as_str(), false),
        };
        story.push(word);
        if let TaskStep::Done(_) = task.next(now, &Timeouts::default()) {
            if story.len() > 1 && task.is_adopted() {
                story.push("(adopted)");
            }
            return story.join(" ");
        }
        if asks {
            let Some(reply) = replies.next() else { return story.join(" ") };
            task.on(reply, now, &Timeouts::default());
        }
    }
    story.join(" ")
}

#[track_caller]
fn check(deliveries: u64, replies: Vec<Reply>, expected: &str) {
    let story = play(deliveries, replies);
    let last = story.split(' ').next_back().unwrap_or_default().to_owned();
    // `play` writes the end once; a story that ends in an ask ran out of replies.
    assert_eq!(story, expected, "ended at {last}");
}

#[test]
fn a_fresh_signal_is_sent_at_once_and_followed_until_final() {
    check(1, vec![report("filled", "10")], "decide submit filled");
    check(
        1,
        vec![report("pending_new", "0"), report("new", "0"), report("filled", "10")],
        "decide submit query query filled",
    );
    check(1, vec![report("accepted", "0"), report("canceled", "0")], "decide submit query unfilled");
    check(
        1,
        vec![report("partially_filled", "4"), report("canceled", "4")],
        "decide submit query partly_filled",
    );
    check(1, vec![report("new", "0"), report("expired", "4")], "decide submit query partly_filled");
    check(1, vec![report("rejected", "0")], "decide submit rejected");
    check(1, vec![rejected()], "decide submit rejected");
}

#[test]
fn an_ambiguous_answer_is_looked_up_before_the_same_order_is_sent_again() {
    check(1, vec![unknown(), report("filled", "10")], "decide submit query filled");
    check(1, vec![unknown(), Reply::NotFound, report("filled", "10")], "decide submit query submit filled");
    check(
        1,
        vec![
            unknown(),
            unknown(),
            Reply::NotFound,
            Reply::Duplicate,
            Reply::NotFound,
            report("filled", "10"),
        ],
        "decide submit query query submit query query filled",
    );
}

#[test]
fn an_unknown_outcome_is_never_turned_into_rejected() {
    let looks_on = play(1, vec![unknown(), Reply::NotFound, rejected(), report("filled", "10")]);
    assert_eq!(looks_on, "decide submit query submit query filled");
    let mut replies = vec![unknown(), Reply::NotFound, rejected()];
    replies.extend(std::iter::repeat_n(Reply::NotFound, 50));
    let story = play(1, replies);
    assert!(story.ends_with("expired_unconfirmed"), "{story}");
    assert_eq!(story.matches("submit").count(), 2);
}

#[test]
fn a_redelivered_signal_is_looked_up_first_and_what_exists_is_adopted() {
    check(2, vec![report("filled", "10")], "query filled (adopted)");
    check(2, vec![Reply::NotFound, report("filled", "10")], "query decide submit filled");
    check(
        2,
        vec![Reply::NotFound, Reply::Duplicate, report("filled", "10")],
        "query decide submit query filled (adopted)",
    );
    check(6, vec![Reply::NotFound], "query poison");
    check(6, vec![report("filled", "10")], "query filled (adopted)");
}

#[test]
fn a_duplicate_on_the_first_post_is_adopted() {
    check(1, vec![Reply::Duplicate, report("filled", "10")], "decide submit query filled (adopted)");
}

#[test]
fn a_rate_limit_is_a_definite_no_and_the_same_order_is_sent_later() {
    let later = Reply::RateLimited { until: START + Duration::from_secs(2) };
    check(1, vec![later, report("filled", "10")], "decide submit submit filled");
    let too_late = Reply::RateLimited { until: START + Duration::from_mins(1) };
    check(1, vec![too_late], "decide submit expired");
}

#[test]
fn an_order_that_only_met_the_rate_limit_counts_as_never_sent() {
    let mut task = task(1);
    task.next(START, &Timeouts::default());
    task.decided(Ok(approved()), START, &Timeouts::default());
    task.next(START, &Timeouts::default());
    task.on(Reply::RateLimited { until: START + Duration::from_mins(1) }, START, &Timeouts::default());
    assert!(matches!(
        task.next(stale_at() + Duration::from_secs(1), &Timeouts::default()),
        TaskStep::Done(_)
    ));
    assert_eq!(task.submitted_at(), None);
}

#[test]
fn a_stale_order_is_never_sent() {
    let mut task = task(1);
    assert_eq!(task.next(START, &Timeouts::default()), TaskStep::Decide);
    task.decided(Ok(approved()), START, &Timeouts::default());
    let late = stale_at() + Duration::from_millis(1);
    assert!(matches!(
        task.next(late, &Timeouts::default()),
        TaskStep::Done(TaskEnd::Outcome { kind: OutcomeKind::Expired, .. })
    ));
}

#[test]
fn an_order_that_may_exist_and_is_too_old_to_send_ends_unconfirmed_after_a_bounded_look() {
    let mut task =
        OrderTask::new(id(), 2, (START, START - Duration::from_mins(1)), &Timeouts::default(), START);
    assert_eq!(task.next(START, &Timeouts::default()), TaskStep::Query);
    task.on(unknown(), START, &Timeouts::default());
    let TaskStep::Wait(at) = task.next(START, &Timeouts::default()) else {
        panic!("an unknown answer proves nothing")
    };
    assert_eq!(task.next(at, &Timeouts::default()), TaskStep::Query);
    task.on(Reply::NotFound, at, &Timeouts::default());
    assert!(matches!(
        task.next(at, &Timeouts::default()),
        TaskStep::Done(TaskEnd::Outcome { kind: OutcomeKind::ExpiredUnconfirmed, .. })
    ));
}

#[test]
fn signals_that_waited_for_each_other_were_looked_for_meanwhile() {
    let (timeouts, now) = (Timeouts::default(), START + Duration::from_secs(6));
    let mut task = OrderTask::new(id(), 2, (START, stale_at() + Duration::from_mins(1)), &timeouts, now);
    assert_eq!(task.next(now, &timeouts), TaskStep::Query);
    task.on(Reply::NotFound, now, &timeouts);
    assert_eq!(task.next(now, &timeouts), TaskStep::Decide);
    task.decided(Err(Refusal::AtTarget("NVDA".parse().unwrap())), now, &timeouts);
    assert_eq!(task.next(now, &timeouts), TaskStep::Query, "once more, and not for five seconds");
    task.on(Reply::NotFound, now, &timeouts);
    assert!(matches!(
        task.next(now, &timeouts),
        TaskStep::Done(TaskEnd::Outcome { kind: OutcomeKind::ExpiredUnconfirmed, .. })
    ));
}

#[test]
fn an_order_that_keeps_working_is_cancelled_and_a_lost_cancel_is_repeated_less_and_less_often() {
    let mut task = task(1);
    task.next(START, &Timeouts::default());
    task.decided(Ok(approved()), START, &Timeouts::default());
    task.next(START, &Timeouts::default());
    task.on(report("held", "0"), START, &Timeouts::default());
    let mut now = START;
    let mut cancels = 0;
    while now < START + Duration::from_mins(2) {
        match task.next(now, &Timeouts::default()) {
            TaskStep::Wait(until) => now = until,
            TaskStep::Query => task.on(report("pending_cancel", "0"), now, &Timeouts::default()),
            TaskStep::Cancel(order) => {
                assert_eq!(order.as_str(), "o-1");
                cancels += 1;
                task.on(unknown(), now, &Timeouts::default());
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(cancels, 3, "after 15, 45 and 105 seconds");
    task.on(Reply::CancelAccepted, now, &Timeouts::default());
    task.on(report("filled", "10"), now, &Timeouts::default());
    assert!(matches!(
        task.next(now, &Timeouts::default()),
        TaskStep::Done(TaskEnd::Outcome { kind: OutcomeKind::Filled, .. })
    ));
}

#[test]
fn an_order_for_the_day_is_cancelled_soon_as_it_stands_for_an_immediate_one() {
    let mut task = task(1);
    task.next(START, &Timeouts::default());
    task.decided(Ok(approved_for(TimeInForce::Day)), START, &Timeouts::default());
    task.next(START, &Timeouts::default());
    task.on(report("partially_filled", "4"), START, &Timeouts::default());
    let soon = START + Duration::from_secs(1);
    assert_eq!(task.next(START, &Timeouts::default()), TaskStep::Wait(soon));
    assert!(matches!(task.next(soon, &Timeouts::default()), TaskStep::Cancel(_)));
}

#[test]
fn a_status_nobody_knows_keeps_being_watched() {
    check(1, vec![report("quantum", "0"), report("filled", "10")], "decide submit query filled");
}

#[test]
fn a_late_report_never_undoes_a_later_one() {
    let mut task = task(1);
    task.next(START, &Timeouts::default());
    task.decided(Ok(approved()), START, &Timeouts::default());
    task.next(START, &Timeouts::default());
    task.on(report("partially_filled", "7"), START, &Timeouts::default());
    task.on(report("new", "0"), START, &Timeouts::default());
    assert_eq!(task.report().unwrap().filled, "7".parse().unwrap());
}

#[test]
fn polling_an_order_in_flight_never_turns_into_spinning() {
    let mut task = task(1);
    task.next(START, &Timeouts::default());
    task.decided(Ok(approved()), START, &Timeouts::default());
    task.next(START, &Timeouts::default());
    task.on(report("accepted", "0"), START, &Timeouts::default());
    let (mut now, mut asks) = (START, 0);
    while now < START + Duration::from_secs(10) {
        match task.next(now, &Timeouts::default()) {
            TaskStep::Wait(until) => now = until,
            TaskStep::Query | TaskStep::Cancel(_) => {
                asks += 1;
                task.on(report("accepted", "0"), now, &Timeouts::default());
            }
            step => panic!("{step:?}"),
        }
    }
    assert!(asks <= 5, "{asks}");
}

/// A broker that keeps each client order id for good and whose answers may be lost on either way.
#[derive(Default)]
struct ModelBroker {
    orders: u32,
    fills_at: usize,
}

impl ModelBroker {
    fn answer(&mut self, step: &TaskStep, fault: u8, tick: usize) -> Reply {
        let reaches = fault != 1;
        let answers = fault == 0 || fault > 4;
        let reply = match step {
            TaskStep::Submit(_) if fault == 3 => Reply::RateLimited { until: START },
            TaskStep::Submit(_) if !reaches => unknown(),
            TaskStep::Submit(_) if self.orders > 0 => Reply::Duplicate,
            TaskStep::Submit(_) => {
                self.orders += 1;
                self.fills_at = tick + 3;
                report("pending_new", "0")
            }
            _ if self.orders == 0 || fault == 4 => Reply::NotFound,
            TaskStep::Cancel(_) => Reply::CancelAccepted,
            _ if tick >= self.fills_at => report("filled", "10"),
            _ => report("new", "0"),
        };
        if answers || fault == 3 || fault == 4 { reply } else { unknown() }
    }
}

proptest! {
    #[test]
    fn whatever_gets_lost_there_is_at_most_one_order_and_its_fill_is_never_missed(
        faults in prop::collection::vec(0u8..8, 1..60),
        deliveries in 1u64..3,
        existed in any::<bool>(),
    ) {
        let mut broker = ModelBroker { orders: u32::from(existed && deliveries > 1), fills_at: 0 };
        let mut task = task(deliveries);
        let mut now = START;
        let mut ending = None;
        for tick in 0..4_000 {
            let fault = faults.get(tick).copied().unwrap_or(0);
            match task.next(now, &Timeouts::default()) {
                TaskStep::Decide => task.decided(Ok(approved()), now, &Timeouts::default()),
                TaskStep::Wait(until) => { prop_assert!(until > now); now = until; }
                TaskStep::Done(end) => { ending = Some(end); break; }
                step => {
                    if let TaskStep::Submit(_) = step { prop_assert!(now <= stale_at()); }
                    let reply = broker.answer(&step, fault, tick);
                    task.on(reply, now, &Timeouts::default());
                }
            }
        }
        prop_assert!(broker.orders <= 1);
        let Some(TaskEnd::Outcome { kind, .. }) = ending else { return Err(TestCaseError::fail("it must end")) };
        let filled = kind == OutcomeKind::Filled;
        // A 404 for an order that exists (fault 4) may go on until the look is given up: that is what unconfirmed means.
        prop_assert!(filled == (broker.orders == 1) || kind == OutcomeKind::ExpiredUnconfirmed, "{kind:?}");
    }
}
