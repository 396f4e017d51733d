//! The strategies of a live run: whose they are, their books as they were left, what they are warmed with.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::books::{BookKeeper, Restored};
use super::start_up::{StartError, StartWait};
use crate::broker::{Broker, BrokerError, BrokerSnapshot};
use crate::clock::{Clock, Timestamp};
use crate::data::queue::Queue;
use crate::data::spec::Origin;
use crate::data::{self, Chunk, DataError, RowKind, Source, Spec};
use crate::desk::Desk;
use crate::history::session::{SessionBook, warm_up_folder};
use crate::history::{self, OnFault, RecordFormat, Recorder};
use crate::inbox::redis_stream::RedisUrl;
use crate::inbox::tail::Tail;
use crate::inbox::{Keeper, KeptBooks, Settler};
use crate::manifest::DataSection;
use crate::market::MarketEvent;
use crate::portfolio::{Combine, Portfolio};
use crate::series::MINUTE;
use crate::signal::{CLIENT_ORDER_ID_PREFIX, tag};
use crate::sizing::WeightRule;
use crate::spec::{self, SpecError, StrategySpec};
use crate::strategy::Listener;
use crate::strategy_threads::SignalSender;
use crate::symbol::Symbol;

/// The strategies that a run is to have, all decided.
#[derive(Clone)]
pub struct StrategyPlan {
    /// As the manifest means them.
    pub specs: Vec<StrategySpec>,
    /// The manifest's data sections, which the specs name by place.
    pub data: Vec<DataSection>,
    /// How their intents come together.
    pub combine: Combine,
    /// How the equity of each is spread over its symbols.
    pub weights: WeightRule,
    /// Gives each its way onto the signal stream.
    pub sender: Arc<dyn Fn() -> SignalSender + Send + Sync>,
    /// Where streams of numbers are.
    pub numbers: Option<RedisUrl>,
    /// The state directory: a second copy of their books, and the socket that starts and stops them by name.
    pub state: Option<PathBuf>,
    /// What time it is for them.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for StrategyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyPlan").field("specs", &self.specs.len()).finish_non_exhaustive()
    }
}

/// Strategies that are ready to be started.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) listeners: Vec<Listener>,
    pub(super) keeper: BookKeeper,
    /// By name: whether their strengths are positions.
    pub(super) targets: HashMap<Arc<str>, bool>,
}

/// Where a run records: its own directory, with what earlier sessions recorded, and this session's folder.
pub(super) struct Recordings<'a> {
    pub(super) own: &'a Path,
    pub(super) session: PathBuf,
}

/// So much of the past is read from the broker for bars of a minute; longer bars need more of it.
const PAST_MIN: Duration = Duration::from_hours(5 * 24);
/// And for long bars at the most so much: what the broker gives in some requests.
const PAST_MAX: Duration = Duration::from_hours(90 * 24);
/// Bars of a series that are worth having before it starts.
const PAST_BARS: u32 = 1_000;
/// Orders that were sent so long before the last change that is known are in the books.
const LOOK_BACK: Duration = Duration::from_mins(1);

/// Takes the strategies for this process and reads what is known of their books; none when another process has them.
pub(super) fn take(
    plan: &StrategyPlan,
    settler: &mut impl Settler,
    waiting: &StartWait<'_>,
) -> Result<Option<Restored>, StartError> {
    let names: Vec<String> = plan.specs.iter().map(|spec| spec.name().to_owned()).collect();
    if names.is_empty() {
        return Ok(Some(Restored::default()));
    }
    match waiting.until_ready("the signal stream", || Ok(settler.take_books(&names)?))? {
        Keeper::Us(kept) => Ok(Some(Restored::read(&kept, plan.state.as_deref(), waiting.clock.now())?)),
        Keeper::Other(instance) => {
            tracing::warn!(
                instance,
                strategies = names.join(", "),
                "another process runs the strategies; this one trades plain signals only"
            );
            Ok(None)
        }
    }
}

/// The portfolio with the books as they were left; books that begin get their capital of the account's equity.
pub(super) fn portfolio(
    plan: &StrategyPlan,
    restored: &Restored,
    broker_snapshot: &BrokerSnapshot,
) -> Result<Portfolio, StartError> {
    let capitals = spec::capitals(&plan.specs, broker_snapshot.account.equity);
    let mut members = Vec::with_capacity(plan.specs.len());
    for (spec, capital) in plan.specs.iter().zip(capitals) {
        let mut member = spec.member(capital, &plan.weights, &broker_snapshot.daily_bars)?;
        if let Some(book) = restored.book(spec.name()) {
            member.book = book.clone();
            if let Some(capital) = spec.written_capital().filter(|capital| *capital != book.capital()) {
                tracing::info!(strategy = spec.name(), %capital, was = %book.capital(), "a strategy's capital is another one");
                member.book.set_capital(capital);
            }
        }
        members.push(member);
    }
    for name in restored.names().filter(|name| plan.specs.iter().all(|spec| spec.name() != *name)) {
        tracing::warn!(strategy = name, "a book is kept of a strategy that this run does not have");
    }
    Ok(Portfolio::new(plan.combine, members))
}

/// Books orders of the strategies that the broker knows and the books do not, where their signals were lost with Redis'
/// data; where they were not, they come again and say what their orders were part of.
pub(super) fn find_lost_orders(
    plan: &StrategyPlan,
    restored: &Restored,
    desk: &mut Desk,
    broker: &mut impl Broker,
    waiting: &StartWait<'_>,
) -> Result<(), StartError> {
    let Some(last_at) = restored.last_at.filter(|_| restored.has_lost_signals) else { return Ok(()) };
    let since = last_at - LOOK_BACK;
    let orders = waiting.until_ready("the broker", || Ok(broker.orders_since(since)?))?;
    for order in orders.iter().filter(|order| order.filled.is_positive()) {
        let id = order.client_order_id.as_str();
        let own = id.strip_prefix(CLIENT_ORDER_ID_PREFIX).and_then(|rest| rest.split_once('-'));
        let Some((own, _)) = own else { continue };
        let Some(place) = plan.specs.iter().position(|spec| tag(spec.name()) == own) else { continue };
        if let Some(change) = desk.book_found(place, order, waiting.clock.now()) {
            let strategy = plan.specs[place].name();
            tracing::warn!(strategy, client_order_id = id, shares = %change.shares, "an order whose end was lost is booked");
        }
    }
    Ok(())
}

/// The strategies, with what their books hold, warmed up to `now`; and who keeps the books from then on.
pub(super) fn ready<S: Settler>(
    plan: &StrategyPlan,
    restored: &Restored,
    desk: &Desk,
    (broker, settler): (&mut impl Broker, &mut S),
    record: Option<&Recordings<'_>>,
    (waiting, now): (&StartWait<'_>, Timestamp),
) -> Result<Ready, StartError> {
    let books: Vec<_> = desk.portfolio().members().iter().map(|member| member.book.clone()).collect();
    let mut listeners = Vec::with_capacity(plan.specs.len());
    for (spec, book) in plan.specs.iter().zip(&books) {
        let mut listener = Listener::new(spec.make()?, spec.feed(&plan.data));
        book.restore(listener.run_mut());
        warm(plan, spec, &mut listener, broker, record, (waiting, now))?;
        listeners.push(listener);
    }
    let keeper = BookKeeper::open(books, restored, plan.state.as_deref(), now)?;
    if !plan.specs.is_empty() {
        let booked = desk.booked().map(|(id, booked)| (id.to_string(), booked.filled, booked.at)).collect();
        let kept = KeptBooks { books: keeper.all(), booked };
        waiting.until_ready("the signal stream", || Ok(settler.write_books(&kept)?))?;
    }
    let targets = plan.specs.iter().map(|spec| (spec.name().into(), spec.is_target())).collect();
    Ok(Ready { listeners, keeper, targets })
}

/// How a session's strategies begin, for who replays it.
pub(super) fn session_books(portfolio: &Portfolio) -> Vec<SessionBook> {
    let book = |member: &crate::portfolio::Member| SessionBook {
        book: member.book.clone(),
        weights: member.sizing.weights.clone(),
    };
    portfolio.members().iter().map(book).collect()
}

/// Shows a strategy what was known before `now`: the files and recordings of its sections, then the broker's minute bars.
fn warm(
    plan: &StrategyPlan,
    spec: &StrategySpec,
    listener: &mut Listener,
    broker: &mut impl Broker,
    record_in: Option<&Recordings<'_>>,
    (waiting, now): (&StartWait<'_>, Timestamp),
) -> Result<(), StartError> {
    let mut events = past_of_files(plan, spec, record_in.map(|record| record.own), now)?;
    let known: Vec<(Symbol, Timestamp)> = listener.feed().bars_known_until().collect();
    for (symbol, _) in known {
        let of_symbol =
            |event: &&MarketEvent| event.symbol() == symbol && matches!(event, MarketEvent::Bar { .. });
        let from = events.iter().filter(of_symbol).map(MarketEvent::known_at).max();
        let from = from.map_or_else(|| now - past_for(spec), |last| last + Duration::from_nanos(1));
        let bars = waiting.until_ready("the broker's past", || match broker.minute_bars(symbol, from, now) {
            // A broker that has no past, or gives none, is no reason not to trade.
            Err(BrokerError::Refused(rejection)) => {
                tracing::warn!(strategy = spec.name(), %symbol, %rejection, "the broker gives no past bars to warm up with");
                Ok(Vec::new())
            }
            answered => Ok(answered?),
        })?;
        events.extend(bars.into_iter().map(|bar| MarketEvent::Bar { symbol, bar, span: MINUTE }));
    }
    events.sort_by_key(MarketEvent::known_at); // Stable: what came first stays first.
    if let Some(recordings) = record_in.filter(|_| !events.is_empty()) {
        record(&warm_up_folder(&recordings.session, spec.name()), &events);
    }
    let count = events.len();
    match listener.warm(events) {
        Ok(asked) => tracing::info!(strategy = spec.name(), events = count, asked, "a strategy is warmed up"),
        Err(failure) => tracing::error!(%failure, "a strategy failed while it was warmed up"),
    }
    Ok(())
}

/// Without its warm-up a session cannot be replayed; it is traded all the same.
fn record(folder: &Path, events: &[MarketEvent]) {
    let written = Recorder::open(folder, RecordFormat::Csv).and_then(|mut recorder| {
        events.iter().try_for_each(|event| recorder.record(event))?;
        recorder.end()
    });
    if let Err(error) = written {
        tracing::error!(%error, folder = %folder.display(), "what a strategy was warmed with is not recorded");
    }
}

/// How far back the broker is asked where there is no file.
fn past_for(spec: &StrategySpec) -> Duration {
    (spec.timeframe().unwrap_or(MINUTE) * PAST_BARS * 5).clamp(PAST_MIN, PAST_MAX)
}

/// What the files of a strategy's sections, or the run's own recording, tell of until now, in order of time.
fn past_of_files(
    plan: &StrategyPlan,
    spec: &StrategySpec,
    own: Option<&Path>,
    now: Timestamp,
) -> Result<Vec<MarketEvent>, StartError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for section in spec.sources().iter().map(|place| &plan.data[*place]) {
        let Some(spec) = section.spec.as_ref().filter(|spec| has_file(spec)) else { continue };
        // Of a bar that runs now the rest is still to come.
        let until = Spec { to: Some(spec.to.map_or(now, |to| to.min(now))), save: None, ..spec.clone() };
        sources.push(data::open(&until)?);
    }
    let mut events = Vec::new();
    if let Some(own) = own.filter(|own| sources.is_empty() && own.is_dir()) {
        // What earlier sessions recorded; a recording that cannot be read is no past.
        let past = history::read(own, OnFault::Skip).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        events.extend(past.unwrap_or_default().into_iter().filter(|event| event.known_at() <= now));
    }
    let mut queue = Queue::new(sources)?;
    while let Some(batch) = queue.pop()? {
        match &*batch.chunk {
            Chunk::Rows { symbol, row_kind, rows } => {
                events.extend(rows[batch.range].iter().map(|row| row.event(*symbol, *row_kind)));
            }
            Chunk::Mixed(mixed) => events.extend_from_slice(&mixed[batch.range]),
        }
    }
    Ok(events)
}

/// Whether a section's past is in a file; of the others the broker knows.
fn has_file(spec: &Spec) -> bool {
    match spec.origin {
        Origin::Csv { .. } | Origin::Parquet { .. } | Origin::Recorded { .. } | Origin::Generator(_) => true,
        Origin::Alpaca { .. } => false,
    }
}

/// The streams of numbers that the strategies look at, each with its series.
pub(super) fn number_tails(plan: &StrategyPlan) -> Vec<(Symbol, Tail)> {
    let Some(url) = &plan.numbers else { return Vec::new() };
    let mut streams: Vec<(Symbol, &str)> = Vec::new();
    for section in plan.specs.iter().flat_map(StrategySpec::sources).map(|place| &plan.data[*place]) {
        let Some(stream) = section.stream.as_deref().filter(|_| section.row_kind == RowKind::Number) else {
            continue;
        };
        let own = section.symbols.iter().map(|symbol| (*symbol, stream));
        let new: Vec<_> = own.filter(|own| !streams.contains(own)).collect();
        streams.extend(new);
    }
    streams.into_iter().map(|(symbol, stream)| (symbol, Tail::new(url.clone(), stream))).collect()
}

/// What is traded, and what the strategies look at beside it; each once.
pub(super) fn watched(traded: &[Symbol], listeners: &[Listener]) -> Vec<Symbol> {
    let mut watched = traded.to_vec();
    for symbol in listeners.iter().flat_map(|listener| listener.feed().symbols()) {
        if !watched.contains(&symbol) {
            watched.push(symbol);
        }
    }
    watched
}

/// The symbols whose minute bars the strategies live on.
pub(super) fn bar_symbols(listeners: &[Listener]) -> Vec<Symbol> {
    listeners
        .iter()
        .flat_map(|listener| listener.feed().bars_known_until())
        .map(|(symbol, _)| symbol)
        .collect()
}

impl From<SpecError> for StartError {
    fn from(error: SpecError) -> Self {
        Self::Strategy(error)
    }
}

impl From<DataError> for StartError {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::State(error)
    }
}
