//! Reads `[data.NAME]`: which keys belong to which kind, and what each may be.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;

use super::super::redis::{check_key, string};
use super::super::value::{self, WrittenValue};
use super::super::written::{self, Written};
use super::super::{KeyLine, defaults, moment};
use super::{DataKind, DataSection, EventKind, KINDS};
use bot_core::clock::Timestamp;
use bot_core::strategy::registry::is_name;
use bot_core::symbol::Symbol;
use bot_data::RowKind;
use bot_data::spec::{Columns, OnBadRow, OnGap, Origin, Spec, Walk};

const EVENTS: [(&str, EventKind); 4] = [
    ("bar", EventKind::Bar),
    ("trade", EventKind::Trade),
    ("quote", EventKind::Quote),
    ("number", EventKind::Number),
];
const BAD_ROWS: [(&str, OnBadRow); 2] =
    [(bad_row_name(OnBadRow::Error), OnBadRow::Error), (bad_row_name(OnBadRow::Skip), OnBadRow::Skip)];
const GAPS: [(&str, OnGap); 2] = [(gap_name(OnGap::Keep), OnGap::Keep), (gap_name(OnGap::Fill), OnGap::Fill)];
const FEEDS: [(&str, &str); 4] = [("sip", "sip"), ("iex", "iex"), ("otc", "otc"), ("boats", "boats")];
const ADJUSTMENTS: [(&str, &str); 5] =
    [("raw", "raw"), ("split", "split"), ("dividend", "dividend"), ("spin-off", "spin-off"), ("all", "all")];
const SESSIONS: [(&str, bool); 2] = [("regular", true), ("always", false)];

/// Every key but `kind`, with the kinds that it belongs to.
const KEYS: [(&str, &[DataKind]); 24] = {
    use DataKind::{Alpaca, Csv, Generator, Parquet, Recorded, Redis};
    [
        ("path", &[Csv, Parquet, Recorded]),
        ("symbol", &[Csv, Parquet, Alpaca, Generator, Redis]),
        ("symbols", &[Recorded]),
        ("event", &[Csv, Parquet, Alpaca, Generator, Redis]),
        ("timeframe", &[Csv, Parquet, Alpaca, Generator, Redis]),
        ("timezone", &[Csv, Parquet, Alpaca, Recorded, Generator]),
        ("columns", &[Csv, Parquet]),
        ("header", &[Csv]),
        ("on_bad_row", &[Csv, Parquet, Alpaca, Recorded]),
        ("on_gap", &[Csv, Parquet, Alpaca]),
        ("from", &[Csv, Parquet, Alpaca, Recorded, Generator]),
        ("to", &[Csv, Parquet, Alpaca, Recorded, Generator]),
        ("save", &[Csv, Parquet, Alpaca, Recorded, Generator]),
        ("cache", &[Alpaca]),
        ("feed", &[Alpaca]),
        ("adjustment", &[Alpaca]),
        ("seed", &[Generator]),
        ("rows", &[Generator]),
        ("start", &[Generator]),
        ("price", &[Generator]),
        ("volatility", &[Generator]),
        ("drift", &[Generator]),
        ("sessions", &[Generator]),
        ("stream", &[Redis]),
    ]
};

/// All sources, in the order of the text, and all their names: a source that is wrong has one too.
pub(crate) fn read_all(root: &mut Written<'_, '_>) -> (Vec<DataSection>, Vec<String>) {
    let mut names = Vec::new();
    let sections = root.named_tables("data", |written, name, at| {
        if !is_name(name) {
            let rule = "name must be 1 to 40 of a-z, 0-9 and _, starting with a letter";
            written.fault_at(at, &[], format!("{rule}, was \"{}\"", name.escape_debug()));
        }
        names.push(name.to_owned());
        SectionDraft::read(written, name, at)
    });
    (sections.into_iter().flatten().collect(), names)
}

/// One table on its way to be a section.
struct SectionDraft<'w, 's, 't> {
    written: &'w mut Written<'s, 't>,
    /// None when it is wrong: then nobody knows which keys belong to it.
    kind: Option<DataKind>,
    lines: Vec<KeyLine>,
}

impl<'s, 't> SectionDraft<'_, 's, 't> {
    fn read(written: &mut Written<'s, 't>, name: &str, at: &Range<usize>) -> Option<DataSection> {
        if written.value("kind").is_none() {
            let names: Vec<String> = KINDS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let message = format!("must be written as one of {}, was missing", names.join(", "));
            written.fault_at(at, &["kind"], message);
        }
        let kind = written.take("kind", |value| value::choice(&KINDS, value));
        let mut source = SectionDraft { written, kind, lines: vec![KeyLine::new("kind", kind, "")] };
        source.refuse_strangers();
        // A wrong kind is read as a CSV file, so that its other faults are told as well.
        let section = match kind.unwrap_or(DataKind::Csv) {
            DataKind::Csv | DataKind::Parquet => source.file(name, at),
            DataKind::Alpaca => source.alpaca(name, at),
            DataKind::Recorded => source.recorded(name, at),
            DataKind::Generator => source.generator(name, at),
            DataKind::Redis => return source.live(name, at),
        };
        let lines = source.lines;
        section.zip(kind).map(|((symbols, spec), kind)| DataSection {
            name: name.to_owned(),
            kind,
            symbols,
            row_kind: spec.row_kind,
            stream: None,
            spec: Some(spec),
            lines,
        })
    }

    /// Keys that belong to other kinds.
    fn refuse_strangers(&mut self) {
        for (key, kinds) in KEYS {
            let Some(value) = self.written.value(key) else { continue };
            if let Some(kind) = self.kind.filter(|kind| !kinds.contains(kind)) {
                let allowed: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
                let rule = format!("is allowed with kind = {} only", allowed.join(", "));
                self.written.fault_at(&value.span, &[key], format!("{rule}, was kind = \"{kind}\""));
            }
        }
    }

    fn file(&mut self, name: &str, at: &Range<usize>) -> Option<(Vec<Symbol>, Spec)> {
        let paths = self.paths(at);
        let symbol = self.symbol(name, at);
        let (event, row_kind) = self.row_kind();
        let timezone = self.timezone();
        let is_csv = self.kind != Some(DataKind::Parquet);
        let has_header = !is_csv || self.key("header", value::truth, defaults::HEADER);
        let columns = Columns { has_header, named: self.columns(event, has_header) };
        let common = self.common(event, timezone);
        let paths = paths?;
        let origin = if is_csv {
            Origin::Csv { paths, columns, timezone }
        } else {
            Origin::Parquet { paths, columns, timezone }
        };
        let symbol = symbol?;
        Some((vec![symbol], common.spec(name, origin, symbol, row_kind?)))
    }

    fn alpaca(&mut self, name: &str, at: &Range<usize>) -> Option<(Vec<Symbol>, Spec)> {
        let symbol = self.symbol(name, at);
        let (event, row_kind) = self.row_kind();
        if event == EventKind::Number {
            let span = self.written.value("event").map_or(at.clone(), |event| event.span);
            let message =
                "must be one of \"bar\", \"trade\", \"quote\" with kind = \"alpaca\", was \"number\"";
            self.written.fault_at(&span, &["event"], message.to_owned());
        }
        let timezone = self.timezone();
        for key in ["from", "to"] {
            if self.written.value(key).is_none() {
                let message = "must be written with kind = \"alpaca\", was missing".to_owned();
                self.written.fault_at(at, &[key], message);
            }
        }
        let cache = self.folder().join(self.key("cache", folder, defaults::CACHE.to_owned()));
        let feed = self.key("feed", |value| value::choice(&FEEDS, value), defaults::HISTORY_FEED);
        let adjustment =
            self.key("adjustment", |value| value::choice(&ADJUSTMENTS, value), defaults::ADJUSTMENT);
        let common = self.common(event, timezone);
        let origin = Origin::Alpaca { cache, feed: feed.to_owned(), adjustment: adjustment.to_owned() };
        let symbol = symbol?;
        Some((vec![symbol], common.spec(name, origin, symbol, row_kind?)))
    }

    fn recorded(&mut self, name: &str, at: &Range<usize>) -> Option<(Vec<Symbol>, Spec)> {
        let paths = self.paths(at);
        if let (Some([_, _, ..]), Some(path)) = (paths.as_deref(), self.written.value("path")) {
            let message = "must be one directory with kind = \"recorded\", were several".to_owned();
            self.written.fault_at(&path.span, &["path"], message);
        }
        let only = written::symbols(self.written, "symbols");
        let told: Vec<&str> = only.iter().map(Symbol::as_str).collect();
        self.lines.push(KeyLine::new("symbols", (!only.is_empty()).then(|| told.join(", ")), "all"));
        let timezone = self.timezone();
        let common = self.common(EventKind::Quote, timezone);
        // A recording has its own symbols: this one only stands in where none is named.
        let symbol = only.first().copied().or_else(|| name.parse().ok()).or_else(|| "RECORDED".parse().ok());
        let origin = Origin::Recorded { path: paths?.swap_remove(0), only: only.clone() };
        Some((only, common.spec(name, origin, symbol?, RowKind::Quote)))
    }

    fn generator(&mut self, name: &str, at: &Range<usize>) -> Option<(Vec<Symbol>, Spec)> {
        let symbol = self.symbol(name, at);
        let (event, row_kind) = self.row_kind();
        let timezone = self.timezone();
        let start = self.moment("start", timezone);
        self.lines.push(KeyLine::new("start", start, defaults::START));
        let walk = Walk {
            seed: self.key("seed", value::whole(0..=u64::MAX), defaults::SEED),
            rows: self.key("rows", value::whole(1..=10_000_000_000_u64), defaults::ROWS),
            start: start.or_else(|| moment::parse(defaults::START, timezone).ok()).unwrap_or_default(),
            price: self.key("price", value::number("dollars above 0", |price| price > 0.0), defaults::PRICE),
            volatility: self.key(
                "volatility",
                value::number("a year's volatility from 0 to 100", |v| (0.0..=100.0).contains(&v)),
                defaults::VOLATILITY,
            ),
            drift: self.key(
                "drift",
                value::number("a year's drift from -100 to 100", |d| (-100.0..=100.0).contains(&d)),
                defaults::DRIFT,
            ),
            in_sessions: self.sessions(),
        };
        let common = self.common(event, timezone);
        let symbol = symbol?;
        Some((vec![symbol], common.spec(name, Origin::Generator(walk), symbol, row_kind?)))
    }

    /// The broker's feed, or numbers of a stream.
    fn live(mut self, name: &str, at: &Range<usize>) -> Option<DataSection> {
        let symbol = self.symbol(name, at);
        let (event, row_kind) = self.row_kind();
        let written = self.written.value("stream");
        let stream = self.written.take("stream", |value| check_key(string(value)?));
        match (event, &written) {
            (EventKind::Number, None) => {
                let message = "must be written with event = \"number\", was missing".to_owned();
                self.written.fault_at(at, &["stream"], message);
            }
            (EventKind::Bar | EventKind::Trade | EventKind::Quote, Some(_)) => {
                self.only("stream", EventKind::Number, event);
            }
            (EventKind::Number, Some(_)) | (EventKind::Bar | EventKind::Trade | EventKind::Quote, None) => {}
        }
        if event == EventKind::Number {
            self.lines.push(KeyLine::new("stream", stream.as_ref(), ""));
        }
        Some(DataSection {
            name: name.to_owned(),
            kind: DataKind::Redis,
            symbols: vec![symbol?],
            row_kind: row_kind?,
            stream,
            spec: None,
            lines: self.lines,
        })
    }

    fn sessions(&mut self) -> bool {
        let written = self.written.take("sessions", |value| value::choice(&SESSIONS, value));
        let name = |inside| if inside { "regular" } else { "always" };
        self.lines.push(KeyLine::new("sessions", written.map(name), name(defaults::IN_SESSIONS)));
        written.unwrap_or(defaults::IN_SESSIONS)
    }

    fn paths(&mut self, at: &Range<usize>) -> Option<Vec<PathBuf>> {
        let Some(value) = self.written.value("path") else {
            if self.kind.is_some() {
                self.written.fault_at(at, &["path"], "must be written, was missing".to_owned());
            }
            return None;
        };
        let rule = "must be a file's name or a list of such, relative to the manifest";
        let items = match value.kind.as_array() {
            Some(items) => items.iter().filter_map(WrittenValue::of).collect(),
            None => vec![WrittenValue { kind: value.kind, span: value.span.clone() }],
        };
        let mut names = Vec::new();
        for item in &items {
            match item.str().filter(|name| !name.is_empty() && !name.contains(char::is_control)) {
                Some(name) => names.push(name),
                None => self.written.fault_at(&item.span, &["path"], item.breaks(rule)),
            }
        }
        if items.is_empty() {
            self.written.fault_at(&value.span, &["path"], format!("{rule}, was empty"));
        }
        self.lines.push(KeyLine::new("path", Some(names.join(", ")), ""));
        let folder = self.folder();
        (!names.is_empty()).then(|| names.into_iter().map(|name| folder.join(name)).collect())
    }

    /// As written, or the source's name where that is a symbol.
    fn symbol(&mut self, name: &str, at: &Range<usize>) -> Option<Symbol> {
        let is_written = self.written.value("symbol").is_some();
        let symbol = self.written.take("symbol", value::symbol);
        let of_name = name.parse::<Symbol>().ok();
        if !is_written && of_name.is_none() && is_name(name) {
            let message = format!("must be written since \"{name}\" is no symbol, was missing");
            self.written.fault_at(at, &["symbol"], message);
        }
        let symbol_or_name = symbol.or(of_name);
        self.lines.push(KeyLine::new(
            "symbol",
            symbol,
            of_name.map_or_else(String::new, |own| own.to_string()),
        ));
        symbol_or_name
    }

    /// None when the timeframe is wrong.
    fn row_kind(&mut self) -> (EventKind, Option<RowKind>) {
        let event = self.key("event", |value| value::choice(&EVENTS, value), defaults::EVENT);
        let written = self.written.value("timeframe");
        if event == EventKind::Bar {
            let span = self.written.take("timeframe", moment::timeframe);
            let show = |span: Duration| moment::format_timeframe(span);
            self.lines.push(KeyLine::new("timeframe", span.map(show), show(defaults::TIMEFRAME)));
            let is_wrong = written.is_some() && span.is_none();
            let span = span.unwrap_or(defaults::TIMEFRAME);
            return (event, (!is_wrong).then_some(RowKind::Bar { span }));
        }
        self.only("timeframe", EventKind::Bar, event);
        let row_kind = match event {
            EventKind::Trade => RowKind::Trade,
            EventKind::Number => RowKind::Number,
            EventKind::Quote | EventKind::Bar => RowKind::Quote,
        };
        (event, Some(row_kind))
    }

    /// A key that belongs to another event.
    fn only(&mut self, key: &'static str, its: EventKind, event: EventKind) {
        if let Some(value) = self.written.value(key) {
            let message = format!("is allowed with event = \"{its}\" only, was event = \"{event}\"");
            self.written.fault_at(&value.span, &[key], message);
        }
    }

    fn timezone(&mut self) -> Tz {
        self.key("timezone", moment::timezone, defaults::TIMEZONE)
    }

    fn columns(&mut self, event: EventKind, has_header: bool) -> Vec<(String, String)> {
        let row_kind = "a table such as { time = \"datetime\", close = \"c\" }, or with numbers from 1 when header = false";
        let named = self.written.table("columns", row_kind, |columns| {
            let mut named = Vec::new();
            for field in event.fields() {
                if let Some(column) = columns.take(field, |value| column(value, has_header)) {
                    named.push(((*field).to_owned(), column));
                }
            }
            named
        });
        let told = named.as_ref().map(|named| {
            let columns: Vec<String> =
                named.iter().map(|(field, column)| format!("{field} = {column}")).collect();
            columns.join(", ")
        });
        self.lines.push(KeyLine::new("columns", told, "by their usual names"));
        named.unwrap_or_default()
    }

    fn rules(&mut self, event: EventKind) -> (OnBadRow, OnGap) {
        let may = |key, kind: Option<DataKind>| {
            KEYS.iter().any(|(name, kinds)| *name == key && kind.is_none_or(|kind| kinds.contains(&kind)))
        };
        let bad_row = if may("on_bad_row", self.kind) {
            let written = self.written.take("on_bad_row", |value| value::choice(&BAD_ROWS, value));
            self.lines.push(KeyLine::new(
                "on_bad_row",
                written.map(bad_row_name),
                bad_row_name(OnBadRow::default()),
            ));
            written
        } else {
            None
        };
        let gap = if !may("on_gap", self.kind) {
            None
        } else if event == EventKind::Bar {
            let written = self.written.take("on_gap", |value| value::choice(&GAPS, value));
            self.lines.push(KeyLine::new("on_gap", written.map(gap_name), gap_name(OnGap::default())));
            written
        } else {
            self.only("on_gap", EventKind::Bar, event);
            None
        };
        (bad_row.unwrap_or_default(), gap.unwrap_or_default())
    }

    /// From when to when, what becomes of bad rows, and where they are saved.
    fn common(&mut self, event: EventKind, timezone: Tz) -> Common {
        let (on_bad_row, on_gap) = self.rules(event);
        let (from, to) = (self.moment("from", timezone), self.moment("to", timezone));
        if let (Some(from), Some(to), Some(at)) = (from, to, self.written.value("to"))
            && from >= to
        {
            self.written.fault_at(
                &at.span,
                &["to"],
                format!("must be later than from, {from}, was \"{to}\""),
            );
        }
        let save = self.written.take("save", data_file);
        self.lines.push(KeyLine::new("from", from, "the first"));
        self.lines.push(KeyLine::new("to", to, "the last"));
        self.lines.push(KeyLine::new("save", save.as_ref().map(|save| save.display().to_string()), "off"));
        let save = save.map(|save| self.folder().join(save));
        Common { from, to, on_bad_row, on_gap, save }
    }

    fn moment(&mut self, key: &'static str, timezone: Tz) -> Option<Timestamp> {
        self.written.take(key, |value| moment::read(value, timezone))
    }

    fn folder(&self) -> &'t Path {
        self.written.folder().unwrap_or(Path::new(""))
    }

    /// The value of a key, or its default.
    fn key<T: fmt::Display>(
        &mut self,
        key: &'static str,
        rule: impl FnOnce(&WrittenValue<'_>) -> Result<T, String>,
        default: T,
    ) -> T {
        let written = self.written.take(key, rule);
        self.lines.push(KeyLine::new(key, written.as_ref(), &default));
        written.unwrap_or(default)
    }
}

/// What most kinds have.
struct Common {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    on_bad_row: OnBadRow,
    on_gap: OnGap,
    save: Option<PathBuf>,
}

impl Common {
    fn spec(self, name: &str, origin: Origin, symbol: Symbol, row_kind: RowKind) -> Spec {
        let Self { from, to, on_bad_row, on_gap, save } = self;
        Spec { name: name.to_owned(), origin, symbol, row_kind, from, to, on_bad_row, on_gap, save }
    }
}

/// A name for a folder.
fn folder(value: &WrittenValue<'_>) -> Result<String, String> {
    value
        .str()
        .filter(|name| !name.is_empty() && !name.contains(char::is_control))
        .map(str::to_owned)
        .ok_or_else(|| value.breaks("must be a folder's name, relative to the manifest"))
}

fn data_file(value: &WrittenValue<'_>) -> Result<PathBuf, String> {
    let path = value.str().filter(|name| !name.contains(char::is_control)).map(PathBuf::from);
    let is_data =
        |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "csv" || suffix == "parquet");
    path.filter(is_data).ok_or_else(|| value.breaks("must be a file that ends in .csv or .parquet"))
}

/// A column by its name, or by its number from 1 where there is no header.
fn column(value: &WrittenValue<'_>, has_header: bool) -> Result<String, String> {
    const COLUMNS_MAX: u32 = 10_000;
    if has_header {
        let name = value.str().filter(|name| !name.is_empty()).map(str::to_owned);
        return name.ok_or_else(|| value.breaks("must be the name of a column, as the header says it"));
    }
    value::whole(1..=COLUMNS_MAX)(value)
        .map(|number| number.to_string())
        .map_err(|message| format!("{message} (header = false)"))
}

const fn bad_row_name(rule: OnBadRow) -> &'static str {
    match rule {
        OnBadRow::Error => "error",
        OnBadRow::Skip => "skip",
    }
}

const fn gap_name(rule: OnGap) -> &'static str {
    match rule {
        OnGap::Keep => "keep",
        OnGap::Fill => "fill",
    }
}
