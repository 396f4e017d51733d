//! A live run in-process whose clock, quotes and market events are moved by hand: the manifest is read as `bot run` does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bot::activity::Activity;
use bot::broker::simulated::{self, Hours, PriceModel, SimulatedVenue};
use bot::clock::{Clock, ManualClock, SystemClock, Timestamp};
use bot::desk::Rules;
use bot::execution::Timeouts;
use bot::feed::Feed;
use bot::history::RecordFormat;
use bot::inbox::memory::{MemoryInbox, MemoryStream};
use bot::inbox::{Delivery, Inbox, InboxError};
use bot::live::{self, Config, FeedSource, Stop, StrategyPlan, Summary};
use bot::manifest::{Document, Manifest, Purpose, defaults};
use bot::market::{Bar, MarketEvent, Quote, Trade};
use bot::outcome::Outcome;
use bot::risk::Limits;
use bot::series::MINUTE;
use bot::signal::StreamPlace;
use bot::spec::StrategySpec;
use bot::strategy_threads::SignalSender;
use bot::symbol::Symbol;
use bot::units::{Price, Quantity};
use tempfile::TempDir;

/// A Monday morning in New York.
pub const START: &str = "2026-11-23T15:00:00Z";
/// How long something may take on the machine's clock before the test fails.
const HANG: Duration = Duration::from_mins(1);
const LONG: Duration = Duration::from_hours(24 * 365);

/// What outlives a run: the stream, the exchange, the state directory, the clock.
pub struct ByHand {
    pub clock: Arc<ManualClock>,
    pub stream: MemoryStream,
    pub venue: SimulatedVenue,
    folder: TempDir,
    activity: Activity,
}

/// A run under way.
pub struct Hand<'a> {
    bed: &'a ByHand,
    feed: Feed,
    /// Entries that the intake has lined up.
    passed_on: Arc<AtomicUsize>,
    stop: &'a Stop,
}

pub fn nvda() -> Symbol {
    "NVDA".parse().unwrap()
}

pub fn shares(count: i64) -> Quantity {
    Quantity::new(count.into())
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

impl ByHand {
    /// `PriceModel` stand still at 100 dollars, bid and ask, 1,000 shares each, until somebody sets another quote.
    pub fn new() -> Self {
        let bed = Self::with(PriceModel::Still);
        bed.quote(100.0, 1_000.0);
        bed
    }

    pub fn with(prices: PriceModel) -> Self {
        Self::open(prices, Hours::Always)
    }

    /// The same at an exchange of these hours.
    pub fn open(prices: PriceModel, hours: Hours) -> Self {
        let clock = Arc::new(ManualClock::new(at(START)));
        let told: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let mut paper = simulated::MarketConfig::new(nvda(), Price::whole(100));
        paper.symbols.push(("SPY".parse().unwrap(), Price::whole(500)));
        (paper.prices, paper.hours, paper.shorting) = (prices, hours, true);
        let activity = Activity::default();
        Self {
            stream: MemoryStream::counted(10_000, Arc::clone(&told), activity.clone()),
            venue: SimulatedVenue::new(&paper, told),
            folder: tempfile::tempdir().unwrap(),
            clock,
            activity,
        }
    }

    /// Everything that is kept beside the stream is gone, and the stream with it.
    pub fn flush(&mut self) {
        self.activity = Activity::default();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        self.stream = MemoryStream::counted(10_000, clock, self.activity.clone());
    }

    pub fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What the exchange shows, and fills at.
    pub fn quote(&self, price: f64, size: f64) {
        let quote = Quote { at: self.clock.now(), bid: price, bid_size: size, ask: price, ask_size: size };
        assert!(self.venue.with(|core| core.set_quote(nvda(), quote)));
    }

    /// Shares that the account holds at the exchange.
    pub fn held(&self) -> Quantity {
        self.venue.with(|core| core.position(nvda()).map_or(Quantity::ZERO, |found| found.quantity))
    }

    /// Shares in the book of a strategy, as it is kept.
    pub fn kept(&self, strategy: &str) -> Quantity {
        let kept = self.stream.kept();
        let (_, text) = kept.books.iter().find(|(name, _)| name == strategy).unwrap();
        let book: serde_json::Value = serde_json::from_str(text).unwrap();
        book["book"]["holdings"][0]["position"]["quantity"].as_str().unwrap().parse().unwrap()
    }

    /// All outcomes as `id outcome filled`, with the reason's code where there is one.
    pub fn story(&self) -> Vec<String> {
        self.stream.outcomes().iter().map(told).collect()
    }

    /// Runs a manifest while `act` moves the hands, and ends the run in order.
    #[track_caller]
    pub fn run(&self, manifest: &str, act: impl FnOnce(&Hand<'_>)) -> Summary {
        let path = self.write("run.toml", manifest);
        let manifest = Document::open(&path).unwrap().read(&[], Purpose::Run { symbols: &[] }).unwrap();
        let feed = Feed::counted(self.activity.clone());
        let config = self.config(&manifest, feed.clone());
        let stop = Stop::default();
        let (inbox, settler) = self.stream.open();
        let hand = Hand { bed: self, feed, passed_on: Arc::default(), stop: &stop };
        let inbox = Watched { inbox, taken: 0, passed_on: Arc::clone(&hand.passed_on) };
        std::thread::scope(|scope| {
            let (config, stop) = (&config, &stop);
            let running = scope.spawn(move || {
                live::run(config, &self.venue, inbox, settler, &*self.clock, stop, |_| {}).unwrap()
            });
            hand.wait_for("the strategies", || hand.feed.heard().len() == manifest.strategies.len());
            act(&hand);
            stop.request();
            hand.wait_for("the end", || {
                self.clock.next_alarm().into_iter().for_each(|next| self.clock.set(next));
                running.is_finished()
            });
            running.join().unwrap()
        })
    }

    fn config(&self, manifest: &Manifest, feed: Feed) -> Config {
        let symbols = manifest.traded_live(&[]);
        let limits =
            Limits { signal_age_max: Duration::from_hours(1), quote_age_max: LONG, ..manifest.risk.limits() };
        let weights = manifest.portfolio.weights.clone().unwrap_or(defaults::WEIGHTS);
        let stream = self.stream.clone();
        let sender = move || -> SignalSender {
            let to = stream.clone();
            Box::new(move |fields| to.send(fields).map_err(|full| full.to_string()))
        };
        let strategies = StrategyPlan {
            specs: StrategySpec::all(manifest, &symbols),
            data: manifest.data.clone(),
            combine: manifest.portfolio.combine(),
            weights: weights.clone(),
            sender: Arc::new(sender),
            numbers: None,
            state: Some(self.folder.path().to_owned()),
            clock: Arc::clone(&self.clock) as _,
        };
        Config {
            symbols,
            workers: 1,
            signal_queue_len: defaults::QUEUE,
            rules: Rules { limits, ..Rules::default() },
            weights,
            stream: "by_hand".to_owned(),
            price_interval: Duration::from_secs(1),
            timeouts: Timeouts::default(),
            drain: false,
            signals_max: None,
            run_for: None,
            drain_timeout: LONG,
            no_wait: true,
            seed: 1,
            activity: self.activity.clone(),
            feed,
            prices: Arc::default(),
            strategies: Some(strategies).filter(|_| !manifest.strategies.is_empty()),
            feed_source: FeedSource::Given,
            record: None,
            record_format: RecordFormat::Csv,
            record_files: Vec::new(),
        }
    }
}

impl Hand<'_> {
    pub fn now(&self) -> Timestamp {
        self.bed.clock.now()
    }

    pub fn advance(&self, span: Duration) {
        self.bed.clock.advance(span);
    }

    /// Shows the strategies an event.
    pub fn publish(&self, event: MarketEvent) {
        self.feed.publish(event);
    }

    /// A trade in NVDA at this price, now.
    pub fn trade(&self, price: f64) {
        let trade = Trade { at: self.now(), price, size: 1.0 };
        self.publish(MarketEvent::Trade { symbol: nvda(), trade });
    }

    /// The clock goes to the end of this minute's bar, which is shown then; all that comes of it is waited for.
    pub fn bar(&self, symbol: Symbol, bar: Bar) {
        self.bed.clock.set((bar.at + MINUTE).max(self.now()));
        self.publish(MarketEvent::Bar { symbol, bar, span: MINUTE });
        self.quiet();
    }

    /// Waits until nothing is under way and everybody who was woken waits for something else.
    pub fn quiet(&self) {
        let clock = &self.bed.clock;
        let is_quiet = || clock.is_at_rest() && self.bed.activity.is_idle() && clock.is_at_rest();
        self.wait_for("quiet", is_quiet);
    }

    /// Waits for so many outcomes.
    #[track_caller]
    pub fn outcomes(&self, count: usize) {
        self.wait_for("outcomes", || self.bed.stream.outcomes().len() >= count);
    }

    /// Waits until the intake has lined so many entries up.
    pub fn lined_up(&self, count: usize) {
        self.wait_for("entries", || self.passed_on.load(Ordering::SeqCst) >= count);
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let deadline = SystemClock.now() + HANG;
        while !is_there() {
            if SystemClock.now() >= deadline {
                self.stop.request();
                let story = self.bed.story();
                panic!("{what} must be there in time, at {}: {story:#?}", self.now());
            }
            std::thread::yield_now();
        }
    }
}

/// An inbox that tells when what it gave has been passed on: then it is read again.
struct Watched {
    inbox: MemoryInbox,
    taken: usize,
    passed_on: Arc<AtomicUsize>,
}

impl Inbox for Watched {
    fn read(&mut self, room: usize, until: Timestamp) -> Result<Vec<Delivery>, InboxError> {
        self.passed_on.store(self.taken, Ordering::SeqCst);
        let deliveries = self.inbox.read(room, until)?;
        self.taken += deliveries.len();
        Ok(deliveries)
    }

    fn reread(&mut self, places: &[StreamPlace]) -> Result<Vec<Delivery>, InboxError> {
        self.inbox.reread(places)
    }

    fn epoch(&self) -> String {
        self.inbox.epoch()
    }

    fn is_drained(&mut self) -> Result<bool, InboxError> {
        self.inbox.is_drained()
    }
}

fn told(outcome: &Outcome) -> String {
    let signal = &outcome.decision.as_ref().unwrap().signal;
    let step = signal.step.as_ref().map_or_else(String::new, |step| format!(".{}", step.number));
    let whose = if signal.strategy.is_empty() { "signals" } else { &*signal.strategy };
    let side = outcome.side.filter(|_| outcome.quantity.is_some());
    let side = side.map_or_else(String::new, |side| format!(" {side}"));
    let shares = match (outcome.filled, outcome.quantity) {
        (Some(filled), Some(quantity)) => format!(" {filled} of {quantity}"),
        _ => String::new(),
    };
    let code = outcome.reason.split(':').next().filter(|code| !code.is_empty() && outcome.filled.is_none());
    let code = code.map_or_else(String::new, |code| format!(": {code}"));
    format!("{whose}{step}{side}{shares} {}{code}", outcome.kind.as_str())
}
