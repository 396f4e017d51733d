//! One manifest run twice: live, on a clock that is moved by hand, and over history. All that knows the wiring is here.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bot::activity::Activity;
use bot::backtest::record::{OrderSummary, Record};
use bot::backtest::{self, wiring};
use bot::broker::simulated::{self, Hours, PriceModel, SimulatedVenue};
use bot::clock::{Clock, ManualClock, SystemClock, Timestamp};
use bot::data;
use bot::desk::Rules;
use bot::execution::Timeouts;
use bot::feed::Feed;
use bot::history::{RecordFormat, session};
use bot::inbox::memory::MemoryStream;
use bot::inbox::producer::Producer;
use bot::inbox::redis_stream::{self, From, RedisConfig, RedisUrl};
use bot::inbox::{Inbox, Settler};
use bot::live::{self, Config, FeedSource, Stop, StrategyPlan, Summary};
use bot::manifest::{Combine, Document, Manifest, Purpose, defaults};
use bot::market::{MarketEvent, Quote, Snapshot};
use bot::outcome::OutcomeKind;
use bot::prices::PriceCache;
use bot::risk::Limits;
use bot::signal::EntryId;
use bot::spec::StrategySpec;
use bot::symbol::Symbol;
use bot::units::Price;

use super::compare::{Deeds, What, code};
use super::data::{Instant, START_PRICE};
use super::kept::Kept;
use super::manifests;
use super::venue::NoPast;

/// Timers are whole seconds, and so are all instants of the data: what is due within a second goes off at its end.
const STEP: i64 = 1_000_000_000;
const STREAM: &str = "differential";
/// What an intent says that is no strength: the order tells the rest.
const MOVES: &str = "moves";
/// Nobody polls.
const NEVER: Duration = Duration::from_hours(24 * 365 * 10);
/// So often others may work before an ending run's clock moves: where it runs away, the session ends after the next began.
const YIELDS: u32 = 1_000;
/// How long a run may take to come to rest, on the machine's clock, before the test fails.
const HANG: Duration = Duration::from_secs(20);

/// What is otherwise live than the manifest says.
#[derive(Default)]
pub struct Otherwise<'a> {
    /// The text of the strategies that run live.
    pub strategies: Option<&'a str>,
    /// How their intents come together.
    pub combine: Option<Combine>,
    /// What the quotes that orders are sized by are off the market's, in dollars.
    pub quotes_off_by: f64,
    /// The places of the instants after which the process ends and starts again.
    pub restarts: &'a [usize],
    /// What a process that starts again finds of the one before it.
    pub keeps: Keeps,
    /// The Redis whose stream is the inbox; none for one in memory.
    pub redis: Option<String>,
}

/// What is left of a process that ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeps {
    /// The stream, with the books beside it.
    #[default]
    Stream,
    /// The state directory: Redis was emptied.
    State,
    /// Nothing but the account.
    Nothing,
}

/// Runs the manifest over history: `folder` holds it and its data.
pub fn history(folder: &Path) -> Deeds {
    manifests::register_kinds();
    let manifest = read(folder);
    let setup = wiring::wire(&manifest, &mut |spec| data::open(spec)).unwrap();
    let record = backtest::run(setup, &mut |_| true).unwrap();
    let mut deeds = Deeds::default();
    for (place, one) in record.orders.iter().enumerate() {
        note_transaction(&mut deeds, &record, place, one);
    }
    for strategy in &record.strategies {
        deeds.fail(&strategy.name, strategy.last_failure.as_ref());
    }
    record.books.iter().for_each(|book| deeds.book(book));
    let positions = record.end.positions.iter().map(|(symbol, held)| (*symbol, *held));
    deeds.end(record.end.cash, positions);
    deeds
}

fn note_transaction(deeds: &mut Deeds, record: &Record, place: usize, one: &OrderSummary) {
    let strategy = &record.strategies[usize::from(one.by)].name;
    let (symbol, side) = (one.symbol, one.side);
    if one.step == 0 {
        let wanted = one.wanted.strength().map_or_else(|| MOVES.to_owned(), |strength| strength.to_string());
        deeds.note(one.made_at, strategy, What::StrategySignal, format!("{symbol} {wanted}"));
    }
    deeds.steps += u64::from(one.step > 0);
    let (step, code) = (one.step, code(&one.reason));
    deeds.note(
        one.at,
        strategy,
        What::Signal,
        format!("{symbol} step {step}: {} {code}", one.outcome.as_str()),
    );
    if one.is_order {
        deeds.note(one.at, strategy, What::Order, format!("{side} {} {symbol}", one.quantity));
    }
    deeds.partial_fills += u64::from(one.outcome == OutcomeKind::PartlyFilled);
    for fill in record.fills.iter().filter(|fill| usize::try_from(fill.order).unwrap() == place) {
        deeds.fill(fill.at, strategy, symbol, side, (fill.quantity, fill.price));
    }
}

/// Runs the manifest live on the same events as they are told live, and records the run in `folder/recorded`.
pub fn live(folder: &Path, instants: &[Instant], otherwise: &Otherwise<'_>) -> Deeds {
    manifests::register_kinds();
    let manifest = match otherwise.strategies {
        Some(text) => {
            std::fs::write(folder.join("live.toml"), manifests::whole(text)).unwrap();
            read_file(&folder.join("live.toml"))
        }
        None => read(folder),
    };
    let clock = Arc::new(ManualClock::new(instants[0].0 - Duration::from_secs(10)));
    let told: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let venue = SimulatedVenue::new(&paper(&manifest), Arc::clone(&told));
    let mut bed = TestBed {
        folder,
        manifest: &manifest,
        otherwise,
        activity: Activity::default(),
        clock,
        told,
        venue,
        deeds: Deeds::default(),
        kept: Kept::default(),
    };
    let mut stream = bed.stream();
    let mut rest = instants;
    for end in otherwise.restarts.iter().map(|place| place + 1).chain([instants.len()]) {
        let (now, later) = rest.split_at(end - (instants.len() - rest.len()));
        rest = later;
        let summary = match &otherwise.redis {
            None => {
                let (inbox, settler) = stream.open();
                let to = stream.clone();
                bed.run(now, inbox, settler, &mut |fields| to.send(fields).map(drop).unwrap())
            }
            Some(url) => {
                let (inbox, settler) = redis_stream::open(redis(url), Arc::clone(&bed.told));
                let (mut producer, activity) = (Producer::new(RedisUrl::new(url)), bed.activity.clone());
                bed.run(now, inbox, settler, &mut |fields| {
                    activity.begin();
                    producer.send(STREAM, fields).map(drop).unwrap();
                })
            }
        };
        if rest.is_empty() {
            assert_eq!((summary.left_pending, &summary.fault), (0, &None));
            assert_eq!(summary.broker, Ok(Vec::new()), "the books are the account's");
            bed.kept.tell(&mut bed.deeds, &summary);
        } else if otherwise.keeps != Keeps::Stream {
            bed.activity = Activity::default();
            bed.kept.lose();
            stream = bed.stream();
        }
    }
    bed.deeds
}

fn redis(url: &str) -> RedisConfig {
    RedisConfig {
        url: RedisUrl::new(url),
        stream: STREAM.to_owned(),
        group: defaults::GROUP.to_owned(),
        consumer: "one".to_owned(),
        from: From::Start,
        lease: Duration::from_hours(24),
        instance: "one".to_owned(),
    }
}

/// What a live run stands on and leaves.
struct TestBed<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    otherwise: &'a Otherwise<'a>,
    activity: Activity,
    clock: Arc<ManualClock>,
    told: Arc<dyn Clock>,
    venue: SimulatedVenue,
    deeds: Deeds,
    kept: Kept,
}

impl TestBed<'_> {
    fn stream(&self) -> MemoryStream {
        MemoryStream::counted(100_000, Arc::clone(&self.told), self.activity.clone())
    }

    /// One process from its start to its end.
    fn run(
        &mut self,
        instants: &[Instant],
        inbox: impl Inbox,
        settler: impl Settler,
        send: &mut Send<'_>,
    ) -> Summary {
        let posts = Posts::default();
        let config = self.config(&posts);
        let listeners = self.manifest.strategies.len() + usize::from(config.record.is_some());
        let stop = Stop::default();
        let (venue, clock, activity) = (&self.venue, &*self.clock, &self.activity);
        let (broker, settler, waits) = (NoPast(venue.clone()), self.kept.by(settler), &|| self.kept.waits());
        let mut hand = Hand { clock, activity, posts: &posts, send, waits, deeds: &mut self.deeds };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| live::run(&config, &broker, inbox, settler, clock, &stop, |_| ()));
            let ending = Ending { clock, stop: &stop, is_over: &|| running.is_finished() };
            let deadline = SystemClock.now() + HANG;
            while config.feed.heard().len() < listeners {
                assert!(!running.is_finished(), "it ended at once");
                assert!(SystemClock.now() < deadline, "it does not start");
                std::thread::yield_now();
            }
            for (at, events) in instants {
                hand.go_to(*at);
                show(venue, &config.prices, events, *at, self.otherwise.quotes_off_by);
                for event in events {
                    config.feed.publish(*event);
                }
                hand.wait_until_done();
            }
            let end = instants.last().map_or(clock.now(), |(at, _)| *at + Duration::from_secs(1));
            hand.go_to(end);
            drop(ending);
            clock.set(end); // It ended at once.
            running.join().unwrap().unwrap()
        })
    }

    /// As `bot run` makes it of the manifest.
    fn config(&self, posts: &Posts) -> Config {
        let manifest = self.manifest;
        let cash_buffer = manifest.portfolio.cash_buffer.unwrap_or(defaults::CASH_BUFFER);
        let limits = Limits {
            // Redis tells time by a clock that nobody moves by hand.
            signal_age_max: if self.otherwise.redis.is_some() { NEVER } else { defaults::SIGNAL_AGE_MAX },
            quote_age_max: defaults::QUOTE_AGE_MAX,
            flip_in_one: manifest.broker.kind.unwrap().flips_in_one(),
            ..manifest.risk.limits()
        };
        let recorded = self.folder.join("recorded");
        let document = Document::open(&self.folder.join("manifest.toml")).unwrap();
        let mut files =
            vec![(session::MANIFEST.to_owned(), document.resolved(&[], &recorded.join("session")).unwrap())];
        files.extend(scripts(self.folder));
        let posts = posts.clone();
        let weights = manifest.portfolio.weights.clone().unwrap_or(defaults::WEIGHTS);
        Config {
            symbols: manifest.traded(),
            workers: 1,
            signal_queue_len: defaults::QUEUE,
            rules: Rules { cash_buffer, limits, ..Rules::default() },
            weights: weights.clone(),
            stream: STREAM.to_owned(),
            price_interval: NEVER,
            prices: Arc::default(),
            timeouts: Timeouts::default(),
            drain: false,
            signals_max: None,
            run_for: None,
            drain_timeout: Duration::from_secs(20),
            no_wait: true,
            seed: 1,
            activity: self.activity.clone(),
            feed: Feed::counted(self.activity.clone()),
            strategies: Some(StrategyPlan {
                specs: StrategySpec::all(manifest, &manifest.traded()),
                data: manifest.data.clone(),
                combine: self.otherwise.combine.unwrap_or(manifest.portfolio.combine()),
                weights,
                sender: Arc::new(move || posts.sender()),
                numbers: None,
                state: (self.otherwise.keeps == Keeps::State).then(|| self.folder.to_owned()),
                clock: Arc::clone(&self.told),
            }),
            feed_source: FeedSource::Given,
            record: Some(recorded),
            record_format: RecordFormat::Csv,
            record_files: files,
        }
    }
}

type Fields = Vec<(String, String)>;

/// Puts an entry onto the signal stream.
type Send<'a> = dyn FnMut(&[(&str, &str)]) + 'a;

/// What the strategies send, each in a queue of its own, until it is put onto the stream in the manifest's order.
#[derive(Clone, Default)]
struct Posts(Arc<Mutex<Vec<VecDeque<Fields>>>>);

impl Posts {
    fn sender(&self) -> bot::strategy_threads::SignalSender {
        let (posts, place) = (self.clone(), {
            let mut queues = self.0.lock().unwrap();
            queues.push(VecDeque::new());
            queues.len() - 1
        });
        Box::new(move |fields| {
            let owned = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            posts.0.lock().unwrap()[place].push_back(owned.collect());
            Ok(EntryId::new("0-0"))
        })
    }

    fn pop(&self) -> Option<Fields> {
        self.0.lock().unwrap().iter_mut().find_map(VecDeque::pop_front)
    }
}

/// Who moves the clock and brings what the strategies send to the stream.
struct Hand<'a> {
    clock: &'a ManualClock,
    activity: &'a Activity,
    posts: &'a Posts,
    send: &'a mut Send<'a>,
    /// Whether a signal waits until it is due.
    waits: &'a dyn Fn() -> bool,
    deeds: &'a mut Deeds,
}

impl Hand<'_> {
    /// Goes to `at`, waiting until all is done; alarm by alarm while a signal waits until it is due.
    fn go_to(&mut self, at: Timestamp) {
        loop {
            self.wait_until_done();
            let next = self.clock.next_alarm().filter(|_| (self.waits)());
            let next = next.map(whole_second).filter(|next| *next < at);
            self.clock.set(next.unwrap_or(at));
            if next.is_none() {
                return self.wait_until_done();
            }
        }
    }

    /// Until all is quiet, and nothing is left to be sent.
    fn wait_until_done(&mut self) {
        self.wait_until_quiet();
        while let Some(fields) = self.posts.pop() {
            note_intent(self.deeds, &fields);
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            (self.send)(&fields);
            self.wait_until_quiet();
        }
    }

    /// Nothing is under way, and everybody who was woken waits for something else.
    fn wait_until_quiet(&self) {
        let is_quiet = || self.clock.is_at_rest() && self.activity.is_idle() && self.clock.is_at_rest();
        if is_quiet() {
            return;
        }
        let deadline = SystemClock.now() + HANG;
        while !is_quiet() {
            let at = self.clock.now();
            assert!(SystemClock.now() < deadline, "not at rest at {at}: {:?}", self.activity);
            std::thread::yield_now();
        }
    }
}

/// Lets a run come to its end when it is dropped, also where the test fails.
struct Ending<'a> {
    clock: &'a ManualClock,
    stop: &'a Stop,
    is_over: &'a dyn Fn() -> bool,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.stop.request();
        let deadline = SystemClock.now() + HANG;
        while !(self.is_over)() && SystemClock.now() < deadline {
            (0..YIELDS).for_each(|_| std::thread::yield_now());
            match self.clock.next_alarm().filter(|_| self.clock.is_at_rest()) {
                Some(next) => self.clock.set(next),
                None => std::thread::yield_now(),
            }
        }
    }
}

fn note_intent(deeds: &mut Deeds, fields: &Fields) {
    let fields: HashMap<&str, &str> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut id = fields["id"].rsplit('-');
    let at = id.nth(1).unwrap().parse().map(Timestamp::from_nanos).unwrap();
    let wanted = match fields.get("direction") {
        Some(_) => MOVES.to_owned(),
        None => fields.get("strength").map_or_else(|| MOVES.to_owned(), |strength| (*strength).to_owned()),
    };
    deeds.note(at, fields["strategy"], What::StrategySignal, format!("{} {wanted}", fields["ticker"]));
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.nanos() + (STEP - at.nanos().rem_euclid(STEP)) % STEP)
}

/// Puts an instant's quotes where orders meet them, and where the desk looks.
fn show(venue: &SimulatedVenue, prices: &PriceCache, events: &[MarketEvent], at: Timestamp, off_by: f64) {
    let quotes = events.iter().filter_map(|event| match event {
        MarketEvent::Quote { symbol, quote } => Some((*symbol, *quote)),
        MarketEvent::Trade { .. } | MarketEvent::Bar { .. } | MarketEvent::Number { .. } => None,
    });
    let quotes: Vec<(Symbol, Quote)> = quotes.collect();
    venue.with(|core| {
        for (symbol, quote) in &quotes {
            assert!(core.set_quote(*symbol, *quote), "{symbol} is listed");
        }
    });
    let snapshot = |(symbol, quote): (Symbol, Quote)| {
        let quote = Some(Quote { bid: quote.bid + off_by, ask: quote.ask + off_by, ..quote });
        Snapshot { symbol, quote, trade: None, read_at: at }
    };
    prices.put(quotes.into_iter().map(snapshot).collect());
}

fn read(folder: &Path) -> Manifest {
    read_file(&folder.join("manifest.toml"))
}

fn read_file(path: &Path) -> Manifest {
    Document::open(path).unwrap().read(&[], Purpose::Backtest).unwrap()
}

/// The scripts of a folder, as name and text.
fn scripts(folder: &Path) -> impl Iterator<Item = (String, String)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let scripts = files.filter(|path| path.extension().is_some_and(|ending| ending == "rhai"));
    scripts.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    })
}

/// A market that moves by hand alone.
fn paper(manifest: &Manifest) -> simulated::MarketConfig {
    let price = Price::whole(START_PRICE.try_into().unwrap());
    let symbols = manifest.traded();
    simulated::MarketConfig {
        symbols: symbols.iter().map(|symbol| (*symbol, price)).collect(),
        prices: PriceModel::Still,
        cash: manifest.broker.cash(),
        hours: Hours::Always,
        shorting: true,
        flips_in_one: manifest.broker.kind.unwrap().flips_in_one(),
        ..simulated::MarketConfig::new(symbols[0], price)
    }
}
