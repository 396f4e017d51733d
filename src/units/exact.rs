//! Exact arithmetic in 64 bits where the numbers are small enough, as prices and share counts are; else the library's.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// A number as whole units of `10^-scale`.
#[derive(Clone, Copy)]
struct Small {
    units: i64,
    scale: u32,
}

const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut place = 1;
    while place < powers.len() {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

/// Powers of ten that an `f64` holds exactly.
const POWERS_SEEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The sum, saturating.
#[inline]
pub(super) fn add(one: Decimal, other: Decimal) -> Decimal {
    if other.is_zero() {
        return one;
    }
    match alike(one, other).and_then(|(one, other, scale)| Some((one.checked_add(other)?, scale))) {
        Some((units, scale)) => Decimal::new(units, scale),
        None => add_unlike(one, other),
    }
}

#[cold]
fn add_unlike(one: Decimal, other: Decimal) -> Decimal {
    match aligned(one, other).and_then(|(one, other, scale)| Some((one.checked_add(other)?, scale))) {
        Some((units, scale)) => Decimal::new(units, scale),
        None => one.saturating_add(other),
    }
}

/// The difference, saturating.
#[inline]
pub(super) fn sub(one: Decimal, other: Decimal) -> Decimal {
    add(one, -other)
}

/// The product, saturating.
#[inline]
pub(super) fn mul(one: Decimal, other: Decimal) -> Decimal {
    let product = || {
        let (one, other) = (small(one)?, small(other)?);
        let scale = one.scale + other.scale;
        Some((one.units.checked_mul(other.units)?, scale)).filter(|(_, scale)| *scale <= Decimal::MAX_SCALE)
    };
    match product() {
        Some((units, scale)) => Decimal::new(units, scale),
        None => one.saturating_mul(other),
    }
}

/// `whole * part / of`, exactly where the quotient is a whole number of the product's units.
#[inline]
pub(super) fn share(whole: Decimal, part: Decimal, of: Decimal) -> Decimal {
    let exact = || {
        let (whole, part, of) = (small(whole)?, small(part)?, small(of)?);
        let product = whole.units.checked_mul(part.units)?;
        let scale = (whole.scale + part.scale).checked_sub(of.scale)?;
        let is_whole = product.checked_rem(of.units)? == 0;
        (is_whole && scale <= Decimal::MAX_SCALE).then(|| Decimal::new(product / of.units, scale))
    };
    if of.is_zero() {
        return Decimal::ZERO;
    }
    exact().unwrap_or_else(|| whole * part / of)
}

/// Which is more.
#[inline]
pub(super) fn cmp(one: Decimal, other: Decimal) -> Ordering {
    match alike(one, other) {
        Some((one, other, _)) => one.cmp(&other),
        None => cmp_unlike(one, other),
    }
}

#[cold]
fn cmp_unlike(one: Decimal, other: Decimal) -> Ordering {
    match aligned(one, other) {
        Some((one, other, _)) => one.cmp(&other),
        None => one.cmp(&other),
    }
}

/// Without its decimals.
#[inline]
pub(super) fn trunc(number: Decimal) -> Decimal {
    match small(number) {
        Some(Small { scale: 0, .. }) => number,
        Some(Small { units, scale }) if scale < 19 => Decimal::new(units / POWERS[scale as usize], 0),
        Some(_) | None => number.trunc(),
    }
}

/// The nearest `f64`.
#[inline]
#[allow(clippy::cast_precision_loss, reason = "it is checked that there is none")]
pub(super) fn seen(number: Decimal) -> f64 {
    const EXACT: i64 = 1 << 53;
    match small(number) {
        // Both are exact, so the quotient is rounded once.
        Some(Small { units, scale }) if scale < 16 && (-EXACT..EXACT).contains(&units) => {
            units as f64 / POWERS_SEEN[scale as usize]
        }
        Some(_) | None => number.to_f64().unwrap_or(f64::NAN),
    }
}

#[inline]
fn small(number: Decimal) -> Option<Small> {
    let parts = number.unpack();
    if parts.hi != 0 || parts.mid > i32::MAX.unsigned_abs() {
        return None;
    }
    let units = i64::from(parts.mid) << 32 | i64::from(parts.lo);
    Some(Small { units: if parts.negative { -units } else { units }, scale: parts.scale })
}

/// Both in the units that they share already.
#[inline]
fn alike(one: Decimal, other: Decimal) -> Option<(i64, i64, u32)> {
    let (one, other) = (small(one)?, small(other)?);
    (one.scale == other.scale).then_some((one.units, other.units, one.scale))
}

/// Both in the finer one's units.
fn aligned(one: Decimal, other: Decimal) -> Option<(i64, i64, u32)> {
    let (one, other) = (small(one)?, small(other)?);
    match one.scale.cmp(&other.scale) {
        Ordering::Equal => Some((one.units, other.units, one.scale)),
        Ordering::Less => Some((raise(one.units, other.scale - one.scale)?, other.units, other.scale)),
        Ordering::Greater => Some((one.units, raise(other.units, one.scale - other.scale)?, one.scale)),
    }
}

#[inline]
fn raise(units: i64, by: u32) -> Option<i64> {
    units.checked_mul(*POWERS.get(by as usize)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Decimal> {
        let units = prop_oneof![-1_000i64..1_000, any::<i64>().prop_map(|units| units >> 20), any::<i64>()];
        let small = (units, 0u32..12).prop_map(|(units, scale)| Decimal::new(units, scale));
        let huge = (any::<i128>(), 0u32..28).prop_map(|(units, scale)| {
            Decimal::try_from_i128_with_scale(units >> 33, scale).unwrap_or_default()
        });
        prop_oneof![4 => small, 1 => huge, 1 => Just(Decimal::MAX), 1 => Just(Decimal::MIN)]
    }

    proptest! {
        #[test]
        fn the_short_way_gives_what_the_library_gives(one in number(), other in number(), third in number()) {
            prop_assert_eq!(add(one, other), one.saturating_add(other));
            prop_assert_eq!(sub(one, other), one.saturating_sub(other));
            prop_assert_eq!(mul(one, other), one.saturating_mul(other));
            prop_assert_eq!(cmp(one, other), Ord::cmp(&one, &other));
            prop_assert_eq!(trunc(one), one.trunc());
            let seen = seen(one);
            let parsed: f64 = one.to_string().parse().unwrap();
            prop_assert!((seen - parsed).abs() <= parsed.abs() * 1e-15, "{} {}", seen, parsed);
            let (one, other, third) = (one.round_dp(2) / Decimal::from(1u64 << 40), other, third);
            if let (Some(product), false) = (one.checked_mul(other), third.is_zero())
                && let Some(quotient) = product.checked_div(third)
            {
                let difference = (share(one, other, third) - quotient).abs();
                // The library rounds the product to its last decimal before it divides.
                let last = Decimal::new(1, Decimal::MAX_SCALE);
                let rounding = last + last.checked_div(third.abs()).unwrap_or_default();
                let most = quotient.abs() / Decimal::from(1u64 << 60) + rounding;
                prop_assert!(difference <= most, "{}", difference);
            }
        }
    }
}
