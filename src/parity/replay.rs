//! A recorded session as a run over history: its strategies again, signals from elsewhere fed in, the same desk. No new
//! path: what was sent from elsewhere is a strategy that wishes for it on a number that comes at its time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::ParityError;
use super::arrival::InArrival;
use super::order::Live;
use crate::backtest::record::Record;
use crate::backtest::{Progress, Setup, StrategySetup, run};
use crate::broker::simulated::{FillModel, Terms};
use crate::clock::Timestamp;
use crate::data::{self, Account, Chunk, DataError, Source};
use crate::desk::Rules;
use crate::history::session::Session;
use crate::manifest::{Combine, Manifest, Period, defaults};
use crate::market::{MarketEvent, Number, Quote};
use crate::order::{OrderType, Side, TimeInForce};
use crate::risk::Limits;
use crate::sizing::SizeRule;
use crate::strategy::{Every, Runner, Strategy, StrategyError, View, Wish, Wishes};
use crate::symbol::Symbol;
use crate::target::Sizing;
use crate::units::{Price, Quantity, Weight};

/// What is replayed.
pub(super) struct Replay<'a> {
    pub(super) session: &'a Session,
    pub(super) manifest: &'a Manifest,
    /// The recorded events.
    pub(super) events: data::Spec,
    /// How the kinds of one instant were mixed.
    pub(super) order: HashMap<Timestamp, String>,
    /// When the first of them was known.
    pub(super) first: Timestamp,
    /// When the last of them was known.
    pub(super) last: Timestamp,
    /// The last quote of each symbol.
    pub(super) last_quotes: &'a HashMap<Symbol, Quote>,
    /// Signals from elsewhere, in the order of their arrival.
    pub(super) elsewhere: Vec<&'a Live>,
    /// How long an order is on its way.
    pub(super) latency: Duration,
}

/// The places of two of the sources; they stand in the order in which they come at one instant.
const RECORDED: usize = 1;
const SIGNALS: usize = 3;

type NamedSource = (String, Box<dyn Source>);

/// Over history the last price is what there is, however old.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 200);

impl Replay<'_> {
    /// Runs it.
    pub(super) fn run(self, go_on: &mut dyn FnMut(Progress) -> bool) -> Result<Record, ParityError> {
        let setup = self.setup()?;
        Ok(run(setup, go_on)?)
    }

    fn setup(self) -> Result<Setup, ParityError> {
        let session = self.session;
        let limits = &session.rules.limits;
        let mut strategies = Vec::with_capacity(self.manifest.strategies.len() + 1);
        let whole = |runner, sizing, main| StrategySetup {
            runner,
            sizing,
            capital: session.cash,
            weight: Weight::ONE,
            main,
            also: Vec::new(),
        };
        for section in &self.manifest.strategies {
            let strategy = section
                .make(&session.symbols)
                .map_err(|source| ParityError::Strategy { name: section.name.clone(), source })?;
            let symbols = if section.symbols.is_empty() { &session.symbols } else { &section.symbols };
            let mut runner = Runner::new(&section.name, strategy, symbols, section.every());
            if !section.active.unwrap_or(defaults::ACTIVE) {
                runner.stop();
            }
            strategies.push(whole(runner, section.sizing(limits.short), RECORDED));
        }
        let echo = Echo { wishes: self.elsewhere.iter().map(|live| Asked::of(live)).collect(), next: 0 };
        let runner = Runner::new("elsewhere", Box::new(echo), &[], Every::Event);
        // Without a capital the desk sizes what names no quantity, as it did live.
        let sizing = Sizing { rule: SizeRule::All, is_target: true, capital: None, short: true };
        strategies.push(whole(runner, sizing, SIGNALS));
        let limits = Limits { quote_age_max: FOR_EVER, ..limits.clone() };
        Ok(Setup {
            name: "parity".to_owned(),
            cash: session.cash,
            holdings: session.holdings.clone(),
            terms: Terms { fill: FillModel::Quote, latency: self.latency, ..Terms::default() },
            rules: Rules { limits, ..session.rules.clone() },
            weights: session.weights.clone(),
            combine: Combine::Separate,
            strategies,
            sources: self.sources()?,
            benchmark: None,
            period: Period::Day,
        })
    }

    fn sources(&self) -> Result<Vec<NamedSource>, ParityError> {
        let start = self.session.started_at.min(self.first);
        let quotes = |quotes: &mut dyn Iterator<Item = (Symbol, Quote)>, at: Timestamp| -> Vec<MarketEvent> {
            quotes
                .map(|(symbol, quote)| MarketEvent::Quote { symbol, quote: Quote { at, ..quote } })
                .collect()
        };
        let known = quotes(&mut self.session.quotes.iter().copied(), start);
        // Orders on their way when the recording ends meet the last quote.
        let end = self.last + self.latency + Duration::from_millis(1);
        let end = self.elsewhere.last().map_or(end, |live| end.max(live.order.at + self.latency));
        let mut last: Vec<(Symbol, Quote)> =
            self.last_quotes.iter().map(|(symbol, quote)| (*symbol, *quote)).collect();
        last.sort_by_key(|(symbol, _)| *symbol);
        let last = quotes(&mut last.into_iter(), end + Duration::from_millis(1));
        let series = *self.session.symbols.first().ok_or(ParityError::NoSymbols)?;
        let signals = self.elsewhere.iter().map(|live| MarketEvent::Number {
            symbol: series,
            number: Number { at: live.order.at, value: 1.0 },
        });
        let once = |name: &str, events: Vec<MarketEvent>| -> NamedSource {
            (name.to_owned(), Box::new(Once(Some(events).filter(|events| !events.is_empty()))))
        };
        let recorded = (
            "recorded".to_owned(),
            Box::new(InArrival::new(data::open(&self.events)?, self.order.clone())) as Box<dyn Source>,
        );
        Ok(vec![once("start", known), recorded, once("end", last), once("signals", signals.collect())])
    }
}

/// Wishes for what was recorded, one signal for each event that it is shown.
struct Echo {
    wishes: Vec<Asked>,
    next: usize,
}

/// What a signal from elsewhere wishes for.
struct Asked {
    symbol: Symbol,
    side: Side,
    quantity: Option<Quantity>,
    limit: Option<Price>,
}

impl Asked {
    fn of(live: &Live) -> Self {
        // A limit without a quantity is no wish that a strategy has: the quantity is the live one.
        let quantity = live.asked.or(live.asked_limit.map(|_| live.order.quantity));
        let quantity = quantity.filter(|quantity| quantity.is_positive());
        Self { symbol: live.order.symbol, side: live.order.side, quantity, limit: live.asked_limit }
    }
}

impl Strategy for Echo {
    fn on_event(
        &mut self,
        _event: &MarketEvent,
        _view: &View<'_>,
        wishes: &mut Wishes,
    ) -> Result<(), StrategyError> {
        let next = self.wishes.get(self.next);
        self.next += 1;
        match next {
            Some(&Asked { symbol, side, quantity: Some(quantity), limit }) => wishes.push(Wish::Order {
                symbol,
                side,
                quantity,
                order_type: limit.map_or(OrderType::Market, OrderType::Limit),
                time_in_force: TimeInForce::Ioc,
            }),
            Some(Asked { symbol, side: Side::Buy, .. }) => wishes.signal(*symbol, 1.0)?,
            Some(Asked { symbol, side: Side::Sell, .. }) => wishes.signal(*symbol, -1.0)?,
            None => {}
        }
        Ok(())
    }
}

/// Some events, all at once.
struct Once(Option<Vec<MarketEvent>>);

impl Source for Once {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        Ok(self.0.take().map(|events| Arc::new(Chunk::Mixed(events))))
    }

    fn account(&self) -> Account {
        Account::default()
    }
}
