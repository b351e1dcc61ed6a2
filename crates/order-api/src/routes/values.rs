//! Values that several bodies have.

use std::ops::RangeInclusive;

use order_domain::{
    Cents, MAX_CENTS, MAX_EXPIRES_IN_SECONDS, MAX_LINES, MAX_QUANTITY, MAX_REASON_CHARS, Quantity, Reason,
    ReturnId, UnitRequest,
};

use super::units::Units;
use crate::json::{Members, PATH_ID, Shape, integer, list, text};

/// An amount in minor units.
pub(super) const fn cents(range: RangeInclusive<i64>) -> impl Shape<Value = Cents> {
    integer(range, |number| Cents::new(number).ok())
}

/// How many units of something.
pub(super) const fn quantity() -> impl Shape<Value = Quantity> {
    integer(1..=MAX_QUANTITY as i64, |number| Quantity::new(number.unsigned_abs()))
}

/// An amount of something, at least one minor unit.
pub(super) const fn amount() -> impl Shape<Value = Cents> {
    cents(1..=MAX_CENTS)
}

/// A life or a term.
pub(super) const fn seconds() -> impl Shape<Value = u32> {
    integer(1..=MAX_EXPIRES_IN_SECONDS as i64, |seconds| u32::try_from(seconds).ok())
}

/// Units that several commands name as `items`.
pub(super) const fn units() -> impl Shape<Value = Vec<UnitRequest>> {
    list(1..=MAX_LINES, Units)
}

/// Why something is done.
pub(super) fn reason(body: &mut Members<'_>) -> Option<Reason> {
    body.optional(
        "reason",
        "Why, for people. It is not compared when the request is repeated.",
        reason_text(),
    )
}

/// A reason that has to be given.
pub(super) const fn reason_text() -> impl Shape<Value = Reason> {
    text::<Reason>().at_most(MAX_REASON_CHARS)
}

/// A return's id, which travels in paths.
pub(super) const fn return_id() -> impl Shape<Value = ReturnId> {
    text::<ReturnId>().pattern(PATH_ID)
}
