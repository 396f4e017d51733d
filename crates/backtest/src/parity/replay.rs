//! A recorded session as a run over history: its strategies again, warmed as they were and with the books that they had,
//! signals from elsewhere fed in, the same desk. No new path.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::ParityError;
use super::arrival::InArrival;
use super::order::LiveSide;
use crate::record::Record;
use crate::{Hears, Progress, Setup, StrategySetup, run};
use bot_core::clock::Timestamp;
use bot_core::desk::Rules;
use bot_core::market::{MarketEvent, Quote};
use bot_core::risk::Limits;
use bot_core::signal::Signal;
use bot_core::sizing::WeightRule;
use bot_core::strategy::{Listener, StrategySignal};
use bot_core::symbol::Symbol;
use bot_data::history::session::{SessionStart, Switch, warm_up_folder};
use bot_data::history::{self, OnFault};
use bot_data::{Chunk, DataError, ReadReport, Source};
use bot_manifest::spec::{self, StrategySpec};
use bot_manifest::{Manifest, Period};
use bot_simulated::{ExecutionModel, FillModel, OnShortCash};

/// What is replayed.
pub(super) struct SessionReplay<'a> {
    pub(super) session: &'a SessionStart,
    /// Its folder.
    pub(super) folder: &'a Path,
    pub(super) switches: &'a [Switch],
    pub(super) manifest: &'a Manifest,
    /// The recorded events.
    pub(super) events: bot_data::Spec,
    /// How the kinds of one instant were mixed.
    pub(super) order: HashMap<Timestamp, String>,
    /// When the first of them was known.
    pub(super) first: Timestamp,
    /// When the last of them was known.
    pub(super) last: Timestamp,
    /// The last quote of each symbol.
    pub(super) last_quotes: &'a HashMap<Symbol, Quote>,
    /// Signals from elsewhere, in the order of their arrival.
    pub(super) elsewhere: Vec<&'a LiveSide>,
    /// When the last signal of the session was sent.
    pub(super) last_signal_at: Timestamp,
    /// How long an order is on its way.
    pub(super) latency: Duration,
}

/// When, whose by its place, and what.
type Opening = (Timestamp, usize, StrategySignal);
type NamedSource = (String, Box<dyn Source>);

/// The place of the recorded events among the sources; the others are prices that no strategy heard of.
const RECORDED: usize = 1;
/// Over history the last price is what there is, however old.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 200);

impl SessionReplay<'_> {
    /// Runs it.
    pub(super) fn run(self, go_on: &mut dyn FnMut(Progress) -> bool) -> Result<Record, ParityError> {
        let setup = self.setup()?;
        Ok(run(setup, go_on)?)
    }

    fn setup(self) -> Result<Setup, ParityError> {
        let session = self.session;
        let limits = &session.rules.limits;
        let (strategies, openings) = self.strategies()?;
        let place = |name: &str| self.manifest.strategies.iter().position(|section| section.name == name);
        let switches = self
            .switches
            .iter()
            .filter_map(|switch| Some((switch.at, place(&switch.strategy)?, switch.active)));
        let switches = switches.collect();
        let signals = self.elsewhere.iter().filter(|live| live.signal.step.is_none());
        let signals =
            signals.map(|live| Signal { sent_at: live.order.at, redelivered: false, ..live.signal.clone() });
        let signals = signals.collect();
        let limits = Limits { quote_age_max: FOR_EVER, ..limits.clone() };
        Ok(Setup {
            name: "parity".to_owned(),
            cash: session.cash,
            holdings: session.holdings.clone(),
            model: ExecutionModel {
                fill: FillModel::Quote,
                latency: self.latency,
                margin: session.rules.margin,
                on_short_cash: OnShortCash::Reject,
                ..ExecutionModel::default()
            },
            rules: Rules { limits, ..session.rules.clone() },
            weights: session.weights.clone(),
            combine: self.manifest.portfolio.combine(),
            strategies,
            signals,
            openings,
            switches,
            sources: self.sources()?,
            benchmark: None,
            period: Period::Day,
            plot_points_max: 0,
        })
    }

    /// The strategies with the books that they had, warmed as they were; and what they came to want by that, which was
    /// sent when the session began.
    fn strategies(&self) -> Result<(Vec<StrategySetup>, Vec<Opening>), ParityError> {
        let (manifest, session) = (self.manifest, self.session);
        let specs = StrategySpec::all(manifest, &session.symbols);
        let capitals = spec::capitals(&specs, session.cash);
        let (mut strategies, mut openings) = (Vec::with_capacity(specs.len()), Vec::new());
        for (place, (spec, capital)) in specs.iter().zip(capitals).enumerate() {
            let mut member = spec.member(capital, &WeightRule::Equal, &[])?;
            let mut listener = Listener::new(spec.make()?, spec.feed(&manifest.data));
            if let Some(known) = session.books.iter().find(|known| known.book.name() == spec.name()) {
                member.book = known.book.clone();
                member.sizing.weights.clone_from(&known.weights);
            }
            member.book.restore(listener.run_mut());
            let warm_up = warm_up_folder(self.folder, spec.name());
            if warm_up.is_dir() {
                let events: Vec<MarketEvent> =
                    history::read(&warm_up, OnFault::Skip)?.collect::<Result<_, _>>()?;
                let _ = listener.warm(events); // It fails again as it did then.
            }
            let mut strategy_signals = Vec::new();
            listener.run_mut().end_quiet(&mut strategy_signals);
            openings.extend(
                strategy_signals
                    .into_iter()
                    .map(|strategy_signal| (session.started_at, place, strategy_signal)),
            );
            let (run, feed) = listener.into_parts();
            strategies.push(StrategySetup { run, member, hears: Hears::Feed { source: RECORDED, feed } });
        }
        Ok((strategies, openings))
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
        let end = end.max(self.last_signal_at + self.latency);
        let mut last: Vec<(Symbol, Quote)> =
            self.last_quotes.iter().map(|(symbol, quote)| (*symbol, *quote)).collect();
        last.sort_by_key(|(symbol, _)| *symbol);
        let last = quotes(&mut last.into_iter(), end + Duration::from_millis(1));
        let once = |name: &str, events: Vec<MarketEvent>| -> NamedSource {
            (name.to_owned(), Box::new(Once(Some(events).filter(|events| !events.is_empty()))))
        };
        let recorded = (
            "recorded".to_owned(),
            Box::new(InArrival::new(bot_data::open(&self.events)?, self.order.clone())) as Box<dyn Source>,
        );
        Ok(vec![once("start", known), recorded, once("end", last)])
    }
}

/// Some events, all at once.
struct Once(Option<Vec<MarketEvent>>);

impl Source for Once {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        Ok(self.0.take().map(|events| Arc::new(Chunk::Mixed(events))))
    }

    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}
