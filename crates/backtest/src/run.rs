//! The event loop: one event at a time goes to the market, to the marks and into the strategies' views; once all events of
//! an instant are there, the strategies are asked, and what they want becomes orders at once.

use std::time::Duration;

use super::connector::{Connector, ExecutionReport};
use super::latest_prices::{Prices, Slot};
use super::marks::Marks;
use super::record::{FinalAccount, Record};
use super::setup::{Hears, Setup, StrategySetup};
use super::trading::Trading;
use bot_core::account::{Account, Holding};
use bot_core::clock::Timestamp;
use bot_core::desk::Desk;
use bot_core::margin::Balance;
use bot_core::market::MarketEvent;
use bot_core::series::{HeardEvent, SeriesFeed};
use bot_core::strategy::usable_price;
use bot_core::symbol::Symbol;
use bot_core::units::Money;
use bot_data::queue::{Batch, Queue};
use bot_data::{Chunk, DataError, Source};
use bot_simulated::FillModel;

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Events seen.
    pub events: u64,
    /// The last event's time.
    pub at: Timestamp,
    /// Bytes of files read.
    pub bytes: u64,
}

/// So many events pass between two looks at whether to go on.
const PROGRESS_EVENTS: u64 = 1 << 16;

/// Runs to the end of the data, or until `go_on` says no: then what happened so far is the record.
///
/// # Errors
/// Data that cannot be read; nothing is recorded then.
pub fn run(mut setup: Setup, go_on: &mut dyn FnMut(Progress) -> bool) -> Result<Record, DataError> {
    let sources = std::mem::take(&mut setup.sources);
    let (names, sources): (Vec<String>, Vec<Box<dyn Source>>) = sources.into_iter().unzip();
    let listeners = Listeners::of(&mut setup.strategies, names.len());
    let account = opening_account(&setup);
    let desk = Desk::new(setup.rules, setup.weights, &account, &Prices::default()).told_of_moves();
    let words = setup.model.words();
    let connector = Connector::new(setup.model.clone(), setup.cash);
    let mut trading = Trading::new(desk, connector, setup.strategies, setup.combine, setup.cash);
    trading.keep_plots(setup.plot_points_max);
    let is_shared = !setup.signals.is_empty() || !setup.holdings.is_empty();
    trading.feed(setup.signals);
    trading.open_with(&setup.openings);
    trading.switch(setup.switches);
    let paid = |held: &Holding| held.average_price.map_or(Money::ZERO, |price| price * held.quantity);
    let invested = setup.cash + setup.holdings.iter().map(paid).sum();
    let mut marks = Marks::new(setup.period, invested, setup.benchmark, setup.model.margin);
    if is_shared {
        marks.share();
    }
    let slots = vec![None; names.len()];
    trading.prices.set_quotes_first(setup.model.fill == FillModel::Quote);
    let (executions, due, asks, heard) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut run = BacktestRun {
        trading,
        marks,
        listeners,
        slots,
        executions,
        due,
        asks,
        heard,
        events: 0,
        ruined_at: None,
    };
    run.trading.hold(&setup.holdings);
    run.marks.list(setup.holdings.len());

    let mut queue = Queue::new(sources)?;
    let mut interrupted = false;
    let mut seen = 0;
    while let Some(batch) = queue.pop()? {
        run.go(&batch);
        if run.ruined_at.is_some() {
            break;
        }
        if run.events - seen >= PROGRESS_EVENTS {
            seen = run.events;
            let bytes = queue.sources().map(|source| source.report().bytes).sum();
            if !go_on(Progress { events: run.events, at: run.marks.last_at(), bytes }) {
                interrupted = true;
                break;
            }
        }
    }
    let reports = queue.sources().map(Source::report);
    let sources = names.iter().cloned().zip(reports).collect();
    let benchmark = setup.benchmark.and_then(|place| names.get(place).cloned());
    Ok(run.finish(Record {
        name: setup.name,
        start_cash: setup.cash,
        sources,
        connector: words,
        benchmark,
        interrupted,
        ..Record::default()
    }))
}

/// The account before the first event.
fn opening_account(setup: &Setup) -> Account {
    let (cash, margin) = (setup.cash, setup.model.margin);
    let excess = margin.excess(Balance { cash, ..Balance::default() });
    let buying_power = margin.buying_power(excess);
    Account { cash, buying_power, equity: cash, holdings: setup.holdings.clone(), ..Account::default() }
}

struct BacktestRun {
    trading: Trading,
    marks: Marks,
    listeners: Listeners,
    /// The slot of each source's last event.
    slots: Vec<Option<(Symbol, Slot)>>,
    /// Reused, so that an event costs no allocation.
    executions: Vec<ExecutionReport>,
    /// Whom to ask about what, once all events of this instant are in the views.
    due: Vec<(usize, MarketEvent)>,
    /// Those of one of them.
    asks: Vec<MarketEvent>,
    heard: Vec<HeardEvent>,
    events: u64,
    /// When nothing was left: no event after it is of interest.
    ruined_at: Option<Timestamp>,
}

impl BacktestRun {
    fn go(&mut self, Batch { source, chunk, range, next_at }: &Batch) {
        match &**chunk {
            Chunk::Rows { symbol, row_kind, rows } => {
                let rows = &rows[range.clone()];
                let Some(mut at) = rows.first().map(|row| row_kind.known_at(row.at)) else { return };
                for (place, row) in rows.iter().enumerate() {
                    let next = rows.get(place + 1).map(|next| row_kind.known_at(next.at)).or(*next_at);
                    self.step(*source, &row.event(*symbol, *row_kind), at, next);
                    if self.ruined_at.is_some() {
                        return;
                    }
                    at = next.unwrap_or(at);
                }
            }
            Chunk::Mixed(events) => {
                let events = &events[range.clone()];
                for (place, event) in events.iter().enumerate() {
                    let next = events.get(place + 1).map(MarketEvent::known_at).or(*next_at);
                    self.step(*source, event, event.known_at(), next);
                    if self.ruined_at.is_some() {
                        return;
                    }
                }
            }
        }
    }

    /// One event that is known `at`; `next_at` is when the next one is, where that is known.
    #[inline]
    fn step(&mut self, source: usize, event: &MarketEvent, at: Timestamp, next_at: Option<Timestamp>) {
        self.events += 1;
        if at > self.marks.last_at() && self.has_due() {
            self.ask_all();
        }
        self.marks.begin(at, &mut self.trading);
        if at >= self.trading.next_timer() {
            self.trading.ring(at);
        }
        if let Some(price) = usable_price(event) {
            let slot = self.slot(source, event.symbol());
            self.trading.show_market(slot, event, (price, at), &mut self.executions);
            if self.trading.prices.note(slot, event, price, at) {
                self.marks.moved(slot, price, source);
            }
            for execution in self.executions.drain(..) {
                self.trading.settle(&execution, at);
            }
            if !self.marks.end(&mut self.trading) {
                self.check_margin(at);
            }
        } else if let MarketEvent::Quote { symbol, .. } = event {
            self.blank(source, *symbol, event, at);
        }
        for place in &self.listeners.also[source] {
            self.trading.show(*place, event);
        }
        let is_last_of_instant = self.due.is_empty() && next_at.is_some_and(|next| next > at);
        match self.listeners.main[source].as_slice() {
            [place] if is_last_of_instant && self.listeners.feeds.is_empty() => {
                self.trading.count(*place);
                let is_asked = self.trading.show(*place, event);
                if self.trading.has_due() {
                    self.trading.work(at);
                }
                if is_asked {
                    self.trading.evaluate_one(*place, event, at);
                }
                return;
            }
            main => {
                for place in main {
                    self.trading.count(*place);
                    if self.trading.show(*place, event) {
                        self.due.push((*place, *event));
                    }
                }
            }
        }
        self.feed(source, event);
        if is_last_of_instant && self.has_due() {
            self.ask_all();
        }
    }

    /// Whether something waits for all events of the instant.
    #[inline]
    fn has_due(&self) -> bool {
        !self.due.is_empty() || self.trading.has_due()
    }

    /// Shows an event to the strategies that make their series of all events of its source.
    fn feed(&mut self, source: usize, event: &MarketEvent) {
        for (place, _, feed) in self.listeners.feeds.iter_mut().filter(|(_, of, _)| *of == source) {
            feed.push(event, &mut self.heard);
            for (is_main, event) in self.heard.drain(..) {
                if self.trading.show(*place, &event) && is_main {
                    self.trading.count(*place);
                    self.due.push((*place, event));
                }
            }
        }
    }

    /// All events of an instant are in the views: what follows from its fills is done, then strategies are asked in their
    /// order, each about its events in theirs.
    #[cold]
    fn ask_all(&mut self) {
        self.trading.work(self.marks.last_at());
        let mut due = std::mem::take(&mut self.due);
        due.sort_by_key(|(place, _)| *place); // Stable.
        for of_one in due.chunk_by(|(place, _), (other, _)| place == other) {
            let (place, last) = of_one[of_one.len() - 1];
            self.asks.clear();
            self.asks.extend(of_one.iter().map(|(_, event)| *event));
            self.trading.evaluate(place, &mut self.asks, last.known_at());
        }
        due.clear();
        self.due = due;
    }

    /// A quote that is no price: a side of it is empty, or it is crossed. Nothing fills at the one before it any more.
    #[cold]
    fn blank(&mut self, source: usize, symbol: Symbol, event: &MarketEvent, at: Timestamp) {
        let slot = self.slot(source, symbol);
        let last = self.trading.prices.price(slot);
        self.trading.show_market(slot, event, (last, at), &mut self.executions);
        self.trading.prices.note(slot, event, last, at);
        for execution in std::mem::take(&mut self.executions) {
            self.trading.settle(&execution, at);
        }
    }

    /// Liquidates all positions where the equity is below the maintenance margin; where nothing is left, the run ends.
    #[cold]
    fn check_margin(&mut self, at: Timestamp) {
        if self.marks.is_shared() {
            return; // What others hold is not ours to sell.
        }
        let (equity, required) = self.trading.connector.margin_call();
        if !equity.is_positive() {
            self.ruined_at = Some(at);
        } else if let Some(required) = required {
            self.trading.liquidate(equity, required, at);
            self.marks.end(&mut self.trading);
        }
    }

    #[inline]
    fn slot(&mut self, source: usize, symbol: Symbol) -> Slot {
        match self.slots[source] {
            Some((known, slot)) if known == symbol => slot,
            _ => self.list(source, symbol),
        }
    }

    #[cold]
    fn list(&mut self, source: usize, symbol: Symbol) -> Slot {
        let slot = self.trading.list(symbol);
        self.marks.list(self.trading.prices.len());
        self.slots[source] = Some((symbol, slot));
        slot
    }

    fn finish(mut self, record: Record) -> Record {
        if self.ruined_at.is_none() {
            self.ask_all();
            self.trading.finish(self.marks.last_at() + Duration::from_nanos(1));
        }
        self.marks.list(self.trading.prices.len()); // Also for symbols that were asked for and never shown.
        self.marks.finish(&mut self.trading);
        let statement = self.trading.statement();
        let end = FinalAccount {
            cash: statement.cash,
            equity: statement.equity,
            fees: self.trading.connector.fees(),
            positions: statement.positions.iter().map(|(symbol, held)| (*symbol, held.quantity())).collect(),
            events: self.events,
            breaches: self.marks.take_breaches(),
        };
        let record = Record { end, ruined_at: self.ruined_at, ..record };
        let at = self.marks.last_at();
        self.trading.write(self.marks.write(record), at)
    }
}

/// Who hears which source.
struct Listeners {
    main: Vec<Vec<usize>>,
    also: Vec<Vec<usize>>,
    /// Those who hear all of a source, and make their series of it.
    feeds: Vec<(usize, usize, SeriesFeed)>,
}

impl Listeners {
    fn of(strategies: &mut [StrategySetup], sources: usize) -> Self {
        let mut listeners =
            Self { main: vec![Vec::new(); sources], also: vec![Vec::new(); sources], feeds: Vec::new() };
        for (place, strategy) in strategies.iter_mut().enumerate() {
            let nothing = Hears::Sources { main: Vec::new(), also: Vec::new() };
            match std::mem::replace(&mut strategy.hears, nothing) {
                Hears::Sources { main, also } => {
                    for source in also.into_iter().filter(|source| !main.contains(source)) {
                        listeners.also[source].push(place);
                    }
                    for source in main {
                        listeners.main[source].push(place);
                    }
                }
                Hears::Feed { source, feed } => listeners.feeds.push((place, source, feed)),
            }
        }
        listeners
    }
}
