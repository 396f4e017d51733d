//! What the examples on bars of minutes do.

use chrono::Datelike;

use super::*;

/// Each symbol is bought when it is flat and sold whole.
#[track_caller]
fn goes_in_and_out(fills: &[Filled]) {
    for (symbol, fills) in by_symbol(fills) {
        for pair in fills.chunks(2) {
            assert!(pair[0].shares > 0.0 && pair[0].held > 0.0, "{symbol}: {pair:?}");
            assert!(pair.get(1).is_none_or(|out| out.held == 0.0), "{symbol}: {pair:?}");
        }
    }
}

#[test]
fn bollinger_buys_below_the_mean_and_leaves_at_it() {
    let fills = fills(&run("bollinger"));
    goes_in_and_out(&fills);
    let bars = bars("bollinger");
    for fill in &fills {
        let bars = &bars[&fill.symbol];
        let seen = &bars[..place_of(bars, fill.at)];
        let closes: Vec<f64> = seen.iter().rev().take(20).map(|bar| bar.values[3]).collect();
        let mean = closes.iter().sum::<f64>() / 20.0;
        assert_eq!(fill.shares > 0.0, closes[0] < mean, "{fill:?}");
        assert!(fill.shares.abs() * fill.price < 60_000.0, "an even share of the equity: {fill:?}");
    }
}

#[test]
fn atr_trail_leaves_below_its_best_close_and_not_before_it_fell_so_far() {
    let fills = fills(&run("atr_trail"));
    goes_in_and_out(&fills);
    let bars = bars("atr_trail");
    let mut gains = 0;
    for (symbol, fills) in by_symbol(&fills) {
        for pair in fills.chunks_exact(2) {
            let held = place_of(&bars[&symbol], pair[0].at)..place_of(&bars[&symbol], pair[1].at);
            let closes: Vec<f64> = bars[&symbol][held].iter().map(|bar| bar.values[3]).collect();
            let best = closes.iter().copied().fold(f64::MIN, f64::max);
            assert!(*closes.last().unwrap() < best, "{pair:?}");
            gains += usize::from(pair[1].price > pair[0].price);
        }
    }
    assert!(gains > 10, "the stop follows a gain: {gains}");
}

#[test]
fn opening_range_enters_once_a_session_after_half_an_hour_and_is_flat_at_each_close() {
    let fills = fills(&run("opening_range"));
    let mut sides = [0, 0];
    for (symbol, fills) in by_symbol(&fills) {
        for of_day in fills.chunk_by(|one, other| one.date() == other.date()) {
            let [entry, exit] = of_day else { panic!("{symbol}: {of_day:?}") };
            assert!("10:05" <= entry.time().as_str() && entry.time().as_str() < "15:55", "{entry:?}");
            assert_eq!((exit.time().as_str(), exit.held), ("15:55", 0.0), "{exit:?}");
            sides[usize::from(entry.shares > 0.0)] += 1;
        }
    }
    assert!(sides.iter().all(|entries| *entries >= 10), "short and long entries: {sides:?}");
}

#[test]
fn pairs_is_as_much_long_as_short_or_holds_nothing() {
    let record = run("pairs");
    let fills = fills(&record);
    let price = |symbol: Symbol, at: Timestamp| {
        fills.iter().rev().find(|fill| fill.symbol == symbol && fill.at <= at).unwrap().price
    };
    let mut entries = 0;
    for (at, held) in holdings(&fills) {
        let worth: Vec<f64> = held.iter().map(|(symbol, shares)| shares * price(*symbol, at)).collect();
        match worth[..] {
            [] => {}
            [one, other] => {
                assert!(one * other < 0.0 && (one + other).abs() < 0.02 * one.abs(), "{at}: {worth:?}");
                entries += 1;
            }
            _ => panic!("one leg alone at {at}: {held:?}"),
        }
    }
    assert!(entries >= 10, "{entries} entries");
}

#[test]
fn weekly_buy_buys_each_symbol_once_in_each_week_for_500_dollars() {
    let fills = fills(&run("weekly_buy"));
    let by_symbol = by_symbol(&fills);
    assert_eq!(by_symbol.len(), 2);
    for (symbol, fills) in by_symbol {
        let weeks: Vec<_> = fills.iter().map(|fill| fill.date().iso_week()).collect();
        let expected = NaiveDate::from_ymd_opt(2023, 1, 9).unwrap();
        let expected: Vec<_> = expected.iter_weeks().take(weeks.len()).map(|day| day.iso_week()).collect();
        assert_eq!(weeks, expected, "{symbol}");
        for fill in &fills {
            let cost = fill.shares * fill.price;
            assert!(fill.time() == "09:30" && cost > 490.0 - fill.price && cost < 510.0, "{fill:?}");
        }
    }
}

#[test]
fn grid_sells_each_step_above_where_it_bought() {
    let fills = fills(&run("grid"));
    let mut paid: Vec<f64> = Vec::new();
    let mut sold = 0;
    for fill in &fills {
        assert!((fill.shares.abs() - 100.0).abs() < 1e-9 && fill.held <= 800.0, "{fill:?}");
        if fill.shares > 0.0 {
            assert!(paid.last().is_none_or(|above| fill.price < *above), "{fill:?} after {paid:?}");
            paid.push(fill.price);
        } else {
            let bought = paid.pop().unwrap();
            assert!(fill.price > bought, "{fill:?} bought at {bought}");
            sold += 1;
        }
    }
    assert!(sold >= 10, "{sold} steps up");
}

#[test]
fn news_leaves_after_its_holding_time_and_not_before() {
    let fills = fills(&run("news"));
    goes_in_and_out(&fills);
    let bars = bars("news");
    let stays = fills.chunks_exact(2).map(|pair| {
        let bars = &bars[&pair[0].symbol];
        place_of(bars, pair[1].at) - place_of(bars, pair[0].at)
    });
    let stays: Vec<usize> = stays.collect();
    assert!(stays.len() >= 10 && stays.iter().all(|bars| *bars == 24), "{stays:?}");
}

#[test]
fn pyramid_adds_up_to_four_units_as_the_price_rises_and_leaves_at_once() {
    let fills = fills(&run("pyramid"));
    let mut whole = 0;
    for (symbol, fills) in by_symbol(&fills) {
        for of_one in fills.chunk_by(|_, other| other.held > 100.0 || other.shares < 0.0) {
            let (out, units) = of_one.split_last().unwrap();
            if out.held != 0.0 {
                continue; // It is still held at the end.
            }
            assert!((1..=4).contains(&units.len()), "{symbol}: {of_one:?}");
            assert!(units.is_sorted_by(|one, next| one.price < next.price), "{symbol}: {of_one:?}");
            assert!(units.iter().all(|unit| (unit.shares - 100.0).abs() < 1e-9), "{symbol}: {of_one:?}");
            whole += usize::from(units.len() == 4);
        }
    }
    assert!(whole >= 5, "{whole} of four units");
}
