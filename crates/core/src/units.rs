//! Numbers with a unit: money owed is exact, market data seen is `f64`, and [`Price::from_f64`] is the border.

#[macro_use]
mod macros;
mod fixed;
mod fraction;

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use fraction::{BasisPoints, Weight};

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

/// US dollars per share, above 0, in billionths: at most 9.2 billion dollars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Price(i64);

/// Below it every whole number and a half is an `f64`.
const WHOLE_SEEN: f64 = 4_503_599_627_370_496.0;

impl Price {
    /// A constant number of dollars, 0 taken as 1.
    pub const fn whole(dollars: u32) -> Self {
        Self((if dollars == 0 { 1 } else { dollars }) as i64 * 1_000_000_000)
    }

    /// A constant number of billionths of a dollar, 0 taken as 1.
    pub const fn billionths(billionths: u32) -> Self {
        Self(if billionths == 0 { 1 } else { billionths as i64 })
    }

    /// # Errors
    /// Zero and negative prices are refused, those above 9.2 billion, and more than 9 decimals.
    pub fn new(value: Decimal) -> Result<Self, UnitError> {
        let exact = fixed::exact(value, fixed::BILLIONTHS);
        match exact.and_then(|units| i64::try_from(units).ok()) {
            Some(billionths @ 1..) => Ok(Self(billionths)),
            Some(_) => Err(UnitError::new("price", "above 0", value)),
            None => Err(UnitError::new("price", "above 0 and at most 9.2e9, with at most 9 decimals", value)),
        }
    }

    /// The border between market data seen (`f64`) and money owed: at most 6 decimals are kept, 9 below a dollar.
    ///
    /// # Errors
    /// Zero, negative, not-a-number, infinite and too high prices are refused.
    #[inline]
    pub fn from_f64(seen: f64) -> Result<Self, UnitError> {
        let (units, billionths) = if seen < 1.0 { (seen * 1e9 + 0.5, 1) } else { (seen * 1e6 + 0.5, 1_000) };
        if !(1.0..WHOLE_SEEN).contains(&units) {
            return Err(Self::not_a_price(seen));
        }
        #[allow(clippy::cast_possible_truncation, reason = "to round down is what is meant")]
        let units = units as i64;
        Ok(Self(units * billionths))
    }

    #[cold]
    fn not_a_price(seen: f64) -> UnitError {
        let allowed = if seen > 1.0 && seen.is_finite() { "below 4.5e9" } else { "a finite number above 0" };
        UnitError::new("price", allowed, seen)
    }

    /// The nearest price of one of `shares` that cost so much in all, half to even; none where that is no price.
    #[inline]
    pub fn mean(paid: Money, shares: Quantity) -> Option<Self> {
        let billionths = fixed::nearest_quotient(paid.0.abs(), shares.0.abs());
        i64::try_from(billionths).ok().filter(|billionths| *billionths > 0).map(Self)
    }

    /// The exact number of dollars.
    pub fn get(self) -> Decimal {
        fixed::decimal(self.0.into(), fixed::BILLIONTHS)
    }

    /// The nearest `f64`, for market data and statistics only.
    #[inline]
    pub fn to_f64(self) -> f64 {
        fixed::seen_billionths(self.0.into())
    }
}

impl Mul<Quantity> for Price {
    type Output = Money;
    #[inline]
    fn mul(self, quantity: Quantity) -> Money {
        Money(fixed::product(self.0, quantity.0))
    }
}

/// A mean of prices, which may have more decimals than a price: 12 at the most.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub enum AveragePrice {
    /// It is one.
    Price(Price),
    /// It lies between two.
    Between(Decimal),
}

impl AveragePrice {
    /// What so many shares cost each; none of no shares, and where it is not above 0.
    pub fn of(paid: Money, shares: Quantity) -> Option<Self> {
        Self::new(paid.get().checked_div(shares.get())?).ok()
    }

    /// The nearest with 12 decimals, half to even.
    ///
    /// # Errors
    /// Zero, negative and too high prices are refused.
    pub fn new(value: Decimal) -> Result<Self, UnitError> {
        let value = value.round_dp(12);
        let price = Price::new(value.round_dp(fixed::BILLIONTHS))?;
        Ok(if price.get() == value { Self::Price(price) } else { Self::Between(value) })
    }

    /// The exact number of dollars.
    pub fn get(self) -> Decimal {
        match self {
            Self::Price(price) => price.get(),
            Self::Between(value) => value.normalize(),
        }
    }

    /// The nearest price.
    pub fn price(self) -> Price {
        match self {
            Self::Price(price) => price,
            Self::Between(value) => Price::new(value.round_dp(fixed::BILLIONTHS)).unwrap_or(Price(1)),
        }
    }
}

impl From<Price> for AveragePrice {
    fn from(price: Price) -> Self {
        Self::Price(price)
    }
}

impl Mul<Quantity> for AveragePrice {
    type Output = Money;
    #[inline]
    fn mul(self, quantity: Quantity) -> Money {
        match self {
            Self::Price(price) => price * quantity,
            Self::Between(value) => Money::new(value.saturating_mul(quantity.get())),
        }
    }
}

/// Shares in billionths; negative for a short position.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Decimal", into = "Decimal")]
pub struct Quantity(i128);

impl Quantity {
    /// One share.
    pub const ONE: Self = Self(fixed::BILLION);
    /// The most there are.
    pub const MAX: Self = Self(i128::MAX);

    /// # Errors
    /// More than 9 decimals are refused, and more shares than there are (1.7e29).
    pub fn exact(value: Decimal) -> Result<Self, UnitError> {
        let exact = fixed::exact(value, fixed::BILLIONTHS);
        exact.map(Self).ok_or_else(|| UnitError::new("quantity", "a number with at most 9 decimals", value))
    }

    /// The nearest number of billionths towards zero; the most there are where it is more.
    pub fn new(value: Decimal) -> Self {
        Self(fixed::towards_zero(value, fixed::BILLIONTHS).unwrap_or_else(|| most(value)))
    }

    /// The nearest number of billionths; none of a number that is none.
    pub fn from_f64(seen: f64) -> Option<Self> {
        let exact = Decimal::from_f64(seen)?;
        Some(Self(fixed::nearest(exact, fixed::BILLIONTHS).unwrap_or_else(|| most(exact))))
    }

    /// The exact number.
    pub fn get(self) -> Decimal {
        fixed::decimal(self.0, fixed::BILLIONTHS)
    }

    /// The nearest `f64`, for statistics only.
    #[inline]
    pub fn to_f64(self) -> f64 {
        fixed::seen_billionths(self.0)
    }

    /// A constant number of billionths of a share.
    pub const fn billionths(billionths: u32) -> Self {
        Self(billionths as i128)
    }

    /// Whole shares, rounded towards zero.
    #[inline]
    #[must_use]
    pub fn whole(self) -> Self {
        self.floor_to(Self::ONE)
    }

    /// The nearest multiple of `lot` towards zero.
    #[inline]
    #[must_use]
    pub fn floor_to(self, lot: Self) -> Self {
        let rest = match lot {
            Self::ONE => fixed::rest(self.0, fixed::BILLION),
            lot => fixed::rest(self.0, lot.0),
        };
        Self(self.0 - rest)
    }

    /// How many whole lots it is.
    pub fn lots(self, lot: Self) -> i64 {
        i64::try_from(fixed::quotient(self.0, lot.0)).unwrap_or(i64::MAX)
    }

    /// So many of it.
    #[must_use]
    pub fn times(self, number: i64) -> Self {
        Self(self.0.saturating_mul(number.into()))
    }
}

/// US dollars, exact to the product of a price and a quantity (1e-18); negative when owed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Decimal", into = "Decimal")]
pub struct Money(i128);

impl Money {
    /// The nearest amount, half to even; the most there is where it is more (1.7e20 dollars).
    pub fn new(value: Decimal) -> Self {
        Self(fixed::nearest(value, fixed::MONEY).unwrap_or_else(|| most(value)))
    }

    /// The number of dollars, to 28 digits.
    pub fn get(self) -> Decimal {
        fixed::decimal(self.0, fixed::MONEY)
    }

    /// The nearest `f64`, for statistics only.
    #[inline]
    pub fn to_f64(self) -> f64 {
        fixed::seen_money(self.0)
    }

    /// How many shares this much money buys at `price`, in billionths rounded towards zero.
    #[inline]
    #[must_use]
    pub fn buys(self, price: Price) -> Quantity {
        Quantity(fixed::quotient(self.0, price.0.into()))
    }

    /// A constant number of dollars.
    pub const fn whole(dollars: u32) -> Self {
        Self(dollars as i128 * 1_000_000_000_000_000_000)
    }

    /// The part of it that `part` is of `of`; nothing of nothing.
    #[inline]
    #[must_use]
    pub fn share(self, part: Quantity, of: Quantity) -> Self {
        Self(fixed::share(self.0, part.0, of.0))
    }

    /// Rounded to cents, half to even, as a statement prints it.
    #[must_use]
    pub fn cents(self) -> Self {
        Self::new(self.get().round_dp(2))
    }
}

/// The most there is with a number's sign.
#[cold]
fn most(value: Decimal) -> i128 {
    if value.is_sign_negative() { -i128::MAX } else { i128::MAX }
}

fn read(text: &str, unit: &'static str, allowed: &'static str) -> Result<Decimal, UnitError> {
    Decimal::from_str(text.trim()).map_err(|_| UnitError::new(unit, allowed, text))
}

signed_unit!(Quantity);
signed_unit!(Money);
decimal_unit!(Price, "price", "a decimal number above 0", Price::new);
decimal_unit!(AveragePrice, "price", "a decimal number above 0", AveragePrice::new);
decimal_unit!(Quantity, "quantity", "a decimal number", Quantity::exact);
decimal_unit!(Money, "money", "a decimal number", |value| Ok(Money::new(value)));

checked_from_decimal!(Price, AveragePrice);

#[cfg(test)]
mod tests;
