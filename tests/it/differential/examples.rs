//! The example strategies over their own data, live and over history: bars as a live market would have made them, with
//! quotes wherever something may be ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use bot::data::{self, RowKind};
use bot::market::{Bar, Quote};
use bot::symbol::Symbol;

use super::data::Instant;
use super::*;
use bot::instrument::Calendar;
use bot::manifest::{Document, Manifest, Purpose};

const MINUTE: Duration = Duration::from_mins(1);
/// So long after a schedule a live strategy has been called by it.
const CALLED: Duration = Duration::from_secs(2);
const QUOTE_SIZE: f64 = 1e9;

/// The events of an example's sections, and quotes at its last closes.
struct ExampleMarket {
    manifest: String,
    /// Each with the name of its section.
    events: Vec<(String, MarketEvent)>,
    quotes: Vec<(Symbol, Quote)>,
}

impl ExampleMarket {
    /// The first so many rows of each section; bars of this timeframe instead of the manifest's, where there is one.
    fn of(name: &str, rows: usize, timeframe: Option<&str>) -> Self {
        let path = examples().join(format!("{name}.toml"));
        let document = Document::open(&path).unwrap();
        let manifest = document.read(&[], Purpose::Backtest).unwrap();
        let timeframes: Vec<(String, String)> = manifest
            .data
            .iter()
            .filter_map(|section| Some((format!("data.{}.timeframe", section.name), timeframe?.to_owned())))
            .collect();
        let manifest = document.read(&timeframes, Purpose::Backtest).unwrap();
        let mut events: Vec<(String, MarketEvent)> = Vec::new();
        for section in &manifest.data {
            let mut source = data::open(section.spec.as_ref().unwrap()).unwrap();
            let mut left = rows;
            while let Some(chunk) = source.next_chunk().unwrap() {
                let data::Chunk::Rows { symbol, row_kind, rows } = &*chunk else { panic!("rows") };
                let taken = rows.iter().take(left).map(|row| row.event(*symbol, *row_kind));
                events.extend(taken.map(|event| (section.name.clone(), event)));
                left = left.saturating_sub(rows.len());
            }
        }
        events.sort_by_key(|(_, event)| event.known_at());
        let end = events
            .iter()
            .filter(|(_, event)| is_bar(event))
            .map(|(_, event)| event.known_at())
            .max()
            .unwrap();
        events.retain(|(_, event)| event.known_at() <= end);
        let quotes = quotes(&manifest, &events);
        let text = std::fs::read_to_string(&path).unwrap();
        Self { manifest: with_files(&text, &manifest), events, quotes }
    }

    /// Writes the manifest, its scripts and its files.
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("manifest.toml"), &self.manifest).unwrap();
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for (section, event) in &self.events {
            let file = files.entry(section.clone()).or_default();
            match event {
                MarketEvent::Bar { bar, .. } => {
                    let Bar { at, open, high, low, close, volume } = bar;
                    writeln!(file, "{at},{open},{high},{low},{close},{volume}").unwrap();
                }
                MarketEvent::Number { number, .. } => {
                    writeln!(file, "{},{}", number.at, number.value).unwrap();
                }
                MarketEvent::Quote { .. } | MarketEvent::Trade { .. } => panic!("no example has them"),
            }
        }
        for (symbol, quote) in &self.quotes {
            let Quote { at, bid, bid_size, ask, ask_size } = quote;
            let file = files.entry(quotes_of(*symbol)).or_default();
            writeln!(file, "{at},{bid},{bid_size},{ask},{ask_size}").unwrap();
        }
        for (name, text) in files {
            std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
        }
    }

    /// What a live market tells: quotes, numbers, and a bar of one minute at the end of each bar.
    fn instants(&self) -> Vec<Instant> {
        let mut instants: BTreeMap<Timestamp, Vec<MarketEvent>> = BTreeMap::new();
        let told = self.events.iter().map(|(_, event)| match event {
            MarketEvent::Bar { symbol, bar, .. } => {
                let bar = Bar { at: event.known_at() - MINUTE, ..*bar };
                MarketEvent::Bar { symbol: *symbol, bar, span: MINUTE }
            }
            MarketEvent::Number { .. } | MarketEvent::Quote { .. } | MarketEvent::Trade { .. } => *event,
        });
        let quotes =
            self.quotes.iter().map(|(symbol, quote)| MarketEvent::Quote { symbol: *symbol, quote: *quote });
        for event in quotes.chain(told) {
            instants.entry(event.known_at()).or_default().push(event);
        }
        instants.into_iter().collect()
    }
}

fn is_bar(event: &MarketEvent) -> bool {
    matches!(event, MarketEvent::Bar { .. })
}

fn quotes_of(symbol: Symbol) -> String {
    format!("{}_quotes", symbol.as_str().to_lowercase())
}

/// Each symbol's last close, wherever something happens or is scheduled. Bid and ask are one: a desk values a short position
/// at the mid, a broker at the last print, and what a restarted run may buy would be off by the difference.
fn quotes(manifest: &Manifest, events: &[(String, MarketEvent)]) -> Vec<(Symbol, Quote)> {
    let start = events[0].1.known_at();
    let end = events[events.len() - 1].1.known_at();
    let mut instants: BTreeSet<Timestamp> = events.iter().map(|(_, event)| event.known_at()).collect();
    let traded = manifest.traded();
    for section in &manifest.strategies {
        for schedule in section.make(&traded).unwrap().needs().schedules {
            let mut due = schedule.next_after(start, Calendar::Nyse);
            while due <= end {
                instants.extend([due, due + CALLED]);
                due = schedule.next_after(due, Calendar::Nyse);
            }
        }
    }
    instants.insert(end + CALLED);
    let (mut events, mut closes) = (events.iter().peekable(), BTreeMap::new());
    let mut quotes = Vec::new();
    for at in instants {
        while let Some((_, event)) = events.next_if(|(_, event)| event.known_at() <= at) {
            if is_bar(event) {
                closes.insert(event.symbol(), event.price());
            }
        }
        quotes.extend(closes.iter().map(|(symbol, close): (&Symbol, &f64)| {
            let (bid, ask) = (*close, *close);
            (*symbol, Quote { at, bid, bid_size: QUOTE_SIZE, ask, ask_size: QUOTE_SIZE })
        }));
    }
    quotes
}

/// The manifest with files instead of its data, filled at quotes.
fn with_files(text: &str, manifest: &Manifest) -> String {
    let sections = text.split("\n[").map(|section| format!("[{section}"));
    let is_kept = |section: &String| !section.starts_with("[data.") && !section.starts_with("[broker]");
    let mut kept: String = sections.skip(1).filter(is_kept).collect::<Vec<_>>().join("\n");
    write!(kept, "\n[broker]\nkind = \"simulated\"\ncash = \"100000\"\nfill = \"quote\"\n").unwrap();
    for section in &manifest.data {
        let symbol = section.symbols[0];
        let (name, kind) = (&section.name, section.row_kind);
        let (columns, rest) = match kind {
            RowKind::Bar { span } => (
                "time = 1, open = 2, high = 3, low = 4, close = 5, volume = 6",
                format!("timeframe = \"{}\"", bot::duration::format(span)),
            ),
            RowKind::Number => ("time = 1, value = 2", "event = \"number\"".to_owned()),
            RowKind::Quote | RowKind::Trade => panic!("no example has them"),
        };
        section_of(&mut kept, name, symbol, columns, &rest);
    }
    for symbol in manifest.traded() {
        let columns = "time = 1, bid = 2, bid_size = 3, ask = 4, ask_size = 5";
        section_of(&mut kept, &quotes_of(symbol), symbol, columns, "event = \"quote\"");
    }
    kept
}

fn section_of(text: &mut String, name: &str, symbol: Symbol, columns: &str, rest: &str) {
    writeln!(
        text,
        "\n[data.{name}]\nkind = \"csv\"\npath = \"{name}.csv\"\nsymbol = \"{symbol}\"\nheader = false\n\
         columns = {{ {columns} }}\n{rest}"
    )
    .unwrap();
}

fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/strategies")
}

/// Runs the first so many rows of an example over history, live, and live with three restarts; it orders at least so often.
#[track_caller]
fn is_the_same(name: &str, rows: usize, orders: usize) {
    is_the_same_on(None, name, rows, orders);
}

#[track_caller]
fn is_the_same_on(timeframe: Option<&str>, name: &str, rows: usize, orders: usize) {
    let market = ExampleMarket::of(name, rows, timeframe);
    let folder = TempDir::new().unwrap();
    market.write(folder.path());
    let script = format!("{name}_strategy.rhai");
    std::fs::copy(examples().join(&script), folder.path().join(&script)).unwrap();
    let history = drive::history(folder.path()).by_minute();
    let ordered = history.count(What::Order);
    assert!(ordered >= orders, "{name} ordered {ordered} times");
    assert_eq!(history.count(What::Failure), 0, "{name} failed");
    let instants = market.instants();
    let restarts: Vec<usize> = (1..4).map(|part| instants.len() * part / 4).collect();
    for restarts in [&[][..], &restarts] {
        let otherwise = Otherwise { restarts, ..Otherwise::default() };
        agree(&drive::live(folder.path(), &instants, &otherwise).by_minute(), &history);
    }
}

#[test]
fn sma_cross_does_the_same_live_and_over_history() {
    is_the_same("sma_cross", 250, 5);
}

#[test]
fn bollinger_does_the_same_live_and_over_history() {
    is_the_same("bollinger", 200, 5);
}

#[test]
fn atr_trail_does_the_same_live_and_over_history() {
    is_the_same("atr_trail", 200, 10);
}

#[test]
fn opening_range_does_the_same_live_and_over_history() {
    is_the_same("opening_range", 234, 8);
}

#[test]
fn momentum_does_the_same_live_and_over_history() {
    is_the_same("momentum", 200, 8);
}

#[test]
fn pairs_does_the_same_live_and_over_history() {
    is_the_same("pairs", 300, 8);
}

#[test]
fn days_of_two_symbols_come_together_live_too() {
    is_the_same_on(Some("1day"), "pairs", 300, 8);
}

#[test]
fn weekly_buy_does_the_same_live_and_over_history() {
    is_the_same("weekly_buy", 260, 6);
}

#[test]
fn grid_does_the_same_live_and_over_history() {
    is_the_same("grid", 600, 5);
}

#[test]
fn rsi2_does_the_same_live_and_over_history() {
    is_the_same("rsi2", 300, 5);
}

#[test]
fn news_does_the_same_live_and_over_history() {
    is_the_same("news", 180, 5);
}

#[test]
fn volatility_target_does_the_same_live_and_over_history() {
    is_the_same("volatility_target", 80, 50);
}

#[test]
fn pyramid_does_the_same_live_and_over_history() {
    is_the_same("pyramid", 300, 10);
}
