//! Whatever the market and the strategies do, the money is all there.

use bot::broker::simulated::{Fees, FillModel};
use bot::data::{Row, RowKind};
use bot::order::Side;
use bot::units::{BasisPoints, Quantity};
use proptest::prelude::*;

use super::*;

/// Bars whose opens and closes wander, with holes: (minutes to wait, open, close, volume).
fn market() -> impl Strategy<Value = Vec<(u8, u32, u32, u32)>> {
    prop::collection::vec((0u8..3, 50u32..150, 50u32..150, 0u32..200), 0..40)
}

fn rows(market: &[(u8, u32, u32, u32)]) -> Vec<Row> {
    let mut minute = 0;
    let row = |(wait, open, close, volume): &(u8, u32, u32, u32)| {
        minute += 1 + i64::from(*wait);
        let [open, close, volume] = [*open, *close, *volume].map(f64::from);
        Row { at: second(60 * minute), values: [open, open.max(close), open.min(close), close, volume] }
    };
    market.iter().map(row).collect()
}

fn model() -> impl Strategy<Value = ExecutionModel> {
    let fill = prop_oneof![Just(FillModel::NextOpen), Just(FillModel::SameClose)];
    let fees = prop_oneof![Just(Fees::None), Just(Fees::Alpaca), Just(Fees::Bps(BasisPoints::whole(7)))];
    (fill, fees, 0u16..30, 0u64..150, prop::option::of(1u8..100)).prop_map(
        |(fill, fees, slippage, latency, share)| ExecutionModel {
            fill,
            fees,
            slippage: BasisPoints::whole(slippage),
            latency: Duration::from_secs(latency),
            volume_share: share.map(Weight::percent),
            ..ExecutionModel::default()
        },
    )
}

/// Strengths in tenths.
fn strengths() -> impl Strategy<Value = Vec<i8>> {
    prop::collection::vec(-10i8..=10, 0..60)
}

fn says(name: &str, tenths: &[i8]) -> Acts {
    Acts::says(name, &tenths.iter().map(|tenth| f64::from(*tenth) / 10.0).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn equity_is_cash_plus_positions_and_what_was_earned(
        markets in (market(), market()),
        model in model(),
        signals in (strengths(), strengths()),
        flags in (any::<bool>(), any::<bool>(), any::<bool>()),
        cash in 500u32..20_000,
    ) {
        let (short, flip_in_one, is_net) = flags;
        let row_kind = RowKind::Bar { span: MINUTE };
        let sources = vec![
            source("X", row_kind, &rows(&markets.0), 3),
            source("Y", row_kind, &rows(&markets.1), 3),
        ];
        let mut strategies =
            vec![seat("one", says("X", &signals.0), 0), seat("two", says("X", &signals.1), 1)];
        for strategy in &mut strategies {
            strategy.member.sizing.short = short;
            strategy.member.weight = Weight::percent(50);
        }
        let mut setup = setup(sources, strategies);
        setup.cash = Money::whole(cash);
        setup.rules.limits.short = short;
        setup.rules.limits.flip_in_one = flip_in_one;
        setup.model = model.clone();
        setup.combine = if is_net { Combine::Net } else { Combine::Separate };
        let record = run(setup);
        balances(&record);

        // The same by the fills alone.
        let mut cash = Money::whole(cash);
        let mut held = Quantity::ZERO;
        for fill in &record.fills {
            let order = &record.orders[fill.order as usize];
            prop_assert!(fill.at >= order.at && fill.quantity <= order.quantity);
            prop_assert_eq!(order.symbol, symbol("X"));
            let money = fill.price * fill.quantity;
            let is_buy = order.side == Side::Buy;
            cash += if is_buy { -money } else { money };
            held += if is_buy { fill.quantity } else { -fill.quantity };
            cash -= fill.fee;
            prop_assert!(short || held >= Quantity::ZERO, "nothing is sold that is not held");
            // What a short position lost is owed; nothing else is.
            prop_assert!(short || !cash.is_negative(), "cash was {}", cash);
        }
        prop_assert_eq!(record.end.cash, cash);
        prop_assert_eq!(record.end.positions.get(&symbol("X")).copied().unwrap_or_default(), held);
        let orders = record.orders.iter();
        prop_assert!(orders.clone().is_sorted_by_key(|order| order.at));
        for order in orders {
            prop_assert!(order.final_at >= order.at, "{order:?}");
        }
        if let (Some(share), FillModel::NextOpen) = (model.volume_share, model.fill) {
            for row in &rows(&markets.0) {
                let most = row.values[4] * Money::new(share.get()).to_f64();
                for side in [Side::Buy, Side::Sell] {
                    let fills = record.fills.iter().filter(|fill| fill.at == row.at);
                    let sum: Quantity = fills
                        .filter(|fill| record.orders[fill.order as usize].side == side)
                        .map(|fill| fill.quantity)
                        .sum();
                    prop_assert!(sum.to_f64() <= most, "{sum} of {}", row.values[4]);
                }
            }
        }
    }
}
