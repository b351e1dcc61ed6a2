//! Values that several bodies have.

use std::ops::RangeInclusive;

use order_domain::{Cents, MAX_QUANTITY, Quantity};

use crate::json::{Shape, integer};

/// An amount in minor units.
pub(super) const fn cents(range: RangeInclusive<i64>) -> impl Shape<Value = Cents> {
    integer(range, |number| Cents::new(number).ok())
}

/// How many units of something.
pub(super) const fn quantity() -> impl Shape<Value = Quantity> {
    integer(1..=MAX_QUANTITY as i64, |number| Quantity::new(number.unsigned_abs()))
}
