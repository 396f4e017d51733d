//! Strategies whose intents come together as one position: what is ordered, and which part of a fill is whose. Pure.

use crate::instrument::Instrument;
use crate::units::Quantity;

/// What each book is to move by when the net order is filled whole: place of the strategy, signed shares.
pub type Parts = Vec<(usize, Quantity)>;

/// The whole lots that are to be ordered so that each book comes from what it `expected` to what it `wanted`, and each
/// book's part of them: the parts sum to the order exactly. `expected` is what it holds once all orders have filled.
pub fn order(instrument: &Instrument, books: &[(usize, Quantity, Quantity)]) -> (Quantity, Parts) {
    let sum =
        |which: fn(&(usize, Quantity, Quantity)) -> Quantity| -> Quantity { books.iter().map(which).sum() };
    let wanted = instrument.floor_position(sum(|(_, _, wanted)| *wanted));
    let order = wanted - sum(|(_, expected, _)| *expected);
    let parts = books.iter().map(|(place, expected, wanted)| (*place, *wanted - *expected));
    let mut parts: Parts = parts.filter(|(_, part)| !part.is_zero()).collect();
    // Parts of a lot that the whole order leaves out are taken from the largest part.
    let rest = order - parts.iter().map(|(_, part)| *part).sum::<Quantity>();
    match parts.iter_mut().max_by_key(|(_, part)| part.abs()) {
        Some((_, largest)) => *largest += rest,
        None => debug_assert!(rest.is_zero(), "what is where it wants to be needs no order"),
    }
    (order, parts)
}

/// Each book's part of `filled` (signed) of an order of `ordered` shares; the parts sum to `filled` exactly.
pub fn split(parts: &Parts, ordered: Quantity, filled: Quantity) -> Parts {
    if filled == ordered || parts.is_empty() {
        return parts.clone();
    }
    let mut split: Parts =
        parts.iter().map(|(place, part)| (*place, share(*part, filled, ordered))).collect();
    let rest = filled - split.iter().map(|(_, part)| *part).sum::<Quantity>();
    if let Some((_, largest)) = split.iter_mut().max_by_key(|(_, part)| part.abs()) {
        *largest += rest;
    }
    split
}

/// `part` x `filled` / `ordered`, to 9 decimals.
fn share(part: Quantity, filled: Quantity, ordered: Quantity) -> Quantity {
    let exact = part.get().saturating_mul(filled.get());
    Quantity::new(exact.checked_div(ordered.get()).unwrap_or_default().round_dp(9))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn share() -> Instrument {
        Instrument::of("X".parse().unwrap())
    }

    fn shares(number: i64) -> Quantity {
        Quantity::new(number.into())
    }

    #[test]
    fn opposite_intents_are_netted() {
        let (ordered, parts) = order(&share(), &[(0, shares(0), shares(10)), (1, shares(0), shares(-4))]);
        assert_eq!((ordered, &parts), (shares(6), &vec![(0, shares(10)), (1, shares(-4))]));
        assert_eq!(split(&parts, ordered, shares(3)), vec![(0, shares(5)), (1, shares(-2))]);
        let (ordered, parts) = order(&share(), &[(0, shares(5), shares(0)), (1, shares(0), shares(5))]);
        assert_eq!((ordered, parts), (shares(0), vec![(0, shares(-5)), (1, shares(5))]));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_order_and_to_every_fill_of_it(
            books in prop::collection::vec((-500i64..500, -500i64..500), 1..6), filled in 0i64..=100
        ) {
            // Expected positions sum to whole shares, as the account's do; wanted ones are halves.
            let books: Vec<_> = books.into_iter().enumerate()
                .map(|(place, (expected, wanted))| (place, shares(expected), Quantity::new(Decimal::new(wanted * 5, 1))))
                .collect();
            let (ordered, parts) = order(&share(), &books);
            prop_assert_eq!(parts.iter().map(|(_, part)| *part).sum::<Quantity>(), ordered);
            let filled = Quantity::new(ordered.get() * Decimal::new(filled, 2)).whole();
            if !ordered.is_zero() {
                let split = split(&parts, ordered, filled);
                prop_assert_eq!(split.iter().map(|(_, part)| *part).sum::<Quantity>(), filled);
            }
        }
    }
}
