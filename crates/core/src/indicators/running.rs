//! An indicator that runs: bars in, at most one number out for each.

use std::fmt;

use super::averages::{Ema, Macd, Sma, Wma};
use super::crossings::{BarsSince, Crossover};
use super::momentum::{Cci, PercentRank, RateOfChange, Rsi, Stochastic};
use super::pairs::{Beta, Correlation, Regression};
use super::trend::{Adx, ParabolicSar, SuperTrend};
use super::volatility::{Atr, Keltner, RealizedVolatility, Spread, SpreadMeasure, TrueRange};
use super::volume::{Obv, SessionVwap};
use super::window::{Highest, Lowest};
use super::{Indicator, Source};
use crate::market::Bar;
use crate::symbol::Symbol;

/// What one bar brings.
pub struct Input<'a> {
    /// The bar, of the indicator's own symbol.
    pub bar: &'a Bar,
    /// The latest close of another symbol; none where it has had no bar yet.
    pub other: &'a dyn Fn(Symbol) -> Option<f64>,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("bar", self.bar).finish_non_exhaustive()
    }
}

/// An indicator with what it keeps of the bars so far.
#[derive(Debug, Clone)]
pub struct RunningIndicator(State);

impl RunningIndicator {
    /// Its value on this bar; none before it is warm, and on a bar that lacks what it is made of. Always finite.
    #[inline]
    pub fn next(&mut self, input: &Input<'_>) -> Option<f64> {
        self.0.next(input).filter(|value| value.is_finite())
    }
}

/// One source, as a number for each bar.
#[derive(Debug, Clone)]
enum Feed {
    Field(fn(&Bar) -> f64),
    Symbol(Symbol),
    Number(f64),
    Indicator(Box<RunningIndicator>),
}

impl Feed {
    fn new(source: &Source) -> Self {
        match source {
            Source::Open => Self::Field(|bar| bar.open),
            Source::High => Self::Field(|bar| bar.high),
            Source::Low => Self::Field(|bar| bar.low),
            Source::Close => Self::Field(|bar| bar.close),
            Source::Volume => Self::Field(|bar| bar.volume),
            Source::Typical => Self::Field(typical),
            Source::Symbol(symbol) => Self::Symbol(*symbol),
            Source::Number(number) => Self::Number(*number),
            Source::Indicator(indicator) => Self::Indicator(Box::new(indicator.start())),
        }
    }

    #[inline]
    fn next(&mut self, input: &Input<'_>) -> Option<f64> {
        let value = match self {
            Self::Field(field) => field(input.bar),
            Self::Symbol(symbol) => (input.other)(*symbol)?,
            Self::Number(number) => *number,
            Self::Indicator(indicator) => return indicator.next(input),
        };
        value.is_finite().then_some(value)
    }
}

fn typical(bar: &Bar) -> f64 {
    (bar.high + bar.low + bar.close) / 3.0
}

/// What is fed, and the state that it is fed to; without a feed it is bars that have prices.
#[derive(Debug, Clone)]
enum State {
    Value(Feed),
    Sma(Feed, Sma),
    Ema(Feed, Ema),
    Wma(Feed, Wma),
    Rsi(Feed, Rsi),
    Macd(Feed, Macd),
    Spread(Feed, Spread),
    RateOfChange(Feed, RateOfChange),
    Highest(Feed, Highest),
    Lowest(Feed, Lowest),
    Regression(Feed, Regression),
    RealizedVolatility(Feed, RealizedVolatility),
    PercentRank(Feed, PercentRank),
    BarsSince(Feed, BarsSince),
    Correlation(Feed, Feed, Correlation),
    Beta(Feed, Feed, Beta),
    Ratio(Feed, Feed),
    Crossover(Feed, Feed, Crossover),
    Atr(Atr),
    TrueRange(TrueRange),
    Adx(Adx),
    Stochastic(Stochastic),
    Cci(Cci),
    SessionVwap(SessionVwap),
    Obv(Obv),
    Keltner(Keltner),
    SuperTrend(SuperTrend),
    ParabolicSar(ParabolicSar),
}

impl Indicator {
    /// A running one that has had no bar yet. All memory that it needs is allocated here.
    pub fn start(&self) -> RunningIndicator {
        let feed = Feed::new;
        let spread = |source, period, measure| State::Spread(feed(source), Spread::new(period, measure));
        RunningIndicator(match *self {
            Self::Value(ref source) => State::Value(feed(source)),
            Self::Sma { ref source, period } => State::Sma(feed(source), Sma::new(period)),
            Self::Ema { ref source, period } => State::Ema(feed(source), Ema::new(period)),
            Self::Wma { ref source, period } => State::Wma(feed(source), Wma::new(period)),
            Self::Rma { ref source, period } => State::Ema(feed(source), Ema::wilder(period)),
            Self::Rsi { ref source, period } => State::Rsi(feed(source), Rsi::new(period)),
            Self::Macd { ref source, fast, slow, signal, output } => {
                State::Macd(feed(source), Macd::new(fast, slow, signal, output))
            }
            Self::Bollinger { ref source, period, deviations, output } => {
                spread(source, period, SpreadMeasure::Band { deviations, output })
            }
            Self::StandardDeviation { ref source, period } => {
                spread(source, period, SpreadMeasure::Deviation)
            }
            Self::ZScore { ref source, period } => spread(source, period, SpreadMeasure::ZScore),
            Self::RateOfChange { ref source, period } => {
                State::RateOfChange(feed(source), RateOfChange::new(period))
            }
            Self::Highest { ref source, period } => State::Highest(feed(source), Highest::new(period)),
            Self::Lowest { ref source, period } => State::Lowest(feed(source), Lowest::new(period)),
            Self::Regression { ref source, period, output } => {
                State::Regression(feed(source), Regression::new(period, output))
            }
            Self::RealizedVolatility { ref source, period, periods_per_year } => {
                State::RealizedVolatility(feed(source), RealizedVolatility::new(period, periods_per_year))
            }
            Self::PercentRank { ref source, period } => {
                State::PercentRank(feed(source), PercentRank::new(period))
            }
            Self::BarsSince { ref of } => State::BarsSince(feed(of), BarsSince::default()),
            Self::Correlation { ref source, ref other, period } => {
                State::Correlation(feed(source), feed(other), Correlation::new(period))
            }
            Self::Beta { ref source, ref other, period } => {
                State::Beta(feed(source), feed(other), Beta::new(period))
            }
            Self::Ratio { ref source, ref other } => State::Ratio(feed(source), feed(other)),
            Self::Crossover { ref above, ref below } => {
                State::Crossover(feed(above), feed(below), Crossover::default())
            }
            Self::Crossunder { ref above, ref below } => {
                State::Crossover(feed(below), feed(above), Crossover::default())
            }
            Self::Atr { period } => State::Atr(Atr::new(period)),
            Self::TrueRange => State::TrueRange(TrueRange::default()),
            Self::Adx { period, output } => State::Adx(Adx::new(period, output)),
            Self::Stochastic { period, smooth_k, smooth_d, output } => {
                State::Stochastic(Stochastic::new(period, smooth_k, smooth_d, output))
            }
            Self::Cci { period } => State::Cci(Cci::new(period)),
            Self::SessionVwap => State::SessionVwap(SessionVwap::new()),
            Self::Obv => State::Obv(Obv::default()),
            Self::Keltner { period, atr_period, multiplier, output } => {
                State::Keltner(Keltner::new(period, atr_period, multiplier, output))
            }
            Self::SuperTrend { period, multiplier, output } => {
                State::SuperTrend(SuperTrend::new(period, multiplier, output))
            }
            Self::ParabolicSar { step, maximum } => State::ParabolicSar(ParabolicSar::new(step, maximum)),
        })
    }
}

impl State {
    #[inline]
    fn next(&mut self, input: &Input<'_>) -> Option<f64> {
        match self {
            Self::Value(feed) => feed.next(input),
            Self::Sma(feed, state) => state.next(feed.next(input)?),
            Self::Ema(feed, state) => state.next(feed.next(input)?),
            Self::Wma(feed, state) => state.next(feed.next(input)?),
            Self::Rsi(feed, state) => state.next(feed.next(input)?),
            Self::Macd(feed, state) => state.next(feed.next(input)?),
            Self::Spread(feed, state) => state.next(feed.next(input)?),
            Self::RateOfChange(feed, state) => state.next(feed.next(input)?),
            Self::Highest(feed, state) => state.next(feed.next(input)?),
            Self::Lowest(feed, state) => state.next(feed.next(input)?),
            Self::Regression(feed, state) => state.next(feed.next(input)?),
            Self::RealizedVolatility(feed, state) => state.next(feed.next(input)?),
            Self::PercentRank(feed, state) => state.next(feed.next(input)?),
            Self::BarsSince(feed, state) => state.next(feed.next(input)),
            Self::Correlation(first, second, state) => {
                pair(first, second, input).and_then(|(first, second)| state.next(first, second))
            }
            Self::Beta(first, second, state) => {
                pair(first, second, input).and_then(|(first, second)| state.next(first, second))
            }
            // Not a number where both are 0, which no value is.
            Self::Ratio(first, second) => pair(first, second, input).map(|(first, second)| first / second),
            Self::Crossover(first, second, state) => {
                pair(first, second, input).and_then(|(first, second)| state.next(first, second))
            }
            Self::Atr(state) => state.next(priced(input)?),
            Self::TrueRange(state) => state.next(priced(input)?),
            Self::Adx(state) => state.next(priced(input)?),
            Self::Stochastic(state) => state.next(priced(input)?),
            Self::Cci(state) => state.next(typical(priced(input)?)),
            Self::SessionVwap(state) => {
                let bar = traded(input)?;
                state.next(bar, typical(bar))
            }
            Self::Obv(state) => Some(state.next(traded(input)?)),
            Self::Keltner(state) => state.next(priced(input)?),
            Self::SuperTrend(state) => state.next(priced(input)?),
            Self::ParabolicSar(state) => state.next(priced(input)?),
        }
    }
}

/// Both, so that each has had every bar, also where the other has no value yet.
#[inline]
fn pair(first: &mut Feed, second: &mut Feed, input: &Input<'_>) -> Option<(f64, f64)> {
    let (first, second) = (first.next(input), second.next(input));
    Some((first?, second?))
}

/// The bar, where its prices are known.
#[inline]
fn priced<'a>(input: &Input<'a>) -> Option<&'a Bar> {
    let Bar { high, low, close, .. } = *input.bar;
    (high.is_finite() && low.is_finite() && close.is_finite()).then_some(input.bar)
}

/// The bar, where its prices and its volume are known.
#[inline]
fn traded<'a>(input: &Input<'a>) -> Option<&'a Bar> {
    priced(input).filter(|bar| bar.volume.is_finite())
}
