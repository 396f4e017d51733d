//! Decimal numbers to the nearest `f64`: one pass for the usual ones, the standard library for the rest. Pure.

/// Powers of ten that `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to this one are exact in `f64`.
const EXACT_MAX: u64 = 1 << 53;
/// So many digits fit into a `u64` whatever they are.
const DIGITS_MAX: usize = 19;

/// Reads digits with at most one dot from the start of `text`: the number and how many bytes it took.
///
/// `None` when the number is no such, or when its nearest `f64` needs more thought. Exact whole over exact power of ten
/// is rounded once, therefore correctly. Source: W. Clinger, How to read floating point numbers accurately, 1990.
#[inline]
#[allow(clippy::cast_precision_loss, reason = "whole numbers up to 2^53 are exact")]
pub fn quick(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut whole, mut place) = (0_u64, start);
    while let Some(digit) = text.get(place).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit));
        place += 1;
    }
    let mut digits = place - start;
    let mut decimals = 0;
    if text.get(place) == Some(&b'.') {
        place += 1;
        let dot = place;
        while let Some(digit) =
            text.get(place).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit));
            place += 1;
        }
        decimals = place - dot;
        digits += decimals;
    }
    if digits == 0 || digits > DIGITS_MAX || whole > EXACT_MAX {
        return None;
    }
    let number = whole as f64 / POWERS.get(decimals)?;
    Some((if negative { -number } else { number }, place))
}

/// Reads all of `text` as a number: also with exponent, sign or any number of digits; `NaN` and infinities are numbers
/// here.
pub fn read(text: &str) -> Option<f64> {
    match quick(text.as_bytes()) {
        Some((number, taken)) if taken == text.len() => Some(number),
        Some(_) | None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_numbers_take_the_quick_way() {
        for text in ["175.6900", "0", "-1.5", "584976.0", "0.00000001", "9007199254740992", "5.", ".5"] {
            let (number, taken) = quick(text.as_bytes()).unwrap();
            assert_eq!(
                (number.to_bits(), taken),
                (text.parse::<f64>().unwrap().to_bits(), text.len()),
                "{text}"
            );
        }
        assert_eq!(quick(b"12,5"), Some((12.0, 2)));
    }

    #[test]
    fn what_needs_more_thought_or_is_no_number_is_left_to_others() {
        for text in
            ["", "-", ".", "-.", "x", "9007199254740993", "0.12345678901234567890", "99999999999999999999"]
        {
            assert_eq!(quick(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read("1e3"), Some(1000.0));
        assert_eq!(read("12x"), None);
        assert_eq!(read(""), None);
    }

    proptest! {
        #[test]
        fn every_decimal_is_read_to_the_same_bits_as_by_the_standard_library(text in "-?[0-9]{0,20}(\\.[0-9]{0,24})?") {
            prop_assert_eq!(read(&text).map(f64::to_bits), text.parse::<f64>().ok().map(f64::to_bits));
        }

        #[test]
        fn every_number_written_is_read_back_to_the_same_bits(number in any::<f64>().prop_filter("a number", |n| !n.is_nan())) {
            prop_assert_eq!(read(&number.to_string()).map(f64::to_bits), Some(number.to_bits()));
        }
    }
}
