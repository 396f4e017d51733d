//! The pool over the simulated broker and the memory inbox, with faults staged at the broker.

mod lanes;
mod panics;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use bot::account::Account;
use bot::activity::Activity;
use bot::broker::simulated::{self, SimulatedBroker, SimulatedVenue};
use bot::broker::{
    AccountReader, Broker, BrokerError, BrokerSnapshot, MarketData, OrderEntry, OrderNews, Venue,
};
use bot::clock::{Alarm, Clock, SystemClock, Timestamp};
use bot::core::InFlight;
use bot::desk::Rules;
use bot::execution::Timeouts;
use bot::feed::Feed;
use bot::history::RecordFormat;
use bot::inbox::memory::MemoryStream;
use bot::live::{self, Config, FeedSource, Stop, Summary};
use bot::market::{Bar, SessionClock, Snapshot};
use bot::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, Side};
use bot::outcome::OutcomeKind;
use bot::reply::Reply;
use bot::sizing::WeightRule;
use bot::symbol::Symbol;
use bot::units::Price;

/// What a test does around each submit: it may send the order, or not, or panic.
type Submit<'a> = dyn Fn(&OrderRequest, &mut dyn FnMut() -> Reply) -> Reply + Sync + 'a;

struct Staged<'a> {
    inner: SimulatedVenue,
    submit: &'a Submit<'a>,
    deaf: AtomicBool,
    /// While somebody holds it, no cancel is answered.
    cancels: Mutex<()>,
    /// Calls of these that panic before they work.
    panics: Panics,
}

#[derive(Default)]
struct Panics {
    query: AtomicUsize,
    snapshots: AtomicUsize,
    track: AtomicUsize,
    /// Reads of snapshots that did not panic.
    read: AtomicUsize,
}

impl<'a> Staged<'a> {
    fn new(stage: &Stage, submit: &'a Submit<'a>, deaf: bool) -> Self {
        let inner = stage.market.clone();
        let (deaf, panics) = (AtomicBool::new(deaf), Panics::default());
        Self { inner, submit, deaf, cancels: Mutex::default(), panics }
    }
}

/// Panics as often as there is something left of `panics`.
fn panic_while(panics: &AtomicUsize) {
    let left = panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    assert!(left.is_err(), "on purpose");
}

struct StagedBroker<'a> {
    venue: &'a Staged<'a>,
    inner: SimulatedBroker,
}

impl<'a> Venue for &'a Staged<'a> {
    type Broker = StagedBroker<'a>;

    fn environment(&self) -> &str {
        self.inner.environment()
    }

    fn connect(&self) -> Result<StagedBroker<'a>, BrokerError> {
        Ok(StagedBroker { venue: self, inner: self.inner.connect()? })
    }

    fn track(&self, orders: &dyn OrderNews, stop: &Stop) {
        panic_while(&self.panics.track);
        self.inner.track(&Heard { venue: self, orders }, stop);
    }
}

/// Hears nothing of its orders while the venue is deaf.
struct Heard<'a> {
    venue: &'a Staged<'a>,
    orders: &'a dyn OrderNews,
}

impl OrderNews for Heard<'_> {
    fn in_flight(&self) -> Option<InFlight> {
        self.orders.in_flight().filter(|_| !self.venue.deaf.load(Ordering::SeqCst))
    }

    fn report(&self, report: OrderReport) {
        self.orders.report(report);
    }
}

impl OrderEntry for StagedBroker<'_> {
    fn submit(&mut self, order: &OrderRequest) -> Reply {
        (self.venue.submit)(order, &mut || self.inner.submit(order))
    }

    fn query(&mut self, id: &ClientOrderId) -> Reply {
        panic_while(&self.venue.panics.query);
        if self.venue.deaf.load(Ordering::SeqCst) {
            return Reply::Unknown("deaf".to_owned());
        }
        self.inner.query(id)
    }

    fn cancel(&mut self, id: &OrderId) -> Reply {
        drop(self.venue.cancels.lock());
        self.inner.cancel(id)
    }
}

impl AccountReader for StagedBroker<'_> {
    fn open_orders(&mut self) -> Result<Vec<OrderReport>, BrokerError> {
        self.inner.open_orders()
    }

    fn orders_since(&mut self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError> {
        self.inner.orders_since(since)
    }

    fn account(&mut self) -> Result<Account, BrokerError> {
        self.inner.account()
    }
}

impl MarketData for StagedBroker<'_> {
    fn session(&mut self) -> Result<SessionClock, BrokerError> {
        self.inner.session()
    }

    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError> {
        panic_while(&self.venue.panics.snapshots);
        self.venue.panics.read.fetch_add(1, Ordering::SeqCst);
        if self.venue.deaf.load(Ordering::SeqCst) {
            return Err(BrokerError::Unreachable("deaf".to_owned()));
        }
        self.inner.snapshots(symbols)
    }

    fn daily_bars(
        &mut self,
        symbols: &[Symbol],
        days: usize,
    ) -> Result<Vec<(Symbol, Vec<Bar>)>, BrokerError> {
        self.inner.daily_bars(symbols, days)
    }

    fn minute_bars(
        &mut self,
        symbol: Symbol,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Bar>, BrokerError> {
        self.inner.minute_bars(symbol, from, to)
    }
}

impl Broker for StagedBroker<'_> {
    fn broker_snapshot(
        &mut self,
        symbols: &[Symbol],
        daily_bars: usize,
    ) -> Result<BrokerSnapshot, BrokerError> {
        self.inner.broker_snapshot(symbols, daily_bars)
    }
}

fn nvda() -> Symbol {
    "NVDA".parse().unwrap()
}

fn spy() -> Symbol {
    "SPY".parse().unwrap()
}

fn config(workers: usize) -> Config {
    Config {
        symbols: vec![nvda()],
        workers,
        signal_queue_len: 16,
        rules: Rules { size: "1sh".parse().unwrap(), ..Rules::default() },
        weights: WeightRule::Equal,
        stream: "nvda".to_owned(),
        price_interval: Duration::from_millis(20),
        timeouts: Timeouts { look_for: Duration::from_millis(300), ..Timeouts::default() },
        drain: true,
        signals_max: None,
        run_for: None,
        drain_timeout: Duration::from_secs(10),
        no_wait: true,
        seed: 1,
        prices: Arc::default(),
        activity: Activity::default(),
        feed: Feed::default(),
        strategies: None,
        feed_source: FeedSource::default(),
        record: None,
        record_format: RecordFormat::default(),
        record_files: Vec::new(),
    }
}

struct Stage {
    clock: Arc<dyn Clock>,
    stream: MemoryStream,
    market: SimulatedVenue,
}

impl Stage {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut market = simulated::MarketConfig::new(nvda(), Price::whole(100));
        market.symbols.push((spy(), Price::whole(500)));
        market.hours = simulated::Hours::Always;
        Self {
            stream: MemoryStream::new(10_000, Arc::clone(&clock)),
            market: SimulatedVenue::new(&market, Arc::clone(&clock)),
            clock,
        }
    }

    fn send_of(&self, ticker: &str, direction: &str) {
        self.stream.send(&[("ticker", ticker), ("direction", direction)]).unwrap();
    }

    fn send(&self, directions: &str) {
        for direction in directions.chars() {
            self.stream.send(&[("ticker", "NVDA"), ("direction", &direction.to_string())]).unwrap();
        }
    }

    fn run(&self, config: &Config, submit: &Submit<'_>) -> Summary {
        let staged = Staged::new(self, submit, false);
        self.run_staged(config, &staged, &Stop::default())
    }

    fn run_staged(&self, config: &Config, staged: &Staged<'_>, stop: &Stop) -> Summary {
        let (inbox, settler) = self.stream.open();
        live::run(config, &staged, inbox, settler, &*self.clock, stop, |_| {}).unwrap()
    }

    fn kinds(&self) -> Vec<&'static str> {
        let mut outcomes = self.stream.outcomes();
        outcomes.sort_by_key(|outcome| outcome.signal.clone());
        outcomes.iter().map(|outcome| outcome.kind.as_str()).collect()
    }
}

#[track_caller]
fn agrees(summary: &Summary) {
    assert_eq!(summary.broker, Ok(vec![]), "books and broker");
}

#[test]
fn every_worker_has_an_order_in_flight_at_the_same_time() {
    let stage = Stage::new();
    stage.send("bbbbbbbb");
    let all_in_flight = Barrier::new(8);
    let summary = stage.run(&config(8), &|_, send| {
        all_in_flight.wait();
        send()
    });
    assert_eq!(summary.tally.count(OutcomeKind::Filled), 8);
    agrees(&summary);
}

#[test]
fn opposite_sides_of_a_symbol_never_meet_at_the_broker_and_keep_the_streams_order() {
    let stage = Stage::new();
    let intents = "bbsbssbbbsbsbbss".repeat(6);
    stage.send(&intents);
    let at_broker: Mutex<(Vec<Side>, Vec<Side>)> = Mutex::default();
    let summary = stage.run(&config(16), &|order, send| {
        {
            let mut sides = at_broker.lock().unwrap();
            assert!(sides.0.iter().all(|side| *side == order.side), "a wash trade");
            sides.0.push(order.side);
            sides.1.push(order.side);
        }
        let reply = send();
        at_broker.lock().unwrap().0.pop();
        reply
    });
    agrees(&summary);
    assert_eq!(summary.tally.recorded(), intents.len() as u64);
    assert_eq!(summary.tally.count(OutcomeKind::Refused), 0);
    // A skipped sell (nothing held) sends nothing; all others come in runs that the stream's order allows.
    let sent = at_broker.lock().unwrap().1.clone();
    let outcomes = stage.kinds();
    let expected: Vec<Side> = intents
        .chars()
        .zip(outcomes)
        .filter(|(_, kind)| *kind != "skipped")
        .map(|(direction, _)| if direction == 'b' { Side::Buy } else { Side::Sell })
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn a_fill_that_is_told_without_its_price_still_reaches_the_books() {
    let stage = Stage::new();
    stage.send("bb");
    let summary = stage.run(&config(1), &|_, send| {
        let Reply::Report(report) = send() else { panic!("must be a report") };
        Reply::Report(OrderReport { average_price: None, ..report })
    });
    assert_eq!(stage.kinds(), ["filled", "filled"]);
    assert_eq!(summary.statement.positions[&nvda()].quantity().to_string(), "2");
    agrees(&summary);
}

#[test]
fn the_fills_of_an_order_that_was_found_are_booked_once() {
    let stage = Stage::new();
    stage.send("bb");
    let calls = AtomicUsize::new(0);
    // The first process sends and is gone before it hears of it; the second finds one order, then sends the other.
    let lose_the_answer = |_: &OrderRequest, send: &mut dyn FnMut() -> Reply| {
        calls.fetch_add(1, Ordering::SeqCst);
        send();
        Reply::Unknown("answer lost".to_owned())
    };
    let staged = Staged::new(&stage, &lose_the_answer, true);
    let mut hurried = config(1);
    hurried.signals_max = Some(1);
    hurried.drain_timeout = Duration::from_millis(100);
    assert_eq!(stage.run_staged(&hurried, &staged, &Stop::default()).left_pending, 1);
    let summary = stage.run(&config(1), &|_, send| {
        calls.fetch_add(1, Ordering::SeqCst);
        send()
    });
    assert_eq!(stage.kinds(), ["filled", "filled"]);
    assert_eq!((calls.load(Ordering::SeqCst), summary.fills), (2, 1), "found fills come with the account");
    assert_eq!(summary.statement.positions[&nvda()].quantity().to_string(), "2");
    agrees(&summary);
}

#[test]
fn a_signal_that_is_sent_twice_is_one_order_that_is_booked_once() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.stream.send(&[("ticker", "NVDA"), ("direction", "b"), ("id", "mine")]).unwrap();
    }
    let summary = stage.run(&config(1), &|_, send| send());
    assert_eq!(stage.kinds(), ["filled", "filled"]);
    assert_eq!(
        (summary.fills, summary.statement.positions[&nvda()].quantity().to_string()),
        (1, "1".to_owned())
    );
    agrees(&summary);
}

#[test]
fn a_lost_answer_never_makes_a_second_order() {
    let stage = Stage::new();
    stage.send("bbbbbbbbbb");
    let calls = AtomicUsize::new(0);
    let summary = stage.run(&config(4), &|_, send| {
        // Every other request is lost on the way out, the others' answers on the way back.
        if calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            return Reply::Unknown("request lost".to_owned());
        }
        send();
        Reply::Unknown("answer lost".to_owned())
    });
    assert_eq!(stage.kinds(), ["filled"; 10]);
    assert_eq!(summary.statement.positions[&nvda()].quantity().to_string(), "10");
    agrees(&summary);
}

#[test]
fn what_is_not_final_in_time_stays_pending_and_the_next_process_finishes_it() {
    let stage = Stage::new();
    stage.send("bb");
    let stop = Stop::default();
    let lose_the_answer: &Submit<'_> = &|_, send| {
        send();
        Reply::Unknown("answer lost".to_owned())
    };
    let staged = Staged::new(&stage, lose_the_answer, true);
    let mut hurried = config(1);
    hurried.signals_max = Some(2);
    hurried.drain_timeout = Duration::from_millis(200);
    let summary = stage.run_staged(&hurried, &staged, &stop);
    assert_eq!((summary.left_pending, summary.tally.recorded()), (2, 0));

    let summary = stage.run(&config(1), &|_, send| send());
    // The first had been sent; the second was fresh enough to be sent now.
    assert_eq!(stage.kinds(), ["filled", "filled"]);
    assert_eq!(summary.statement.positions[&nvda()].quantity().to_string(), "2");
    agrees(&summary);
}

#[test]
fn nothing_is_traded_on_prices_that_cannot_be_read_and_trading_goes_on_when_they_can() {
    let stage = Stage::new();
    let staged = Staged::new(&stage, &|_, send| send(), true);
    let mut patient = config(1);
    patient.rules.limits.quote_age_max = Duration::from_millis(60);
    patient.drain = false;
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| stage.run_staged(&patient, &staged, &stop));
        let outcome_after = |intent: &str| {
            let before = stage.kinds().len();
            stage.send(intent);
            wait_for(|| stage.kinds().get(before).copied())
        };
        // What start-up read is fresh for a moment.
        wait_for(|| (outcome_after("b") == "refused").then_some(()));
        staged.deaf.store(false, Ordering::SeqCst);
        wait_for(|| (outcome_after("b") == "filled").then_some(()));
        stop.request();
        let summary = running.join().unwrap();
        assert!(summary.prices.failures > 0 && summary.prices.failing.is_none());
    });
    assert!(stage.stream.outcomes().iter().any(|outcome| outcome.reason.starts_with("stale_quote: ")));
}

fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = SystemClock.now() + Duration::from_secs(20);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(SystemClock.now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_signal_from_the_far_past_is_recorded_and_never_sent() {
    struct Late(Arc<dyn Clock>);
    impl Clock for Late {
        fn now(&self) -> Timestamp {
            self.0.now() - Duration::from_mins(1)
        }
        fn alarm(&self, at: Timestamp) -> Alarm {
            self.0.alarm(at + Duration::from_mins(1))
        }
    }
    let stage = Stage::new();
    let stream = MemoryStream::new(10, Arc::new(Late(Arc::clone(&stage.clock))));
    stream.send(&[("ticker", "NVDA"), ("direction", "b")]).unwrap();
    let (inbox, settler) = stream.open();
    let staged = Staged::new(&stage, &|_, _| panic!("must not be sent"), false);
    let summary =
        live::run(&config(1), &&staged, inbox, settler, &*stage.clock, &Stop::default(), |_| {}).unwrap();
    assert_eq!(summary.tally.count(OutcomeKind::Expired), 1);
    assert!(stream.outcomes()[0].reason.starts_with("stale_signal: "));
}

#[test]
fn n_workers_never_spend_more_cash_than_there_is() {
    let stage = Stage::new();
    stage.send(&"b".repeat(40));
    let mut greedy = config(8);
    greedy.rules.size = "30sh".parse().unwrap();
    let summary = stage.run(&greedy, &|_, send| send());
    assert_eq!(summary.tally.count(OutcomeKind::Rejected), 0, "the broker never had to say no");
    assert!(summary.statement.cash.get() >= rust_decimal::Decimal::ZERO);
    agrees(&summary);
}
