//! Indicators as `indicators()` of a script names them: `sma(20)`, `bollinger(20, 2.0).upper`, `sma(200).on("1d")`,
//! `crossover(ema(10), ema(20))`, `highest("high", 20)`.

use std::time::Duration;

use rhai::{Dynamic, Engine, EvalAltResult, INT};

use super::numbers::number;
use bot_core::duration;
use bot_core::indicators::{
    AdxOutput, BandOutput, Indicator, MacdOutput, RegressionOutput, Source, StochasticOutput,
    SuperTrendOutput,
};
use bot_core::strategy::NamedIndicator;
use bot_core::symbol::Symbol;

/// An indicator that has no name yet.
#[derive(Debug, Clone)]
pub(super) struct Formula {
    indicator: Indicator,
    timeframe: Option<Duration>,
}

type FormulaResult = Result<Formula, Box<EvalAltResult>>;

impl Formula {
    /// The indicator, under the name that stands before it.
    pub(super) fn named(self, name: &str) -> NamedIndicator {
        NamedIndicator { name: name.to_owned(), timeframe: self.timeframe, indicator: self.indicator }
    }

    /// # Errors
    /// A period or another number that is out of range.
    fn of(indicator: Indicator) -> FormulaResult {
        indicator.check().map_err(|error| error.to_string())?;
        Ok(Self { indicator, timeframe: None })
    }
}

type OfPeriod = fn(Source, usize) -> Indicator;

/// Those of one source and one period.
const OF_PERIOD: [(&str, OfPeriod); 11] = [
    ("sma", |source, period| Indicator::Sma { source, period }),
    ("ema", |source, period| Indicator::Ema { source, period }),
    ("wma", |source, period| Indicator::Wma { source, period }),
    ("rma", |source, period| Indicator::Rma { source, period }),
    ("rsi", |source, period| Indicator::Rsi { source, period }),
    ("std_dev", |source, period| Indicator::StandardDeviation { source, period }),
    ("z_score", |source, period| Indicator::ZScore { source, period }),
    ("roc", |source, period| Indicator::RateOfChange { source, period }),
    ("highest", |source, period| Indicator::Highest { source, period }),
    ("lowest", |source, period| Indicator::Lowest { source, period }),
    ("percent_rank", |source, period| Indicator::PercentRank { source, period }),
];

/// Makes the indicators callable.
pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Formula>("Indicator");
    for (name, make) in OF_PERIOD {
        engine
            .register_fn(name, move |length: INT| Formula::of(make(usual(name), period(length)?)))
            .register_fn(name, move |of: Dynamic, length: INT| {
                Formula::of(make(source(&of)?, period(length)?))
            });
    }
    register_of_bars(engine);
    register_with_outputs(engine);
    register_of_two(engine);
    engine.register_fn("on", |formula: &mut Formula, timeframe: &str| -> FormulaResult {
        let span = duration::parse_timeframe(timeframe)
            .map_err(|rule| format!("timeframe {rule}, was \"{timeframe}\""))?;
        Ok(Formula { timeframe: Some(span), ..formula.clone() })
    });
}

/// Those of whole bars.
fn register_of_bars(engine: &mut Engine) {
    engine
        .register_fn("atr", |length: INT| Formula::of(Indicator::Atr { period: period(length)? }))
        .register_fn("true_range", || Formula::of(Indicator::TrueRange))
        .register_fn("cci", |length: INT| Formula::of(Indicator::Cci { period: period(length)? }))
        .register_fn("session_vwap", || Formula::of(Indicator::SessionVwap))
        .register_fn("obv", || Formula::of(Indicator::Obv))
        .register_fn("parabolic_sar", |step: Dynamic, maximum: Dynamic| {
            let (step, maximum) = (number("step", &step)?, number("maximum", &maximum)?);
            Formula::of(Indicator::ParabolicSar { step, maximum })
        })
        .register_fn("volatility", |length: INT, periods_per_year: Dynamic| {
            let periods_per_year = number("periods_per_year", &periods_per_year)?;
            let (source, period) = (Source::Close, period(length)?);
            Formula::of(Indicator::RealizedVolatility { source, period, periods_per_year })
        });
}

/// Those that say more than one thing; the first of them unless one is named: `macd(12, 26, 9).signal`.
fn register_with_outputs(engine: &mut Engine) {
    engine
        .register_fn("macd", |fast: INT, slow: INT, signal: INT| {
            let (fast, slow, signal) = (period(fast)?, period(slow)?, period(signal)?);
            Formula::of(Indicator::Macd {
                source: Source::Close,
                fast,
                slow,
                signal,
                output: MacdOutput::Line,
            })
        })
        .register_fn("bollinger", |length: INT, deviations: Dynamic| {
            let (period, deviations) = (period(length)?, number("deviations", &deviations)?);
            let (source, output) = (Source::Close, BandOutput::Middle);
            Formula::of(Indicator::Bollinger { source, period, deviations, output })
        })
        .register_fn("keltner", |length: INT, atr_length: INT, multiplier: Dynamic| {
            let (period, atr_period) = (period(length)?, period(atr_length)?);
            let multiplier = number("multiplier", &multiplier)?;
            Formula::of(Indicator::Keltner { period, atr_period, multiplier, output: BandOutput::Middle })
        })
        .register_fn("adx", |length: INT| {
            Formula::of(Indicator::Adx { period: period(length)?, output: AdxOutput::Adx })
        })
        .register_fn("stochastic", |length: INT, smooth_k: INT, smooth_d: INT| {
            let (period, smooth_k, smooth_d) = (period(length)?, period(smooth_k)?, period(smooth_d)?);
            Formula::of(Indicator::Stochastic { period, smooth_k, smooth_d, output: StochasticOutput::K })
        })
        .register_fn("supertrend", |length: INT, multiplier: Dynamic| {
            let (period, multiplier) = (period(length)?, number("multiplier", &multiplier)?);
            Formula::of(Indicator::SuperTrend { period, multiplier, output: SuperTrendOutput::Line })
        })
        .register_fn("regression", |length: INT| {
            let (source, output) = (Source::Close, RegressionOutput::Value);
            Formula::of(Indicator::Regression { source, period: period(length)?, output })
        });
    for name in OUTPUTS {
        engine.register_get(name, move |formula: &mut Formula| -> FormulaResult {
            let indicator = with_output(formula.indicator.clone(), name)
                .ok_or_else(|| format!("{name} must be an output of the indicator, which has no such"))?;
            Ok(Formula { indicator, ..formula.clone() })
        });
    }
}

/// Those of two series, or of what another one says.
fn register_of_two(engine: &mut Engine) {
    engine
        .register_fn("correlation", |other: Dynamic, length: INT| {
            let (source, other, period) = (Source::Close, source(&other)?, period(length)?);
            Formula::of(Indicator::Correlation { source, other, period })
        })
        .register_fn("beta", |other: Dynamic, length: INT| {
            let (source, other, period) = (Source::Close, source(&other)?, period(length)?);
            Formula::of(Indicator::Beta { source, other, period })
        })
        .register_fn("ratio", |of: Dynamic, other: Dynamic| {
            Formula::of(Indicator::Ratio { source: source(&of)?, other: source(&other)? })
        })
        .register_fn("crossover", |above: Dynamic, below: Dynamic| {
            Formula::of(Indicator::Crossover { above: source(&above)?, below: source(&below)? })
        })
        .register_fn("crossunder", |above: Dynamic, below: Dynamic| {
            Formula::of(Indicator::Crossunder { above: source(&above)?, below: source(&below)? })
        })
        .register_fn("bars_since", |of: Dynamic| Formula::of(Indicator::BarsSince { of: source(&of)? }))
        .register_fn("value", |of: Dynamic| Formula::of(Indicator::Value(source(&of)?)));
}

const OUTPUTS: [&str; 14] = [
    "line",
    "signal",
    "histogram",
    "upper",
    "middle",
    "lower",
    "adx",
    "plus",
    "minus",
    "k",
    "d",
    "direction",
    "slope",
    "intercept",
];

/// The same indicator with the output of this name; none where it has none.
#[allow(clippy::wildcard_enum_match_arm, reason = "the others say one thing")]
fn with_output(indicator: Indicator, name: &str) -> Option<Indicator> {
    let mut indicator = indicator;
    let found = match &mut indicator {
        Indicator::Macd { output, .. } => set(
            output,
            name,
            &[
                ("line", MacdOutput::Line),
                ("signal", MacdOutput::Signal),
                ("histogram", MacdOutput::Histogram),
            ],
        ),
        Indicator::Bollinger { output, .. } | Indicator::Keltner { output, .. } => set(
            output,
            name,
            &[("upper", BandOutput::Upper), ("middle", BandOutput::Middle), ("lower", BandOutput::Lower)],
        ),
        Indicator::Adx { output, .. } => set(
            output,
            name,
            &[("adx", AdxOutput::Adx), ("plus", AdxOutput::PlusDi), ("minus", AdxOutput::MinusDi)],
        ),
        Indicator::Stochastic { output, .. } => {
            set(output, name, &[("k", StochasticOutput::K), ("d", StochasticOutput::D)])
        }
        Indicator::SuperTrend { output, .. } => {
            set(output, name, &[("line", SuperTrendOutput::Line), ("direction", SuperTrendOutput::Direction)])
        }
        Indicator::Regression { output, .. } => set(
            output,
            name,
            &[("slope", RegressionOutput::Slope), ("intercept", RegressionOutput::Intercept)],
        ),
        _ => None,
    };
    found.map(|()| indicator)
}

fn set<Output: Copy>(output: &mut Output, name: &str, all: &[(&str, Output)]) -> Option<()> {
    *output = all.iter().find(|(own, _)| *own == name)?.1;
    Some(())
}

/// What an indicator is made of unless it says so.
fn usual(name: &str) -> Source {
    match name {
        "highest" => Source::High,
        "lowest" => Source::Low,
        _ => Source::Close,
    }
}

/// A field of the bar, a number, another symbol, or another indicator.
fn source(of: &Dynamic) -> Result<Source, Box<EvalAltResult>> {
    const FIELDS: [(&str, Source); 6] = [
        ("open", Source::Open),
        ("high", Source::High),
        ("low", Source::Low),
        ("close", Source::Close),
        ("volume", Source::Volume),
        ("typical", Source::Typical),
    ];
    if let Some(formula) = of.clone().try_cast::<Formula>() {
        if formula.timeframe.is_some() {
            return Err(
                "an indicator of another one must say its timeframe last, as in sma(rsi(14), 5).on(\"1h\")"
                    .into(),
            );
        }
        return Ok(Source::Indicator(Box::new(formula.indicator)));
    }
    if of.is_int() || of.is_float() {
        return Ok(Source::Number(number("source", of)?));
    }
    let text = of.clone().into_string().unwrap_or_default();
    if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == text) {
        return Ok(field.clone());
    }
    // Lower case is a field that is misspelt.
    let symbol = text.parse().ok().filter(|symbol: &Symbol| symbol.as_str() == text);
    symbol.map(Source::Symbol).ok_or_else(|| {
        let names = FIELDS.map(|(name, _)| name).join(", ");
        format!("source must be one of {names}, a number, a symbol or an indicator, was \"{of}\"").into()
    })
}

fn period(length: INT) -> Result<usize, Box<EvalAltResult>> {
    usize::try_from(length)
        .map_err(|_| format!("period must be a whole number above 0, was \"{length}\"").into())
}
