//! Nothing that happens later changes what was done before.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use bot::backtest::record::OrderSummary;
use bot::broker::simulated::FillModel;
use bot::data::{Row, RowKind};
use bot::market::MarketEvent;
use bot::strategy::Value;
use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["X", "Y", "NEWS"];

/// Trades by a hash of all that it can see, so that it would trade otherwise if it saw anything else.
fn gossip() -> Acts {
    let act = |view: &View<'_>, now: Timestamp, intents: &mut Intents| {
        let mut hash = DefaultHasher::new();
        (now, view.now()).hash(&mut hash);
        for name in NAMES {
            let latest = view.latest(symbol(name));
            latest.map(|event| (event.known_at(), event.price().to_bits())).hash(&mut hash);
            if let Some(window) = view.window(symbol(name)) {
                window
                    .iter()
                    .for_each(|tick| (tick.at, tick.price.to_bits(), tick.size.to_bits()).hash(&mut hash));
                (window.mean().map(f64::to_bits), window.vwap().map(f64::to_bits), window.len())
                    .hash(&mut hash);
            }
        }
        let tenths = i8::try_from(hash.finish() % 21).unwrap() - 10;
        intents
            .signal(symbol(if hash.finish().is_multiple_of(2) { "X" } else { "Y" }), f64::from(tenths) / 10.0)
    };
    let mut gossip =
        Acts::on_event(move |event, view, intents| act(view, event.known_at(), intents))
            .on_timer(move |now, view, intents| act(view, now, intents))
            .on_fill(move |fill, view, intents| {
                if fill.quantity.get().mantissa() % 3 == 0 { act(view, fill.at, intents) } else { Ok(()) }
            });
    gossip.horizon = Some(Duration::from_mins(10));
    gossip
}

/// Long when the next bar will close higher: it looks for that bar wherever it may look.
fn cheat() -> Acts {
    let mut cheat = Acts::on_event(|event, view, intents| {
        let later = |found: &MarketEvent| found.known_at() > event.known_at();
        let ahead = view.latest(symbol("X")).filter(|found| later(found)).map(MarketEvent::price);
        let ahead = ahead.or_else(|| {
            let window = view.window(symbol("X"))?;
            window.last().filter(|tick| tick.at > event.known_at()).map(|tick| tick.price)
        });
        match ahead {
            Some(price) => intents.signal(symbol("X"), if price > event.price() { 1.0 } else { -1.0 }),
            None => Ok(()),
        }
    });
    cheat.horizon = Some(Duration::from_hours(1));
    cheat
}

fn cross() -> Box<dyn strategy::Strategy> {
    let params = [("fast".to_owned(), Value::Whole(2)), ("slow".to_owned(), Value::Whole(4))].into();
    strategy::registry().make("ema_cross", &params, &[symbol("X")]).unwrap()
}

/// What happens at which second: of what, open, close.
type Events = Vec<(usize, i64, u32, u32)>;

fn sources(events: &Events, size: usize) -> Vec<(String, Box<dyn Source>)> {
    let of = |place: usize| {
        let mut rows: Vec<Row> = Vec::new();
        for (_, at, open, close) in events.iter().filter(|event| event.0 == place) {
            let [open, close] = [*open, *close].map(f64::from);
            let values = if place == 2 {
                [open / 100.0 - 1.0, 0.0, 0.0, 0.0, 0.0]
            } else {
                [open, open.max(close), open.min(close), close, 1e4]
            };
            rows.push(Row { at: second(*at), values });
        }
        rows.sort_by_key(|row| row.at);
        rows.dedup_by_key(|row| row.at);
        let row_kind = if place == 2 { RowKind::Number } else { RowKind::Bar { span: SPANS[place] } };
        source(NAMES[place], row_kind, &rows, size)
    };
    (0..3).map(of).collect()
}

const SPANS: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(5)];

fn play(events: &Events, fill: FillModel, latency: u64, size: usize) -> Record {
    let gossiping = also(seat("gossip", gossip(), 0), &[1, 2]);
    let every = Every::span(Duration::from_secs(70)).unwrap();
    let timed = also(paced("timed", gossip(), 2, every), &[0, 1]);
    let mut crossing = seat("cross", gossip(), 0);
    crossing.run = StrategyRun::new(Runner::new("cross", cross(), &[symbol("X")], Every::Event), true, true);
    let mut setup = setup(sources(events, size), vec![gossiping, timed, crossing]);
    setup.model.fill = fill;
    setup.model.latency = Duration::from_secs(latency);
    run(setup)
}

/// What was decided until `until`, without what became of it later.
fn decided(record: &Record, until: Timestamp) -> Vec<String> {
    let word = |order: &OrderSummary| {
        let is_refusal = !order.is_order;
        let (side, at) = (order.side, order.at.nanos());
        format!(
            "{} {side} {} {:?} {} {at} {is_refusal}",
            order.strategy, order.quantity, order.wanted, order.price_seen
        )
    };
    record.orders.iter().filter(|order| order.at <= until).map(word).collect()
}

/// Fills at prices that were known at `until`.
fn filled(record: &Record, until: Timestamp) -> Vec<String> {
    let fills = record.fills.iter().filter(|fill| fill.at <= until);
    fills.map(|fill| format!("{fill:?}")).collect()
}

fn events() -> impl proptest::strategy::Strategy<Value = Events> {
    prop::collection::vec((0usize..3, 0i64..40, 50u32..150, 50u32..150), 0..60).prop_map(|mut events| {
        for event in &mut events {
            event.1 *= if event.0 == 1 { 300 } else { 60 };
        }
        events
    })
}

fn fill_model() -> impl proptest::strategy::Strategy<Value = FillModel> {
    prop_oneof![Just(FillModel::NextOpen), Just(FillModel::SameClose)]
}

/// When an event is known.
fn known((place, at, ..): &(usize, i64, u32, u32)) -> i64 {
    at + SPANS.get(*place).map_or(0, |span| i64::try_from(span.as_secs()).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_comes_after_an_instant_changes_nothing_until_then(
        past in events(),
        futures in (events(), events()),
        instant in 0i64..2_400,
        fill in fill_model(),
        latency in 0u64..90,
    ) {
        let with = |future: &Events| {
            let until = past.iter().filter(|event| known(event) <= instant).copied();
            let after = future.iter().filter(|event| known(event) > instant).copied();
            // Timers ring as long as something comes, so something comes at the end in any case.
            let last = (0, 60_000, 100, 100 + u32::try_from(future.len()).unwrap());
            play(&until.chain(after).chain([last]).collect(), fill, latency, 4)
        };
        let (one, other) = (with(&futures.0), with(&futures.1));
        let until = second(instant);
        prop_assert_eq!(decided(&one, until), decided(&other, until));
        // An open is met before its bar is known: at the open itself, five minutes earlier at the most.
        let known = if fill == FillModel::NextOpen { until - SPANS[1] } else { until };
        prop_assert_eq!(filled(&one, known), filled(&other, known));
        let marks = |record: &Record| -> Vec<_> {
            let marks = record.marks.iter().filter(|mark| mark.at < until);
            marks.map(|mark| (mark.at, mark.equity.to_bits(), mark.cash.to_bits())).collect()
        };
        prop_assert_eq!(marks(&one), marks(&other));
    }

    #[test]
    fn chunks_and_repetition_change_nothing(events in events(), fill in fill_model(), size in 1usize..9) {
        let (one, other) = (play(&events, fill, 0, 1_000), play(&events, fill, 0, size));
        prop_assert_eq!(one.hash(), other.hash());
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

#[test]
fn a_strategy_that_would_profit_from_the_next_price_cannot_see_it() {
    let prices: Vec<(f64, f64)> =
        (0..200).map(|place| (100.0, 100.0 + f64::from(place * 7919 % 13))).collect();
    for fill in [FillModel::NextOpen, FillModel::SameClose] {
        let mut setup = setup(vec![bars("X", &prices)], vec![seat("cheat", cheat(), 0)]);
        setup.model.fill = fill;
        let record = run(setup);
        assert!(record.orders.is_empty(), "{:?}", told(&record));
        assert_eq!(record.end.equity, record.start_cash);
    }
}
