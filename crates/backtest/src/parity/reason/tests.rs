//! Each reason follows from the data that prove it, and from nothing less.

use std::time::Duration;

use super::*;
use bot_core::clock::Timestamp;
use bot_core::signal::{EntryId, Signal, Strength, Wanted};

/// Both sides bought ten at 100.02, the displayed ask; 300 shares were there.
struct Case {
    live: LiveSide,
    replay: ComparedOrder,
    evidence: Evidence,
    before: Before,
}

fn case() -> Case {
    let at = Timestamp::from_secs(1_800_000_000);
    let order = ComparedOrder {
        id: "x-1-0".to_owned(),
        strategy: "x".to_owned(),
        symbol: "NVDA".parse().unwrap(),
        side: Side::Buy,
        strength: Some(1.0),
        at,
        is_order: true,
        quantity: "10".parse().unwrap(),
        limit: None,
        outcome: OutcomeKind::Filled,
        reason: String::new(),
        filled: "10".parse().unwrap(),
        price: Some("100.02".parse().unwrap()),
        price_seen: Some(100.02),
    };
    let shown = QuotesShown {
        quotes: 2,
        unusable: 0,
        bid: (100.0, 100.01),
        ask: (100.02, 100.04),
        bid_size: (300.0, 300.0),
        ask_size: (300.0, 300.0),
        age: Some(Duration::from_millis(20)),
    };
    let live = LiveSide {
        order: order.clone(),
        signal: Signal::plain(
            EntryId::new("1-0"),
            "NVDA".parse().unwrap(),
            Wanted::Order { side: Side::Buy, quantity: None, strength: Some(Strength::ONE) },
            at,
        ),
        decided_at: at,
        submitted_at: Some(at),
        final_at: at,
        redelivered: false,
    };
    let evidence = Evidence { decision: shown, fill: shown };
    Case { live, replay: order, evidence, before: Before::default() }
}

#[track_caller]
fn check(expected: Reason, change: impl FnOnce(&mut Case)) {
    let mut case = case();
    change(&mut case);
    assert_eq!(of_both(&case.live, &case.replay, &case.evidence, case.before), expected);
}

fn refuse(order: &mut ComparedOrder, reason: &str) {
    let outcome =
        if reason.starts_with("stale_signal") { OutcomeKind::Expired } else { OutcomeKind::Refused };
    let none = bot_core::units::Quantity::ZERO;
    *order = ComparedOrder {
        is_order: false,
        quantity: none,
        filled: none,
        price: None,
        outcome,
        reason: reason.to_owned(),
        ..order.clone()
    };
}

fn price(order: &mut ComparedOrder, text: &str) {
    order.price = Some(text.parse().unwrap());
}

fn fill(order: &mut ComparedOrder, text: &str, outcome: OutcomeKind) {
    (order.filled, order.outcome) = (text.parse().unwrap(), outcome);
}

#[test]
fn a_price_is_explained_by_a_quote_of_its_time_alone() {
    check(Reason::Latency, |case| price(&mut case.live.order, "100.04"));
    check(Reason::Improvement, |case| price(&mut case.live.order, "100.013"));
    check(Reason::Unexplained, |case| price(&mut case.live.order, "100.05"));
    check(Reason::Unexplained, |case| price(&mut case.live.order, "99.5"));
    check(Reason::SizeDepth, |case| {
        case.live.order.quantity = "500".parse().unwrap();
        case.replay.quantity = case.live.order.quantity;
        fill(&mut case.live.order, "500", OutcomeKind::Filled);
        price(&mut case.live.order, "100.05");
    });
}

#[test]
fn a_hole_in_the_recording_is_told_from_a_price_that_nobody_showed() {
    check(Reason::MissingData, |case| {
        price(&mut case.live.order, "101");
        case.before.events_lost = true;
    });
    check(Reason::MissingData, |case| {
        price(&mut case.live.order, "101");
        (case.evidence.fill.quotes, case.evidence.fill.age) = (1, Some(Duration::from_secs(6)));
    });
    check(Reason::StartedLate, |case| {
        price(&mut case.live.order, "101");
        case.evidence = Evidence::default();
    });
}

#[test]
fn a_part_is_explained_by_the_size_and_a_figure_that_does_not_add_up_by_nothing() {
    check(Reason::SizeDepth, |case| fill(&mut case.live.order, "5", OutcomeKind::PartlyFilled));
    check(Reason::SizeDepth, |case| fill(&mut case.replay, "5", OutcomeKind::PartlyFilled));
    check(Reason::Unexplained, |case| fill(&mut case.live.order, "9", OutcomeKind::Filled));
    check(Reason::Latency, |case| {
        case.live.order.limit = Some("100.02".parse().unwrap());
        case.replay.limit = case.live.order.limit;
        fill(&mut case.live.order, "0", OutcomeKind::Unfilled);
        case.live.order.price = None;
    });
}

#[test]
fn a_size_follows_from_the_quote_or_from_an_earlier_difference() {
    let eleven = |case: &mut Case| {
        case.live.order.quantity = "11".parse().unwrap();
        fill(&mut case.live.order, "11", OutcomeKind::Filled);
    };
    check(Reason::Unexplained, eleven);
    check(Reason::QuoteMoved, |case| {
        eleven(case);
        case.live.order.price_seen = Some(91.0);
    });
    check(Reason::Unexplained, |case| {
        eleven(case);
        case.live.order.price_seen = Some(50.0);
    });
    check(Reason::Account, |case| {
        eleven(case);
        case.before.account = true;
    });
    check(Reason::Latency, |case| {
        eleven(case);
        case.before.in_flight = true;
    });
    check(Reason::Unexplained, |case| {
        eleven(case);
        let quantity = Some("10".parse().unwrap());
        case.live.signal.wanted = Wanted::Order { side: Side::Buy, quantity, strength: None };
        case.before.account = true;
    });
}

#[test]
fn a_limit_follows_from_the_quote_unless_the_signal_named_it() {
    check(Reason::QuoteMoved, |case| {
        case.live.order.limit = Some("100.10".parse().unwrap());
        case.live.order.price_seen = Some(100.05);
    });
    check(Reason::Unexplained, |case| {
        case.live.order.limit = Some("100.10".parse().unwrap());
        case.live.signal.limit = case.live.order.limit;
        case.live.order.price_seen = Some(100.05);
    });
}

#[test]
fn refusals_name_what_they_depend_on() {
    for (code, reason) in [
        ("stale_signal: x", Reason::StaleSignal),
        ("stale_quote: x", Reason::StaleQuote),
        ("session_closed: x", Reason::Session),
        ("order_rate: x", Reason::RateLimit),
        ("insufficient_cash: x", Reason::Unexplained),
        ("internal_error: x", Reason::Unexplained),
        ("wide_spread: x", Reason::Unexplained),
    ] {
        check(reason, |case| refuse(&mut case.live.order, code));
    }
    check(Reason::QuoteMoved, |case| {
        refuse(&mut case.live.order, "wide_spread: x");
        case.live.order.price_seen = Some(101.0);
    });
    check(Reason::Account, |case| {
        refuse(&mut case.live.order, "insufficient_cash: x");
        case.before.account = true;
    });
    check(Reason::Latency, |case| {
        refuse(&mut case.replay, "insufficient_shares: x");
        case.before.in_flight = true;
    });
    check(Reason::StartedLate, |case| {
        refuse(&mut case.replay, "no_quote: x");
        case.evidence = Evidence::default();
    });
    check(Reason::MissingData, |case| refuse(&mut case.replay, "no_quote: x"));
}

#[test]
fn the_broker_and_the_edges_of_a_session_are_reasons() {
    check(Reason::Broker, |case| {
        case.live.order.outcome = OutcomeKind::Rejected;
        case.live.order.filled = bot_core::units::Quantity::ZERO;
    });
    check(Reason::Broker, |case| case.replay.outcome = OutcomeKind::Rejected);
    check(Reason::StartedLate, |case| case.live.redelivered = true);
    check(Reason::Ended, |case| {
        fill(&mut case.replay, "0", OutcomeKind::Unfilled);
        case.replay.reason = "open_at_end: x".to_owned();
    });
    check(Reason::Ended, |case| {
        price(&mut case.live.order, "101");
        case.before.unrecorded = true;
    });
    check(Reason::Unexplained, |case| case.replay.side = Side::Sell);
}

#[test]
fn the_same_strength_goes_another_way_from_another_position_only() {
    check(Reason::Account, |case| {
        case.replay.side = Side::Sell;
        case.before.account = true;
    });
    check(Reason::Unexplained, |case| {
        (case.replay.side, case.live.order.strategy, case.before.account) = (Side::Sell, String::new(), true);
    });
    let Case { live, mut replay, .. } = case();
    replay.side = Side::Sell;
    assert!(!live.order.goes_as(&replay));
    replay.is_order = false;
    assert!(live.order.goes_as(&replay), "nobody knows which way it would have gone");
}

#[test]
fn a_signal_that_one_side_lacks_needs_a_cause() {
    let before = Before::default();
    let live = case().live;
    assert_eq!(only_live(&live, before), Reason::Unexplained);
    assert_eq!(only_replay(before), Reason::Unexplained);
    assert_eq!(only_replay(Before { ended: true, ..before }), Reason::Ended);
    assert_eq!(only_replay(Before { outcomes_lost: true, ..before }), Reason::MissingData);
    for (before, reason) in [
        (Before { strategy: true, ..before }, Reason::Account),
        (Before { timer: true, ..before }, Reason::Timer),
        (Before { events_lost: true, ..before }, Reason::MissingData),
        (Before { strategy_missed: true, ..before }, Reason::MissingData),
    ] {
        assert_eq!((only_live(&live, before), only_replay(before)), (reason, reason));
    }
}
