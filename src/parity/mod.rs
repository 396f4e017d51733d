//! A recorded session replayed through the backtest and compared order by order, with a reason for each difference.

mod order;
mod pair;
mod reason;
mod replay;
mod report;
mod shown;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rust_decimal::Decimal;
use thiserror::Error;

use crate::backtest::Progress;
use crate::backtest::record::End;
use crate::clock::Timestamp;
use crate::data::spec::{OnBadRow, OnGap, Origin, Spec};
use crate::data::{DataError, Shape};
use crate::history::session::{self, MANIFEST, Recorded};
use crate::history::{self, HistoryError, OnFault};
use crate::manifest::{Document, Manifest, ManifestError, Purpose};
use crate::strategy::script::FILE_SUFFIX;
use crate::strategy::{Every, MakeError};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

use order::Live;
use pair::Pair;
use shown::{Evidence, Watcher};

pub use order::Order;
pub use pair::Field;
pub use reason::Reason;

/// Which session, and how it is replayed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// By number from 1, the oldest first; none for the last one.
    pub session: Option<usize>,
    /// How long an order is on its way.
    pub latency: Latency,
}

/// How long an order of the replay is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// So long; at 0 it meets the quote that it was decided on.
    Span(Duration),
    /// As long as the session's own median, from a strategy's event, or a signal's arrival, to the sending.
    Median,
}

impl Default for Latency {
    fn default() -> Self {
        Self::Span(Duration::ZERO)
    }
}

/// What the comparison found.
#[derive(Debug, Clone)]
pub struct Parity {
    /// The session's folder.
    pub folder: PathBuf,
    /// Signals that were compared.
    pub signals: usize,
    /// Those that came out otherwise, in order of time.
    pub differences: Vec<Difference>,
    /// Entries of a signal that was sent twice: they had no order of their own.
    pub repeats: usize,
    /// Signals that were lost before they could be read.
    pub lost: usize,
    /// How long an order was on its way in the replay.
    pub latency: Duration,
    /// Market events replayed.
    pub events: u64,
    /// Cash and positions at the end; `None` where the session did not say.
    pub end: Option<Vec<Balance>>,
}

/// One signal that came out otherwise.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The session's side, where it has one.
    pub live: Option<Order>,
    /// The replay's side, where it has one.
    pub replay: Option<Order>,
    /// In what they differ.
    pub fields: Vec<Field>,
    /// Why.
    pub reason: Reason,
    /// The live price over the replay's, in basis points; above 0 is dearer.
    pub price_bps: Option<f64>,
    /// By how much the session is better off for this signal, at the last recorded price.
    pub money: Money,
}

/// Cash, or the shares of one symbol, at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// `cash`, or the symbol.
    pub what: String,
    /// By the session.
    pub live: Decimal,
    /// By the replay.
    pub replay: Decimal,
    /// What the compared orders account for.
    pub by_orders: Decimal,
    /// Why it is more than that, or the orders' part.
    pub reason: Option<Reason>,
}

/// Why nothing can be compared.
#[derive(Debug, Error)]
pub enum ParityError {
    /// There is no such directory.
    #[error("a recording must be a directory that exists, was \"{}\"", .0.display())]
    NotFound(PathBuf),
    /// The recording holds market events alone.
    #[error(
        "{} holds no session: it was recorded before sessions were, or by hand; record one with bot run --record",
        .0.display()
    )]
    NoSession(PathBuf),
    /// There are not so many sessions.
    #[error("session must be 1 to {of}, was {was}")]
    NoSuchSession {
        /// How many there are.
        of: usize,
        /// Which was asked for.
        was: usize,
    },
    /// The session holds no signal.
    #[error("{} holds no outcome: no signal was settled in that session", .0.display())]
    NoOutcome(PathBuf),
    /// The session traded nothing.
    #[error("a session must have a symbol, has none")]
    NoSymbols,
    /// The manifest as it was run is not one.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A strategy is not made.
    #[error("strategy \"{name}\": {source}")]
    Strategy {
        /// Which.
        name: String,
        /// Why.
        source: MakeError,
    },
    /// The session cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The recorded events cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl Parity {
    /// How many differences have this reason, those of the balances included.
    pub fn count(&self, reason: Reason) -> usize {
        let balances = self.end.iter().flatten().filter(|balance| balance.reason == Some(reason)).count();
        balances + self.differences.iter().filter(|difference| difference.reason == reason).count()
    }

    /// By how much the session is better off than the replay, for all signals.
    pub fn money(&self) -> Money {
        self.differences.iter().map(|difference| difference.money).sum()
    }
}

/// Replays a session of the recording in `directory` and compares.
///
/// # Errors
/// A recording without a session, or one that cannot be read or replayed.
pub fn compare(
    directory: &Path,
    options: &Options,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Parity, ParityError> {
    let (recorded, from, to) = choose(directory, options.session)?;
    let manifest = manifest_of(&recorded.folder)?;
    let names: Vec<&str> = manifest.strategies.iter().map(|section| section.name.as_str()).collect();
    let Read { live, repeats, lost } = read(&recorded, &names);
    if live.is_empty() {
        return Err(ParityError::NoOutcome(recorded.folder));
    }
    let events = Spec {
        name: "recorded".to_owned(),
        origin: Origin::Recorded { path: directory.to_owned(), only: Vec::new() },
        symbol: *recorded.session.symbols.first().ok_or(ParityError::NoSymbols)?,
        shape: Shape::Quote,
        from,
        to,
        on_bad_row: OnBadRow::Skip,
        on_gap: OnGap::Keep,
        save: None,
    };
    let mut watcher = Watcher::new(&live);
    let (first, last) = watch(directory, &events, &mut watcher)?;
    let latency = match options.latency {
        Latency::Span(span) => span,
        Latency::Median => median(&live),
    };
    let elsewhere: Vec<&Live> = live.iter().filter(|live| live.order.strategy.is_empty()).collect();
    let ids: Vec<String> = elsewhere.iter().map(|live| live.order.id.clone()).collect();
    let replay = replay::Replay {
        session: &recorded.session,
        manifest: &manifest,
        events,
        first,
        last,
        last_quotes: watcher.last(),
        elsewhere,
        latency,
    };
    let record = replay.run(go_on)?;
    let marks = watcher.last().iter().map(|(symbol, quote)| (*symbol, quote.mid())).collect();
    let evidence = watcher.end();
    let spans = spans(&manifest);
    let pairs = pair::pair(&live, order::replayed(&record, &ids), &spans);
    let differences =
        explain(&pairs, &Sides { live: &live, evidence: &evidence, marks }, &recorded, &spans, last);
    let end = recorded.end.as_ref().map(|end| balances(end, &record.end, &pairs, &live));
    Ok(Parity {
        folder: recorded.folder,
        signals: pairs.len(),
        differences,
        repeats,
        lost,
        latency,
        events: record.end.events,
        end,
    })
}

/// The session, and the stretch of the recording that is its own.
type Chosen = (Recorded, Option<Timestamp>, Option<Timestamp>);

fn choose(directory: &Path, number: Option<usize>) -> Result<Chosen, ParityError> {
    if !directory.is_dir() {
        return Err(ParityError::NotFound(directory.to_owned()));
    }
    let folders = session::folders(directory)?;
    if folders.is_empty() {
        return Err(ParityError::NoSession(directory.to_owned()));
    }
    let was = number.unwrap_or(folders.len());
    let no_such = || ParityError::NoSuchSession { of: folders.len(), was };
    let place = was.checked_sub(1).filter(|place| *place < folders.len()).ok_or_else(no_such)?;
    let recorded = session::read(&folders[place])?;
    // Polled prices may be older than the session that they were recorded in, but not older than the one before.
    let from = match place.checked_sub(1) {
        None => None,
        Some(before) => {
            let before = session::read(&folders[before])?;
            Some(before.end.map_or(recorded.session.started_at, |end| end.ended_at))
        }
    };
    let to = folders.get(place + 1).map(|next| session::read(next)).transpose()?;
    Ok((recorded, from, to.map(|next| next.session.started_at)))
}

/// The manifest as it was run, with the scripts as they were run.
fn manifest_of(folder: &Path) -> Result<Manifest, ParityError> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return Ok(Manifest::default());
    }
    let mut scripts = Vec::new();
    for entry in
        fs::read_dir(folder).map_err(|source| ManifestError::Unreadable { path: path.clone(), source })?
    {
        let Ok(entry) = entry else { continue };
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(FILE_SUFFIX) {
            scripts.push((format!("strategy.{name}.script"), file.clone()));
        }
    }
    Ok(Document::open(&path)?.read(&scripts, Purpose::Any).map_err(ManifestError::from)?)
}

struct Read {
    live: Vec<Live>,
    repeats: usize,
    lost: usize,
}

/// The session's signals in order of time, each once.
fn read(recorded: &Recorded, strategies: &[&str]) -> Read {
    let mut seen = HashSet::new();
    let (mut live, mut repeats, mut lost) = (Vec::with_capacity(recorded.outcomes.len()), 0, 0);
    for outcome in &recorded.outcomes {
        let Some(order) = Live::of(outcome, strategies, recorded.session.started_at) else {
            lost += 1;
            continue;
        };
        // Who is not sure that a signal arrived sends it again: the same order.
        if outcome.client_order_id.as_ref().is_some_and(|id| !seen.insert(id.clone())) {
            repeats += 1;
            continue;
        }
        live.push(order);
    }
    live.sort_by_key(|live| live.order.at);
    Read { live, repeats, lost }
}

/// Looks at all recorded events once; says when the first and the last were known.
fn watch(
    directory: &Path,
    spec: &Spec,
    watcher: &mut Watcher,
) -> Result<(Timestamp, Timestamp), ParityError> {
    let mut span = None;
    for event in history::read(directory, OnFault::Skip)? {
        let event = event?;
        let at = event.known_at();
        if spec.from.is_some_and(|from| at < from) || spec.to.is_some_and(|to| at >= to) {
            continue;
        }
        let (first, _) = span.unwrap_or((at, at));
        span = Some((first, at));
        watcher.see(&event);
    }
    span.ok_or_else(|| HistoryError::Empty(directory.to_owned()).into())
}

fn median(live: &[Live]) -> Duration {
    let mut spans: Vec<Duration> =
        live.iter().filter(|live| !live.redelivered).filter_map(Live::latency).collect();
    spans.sort_unstable();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}

/// The intervals of the strategies that have one.
fn spans(manifest: &Manifest) -> HashMap<String, Duration> {
    let with = manifest.strategies.iter().filter_map(|section| match section.every() {
        Every::Span(span) => Some((section.name.clone(), span)),
        Every::Event | Every::Count { .. } => None,
    });
    with.collect()
}

/// What the session had, and what the market showed.
struct Sides<'a> {
    live: &'a [Live],
    /// One for each.
    evidence: &'a [Evidence],
    /// The last price of each symbol.
    marks: HashMap<Symbol, f64>,
}

fn explain(
    pairs: &[Pair],
    sides: &Sides<'_>,
    recorded: &Recorded,
    spans: &HashMap<String, Duration>,
    last: Timestamp,
) -> Vec<Difference> {
    let Sides { live, evidence, .. } = *sides;
    let end = recorded.end.as_ref();
    let over = end.map_or(last - UNFLUSHED, |end| end.intake_ended_at - GRACE);
    let missed = end.map(|end| &end.strategies_missed);
    let mut before = reason::Before {
        events_lost: end.is_some_and(|end| end.events_lost > 0),
        outcomes_lost: end.is_some_and(|end| end.outcomes_lost > 0 || end.left_pending > 0),
        ..reason::Before::default()
    };
    let mut changed: HashSet<&str> = HashSet::new();
    let mut differences = Vec::new();
    let flights = Flights::of(live);
    for pair in pairs {
        let fields = pair.differences(live);
        if fields.is_empty() {
            continue;
        }
        let order = pair.any(live);
        before.strategy = !order.strategy.is_empty() && changed.contains(order.strategy.as_str());
        before.strategy_missed = missed.is_some_and(|missed| missed.contains_key(&order.strategy));
        before.timer = spans.contains_key(&order.strategy);
        before.ended = order.at >= over;
        let reason = match pair {
            Pair::Both(place, replay) => {
                before.in_flight = flights.besides(*place, live);
                reason::of_both(&live[*place], replay, &evidence[*place], before)
            }
            Pair::Live(place) => reason::only_live(&live[*place], before),
            Pair::Replay(_) => reason::only_replay(before),
        };
        let moved = (cash(pair, live), shares(pair, live));
        before.account |= moved != (Money::ZERO, Quantity::ZERO);
        changed.insert(&order.strategy);
        differences.push(difference(pair, sides, fields, reason));
    }
    differences
}

/// How long before its end a session may miss a signal: it is on its way through the stream.
const GRACE: Duration = Duration::from_secs(1);
/// What a session that crashed may have lost.
const UNFLUSHED: Duration = Duration::from_secs(3);

fn difference(pair: &Pair, sides: &Sides<'_>, fields: Vec<Field>, reason: Reason) -> Difference {
    let live = sides.live;
    let (ours, theirs) = (pair.live(live).map(|live| live.order.clone()), pair.replay().cloned());
    let prices = (ours.as_ref().and_then(|order| order.price), theirs.as_ref().and_then(|order| order.price));
    let price_bps = match prices {
        (Some(one), Some(other)) => Some((one.to_seen() / other.to_seen() - 1.0) * 10_000.0),
        (None, _) | (_, None) => None,
    };
    let mark = sides.marks.get(&pair.any(live).symbol).and_then(|mark| Price::from_seen(*mark).ok());
    let worth = mark.map_or(Money::ZERO, |mark| mark * shares(pair, live));
    Difference { live: ours, replay: theirs, fields, reason, price_bps, money: cash(pair, live) + worth }
}

/// Cash that the session has more than the replay, for this signal.
fn cash(pair: &Pair, live: &[Live]) -> Money {
    let ours = pair.live(live).map_or(Money::ZERO, |live| live.order.cash());
    ours - pair.replay().map_or(Money::ZERO, Order::cash)
}

/// Shares that the session has more than the replay, for this signal.
fn shares(pair: &Pair, live: &[Live]) -> Quantity {
    let ours = pair.live(live).map_or(Quantity::ZERO, |live| live.order.shares());
    ours - pair.replay().map_or(Quantity::ZERO, Order::shares)
}

/// When live orders were in flight, in order of their beginning.
struct Flights(Vec<(Timestamp, Timestamp, usize)>);

impl Flights {
    fn of(live: &[Live]) -> Self {
        let mut flights: Vec<_> = live
            .iter()
            .enumerate()
            .filter(|(_, live)| live.order.is_order)
            .map(|(place, live)| (live.decided_at, live.final_at, place))
            .collect();
        flights.sort_unstable();
        Self(flights)
    }

    /// Whether another order was in flight between the order's signal and its decision.
    fn besides(&self, place: usize, live: &[Live]) -> bool {
        let (from, to) = (live[place].order.at, live[place].decided_at);
        let begun = self.0.partition_point(|(decided_at, ..)| *decided_at <= to);
        self.0[..begun].iter().rev().any(|(_, final_at, other)| *other != place && *final_at >= from)
    }
}

/// What is left over when the orders' part is taken away is not explained by them.
fn balances(end: &session::SessionEnd, replay: &End, pairs: &[Pair], live: &[Live]) -> Vec<Balance> {
    let adopted = pairs.iter().filter_map(|pair| pair.live(live)).any(|live| live.redelivered);
    let judge = |what: String, ours: Decimal, theirs: Decimal, by_orders: Decimal, tolerance: Decimal| {
        let left = (ours - theirs - by_orders).abs();
        let reason = match (left <= tolerance, ours == theirs) {
            (true, true) => None,
            (true, false) => Some(Reason::Account),
            (false, _) if adopted || end.left_pending > 0 => Some(Reason::StartedLate),
            (false, _) => Some(Reason::Unexplained),
        };
        Balance { what, live: ours, replay: theirs, by_orders, reason }
    };
    let paid: Money = pairs.iter().map(|pair| cash(pair, live)).sum();
    let mut moved: BTreeMap<Symbol, Quantity> = BTreeMap::new();
    for pair in pairs {
        *moved.entry(pair.any(live).symbol).or_default() += shares(pair, live);
    }
    // Brokers round the mean price of an order.
    let cents = Decimal::new(i64::try_from(pairs.len()).unwrap_or(i64::MAX), 2);
    let mut found = vec![judge("cash".to_owned(), end.cash.get(), replay.cash.get(), paid.get(), cents)];
    let symbols: std::collections::BTreeSet<Symbol> =
        end.positions.keys().chain(replay.positions.keys()).chain(moved.keys()).copied().collect();
    for symbol in symbols {
        let held =
            |positions: &BTreeMap<Symbol, Quantity>| positions.get(&symbol).copied().unwrap_or_default();
        let (ours, theirs) = (held(&end.positions), held(&replay.positions));
        let by_orders = held(&moved);
        found.push(judge(symbol.to_string(), ours.get(), theirs.get(), by_orders.get(), Decimal::ZERO));
    }
    found
}
