//! What units have in common.

/// A number that is read and written as a decimal one.
macro_rules! decimal_unit {
    ($unit:ident, $name:literal, $allowed:literal, $wrap:expr) => {
        impl fmt::Display for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Decimal::from(*self).fmt(f)
            }
        }
        impl fmt::Debug for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($unit))
            }
        }
        impl FromStr for $unit {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                $wrap(read(text, $name, $allowed)?)
            }
        }
        impl From<$unit> for Decimal {
            fn from(unit: $unit) -> Decimal {
                unit.get()
            }
        }
    };
}

/// Sums and differences; they saturate.
macro_rules! signed_unit {
    ($unit:ident) => {
        impl $unit {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// Without its sign.
            #[inline]
            #[must_use]
            pub fn abs(self) -> Self {
                Self(self.0.abs())
            }

            /// True above 0.
            #[inline]
            pub fn is_positive(self) -> bool {
                self.0 > 0
            }

            /// True below 0.
            #[inline]
            pub fn is_negative(self) -> bool {
                self.0 < 0
            }

            /// True at 0.
            #[inline]
            pub fn is_zero(self) -> bool {
                self.0 == 0
            }
        }
        impl From<Decimal> for $unit {
            fn from(value: Decimal) -> Self {
                Self::new(value)
            }
        }
        impl Add for $unit {
            type Output = Self;
            #[inline]
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0).max(-i128::MAX))
            }
        }
        impl Sub for $unit {
            type Output = Self;
            #[inline]
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0).max(-i128::MAX))
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

/// A number that not every decimal one is.
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
