//! The promises of the risk check.

use super::*;
use crate::market::Quote;
use crate::order::TimeInForce;
use crate::signal::{EntryId, Wanted};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn signal() -> Signal {
    Signal::plain(
        EntryId::new("1-0"),
        "NVDA".parse().unwrap(),
        Wanted::Order { side: Side::Buy, quantity: None, strength: None },
        NOW,
    )
}

fn open() -> SessionClock {
    let later = NOW + Duration::from_hours(1);
    SessionClock { is_open: true, next_open: later + Duration::from_hours(17), next_close: later }
}

fn snapshot(bid: f64, ask: f64, at: Timestamp) -> Snapshot {
    let quote = Quote { at, bid, bid_size: 100.0, ask, ask_size: 100.0 };
    Snapshot { symbol: "NVDA".parse().unwrap(), quote: Some(quote), trade: None, read_at: at }
}

#[track_caller]
fn check(signal: &Signal, snapshot: Option<Snapshot>, session: SessionClock, expected: &str) {
    let found = check_market(signal, snapshot.as_ref(), session, &Limits::default(), NOW);
    assert_eq!(found.map_or_else(|refusal| refusal.code(), |_| "ok"), expected);
}

#[test]
fn a_quote_that_is_not_fit_to_trade_on_is_refused_with_a_reason() {
    check(&signal(), Some(snapshot(100.0, 100.1, NOW)), open(), "ok");
    check(&signal(), None, open(), "no_quote");
    check(&signal(), Some(snapshot(0.0, 100.1, NOW)), open(), "bad_quote");
    check(&signal(), Some(snapshot(100.0, 0.0, NOW)), open(), "bad_quote");
    check(&signal(), Some(snapshot(f64::NAN, 100.0, NOW)), open(), "bad_quote");
    check(&signal(), Some(snapshot(100.2, 100.1, NOW)), open(), "bad_quote");
    check(&signal(), Some(snapshot(100.0, 102.0, NOW)), open(), "wide_spread");
    check(&signal(), Some(snapshot(100.0, 100.1, NOW - Duration::from_secs(6))), open(), "stale_quote");
    check(&signal(), Some(Snapshot { quote: None, ..snapshot(1.0, 1.0, NOW) }), open(), "no_quote");
    let unread = Snapshot { read_at: NOW - Duration::from_secs(9), ..snapshot(100.0, 100.1, NOW) };
    check(&signal(), Some(unread), open(), "stale_quote");
}

#[test]
fn a_stale_signal_and_a_closed_session_are_refused() {
    let fine = Some(snapshot(100.0, 100.1, NOW));
    let old = Signal { sent_at: NOW - Duration::from_millis(5_001), ..signal() };
    check(&old, fine, open(), "stale_signal");
    let short_lived = Signal {
        sent_at: NOW - Duration::from_millis(200),
        time_to_live: Some(Duration::from_millis(100)),
        ..signal()
    };
    check(&short_lived, fine, open(), "stale_signal");
    let closed = SessionClock { is_open: false, next_open: NOW + Duration::from_secs(5), ..open() };
    check(&signal(), fine, closed, "session_closed");
    // The clock was read before the opening and nobody has read it since.
    check(&signal(), fine, SessionClock { next_open: NOW, ..closed }, "ok");
}

fn plan(side: Side, quantity: &str) -> Plan {
    let request = OrderRequest {
        client_order_id: "bot-x".parse().unwrap(),
        symbol: "NVDA".parse().unwrap(),
        side,
        quantity: quantity.parse().unwrap(),
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Ioc,
    };
    let instrument = Instrument::of(request.symbol);
    Plan { request, price: "100".parse().unwrap(), instrument }
}

fn account_state(cash: &str, held: &str, orders_last_minute: u32) -> AccountState {
    let held: Quantity = held.parse().unwrap();
    AccountState {
        margin: Margin::CASH,
        available_cash: cash.parse().unwrap(),
        available_shares: held.max(Quantity::ZERO),
        short_shares: (-held).max(Quantity::ZERO),
        held,
        orders_last_minute,
    }
}

#[track_caller]
fn check_judge(plan: Plan, account_state: &AccountState, limits: &Limits, expected: &str) {
    let found = judge(plan, account_state, limits);
    assert_eq!(found.map_or_else(|refusal| refusal.code(), |_| "ok"), expected);
}

#[test]
fn every_limit_refuses_what_breaks_it_and_passes_what_meets_it() {
    use Side::{Buy, Sell};
    let limits = Limits {
        order_quantity_max: Some("10".parse().unwrap()),
        order_notional_max: Some("900".parse().unwrap()),
        position_notional_max: Some("1200".parse().unwrap()),
        orders_per_minute_max: Some(3),
        ..Limits::default()
    };
    check_judge(plan(Buy, "9"), &account_state("5000", "0", 2), &limits, "ok");
    check_judge(plan(Buy, "11"), &account_state("5000", "0", 0), &limits, "order_quantity");
    check_judge(plan(Buy, "10"), &account_state("5000", "0", 0), &limits, "order_notional");
    check_judge(plan(Buy, "9"), &account_state("5000", "4", 0), &limits, "position_notional");
    check_judge(plan(Sell, "4"), &account_state("0", "50", 0), &limits, "ok");
    check_judge(plan(Buy, "9"), &account_state("5000", "0", 3), &limits, "order_rate");
    check_judge(plan(Buy, "9"), &account_state("899.99", "0", 0), &limits, "insufficient_cash");
    check_judge(plan(Sell, "5"), &account_state("0", "4", 0), &limits, "insufficient_shares");
    check_judge(plan(Buy, "0"), &account_state("5000", "0", 0), &limits, "at_target");
    check_judge(plan(Sell, "0"), &account_state("0", "0.5", 0), &limits, "nothing_to_sell");
    check_judge(plan(Buy, "1.5"), &account_state("5000", "0", 0), &limits, "fractional_quantity");
}

#[test]
fn one_order_never_turns_a_position_round() {
    let limits = Limits { short: true, ..Limits::default() };
    check_judge(plan(Side::Sell, "5"), &account_state("5000", "4", 0), &limits, "zero_crossing");
    check_judge(plan(Side::Buy, "5"), &account_state("5000", "-4", 0), &limits, "zero_crossing");
    check_judge(plan(Side::Sell, "5"), &account_state("5000", "0", 0), &limits, "ok");
    check_judge(plan(Side::Buy, "4"), &account_state("5000", "-4", 0), &limits, "ok");
}

#[test]
fn a_sale_frees_what_the_short_position_after_it_needs() {
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    // Long 5 and short 5 dollars of cash: 5 are sold, and 5 more are backed by what they brought.
    check_judge(plan(Side::Sell, "10"), &account_state("0", "5", 0), &limits, "ok");
    check_judge(plan(Side::Sell, "11"), &account_state("99", "5", 0), &limits, "insufficient_cash");
    check_judge(plan(Side::Sell, "11"), &account_state("100", "5", 0), &limits, "ok");
    check_judge(plan(Side::Buy, "10"), &account_state("0", "-5", 0), &limits, "ok");
    // What only reduces a position is carried by any account.
    check_judge(plan(Side::Buy, "5"), &account_state("-900", "-5", 0), &limits, "ok");
    check_judge(plan(Side::Sell, "5"), &account_state("-900", "5", 0), &limits, "ok");
}

#[test]
fn what_is_reserved_covers_the_rest_of_an_order_whatever_has_filled() {
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    let approved = judge(plan(Side::Sell, "12"), &account_state("200", "5", 0), &limits).unwrap();
    let reserved = |filled: i64| approved.hold().cash(Quantity::new(filled.into())).to_string();
    // 7 open, 5 of them with what the other 5 free; once those are closed, all 7 need their own.
    assert_eq!(
        (reserved(0), reserved(3), reserved(5), reserved(9), reserved(12)),
        ("200".to_owned(), "500".to_owned(), "700".to_owned(), "300".to_owned(), "0".to_owned(),)
    );
    assert_eq!(approved.hold().shares(Quantity::ONE), Quantity::new(4.into()));
}
