//! Every indicator against TA-Lib 0.6.4 and pandas 3.1.1, whose numbers `scripts/indicators-fixture.py` wrote down.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::clock::Timestamp;
use crate::market::Bar;

#[derive(Deserialize)]
struct Fixture {
    /// Seconds, open, high, low, close, volume, and the close of the other symbol.
    bars: Vec<[f64; 7]>,
    indicators: BTreeMap<String, Vec<Option<f64>>>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/indicators.json")).unwrap()
}

impl Fixture {
    fn bars(&self) -> Vec<(Bar, f64)> {
        let bar = |[seconds, open, high, low, close, volume, other]: [f64; 7]| {
            #[allow(clippy::cast_possible_truncation, reason = "whole seconds")]
            let at = Timestamp::from_nanos(seconds as i64 * 1_000_000_000);
            (Bar { at, open, high, low, close, volume }, other)
        };
        self.bars.iter().copied().map(bar).collect()
    }
}

fn run(indicator: &Indicator, bars: &[(Bar, f64)]) -> Vec<Option<f64>> {
    let mut running = indicator.start();
    bars.iter().map(|(bar, close)| running.next(&Input { bar, other: &|_| Some(*close) })).collect()
}

fn of(indicator: Indicator) -> Source {
    Source::Indicator(Box::new(indicator))
}

/// By their names in the fixture.
fn indicators() -> Vec<(String, Indicator)> {
    let named = of_one_source().into_iter().chain(of_bars()).chain(of_two_sources());
    named.map(|(name, indicator)| (name.to_owned(), indicator)).chain(of_outputs()).collect()
}

fn of_one_source() -> Vec<(&'static str, Indicator)> {
    use Indicator as I;
    use Source::{Close, High, Low, Open, Typical, Volume};
    let regression = |output| I::Regression { source: Close, period: 14, output };
    let year = 252.0 * 390.0;
    vec![
        ("value_open", I::Value(Open)),
        ("sma_5", I::Sma { source: Close, period: 5 }),
        ("sma_30_volume", I::Sma { source: Volume, period: 30 }),
        ("ema_10", I::Ema { source: Close, period: 10 }),
        ("ema_7_typical", I::Ema { source: Typical, period: 7 }),
        ("wma_9", I::Wma { source: Close, period: 9 }),
        ("rma_14", I::Rma { source: Close, period: 14 }),
        ("rsi_14", I::Rsi { source: Close, period: 14 }),
        ("rsi_2", I::Rsi { source: Close, period: 2 }),
        ("standard_deviation_12", I::StandardDeviation { source: Close, period: 12 }),
        ("z_score_15", I::ZScore { source: Close, period: 15 }),
        ("rate_of_change_6", I::RateOfChange { source: Close, period: 6 }),
        ("highest_20_high", I::Highest { source: High, period: 20 }),
        ("lowest_20_low", I::Lowest { source: Low, period: 20 }),
        ("regression_14", regression(RegressionOutput::Value)),
        ("regression_slope_14", regression(RegressionOutput::Slope)),
        ("regression_intercept_14", regression(RegressionOutput::Intercept)),
        (
            "realized_volatility_20",
            I::RealizedVolatility { source: Close, period: 20, periods_per_year: year },
        ),
        ("percent_rank_25", I::PercentRank { source: Close, period: 25 }),
        ("sma_5_of_rsi_14", I::Sma { source: of(I::Rsi { source: Close, period: 14 }), period: 5 }),
        ("highest_10_of_atr_5", I::Highest { source: of(I::Atr { period: 5 }), period: 10 }),
    ]
}

fn of_bars() -> Vec<(&'static str, Indicator)> {
    use Indicator as I;
    let adx = |period, output| I::Adx { period, output };
    vec![
        ("atr_14", I::Atr { period: 14 }),
        ("true_range", I::TrueRange),
        ("adx_14", adx(14, AdxOutput::Adx)),
        ("adx_3", adx(3, AdxOutput::Adx)),
        ("plus_di_14", adx(14, AdxOutput::PlusDi)),
        ("minus_di_14", adx(14, AdxOutput::MinusDi)),
        ("cci_20", I::Cci { period: 20 }),
        ("session_vwap", I::SessionVwap),
        ("obv", I::Obv),
        ("parabolic_sar", I::ParabolicSar { step: 0.02, maximum: 0.2 }),
        ("parabolic_sar_steep", I::ParabolicSar { step: 0.1, maximum: 0.5 }),
    ]
}

fn of_two_sources() -> Vec<(&'static str, Indicator)> {
    use Indicator as I;
    use Source::Close;
    let other = Source::Symbol("SPY".parse().unwrap());
    let sma = |period| of(I::Sma { source: Close, period });
    let crossover = I::Crossover { above: sma(5), below: sma(20) };
    vec![
        ("correlation_20", I::Correlation { source: Close, other: other.clone(), period: 20 }),
        ("beta_20", I::Beta { source: Close, other, period: 20 }),
        ("crossover_5_20", crossover.clone()),
        ("crossunder_5_20", I::Crossunder { above: sma(5), below: sma(20) }),
        ("bars_since_crossover", I::BarsSince { of: of(crossover) }),
    ]
}

fn of_outputs() -> Vec<(String, Indicator)> {
    use Indicator as I;
    use Source::Close;
    let macd =
        [("line", MacdOutput::Line), ("signal", MacdOutput::Signal), ("histogram", MacdOutput::Histogram)];
    let bands = [("upper", BandOutput::Upper), ("middle", BandOutput::Middle), ("lower", BandOutput::Lower)];
    let stochastic = [("k", StochasticOutput::K), ("d", StochasticOutput::D)];
    let trend = [("line", SuperTrendOutput::Line), ("direction", SuperTrendOutput::Direction)];
    let macd = macd.map(|(name, output)| {
        let macd = I::Macd { source: Close, fast: 12, slow: 26, signal: 9, output };
        (format!("macd_12_26_9_{name}"), macd)
    });
    let bollinger = bands.map(|(name, output)| {
        let band = I::Bollinger { source: Close, period: 20, deviations: 2.5, output };
        (format!("bollinger_20_{name}"), band)
    });
    let keltner = bands.map(|(name, output)| {
        let band = I::Keltner { period: 20, atr_period: 10, multiplier: 1.5, output };
        (format!("keltner_20_10_{name}"), band)
    });
    let stochastic = stochastic.map(|(name, output)| {
        let stochastic = I::Stochastic { period: 14, smooth_k: 3, smooth_d: 4, output };
        (format!("stochastic_14_3_4_{name}"), stochastic)
    });
    let trend = trend.map(|(name, output)| {
        (format!("super_trend_7_{name}"), I::SuperTrend { period: 7, multiplier: 1.5, output })
    });
    macd.into_iter().chain(bollinger).chain(keltner).chain(stochastic).chain(trend).collect()
}

/// To 1e-9 of the value; of values near 0 to 1e-11, which is what prices of 100 leave of a difference.
fn same(found: Option<f64>, wanted: Option<f64>) -> bool {
    match (found, wanted) {
        (None, None) => true,
        (Some(found), Some(wanted)) => (found - wanted).abs() <= 1e-9 * wanted.abs() + 1e-11,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[test]
fn every_value_of_every_indicator_is_that_of_the_reference() {
    let fixture = fixture();
    let bars = fixture.bars();
    let mut faults = Vec::new();
    for (name, indicator) in indicators() {
        let wanted = fixture.indicators.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(wanted.len(), bars.len());
        let found = run(&indicator, &bars);
        let differs = found.iter().zip(wanted).position(|(found, wanted)| !same(*found, *wanted));
        let count = found.iter().zip(wanted).filter(|(found, wanted)| !same(**found, **wanted)).count();
        faults.extend(differs.map(|place| {
            format!("{name}: bar {place} is {:?}, wanted {:?}, {count} differ", found[place], wanted[place])
        }));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert_eq!(fixture.indicators.len(), indicators().len());
}

#[test]
fn the_first_value_comes_on_the_bar_that_the_warm_up_says() {
    let bars = fixture().bars();
    for (name, indicator) in indicators() {
        assert_eq!(indicator.check(), Ok(()), "{name}");
        let first = run(&indicator, &bars).iter().position(Option::is_some).unwrap() + 1;
        let waits_for_more = matches!(indicator, Indicator::BarsSince { .. } | Indicator::SessionVwap);
        let warm_up = indicator.warm_up();
        assert!(first == warm_up || (waits_for_more && first > warm_up), "{name}: {first}, not {warm_up}");
    }
}

#[test]
fn a_bar_without_numbers_has_no_value_and_changes_none_after_it() {
    let bars = fixture().bars();
    let lacking = |at: Timestamp| {
        let none = f64::NAN;
        (Bar { at, open: none, high: none, low: none, close: none, volume: none }, none)
    };
    for (name, indicator) in indicators() {
        if matches!(indicator, Indicator::BarsSince { .. }) {
            continue; // It counts bars.
        }
        let with_gaps: Vec<(Bar, f64)> = bars.iter().flat_map(|bar| [*bar, lacking(bar.0.at)]).collect();
        let found = run(&indicator, &with_gaps);
        assert!(found.iter().skip(1).step_by(2).all(Option::is_none), "{name}");
        let kept: Vec<Option<f64>> = found.into_iter().step_by(2).collect();
        assert_eq!(kept, run(&indicator, &bars), "{name}");
    }
}
