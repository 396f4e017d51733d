//! What holds of every indicator, and rolling values against a look through the window.

use proptest::prelude::*;

use super::window::{CoMoments, Line, Moments, Window};
use super::*;
use crate::clock::Timestamp;
use crate::market::Bar;

fn close(period: usize) -> Indicator {
    Indicator::Sma { source: Source::Close, period }
}

fn of(indicator: Indicator) -> Source {
    Source::Indicator(Box::new(indicator))
}

fn bar(close: f64) -> Bar {
    Bar { at: Timestamp::from_nanos(0), open: close, high: close, low: close, close, volume: 1.0 }
}

fn run(indicator: &Indicator, closes: &[f64]) -> Vec<Option<f64>> {
    let mut running = indicator.start();
    closes.iter().map(|close| running.next(&Input { bar: &bar(*close), other: &|_| None })).collect()
}

#[track_caller]
fn check(indicator: &Indicator, fault: &str) {
    assert_eq!(indicator.check().map_err(|fault| fault.to_string()), Err(fault.to_owned()));
}

#[test]
fn what_is_out_of_range_is_told_with_its_rule() {
    check(&close(0), "period must be a whole number from 1 to 100000, was \"0\"");
    check(&close(100_001), "period must be a whole number from 1 to 100000, was \"100001\"");
    let regression =
        Indicator::Regression { source: Source::Close, period: 1, output: RegressionOutput::Slope };
    check(&regression, "period must be a whole number from 2 to 100000, was \"1\"");
    let macd = |fast, slow, signal| Indicator::Macd {
        source: Source::Close,
        fast,
        slow,
        signal,
        output: MacdOutput::Line,
    };
    check(&macd(26, 12, 9), "fast must be below slow 12, was \"26\"");
    check(&macd(12, 26, 0), "signal must be a whole number from 1 to 100000, was \"0\"");
    let trend = |multiplier| Indicator::SuperTrend { period: 3, multiplier, output: SuperTrendOutput::Line };
    check(&trend(f64::NAN), "multiplier must be a finite number above 0, was \"NaN\"");
    check(&trend(-1.0), "multiplier must be a finite number above 0, was \"-1\"");
    let stop = Indicator::ParabolicSar { step: 0.3, maximum: 0.2 };
    check(&stop, "step must be at most maximum 0.2, was \"0.3\"");
    check(
        &Indicator::Sma { source: of(close(0)), period: 3 },
        "period must be a whole number from 1 to 100000, was \"0\"",
    );
}

#[test]
fn indicators_are_made_of_each_other_eight_deep_and_no_deeper() {
    let nested =
        |depth: usize| (1..depth).fold(close(2), |inner, _| Indicator::Sma { source: of(inner), period: 2 });
    assert_eq!(nested(8).check(), Ok(()));
    assert_eq!(nested(8).warm_up(), 9);
    check(&nested(9), "indicators must be made of each other at most 8 deep, was \"9\"");
}

#[test]
fn an_indicator_that_is_out_of_range_runs_without_a_panic() {
    for period in [0, usize::MAX] {
        for indicator in [
            close(period),
            Indicator::Regression { source: Source::Close, period, output: RegressionOutput::Value },
            Indicator::Adx { period, output: AdxOutput::Adx },
            Indicator::Stochastic { period, smooth_k: period, smooth_d: period, output: StochasticOutput::D },
        ] {
            run(&indicator, &[1.0, 2.0, 3.0]);
            assert!(indicator.check().is_err() && indicator.warm_up() < usize::MAX - 2 || period > 0);
        }
    }
}

#[test]
fn the_symbols_that_it_reads_are_told_once_each() {
    let [spy, qqq] = ["SPY", "QQQ"].map(|ticker| ticker.parse().unwrap());
    let other = of(Indicator::Sma { source: Source::Symbol(spy), period: 3 });
    let beta = Indicator::Beta { source: Source::Symbol(qqq), other, period: 5 };
    let crossover = Indicator::Crossover { above: of(beta), below: Source::Symbol(spy) };
    assert_eq!(crossover.symbols(), [qqq, spy]);
    assert_eq!(close(3).symbols(), []);
}

#[test]
fn an_average_of_another_symbol_waits_for_its_first_close() {
    let spy = "SPY".parse().unwrap();
    let mut running = Indicator::Sma { source: Source::Symbol(spy), period: 2 }.start();
    let found = [None, Some(4.0), Some(6.0)].map(|latest| {
        running.next(&Input { bar: &bar(1.0), other: &|symbol| latest.filter(|_| symbol == spy) })
    });
    assert_eq!(found, [None, None, Some(5.0)]);
}

#[test]
fn a_ratio_is_of_one_instant_and_has_no_value_where_the_other_is_0() {
    let mut ratio =
        Indicator::Ratio { source: Source::Close, other: Source::Symbol("X".parse().unwrap()) }.start();
    let others = [None, Some(2.0), Some(4.0), Some(0.0), Some(5.0)];
    let found = others.map(|other| ratio.next(&Input { bar: &bar(10.0), other: &|_| other }));
    assert_eq!(found, [None, Some(5.0), Some(2.5), None, Some(2.0)]);
}

#[test]
fn an_index_of_a_price_that_stands_still_is_its_middle() {
    let rsi = Indicator::Rsi { source: Source::Close, period: 2 };
    assert_eq!(run(&rsi, &[5.0; 4]), [None, None, Some(50.0), Some(50.0)]);
    let score = Indicator::ZScore { source: Source::Close, period: 2 };
    assert_eq!(run(&score, &[1.0, 1.0, 3.0]), [None, None, Some(1.0)]);
    let channel = Indicator::Cci { period: 3 };
    assert_eq!(run(&channel, &[0.1; 4]), [None, None, Some(0.0), Some(0.0)]);
}

#[test]
fn a_rise_above_is_told_on_its_bar_and_bars_are_counted_from_there() {
    let crossover = Indicator::Crossover { above: Source::Close, below: of(close(2)) };
    let since = Indicator::BarsSince { of: of(crossover.clone()) };
    let closes = [5.0, 4.0, 6.0, 7.0, 7.0, 7.0, 8.0];
    assert_eq!(run(&crossover, &closes)[1..], [None, Some(1.0), Some(0.0), Some(0.0), Some(0.0), Some(1.0)]);
    assert_eq!(run(&since, &closes)[1..], [None, Some(0.0), Some(1.0), Some(2.0), Some(3.0), Some(0.0)]);
    let crossunder = Indicator::Crossunder { above: Source::Close, below: of(close(2)) };
    assert_eq!(run(&crossunder, &[5.0, 6.0, 6.0, 5.0, 4.0])[2..], [Some(0.0), Some(1.0), Some(0.0)]);
}

#[test]
fn a_million_values_leave_no_drift() {
    let periods = [7, 390];
    let mut states: Vec<_> = periods
        .iter()
        .map(|period| (Sma::new(*period), Window::<Moments>::new(*period), Window::<Line>::new(*period)))
        .collect();
    let mut values = Vec::with_capacity(1_000_000);
    let mut seed = 7_u32;
    for index in 0..1_000_000_u32 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // A thousand large values, then a thousand small ones, and so on.
        let scale = if index / 1000 % 2 == 0 { 1e9 } else { 1e-4 };
        values.push(scale * (1.0 + f64::from(seed >> 8) / f64::from(1_u32 << 24)));
        for (state, period) in states.iter_mut().zip(periods) {
            let value = values[values.len() - 1];
            let found = (state.0.next(value), state.1.next(value), state.2.next(value));
            if index % 997 == 996 {
                let window = &values[values.len() - period..];
                holds(window, found.0.unwrap(), found.1.unwrap(), found.2.unwrap());
            }
        }
    }
}

/// That all of them equal what is computed of the window at once, by its largest value.
#[track_caller]
fn holds(window: &[f64], mean: f64, moments: Moments, Line(line): Line) {
    let n = window::number(window.len());
    let largest = window.iter().copied().fold(0.0, f64::max);
    let expected = window.iter().sum::<f64>() / n;
    let squares: f64 = window.iter().map(|value| (value - expected).powi(2)).sum();
    let middle = (n - 1.0) / 2.0;
    let places = (0..window.len()).map(|place| window::number(place) - middle);
    let products: f64 =
        window.iter().zip(places.clone()).map(|(value, place)| place * (value - expected)).sum();
    let near = |found: f64, wanted: f64, scale: f64| {
        assert!((found - wanted).abs() <= 1e-13 * n * scale, "{found}, wanted {wanted}, by {scale}");
    };
    near(mean, expected, largest);
    near(moments.mean, expected, largest);
    near(moments.deviation(0.0).powi(2), squares / n, largest * largest);
    near(line.products, products, largest * n);
    near(line.slope().unwrap_or(0.0) * line.x_squares, products, largest * n);
}

proptest! {
    #[test]
    fn the_mean_of_a_price_that_stands_still_is_that_price(
        before in prop::collection::vec(prop_oneof![0.0001..0.01, 1.0..1_000.0, 1e6..1e9], 0..30),
        price in 0.01..1e6, period in 1_usize..9
    ) {
        let mut sma = Sma::new(period);
        let mut moments = Window::<Moments>::new(period);
        for value in before {
            sma.next(value);
            moments.next(value);
        }
        for _ in 0..period {
            sma.next(price);
            moments.next(price);
        }
        prop_assert_eq!(sma.next(price), Some(price));
        let moments = moments.next(price).unwrap();
        prop_assert_eq!((moments.mean, moments.deviation(0.0)), (price, 0.0));
    }

    #[test]
    fn what_rolls_equals_a_look_through_the_window(
        values in prop::collection::vec(prop_oneof![0.0001..0.01, 1.0..1_000.0, 1e6..1e9], 1..300), period in 1_usize..40
    ) {
        let (mut sma, mut moments, mut line) = (Sma::new(period), Window::<Moments>::new(period), Window::<Line>::new(period));
        let (mut highest, mut lowest) = (Highest::new(period), Lowest::new(period));
        for (index, value) in values.iter().enumerate() {
            let found = (sma.next(*value), moments.next(*value), line.next(*value));
            let extremes = lowest.next(*value).zip(highest.next(*value));
            let Some(from) = (index + 1).checked_sub(period) else {
                prop_assert!(found.0.is_none() && found.1.is_none() && found.2.is_none() && extremes.is_none());
                continue;
            };
            let window = &values[from..=index];
            let least = window.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert_eq!(extremes, Some((least, window.iter().copied().fold(0.0, f64::max))));
            holds(window, found.0.unwrap(), found.1.unwrap(), found.2.unwrap());
        }
    }

    #[test]
    fn the_slope_of_pairs_equals_a_look_through_the_window(
        pairs in prop::collection::vec((-5.0..5.0, 90.0..110.0), 20..100), period in 2_usize..20
    ) {
        let mut rolling = Window::<CoMoments>::new(period);
        for (index, pair) in pairs.iter().enumerate() {
            let Some(found) = rolling.next(*pair) else { continue };
            let window = &pairs[index + 1 - period..=index];
            let n = window::number(period);
            let mean = window.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / n, sum.1 + y / n));
            let (products, squares) = window.iter().fold((0.0, 0.0), |sum, (x, y)| {
                (sum.0 + (x - mean.0) * (y - mean.1), sum.1 + (x - mean.0).powi(2))
            });
            prop_assert!((found.products - products).abs() < 1e-9 && (found.x_squares - squares).abs() < 1e-9);
        }
    }

    #[test]
    fn the_index_is_wilders_whatever_the_closes(closes in prop::collection::vec(1.0..100.0, 4..60)) {
        // By his own rule: the mean of the first n, then (n - 1) of n of what was, and the n-th of what is new.
        let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let smoothed = |part: fn(f64) -> f64| {
            let first = changes[..3].iter().map(|change| part(*change)).sum::<f64>() / 3.0;
            changes[3..].iter().fold(first, |mean, change| (mean * 2.0 + part(*change)) / 3.0)
        };
        let (gain, loss) = (smoothed(|change| change.max(0.0)), smoothed(|change| (-change).max(0.0)));
        let mut rsi = Rsi::new(3);
        let found = closes.iter().filter_map(|close| rsi.next(*close)).last().unwrap();
        prop_assert!((found - 100.0 * gain / (gain + loss)).abs() < 1e-9, "{found}");
    }
}

#[test]
fn the_average_follows_its_formula() {
    let mut started = Ema::started_at(3, 10.0);
    assert_eq!([10.0, 12.0, 8.0].map(|value| started.next(value)), [Some(10.0), Some(11.0), Some(9.5)]);
    let mut of_mean = Ema::new(3);
    assert_eq!([1.0, 2.0, 3.0, 6.0].map(|value| of_mean.next(value)), [None, None, Some(2.0), Some(4.0)]);
}

#[test]
fn the_index_is_wilders() {
    // His own example's first values: period 14, 70.46 at the 15th close (StockCharts' worked table, 2 decimals).
    let closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
        46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328,
    ];
    let mut rsi = Rsi::new(14);
    let found: Vec<String> =
        closes.iter().filter_map(|close| rsi.next(*close)).map(|index| format!("{index:.2}")).collect();
    assert_eq!(found, ["70.53", "66.32", "66.55"]);
}
