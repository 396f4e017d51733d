//! What strategies hear, live: the series of their data sections, asked at their rhythm, warmed with the past.

use std::fmt::Write;
use std::time::Duration;

use bot::broker::simulated::{PriceModel, Timeframe};
use bot::clock::{Clock, Timestamp};
use bot::market::Bar;
use bot::series::MINUTE;

use super::by_hand::{ByHand, START, at, nvda};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn bar(at: Timestamp, price: f64) -> Bar {
    Bar { at, open: price, high: price, low: price, close: price, volume: 1.0 }
}

/// Up and down again, every 50 minutes or so, so that averages cross.
fn price(minute: u32) -> f64 {
    100.0 + (f64::from(minute) / 8.0).sin() * 2.0 + f64::from(minute % 7) / 10.0
}

const CROSS: &str = "[[strategy]]\nname = \"cross\"\nkind = \"ema_cross\"\nparams = { fast = 2, slow = 5 }\n\
    size = { rule = \"10sh\", mode = \"target\" }\n";

#[test]
fn a_strategy_on_bars_of_half_an_hour_is_asked_once_for_each() {
    let bed = ByHand::new();
    let manifest =
        format!("[risk]\nshort = true\n[data.nvda]\nkind = \"redis\"\ntimeframe = \"30min\"\n{CROSS}");
    bed.clock.advance(HALF_A_MINUTE);
    let summary = bed.run(&manifest, |hand| {
        for minute in 0..240 {
            hand.bar(nvda(), bar(at(START) + MINUTE * minute, price(minute)));
        }
    });
    let cross = &summary.strategies[0];
    assert_eq!((cross.events, cross.unsent), (8, 0));
    let sent = sent(&bed);
    assert!((2..=8).contains(&sent.len()), "{sent:?}");
    assert_eq!(cross.signals, sent.len() as u64);
    for sent in sent {
        assert_eq!(sent_at(&sent).nanos() % (30 * 60 * 1_000_000_000), 0, "{sent}");
    }
}

#[test]
fn a_bar_whose_last_minutes_are_empty_ends_with_the_clock() {
    let bed = ByHand::new();
    let manifest = format!("[data.nvda]\nkind = \"redis\"\ntimeframe = \"30min\"\n{CROSS}");
    let summary = bed.run(&manifest, |hand| {
        hand.bar(nvda(), bar(at(START), 100.0));
        hand.advance(MINUTE * 28);
        hand.quiet();
        hand.advance(Duration::from_secs(62));
        hand.quiet();
    });
    assert_eq!(summary.strategies[0].events, 1);
}

#[test]
fn what_a_strategy_may_look_at_is_in_its_view_and_never_asks_it() {
    let bed = ByHand::new();
    let script = "fn on_event(event) { if latest(\"SPY\").price == 777.0 { signal(event.symbol, 1); } }";
    bed.write("looks_strategy.rhai", script);
    let manifest = "[data.nvda]\nkind = \"redis\"\n[data.spy]\nkind = \"redis\"\ntimeframe = \"2min\"\n\
        [[strategy]]\nname = \"looks\"\nscript = \"looks_strategy.rhai\"\nsymbols = [\"NVDA\"]\nalso = [\"spy\"]\n\
        size = { rule = \"10sh\", mode = \"target\" }\n";
    let summary = bed.run(manifest, |hand| {
        for minute in 0..4 {
            let start = at(START) + MINUTE * minute;
            hand.bar(nvda(), bar(start, 100.0));
            hand.bar("SPY".parse().unwrap(), bar(start, 777.0));
        }
    });
    assert_eq!(summary.strategies[0].events, 4, "asked by its own bars alone");
    let outcomes = bed.stream.outcomes();
    let id = outcomes[0].decision.as_ref().unwrap().signal.producer_id.as_deref().unwrap();
    let first = at(START) + MINUTE * 2;
    assert_eq!((outcomes.len(), id), (1, &*format!("looks-{}-0", first.nanos())));
}

/// What the run's strategy sent, as `id strength`.
fn sent(bed: &ByHand) -> Vec<String> {
    let outcomes = bed.stream.outcomes();
    let signals = outcomes.iter().map(|outcome| &outcome.decision.as_ref().unwrap().signal);
    let sent = signals.filter(|signal| signal.step.is_none());
    sent.map(|signal| format!("{} {:?}", signal.producer_id.as_ref().unwrap(), signal.wanted.strength()))
        .collect()
}

/// When the event was that a signal came of.
fn sent_at(sent: &str) -> Timestamp {
    Timestamp::from_nanos(sent.split('-').nth(1).unwrap().parse().unwrap())
}

/// A run that begins after `start` minutes wants what one that ran from the first minute on wants, from its last intent on.
#[track_caller]
fn check_warmed(always: &[String], late: &[String], start: Timestamp) {
    let held = always.iter().rposition(|sent| sent_at(sent) <= start).unwrap();
    assert!(always.len() > held + 2, "{always:?}");
    assert_eq!(late, &always[held..]);
}

#[test]
fn a_run_that_is_warmed_from_its_file_wants_what_one_that_ran_all_along_wants() {
    let run = |from: u32| {
        let bed = ByHand::new();
        let mut csv = "time,open,high,low,close,volume\n".to_owned();
        for minute in 0..200 {
            let (at, price) = (at(START) + MINUTE * minute, price(minute));
            writeln!(csv, "{at},{price},{price},{price},{price},1").unwrap();
        }
        bed.write("nvda.csv", &csv);
        let manifest = format!(
            "[risk]\nshort = true\n[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\ntimeframe = \"5min\"\n{CROSS}"
        );
        bed.clock.advance(MINUTE * from + HALF_A_MINUTE);
        bed.run(&manifest, |hand| {
            hand.quiet();
            for minute in from..200 {
                hand.bar(nvda(), bar(at(START) + MINUTE * minute, price(minute)));
            }
        });
        sent(&bed)
    };
    let always = run(0);
    for late in [73, 99, 131] {
        check_warmed(&always, &run(late), at(START) + MINUTE * late + HALF_A_MINUTE);
    }
}

#[test]
fn a_run_that_is_warmed_with_the_brokers_bars_wants_what_one_that_ran_all_along_wants() {
    let run = |from: u32| {
        let bed = ByHand::with(PriceModel::Walk);
        let manifest = format!("[risk]\nshort = true\n[data.nvda]\nkind = \"redis\"\n{CROSS}");
        // Each minute's bar as the exchange made it.
        let end = |minute: u32| {
            let start = at(START) + MINUTE * minute;
            bed.clock.set(start + MINUTE);
            bed.venue.with(|core| {
                core.advance(bed.clock.now());
                core.bars(nvda(), Timeframe::Minutes(1), (start, start), false, 1)[0]
            })
        };
        (0..from).for_each(|minute| _ = end(minute));
        bed.clock.advance(HALF_A_MINUTE);
        bed.run(&manifest, |hand| {
            hand.quiet();
            for minute in from..60 {
                let bar = end(minute);
                hand.bar(nvda(), bar);
            }
        });
        sent(&bed)
    };
    let always = run(0);
    for late in [20, 33] {
        check_warmed(&always, &run(late), at(START) + MINUTE * late + HALF_A_MINUTE);
    }
}
