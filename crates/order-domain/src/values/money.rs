//! Money: whole minor units (cents), never a fraction, never wrapped.

use std::fmt;

use super::text::Label;

/// The largest amount, and the largest sum of amounts: 2^53 − 1, the largest whole number that every JSON reader
/// can hold exactly.
pub const MAX_CENTS: i64 = (1 << 53) - 1;

/// An amount in minor units of the order's currency, between −[`MAX_CENTS`] and [`MAX_CENTS`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(i64);

/// An amount or a sum that is beyond [`MAX_CENTS`] either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("amounts and their sums must be at most {MAX_CENTS} minor units")]
pub struct MoneyError;

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount.
    pub const MAX: Self = Self(MAX_CENTS);

    /// Checks the range.
    ///
    /// # Errors
    /// [`MoneyError`] when it is out of range.
    pub const fn new(cents: i64) -> Result<Self, MoneyError> {
        if cents >= -MAX_CENTS && cents <= MAX_CENTS { Ok(Self(cents)) } else { Err(MoneyError) }
    }

    /// The number of minor units.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, if it is in range.
    ///
    /// # Errors
    /// [`MoneyError`] when it is out of range.
    pub const fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        // Two values of at most 2^53 cannot overflow 64 bits.
        Self::new(self.0 + other.0)
    }

    /// The price of so many units.
    ///
    /// # Errors
    /// [`MoneyError`] when it is out of range.
    pub const fn checked_times(self, units: u64) -> Result<Self, MoneyError> {
        let product = self.0 as i128 * units as i128;
        if product >= -(MAX_CENTS as i128) && product <= MAX_CENTS as i128 {
            Ok(Self(product as i64))
        } else {
            Err(MoneyError)
        }
    }

    /// The sum, held at the end of the range. Only for folding events, whose sums were checked when they were decided.
    pub(crate) const fn saturating_add(self, other: Self) -> Self {
        Self::saturating_from(self.0 as i128 + other.0 as i128)
    }

    /// The price of so many units, held at the end of the range. Only for folding events, as above.
    pub(crate) const fn saturating_times(self, units: u32) -> Self {
        Self::saturating_from(self.0 as i128 * units as i128)
    }

    /// The amount, held at the ends of the range.
    pub(crate) const fn saturating_from(cents: i128) -> Self {
        if cents > MAX_CENTS as i128 {
            Self(MAX_CENTS)
        } else if cents < -(MAX_CENTS as i128) {
            Self(-MAX_CENTS)
        } else {
            Self(cents as i64)
        }
    }

    /// The amount without its sign.
    pub(crate) const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// What is left of `self` after `other`, at least nothing.
    pub const fn minus_or_zero(self, other: Self) -> Self {
        if self.0 > other.0 { Self::saturating_from(self.0 as i128 - other.0 as i128) } else { Self::ZERO }
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}¢", self.0)
    }
}

/// What is added to the lines' prices, or taken off them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// What it is for.
    pub kind: AdjustmentKind,
    /// Its name on the bill.
    pub label: Label,
    /// Minor units; a discount is 0 or less, everything else 0 or more.
    pub amount: Cents,
}

/// The kinds of [`Adjustment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustmentKind {
    /// The carriage.
    Shipping,
    /// A tax on the order.
    Tax,
    /// A reduction.
    Discount,
    /// Any other charge.
    Fee,
}

impl AdjustmentKind {
    /// Whether an amount has the sign that this kind asks for.
    pub const fn allows(self, amount: Cents) -> bool {
        match self {
            Self::Shipping | Self::Tax | Self::Fee => amount.get() >= 0,
            Self::Discount => amount.get() <= 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products_are_checked_at_the_limit() {
        let max = Cents::new(MAX_CENTS).unwrap();
        assert_eq!(max.checked_add(Cents::ZERO), Ok(max));
        assert_eq!(max.checked_add(Cents(1)), Err(MoneyError));
        assert_eq!(max.checked_times(1), Ok(max));
        assert_eq!(max.checked_times(u64::MAX), Err(MoneyError));
        assert_eq!(Cents::new(MAX_CENTS + 1), Err(MoneyError));
        assert_eq!(Cents::new(i64::MIN), Err(MoneyError));
        assert_eq!(max.saturating_add(max), max);
        assert_eq!(MAX_CENTS, 9_007_199_254_740_991);
    }

    #[test]
    fn what_is_below_the_smallest_amount_is_refused_too() {
        let min = Cents::new(-MAX_CENTS).unwrap();
        assert_eq!(min.checked_times(1), Ok(min));
        assert_eq!(min.checked_times(2), Err(MoneyError));
        assert_eq!(min.checked_add(Cents(-1)), Err(MoneyError));
        assert_eq!(Cents((1 << 52) + 1).checked_times(2), Err(MoneyError), "2^53 + 2");
        assert_eq!(Cents(1 << 52).checked_times(2), Err(MoneyError), "2^53");
        assert_eq!(min.saturating_add(min), min);
    }

    #[test]
    fn every_adjustment_may_be_nothing_and_only_a_discount_less() {
        for kind in [AdjustmentKind::Shipping, AdjustmentKind::Tax, AdjustmentKind::Fee] {
            assert_eq!([-1, 0, 1].map(|cents| kind.allows(Cents(cents))), [false, true, true]);
        }
        assert_eq!(
            [-1, 0, 1].map(|cents| AdjustmentKind::Discount.allows(Cents(cents))),
            [true, true, false]
        );
    }
}
