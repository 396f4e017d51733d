//! What is read at start-up and by the price poller, in whatever form it comes.

use bot::broker::simulated::{self, Hours, PriceModel};
use bot::exchange::{Config, Exchange};

use super::*;

fn start_up_answer(request: &Request) -> Act {
    let path = request.target.split('?').next().unwrap();
    let bar = |day: u32| {
        format!(r#"{{"t":"2026-10-0{day}T04:00:00Z","o":1,"h":2,"l":0.5,"c":"1.5","v":100,"n":1,"vw":1}}"#)
    };
    let body = match path {
        "/v2/account" => {
            r#"{"id":"a","status":"ACTIVE","cash":100000.5,"buying_power":"200001","equity":"100180.5","new":1}"#.into()
        }
        "/v2/positions" => r#"[{"symbol":"NVDA","qty":1,"qty_available":"0.5","avg_entry_price":"180","side":"long","current_price":null},
            {"symbol":"NVDA261120C00180000","qty":"1","side":"long"}]"#
            .into(),
        "/v2/orders" => format!("[{}]", order("odd_id", "accepted", 0).replace("o-odd_id", "61d1feca")),
        "/v2/clock" => {
            r#"{"timestamp":"2026-10-08T11:10:18.9-04:00","is_open":true,"next_open":"2026-10-09T09:30:00-04:00","next_close":"2026-10-08T16:00:00-04:00"}"#.into()
        }
        "/v2/stocks/snapshots" => {
            r#"{"NVDA":{"latestQuote":{"t":"2026-10-08T15:10:18Z","bp":180,"bs":1,"ap":180.1,"as":2},"latestTrade":null}}"#.into()
        }
        "/v2/stocks/bars" if request.target.contains("page_token=next%3D1") => {
            format!(r#"{{"bars":{{"NVDA":[{}]}},"next_page_token":null}}"#, bar(3))
        }
        "/v2/stocks/bars" => {
            format!(r#"{{"bars":{{"NVDA":[{},{}]}},"next_page_token":"next=1"}}"#, bar(1), bar(2))
        }
        _ => return Act::Answer(404, String::new()),
    };
    Act::Answer(200, body)
}

#[test]
fn start_up_reads_everything_at_once_page_by_page_and_in_any_form_of_number() {
    let server = Server::start(start_up_answer);
    let symbols = ["NVDA".parse().unwrap(), "ZZZ".parse().unwrap()];
    let broker_snapshot = broker(&server.url()).broker_snapshot(&symbols, 2).unwrap();
    assert_eq!(broker_snapshot.account.cash.to_string(), "100000.5");
    assert_eq!(broker_snapshot.account.holdings.len(), 1, "an option is no holding of ours");
    assert_eq!(broker_snapshot.account.holdings[0].available.to_string(), "0.5");
    assert_eq!(broker_snapshot.open_orders[0].client_order_id.as_str(), "61d1feca");
    assert!(broker_snapshot.session.is_open);
    assert_eq!(broker_snapshot.snapshots.len(), 1, "a symbol without prices is missing");
    assert!((broker_snapshot.snapshots[0].quote.unwrap().ask - 180.1).abs() < 1e-9);
    let closes: Vec<usize> = broker_snapshot.daily_bars.iter().map(|(_, bars)| bars.len()).collect();
    assert_eq!(closes, [2, 0], "the newest two of three, over two pages");
    assert_eq!(broker_snapshot.daily_bars[0].1[1].at.to_string(), "2026-10-03T04:00:00Z");
}

#[test]
fn refused_keys_are_told_apart_from_a_broker_that_is_down() {
    let server = Server::start(|_| Act::Answer(401, r#"{"message":"unauthorized."}"#.to_owned()));
    let error = broker(&server.url()).account().unwrap_err();
    assert_eq!(error.to_string(), "broker refused the credentials: broker answered http 401: unauthorized.");
    let server = Server::start(|_| Act::Answer(503, String::new()));
    assert!(matches!(broker(&server.url()).session(), Err(BrokerError::Unreachable(_))));
}

#[test]
fn our_orders_are_found_at_the_exchange_over_pages_whatever_became_of_them() {
    let mut market = simulated::MarketConfig::new("NVDA".parse().unwrap(), "180".parse().unwrap());
    (market.prices, market.hours) = (PriceModel::Still, Hours::Always);
    let exchange = Exchange::start(Config::new(market), Arc::new(SystemClock)).unwrap();
    let mut broker = broker(&exchange.url());
    let limit = OrderType::Limit("170".parse().unwrap());
    let mut ours = Vec::new();
    for number in 0..1_100 {
        let is_ours = number % 10 != 0;
        let id = format!("{}-{number}", if is_ours { "bot" } else { "manual" });
        let time_in_force = if number % 50 == 1 { TimeInForce::Gtc } else { TimeInForce::Ioc };
        let order =
            OrderRequest { quantity: "1".parse().unwrap(), order_type: limit, time_in_force, ..request(&id) };
        let reply = broker.submit(&order);
        let Reply::Report(report) = reply else { panic!("{id}: {reply:?}") };
        let status = if time_in_force == TimeInForce::Gtc { OrderStatus::New } else { OrderStatus::Canceled };
        if is_ours {
            ours.push(OrderReport { status, ..report });
        }
    }
    let before = exchange.counts().requests;
    let since = ours[2].submitted_at.unwrap();
    assert_eq!(broker.orders_since(since).unwrap(), ours[2..]);
    assert_eq!(exchange.counts().requests - before, 3, "pages");
    assert_eq!(broker.orders_since(ours.last().unwrap().submitted_at.unwrap()).unwrap().len(), 1);
}

/// Lists orders as `GET /v2/orders?direction=asc` does, all of them submitted at `submitted_at(number)` milliseconds; `after` is
/// rounded to them, the most inexact that a broker may be.
fn listing(count: i64, submitted_at: impl Fn(i64) -> i64 + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        assert!(request.is("GET", "/v2/orders?status=all&limit=500&direction=asc&after="), "{request:?}");
        let after = Timestamp::parse_rfc3339(request.target.split("after=").nth(1).unwrap()).unwrap();
        let after_ms = (after + Duration::from_micros(500)).millis();
        let page = (0..count).filter(|number| submitted_at(*number) > after_ms).take(500).map(|number| {
            let (owner, at) = (if number % 4 == 0 { "manual" } else { "bot" }, submitted_at(number));
            format!(
                r#"{{"id":"o-{number}","client_order_id":"{owner}-{number}","symbol":"NVDA","side":"buy","qty":"1",
                "status":"filled","submitted_at":"{}"}}"#,
                Timestamp::from_millis(at)
            )
        });
        Act::Answer(200, format!("[{}]", page.collect::<Vec<_>>().join(",")))
    })
}

#[test]
fn orders_of_one_instant_at_the_end_of_a_page_are_found_once_each() {
    // The first page ends among orders 400 to 599, which share an instant.
    let server = listing(1_200, |number| if (400..600).contains(&number) { 10_400 } else { 10_000 + number });
    let since = Timestamp::from_millis(10_001);
    let found = broker(&server.url()).orders_since(since).unwrap();
    let found: Vec<String> = found.iter().map(|report| report.client_order_id.to_string()).collect();
    let expected: Vec<String> =
        (1..1_200).filter(|number| number % 4 != 0).map(|number| format!("bot-{number}")).collect();
    assert_eq!(found, expected);
    assert_eq!(server.requests().len(), 3, "pages from orders 1, 400 and 899");
}

#[test]
fn a_list_of_orders_that_cannot_be_read_to_its_end_is_an_error_and_no_part_of_it() {
    let server = listing(501, |_| 10_000);
    let error = broker(&server.url()).orders_since(Timestamp::from_millis(10_000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "broker is unreachable: a page of orders must go beyond the page before, did not"
    );
    assert_eq!(server.requests().len(), 1);
}
