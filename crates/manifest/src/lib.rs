//! One TOML file that describes a run: what was written becomes what is true, or all of its faults at once.
//!
//! ```rust
//! use bot_manifest::Manifest;
//!
//! let text = r#"
//! [pool]
//! workers = 8
//!
//! [[strategy]]
//! name = "cross"
//! kind = "ema_cross"
//! symbols = ["NVDA"]
//! "#;
//! let manifest = Manifest::parse("run.toml", text)?;
//! assert_eq!(manifest.pool.workers, Some(8));
//! assert_eq!(manifest.traded(), ["NVDA".parse()?]);
//!
//! let faults = Manifest::parse("run.toml", "[pool]\nworkers = 0\nqueu = 64\n").unwrap_err().to_string();
//! assert!(faults.contains("run.toml:2:") && faults.contains("run.toml:3:"), "{faults}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A section is one file here that implements `Section`, and one line each in `Manifest`, `read_from` and `describe`.

pub mod broker;
mod constraint;
pub mod data;
pub mod defaults;
mod document;
pub mod expectation;
pub mod fault;
pub mod instrument;
mod moment;
mod needs;
pub mod overrides;
pub mod pool;
pub mod portfolio;
pub mod redis;
pub mod risk;
mod script_file;
pub mod spec;
pub mod statistics;
pub mod strategy;
pub mod summary;
pub mod sweep;
mod text;
mod value;
mod warnings;
mod written;

use std::io;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use thiserror::Error;

pub use broker::{BrokerKind, BrokerSection};
pub use constraint::Constraint;
pub use data::{DataKind, DataSection, EventKind};
pub use document::{Document, Purpose, Warnings};
pub use expectation::{Expectation, Expectations, Expected, ExpectedWanted};
pub use fault::{Fault, Faults};
pub use instrument::InstrumentSection;
pub use pool::PoolSection;
pub use portfolio::{Combine, PortfolioSection, Weights};
pub use redis::RedisSection;
pub use risk::RiskSection;
pub use statistics::{Period, StatisticsSection};
pub use strategy::{SizeMode, StrategySection, StrategySource};
pub use summary::{KeyLine, SummaryPart};
pub use sweep::{SweepAxis, SweepSection, WalkForward, WindowLength};

use written::Written;

use bot_core::instrument::Instruments;
use bot_core::symbol::Symbol;
use bot_core::units::Weight;

/// A manifest above this many bytes is no manifest.
pub const BYTES_MAX: u64 = 1 << 20;

/// What a manifest says. `None` is "not written": a flag or the environment wins over what is written, and
/// [`defaults`] fill the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifest {
    /// What people call this run.
    pub name: Option<String>,
    /// `[redis]`
    pub redis: RedisSection,
    /// `[pool]`
    pub pool: PoolSection,
    /// `[broker]`
    pub broker: BrokerSection,
    /// `[portfolio]`
    pub portfolio: PortfolioSection,
    /// `[risk]`
    pub risk: RiskSection,
    /// `[instrument.SYMBOL]`, in the order of the text; symbols are unique.
    pub instruments: Vec<InstrumentSection>,
    /// `[data.NAME]`, in the order of the text; names are unique.
    pub data: Vec<DataSection>,
    /// `[statistics]`
    pub statistics: StatisticsSection,
    /// `[sweep]`
    pub sweep: SweepSection,
    /// `[[strategy]]`, in the order of the text; names are unique.
    pub strategies: Vec<StrategySection>,
}

/// Why there is no manifest to run.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// There is no such file.
    #[error("manifest must be a file that exists, was \"{}\"", .0.display())]
    NotFound(PathBuf),
    /// The file is there but cannot be read, or has no sane size.
    #[error("read manifest {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read and is wrong.
    #[error(transparent)]
    Invalid(#[from] Faults),
}

impl Manifest {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// A missing file is told apart from a wrong one; a wrong one comes with all of its faults.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        Self::read_with(path, &[])
    }

    /// The same, once the `overrides` are in: see [`Document::read`].
    ///
    /// # Errors
    /// The same; faults of an override name it instead of a line.
    pub fn read_with(path: &Path, overrides: &[(String, String)]) -> Result<Self, ManifestError> {
        Ok(Document::open(path)?.read(overrides, Purpose::Any)?)
    }

    /// Checks `text`; `file` is the name that its faults carry. Scripts that it names are not looked at.
    ///
    /// # Errors
    /// All faults of the text, in its order.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        written::parse(file, text, None, &[], |_| (), Self::read_from)
    }

    /// What was understood, part by part, defaults marked. Holds no secret.
    pub fn describe(&self) -> Vec<SummaryPart> {
        let mut parts = vec![
            SummaryPart { name: "".into(), lines: vec![KeyLine::new("name", self.name.as_ref(), "none")] },
            part(&self.redis),
            part(&self.pool),
            part(&self.broker),
            part(&self.portfolio),
            part(&self.risk),
        ];
        parts.extend(self.instruments.iter().map(InstrumentSection::describe));
        parts.extend(self.data.iter().map(DataSection::describe));
        parts.push(SummaryPart { name: statistics::NAME.into(), lines: self.statistics.describe() });
        parts.extend(self.strategies.iter().map(StrategySection::describe));
        if !self.sweep.is_empty() {
            parts.push(SummaryPart { name: sweep::NAME.into(), lines: self.sweep.describe() });
        }
        parts
    }

    /// What the instruments allow.
    pub fn instruments(&self) -> Instruments {
        Instruments::new(self.instruments.iter().map(InstrumentSection::instrument))
    }

    /// The sources that `strategy` looks at, its main one first: by default the first of the manifest.
    pub fn sources_of(&self, strategy: &StrategySection) -> Vec<&DataSection> {
        let mut sources = self.main_sources_of(strategy);
        sources.extend(strategy.also.iter().filter_map(|name| self.section(name)));
        sources
    }

    /// The data sections on whose events a strategy is asked; none for the live feed's minute bars.
    pub fn main_sources_of(&self, strategy: &StrategySection) -> Vec<&DataSection> {
        let first = self.data.first().filter(|_| strategy.data.is_empty());
        first.into_iter().chain(strategy.data.iter().filter_map(|name| self.section(name))).collect()
    }

    /// What a strategy names to trade and none of its data sections tells prices of; empty where one of them tells of all.
    fn unseen<'a>(&self, strategy: &'a StrategySection) -> Vec<&'a Symbol> {
        let sources = self.sources_of(strategy);
        if sources.is_empty() || sources.iter().any(|source| source.symbols.is_empty()) {
            return Vec::new();
        }
        let has = |symbol| sources.iter().any(|source| source.is_priced() && source.symbols.contains(symbol));
        strategy.symbols.iter().filter(|symbol| !has(symbol)).collect()
    }

    fn section(&self, name: &str) -> Option<&DataSection> {
        self.data.iter().find(|data| data.name == name)
    }

    /// What its strategies trade, each symbol once.
    pub fn traded(&self) -> Vec<Symbol> {
        let mut traded = Vec::new();
        for symbol in self.strategies.iter().flat_map(|section| section.symbols_of(self)) {
            if !traded.contains(&symbol) {
                traded.push(symbol);
            }
        }
        traded
    }

    /// What a live run trades: the symbols of its flag, else what the strategies trade, else the default; each once.
    pub fn traded_live(&self, flag: &[Symbol]) -> Vec<Symbol> {
        let mut traded = if flag.is_empty() { self.traded() } else { Vec::new() };
        for symbol in flag {
            if !traded.contains(symbol) {
                traded.push(*symbol); // One that is named twice must not share its weight with itself.
            }
        }
        if traded.is_empty() {
            traded.extend(defaults::SYMBOLS.iter().filter_map(|name| name.parse::<Symbol>().ok()));
        }
        traded
    }

    /// Each strategy's share of the net signal, in order: as written, the rest spread evenly over the others.
    pub fn net_weights(&self) -> Vec<Weight> {
        let written: Decimal = self.strategies.iter().filter_map(|one| one.weight).map(Weight::get).sum();
        let others = self.strategies.iter().filter(|one| one.weight.is_none()).count();
        let each = Weight::new((Decimal::ONE - written) / Decimal::from(others.max(1)));
        let each = each.unwrap_or(Weight::ZERO);
        self.strategies.iter().map(|one| one.weight.unwrap_or(each)).collect()
    }

    fn read_from(root: &mut Written<'_, '_>) -> Self {
        let name = root.take("name", value::text);
        let (redis, pool, broker) = (root.section(), root.section(), root.section());
        let (data, names) = data::read_all(root);
        let portfolio: PortfolioSection = root.section();
        let risk = root.section();
        let instruments = instrument::read_all(root);
        let strategies = strategy::read_all(root, &names, portfolio.combine());
        let statistics =
            root.section_by(statistics::NAME, |written| StatisticsSection::read(written, &names));
        let sweep = root.section_by(sweep::NAME, SweepSection::read);
        sweep::check(root, &sweep, |written| drop(Self::read_from(written)));
        Self { name, redis, pool, broker, portfolio, risk, instruments, data, statistics, sweep, strategies }
    }
}

/// One `[table]` of the manifest.
trait Section: Default {
    /// Its name in brackets.
    const NAME: &'static str;

    /// Takes every key that the section knows; the keys that it does not take become faults.
    fn read(written: &mut Written<'_, '_>) -> Self;

    /// One line for each key.
    fn describe(&self) -> Vec<KeyLine>;
}

fn part<S: Section>(section: &S) -> SummaryPart {
    SummaryPart { name: S::NAME.into(), lines: section.describe() }
}
