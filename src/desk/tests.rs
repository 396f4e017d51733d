//! The desk's promises.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::account::Holding;
use crate::market::{Quote, Snapshot};
use crate::order::{OrderId, OrderStatus, OrderType};
use crate::signal::Wanted;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn nvda() -> Symbol {
    "NVDA".parse().unwrap()
}

fn account(cash: &str, shares: &str) -> Account {
    let quantity: Quantity = shares.parse().unwrap();
    let holding =
        Holding { symbol: nvda(), quantity, available: quantity, average_price: "100".parse().ok() };
    Account {
        cash: cash.parse().unwrap(),
        buying_power: cash.parse().unwrap(),
        holdings: if quantity.is_zero() { Vec::new() } else { vec![holding] },
        ..Account::default()
    }
}

fn quotes(bid: f64, ask: f64) -> HashMap<Symbol, Snapshot> {
    let quote = Quote { at: NOW, bid, bid_size: 100.0, ask, ask_size: 100.0 };
    HashMap::from([(nvda(), Snapshot { symbol: nvda(), quote: Some(quote), trade: None, read_at: NOW })])
}

fn open() -> SessionClock {
    SessionClock { is_open: true, next_open: Timestamp::MAX, next_close: Timestamp::MAX }
}

fn desk(rules: Rules, account: &Account) -> Desk {
    Desk::new(rules, [(nvda(), Weight::ONE)], account, &quotes(99.9, 100.0))
}

fn signal(number: usize, side: Side) -> Signal {
    Signal::plain(number, Wanted::Order { side, quantity: None, strength: None }, NOW)
}

fn of_shares(number: usize, side: Side, quantity: i64) -> Signal {
    let quantity = Some(shares(quantity));
    Signal { wanted: Wanted::Order { side, quantity, strength: None }, ..signal(number, side) }
}

fn decide(desk: &mut Desk, signal: &Signal) -> Result<Approved, Refusal> {
    let id = format!("bot-{}", signal.id).parse().unwrap();
    desk.decide(signal, &id, MarketView { board: &quotes(99.9, 100.0), session: open() }, NOW)
}

fn end(desk: &mut Desk, signal: &Signal) {
    desk.end(signal, (OutcomeKind::Filled, ""), None, Money::ZERO, NOW);
}

fn report(approved: &Approved, filled: &str, price: &str, status: OrderStatus) -> OrderReport {
    let request = approved.request();
    OrderReport {
        client_order_id: request.client_order_id.clone(),
        order_id: OrderId::new("o"),
        symbol: request.symbol,
        side: request.side,
        quantity: request.quantity,
        status,
        filled: filled.parse().unwrap(),
        average_price: price.parse().ok(),
        submitted_at: None,
    }
}

fn shares(number: i64) -> Quantity {
    Quantity::new(number.into())
}

#[test]
fn n_workers_never_spend_the_same_dollar_twice() {
    let mut desk = desk(Rules::default(), &account("1000", "0"));
    let first = decide(&mut desk, &signal(1, Side::Buy)).unwrap();
    assert_eq!(first.request().quantity, shares(10));
    for number in 2..8 {
        assert_eq!(decide(&mut desk, &signal(number, Side::Buy)).unwrap_err().code(), "at_target");
    }
    end(&mut desk, &signal(1, Side::Buy));
    assert_eq!(decide(&mut desk, &signal(9, Side::Buy)).unwrap().request().quantity, shares(10));
}

#[test]
fn n_workers_never_sell_the_same_share_twice() {
    let mut desk = desk(Rules { size: "60%".parse().unwrap(), ..Rules::default() }, &account("0", "10"));
    assert_eq!(decide(&mut desk, &signal(1, Side::Sell)).unwrap().request().quantity, shares(6));
    assert_eq!(decide(&mut desk, &signal(2, Side::Sell)).unwrap().request().quantity, shares(4));
    let own = of_shares(3, Side::Sell, 5);
    assert_eq!(decide(&mut desk, &own).unwrap_err().code(), "insufficient_shares");
}

#[test]
fn a_fill_is_counted_once_however_often_it_is_reported() {
    let mut desk = desk(Rules::default(), &account("1000", "0"));
    let buy = signal(1, Side::Buy);
    let approved = decide(&mut desk, &buy).unwrap();
    for (filled, price) in [("4", "100"), ("4", "100"), ("10", "99.5"), ("4", "100"), ("10", "99.5")] {
        desk.apply(&buy.id, &report(&approved, filled, price, OrderStatus::PartiallyFilled));
    }
    end(&mut desk, &buy);
    desk.apply(&buy.id, &report(&approved, "10", "99.5", OrderStatus::Filled));
    let statement = desk.statement();
    assert_eq!(statement.cash, "5".parse().unwrap());
    assert_eq!(statement.positions[&nvda()].quantity(), shares(10));
}

#[test]
fn a_cash_buffer_stays_untouched() {
    let rules = Rules { cash_buffer: "2%".parse().unwrap(), ..Rules::default() };
    let mut desk = desk(rules, &account("100000", "0"));
    assert_eq!(decide(&mut desk, &signal(1, Side::Buy)).unwrap().request().quantity, shares(980));
}

#[test]
fn less_buying_power_than_cash_bounds_a_buy() {
    let held_by_others = Account { buying_power: "400".parse().unwrap(), ..account("1000", "0") };
    let mut desk = desk(Rules::default(), &held_by_others);
    assert_eq!(decide(&mut desk, &signal(1, Side::Buy)).unwrap().request().quantity, shares(4));
}

#[test]
fn shares_held_for_orders_of_others_are_not_sold() {
    let mut held = account("0", "10.5");
    held.holdings[0].available = shares(3);
    assert_eq!(
        decide(&mut desk(Rules::default(), &held), &signal(1, Side::Sell)).unwrap().request().quantity,
        shares(3)
    );
}

#[test]
fn selling_in_profit_only_waits_for_a_better_bid() {
    let rules = Rules { sell: SellRule::InProfit, ..Rules::default() };
    let refusal = decide(&mut desk(rules.clone(), &account("0", "10")), &signal(1, Side::Sell)).unwrap_err();
    assert_eq!((refusal.code(), refusal.outcome().as_str()), ("not_in_profit", "skipped"));
    let mut cheap = account("0", "10");
    cheap.holdings[0].average_price = "90".parse().ok();
    assert!(decide(&mut desk(rules, &cheap), &signal(1, Side::Sell)).is_ok());
}

#[test]
fn limits_are_rounded_to_the_tick_on_the_safe_side_and_the_signals_own_wins() {
    let rules = Rules { pricing: Pricing::Marketable("7".parse().unwrap()), ..Rules::default() };
    let mut desk = desk(rules, &account("1000", "10"));
    let limit = |approved: Approved| approved.request().order_type;
    let price = |text: &str| OrderType::Limit(text.parse().unwrap());
    assert_eq!(limit(decide(&mut desk, &signal(1, Side::Sell)).unwrap()), price("99.84"));
    let own = Signal { limit: "95.129".parse().ok(), ..of_shares(2, Side::Buy, 1) };
    assert_eq!(limit(decide(&mut desk, &own).unwrap()), price("95.12"));
    end(&mut desk, &signal(1, Side::Sell));
    let buy = of_shares(3, Side::Buy, 1);
    assert_eq!(limit(decide(&mut desk, &buy).unwrap()), price("100.07"));
}

#[test]
fn what_was_to_be_a_limit_is_never_sent_as_a_market_order() {
    let mut plain = desk(Rules::default(), &account("1000", "10"));
    let worthless = Signal { limit: "0.00001".parse().ok(), ..of_shares(1, Side::Buy, 1) };
    assert_eq!(decide(&mut plain, &worthless).unwrap_err().code(), "limit_too_low");
    let rules =
        |through: &str| Rules { pricing: Pricing::Marketable(through.parse().unwrap()), ..Rules::default() };
    let mut too_far = desk(rules("10000"), &account("1000", "10"));
    assert_eq!(decide(&mut too_far, &signal(2, Side::Sell)).unwrap_err().code(), "limit_too_low");
    let mut endless = desk(rules("79228162514264337593543950335"), &account("1000", "10"));
    assert_eq!(decide(&mut endless, &signal(3, Side::Buy)).unwrap_err().outcome().as_str(), "skipped");
}

#[test]
fn a_symbol_without_a_weight_is_not_bought() {
    let mut desk = Desk::new(Rules::default(), [], &account("1000", "0"), &quotes(99.9, 100.0));
    assert_eq!(decide(&mut desk, &signal(1, Side::Buy)).unwrap_err().code(), "at_target");
}

#[test]
fn differences_between_books_and_broker_are_named_to_the_cent() {
    let mut desk = desk(Rules::default(), &account("1000", "10"));
    assert!(desk.differences(&account("1000.004", "10")).is_empty());
    assert_eq!(
        desk.differences(&account("990", "0")),
        ["cash: books 1000, broker 990", "NVDA: books 10 shares, broker 0"]
    );
    desk.take_over(&account("990", "0"));
    assert!(desk.differences(&account("990", "0")).is_empty());
}

proptest! {
    #[test]
    fn whatever_happens_cash_and_shares_never_go_below_zero(
        steps in prop::collection::vec((any::<bool>(), 1i64..40, 0u8..4), 1..80)
    ) {
        let mut desk = desk(Rules::default(), &account("2000", "5"));
        let mut open_orders: Vec<(Signal, Approved)> = Vec::new();
        for (number, (buys, quantity, event)) in steps.into_iter().enumerate() {
            let side = if buys { Side::Buy } else { Side::Sell };
            if event == 0 && !open_orders.is_empty() {
                let (signal, approved) = open_orders.remove(0);
                let all = approved.request().quantity.to_string();
                desk.apply(&signal.id, &report(&approved, &all, "100", OrderStatus::Filled));
                end(&mut desk, &signal);
            } else {
                let wish = if event == 1 { signal(number, side) } else { of_shares(number, side, quantity) };
                if let Ok(approved) = decide(&mut desk, &wish) { open_orders.push((wish, approved)); }
            }
            prop_assert!(desk.account.cash() >= Money::ZERO);
            prop_assert!(desk.account.held(nvda()) >= Quantity::ZERO);
            prop_assert!(desk.available_cash(&desk.committed(nvda())) >= Money::ZERO);
        }
    }
}

#[test]
fn a_signal_of_a_book_that_is_not_here_is_never_traded_as_one_of_nobody() {
    let mut desk = desk(Rules::default(), &account("10000", "0"));
    let tagged = Signal { strategy: "elsewhere".into(), ..of_shares(1, Side::Buy, 2) };
    let own = Signal { is_own: true, ..tagged.clone() };
    assert_eq!(decide(&mut desk, &own), Err(Refusal::NotRunHere("elsewhere".to_owned())));
    assert!(decide(&mut desk, &tagged).is_ok(), "a name alone is a tag");
}
