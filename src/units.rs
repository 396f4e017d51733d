//! Numbers with a unit: money owed is exact, market data seen is `f64`, and [`Price::from_seen`] is the border.

mod exact;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number that does not fit its unit: which unit, what is allowed, what was given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{unit} must be {allowed}, was \"{was}\"")]
pub struct UnitError {
    unit: &'static str,
    allowed: &'static str,
    was: String,
}

impl UnitError {
    fn new(unit: &'static str, allowed: &'static str, was: impl fmt::Display) -> Self {
        Self { unit, allowed, was: was.to_string() }
    }
}

/// In one dollar: the parts of a price below one that are kept, which a coin may cost few of.
const BILLIONTHS: f64 = 1e9;
/// Below it every whole number is an `f64`.
const MILLIONTHS_MAX: f64 = 4_503_599_627_370_496.0;

/// US dollars per share, above 0.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Price(Decimal);

impl Price {
    /// A constant number of dollars, 0 taken as 1.
    pub const fn whole(dollars: u32) -> Self {
        Self(Decimal::from_parts(if dollars == 0 { 1 } else { dollars }, 0, 0, false, 0))
    }

    /// A constant number of billionths of a dollar, 0 taken as 1.
    pub const fn billionths(billionths: u32) -> Self {
        Self(Decimal::from_parts(if billionths == 0 { 1 } else { billionths }, 0, 0, false, 9))
    }

    /// # Errors
    /// Zero and negative prices are refused.
    #[inline]
    pub fn new(value: Decimal) -> Result<Self, UnitError> {
        if value.is_sign_positive() && !value.is_zero() {
            Ok(Self(value))
        } else {
            Err(UnitError::new("price", "above 0", value))
        }
    }

    /// The border between market data seen (`f64`) and money owed: at most 6 decimals are kept, 9 below a dollar.
    ///
    /// # Errors
    /// Zero, negative, not-a-number and infinite prices are refused.
    #[inline]
    pub fn from_seen(seen: f64) -> Result<Self, UnitError> {
        if !seen.is_finite() || seen <= 0.0 {
            return Err(UnitError::new("price", "a finite number above 0", seen));
        }
        if seen < 1.0 {
            #[allow(clippy::cast_possible_truncation, reason = "to round down is what is meant")]
            let billionths = (seen * BILLIONTHS + 0.5) as i64;
            let (units, decimals) = match (billionths % 10_000_000, billionths % 1_000) {
                (0, _) => (billionths / 10_000_000, 2),
                (_, 0) => (billionths / 1_000, 6),
                (_, _) => (billionths, 9),
            };
            return Self::new(Decimal::new(units, decimals));
        }
        // Market prices have few decimals: a whole number of millionths is exact, and found without a detour.
        let millionths = seen * 1e6 + 0.5;
        if millionths < MILLIONTHS_MAX {
            #[allow(clippy::cast_possible_truncation, reason = "to round down is what is meant")]
            let millionths = millionths as i64;
            let is_cents = millionths % 10_000 == 0;
            let (units, decimals) = if is_cents { (millionths / 10_000, 2) } else { (millionths, 6) };
            return Self::new(Decimal::new(units, decimals));
        }
        let exact = Decimal::from_f64(seen).ok_or_else(|| UnitError::new("price", "below 7.9e28", seen))?;
        Self::new(exact.round_dp(6))
    }

    /// The exact number of dollars.
    #[inline]
    pub fn get(self) -> Decimal {
        self.0
    }

    /// The nearest `f64`, for market data and statistics only.
    #[inline]
    pub fn to_seen(self) -> f64 {
        exact::seen(self.0)
    }
}

impl Mul<Quantity> for Price {
    type Output = Money;
    #[inline]
    fn mul(self, quantity: Quantity) -> Money {
        Money(exact::mul(self.0, quantity.0))
    }
}

/// Shares, with up to 9 decimals; negative for a short position.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(Decimal);

impl Quantity {
    /// One share.
    pub const ONE: Self = Self(Decimal::ONE);

    /// The absolute number of shares.
    #[inline]
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// A constant number of billionths of a share.
    pub const fn billionths(billionths: u32) -> Self {
        Self(Decimal::from_parts(billionths, 0, 0, false, 9))
    }

    /// Whole shares, rounded towards zero.
    #[inline]
    #[must_use]
    pub fn whole(self) -> Self {
        Self(exact::trunc(self.0))
    }

    /// The nearest multiple of `lot` towards zero.
    #[inline]
    #[must_use]
    pub fn floor_to(self, lot: Self) -> Self {
        if lot.is_one() {
            return self.whole();
        }
        // A remainder is exact where a quotient is rounded.
        let rest = self.0.checked_rem(lot.0).unwrap_or_default();
        Self((self.0 - rest).normalize())
    }

    /// Whether it is written as 1, as nearly every lot is: seen without arithmetic.
    #[inline]
    pub(crate) fn is_one(self) -> bool {
        self.0.scale() == 0 && self.0.mantissa() == 1
    }
}

/// US dollars, exact; negative when owed.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(Decimal);

impl Money {
    /// How many shares this much money buys at `price`, unrounded.
    #[inline]
    #[must_use]
    pub fn buys(self, price: Price) -> Quantity {
        Quantity(self.0.checked_div(price.0).unwrap_or_default())
    }

    /// Without its sign.
    #[inline]
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// A constant number of dollars.
    pub const fn whole(dollars: u32) -> Self {
        Self(Decimal::from_parts(dollars, 0, 0, false, 0))
    }

    /// The part of it that `part` is of `of`; nothing of nothing.
    #[inline]
    #[must_use]
    pub fn share(self, part: Quantity, of: Quantity) -> Self {
        Self(exact::share(self.0, part.0, of.0))
    }

    /// Rounded to cents, half to even, as a statement prints it.
    #[must_use]
    pub fn cents(self) -> Self {
        Self(self.0.round_dp(2))
    }
}

/// A fraction of a whole, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Weight(Decimal);

impl Weight {
    /// The whole.
    pub const ONE: Self = Self(Decimal::ONE);
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// # Errors
    /// Fractions below 0 and above 1 are refused.
    #[inline]
    pub fn new(value: Decimal) -> Result<Self, UnitError> {
        if value >= Decimal::ZERO && value <= Decimal::ONE {
            Ok(Self(value))
        } else {
            Err(UnitError::new("weight", "0 to 1", value.normalize()))
        }
    }

    /// The exact fraction.
    #[inline]
    pub fn get(self) -> Decimal {
        self.0
    }

    /// A constant number of percent, at most 100.
    pub const fn percent(percent: u8) -> Self {
        let percent = if percent < 100 { percent } else { 100 };
        Self(Decimal::from_parts(percent as u32, 0, 0, false, 2))
    }

    /// Whether it is written as the whole; a quick look, for which `1.0` is not.
    #[inline]
    #[must_use]
    pub fn is_plainly_one(self) -> bool {
        self.0.scale() == 0 && self.0 == Decimal::ONE
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Decimal::ONE - self.0)
    }
}

impl FromStr for Weight {
    type Err = UnitError;
    /// Reads `0.25` and `25%`.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::new("weight", "a fraction such as 0.25 or 25%", text);
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                Self::new(Decimal::from_str(percent.trim()).map_err(|_| bad())? / Decimal::ONE_HUNDRED)
            }
            None => Self::new(Decimal::from_str(text.trim()).map_err(|_| bad())?),
        }
    }
}

impl Mul<Weight> for Money {
    type Output = Money;
    #[inline]
    fn mul(self, weight: Weight) -> Money {
        Money(exact::mul(self.0, weight.0))
    }
}

impl Mul<Weight> for Quantity {
    type Output = Quantity;
    #[inline]
    fn mul(self, weight: Weight) -> Quantity {
        Quantity(exact::mul(self.0, weight.0))
    }
}

/// Hundredths of a percent, 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct BasisPoints(Decimal);

impl BasisPoints {
    /// # Errors
    /// Negative values are refused.
    #[inline]
    pub fn new(value: Decimal) -> Result<Self, UnitError> {
        if value >= Decimal::ZERO {
            Ok(Self(value))
        } else {
            Err(UnitError::new("basis points", "0 or more", value))
        }
    }

    /// A constant whole number of basis points.
    pub const fn whole(points: u16) -> Self {
        Self(Decimal::from_parts(points as u32, 0, 0, false, 0))
    }

    /// True at 0.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The same as a fraction of 1.
    pub fn fraction(self) -> Decimal {
        exact::mul(self.0, Decimal::from_parts(1, 0, 0, false, 4))
    }

    /// The nearest `f64` number of basis points.
    #[inline]
    pub fn to_seen(self) -> f64 {
        exact::seen(self.0)
    }
}

macro_rules! decimal_unit {
    ($unit:ident, $name:literal, $wrap:expr, $allowed:literal) => {
        impl fmt::Display for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.normalize().fmt(f)
            }
        }
        impl FromStr for $unit {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                let value =
                    Decimal::from_str(text.trim()).map_err(|_| UnitError::new($name, $allowed, text))?;
                $wrap(value)
            }
        }
        impl From<$unit> for Decimal {
            fn from(unit: $unit) -> Decimal {
                unit.0
            }
        }
    };
}

macro_rules! signed_unit {
    ($unit:ident) => {
        impl $unit {
            /// Nothing.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// Any exact number.
            #[inline]
            pub fn new(value: Decimal) -> Self {
                Self(value)
            }

            /// The exact number.
            #[inline]
            pub fn get(self) -> Decimal {
                self.0
            }

            /// The nearest `f64`, for statistics only.
            #[inline]
            pub fn to_seen(self) -> f64 {
                exact::seen(self.0)
            }

            /// True above 0.
            #[inline]
            pub fn is_positive(self) -> bool {
                self.0.is_sign_positive() && !self.0.is_zero()
            }

            /// True below 0.
            #[inline]
            pub fn is_negative(self) -> bool {
                self.0.is_sign_negative() && !self.0.is_zero()
            }

            /// True at 0.
            #[inline]
            pub fn is_zero(self) -> bool {
                self.0.is_zero()
            }
        }
        impl Add for $unit {
            type Output = Self;
            #[inline]
            fn add(self, other: Self) -> Self {
                Self(exact::add(self.0, other.0))
            }
        }
        impl Sub for $unit {
            type Output = Self;
            #[inline]
            fn sub(self, other: Self) -> Self {
                Self(exact::sub(self.0, other.0))
            }
        }
        impl AddAssign for $unit {
            #[inline]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $unit {
            #[inline]
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl Neg for $unit {
            type Output = Self;
            #[inline]
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
        impl Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ZERO, Add::add)
            }
        }
    };
}

macro_rules! ordered_unit {
    ($($unit:ident),*) => {$(
        impl PartialEq for $unit {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }
        impl Eq for $unit {}
        impl PartialOrd for $unit {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $unit {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                exact::cmp(self.0, other.0)
            }
        }
        impl Hash for $unit {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }
    )*};
}

ordered_unit!(Price, Quantity, Money);
signed_unit!(Quantity);
signed_unit!(Money);
decimal_unit!(Price, "price", Price::new, "a decimal number above 0");
decimal_unit!(Quantity, "quantity", |value| Ok(Quantity(value)), "a decimal number");
decimal_unit!(Money, "money", |value| Ok(Money(value)), "a decimal number");
decimal_unit!(BasisPoints, "basis points", BasisPoints::new, "a decimal number, 0 or more");

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl From<Weight> for Decimal {
    fn from(weight: Weight) -> Decimal {
        weight.0
    }
}

macro_rules! checked_from_decimal {
    ($($unit:ident),*) => {$(
        impl TryFrom<Decimal> for $unit {
            type Error = UnitError;
            fn try_from(value: Decimal) -> Result<Self, UnitError> {
                Self::new(value)
            }
        }
    )*};
}
checked_from_decimal!(Price, Weight, BasisPoints);

#[cfg(test)]
mod tests;
