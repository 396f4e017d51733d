//! The promises of the simulated account.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use bot_core::clock::Timestamp;
use bot_core::instrument::{Instrument, Instruments};
use bot_core::market::Quote;
use bot_core::order::{OrderStatus, OrderType, Side, TimeInForce};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};

/// A Friday, 10:30 in New York.
const OPEN: &str = "2026-11-20T15:30:00Z";

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn nvda() -> Symbol {
    "NVDA".parse().unwrap()
}

fn still(now: &str) -> SimulatedMarket {
    let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
    config.prices = PriceModel::Still;
    core_at(&config, now)
}

/// Shows 100.00 x 100.10 with 50 shares on each side.
fn core_at(config: &MarketConfig, now: &str) -> SimulatedMarket {
    let mut core = SimulatedMarket::new(config, time(now));
    quote(&mut core, 100.0, 100.10);
    core
}

fn quote(core: &mut SimulatedMarket, bid: f64, ask: f64) {
    let at = core.now();
    assert!(core.set_quote(nvda(), Quote { at, bid, bid_size: 50.0, ask, ask_size: 50.0 }));
}

/// Reads `buy 10 @99.50 gtc`, `sell 5 market ioc`.
fn request(text: &str) -> Request {
    let words: Vec<&str> = text.split(' ').collect();
    Request {
        client_order_id: None,
        symbol: nvda(),
        side: if words[0] == "buy" { Side::Buy } else { Side::Sell },
        amount: match words[1].strip_prefix('$') {
            Some(dollars) => Amount::Notional(dollars.parse().unwrap()),
            None => Amount::Quantity(words[1].parse().unwrap()),
        },
        order_type: match words[2].strip_prefix('@') {
            Some(limit) => OrderType::Limit(limit.parse().unwrap()),
            None => OrderType::Market,
        },
        time_in_force: match words[3] {
            "day" => TimeInForce::Day,
            "gtc" => TimeInForce::Gtc,
            "ioc" => TimeInForce::Ioc,
            "fok" => TimeInForce::Fok,
            other => panic!("{other}"),
        },
        extended_hours: false,
    }
}

fn submit(core: &mut SimulatedMarket, text: &str) -> Result<PaperOrder, RequestRefusal> {
    let now = core.now();
    core.submit(request(text), now).map(|submitted| submitted.matched)
}

fn words(events: &[OrderEvent]) -> String {
    events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>().join(" ")
}

/// What becomes of an order at 100.00 x 100.10 with 50 shares displayed: events, final state, shares filled.
#[track_caller]
fn check(order: &str, events: &str, status: &str, filled: &str) {
    let mut core = still(OPEN);
    let order = submit(&mut core, order).unwrap();
    assert_eq!(words(&core.take_events()), events);
    assert_eq!((order.status.as_str(), order.filled.to_string().as_str()), (status, filled));
}

#[test]
fn an_order_lives_as_its_time_in_force_says() {
    check("buy 10 market ioc", "pending_new new fill", "filled", "10");
    check("buy 80 market ioc", "pending_new new partial_fill canceled", "canceled", "50");
    check("buy 80 market fok", "pending_new new canceled", "canceled", "0");
    check("buy 10 @99.99 ioc", "pending_new new canceled", "canceled", "0");
    check("buy 10 @99.99 fok", "pending_new new canceled", "canceled", "0");
    check("buy 10 @99.99 day", "pending_new new", "new", "0");
    check("buy 80 @100.10 gtc", "pending_new new partial_fill", "partially_filled", "50");
    check("buy 0.5 market day", "pending_new new fill", "filled", "0.5");
    check("buy $100 market day", "pending_new new fill", "filled", "0.999000999");
}

/// The refusal of an order at 100.00 x 100.10, with 10 shares held and 100,000 dollars less their price in cash.
#[track_caller]
fn refused(order: &str, message: &str) {
    let mut core = still(OPEN);
    submit(&mut core, "buy 10 market ioc").unwrap();
    assert_eq!(submit(&mut core, order).unwrap_err().to_string(), message);
    assert_eq!(core.orders(&Filter { which: OrderFilter::All, ..Filter::default() }).len(), 1);
}

#[test]
fn an_order_that_breaks_a_rule_is_refused_in_alpacas_words() {
    refused("buy 0 market ioc", "qty must be > 0");
    refused("sell -1 market ioc", "qty must be > 0");
    refused("buy 0.5 market ioc", "fractional orders must be DAY orders");
    refused("buy $0.99 market day", "notional must be >= 1.00");
    refused("buy $10 market ioc", "fractional orders must be DAY orders");
    refused(
        "buy 1 @290.123 day",
        "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
    );
    refused("sell 11 market ioc", "insufficient qty available for order (requested: 11, available: 10)");
    refused("buy 990 market ioc", "insufficient buying power");
    refused("buy 1001 @99 gtc", "insufficient buying power");
    refused("buy 79228162514264337593543950335 @99 gtc", "insufficient buying power");
}

#[test]
fn a_resting_limit_order_fills_when_a_later_quote_crosses_it() {
    let mut core = still(OPEN);
    let order = submit(&mut core, "buy 70 @99.50 gtc").unwrap();
    quote(&mut core, 99.40, 99.51);
    assert_eq!(core.order(order.id).unwrap().status, OrderStatus::New);
    quote(&mut core, 99.30, 99.45);
    quote(&mut core, 99.30, 99.40);
    let filled = core.order(order.id).unwrap();
    assert_eq!(filled.status, OrderStatus::Filled);
    let exact = filled.average_price().unwrap() * filled.quantity;
    assert!((exact - filled.paid).get().abs() < "0.000001".parse().unwrap());
    assert_eq!(words(&core.take_events()), "pending_new new partial_fill fill");
    assert_eq!(core.account().buying_power, core.account().cash);
}

#[test]
fn a_client_order_id_is_used_up_for_good_but_not_by_a_refusal() {
    let mut core = still(OPEN);
    let named = |text: &str| Request { client_order_id: Some("mine".into()), ..request(text) };
    let now = core.now();
    assert!(core.submit(named("sell 10 market ioc"), now).is_err());
    assert!(core.submit(named("buy 10 market ioc"), now).is_ok());
    let again = core.submit(named("buy 1 @99 gtc"), now).unwrap_err();
    assert_eq!((again.status(), again.code()), (422, 40_010_001));
    assert_eq!(again, RequestRefusal::DuplicateClientId { working: false });
    assert_eq!(core.order_by_client_id("mine").unwrap().quantity.to_string(), "10");
    let long = Request { client_order_id: Some("x".repeat(129).into()), ..request("buy 1 @99 gtc") };
    assert_eq!(core.submit(long, now).unwrap_err(), RequestRefusal::ClientIdTooLong);
}

#[test]
fn open_sells_hold_their_shares_until_they_end() {
    let mut core = still(OPEN);
    submit(&mut core, "buy 10 market ioc").unwrap();
    let resting = submit(&mut core, "sell 6 @110 gtc").unwrap();
    assert_eq!(core.position(nvda()).unwrap().available.to_string(), "4");
    let refusal = submit(&mut core, "sell 5 market ioc").unwrap_err();
    let RequestRefusal::Shares { held, related, .. } = refusal else { panic!("{refusal}") };
    assert_eq!((held.to_string().as_str(), related), ("6", vec![resting.id]));
    core.cancel(resting.id, core.now()).unwrap();
    assert_eq!(submit(&mut core, "sell 10 market ioc").unwrap().status, OrderStatus::Filled);
    assert!(core.position(nvda()).is_none());
}

#[test]
fn open_buys_hold_buying_power_until_they_end() {
    let mut core = still(OPEN);
    let resting = submit(&mut core, "buy 900 @100 gtc").unwrap();
    assert_eq!(core.account().buying_power.to_string(), "10000");
    assert!(submit(&mut core, "buy 101 @99.50 gtc").is_err());
    core.cancel(resting.id, core.now()).unwrap();
    assert_eq!(core.account().buying_power.to_string(), "100000");
    assert!(core.cancel(resting.id, core.now()).is_ok());
}

#[test]
fn an_order_never_meets_the_accounts_own_resting_order() {
    let mut core = still(OPEN);
    submit(&mut core, "buy 10 market ioc").unwrap();
    submit(&mut core, "sell 5 @100.50 gtc").unwrap();
    for crossing in ["buy 1 market ioc", "buy 1 @100.50 day", "buy 1 @101 ioc"] {
        assert!(
            matches!(submit(&mut core, crossing), Err(RequestRefusal::WashTrade { limit: true, .. })),
            "{crossing}"
        );
    }
    assert!(submit(&mut core, "buy 1 @100.49 ioc").is_ok());
}

#[test]
fn shares_that_are_not_held_are_sold_only_where_shorting_is_allowed() {
    let mut core = still(OPEN);
    assert_eq!(submit(&mut core, "sell 1 market ioc").unwrap_err(), RequestRefusal::ShortNotAllowed);
    let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
    (config.prices, config.shorting) = (PriceModel::Still, true);
    let mut core = core_at(&config, OPEN);
    let short = submit(&mut core, "sell 10 market ioc").unwrap();
    assert_eq!((short.strategy_signal, short.status.as_str()), ("sell_to_open", "filled"));
    assert_eq!(core.account().cash.to_string(), "101000");
    assert!(matches!(submit(&mut core, "buy 11 market ioc"), Err(RequestRefusal::Shares { .. })));
    assert_eq!(submit(&mut core, "buy 10 market ioc").unwrap().strategy_signal, "buy_to_close");
    assert!(core.positions().is_empty());
}

#[test]
fn outside_the_session_an_ioc_is_refused_a_fok_dies_and_a_day_order_waits_for_the_open() {
    let mut core = still("2026-11-21T15:00:00Z");
    let refusal = submit(&mut core, "buy 1 market ioc").unwrap_err();
    assert_eq!((refusal.status(), refusal.code()), (422, 42_210_000));
    assert_eq!(refusal.to_string(), "ioc orders are only accepted during market hours");
    assert_eq!(submit(&mut core, "buy 1 market fok").unwrap().status, OrderStatus::Canceled);
    let day = submit(&mut core, "buy 1 market day").unwrap();
    assert_eq!(day.status, OrderStatus::New);
    core.advance(time("2026-11-23T14:29:59Z"));
    assert!(core.order(day.id).unwrap().is_open());
    core.advance(time("2026-11-23T14:30:01Z"));
    assert_eq!(core.order(day.id).unwrap().status, OrderStatus::Filled);
}

#[test]
fn a_day_order_expires_at_the_close_and_a_gtc_order_stays() {
    let mut core = still(OPEN);
    let day = submit(&mut core, "buy 1 @90 day").unwrap();
    let gtc = submit(&mut core, "buy 1 @90 gtc").unwrap();
    assert_eq!(day.expires_at, time("2026-11-20T21:00:00Z"));
    core.advance(time("2026-11-20T20:59:59Z"));
    assert!(core.order(day.id).unwrap().is_open());
    core.advance(time("2026-11-20T21:00:00Z"));
    assert_eq!(core.order(day.id).unwrap().status, OrderStatus::Expired);
    assert!(core.order(gtc.id).unwrap().is_open());
    assert_eq!(core.account().buying_power.to_string(), "99910");
    assert_eq!(
        core.cancel(day.id, core.now()).unwrap_err().to_string(),
        "order is already in \"expired\" state"
    );
}

#[test]
fn orders_are_listed_by_state_time_and_symbol_and_paged_by_time() {
    let mut core = still(OPEN);
    for _ in 0..5 {
        submit(&mut core, "buy 1 @90 gtc").unwrap();
        submit(&mut core, "buy 1 @90 ioc").unwrap();
    }
    let numbers = |filter: Filter| core.orders(&filter).iter().map(|order| order.number).collect::<Vec<_>>();
    assert_eq!(numbers(Filter::default()), [8, 6, 4, 2, 0]);
    assert_eq!(numbers(Filter { which: OrderFilter::Closed, limit: 2, ..Filter::default() }), [9, 7]);
    let first = Filter { which: OrderFilter::All, oldest_first: true, limit: 3, ..Filter::default() };
    assert_eq!(numbers(first.clone()), [0, 1, 2]);
    let last = core.orders(&first)[2].submitted_at;
    assert_eq!(numbers(Filter { after: Some(last), ..first }), [3, 4, 5]);
    assert!(numbers(Filter { symbols: vec!["SPY".parse().unwrap()], ..Filter::default() }).is_empty());
}

#[test]
fn the_same_seed_and_the_same_requests_give_the_same_ids_and_fills() {
    let run = |seed| {
        let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
        (config.seed, config.hours) = (seed, Hours::Always);
        let mut core = SimulatedMarket::new(&config, time(OPEN));
        for step in 0..200_u32 {
            let now = time(OPEN) + Duration::from_millis(70) * step;
            let text = ["buy 700 market ioc", "sell 300 market ioc", "buy 5 @99.99 ioc"][step as usize % 3];
            let _ = core.submit(request(text), now);
        }
        core.take_events()
    };
    assert!(run(1).len() > 200);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn events_carry_rising_ids_and_the_order_as_it_stood() {
    let mut core = still(OPEN);
    submit(&mut core, "buy 80 market ioc").unwrap();
    let events = core.take_events();
    assert!(events.is_sorted_by(|one, next| one.id < next.id));
    let told: Vec<_> = events.iter().map(|event| event.order.status.as_str()).collect();
    assert_eq!(told, ["pending_new", "new", "partially_filled", "canceled"]);
    assert!(events[0].execution_id.is_none() && events[1].execution_id.is_some());
    assert_eq!(events[2].fill.unwrap().position.to_string(), "50");
    assert_eq!(events[3].order.cancel_requested_at, None);
}

proptest! {
    /// Whatever is asked for: cash moves by exactly what the fills say, shares too, nothing is held for nobody,
    /// and no cash account owes money.
    #[test]
    fn money_and_shares_are_conserved(steps in prop::collection::vec(step(), 1..120), seed in 0_u64..1_000) {
        let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
        (config.seed, config.hours) = (seed, Hours::Always);
        let mut core = SimulatedMarket::new(&config, time(OPEN));
        let (mut cash, mut shares) = (config.cash, Quantity::ZERO);
        let mut now = time(OPEN);
        for (wait, action) in steps {
            now = now + Duration::from_millis(wait);
            match action {
                Action::Submit(text) => drop(core.submit(request(&text), now)),
                Action::CancelAll => drop(core.cancel_all(now)),
            }
            for event in core.take_events() {
                let Some(fill) = event.fill else { continue };
                let signed = match event.order.side {
                    Side::Buy => fill.quantity,
                    Side::Sell => -fill.quantity,
                };
                shares += signed;
                cash -= Money::new(fill.price.get() * signed.get());
                prop_assert_eq!(fill.position, shares);
            }
            let account = core.account();
            prop_assert_eq!(account.cash, cash);
            let held = core.position(nvda()).map_or(Quantity::ZERO, |position| position.quantity);
            prop_assert_eq!(held, shares);
            prop_assert!(held >= Quantity::ZERO);
            prop_assert!(account.cash >= Money::ZERO);
        }
        core.cancel_all(now);
        prop_assert_eq!(core.account().buying_power, core.account().cash);
        for position in core.positions() {
            prop_assert_eq!(position.available, position.quantity);
            prop_assert_eq!(core.account().equity, core.account().cash + position.value);
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    Submit(String),
    CancelAll,
}

fn step() -> impl Strategy<Value = (u64, Action)> {
    let side = prop_oneof![Just("buy"), Just("sell")];
    let price = prop_oneof![
        Just("market".to_owned()),
        (9_900_u32..10_100).prop_map(|cents| { format!("@{}.{:02}", cents / 100, cents % 100) })
    ];
    let force = prop_oneof![Just("ioc"), Just("fok"), Just("gtc"), Just("day")];
    // Market orders that rest may fill above the price they held buying power at: they are left to their own test.
    let order = (side, 1_u32..1_500, price, force).prop_map(|(side, quantity, price, force)| {
        let force = if price == "market" { "ioc" } else { force };
        Action::Submit(format!("{side} {quantity} {price} {force}"))
    });
    (0_u64..500, prop_oneof![9 => order, 1 => Just(Action::CancelAll)])
}

/// A market of NVDA, with this in its instruments, and of BTC/USD at 60,000.
fn with_coin(shares: Instrument, now: &str) -> SimulatedMarket {
    let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
    config.prices = PriceModel::Still;
    config.symbols.push((btc(), "60000".parse().unwrap()));
    config.instruments = Instruments::new([shares]);
    core_at(&config, now)
}

fn btc() -> Symbol {
    "BTC/USD".parse().unwrap()
}

#[test]
fn a_coin_trades_while_the_exchange_is_closed_and_a_share_does_not() {
    let mut core = with_coin(Instrument::of(nvda()), "2026-11-21T08:00:00Z");
    let now = core.now();
    let coin = |text: &str| Request { symbol: btc(), ..request(text) };
    let bought = core.submit(coin("buy 0.05 market ioc"), now).unwrap().matched;
    assert_eq!((bought.status.as_str(), bought.filled.to_string()), ("filled", "0.05".to_owned()));
    let refused =
        |core: &mut SimulatedMarket, request: Request| core.submit(request, now).unwrap_err().to_string();
    assert_eq!(
        refused(&mut core, request("buy 1 market ioc")),
        "ioc orders are only accepted during market hours"
    );
    assert_eq!(refused(&mut core, coin("buy 0.05 market day")), "invalid crypto time_in_force");
}

#[test]
fn what_an_instrument_does_not_allow_is_refused() {
    let whole = Instrument { notional_min: "150".parse().unwrap(), ..Instrument::of(nvda()) };
    let mut core = with_coin(whole, OPEN);
    let mut refused = |text: &str| submit(&mut core, text).unwrap_err().to_string();
    assert_eq!(refused("buy 1.5 market day"), "asset \"NVDA\" is not fractionable");
    assert_eq!(refused("buy $200 market day"), "asset \"NVDA\" is not fractionable");
    assert_eq!(refused("buy 1 market ioc"), "cost basis must be >= minimal amount of order 150");
    assert!(submit(&mut core, "buy 2 market ioc").is_ok());
}

#[test]
fn a_coin_moves_at_night_while_a_share_stands_still() {
    let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
    config.symbols.push((btc(), "60000".parse().unwrap()));
    let mut core = SimulatedMarket::new(&config, time("2026-11-21T08:00:00Z"));
    let mids =
        |core: &SimulatedMarket| [nvda(), btc()].map(|symbol| core.latest(symbol).unwrap().0.mid().to_bits());
    let before = mids(&core);
    core.advance(core.now() + Duration::from_secs(10));
    let after = mids(&core);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
}

/// A cash account of 1001 dollars that may sell short and turn round, at 100.00 x 100.10.
fn turning(fees: Fees) -> SimulatedMarket {
    let mut config = MarketConfig::new(nvda(), "100".parse().unwrap());
    (config.prices, config.cash, config.fees) = (PriceModel::Still, "1001".parse().unwrap(), fees);
    (config.shorting, config.flips_in_one) = (true, true);
    core_at(&config, OPEN)
}

#[test]
fn an_order_is_judged_by_the_account_that_it_leaves_behind() {
    let mut core = turning(Fees::None);
    submit(&mut core, "buy 10 market ioc").unwrap();
    assert_eq!(core.account().buying_power, Money::ZERO);
    // All of it is long: selling it frees what as many short ones need, and not more.
    let refused = submit(&mut core, "sell 21 market ioc").unwrap_err();
    assert_eq!(refused.to_string(), "insufficient buying power");
    submit(&mut core, "sell 20 market ioc").unwrap();
    assert_eq!(core.account().short_value.to_string(), "-1000");
    // Short with all of it, it rises: buying back is always allowed.
    quote(&mut core, 150.0, 150.10);
    assert!(submit(&mut core, "buy 14 market ioc").is_err());
    submit(&mut core, "buy 10 market ioc").unwrap();
    assert_eq!(core.account().equity.to_string(), "499");
}

#[test]
fn the_broker_takes_its_fee_of_each_fill() {
    let mut core = turning(Fees::Bps(bot_core::units::BasisPoints::whole(100)));
    submit(&mut core, "buy 5 market ioc").unwrap();
    submit(&mut core, "sell 5 market ioc").unwrap();
    // 500.50 and 500 changed hands.
    assert_eq!(core.account().cash.to_string(), "990.495");
}
