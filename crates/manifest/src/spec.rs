//! What a manifest says of its strategies, made true in one place for every command: the strategies themselves, their
//! sizing, their books and their data.

use std::time::Duration;

use rust_decimal::Decimal;
use thiserror::Error;

use crate::{DataSection, Manifest, StrategySection, defaults};
use bot_core::instrument::{Calendar, Instruments};
use bot_core::market::Bar;
use bot_core::portfolio::{Member, Sizing, StrategyBook};
use bot_core::series::{Series, SeriesFeed};
use bot_core::sizing::{self, SizeRule, WeightError, WeightRule};
use bot_core::strategy::{MakeError, ParamFault, Runner, StrategyRun};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Weight};
use bot_data::RowKind;
use bot_data::spec::Origin;

/// One strategy as its manifest means it.
#[derive(Debug, Clone)]
pub struct StrategySpec {
    section: StrategySection,
    /// What it trades, each once.
    symbols: Vec<Symbol>,
    /// Whether it listens to everything that its sources tell of, which do not say of what.
    hears_all: bool,
    /// What it may look at beside that.
    looked_at: Vec<Symbol>,
    /// The places of its data sections in the manifest, the main ones first; none for the live feed's minute bars.
    sources: Vec<usize>,
    /// How many of them are main ones.
    main_count: usize,
    instruments: Instruments,
    /// The timeframe of the first of its main sections that is of bars.
    timeframe: Option<Duration>,
    /// Its share of the net position.
    weight: Weight,
    short: bool,
}

/// Why a strategy is not made.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Its kind, its parameters or its script are wrong.
    #[error("strategy \"{name}\": {source}")]
    Strategy {
        /// Which.
        name: String,
        /// Why.
        source: MakeError,
    },
    /// Weights do not fit what it trades.
    #[error("portfolio.weights: {0}")]
    Weights(#[from] WeightError),
}

impl StrategySpec {
    /// The strategies of `manifest`, in its order; `run_symbols` are those of one that names none.
    pub fn all(manifest: &Manifest, run_symbols: &[Symbol]) -> Vec<Self> {
        let weights = manifest.net_weights();
        let sections = manifest.strategies.iter().zip(weights);
        sections.map(|(section, weight)| Self::of(manifest, section, weight, run_symbols)).collect()
    }

    fn of(manifest: &Manifest, section: &StrategySection, weight: Weight, run_symbols: &[Symbol]) -> Self {
        let sources = manifest.sources_of(section);
        let own = section.symbols_of(manifest);
        let symbols = if own.is_empty() { run_symbols.to_vec() } else { own };
        let hears_all = section.symbols.is_empty() && sources.iter().any(|source| source.symbols.is_empty());
        let main_count = manifest.main_sources_of(section).len();
        let looked_at =
            sources.iter().skip(main_count).flat_map(|source| source.symbols.iter().copied()).collect();
        let place = |source: &&DataSection| manifest.data.iter().position(|data| data.name == source.name);
        let timeframe = if sources.is_empty() {
            Some(defaults::TIMEFRAME)
        } else {
            sources.iter().take(main_count).find_map(|source| source.timeframe())
        };
        Self {
            section: section.clone(),
            symbols,
            hears_all,
            looked_at,
            sources: sources.iter().filter_map(place).collect(),
            main_count,
            instruments: manifest.instruments(),
            timeframe,
            weight,
            short: manifest.risk.limits().short,
        }
    }

    /// Its name in the manifest.
    pub fn name(&self) -> &str {
        &self.section.name
    }

    /// Whether its strengths are positions.
    pub fn is_target(&self) -> bool {
        self.section.is_target()
    }

    /// What its book starts with, where that is written.
    pub fn written_capital(&self) -> Option<Money> {
        self.section.capital
    }

    /// How long the bars of its main series are, where they are bars.
    pub fn timeframe(&self) -> Option<Duration> {
        self.timeframe
    }

    /// What it trades.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The places of its data sections in the manifest, the main ones first.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// The places of the data sections on whose events it is asked.
    pub fn main(&self) -> &[usize] {
        &self.sources[..self.main_count]
    }

    /// The places of those that it may look at.
    pub fn also(&self) -> &[usize] {
        &self.sources[self.main_count..]
    }

    /// The strategy, ready to be shown events.
    ///
    /// # Errors
    /// All faults of its parameters, or what is wrong with its script.
    pub fn make(&self) -> Result<StrategyRun, SpecError> {
        let failed = |source| SpecError::Strategy { name: self.section.name.clone(), source };
        let strategy = self.section.make(&self.symbols).map_err(failed)?;
        let listens_to = if self.hears_all { &[][..] } else { &self.symbols };
        let trades_always = |symbol: &Symbol| self.instruments.of(*symbol).calendar == Calendar::Always;
        let is_always = !self.symbols.is_empty() && self.symbols.iter().all(trades_always);
        let calendar = if is_always { Calendar::Always } else { Calendar::Nyse };
        let mut runner = Runner::new(&self.section.name, strategy, listens_to, self.section.every())
            .looking_at(&self.looked_at)
            .on_bars_of(self.timeframe)
            .by_calendar(calendar, self.section.rings_always.unwrap_or(defaults::RINGS_ALWAYS));
        if let Some(symbol) = runner.unheard() {
            let heard: Vec<&str> = self.symbols.iter().chain(&self.looked_at).map(Symbol::as_str).collect();
            let rule = format!("symbol must be one that the strategy hears of ({})", heard.join(", "));
            let fault = ParamFault::new("indicators", format!("{rule}, was {symbol}"));
            return Err(failed(MakeError::Params(vec![fault])));
        }
        if !self.section.active.unwrap_or(defaults::ACTIVE) {
            runner.stop();
        }
        let is_fixed = match self.rule() {
            SizeRule::Shares(_) => self.section.capital.is_none() && self.section.risk.position_max.is_none(),
            SizeRule::All | SizeRule::Fraction(_) | SizeRule::Notional(_) => false,
        };
        let run = StrategyRun::new(runner, self.section.is_target(), is_fixed);
        Ok(run.with_instruments(self.instruments.clone()))
    }

    /// Its place in the portfolio, with a book that starts with `capital`; `daily_bars` are looked at for weights by
    /// volatility.
    ///
    /// # Errors
    /// Weights that do not fit what it trades.
    pub fn member(
        &self,
        capital: Money,
        weights: &WeightRule,
        daily_bars: &[(Symbol, Vec<Bar>)],
    ) -> Result<Member, SpecError> {
        let bars_of = |symbol: &Symbol| daily_bars.iter().find(|(other, _)| other == symbol);
        let bars: Vec<(Symbol, Vec<Bar>)> = self
            .symbols
            .iter()
            .map(|symbol| (*symbol, bars_of(symbol).map_or_else(Vec::new, |(_, bars)| bars.clone())))
            .collect();
        let weights = match weights {
            // As written, of the symbols that are its own.
            WeightRule::Fixed(fixed) => {
                let own = self.symbols.iter().filter_map(|symbol| Some((*symbol, *fixed.get(symbol)?)));
                own.collect()
            }
            WeightRule::Equal | WeightRule::InverseVolatility => sizing::target_weights(weights, &bars)?,
        };
        Ok(Member {
            sizing: Sizing {
                rule: self.rule(),
                is_target: self.section.is_target(),
                short: self.short,
                position_max: self.section.risk.position_max,
                within_equity: self.section.capital.is_some(),
                weights,
            },
            weight: self.weight,
            retry: self.section.retry(),
            book: StrategyBook::new(&self.section.name, capital),
        })
    }

    /// What it hears of a market's events as they come; `data` are the manifest's sections.
    pub fn feed(&self, data: &[DataSection]) -> SeriesFeed {
        let series = |place: &usize| series_of(&data[*place]);
        if self.sources.is_empty() {
            return SeriesFeed::new(bars_of(&self.symbols, defaults::TIMEFRAME), Vec::new());
        }
        let all = |places: &[usize]| places.iter().flat_map(series).collect();
        SeriesFeed::new(all(self.main()), all(self.also()))
    }

    fn rule(&self) -> SizeRule {
        self.section.size_rule.unwrap_or(defaults::SIZE_RULE)
    }
}

/// The series of the live market that a data section stands for.
fn series_of(source: &DataSection) -> Vec<Series> {
    if let Some(Origin::Recorded { only, .. }) = source.spec.as_ref().map(|spec| &spec.origin) {
        return vec![Series::All(only.clone())];
    }
    let each = |series: fn(Symbol) -> Series| source.symbols.iter().copied().map(series).collect();
    match source.row_kind {
        RowKind::Number => each(Series::Numbers),
        RowKind::Trade => each(Series::Trades),
        RowKind::Quote => each(Series::Quotes),
        RowKind::Bar { span } => bars_of(&source.symbols, span),
    }
}

fn bars_of(symbols: &[Symbol], span: Duration) -> Vec<Series> {
    symbols.iter().map(|symbol| Series::Bars { symbol: *symbol, span }).collect()
}

/// What each book starts with: as written, or an even share of what is left of `equity`.
pub fn capitals(specs: &[StrategySpec], equity: Money) -> Vec<Money> {
    let written: Money = specs.iter().filter_map(|spec| spec.section.capital).sum();
    let others = specs.iter().filter(|spec| spec.section.capital.is_none()).count();
    let left = (equity - written).max(Money::ZERO);
    let each = Money::new(left.get() / Decimal::from(others.max(1)));
    specs.iter().map(|spec| spec.section.capital.unwrap_or(each)).collect()
}

/// The order of data sections in which their events come at one instant: by series, whatever their order in the manifest.
pub fn order_of(data: &[DataSection]) -> Vec<usize> {
    let kind = |source: &DataSection| match &source.spec {
        None => (4, Duration::ZERO),
        Some(spec) if matches!(spec.origin, Origin::Recorded { .. }) => (4, Duration::ZERO),
        Some(spec) => match spec.row_kind {
            RowKind::Number => (0, Duration::ZERO),
            RowKind::Trade => (1, Duration::ZERO),
            RowKind::Bar { span } => (2, span),
            RowKind::Quote => (3, Duration::ZERO),
        },
    };
    let mut places: Vec<usize> = (0..data.len()).collect();
    places.sort_by_cached_key(|place| {
        let source = &data[*place];
        (source.symbols.first().copied(), kind(source), source.name.clone())
    });
    places
}
