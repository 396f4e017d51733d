//! A recorded session replayed through the backtest and compared order by order, with a reason for each difference.

mod arrival;
mod balance;
mod explain;
mod flights;
mod order;
mod pair;
mod reason;
mod replay;
mod report;
mod shown;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::Progress;
use bot_core::clock::Timestamp;
use bot_core::strategy::Every;
use bot_core::units::Money;
use bot_data::history::session::{self, MANIFEST, Recorded};
use bot_data::history::{self, HistoryError, OnFault};
use bot_data::spec::{OnBadRow, OnGap, Origin, Spec};
use bot_data::{DataError, RowKind};
use bot_manifest::spec::SpecError;
use bot_manifest::{Document, Manifest, ManifestError, Purpose};
use bot_script::FILE_SUFFIX;

use balance::balances;
use explain::{Sides, explain};
use order::LiveSide;
use shown::Watcher;

pub use balance::FinalBalance;
pub use order::ComparedOrder;
pub use pair::ComparedField;
pub use reason::Reason;

/// Which session, and how it is replayed.
#[derive(Debug, Clone, Default)]
pub struct ParityOptions {
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
    pub end: Option<Vec<FinalBalance>>,
}

/// One signal that came out otherwise.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The session's side, where it has one.
    pub live: Option<ComparedOrder>,
    /// The replay's side, where it has one.
    pub replay: Option<ComparedOrder>,
    /// In what they differ.
    pub fields: Vec<ComparedField>,
    /// Why.
    pub reason: Reason,
    /// The live price over the replay's, in basis points; above 0 is dearer.
    pub price_bps: Option<f64>,
    /// By how much the session is better off for this signal, at the last recorded price.
    pub money: Money,
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
    #[error(transparent)]
    Strategy(#[from] SpecError),
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
    options: &ParityOptions,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Parity, ParityError> {
    let (recorded, from, to) = choose(directory, options.session)?;
    let manifest = manifest_of(&recorded.folder)?;
    let names: Vec<&str> = manifest.strategies.iter().map(|section| section.name.as_str()).collect();
    let ReadSession { live, repeats, lost } = read(&recorded, &names);
    if live.is_empty() {
        return Err(ParityError::NoOutcome(recorded.folder));
    }
    let events = Spec {
        name: "recorded".to_owned(),
        origin: Origin::Recorded { path: directory.to_owned(), only: Vec::new() },
        symbol: *recorded.session.symbols.first().ok_or(ParityError::NoSymbols)?,
        row_kind: RowKind::Quote,
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
    let elsewhere: Vec<&LiveSide> = live.iter().filter(|live| live.order.strategy.is_empty()).collect();
    let ids: Vec<String> = elsewhere.iter().map(|live| live.order.id.clone()).collect();
    let replay = replay::SessionReplay {
        session: &recorded.session,
        folder: &recorded.folder,
        switches: &recorded.switches,
        manifest: &manifest,
        events,
        order: recorded.order.clone(),
        first,
        last,
        last_quotes: watcher.last(),
        elsewhere,
        last_signal_at: live.last().map_or(last, |live| live.order.at),
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

/// The session, and the window of the recording that is its own.
type Chosen = (Recorded, Option<Timestamp>, Option<Timestamp>);

fn choose(directory: &Path, number: Option<usize>) -> Result<Chosen, ParityError> {
    if !directory.is_dir() {
        return Err(ParityError::NotFound(directory.to_owned()));
    }
    let folders = session::folders(directory)?;
    if folders.is_empty() {
        return Err(ParityError::NoSession(directory.to_owned()));
    }
    // A last session in which nothing was settled does not hide the one before it.
    let with_outcomes = || {
        let has =
            |folder: &PathBuf| session::read(folder).is_ok_and(|recorded| !recorded.outcomes.is_empty());
        folders.iter().rposition(has).map_or(folders.len(), |place| place + 1)
    };
    let was = number.unwrap_or_else(with_outcomes);
    let no_such = || ParityError::NoSuchSession { of: folders.len(), was };
    let place = was.checked_sub(1).filter(|place| *place < folders.len()).ok_or_else(no_such)?;
    let recorded = session::read(&folders[place])?;
    let started_at = recorded.session.started_at;
    let before = place.checked_sub(1).map(|before| session::read(&folders[before])).transpose()?;
    let from = before.map(|before| begins(started_at, before.end.map(|end| end.ended_at)));
    let to = folders.get(place + 1).map(|next| session::read(next)).transpose()?;
    Ok((recorded, from, to.map(|next| next.session.started_at)))
}

/// From when on events are a session's: polled prices may be older than it, but not older than the end of the one before,
/// which lies after its start where the clock was set back between them.
fn begins(started_at: Timestamp, before_ended_at: Option<Timestamp>) -> Timestamp {
    before_ended_at.map_or(started_at, |ended_at| ended_at.min(started_at))
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

struct ReadSession {
    live: Vec<LiveSide>,
    repeats: usize,
    lost: usize,
}

/// The session's signals in order of time, each once.
fn read(recorded: &Recorded, strategies: &[&str]) -> ReadSession {
    let mut seen = HashSet::new();
    let (mut live, mut repeats, mut lost) = (Vec::with_capacity(recorded.outcomes.len()), 0, 0);
    for outcome in &recorded.outcomes {
        let Some(order) = LiveSide::of(outcome, strategies, recorded.session.started_at) else {
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
    ReadSession { live, repeats, lost }
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
        watcher.observe(&event);
    }
    span.ok_or_else(|| HistoryError::Empty(directory.to_owned()).into())
}

fn median(live: &[LiveSide]) -> Duration {
    let mut spans: Vec<Duration> =
        live.iter().filter(|live| !live.redelivered).filter_map(LiveSide::latency).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_all_of_its_events_where_the_clock_was_set_back_before_it() {
        let at = Timestamp::from_secs;
        assert_eq!(begins(at(100), Some(at(140))), at(100));
        assert_eq!(begins(at(100), Some(at(60))), at(60), "a price may be older than the session");
        assert_eq!(begins(at(100), None), at(100), "the session before crashed");
    }
}
