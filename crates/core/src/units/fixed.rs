//! Fixed-point numbers: whole units of a power of ten in integers, and [`Decimal`] at the border. Pure.
//!
//! Nearly all numbers fit 64 bits, in which a product and a quotient cost least; each function takes that way first.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// One as billionths.
pub(super) const BILLION: i128 = 1_000_000_000;
/// Decimals of a price and a quantity.
pub(super) const BILLIONTHS: u32 = 9;
/// Decimals of their product.
pub(super) const MONEY: u32 = 18;

/// Below it every whole number is an `f64`.
const WHOLE_SEEN: i128 = 1 << 53;
/// One cent as billionths.
const CENT: i128 = BILLION / 100;

/// The number itself; none where it has more decimals or does not fit.
pub(super) fn exact(number: Decimal, decimals: u32) -> Option<i128> {
    let number = number.normalize();
    (number.scale() <= decimals).then(|| towards_zero(number, decimals))?
}

/// The nearest number with so many decimals, half to even; none where it does not fit.
pub(super) fn nearest(number: Decimal, decimals: u32) -> Option<i128> {
    towards_zero(number.round_dp(decimals), decimals)
}

/// The next number towards zero with so many decimals; none where it does not fit.
pub(super) fn towards_zero(number: Decimal, decimals: u32) -> Option<i128> {
    let (mantissa, scale) = (number.mantissa(), number.scale());
    if scale <= decimals {
        return mantissa.checked_mul(power(decimals - scale));
    }
    Some(mantissa / power(scale - decimals))
}

/// The same as a decimal number without trailing zeros, rounded where it has more than 28 digits.
pub(super) fn decimal(units: i128, decimals: u32) -> Decimal {
    let (mut units, mut scale) = (units, decimals);
    if scale > BILLIONTHS && rest(units, BILLION) == 0 {
        (units, scale) = (quotient(units, BILLION), scale - BILLIONTHS);
    }
    if let Ok(mut units) = i64::try_from(units) {
        for (zeros, power) in [(8, 100_000_000), (4, 10_000), (2, 100), (1, 10)] {
            if scale >= zeros && units % power == 0 {
                (units, scale) = (units / power, scale - zeros);
            }
        }
        return Decimal::new(units, scale);
    }
    while scale > 0 && units % 10 == 0 {
        (units, scale) = (units / 10, scale - 1);
    }
    loop {
        match Decimal::try_from_i128_with_scale(units, scale) {
            Ok(number) => return number,
            Err(_) if scale > 0 => (units, scale) = (units / 10, scale - 1),
            Err(_) => return if units < 0 { Decimal::MIN } else { Decimal::MAX },
        }
    }
}

/// The product, saturating.
#[inline]
pub(super) fn product(price: i64, quantity: i128) -> i128 {
    match i64::try_from(quantity) {
        Ok(quantity) => i128::from(price) * i128::from(quantity),
        Err(_) => i128::from(price).saturating_mul(quantity).max(-i128::MAX),
    }
}

/// The quotient, rounded towards zero; 0 of a division by 0.
#[inline]
pub(super) fn quotient(whole: i128, by: i128) -> i128 {
    match (i64::try_from(whole), i64::try_from(by)) {
        (Ok(whole), Ok(by)) if by > 0 => (whole / by).into(),
        _ => whole.checked_div(by).unwrap_or(0),
    }
}

/// The nearest quotient of two numbers that are not negative, half to even; 0 of a division by 0.
#[inline]
pub(super) fn nearest_quotient(whole: i128, by: i128) -> i128 {
    if by == 0 {
        return 0;
    }
    let quotient = quotient(whole, by);
    let rest = whole - quotient * by;
    let is_up = match rest.cmp(&(by - rest)) {
        Ordering::Less => false,
        Ordering::Equal => quotient % 2 == 1,
        Ordering::Greater => true,
    };
    quotient + i128::from(is_up)
}

/// What is left of a division; 0 of one by 0.
#[inline]
pub(super) fn rest(whole: i128, by: i128) -> i128 {
    match (i64::try_from(whole), i64::try_from(by)) {
        (Ok(whole), Ok(by)) if by > 0 => (whole % by).into(),
        _ => whole.checked_rem(by).unwrap_or(0),
    }
}

/// `units * part / of`, rounded towards zero; 0 of a division by 0.
#[inline]
pub(super) fn share(units: i128, part: i128, of: i128) -> i128 {
    match units.checked_mul(part) {
        Some(product) => quotient(product, of),
        None => share_wide(units, part, of),
    }
}

/// The part of `units` that a fraction says, rounded towards zero.
#[inline]
pub(super) fn part(units: i128, fraction: Decimal) -> i128 {
    share(units, fraction.mantissa(), power(fraction.scale()))
}

/// The same where the product has more than 128 bits.
#[cold]
fn share_wide(units: i128, part: i128, of: i128) -> i128 {
    let negative = (units < 0) ^ (part < 0) ^ (of < 0);
    let (units, part, of) = (units.unsigned_abs(), part.unsigned_abs(), of.unsigned_abs());
    let Some(each) = units.checked_div(of) else { return 0 };
    // `left * part / of` bit by bit of `part`, the quotient beside its rest.
    let left = units % of;
    let (mut found, mut rest) = (0_u128, 0_u128);
    for bit in (0..u128::BITS - part.leading_zeros()).rev() {
        found <<= 1;
        for more in [rest, if part >> bit & 1 == 1 { left } else { 0 }] {
            rest += more;
            if rest >= of {
                (found, rest) = (found + 1, rest - of);
            }
        }
    }
    let share = each.saturating_mul(part).saturating_add(found);
    let share = i128::try_from(share).unwrap_or(i128::MAX);
    if negative { -share } else { share }
}

/// The nearest `f64` of so many billionths.
#[inline]
pub(super) fn seen_billionths(units: i128) -> f64 {
    let whole = quotient(units, BILLION);
    if whole * BILLION == units && is_exact(whole) {
        return seen_exact(whole);
    }
    // Both are exact, so the quotient is rounded once.
    if is_exact(units) { seen_exact(units) / 1e9 } else { seen(units, BILLIONTHS) }
}

/// The nearest `f64` of so much money.
#[inline]
pub(super) fn seen_money(units: i128) -> f64 {
    let billionths = quotient(units, BILLION);
    if billionths * BILLION != units {
        return seen(units, MONEY);
    }
    if is_exact(billionths) {
        return seen_exact(billionths) / 1e9;
    }
    let cents = quotient(billionths, CENT);
    if cents * CENT == billionths && is_exact(cents) { seen_exact(cents) / 1e2 } else { seen(units, MONEY) }
}

#[cold]
fn seen(units: i128, decimals: u32) -> f64 {
    decimal(units, decimals).to_f64().unwrap_or(f64::NAN)
}

#[inline]
fn is_exact(units: i128) -> bool {
    (-WHOLE_SEEN..WHOLE_SEEN).contains(&units)
}

#[inline]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "it is checked that there is none"
)]
fn seen_exact(units: i128) -> f64 {
    units as i64 as f64
}

#[inline]
fn power(decimals: u32) -> i128 {
    POWERS[decimals as usize]
}

/// A [`Decimal`] has at most 28 decimals.
const POWERS: [i128; 29] = {
    let mut powers = [1; 29];
    let mut place = 1;
    while place < powers.len() {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whole units, small and huge ones.
    fn units() -> impl Strategy<Value = i128> {
        (any::<i128>(), 0u32..127).prop_map(|(units, fewer)| units >> fewer)
    }

    proptest! {
        #[test]
        fn a_decimal_comes_back(units in any::<i64>().prop_map(i128::from), decimals in 0u32..19) {
            prop_assert_eq!(nearest(decimal(units, decimals), decimals), Some(units));
            prop_assert_eq!(towards_zero(decimal(units, decimals), decimals), Some(units));
        }

        #[test]
        fn a_share_is_what_the_library_divides(units in any::<i64>(), part in any::<i32>(), of in any::<i32>()) {
            let exact = (Decimal::from(units) * Decimal::from(part)).checked_div(of.into());
            let expected = exact.and_then(|exact| exact.trunc().to_i128()).unwrap_or(0);
            prop_assert_eq!(share(units.into(), part.into(), of.into()), expected);
            prop_assert_eq!(share_wide(units.into(), part.into(), of.into()), expected);
        }

        #[test]
        fn a_share_of_a_huge_number_is_exact(units in units(), part in units(), of in units()) {
            prop_assume!(part.unsigned_abs() <= of.unsigned_abs());
            let found = share(units, part, of);
            let (low, high) = (share_wide(units, part, of), found);
            prop_assert_eq!(low, high);
            prop_assert!(found.unsigned_abs() <= units.unsigned_abs());
            if of != 0 && part == of {
                prop_assert_eq!(found, units.clamp(-i128::MAX, i128::MAX));
            }
        }

        #[test]
        fn what_is_seen_is_the_nearest_number(units in units()) {
            let parsed = |decimals| decimal(units, decimals).to_string().parse::<f64>().unwrap();
            let is_near = |seen: f64, parsed: f64| (seen - parsed).abs() <= parsed.abs() * 1e-15;
            prop_assert!(is_near(seen_billionths(units), parsed(BILLIONTHS)));
            prop_assert!(is_near(seen_money(units), parsed(MONEY)));
        }
    }
}
