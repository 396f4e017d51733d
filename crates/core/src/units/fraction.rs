//! Fractions of a whole and of a percent, as people write them; few, so they stay decimal.

use std::fmt;
use std::ops::Mul;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::{Money, Quantity, UnitError, fixed, read};

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
        Money(fixed::part(self.0, weight.0))
    }
}

impl Mul<BasisPoints> for Money {
    type Output = Money;
    #[inline]
    fn mul(self, points: BasisPoints) -> Money {
        Money(fixed::part(self.0, points.fraction()))
    }
}

impl Mul<Weight> for Quantity {
    type Output = Quantity;
    #[inline]
    fn mul(self, weight: Weight) -> Quantity {
        Quantity(fixed::part(self.0, weight.0))
    }
}

/// Hundredths of a percent, 0 or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// The number of basis points.
    fn get(self) -> Decimal {
        self.0.normalize()
    }

    /// True at 0.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The same as a fraction of 1.
    pub fn fraction(self) -> Decimal {
        self.0.saturating_mul(Decimal::from_parts(1, 0, 0, false, 4))
    }

    /// The nearest `f64` number of basis points.
    #[inline]
    pub fn to_f64(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }
}

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

decimal_unit!(BasisPoints, "basis points", "a decimal number, 0 or more", BasisPoints::new);
checked_from_decimal!(Weight, BasisPoints);
