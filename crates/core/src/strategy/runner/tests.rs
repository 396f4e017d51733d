//! What a runner promises: rhythm without drift, and failures that stay where they are.

use super::*;
use crate::market::{Bar, Number, Quote, Trade};
use crate::order::{OrderType, Side, TimeInForce};
use crate::sizing::SizeRule;
use crate::strategy::Needs;
use crate::units::Quantity;

/// Does what it is told on each event, and says the number of the event in its strength.
struct Told(Box<Does>, u32);

type Does = dyn FnMut(u32, &mut Intents) -> Result<(), StrategyError> + Send;

impl Strategy for Told {
    fn on_event(
        &mut self,
        _: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.1 += 1;
        self.0(self.1, intents)
    }

    fn on_timer(&mut self, _: Timestamp, _: &View<'_>, intents: &mut Intents) -> Result<(), StrategyError> {
        intents.signal(nvda(), 0.5)
    }
}

fn told(
    does: impl FnMut(u32, &mut Intents) -> Result<(), StrategyError> + Send + 'static,
    every: Every,
) -> Runner {
    Runner::new("cross", Box::new(Told(Box::new(does), 0)), &[nvda()], every)
}

fn nvda() -> Symbol {
    "NVDA".parse().unwrap()
}

fn tick(seconds: i64) -> MarketEvent {
    let at = Timestamp::from_secs(seconds);
    MarketEvent::Trade { symbol: nvda(), trade: Trade { at, price: 100.0, size: 1.0 } }
}

#[track_caller]
fn check_rhythm(every: Every, seconds: impl IntoIterator<Item = i64>, expected: &[i64]) {
    let mut runner = told(|_, intents| intents.signal(nvda(), 1.0), every);
    let found: Vec<i64> =
        seconds.into_iter().filter(|second| runner.on_event(&tick(*second)).unwrap().count() == 1).collect();
    assert_eq!(found, expected);
}

#[test]
fn it_is_asked_in_its_rhythm() {
    check_rhythm(Every::Event, 1..=4, &[1, 2, 3, 4]);
    check_rhythm(Every::count(5, 3).unwrap(), 1..=20, &[3, 8, 13, 18]);
    check_rhythm(Every::count(5, 0).unwrap(), 1..=20, &[5, 10, 15, 20]);
    let five = Every::span(Duration::from_secs(5)).unwrap();
    check_rhythm(five, 0..=15, &[0, 5, 10, 15]);
    // Late events do not move the grid, and a long silence is made up for once.
    check_rhythm(five, [0, 7, 9, 10, 31, 34, 35], &[0, 7, 10, 31, 35]);
}

#[test]
fn its_timer_keeps_to_the_grid_of_its_first_call() {
    let mut runner = told(|_, _| Ok(()), Every::span(Duration::from_secs(5)).unwrap());
    assert_eq!(runner.next_timer(), None);
    let rang: Vec<i64> = [0, 4, 6, 9, 10, 23, 25]
        .into_iter()
        .filter(|second| runner.on_timer(Timestamp::from_secs(*second)).unwrap().count() == 1)
        .collect();
    assert_eq!(rang, [6, 10, 23, 25]);
    assert_eq!(runner.next_timer(), Some(Timestamp::from_secs(30)));
    assert_eq!(told(|_, _| Ok(()), Every::Event).on_timer(Timestamp::MAX).unwrap().count(), 0);
}

#[test]
fn a_failure_names_the_strategy_and_drops_what_it_wanted() {
    let mut runner = told(
        |number, intents| {
            intents.signal(nvda(), 1.0)?;
            if number == 2 { intents.signal(nvda(), f64::NAN) } else { Ok(()) }
        },
        Every::Event,
    );
    assert_eq!(runner.on_event(&tick(1)).unwrap().count(), 1);
    let failure = runner.on_event(&tick(2)).err().unwrap();
    assert_eq!(
        failure.to_string(),
        "strategy \"cross\" failed: signal must be a number from -1 to 1, was NaN"
    );
    assert_eq!(runner.on_event(&tick(3)).unwrap().count(), 1);
}

#[test]
fn after_its_last_allowed_failure_it_is_stopped_and_says_so() {
    let mut runner = told(|_, _| Err(StrategyError::failed("no idea")), Every::Event).with_failures_max(2);
    assert!(!runner.on_event(&tick(1)).err().unwrap().is_stopped);
    let failure = runner.on_event(&tick(2)).err().unwrap();
    assert_eq!(failure.to_string(), "strategy \"cross\" failed: no idea; it is stopped");
    assert!(!runner.is_active() && runner.failures() == 2);
    assert_eq!(runner.on_event(&tick(3)).unwrap().count(), 0);
    assert!(runner.start().is_err());
}

#[test]
fn a_panic_stops_it_at_once_and_its_neighbour_goes_on() {
    let mut runner = told(|_, _| panic!("out of luck"), Every::Event).with_failures_max(0);
    let mut neighbour = told(|_, intents| intents.signal(nvda(), -1.0), Every::Event);
    let failure = runner.on_event(&tick(1)).err().unwrap();
    assert_eq!(failure.to_string(), "strategy \"cross\" failed: it panicked: out of luck; it is stopped");
    assert_eq!(neighbour.on_event(&tick(1)).unwrap().count(), 1);
    assert_eq!(runner.on_event(&tick(2)).unwrap().count(), 0);
}

#[test]
fn stopped_and_started_by_its_owner_it_goes_on() {
    let mut runner = told(|_, intents| intents.signal(nvda(), 1.0), Every::Event);
    runner.stop();
    assert_eq!(runner.on_event(&tick(1)).unwrap().count(), 0);
    runner.start().unwrap();
    assert_eq!(runner.on_event(&tick(2)).unwrap().count(), 1);
}

#[test]
fn intents_on_what_is_not_its_own_are_refused() {
    let spy = "SPY".parse().unwrap();
    let mut runner = told(move |_, intents| intents.signal(spy, 1.0), Every::Event);
    let failure = runner.on_event(&tick(1)).err().unwrap();
    assert!(failure.to_string().ends_with("symbol must be one of NVDA, was SPY"), "{failure}");

    let mut runner = told(
        |_, intents| {
            intents.push(Intent::Order {
                symbol: nvda(),
                side: Side::Buy,
                size: SizeRule::Shares(Quantity::ZERO),
                order_type: OrderType::Market,
                time_in_force: TimeInForce::Ioc,
                tag: None,
            });
            Ok(())
        },
        Every::Event,
    );
    let failure = runner.on_event(&tick(1)).err().unwrap();
    assert!(failure.to_string().ends_with("order must be above 0 shares, was 0"), "{failure}");
}

#[test]
fn prices_that_are_none_and_other_symbols_are_not_shown() {
    let mut runner = told(|_, intents| intents.signal(nvda(), 1.0), Every::Event);
    let at = Timestamp::from_secs(1);
    let trade = |price| MarketEvent::Trade { symbol: nvda(), trade: Trade { at, price, size: 1.0 } };
    let quote = |bid, ask| MarketEvent::Quote {
        symbol: nvda(),
        quote: Quote { at, bid, bid_size: 1.0, ask, ask_size: 1.0 },
    };
    let bar = Bar { at, open: 1.0, high: 1.0, low: 1.0, close: f64::INFINITY, volume: 0.0 };
    let spy = "SPY".parse().unwrap();
    for event in [
        trade(0.0),
        trade(-1.0),
        trade(f64::NAN),
        quote(0.0, 100.0),
        quote(100.0, 0.0),
        quote(101.0, 100.0),
        quote(f64::NAN, 100.0),
        MarketEvent::Bar { symbol: nvda(), bar, span: Duration::from_mins(1) },
        MarketEvent::Trade { symbol: spy, trade: Trade { at, price: 1.0, size: 1.0 } },
    ] {
        assert_eq!(runner.on_event(&event).unwrap().count(), 0, "{event:?}");
    }
    assert_eq!(runner.on_event(&quote(99.0, 100.0)).unwrap().count(), 1);
}

/// Says the mean of its window of NVDA in hundredths, and nothing without one.
struct Mean;

impl Strategy for Mean {
    fn needs(&self) -> Needs {
        Needs { horizon: Some(Duration::from_secs(10)), ..Needs::default() }
    }

    fn on_event(
        &mut self,
        _: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let mean = view.window(nvda()).and_then(|span| span.mean());
        mean.map_or(Ok(()), |mean| intents.signal(nvda(), mean / 100.0))
    }
}

#[test]
fn it_sees_what_has_happened_and_is_asked_only_on_its_own_data() {
    let spy: Symbol = "SPY".parse().unwrap();
    let trade = |symbol, second, price| {
        let at = Timestamp::from_secs(second);
        MarketEvent::Trade { symbol, trade: Trade { at, price, size: 1.0 } }
    };
    let number = Number { at: Timestamp::from_secs(3), value: -0.5 };
    let news = MarketEvent::Number { symbol: "NEWS".parse().unwrap(), number };
    let mut runner = Runner::new("mean", Box::new(Mean), &[nvda(), spy], Every::Event);
    let mut said = |event: &MarketEvent, is_own: bool| {
        if !is_own {
            runner.observe(event);
            return None;
        }
        let intent = runner.on_event(event).unwrap().next()?;
        let Intent::Signal { strength, .. } = intent else { panic!("{intent:?}") };
        Some(strength.get())
    };
    assert_eq!(said(&trade(nvda(), 1, 10.0), true), Some(0.1));
    assert_eq!(said(&trade("GE".parse().unwrap(), 2, 99.0), true), None, "it does not hear of a stranger");
    assert_eq!(said(&trade(nvda(), 2, 30.0), false), None);
    assert_eq!(said(&news, true), Some(0.2), "a number is shown");
    assert_eq!(said(&trade(spy, 12, 50.0), false), None);
    assert_eq!(said(&trade(nvda(), 12, 40.0), true), Some(0.35), "what is too old has left");
    assert_eq!(runner.view().latest(spy), Some(&trade(spy, 12, 50.0)));
    runner.stop();
    assert_eq!(runner.on_event(&trade(nvda(), 13, 50.0)).unwrap().count(), 0);
    assert_eq!(runner.view().window(nvda()).unwrap().len(), 2, "stopped, it misses nothing");
}

fn plotted(runner: &Runner) -> Vec<(i64, String, f64)> {
    let (names, points) = runner.plotted();
    let point =
        |point: &PlotPoint| (point.at.millis() / 1_000, names[usize::from(point.name)].clone(), point.value);
    points.iter().map(point).collect()
}

#[test]
fn what_a_call_plots_is_kept_with_its_time_unless_the_call_fails() {
    let plots = |event: u32, intents: &mut Intents| {
        intents.plot("event", event.into())?;
        if event == 2 { intents.plot("bad", f64::NAN) } else { intents.plot("odd", f64::from(event % 2)) }
    };
    let mut runner = told(plots, Every::Event);
    runner.keep_plots(PlotRoom::of(3));
    assert_eq!(runner.on_event(&tick(1)).unwrap().count(), 0, "a plot is no intent");
    let failure = runner.on_event(&tick(2)).err().unwrap().to_string();
    assert_eq!(failure, "strategy \"cross\" failed: plot \"bad\" must be of a finite number, was NaN");
    drop(runner.on_event(&tick(3)).unwrap());
    let expected = [(1, "event".to_owned(), 1.0), (1, "odd".to_owned(), 1.0), (3, "event".to_owned(), 3.0)];
    assert_eq!(plotted(&runner), expected);
    assert_eq!(runner.plot_count(), 4, "one had no room");
}

#[test]
fn nothing_is_plotted_while_it_warms_up_and_nothing_kept_where_nobody_looks() {
    struct Warm;
    impl Strategy for Warm {
        fn needs(&self) -> Needs {
            Needs { warm_up: 2, ..Needs::default() }
        }

        fn on_event(
            &mut self,
            _: &MarketEvent,
            _: &View<'_>,
            intents: &mut Intents,
        ) -> Result<(), StrategyError> {
            intents.plot("x", 1.0)
        }
    }
    let mut runner = Runner::new("warm", Box::new(Warm), &[nvda()], Every::Event);
    runner.keep_plots(PlotRoom::of(10));
    (1..=3).for_each(|second| drop(runner.on_event(&tick(second)).unwrap()));
    runner.set_warming_up(true);
    drop(runner.on_event(&tick(4)).unwrap());
    runner.set_warming_up(false);
    drop(runner.on_event(&tick(5)).unwrap());
    assert_eq!(plotted(&runner), [(3, "x".to_owned(), 1.0), (5, "x".to_owned(), 1.0)]);
    let mut live = told(|_, intents| intents.plot("x", 1.0), Every::Event);
    drop(live.on_event(&tick(1)).unwrap());
    assert_eq!((plotted(&live).len(), live.plot_count()), (0, 1));
}

#[test]
fn a_tag_is_of_the_intent_before_it() {
    let mut intents = Intents::default();
    let none = intents.tag("early").unwrap_err().to_string();
    assert_eq!(none, "tag must follow the intent that it is of, was \"early\" before any");
    intents.signal(nvda(), 1.0).unwrap();
    intents.tag("entry").unwrap();
    intents.close(nvda());
    assert!(intents.tag("a\nb").is_err());
    let tags: Vec<_> =
        intents.drain().map(|intent| intent.tag().map(|tag| tag.as_str().to_owned())).collect();
    assert_eq!(tags, [Some("entry".to_owned()), None]);
}
