//! What the data of several event types have in common.

use std::borrow::Cow;

use order_domain::{
    Cause, Cents, Expiry, LineNumber, LineUnits, PaymentId, PaymentShare, Reason, ReservationId,
    ReservationShare,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CodecError, out_of_range, refused, time};
use crate::rfc3339;

/// Units of one line.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LineUnits)]
pub(super) struct UnitsShape {
    /// The line's number, from 1.
    line: u16,
    /// How many.
    quantity: u32,
}

pub(super) fn encode_units(units: &[LineUnits]) -> Vec<UnitsShape> {
    let shape = |units: &LineUnits| UnitsShape { line: units.line.get(), quantity: units.quantity };
    units.iter().map(shape).collect()
}

pub(super) fn decode_units(units: Vec<UnitsShape>) -> Result<Vec<LineUnits>, CodecError> {
    let decode = |units: UnitsShape| line_units(units.line, units.quantity);
    units.into_iter().map(decode).collect()
}

pub(super) fn line_units(line: u16, quantity: u32) -> Result<LineUnits, CodecError> {
    let line = LineNumber::new(line.into()).ok_or_else(|| out_of_range("line"))?;
    Ok(LineUnits { line, quantity })
}

/// Units that one reservation holds, or held.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReservationShare)]
pub(super) struct ReservationShape<'a> {
    /// The client's name for the reservation.
    reservation_id: Cow<'a, str>,
    /// The units, by line.
    units: Vec<UnitsShape>,
}

pub(super) fn encode_reservations(shares: &[ReservationShare]) -> Vec<ReservationShape<'_>> {
    fn shape(share: &ReservationShare) -> ReservationShape<'_> {
        let reservation_id = Cow::Borrowed(share.reservation_id.as_str());
        ReservationShape { reservation_id, units: encode_units(&share.units) }
    }
    shares.iter().map(shape).collect()
}

pub(super) fn decode_reservations(
    shares: Vec<ReservationShape<'_>>,
) -> Result<Vec<ReservationShare>, CodecError> {
    let decode = |share: ReservationShape<'_>| {
        let reservation_id = ReservationId::new(share.reservation_id).map_err(refused("reservation_id"))?;
        Ok(ReservationShare { reservation_id, units: decode_units(share.units)? })
    };
    shares.into_iter().map(decode).collect()
}

/// What one payment has in a sum.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentShare)]
pub(super) struct PaymentShape<'a> {
    /// The client's name for the payment.
    payment_id: Cow<'a, str>,
    /// Minor units of the order's currency.
    amount_cents: i64,
}

pub(super) fn encode_payments(shares: &[PaymentShare]) -> Vec<PaymentShape<'_>> {
    fn shape(share: &PaymentShare) -> PaymentShape<'_> {
        let payment_id = Cow::Borrowed(share.payment_id.as_str());
        PaymentShape { payment_id, amount_cents: share.amount.get() }
    }
    shares.iter().map(shape).collect()
}

pub(super) fn decode_payments(shares: Vec<PaymentShape<'_>>) -> Result<Vec<PaymentShare>, CodecError> {
    let decode = |share: PaymentShape<'_>| {
        let payment_id = PaymentId::new(share.payment_id).map_err(refused("payment_id"))?;
        Ok(PaymentShare { payment_id, amount: cents("amount_cents", share.amount_cents)? })
    };
    shares.into_iter().map(decode).collect()
}

/// Why the service did what no client asked for.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EventCause)]
pub(super) enum CauseShape {
    /// Units were cancelled.
    Cancelled,
    /// Units came back.
    Returned,
    /// The life that was asked for is over.
    Expired,
    /// Payments did not cover the order in time.
    Unpaid,
}

pub(super) fn encode_cause(cause: Option<Cause>) -> Option<CauseShape> {
    cause.map(|cause| match cause {
        Cause::Cancelled => CauseShape::Cancelled,
        Cause::Returned => CauseShape::Returned,
        Cause::Expired => CauseShape::Expired,
        Cause::Unpaid => CauseShape::Unpaid,
    })
}

pub(super) fn decode_cause(cause: Option<CauseShape>) -> Option<Cause> {
    cause.map(|cause| match cause {
        CauseShape::Cancelled => Cause::Cancelled,
        CauseShape::Returned => Cause::Returned,
        CauseShape::Expired => Cause::Expired,
        CauseShape::Unpaid => Cause::Unpaid,
    })
}

/// When something ends, as two fields: what was asked for, and when that is over.
pub(super) fn encode_expiry(expires: Option<Expiry>) -> (Option<u32>, Option<String>) {
    expires.map(|Expiry { seconds, at }| (seconds, rfc3339::format(at))).unzip()
}

pub(super) fn decode_expiry(
    field: &'static str,
    seconds: Option<u32>,
    at: Option<String>,
) -> Result<Option<Expiry>, CodecError> {
    match (seconds, at) {
        (Some(seconds), Some(at)) => Ok(Some(Expiry { seconds, at: time(field, &at)? })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(out_of_range(field)),
    }
}

pub(super) fn encode_reason(reason: Option<&Reason>) -> Option<Cow<'_, str>> {
    reason.map(|reason| Cow::Borrowed(reason.as_str()))
}

pub(super) fn decode_reason(reason: Option<Cow<'_, str>>) -> Result<Option<Reason>, CodecError> {
    reason.map(Reason::new).transpose().map_err(refused("reason"))
}

pub(super) fn cents(field: &'static str, cents: i64) -> Result<Cents, CodecError> {
    Cents::new(cents).map_err(refused(field))
}
