//! `[[strategy]]`: strategies that watch the market themselves.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::value::WrittenValue;
use super::written::{self, Written};
use super::{Combine, KeyLine, Manifest, SummaryPart, defaults, value};
use bot_core::duration;
use bot_core::portfolio::Retry;
use bot_core::sizing::SizeRule;
use bot_core::strategy::registry::is_name;
use bot_core::strategy::{self, Every, MakeError, Strategy, WrittenParams};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Weight};
use bot_script::FILE_SUFFIX;

pub use super::script_file::read_script;

/// Where a strategy's code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrategySource {
    /// In a built-in or registered kind of this name.
    Kind(String),
    /// In this file; a relative path was taken from where the manifest lies.
    Script(PathBuf),
}

/// What a strategy's signal sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SizeMode {
    /// The position: strength times what the rule says.
    #[default]
    Target,
    /// One order for each signal, of what the rule says.
    Order,
}

/// One strategy: which, on what, how often, how large.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategySection {
    /// By which it is started, stopped and reported.
    pub name: String,
    /// Its code.
    pub source: StrategySource,
    /// What it watches; empty for all symbols of the run.
    pub symbols: Vec<Symbol>,
    /// The data sections on whose events it is asked; empty for the first one.
    pub data: Vec<String>,
    /// Other data sources that it may look at.
    pub also: Vec<String>,
    /// Its share of the net signal.
    pub weight: Option<Weight>,
    /// What it may invest; none for no limit of its own.
    pub capital: Option<Money>,
    /// Whether it is started with the run.
    pub active: Option<bool>,
    /// How often it is asked.
    pub every: Option<Every>,
    /// Whether its timer rings while its market is closed too.
    pub rings_always: Option<bool>,
    /// How much a signal trades.
    pub size_rule: Option<SizeRule>,
    /// What a signal sizes.
    pub size_mode: Option<SizeMode>,
    /// How often the missing part of a target is asked for again.
    pub retry: Option<Retry>,
    /// Limits of its own.
    pub risk: StrategyRisk,
    /// As written; they were checked when the strategy could be made.
    pub params: WrittenParams,
}

/// Limits of one strategy, beside those that hold for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StrategyRisk {
    /// Dollars in one symbol's position of its book.
    pub position_max: Option<Money>,
}

/// So many letters and digits of a strategy's name stand in the ids of its orders.
const TAG_LEN: usize = 16;

/// A target is asked for again at most so many times.
const RETRY_TIMES_MAX: u32 = 100;

/// Where scripts are found by the name of their strategy.
const SCRIPTS: &str = "strategies";

const MODES: [(&str, SizeMode); 2] =
    [(SizeMode::Target.name(), SizeMode::Target), (SizeMode::Order.name(), SizeMode::Order)];

/// When a timer rings: in the sessions of what its strategy trades, or around the clock.
const SESSIONS: [(&str, bool); 2] = [("regular", false), ("always", true)];

impl SizeMode {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Order => "order",
        }
    }
}

impl fmt::Display for SizeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl StrategySection {
    /// Makes the strategy; `run_symbols` are those it watches when it names none itself.
    ///
    /// # Errors
    /// All faults of the parameters, or what is wrong with the script.
    pub fn make(&self, run_symbols: &[Symbol]) -> Result<Box<dyn Strategy>, MakeError> {
        let symbols = if self.symbols.is_empty() { run_symbols } else { &self.symbols };
        match &self.source {
            StrategySource::Kind(kind) => strategy::registry().make(kind, &self.params, symbols),
            StrategySource::Script(path) => read_script(path)?.make(&self.params, symbols),
        }
    }

    /// How often it is asked.
    pub fn every(&self) -> Every {
        self.every.unwrap_or(defaults::EVERY)
    }

    /// Whether its signals are positions.
    pub fn is_target(&self) -> bool {
        self.size_mode.unwrap_or(defaults::SIZE_MODE) == SizeMode::Target
    }

    /// How the missing part of a target is asked for again.
    pub fn retry(&self) -> Retry {
        self.retry.unwrap_or(defaults::RETRY)
    }

    /// What it trades: the symbols that it names, or those of its main data sections that tell prices; empty for all symbols
    /// of the run.
    pub fn symbols_of(&self, manifest: &Manifest) -> Vec<Symbol> {
        if !self.symbols.is_empty() {
            return self.symbols.clone();
        }
        let mut symbols = Vec::new();
        for source in manifest.main_sources_of(self).into_iter().filter(|source| source.is_priced()) {
            for symbol in &source.symbols {
                if !symbols.contains(symbol) {
                    symbols.push(*symbol);
                }
            }
        }
        symbols
    }

    pub(super) fn describe(&self) -> SummaryPart {
        let (key, source) = match &self.source {
            StrategySource::Kind(kind) => ("kind", kind.clone()),
            StrategySource::Script(path) => ("script", path.display().to_string()),
        };
        let symbols: Vec<&str> = self.symbols.iter().map(Symbol::as_str).collect();
        let params: Vec<String> =
            self.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let some = |list: Vec<String>| (!list.is_empty()).then(|| list.join(", "));
        let lines = vec![
            KeyLine::new("name", Some(&self.name), ""),
            KeyLine::new(key, Some(source), ""),
            KeyLine::new("symbols", (!symbols.is_empty()).then(|| symbols.join(", ")), "all"),
            KeyLine::new("data", some(self.data.clone()), "the first"),
            KeyLine::new("also", some(self.also.clone()), "none"),
            KeyLine::new("weight", self.weight.map(value::percent), "equal"),
            KeyLine::new("capital", self.capital, "off"),
            KeyLine::new("active", self.active, defaults::ACTIVE),
            KeyLine::new("every", self.every, defaults::EVERY),
            KeyLine::new("every.session", self.rings_always.map(session), session(defaults::RINGS_ALWAYS)),
            KeyLine::new("size.rule", self.size_rule, defaults::SIZE_RULE),
            KeyLine::new("size.mode", self.size_mode, defaults::SIZE_MODE),
            KeyLine::new(
                "retry.after",
                self.retry.map(|retry| duration::format(retry.after)),
                duration::format(defaults::RETRY.after),
            ),
            KeyLine::new("retry.times", self.retry.map(|retry| retry.times), defaults::RETRY.times),
            KeyLine::new("risk.position_max", self.risk.position_max, "off"),
            KeyLine::new("params", some(params), "its own"),
        ];
        SummaryPart { name: "[strategy]".into(), lines }
    }
}

fn session(rings_always: bool) -> &'static str {
    SESSIONS.iter().find(|(_, always)| *always == rings_always).map_or("", |(name, _)| name)
}

/// All strategies, which may look at the sections named `data`.
pub(super) fn read_all(
    root: &mut Written<'_, '_>,
    data: &[String],
    combine: Combine,
) -> Vec<StrategySection> {
    let mut weights = Decimal::ZERO;
    let mut names: Vec<String> = Vec::new();
    let sections = root.tables("strategy", |written, at| {
        let section = read(written, at, data);
        check_weight(written, combine, &mut weights);
        if let Some(section) = &section {
            if names.contains(&section.name) {
                let span = written.value("name").map_or(at.clone(), |name| name.span);
                let message =
                    format!("name must be unique among strategies, was \"{}\" before", section.name);
                written.fault_at(&span, &["name"], message);
            } else if let Some(other) = names.iter().find(|name| order_tag(name) == order_tag(&section.name)) {
                let span = written.value("name").map_or(at.clone(), |name| name.span);
                let message = format!(
                    "name must differ from others in its first {TAG_LEN} letters and digits, was \"{}\" beside \"{other}\"",
                    section.name
                );
                written.fault_at(&span, &["name"], message);
            }
            names.push(section.name.clone());
        }
        section
    });
    sections.into_iter().flatten().collect()
}

/// None when it has no name or no code, which is a fault.
fn read(written: &mut Written<'_, '_>, at: &Range<usize>, data: &[String]) -> Option<StrategySection> {
    if written.value("name").is_none() {
        written.fault_at(at, &["name"], "must be written, was missing".to_owned());
    }
    let name = written.take("name", name);
    let source = source(written, at, name.as_deref());
    let symbols = written::symbols(written, "symbols");
    let (main, also) = sources(written, data);
    let weight = written.take("weight", weight);
    let capital = written.take("capital", value::money);
    let active = written.take("active", value::truth);
    let (every, rings_always) = every(written);
    let size = written.table("size", "a table such as { rule = \"100sh\", mode = \"target\" }", |size| {
        (size.take("rule", size_rule), size.take("mode", |value| value::choice(&MODES, value)))
    });
    let (size_rule, size_mode) = size.unwrap_or_default();
    let retry = retry(written, size_mode);
    let risk = written.table("risk", "a table such as { position_max = \"100000\" }", |risk| StrategyRisk {
        position_max: risk.take("position_max", value::money),
    });
    let params = params(written);
    let section = StrategySection {
        name: name?,
        source: source?,
        symbols,
        data: main,
        also,
        weight,
        capital,
        active,
        every,
        rings_always,
        size_rule,
        size_mode,
        retry,
        risk: risk.unwrap_or_default(),
        params,
    };
    check_make(written, &section);
    Some(section)
}

/// The main data sections and the others, as written.
fn sources(written: &mut Written<'_, '_>, data: &[String]) -> (Vec<String>, Vec<String>) {
    let is_list = written.value("data").is_some_and(|value| value.kind.is_array());
    let main = if is_list {
        sections(written, "data", data, &[])
    } else {
        written.take("data", |value| value::data_name(value, data)).into_iter().collect()
    };
    let is_first = written.value("data").is_none();
    let named = if is_first { data.iter().take(1).cloned().collect() } else { main.clone() };
    let also = sections(written, "also", data, &named);
    (main, also)
}

/// The data sections that a list names, each once and none of those that were `named` before.
fn sections(
    written: &mut Written<'_, '_>,
    key: &'static str,
    data: &[String],
    named: &[String],
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let Some(value) = written.value(key) else { return found };
    let Some(items) = value.kind.as_array() else {
        written.fault_at(&value.span, &[key], value.breaks("must be a list of data sections' names"));
        return found;
    };
    for item in items.iter().filter_map(WrittenValue::of) {
        match value::data_name(&item, data) {
            Ok(name) if found.contains(&name) || named.contains(&name) => {
                let message = format!("data section must be named once, was \"{name}\" before");
                written.fault_at(&item.span, &[key], message);
            }
            Ok(name) => found.push(name),
            Err(message) => written.fault_at(&item.span, &[key], message),
        }
    }
    found
}

fn weight(value: &WrittenValue<'_>) -> Result<Weight, String> {
    value::fraction(value).ok_or_else(|| value.breaks("must be a weight from 0 to 1, such as 0.6 or \"60%\""))
}

fn check_weight(written: &mut Written<'_, '_>, combine: Combine, sum: &mut Decimal) {
    let Some(value) = written.value("weight") else { return };
    if combine != Combine::Net {
        let message = format!("is allowed with portfolio.combine = \"net\" only, was \"{combine}\"");
        written.fault_at(&value.span, &["weight"], message);
    }
    *sum += value::fraction(&value).unwrap_or(Weight::ZERO).get();
    if *sum > Decimal::ONE {
        let message = format!("weights must sum to at most 1, was \"{}\" up to here", sum.normalize());
        written.fault_at(&value.span, &["weight"], message);
    }
}

/// A strategy is made and thrown away: that is what finds all that is wrong with its parameters and its script.
fn check_make(written: &mut Written<'_, '_>, section: &StrategySection) {
    if matches!(section.source, StrategySource::Script(_)) && written.folder().is_none() {
        return;
    }
    match section.make(&[]) {
        // An unknown kind was said where it was read.
        Ok(_) | Err(MakeError::UnknownKind { .. }) => {}
        Err(MakeError::Script(fault)) => {
            let at = written.value("script").map_or(0..0, |script| script.span);
            written.fault_at(&at, &["script"], fault.to_string());
        }
        Err(MakeError::Params(faults)) => {
            let Some(table) = written.value("params") else { return };
            for fault in faults {
                let place = table.entries().into_iter().find(|(name, ..)| *name == fault.param);
                let at =
                    place.map_or(table.span.clone(), |(_, key, value)| value.map_or(key, |value| value.span));
                written.fault_at(&at, &["params", &fault.param], fault.message);
            }
        }
    }
}

/// What is written, or the script of that name in the strategies folder beside the manifest.
fn source(written: &mut Written<'_, '_>, at: &Range<usize>, name: Option<&str>) -> Option<StrategySource> {
    let folder = written.folder().unwrap_or(Path::new("")).to_owned();
    let has = (written.value("kind"), written.value("script"));
    match has {
        (Some(_), None) => written.take("kind", kind).map(StrategySource::Kind),
        (None, Some(_)) => {
            written.take("script", script).map(|path| StrategySource::Script(folder.join(path)))
        }
        (Some(_), Some(script)) => {
            let message = "is allowed without kind only, were both".to_owned();
            written.fault_at(&script.span, &["script"], message);
            None
        }
        (None, None) => {
            let file = format!("{SCRIPTS}/{}{FILE_SUFFIX}", name.unwrap_or("NAME"));
            let found = folder.join(&file);
            if name.is_some() && found.is_file() {
                return Some(StrategySource::Script(found));
            }
            let message = format!("kind or script must be written, or {file} be there, was neither");
            written.fault_at(at, &["kind"], message);
            None
        }
    }
}

fn name(value: &WrittenValue<'_>) -> Result<String, String> {
    value
        .str()
        .filter(|name| is_name(name))
        .map(str::to_owned)
        .ok_or_else(|| value.breaks("name must be 1 to 40 of a-z, 0-9 and _, starting with a letter"))
}

fn kind(value: &WrittenValue<'_>) -> Result<String, String> {
    let kind = value.str().ok_or_else(|| value.breaks("must be the name of a strategy kind"))?;
    strategy::registry().kind(kind).map(|_| kind.to_owned()).map_err(|error| error.to_string())
}

fn script(value: &WrittenValue<'_>) -> Result<PathBuf, String> {
    value
        .str()
        .filter(|path| path.ends_with(FILE_SUFFIX) && !path.contains(char::is_control))
        .map(PathBuf::from)
        .ok_or_else(|| value.breaks(&format!("must be a file that ends in {FILE_SUFFIX}")))
}

/// How often it is asked, and whether its timer rings while its market is closed too.
fn every(written: &mut Written<'_, '_>) -> (Option<Every>, Option<bool>) {
    let row_kind = "\"event\", a duration such as \"5s\", { time = \"5s\", session = \"always\" } or { count = 5, skip = 3 }";
    let Some(value) = written.value("every") else { return (None, None) };
    if value.kind.is_table() {
        let read = written.table("every", row_kind, |every| {
            if every.value("time").is_some() {
                let time = every.take("time", value::span).map(Every::Span);
                return (time, every.take("session", |value| value::choice(&SESSIONS, value)));
            }
            if every.value("count").is_none() {
                every.fault_at(&value.span, &["count"], "must be written, was missing".to_owned());
            }
            let count = every.take("count", value::whole(1..=1_000_000_u64));
            let skip = every.take("skip", value::whole(0..=1_000_000_u64)).unwrap_or(0);
            (count.and_then(|count| Every::count(count, skip).ok()), None)
        });
        return read.unwrap_or_default();
    }
    let every = written.take("every", |value| match value.str() {
        Some("event") => Ok(Every::Event),
        Some(_) => value::span(value).map(Every::Span),
        None => Err(value.breaks(&format!("must be {row_kind}"))),
    });
    (every, None)
}

fn size_rule(value: &WrittenValue<'_>) -> Result<SizeRule, String> {
    let rule = "size must be all, a percentage such as 10%, shares such as 5sh or dollars such as $1000";
    value.str().and_then(|text| text.parse().ok()).ok_or_else(|| value.breaks(rule))
}

/// What is not written of it has its default.
fn retry(written: &mut Written<'_, '_>, mode: Option<SizeMode>) -> Option<Retry> {
    let value = written.value("retry")?;
    if mode == Some(SizeMode::Order) {
        let message = "is allowed with size.mode = \"target\" only, was size.mode = \"order\"";
        written.fault_at(&value.span, &["retry"], message.to_owned());
    }
    written.table("retry", "a table such as { after = \"2s\", times = 3 }", |retry| Retry {
        after: retry.take("after", value::wait).unwrap_or(defaults::RETRY.after),
        times: retry.take("times", value::whole(0..=RETRY_TIMES_MAX)).unwrap_or(defaults::RETRY.times),
    })
}

/// What the ids of a strategy's orders say of its name, as [`Signal::client_order_id`](bot_core::signal::Signal) makes them.
fn order_tag(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).take(TAG_LEN).collect()
}

fn params(written: &mut Written<'_, '_>) -> WrittenParams {
    let Some(table) = written.value("params") else { return WrittenParams::new() };
    if !table.kind.is_table() {
        let message = table.breaks("must be a table such as { fast = 10, slow = 20 }");
        written.fault_at(&table.span, &["params"], message);
    }
    let mut params = WrittenParams::new();
    for (name, _, value) in table.entries() {
        let Some(value) = value else { continue };
        if let Some(param) = param(&value) {
            params.insert(name.to_owned(), param);
        } else {
            let message = value.breaks("must be true, false, a number or a string");
            written.fault_at(&value.span, &["params", name], message);
        }
    }
    params
}

fn param(value: &WrittenValue<'_>) -> Option<strategy::Value> {
    match value.kind {
        DeValue::Boolean(truth) => Some(strategy::Value::Truth(*truth)),
        DeValue::String(text) => Some(strategy::Value::Text(text.to_string())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(strategy::Value::Whole)
        }
        DeValue::Float(number) => number.as_str().parse().ok().map(strategy::Value::Number),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
