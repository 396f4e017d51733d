//! Technical indicators: what is computed of a symbol's bars, O(1) per bar, nothing allocated after they are made.
//!
//! An [`Indicator`] is a value that says what is computed; [`Indicator::start`] makes one that runs, and takes one bar
//! after the other. A bar that lacks what is needed (a volume that is not known, a price that is not finite) has no
//! value and is left out, as if it had not been: what comes after is as right as before it. Only [`Cci`](Indicator::Cci)
//! and [`PercentRank`](Indicator::PercentRank) go through their window on each bar, and take time with its length.
//!
//! Own code, because no kept library fits: `yata` takes periods up to 254 only, calls a software fused
//! multiply-add where the processor's is not compiled in, and looks its whole window through for a new extreme;
//! `ta` has a relative strength index that is not Wilder's, and was last released in 2021. Each is held against
//! TA-Lib 0.6.4, or against the definition in pandas where TA-Lib has none, to 1e-9.

mod averages;
mod crossings;
#[cfg(test)]
mod fixture_tests;
mod momentum;
mod pairs;
mod running;
#[cfg(test)]
mod tests;
mod trend;
mod volatility;
mod volume;
mod window;

use thiserror::Error;

use crate::symbol::Symbol;

pub(crate) use averages::{Ema, Sma};
pub(crate) use momentum::Rsi;
pub use running::{Input, RunningIndicator};
pub(crate) use window::{Highest, Lowest};

/// The longest period, in bars.
pub const PERIOD_MAX: usize = 100_000;

/// How many indicators may be made of each other, the outermost counted.
pub const NESTING_MAX: usize = 8;

/// What an indicator is made of: a field of the bar, or another indicator.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// First price of the bar.
    Open,
    /// Highest price of the bar.
    High,
    /// Lowest price of the bar.
    Low,
    /// Last price of the bar.
    Close,
    /// Shares of the bar.
    Volume,
    /// (high + low + close) / 3.
    Typical,
    /// What another indicator says of the bar.
    Indicator(Box<Indicator>),
    /// The latest close of another symbol.
    Symbol(Symbol),
    /// The same number on each bar: a level to cross.
    Number(f64),
}

/// What is computed, with its periods: a value, no state.
///
/// Periods are in bars. "From bar n" is the first bar with a value where the source has one from the first bar on.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the doc of an indicator says what its fields are")]
pub enum Indicator {
    /// The source as it is, under a name of its own; from the bar at which that has its first value.
    Value(Source),
    /// The mean of the last n values; from bar n. TA-Lib's `SMA`.
    Sma { source: Source, period: usize },
    /// Exponential average, alpha 2 / (n + 1), started at the mean of the first n values; from bar n. TA-Lib's `EMA`.
    Ema { source: Source, period: usize },
    /// Average with weights 1 to n, the latest the heaviest; from bar n. TA-Lib's `WMA`.
    Wma { source: Source, period: usize },
    /// Wilder's smoothing: alpha 1 / n, started at the mean of the first n values; from bar n. Wilder, New Concepts in
    /// Technical Trading Systems (1978).
    Rma { source: Source, period: usize },
    /// Wilder's relative strength index, 0 to 100: 100 * gain / (gain + loss), both by [`Rma`](Self::Rma); from bar
    /// n + 1. TA-Lib's `RSI`, but 50 and not 0 where nothing moved.
    Rsi { source: Source, period: usize },
    /// The fast exponential average less the slow one, its own exponential average (the signal), and the difference of
    /// these (the histogram); all from bar slow + signal - 1. The fast average starts slow - fast bars late. Appel (1979);
    /// TA-Lib's `MACD`.
    Macd { source: Source, fast: usize, slow: usize, signal: usize, output: MacdOutput },
    /// The mean of the last n values, and so many standard deviations (ddof 0) above and below; from bar n. Bollinger;
    /// TA-Lib's `BBANDS`.
    Bollinger { source: Source, period: usize, deviations: f64, output: BandOutput },
    /// Wilder's average true range, US dollars: the [`Rma`](Self::Rma) of [`TrueRange`](Self::TrueRange); from bar
    /// n + 1. TA-Lib's `ATR`.
    Atr { period: usize },
    /// max(high, close before) - min(low, close before), US dollars; from bar 2. Wilder (1978); TA-Lib's `TRANGE`.
    TrueRange,
    /// The standard deviation of the last n values (ddof 0); from bar n. TA-Lib's `STDDEV`.
    StandardDeviation { source: Source, period: usize },
    /// (value - mean) / standard deviation of the last n (ddof 0); from bar n, none where they are all equal. pandas'
    /// `(x - x.rolling(n).mean()) / x.rolling(n).std(ddof=0)`.
    ZScore { source: Source, period: usize },
    /// (value / value n bars before - 1) * 100, in percent, 0 where that was 0; from bar n + 1. TA-Lib's `ROC`.
    RateOfChange { source: Source, period: usize },
    /// The largest of the last n values; from bar n. TA-Lib's `MAX`.
    Highest { source: Source, period: usize },
    /// The smallest of the last n values; from bar n. TA-Lib's `MIN`.
    Lowest { source: Source, period: usize },
    /// Wilder's average directional index, 0 to 100, from bar 2n, and the two indicators that it is made of, from bar
    /// n + 1. The smoothed movements start as the sum of the first n - 1. Wilder (1978); TA-Lib's `ADX`, `PLUS_DI` and
    /// `MINUS_DI`.
    Adx { period: usize, output: AdxOutput },
    /// Lane's stochastic, 0 to 100: (close - lowest low) / (highest high - lowest low) of n bars, 0 where these are
    /// equal; K is the mean of `smooth_k` of these, D that of `smooth_d` K; both from bar n + `smooth_k` + `smooth_d` - 2.
    /// TA-Lib's `STOCH` with simple averages.
    Stochastic { period: usize, smooth_k: usize, smooth_d: usize, output: StochasticOutput },
    /// Lambert's commodity channel index: (typical - mean) / (0.015 * mean distance from the mean) of n bars, 0 where
    /// all are equal; from bar n. TA-Lib's `CCI`.
    Cci { period: usize },
    /// The mean typical price of the New York day so far, weighed by volume, US dollars; from the first bar with a
    /// volume. pandas' `(typical * volume).groupby(day).cumsum() / volume.groupby(day).cumsum()`.
    SessionVwap,
    /// Granville's on-balance volume, shares: volume added where the close rose, taken off where it fell; the first
    /// bar's is added. From bar 1. TA-Lib's `OBV`.
    Obv,
    /// The exponential average of n closes, and so many average true ranges above and below; from bar n or
    /// `atr_period` + 1, whichever is later. Keltner (1960) in the form of Raschke; TA-Lib's `EMA` and `ATR`.
    Keltner { period: usize, atr_period: usize, multiplier: f64, output: BandOutput },
    /// A stop so many average true ranges from (high + low) / 2, US dollars: it only comes nearer to the price until that
    /// closes beyond it, then it changes sides. The direction is 1 while the stop is below the price, -1 while above,
    /// and starts at -1; from bar n + 1. Seban; Pine's `ta.supertrend` with TA-Lib's `ATR`, which starts one bar after
    /// Pine's.
    SuperTrend { period: usize, multiplier: f64, output: SuperTrendOutput },
    /// Wilder's parabolic stop and reverse, US dollars: the stop goes towards the extreme of the course by `step`, more
    /// by `step` at each new extreme up to `maximum`; from bar 2. Wilder (1978); TA-Lib's `SAR`.
    ParabolicSar { step: f64, maximum: f64 },
    /// Pearson's correlation of the last n pairs of values, -1 to 1, 0 where one of them does not vary; from bar n.
    /// TA-Lib's `CORREL`.
    Correlation { source: Source, other: Source, period: usize },
    /// Slope of the last n returns of the source on those of the other, 0 where these do not vary; from bar n + 1.
    /// TA-Lib's `BETA(other, source)`, which takes the market first.
    Beta { source: Source, other: Source, period: usize },
    /// The source over the other, none where that is 0; from bar 1. pandas' `x / y`.
    Ratio { source: Source, other: Source },
    /// The line of least squares through the last n values: at the last bar, its slope per bar, and at the first bar of
    /// the n; from bar n. TA-Lib's `LINEARREG`, `LINEARREG_SLOPE` and `LINEARREG_INTERCEPT`.
    Regression { source: Source, period: usize, output: RegressionOutput },
    /// The standard deviation of the last n log returns (ddof 1) times the root of `periods_per_year`, a part of 1; from
    /// bar n + 1. A value of 0 or less is left out. pandas' `np.log(x).diff().rolling(n).std() * sqrt(year)`.
    RealizedVolatility { source: Source, period: usize, periods_per_year: f64 },
    /// Part of the last n values that is at most the latest, above 0 to 1; from bar n. pandas'
    /// `x.rolling(n).rank(method="max", pct=True)`.
    PercentRank { source: Source, period: usize },
    /// 1 on the bar on which `above` rose above `below`, having been at or below it on the bar before, else 0; from
    /// bar 2. Pine's `ta.crossover`.
    Crossover { above: Source, below: Source },
    /// 1 on the bar on which `above` fell below `below`, having been at or above it on the bar before, else 0; from
    /// bar 2. Pine's `ta.crossunder`.
    Crossunder { above: Source, below: Source },
    /// Bars since the source was last another number than 0, 0 on that bar; none before it ever was. Bars on which the
    /// source has no value count. Pine's `ta.barssince`.
    BarsSince { of: Source },
}

/// Which of its values a [`Indicator::Macd`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacdOutput {
    /// Fast average less slow average.
    Line,
    /// The average of the line.
    Signal,
    /// How far the line stands above its signal, in the unit of the source.
    Histogram,
}

/// Which line of a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandOutput {
    /// The band that prices are seldom above, in the unit of the source.
    Upper,
    /// The moving average between the two bands.
    Middle,
    /// The band that prices are seldom below, in the unit of the source.
    Lower,
}

/// Which of its values an [`Indicator::Adx`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdxOutput {
    /// How strong the movement is, whichever way.
    Adx,
    /// The part that went up.
    PlusDi,
    /// The part that went down.
    MinusDi,
}

/// Which of its values an [`Indicator::Stochastic`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StochasticOutput {
    /// The smoothed position of the close.
    K,
    /// The average of K.
    D,
}

/// Which of its values an [`Indicator::SuperTrend`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuperTrendOutput {
    /// The band that holds, US dollars.
    Line,
    /// 1 while the price is above the line, -1 while below.
    Direction,
}

/// Which of its values an [`Indicator::Regression`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegressionOutput {
    /// Fitted at the last bar.
    Value,
    /// How much the fitted line rises from one bar to the next.
    Slope,
    /// Fitted at the first bar of the period.
    Intercept,
}

/// What of an indicator is out of range.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum IndicatorError {
    /// A number of bars.
    #[error("{name} must be a whole number from {min} to {PERIOD_MAX}, was \"{was}\"")]
    Period {
        /// Of the field.
        name: &'static str,
        /// The smallest that this indicator is defined for.
        min: usize,
        /// As it was given.
        was: usize,
    },
    /// A factor.
    #[error("{name} must be a finite number above 0, was \"{was}\"")]
    Number {
        /// Of the field.
        name: &'static str,
        /// As it was given.
        was: f64,
    },
    /// Averages that are the wrong way round.
    #[error("fast must be below slow {slow}, was \"{fast}\"")]
    FastNotBelowSlow {
        /// As it was given.
        fast: usize,
        /// As it was given.
        slow: usize,
    },
    /// A step that is never taken whole.
    #[error("step must be at most maximum {maximum}, was \"{step}\"")]
    StepAboveMaximum {
        /// As it was given.
        step: f64,
        /// As it was given.
        maximum: f64,
    },
    /// Too many indicators made of each other.
    #[error("indicators must be made of each other at most {NESTING_MAX} deep, was \"{was}\"")]
    Nesting {
        /// How deep they were.
        was: usize,
    },
}

impl Indicator {
    /// Whether all that it is made of is in range.
    ///
    /// # Errors
    /// The first period, factor or depth that is not. What [`Self::start`] makes of such an indicator has no meaning.
    pub fn check(&self) -> Result<(), IndicatorError> {
        let was = self.depth();
        if was > NESTING_MAX {
            return Err(IndicatorError::Nesting { was });
        }
        self.check_own()?;
        self.inner().try_for_each(Self::check)
    }

    /// Symbols other than its own that it reads, each once, in the order in which they are written.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        self.note_symbols(&mut symbols);
        symbols
    }

    /// Bars after which it has its first value, at least.
    pub fn warm_up(&self) -> usize {
        let of_sources = self.sources().map(Source::warm_up).max().unwrap_or(1);
        let after = |bars: usize| of_sources.saturating_add(bars).saturating_sub(1);
        match *self {
            Self::Value(_) | Self::SessionVwap | Self::Obv | Self::BarsSince { .. } | Self::Ratio { .. } => {
                after(1)
            }
            Self::TrueRange
            | Self::ParabolicSar { .. }
            | Self::Crossover { .. }
            | Self::Crossunder { .. } => after(2),
            Self::Sma { period, .. }
            | Self::Ema { period, .. }
            | Self::Wma { period, .. }
            | Self::Rma { period, .. }
            | Self::Bollinger { period, .. }
            | Self::StandardDeviation { period, .. }
            | Self::ZScore { period, .. }
            | Self::Highest { period, .. }
            | Self::Lowest { period, .. }
            | Self::Cci { period }
            | Self::Correlation { period, .. }
            | Self::Regression { period, .. }
            | Self::PercentRank { period, .. } => after(period),
            Self::Rsi { period, .. }
            | Self::Atr { period }
            | Self::RateOfChange { period, .. }
            | Self::SuperTrend { period, .. }
            | Self::Beta { period, .. }
            | Self::RealizedVolatility { period, .. } => after(period.saturating_add(1)),
            Self::Adx { period, output: AdxOutput::Adx } => period.saturating_mul(2),
            Self::Adx { period, output: AdxOutput::PlusDi | AdxOutput::MinusDi } => period.saturating_add(1),
            Self::Macd { slow, signal, .. } => after(slow.saturating_add(signal).saturating_sub(1)),
            Self::Stochastic { period, smooth_k, smooth_d, .. } => {
                period.saturating_add(smooth_k).saturating_add(smooth_d).saturating_sub(2)
            }
            Self::Keltner { period, atr_period, .. } => period.max(atr_period.saturating_add(1)),
        }
    }

    /// What it is made of; a bar as a whole is none.
    fn sources(&self) -> impl Iterator<Item = &Source> {
        let (first, second) = match self {
            Self::Value(source)
            | Self::Sma { source, .. }
            | Self::Ema { source, .. }
            | Self::Wma { source, .. }
            | Self::Rma { source, .. }
            | Self::Rsi { source, .. }
            | Self::Macd { source, .. }
            | Self::Bollinger { source, .. }
            | Self::StandardDeviation { source, .. }
            | Self::ZScore { source, .. }
            | Self::RateOfChange { source, .. }
            | Self::Highest { source, .. }
            | Self::Lowest { source, .. }
            | Self::Regression { source, .. }
            | Self::RealizedVolatility { source, .. }
            | Self::PercentRank { source, .. }
            | Self::BarsSince { of: source } => (Some(source), None),
            Self::Correlation { source: first, other: second, .. }
            | Self::Beta { source: first, other: second, .. }
            | Self::Ratio { source: first, other: second }
            | Self::Crossover { above: first, below: second }
            | Self::Crossunder { above: first, below: second } => (Some(first), Some(second)),
            Self::Atr { .. }
            | Self::TrueRange
            | Self::Adx { .. }
            | Self::Stochastic { .. }
            | Self::Cci { .. }
            | Self::SessionVwap
            | Self::Obv
            | Self::Keltner { .. }
            | Self::SuperTrend { .. }
            | Self::ParabolicSar { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }

    fn inner(&self) -> impl Iterator<Item = &Self> {
        self.sources()
            .filter_map(|source| if let Source::Indicator(inner) = source { Some(&**inner) } else { None })
    }

    fn depth(&self) -> usize {
        1 + self.inner().map(Self::depth).max().unwrap_or(0)
    }

    fn note_symbols(&self, symbols: &mut Vec<Symbol>) {
        for source in self.sources() {
            match source {
                Source::Symbol(symbol) if !symbols.contains(symbol) => symbols.push(*symbol),
                Source::Indicator(inner) => inner.note_symbols(symbols),
                Source::Symbol(_)
                | Source::Open
                | Source::High
                | Source::Low
                | Source::Close
                | Source::Volume
                | Source::Typical
                | Source::Number(_) => {}
            }
        }
    }

    fn check_own(&self) -> Result<(), IndicatorError> {
        match *self {
            Self::Value(_)
            | Self::TrueRange
            | Self::SessionVwap
            | Self::Obv
            | Self::Ratio { .. }
            | Self::Crossover { .. }
            | Self::Crossunder { .. }
            | Self::BarsSince { .. } => Ok(()),
            Self::Sma { period, .. }
            | Self::Ema { period, .. }
            | Self::Wma { period, .. }
            | Self::Rma { period, .. }
            | Self::Rsi { period, .. }
            | Self::Atr { period }
            | Self::StandardDeviation { period, .. }
            | Self::RateOfChange { period, .. }
            | Self::Highest { period, .. }
            | Self::Lowest { period, .. }
            | Self::Adx { period, .. }
            | Self::Cci { period }
            | Self::PercentRank { period, .. } => bars("period", period, 1),
            Self::ZScore { period, .. }
            | Self::Correlation { period, .. }
            | Self::Beta { period, .. }
            | Self::Regression { period, .. } => bars("period", period, 2),
            Self::Macd { fast, slow, signal, .. } => {
                bars("fast", fast, 1)?;
                bars("slow", slow, 1)?;
                bars("signal", signal, 1)?;
                if fast < slow { Ok(()) } else { Err(IndicatorError::FastNotBelowSlow { fast, slow }) }
            }
            Self::Bollinger { period, deviations, .. } => {
                bars("period", period, 1)?;
                factor("deviations", deviations)
            }
            Self::Stochastic { period, smooth_k, smooth_d, .. } => {
                bars("period", period, 1)?;
                bars("smooth_k", smooth_k, 1)?;
                bars("smooth_d", smooth_d, 1)
            }
            Self::Keltner { period, atr_period, multiplier, .. } => {
                bars("period", period, 1)?;
                bars("atr_period", atr_period, 1)?;
                factor("multiplier", multiplier)
            }
            Self::SuperTrend { period, multiplier, .. } => {
                bars("period", period, 1)?;
                factor("multiplier", multiplier)
            }
            Self::ParabolicSar { step, maximum } => {
                factor("step", step)?;
                factor("maximum", maximum)?;
                if step <= maximum { Ok(()) } else { Err(IndicatorError::StepAboveMaximum { step, maximum }) }
            }
            Self::RealizedVolatility { period, periods_per_year, .. } => {
                bars("period", period, 2)?;
                factor("periods_per_year", periods_per_year)
            }
        }
    }
}

impl Source {
    fn warm_up(&self) -> usize {
        if let Self::Indicator(inner) = self { inner.warm_up() } else { 1 }
    }
}

fn bars(name: &'static str, was: usize, min: usize) -> Result<(), IndicatorError> {
    let is_in_range = (min..=PERIOD_MAX).contains(&was);
    if is_in_range { Ok(()) } else { Err(IndicatorError::Period { name, min, was }) }
}

fn factor(name: &'static str, was: f64) -> Result<(), IndicatorError> {
    if was.is_finite() && was > 0.0 { Ok(()) } else { Err(IndicatorError::Number { name, was }) }
}
