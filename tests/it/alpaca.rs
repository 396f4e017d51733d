//! The door to Alpaca against servers that answer oddly, late, half or never.

mod reads;
mod secrets;
mod server;
mod stream;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bot::broker::alpaca::{AlpacaConfig, AlpacaVenue, AlpacaWrapper, Credentials, Endpoints};
use bot::broker::{AccountReader, Broker, BrokerError, MarketData, OrderEntry, OrderNews, Reply, Venue};
use bot::clock::{Clock, SystemClock, Timestamp};
use bot::core::InFlight;
use bot::order::{
    ClientOrderId, OrderId, OrderReport, OrderRequest, OrderStatus, OrderType, Side, TimeInForce,
};
use bot::stop::Stop;

use crate::redis_server::wait_until;

use server::{Act, Request, Server};
use stream::{OrderStream, Session};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

fn config(url: &str) -> AlpacaConfig {
    let credentials = Credentials::new("KEY", "S3CRET").unwrap();
    let mut config = AlpacaConfig::new(credentials, Endpoints::at(url).unwrap());
    config.rate_limit = None;
    config.stream = false;
    config.poll_interval = Duration::from_millis(50);
    config
}

fn with_stream(url: &str, stream: &OrderStream) -> AlpacaConfig {
    let env = |name: &str| match name {
        "APCA_API_BASE_URL" => Some(url.to_owned()),
        "APCA_API_STREAM_URL" => Some(format!("ws://{}", stream.address())),
        _ => None,
    };
    AlpacaConfig { endpoints: Endpoints::from_env(&env, false).unwrap(), stream: true, ..config(url) }
}

fn venue(config: AlpacaConfig) -> AlpacaVenue {
    AlpacaVenue::new(config, Arc::new(SystemClock)).unwrap()
}

fn broker(url: &str) -> AlpacaWrapper {
    venue(config(url)).connect().unwrap()
}

fn request(id: &str) -> OrderRequest {
    OrderRequest {
        client_order_id: id.parse().unwrap(),
        symbol: "NVDA".parse().unwrap(),
        side: Side::Buy,
        quantity: "10".parse().unwrap(),
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Ioc,
    }
}

fn order(id: &str, status: &str, filled: u32) -> String {
    let price = if filled > 0 { "180.12" } else { "null" };
    let now = SystemClock.now();
    format!(
        r#"{{"id":"o-{id}","client_order_id":"{id}","symbol":"NVDA","side":"buy","qty":"10","filled_qty":{filled},
        "filled_avg_price":{price},"status":"{status}","submitted_at":"{now}","new_field":[1,{{}}]}}"#
    )
}

fn id_of(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    body["client_order_id"].as_str().unwrap().to_owned()
}

/// Follows orders by hand: what is in flight is said by the test, and what is heard is kept.
#[derive(Default)]
struct Followed {
    in_flight: Mutex<HashSet<ClientOrderId>>,
    heard: Mutex<Vec<OrderReport>>,
}

impl Followed {
    fn follow(&self, order: &OrderRequest) {
        self.in_flight.lock().unwrap().insert(order.client_order_id.clone());
    }

    /// Waits for the first report of an order that is new, and takes it.
    fn wait(&self, order: &OrderRequest) -> (OrderStatus, String) {
        let take = || {
            let mut heard = self.heard.lock().unwrap();
            let place = heard.iter().position(|report| report.client_order_id == order.client_order_id)?;
            Some(heard.remove(place))
        };
        let report = wait_until(LONG, take).expect("news in time");
        (report.status, report.filled.to_string())
    }
}

impl OrderNews for Followed {
    fn in_flight(&self) -> Option<InFlight> {
        let ids = self.in_flight.lock().unwrap().clone();
        (!ids.is_empty()).then(|| InFlight { submitted: SystemClock.now(), ids })
    }

    fn report(&self, report: OrderReport) {
        self.heard.lock().unwrap().push(report);
    }
}

/// Runs `work` while the venue follows its orders.
fn while_tracked<T>(venue: &AlpacaVenue, orders: &Followed, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let stop = Stop::default();
        let stopped = stop.clone();
        scope.spawn(move || venue.track(orders, &stopped));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.request();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = SystemClock.now() + LONG;
    while !condition() {
        assert!(SystemClock.now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

#[track_caller]
fn check_submit(status: usize, body: &str, expected: &str) {
    let mut server = mockito::Server::new();
    let mock = server.mock("POST", "/v2/orders").with_status(status).with_body(body).expect(1).create();
    let reply = format!("{:?}", broker(&server.url()).submit(&request("bot-1")));
    assert!(reply.starts_with(expected), "{status} {body} -> {reply}");
    mock.assert();
}

#[test]
fn a_submit_is_judged_by_what_its_answer_proves() {
    check_submit(200, &order("bot-1", "filled", 10), "Report(OrderReport { client_order_id: bot-1");
    check_submit(201, &order("bot-1", "pending_review", 0), "Report(");
    check_submit(
        200,
        &order("bot-2", "filled", 10),
        "Unknown(\"http 200 must be about order bot-1, was about",
    );
    check_submit(200, "<html>", "Unknown(\"broker answered http 200 with a body that cannot be read");
    check_submit(200, "", "Unknown(");
    let taken = r#"{"code":40010001,"message":"client_order_id must be unique"}"#;
    check_submit(422, taken, "Duplicate");
    check_submit(422, "", "Unknown(");
    let hours = r#"{"code":42210000,"message":"ioc orders are only accepted during market hours"}"#;
    check_submit(422, hours, "Rejected(Rejection { status: 422, code: Some(42210000), message: \"ioc orders");
    check_submit(403, "<html>", "Rejected(Rejection { status: 403, code: None, message: \"refused without");
    check_submit(401, r#"{"message":"unauthorized."}"#, "Rejected(");
    check_submit(429, r#"{"message":"too many requests."}"#, "RateLimited {");
    check_submit(408, "", "Unknown(");
    check_submit(500, r#"{"code":50010000,"message":"internal"}"#, "Unknown(\"broker answered http 500");
    check_submit(504, "<html>gateway</html>", "Unknown(\"broker answered http 504\")");
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start(|_| Act::AnswerWith(307, "location: /v2/elsewhere\r\n", String::new()));
    let reply = broker(&server.url()).submit(&request("bot-1"));
    assert_eq!(reply, Reply::Unknown("broker answered http 307".to_owned()));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn look_ups_and_cancels_prove_only_what_they_say() {
    let mut server = mockito::Server::new();
    let mut broker = broker(&server.url());
    let id: ClientOrderId = "bot-1".parse().unwrap();
    for (status, expected) in [(404, "NotFound"), (401, "Unknown"), (403, "Unknown"), (500, "Unknown")] {
        let path = "/v2/orders:by_client_order_id?client_order_id=bot-1";
        let _mock = server.mock("GET", path).with_status(status).create();
        let reply = format!("{:?}", broker.query(&id));
        assert!(reply.starts_with(expected), "{status} -> {reply}");
    }
    for (status, expected) in [
        (204, "CancelAccepted"),
        (200, "CancelAccepted"),
        (422, "Rejected"),
        (404, "NotFound"),
        (401, "Unknown"),
        (503, "Unknown"),
    ] {
        let _mock = server.mock("DELETE", "/v2/orders/o-1").with_status(status).create();
        let reply = format!("{:?}", broker.cancel(&OrderId::new("o-1")));
        assert!(reply.starts_with(expected), "{status} -> {reply}");
    }
}

#[test]
fn thousands_of_requests_use_one_connection() {
    let server = Server::start(|request| {
        if request.method == "POST" {
            return Act::Answer(200, order(&id_of(request), "filled", 10));
        }
        // A large body in many pieces, whose end comes late.
        let order =
            order(request.target.rsplit('=').next().unwrap(), "new", 0) + " ".repeat(100_000).as_str();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        Act::Pieces(vec![head, format!("{:x}\r\n{order}\r\n", order.len()), "0\r\n\r\n".to_owned()])
    });
    let mut broker = broker(&server.url());
    for number in 0..2_000 {
        let order = request(&format!("bot-{number}"));
        assert!(matches!(broker.submit(&order), Reply::Report(_)));
        if number % 10 == 0 {
            assert!(matches!(broker.query(&order.client_order_id), Reply::Report(_)));
        }
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_idle_connection_that_the_broker_closed_costs_no_order() {
    let server = Server::start(|request| Act::AnswerAndClose(200, order(&id_of(request), "filled", 10)));
    let mut broker = broker(&server.url());
    for number in 0..50 {
        assert!(matches!(broker.submit(&request(&format!("bot-{number}"))), Reply::Report(_)), "{number}");
        until("the server closes the connection", || server.closed() == number + 1);
    }
    assert_eq!((server.count("POST", "/v2/orders"), server.connections()), (50, 50));
}

#[test]
fn an_order_on_a_connection_that_breaks_is_unknown_and_is_not_sent_again() {
    let answers = AtomicUsize::new(0);
    let server = Server::start(move |request| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => Act::Answer(200, order(&id_of(request), "filled", 10)),
        1 => Act::Close,
        2 => Act::Raw("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"id\":\"o\",".to_owned()),
        3 => Act::Raw("HTTP/1.1 422 x\r\ncontent-length: 5000\r\n\r\n{\"code\":40010001".to_owned()),
        _ => Act::Raw("nonsense\r\n\r\n".to_owned()),
    });
    let mut broker = broker(&server.url());
    assert!(matches!(broker.submit(&request("bot-0")), Reply::Report(_)));
    for number in 1..5 {
        let reply = broker.submit(&request(&format!("bot-{number}")));
        assert!(matches!(reply, Reply::Unknown(_)), "{number}: {reply:?}");
        assert_eq!(server.count("POST", "/v2/orders"), number + 1);
    }
}

#[test]
fn an_order_without_an_answer_is_unknown_in_time() {
    let server = Server::start(|_| Act::Hang);
    let mut config = config(&server.url());
    config.request_timeout = Duration::from_millis(200);
    let mut broker = venue(config).connect().unwrap();
    let reply = broker.submit(&request("bot-1"));
    assert_eq!(reply, Reply::Unknown("broker must answer within 200ms, did not".to_owned()));
    assert_eq!(server.count("POST", "/v2/orders"), 1);
}

#[test]
fn an_order_to_a_broker_that_is_down_is_unknown() {
    let url = Server::start(|_| Act::Close).url();
    until("the server is gone", || std::net::TcpStream::connect(&url[7..]).is_err());
    let mut broker = broker(&url);
    let Reply::Unknown(reason) = broker.submit(&request("bot-1")) else { panic!("nothing is proven") };
    assert!(reason.starts_with("connection to the broker failed: "), "{reason}");
    assert!(matches!(broker.account(), Err(BrokerError::Unreachable(_))));
}

#[test]
fn a_used_up_budget_refuses_before_anything_is_sent() {
    let server = Server::start(|request| Act::Answer(200, order(&id_of(request), "filled", 10)));
    let mut config = config(&server.url());
    config.rate_limit = Some((3, Duration::from_mins(1)));
    let venue = venue(config);
    let (mut first, mut second) = (venue.connect().unwrap(), venue.connect().unwrap());
    for _ in 0..3 {
        assert!(matches!(first.submit(&request("bot-1")), Reply::Report(_)));
    }
    let Reply::RateLimited { until } = second.submit(&request("bot-2")) else {
        panic!("the budget is shared")
    };
    assert!(until > SystemClock.now());
    assert_eq!(server.count("POST", "/v2/orders"), 3);
}

#[test]
fn the_brokers_own_count_holds_the_next_order_back() {
    static HEADERS: Mutex<&str> = Mutex::new("");
    let reset = (SystemClock.now() + Duration::from_secs(30)).millis() / 1_000;
    let headers = format!(
        "X-RateLimit-Limit: 200\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: {reset}\r\nX-Request-ID: r1\r\n"
    );
    *HEADERS.lock().unwrap() = headers.leak();
    let server = Server::start(|request| {
        Act::AnswerWith(200, *HEADERS.lock().unwrap(), order(&id_of(request), "filled", 10))
    });
    let mut broker = broker(&server.url());
    assert!(matches!(broker.submit(&request("bot-1")), Reply::Report(_)));
    let Reply::RateLimited { until } = broker.submit(&request("bot-2")) else { panic!("nothing is left") };
    assert!(until >= Timestamp::from_secs(reset) && until < Timestamp::from_secs(reset + 1), "{until}");
    assert_eq!(server.count("POST", "/v2/orders"), 1);
}

#[test]
fn one_list_request_per_interval_serves_all_orders_in_flight() {
    let (posts, lists) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        if request.method == "POST" {
            posts.fetch_add(1, Ordering::SeqCst);
            return Act::Answer(200, order(&id_of(request), "new", 0));
        }
        let complete = posts.load(Ordering::SeqCst) == 8;
        let told = complete && lists.fetch_add(1, Ordering::SeqCst) >= 3;
        let state = if told { ("canceled", 4) } else { ("new", 0) };
        let orders: Vec<String> =
            (0..8).map(|number| order(&format!("bot-{number}"), state.0, state.1)).collect();
        // Orders of others, one of them unreadable, are in the list, too.
        let legs = r#"{"id":"x","status":"new","symbol":null,"side":null}"#;
        Act::Answer(200, format!("[{legs},{}]", orders.join(",")))
    });
    let venue = venue(config(&server.url()));
    let begun = SystemClock.now();
    let followed = Followed::default();
    while_tracked(&venue, &followed, || {
        thread::scope(|scope| {
            for number in 0..8 {
                let (mut broker, followed) = (venue.connect().unwrap(), &followed);
                scope.spawn(move || {
                    let order = request(&format!("bot-{number}"));
                    followed.follow(&order);
                    assert!(matches!(broker.submit(&order), Reply::Report(_)));
                    while followed.wait(&order) != (OrderStatus::Canceled, "4".to_owned()) {}
                });
            }
        });
    });
    let milliseconds = SystemClock.now().since(begun).as_millis();
    let lists = server.count("GET", "/v2/orders?status=all&limit=500&direction=desc&after=2");
    // Each order begins with a look after 15 ms; later ones come twice as late each time, 50 ms at the most.
    let most = 8 * 2 + milliseconds / 15;
    assert!(lists >= 4 && lists as u128 <= most, "{lists} lists in {milliseconds} ms");
    assert_eq!(server.requests().len(), 8 + lists);
}

/// Has no order in flight, and counts how often it is asked.
struct Nothing<'a>(&'a AtomicUsize);

impl OrderNews for Nothing<'_> {
    fn in_flight(&self) -> Option<InFlight> {
        self.0.fetch_add(1, Ordering::SeqCst);
        None
    }

    fn report(&self, _: OrderReport) {}
}

#[test]
fn nothing_is_polled_while_nothing_is_in_flight() {
    let server = Server::start(|request| Act::Answer(200, order(&id_of(request), "filled", 10)));
    let mut config = config(&server.url());
    config.poll_interval = Duration::from_millis(1);
    let venue = venue(config);
    let mut broker = venue.connect().unwrap();
    let order = request("bot-1");
    assert!(matches!(broker.submit(&order), Reply::Report(_)));
    let (asked, stop) = (AtomicUsize::new(0), Stop::default());
    let nothing = Nothing(&asked);
    thread::scope(|scope| {
        let _stop = stop.at_drop();
        scope.spawn(|| venue.track(&nothing, &stop));
        until("it is asked for orders in flight", || asked.load(Ordering::SeqCst) > 20);
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_stream_tells_each_event_and_what_cannot_be_read_is_left_out() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Act::Answer(200, order(&id_of(request), "pending_new", 0)),
        _ => Act::Answer(200, "[]".to_owned()),
    });
    let stream = OrderStream::listen();
    let mut config = with_stream(&server.url(), &stream);
    config.poll_interval = Duration::from_hours(1);
    let venue = venue(config);
    let mut broker = venue.connect().unwrap();
    let followed = Followed::default();
    while_tracked(&venue, &followed, || {
        let mut session = stream.accept();
        let order_request = request("bot-1");
        assert!(matches!(broker.submit(&order_request), Reply::Report(_)));
        session.say("not json");
        session.say(r#"{"stream":"trade_updates","data":{"event":"fill","order":{"id":7}}}"#);
        session.say(&Session::event("new", &order("bot-9", "new", 0)));
        session.say(&Session::event("new", &order("bot-1", "new", 0)));
        assert_eq!(followed.wait(&order_request), (OrderStatus::New, "0".to_owned()));
        session.say_as_text(&Session::event("partial_fill", &order("bot-1", "partially_filled", 4)));
        assert_eq!(followed.wait(&order_request), (OrderStatus::PartiallyFilled, "4".to_owned()));
        session.say(&Session::event("canceled", &order("bot-1", "canceled", 4)));
        assert_eq!(followed.wait(&order_request), (OrderStatus::Canceled, "4".to_owned()));
    });
}

#[test]
fn what_happened_while_the_stream_was_lost_is_read_after_it_is_back() {
    let filled = Arc::new(AtomicBool::new(false));
    let is_filled = Arc::clone(&filled);
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => Act::Answer(200, order(&id_of(request), "new", 0)),
        _ if is_filled.load(Ordering::SeqCst) => {
            Act::Answer(200, format!("[{}]", order("bot-1", "filled", 10)))
        }
        _ => Act::Answer(200, format!("[{}]", order("bot-1", "new", 0))),
    });
    let stream = OrderStream::listen();
    let mut config = with_stream(&server.url(), &stream);
    config.poll_interval = Duration::from_hours(1);
    let venue = venue(config);
    let mut broker = venue.connect().unwrap();
    let followed = Followed::default();
    while_tracked(&venue, &followed, || {
        let session = stream.accept();
        let order = request("bot-1");
        followed.follow(&order);
        assert!(matches!(broker.submit(&order), Reply::Report(_)));
        drop(session);
        filled.store(true, Ordering::SeqCst);
        let _session = stream.accept();
        while followed.wait(&order) != (OrderStatus::Filled, "10".to_owned()) {}
    });
}

#[test]
fn a_stream_that_falls_silent_is_replaced() {
    let server = Server::start(|_| Act::Answer(200, "[]".to_owned()));
    let stream = OrderStream::listen();
    let mut config = with_stream(&server.url(), &stream);
    config.stream_silence_max = Duration::from_millis(90);
    let venue = venue(config);
    while_tracked(&venue, &Followed::default(), || {
        let _silent = stream.accept();
        let _next = stream.accept();
    });
}

#[test]
fn a_broker_without_a_stream_is_polled() {
    let server = Server::start(|request| match (request.method.as_str(), request.target.as_str()) {
        ("POST", _) => Act::Answer(200, order(&id_of(request), "new", 0)),
        (_, "/stream") => Act::Answer(404, String::new()),
        _ => Act::Answer(200, format!("[{}]", order("bot-1", "filled", 10))),
    });
    let mut config = config(&server.url());
    config.stream = true;
    let venue = venue(config);
    let mut broker = venue.connect().unwrap();
    let followed = Followed::default();
    while_tracked(&venue, &followed, || {
        until("the stream is asked for", || server.count("GET", "/stream") == 1);
        let order = request("bot-1");
        followed.follow(&order);
        assert!(matches!(broker.submit(&order), Reply::Report(_)));
        while followed.wait(&order) != (OrderStatus::Filled, "10".to_owned()) {}
    });
}

#[test]
fn sixty_four_workers_are_connected_in_no_time() {
    let venue = venue(config("http://127.0.0.1:1"));
    let begun = SystemClock.now();
    let workers: Vec<AlpacaWrapper> = (0..64).map(|_| venue.connect().unwrap()).collect();
    let took = SystemClock.now().since(begun);
    // A tenth of it in a release build: 100 ms from start to first read.
    assert!(took < Duration::from_secs(1), "{} workers took {took:?}", workers.len());
}
