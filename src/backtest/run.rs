//! The event loop: one event at a time goes to the market, to the marks and to the strategies; wishes become orders at once.

use std::time::Duration;

use super::board::{Prices, Slot};
use super::connector::{Connector, Met};
use super::marks::Marks;
use super::portfolio::Portfolio;
use super::queue::{Queue, Stretch};
use super::record::{End, Record};
use crate::account::Account;
use crate::broker::simulated::Terms;
use crate::clock::Timestamp;
use crate::data::{Chunk, DataError, Source};
use crate::desk::{Desk, Rules};
use crate::manifest::{Combine, Period};
use crate::market::MarketEvent;
use crate::strategy::{Runner, usable_price};
use crate::symbol::Symbol;
use crate::target::Sizing;
use crate::units::{Money, Weight};

/// All that a run is made of.
pub struct Setup {
    /// What people call it.
    pub name: String,
    /// What the account starts with.
    pub cash: Money,
    /// How orders fill.
    pub terms: Terms,
    /// How the desk sizes, and what it refuses.
    pub rules: Rules,
    /// Target weights, for strategies that leave the size to the desk.
    pub weights: Vec<(Symbol, Weight)>,
    /// How strategies are combined.
    pub combine: Combine,
    /// The strategies, in their order.
    pub strategies: Vec<StrategySetup>,
    /// The data sources by name; at one instant the first comes first.
    pub sources: Vec<(String, Box<dyn Source>)>,
    /// The place of the source whose price is the benchmark.
    pub benchmark: Option<usize>,
    /// How often the account is marked.
    pub period: Period,
}

/// One strategy of a run.
pub struct StrategySetup {
    /// The strategy.
    pub runner: Runner,
    /// How its signals are sized.
    pub sizing: Sizing,
    /// What its book starts with.
    pub capital: Money,
    /// Its share of the sum, where wishes are combined.
    pub weight: Weight,
    /// The place of the source that it is asked on.
    pub main: usize,
    /// The places of the sources that it may look at.
    pub also: Vec<usize>,
}

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
const GLANCE_EVENTS: u64 = 1 << 16;

/// Runs to the end of the data, or until `go_on` says no: then what happened so far is the record.
///
/// # Errors
/// Data that cannot be read; nothing is recorded then.
pub fn run(setup: Setup, go_on: &mut dyn FnMut(Progress) -> bool) -> Result<Record, DataError> {
    let (names, sources): (Vec<String>, Vec<Box<dyn Source>>) = setup.sources.into_iter().unzip();
    let listeners = Listeners::of(&setup.strategies, names.len());
    let account =
        Account { cash: setup.cash, buying_power: setup.cash, equity: setup.cash, ..Account::default() };
    let desk = Desk::new(setup.rules, setup.weights, &account, &Prices::default());
    let words = Connector::words(&setup.terms);
    let connector = Connector::new(setup.terms, setup.cash);
    let portfolio = Portfolio::new(desk, connector, setup.strategies, setup.combine, setup.cash);
    let marks = Marks::new(setup.period, setup.cash, setup.benchmark);
    let slots = vec![None; names.len()];
    let mut run = Run { portfolio, marks, listeners, slots, met: Vec::new(), events: 0 };

    let mut queue = Queue::new(sources)?;
    let mut interrupted = false;
    let mut seen = 0;
    while let Some(stretch) = queue.pop()? {
        run.go(&stretch);
        if run.events - seen >= GLANCE_EVENTS {
            seen = run.events;
            let bytes = queue.sources().map(|source| source.account().bytes).sum();
            if !go_on(Progress { events: run.events, at: run.marks.last_at(), bytes }) {
                interrupted = true;
                break;
            }
        }
    }
    let accounts = queue.sources().map(Source::account);
    let sources = names.iter().cloned().zip(accounts).collect();
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

struct Run {
    portfolio: Portfolio,
    marks: Marks,
    listeners: Listeners,
    /// The slot of each source's last event.
    slots: Vec<Option<(Symbol, Slot)>>,
    /// Reused, so that an event costs no allocation.
    met: Vec<Met>,
    events: u64,
}

impl Run {
    fn go(&mut self, Stretch { source, chunk, range }: &Stretch) {
        match &**chunk {
            Chunk::Rows { symbol, shape, rows } => {
                rows[range.clone()].iter().for_each(|row| self.step(*source, &row.event(*symbol, *shape)));
            }
            Chunk::Mixed(events) => events[range.clone()].iter().for_each(|event| self.step(*source, event)),
        }
    }

    #[inline]
    fn step(&mut self, source: usize, event: &MarketEvent) {
        self.events += 1;
        let at = event.known_at();
        self.marks.begin(at, &mut self.portfolio);
        if at >= self.portfolio.next_timer() {
            self.portfolio.ring(at);
        }
        if let Some(price) = usable_price(event) {
            let slot = self.slot(source, event.symbol());
            self.portfolio.connector.show(slot, event, price, &mut self.met);
            self.marks.moved(slot, price, source);
            self.portfolio.prices.note(slot, event, price, at);
            for met in self.met.drain(..) {
                self.portfolio.settle(&met, at);
            }
            self.marks.end(&mut self.portfolio);
        } else if let MarketEvent::Quote { symbol, .. } = event {
            self.blank(source, *symbol, event, at);
        }
        for place in self.listeners.also(source) {
            self.portfolio.show(*place, event);
        }
        for place in self.listeners.main(source) {
            self.portfolio.ask(*place, event, at);
        }
    }

    /// A quote that is no price: a side of it is empty, or it is crossed. Nothing fills at the one before it any more.
    #[cold]
    fn blank(&mut self, source: usize, symbol: Symbol, event: &MarketEvent, at: Timestamp) {
        let slot = self.slot(source, symbol);
        let last = self.portfolio.prices.price(slot);
        self.portfolio.connector.show(slot, event, last, &mut self.met);
        self.portfolio.prices.note(slot, event, last, at);
        for met in std::mem::take(&mut self.met) {
            self.portfolio.settle(&met, at);
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
        let slot = self.portfolio.list(symbol);
        self.marks.list(self.portfolio.prices.len());
        self.slots[source] = Some((symbol, slot));
        slot
    }

    fn finish(mut self, record: Record) -> Record {
        self.marks.list(self.portfolio.prices.len()); // Also for symbols that were wished for and never shown.
        self.marks.finish(&mut self.portfolio);
        let statement = self.portfolio.statement();
        let end = End {
            cash: statement.cash,
            equity: statement.equity,
            fees: self.portfolio.connector.fees(),
            positions: statement.positions.iter().map(|(symbol, held)| (*symbol, held.quantity())).collect(),
            events: self.events,
            breaches: self.marks.take_breaches(),
        };
        let record = Record { end, ..record };
        self.portfolio.write(self.marks.write(record))
    }
}

/// Who hears which source.
struct Listeners {
    main: Vec<Vec<usize>>,
    also: Vec<Vec<usize>>,
}

impl Listeners {
    fn of(strategies: &[StrategySetup], sources: usize) -> Self {
        let mut listeners = Self { main: vec![Vec::new(); sources], also: vec![Vec::new(); sources] };
        for (place, strategy) in strategies.iter().enumerate() {
            listeners.main[strategy.main].push(place);
            for source in strategy.also.iter().filter(|source| **source != strategy.main) {
                listeners.also[*source].push(place);
            }
        }
        listeners
    }

    fn main(&self, source: usize) -> &[usize] {
        &self.main[source]
    }

    fn also(&self, source: usize) -> &[usize] {
        &self.also[source]
    }
}

/// Waits that never end: over history a working order is told of when it meets the market.
pub(super) const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 200);
