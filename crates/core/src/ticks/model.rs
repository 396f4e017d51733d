//! The window against a naive model: a sorted list that is searched from end to end.

use proptest::prelude::*;

use super::*;
use crate::market::Bar;

/// What the module head promises, in the plainest way.
struct Model {
    limits: WindowLimits,
    now: i64,
    ticks: Vec<Trade>,
}

impl Model {
    fn push(&mut self, now: i64, trade: Trade) {
        self.now = self.now.max(now);
        self.ticks.push(trade);
        self.ticks.sort_by_key(|tick| tick.at); // Stable: equals stay in the order of their arrival.
        self.let_go();
    }

    fn let_go(&mut self) {
        let horizon = i64::try_from(self.limits.horizon.as_nanos()).unwrap();
        self.ticks.retain(|tick| tick.at.nanos() >= self.now - horizon);
        let count_max = self.limits.count_max.map_or(usize::MAX, NonZeroUsize::get);
        self.ticks.drain(..self.ticks.len().saturating_sub(count_max));
    }
}

fn close_to(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * right.abs(),
        (left, right) => left == right,
    }
}

#[allow(clippy::cast_precision_loss)]
fn compare(span: Span<'_>, model: &[Trade], with_sizes: bool) {
    assert_eq!(span.iter().collect::<Vec<_>>(), model);
    assert_eq!(span.len(), model.len());
    let prices = || model.iter().map(|tick| tick.price);
    assert_eq!(span.open(), prices().next());
    assert_eq!(span.close(), prices().next_back());
    assert_eq!(span.high(), prices().reduce(f64::max));
    assert_eq!(span.low(), prices().reduce(f64::min));
    let mean = (!model.is_empty()).then(|| prices().sum::<f64>() / model.len() as f64);
    assert!(close_to(span.mean(), mean), "{:?} {mean:?}", span.mean());
    let volume: f64 = model.iter().map(|tick| tick.size).sum();
    let notional: f64 = model.iter().map(|tick| tick.size * tick.price).sum();
    let vwap = (volume > 0.0).then(|| notional / volume);
    assert!(close_to(span.vwap(), vwap.filter(|_| with_sizes)), "{:?} {vwap:?}", span.vwap());
    assert!(close_to(span.volume(), with_sizes.then_some(volume)));
}

/// Bars in the plainest way.
fn bars(model: &[Trade], width: i64) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for tick in model {
        let at = Timestamp::from_nanos(tick.at.nanos().div_euclid(width) * width);
        if let Some(bar) = bars.last_mut().filter(|bar| bar.at == at) {
            bar.high = bar.high.max(tick.price);
            bar.low = bar.low.min(tick.price);
            bar.close = tick.price;
            bar.volume += tick.size;
        } else {
            let price = tick.price;
            bars.push(Bar { at, open: price, high: price, low: price, close: price, volume: tick.size });
        }
    }
    bars
}

/// How time goes from one tick to the next.
#[derive(Debug, Clone, Copy)]
enum Pace {
    Forwards,
    Backwards,
    AnyOrder,
}

fn limits() -> impl Strategy<Value = WindowLimits> {
    let count = prop_oneof![Just(None), (1_usize..1_500).prop_map(NonZeroUsize::new)];
    (0_u64..4_000, count, any::<bool>()).prop_map(|(horizon, count_max, with_sizes)| WindowLimits {
        count_max,
        with_sizes,
        future_max: Duration::from_nanos(20),
        ..WindowLimits::new(Duration::from_nanos(horizon))
    })
}

fn pace() -> impl Strategy<Value = Pace> {
    prop_oneof![Just(Pace::Forwards), Just(Pace::Backwards), Just(Pace::AnyOrder)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_window_is_what_a_sorted_list_would_be(
        limits in limits(),
        pace in pace(),
        steps in prop::collection::vec((0_i64..4, 1_u32..1_000, 0_u32..3, 0_i64..3_000), 0..3_000),
        cuts in (0.0_f64..1.0, 0.0_f64..1.0),
        width in 1_i64..300,
    ) {
        let mut window = Window::new(limits);
        let mut model = Model { limits, now: i64::MIN / 2, ticks: Vec::new() };
        let (mut now, mut snapshots) = (10_000, Vec::new());
        for (number, (step, price, size, back)) in steps.iter().copied().enumerate() {
            let at = match pace {
                Pace::Forwards => { now += step; now }
                Pace::Backwards => now - i64::try_from(number).unwrap() / 2,
                Pace::AnyOrder => { now += step; now + 20 - back / 8 }
            };
            let size = if limits.with_sizes { f64::from(size) } else { 0.0 };
            let tick = Trade { at: Timestamp::from_nanos(at), price: f64::from(price) / 7.0, size };
            let placement = window.push(Timestamp::from_nanos(now), tick).unwrap();
            model.push(now, tick);
            prop_assert_eq!(window.len(), model.ticks.len());
            prop_assert_eq!(window.last(), model.ticks.last().copied());
            if placement == Placement::Newest {
                prop_assert_eq!(window.last(), Some(tick));
            }
            if number % 500 == 250 {
                snapshots.push((window.clone(), model.ticks.clone()));
            }
        }
        compare(window.all(), &model.ticks, limits.with_sizes);
        for (snapshot, ticks) in &snapshots {
            compare(snapshot.all(), ticks, limits.with_sizes);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
        let cut = |share: f64| -> usize { (share * model.ticks.len() as f64) as usize };
        let time = |index: usize| model.ticks.get(index).map_or(Timestamp::MAX, |tick| tick.at);
        let (from, to) = (time(cut(cuts.0.min(cuts.1))), time(cut(cuts.0.max(cuts.1))));
        let within = |tick: &&Trade| tick.at >= from && tick.at < to;
        let expected: Vec<_> = model.ticks.iter().filter(within).copied().collect();
        compare(window.between(from, to), &expected, limits.with_sizes);
        let expected: Vec<_> = model.ticks.iter().filter(|tick| tick.at >= from).copied().collect();
        compare(window.since(from), &expected, limits.with_sizes);
        compare(window.newest(expected.len()), &model.ticks[model.ticks.len() - expected.len()..], limits.with_sizes);
        let resampled: Vec<_> = window.all().bars(Duration::from_nanos(width.unsigned_abs())).collect();
        prop_assert_eq!(resampled, bars(&model.ticks, width));
        window.move_on(Timestamp::from_nanos(now + 1_000));
        model.now = model.now.max(now + 1_000);
        model.let_go();
        compare(window.all(), &model.ticks, limits.with_sizes);
    }
}

fn tick(at_secs: i64, price: f64) -> Trade {
    Trade { at: Timestamp::from_secs(at_secs), price, size: 0.0 }
}

fn pushed(ticks: &[Trade]) -> Window {
    let mut window = Window::new(WindowLimits::new(Duration::from_mins(1)));
    for tick in ticks {
        window.push(Timestamp::from_secs(1_000).max(tick.at), *tick).unwrap();
    }
    window
}

fn prices(window: &Window) -> Vec<f64> {
    window.all().iter().map(|tick| tick.price).collect()
}

#[test]
fn a_tick_exactly_one_horizon_old_is_kept() {
    let mut window = pushed(&[tick(940, 1.0), tick(941, 2.0), tick(1_000, 3.0)]);
    assert_eq!(prices(&window), [1.0, 2.0, 3.0]);
    window.move_on(Timestamp::from_secs(1_000) + Duration::from_nanos(1));
    assert_eq!(prices(&window), [2.0, 3.0]);
    assert_eq!(window.push(Timestamp::from_secs(1_000), tick(939, 4.0)), Ok(Placement::Expired));
    assert_eq!(prices(&window), [2.0, 3.0]);
}

#[test]
fn ticks_of_one_instant_are_all_kept_in_the_order_of_arrival() {
    let window = pushed(&[tick(990, 3.0), tick(995, 9.0), tick(990, 1.0), tick(990, 2.0)]);
    assert_eq!(prices(&window), [3.0, 1.0, 2.0, 9.0]);
}

#[test]
fn a_late_tick_is_put_in_its_place() {
    let mut window = pushed(&[tick(990, 1.0), tick(992, 3.0)]);
    assert_eq!(window.push(Timestamp::from_secs(1_000), tick(991, 2.0)), Ok(Placement::Earlier));
    assert_eq!(prices(&window), [1.0, 2.0, 3.0]);
}

#[test]
fn a_tick_far_in_the_future_does_not_wipe_the_window() {
    let mut window = pushed(&[tick(990, 1.0)]);
    let error = window.push(Timestamp::from_secs(1_000), tick(5_000, 2.0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tick time must be at most 5s ahead of the clock at 1970-01-01T00:16:40Z, was 1970-01-01T01:23:20Z"
    );
    assert_eq!(prices(&window), [1.0]);
    window.push(Timestamp::from_secs(1_050), tick(1_055, 2.0)).unwrap();
    assert_eq!(prices(&window), [1.0, 2.0], "the window moves by the clock, not by the tick");
}

#[track_caller]
fn check_refused(price: f64, size: f64, expected: &str) {
    let mut window = pushed(&[tick(990, 1.0)]);
    let trade = Trade { at: Timestamp::from_secs(1_000), price, size };
    let error = window.push(trade.at, trade).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(prices(&window), [1.0]);
}

#[test]
fn what_is_no_price_or_size_is_refused_and_changes_nothing() {
    check_refused(-1.0, 0.0, "price must be above 0 and at most 1e15, was -1.0");
    check_refused(0.0, 0.0, "price must be above 0 and at most 1e15, was 0.0");
    check_refused(f64::NAN, 0.0, "price must be above 0 and at most 1e15, was NaN");
    check_refused(f64::INFINITY, 0.0, "price must be above 0 and at most 1e15, was inf");
    check_refused(f64::NEG_INFINITY, 0.0, "price must be above 0 and at most 1e15, was -inf");
    check_refused(1e300, 0.0, "price must be above 0 and at most 1e15, was 1e300");
    check_refused(1.0, -1.0, "size must be from 0 to 1e15, was -1.0");
    check_refused(1.0, f64::NAN, "size must be from 0 to 1e15, was NaN");
}

#[test]
fn the_mean_does_not_drift() {
    let mut window = Window::new(WindowLimits::new(Duration::from_nanos(99)));
    for number in 0..300_000_i64 {
        let price = if number % 2 == 0 { 1e12 } else { 0.1 };
        let at = Timestamp::from_nanos(number);
        window.push(at, Trade { at, price, size: 0.0 }).unwrap();
    }
    for number in 300_000..300_100_i64 {
        let at = Timestamp::from_nanos(number);
        window.push(at, Trade { at, price: 0.1, size: 0.0 }).unwrap();
    }
    assert_eq!(window.len(), 100);
    assert!((window.all().mean().unwrap() - 0.1).abs() < 1e-15);
}

#[test]
fn the_ends_of_time_are_windows_too() {
    let mut window = Window::new(WindowLimits::new(Duration::MAX));
    for nanos in [0, i64::MAX] {
        let at = Timestamp::from_nanos(nanos);
        window.push(Timestamp::MAX, Trade { at, price: 1.0, size: 0.0 }).unwrap();
    }
    assert_eq!(window.all().bars(Duration::from_secs(1)).count(), 2);
    assert_eq!(window.all().bars(Duration::MAX).count(), 2);
    assert_eq!(window.all().bars(Duration::ZERO).count(), 2);
}
