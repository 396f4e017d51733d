//! `[statistics]`: how often the account is marked, and what is counted from the marks.

use std::fmt;
use std::time::Duration;

use super::value::{self, WrittenValue};
use super::written::Written;
use super::{KeyLine, defaults};
use bot_core::duration;
use bot_core::units::Weight;

/// How often the account is marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Period {
    /// Once at the end of each of the exchange's days.
    #[default]
    Day,
    /// Once at the end of each such span.
    Span(Duration),
}

/// What is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatisticsSection {
    /// The data source that the account is compared with.
    pub benchmark: Option<String>,
    /// How often the account is marked.
    pub period: Option<Period>,
    /// How many such periods a year has; written whenever the period is not a day.
    pub periods_per_year: Option<u32>,
    /// A year's return without risk.
    pub risk_free: Option<Weight>,
    /// How many times the returns are drawn again for intervals of confidence; 0 for none.
    pub bootstrap: Option<u32>,
    /// Of those draws.
    pub seed: Option<u64>,
}

/// Its name in brackets.
pub(super) const NAME: &str = "statistics";

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("day"),
            Self::Span(span) => f.write_str(&duration::format(*span)),
        }
    }
}

impl StatisticsSection {
    /// How often the account is marked.
    pub fn period(&self) -> Period {
        self.period.unwrap_or_default()
    }

    /// How many periods a year has.
    pub fn periods_per_year(&self) -> u32 {
        self.periods_per_year.unwrap_or(defaults::PERIODS_PER_YEAR)
    }

    /// A year's return without risk.
    pub fn risk_free(&self) -> Weight {
        self.risk_free.unwrap_or(Weight::ZERO)
    }

    /// How many draws.
    pub fn bootstrap(&self) -> u32 {
        self.bootstrap.unwrap_or(defaults::BOOTSTRAP)
    }

    /// Of those draws.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(defaults::SEED)
    }

    pub(super) fn read(written: &mut Written<'_, '_>, data: &[String]) -> Self {
        let benchmark = written.take("benchmark", |value| value::data_name(value, data));
        let period = written.take("period", period);
        let per_year_at = written.value("periods_per_year");
        let per_year = written.take("periods_per_year", value::whole(1..=31_536_000_u32));
        if let (Some(Period::Span(span)), None, Some(at)) = (period, per_year_at, written.value("period")) {
            let span = duration::format(span);
            let message = format!("must be written with period = \"{span}\", was missing");
            written.fault_at(&at.span, &["periods_per_year"], message);
        }
        Self {
            benchmark,
            period,
            periods_per_year: per_year,
            risk_free: written.take("risk_free", |value| {
                let rule = "must be a year's return as a fraction such as 0.03 or \"3%\"";
                value::fraction(value).ok_or_else(|| value.breaks(rule))
            }),
            bootstrap: written.take("bootstrap", value::whole(0..=1_000_000_u32)),
            seed: written.take("seed", value::whole(0..=u64::MAX)),
        }
    }

    pub(super) fn describe(&self) -> Vec<KeyLine> {
        vec![
            KeyLine::new("benchmark", self.benchmark.as_ref(), "none"),
            KeyLine::new("period", self.period, Period::default()),
            KeyLine::new("periods_per_year", self.periods_per_year, defaults::PERIODS_PER_YEAR),
            KeyLine::new("risk_free", self.risk_free.map(value::percent), "0%"),
            KeyLine::new("bootstrap", self.bootstrap, defaults::BOOTSTRAP),
            KeyLine::new("seed", self.seed, defaults::SEED),
        ]
    }
}

fn period(value: &WrittenValue<'_>) -> Result<Period, String> {
    match value.str() {
        Some("day") => Ok(Period::Day),
        Some(_) => value::span(value).map(Period::Span),
        None => Err(value.breaks("must be \"day\" or a duration such as \"1h\"")),
    }
}
