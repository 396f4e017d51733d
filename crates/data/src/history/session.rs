//! What a recorded session was made of: its rules and account at the start, what became of its signals, how it ended.
//!
//! Each session has a folder beside the recorded events, `session-20261120T143000.000000Z`, with the manifest and the
//! scripts as they were run, `session.json`, `outcomes-YYYY-MM-DD.csv` and, unless it crashed, `end.json`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::lines::WholeLines;
use super::{HistoryError, outcomes, rules};
use crate::tabular::cells::LineCells;
use bot_core::account::Account;
use bot_core::account::Holding;
use bot_core::calendar::date_of;
use bot_core::clock::Timestamp;
use bot_core::desk::Rules;
use bot_core::market::{MarketEvent, Quote};
use bot_core::outcome::Outcome;
use bot_core::portfolio::StrategyBook;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity, Weight};

/// The manifest's name in a session's folder.
pub const MANIFEST: &str = "manifest.toml";

/// What a session began with: flags, environment and manifest folded into what was true. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionStart {
    /// Of the program.
    pub version: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Of the account, such as `alpaca-paper`.
    pub environment: String,
    /// What was traded.
    pub symbols: Vec<Symbol>,
    /// Sizing, pricing, limits.
    #[serde(with = "rules")]
    pub rules: Rules,
    /// Target weights.
    pub weights: Vec<(Symbol, Weight)>,
    /// At the start.
    pub cash: Money,
    /// At the start.
    pub holdings: Vec<Holding>,
    /// The prices that were read at the start.
    pub quotes: Vec<(Symbol, Quote)>,
    /// The strategies' books at the start, in the order of the manifest.
    #[serde(default)]
    pub books: Vec<SessionBook>,
}

/// A strategy at the start of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionBook {
    /// Its money and positions.
    pub book: StrategyBook,
    /// The share of its equity that each symbol has.
    pub weights: Vec<(Symbol, Weight)>,
}

/// A strategy was started or stopped by name during a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub strategy: String,
    /// Started, not stopped.
    pub active: bool,
}

/// What a session ended with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// When no more signals were taken.
    pub intake_ended_at: Timestamp,
    /// When all was settled.
    pub ended_at: Timestamp,
    /// Market events that were not recorded.
    pub events_lost: u64,
    /// When the market data stream came up and was lost; in between it was recorded whole, else polled prices were.
    pub streamed: Vec<(Timestamp, Option<Timestamp>)>,
    /// Settled signals that were not recorded.
    pub outcomes_lost: u64,
    /// Market events that a strategy, by name, was not shown because its queue was full.
    pub strategies_missed: BTreeMap<String, u64>,
    /// Signals that stayed pending.
    pub left_pending: u64,
    /// By our books.
    pub cash: Money,
    /// By our books; those that are not flat.
    pub positions: BTreeMap<Symbol, Quantity>,
}

/// A session as it is found in a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its folder.
    pub folder: PathBuf,
    /// What it began with.
    pub session: SessionStart,
    /// What it ended with; `None` when it crashed or still runs.
    pub end: Option<SessionEnd>,
    /// What became of its signals, in the order in which they were settled.
    pub outcomes: Vec<Outcome>,
    /// Strategies that were started and stopped, in order.
    pub switches: Vec<Switch>,
    /// Of what kinds the events of an instant were, in the order in which they came, where it is not the files' order.
    pub order: HashMap<Timestamp, String>,
}

impl SessionStart {
    /// The account that it began with.
    pub fn account(&self) -> Account {
        Account { cash: self.cash, holdings: self.holdings.clone(), ..Account::default() }
    }
}

/// The folders of all sessions of a recording, the oldest first.
///
/// # Errors
/// A directory that cannot be listed.
pub fn folders(directory: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(HistoryError::io(directory))? {
        let path = entry.map_err(HistoryError::io(directory))?.path();
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if is_ours && path.join(START).is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a session's folder; a last line that a crash tore is left out.
///
/// # Errors
/// A file that cannot be read or is not what it should be.
pub fn read(folder: &Path) -> Result<Recorded, HistoryError> {
    let session = read_json(&folder.join(START))?
        .ok_or_else(|| HistoryError::file(folder)(format!("a session must have {START}, has none")))?;
    let mut days = Vec::new();
    for entry in fs::read_dir(folder).map_err(HistoryError::io(folder))? {
        let path = entry.map_err(HistoryError::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(OUTCOMES) && path.extension().is_some_and(|end| end == "csv") {
            days.push(path);
        }
    }
    days.sort_unstable();
    let mut settled = Vec::new();
    for path in days {
        outcomes::read(&path, &mut settled)?;
    }
    let (end, order) = (read_json(&folder.join(END))?, read_order(&folder.join(ORDER))?);
    let switches = read_switches(&folder.join(SWITCHES))?;
    Ok(Recorded { folder: folder.to_owned(), session, end, outcomes: settled, switches, order })
}

/// What stands for an event's kind where the order of one instant is written down.
pub fn kind_letter(event: &MarketEvent) -> char {
    match event {
        MarketEvent::Quote { .. } => 'q',
        MarketEvent::Trade { .. } => 't',
        MarketEvent::Bar { .. } => 'b',
        MarketEvent::Number { .. } => 'n',
    }
}

/// Writes one session down while it runs.
#[derive(Debug)]
pub struct SessionRecorder {
    folder: PathBuf,
    open: Option<(NaiveDate, PathBuf, BufWriter<File>)>,
    line: String,
    /// The last event's instant, and of what kinds its events were so far.
    instant: (Timestamp, String),
    order: Option<BufWriter<File>>,
}

/// The files' order at one instant.
const FILES_ORDER: &str = "qtbn";
const PREFIX: &str = "session-";
const START: &str = "session.json";
const END: &str = "end.json";
const OUTCOMES: &str = "outcomes-";
const ORDER: &str = "order.csv";
const ORDER_HEADER: &str = "time,kinds";
const SWITCHES: &str = "switches.csv";
const SWITCHES_HEADER: &str = "time,strategy,active";
/// Where what strategies were warmed with is kept, in a folder for each.
const WARM_UP: &str = "warm-up";

/// The folder of a session that began at `started_at`, within a recording's directory.
pub fn session_folder(directory: &Path, started_at: Timestamp) -> PathBuf {
    directory.join(format!("{PREFIX}{}", started_at.to_utc().format("%Y%m%dT%H%M%S%.6fZ")))
}

/// The folder of what a strategy was warmed with, within a session's folder.
pub fn warm_up_folder(session: &Path, strategy: &str) -> PathBuf {
    session.join(WARM_UP).join(strategy)
}

impl SessionRecorder {
    /// Makes the session's folder; `files` are kept in it by name: the manifest and the scripts as they were run.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn create(
        directory: &Path,
        session: &SessionStart,
        files: &[(String, String)],
    ) -> Result<Self, HistoryError> {
        let folder = session_folder(directory, session.started_at);
        fs::create_dir_all(&folder).map_err(HistoryError::io(&folder))?;
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(HistoryError::io(&path))?;
        }
        write_json(&folder.join(START), session)?;
        let instant = (Timestamp::default(), String::new());
        Ok(Self { folder, open: None, line: String::new(), instant, order: None })
    }

    /// Notes that an event came: files of one kind each cannot say in what order those of one instant did.
    ///
    /// # Errors
    /// The order of one instant is lost.
    pub fn note(&mut self, event: &MarketEvent) -> Result<(), HistoryError> {
        let at = event.known_at();
        let ended = if at == self.instant.0 { Ok(()) } else { self.end_instant() };
        self.instant.0 = at;
        self.instant.1.push(kind_letter(event));
        ended
    }

    /// Adds what became of one signal; it is safe after the next [`SessionRecorder::flush`].
    ///
    /// # Errors
    /// The outcome is lost, and lines since the last flush may be; the next call opens the file again.
    pub fn record(&mut self, outcome: &Outcome) -> Result<(), HistoryError> {
        let at = outcome.final_at.unwrap_or_default();
        let day = date_of(at);
        if self.open.as_ref().is_none_or(|(open, ..)| *open != day) {
            self.flush()?;
            self.open = Some(open(&self.folder, day)?);
        }
        self.line.clear();
        outcomes::write(outcome, &mut self.line);
        let Some((_, path, lines)) = &mut self.open else { return Ok(()) };
        let written = lines.write_all(self.line.as_bytes()).map_err(HistoryError::io(path.as_path()));
        self.keep(written)
    }

    /// The session's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds that a strategy was started or stopped.
    ///
    /// # Errors
    /// The line is lost.
    pub fn switch(&self, switch: &Switch) -> Result<(), HistoryError> {
        let path = self.folder.join(SWITCHES);
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            if file.metadata()?.len() == 0 {
                writeln!(file, "{SWITCHES_HEADER}")?;
            }
            writeln!(file, "{},{},{}", switch.at, switch.strategy, switch.active)
        };
        write().map_err(HistoryError::io(&path))
    }

    /// Hands all lines to the system.
    ///
    /// # Errors
    /// Lines since the last flush may be lost.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        if let Some(order) = &mut self.order {
            order.flush().map_err(HistoryError::io(self.folder.join(ORDER)))?;
        }
        let Some((_, path, lines)) = &mut self.open else { return Ok(()) };
        let flushed = lines.flush().map_err(HistoryError::io(path.as_path()));
        self.keep(flushed)
    }

    /// Flushes and writes how the session ended.
    ///
    /// # Errors
    /// A file that cannot be written: then the session looks like one that crashed.
    pub fn end(mut self, end: &SessionEnd) -> Result<(), HistoryError> {
        self.end_instant()?;
        self.flush()?;
        write_json(&self.folder.join(END), end)
    }

    fn end_instant(&mut self) -> Result<(), HistoryError> {
        let (at, kinds) = &mut self.instant;
        if !kinds.chars().is_sorted_by_key(|kind| FILES_ORDER.find(kind)) {
            let path = self.folder.join(ORDER);
            let mut write = || -> std::io::Result<()> {
                if self.order.is_none() {
                    let mut file = BufWriter::new(File::create(&path)?);
                    writeln!(file, "{ORDER_HEADER}")?;
                    self.order = Some(file);
                }
                self.order.as_mut().map_or(Ok(()), |order| writeln!(order, "{at},{kinds}"))
            };
            write().map_err(HistoryError::io(&path))?;
        }
        kinds.clear();
        Ok(())
    }

    fn keep(&mut self, result: Result<(), HistoryError>) -> Result<(), HistoryError> {
        if result.is_err() {
            self.open = None;
        }
        result
    }
}

fn read_switches(path: &Path) -> Result<Vec<Switch>, HistoryError> {
    read_timed(path, SWITCHES_HEADER, |at, cells| {
        let mut cell = || cells.next().transpose().map(Option::unwrap_or_default);
        Ok(Switch { at, strategy: cell()?.into_owned(), active: cell()? == "true" })
    })
}

fn read_order(path: &Path) -> Result<HashMap<Timestamp, String>, HistoryError> {
    let mut order: HashMap<Timestamp, String> = HashMap::new();
    read_timed(path, ORDER_HEADER, |at, cells| {
        order.entry(at).or_default().push_str(&cells.next().transpose()?.unwrap_or_default());
        Ok(())
    })?;
    Ok(order)
}

/// What `read` makes of the lines of a file, each of which begins with a time; nothing where there is no file.
fn read_timed<T>(
    path: &Path,
    header: &str,
    mut read: impl FnMut(Timestamp, &mut LineCells<'_>) -> Result<T, String>,
) -> Result<Vec<T>, HistoryError> {
    let mut lines = match WholeLines::open(path, header) {
        Err(HistoryError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        lines => lines?,
    };
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next()? {
        let mut cells = LineCells::new(line, b',');
        let row = cells.next().transpose().and_then(|time| {
            let at =
                Timestamp::parse_rfc3339(&time.unwrap_or_default()).map_err(|error| error.to_string())?;
            read(at, &mut cells)
        });
        found.push(row.map_err(|fault| lines.fault(number, fault))?);
    }
    Ok(found)
}

/// A day may be opened twice, when late outcomes come: what is there is gone on with.
fn open(folder: &Path, day: NaiveDate) -> Result<(NaiveDate, PathBuf, BufWriter<File>), HistoryError> {
    let path = folder.join(format!("{OUTCOMES}{day}.csv"));
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        if file.metadata()?.len() == 0 {
            writeln!(file, "{}", outcomes::HEADER)?;
        } else if !fs::read(&path)?.ends_with(b"\n") {
            writeln!(file)?; // A write that failed half-way tore a line: it alone is lost.
        }
        Ok(file)
    };
    let file = open().map_err(HistoryError::io(&path))?;
    Ok((day, path, BufWriter::new(file)))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), HistoryError> {
    let text = serde_json::to_string_pretty(value).map_err(HistoryError::file(path))?;
    fs::write(path, text + "\n").map_err(HistoryError::io(path))
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, HistoryError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(HistoryError::file(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HistoryError::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bot_core::instrument::{FRACTION, Instrument, Instruments};
    use bot_core::outcome::OutcomeKind;
    use bot_core::signal::EntryId;

    fn session() -> SessionStart {
        let fractional = Instrument { lot: FRACTION, ..Instrument::of("NVDA".parse().unwrap()) };
        let instruments = Instruments::new([fractional]);
        SessionStart {
            version: "bot 0".to_owned(),
            started_at: Timestamp::from_nanos(1_800_000_000_123_456_789),
            environment: "paper".to_owned(),
            symbols: vec!["NVDA".parse().unwrap()],
            rules: Rules { size: "10%".parse().unwrap(), instruments, ..Rules::default() },
            weights: vec![("NVDA".parse().unwrap(), Weight::ONE)],
            cash: Money::whole(1_000),
            holdings: Vec::new(),
            quotes: Vec::new(),
            books: Vec::new(),
        }
    }

    fn outcome(number: u32, reason: &str) -> Outcome {
        let id = EntryId::new(&format!("{number}-0"));
        let final_at = Some(Timestamp::from_secs(1_800_000_000 + i64::from(number) * 40_000));
        Outcome { final_at, ..Outcome::without_order(id, OutcomeKind::Skipped, reason) }
    }

    #[test]
    fn a_session_reads_back_as_it_was_recorded_whatever_the_reasons_say() {
        let place = tempfile::tempdir().unwrap();
        let files = [(MANIFEST.to_owned(), "name = \"x\"\n".to_owned())];
        let mut recorder = SessionRecorder::create(place.path(), &session(), &files).unwrap();
        let told: Vec<Outcome> = ["", "a, b", "with \"quotes\"", "two\nlines"]
            .iter()
            .zip(0..)
            .map(|(reason, number)| outcome(number, reason))
            .collect();
        for outcome in &told {
            recorder.record(outcome).unwrap();
        }
        let end = SessionEnd { cash: Money::whole(7), ..SessionEnd::default() };
        recorder.end(&end).unwrap();
        let folders = folders(place.path()).unwrap();
        let found = read(&folders[0]).unwrap();
        assert_eq!((folders.len(), &found.session, &found.end), (1, &session(), &Some(end)));
        assert_eq!(found.outcomes[..3], told[..3]);
        assert_eq!(found.outcomes[3].reason, "two lines");
        assert_eq!(fs::read_to_string(folders[0].join(MANIFEST)).unwrap(), "name = \"x\"\n");
    }

    #[test]
    fn a_session_that_crashed_reads_back_up_to_its_last_whole_line() {
        let place = tempfile::tempdir().unwrap();
        let mut recorder = SessionRecorder::create(place.path(), &session(), &[]).unwrap();
        recorder.record(&outcome(0, "whole")).unwrap();
        recorder.flush().unwrap();
        let folder = folders(place.path()).unwrap().remove(0);
        let day = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let day = day.filter(|path| path.extension().is_some_and(|end| end == "csv")).last().unwrap();
        let mut file = OpenOptions::new().append(true).open(day).unwrap();
        write!(file, "1-0,,torn").unwrap();
        let found = read(&folder).unwrap();
        assert_eq!((found.outcomes.len(), found.end), (1, None));
    }
}
