//! Promises of the bars that are made, kept over whole days and arbitrary pieces.

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A bar whose prices tell it from others: open and low `price`, high and close one more, volume 10.
fn bar(at: &str, price: f64) -> Bar {
    Bar { at: time(at), open: price, high: price + 1.0, low: price, close: price + 1.0, volume: 10.0 }
}

/// The bars that `pieces` make until nothing more comes.
fn resampled(pieces: &[(Bar, Duration)], span: Duration) -> Vec<Bar> {
    let (mut resampler, mut finished) = (Resampler::new(span), Vec::new());
    for (bar, bar_span) in pieces {
        resampler.push(*bar, *bar_span, &mut finished).unwrap();
    }
    finished.extend(resampler.close_until(Timestamp::MAX));
    finished
}

/// Pieces that start at these times make bars that start at those.
#[track_caller]
fn check(span_mins: u64, piece_mins: u64, pieces: &[&str], expected: &[&str]) {
    let piece = Duration::from_mins(piece_mins);
    let pieces: Vec<_> = pieces.iter().map(|at| (bar(at, 5.0), piece)).collect();
    let starts: Vec<_> =
        resampled(&pieces, Duration::from_mins(span_mins)).iter().map(|bar| bar.at.to_string()).collect();
    assert_eq!(starts, expected);
}

#[test]
fn a_bar_has_the_first_open_the_extremes_the_last_close_and_all_the_volume() {
    let piece =
        |at, open, high, low, close, volume| (Bar { at: time(at), open, high, low, close, volume }, MINUTE);
    let pieces = [
        piece("2026-01-05T14:30:00Z", 5.0, 6.0, 4.5, 5.5, 10.0),
        piece("2026-01-05T14:31:00Z", 5.5, 9.0, 5.0, 6.0, 20.0),
        piece("2026-01-05T14:59:00Z", 6.0, 7.0, 3.0, 4.0, 30.0),
    ];
    let at = time("2026-01-05T14:30:00Z");
    let whole = Bar { at, open: 5.0, high: 9.0, low: 3.0, close: 4.0, volume: 60.0 };
    assert_eq!(resampled(&pieces, Duration::from_mins(30)), [whole]);
    let mut pieces = pieces;
    pieces[1].0.volume = f64::NAN;
    assert!(resampled(&pieces, Duration::from_mins(30))[0].volume.is_nan());
}

#[test]
fn spans_are_counted_from_midnight_in_new_york_on_days_of_23_24_and_25_hours() {
    check(
        60,
        30,
        &["2026-01-05T14:30:00Z", "2026-01-05T15:00:00Z"],
        &["2026-01-05T14:00:00Z", "2026-01-05T15:00:00Z"],
    );
    // 2026-03-08 has 23 hours and 2026-11-01 has 25.
    check(
        1440,
        60,
        &["2026-03-08T05:00:00Z", "2026-03-09T03:00:00Z", "2026-03-09T04:00:00Z"],
        &["2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"],
    );
    check(
        1440,
        60,
        &["2026-11-01T04:00:00Z", "2026-11-02T04:00:00Z", "2026-11-02T05:00:00Z"],
        &["2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"],
    );
    // The hour that the clock shows twice is two.
    check(
        60,
        30,
        &["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z"],
        &["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z"],
    );
    // Four hours five times and three hours, then the next day.
    check(
        240,
        60,
        &["2026-03-09T03:00:00Z", "2026-03-09T04:00:00Z"],
        &["2026-03-09T01:00:00Z", "2026-03-09T04:00:00Z"],
    );
    // A day's bar that starts at midnight in London is that day's.
    check(
        1440,
        1440,
        &["2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"],
        &["2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z"],
    );
}

#[test]
fn a_bar_that_belongs_to_two_spans_is_refused() {
    let refused = |span_mins, at| {
        let mut resampler = Resampler::new(Duration::from_mins(span_mins));
        let error = resampler.push(bar(at, 5.0), Duration::from_hours(1), &mut Vec::new());
        assert_eq!(resampler.close_until(Timestamp::MAX), None);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refused(120, "2026-01-05T14:30:00Z"),
        "a bar of 1h must lie within one span of 2h, counted from midnight in New York, was from 2026-01-05T14:30:00Z"
    );
    assert_eq!(
        refused(30, "2026-01-05T14:00:00Z"),
        "a bar of 1h must lie within one span of 30m, counted from midnight in New York, was from 2026-01-05T14:00:00Z"
    );
}

#[test]
fn a_bar_is_given_when_its_last_piece_or_a_later_one_is_in_or_the_clock_says_so() {
    let (mut resampler, mut finished) = (Resampler::new(Duration::from_mins(2)), Vec::new());
    let mut push = |resampler: &mut Resampler, at| {
        resampler.push(bar(at, 5.0), MINUTE, &mut finished).unwrap();
        finished.drain(..).map(|bar| bar.at.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(push(&mut resampler, "2026-01-05T14:30:00Z"), [""; 0]);
    assert_eq!(push(&mut resampler, "2026-01-05T14:31:00Z"), ["2026-01-05T14:30:00Z"]);
    assert_eq!(push(&mut resampler, "2026-01-05T14:32:00Z"), [""; 0]);
    assert_eq!(
        push(&mut resampler, "2026-01-05T14:37:00Z"),
        ["2026-01-05T14:32:00Z", "2026-01-05T14:36:00Z"],
        "a span without pieces makes no bar"
    );
    assert_eq!(push(&mut resampler, "2026-01-05T14:38:00Z"), [""; 0]);
    assert_eq!(resampler.close_until(time("2026-01-05T14:39:59.999Z")), None);
    let closed = resampler.close_until(time("2026-01-05T14:40:00Z"));
    assert_eq!(closed.unwrap().at, time("2026-01-05T14:38:00Z"));
    assert_eq!(resampler.close_until(Timestamp::MAX), None);
}

#[test]
fn what_comes_for_a_closed_span_is_counted_and_for_one_that_made_no_bar_is_taken() {
    let (mut resampler, mut finished) = (Resampler::new(Duration::from_mins(2)), Vec::new());
    let mut push = |at| resampler.push(bar(at, 5.0), MINUTE, &mut finished).unwrap();
    push("2026-01-05T14:30:00Z");
    push("2026-01-05T14:31:00Z");
    push("2026-01-05T14:31:00Z");
    push("2026-01-05T14:34:00Z");
    push("2026-01-05T14:32:00Z");
    let closed = resampler.close_until(time("2026-01-05T14:40:00Z")).unwrap();
    assert_eq!((closed.at, closed.volume), (time("2026-01-05T14:34:00Z"), 10.0));
    resampler.push(bar("2026-01-05T14:36:00Z", 5.0), MINUTE, &mut finished).unwrap();
    let closed = resampler.close_until(time("2026-01-05T14:41:00Z")).unwrap();
    assert_eq!(closed.at, time("2026-01-05T14:36:00Z"));
    assert_eq!((finished.len(), resampler.late()), (1, 2));
}

#[test]
fn trades_make_bars_in_the_same_spans() {
    let mut bars = TradeBars::new(Duration::from_secs(10));
    let mut push = |at, price, size| bars.push(Trade { at: time(at), price, size });
    assert_eq!(push("2026-01-05T14:30:02Z", 5.0, 1.0), None);
    assert_eq!(push("2026-01-05T14:30:09Z", 6.0, 2.0), None);
    assert_eq!(push("2026-01-05T14:30:01Z", 4.0, 3.0), None);
    assert_eq!(push("2026-01-05T14:30:05Z", 9.0, 4.0), None);
    assert_eq!(push("2026-01-05T14:30:09Z", 7.0, 0.0), None);
    let at = time("2026-01-05T14:30:00Z");
    let whole = Bar { at, open: 4.0, high: 9.0, low: 4.0, close: 7.0, volume: 10.0 };
    assert_eq!(push("2026-01-05T14:30:30Z", 5.0, 1.0), Some(whole));
    assert_eq!(push("2026-01-05T14:30:20Z", 1.0, 1.0), None);
    assert_eq!(bars.close_until(time("2026-01-05T14:30:39Z")), None);
    let last =
        Bar { at: at + Duration::from_secs(30), open: 5.0, high: 5.0, low: 5.0, close: 5.0, volume: 1.0 };
    assert_eq!((bars.close_until(time("2026-01-05T14:30:40Z")), bars.late()), (Some(last), 1));
    assert_eq!(bars.close_until(Timestamp::MAX), None);
}

/// Some minutes of three days, one of which has 23, 24 or 25 hours.
fn minutes() -> impl Strategy<Value = Vec<(Bar, Duration)>> {
    let starts =
        prop::sample::select(vec!["2026-03-07T05:00:00Z", "2026-05-04T04:00:00Z", "2026-10-31T04:00:00Z"]);
    let row = (1_u64..120, 1_u32..100, 0_u32..9, 0_u32..9, 0_u32..1_000);
    (starts, prop::collection::vec(row, 1..120)).prop_map(|(start, rows)| {
        let mut at = time(start);
        let bar = |(step, low, rise, range, volume): (u64, u32, u32, u32, u32)| {
            at = at + MINUTE * u32::try_from(step).unwrap();
            let (low, high) = (f64::from(low), f64::from(low + rise + range));
            let bar = Bar { at, open: low + f64::from(rise), high, low, close: low, volume: volume.into() };
            (bar, MINUTE)
        };
        rows.into_iter().map(bar).collect()
    })
}

/// A span and a finer one that divides it.
fn spans() -> impl Strategy<Value = (Duration, Duration)> {
    let pairs = vec![(2, 10), (5, 30), (15, 60), (30, 60), (30, 240), (60, 420), (60, 1440), (5, 1440)];
    prop::sample::select(pairs)
        .prop_map(|(fine, span)| (Duration::from_mins(fine), Duration::from_mins(span)))
}

proptest! {
    #[test]
    fn resampling_in_two_steps_equals_one((fine, span) in spans(), minutes in minutes()) {
        let between: Vec<_> = resampled(&minutes, fine).into_iter().map(|bar| (bar, fine)).collect();
        prop_assert_eq!(resampled(&between, span), resampled(&minutes, span));
    }

    #[test]
    fn cutting_pieces_in_two_and_looking_at_the_clock_change_nothing((_, span) in spans(), minutes in minutes(), cut in 1_u64..60) {
        let (mut resampler, mut finished) = (Resampler::new(span), Vec::new());
        for (bar, _) in &minutes {
            let (first, rest) = (Duration::from_secs(cut), Duration::from_secs(60 - cut));
            let head = Bar { close: bar.high, volume: bar.volume / 2.0, ..*bar };
            let tail = Bar { at: bar.at + first, open: bar.high, volume: bar.volume / 2.0, ..*bar };
            resampler.push(head, first, &mut finished).unwrap();
            finished.extend(resampler.close_until(tail.at));
            resampler.push(tail, rest, &mut finished).unwrap();
            finished.extend(resampler.close_until(bar.at + MINUTE));
        }
        finished.extend(resampler.close_until(Timestamp::MAX));
        prop_assert_eq!(finished, resampled(&minutes, span));
    }

    #[test]
    fn no_volume_is_lost_and_no_bar_holds_what_is_not_in_it((_, span) in spans(), minutes in minutes()) {
        let bars = resampled(&minutes, span);
        let volume = |bars: &mut dyn Iterator<Item = &Bar>| bars.map(|bar| bar.volume).sum::<f64>().to_bits();
        prop_assert_eq!(volume(&mut bars.iter()), volume(&mut minutes.iter().map(|(bar, _)| bar)));
        for pair in bars.windows(2) {
            prop_assert!(pair[0].at < pair[1].at);
        }
        for bar in &bars {
            let inside = minutes.iter().filter(|(piece, _)| bar.at <= piece.at && piece.at < bar.at + span);
            prop_assert!(inside.clone().count() > 0);
            prop_assert!(bar.low <= bar.open && bar.open <= bar.high && bar.low <= bar.close);
        }
    }

    #[test]
    fn a_correction_equals_having_had_the_right_bar_at_first(
        (_, span) in spans(),
        minutes in minutes(),
        wrong in prop::collection::vec(any::<bool>(), 120),
    ) {
        let (mut resampler, mut finished) = (Resampler::new(span), Vec::new());
        for (place, (bar, _)) in minutes.iter().enumerate() {
            // The last piece of a span closes it: a correction of that one comes too late.
            let spoilt = Bar { open: 0.5, high: 1e6, low: 0.25, close: 2.0, volume: 7.0, ..*bar };
            let mut one = Resampler::new(span);
            let mut closes = Vec::new();
            one.push(*bar, MINUTE, &mut closes).unwrap();
            if wrong[place] && closes.is_empty() {
                resampler.push(spoilt, MINUTE, &mut finished).unwrap();
            }
            resampler.push(*bar, MINUTE, &mut finished).unwrap();
        }
        finished.extend(resampler.close_until(Timestamp::MAX));
        prop_assert_eq!(finished, resampled(&minutes, span));
        prop_assert_eq!(resampler.late(), 0);
    }

    #[test]
    fn pieces_of_the_open_span_may_come_in_any_order(minutes in minutes()) {
        // In one day, from its last piece to its first: none of them ends at midnight.
        let day = minutes[0].0.at.to_new_york().date_naive();
        let mut of_day: Vec<_> = minutes
            .into_iter()
            .filter(|(bar, _)| bar.at.to_new_york().date_naive() == day && bar.at + MINUTE < midnight(day.succ_opt().unwrap()))
            .collect();
        let in_order = resampled(&of_day, DAY);
        of_day.reverse();
        prop_assert_eq!(resampled(&of_day, DAY), in_order);
    }
}
