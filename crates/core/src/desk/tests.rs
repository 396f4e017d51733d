//! The desk's promises.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::account::Holding;
use crate::instrument::Instrument;
use crate::market::{Quote, Snapshot};
use crate::order::{OrderId, OrderStatus, OrderType};
use crate::portfolio::{Combine, Member, Retry, StrategyBook};
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
    Signal::plain(
        EntryId::new(&format!("{number}-0")),
        nvda(),
        Wanted::Order { side, quantity: None, strength: None },
        NOW,
    )
}

fn of_shares(number: usize, side: Side, quantity: i64) -> Signal {
    let quantity = Some(shares(quantity));
    Signal { wanted: Wanted::Order { side, quantity, strength: None }, ..signal(number, side) }
}

fn decide(desk: &mut Desk, signal: &Signal) -> Result<Approved, Refusal> {
    decide_in(
        MarketView { latest_prices: &quotes(99.9, 100.0), session: open(), version: None },
        desk,
        signal,
    )
}

fn decide_in(market: MarketView<'_>, desk: &mut Desk, signal: &Signal) -> Result<Approved, Refusal> {
    let id = format!("bot-{}", signal.id).parse().unwrap();
    desk.decide(signal, &id, market.latest_prices.snapshot(signal.symbol).as_ref(), market, NOW)
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
fn prices_that_have_not_changed_are_not_looked_at_again() {
    struct Counted(HashMap<Symbol, Snapshot>, std::cell::Cell<usize>);
    impl LatestPrices for Counted {
        fn snapshot(&self, symbol: Symbol) -> Option<Snapshot> {
            self.1.set(self.1.get() + 1);
            self.0.get(&symbol).copied()
        }
    }
    let latest_prices = Counted(quotes(99.9, 100.0), std::cell::Cell::default());
    let mut held = account("100000", "5");
    for name in ["A", "B", "C", "D"] {
        held.holdings.push(Holding { symbol: name.parse().unwrap(), ..held.holdings[0] });
    }
    let mut desk = desk(Rules::default(), &held);
    let mut looks = |number: usize, version: u64| {
        let before = latest_prices.1.get();
        let market = MarketView { latest_prices: &latest_prices, session: open(), version: Some(version) };
        let _ = decide_in(market, &mut desk, &of_shares(number, Side::Buy, 1));
        latest_prices.1.get() - before
    };
    assert_eq!([looks(1, 1), looks(2, 1), looks(3, 2), looks(4, 2)], [5, 1, 5, 1]);
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
fn a_loss_of_a_short_position_of_before_the_start_counts_once() {
    let mut short = account("3000", "-10");
    short.holdings[0].average_price = "90".parse().ok();
    // At the start the market is at 99.95: 3000 less the position and its backing of one's own.
    short.buying_power = "1001".parse().unwrap();
    assert_eq!(desk(Rules::default(), &short).account.excess(), "1001".parse().unwrap());
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
    assert!(decide(&mut endless, &signal(3, Side::Buy)).is_err());
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
    desk.reset_to(&account("990", "0"));
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
                let intent = if event == 1 { signal(number, side) } else { of_shares(number, side, quantity) };
                if let Ok(approved) = decide(&mut desk, &intent) { open_orders.push((intent, approved)); }
            }
            prop_assert!(desk.account.cash() >= Money::ZERO);
            prop_assert!(desk.account.held(nvda()) >= Quantity::ZERO);
            prop_assert!(desk.available_cash() >= Money::ZERO);
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

#[test]
fn a_coin_is_traded_while_the_exchange_is_closed_and_a_share_is_not() {
    let btc: Symbol = "BTC/USD".parse().unwrap();
    let weights = [nvda(), btc].map(|symbol| (symbol, Weight::percent(50)));
    let mut latest_prices = quotes(99.9, 100.0);
    let snapshot = latest_prices[&nvda()];
    latest_prices.insert(btc, Snapshot { symbol: btc, ..snapshot });
    let mut desk = Desk::new(Rules::default(), weights, &account("1000", "0"), &latest_prices);
    let market = MarketView {
        latest_prices: &latest_prices,
        session: SessionClock { is_open: false, ..open() },
        version: None,
    };
    let mut decide = |number: usize, symbol: Symbol| {
        let signal = Signal { symbol, ..signal(number, Side::Buy) };
        decide_in(market, &mut desk, &signal)
    };
    assert_eq!(decide(1, nvda()).unwrap_err().code(), "session_closed");
    assert_eq!(decide(2, btc).unwrap().request().quantity, shares(5));
}

#[test]
fn a_fraction_is_sized_priced_and_sent_as_its_instrument_says() {
    let share = Instrument { lot: "0.01".parse().unwrap(), ..Instrument::of(nvda()) };
    let check = |instrument: Instrument, size: &str, expected: &str| {
        let rules = Rules {
            size: size.parse().unwrap(),
            instruments: Instruments::new([instrument]),
            ..Rules::default()
        };
        let found = decide(&mut desk(rules, &account("1000", "0")), &signal(1, Side::Buy));
        let found = found.map_or_else(
            |refusal| refusal.code().to_owned(),
            |approved| {
                let request = approved.request();
                format!("{} {}", request.quantity, request.time_in_force.as_str())
            },
        );
        assert_eq!(found, expected, "{size}");
    };
    check(share, "$12.34", "0.12 day");
    check(share, "0.5sh", "0.5 day");
    check(share, "2sh", "2 ioc");
    check(share, "all", "10 ioc");
    check(share, "$0.99", "cannot_pay");
    check(Instrument { notional_min: Money::whole(20), ..share }, "$12.34", "notional_min");
    check(Instrument::of(nvda()), "$12.34", "cannot_pay");
}

#[test]
fn a_short_position_is_never_a_fraction_of_a_share_nor_of_what_cannot_be_borrowed() {
    let check = |shorting: bool, target: &str, expected: &str| {
        let share = Instrument { lot: "0.01".parse().unwrap(), shorting, ..Instrument::of(nvda()) };
        let limits = Limits { short: true, ..Limits::default() };
        let rules = Rules { limits, instruments: Instruments::new([share]), ..Rules::default() };
        let wanted = Wanted::Target(target.parse().unwrap());
        let found =
            decide(&mut desk(rules, &account("1000", "0")), &Signal { wanted, ..signal(1, Side::Sell) });
        assert_eq!(found.map_or_else(|refusal| refusal.code(), |_| "ok"), expected, "{target}");
    };
    check(true, "-2", "ok");
    check(true, "-0.5", "fractional_short");
    check(false, "-2", "no_short");
    check(true, "0.505", "fractional_quantity");
}

/// Long 50 with so much cash, wants to hold so many: what is ordered, or the refusal's code.
#[track_caller]
fn check_flip(cash: &str, wanted: i64, expected: &str) {
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    let mut desk = desk(Rules { limits, ..Rules::default() }, &account(cash, "50"));
    let target = Signal { wanted: Wanted::Target(shares(wanted)), ..signal(1, Side::Sell) };
    let found = decide(&mut desk, &target);
    let found =
        found.map_or_else(|refusal| refusal.code().to_owned(), |order| order.request().quantity.to_string());
    assert_eq!(found, expected);
}

#[test]
fn a_flip_is_judged_by_the_account_that_it_leaves_behind() {
    // 50 shares of 100 dollars: selling them frees what 50 short ones need.
    check_flip("0", -50, "100");
    check_flip("300", -53, "103");
    // More than that is not carried: the half that closes is sent all the same, and the rest follows as a step.
    check_flip("300", -54, "50");
}

#[test]
fn a_short_position_is_no_money_to_spend() {
    // The 5000 that selling 50 short brought stand behind them, with 5000 more.
    let mut held = account("10300", "-50");
    held.buying_power = "300".parse().unwrap();
    let limits = Limits { short: true, flip_in_one: true, ..Limits::default() };
    let mut desk = desk(Rules { limits, ..Rules::default() }, &held);
    assert_eq!(decide(&mut desk, &of_shares(1, Side::Sell, 4)).unwrap_err().code(), "insufficient_cash");
    assert_eq!(decide(&mut desk, &of_shares(2, Side::Sell, 3)).unwrap().request().quantity, shares(3));
    // Buying back is always carried, and a flip with what it frees.
    assert_eq!(decide(&mut desk, &of_shares(3, Side::Buy, 50)).unwrap().request().quantity, shares(50));
}

proptest! {
    #[test]
    fn what_is_sized_is_whole_lots_that_the_cash_pays(
        rule in 0usize..4, cash in 1i64..10_000_000, lot in 1i64..2_000, lot_scale in 0u32..=9, sells: bool, limit: bool
    ) {
        let lot = Quantity::new(rust_decimal::Decimal::new(lot, lot_scale));
        let instrument = Instrument { lot, ..Instrument::of(nvda()) };
        let size = ["all", "37%", "$123.45", "1.2345sh"][rule].parse().unwrap();
        let pricing = if limit { Pricing::Marketable("7".parse().unwrap()) } else { Pricing::Market };
        let rules = Rules { size, pricing, instruments: Instruments::new([instrument]), ..Rules::default() };
        let cash = Money::new(rust_decimal::Decimal::new(cash, 2));
        let mut desk = desk(rules, &account(&cash.to_string(), "3.456789"));
        let side = if sells { Side::Sell } else { Side::Buy };
        if let Ok(approved) = decide(&mut desk, &signal(1, side)) {
            let OrderRequest { quantity, order_type, .. } = *approved.request();
            prop_assert!(quantity.is_positive() && instrument.check_lot(quantity).is_ok(), "{}", quantity);
            let most = if sells { "3.456789".parse().unwrap() } else { cash.buys(order_type.worst(Price::whole(100))) };
            prop_assert!(quantity <= most, "{} of {}", quantity, most);
            if let OrderType::Limit(limit) = order_type {
                prop_assert!(instrument.is_on_tick(limit), "{}", limit);
            }
        }
    }

    #[test]
    fn kept_sums_equal_the_walked_ones_after_any_series(
        steps in prop::collection::vec((0usize..3, any::<bool>(), 1i64..20, 0u8..5, 1u32..30_000), 1..60)
    ) {
        let names = ["NVDA", "X", "Y"].map(|name| name.parse::<Symbol>().unwrap());
        let limits = Limits { short: true, flip_in_one: true, spread_max: "100000".parse().unwrap(), ..Limits::default() };
        let mut latest_prices = HashMap::new();
        let rules = Rules { limits, ..Rules::default() };
        let mut desk = Desk::new(rules.clone(), [], &account("20000", "5"), &quotes(99.9, 100.0));
        // One that looks at all that is held, at each decision.
        let mut walker = Desk::new(rules, [], &account("20000", "5"), &quotes(99.9, 100.0));
        let member = || Member {
            sizing: desk.plain.clone(),
            weight: Weight::ONE,
            retry: Retry::NONE,
            book: StrategyBook::new("one", Money::whole(10_000)),
        };
        let portfolio = || Portfolio::new(Combine::Separate, vec![member()]);
        walker = walker.with_portfolio(portfolio());
        desk = { let portfolio = portfolio(); desk.with_portfolio(portfolio).told_of_moves() };
        let mut open_orders: Vec<(Signal, Approved)> = Vec::new();
        for (number, (symbol, buys, quantity, event, cents)) in steps.into_iter().enumerate() {
            let symbol = names[symbol];
            let price = f64::from(cents) / 100.0;
            let quote = Quote { at: NOW, bid: price, bid_size: 1.0, ask: price, ask_size: 1.0 };
            latest_prices.insert(symbol, Snapshot { symbol, quote: Some(quote), trade: None, read_at: NOW });
            desk.moved(symbol, &latest_prices);
            let side = if buys { Side::Buy } else { Side::Sell };
            match event {
                0 if !open_orders.is_empty() => {
                    let (signal, approved) = open_orders.remove(0);
                    let half = Quantity::new((approved.request().quantity.get() / rust_decimal::Decimal::TWO).ceil());
                    let report = report(&approved, &half.to_string(), "101", OrderStatus::PartiallyFilled);
                    for desk in [&mut desk, &mut walker] {
                        desk.apply(&signal.id, &report);
                        if !buys { end(desk, &signal); }
                    }
                    if buys { open_orders.push((signal, approved)); }
                }
                1 => { desk.mark_all(&latest_prices); walker.mark_all(&latest_prices); }
                2 if !open_orders.is_empty() => {
                    let (signal, _) = open_orders.remove(0);
                    desk.drop_signal(&signal.id);
                    walker.drop_signal(&signal.id);
                }
                _ => {
                    let strategy = if number % 2 == 0 { "one" } else { "" }.into();
                    let intent = Signal { symbol, strategy, ..of_shares(number, side, quantity) };
                    let market = MarketView { latest_prices: &latest_prices, session: open(), version: None };
                    let decided = decide_in(market, &mut desk, &intent);
                    prop_assert_eq!(&decided, &decide_in(market, &mut walker, &intent));
                    if let Ok(approved) = decided { open_orders.push((intent, approved)); }
                    prop_assert_eq!(desk.account.kept(), walker.account.walked());
                }
            }
            prop_assert_eq!(desk.account.kept(), desk.account.walked());
            prop_assert_eq!(desk.in_flight.kept(), desk.in_flight.walked());
        }
    }
}
